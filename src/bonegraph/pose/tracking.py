"""Who is who from frame to frame: people are followed by where their joints are.

In each frame the people found are matched with the tracks so that the sum of distances is least (`assign`). The
distance is the mean over joints that both have, measured in body sizes (the diagonal around the joints), from where the
track should be by now: it goes on at its last speed. So two people who pass each other keep their numbers, and a person
who is not found for a moment is taken up again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bonegraph.pose.assignment import assign
from bonegraph.pose.estimator import Person

_FAR = 1e6
_SURE = 0.3  # joints below this confidence count neither for the distance nor for the size, if there are others


@dataclass(eq=False)
class Track:
    """One person over time.

    Attributes:
        frames: numbers of the frames in which the person was found, rising.
        people: the person in each of them.
        speed: (2,) pixels a frame, of the body as a whole.
    """

    frames: list[int] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    speed: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2, np.float32))

    @property
    def weight(self) -> float:
        """How much of the person there is: the sum of the mean confidences."""
        return float(sum(person.confidence.mean() for person in self.people))


class Tracker:
    """Follow people through the frames of one video; `see` takes frame after frame, `tracks` are the result.

    Args:
        fps: frames per second, above 0.
        gap: seconds for which a person may be lost and still be the same one, at least 0.
        reach: how far the joints may be, on average, from where they are expected, in body sizes; above 0. It widens
            while a person is lost, up to twice.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(self, fps: float, gap: float = 1.0, reach: float = 0.5) -> None:
        for name, value, fine in (("fps", fps, fps > 0), ("gap", gap, gap >= 0), ("reach", reach, reach > 0)):
            if not (fine and math.isfinite(value)):
                raise ValueError(f"{name} is out of range: {value}.")
        self.tracks: list[Track] = []
        self._most_lost = max(1, round(gap * fps))
        self._reach = reach
        self._frame = -1

    def see(self, people: list[Person]) -> list[int]:
        """The next frame.

        Returns:
            For each person the number of their track in `tracks`, all different.
        """
        self._frame += 1
        alive = [
            number for number, track in enumerate(self.tracks) if self._frame - track.frames[-1] <= self._most_lost
        ]
        cost = np.full((len(alive), len(people)), _FAR)
        for row, number in enumerate(alive):
            for column, person in enumerate(people):
                distance, limit = self._distance(self.tracks[number], person)
                cost[row, column] = distance if distance <= limit else _FAR
        numbers = [-1] * len(people)
        for row, column in assign(cost):
            if cost[row, column] < _FAR:
                numbers[column] = alive[row]
        for column, person in enumerate(people):
            if numbers[column] == -1:
                numbers[column] = len(self.tracks)
                self.tracks.append(Track())
            self._add(self.tracks[numbers[column]], person)
        return numbers

    def _distance(self, track: Track, person: Person) -> tuple[float, float]:
        """How far a person is from where a track should be, in body sizes, and how far they may be."""
        last, lost = track.people[-1], self._frame - track.frames[-1]
        both = _sure(last) & _sure(person)
        if not both.any():
            both = np.ones(len(both), bool)
        # After a second or so nobody goes on as before: the further away, the less the speed counts.
        ahead = track.speed * min(lost, self._most_lost / 2)
        away = np.linalg.norm(person.joints[both] - last.joints[both] - ahead, axis=1).mean()
        size = max(_size(last), _size(person))
        return float(away) / size, self._reach * (1 + min(1.0, (lost - 1) / self._most_lost))

    def _add(self, track: Track, person: Person) -> None:
        if track.frames:
            both = _sure(track.people[-1]) & _sure(person)
            if both.any():
                moved = np.median(person.joints[both] - track.people[-1].joints[both], axis=0)
                speed = moved / (self._frame - track.frames[-1])
                track.speed = (0.5 * track.speed + 0.5 * speed).astype(np.float32)
        track.frames.append(self._frame)
        track.people.append(person)


def leading(tracks: list[Track], people: int) -> list[Track]:
    """The tracks with the most of a person in them, at most so many, in the order in which they began."""
    heaviest = sorted(range(len(tracks)), key=lambda number: (-tracks[number].weight, number))[:people]
    return [tracks[number] for number in sorted(heaviest)]


def _sure(person: Person) -> NDArray[np.bool_]:
    sure: NDArray[np.bool_] = person.confidence > _SURE
    return sure if sure.any() else person.confidence > 0


def _size(person: Person) -> float:
    """Diagonal around the sure joints, in pixels, at least 1."""
    joints = person.joints[_sure(person)]
    return max(1.0, float(np.linalg.norm(np.ptp(joints, axis=0)))) if len(joints) else 1.0
