"""UTD-MHAD."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.utd import FPS, read_utd
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS


class UtdMhad(KnownSet):
    """UTD-MHAD: 27 actions by 8 people, 861 clips."""

    name = "utd-mhad"
    skeleton = SKELETONS["utd20"]
    unit = "m"
    fps = FPS
    classes = (
        "swipe left",
        "swipe right",
        "wave",
        "clap",
        "throw",
        "cross arms",
        "basketball shot",
        "draw x",
        "draw circle clockwise",
        "draw circle counter-clockwise",
        "draw triangle",
        "bowling",
        "boxing",
        "baseball swing",
        "tennis swing",
        "arm curl",
        "tennis serve",
        "push",
        "knock",
        "catch",
        "pick up and throw",
        "jog",
        "walk",
        "sit to stand",
        "stand to sit",
        "lunge",
        "squat",
    )
    splits = {
        "odd-even": Split("subject", {"train": (1, 3, 5, 7), "test": (2, 4, 6, 8)}),
        # Settings are chosen here, among the people that "odd-even" trains on.
        "select": Split("subject", {"train": (1, 3, 5), "val": (7,)}),
    }
    licence = "no licence is stated; published for research"
    citation = (
        "C. Chen, R. Jafari, N. Kehtarnavaz: UTD-MHAD: A Multimodal Dataset for Human Action Recognition Utilizing a "
        "Depth Camera and a Wearable Inertial Sensor, ICIP 2015"
    )
    where = "the 'Skeleton' folder of UTD-MHAD of the University of Texas at Dallas"

    _pattern: ClassVar[re.Pattern[str]] = re.compile(r"a(\d{1,2})_s(\d{1,2})_t(\d{1,2})_skeleton", re.ASCII)

    def find(self, folder: str | Path) -> list[Source]:
        """Every ``aA_sS_tT_skeleton.mat`` below the folder: action, subject, trial."""
        sources = []
        for path in files_in(self, Path(folder), "*_skeleton.mat"):
            match = self._pattern.fullmatch(path.stem)
            action, subject, trial = map(int, match.groups()) if match else (0, 0, 0)
            label = action - 1 if 1 <= action <= len(self.classes) else NO_LABEL
            name = path.stem.removesuffix("_skeleton")
            sources.append(Source(name, path, label, {"subject": subject, "repetition": trial}))
        return sources

    def read(self, source: Source) -> Sequence:
        """Read the clip of one person."""
        assert source.path is not None
        return read_utd(source.path)
