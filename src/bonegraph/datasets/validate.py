"""Validation: what is suspicious in a store, before a model learns it.

Every clip is read once and shown to each of the `checks`; they keep a few hundred bytes of it, so that memory does not
grow with the length of the recordings. Errors make results untrue (a subject on both sides of a cross-subject split, a
recording twice, shifted labels), warnings are clips to look at, notes are worth knowing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from bonegraph.datasets.checks.bones import Bones
from bonegraph.datasets.checks.clip import read_clip
from bonegraph.datasets.checks.duplicates import check_duplicates
from bonegraph.datasets.checks.finding import SEVERITIES, Check, Finding, Severity
from bonegraph.datasets.checks.frozen import Frozen
from bonegraph.datasets.checks.ids import check_ids
from bonegraph.datasets.checks.labels import check_labels
from bonegraph.datasets.checks.looks import Looks
from bonegraph.datasets.checks.numbers import Numbers
from bonegraph.datasets.checks.sides import Sides
from bonegraph.datasets.checks.splits import check_splits
from bonegraph.datasets.store import Store
from bonegraph.skeleton import nearest

__all__ = ["MEANING", "Finding", "Severity", "Validation", "validate"]

MEANING = {
    "leak": "A subject, camera or setup is on two sides of a split. Accuracy on it is not what the split's name says.",
    "part": "A part of a split is empty, or lacks classes that other parts have.",
    "classes": "Classes without clips, or of very different size: then accuracy over clips hides the small ones.",
    "id-mismatch": "Labels or facts disagree with the numbers in the ids of the clips. One of the two is wrong.",
    "label-shift": "The clips of a group look like other classes than they are labelled, all by the same shift.",
    "label-class": "The clips of a class look like another one, in one group only: exchanged, or done differently.",
    "duplicate": "A recording is in the set more than once. Between parts of a split it is a leak.",
    "not-finite": "Positions that are NaN or infinite; training on them gives NaN.",
    "empty": "Nobody is seen in any frame.",
    "short": "Too few frames to hold an action.",
    "frozen": "The person does not move at all: the sensor or the export stood still.",
    "frozen-stretch": "One frame is repeated for half a second or longer.",
    "frozen-joint": "A joint stays where it is, or keeps its bone to the last digit, while others move.",
    "swap": "Left and right joints change places from one frame to the next.",
    "crossed": "In most frames a limb ends in the joint of the other side.",
    "twisted": "The line of the shoulders points against the line of the hips: one pair is exchanged.",
    "mirrored": "The feet point backwards: left and right are exchanged, or the recording is a mirror image.",
    "bone-length": "A bone is much longer or shorter than in other people of that size.",
    "bone-change": "The length of a bone varies far more within the clip than usual.",
    "bone-jump": "A joint was thrown away from its place in some frame.",
}
"""What each kind of finding is."""


@dataclass(frozen=True)
class Validation:
    """What was found in a store.

    Attributes:
        clips: how many were looked at.
        findings: errors first, then warnings, then notes.
    """

    clips: int
    findings: tuple[Finding, ...]

    def count(self, severity: Severity) -> int:
        """Number of findings of a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def by_kind(self) -> dict[tuple[Severity, str], list[Finding]]:
        """Findings by severity and kind, in order."""
        kinds: dict[tuple[Severity, str], list[Finding]] = {}
        for finding in self.findings:
            kinds.setdefault((finding.severity, finding.kind), []).append(finding)
        return kinds


def validate(store: Store, *, split: str = "", progress: bool = True) -> Validation:
    """Look for what is suspicious in a store.

    Args:
        store: the prepared data.
        split: look only at this split and the clips of its parts; default every split and every clip.
        progress: show a progress bar.

    Raises:
        ValueError: there is no such split.
    """
    if split and split not in store.splits:
        raise ValueError(f"'{store.name}' has no split '{split}'{nearest(split, store.splits)}.")
    splits = (split,) if split else tuple(store.splits)
    clips = np.arange(len(store))
    if split:
        clips = np.unique(np.concatenate([store.part(split, part) for part in store.splits[split].parts]))
    checks: list[Check] = [Numbers(store), Sides(store), Bones(store), Frozen(store)]
    looks = Looks(store)
    for number in tqdm(clips.tolist(), unit="clip", desc=f"validate {store.name}", disable=not progress):
        clip = read_clip(store, number)
        looks.look(clip)
        for check in checks:
            check.look(clip)
    found = check_splits(store, splits)
    if len(clips):
        found += check_ids(store, clips)
    found += check_duplicates(store, splits, looks) + check_labels(store, splits, looks)
    for check in checks:
        found += check.findings()
    order = {severity: number for number, severity in enumerate(SEVERITIES)}
    return Validation(len(clips), tuple(sorted(found, key=lambda finding: order[finding.severity])))
