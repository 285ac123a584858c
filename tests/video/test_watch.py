"""``bonegraph watch``: a file, a stream, a slow estimator, Ctrl-C; people are coloured dots."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream import ExactStream
from bonegraph.pose import mediapipe_pose
from bonegraph.pose.estimator import Person
from bonegraph.read.video import Frame, Video

from . import films
from .served import ACTIONS, FPS, encoded, moving, parts, pictures, recordings, server, trained

TIMES = np.arange(100) / 25


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("trained") / "model.safetensors")


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One nods for four seconds; beside them another one kicks, from second 2 on stands."""
    other = np.concatenate([moving("kick", TIMES[:50], 190), moving("stand", TIMES[50:], 190)])
    return films.write(tmp_path_factory.mktemp("films") / "two.mp4", pictures(moving("nod", TIMES, 70), other))


class Dots(films.Dots):
    """What stands in for mediapipe, which sees nobody in dots."""

    slow = 0.0

    def __init__(self, people: int = 1) -> None:
        self._most = people

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        for found in super().people(frames, fps):
            time.sleep(self.slow)
            yield found[: self._most]


@pytest.fixture(autouse=True)
def dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediapipe_pose, "MediaPipePose", Dots)


def watch(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> list[dict[str, Any]]:
    """What is told, line by line."""
    status = main(["watch", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert status == code, err
    return [json.loads(line) for line in out.splitlines()]


def answers(told: list[dict[str, Any]], person: int) -> list[dict[str, Any]]:
    return [line for line in told if "event" not in line and line["person"] == person]


def test_two_people_have_an_answer_each(
    checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen = tmp_path / "seen.mp4"
    arguments = (checkpoint, film, "--people", 2, "--realtime", "false", "--record", seen)
    told = watch(capsys, *arguments)
    start, stop = told[0], told[-1]
    assert start["event"] == "start" and start["window"] == 1 and start["threshold"] == 0.5 and start["each"]
    assert (stop["event"], stop["why"], stop["pictures"]) == ("stop", "the source ended", 100)
    first, second = answers(told, 1), answers(told, 2)
    assert {line["action"] for line in first} == {"nod"} and {line["since"] for line in first} == {0}
    assert [line["time"] for line in first] == pytest.approx(np.arange(0.96, 4, 0.48), abs=0.05)
    assert second[0]["action"] == "kick" and second[-1]["action"] == "stand"
    assert second[-1]["since"] == pytest.approx(2, abs=0.4)
    ends = {(line["person"], line["action"]): line for line in told if line.get("event") == "end"}
    assert set(ends) == {(1, "nod"), (2, "kick"), (2, "stand")}
    assert ends[2, "kick"]["start"] == 0 and ends[2, "kick"]["end"] == second[-1]["since"]
    assert all(line["probability"] > 0.5 and line["top"][0][0] == line["action"] for line in first)
    # The film has every picture, at its time, with the skeletons and the texts on it.
    drawn, plain = list(Video(seen)), list(Video(film))
    assert len(drawn) == 100 and Video(seen).fps == pytest.approx(25, rel=0.02)
    assert [path.name for path in tmp_path.iterdir()] == ["seen.mp4"]
    x, y = 70, 60  # on the bone from the head to the pelvis, about
    assert np.abs(drawn[80][y, x - 12 : x + 12].astype(int) - plain[80][y, x - 12 : x + 12]).max() > 60


@pytest.fixture(scope="module")
def frame_by_frame(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the recipe for frames that come one by one."""
    folder = tmp_path_factory.mktemp("frame by frame")
    clips, labels = recordings(24, seed=1)
    parts = {"part": Split("part", {"train": ("train",), "test": ("test",)})}
    card = Card("dots", films.STICK, "px", FPS, ACTIONS, {"part": "str"}, parts, confidence=True)
    with StoreWriter(folder / "data", card) as writer:
        for number, (clip, label) in enumerate(zip(clips, labels, strict=True)):
            part = "test" if number < 6 else "train"
            writer.append(f"c{number}", int(label), {"part": part}, clip)
        writer.finish()
    small = "--epochs 8 --model.widths [8,8] --model.strides [1,2] --progress false"
    arguments = ["fit", "own-stream", "--data", str(folder / "data"), "--run", str(folder / "run"), *small.split()]
    assert main(arguments) == 0
    return folder / "run"


def test_frame_by_frame(
    frame_by_frame: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of the recipe is watched as the stream answers by hand; who leaves and comes back is somebody new."""
    every: list[list[Person]] = []

    class Remembering(Dots):
        def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
            for found in super().people(frames, fps):
                every.append(found)
                yield found

    monkeypatch.setattr(mediapipe_pose, "MediaPipePose", Remembering)
    joints = moving("kick", np.arange(100) / 25, 120)
    joints[40:70] = np.nan
    film = films.write(tmp_path / "back.mp4", pictures(joints))
    capsys.readouterr()
    options = ("--realtime", "false", "--stream", "exact", "--threshold", "0", "--smooth", "1")
    assert main(["watch", str(frame_by_frame), str(film), *options]) == 0
    out, err = capsys.readouterr()
    assert "stream: frame by frame, 12 frames behind; nothing is computed twice" in err
    told = [json.loads(line) for line in out.splitlines()]
    assert (told[0]["stream"], told[0]["late"]) == ("exact", 0.48)
    assert [line["person"] for line in told if line.get("event") == "leave"] == [1]
    recogniser = Recogniser.load(frame_by_frame)
    stream = ExactStream(recogniser.model, recogniser.meaning, window=25, first=13, patience=99)
    by_hand = {}
    for number, found in enumerate(every):
        if number == 70:
            stream.end(1)
        who = 1 if number < 70 else 2
        positions = np.array([one.joints for one in found], np.float32).reshape(-1, 4, 2)
        now = stream.step(positions, np.ones(positions.shape[:2], np.bool_), [who] * len(found))
        by_hand[number] = now.get(who)
    last = stream.end(2)
    assert last is not None
    first, second = answers(told, 1), answers(told, 2)
    for line in [*first, *second[:-1]]:
        answer = by_hand[round(25 * line["time"])]
        assert answer is not None and line["top"][0][1] == pytest.approx(answer.max(), abs=2e-3)
        told_of = answer[recogniser.meaning.classes.index(line["action"])]  # which may go on while another is likelier
        assert line["probability"] == pytest.approx(told_of, abs=2e-3)
    assert len(first) > 3 and second[0]["since"] == pytest.approx(2.8, abs=0.1)
    assert second[-1]["top"][0][1] == pytest.approx(last.max(), abs=2e-3)


def test_exact_is_refused_in_one_line(checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(checkpoint), str(film), "--stream", "exact"]) == 2
    err = capsys.readouterr().err
    assert "frames cannot come one by one: length.rule 'uniform' spreads a clip over 16 frames; slide a window" in err
    assert "Traceback" not in err


def test_words_for_people(checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--people", "2", "--realtime", "false", "--text", "true")
    assert main(["watch", str(checkpoint), str(film), *options]) == 0
    out, _ = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "watching two.mp4, the last 1.0 s at a time"
    assert sum("person 1: nod (" in line for line in lines) == 1
    assert any("person 2: kick ended at" in line for line in lines) and "the source ended" in lines[-1]


def test_a_stream(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Served as fast as it is taken: it plays at its own speed all the same."""
    data = encoded(pictures(moving("kick", TIMES[:50], 120)))
    with server(lambda: iter(parts(data, 10))) as url:
        told = watch(capsys, checkpoint, url, "--timeout", 5)
    assert {line["action"] for line in answers(told, 1)} == {"kick"}
    assert told[0]["source"] == url and told[-1]["event"] == "stop"


def test_a_stream_that_breaks_off(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was seen is told; the reason stands in the last line and on standard error."""
    data = encoded(pictures(moving("kick", TIMES, 120)))
    with server(lambda: iter([data[: 2 * len(data) // 3]]), whole=False) as url:
        assert main(["watch", str(checkpoint), url, "--timeout", "5"]) == 2
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in out.splitlines()]
    assert "broke" in told[-1]["why"] and told[-1]["pictures"] > 0
    assert "broke" in err.splitlines()[-1] and "Traceback" not in err


def test_it_goes_on_after_a_break(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = encoded(pictures(moving("kick", TIMES, 120)))
    with server(lambda: iter([data[: len(data) // 2]]), lambda: iter([data]), whole=False) as url:
        told = watch(capsys, checkpoint, url, "--timeout", 5, "--reconnect", 0.1, "--seconds", 3)
    events = [line.get("event") for line in told]
    assert "lost" in events and "found" in events and events.index("lost") < events.index("found")
    assert told[-1]["why"] == "3 seconds are over"


def test_pictures_are_dropped_and_the_delay_stays(
    checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dots, "slow", 0.1)
    monkeypatch.setattr("bonegraph.inference.live.session.STATUS", 1.0)
    told = watch(capsys, checkpoint, film)
    statuses = [line for line in told if line.get("event") == "status"]
    assert statuses and statuses[-1]["dropped"] > 20 and statuses[-1]["fps"] < 10
    assert all(line["pose_ms"] >= 100 and line["people"] == 1 for line in statuses)
    assert told[-1]["pictures"] < 50
    assert {line["action"] for line in answers(told, 1)} == {"nod"}  # people move by time


def test_a_varying_rate(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.12, 50))
    path = films.write(tmp_path / "varying.mp4", pictures(moving("kick", times, 120)), times=times - times[0])
    told = watch(capsys, checkpoint, path, "--realtime", "false")
    assert {line["action"] for line in answers(told, 1)} == {"kick"}


def test_below_the_threshold_it_is_unknown(checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = watch(capsys, checkpoint, film, "--realtime", "false", "--threshold", 1, "--seconds", 2)
    assert {line["action"] for line in answers(told, 1)} == {"unknown"}
    assert not [line for line in told if line.get("event") == "end"]


def test_nobody(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = films.write(tmp_path / "empty.mp4", [np.full((64, 64, 3), 16, np.uint8)] * 30)
    told = watch(capsys, checkpoint, path, "--realtime", "false")
    assert [line["event"] for line in told] == ["start", "stop"]


SCRIPT = """
import sys
from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream import ExactStream
from bonegraph.pose import mediapipe_pose
from tests.video.test_watch import Dots
mediapipe_pose.MediaPipePose = Dots
Dots.slow = 0.05  # seconds of a picture, so that there is time to stop it
sys.exit(main(["watch", *sys.argv[1:]]))
"""


@pytest.mark.parametrize(("number", "trained"), [(signal.SIGINT, "checkpoint"), (signal.SIGTERM, "frame_by_frame")])
def test_ctrl_c_leaves_whole_lines_and_a_film(
    request: pytest.FixtureRequest, tmp_path: Path, film: Path, number: signal.Signals, trained: str
) -> None:
    checkpoint = request.getfixturevalue(trained)
    seen = tmp_path / "seen.mp4"
    seen.write_text("an older film")
    arguments = [str(checkpoint), str(film), "--record", str(seen), "--realtime", "false"]  # every picture
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "action" in line:
            break
    assert seen.read_text() == "an older film"  # until the new one is whole
    process.send_signal(number)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    told = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    assert told[-1]["event"] == "stop" and told[-1]["why"] == "Ctrl-C"
    assert any(line.get("event") == "end" for line in told)
    assert sum(1 for _ in Video(seen)) > 5
    assert [path.name for path in tmp_path.iterdir()] == ["seen.mp4"]


def test_without_a_display(
    checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert watch(capsys, checkpoint, film, "--display", "true", code=2) == []


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("gone.mp4", (), "no file 'gone.mp4'"),
        ("99", (), "no camera '/dev/video99'"),
        ("film", ("--record", "seen.avi"), "recorded as .mp4"),
        ("film", ("--record", "gone/seen.mp4"), "no folder 'gone'"),
        ("film", ("--seconds", "0"), "seconds must be above 0"),
        ("film", ("--every", "0"), "every must be above 0"),
        ("film", ("--timeout", "0"), "timeout must be above 0"),
        ("film", ("--reconnect", "5"), "for cameras and streams"),
        ("http://127.0.0.1:1/", (), "cannot watch 'http://127.0.0.1:1/': Connection refused"),
    ],
)
def test_one_clear_line(
    checkpoint: Path,
    film: Path,
    capsys: pytest.CaptureFixture[str],
    source: str,
    options: tuple[str, ...],
    message: str,
) -> None:
    assert main(["watch", str(checkpoint), str(film) if source == "film" else source, *options]) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err


def test_without_a_picture_an_older_film_stays(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen.mp4"
    seen.write_text("an older film")
    told = watch(capsys, checkpoint, "http://127.0.0.1:1/", "--record", seen, code=2)
    assert [line["event"] for line in told] == ["start", "stop"]
    assert seen.read_text() == "an older film" and len(list(tmp_path.iterdir())) == 1


def test_people_together(tmp_path: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where two people were in the training clips there is one answer for both, unless each is asked for."""
    pairs = trained(tmp_path / "pairs.safetensors", people=2, steps=1)
    options = ("--people", 2, "--realtime", "false", "--seconds", 2, "--threshold", 0)
    told = watch(capsys, pairs, film, *options)
    answers = [line for line in told if "event" not in line]
    assert answers and all(line["person"] is None and line["people"] == [1, 2] for line in answers)
    told = watch(capsys, pairs, film, *options, "--each", "true")
    assert {line["person"] for line in told if "event" not in line} == {1, 2}


def test_the_film_is_not_written_over(checkpoint: Path, film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = film.read_bytes()
    watch(capsys, checkpoint, film, "--record", film, code=2)
    assert film.read_bytes() == before
