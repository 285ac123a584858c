"""Two runs, or two groups of runs, on the same clips: which classes differ, by how much, and is it more than chance?

The difference is always that of the second side to the first: ``compare(baseline, new)`` says what the new one gains.
STF (2022), Fig. 3, is the differences by class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bonegraph.scores.align import align
from bonegraph.scores.by_id import Scores

LEVEL = 0.95
"""Coverage of the bootstrap interval."""
_EXACT_BELOW = 25  # discordant clips; from here on the chi-square distribution is close enough


@dataclass(frozen=True)
class Side:
    """The runs of one side.

    Attributes:
        accuracies: top-1 of each, in [0, 1].
    """

    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean top-1."""
        return float(np.mean(self.accuracies))

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of top-1 (n - 1); None for a single run."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else None


@dataclass(frozen=True)
class ClassDifference:
    """One class.

    Attributes:
        name: class name.
        clips: labelled clips of it.
        first: accuracy of the first side on them (the mean of its runs), in [0, 1].
        second: of the second.
    """

    name: str
    clips: int
    first: float
    second: float

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first


@dataclass(frozen=True, eq=False)
class Paired:
    """What can be said of one run against one other, clip by clip.

    Attributes:
        only_first: ids of the clips that only the first gets right.
        only_second: that only the second gets right.
        p_value: of McNemar's test; how often two equally good runs would differ at least so much.
        test: ``exact`` or ``chi-square``.
        low: lower end of the bootstrap interval of the difference in top-1.
        high: upper end.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    p_value: float
    test: Literal["exact", "chi-square"]
    low: float
    high: float
    resamples: int
    seed: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two sides on the same labelled clips.

    Attributes:
        clips: how many there are.
        unlabelled: clips that were left out because nobody knows their class.
        first: the first side.
        second: the second.
        classes: every class that has a clip, by its difference, the largest gain of the second side first; of equal
            ones the one with more clips first.
        paired: where each side is one run.
    """

    clips: int
    unlabelled: int
    first: Side
    second: Side
    classes: tuple[ClassDifference, ...]
    paired: Paired | None

    @property
    def difference(self) -> float:
        """Mean top-1 of the second side minus that of the first."""
        return self.second.mean - self.first.mean


def compare(
    first: Sequence[Scores],
    second: Sequence[Scores],
    *,
    names: Sequence[str] = (),
    common: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare the runs of two sides on the same clips.

    Args:
        first: at least one run; several are one setting with several seeds.
        second: the same for the other side.
        names: what to call them all in messages, first side first.
        common: keep the clips that all of them have, instead of refusing others.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: the runs do not fit together (see `bonegraph.scores.align.align`), or no clip has a label.
    """
    if not first or not second:
        raise ValueError(f"a comparison needs runs on both sides, got {len(first)} and {len(second)}")
    if resamples < 1:
        raise ValueError(f"the bootstrap needs at least 1 resample, got {resamples}")
    aligned = align([*first, *second], names, verb="compare", common=common).scores
    known = aligned[0].labelled
    if not known.any():
        raise ValueError(f"a comparison needs labelled clips, but 0 of {len(known)} clips have a label")
    labels, ids = aligned[0].labels[known], aligned[0].ids[known]
    right = np.array([one.predicted[known] == labels for one in aligned])  # (runs, N)
    sides = (right[: len(first)], right[len(first) :])
    paired = None
    if len(first) == len(second) == 1:
        paired = _paired(ids, sides[0][0], sides[1][0], resamples, seed)
    return Comparison(
        clips=len(labels),
        unlabelled=int((~known).sum()),
        first=Side(tuple(_accuracies(sides[0]))),
        second=Side(tuple(_accuracies(sides[1]))),
        classes=_differences(aligned[0].classes, labels, sides[0].mean(axis=0), sides[1].mean(axis=0)),
        paired=paired,
    )


def _accuracies(right: npt.NDArray[np.bool_]) -> list[float]:
    """Top-1 of each run from what it got right, (runs, N)."""
    accuracies: list[float] = right.mean(axis=1).tolist()
    return accuracies


def mcnemar(only_first: int, only_second: int) -> tuple[float, Literal["exact", "chi-square"]]:
    """McNemar's test: are the clips that one of two runs gets right and the other wrong shared out by chance?

    With n = b + c such (discordant) clips, the null hypothesis is b ~ Binomial(n, 1/2). Below 25 of them the two-sided
    tail is summed exactly, 2·Σ_{i<=min(b, c)} C(n, i) / 2^n, at most 1; from there on (|b - c| - 1)² / n, with Edwards'
    continuity correction, is chi-square distributed with one degree of freedom, whose upper tail is erfc(√(x / 2)).

    Args:
        only_first: b, clips that only the first gets right.
        only_second: c, clips that only the second gets right.

    Returns:
        The p-value in [0, 1] and which of the two it is; without discordant clips 1.
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    if total < _EXACT_BELOW:
        tail = sum(math.comb(total, i) for i in range(fewer + 1))
        return min(1.0, 2 * tail / 2**total), "exact"
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / total
    return math.erfc(math.sqrt(statistic / 2)), "chi-square"


def bootstrap_interval(
    only_first: int, only_second: int, clips: int, *, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the difference in top-1 when clips are drawn anew, with replacement.

    A clip counts -1 (only the first is right), +1 (only the second) or 0, so that a resample of the clips is a draw of
    the three counts from a multinomial distribution.

    Args:
        only_first: clips that only the first gets right.
        only_second: clips that only the second gets right.
        clips: all of them, N.
        resamples: how often they are drawn.
        seed: of the draws.

    Returns:
        Lower and upper end of the 95 % interval of (second - first).
    """
    shares = np.array([only_first, only_second, clips - only_first - only_second]) / clips
    drawn = np.random.default_rng(seed).multinomial(clips, shares, size=resamples)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / clips, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _paired(
    ids: npt.NDArray[np.str_], first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], resamples: int, seed: int
) -> Paired:
    only_first, only_second = ids[first & ~second].tolist(), ids[second & ~first].tolist()
    p_value, test = mcnemar(len(only_first), len(only_second))
    low, high = bootstrap_interval(len(only_first), len(only_second), len(ids), resamples=resamples, seed=seed)
    return Paired(tuple(only_first), tuple(only_second), p_value, test, low, high, resamples, seed)


def _differences(
    names: tuple[str, ...],
    labels: npt.NDArray[np.int64],
    first: npt.NDArray[np.float64],
    second: npt.NDArray[np.float64],
) -> tuple[ClassDifference, ...]:
    """From the share of the runs of each side that get a clip right, (N,)."""
    clips = np.bincount(labels, minlength=len(names))
    sums = [np.bincount(labels, weights=side, minlength=len(names)) for side in (first, second)]
    rows = [
        ClassDifference(name, int(clips[at]), float(sums[0][at] / clips[at]), float(sums[1][at] / clips[at]))
        for at, name in enumerate(names)
        if clips[at]
    ]
    # Rounded, because equal differences of means need not be equal to the last bit.
    return tuple(sorted(rows, key=lambda row: (-round(row.difference, 9), -row.clips, row.name)))
