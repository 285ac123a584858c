"""``bonegraph prepare video`` that is killed or stopped, and given again, ends like one that nobody touched."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import av
import numpy as np
import pytest

from bonegraph.pose.estimator import Person, PoseEstimator
from bonegraph.read.video import Frame
from bonegraph.skeleton import Skeleton

from .runs import CONTEXT, WARM, Ended, content, finish, kill, wait_for

FILMS = 6


BODY = np.array([(0, -40), (0, 0), (20, 40), (-20, 40)], np.float32)


class Slow:
    """Finds one person, further to the right the brighter a frame is; rests, so that a film can be interrupted."""

    name = "slow"
    skeleton = Skeleton("stick4", ("head", "pelvis", "left foot", "right foot"), (1, 1, 1, 1), (0, 1, 3, 2))
    metric = False

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        for frame in frames:
            time.sleep(self.seconds)
            yield [Person(BODY + np.float32(frame.mean()), np.ones(4, np.float32))]


def write(path: Path, shades: Iterable[int]) -> None:
    """A film of one grey after the other."""
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for shade in shades:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), "rgb24")))
        container.mux(stream.encode())


def command(arguments: list[str], log: Path, seconds: float) -> None:
    """The command as it is, but for who finds the people."""
    from bonegraph.__main__ import main
    from bonegraph.datasets.known.video import VideoSet

    def estimator(self: VideoSet) -> PoseEstimator:
        return Slow(seconds)

    VideoSet.estimator = estimator  # type: ignore[method-assign]  # of this process, which ends here
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(out, 1)
    os.dup2(out, 2)
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of films, and one file that is none."""
    root = tmp_path_factory.mktemp("films")
    for number in range(FILMS):
        write(root / ("walk" if number % 2 else "stand") / f"{number}.mp4", range(50 + number, 90 + number, 5))
    (root / "walk" / "broken.mp4").write_bytes(b"no film")
    return root


def arguments(folder: Path, store: Path) -> list[str]:
    return ["prepare", "video", str(store), "--source", str(folder), "--fps", "25", "--workers", "1"]


def start(folder: Path, store: Path, seconds: float) -> BaseProcess:
    CONTEXT.set_forkserver_preload([*WARM, "bonegraph.commands.prepare", "bonegraph.datasets.known.video", "av"])
    log = store.with_name("log")
    process = CONTEXT.Process(target=command, args=(arguments(folder, store), log, seconds))
    process.start()
    return process


def prepare(folder: Path, store: Path) -> Ended:
    return finish(start(folder, store, 0.0), store.with_name("log"))


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    store = tmp_path_factory.mktemp("uninterrupted") / "store"
    ended = prepare(folder, store)
    assert ended.code == 0, ended.errors
    assert f"{FILMS} clips, 1 files refused" in ended.errors
    positions = np.load(store / "positions.npy")
    assert positions.shape == (8 * FILMS, 4, 2) and len(np.unique(positions[:, 1, 0].round())) > 8
    return content(store)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "Ctrl-C"])
def test_the_same_command_goes_on(
    folder: Path, tmp_path: Path, uninterrupted: dict[str, bytes], how: signal.Signals
) -> None:
    store = tmp_path / "store"
    process = start(folder, store, 0.05)
    wait_for(lambda: len(list(tmp_path.glob(".store.preparing/part-*.npz"))) >= 2, process)
    time.sleep(0.1)  # some frames of the next film
    if how == signal.SIGKILL:
        kill(process)
    else:
        assert process.pid is not None
        os.kill(process.pid, how)
        code, errors = finish(process, tmp_path / "log")
        assert code == 130
        assert "parts are kept, and the same command goes on from there." in errors.splitlines()[-1]
        assert "Traceback" not in errors
    assert not store.exists()
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob(".store.preparing/part-*.npz")}
    assert 2 <= len(kept) < FILMS

    ended = prepare(folder, store)
    assert ended.code == 0, ended.errors
    first = next(line for line in ended.errors.replace("\r", "\n").splitlines() if "prepare video" in line)
    assert f"{len(kept)}/{FILMS + 1}" in first  # these were not read again
    assert content(store) == uninterrupted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "store"]
