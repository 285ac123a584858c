"""Scores by clip id: what a model answered for every clip, and the numbers people quote about it.

Every row belongs to a named clip, so scores of two streams, two processes or two machines are joined by id and never
by position.

Axes: N clips, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bonegraph.scores.archive import KEYS, read_arrays, write_arrays
from bonegraph.scores.checks import UNKNOWN, as_names, checked_labels, checked_probabilities, refuse_duplicates
from bonegraph.scores.per_class import ClassScore, class_score

# Two processes that score the same clip in half precision differ by less than this; two different models do not.
_REPEAT_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class Scores:
    """Class probabilities of named clips.

    Args:
        ids: (N,) clip ids, each once.
        classes: K class names, each once, in the order of the columns of ``probabilities``.
        probabilities: (N, K) in [0, 1]; every row sums to 1 within 0.001. Kept as float32.
        labels: (N,) true class in [0, K), or -1 where it is unknown. Kept as int64.

    Raises:
        ValueError: if shapes disagree, an id or a class comes twice, a probability is negative or not finite, a row
            does not sum to 1, or a label is out of range.

    Example:
        >>> scores = Scores(
        ...     ids=np.array(["a", "b"]),
        ...     classes=("sit", "stand"),
        ...     probabilities=np.array([[0.9, 0.1], [0.6, 0.4]]),
        ...     labels=np.array([0, 1]),
        ... )
        >>> scores.top(1)
        0.5
    """

    ids: npt.NDArray[np.str_]
    classes: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Bring the fields to their fixed types and check them."""
        ids = as_names(self.ids, "ids")
        classes = tuple(as_names(self.classes, "classes").tolist())
        refuse_duplicates(ids, "clip id")
        refuse_duplicates(np.asarray(classes, dtype=np.str_), "class name")
        if not classes:
            raise ValueError("scores need at least 1 class, got 0")

        # A frozen dataclass has no other way to keep the checked arrays instead of the given ones.
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "classes", classes)
        object.__setattr__(self, "probabilities", checked_probabilities(self.probabilities, ids, len(classes)))
        object.__setattr__(self, "labels", checked_labels(self.labels, ids, len(classes)))

    def __len__(self) -> int:
        """Number of clips N."""
        return len(self.ids)

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """(N,) True where the true class is known."""
        known: npt.NDArray[np.bool_] = self.labels != UNKNOWN
        return known

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(N,) the most probable class of each clip; of equal ones the first."""
        best: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return best

    def top(self, k: int) -> float:
        """Top-k accuracy over the labelled clips.

        Equal probabilities are ranked by class number, lowest first, so that ``top(1)`` is exactly the share of clips
        where ``predicted`` is right.

        Args:
            k: how many answers count, at least 1; from K on, every clip is right.

        Returns:
            A share in [0, 1].

        Raises:
            ValueError: if k is below 1 or no clip has a label.
        """
        if k < 1:
            raise ValueError(f"top-k needs k of at least 1, got {k}")
        known = self._labelled_rows(f"top-{k} accuracy")
        labels, probabilities = self.labels[known], self.probabilities[known]
        true = np.take_along_axis(probabilities, labels[:, None], axis=1)
        earlier = np.arange(len(self.classes))[None, :] < labels[:, None]
        rank = ((probabilities > true) | ((probabilities == true) & earlier)).sum(axis=1)
        return float((rank < k).mean())

    def mean_class_accuracy(self) -> float:
        """Mean of the per-class recall over the classes that occur in the labels.

        Returns:
            A share in [0, 1].

        Raises:
            ValueError: if no clip has a label.
        """
        self._labelled_rows("mean class accuracy")
        counts = self.confusion()
        clips = counts.sum(axis=1)
        seen = clips > 0
        return float((counts.diagonal()[seen] / clips[seen]).mean())

    def confusion(self) -> npt.NDArray[np.int64]:
        """Count the labelled clips by true class (row) and predicted class (column).

        Returns:
            (K, K) int64; all zero where no clip has a label.
        """
        size = len(self.classes)
        known = self.labelled
        cells = self.labels[known] * size + self.predicted[known]
        return np.bincount(cells, minlength=size * size).astype(np.int64).reshape(size, size)

    def per_class(self) -> list[ClassScore]:
        """One row for each class, in class order."""
        counts = self.confusion()
        return [class_score(number, counts[number], self.classes) for number in range(len(self.classes))]

    def take(self, ids: npt.ArrayLike) -> Scores:
        """Pick clips by id, in the order of ``ids``.

        Args:
            ids: clip ids, each once.

        Raises:
            ValueError: if a clip is not among these scores, or asked for twice.
        """
        wanted = as_names(ids, "ids")
        row_of = {name: row for row, name in enumerate(self.ids.tolist())}
        missing = [name for name in wanted.tolist() if name not in row_of]
        if missing:
            raise ValueError(f"{len(missing)} of {len(wanted)} clips have no scores (first: {missing[0]!r})")
        rows = np.array([row_of[name] for name in wanted.tolist()], dtype=np.int64)
        return Scores(self.ids[rows], self.classes, self.probabilities[rows], self.labels[rows])

    @classmethod
    def average(cls, scores: Sequence[Scores]) -> Scores:
        """Average several scorings of the same clips, for example several windows of each clip.

        Clips are matched by id; the result keeps the order of the first one.

        Args:
            scores: at least one; all with the same clips, classes and labels.

        Raises:
            ValueError: if they differ in clips, classes or labels.
        """
        first = _first_of(scores, "average")
        aligned = [first]
        for other in scores[1:]:
            odd = sorted(set(first.ids.tolist()) ^ set(other.ids.tolist()))
            if odd:
                raise ValueError(
                    f"cannot average: {len(odd)} clips are in only one of two scorings (first: {odd[0]!r}). "
                    "Score the same clips each time."
                )
            matched = other.take(first.ids)
            _refuse_other_labels(first, matched, "average")
            aligned.append(matched)
        # float64, so that the mean of equal rows is that row to the last bit
        mean = np.mean([one.probabilities.astype(np.float64) for one in aligned], axis=0)
        return cls(first.ids, first.classes, mean.astype(np.float32), first.labels)

    @classmethod
    def merge(cls, parts: Sequence[Scores]) -> Scores:
        """Join scores of different clips, for example the parts scored by several processes.

        A clip may occur in several parts (samplers repeat clips so that every process gets equally many) as long as
        its rows agree; the first is kept. The result is sorted by clip id, so it does not depend on who scored what.

        Args:
            parts: at least one; all with the same classes.

        Raises:
            ValueError: if classes differ, or a repeated clip has another label or clearly other probabilities.
        """
        first = _first_of(parts, "merge")
        ids = np.concatenate([part.ids for part in parts])
        probabilities = np.concatenate([part.probabilities for part in parts])
        labels = np.concatenate([part.labels for part in parts])
        names, kept, original = np.unique(ids, return_index=True, return_inverse=True)
        merged = cls(names, first.classes, probabilities[kept], labels[kept])

        row = original.reshape(-1)
        gap = np.abs(probabilities - merged.probabilities[row]).max(axis=1)
        other_label = labels != merged.labels[row]
        if other_label.any():
            at = int(other_label.argmax())
            raise ValueError(
                f"cannot merge: clip {str(ids[at])!r} has label {merged.labels[row[at]]} in one part "
                f"and {labels[at]} in another"
            )
        if (gap > _REPEAT_TOLERANCE).any():
            at = int(gap.argmax())
            raise ValueError(
                f"cannot merge: the probabilities of clip {str(ids[at])!r} differ by {gap[at]:.3f} between two parts, "
                f"at most {_REPEAT_TOLERANCE} is allowed. Use average for several scorings of one clip."
            )
        return merged

    def save(self, path: str | Path) -> Path:
        """Write a ``.npz`` file; a reader sees the old file or the whole new one, never a half.

        Args:
            path: file to write; its folder must exist.

        Returns:
            The path.

        Raises:
            FileNotFoundError: if the folder does not exist.
        """
        path = Path(path)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"cannot write scores: no folder {path.parent}. Make it first.")
        write_arrays(
            path,
            {
                "ids": self.ids,
                "classes": np.asarray(self.classes, dtype=np.str_),
                "probabilities": self.probabilities,
                "labels": self.labels,
            },
        )
        return path

    @classmethod
    def load(cls, path: str | Path) -> Scores:
        """Read a file written by ``save``.

        Args:
            path: a ``.npz`` file.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not a whole scores file, with what is wrong in one line.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no scores file {path}. Scores are written by 'evaluate' as scores.npz.")
        arrays = read_arrays(path)
        missing = [key for key in KEYS if key not in arrays]
        if missing:
            raise ValueError(f"{path} is not a scores file: it lacks {', '.join(missing)} (needs {', '.join(KEYS)})")
        try:
            classes = tuple(as_names(arrays["classes"], "classes").tolist())
            return cls(arrays["ids"], classes, arrays["probabilities"], arrays["labels"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def _labelled_rows(self, wanted: str) -> npt.NDArray[np.bool_]:
        known = self.labelled
        if not known.any():
            raise ValueError(f"{wanted} needs labelled clips, but 0 of {len(self)} clips have a label")
        return known


def _first_of(scores: Sequence[Scores], verb: str) -> Scores:
    """The first of some scores, after checking that all have its classes."""
    if not scores:
        raise ValueError(f"cannot {verb} 0 scores; give at least 1")
    first = scores[0]
    for other in scores[1:]:
        if len(other.classes) != len(first.classes):
            raise ValueError(f"cannot {verb}: one has {len(first.classes)} classes, another has {len(other.classes)}")
        if other.classes != first.classes:
            at = next(k for k, name in enumerate(first.classes) if name != other.classes[k])
            raise ValueError(
                f"cannot {verb}: class {at} is {first.classes[at]!r} in one and {other.classes[at]!r} in another"
            )
    return first


def _refuse_other_labels(first: Scores, other: Scores, verb: str) -> None:
    """Both have the same clips in the same order."""
    differs = first.labels != other.labels
    if differs.any():
        at = int(differs.argmax())
        raise ValueError(
            f"cannot {verb}: clip {str(first.ids[at])!r} has label {first.labels[at]} in one "
            f"and {other.labels[at]} in another"
        )
