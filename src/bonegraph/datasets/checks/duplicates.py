"""Recordings that are in the set twice, to the digit or nearly, also where one of them was moved as a whole.

Every clip leaves a fingerprint of 36 numbers that depend on how its joints move, not on where. Clips that fall into one
cell of a coarse grid in any of six subspaces are candidates; of these, the ones with nearly equal fingerprints are read
again and compared, at equal moments and, for copies that were cut or thinned, each frame with every other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.clip import Clip, Track, read_clip
from bonegraph.datasets.checks.finding import Finding
from bonegraph.datasets.checks.looks import PEOPLE, Looks, sampled
from bonegraph.datasets.store import Store

NEAR = 0.03
"""Root mean square distance of the joints over the body size, about 13 mm; repetitions by one person are farther."""
_OF_MOTION = 0.15  # and at most this share of how far the joints move, for two people who stand still look alike
_FRAME = 0.005  # body sizes between two poses that are the same frame, about 2 mm; a sensor's noise is more
_SHARED = 0.8  # of the frames of the shorter clip are in the longer one
_SAME = 1e-5  # of the body size, for what differs in the last digits only
_TABLES, _DEEP = 6, 6  # subspaces and numbers in each, PRINT in all
_CELL = 0.2  # body sizes
_CROWD = 64  # neighbours that are looked at in a crowded cell
_MOMENTS = 48  # compared in two clips
_MOST = 50_000  # pairs that are read again, the nearest first

Ints = NDArray[np.int64]


def check_duplicates(store: Store, splits: tuple[str, ...], looks: Looks) -> list[Finding]:
    """Findings of the kind ``duplicate``, one for all copies of a recording.

    Args:
        store: the set.
        splits: between whose parts a duplicate is a leak, by name.
        looks: of its clips.
    """
    if len(looks.numbers) < 2:
        return []
    numbers = np.array(looks.numbers)
    copies = _Groups(len(store))
    worst: dict[int, float] = {}
    read = lru_cache(256)(partial(read_clip, store))
    for one, other in numbers[_candidates(looks)].tolist():
        if (distance := _distance(read(one), read(other))) is not None:
            copies.join(one, other)
            for clip in (one, other):
                worst[clip] = max(distance, worst.get(clip, 0.0))
    parts = {(split, part): store.part(split, part) for split in splits for part in store.splits[split].parts}
    return [_finding(store, parts, clips, max(worst[clip] for clip in clips)) for clips in copies.groups()]


def _distance(first: Clip, second: Clip) -> float | None:
    """How far apart two clips are, in body sizes; None if they are different recordings."""
    if len(first.people) != len(second.people):
        return None
    size = first.people[0].size
    # Both are put in the same place, and everyone of a clip by as much.
    centres = [clip.people[0].centre.mean(axis=0) for clip in (first, second)]
    pairs = list(zip(first.people[:PEOPLE], second.people[:PEOPLE], strict=True))
    gap = motion = 0.0
    for pair in pairs:
        a, b = (sampled(person, centre, _MOMENTS) for person, centre in zip(pair, centres, strict=True))
        gap += float(((a - b) ** 2).sum(axis=-1).mean()) / len(pairs)
        motion += float(((a - a.mean(axis=0)) ** 2).sum(axis=-1).mean()) / len(pairs)
    distance = float(np.sqrt(gap)) / size
    if distance <= _SAME or (distance <= NEAR and distance <= _OF_MOTION * float(np.sqrt(motion)) / size):
        return distance
    return None if first.frames == second.frames else _shared_frames(first.people[0], second.people[0])


def _shared_frames(one: Track, other: Track) -> float | None:
    """How far apart the frames of the shorter one are from the most similar ones of the longer; None if not shared."""
    tracks = sorted((one, other), key=lambda person: len(person.frames))
    short, long = (
        np.where(person.visible[..., None], person.positions - person.centre[:, None], 0)
        .reshape(len(person.frames), -1)
        .astype(np.float64)
        for person in tracks
    )
    squares = (short**2).sum(axis=1)[:, None] + (long**2).sum(axis=1) - 2 * short @ long.T
    nearest = np.sqrt(np.maximum(squares.min(axis=1), 0) / tracks[0].visible.shape[1]) / tracks[0].size
    shared = nearest <= _FRAME
    return float(nearest[shared].mean()) if shared.mean() >= _SHARED else None


def _finding(store: Store, parts: dict[tuple[str, str], Ints], clips: list[int], worst: float) -> Finding:
    ids = tuple(str(store.ids[clip]) for clip in clips)
    how = "are the same recording"
    if worst > _SAME:
        how = f"are nearly the same recording ({worst:.2%} of a body apart)"
    if len({int(store.frames[clip]) for clip in clips}) > 1:
        how += " at different lengths"
    named = " and ".join(f"'{name}'" for name in ids[:2]) + (f" and {len(ids) - 2} more" if len(ids) > 2 else "")
    wrong = []
    if len(labels := {int(store.labels[clip]) for clip in clips}) > 1:
        wrong.append("have different labels, " + " and ".join(f"'{store.classes[label]}'" for label in sorted(labels)))
    sides: dict[str, list[str]] = {}
    for (split, part), members in parts.items():
        if np.isin(clips, members).any():
            sides.setdefault(split, []).append(part)
    wrong += [f"are in {' and '.join(sides[split])} of '{split}'" for split in sides if len(sides[split]) > 1]
    message = f"{named} {how}" + (f"; they {' and '.join(wrong)}" if wrong else "") + "."
    return Finding("duplicate", "error" if wrong else "warning", message, ids)


def _candidates(looks: Looks) -> Ints:
    """(P, 2) pairs of rows with nearly equal fingerprints, the nearest first."""
    prints = looks.prints
    # A print is only about as far off as the recordings are, more if one was cut, and blind to the last digits.
    limit = (np.minimum(2 * NEAR, 3 * _OF_MOTION * looks.motions) + 10 * _SAME) ** 2
    keys = [np.empty(0, np.int64)]
    gaps = [np.empty(0, np.float32)]
    for table in range(_TABLES):
        own = prints[:, table * _DEEP : (table + 1) * _DEEP]
        cells = np.floor(own / _CELL).astype(np.int64)
        _, cell = np.unique(cells, axis=0, return_inverse=True)
        # Within a cell by the first number of another table, so that in a crowd the neighbours are the near ones.
        order = np.lexsort((prints[:, (table + 1) % _TABLES * _DEEP], cell.reshape(-1)))
        for one, other in _neighbours(cell.reshape(-1)[order]):
            a, b = order[one], order[other]
            gap = ((prints[a] - prints[b]) ** 2).mean(axis=1)
            near = gap <= np.minimum(limit[a], limit[b])
            low, high = np.minimum(a[near], b[near]), np.maximum(a[near], b[near])
            keys.append(low * len(prints) + high)
            gaps.append(gap[near])
    key, first = np.unique(np.concatenate(keys), return_index=True)
    nearest = np.argsort(np.concatenate(gaps)[first], kind="stable")[:_MOST]
    return np.stack(np.divmod(key[nearest], len(prints)), axis=1)


def _neighbours(cell: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of places in one cell, for cells in order, at most so many places apart."""
    for step in range(1, min(_CROWD, len(cell) - 1) + 1):
        same = np.flatnonzero(cell[step:] == cell[:-step])
        if not len(same):
            return
        yield same, same + step


class _Groups:
    """Clips that are copies of each other, also by way of a third."""

    def __init__(self, count: int) -> None:
        self._over = list(range(count))

    def _top(self, clip: int) -> int:
        while self._over[clip] != clip:
            self._over[clip] = self._over[self._over[clip]]
            clip = self._over[clip]
        return clip

    def join(self, one: int, other: int) -> None:
        self._over[self._top(other)] = self._top(one)

    def groups(self) -> list[list[int]]:
        members: dict[int, list[int]] = {}
        for clip in range(len(self._over)):
            members.setdefault(self._top(clip), []).append(clip)
        return [clips for clips in members.values() if len(clips) > 1]
