"""Anything else: a recording as a table (``.csv``) or as an array (``.npy``).

An array is (T, V, C) or (T, M, V, C). A table has a row for each frame. Its columns are named by joint and axis, ``left
wrist x`` or ``left_wrist_y`` (``score``, ``confidence`` or ``visibility`` is an axis, too), or by number, ``x0, y0, x1,
...``; a table without a heading has V·C numbers a row, joint by joint. Columns ``frame`` and ``person`` may tell which
frame a row is, and whose, so that several people have a row each. Fields are separated by commas, semicolons or tabs.

A joint that is empty or NaN, or that the table has no columns for, was not seen; someone whose joints are all not seen
or all exactly zero is absent.

Axes: T frames, M people, V joints, C coordinates.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.arrays import has_score, map_npy, sequence_of, skeleton_with
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton, nearest

FPS = 30.0
"""The rate of a recording that nobody tells the rate of."""

_AXES = ("x", "y", "z", "score")
_SCORES = {"score", "confidence", "visibility"}
_NUMBERED = re.compile(r"(?:joint ?)?(\d{1,4}) ([a-z]+)|([xyz]|score|confidence|visibility) ?(\d{1,4})")
_LONGEST_FIELD = 400


def read_table(
    path: str | Path,
    skeleton: Skeleton | None = None,
    fps: float = FPS,
    unit: str | None = None,
    score: bool | None = None,
) -> Sequence:
    """Read one recording from a table or an array.

    Args:
        path: a ``.csv`` or ``.npy`` file.
        skeleton: the V joints; None takes the built-in one that the names, or the number of joints, leave no doubt of.
        fps: frames per second.
        unit: of the positions; None takes metres for three coordinates and pixels for two.
        score: the last number of a joint is a score from 0 to 1, not a coordinate, where the columns do not say so;
            None says yes for four numbers, and for three on a skeleton of OpenPose or COCO.

    Returns:
        The sequence; it has a confidence if there is a score or if a joint was not seen.

    Raises:
        ValueError: the file is damaged, a column or a row is not understood, or the skeleton is in doubt.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    if path.suffix == ".npy":
        values = np.asarray(map_npy(path))
        if values.ndim not in (3, 4) or values.shape[-1] not in (2, 3, 4):
            raise ValueError(
                f"'{path.name}' has shape {values.shape}, but (frames, joints, 2 to 4) or (frames, people, joints, "
                "2 to 4) is needed."
            )
        values = values if values.ndim == 4 else values[:, None]
        skeleton = skeleton or skeleton_with(values.shape[2], values.shape[3], guess=False)
    else:
        values, skeleton, named = Table(path).values(skeleton)
        score = named if named is not None else score
    if score is None:
        score = has_score(skeleton, values.shape[-1])
    return _sequence(values, skeleton, fps, unit, score, path.name)


def _sequence(
    values: NDArray[Any], skeleton: Skeleton, fps: float, unit: str | None, score: bool, name: str
) -> Sequence:
    with np.errstate(over="ignore", invalid="ignore"):
        values = values.astype(np.float32)
    coordinates = values.shape[-1] - score
    unseen = np.isnan(values).any(axis=-1)
    values[unseen] = 0
    if unseen.any() and not score:
        seen = ~unseen & (values != 0).reshape(*values.shape[:2], -1).any(axis=-1)[..., None]
        values = np.concatenate([values, seen[..., None]], axis=-1, dtype=np.float32)
        score = True
    unit = unit or ("m" if coordinates == 3 else "px")
    return sequence_of(values, skeleton, fps, unit, score=score, padded=False, name=name)


class Table:
    """The rows of a file as numbers, and the names of its columns if it has a heading.

    Args:
        path: the file.
        rename: gives columns, in lower case with single spaces, other names; those that become None are passed over.

    Raises:
        ValueError: a row is not understood.
    """

    def __init__(self, path: Path, rename: Callable[[list[str]], list[str | None]] | None = None) -> None:
        self.name = path.name
        try:
            lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip(" ")]
        except UnicodeDecodeError:
            raise ValueError(f"'{self.name}' is not a text file; save it as CSV in UTF-8.") from None
        if not lines:
            raise ValueError(f"'{self.name}' is empty; remove it or write it again.")
        comma = next((mark for mark in "\t;" if mark in lines[0]), ",")
        try:
            fields = next(csv.reader([lines[0]], delimiter=comma))
        except csv.Error as error:
            raise ValueError(f"'{self.name}' line 1: {error}; save it as CSV in UTF-8.") from None
        self.columns = None if all(_is_number(field) for field in fields) else [_plain(field) for field in fields]
        kept = list(range(len(fields)))
        if rename is not None and self.columns is not None:
            names = dict(enumerate(rename(self.columns)))
            kept = [number for number, name in names.items() if name is not None]
            self.columns = [name for name in names.values() if name is not None]
        rows = []
        for number, line in enumerate(lines[self.columns is not None :], start=1):
            row = line.split(comma)
            if len(row) != len(fields):
                raise ValueError(
                    f"'{self.name}' row {number} has {len(row)} fields, but the first line has {len(fields)}; mend it."
                )
            try:
                rows.append([_number(row[place]) for place in kept])
            except ValueError as error:
                raise ValueError(f"'{self.name}' row {number}: {str(error)[:100]}; mend it.") from None
        if not kept:
            raise ValueError(f"'{self.name}' has no column for a joint; see docs/data.md for their names.")
        if not rows:
            raise ValueError(f"'{self.name}' has a heading but no rows; remove it or write it again.")
        self.rows = np.array(rows)

    def values(self, skeleton: Skeleton | None) -> tuple[NDArray[np.float64], Skeleton, bool | None]:
        """(T, M, V, C) with NaN for what is not there, the skeleton, and whether there is a score (None: not said)."""
        if self.columns is None:
            skeleton, channels = self._by_width(skeleton)
            return self.rows.reshape(len(self.rows), 1, skeleton.num_joints, channels), skeleton, None
        special: dict[str, int] = {
            name: self.columns.index(name) for name in ("frame", "person") if name in self.columns
        }
        index = {0} if not self.columns[0] else set()  # which some programs write without being asked
        kept = [number for number in range(len(self.columns)) if number not in index.union(special.values())]
        cells, axes, skeleton = self._by_name([self.columns[number] for number in kept], skeleton)
        people = np.full((len(self.rows), skeleton.num_joints, len(axes)), np.nan)
        people[:, cells[:, 0], cells[:, 1]] = self.rows[:, kept]
        frame, person = self._places(special)
        values = np.full((frame.max() + 1, person.max() + 1, *people.shape[1:]), np.nan)
        values[frame, person] = people
        return values, skeleton, "score" in axes

    def _by_width(self, skeleton: Skeleton | None) -> tuple[Skeleton, int]:
        """The skeleton of a table without a heading, and how many numbers a joint has."""
        width = self.rows.shape[1]
        fitting = [
            (candidate, width // candidate.num_joints)
            for candidate in ([skeleton] if skeleton is not None else SKELETONS.values())
            if width % candidate.num_joints == 0
            and width // candidate.num_joints in ((2, 3) if skeleton is None else (2, 3, 4))
        ]
        if len(fitting) == 1:
            return fitting[0]
        if skeleton is not None:
            raise ValueError(
                f"'{self.name}' has {width} numbers a row, but '{skeleton.name}' with its {skeleton.num_joints} joints "
                f"needs {2 * skeleton.num_joints} or {3 * skeleton.num_joints}; name the columns, or another skeleton."
            )
        what = f"could be {' or '.join(found.name for found, _ in fitting)}" if fitting else "fit no known skeleton"
        raise ValueError(f"'{self.name}' has {width} numbers a row, which {what}; name the skeleton.")

    def _by_name(self, columns: list[str], skeleton: Skeleton | None) -> tuple[NDArray[np.int64], list[str], Skeleton]:
        """(joint, axis) of every column, the axes, and the skeleton."""
        pairs = [self._split(column) for column in columns]
        if skeleton is None:
            skeleton = self._skeleton({joint for joint, _ in pairs}, "z" in {axis for _, axis in pairs})
        axes = [axis for axis in _AXES if axis in {axis for _, axis in pairs}]
        cells = []
        for joint, axis in pairs:
            if isinstance(joint, str) and joint not in skeleton.joints:
                meant = nearest(joint[:80], skeleton.joints)
                raise ValueError(f"'{self.name}': '{skeleton.name}' has no joint {joint[:80]!a}{meant}.")
            place = skeleton.joints.index(joint) if isinstance(joint, str) else joint
            if place >= skeleton.num_joints:
                raise ValueError(
                    f"'{self.name}' has a column for joint {place}, but '{skeleton.name}' has {skeleton.num_joints} "
                    f"(0 to {skeleton.num_joints - 1})."
                )
            cells.append((place, axes.index(axis)))
        there = set(cells)
        if len(there) != len(cells):
            place, axis_number = next(cell for cell in cells if cells.count(cell) > 1)
            raise ValueError(
                f"'{self.name}' has two columns for the {axes[axis_number]} of '{skeleton.joints[place]}'; keep one."
            )
        for place in sorted({place for place, _ in there}):
            if lacking := [axis for number, axis in enumerate(axes) if (place, number) not in there]:
                raise ValueError(f"'{self.name}' has no column '{skeleton.joints[place]} {lacking[0]}'; add it.")
        return np.array(cells, dtype=np.int64).reshape(-1, 2), axes, skeleton

    def _split(self, column: str) -> tuple[str | int, str]:
        """Joint and axis of a column."""
        joint: str | int
        joint, _, axis = column.rpartition(" ")
        if match := _NUMBERED.fullmatch(column):
            joint, axis = int(match[1] or match[4]), match[2] or match[3]
        axis = "score" if axis in _SCORES else axis
        if joint == "" or axis not in _AXES:
            raise ValueError(
                f"'{self.name}' has a column {ascii(column)[:80]}, but columns are 'frame', 'person', and a joint and "
                "x, y, z or score each, such as 'left wrist x' or 'x0'; rename or remove it."
            )
        return joint, axis

    def _skeleton(self, joints: set[str | int], deep: bool) -> Skeleton:
        """The built-in skeleton that has these joints, and no others."""
        if any(isinstance(joint, int) for joint in joints):
            return skeleton_with(
                1 + max(int(joint) for joint in joints if isinstance(joint, int)), 2 + deep, guess=False
            )
        fitting = [skeleton for skeleton in SKELETONS.values() if set(skeleton.joints) == joints]
        if len(fitting) != 1:
            which = " or ".join(skeleton.name for skeleton in fitting)
            doubt = f"could be those of {which}" if fitting else "are those of no built-in skeleton"
            raise ValueError(f"'{self.name}' has columns for {len(joints)} joints, which {doubt}; name the skeleton.")
        return fitting[0]

    def _places(self, special: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Frame and person of every row, both counted from 0."""
        if "frame" not in special:
            if "person" in special:
                raise ValueError(f"'{self.name}' has a column 'person' but none 'frame'; add it.")
            return np.arange(len(self.rows)), np.zeros(len(self.rows), np.int64)
        told = self.rows[:, list(special.values())]
        if not (np.abs(told) < 2**53).all() or (told != np.rint(told)).any():
            raise ValueError(f"'{self.name}' has a frame or a person that is no whole number; mend it.")
        frame = (told[:, 0] - told[:, 0].min()).astype(np.int64)
        person = np.zeros(len(frame), np.int64)
        if "person" in special:
            person = np.unique(told[:, 1], return_inverse=True)[1].reshape(-1)
        # A small file must not claim a long film or a crowd in all of it.
        if (int(frame.max()) + 1) * (int(person.max()) + 1) > 100_000 + 64 * len(frame):
            raise ValueError(
                f"'{self.name}' has {len(frame)} rows, but they count over {frame.max() + 1} frames and "
                f"{person.max() + 1} people; check the columns 'frame' and 'person'."
            )
        if len(np.unique(frame * (person.max() + 1) + person)) != len(frame):
            raise ValueError(f"'{self.name}' has two rows for one frame and person; keep one of them.")
        return frame, person


def _plain(field: str) -> str:
    return " ".join(re.sub(r"[_.\-]", " ", field).lower().split())


def _number(field: str) -> float:
    field = field[:_LONGEST_FIELD].strip(' "')
    return float(field) if field else float("nan")


def _is_number(field: str) -> bool:
    try:
        _number(field)
    except ValueError:
        return False
    return True
