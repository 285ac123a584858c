"""Recordings of any length, from the command line and from Python: who does what, and when."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.commands import recognise as recognise_command
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.inference.answer_file import COLUMNS
from bonegraph.inference.calibration import calibrate
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.untrimmed import Answers, answers
from bonegraph.inference.windows import cutting_for
from bonegraph.models.checkpoint import Calibration, load_checkpoint, save_checkpoint
from bonegraph.sequence import Sequence
from bonegraph.training.recipes.small import demo
from bonegraph.training.run import fit
from bonegraph.transforms.lengths import Length

from .runs import unchanged
from .untrimmed import CLASSES, REST, SomeActions, StandingStill, joined


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that knows seven actions, calibrated on people standing still."""
    folder = tmp_path_factory.mktemp("untrimmed")
    prepare(SomeActions(), None, folder / "data", workers=1, progress=False)
    prepare(StandingStill(2, 1), None, folder / "still", workers=1, progress=False)
    settings = demo()
    settings = replace(
        settings,
        data=str(folder / "data"),
        split="xboth-val",
        epochs=16,
        length=Length("uniform", 24),
        model=replace(settings.model, widths=(24, 24), strides=(1, 2)),
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        fit(settings, folder / "run", accelerator="cpu", progress=False)
    finally:
        torch.set_num_threads(threads)
    shutil.copytree(folder / "run", folder / "uncalibrated")
    arguments = ["calibrate", str(folder / "run"), "--unknown", str(folder / "still"), "--progress", "false"]
    assert main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def recogniser(trained: Path) -> Recogniser:
    return Recogniser.load(trained / "run")


def overlap(one: tuple[int, int], other: tuple[int, int]) -> float:
    common = max(0, min(one[1], other[1]) - max(one[0], other[0]))
    return common / (one[1] - one[0] + other[1] - other[0] - common)


def test_fit_tells_how_long_clips_are(trained: Path) -> None:
    _, meaning = load_checkpoint(trained / "uncalibrated" / "model.safetensors")
    data = SomeActions()
    lengths = [data.read(one).num_frames for one in data.find() if one.facts["group"] == "train"]
    assert meaning.clip_seconds == pytest.approx(np.median(lengths) / 30)
    assert (meaning.clip_people, meaning.calibration) == (1, None)
    _, best = load_checkpoint(trained / "uncalibrated" / "checkpoints" / "best.safetensors")
    assert best.clip_seconds == meaning.clip_seconds


def test_actions_are_found_in_time_and_rest_is_unknown(recogniser: Recogniser) -> None:
    found = rest = unknown = 0
    for subject in (1, 2, 3):
        sequence, truth = joined(["pick up", "walk forward", "sit down"], subject, replication=3)
        told = answers(recogniser, sequence)
        (timeline,) = told.timelines
        assert not told.whole and timeline.people == (0,)
        edges = [(one.start, one.stop) for one in timeline.segments]
        assert [start for start, _ in edges] == [0, *(stop for _, stop in edges[:-1])]
        assert edges[-1][1] == sequence.num_frames
        for start, stop, action in truth:
            found += any(
                one.action == action and overlap((one.start, one.stop), (start, stop)) > 0.4
                for one in timeline.segments
            )
        for segment in timeline.segments:
            common = max(0, min(segment.stop, REST) - segment.start)  # before the first action
            rest, unknown = rest + common, unknown + common * (segment.action == "unknown")
    assert found >= 6, found  # of 9
    assert unknown >= 0.8 * rest


def test_a_short_recording_is_answered_as_ever(recogniser: Recogniser) -> None:
    data = SomeActions()
    clip = data.read(data.find()[3])
    told = answers(recogniser, clip, threshold=0.0)
    (timeline,) = told.timelines
    assert told.whole and len(timeline.windows) == len(timeline.segments) == 1
    best = recogniser(clip)[0]
    (segment,) = timeline.segments
    assert (segment.start, segment.stop, segment.action) == (0, clip.num_frames, best.action)
    assert segment.peak == pytest.approx(best.probability)


def test_three_frames(recogniser: Recogniser) -> None:
    clip = SomeActions().read(SomeActions().find()[0])
    tiny = replace(clip, positions=clip.positions[:3], present=clip.present[:3])
    (timeline,) = answers(recogniser, tiny).timelines
    assert [(one.start, one.stop) for one in timeline.segments] == [(0, 3)]


def several(sequences: list[Sequence]) -> Sequence:
    """People side by side; who has fewer frames leaves."""
    frames = max(one.num_frames for one in sequences)
    positions = np.zeros((frames, len(sequences), *sequences[0].positions.shape[2:]), np.float32)
    present = np.zeros((frames, len(sequences)), np.bool_)
    for number, one in enumerate(sequences):
        positions[: one.num_frames, number] = one.positions[:, 0]
        present[: one.num_frames, number] = one.present[:, 0]
    return replace(sequences[0], positions=positions, present=present)


def test_five_people_are_looked_at_alone(recogniser: Recogniser) -> None:
    alone = [
        joined(actions, subject, 3)[0] for subject in (1, 2) for actions in (["pick up", "sit down"], ["sit down"])
    ]
    nobody = replace(alone[0], present=np.zeros_like(alone[0].present))
    told = answers(recogniser, several([*alone[:2], nobody, *alone[2:]]))
    assert [timeline.people for timeline in told.timelines] == [(0,), (1,), (3,), (4,)]
    for timeline, sequence in zip(told.timelines, alone, strict=True):
        (same,) = answers(recogniser, sequence, cutting=cutting_for(recogniser.meaning)).timelines
        if same.windows[0].num_frames < sequence.num_frames:
            assert [(one.start, one.action) for one in timeline.segments] == [
                (one.start, one.action) for one in same.segments
            ]
    together = answers(recogniser, several(alone), each=False)
    assert [timeline.people for timeline in together.timelines] == [(0, 1, 2, 3)]


def test_somebody_who_leaves_and_comes_back(recogniser: Recogniser) -> None:
    sequence, _ = joined(["pick up", "walk forward", "sit down"], 1, 3)
    present = sequence.present.copy()
    present[200:300] = False
    (timeline,) = answers(recogniser, replace(sequence, present=present)).timelines
    assert not any(segment.start < 300 and segment.stop > 200 for segment in timeline.segments)
    assert {segment.stop for segment in timeline.segments} >= {200, sequence.num_frames}
    assert timeline.at(250) is None and timeline.at(100) is not None


def test_nobody(recogniser: Recogniser) -> None:
    sequence, _ = joined(["pick up", "walk forward"], 1, 3)
    with pytest.raises(ValueError, match="nobody is seen"):
        answers(recogniser, replace(sequence, present=np.zeros_like(sequence.present)))
    present = np.zeros_like(sequence.present)
    present[100:103] = True
    assert answers(recogniser, replace(sequence, present=present)).timelines == ()


def test_another_frame_rate_gives_the_same_times(recogniser: Recogniser) -> None:
    sequence, _ = joined(["pick up", "walk forward", "sit down"], 3, 3)
    twice = replace(
        sequence,
        positions=np.repeat(sequence.positions, 2, axis=0),
        present=np.repeat(sequence.present, 2, axis=0),
        fps=60.0,
    )
    one, other = answers(recogniser, sequence), answers(recogniser, twice)
    assert (other.fps, other.num_frames) == (one.fps, one.num_frames) == (30.0, sequence.num_frames)
    ours, theirs = one.timelines[0].segments, other.timelines[0].segments
    assert [segment.action for segment in ours] == [segment.action for segment in theirs]
    assert all(abs(a.start - b.start) <= 10 for a, b in zip(ours, theirs, strict=True))


def test_windows_go_through_the_network_some_at_a_time(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> None:
    sequence, _ = joined(["pick up", "walk forward", "sit down"], 2, 3)
    one = answers(recogniser, sequence)
    monkeypatch.setattr("bonegraph.inference.untrimmed._TOGETHER", 1)
    other = answers(recogniser, sequence)
    np.testing.assert_allclose(one.timelines[0].probabilities, other.timelines[0].probabilities, atol=1e-5)


def test_an_old_checkpoint(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, meaning = load_checkpoint(trained / "uncalibrated" / "model.safetensors")
    old = replace(meaning, clip_seconds=None, clip_people=None)
    path = save_checkpoint(tmp_path / "old.safetensors", model, old)
    sequence, _ = joined(["pick up", "walk forward"], 1, 3)
    np.save(tmp_path / "long.npy", sequence.positions[:, 0])
    assert main(["recognise", str(path), str(tmp_path / "long.npy"), "--progress", "false"]) == 0
    out, err = capsys.readouterr()
    assert "people 1" not in out and "person 1" in out and "unknown" not in out
    assert "windows of 3.0 s" in err and 'never says "unknown"' in err and f"bonegraph calibrate {path}" in err


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    sequence, _ = joined(["pick up", "walk forward", "sit down"], 1, 3)
    np.save(folder / "b-long.npy", sequence.positions[:, 0])
    np.save(folder / "c-short.npy", sequence.positions[REST : REST + 60, 0])
    (folder / "a-broken.csv").write_text("x0,y0,z0\n1,2\n")
    return folder


def given(capsys: pytest.CaptureFixture[str], code: int, *arguments: Any) -> tuple[str, str]:
    assert main(["recognise", *map(str, arguments), "--progress", "false"]) == code
    return capsys.readouterr()


def test_a_folder_with_a_broken_file(
    trained: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = given(capsys, 0, trained / "run", recordings, "--out", tmp_path / "all.json", "--top", 2)
    assert [line for line in out.splitlines() if line.endswith(":")] == ["a-broken.csv:", "b-long.npy:", "c-short.npy:"]
    assert len(err.splitlines()) == 1 and "refused: a-broken.csv: 'a-broken.csv' row 1 has 2 fields" in err
    lines = out.partition("b-long.npy:\n")[2].partition("c-short.npy:")[0].splitlines()
    assert lines[0].split()[:5] == ["person", "1", "0:00.0", "-", lines[0].split()[4]]
    plain = json.loads((tmp_path / "all.json").read_text())
    assert plain["format"] == "bonegraph answers 1" and plain["checkpoint"] == str(trained / "run")
    assert [one["recording"] for one in plain["recordings"]] == ["b-long.npy", "c-short.npy"]
    assert [one["recording"] for one in plain["refused"]] == ["a-broken.csv"]
    long, short = plain["recordings"]
    assert set(long) == {"recording", "seconds", "fps", "threshold", "timelines"}
    (timeline,) = long["timelines"]
    assert set(timeline) == {"people", "segments", "windows"} and timeline["people"] == [1]
    assert len(timeline["segments"]) == len(lines)
    for segment in timeline["segments"]:
        assert set(segment) == {"start", "end", "action", "probability", "peak", "likeliest"}
        assert 0 <= segment["start"] < segment["end"] <= long["seconds"]
        assert segment["action"] in ("unknown", segment["likeliest"]) and segment["likeliest"] in CLASSES
    for window in timeline["windows"]:
        assert set(window) == {"start", "end", "top"} and len(window["top"]) == 2
        assert window["top"][0]["probability"] >= window["top"][1]["probability"]
    assert len(short["timelines"][0]["windows"]) == 1


def test_what_is_answered_before_a_stop_is_kept(
    trained: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recognise_command._Asked.of_file

    def stopped(self: Any, path: Path) -> Any:
        if path.name == "c-short.npy":
            signal.raise_signal(signal.SIGINT)
        return whole(self, path)

    monkeypatch.setattr(recognise_command._Asked, "of_file", stopped)
    given(capsys, 130, trained / "run", recordings, "--out", tmp_path / "all.json")
    plain = json.loads((tmp_path / "all.json").read_text())
    assert [one["recording"] for one in plain["recordings"]] == ["b-long.npy"]
    assert [one["recording"] for one in plain["refused"]] == ["a-broken.csv"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems refuse such names")
@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_name_in_no_encoding_stops_nothing(
    kind: str, trained: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "folder", tmp_path / f"answers.{kind}"
    folder.mkdir()
    for name in ("a.npy", os.fsdecode(b"b\xff.npy")):
        shutil.copy(recordings / "c-short.npy", folder / name)
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    arguments = ["recognise", str(trained / "run"), str(folder), "--out", str(out), "--progress", "false"]
    assert main(arguments) == 0
    shown.seek(0)
    assert r"b\udcff.npy:" in shown.read() and r"b\udcff.npy" in out.read_text()
    if kind == "json":
        names = [one["recording"] for one in json.loads(out.read_text())["recordings"]]
        assert [os.fsencode(name) for name in names] == [b"a.npy", b"b\xff.npy"]


def test_csv(trained: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given(capsys, 0, trained / "run", recordings, "--out", tmp_path / "all.csv")
    given(capsys, 0, trained / "run", recordings, "--out", tmp_path / "all.json")
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert {row["recording"] for row in rows} == {"b-long.npy", "c-short.npy"}
    segments = json.loads((tmp_path / "all.json").read_text())["recordings"][0]["timelines"][0]["segments"]
    ours = [row for row in rows if row["recording"] == "b-long.npy" and row["kind"] == "segment"]
    assert [(float(row["start"]), float(row["end"]), row["action"], float(row["probability"])) for row in ours] == [
        (one["start"], one["end"], one["action"], one["probability"]) for one in segments
    ]
    assert {row["rank"] for row in rows if row["kind"] == "window"} == {"1", "2", "3", "4", "5"}
    assert not list(tmp_path.glob(".*"))


def test_a_short_one_is_printed_as_ever(trained: Path, recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = given(capsys, 0, trained / "run", recordings / "c-short.npy", "--top", 3, "--threshold", 0)
    assert [line.split("%")[0].strip().replace(".", "").isdigit() for line in out.splitlines()] == [True] * 3
    assert err == ""
    unknown, _ = given(capsys, 0, trained / "run", recordings / "c-short.npy", "--top", 3, "--threshold", 1)
    assert unknown == f"unknown: no action reaches the threshold of 100.0%\n{out}"


def test_only_broken_ones(trained: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(recordings / "a-broken.csv", tmp_path)
    _, err = given(capsys, 2, trained / "run", tmp_path, "--out", tmp_path / "answers.json")
    assert "none of the 1 recordings" in err.splitlines()[-1]
    assert not (tmp_path / "answers.json").exists()


@pytest.mark.parametrize(
    "more, words",
    [
        (["--out", "answers.txt"], "must end in one of: .json, .csv"),
        (["--out", "nowhere/answers.json"], "no folder 'nowhere'"),
        (["--out", "folder.json"], "'folder.json' is a folder"),
        (["--window", "0"], "window and stride must be above 0"),
        (["--window", "1", "--stride", "2"], "leaves gaps"),
        (["--threshold", "1.5"], "threshold must lie between 0 and 1"),
        (["--fps", "0"], "frame rate must be above 0"),
        (["--annotated", "seen.mp4"], "--annotated is for videos"),
    ],
)
def test_mistakes(
    trained: Path,
    recordings: Path,
    more: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.json").mkdir()
    with unchanged(recordings):
        _, err = given(capsys, 2, trained / "run", recordings / "b-long.npy", *more)
    assert words in err and len(err.splitlines()) == 1


def test_the_rate_of_a_recording_can_be_told(
    trained: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given(capsys, 0, trained / "run", recordings / "b-long.npy", "--out", tmp_path / "a.json")
    given(capsys, 0, trained / "run", recordings / "b-long.npy", "--out", tmp_path / "b.json", "--fps", 15)
    (one,), (other,) = (json.loads((tmp_path / name).read_text())["recordings"] for name in ("a.json", "b.json"))
    assert other["seconds"] == pytest.approx(2 * one["seconds"], abs=0.1)


def test_a_store_is_no_recording(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = given(capsys, 2, trained / "run", trained / "data")
    assert "prepared store" in err and "bonegraph evaluate" in err
    _, err = given(capsys, 2, trained / "run", "--data", trained / "data")
    assert "--clip ID" in err and "bonegraph evaluate" in err


def test_a_network_that_answers_nan(recogniser: Recogniser, trained: Path) -> None:
    broken = Recogniser(recogniser.model, replace(recogniser.meaning, calibration=Calibration(1.0, 0.5)))
    state = {name: value.clone() for name, value in broken.model.state_dict().items()}
    try:
        with torch.no_grad():
            next(broken.model.parameters()).fill_(float("nan"))
        with pytest.raises(ValueError, match="NaN or infinity"):
            answers(broken, joined(["pick up"], 1, 3)[0])
        with pytest.raises(ValueError, match="NaN or infinity"):
            calibrate(broken, Store.open(trained / "data"), np.arange(3), cutting_for(broken.meaning))
    finally:
        broken.model.load_state_dict(state)


def test_calibrate_tells_what_it_found(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained / "uncalibrated", tmp_path / "run")
    path = tmp_path / "run" / "model.safetensors"

    def calibrated(*more: str) -> str:
        assert main(["calibrate", str(tmp_path / "run"), "--progress", "false", *more]) == 0
        return capsys.readouterr().out

    out = calibrated("--keep", "0.5")
    low = load_checkpoint(path)[1].calibration
    assert low is not None and (low.clips, low.networks) == (28, 1) and low.data.endswith("part val")
    assert "28 windows of 28 clips" in out and "expected calibration error" in out and f"{low.threshold:.1%}" in out
    calibrated("--keep", "1")
    high = load_checkpoint(path)[1].calibration
    assert high is not None and high.threshold < low.threshold and high.temperature == low.temperature
    assert "windows of other actions" in calibrated("--unknown", str(trained / "still"))
    assert main(["calibrate", str(tmp_path / "run"), "--progress", "false", "--part", "train"]) == 0
    assert "note: 56 of the 56 clips were trained on" in capsys.readouterr().err
    for more, words in (
        (["--part", "test"], "--allow_test true"),
        (["--split", "xboth"], "has no part 'val'; choose another --split (xboth-val)"),
        (["--keep", "0"], "keep must be a share"),
        (["--split", "nothing"], "no split 'nothing'"),
        (["--data", str(trained / "still"), "--split", "xsub"], "has no part 'val'"),
    ):
        with unchanged(tmp_path / "run"):
            assert main(["calibrate", str(tmp_path / "run"), "--progress", "false", *more]) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1
    assert main(["calibrate", str(path.with_name("gone.safetensors"))]) == 2
    capsys.readouterr()
    alone = shutil.copy(path, tmp_path / "alone.safetensors")
    assert main(["calibrate", str(alone)]) == 2
    assert "give --data STORE and --split NAME" in capsys.readouterr().err
    data = ["--data", str(trained / "data"), "--split", "xboth-val", "--part", "test", "--allow_test", "true"]
    assert main(["calibrate", str(alone), *data, "--progress", "false"]) == 2  # three people, none of them for testing
    assert "there are no clips to calibrate on" in capsys.readouterr().err


def test_evaluate_stays_as_it_is(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The calibration of a checkpoint changes no score."""
    from bonegraph.datasets.store import Store
    from bonegraph.inference.scoring import score

    store = Store.open(trained / "data")
    clips = store.part("xboth-val", "val")
    one, other = (
        score(*load_checkpoint(trained / run / "model.safetensors"), store, clips, progress=False)
        for run in ("run", "uncalibrated")
    )
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def test_streams_are_calibrated_together(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stream in ("joint", "bone"):
        shutil.copytree(trained / "uncalibrated", tmp_path / "both" / stream)
    assert main(["calibrate", str(tmp_path / "both"), "--progress", "false"]) == 0
    both, one = Recogniser.load(tmp_path / "both"), Recogniser.load(tmp_path / "both" / "joint")
    assert both.threshold is not None and one.threshold is None
    found = [network.meaning.calibration for network in both.networks]
    assert found[0] == found[1] and found[0] is not None and found[0].networks == 2
    told: Answers = answers(both, joined(["pick up"], 1, 3)[0])
    assert told.threshold == both.threshold
