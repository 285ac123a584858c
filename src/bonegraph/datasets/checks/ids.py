"""Numbers in the ids that say the same as a label or a fact, for most clips; where they differ, one of them is wrong.

``S001C002P003R001A004`` holds the numbers 1, 2, 3, 1, 4. If the fifth goes with the label for most clips of the set,
the few clips in which it does not are suspicious.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.finding import Finding
from bonegraph.datasets.checks.splits import IDENTITIES
from bonegraph.datasets.store import Store

_MOST = 0.6  # of the clips agree, or the number means something else
_FEWEST = 8  # clips


def check_ids(store: Store, clips: NDArray[np.int64]) -> list[Finding]:
    """Findings of the kind ``id-mismatch``."""
    shapes = [re.sub(r"\d+", "#", name) for name in store.ids[clips].tolist()]
    shape, count = Counter(shapes).most_common(1)[0]
    if count < max(_FEWEST, len(clips) / 2) or "#" not in shape:
        return []
    clips = clips[np.array([own == shape for own in shapes])]
    fields = np.array(
        [[int(digits[-18:]) for digits in re.findall(r"\d+", name)] for name in store.ids[clips].tolist()]
    )
    letters = shape.split("#")
    findings = []
    # Other columns may differ from an id on purpose (a number of 0 for clips that a protocol leaves out).
    facts = {name: store.columns[name] for names in IDENTITIES.values() for name in names if name in store.columns}
    for name, values in {"label": store.labels, **facts}.items():
        best = max(range(fields.shape[1]), key=lambda field: _agreement(fields[:, field], values[clips]))
        if _agreement(fields[:, best], values[clips]) >= _MOST:
            place = f"number after '{letters[best]}'" if letters[best] else f"number {best + 1}"
            findings += _disagreements(store, clips, name, values[clips], fields[:, best], place)
    return findings


def _meaning(field: NDArray[np.int64], values: NDArray[Any]) -> dict[int, Any]:
    """The most frequent value for each number."""
    meaning = {}
    for number in np.unique(field).tolist():
        found, counts = np.unique(values[field == number], return_counts=True)
        meaning[number] = found[counts.argmax()].item()
    return meaning


def _agreement(field: NDArray[np.int64], values: NDArray[Any]) -> float:
    """Share of clips whose value is the usual one for their number; 0 if the numbers do not stand for the values."""
    kinds, numbers = len(np.unique(values)), len(np.unique(field))
    if numbers < 2 or kinds < 2 or numbers > 1000:
        return 0.0
    meaning = _meaning(field, values)
    if len(set(map(str, meaning.values()))) < max(2, numbers):  # two numbers would stand for one value
        return 0.0
    return float(
        np.mean([meaning[number] == value for number, value in zip(field.tolist(), values.tolist(), strict=True)])
    )


def _disagreements(
    store: Store, clips: NDArray[np.int64], name: str, values: NDArray[Any], field: NDArray[np.int64], place: str
) -> list[Finding]:
    meaning = _meaning(field, values)

    def said(value: Any) -> str:
        return f"'{store.classes[value]}'" if name == "label" else str(value)

    wrong = np.flatnonzero(
        [meaning[number] != value for number, value in zip(field.tolist(), values.tolist(), strict=True)]
    )
    if len(wrong):
        one = int(wrong[0])
        number = int(field[one])
        message = (
            f"{len(wrong)} of {len(clips)} clips have another {name} than their ids say: {said(values[one])} in "
            f"'{store.ids[clips[one]]}', where the {place} is {number}, which elsewhere is {said(meaning[number])}."
        )
        return [Finding("id-mismatch", "error", message, tuple(store.ids[clips[wrong]].tolist()))]
    count = len(store.classes)
    for first in (0, 1):
        if name == "label" and list(meaning) == list(range(first, first + count)):
            shifts = {(meaning[number] - (number - first)) % count for number in meaning}
            if len(shifts) == 1 and (shift := shifts.pop()):
                message = (
                    f"the {place} counts the {count} classes from {first}, but every label is {shift} further on than "
                    f"it says: '{store.ids[clips[0]]}' is {said(values[0])}."
                )
                return [Finding("id-mismatch", "error", message, ())]
    return []
