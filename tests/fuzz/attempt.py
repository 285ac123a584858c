"""One damaged file: it reads, or it is refused in one line, soon, and without much memory."""

from __future__ import annotations

import os
import random
import signal
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from .seeds import Target

SECONDS = 2.0
"""Of the processor's time for one file; a machine may be busy with other things."""

MEGABYTES = 500.0


class TooSlow(BaseException):
    """No `Exception`, so that no reader can take it for damage."""


@dataclass(frozen=True)
class Failure:
    """A damaged file that was treated badly.

    Attributes:
        target: what was read.
        number: of the damage; the same number gives the same file.
        path: the damaged file.
        reason: what went wrong.
    """

    target: str
    number: int
    path: Path
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.target}, number {self.number}: {self.reason}\nfile: {self.path}\n"
            f"again: python -m tests.fuzz --only {self.target!r} --first {self.number} --count 1"
        )


def damaged(target: Target, number: int) -> bytes:
    """The file of a number; a function of the name and the number alone."""
    rng = random.Random(f"{target.name} {number}")
    seeds = target.seeds()
    return target.change(seeds[number % len(seeds)], rng)


def attempt(target: Target, number: int, folder: Path) -> Failure | None:
    """Read one damaged file.

    Args:
        target: what is read.
        number: of the damage.
        folder: where the file is put; `Target.place` has been called on it.
    """
    path = folder / target.file
    path.write_bytes(damaged(target, number))
    os.utime(path, ns=(number, number))  # some readers keep open what has the same size and time
    reason = complaint(target, path)
    return Failure(target.name, number, path, reason) if reason else None


def complaint(target: Target, path: Path, seconds: float = SECONDS, megabytes: float = MEGABYTES) -> str:
    """What went wrong in reading a file, or nothing."""
    _reset_peak()
    before = _megabytes("VmRSS")
    reason = ""
    try:
        with _limited(seconds), warnings.catch_warnings():
            warnings.simplefilter("error")
            target.open(path)
    except TooSlow:
        reason = f"takes more than {seconds:g} s"
    except (ValueError, OSError) as error:
        reason = _unclear(error, path)
    except Exception:
        reason = traceback.format_exc(limit=-4)
    if not reason and (growth := _megabytes("VmHWM") - before) > megabytes:
        reason = f"takes {growth:.0f} MB"
    return reason


def _unclear(error: ValueError | OSError, path: Path) -> str:
    """Why a refusal is not clear to the one who reads it, or nothing.

    A message may quote the file, with characters that cannot be shown; who prints it takes care of them.
    """
    message = str(error)
    if isinstance(error, ValueError) and type(error) is not ValueError:
        where = "".join(traceback.format_exception(error)[-3:])
        return f"is refused with a {type(error).__name__}: {message[:200]!r}\n{where}"
    if len(message.splitlines()) != 1:
        return f"is refused with a message that is not one line: {message[:400]!r}"
    if len(message) > 1000 + path.stat().st_size:
        return f"is refused with a message of {len(message)} characters: {message[:400]!r}..."
    return ""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _reset_peak() -> None:
    """Let the system forget the most memory that this process had so far; only Linux can."""
    marker = Path("/proc/self/clear_refs")
    if marker.exists():
        marker.write_text("5")


def _megabytes(field: str) -> float:
    """Memory of this process as Linux tells it, 0 elsewhere."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next((line for line in status.read_text().splitlines() if line.startswith(field)), "0 0")
    return int(line.split()[1]) / 1024
