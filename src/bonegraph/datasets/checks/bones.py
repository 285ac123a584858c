"""Bones of a length that no body has, or that changes too much: limbs found in the wrong place.

Every person is compared with the median person of the set after scaling to the same size, so that children and tall
people are no finding, and the usual spread of a bone over the set says how far off is too far.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.clip import Clip, Floats
from bonegraph.datasets.checks.finding import Finding, one_by_one
from bonegraph.datasets.store import Store

LENGTH = 0.6
"""Natural logarithm: a bone 1.8 times as long as usual, or as short."""
CHANGE = 0.35
"""Body sizes (about 15 cm) that a bone's length may vary within a clip (10th to 90th percentile) beyond the usual."""
JUMP = 2.0
"""Body sizes (about 90 cm) that a bone may be longer in one frame than usual."""
_SPREAD = 8.0  # robust standard deviations
_FEWEST = 8  # people to compare with

Doubles = NDArray[np.float64]


class Bones:
    """Finds ``bone-length``, ``bone-jump`` and, in 3-D, ``bone-change``.

    In 2-D a bone that points at the camera looks short, so there the long lengths (90th percentile) are compared, and
    only a bone that is too long is a finding.
    """

    def __init__(self, store: Store) -> None:
        skeleton = store.skeleton
        self._names = [f"{skeleton.joints[parent]} - {skeleton.joints[child]}" for child, parent in skeleton.bones]
        self._child = np.array([child for child, _ in skeleton.bones], dtype=np.int64)
        self._parent = np.array([parent for _, parent in skeleton.bones], dtype=np.int64)
        self._clips = 0
        self._flat = False
        self._who: list[tuple[str, str]] = []
        self._lengths: list[Floats] = []
        self._changes: list[Floats] = []
        self._longest: list[Floats] = []
        self._when: list[NDArray[np.int32]] = []

    def look(self, clip: Clip) -> None:
        """Take in a clip."""
        self._clips += 1
        for person in clip.people:
            if not len(self._names) or person.size <= 0:
                continue
            self._flat = person.positions.shape[-1] == 2
            lengths, seen = person.distances(self._child, self._parent)
            low, middle, high = _quantiles(lengths, seen)
            longest = np.where(seen, lengths, np.float32(0))
            self._who.append((clip.id, clip.named(person)))
            self._lengths.append(high if self._flat else middle)
            self._changes.append((high - low) / np.float32(person.size))
            self._longest.append(longest.max(axis=0) / np.float32(person.size))
            self._when.append(person.frames[longest.argmax(axis=0)].astype(np.int32))

    def findings(self) -> list[Finding]:
        """What was found."""
        if len(self._who) < _FEWEST:
            return []
        with np.errstate(divide="ignore"):
            lengths = np.log(np.stack(self._lengths).astype(np.float64))
        lengths[~np.isfinite(lengths)] = np.nan
        off = lengths - _median(lengths, 0)
        off -= _median(off, 1)  # a small person has all bones short
        longest = _over(np.stack(self._longest))
        times, when = np.exp(np.nan_to_num(off)), np.stack(self._when)
        found = _far(off if self._flat else np.abs(off), np.maximum(LENGTH, _SPREAD * _usual(off)))
        findings = self._report(
            "bone-length", [(row, bone, f"is {times[row, bone]:.2g} times as long as usual") for row, bone in found]
        )
        findings += self._report(
            "bone-jump",
            [
                (row, bone, f"is {longest[row, bone]:.1f} body sizes too long in frame {when[row, bone]}")
                for row, bone in _far(longest, np.full(longest.shape[1], JUMP))
            ],
        )
        if not self._flat:
            changes = _over(np.stack(self._changes))
            found = _far(changes, np.maximum(CHANGE, _SPREAD * _usual(changes)))
            findings += self._report(
                "bone-change",
                [(row, bone, f"varies by {changes[row, bone]:.1f} body sizes more than usual") for row, bone in found],
            )
        return findings

    def _report(self, kind: str, found: list[tuple[int, int, str]]) -> list[Finding]:
        listed = [
            (self._who[row][0], f"the bone {self._names[bone]} of {self._who[row][1]} {what}.")
            for row, bone, what in found
        ]
        return one_by_one(kind, listed, self._clips, "a bone has a length far from usual")


def _quantiles(lengths: Floats, seen: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """10th, 50th and 90th percentile of each bone (F, B) over the frames it is seen in; NaN for one never seen."""
    ordered = np.sort(lengths if seen.all() else np.where(seen, lengths, np.float32(np.inf)), axis=0)
    count = seen.sum(axis=0)
    last, bones = np.maximum(count - 1, 0), np.arange(len(count))
    low, middle, high = (
        np.where(count > 0, ordered[(share * last + 0.5).astype(np.int64), bones], np.float32(np.nan))
        for share in (0.1, 0.5, 0.9)
    )
    return low, middle, high


def _far(off: Doubles, limit: Doubles) -> list[tuple[int, int]]:
    """Row and bone of the worst bone of everyone who has one beyond the limits (B,)."""
    excess = np.nan_to_num(off) / limit
    return [(row, int(excess[row].argmax())) for row in np.flatnonzero((excess > 1).any(axis=1)).tolist()]


def _over(values: Floats) -> Doubles:
    """(rows, B) what is above the usual of each bone."""
    exact = values.astype(np.float64)
    return exact - _median(exact, 0)


def _usual(off: Doubles) -> Doubles:
    """(B,) the usual spread, a standard deviation if it were normal."""
    spread: Doubles = 1.4826 * _median(np.abs(off), 0)[0]
    return spread


def _median(values: Doubles, axis: int) -> Doubles:
    """Median without NaN, the axis kept; 0 where there is nothing else."""
    ordered = np.sort(values, axis=axis)  # NaN at the end
    count = np.maximum((~np.isnan(values)).sum(axis=axis, keepdims=True), 1)
    middle: Doubles = (
        np.take_along_axis(ordered, (count - 1) // 2, axis) + np.take_along_axis(ordered, count // 2, axis)
    ) / 2
    return np.nan_to_num(middle)
