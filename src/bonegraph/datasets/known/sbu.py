"""SBU Kinect Interaction."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.sbu import FPS, read_sbu
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS


class Sbu(KnownSet):
    """SBU Kinect Interaction (clean): 8 actions between two people, 7 people in 21 ordered pairs, 282 clips."""

    name = "sbu"
    skeleton = SKELETONS["sbu15"]
    unit = "m"
    fps = FPS
    classes = (
        "approaching",
        "departing",
        "kicking",
        "pushing",
        "shaking hands",
        "hugging",
        "exchanging",
        "punching",
    )
    splits = {
        **{
            f"fold{test}": Split(
                "fold", {"train": tuple(fold for fold in range(1, 6) if fold != test), "test": (test,)}
            )
            for test in range(1, 6)
        },
        # Settings are chosen here, on one of the five folds; no test fold is looked at before they are fixed.
        "select": Split("fold", {"train": (2, 3, 4), "val": (5,)}),
    }
    licence = "no licence is stated; published for research"
    citation = (
        "K. Yun, J. Honorio, D. Chattopadhyay, T. L. Berg, D. Samaras: Two-person Interaction Detection Using "
        "Body-Pose Features and Multiple Instance Learning, CVPR Workshops 2012"
    )
    where = (
        "the 'clean' version of the SBU Kinect Interaction Dataset v2.0 of Stony Brook University, one folder a pair"
    )

    # The five folds of the authors, by pair (the acting person first).
    _folds: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("s01s02", "s03s04", "s05s02", "s06s04"),
        ("s02s03", "s02s07", "s03s05", "s05s03"),
        ("s01s03", "s01s07", "s07s01", "s07s03"),
        ("s02s01", "s02s06", "s03s02", "s03s06"),
        ("s04s02", "s04s03", "s04s06", "s06s02", "s06s03"),
    )

    def find(self, folder: str | Path) -> list[Source]:
        """Every ``PAIR/CLASS/REPETITION/skeleton_pos.txt`` below the folder; a pair outside the folds has fold 0."""
        fold_of = {pair: fold for fold, pairs in enumerate(self._folds, start=1) for pair in pairs}
        sources = []
        for path in files_in(self, Path(folder), "skeleton_pos.txt"):
            pair, action, repetition = path.parent.parts[-3:] if len(path.parts) > 3 else ("", "", "")
            known = action.isdecimal() and 1 <= int(action) <= len(self.classes)
            facts: dict[str, int | str] = {
                "pair": pair,
                "fold": fold_of.get(pair, 0),
                "repetition": int(repetition) if repetition.isdecimal() else 0,
            }
            label = int(action) - 1 if known else NO_LABEL
            sources.append(Source(f"{pair}_{action}_{repetition}", path, label, facts))
        return sources

    def read(self, source: Source) -> Sequence:
        """Read the clip of two people."""
        assert source.path is not None
        return read_sbu(source.path)
