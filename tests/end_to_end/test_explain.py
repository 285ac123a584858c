"""``bonegraph explain`` on a small run: one recording, one clip, a split, and mistakes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bonegraph.__main__ import main
from bonegraph.datasets.store import Store
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.checkpoint import load_checkpoint

from .runs import unchanged


def printed(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    assert main(["explain", *given, "--progress", "false"]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    assert main(["explain", *given]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("bonegraph explain: ") and not captured.out
    return line


@pytest.fixture
def clip(store: Path) -> str:
    return str(Store.open(store).ids[5])


@pytest.fixture
def table(store: Path, tmp_path: Path, clip: str) -> Path:
    """The same clip as a recording in a file."""
    opened = Store.open(store)
    sequence = opened.sequence(opened.find(clip))
    path = tmp_path / "recording.csv"
    names = [f"{joint}_{axis}" for joint in sequence.skeleton.joints for axis in "xyz"]
    rows = sequence.positions[:, 0].reshape(sequence.num_frames, -1)
    lines = [",".join(names), *(",".join(f"{value:.6f}" for value in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_clip_of_a_store(
    store: Path, finished: Path, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.html"
    with unchanged(finished), unchanged(store):
        text = printed(capsys, str(finished), "--data", str(store), "--clip", clip, "--out", str(out))
    opened = Store.open(store)
    answer = Recogniser.load(finished)(opened.sequence(opened.find(clip)))[0]
    first, second, third = text.splitlines()
    assert first.startswith(f"class '{answer.action}' ({answer.probability:.1%}): ") and " of the focus is on " in first
    assert re.match(r"deletion 0\.\d+, insertion 0\.\d+, random order 0\.\d+; ", second)
    assert third == f"drawn: {out}"
    page = out.read_text()
    assert f"<title>Explanation: {clip}</title>" in page and "Is the focus faithful?" in page
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


def test_any_class_and_checkpoint_as_a_film(
    store: Path, finished: Path, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = load_checkpoint(finished / "model.safetensors")[1].classes
    for number, action in enumerate(classes[:2]):
        out = tmp_path / f"{number}.gif"
        given = [str(finished / "model.safetensors"), f"--data={store}", f"--clip={clip}", f"--class={action}"]
        text = printed(capsys, *given, f"--out={out}", "--frames", "6", "--curves", "false", "--score", "logit")
        assert text.startswith(f"class '{action}' (") and "deletion" not in text
        with Image.open(out) as image:
            assert getattr(image, "n_frames", 1) == 6
    assert (tmp_path / "0.gif").read_bytes() != (tmp_path / "1.gif").read_bytes()


def test_a_recording_and_an_mp4(
    finished: Path, clip: str, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av = pytest.importorskip("av")
    out = tmp_path / "a.mp4"
    given = ["--out", str(out), "--steps", "3", "--draws", "1", "--frames", "10", "--stage", "0"]
    text = printed(capsys, str(finished), str(table), *given)
    assert text.startswith("class '") and f"drawn: {out}" in text
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10


def test_without_a_name_the_page_lies_here(
    store: Path, finished: Path, clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = ["explain", str(finished), "--data", str(store), "--clip", clip, "--curves", "false"]
    assert main(given) == 0
    assert (tmp_path / "explanation.html").read_text().startswith("<!DOCTYPE html>")


def test_a_split(store: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "numbers.json"
    given = [str(finished), "--data", str(store), "--split", "xboth-val", "--steps", "4", "--draws", "1"]
    text = printed(capsys, *given, "--out", str(out))
    found = json.loads(out.read_text())
    opened = Store.open(store)
    clips = opened.part("xboth-val", "test")
    assert [one["id"] for one in found["by_clip"]] == list(opened.ids[clips]) and found["clips"] == len(clips)
    for name in ("deletion", "insertion", "random"):
        values = [one[name] for one in found["by_clip"]]
        assert found[name]["mean"] == pytest.approx(np.mean(values))
        assert found[name]["standard_error"] == pytest.approx(np.std(values, ddof=1) / len(values) ** 0.5)
        assert f"{found[name]['mean']:.3f} ± {found[name]['standard_error']:.3f}" in text
    assert found["gain"]["mean"] == pytest.approx(found["insertion"]["mean"] - found["deletion"]["mean"])
    assert f"faithfulness {found['gain']['mean']:.3f} ± {found['gain']['standard_error']:.3f}" in text
    assert len(found["curves"]["deletion"]) == 5 and found["split"] == "xboth-val" and found["draws"] == 1
    assert f"written: {out}" in text
    again = printed(capsys, *given)
    assert again == text.replace(f"written: {out}\n", "")  # the same numbers, and no file


def test_part_of_a_split(store: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "numbers.json"
    given = [str(finished), "--data", str(store), "--split", "xboth-val", "--part", "val", "--limit", "3"]
    text = printed(capsys, *given, "--steps", "2", "--draws", "1", "--class", "sit down", "--out", str(out))
    assert "val of xboth-val, 3 clips" in text
    found = json.loads(out.read_text())
    opened = Store.open(store)
    assert {one["id"] for one in found["by_clip"]} < set(opened.ids[opened.part("xboth-val", "val")])
    assert {one["explained"] for one in found["by_clip"]} == {found["class"]} == {"sit down"}


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["explain", "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0 and text.count("bonegraph explain runs/") >= 4
    for option in ("--class CLASS", "--score {probability,logit}", "--stage STAGE", "--split SPLIT", "--out OUT"):
        assert option in text
    assert "class_name" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("RUN", "give either a recording or --data STORE with --clip ID or --split NAME"),
        ("RUN a.json --data STORE --clip CLIP", "give either a recording or --data STORE"),
        ("RUN --data STORE", "with --data, give either --clip ID or --split NAME"),
        ("RUN --data STORE --clip CLIP --split xboth-val", "with --data, give either --clip ID or --split NAME"),
        ("RUN a.json --clip CLIP", "--clip is for --data STORE"),
        ("RUN a.json --split xsub", "--split is for --data STORE"),
        ("RUN --data STORE --clip CLIP --class 'sit dwn'", "no class 'sit dwn'; did you mean 'sit down'"),
        ("RUN --data STORE --split xboth-val --class nope", "no class 'nope'; choices: "),
        ("RUN --data STORE --clip nope", "nope"),
        ("RUN --data STORE --split nope", "no split 'nope'"),
        ("RUN --data STORE --clip CLIP --out a.txt", "cannot write into 'a.txt'; the name must end in one of: .html, "),
        ("RUN --data STORE --clip CLIP --out nowhere/a.gif", "no folder 'nowhere' to write 'a.gif' into"),
        ("RUN --data STORE --split xboth-val --out a.html", "cannot write numbers into 'a.html'"),
        ("RUN --data STORE --split xboth-val --out nowhere/a.json", "no folder 'nowhere' to write 'a.json' into"),
        ("RUN --data STORE --clip CLIP --stage 7", "stage must be one of 2 stages, got 7"),
        ("RUN --data STORE --clip CLIP --score loss", 'key "score"'),
        ("RUN --data STORE --clip CLIP --frames 0", "frames must be at least 1, got 0"),
        ("RUN --data STORE --clip CLIP --steps 0", "steps must be at least 1, got 0"),
        ("RUN --data STORE --split xboth-val --draws 0", "draws must be at least 1, got 0"),
        ("RUN --data STORE --split xboth-val --limit -1", "limit must be at least 0, got -1"),
        ("RUN EMPTY", "empty.csv"),
        ("RUN nowhere.json", "nowhere.json"),
        ("nowhere a.json", "nowhere"),
    ],
)
def test_mistakes(
    arguments: str,
    message: str,
    store: Path,
    finished: Path,
    clip: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import shlex

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    names = {"RUN": str(finished), "STORE": str(store), "CLIP": clip, "EMPTY": "empty.csv"}
    given = [names.get(word, word) for word in shlex.split(arguments)]
    assert message in complaint(capsys, *given)
    assert [file.name for file in tmp_path.iterdir()] == ["empty.csv"]


def test_a_folder_of_streams(
    store: Path, finished: Path, clip: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in ("joint", "bone"):
        shutil.copytree(finished, tmp_path / "run" / stream)
    line = complaint(capsys, str(tmp_path / "run"), "--data", str(store), "--clip", clip)
    assert "is a folder of 2 streams; give one of them, such as '" in line and str(tmp_path / "run") in line
