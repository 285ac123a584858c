"""A sensor that froze: nobody moves, a stretch of identical frames, or a joint that stays while its neighbours move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.clip import Bools, Clip, Floats, Track
from bonegraph.datasets.checks.finding import Finding, one_by_one
from bonegraph.datasets.store import Store

STRETCH = 0.5
"""Seconds of identical frames; a sensor's noise makes two frames of a still person differ."""
_FEWEST = 5  # frames that a stretch has at any frame rate
_STILL = 1e-5  # of the body size: what rounding may change in a frame that is the same
_STUCK = 0.5  # of the frames in which the person moves
_MOVING = 12  # frames in which the person moves, or there is nothing to compare with


class Frozen:
    """Finds ``frozen`` (nobody moves), ``frozen-stretch`` and ``frozen-joint``."""

    def __init__(self, store: Store) -> None:
        self._joints = store.skeleton.joints
        self._parents = np.array(store.skeleton.parents)
        self._root = int(np.flatnonzero(self._parents == np.arange(len(self._parents)))[0])
        self._longest = max(_FEWEST, round(STRETCH * store.fps))
        self._fps = store.fps
        self._all: list[tuple[str, str]] = []
        self._stretches: list[tuple[str, str]] = []
        self._stuck: list[tuple[str, str]] = []
        self._clips = 0

    def look(self, clip: Clip) -> None:
        """Take in a clip."""
        self._clips += 1
        for person in clip.people:
            if len(person.frames) < _FEWEST:
                continue
            who = clip.named(person)
            still = self._still(person)
            whole = np.logical_and.reduce(still, axis=1)
            if whole.all():
                self._all.append((clip.id, f"{who} does not move in any of {len(person.frames)} frames."))
                continue
            start, length = _longest_run(whole)
            if length + 1 >= self._longest:
                first, times = int(person.frames[start]), length + 1
                message = f"{who} shows one frame {times} times, from frame {first} on ({times / self._fps:.1f} s)."
                self._stretches.append((clip.id, message))
            if joint := self._stuck_joint(person, still, whole):
                name, share = joint
                message = f"the {name} of {who} stays where it is in {share:.0%} of the frames while others move."
                self._stuck.append((clip.id, message))

    def _still(self, person: Track) -> Bools:
        """(F - 1, V) where a joint is in the next frame as it was in this one."""
        same = _same(person.positions, _STILL * person.size)
        still: Bools = same & (person.visible[1:] == person.visible[:-1]) & person.next_to[:, None]
        return still

    def _stuck_joint(self, person: Track, still: Bools, whole: Bools) -> tuple[str, float] | None:
        """The joint that stands still most, in itself or against its parent, if that is more than half of the time."""
        seen = person.visible[1:] & person.visible[:-1] & (person.next_to & ~whole)[:, None]
        own = still & seen
        # Against its parent: the bone keeps its direction and length to the last digit while the parent moves.
        bones = person.positions - person.positions[:, self._parents]
        stiff = _same(bones, _STILL * person.size) & seen & seen[:, self._parents] & ~still[:, self._parents]
        stiff[:, self._root] = False  # it has no bone
        moving = seen.sum(axis=0)
        share = np.where(moving >= _MOVING, np.maximum(own.sum(axis=0), stiff.sum(axis=0)) / np.maximum(moving, 1), 0)
        joint = int(share.argmax())
        return (self._joints[joint], float(share[joint])) if share[joint] > _STUCK else None

    def findings(self) -> list[Finding]:
        """What was found."""
        return [
            *one_by_one("frozen", self._all, self._clips, "somebody does not move at all"),
            *one_by_one("frozen-stretch", self._stretches, self._clips, "one frame is repeated for a while"),
            *one_by_one("frozen-joint", self._stuck, self._clips, "a joint stays where it is while others move"),
        ]


def _same(values: Floats, tolerance: float) -> Bools:
    """(F - 1, V) where (F, V, C) values are the same in the next frame."""
    step = np.abs(values[1:] - values[:-1]) <= np.float32(tolerance)
    same: Bools = step[..., 0] & step[..., 1]  # faster than all() over so short an axis
    return same & step[..., 2] if step.shape[-1] == 3 else same


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """Start and length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    longest = int(lengths.argmax())
    return int(edges[2 * longest]), int(lengths[longest])
