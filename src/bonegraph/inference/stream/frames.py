"""Frames of one person, and the last of them in a buffer.

Axes: T frames, V joints, C coordinates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray


class Frames(NamedTuple):
    """Frames of one person.

    Attributes:
        positions: 0 where invisible.
        visible: joints that are seen.
        confidence: of the pose estimator; the visible joints have 1 where it gives none.
        exists: whether the frame lies between the first and the last one of the person.
    """

    positions: Float[NDArray[np.float32], "t v c"]
    visible: Bool[NDArray[np.bool_], "t v"]
    confidence: Float[NDArray[np.float32], "t v"]
    exists: Bool[NDArray[np.bool_], " t"]

    def then(self, later: Frames) -> Frames:
        """These frames, then others."""
        return Frames(
            np.concatenate([self.positions, later.positions]),
            np.concatenate([self.visible, later.visible]),
            np.concatenate([self.confidence, later.confidence]),
            np.concatenate([self.exists, later.exists]),
        )

    def cut(self, first: int, end: int | None = None) -> Frames:
        """Some of them, not copied."""
        which = slice(first, end)
        return Frames(self.positions[which], self.visible[which], self.confidence[which], self.exists[which])

    def repeated(self, count: int) -> Frames:
        """Each of them so many times."""
        return Frames(
            np.repeat(self.positions, count, axis=0),
            np.repeat(self.visible, count, axis=0),
            np.repeat(self.confidence, count, axis=0),
            np.repeat(self.exists, count),
        )


def nothing(frames: int, joints: int, coordinates: int, *, exists: bool) -> Frames:
    """Frames in which nobody is seen."""
    return Frames(
        np.zeros((frames, joints, coordinates), np.float32),
        np.zeros((frames, joints), np.bool_),
        np.zeros((frames, joints), np.float32),
        np.full(frames, exists),
    )


def first_seen(frames: Frames) -> Frames:
    """The first frame in which somebody is seen, or just the first."""
    first = int(frames.visible.any(axis=1).argmax())
    return frames.cut(first, first + 1)


class Buffer:
    """The last frames of one person, one after the other in memory, so that nothing is copied to look at them.

    There is room for twice as many frames as are kept; where it ends, those that are kept move to its beginning.

    Args:
        most: frames that are kept.
        joints: V.
        coordinates: C.
    """

    def __init__(self, most: int, joints: int, coordinates: int) -> None:
        self._room = nothing(2 * most, joints, coordinates, exists=False)
        self._most, self._first, self._end = most, 0, 0

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def frames(self) -> Frames:
        """Those that are kept, not copied: the next frame may overwrite them."""
        return self._room.cut(self._first, self._end)

    def put(
        self, positions: NDArray[np.float32], visible: NDArray[np.bool_], confidence: NDArray[np.float32] | None
    ) -> None:
        """A frame in which the person is given, (V, C), (V,) and (V,); the oldest one goes where there are enough."""
        row = self._row()
        places, seen, sure, exists = self._room
        seen[row], exists[row] = visible, True
        np.copyto(places[row], positions)
        sure[row] = seen[row] if confidence is None else confidence
        hidden = ~seen[row]
        if hidden.any():  # whatever stands there, NaN as well
            places[row][hidden] = 0
            sure[row][hidden] = 0

    def skip(self) -> None:
        """A frame without the person."""
        row = self._row()
        for part in self._room:
            part[row] = 0
        self._room.exists[row] = True

    def add(self, frames: Frames) -> None:
        """Frames as they are, one after the other."""
        for number in range(len(frames.exists)):
            row = self._row()
            for part, value in zip(self._room, frames, strict=True):
                part[row] = value[number]

    def drop(self, count: int) -> None:
        """Forget the oldest ones."""
        self._first = min(self._first + count, self._end)

    def _row(self) -> int:
        """Where the next frame goes."""
        if len(self) == self._most:
            self._first += 1
        if self._end == 2 * self._most:
            kept = len(self)
            for part in self._room:
                part[:kept] = part[self._first : self._end]
            self._first, self._end = 0, kept
        self._end += 1
        return self._end - 1
