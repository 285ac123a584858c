"""Frames at a constant rate from poses at any times, as they come.

Axes: M people, V joints, C coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.rate import between
from bonegraph.tracking.places import GAP

_EARLY = 1e-6  # of a frame, by which rounding may put a frame before its time


@dataclass(frozen=True, eq=False)
class Joints:
    """One person in one picture.

    Attributes:
        positions: (V, C) float32.
        confidence: (V,) float32, 0 where a joint was not found.
    """

    positions: NDArray[np.float32]
    confidence: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame at the constant rate.

    Attributes:
        time: in seconds.
        people: M ids of those who are there.
        positions: (M, V, C) float32.
        confidence: (M, V) float32.
    """

    time: float
    people: tuple[int, ...]
    positions: NDArray[np.float32]
    confidence: NDArray[np.float32]

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(M, V)."""
        return self.confidence > 0


class Steady:
    """Bring poses to a constant rate by time.

    Frame k shows time k / fps. It lies on the line between the two pictures around it, joint by joint where both show
    the joint; a joint or a person that only one of them shows is there if that one is the nearer. This is what
    `bonegraph.inference.rate` does with a recording. Between pictures that are more than a second apart nobody is seen.

    Args:
        fps: frames per second to give.
        joints: V.
        coordinates: C.
    """

    def __init__(self, fps: float, joints: int, coordinates: int) -> None:
        self._fps = fps
        self._nobody = Joints(np.zeros((joints, coordinates), np.float32), np.zeros(joints, np.float32))
        self._time = 0.0
        self._before: Mapping[int, Joints] | None = None
        self._next = 0  # number of the next frame

    def wants(self, time: float) -> bool:
        """Whether a picture of this time is needed: the last one was nearest to another frame."""
        return self._before is None or round(time * self._fps) > round(self._time * self._fps)

    def add(self, time: float, people: Mapping[int, Joints]) -> list[Moment]:
        """Take the people of the next picture.

        Args:
            time: in seconds, later than that of the picture before.
            people: by id.

        Returns:
            The frames up to this time, of no more than a second: what is longer ago shows nobody.
        """
        last = math.floor(time * self._fps + _EARLY)
        if self._before is None:
            self._time, self._before = time, people
            self._next = last + 1
            return [self._moment(last, people, people, 1.0)]
        moments: list[Moment] = []
        apart = time - self._time
        first = max(self._next, last - math.ceil(GAP * self._fps))
        for number in range(first, last + 1):
            share = min(1.0, max(0.0, (number / self._fps - self._time) / apart))
            if apart > GAP:
                here = people if time - number / self._fps < 0.5 / self._fps else {}
                moments.append(self._moment(number, here, here, 1.0))
            else:
                moments.append(self._moment(number, self._before, people, share))
        self._time, self._before, self._next = time, people, max(self._next, last + 1)
        return moments

    def _moment(self, number: int, before: Mapping[int, Joints], after: Mapping[int, Joints], share: float) -> Moment:
        there = tuple(sorted(after if share > 0.5 else before))
        pairs = [(before.get(who, self._nobody), after.get(who, self._nobody)) for who in there]
        shape = (len(there), *self._nobody.positions.shape)
        old, new = (np.array([pair[one].positions for pair in pairs], np.float32).reshape(shape) for one in (0, 1))
        sure, surer = (
            np.array([pair[one].confidence for pair in pairs], np.float32).reshape(shape[:2]) for one in (0, 1)
        )
        positions, seen, weight = between(old, new, sure > 0, surer > 0, np.float32(share).reshape(1, 1))
        confidence = np.where(seen, sure * (1 - weight) + surer * weight, 0).astype(np.float32).clip(0, 1)
        return Moment(number / self._fps, there, positions, confidence)
