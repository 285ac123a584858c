"""Rows of other code: probabilities, rounded probabilities, or logits? Nothing in such files says which."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bonegraph.scores.checks import SUM_TOLERANCE

_ROUNDED = 0.05  # how far the sum of a row of rounded probabilities may be from 1


def as_probabilities(
    rows: npt.NDArray[np.float64], ids: npt.NDArray[np.str_]
) -> tuple[npt.NDArray[np.float64], str | None]:
    """Probabilities from numbers of which nobody said what they are.

    Rows that sum to 1 without a negative number are probabilities, also where they were rounded; anything else is taken
    for logits, and the softmax is applied. One file holds one kind of rows.

    Args:
        rows: (N, K).
        ids: (N,) clip ids, for messages.

    Returns:
        (N, K) rows that sum to 1, and what was done to them, None if nothing was.

    Raises:
        ValueError: a number is not finite, the rows are of both kinds, or they are percentages.
    """
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(f"the scores of clip {str(ids[bad.argmax()])!r} are not all finite numbers")
    with np.errstate(over="ignore"):  # sums of absurdly large numbers are not near 1 either
        sums = rows.sum(axis=1)
        logits = np.exp(rows - rows.max(axis=1, keepdims=True))
    near = np.asarray((rows >= 0).all(axis=1) & (np.abs(sums - 1) <= _ROUNDED))
    if near.all():
        if (np.abs(sums - 1) <= SUM_TOLERANCE).all():
            return rows, None
        return rows / sums[:, None], "rounded probabilities, made to sum to 1"
    if 2 * near.sum() > len(rows):
        row = int((~near).argmax())
        problem = f"sums to {sums[row]:.4g}" if (rows[row] >= 0).all() else "has a negative number"
        raise ValueError(f"most rows are probabilities, but that of clip {str(ids[row])!r} {problem}")
    if (rows >= 0).all() and (np.abs(sums / 100 - 1) <= _ROUNDED).all():
        raise ValueError("the rows sum to 100, so they are percentages; divide them by 100")
    return logits / logits.sum(axis=1, keepdims=True), "taken for logits, softmax applied"
