"""The assignment problem: match rows with columns so that the sum of the costs is least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Match every row with a column of its own (or every column with a row, if there are fewer), at the least cost.

    Shortest augmenting paths with potentials (Kuhn 1955, Munkres 1957, as Jonker and Volgenant 1987).

    Args:
        cost: (rows, columns), finite.

    Returns:
        min(rows, columns) pairs of row and column, by row.

    Raises:
        ValueError: a cost is not finite.
    """
    if not np.isfinite(cost).all():
        raise ValueError("costs must be finite.")
    if cost.shape[0] > cost.shape[1]:
        return sorted((row, column) for column, row in assign(cost.T))
    rows, columns = cost.shape
    high = np.zeros(rows + 1)  # potentials; the last row and column of each array stand for "none"
    low = np.zeros(columns + 1)
    row_of = np.full(columns + 1, -1)
    for row in range(rows):
        row_of[columns] = row
        column = columns
        least = np.full(columns, np.inf)
        before = np.full(columns, columns)
        used = np.zeros(columns + 1, bool)
        while row_of[column] != -1:
            used[column] = True
            here = row_of[column]
            slack = cost[here] - high[here] - low[:columns]
            better = ~used[:columns] & (slack < least)
            least[better], before[better] = slack[better], column
            free = np.where(used[:columns], np.inf, least)
            following = int(free.argmin())
            step = free[following]
            high[row_of[used]] += step
            low[used] -= step
            least[~used[:columns]] -= step
            column = following
        while column != columns:
            row_of[column] = row_of[before[column]]
            column = int(before[column])
    return sorted((int(row_of[column]), column) for column in range(columns) if row_of[column] != -1)
