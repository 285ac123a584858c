"""Left and right exchanged: for a moment, in one limb, or in the whole person.

Four signs, none of which needs to know the action:

- ``swap``: between two frames, two or more joints of one side jump to where their mirror joints were, and those back.
- ``crossed``: in most frames the bones of a pair of limbs would be much shorter if the limbs were exchanged (a left
  hand at the end of the right forearm).
- ``twisted``: the line of the shoulders points against the line of the hips on average.
- ``mirrored`` (3-D): the feet point backwards, for a body whose left is its left. What is usual is measured over the
  set; a set in which feet point both ways alike says nothing.
"""

from __future__ import annotations

import numpy as np

from bonegraph.datasets.checks.clip import Clip, Floats, Track
from bonegraph.datasets.checks.finding import Finding, one_by_one
from bonegraph.datasets.store import Store
from bonegraph.skeleton import Skeleton

_NEAR = 0.4  # of the distance of the two joints: how close each must come to the place of the other
_APART = 0.4  # of the body size: how far apart the two must be
_TOGETHER = 2  # pairs of joints that are exchanged in the same moment
_SHORTER = 0.8  # the bones of an exchanged pair are shorter than this share of what they are
_MOST = 0.5  # of the frames
_AGAINST = -0.3  # cosine between shoulders and hips
_AGREE = 0.9  # of the people whose feet point the usual way, or the set says nothing
_BACKWARDS = 0.5  # of the usual reach of the feet
_FEWEST = 5  # frames
_COMPARED = 8  # people


class Sides:
    """Finds ``swap``, ``crossed``, ``twisted`` and ``mirrored``."""

    def __init__(self, store: Store) -> None:
        skeleton = store.skeleton
        pairs = [(joint, mirror) for joint, mirror in enumerate(skeleton.mirror) if joint < mirror]
        self._joints = skeleton.joints
        self._left, self._right = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
        parents, mirror = skeleton.parents, skeleton.mirror
        limbs = [
            (a, b, parents[a], parents[b])
            for a, b in pairs
            if parents[a] != parents[b] and mirror[parents[a]] == parents[b] and parents[a] not in (a, b)
        ]
        self._limbs = np.array(limbs, dtype=np.int64).reshape(-1, 4)
        self._body = _Body.of(skeleton)
        self._clips = 0
        self._swaps: list[tuple[str, str]] = []
        self._crossed: list[tuple[str, str]] = []
        self._twisted: list[tuple[str, str]] = []
        self._feet: list[tuple[str, float]] = []

    def look(self, clip: Clip) -> None:
        """Take in a clip."""
        self._clips += 1
        for person in clip.people:
            who = clip.named(person)
            if swap := self._swap(person):
                self._swaps.append((clip.id, f"left and right change places in {who} {swap}."))
            if len(person.frames) < _FEWEST:
                continue
            if crossed := self._crossing(person):
                self._crossed.append(
                    (clip.id, f"in {who}, {crossed} hang on the bones of the other side in most frames.")
                )
            if self._body is None:
                continue
            if (cosine := self._body.shoulders_to_hips(person)) < _AGAINST:
                message = f"the shoulders of {who} lie against the hips (cosine {cosine:.2f} on average)."
                self._twisted.append((clip.id, message))
                continue  # where left is says nothing then
            reach = self._body.feet(person)
            if not np.isnan(reach):
                self._feet.append((clip.id, reach))

    def _swap(self, person: Track) -> str:
        """When and what changes sides most in one moment; empty if nothing does."""
        if len(person.frames) < 2 or not len(self._left):
            return ""
        x, seen = person.positions, person.visible
        both = seen[:, self._left] & seen[:, self._right]
        apart, _ = person.distances(self._left, self._right)
        limit = _NEAR * apart[:-1]
        there = x[1:, self._left] - x[:-1, self._right]
        back = x[1:, self._right] - x[:-1, self._left]
        jumps = (
            (np.einsum("fpc,fpc->fp", there, there) < limit**2)
            & (np.einsum("fpc,fpc->fp", back, back) < limit**2)
            & (apart[:-1] > _APART * person.size)
            & (both[1:] & both[:-1] & person.next_to[:, None])
        )
        at_once = jumps.sum(axis=1)
        if at_once.max() < min(_TOGETHER, len(self._left)):
            return ""
        moments = np.flatnonzero(at_once >= min(_TOGETHER, len(self._left)))
        frame = int(at_once.argmax())
        names = [self._joints[joint] for joint in self._left[jumps[frame]]]
        named = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
        often = "" if len(moments) == 1 else f", the greatest of {len(moments)} times"
        return f"between frames {person.frames[frame]} and {person.frames[frame] + 1} ({named}{often})"

    def _crossing(self, person: Track) -> str:
        """Which pair of joints hangs on the bones of the other side; empty if none does."""
        if not len(self._limbs):
            return ""
        a, b, over_a, over_b = self._limbs.T
        seen = person.visible[:, a] & person.visible[:, b] & person.visible[:, over_a] & person.visible[:, over_b]
        lengths = [person.distances(*ends)[0] for ends in ((a, over_a), (b, over_b), (a, over_b), (b, over_a))]
        crossed = seen & (lengths[2] + lengths[3] < _SHORTER * (lengths[0] + lengths[1]))
        count = seen.sum(axis=0)
        share = np.where(count >= _FEWEST, crossed.sum(axis=0) / np.maximum(count, 1), 0)
        limb = int(share.argmax())
        if share[limb] <= _MOST:
            return ""
        return f"{self._joints[a[limb]]} and {self._joints[b[limb]]}"

    def findings(self) -> list[Finding]:
        """What was found."""
        return [
            *one_by_one("swap", self._swaps, self._clips, "left and right change places from one frame to the next"),
            *one_by_one("crossed", self._crossed, self._clips, "a limb ends in the joints of the other side"),
            *one_by_one("twisted", self._twisted, self._clips, "shoulders and hips lie against each other"),
            *one_by_one("mirrored", self._mirrored(), self._clips, "left and right of a person are exchanged"),
        ]

    def _mirrored(self) -> list[tuple[str, str]]:
        if len(self._feet) < _COMPARED:
            return []
        reach = np.array([value for _, value in self._feet])
        usual = float(np.median(reach))
        if usual == 0 or np.mean(np.sign(reach) == np.sign(usual)) < _AGREE:
            return []
        return [
            (
                clip,
                f"the feet of a person in '{clip}' point backwards: left and right are exchanged, or a mirror image.",
            )
            for (clip, value), backwards in zip(self._feet, reach / usual < -_BACKWARDS, strict=True)
            if backwards
        ]


class _Body:
    """The joints that tell front from back, by name; a skeleton without such names has no body."""

    def __init__(self, shoulders: tuple[int, int], hips: tuple[int, int], feet: list[tuple[int, int]]) -> None:
        self._shoulders, self._hips, self._feet = shoulders, hips, feet

    @classmethod
    def of(cls, skeleton: Skeleton) -> _Body | None:
        number = {joint: index for index, joint in enumerate(skeleton.joints)}
        pairs = [(f"left {joint}", f"right {joint}") for joint in ("shoulder", "hip")]
        if not {joint for pair in pairs for joint in pair} <= set(number):
            return None
        shoulders, hips = ((number[left], number[right]) for left, right in pairs)
        feet = []
        for side in ("left", "right"):
            toe = next((number[f"{side} {toe}"] for toe in ("big toe", "foot") if f"{side} {toe}" in number), None)
            if toe is not None and f"{side} ankle" in number:
                feet.append((number[f"{side} ankle"], toe))
        return cls(shoulders, hips, feet)

    def shoulders_to_hips(self, person: Track) -> float:
        """Cosine between the two lines, over all frames in which both are seen; 1 where none is."""
        seen = person.visible[:, [*self._shoulders, *self._hips]].all(axis=1)
        if seen.sum() < _FEWEST:
            return 1.0
        upper, lower = (
            self._across(person.positions[seen], self._shoulders),
            self._across(person.positions[seen], self._hips),
        )
        scale = np.sqrt((upper * upper).sum() * (lower * lower).sum())
        return float((upper * lower).sum() / scale) if scale > 0 else 1.0

    def feet(self, person: Track) -> float:
        """How far the feet reach along (up x left), in body sizes; NaN where that has no meaning."""
        joints = [*self._shoulders, *self._hips, *(joint for foot in self._feet for joint in foot)]
        seen = person.visible[:, joints].all(axis=1)
        if not self._feet or person.positions.shape[-1] != 3 or seen.sum() < _FEWEST or person.size == 0:
            return np.nan
        x = person.positions[seen] / np.float32(person.size)
        (left_shoulder, right_shoulder), (left_hip, right_hip) = (
            (x[:, pair[0]], x[:, pair[1]]) for pair in (self._shoulders, self._hips)
        )
        up = left_shoulder + right_shoulder - left_hip - right_hip
        left = left_shoulder - right_shoulder + left_hip - right_hip
        ahead = up[:, [1, 2, 0]] * left[:, [2, 0, 1]] - up[:, [2, 0, 1]] * left[:, [1, 2, 0]]  # the cross product
        toes = sum(x[:, toe] - x[:, ankle] for ankle, toe in self._feet)
        length = np.sqrt(np.einsum("fc,fc->f", ahead, ahead))
        return float(np.median(np.einsum("fc,fc->f", ahead, toes) / np.maximum(length, 1e-12)))

    @staticmethod
    def _across(positions: Floats, pair: tuple[int, int]) -> Floats:
        across: Floats = positions[:, pair[0]] - positions[:, pair[1]]
        return across
