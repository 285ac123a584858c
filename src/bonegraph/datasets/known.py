"""Known data sets: their facts as class attributes, and how to find and read their files.

A new data set is a new class here: state the facts, say in `find` which files are clips, and call a reader in `read`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.splits import Split
from bonegraph.read.sbu import FPS as SBU_FPS
from bonegraph.read.sbu import read_sbu
from bonegraph.read.ucla import FPS as UCLA_FPS
from bonegraph.read.ucla import read_ucla
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton, nearest

NO_LABEL = -1
"""The label of a file whose name stands for none of the classes; preparation refuses it by name."""


@dataclass(frozen=True)
class Source:
    """One clip before it is read.

    Attributes:
        id: what the clip is called in the store, in scores and on the command line.
        path: its file; None for a clip that is computed.
        label: class number, counted from 0; `NO_LABEL` where the name stands for no class.
        facts: the columns of the index, e.g. ``{"subject": 3, "camera": 1}``; the same ones for every clip of a set.
    """

    id: str
    path: Path | None
    label: int
    facts: dict[str, int | str]


class KnownSet(ABC):
    """A data set that the package can prepare.

    Attributes:
        name: what the command line calls it.
        skeleton: its joints.
        unit: of the positions, ``"m"``, ``"px"`` or ``"normalised"``.
        fps: frames per second.
        classes: class names, in label order.
        splits: the splits that papers use, by name.
        licence: under which terms the recordings may be used.
        citation: the paper to cite.
        where: where to get the files.
        has_confidence: whether the files say how sure each joint is.

    What a data set keeps on an instance are its settings (a seed, say): plain values that its clips depend on.
    """

    name: ClassVar[str]
    skeleton: ClassVar[Skeleton]
    unit: ClassVar[str]
    fps: ClassVar[float]
    classes: ClassVar[tuple[str, ...]]
    splits: ClassVar[dict[str, Split]]
    licence: ClassVar[str]
    citation: ClassVar[str]
    where: ClassVar[str]
    has_confidence: ClassVar[bool] = False

    @abstractmethod
    def find(self, folder: str | Path) -> list[Source]:
        """List the clips of a folder without opening them.

        Raises:
            FileNotFoundError: the folder is missing or holds no file of this data set.
        """

    @abstractmethod
    def read(self, source: Source) -> Sequence:
        """Read one clip.

        Raises:
            ValueError: the file is damaged or is none of this data set.
            OSError: the file cannot be read at all.
        """


class NwUcla(KnownSet):
    """NW-UCLA: 10 actions by 10 people, seen by three Kinects at once, 1,484 clips."""

    name = "nw-ucla"
    skeleton = SKELETONS["ucla20"]
    unit = "m"
    fps = UCLA_FPS
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
    splits: ClassVar[dict[str, Split]] = {
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
        for path in _files(self, Path(folder), "*.json"):
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


class Sbu(KnownSet):
    """SBU Kinect Interaction (clean): 8 actions between two people, 7 people in 21 ordered pairs, 282 clips."""

    name = "sbu"
    skeleton = SKELETONS["sbu15"]
    unit = "m"
    fps = SBU_FPS
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
    splits: ClassVar[dict[str, Split]] = {
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
        for path in _files(self, Path(folder), "skeleton_pos.txt"):
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


KNOWN_SETS: dict[str, type[KnownSet]] = {NwUcla.name: NwUcla, Sbu.name: Sbu}
"""The data sets of files by name; `known_set` also knows ``"synthetic"``, which needs none."""


def known_set(name: str) -> KnownSet:
    """A data set by name.

    Raises:
        ValueError: there is none of this name; the message lists the choices and the nearest one.
    """
    if name == "synthetic":
        # Imported here because the synthetic set builds on this module.
        from bonegraph.datasets.synthetic import Synthetic

        return Synthetic()
    if name not in KNOWN_SETS:
        raise ValueError(f"no data set '{name}'{nearest(name, [*KNOWN_SETS, 'synthetic'])}.")
    return KNOWN_SETS[name]()


def _files(known: KnownSet, folder: Path, pattern: str) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{folder}'; get {known.where}, and give that folder.")
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if not files:
        raise FileNotFoundError(f"'{folder}' holds no {pattern}; get {known.where}, and give that folder.")
    return files
