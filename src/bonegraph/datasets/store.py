"""The prepared store: a folder that anyone can open, and that costs nothing to open.

====================  =================================================================================================
``dataset.json``      what the data set is: a `Card`
``index.csv``         one row a clip: id, label, facts (subject, camera, ...), first_row, frames, people
``positions.npy``     (rows, V, C) float32: the people who are there, end to end, no padding
``present.npy``       (cells,) bool: who is there
``confidence.npy``    (rows, V) uint8, 0..255: only where the source says how sure it is
``problems.csv``      what preparation refused, and why; nothing reads it back but people
====================  =================================================================================================

A clip of T frames and M people has T·M cells, person by person; a cell in which the person is present has a row, in the
order of the cells. Clips follow each other in the order of the index. A joint is visible where its cell is present and,
if there is a confidence, where that is above 0.

Axes: N clips, C channels, T frames, V joints, M people.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bonegraph.datasets.card import Card, read_card, read_index
from bonegraph.datasets.splits import Split
from bonegraph.read.arrays import map_npy
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton, nearest


class Gathered(NamedTuple):
    """Frames of a batch of clips; invisible joints are at 0, and only `visible` says so.

    Attributes:
        positions: (N, C, T, V, M) float32, a view whose memory order is (N, M, T, V, C).
        visible: (N, T, V, M) bool, a view in the same order.
        confidence: (N, T, V, M) float32 in [0, 1], or None where the store has none.
    """

    positions: NDArray[np.float32]
    visible: NDArray[np.bool_]
    confidence: NDArray[np.float32] | None


@dataclass(frozen=True, eq=False)
class Store:
    """A prepared data set; open one with `Store.open`.

    Only the index is in memory, the arrays are memory maps. A store can be handed to another process: what travels is
    the name of its folder.

    Attributes:
        folder: where it is.
        card: what it is; name, skeleton, unit, fps, classes and splits are also attributes of the store.
        ids: (N,) clip ids, each once.
        labels: (N,) class numbers.
        frames: (N,) T of every clip.
        people: (N,) M of every clip.
        columns: the facts by column, (N,) each.
    """

    folder: Path
    card: Card
    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    frames: NDArray[np.int64]
    people: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    _first_row: NDArray[np.int64]
    _first_cell: NDArray[np.int64]
    _rows: NDArray[np.int64]
    _positions: NDArray[np.float32]
    _present: NDArray[np.bool_]
    _confidence: NDArray[np.uint8] | None

    @classmethod
    def open(cls, folder: str | Path) -> Store:
        """Open a prepared folder.

        Args:
            folder: a folder that preparation (or a `StoreWriter`) finished.

        Raises:
            FileNotFoundError: there is no such folder, or it is no store.
            ValueError: the store is damaged; the message says which file.
        """
        folder = Path(folder).absolute()
        card = read_card(folder)
        table = read_index(folder, card)
        labels, first_row = table["label"], table["first_row"]
        frames, people = table["frames"], table["people"]
        positions = _map(folder / "positions.npy", np.dtype(np.float32))
        present = _map(folder / "present.npy", np.dtype(np.bool_))
        confidence = _map(folder / "confidence.npy", np.dtype(np.uint8)) if card.confidence else None

        index, joints = f"'{folder / 'index.csv'}'", card.skeleton.num_joints
        if positions.ndim != 3 or positions.shape[1] != joints:
            raise ValueError(
                f"'{folder / 'positions.npy'}' has shape {positions.shape}, but rows x {joints} joints x channels "
                "is needed; prepare the data set again."
            )
        if ((labels < 0) | (labels >= len(card.classes))).any():
            clip = int(np.argmax((labels < 0) | (labels >= len(card.classes))))
            raise ValueError(
                f"{index} gives clip '{table['id'][clip]}' label {labels[clip]}, but there are {len(card.classes)} "
                f"classes (0 to {len(card.classes) - 1}); mend the label or prepare the data set again."
            )
        rows = np.diff(first_row, append=len(positions))
        sound = (frames > 0) & (people > 0) & (rows > 0) & (rows <= frames * people)
        if not sound.all() or first_row[0] != 0:
            clip = int(np.argmin(sound)) if not sound.all() else 0
            raise ValueError(
                f"{index} gives clip '{table['id'][clip]}' {frames[clip]} frames, {people[clip]} people and rows from "
                f"{first_row[clip]}, which does not fit positions.npy with {len(positions)} rows; prepare the data set "
                "again."
            )
        cells = np.cumsum(frames * people)
        needed = {"present.npy": ((int(cells[-1]),), present)}
        if confidence is not None:
            needed["confidence.npy"] = (positions.shape[:2], confidence)
        for name, (shape, array) in needed.items():
            if array.shape != shape:
                raise ValueError(
                    f"'{folder / name}' has shape {array.shape}, but the index needs {shape}; prepare it again."
                )
        if (there := int(np.count_nonzero(present))) != len(positions):
            raise ValueError(
                f"'{folder / 'present.npy'}' marks {there} cells, but positions.npy has {len(positions)} rows; prepare "
                "the data set again."
            )
        return cls(
            folder=folder,
            card=card,
            ids=table["id"],
            labels=labels,
            frames=frames,
            people=people,
            columns={name: table[name] for name in card.columns},
            _first_row=first_row,
            _first_cell=np.concatenate([[0], cells[:-1]]),
            _rows=rows,
            _positions=positions,
            _present=present,
            _confidence=confidence,
        )

    def __reduce__(self) -> tuple[Callable[[Path], Store], tuple[Path]]:
        return Store.open, (self.folder,)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Store('{self.folder}': {self.name}, {len(self)} clips, {len(self.classes)} classes)"

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.card.name

    @property
    def skeleton(self) -> Skeleton:
        """The V joints."""
        return self.card.skeleton

    @property
    def unit(self) -> str:
        """Unit of the positions."""
        return self.card.unit

    @property
    def fps(self) -> float:
        """Frames per second."""
        return self.card.fps

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in label order."""
        return self.card.classes

    @property
    def splits(self) -> dict[str, Split]:
        """The splits, by name."""
        return self.card.splits

    @property
    def has_confidence(self) -> bool:
        """Whether every joint comes with a confidence."""
        return self._confidence is not None

    def column(self, name: str) -> NDArray[Any]:
        """(N,) one fact of every clip, e.g. ``"subject"``.

        Raises:
            ValueError: the index has no such column; the message lists the choices.
        """
        if name not in self.columns:
            raise ValueError(f"'{self.name}' has no column '{name}'{nearest(name, self.columns)}.")
        return self.columns[name]

    def find(self, clip_id: str) -> int:
        """Number of a clip by its id.

        Raises:
            ValueError: there is no such clip; the message names the nearest id.
        """
        found = np.flatnonzero(self.ids == clip_id)
        if len(found) == 0:
            close = _nearest_id(clip_id, self.ids)
            raise ValueError(f"'{self.name}' has no clip '{clip_id}'; the nearest of its {len(self)} ids is '{close}'.")
        return int(found[0])

    def part(self, split: str, part: str) -> NDArray[np.int64]:
        """Numbers of the clips in one part of a split, e.g. ``("xview", "train")``; empty where no clip belongs to it.

        Raises:
            ValueError: there is no such split or part; the message lists the choices.
        """
        if split not in self.splits:
            raise ValueError(f"'{self.name}' has no split '{split}'{nearest(split, self.splits)}.")
        if part not in (chosen := self.splits[split]).parts:
            raise ValueError(f"split '{split}' of '{self.name}' has no part '{part}'{nearest(part, chosen.parts)}.")
        return chosen.clips(part, self.column(chosen.column))

    def sequence(self, clip: int) -> Sequence:
        """One clip as it was read, absent people at 0.

        Args:
            clip: its number, 0 to N - 1.

        Raises:
            IndexError: there is no such clip.
        """
        self._check_clips(np.array([clip]))
        frames, people = int(self.frames[clip]), int(self.people[clip])
        cell, row = int(self._first_cell[clip]), int(self._first_row[clip])
        rows = slice(row, row + int(self._rows[clip]))
        present = np.array(self._present[cell : cell + frames * people])
        positions = np.zeros((frames * people, *self._positions.shape[1:]), np.float32)
        positions[present] = self._positions[rows]
        confidence = None
        if self._confidence is not None:
            confidence = np.zeros((frames * people, self.skeleton.num_joints), np.float32)
            confidence[present] = self._confidence[rows] / np.float32(255)
            confidence = _frames_first(confidence, people)
        return Sequence(
            _frames_first(positions, people),
            _frames_first(present, people),
            self.skeleton,
            self.fps,
            self.unit,
            confidence,
        )

    def gather(self, clips: ArrayLike, frames: ArrayLike, people: int) -> Gathered:
        """Chosen frames of chosen clips, in one take over the memory map.

        Args:
            clips: (N,) clip numbers.
            frames: (N, T) frame numbers inside each clip, in any order, repeats allowed; -1 means no frame there.
            people: M of the result; a clip with fewer people is invisible in the rest, one with more is cut.

        Returns:
            Positions, visibility and confidence; what is not visible is at 0.

        Raises:
            IndexError: a clip or a frame does not exist.
            ValueError: the shapes disagree.
        """
        clips, frames = np.asarray(clips, dtype=np.int64), np.asarray(frames, dtype=np.int64)
        if clips.ndim != 1 or frames.ndim != 2 or len(clips) != len(frames) or people < 1:
            raise ValueError(
                f"gather needs clips (N,), frames (N, T) and at least 1 person, got {clips.shape}, {frames.shape} and "
                f"{people}."
            )
        self._check_clips(clips)
        counts = self.frames[clips][:, None]
        if ((frames < -1) | (frames >= counts)).any():
            bad = int(np.argmax(((frames < -1) | (frames >= counts)).any(axis=1)))
            raise IndexError(
                f"clip '{self.ids[clips[bad]]}' has frames 0 to {counts[bad, 0] - 1}, but frames "
                f"{frames[bad].min()} to {frames[bad].max()} were asked for."
            )
        person = np.arange(people)[:, None]
        cells = person * counts[:, :, None] + frames[:, None, :]  # (N, M, T), counted inside each clip
        visible = (person < self.people[clips][:, None, None]) & (frames >= 0)[:, None, :]
        rows = cells + self._first_row[clips][:, None, None]
        gaps = np.flatnonzero(self._rows[clips] != self.frames[clips] * self.people[clips])
        if len(gaps):
            rows[gaps], visible[gaps] = self._rows_with_gaps(clips[gaps], cells[gaps], visible[gaps])

        everywhere = bool(visible.all())
        # Reading row 0 for what is not there and clearing it afterwards is faster than copying around the holes.
        rows = (rows if everywhere else np.where(visible, rows, 0)).reshape(-1)
        channels = self._positions.shape[1:]
        positions = np.take(self._positions, rows, axis=0, mode="clip")
        shape = (*visible.shape, channels[0])
        seen = np.empty(shape, np.bool_)
        confidence = None
        if self._confidence is None:
            seen[:] = visible[..., None]
            if not everywhere:
                positions[~visible.reshape(-1)] = 0
        else:
            sure = np.take(self._confidence, rows, axis=0, mode="clip").reshape(shape)
            sure = np.where(visible[..., None], sure, np.uint8(0))
            np.greater(sure, 0, out=seen)
            positions[~seen.reshape(-1, channels[0])] = 0
            confidence = (sure / np.float32(255)).transpose(0, 2, 3, 1)
        return Gathered(
            positions.reshape(*visible.shape, *channels).transpose(0, 4, 2, 3, 1),
            seen.transpose(0, 2, 3, 1),
            confidence,
        )

    def _rows_with_gaps(
        self, clips: NDArray[np.int64], cells: NDArray[np.int64], visible: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Rows and visibility of cells (G, M, T) in clips (G,) where somebody is absent for a while."""
        sizes = self.frames[clips] * self.people[clips]
        starts = np.cumsum(sizes) - sizes
        # All cells of these clips end to end; the rank of a present cell among them leads to its row.
        present = self._present[np.arange(sizes.sum()) + np.repeat(self._first_cell[clips] - starts, sizes)]
        rank = np.cumsum(present) - 1
        before = rank[starts] - present[starts]  # rank of the last present cell of the earlier clips
        inside = np.where(visible, cells + starts[:, None, None], 0)
        rows = rank[inside] + (self._first_row[clips] - 1 - before)[:, None, None]
        return rows, visible & present[inside]

    def _check_clips(self, clips: NDArray[np.int64]) -> None:
        if ((clips < 0) | (clips >= len(self))).any():
            bad = int(clips[(clips < 0) | (clips >= len(self))][0])
            raise IndexError(f"'{self.name}' has clips 0 to {len(self) - 1}, but clip {bad} was asked for.")


def _frames_first(cells: NDArray[Any], people: int) -> NDArray[Any]:
    """(M·T, ...) as stored -> (T, M, ...) as in a sequence."""
    return np.ascontiguousarray(cells.reshape(people, -1, *cells.shape[1:]).swapaxes(0, 1))


def _map(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A read-only memory map."""
    if not path.is_file():
        raise FileNotFoundError(f"'{path.parent}' has no {path.name}; prepare the data set again.")
    try:
        array = map_npy(path, kinds="fiub")
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"'{path}' is cut off or damaged ({reason}); prepare the data set again.") from None
    if array.dtype != dtype:
        raise ValueError(f"'{path}' holds {array.dtype}, but {dtype} is needed; prepare the data set again.")
    return array


def _nearest_id(wanted: str, ids: NDArray[np.str_]) -> str:
    """The id most like the wanted one: by equal characters in place first, since there may be many thousands."""
    width = max(ids.dtype.itemsize // 4, len(wanted), 1)
    letters = ids.astype(f"<U{width}").view(np.uint32).reshape(len(ids), width)
    target = np.array([wanted], dtype=f"<U{width}").view(np.uint32)
    best: list[str] = ids[np.argsort(-(letters == target).sum(axis=1), kind="stable")[:50]].tolist()
    return max(best, key=lambda clip_id: difflib.SequenceMatcher(None, wanted, clip_id).ratio())
