"""Labels that are systematically wrong for some of the clips, seen from what the clips look like.

For every group of clips (a subject, a camera, a part of a split), each of its clips is given the class of the nearest
mean of the other groups (linear discriminant analysis of the looks). That is right for most clips of most sets, and
need not be: what is looked for is a group in which *shifted* labels fit about as well as labels fit elsewhere, while
the given ones do not; and a class that in this group looks like one other class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.checks.clip import Floats
from bonegraph.datasets.checks.finding import Finding
from bonegraph.datasets.checks.looks import Looks
from bonegraph.datasets.store import Store

_SHRINK = 0.1  # of the covariance towards a sphere
_FEWEST = 8  # clips that a wrong rule must explain
_WORSE = 3.0  # times as many clips as the given labels
_AS_USUAL = 0.6  # of the share that labels explain elsewhere
_CLEAR = 0.6  # of a class's clips look like one other class ...
_RARE = 0.2  # ... and so few of them as their own, or of the other groups' as that one
_MOST_VALUES = 500  # of a column that makes groups
_FOLDS = 4

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Group:
    """Clips that may be wrong together."""

    name: str
    members: NDArray[np.bool_]


def check_labels(store: Store, splits: tuple[str, ...], looks: Looks) -> list[Finding]:
    """Findings of the kinds ``label-shift`` and ``label-class``.

    Args:
        store: the set.
        splits: whose parts are groups, by name.
        looks: of its clips.
    """
    if len(looks.numbers) < 2 * _FEWEST or len(store.classes) < 2:
        return []
    return _Labels(store, splits, looks).findings()


class _Labels:
    def __init__(self, store: Store, splits: tuple[str, ...], looks: Looks) -> None:
        self._store, self._splits = store, splits
        self._numbers = np.array(looks.numbers)
        self._space = _Space(looks.views, store.labels[self._numbers], len(store.classes))

    def findings(self) -> list[Finding]:
        groups = list(self._groups())
        trusted = np.ones(len(self._numbers), np.bool_)
        findings = []
        # A wrong group makes others that share clips with it look wrong: take out the worst one and look again.
        while groups:
            shifts = [(self._shift(group, trusted), group) for group in groups]
            (explained, shift), group = max(shifts, key=lambda found: found[0][0])
            if not explained:
                break
            findings.append(self._shifted(group, shift, explained, trusted))
            trusted &= ~group.members
            groups = [other for other in groups if (other.members & trusted).sum() >= _FEWEST]
        for group in groups:
            findings += self._classes(group, trusted)
        return findings

    def _groups(self) -> Iterator[_Group]:
        """Groups of at most half of the clips, for of two halves nobody knows which one is right."""
        known: set[bytes] = set()

        def fit(members: NDArray[np.bool_]) -> bool:
            new = (key := np.packbits(members).tobytes()) not in known
            known.add(key)
            return new and _FEWEST <= members.sum() <= len(members) / 2

        for name in self._store.columns:
            column = self._store.column(name)[self._numbers]
            values = np.unique(column)
            if 2 <= len(values) <= _MOST_VALUES:
                for value in values.tolist():
                    if fit(members := column == value):
                        yield _Group(f"{name} {value}", members)
        for split in self._splits:
            for part in self._store.splits[split].parts:
                if fit(members := np.isin(self._numbers, self._store.part(split, part))):
                    yield _Group(f"part '{part}' of '{split}'", members)

    def _shift(self, group: _Group, trusted: NDArray[np.bool_]) -> tuple[int, int]:
        """How many clips of a group a shift of the labels explains, and the shift; 0 if the labels are fine."""
        space, members = self._space, group.members & trusted
        if (trusted & ~members).sum() < _FEWEST:
            return 0, 0
        guess = space.guess(members, trusted & ~members)
        ahead = np.bincount((guess - space.labels[members]) % space.classes, minlength=space.classes)
        shift = int(ahead[1:].argmax()) + 1
        count, right, share = int(ahead[shift]), int(ahead[0]), ahead[shift] / members.sum()
        if count < _FEWEST or count <= _WORSE * right:
            return 0, 0
        usual = space.usual(trusted & ~members)
        if share < _AS_USUAL * usual or share < _WORSE / space.classes:
            return 0, 0
        return count, shift

    def _shifted(self, group: _Group, shift: int, explained: int, trusted: NDArray[np.bool_]) -> Finding:
        members = np.flatnonzero(group.members & trusted)
        names, labels = self._store.classes, self._space.labels[members]
        one = int(np.bincount(labels).argmax())
        by = shift - len(names) if shift > len(names) / 2 else shift
        message = (
            f"the labels of {group.name} look shifted: {explained} of {len(members)} clips look like the class whose "
            f"number is {abs(by)} {'higher' if by > 0 else 'lower'}, e.g. '{names[one]}' like "
            f"'{names[(one + shift) % len(names)]}'."
        )
        return Finding("label-shift", "error", message, self._ids(members))

    def _classes(self, group: _Group, trusted: NDArray[np.bool_]) -> list[Finding]:
        """Classes of a group that look like one other class there, and only there."""
        space, members = self._space, group.members & trusted
        if (trusted & ~members).sum() < _FEWEST:
            return []
        guess, labels = space.guess(members, trusted & ~members), space.labels[members]
        confusion = np.zeros((space.classes, space.classes), np.int64)
        np.add.at(confusion, (labels, guess), 1)
        clips = confusion.sum(axis=1)
        like = np.where(np.eye(space.classes, dtype=np.bool_), -1, confusion).argmax(axis=1)
        share = confusion[np.arange(space.classes), like] / np.maximum(clips, 1)
        own = confusion.diagonal() / np.maximum(clips, 1)
        suspects = np.flatnonzero((clips >= _FEWEST) & (share >= _CLEAR) & (own <= _RARE))
        if not len(suspects):
            return []
        elsewhere = space.confusion(trusted & ~members)
        elsewhere = elsewhere / np.maximum(elsewhere.sum(axis=1, keepdims=True), 1)
        names, found = self._store.classes, []
        for label in suspects.tolist():
            other = int(like[label])
            if elsewhere[label, other] > _RARE or elsewhere[label, label] < 0.5:
                continue  # the two look alike everywhere
            wrong = np.flatnonzero(members)[(labels == label) & (guess == other)]
            message = (
                f"in {group.name}, {len(wrong)} of {clips[label]} clips of '{names[label]}' look like '{names[other]}' "
                "elsewhere."
            )
            found.append(Finding("label-class", "warning", message, self._ids(wrong)))
        return found

    def _ids(self, members: Ints) -> tuple[str, ...]:
        return tuple(self._store.ids[self._numbers[members]].tolist())


class _Space:
    """Views in which a class is guessed by linear discriminant analysis.

    What is guessed takes no part in it, neither in the means nor in the spread within classes: with few clips, wrong
    labels would otherwise make themselves look right.
    """

    def __init__(self, views: Floats, labels: Ints, classes: int) -> None:
        self.labels, self.classes = labels, classes
        views = views - views.mean(axis=0)
        self._views = views / np.maximum(views.std(axis=0), np.float32(1e-12))
        self._all = self._moments(np.ones(len(labels), np.bool_))

    def guess(self, members: NDArray[np.bool_], others: NDArray[np.bool_]) -> Ints:
        """The class of each member whose mean over the others is nearest, by the spread of the others."""
        counts, means = self._means(others)
        known = counts > 0
        few = np.count_nonzero(others) <= len(others) / 2
        moments = self._moments(others) if few else self._all - self._moments(~others)
        within = (moments - np.einsum("k,ka,kb->ab", counts, means, means, optimize=True)) / counts.sum()
        width = len(within)
        spread = (1 - _SHRINK) * within + (_SHRINK * within.trace() / width + 1e-9) * np.eye(width)
        towards = np.linalg.solve(spread, means.T)
        offset = np.where(known, 0.5 * np.einsum("kw,wk->k", means, towards), np.inf)
        nearest: Ints = (self._views[members] @ towards.astype(np.float32) - offset).argmax(axis=1)
        return nearest

    def confusion(self, among: NDArray[np.bool_]) -> Ints:
        """(classes, classes) clips by label and guess, each guessed from the other folds of the same clips."""
        fold = np.arange(len(among)) * 7919 // 31 % _FOLDS
        confusion = np.zeros((self.classes, self.classes), np.int64)
        for number in range(_FOLDS):
            members = among & (fold == number)
            if members.any() and (others := among & ~members).any():
                np.add.at(confusion, (self.labels[members], self.guess(members, others)), 1)
        return confusion

    def usual(self, among: NDArray[np.bool_]) -> float:
        """Share of clips whose guess is their label."""
        confusion = self.confusion(among)
        return float(confusion.trace() / max(1, confusion.sum()))

    def _means(self, clips: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
        """(classes,) clips and (classes, width) their mean."""
        views, labels = self._views[clips], self.labels[clips]
        counts = np.bincount(labels, minlength=self.classes)
        sums = np.zeros((self.classes, views.shape[1]))
        present = np.flatnonzero(counts)
        starts = (np.cumsum(counts) - counts)[present]
        sums[present] = np.add.reduceat(views[np.argsort(labels, kind="stable")], starts, axis=0)
        return counts.astype(np.float64), sums / np.maximum(counts, 1)[:, None]

    def _moments(self, clips: NDArray[np.bool_]) -> Doubles:
        """(width, width) sum of products."""
        moments = np.zeros((self._views.shape[1],) * 2)
        chosen = np.flatnonzero(clips)
        for start in range(0, len(chosen), 4096):
            views = self._views[chosen[start : start + 4096]].astype(np.float64)
            moments += views.T @ views
        return moments
