"""Splits are data: which values of one column of the index belong to which part.

``Split("camera", {"train": (1, 2), "test": (3,)})`` is the cross-view split of NW-UCLA. Because a clip has one value in
a column, no clip can be in two parts when no value is; a cross-subject split is a split over the column ``subject``, so
no subject can be in two parts either. Values that no part names are allowed, and their clips are unused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.skeleton import nearest

Value = int | str


@dataclass(frozen=True)
class Split:
    """Parts of a data set by the values of one column.

    Args:
        column: a column of the index, e.g. ``"subject"``.
        parts: for each part the values that belong to it, e.g. ``{"train": (1, 2), "test": (3,)}``.

    Raises:
        ValueError: a value is in two parts (a leak) or twice in one, or a part is empty.
    """

    column: str
    parts: dict[str, tuple[Value, ...]]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"the split over '{self.column}' has no parts; name at least one.")
        seen: dict[str, str] = {}
        for part, values in self.parts.items():
            if not values:
                raise ValueError(f"part '{part}' of the split over '{self.column}' has no values; name at least one.")
            for value in values:
                if isinstance(value, int) and not -(2**63) <= value < 2**63:
                    raise ValueError(f"part '{part}' of the split over '{self.column}' names a number beyond 64 bits.")
                # 3 and "3" are one value in index.csv.
                if (other := seen.setdefault(str(value), part)) != part:
                    raise ValueError(
                        f"the split over '{self.column}' leaks: value {value!r} is in '{other}' and in '{part}'; "
                        "keep it in one of them."
                    )
            if len({str(value) for value in values}) != len(values):
                raise ValueError(f"part '{part}' of the split over '{self.column}' names a value twice: {values}.")

    def clips(self, part: str, column: NDArray[Any]) -> NDArray[np.int64]:
        """Numbers of the clips that belong to a part, in order.

        Args:
            part: name of the part.
            column: (N,) the value of every clip in the split's column.

        Raises:
            ValueError: there is no such part; the message lists the choices.
        """
        if part not in self.parts:
            raise ValueError(f"the split over '{self.column}' has no part '{part}'{nearest(part, self.parts)}.")
        return np.flatnonzero(np.isin(column, np.array(self.parts[part], dtype=column.dtype.type)))

    def unused(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """Numbers of the clips that belong to no part, in order."""
        used = np.concatenate([self.clips(part, column) for part in self.parts])
        return np.setdiff1d(np.arange(len(column)), used)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"column": self.column, "parts": {part: list(values) for part, values in self.parts.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Split:
        """Inverse of `to_dict`.

        Raises:
            ValueError: a field is missing, or the split leaks.
        """
        try:
            column, parts = data["column"], dict(data["parts"])
        except (KeyError, TypeError, ValueError):
            raise ValueError('a split is {"column": name, "parts": {part: [values]}}; mend the entry.') from None
        if not isinstance(column, str) or not all(isinstance(values, list | tuple) for values in parts.values()):
            raise ValueError('a split is {"column": name, "parts": {part: [values]}}; mend the entry.')
        return cls(column, {str(part): tuple(values) for part, values in parts.items()})
