"""Public weights from their file to an answer, on the command line."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.datasets.store import Store
from bonegraph.models import stgcn
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.released.published import PUBLISHED
from bonegraph.models.stgcn import STGCN
from bonegraph.scores import Scores
from bonegraph.skeleton import SKELETONS

NAMES = {
    "adjacency": "A",
    "input_norm.": "data_bn.",
    "spatial.conv.": "gcn.conv.",
    "spatial_norm.": "tcn.0.",
    "temporal_norm.": "tcn.3.",
    "temporal.": "tcn.2.",
    "head.": "fcn.",
    "units.": "st_gcn_networks.",
}


def weights(folder: Path, classes: int, name: str = "st_gcn.pt", seed: int = 0, **more: Any) -> Path:
    """A very small ST-GCN under the names of the public code."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = replace(stgcn.released(), widths=(4, 8), strides=(1, 2), temporal_kernel=3)
        state = STGCN(config, SKELETONS["ntu25"], classes).state_dict()
    theirs = {}
    for key, value in state.items():
        if key.endswith("edge_importance"):
            key = f"edge_importance.{key.split('.')[1]}"
        else:
            for ours, public in NAMES.items():
                key = key.replace(ours, public)
        theirs[key] = value[:, :, None, None] if key == "fcn.weight" else value
    torch.save({"state_dict": {f"module.{key}": value for key, value in theirs.items()}, **more}, folder / name)
    return folder / name


def printed(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> tuple[str, str]:
    """Output and errors of a command."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    found = capsys.readouterr()
    return found.out, found.err


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one line that a mistake is worth."""
    out, errors = printed(capsys, *arguments, status=2)
    (line,) = errors.splitlines()
    assert out == "" and len(line) < 1500
    return line


def test_from_a_file_of_weights_to_scores(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = Store.open(store)
    for number, stream in enumerate(("joint", "bone")):
        file = weights(tmp_path, len(opened.classes), f"some-{stream}.pt", seed=number, meta={"epoch": 3})
        out, _ = printed(capsys, "convert", file, tmp_path / f"{stream}.safetensors", "--classes", store)
        assert "family: stgcn, " in out and "prefix taken off: module." in out
        assert "left aside: 'meta'" in out and "skeleton 'ntu25', guessed from 25 joints" in out
        assert f"stream '{stream}', by the name of the file" in out
        assert out.splitlines()[-1].endswith("--cleaning released-stgcn")
        _, meaning = load_checkpoint(tmp_path / f"{stream}.safetensors")
        assert meaning.classes == opened.classes and meaning.transforms.stream == stream
        assert meaning.made["converted from"] == file.name and len(meaning.made["sha256"]) == 64
        place = ("--data", store, "--split", "xsub", "--progress", "false")
        out, errors = printed(capsys, "evaluate", tmp_path / f"{stream}.safetensors", *place)
        assert "the weights need a store made by 'bonegraph prepare ntu60" in errors
        (path,) = re.findall("scores: (.*)", out)
        scores = Scores.load(path)
        assert scores.classes == opened.classes and len(scores) > 0
        assert (tmp_path / Path(path).name.replace("scores.npz", "report.html")).is_file()
    files = sorted(tmp_path.glob("*-scores.npz"))
    assert len(files) == 2
    printed(capsys, "fuse", *files, "--out", tmp_path / "both.npz")
    clip = str(scores.ids[0])
    arguments = ("recognise", tmp_path / "bone.safetensors", "--data", store, "--clip", clip, "--top", "1")
    out, _ = printed(capsys, *arguments)
    assert out.split(maxsplit=1)[1].strip() == scores.classes[int(scores.probabilities[0].argmax())]


def test_verify_tells_by_its_status(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = weights(tmp_path, 16)
    printed(capsys, "convert", file, tmp_path / "net.safetensors")  # class names are numbers
    split = ("--data", store, "--split", "xsub", "--progress", "false")
    out, errors = printed(capsys, "verify", tmp_path / "net.safetensors", *split, "--published", 100, status=1)
    measured = float(re.findall(r"^measured +([0-9.]+) %", out, re.MULTILINE)[0])
    assert "outside 0.3" in out and f"{measured - 100:+.2f}" in out
    assert "only the number of classes could be compared" in errors and "expect lower accuracy" in errors
    exact = ("verify", tmp_path / "net.safetensors", *split, "--scores", tmp_path / "scores.npz")
    out, _ = printed(capsys, *exact, "--published", measured + 0.2)
    assert "within 0.3" in out and "as given" in out
    assert 100 * Scores.load(tmp_path / "scores.npz").top(1) == pytest.approx(measured, abs=0.005)
    printed(capsys, *exact, "--published", measured + 0.4, status=1)
    printed(capsys, *exact, "--published", measured + 0.4, "--tolerance", 0.5)


def recording(seed: int) -> str:
    """A .skeleton file of two bodies in 14 frames."""
    random = np.random.default_rng(seed)
    lines = ["14"]
    for _ in range(14):
        lines.append("2")
        for body in (72057594037931691, 72057594037931692):
            lines += [f"{body} 0 1 1 1 1 0 0.0 0.0 2", "25"]
            lines += [
                " ".join(f"{number:.4f}" for number in (*joint, *[0] * 8)) + " 2" for joint in random.random((25, 3))
            ]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def ntu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of two people, and stores of two cleanings."""
    folder = tmp_path_factory.mktemp("ntu")
    (folder / "files").mkdir()
    for subject in (1, 3):
        for action in (1, 2):
            path = folder / "files" / f"S001C001P{subject:03d}R001A{action:03d}.skeleton"
            path.write_text(recording(seed=10 * subject + action))
    for cleaning in ("released-stgcn", "released-msg3d"):
        arguments = ["prepare", "ntu60", str(folder / cleaning), "--source", str(folder / "files")]
        assert main([*arguments, "--cleaning", cleaning, "--progress", "false", "--workers", "1"]) == 0
    return folder


def test_ntu_as_the_public_code_has_it(ntu: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "net.safetensors"
    out, _ = printed(capsys, "convert", weights(tmp_path, 60), checkpoint)
    assert "classes of ntu60, guessed from their number" in out and "stream 'joint', assumed" in out
    # The published figure is known, the store is right, and random weights do not reach it.
    where = ("verify", checkpoint, "--split", "xsub", "--progress", "false", "--data")
    out, errors = printed(capsys, *where, ntu / "released-stgcn", status=1)
    figure = PUBLISHED["stgcn", "ntu60", "xsub", "joint"]
    assert (
        f"published            {figure.top1:7.2f} %  {figure.source}".split()
        == re.findall("^published.*", out, re.M)[0].split()
    )
    assert errors == ""
    _, errors = printed(capsys, *where, ntu / "released-msg3d", status=1)
    assert "but 'released-msg3d' is 'ntu60'" in errors
    # A recording is cleaned as its store is, so that the answers are the same.
    clip = "S001C001P003R001A002"
    by_store, _ = printed(capsys, "recognise", checkpoint, "--data", ntu / "released-stgcn", "--clip", clip)
    by_file, errors = printed(capsys, "recognise", checkpoint, ntu / "files" / f"{clip}.skeleton")
    assert by_file == by_store and len(errors.splitlines()) == 1 and "not calibrated" in errors


def test_one_of_an_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive, out = tmp_path / "models.zip", tmp_path / "net.safetensors"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in ("ntu60-joint.pt", "ntu60-bone.pt"):
            bundle.write(weights(tmp_path, 60, name), f"models/{name}")
    line = mistake(capsys, "convert", archive, out)
    assert "choose one with --member: 'models/ntu60-joint.pt', 'models/ntu60-bone.pt'" in line
    text, _ = printed(capsys, "convert", archive, out, "--member", "ntu60-bone")
    assert "stream 'bone', by the name of the file" in text
    assert load_checkpoint(out)[1].made["converted from"] == "models.zip: ntu60-bone"


def test_what_does_not_fit_goes_into_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = weights(tmp_path, 60)
    content = torch.load(file, weights_only=True)
    del content["state_dict"]["module.fcn.bias"]
    torch.save({**content["state_dict"], **{f"extra{n}": torch.ones(1) for n in range(9)}}, file)
    line = mistake(capsys, "convert", file, tmp_path / "net.safetensors", "--report", tmp_path / "report.txt")
    assert "9 unknown: extra0, extra1, extra2, extra3, extra4, ...; 1 missing: head.bias." in line
    assert (tmp_path / "report.txt").read_text().count("extra") == 9
    assert not (tmp_path / "net.safetensors").exists()


class Attack:
    """Runs a program when it is unpickled by Python."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.proof}",)


def test_an_attack_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = tmp_path / "proof"
    file = weights(tmp_path, 60, meta=Attack(proof))
    line = mistake(capsys, "convert", file, tmp_path / "net.safetensors")
    assert "asks for 'posix.system', which no weights need" in line
    assert not proof.exists() and not (tmp_path / "net.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("FILE none/net.safetensors", "no folder '"),
        ("FILE OUT.pt", "should end in .safetensors"),
        ("NONE OUT", "no file '"),
        ("FILE OUT --classes ntu120", "'ntu120' has 120 classes, but the weights tell 60"),
        ("FILE OUT --classes none.txt", "no file 'none.txt'"),
        ("FILE OUT --skeleton ucla20", "is for 25 joints, but the skeleton 'ucla20' has 20"),
        ("FILE OUT --skeleton ntu24", "no skeleton 'ntu24'; did you mean 'ntu25'?"),
        ("FILE OUT --family msg3d", "is of the family 'msg3d', but lacks"),
        ("FILE OUT --preprocessing ntu", "no preprocessing 'ntu'"),
        ("FILE OUT --preprocessing pyskl-3d --stream bone-motion", "but not bone-motion"),
        ("FILE OUT --stream bones", "stream"),
        ("FILE OUT --frames -1", "frames must be at least 0, got -1"),
        ("FILE OUT --fps 0", "the frame rate must be above 0"),
        ("FILE OUT --member a.pt", "is no archive of several files"),
        ("CONVERTED OUT", "is a checkpoint of this package already; use it as it is"),
    ],
)
def test_mistakes(arguments: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = {
        "FILE": str(weights(tmp_path, 60)),
        "NONE": str(tmp_path / "none.pt"),
        "OUT": str(tmp_path / "net.safetensors"),
        "OUT.pt": str(tmp_path / "net.pt"),
        "CONVERTED": str(tmp_path / "converted.safetensors"),
    }
    if "CONVERTED" in arguments:
        printed(capsys, "convert", places["FILE"], places["CONVERTED"])
    assert message in mistake(capsys, "convert", *(places.get(part, part) for part in arguments.split()))
    assert not (tmp_path / "net.safetensors").exists()


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("verify", "", "give a prepared store and a split of it"),
        ("verify", "--data STORE --split xsub", "no published accuracy is known for stgcn xsub joint, part test"),
        ("verify", "--data STORE --split xsub --published 0.9", "published is a percentage: write 90 for 0.9"),
        ("verify", "--data STORE --split xsub --published 900", "published must be a percentage"),
        ("verify", "--data STORE --split xsub --published 90 --tolerance -1", "tolerance must be at least 0"),
        ("verify", "--data STORE --split xsob --published 90", "has no split 'xsob'"),
        ("verify", "--data NONE --split xsub --published 90", "no folder"),
        ("evaluate", "", "is a checkpoint without a run; give --data STORE and --split NAME"),
        ("evaluate", "--data STORE --split xsub --weights best", "is one set of weights"),
    ],
)
def test_mistakes_with_a_checkpoint(
    command: str, arguments: str, message: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "net.safetensors"
    printed(capsys, "convert", weights(tmp_path, 16), checkpoint, "--classes", store)
    places = {"STORE": str(store), "NONE": str(tmp_path / "none")}
    given = [places.get(part, part) for part in arguments.split()]
    assert message in mistake(capsys, command, checkpoint, *given)
