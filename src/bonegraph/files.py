"""Files that are whole or absent, and folders that one run at a time may write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock; two runs in one folder are then the user's to avoid
    fcntl = None  # type: ignore[assignment]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Give what the system says about a failed write the name of the file; where the disk is full it leaves that out.

    Raises:
        OSError: with ``filename``.
    """
    try:
        yield
    except OSError as error:
        named = error.filename is not None and not str(error.filename).endswith(".tmp")
        if named or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, then rename it, so that nobody ever sees half of it.

    Raises:
        OSError: the file cannot be written; the one that was there before stays.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            unfinished.write_bytes(data)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def held(folder: Path, busy: str) -> Iterator[None]:
    """Hold a folder for this process; the system lets go of it when the process ends in whatever way.

    Args:
        folder: must exist.
        busy: the message if another process holds it.

    Raises:
        BlockingIOError: another process holds it.
    """
    if fcntl is None:
        yield
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(busy) from None
        # The one who held it before may have removed it in the meantime.
        if not folder.exists() or not os.path.samestat(os.fstat(lock), folder.stat()):
            raise BlockingIOError(busy)
        yield
    finally:
        os.close(lock)
