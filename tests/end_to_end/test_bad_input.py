"""A mistake is worth one clear line and the exit status 2; nothing is written, nothing is lost."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.recogniser import Recogniser
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton

from .fakes import write_clip
from .runs import command, fit_arguments, unchanged, weights

NOBODY = 65534


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command prints about a mistake."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("bonegraph ") and not captured.out, captured
    return lines[0]


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fti", "no command 'fti'; did you mean 'fit'"),
        ("--nope", "no command '--nope'; choices"),
        ("fit", "give a recipe or a config.yaml first"),
        ("fit demoo", "no recipe 'demoo'; did you mean 'demo'"),
        ("fit demo --run OUT", "give the prepared store"),
        ("fit demo --data STORE", "give the run folder"),
        ("fit demo --data NOWHERE --run OUT", "no folder 'NOWHERE'; prepare a data set there first"),
        ("fit demo --data TMP --run OUT", "is not a prepared data set"),
        ("fit demo --data STORE --run OUT --epochs", "--epochs"),
        ("fit demo --data STORE --run OUT --nope 3", "unrecognized arguments: --nope 3"),
        ("fit demo --data STORE --run OUT extra", "unrecognized arguments: extra"),
        ("fit demo --data STORE --run OUT --epochs many", '"epochs"'),
        ("fit demo --data STORE --run OUT --epochs 0", "epochs must be at least 1, got 0"),
        ("fit demo --data STORE --run OUT --model.widths [4,x]", '"model.widths"'),
        ("fit demo --data STORE --run OUT --model.widths [16]", "widths has 1 units but strides has 10"),
        ("fit demo --data STORE --run OUT --optimizer.name sdg", "'sgd', 'adam'"),
        ("fit demo --data STORE --run OUT --split xbot", "no split 'xbot'; did you mean 'xboth'"),
        ("fit demo --data STORE --run OUT --model.in_channels 2", "set --model.in_channels 3"),
        ("fit demo --data STORE --run OUT --accelerator warp", "warp"),
        ("fit demo --data STORE --run OUT --accelerator cpu --devices 0", "devices 0"),
        ("fit demo --data STORE --run OUT --accelerator cpu --devices few", "devices few"),
        ("fit NOWHERE.yaml --run OUT", "no settings 'NOWHERE.yaml'; give the config.yaml"),
        ("evaluate", "required: run; see 'bonegraph evaluate --help'"),
        ("evaluate NOWHERE", "no settings 'NOWHERE/config.yaml'"),
        ("evaluate RUN --part tets", "no part 'tets'; did you mean 'test'"),
        ("evaluate RUN --split xvie", "no split 'xvie'; did you mean 'xview'"),
        ("evaluate RUN --weights worst", "'last', 'best'"),
        ("evaluate RUN --data NOWHERE", "no folder 'NOWHERE'"),
        ("recognise NOWHERE NOWHERE.json", "no checkpoint 'NOWHERE'"),
        ("recognise RUN NOWHERE.json", "NOWHERE.json"),
        ("recognise RUN", "give either a recording or --data "),
        (
            "recognise RUN --data STORE --clip S001C001P001R001A0O1",
            "the nearest of its 192 ids is 'S001C001P001R001A001'",
        ),
        ("recognise RUN --data STORE --clip S001C001P001R001A001 --top 0", "top must be at least 1, got 0"),
        ("prepare nwucla OUT", "no data set 'nwucla'; did you mean 'nw-ucla'"),
        ("prepare nw-ucla OUT", "needs --source"),
        ("prepare nw-ucla OUT --source NOWHERE", "no folder 'NOWHERE'"),
        ("prepare nw-ucla OUT --source TMP", "holds no *.json"),
        ("draw ntu26 --out OUT.png", "no skeleton 'ntu26'; did you mean 'ntu25'"),
        ("draw ntu25 --out OUT.png --max_hop -1", "max_hop must be at least 1, got -1"),
    ],
)
def test_mistakes(
    arguments: str, message: str, finished: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {
        "STORE": str(store),
        "RUN": str(finished),
        "TMP": str(empty),
        "OUT": str(tmp_path / "out"),
        "NOWHERE": str(tmp_path / "nowhere"),
    }
    for word, place in places.items():
        arguments, message = arguments.replace(word, place), message.replace(word, place)
    with unchanged(finished), unchanged(store), unchanged(tmp_path):
        line = complaint(capsys, *arguments.split())
    assert message in line, line


def test_run_folder_holds_another_run(finished: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value, message in (
        ("--optimizer.lr", "0.03", "optimizer.lr 0.1, but 0.03 was asked for"),
        ("--epochs", "7", "epochs 6, but 7 was asked for"),
        ("--model.widths", "[16, 32]", "model.widths [16, 16], but [16, 32] was asked for"),
        ("--split", "xsub", "split xboth-val, but xsub was asked for"),
    ):
        with unchanged(finished):
            line = complaint(capsys, *fit_arguments(store, finished, option, value))
        assert message in line and str(finished) in line


def test_run_folder_is_something_else(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/me.jpg").write_bytes(b"?")
    for name in ("photos", "photos/me.jpg"):
        with unchanged(tmp_path):
            assert "give another --run folder" in complaint(capsys, *fit_arguments(store, tmp_path / name))


def test_settings_may_change_while_nothing_is_kept(store: Path, tmp_path: Path) -> None:
    """A mistake that only the first batch shows does not spoil the name of the run."""
    run = tmp_path / "run"
    line = command(fit_arguments(store, run, "--transforms.scale", "image", "--epochs", "1"), tmp_path).line()
    assert "set transforms.image to (width, height)" in line
    assert command(fit_arguments(store, run, "--epochs", "1"), tmp_path).code == 0


@pytest.fixture
def open_to_all(store: Path) -> Iterator[Path]:
    """A folder that every user may enter, unlike those of pytest, with a store; only we may write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(store, folder / "data")
        (folder / "log").touch()
        (folder / "log").chmod(0o666)
        folder.chmod(0o755)
        yield folder


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become someone else")
def test_no_permission(open_to_all: Path, finished: Path) -> None:
    run, log = open_to_all / "run", open_to_all / "log"

    def line(*arguments: str) -> str:
        return command([*arguments], open_to_all, user=NOBODY, log=log).line()

    found = line(*fit_arguments(open_to_all / "data", run))
    assert found == f"bonegraph fit: Permission denied: '{run}'; give another folder or get permission."
    shutil.copytree(finished, run)
    with unchanged(run):
        found = line("evaluate", str(run), "--data", str(open_to_all / "data"), "--progress", "false")
        assert "Permission denied" in found and str(run) in found
        (run / "model.safetensors").chmod(0)
        found = line("evaluate", str(run), "--data", str(open_to_all / "data"), "--progress", "false")
        assert str(run / "model.safetensors") in found


def test_a_place_that_cannot_be(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for run in (tmp_path / "file/run", Path("/proc/bonegraph")):
        assert str(run) in command(fit_arguments(store, run), tmp_path).line()


# --- data ------------------------------------------------------------------------------------------------------------


def write_store(folder: Path, clips: list[Sequence], skeleton: Skeleton, classes: tuple[str, ...]) -> Path:
    card = Card(
        name="odd",
        skeleton=skeleton,
        unit="m",
        fps=30.0,
        classes=classes,
        columns={"part": "str"},
        splits={"all": Split("part", {"train": ("train",), "val": ("val",), "test": ("test",)})},
    )
    with StoreWriter(folder, card) as writer:
        for number, clip in enumerate(clips):
            for part in ("train", "val", "test"):
                writer.append(f"{part}{number}", number % len(classes), {"part": part}, clip)
        writer.finish()
    return folder


def still(skeleton: Skeleton, frames: int, value: float | None = None, people: int = 1) -> Sequence:
    shape = (frames, people, skeleton.num_joints, 3)
    random = np.random.default_rng(frames)
    positions = random.normal(size=shape) if value is None else np.full(shape, value)
    return Sequence(positions.astype(np.float32), np.ones(shape[:2], bool), skeleton, 30.0, "m")


@pytest.mark.parametrize("extra", [(), ("--transforms.scale", "min-max", "--transforms.rotate_to_body", "true")])
def test_clips_of_zeros_and_of_one_frame(extra: tuple[str, ...], tmp_path: Path) -> None:
    """They are odd, but whoever made the store says that somebody is there: they pass without a NaN."""
    skeleton = SKELETONS["sbu15"]
    clips = [
        still(skeleton, 9, 0.0),
        still(skeleton, 1),
        still(skeleton, 1, 0.0),
        still(skeleton, 30),
        still(skeleton, 7),
    ]
    data = write_store(tmp_path / "data", clips, skeleton, ("sit", "stand"))
    run = tmp_path / "run"
    arguments = fit_arguments(data, run, "--split", "all", "--epochs", "2", "--batch_size", "3", *extra)
    assert command(arguments, tmp_path).code == 0, (tmp_path / "errors.log").read_text()
    for value in weights(run / "model.safetensors")[1].values():
        if len(value) > 8:
            assert np.isfinite(np.frombuffer(value, np.float32)).all()
    ended = command(["evaluate", str(run), "--progress", "false"], tmp_path)
    assert ended.code == 0 and "nan" not in ended.errors.lower(), ended.errors
    for clip in ("test0", "test1", "test2"):
        ended = command(["recognise", str(run), "--data", str(data), "--clip", clip], tmp_path)
        assert ended.code == 0 and "nan%" not in ended.errors
        assert len(ended.errors.splitlines()) == 3  # two actions, and that it is not calibrated


def test_bad_files_are_listed_and_the_good_ones_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, data = tmp_path / "files", tmp_path / "data"
    good = [write_clip(source, f"a01_s01_e0{number}_v0{number % 3 + 1}").stem for number in range(5)]
    good.append(write_clip(source, "a02_s01_e00_v01", frames=1).stem)
    broken = np.ones((4, 20, 3))
    broken[2, 3, 1] = np.nan
    write_clip(source, "a03_s01_e00_v01", broken.tolist())
    write_clip(source, "a03_s01_e01_v01", np.zeros((4, 20, 3)).tolist())
    write_clip(source, "a07_s01_e00_v01")
    write_clip(source / "again", "a01_s01_e01_v02")
    assert main(["prepare", "nw-ucla", str(data), "--source", str(source), "--progress", "false"]) == 0
    assert "4" in capsys.readouterr().out
    assert sorted(Store.open(data).ids) == sorted(good)
    with (data / "problems.csv").open(newline="") as file:
        reasons = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    expected = {
        "a03_s01_e00_v01.json": "NaN or infinity, first in frame 2",
        "a03_s01_e01_v01.json": "nobody is present",
        "a07_s01_e00_v01.json": "none of the 10 classes",
    }
    for name, text in expected.items():
        assert text in reasons.pop(name)
    (twice,) = reasons.values()
    assert "the id was there before" in twice


def test_recordings_that_cannot_be_read(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = np.ones((4, 20, 3))
    broken[2, 3, 1] = np.inf
    for path, text in (
        (write_clip(tmp_path, "a03_s01_e00_v01", broken.tolist()), "NaN or infinity"),
        (write_clip(tmp_path, "a03_s01_e01_v01", []), "has no frames"),
    ):
        line = complaint(capsys, "recognise", str(run), str(path))
        assert text in line and path.name in line
    (tmp_path / "half.json").write_text('{"skeletons": [[')
    assert "not valid JSON" in complaint(capsys, "recognise", str(run), str(tmp_path / "half.json"))
    assert main(["recognise", str(run), str(tmp_path)]) == 2  # all three, each with its reason
    *reasons, last = capsys.readouterr().err.splitlines()
    assert len(reasons) == 3 and str(tmp_path) in last
    (tmp_path / "empty").mkdir()
    assert "holds no recordings" in complaint(capsys, "recognise", str(run), str(tmp_path / "empty"))


def test_index_with_a_wrong_label_or_id(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (old, new, text) in enumerate(
        [
            ("S001C001P001R001A002,1,", "S001C001P001R001A002,16,", "label 16, but there are 16 classes (0 to 15)"),
            ("S001C001P001R001A002,1,", "S001C001P001R001A002,-1,", "label -1"),
            ("S001C001P001R001A002,", "S001C001P001R001A001,", "S001C001P001R001A001"),
        ]
    ):
        data = tmp_path / f"data{number}"
        shutil.copytree(store, data)
        text_before = (data / "index.csv").read_text()
        assert old in text_before
        (data / "index.csv").write_text(text_before.replace(old, new, 1))
        line = complaint(capsys, *fit_arguments(data, tmp_path / "run"))
        assert text in line and "index.csv" in line
        assert not (tmp_path / "run").exists()


def test_store_cut_short(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("positions.npy", "present.npy", "index.csv", "dataset.json"):
        data = tmp_path / name
        shutil.copytree(store, data)
        whole = (data / name).read_bytes()
        (data / name).write_bytes(whole[: len(whole) // 2])
        assert name in complaint(capsys, *fit_arguments(data, tmp_path / "run"))
        assert not (tmp_path / "run").exists()


# --- checkpoints and settings ----------------------------------------------------------------------------------------


def test_checkpoint_of_another_skeleton(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skeleton = SKELETONS["sbu15"]
    other = write_store(tmp_path / "sbu", [still(skeleton, 5), still(skeleton, 6)], skeleton, ("sit", "stand"))
    with unchanged(finished):
        line = complaint(capsys, "evaluate", str(finished), "--data", str(other), "--split", "all")
    assert "takes the skeleton 'ntu25' (25 joints), but 'odd' has 'sbu15' (15 joints)" in line
    line = complaint(capsys, "recognise", str(finished), "--data", str(other), "--clip", "test0")
    assert "'sbu15' has no " in line and "which the checkpoint for 'ntu25' needs" in line


def test_recognise_converts_by_joint_name(finished: Path, store: Path) -> None:
    """The same body with its joints in another order is the same action."""
    opened = Store.open(store)
    sequence = opened.sequence(5)
    order = np.random.default_rng(0).permutation(25)
    place = np.argsort(order)
    skeleton = opened.skeleton
    other = Skeleton(
        name="shuffled",
        joints=tuple(skeleton.joints[joint] for joint in order),
        parents=tuple(int(place[skeleton.parents[joint]]) for joint in order),
        mirror=tuple(int(place[skeleton.mirror[joint]]) for joint in order),
        centre=int(place[skeleton.centre]),
        origin=int(place[skeleton.origin]),
    )
    recognise = Recogniser.load(finished)
    shuffled = replace(sequence, positions=sequence.positions[:, :, order], skeleton=other)
    assert recognise(shuffled) == recognise(sequence)


def test_other_classes(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skeleton = SKELETONS["ntu25"]
    other = write_store(tmp_path / "two", [still(skeleton, 5), still(skeleton, 6)], skeleton, ("sit", "stand"))
    line = complaint(capsys, "evaluate", str(finished), "--data", str(other), "--split", "all")
    assert "knows 16 classes" in line and "has 2 (sit, ...)" in line


def test_damaged_checkpoint(run: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "model.safetensors"
    whole = path.read_bytes()
    for data in (b"", whole[:1000], whole[:-10], b"nonsense" * 1000, (run / "checkpoints/last.ckpt").read_bytes()):
        path.write_bytes(data)
        for arguments in (["evaluate", str(run)], ["recognise", str(run), "--data", str(store), "--clip", "x"]):
            with unchanged(run):
                line = complaint(capsys, *arguments)
            assert str(path) in line and "checkpoint" in line
    path.unlink()
    assert "no checkpoint" in complaint(capsys, "recognise", str(run), "--data", str(store), "--clip", "x")
    (run / "checkpoints/best.safetensors").unlink()
    assert "kept no best weights" in complaint(capsys, "evaluate", str(run), "--weights", "best")


def test_settings_that_are_no_settings(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, proof = run / "config.yaml", tmp_path / "proof"
    for text in (
        "epochs: [1,",
        "just words",
        "",
        f"!!python/object/apply:os.system ['touch {proof}']",
        f"recipe: !!python/object/apply:os.system ['touch {proof}']\nmodel: {{name: stgcn}}",
    ):
        path.write_text(text)
        with unchanged(run):
            for arguments in (["fit", str(path), "--run", str(run)], ["evaluate", str(run)]):
                assert str(path) in complaint(capsys, *arguments)
    assert not proof.exists()


def test_options_execute_nothing(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = tmp_path / "proof"
    evil = f"!!python/object/apply:os.system ['touch {proof}']"
    for option in ("--epochs", "--model.widths", "--optimizer.lr", "--transforms"):
        assert main([*fit_arguments(store, tmp_path / "run"), option, evil]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not proof.exists() and not (tmp_path / "run").exists()
