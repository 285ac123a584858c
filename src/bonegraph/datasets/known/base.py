"""Known data sets: their facts as class attributes, and how to find and read their files.

A new data set is a new class here: state the facts, say in `find` which files are clips, and call a reader in `read`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from bonegraph.datasets.splits import Split
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton

CLIPS_PER_PART = 64
"""So many clips are read before a preparation keeps what it has done."""

NO_LABEL = -1
"""The label of a file whose name stands for none of the classes; preparation refuses it by name."""


@dataclass(frozen=True)
class Source:
    """One clip before it is read.

    Attributes:
        id: what the clip is called in the store, in scores and on the command line.
        path: its file; None for a clip that is computed.
        label: class number, counted from 0; `NO_LABEL` where the name stands for no class.
        facts: the columns of the index, e.g. ``{"subject": 3, "camera": 1}``; the same ones for every clip of a set.
        refused: why the clip cannot be used, where that is known before it is read; empty for all others.
    """

    id: str
    path: Path | None
    label: int
    facts: dict[str, int | str]
    refused: str = ""


class KnownSet(ABC):
    """A data set that the package can prepare.

    Attributes:
        name: what the command line calls it.
        skeleton: its joints.
        unit: of the positions, ``"m"``, ``"px"`` or ``"normalised"``.
        fps: frames per second.
        classes: class names, in label order.
        splits: the splits that papers use, by name.
        licence: under which terms the recordings may be used.
        citation: the paper to cite.
        where: where to get the files.
        has_confidence: whether the files say how sure each joint is.

    What a data set keeps on an instance are plain values that its clips depend on: its settings (a seed, say), and
    facts that only its files tell, such as class names, which `find` sets.
    """

    name: str
    skeleton: Skeleton
    unit: str
    fps: float
    classes: tuple[str, ...]
    splits: dict[str, Split]
    licence: str
    citation: str
    where: str
    has_confidence: bool = False

    def settings(self) -> dict[str, object]:
        """What was set on this very data set, for the card of its store: plain values by name."""
        return vars(self)

    def guessed(self) -> str:
        """What nobody said about the files and `find` took from them, in words; nothing for most sets."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in sorted(vars(self).items()))})"

    def clips_at_once(self) -> int:
        """So many clips are read before a preparation keeps what it has done; fewer where a clip takes long."""
        return CLIPS_PER_PART

    @abstractmethod
    def find(self, folder: str | Path) -> list[Source]:
        """List the clips of a folder without opening them.

        Raises:
            FileNotFoundError: the folder is missing or holds no file of this data set.
        """

    @abstractmethod
    def read(self, source: Source) -> Sequence:
        """Read one clip.

        Raises:
            ValueError: the file is damaged or is none of this data set.
            OSError: the file cannot be read at all.
        """


def files_in(known: KnownSet, folder: Path, *patterns: str) -> list[Path]:
    """The files of a data set below a folder, sorted.

    Raises:
        FileNotFoundError: the folder is missing or holds none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{folder}'; get {known.where}, and give that folder.")
    files = sorted({path for pattern in patterns for path in folder.rglob(pattern) if path.is_file()})
    if not files:
        wanted = " or ".join(patterns)
        raise FileNotFoundError(f"'{folder}' holds no {wanted}; get {known.where}, and give that folder.")
    return files
