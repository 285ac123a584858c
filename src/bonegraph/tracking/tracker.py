"""Who is who from frame to frame: people are followed by where their joints are.

In each frame the poses found are matched with the people known, twice, each time so that the sum of the distances is
least (`assign`):

1. by joints: the mean distance of those that both show, in sizes of the body, from where the person should be by now,
   who goes on at the last speed. So two people who pass each other keep their numbers.
2. who is left, by the centres of the bodies. Pose networks find somebody upside down for a frame or two, or arms where
   the legs are; then all joints are elsewhere and the centre is not.

Axes: V joints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bonegraph.tracking.assignment import assign

NOBODY = -1
"""The number of a pose without joints, and of those beyond `CROWD`."""

CROWD = 32
"""The surest poses of a frame that are looked at, and half of the people that are remembered: time stays bounded."""

_SURE = 0.3  # joints below this confidence count neither for the distance nor for the size, if there are others
_REACH = 0.5
_FASTEST = 5.0  # sizes of the body per second, which no sprinter reaches
_CENTRE = 0.5  # of the reach: how far the centre may be


class Pose(Protocol):
    """Somebody in one frame.

    Attributes:
        joints: (V, 2), finite, no matter what where the confidence is 0.
        confidence: (V,), 0 where a joint was not found.
    """

    @property
    def joints(self) -> NDArray[np.floating]:
        """(V, 2)."""

    @property
    def confidence(self) -> NDArray[np.floating]:
        """(V,)."""


@dataclass(frozen=True, eq=False)
class Body:
    """What of a pose tells who it is.

    Attributes:
        joints: (V, 2).
        sure: (V,), the joints that count: those that were found surely, or else all that were found.
        centre: (2,), mean of the sure joints.
        size: diagonal of the box around the sure joints.
    """

    joints: NDArray[np.float64]
    sure: NDArray[np.bool_]
    centre: NDArray[np.float64]
    size: float


def body_of(pose: Pose) -> Body:
    """The sure joints of a pose, of which one at least was found."""
    sure = pose.confidence > _SURE
    sure = sure if sure.any() else pose.confidence > 0
    joints = np.asarray(pose.joints, np.float64)
    return Body(joints, sure, joints[sure].mean(axis=0), float(np.linalg.norm(np.ptp(joints[sure], axis=0))))


@dataclass(eq=False)
class _Known:
    """Somebody who is followed."""

    body: Body
    frame: int
    speed: NDArray[np.float64]


class Tracker:
    """Follow people through the frames of a recording or of a camera: `see` takes frame after frame.

    Memory and time for a frame are bounded, whatever comes.

    Args:
        fps: frames per second, above 0.
        gap: seconds for which a person may be lost and still be the same one, at least 0.
        reach: how far the joints may be, on average, from where they are expected, in body sizes; above 0. It widens
            while a person is lost, up to twice. By default 0.5, or as far as people run from one frame to the next.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> tracker = Tracker(fps=30)
        >>> tracker.see([]), tracker.present
        ([], ())
    """

    def __init__(self, fps: float, gap: float = 1.0, reach: float | None = None) -> None:
        reach = reach if reach is not None else max(_REACH, _FASTEST / fps) if fps > 0 else _REACH
        for name, value, fine in (("fps", fps, fps > 0), ("gap", gap, gap >= 0), ("reach", reach, reach > 0)):
            if not (fine and math.isfinite(value)):
                raise ValueError(f"{name} is out of range: {value}.")
        self._most_lost = max(1, round(gap * fps))
        self._reach = reach
        self._known: dict[int, _Known] = {}
        self._frame = -1
        self._next = 0

    @property
    def present(self) -> tuple[int, ...]:
        """Numbers of those who are here or were lost a moment ago; nobody else's number is ever given again."""
        return tuple(sorted(number for number, one in self._known.items() if self._lost(one) < self._most_lost))

    def see(self, poses: Sequence[Pose]) -> list[int]:
        """The next frame.

        Args:
            poses: of the people in it, in any order.

        Returns:
            For each pose the number of the person, counted from 0 as they come, all different; or `NOBODY`.
        """
        self._frame += 1
        self._known = {number: one for number, one in self._known.items() if self._lost(one) <= self._most_lost}
        bodies = {place: body_of(poses[place]) for place in _surest(poses)}
        numbers = [NOBODY] * len(poses)
        for by_joints in (True, False):
            known = [number for number in self._known if number not in numbers]
            free = [place for place in bodies if numbers[place] == NOBODY]
            pairs = self._matched([self._known[who] for who in known], [bodies[place] for place in free], by_joints)
            for row, column in pairs:
                numbers[free[column]] = known[row]
                self._move(self._known[known[row]], bodies[free[column]], by_joints)
        for place, body in bodies.items():
            if numbers[place] == NOBODY:
                numbers[place] = self._next
                self._known[self._next] = _Known(body, self._frame, np.zeros(2))
                self._next += 1
        while len(self._known) > 2 * CROWD:
            del self._known[min(self._known, key=lambda number: (self._known[number].frame, number))]
        return numbers

    def _lost(self, one: _Known) -> int:
        return self._frame - one.frame

    def _matched(self, known: list[_Known], bodies: list[Body], by_joints: bool) -> list[tuple[int, int]]:
        """Pairs of a person and a body that may be the same, by their places in the lists."""
        if not (known and bodies):
            return []
        lost = np.array([self._lost(one) for one in known])
        wider = 1 + np.minimum(1, (lost - 1) / self._most_lost)
        then = [one.body for one in known]
        if not by_joints:
            return _pairs(_centres_apart(then, bodies), _CENTRE * self._reach * wider)
        # After a second or so nobody goes on as before: the further away, the less the speed counts.
        ahead = np.array([one.speed for one in known]) * np.minimum(lost, self._most_lost / 2)[:, None]
        return _pairs(_apart(then, bodies, ahead), self._reach * wider)

    def _move(self, one: _Known, body: Body, by_joints: bool) -> None:
        """Take up a person at a new place; where only the centres agree, the joints tell nothing of the speed."""
        both = one.body.sure & body.sure
        speed = one.speed
        if by_joints:
            speed = np.median(body.joints[both] - one.body.joints[both], axis=0) / self._lost(one)
        one.speed = (one.speed + speed) / 2
        one.body, one.frame = body, self._frame


def _surest(poses: Sequence[Pose]) -> list[int]:
    """Places of the surest poses, rising."""
    sureness = np.array([float(pose.confidence.sum()) for pose in poses])
    order = np.argsort(-sureness, kind="stable")[:CROWD]
    return sorted(int(place) for place in order if sureness[place] > 0)


def _apart(known: list[Body], bodies: list[Body], ahead: NDArray[np.float64]) -> NDArray[np.float64]:
    """(known, bodies): mean distance of the joints that both show, in sizes of the larger one; infinite if none is."""
    both = np.stack([one.sure for one in known])[:, None] & np.stack([body.sure for body in bodies])
    moved = np.stack([one.joints for one in known]) + ahead[:, None]
    away = np.linalg.norm(moved[:, None] - np.stack([body.joints for body in bodies]), axis=-1)
    count = both.sum(axis=-1)
    mean = np.where(both, away, 0).sum(axis=-1) / np.maximum(count, 1)
    return np.where(count > 0, _in_sizes(mean, known, bodies), np.inf)


def _centres_apart(known: list[Body], bodies: list[Body]) -> NDArray[np.float64]:
    """(known, bodies): distance of the centres, in sizes of the larger one."""
    away = np.stack([one.centre for one in known])[:, None] - np.stack([body.centre for body in bodies])
    return _in_sizes(np.linalg.norm(away, axis=-1), known, bodies)


def _in_sizes(away: NDArray[np.float64], known: list[Body], bodies: list[Body]) -> NDArray[np.float64]:
    size = np.maximum.outer([one.size for one in known], [body.size for body in bodies])
    # People of a single joint have no size: only at the very same place are they the same.
    return np.divide(away, size, out=np.where(away > 0, np.inf, 0.0), where=size > 0)


def _pairs(cost: NDArray[np.float64], limit: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The cheapest matching of rows with columns; a pair beyond the limit of its row is none.

    A pair that is none costs hardly more than the worst one that is, so that nobody is torn from a near pose in order
    to find everybody a far one.
    """
    fits = cost <= limit[:, None]
    rows, columns = np.flatnonzero(fits.any(axis=1)), np.flatnonzero(fits.any(axis=0))
    chosen = np.where(fits, cost, 1.001 * limit[:, None])[np.ix_(rows, columns)]
    pairs = [(int(rows[row]), int(columns[column])) for row, column in assign(chosen)]
    return [pair for pair in pairs if fits[pair]]
