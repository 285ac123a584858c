"""Writing a store: clips are appended one after the other, and the folder appears all at once.

Memory stays small whatever the size of the data set, because only the index is kept until the end.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.card import LEADING, LONGEST_TEXT, TRAILING, Card, is_store
from bonegraph.datasets.shards import is_shard
from bonegraph.sequence import Sequence as Recording

_HEADER_BYTES = 128


class Row(NamedTuple):
    """One clip of the index, but for its first row, which follows from the clips before.

    Attributes:
        id: clip id.
        label: class number.
        facts: the values of the columns, in their order.
        frames: T.
        people: M.
    """

    id: str
    label: int
    facts: tuple[int | str, ...]
    frames: int
    people: int


@dataclass(frozen=True, eq=False)
class Cells:
    """The arrays of one or more clips, as the store keeps them.

    Args:
        positions: (rows, V, C) float32, the present cells.
        present: (cells,) bool, person by person in every clip.
        confidence: (rows, V) uint8, or None.
    """

    positions: NDArray[np.float32]
    present: NDArray[np.bool_]
    confidence: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, sequence: Recording) -> Cells:
        """The cells of one sequence. A confidence above 0 stays above 0, so that no visible joint is lost."""
        present = sequence.present.T
        confidence = None
        if sequence.confidence is not None:
            sure = sequence.confidence.swapaxes(0, 1)[present]
            confidence = np.where(sure > 0, np.maximum(np.rint(sure * 255), 1), 0).astype(np.uint8)
        positions = sequence.positions.swapaxes(0, 1)[present].astype(np.float32, copy=False)
        return cls(positions, present.reshape(-1), confidence)


class StoreWriter:
    """Writes a store into a folder beside its place and moves it there when it is finished.

    Use it in a ``with`` statement: leaving without `finish` (an error, Ctrl-C) removes what was written.

    Args:
        folder: where the store will be.
        card: what it is.
        working: where to write until then; must be on the same disk. Default a hidden sibling of the folder.

    Raises:
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: str | Path, card: Card, *, working: Path | None = None) -> None:
        self.folder = Path(folder).absolute()
        self.card = card
        self._working = working or self.folder.with_name(f".{self.folder.name}.writing")
        self._channels = 0  # C, which the first clip tells
        self._rows: list[tuple[Row, int]] = []
        self._ids: set[str] = set()
        self._row_count = 0
        self._cell_count = 0
        self._files: dict[str, BinaryIO] = {}
        shutil.rmtree(self._working, ignore_errors=True)
        self._working.mkdir(parents=True)

    def __enter__(self) -> StoreWriter:
        try:
            for name in ("positions", "present", *(["confidence"] if self.card.confidence else [])):
                self._files[name] = (self._working / f"{name}.npy").open("wb")
                self._files[name].write(bytes(_HEADER_BYTES))
        except OSError:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def append(self, clip_id: str, label: int, facts: Mapping[str, int | str], sequence: Recording) -> None:
        """Add one clip.

        Raises:
            ValueError: the clip does not fit the card, or its id was there before.
            OSError: the disk is full.
        """
        for name, value, needed in (
            ("skeleton", sequence.skeleton, self.card.skeleton),
            ("unit", sequence.unit, self.card.unit),
            ("frame rate", sequence.fps, self.card.fps),
        ):
            if value != needed:
                raise ValueError(f"clip '{clip_id}' has {name} {value}, but the store has {needed}; convert it first.")
        if set(facts) != set(self.card.columns):
            raise ValueError(
                f"clip '{clip_id}' has the facts {sorted(facts)}, but {sorted(self.card.columns)} are due."
            )
        values = tuple(facts[column] for column in self.card.columns)
        row = Row(clip_id, label, values, sequence.num_frames, sequence.num_people)
        self.append_cells([row], Cells.of(sequence))

    def append_cells(self, rows: Sequence[Row], cells: Cells) -> None:
        """Add clips whose arrays are already in the order of the store.

        Raises:
            ValueError: the arrays do not fit the rows or the card, a label is out of range, or an id was there before.
            OSError: the disk is full.
        """
        sizes = np.array([row.frames * row.people for row in rows], dtype=np.int64)
        self._channels = self._channels or cells.positions.shape[-1]
        shape = (int(np.count_nonzero(cells.present)), self.card.skeleton.num_joints, self._channels)
        if cells.positions.shape != shape or cells.present.shape != (int(sizes.sum()),):
            raise ValueError(
                f"the clips from '{rows[0].id}' on have positions {cells.positions.shape} and present "
                f"{cells.present.shape}, but {shape} and ({sizes.sum()},) are due."
            )
        if (cells.confidence is not None) != self.card.confidence:
            raise ValueError(f"clip '{rows[0].id}' must have a confidence exactly if the store has one.")
        if cells.confidence is not None and cells.confidence.shape != shape[:2]:
            raise ValueError(
                f"the clips from '{rows[0].id}' on have confidence {cells.confidence.shape}, not {shape[:2]}."
            )
        for row in rows:
            if not row.id or not row.id.isprintable():
                raise ValueError(f"clip {row.id!r} needs an id of printable characters.")
            if (longest := max(len(str(text)) for text in (row.id, *row.facts))) > LONGEST_TEXT:
                raise ValueError(f"clip '{row.id[:40]}' has a text of {longest} characters; {LONGEST_TEXT} fit.")
            if row.id in self._ids:
                raise ValueError(f"clip '{row.id}' is there twice; ids must differ.")
            self._ids.add(row.id)
            if not 0 <= row.label < len(self.card.classes):
                raise ValueError(f"clip '{row.id}' has label {row.label}, outside 0 to {len(self.card.classes) - 1}.")
        counted = np.concatenate([[0], np.cumsum(cells.present)])
        before, after = counted[np.cumsum(sizes) - sizes], counted[np.cumsum(sizes)]
        if (before == after).any():
            raise ValueError(f"clip '{rows[int(np.argmax(before == after))].id}' has nobody in it; leave it out.")
        self._rows += [(row, self._row_count + int(first)) for row, first in zip(rows, before, strict=True)]
        self._row_count += len(cells.positions)
        self._cell_count += len(cells.present)
        self._write("positions", cells.positions, np.float32)
        self._write("present", cells.present, np.bool_)
        if cells.confidence is not None:
            self._write("confidence", cells.confidence, np.uint8)

    def finish(self, *, problems: str | None = None, overwrite: bool = False) -> None:
        """Write the index and the card, and move the folder to its place.

        Args:
            problems: the text of ``problems.csv``; None writes none.
            overwrite: replace a store that is there already; a folder that is no store is never replaced.

        Raises:
            ValueError: no clip was added.
            FileExistsError: the place is taken.
            OSError: the disk is full.
        """
        if not self._rows:
            raise ValueError(f"no clip for '{self.folder}'; a store needs at least one.")
        joints = self.card.skeleton.num_joints
        shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "positions": (np.float32, (self._row_count, joints, self._channels)),
            "present": (np.bool_, (self._cell_count,)),
            "confidence": (np.uint8, (self._row_count, joints)),
        }
        for name, file in self._files.items():
            file.seek(0)
            file.write(npy_header(*shapes[name]))
            close(file)
        self._files.clear()
        with (self._working / "index.csv").open("w", encoding="utf-8", newline="") as index:
            table = csv.writer(index, lineterminator="\n")
            table.writerow([*LEADING, *self.card.columns, *TRAILING])
            for row, first in self._rows:
                table.writerow([row.id, row.label, *row.facts, first, row.frames, row.people])
        text = json.dumps(self.card.to_dict(), indent=2, ensure_ascii=False) + "\n"
        if problems is not None:
            (self._working / "problems.csv").write_text(
                problems, encoding="utf-8", errors="backslashreplace", newline="\n"
            )
        # Last, because a folder with a card is taken for a store.
        (self._working / "dataset.json").write_text(text, encoding="utf-8", newline="\n")
        move_folder(self._working, self.folder, overwrite=overwrite)

    def _write(self, name: str, array: NDArray[Any], dtype: type[np.generic]) -> None:
        # Through the buffer of the file, not ndarray.tofile, so that a full disk is an OSError with its number.
        self._files[name].write(np.ascontiguousarray(array, dtype=dtype).data)

    def _discard(self) -> None:
        for file in self._files.values():
            # On a full disk, closing fails as well; the files go away anyway.
            try:
                file.close()
            except OSError:
                continue
        self._files.clear()
        shutil.rmtree(self._working, ignore_errors=True)


def npy_header(dtype: type[np.generic], shape: tuple[int, ...]) -> bytes:
    """The head of an .npy file at a fixed length, so that it can be written when the number of rows is known."""
    description = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": shape}
    text = repr(description).ljust(_HEADER_BYTES - 11) + "\n"
    assert len(text) == _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little") + text.encode("latin1")


def close(file: BinaryIO) -> None:
    """Close a file once its bytes are on the disk, so that a rename after it never shows a hole."""
    file.flush()
    os.fsync(file.fileno())
    file.close()


def move_folder(source: Path, target: Path, *, overwrite: bool) -> None:
    """Rename a folder to a place that is free, empty, or (with overwrite) a store or a shard.

    Raises:
        FileExistsError: the place is taken.
    """
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        what = "a store" if is_store(target) else "a shard" if is_shard(target) else ""
        if not (overwrite and what):
            advice = f"{what}; overwrite it or give another folder" if what else "no store; give another folder"
            raise FileExistsError(f"'{target}' is taken by {advice}.")
        old = source.with_name(f"{source.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        target.replace(old)
        source.replace(target)
        shutil.rmtree(old)
    else:
        source.replace(target)
