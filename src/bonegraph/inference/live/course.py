"""What one person does over time: answers smoothed, with hysteresis, with a start and an end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.segments import UNKNOWN

GOES_ON = 0.5
"""An action goes on as long as it has this share of the threshold, as it does in recordings."""
MARGIN = 0.1
"""Another action takes over when it is more probable by this."""


@dataclass(frozen=True)
class Now:
    """What somebody does.

    Attributes:
        action: name of the class, or "unknown".
        likeliest: number of the class of the highest probability, or of the action.
        probability: its smoothed probability.
        since: when it began.
    """

    action: str
    likeliest: int
    probability: float
    since: float


@dataclass(frozen=True)
class Past:
    """What somebody did.

    Attributes:
        action: name of the class.
        start: when it began.
        end: when it ended.
        probability: mean of the smoothed ones.
    """

    action: str
    start: float
    end: float
    probability: float


class Course:
    """The actions of one person, one after the other.

    The probabilities are the mean over the last answers. An action begins when it is the most probable one and reaches
    the threshold. It goes on until it has less than half of the threshold, or until another one that reaches the
    threshold is more probable by `MARGIN`.

    An answer tells of the middle of its window. What begins with it is therefore said to have begun half a window ago,
    and half of the time that the smoothing looks back; the action before it ended then.

    Args:
        classes: their names.
        threshold: below it is "unknown"; None never says so.
        first: when the person was first seen, in seconds.
        smooth: how many answers are averaged, at least 1.
    """

    def __init__(self, classes: tuple[str, ...], threshold: float | None, first: float, smooth: int = 3) -> None:
        self._classes, self._threshold = classes, threshold or 0.0
        self._recent: deque[tuple[float, NDArray[np.float32]]] = deque(maxlen=smooth)  # (middle of the window, answer)
        self._state: int | None = None  # number of the class; None is unknown
        self._since = first
        self._sum, self._count = 0.0, 0

    @property
    def mean(self) -> NDArray[np.float32]:
        """(classes,) the smoothed probabilities; there was an answer at least."""
        mean: NDArray[np.float32] = np.mean([answer for _, answer in self._recent], axis=0)
        return mean

    def answer(self, middle: float, probabilities: NDArray[np.float32]) -> tuple[Now, Past | None]:
        """Take an answer.

        Args:
            middle: of its window, in seconds.
            probabilities: (classes,).

        Returns:
            What the person does now, and the action that this ended, if it did.
        """
        self._recent.append((middle, probabilities))
        mean = self.mean
        state = self._following(mean)
        past = None
        if state != self._state:
            looked_back = float(np.mean([at for at, _ in self._recent]))
            change = max(looked_back, self._since)
            if self._state is not None:
                past = self.end(change)
            if self._count:  # the first action began when the person came
                self._since = change
            self._state, self._sum, self._count = state, 0.0, 0
        likeliest = int(mean.argmax()) if state is None else state
        self._sum += float(mean[likeliest])
        self._count += 1
        action = UNKNOWN if state is None else self._classes[state]
        return Now(action, likeliest, float(mean[likeliest]), self._since), past

    def end(self, time: float) -> Past | None:
        """The current action if it ends now; None if that is unknown."""
        if self._state is None:
            return None
        return Past(self._classes[self._state], self._since, max(time, self._since), self._sum / self._count)

    def _following(self, mean: NDArray[np.float32]) -> int | None:
        best, state = int(mean.argmax()), self._state
        begins = mean[best] >= self._threshold
        if state is None or mean[state] < GOES_ON * self._threshold:
            return best if begins else None
        return best if begins and mean[best] >= mean[state] + MARGIN else state
