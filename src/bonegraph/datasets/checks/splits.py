"""Splits: people on two sides, classes that a part lacks, classes of very different size."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.finding import Finding
from bonegraph.datasets.store import Store

Ints = NDArray[np.int64]

UNEQUAL = 10
"""Times as many clips in the largest class as in the smallest."""

IDENTITIES = {"subject": ("subject", "performer", "person", "actor"), "camera": ("camera", "view"), "setup": ("setup",)}
"""What a split may keep apart, and the columns that hold it."""

# What a split of such a name promises to keep apart.
_PROMISES = {
    "subject": re.compile(r"(x|cross)[-_ ]?sub|subject|person|performer|actor|odd[-_ ]?even|loso|^xboth"),
    "camera": re.compile(r"(x|cross)[-_ ]?view|(x|cross)[-_ ]?cam|^xboth"),
    "setup": re.compile(r"(x|cross)[-_ ]?set"),
}


def check_splits(store: Store, splits: tuple[str, ...]) -> list[Finding]:
    """Findings of the kinds ``leak`` (error or note), ``part`` and ``classes``."""
    findings = []
    for name in splits:
        parts = {part: store.part(name, part) for part in store.splits[name].parts}
        for part, clips in parts.items():
            if not len(clips):
                findings.append(Finding("part", "warning", f"part '{part}' of '{name}' has no clips."))
        for what, columns in IDENTITIES.items():
            for column in columns:
                if column in store.columns:
                    findings += _overlap(store, name, parts, what, column)
        findings += _missing(store, name, parts)
    return findings + _unequal(store)


def _overlap(store: Store, name: str, parts: dict[str, Ints], what: str, column: str) -> list[Finding]:
    """Values of a column that are on more than one side.

    A promise is about what a model is tested on; validation clips are often of people who also train.
    """
    facts = store.column(column)
    promised = bool(_PROMISES[what].search(name.lower()))
    findings = []
    for one, other in combinations(parts, 2):
        both = np.intersect1d(facts[parts[one]], facts[parts[other]])
        if not len(both):
            continue
        listed = ", ".join(map(str, both[:8].tolist())) + (f" and {len(both) - 8} more" if len(both) > 8 else "")
        message = f"'{name}' has {column} {listed} in both '{one}' and '{other}'"
        if promised and {one, other} != {"train", "val"}:
            clips = np.concatenate([parts[one], parts[other]])
            clips = np.sort(clips[np.isin(facts[clips], both)])
            findings.append(Finding("leak", "error", f"{message}, against its name.", tuple(store.ids[clips].tolist())))
        else:
            findings.append(Finding("leak", "note", f"{message}; it is not meant to keep them apart."))
    return findings


def _missing(store: Store, name: str, parts: dict[str, Ints]) -> list[Finding]:
    """Classes that are asked for and were never shown."""
    held = {part: set(store.labels[clips].tolist()) for part, clips in parts.items() if len(clips)}
    findings = []
    every = set().union(*held.values()) if held else set()
    for part, labels in held.items():
        if missing := sorted(every - labels):
            listed = ", ".join(f"'{store.classes[label]}'" for label in missing[:5]) + (
                ", ..." if len(missing) > 5 else ""
            )
            message = (
                f"part '{part}' of '{name}' has no clip of {len(missing)} classes that other parts have: {listed}."
            )
            findings.append(Finding("part", "warning", message))
    return findings


def _unequal(store: Store) -> list[Finding]:
    counts = np.bincount(store.labels, minlength=len(store.classes))
    findings = []
    if len(empty := np.flatnonzero(counts == 0)):
        listed = ", ".join(f"'{store.classes[label]}'" for label in empty[:5]) + (", ..." if len(empty) > 5 else "")
        findings.append(Finding("classes", "warning", f"{len(empty)} classes have no clip at all: {listed}."))
    counts = np.where(counts > 0, counts, counts.max())
    low, high = int(counts.argmin()), int(counts.argmax())
    if counts[high] > UNEQUAL * counts[low]:
        message = (
            f"'{store.classes[high]}' has {counts[high]:,} clips and '{store.classes[low]}' {counts[low]:,}; look at "
            "the mean class accuracy too."
        )
        findings.append(Finding("classes", "warning", message))
    return findings
