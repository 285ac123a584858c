"""How one class fared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class ClassScore:
    """How one class fared.

    Attributes:
        name: class name.
        clips: labelled clips of this class.
        correct: how many of them were predicted as this class.
        accuracy: ``correct / clips`` in [0, 1]; None where the class has no labelled clip.
        confused_with: the wrong class predicted most often (the first of equals); None where nothing went wrong.
        confused_clips: how many clips went to ``confused_with``.
    """

    name: str
    clips: int
    correct: int
    accuracy: float | None
    confused_with: str | None
    confused_clips: int


def class_score(number: int, counts: npt.NDArray[np.int64], classes: tuple[str, ...]) -> ClassScore:
    """How a class fared, from its row of the confusion counts (K,)."""
    clips, correct = int(counts.sum()), int(counts[number])
    wrong = counts.copy()
    wrong[number] = 0
    other = int(wrong.argmax())
    return ClassScore(
        name=classes[number],
        clips=clips,
        correct=correct,
        accuracy=correct / clips if clips else None,
        confused_with=classes[other] if wrong[other] else None,
        confused_clips=int(wrong[other]),
    )
