"""A clip as the checks look at it: people first, and what is no number already masked out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.store import Store

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Track:
    """One person in the F frames in which any joint is seen.

    Attributes:
        person: number in the clip.
        positions: (F, V, C), 0 where a joint is not seen.
        visible: (F, V) bool.
        frames: (F,) their numbers in the clip.
    """

    person: int
    positions: Floats
    visible: Bools
    frames: NDArray[np.int64]

    @cached_property
    def next_to(self) -> Bools:
        """(F - 1,) bool, whether a frame and the following one are neighbours in the clip too."""
        neighbours: Bools = np.diff(self.frames) == 1
        return neighbours

    @cached_property
    def centre(self) -> Floats:
        """(F, C) mean of the visible joints."""
        centre: Floats = self.positions.sum(axis=1) / self.visible.sum(axis=1, dtype=np.float32)[:, None]
        return centre

    @cached_property
    def size(self) -> float:
        """Root mean square distance of the joints from their centre, the median over frames; about 0.45 m."""
        apart = self.positions - self.centre[:, None]
        squares = np.einsum("fvc,fvc,fv->f", apart, apart, self.visible, dtype=np.float32) / self.visible.sum(axis=1)
        return float(np.sqrt(np.median(squares)))

    def distances(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[Floats, Bools]:
        """(F, P) distance of joint one[p] from joint other[p] in each frame, and whether both are seen."""
        way = self.positions[:, one] - self.positions[:, other]
        return np.sqrt(np.einsum("fpc,fpc->fp", way, way)), self.visible[:, one] & self.visible[:, other]


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip of a store.

    Attributes:
        number: in the store.
        id: in the store.
        frames: T.
        broken: (K, 3) person, frame and joint of every position that is no number.
        people: everyone who is ever seen.
    """

    number: int
    id: str
    frames: int
    broken: NDArray[np.int64]
    people: tuple[Track, ...]

    def named(self, person: Track) -> str:
        """What a sentence calls a person."""
        return f"'{self.id}'" if len(self.people) == 1 else f"person {person.person + 1} of '{self.id}'"


def read_clip(store: Store, number: int) -> Clip:
    """Read a clip, also one that `Store.sequence` refuses for holding what is no number."""
    frames, people = int(store.frames[number]), int(store.people[number])
    gathered = store.gather([number], [np.arange(frames)], people)
    positions = gathered.positions[0].transpose(3, 1, 2, 0)  # (M, T, V, C), as it lies in memory
    visible = gathered.visible[0].transpose(2, 0, 1)
    broken = np.empty((0, 3), np.int64)
    finite = np.isfinite(positions)
    if not finite.all():
        whole = finite.all(axis=-1)
        broken = np.argwhere(~whole & visible)
        visible = visible & whole
        positions = np.where(visible[..., None], positions, np.float32(0))
    tracks = []
    for person in range(people):
        seen = np.flatnonzero(visible[person].any(axis=-1))
        if len(seen) == frames:
            tracks.append(Track(person, positions[person], visible[person], seen))
        elif len(seen):
            tracks.append(Track(person, positions[person][seen], visible[person][seen], seen))
    return Clip(number, str(store.ids[number]), frames, broken, tuple(tracks))
