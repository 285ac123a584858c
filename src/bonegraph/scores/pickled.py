"""Score pickles of other code.

==========================================================  ===========================================================
``{clip name: K numbers}``                                  ST-GCN, 2s-AGCN, MS-G3D (logits), CTR-GCN (logits)
a list of K numbers for each clip, or an array (N, K)       PYSKL (probabilities); names nothing
a list of ``{"pred_score": K numbers, "gt_label": ...}``    MMAction2 (probabilities); names nothing
==========================================================  ===========================================================

CTR-GCN names its clips ``test_0``, ``test_1``, ...: these are places in a list, not ids.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bonegraph.scores.align import numbered
from bonegraph.scores.by_id import Scores
from bonegraph.scores.checks import UNKNOWN
from bonegraph.scores.logits import as_probabilities
from bonegraph.scores.order import ClipOrder, plain_name

_PLACE = re.compile(r"(?:train|test|val)_(\d{1,9})")


def scores_of_pickle(content: Any, order: ClipOrder | None) -> tuple[Scores, list[str]]:
    """Scores from the content of a pickle.

    Args:
        content: of one of the forms above.
        order: of the clips, for content without their ids; where it has labels, they are kept.

    Returns:
        Scores with merely numbered classes, and notes on what was assumed.

    Raises:
        ValueError: it is of no such form, or needs an order, or one of another length.
    """
    notes = []
    labels: npt.NDArray[np.int64] | None = None
    if isinstance(content, Mapping):
        ids, rows = _named(content)
        places = [_PLACE.fullmatch(name) for name in ids.tolist()]
        if all(places):
            numbers = np.array([int(place.group(1)) for place in places if place])
            if order is None:
                notes.append(f"its clips are called {ids[0]} and so on, by their place; give their ids with --ids.")
            elif len(order.ids) != len(ids) or sorted(numbers.tolist()) != list(range(len(ids))):
                raise ValueError(_other_length(len(ids), order))
            else:
                ids = order.ids[numbers]
    else:
        given = _listed(content)
        if given is None:
            raise ValueError(
                "no scores: neither {clip name: numbers}, nor a list of numbers or of {'pred_score': numbers} for each "
                "clip."
            )
        rows, labels = given
        if order is None:
            raise ValueError("it has no clip ids; give them with --ids FILE, in the order of the annotations.")
        if len(order.ids) != len(rows):
            raise ValueError(_other_length(len(rows), order))
        ids = order.ids
    probabilities, note = as_probabilities(rows, ids)
    if note:
        notes.insert(0, f"{note}.")
    if order is not None:
        labels = _agreeing(ids, labels, order.label_of(ids))
    unknown = np.full(len(ids), UNKNOWN)
    scores = Scores(
        ids, numbered(rows.shape[1]), probabilities.astype(np.float32), unknown if labels is None else labels
    )
    return scores, notes


def _named(content: Mapping[Any, Any]) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float64]]:
    names = [plain_name(name) if isinstance(name, str) else "" for name in content]
    if "" in names:
        raise ValueError(f"clip names must be text, got {list(content)[names.index('')]!r}.")
    return np.array(names, dtype=np.str_), _stacked(list(content.values()), names)


def _listed(content: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64] | None] | None:
    """Rows of a list, and labels if it has them; None if it is something else."""
    if isinstance(content, np.ndarray) and content.ndim == 2:
        content = list(content)
    if not isinstance(content, list | tuple) or not content:
        return None
    names = [f"number {at}" for at in range(len(content))]
    if not all(isinstance(one, Mapping) for one in content):
        return _stacked(content, names), None
    rows = [one.get("pred_score", one.get("pred_scores")) for one in content]
    # early versions of MMAction2 wrap the numbers once more
    rows = [next(iter(row.values())) if isinstance(row, Mapping) and len(row) == 1 else row for row in rows]
    if any(row is None for row in rows):
        return None
    given = [np.asarray(one.get("gt_label", UNKNOWN)).reshape(-1) for one in content]
    single = all(label.size == 1 and label.dtype.kind in "iu" for label in given)
    return _stacked(rows, names), np.concatenate(given).astype(np.int64) if single else None


def _stacked(rows: Sequence[Any], names: Sequence[str]) -> npt.NDArray[np.float64]:
    """(N, K) from N rows of K numbers, each of which may have leading axes of length 1."""
    if not rows:
        raise ValueError("it holds no clips.")
    arrays: list[npt.NDArray[np.float64]] = []
    for name, row in zip(names, rows, strict=True):
        try:
            array = np.asarray(row)
        except (ValueError, TypeError, RuntimeError):  # a ragged list, or something that only looks like an array
            array = np.empty(0, dtype=object)
        if array.dtype.kind not in "fiu" or array.ndim == 0 or array.size != array.shape[-1] or not array.size:
            raise ValueError(f"the scores of clip {name!r} are no row of numbers.")
        arrays.append(array.reshape(-1).astype(np.float64))
        if len(arrays[-1]) != len(arrays[0]):
            raise ValueError(
                f"clip {name!r} has {len(arrays[-1])} scores, but clip {names[0]!r} has {len(arrays[0])}; one for each "
                "class is needed."
            )
    return np.stack(arrays)


def _agreeing(
    ids: npt.NDArray[np.str_], labels: npt.NDArray[np.int64] | None, listed: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """The labels that the scores and the list of clips know together: if they differ, the list is in another order."""
    if labels is None:
        return listed
    differs = (labels != listed) & (labels != UNKNOWN) & (listed != UNKNOWN)
    if differs.any():
        at = int(differs.argmax())
        raise ValueError(
            f"clip {str(ids[at])!r} has label {labels[at]} in the scores and {listed[at]} in the list of ids; the list "
            "is in another order."
        )
    return np.where(labels == UNKNOWN, listed, labels)


def _other_length(count: int, order: ClipOrder) -> str:
    listed = f"{len(order.ids):,}"
    return f"it has {count:,} clips, but the list of ids has {listed}; give the list of the clips that were scored."
