"""Several scorings side by side: clips joined by id, classes by name, labels from whichever has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bonegraph.scores.by_id import Scores
from bonegraph.scores.checks import UNKNOWN

_ADVICE = {"fuse": "Score both streams on the same split.", "compare": "Score both runs on the same split."}


class Aligned(NamedTuple):
    """Scorings that agree in everything but the probabilities.

    Attributes:
        scores: each with the same clips, classes and labels, row for row and column for column.
        notes: what had to be done for it, a sentence each.
    """

    scores: tuple[Scores, ...]
    notes: tuple[str, ...]


def numbered(count: int) -> tuple[str, ...]:
    """Class names of scores that came without any: "0", "1", and so on."""
    return tuple(map(str, range(count)))


def align(scores: Sequence[Scores], names: Sequence[str] = (), *, verb: str = "fuse", common: bool = False) -> Aligned:
    """Bring scorings of the same clips to the same order of clips and classes: those of the first.

    Classes that are merely numbered (see `numbered`) are taken for those of the others, by position.

    Args:
        scores: at least one.
        names: what to call them in messages; default their numbers.
        verb: what they are aligned for, ``fuse`` or ``compare``, in messages.
        common: keep the clips that all of them have, instead of refusing others.

    Raises:
        ValueError: classes, clips or labels disagree, or no clip is left.
    """
    if not scores:
        raise ValueError(f"cannot {verb} 0 scores; give at least 1")
    names = tuple(names) or numbered(len(scores))
    notes: list[str] = []
    same_classes = _same_classes(scores, names, verb, notes)
    same_clips = _same_clips(same_classes, names, verb, common, notes)
    return Aligned(_same_labels(same_clips, names, verb), tuple(notes))


def _same_classes(scores: Sequence[Scores], names: Sequence[str], verb: str, notes: list[str]) -> list[Scores]:
    leader = next((at for at, one in enumerate(scores) if one.classes != numbered(len(one.classes))), 0)
    classes = scores[leader].classes
    result = []
    for name, one in zip(names, scores, strict=True):
        pair = f"cannot {verb} '{names[leader]}' with '{name}'"
        if len(one.classes) != len(classes):
            raise ValueError(f"{pair}: {len(classes)} classes in one and {len(one.classes)} in the other.")
        if one.classes == classes:
            result.append(one)
        elif one.classes == numbered(len(classes)):
            notes.append(f"'{name}' has no class names; its classes are taken to be in the order of '{names[leader]}'.")
            result.append(Scores(one.ids, classes, one.probabilities, one.labels))
        else:
            odd = sorted(set(classes) ^ set(one.classes))
            if odd:
                raise ValueError(f"{pair}: {_are(odd, 'class', 'classes')} in only one of them (first: '{odd[0]}').")
            notes.append(f"the classes of '{name}' are put in the order of '{names[leader]}'.")
            result.append(_reordered(one, classes))
    return result


def _reordered(scores: Scores, classes: tuple[str, ...]) -> Scores:
    column = {name: at for at, name in enumerate(scores.classes)}
    order = np.array([column[name] for name in classes])
    place = np.full(len(classes) + 1, UNKNOWN)  # one more, which the label -1 finds
    place[order] = np.arange(len(classes))
    return Scores(scores.ids, classes, scores.probabilities[:, order], place[scores.labels])


def _same_clips(
    scores: list[Scores], names: Sequence[str], verb: str, common: bool, notes: list[str]
) -> tuple[Scores, ...]:
    first = scores[0].ids.tolist()
    kept = set(first)
    for name, one in zip(names[1:], scores[1:], strict=True):
        there = set(one.ids.tolist())
        odd = sorted(set(first) ^ there)
        if odd and not common:
            raise ValueError(
                f"cannot {verb} '{names[0]}' with '{name}': {_are(odd, 'clip', 'clips')} in only one of them (first: "
                f"'{odd[0]}'). {_ADVICE[verb]}"
            )
        kept &= there
    every = set().union(*(one.ids.tolist() for one in scores))
    if not kept:
        raise ValueError(f"cannot {verb} {_listed(names)}: no clip is in all of them. {_ADVICE[verb]}")
    if len(kept) < len(every):
        notes.append(f"{len(kept):,} of {len(every):,} clips are in all of them; the others are left out.")
    ids = np.array([clip for clip in first if clip in kept], dtype=np.str_)
    return tuple(one if np.array_equal(one.ids, ids) else one.take(ids) for one in scores)


def _same_labels(scores: tuple[Scores, ...], names: Sequence[str], verb: str) -> tuple[Scores, ...]:
    labels, source = scores[0].labels.copy(), np.zeros(len(scores[0]), np.int64)
    for at, one in enumerate(scores):
        differs = (labels != one.labels) & (labels != UNKNOWN) & one.labelled
        if differs.any():
            clip = int(differs.argmax())
            raise ValueError(
                f"cannot {verb} '{names[source[clip]]}' with '{names[at]}': clip '{one.ids[clip]}' is "
                f"'{one.classes[labels[clip]]}' in one and '{one.classes[one.labels[clip]]}' in the other. "
                "One of them has wrong labels or an other order of classes."
            )
        new = (labels == UNKNOWN) & one.labelled
        labels[new], source[new] = one.labels[new], at
    return tuple(Scores(one.ids, one.classes, one.probabilities, labels) for one in scores)


def _are(items: Sequence[str], one: str, many: str) -> str:
    return f"1 {one} is" if len(items) == 1 else f"{len(items):,} {many} are"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:-1]) + f" and '{names[-1]}'" if len(names) > 1 else f"'{names[0]}'"
