"""Scores of some of the classes, or of the worst mistakes.

"Kinetics-Motion" (ST-GCN, Table 4) is such a part: 30 of the 400 classes, on whose clips a model still chooses among
all 400 (`clips_of`), or among the 30 alone (`among`).
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bonegraph.scores.by_id import Scores
from bonegraph.scores.checks import UNKNOWN


def clips_of(scores: Scores, classes: Sequence[str]) -> Scores:
    """The labelled clips of some classes, with the probabilities of all K.

    Args:
        scores: of any clips.
        classes: names among ``scores.classes``, each once.

    Raises:
        ValueError: a class is unknown or comes twice, or none of them has a clip.
    """
    columns = class_columns(scores.classes, classes)
    rows = np.flatnonzero(np.isin(scores.labels, columns))
    if not len(rows):
        raise ValueError(f"none of the {len(scores)} clips is of the {len(columns)} classes (first: {classes[0]!r})")
    return Scores(scores.ids[rows], scores.classes, scores.probabilities[rows], scores.labels[rows])


def among(scores: Scores, classes: Sequence[str]) -> Scores:
    """Scores as if there were only some classes: their probabilities, made to sum to 1.

    A clip of another class loses its label. Where all of the classes have probability 0, they share alike.

    Args:
        scores: of any clips.
        classes: names among ``scores.classes``, each once; they become the classes, in this order.

    Raises:
        ValueError: a class is unknown or comes twice.
    """
    columns = class_columns(scores.classes, classes)
    kept = scores.probabilities[:, columns].astype(np.float64)
    total = kept.sum(axis=1, keepdims=True)
    kept = np.divide(kept, total, out=np.full_like(kept, 1 / len(columns)), where=total > 0)
    place = np.full(len(scores.classes) + 1, UNKNOWN)  # one more, which the label -1 finds
    place[columns] = np.arange(len(columns))
    return Scores(scores.ids, tuple(classes), kept.astype(np.float32), place[scores.labels])


def confident_mistakes(scores: Scores, count: int) -> npt.NDArray[np.int64]:
    """Rows of the wrong clips whose answer was the most probable, the surest first; of equal ones by clip id.

    Args:
        scores: of any clips; those without a label are nobody's mistake.
        count: at most this many.
    """
    predicted = scores.predicted
    wrong = np.flatnonzero(scores.labelled & (predicted != scores.labels))
    confidence = scores.probabilities[wrong, predicted[wrong]]
    return wrong[np.lexsort((scores.ids[wrong], -confidence))][:count]


def class_columns(known: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Columns of some classes.

    Args:
        known: all K class names.
        classes: names among them, each once.

    Raises:
        ValueError: a class is unknown or comes twice, or there is none.
    """
    if not classes:
        raise ValueError("name at least 1 class, got 0")
    number = {name: at for at, name in enumerate(known)}
    for at, name in enumerate(classes):
        if name not in number:
            close = difflib.get_close_matches(name, number, n=1)  # without a list of all: there may be hundreds
            meant = f"; did you mean {close[0]!r}?" if close else "."
            raise ValueError(f"no class {name!r} among the {len(number)}{meant}")
        if name in classes[:at]:
            raise ValueError(f"each class may be named once, but {name!r} is named twice")
    return np.array([number[name] for name in classes])
