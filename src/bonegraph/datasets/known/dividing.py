"""Splits of recordings that come without one: by subject where subjects are known, else by chance."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import replace

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.splits import Split

PARTS = ("train", "val", "test")
BY_SUBJECT, BY_CHANCE = "xsub", "random"
"""Names of the splits."""

_TESTED = 0.2
"""This part of the subjects (or of the clips of each class) is tested on, and as much validated on."""


def divided(sources: list[Source], splits: dict[str, Split], seed: int = 0) -> tuple[list[Source], dict[str, Split]]:
    """Clips and splits, with one by the column ``subject`` if there is one, or by chance if there is none at all.

    Args:
        sources: the clips, at least one, all with the same facts.
        splits: that are known already.
        seed: of the split by chance, in which a clip's part is a function of the seed and its id among its class.

    Returns:
        The clips, perhaps with a further fact ``random``, and the splits, perhaps with a further one.
    """
    splits = dict(splits)
    if "subject" in sources[0].facts and BY_SUBJECT not in splits:
        there = {source.facts["subject"] for source in sources if not source.refused} - {""}
        subjects = sorted(there, key=lambda one: (one, "") if isinstance(one, int) else (0, one))
        if len(subjects) > 1:
            splits[BY_SUBJECT] = _by_subject(tuple(subjects))
    if not splits and BY_CHANCE not in sources[0].facts:
        parts = _by_chance(sources, seed)
        sources = [replace(source, facts={**source.facts, BY_CHANCE: parts[source.id]}) for source in sources]
        if taken := [part for part in PARTS if part in parts.values()]:
            splits[BY_CHANCE] = Split(BY_CHANCE, {part: (part,) for part in taken})
    return sources, splits


def _by_subject(subjects: tuple[int | str, ...]) -> Split:
    """The last of the subjects are tested on, those before them validated on, if there are at least three."""
    held = max(1, round(_TESTED * len(subjects)))
    parts = {"train": subjects[: -2 * held], "val": subjects[-2 * held : -held], "test": subjects[-held:]}
    if len(subjects) < 3:
        parts = {"train": subjects[:1], "test": subjects[1:]}
    return Split("subject", parts)


def _by_chance(sources: list[Source], seed: int) -> dict[str, str]:
    """A part for every clip by its id: of each class a fifth is test, a fifth val, at least one of 3."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for source in sources:
        if not source.refused:
            by_class[source.label].append(source.id)
    parts = {source.id: "none" for source in sources}
    for clips in by_class.values():
        clips.sort(key=lambda clip: hashlib.sha256(f"{seed} {clip}".encode()).digest())
        held = max(1, round(_TESTED * len(clips))) if len(clips) > 1 else 0
        for number, clip in enumerate(clips):
            is_val = held <= number < 2 * held and len(clips) > 2
            parts[clip] = "test" if number < held else "val" if is_val else "train"
    return parts
