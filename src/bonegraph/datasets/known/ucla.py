"""NW-UCLA."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.ucla import FPS, read_ucla
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS


class NwUcla(KnownSet):
    """NW-UCLA: 10 actions by 10 people, seen by three Kinects at once, 1,484 clips."""

    name = "nw-ucla"
    skeleton = SKELETONS["ucla20"]
    unit = "m"
    fps = FPS
    classes = (
        "pick up with one hand",
        "pick up with two hands",
        "drop trash",
        "walk around",
        "sit down",
        "stand up",
        "donning",
        "doffing",
        "throw",
        "carry",
    )
    splits = {
        "xview": Split("camera", {"train": (1, 2), "test": (3,)}),
        # Settings are chosen here; the test view of "xview" is never looked at.
        "xview-select": Split("camera", {"train": (1,), "val": (2,)}),
    }
    licence = "no licence is stated; published for research"
    citation = (
        "J. Wang, X. Nie, Y. Xia, Y. Wu, S.-C. Zhu: Cross-view Action Modeling, Learning and Recognition, CVPR 2014"
    )
    where = "the 'all_sqe' folder of JSON files that the README of CTR-GCN (github.com/Uason-Chen/CTR-GCN) links to"

    # The recordings skip the action numbers 7 and 10.
    _actions: ClassVar[tuple[int, ...]] = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12)
    _pattern: ClassVar[re.Pattern[str]] = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_v(\d\d)")

    def find(self, folder: str | Path) -> list[Source]:
        """Every ``aAA_sSS_eEE_vVV.json`` below the folder: action, subject, repetition, view."""
        sources = []
        for path in files_in(self, Path(folder), "*.json"):
            match = self._pattern.fullmatch(path.stem)
            action, subject, repetition, camera = map(int, match.groups()) if match else (0, 0, 0, 0)
            label = self._actions.index(action) if action in self._actions else NO_LABEL
            sources.append(
                Source(path.stem, path, label, {"subject": subject, "camera": camera, "repetition": repetition})
            )
        return sources

    def read(self, source: Source) -> Sequence:
        """Read the clip, whose own label (1..10) must agree with its name."""
        assert source.path is not None
        return read_ucla(source.path, label=source.label + 1)
