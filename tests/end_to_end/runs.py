"""Start a command in a process of its own without paying for the imports each time, and look at what it left."""

from __future__ import annotations

import csv
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open

EPOCHS = 6
WARM = ("bonegraph.__main__", "bonegraph.commands.fit", "bonegraph.training.run", "bonegraph.training.recipes")

# Children are forked from a server that has imported everything and has no threads; a fork of pytest itself could hang.
CONTEXT = multiprocessing.get_context("forkserver")


def fit_arguments(store: Path, run: Path, *more: str) -> list[str]:
    """A small training with everything that has to survive an interruption."""
    settings = (
        "--split xboth-val --model.widths [16,16] --model.strides [1,2] --model.dropout 0.3 --length.frames 16 "
        "--transforms.augment.mirror 0.5 --transforms.augment.joint_dropout 0.1 --optimizer.schedule cosine "
        f"--optimizer.warmup_epochs 1.5 --optimizer.momentum 0.9 --optimizer.clip_norm 5 --epochs {EPOCHS} "
        "--seed 2 --accelerator cpu --progress false"
    )
    return ["fit", "demo", "--data", str(store), "--run", str(run), *settings.split(), *more]


class Ended(NamedTuple):
    """How a command ended."""

    code: int | None
    errors: str

    def line(self) -> str:
        """The one line that a mistake is worth."""
        assert self.code == 2, self
        lines = [line for line in self.errors.splitlines() if line.strip()]
        assert len(lines) == 1 and "Traceback" not in lines[0], self.errors
        return lines[0]


def start(arguments: list[str], log: Path, *, limit: int = 0, user: int = 0, slow: bool = False) -> BaseProcess:
    """Start a command.

    Args:
        arguments: of the command line.
        log: gets its output and its errors.
        limit: of the size of every file in bytes, 0 for none.
        user: to run as, 0 for ours.
        slow: rest in the middle of every file that is written as a whole, so that a kill can hit it.
    """
    CONTEXT.set_forkserver_preload(list(WARM))
    log.unlink(missing_ok=True)
    process = CONTEXT.Process(target=_command, args=(arguments, log, limit, user, slow))
    process.start()
    return process


def finish(process: BaseProcess, log: Path, seconds: float = 100) -> Ended:
    """Wait for the end of a command."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"still running after {seconds} s: {log.read_text()}")
    return Ended(process.exitcode, log.read_text() if log.exists() else "")


def command(arguments: list[str], folder: Path, *, limit: int = 0, user: int = 0, log: Path | None = None) -> Ended:
    """Run a command to its end."""
    log = log or folder / "errors.log"
    return finish(start(arguments, log, limit=limit, user=user), log)


def kill(process: BaseProcess) -> None:
    """No chance to tidy up."""
    assert process.pid is not None
    process.kill()
    process.join(120)
    assert process.exitcode in (-signal.SIGKILL, 0), process.exitcode


def wait_for(found: Callable[[], bool], process: BaseProcess | None = None, seconds: float = 240) -> None:
    """Wait until something is there."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "it never came"
        assert process is None or process.is_alive() or found(), f"the process ended first ({process.exitcode})"
        time.sleep(0.002)


def weights(path: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Meaning and weights of a checkpoint, bit for bit. (The order of the metadata in the file is up to chance.)"""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return dict(file.metadata()), {name: value.numpy().tobytes() for name, value in tensors.items()}


def curves(run: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv without the time they took."""
    with (run / "metrics.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name not in ("seconds", "clips_per_s")}
            for row in csv.DictReader(file)
        ]


def same(run: Path, other: Path) -> None:
    """Two runs have the same results, and the first has nothing of an epoch twice."""
    for name in ("model.safetensors", "checkpoints/best.safetensors"):
        (one, ours), (two, theirs) = weights(run / name), weights(other / name)
        assert one == two, name
        assert ours.keys() == theirs.keys(), name
        assert [key for key in ours if ours[key] != theirs[key]] == [], name
    assert curves(run) == curves(other)
    assert [row["epoch"] for row in curves(run)] == [str(epoch) for epoch in range(len(curves(run)))]


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing is written or lost."""
    before = content(folder)
    yield
    after = content(folder)
    assert after.keys() == before.keys()
    assert after == before


def _command(arguments: list[str], log: Path, limit: int, user: int, slow: bool) -> None:
    from bonegraph.__main__ import main

    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(out, stream)
    os.chdir("/")
    torch.set_num_threads(1)  # sums in another order are other sums
    warnings.simplefilter("error")
    if slow:
        _rest_while_writing()
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _rest_while_writing() -> None:
    def write_bytes(path: Path, data: bytes) -> int:
        with path.open("wb", buffering=0) as file:
            file.write(data[: len(data) // 2])
            time.sleep(0.1)
            return len(data) // 2 + file.write(data[len(data) // 2 :])

    Path.write_bytes = write_bytes  # type: ignore[method-assign, assignment]
