"""Readers: one file format, one module, and every reader returns a `bonegraph.sequence.Sequence`.

A reader refuses what it cannot trust with a ValueError of one line that names the file and what is wrong with it. A
person whose joints are all exactly zero is not at the origin of the camera but absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bonegraph.read.sbu import read_sbu
from bonegraph.read.ucla import read_ucla
from bonegraph.sequence import Sequence
from bonegraph.skeleton import nearest

__all__ = ["FORMATS", "Format", "read"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        pattern: file names that are taken for it, e.g. ``"*.json"``.
        read: its reader.
    """

    pattern: str
    read: Callable[[Path], Sequence]


FORMATS: dict[str, Format] = {
    "nw-ucla": Format("*.json", read_ucla),
    "sbu": Format("skeleton_pos.txt", read_sbu),
}
"""The file formats by name."""


def read(path: str | Path, format: str | None = None) -> Sequence:
    """Read a recording.

    Args:
        path: its file.
        format: a key of `FORMATS`; None goes by the name of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such format, no format goes by such a name, or the file is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}'; give a file of one of the formats {', '.join(FORMATS)}.")
    if format is not None:
        if format not in FORMATS:
            raise ValueError(f"no format '{format}'{nearest(format, FORMATS)}.")
        return FORMATS[format].read(path)
    for candidate in FORMATS.values():
        if path.match(candidate.pattern):
            return candidate.read(path)
    raise ValueError(f"'{path.name}' tells no format by its name; name one of: {', '.join(FORMATS)}.")
