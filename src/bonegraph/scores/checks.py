"""What every scoring is checked for: text as names, each once; rows that are probabilities; labels in range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

UNKNOWN = -1
"""The label of a clip whose true class is not known."""

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a clip may be from summing to 1."""


LONGEST_NAME = 1000
"""Characters of an id or a class name. Names lie in an array as wide as the longest."""


def refuse_long(names: Sequence[str], what: str) -> None:
    """See that no name makes the array of all names large.

    Raises:
        ValueError: one is too long.
    """
    if (longest := max(map(len, names), default=0)) > LONGEST_NAME:
        raise ValueError(f"one of the {what} has {longest:,} characters, but {LONGEST_NAME:,} are the most")


def as_names(values: npt.ArrayLike, what: str) -> npt.NDArray[np.str_]:
    """Fixed-width unicode, one axis; numbers are refused because 7 and "7" would silently become one id."""
    if isinstance(values, list | tuple):
        refuse_long([value for value in values if isinstance(value, str)], what)
    names = np.asarray(values)
    if names.dtype.kind == "U" and names.itemsize > 4 * LONGEST_NAME:
        refuse_long(names.reshape(-1).tolist(), what)
    if names.ndim != 1:
        raise ValueError(f"{what} must have 1 axis, got {names.ndim}")
    # "U" is fixed-width text, "T" numpy's variable-width text, "O" a list of Python objects
    is_text = names.dtype.kind in "UT" or (names.dtype.kind == "O" and all(isinstance(name, str) for name in names))
    if names.size and not is_text:
        raise ValueError(f"{what} must be text, got {names.dtype}")
    return names.astype(np.str_)


def refuse_duplicates(names: npt.NDArray[np.str_], what: str) -> None:
    """See that each name comes once."""
    values, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        at = int((counts > 1).argmax())
        raise ValueError(f"each {what} may come once, but {str(values[at])!r} comes {counts[at]} times")


def checked_probabilities(values: npt.ArrayLike, ids: npt.NDArray[np.str_], classes: int) -> npt.NDArray[np.float32]:
    """(N, K) as float32: finite, not negative, each row summing to 1."""
    given = np.asarray(values)
    if given.shape != (len(ids), classes):
        raise ValueError(f"probabilities have shape {given.shape}, but {len(ids)} clips and {classes} classes need "
                         f"{(len(ids), classes)}")  # fmt: skip
    if given.dtype.kind not in "fiu":
        raise ValueError(f"probabilities must be real numbers, got {given.dtype}")
    bad = ~np.isfinite(given)
    if bad.any():
        row, column = (int(at[0]) for at in np.nonzero(bad))
        raise ValueError(
            f"probabilities must be finite, but clip {str(ids[row])!r} has {given[row, column]} for class {column}"
        )
    if (given < 0).any():
        row, column = (int(at[0]) for at in np.nonzero(given < 0))
        raise ValueError(
            f"probabilities must be 0 or more, but clip {str(ids[row])!r} has {given[row, column]:.4g} "
            f"for class {column}; apply softmax to logits first"
        )
    sums = given.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if off.any():
        row = int(off.argmax())
        raise ValueError(
            f"the probabilities of clip {str(ids[row])!r} sum to {sums[row]:.4f}, not to 1 within {SUM_TOLERANCE}; "
            "apply softmax to logits first"
        )
    return given.astype(np.float32)


def checked_labels(values: npt.ArrayLike, ids: npt.NDArray[np.str_], classes: int) -> npt.NDArray[np.int64]:
    """(N,) as int64, in [0, K) or unknown."""
    given = np.asarray(values)
    if given.shape != ids.shape:
        raise ValueError(f"labels have shape {given.shape}, but {len(ids)} clips need {ids.shape}")
    if given.size and given.dtype.kind not in "iu":
        raise ValueError(f"labels must be whole numbers, got {given.dtype}")
    bad = (given < UNKNOWN) | (given >= classes)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"clip {str(ids[row])!r} has label {given[row]}, but {classes} classes allow 0 to {classes - 1} "
            "(-1 for unknown)"
        )
    return given.astype(np.int64)
