"""Reading a data set in parts: worker processes turn some clips into one file, which is whole or not there."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from tqdm import tqdm

from bonegraph.datasets.known import KnownSet, Source
from bonegraph.datasets.writer import Cells, Row
from bonegraph.sequence import Sequence


class Problem(NamedTuple):
    """A file that was refused.

    Attributes:
        id: clip id.
        file: its file, below the source folder.
        reason: why, in one line.
    """

    id: str
    file: str
    reason: str


@dataclass(frozen=True)
class Part:
    """Some clips to read, and where they go. It travels to a worker process."""

    known: KnownSet
    sources: tuple[Source, ...]
    root: Path | None
    file: Path


def below(source: Source, root: Path | None) -> str:
    """The file of a clip, below the source folder; empty where there is none."""
    if source.path is None:
        return ""
    return (source.path.relative_to(root) if root is not None else source.path).as_posix()


_stop: Any = None  # the event that tells a worker to leave; set once per worker process


def _start_worker(stop: Any) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which sets `stop`
    parent = multiprocessing.parent_process()
    assert parent is not None
    # A killed parent cannot tell its workers; without this they would wait for work forever.
    threading.Thread(target=lambda: (wait_for([parent.sentinel]), os._exit(1)), daemon=True).start()


def _read_part(part: Part) -> tuple[int, int]:
    """Read the clips of a part into its file. Returns how many there were and how many of them were refused."""
    rows: list[Row] = []
    cells: list[Cells] = []
    problems: list[Problem] = []
    for source in part.sources:
        if _stop is not None and _stop.is_set():
            return 0, 0
        try:
            sequence = _usable(part.known.read(source), part.known)
        except Exception as error:  # whatever a damaged file makes a reader do, the others go on
            problems.append(Problem(source.id, below(source, part.root), _reason(error)))
            continue
        rows.append(
            Row(source.id, source.label, tuple(source.facts.values()), sequence.num_frames, sequence.num_people)
        )
        cells.append(Cells.of(sequence))
    _save(part, rows, cells, problems)
    return len(part.sources), len(problems)


def _usable(sequence: Sequence, known: KnownSet) -> Sequence:
    """Check a sequence against its data set, and leave out people who are never there."""
    for what, value, needed in (
        ("skeleton", sequence.skeleton.name, known.skeleton.name),
        ("unit", sequence.unit, known.unit),
        ("frame rate", sequence.fps, known.fps),
    ):
        if value != needed:
            raise ValueError(f"it has {what} {value}, but '{known.name}' has {needed}.")
    if (sequence.confidence is not None) != known.has_confidence:
        raise ValueError(
            f"it has {'a' if sequence.confidence is not None else 'no'} confidence, unlike '{known.name}'."
        )
    there = sequence.present.any(axis=0)
    if not there.any():
        raise ValueError("nobody is present in any of its frames.")
    if there.all():
        return sequence
    return replace(
        sequence,
        positions=sequence.positions[:, there],
        present=sequence.present[:, there],
        confidence=None if sequence.confidence is None else sequence.confidence[:, there],
    )


def _reason(error: Exception) -> str:
    text = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    text = " ".join(text.split())
    return text if type(error) is ValueError and text else f"it cannot be read ({type(error).__name__}: {text})."


def _save(part: Part, rows: list[Row], cells: list[Cells], problems: list[Problem]) -> None:
    arrays: dict[str, Any] = {
        "table": np.frombuffer(json.dumps([rows, problems]).encode(), dtype=np.uint8),
    }
    if cells:
        arrays["positions"] = np.concatenate([clip.positions for clip in cells])
        arrays["present"] = np.concatenate([clip.present for clip in cells])
        if part.known.has_confidence:
            arrays["confidence"] = np.concatenate([clip.confidence for clip in cells if clip.confidence is not None])
    # In memory first: a zip file that meets a full disk half-way leaves more errors behind than one.
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    half = part.file.with_suffix(".half")
    try:
        with half.open("wb", buffering=0) as file:
            _write_all(file, buffer.getbuffer())
            os.fsync(file.fileno())
        half.replace(part.file)
    except OSError:
        half.unlink(missing_ok=True)
        raise


def _write_all(file: io.FileIO, data: memoryview) -> None:
    written = 0
    while written < len(data):
        written += file.write(data[written:]) or 0


class Loaded(NamedTuple):
    """A part read back.

    Attributes:
        rows: of its clips.
        problems: what was refused.
        cells: arrays of the clips; None where every clip was refused.
    """

    rows: list[Row]
    problems: list[Problem]
    cells: Cells | None


DAMAGED = (OSError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile)
"""What reading a damaged part raises."""


def load(file: Path, *, arrays: bool = True) -> Loaded:
    """Read a part back.

    Args:
        file: of the part.
        arrays: read the cells too; without them it takes next to no time.
    """
    with np.load(file, allow_pickle=False) as data:
        rows, problems = json.loads(data["table"].tobytes())
        cells = None
        if arrays and "positions" in data:
            confidence = data["confidence"] if "confidence" in data.files else None
            cells = Cells(data["positions"], data["present"], confidence)
    rows = [Row(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]
    return Loaded(rows, [Problem(*row) for row in problems], cells)


def complete(file: Path) -> bool:
    """Whether a part was read to its end."""
    try:
        with zipfile.ZipFile(file):  # reads the list at its end, which a cut-off file lacks
            return True
    except (OSError, zipfile.BadZipFile):
        return False


def worker_count(workers: int | None, missing: list[Part]) -> int:
    """How many processes are worth starting."""
    if workers is None:
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # Starting processes takes about as long as reading a few parts.
        workers = available if len(missing) > 8 else 1
    return max(1, min(workers, len(missing)))


def read_parts(parts: list[Part], workers: int, bar: tqdm[NoReturn], refused: int) -> None:
    """Read parts in worker processes, or in this one if it is the only one.

    Raises:
        ChildProcessError: a worker died.
        KeyboardInterrupt: Ctrl-C; the workers have left.
    """

    def advance(clips: int, problems: int) -> None:
        nonlocal refused
        refused += problems
        bar.set_postfix(refused=refused, refresh=False)
        bar.update(clips)

    if workers == 1:
        for part in parts:
            advance(*_read_part(part))
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(stop,))
    try:
        with _signals_held():  # new processes inherit this, so that Ctrl-C never meets one that is starting
            pending: set[Future[tuple[int, int]]] = {pool.submit(_read_part, part) for part in parts}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                advance(*future.result())
    except BrokenProcessPool:
        raise ChildProcessError(
            "a reading process died, for lack of memory or because this script starts processes outside of "
            "'if __name__ == \"__main__\":'; finished parts are kept, try again with workers=1."
        ) from None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _signals_held() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
