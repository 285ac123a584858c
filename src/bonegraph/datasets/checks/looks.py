"""What a clip looks like, in a few numbers: the slow part of how its joints move, wherever the person stands.

The positions of the first two people, in body sizes around where the first one is on average, at 16 moments spread over
the clip, are summed up by the first five terms of a cosine transform over time. The order of events is in it (the
second term tells rising from falling), noise mostly is not. Random projections, always the same ones, make that few
enough numbers to keep for every clip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.clip import Bools, Clip, Floats, Track
from bonegraph.datasets.store import Store
from bonegraph.skeleton import Skeleton

PEOPLE, MOMENTS, TERMS = 2, 16, 5
PRINT, VIEW = 36, 192
"""Numbers that are kept of a clip: for finding it again, and for telling what is done in it."""

_at = np.pi * (np.arange(MOMENTS) + 0.5) / MOMENTS * np.arange(TERMS)[:, None]
_COSINES = (np.cos(_at) * np.sqrt(np.where(np.arange(TERMS) == 0, 1, 2) / MOMENTS)[:, None]).astype(np.float32)
# The later terms are the smaller ones.
_WEIGHTS = (np.sqrt(1 + np.arange(TERMS)) / 4).astype(np.float32)


class Looks:
    """Collects the looks of clips.

    Attributes:
        numbers: of the clips that have anybody in them.
    """

    def __init__(self, store: Store) -> None:
        self.numbers: list[int] = []
        joints = store.skeleton.joints
        self._sides = _sides(store.skeleton)
        self._joints = len(joints)
        self._motions: list[float] = []
        self._prints: list[Floats] = []
        self._views: list[Floats] = []
        self._project: tuple[Floats, Floats] | None = None

    def look(self, clip: Clip) -> None:
        """Take in a clip."""
        if not clip.people or clip.people[0].size <= 0:
            return
        terms, steps = _terms(clip)
        if self._project is None:
            random = np.random.default_rng(0)
            # So that two clips whose joints are r body sizes apart have prints that differ by about r in each number.
            narrow = random.standard_normal((terms.size, PRINT), np.float32) / np.float32(
                np.sqrt(MOMENTS * self._joints)
            )
            wide = random.standard_normal((terms.size + steps.size + 1, VIEW), np.float32) / np.float32(np.sqrt(VIEW))
            self._project = narrow, wide
        to_print, to_view = self._project
        self.numbers.append(clip.number)
        moving = terms[: len(clip.people), 1:]
        self._motions.append(float(np.sqrt((moving * moving).sum() / (MOMENTS * self._joints * len(moving)))))
        self._prints.append(terms.reshape(-1) @ to_print)
        turned = self._facing(terms) * _WEIGHTS[:, None, None]
        people = np.array([len(clip.people)], np.float32)
        self._views.append(np.concatenate([turned.reshape(-1), steps.reshape(-1), people]) @ to_view)

    @property
    def motions(self) -> Floats:
        """(N,) how far the joints are from where they are on average, root mean square in body sizes."""
        return np.array(self._motions, np.float32)

    @property
    def prints(self) -> Floats:
        """(N, PRINT): nearly equal for nearly equal recordings, also where one was moved as a whole."""
        return np.stack(self._prints)

    @property
    def views(self) -> Floats:
        """(N, VIEW): nearly equal for people who do the same, also where they stand turned about the y axis."""
        return np.stack(self._views)

    def _facing(self, terms: Floats) -> Floats:
        """Terms in 3-D turned about the y axis so that the first person's left is along x on average."""
        if terms.shape[-1] != 3 or self._sides is None:
            return terms
        x, _, z = terms[0, 0, self._sides[0]].sum(axis=0) - terms[0, 0, self._sides[1]].sum(axis=0)
        if (length := float(np.hypot(x, z))) < 1e-6:
            return terms
        c, s = x / length, z / length
        return terms @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)


def _terms(clip: Clip) -> tuple[Floats, Floats]:
    """(PEOPLE, TERMS, V, C) of the cosine transform, and (PEOPLE, V) how far each joint moves between two moments."""
    first = clip.people[0]
    middle = first.centre.mean(axis=0)
    joints, channels = first.positions.shape[1:]
    terms = np.zeros((PEOPLE, TERMS, joints, channels), np.float32)
    steps = np.zeros((PEOPLE, joints), np.float32)
    for number, person in enumerate(clip.people[:PEOPLE]):
        moments = sampled(person, middle, MOMENTS) / np.float32(first.size)
        terms[number] = (_COSINES @ moments.reshape(MOMENTS, -1)).reshape(TERMS, joints, channels)
        moved = moments[1:] - moments[:-1]
        steps[number] = np.sqrt(np.einsum("tvc,tvc->v", moved, moved) / len(moved))
    return terms, steps


def sampled(person: Track, middle: Floats, moments: int) -> Floats:
    """(moments, V, C) positions around a point; a joint that is not seen is put at the centre of the others."""
    at = np.arange(moments) * ((len(person.frames) - 1) / max(1, moments - 1)) + 0.5
    chosen = at.astype(np.int64)
    seen: Bools = person.visible[chosen]
    x = person.positions[chosen]
    if not seen.all():
        x = np.where(seen[..., None], x, person.centre[chosen][:, None])
    around: Floats = x - middle
    return around


def _sides(skeleton: Skeleton) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Joints on the left and on the right that say which way a person faces."""
    number = {joint: index for index, joint in enumerate(skeleton.joints)}
    pairs = [(f"left {part}", f"right {part}") for part in ("shoulder", "hip")]
    known = [(number[left], number[right]) for left, right in pairs if left in number and right in number]
    return (np.array([a for a, _ in known]), np.array([b for _, b in known])) if known else None
