"""Who is who from frame to frame: people whom a pose estimator lists in any order get places that they keep.

A greedy tracker for pictures. In every frame the pairs of a known person and a pose are joined, the closest first,
where the mean distance of the joints that both show is small beside the body. Who was out of sight for a while may come
back anywhere, as people do who walk through a picture. In the end those stay who were seen most surely.

Axes: T frames, M people, V joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REACH = 0.5
"""How far the joints of a person may move from one pose to the next, as a share of the body."""

LOST = 12
"""After so many frames out of sight a person may come back anywhere; before, only nearby. Half a second at 25 fps."""

CROWD = 32
"""The surest poses of a frame that are looked at."""


@dataclass(frozen=True, eq=False)
class Poses:
    """The people of one frame, in the order of the pose estimator.

    Attributes:
        positions: (M, V, 2), no matter what where the confidence is 0.
        confidence: (M, V), 0 where a joint was not found.
    """

    positions: NDArray[np.float64]
    confidence: NDArray[np.float64]


@dataclass
class _Person:
    """Someone who is followed: the last pose, its frame, and all poses by frame and place in it."""

    positions: NDArray[np.float64]
    seen: NDArray[np.bool_]
    frame: int
    found: list[tuple[int, int]]
    sureness: float


def follow(frames: list[Poses], most: int) -> list[list[tuple[int, int]]]:
    """Follow people through the frames.

    Args:
        frames: T of them; those without anyone count as time that passes.
        most: M, the people who are kept.

    Returns:
        For each of at most M people, who was seen most surely first, the (frame, place in the frame) of every pose.
    """
    people: list[_Person] = []
    for number, poses in enumerate(frames):
        seen = poses.confidence > 0
        sureness = poses.confidence.sum(axis=1)
        order = np.argsort(-sureness, kind="stable")[:CROWD]
        free = [int(place) for place in order if seen[place].any()]
        taken: dict[int, int] = {}  # place -> person
        for person, place in _closest(people, poses, seen, free):
            if place not in taken and person not in taken.values():
                taken[place] = person
        for place in free:
            if place not in taken:
                taken[place] = _returned(people, number, set(taken.values()))
                if taken[place] == len(people):
                    people.append(_Person(poses.positions[place], seen[place], number, [], 0.0))
        for place, who in taken.items():
            same = people[who]
            same.positions, same.seen, same.frame = poses.positions[place], seen[place], number
            same.found.append((number, place))
            same.sureness += float(sureness[place])
    people.sort(key=lambda person: -person.sureness)  # the sort is stable
    return [person.found for person in people[:most]]


def _closest(people: list[_Person], poses: Poses, seen: NDArray[np.bool_], free: list[int]) -> list[tuple[int, int]]:
    """Pairs of (person, place) that may be the same, the closest first."""
    pairs = []
    for index, person in enumerate(people):
        for place in free:
            both = person.seen & seen[place]
            if not both.any():
                continue
            apart = float(np.linalg.norm(poses.positions[place][both] - person.positions[both], axis=1).mean())
            size = max(_size(person.positions[person.seen]), _size(poses.positions[place][seen[place]]))
            if apart <= REACH * size:
                pairs.append((apart / size if size else 0.0, index, place))
    return [(index, place) for _, index, place in sorted(pairs)]


def _size(points: NDArray[np.float64]) -> float:
    """Diagonal of the box around some joints."""
    return float(np.linalg.norm(points.max(axis=0) - points.min(axis=0)))


def _returned(people: list[_Person], number: int, taken: set[int]) -> int:
    """Who comes back from out of sight, the last one who left; or else someone new, numbered after all others."""
    lost = [who for who, person in enumerate(people) if who not in taken and number - person.frame > LOST]
    return max(lost, key=lambda who: people[who].frame, default=len(people))
