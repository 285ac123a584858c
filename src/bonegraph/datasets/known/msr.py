"""MSR-Action3D."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.msr import FPS, read_msr
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS


class MsrAction3d(KnownSet):
    """MSR-Action3D: 20 actions by 10 people, 567 clips, of which papers mostly use 557.

    The ten others are too noisy for many. They are named by the list ``files_used_in_cvpr12_paper.txt`` that comes with
    the files; the column ``usual_subject`` is the subject of the clips on that list and 0 for the others, and for all
    of them where the list is missing.
    """

    name = "msr-action3d"
    skeleton = SKELETONS["msr20"]
    unit = "m"
    fps = FPS
    classes = (
        "high arm wave",
        "horizontal arm wave",
        "hammer",
        "hand catch",
        "forward punch",
        "high throw",
        "draw x",
        "draw tick",
        "draw circle",
        "hand clap",
        "two hand wave",
        "side boxing",
        "bend",
        "forward kick",
        "side kick",
        "jogging",
        "tennis swing",
        "tennis serve",
        "golf swing",
        "pick up and throw",
    )
    splits = {
        "odd-even": Split("subject", {"train": (1, 3, 5, 7, 9), "test": (2, 4, 6, 8, 10)}),
        "odd-even-557": Split("usual_subject", {"train": (1, 3, 5, 7, 9), "test": (2, 4, 6, 8, 10)}),
        # Settings are chosen here, among the people that the others train on.
        "select": Split("subject", {"train": (1, 3, 5), "val": (7, 9)}),
        "select-557": Split("usual_subject", {"train": (1, 3, 5), "val": (7, 9)}),
    }
    licence = "no licence is stated; published for research"
    citation = "W. Li, Z. Zhang, Z. Liu: Action Recognition Based on a Bag of 3D Points, CVPR Workshops 2010"
    where = (
        "the skeletons in real-world coordinates (skeleton3D) of MSR-Action3D, with the list "
        "files_used_in_cvpr12_paper.txt of Wang et al., CVPR 2012"
    )

    _list: ClassVar[str] = "files_used_in_cvpr12_paper.txt"
    _pattern: ClassVar[re.Pattern[str]] = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_skeleton3D", re.ASCII)

    def find(self, folder: str | Path) -> list[Source]:
        """Every ``aAA_sSS_eEE_skeleton3D.txt`` below the folder: action, subject, repetition."""
        paths = files_in(self, Path(folder), "*_skeleton3D.txt")
        usual = self._usual(Path(folder))
        sources = []
        for path in paths:
            match = self._pattern.fullmatch(path.stem)
            action, subject, repetition = map(int, match.groups()) if match else (0, 0, 0)
            label = action - 1 if 1 <= action <= len(self.classes) else NO_LABEL
            name = path.stem.removesuffix("_skeleton3D")
            facts: dict[str, int | str] = {
                "subject": subject,
                "repetition": repetition,
                "usual_subject": subject if name in usual else 0,
            }
            sources.append(Source(name, path, label, facts))
        return sources

    def _usual(self, folder: Path) -> frozenset[str]:
        """Names on the list; none where there is no list."""
        lists = sorted(folder.rglob(self._list))
        return frozenset(lists[0].read_text(encoding="ascii", errors="replace").split()) if lists else frozenset()

    def read(self, source: Source) -> Sequence:
        """Read the clip of one person."""
        assert source.path is not None
        return read_msr(source.path)
