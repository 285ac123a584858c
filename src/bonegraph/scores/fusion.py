"""Score fusion: the weighted mean of what several streams answer for a clip.

2s-AGCN, MS-G3D, DualHead-Net and STF add the softmax scores of their streams, each clip joined by its name; so does
`fuse`. Much public code adds the logits before the softmax instead (``of="logits"``). Both are sums by clip id.

Weights that are tuned are part of the model: `search_weights` finds them on clips that are not the fused ones.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from bonegraph.scores.align import align
from bonegraph.scores.by_id import Scores

Of = Literal["probabilities", "logits"]
# The smallest number above 0 that a file of scores can hold; the logarithm of 0 would let one stream overrule all.
_LEAST = float(np.finfo(np.float32).smallest_subnormal)
_MOST_WEIGHTS = 100_000


def fuse(
    scores: Sequence[Scores],
    weights: Sequence[float] | None = None,
    *,
    of: Of = "probabilities",
    names: Sequence[str] = (),
    common: bool = False,
) -> Scores:
    """Weighted mean of several scorings of the same clips.

    Args:
        scores: one for each stream; clips are matched by id, classes by name.
        weights: one for each, 0 or more; default all equal. Only their ratios matter.
        of: ``probabilities``, or ``logits`` followed by a softmax. The logarithms of probabilities are the logits up to
            a number for each clip, which the softmax takes away again, so that both can be had from every scoring.
        names: what to call them in messages.
        common: keep the clips that all of them have, instead of refusing others.

    Returns:
        Scores in the order of clips and classes of the first, with the labels that any of them has.

    Raises:
        ValueError: they do not fit together (see `bonegraph.scores.align.align`), or the weights make no sense.

    Example:
        >>> joint = Scores(np.array(["a"]), ("sit", "stand"), np.array([[0.75, 0.25]]), np.array([0]))
        >>> bone = Scores(np.array(["a"]), ("sit", "stand"), np.array([[0.25, 0.75]]), np.array([0]))
        >>> fuse([joint, bone], weights=(3, 1)).probabilities.tolist()
        [[0.625, 0.375]]
    """
    aligned = align(scores, names, verb="fuse", common=common).scores
    shares = _shares(weights, len(aligned))
    mean = _combine([_rows(one, of) for one in aligned], shares)
    first = aligned[0]
    return Scores(first.ids, first.classes, _probabilities(mean, of).astype(np.float32), first.labels)


@dataclass(frozen=True)
class Search:
    """Weights that were chosen on a validation part.

    Attributes:
        weights: one for each scoring; they sum to 1.
        accuracy: top-1 with them on the validation clips.
        equal: top-1 with equal weights on the same clips.
        clips: how many labelled clips there were.
        tried: how many weights there were to choose from.
    """

    weights: tuple[float, ...]
    accuracy: float
    equal: float
    clips: int
    tried: int


def search_weights(
    validation: Sequence[Scores],
    fused: Sequence[Scores],
    *,
    step: float = 0.1,
    of: Of = "probabilities",
    names: Sequence[str] = (),
    common: bool = False,
) -> Search:
    """Find the weights with the best top-1 on validation clips, on a grid over all weights that sum to 1.

    Equal weights are always among them. Of equally good ones the most equal are taken, and of these the ones with more
    weight on the earlier scorings.

    Args:
        validation: one scoring for each stream, of the same validation clips.
        fused: what the weights are for. Weights chosen on these very clips would promise too much, so no clip of them
            may be among the validation clips.
        step: of the grid; 1 divided by it is a whole number.
        of: what is added, as in `fuse`.
        names: what to call the validation scores in messages.
        common: keep the clips that all of them have, instead of refusing others.

    Raises:
        ValueError: a clip is on both sides, no validation clip has a label, or the grid makes no sense.
    """
    later = set().union(*(one.ids.tolist() for one in fused))
    for name, one in zip(tuple(names) or map(str, range(len(validation))), validation, strict=True):
        both = sorted(later & set(one.ids.tolist()))
        if both:
            raise ValueError(
                f"cannot choose weights on '{name}': {len(both):,} of its clips are fused with them (first: "
                f"'{both[0]}'). Weights chosen on test clips make no honest figure; give scores of a validation part."
            )
    aligned = align(validation, names, verb="fuse", common=common).scores
    known = aligned[0].labelled
    labels = aligned[0].labels[known]
    if not len(labels):
        raise ValueError(f"choosing weights needs labelled clips, but 0 of {len(known)} validation clips have a label")
    rows = [_rows(one, of)[known] for one in aligned]

    def right(shares: npt.NDArray[np.float64]) -> int:
        return int((_combine(rows, shares).argmax(axis=1) == labels).sum())

    equal = right(_shares(None, len(rows)))
    best, weights, tried = -1, np.zeros(0), 0
    # from the most equal on, so that only a better one takes the place of an earlier one
    for candidate in _grid(len(rows), step):
        found, tried = right(candidate), tried + 1
        if found > best:
            best, weights = found, candidate
    return Search(tuple(weights.tolist()), best / len(labels), equal / len(labels), len(labels), tried)


def _grid(count: int, step: float) -> Iterator[npt.NDArray[np.float64]]:
    """Weights that sum to 1, the most equal first."""
    if not (math.isfinite(step) and 0 < step <= 1 and abs(1 / step - round(1 / step)) < 1e-6):
        raise ValueError(
            f"the step of the weights must be 1 divided by a whole number, such as 0.1 or 0.05; got {step}"
        )
    steps = round(1 / step)
    number = math.comb(steps + count - 1, count - 1)
    if number > _MOST_WEIGHTS:
        raise ValueError(
            f"a step of {step} gives {number:,} choices of {count} weights, at most {_MOST_WEIGHTS:,} are tried; "
            "take a larger step"
        )
    # Bars among stars: the gaps between the bars are the weights.
    bars = itertools.combinations(range(steps + count - 1), count - 1)
    points = [tuple(b - a - 1 for a, b in itertools.pairwise((-1, *bar, steps + count - 1))) for bar in bars]
    if steps % count:
        yield np.full(count, 1 / count)
    for point in sorted(points, key=lambda point: (sum(n * n for n in point), tuple(-n for n in point))):
        yield np.array(point) / steps


def _shares(weights: Sequence[float] | None, count: int) -> npt.NDArray[np.float64]:
    if weights is None:
        return np.full(count, 1 / count)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (count,):
        raise ValueError(f"{count} scores but {given.size} weights; give one weight for each.")
    if not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ValueError(
            f"weights must be 0 or more, and one of them above 0; got {', '.join(f'{w:g}' for w in given)}."
        )
    share: npt.NDArray[np.float64] = given / given.sum()
    return share


def _rows(scores: Scores, of: Of) -> npt.NDArray[np.float64]:
    rows = scores.probabilities.astype(np.float64)
    return rows if of == "probabilities" else np.log(np.maximum(rows, _LEAST))


def _combine(rows: Sequence[npt.NDArray[np.float64]], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = np.zeros_like(rows[0])
    for one, share in zip(rows, shares, strict=True):
        total += share * one
    return total


def _probabilities(mean: npt.NDArray[np.float64], of: Of) -> npt.NDArray[np.float64]:
    if of == "logits":
        mean = np.exp(mean - mean.max(axis=1, keepdims=True))
    total: npt.NDArray[np.float64] = mean / mean.sum(axis=1, keepdims=True)
    return total
