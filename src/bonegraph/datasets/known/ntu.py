"""NTU RGB+D 60 and 120."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.ntu import CLEANING, FPS, Cleaning, read_recording
from bonegraph.read.ntu.cleaning import best
from bonegraph.read.ntu.released import PEOPLE, released_ctrgcn
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

_NAME = re.compile(r"S([0-9]{3})C([0-9]{3})P([0-9]{3})R([0-9]{3})A([0-9]{3})")
CAMERAS, REPLICATIONS = 3, 2
SETUPS_60, SETUPS = 17, 32
"""Clips of the first 17 setups are NTU RGB+D 60, those of 18 to 32 were added for NTU RGB+D 120."""

_ACTIONS = (
    *("drink water", "eat meal", "brush teeth", "brush hair", "drop", "pick up", "throw", "sit down", "stand up"),
    *("clapping", "reading", "writing", "tear up paper", "put on jacket", "take off jacket", "put on a shoe"),
    *("take off a shoe", "put on glasses", "take off glasses", "put on a hat/cap", "take off a hat/cap", "cheer up"),
    *("hand waving", "kicking something", "reach into pocket", "hopping", "jump up", "phone call"),
    *("play with phone/tablet", "type on a keyboard", "point to something", "taking a selfie"),
    *("check time (from watch)", "rub two hands", "nod head/bow", "shake head", "wipe face", "salute"),
    *("put palms together", "cross hands in front", "sneeze/cough", "staggering", "falling down", "headache"),
    *("chest pain", "back pain", "neck pain", "nausea/vomiting", "fan self", "punch/slap", "kicking", "pushing"),
    *("pat on back", "point finger", "hugging", "giving object", "touch pocket", "shaking hands"),
    *("walking towards", "walking apart"),
)
_FURTHER_ACTIONS = (
    *("put on headphone", "take off headphone", "shoot at basket", "bounce ball", "tennis bat swing"),
    *("juggle table tennis ball", "hush", "flick hair", "thumb up", "thumb down", "make OK sign"),
    *("make victory sign", "staple book", "counting money", "cutting nails", "cutting paper", "snap fingers"),
    *("open bottle", "sniff/smell", "squat down", "toss a coin", "fold paper", "ball up paper", "play magic cube"),
    *("apply cream on face", "apply cream on hand", "put on bag", "take off bag", "put object into bag"),
    *("take object out of bag", "open a box", "move heavy objects", "shake fist", "throw up cap/hat", "capitulate"),
    *("cross arms", "arm circles", "arm swings", "run on the spot", "butt kicks", "cross toe touch", "side kick"),
    *("yawn", "stretch oneself", "blow nose", "hit with object", "wield knife", "knock over", "grab stuff"),
    *("shoot with gun", "step on foot", "high-five", "cheers and drink", "carry object", "take a photo", "follow"),
    *("whisper", "exchange things", "support somebody", "rock-paper-scissors"),
)
_TRAINING = (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
_FURTHER_TRAINING = (
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92, 93, 94),
    *(95, 97, 98, 100, 103),
)


def _across(train: tuple[int, ...], subjects: int) -> Split:
    others = tuple(subject for subject in range(1, subjects + 1) if subject not in train)
    return Split("subject", {"train": train, "test": others})


class ClipList(frozenset[str]):
    """Ids of clips. Its repr, which tells stores apart, is short and the same for the same ids."""

    def __repr__(self) -> str:
        return f"{len(self)} clips, sha256 {hashlib.sha256(' '.join(sorted(self)).encode()).hexdigest()[:16]}"


def read_clip_list(path: str | Path) -> ClipList:
    """Read a list of clips, one id a line, as they are published with NTU RGB+D.

    Whatever stands before the first id is a heading; after it, every line that is not empty must be an id, so that no
    clip is lost to a slip.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no such list.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}'; give a list of clips with missing skeletons, one id a line.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise ValueError(f"'{path}' is not a text file; give a list of clips, one id a line.") from None
    ids = [line.removesuffix(".skeleton") for line in lines]
    first = next((number for number, line in enumerate(ids) if _NAME.fullmatch(line)), None)
    if first is None:
        raise ValueError(f"'{path}' holds no id of a clip, such as S001C002P005R002A008; give one id a line.")
    for number, line in enumerate(ids[first:], start=first + 1):
        if line and not _NAME.fullmatch(line):
            raise ValueError(f"'{path}' line {number}: {line[:40]!r} is no id of a clip; mend or remove the line.")
    return ClipList(line for line in ids[first:] if line)


class _Ntu(KnownSet):
    """What both have in common; the settings are explained in the subclasses, where the command line looks."""

    skeleton = SKELETONS["ntu25"]
    unit = "m"
    fps = FPS
    licence = "release agreement of the ROSE Lab, Nanyang Technological University; academic research only"
    where = (
        "the 3D skeletons of NTU RGB+D (one .skeleton file a clip), on request from the ROSE Lab, "
        "rose1.ntu.edu.sg/dataset/actionRecognition"
    )
    subjects: ClassVar[int]
    setups: ClassVar[int]
    copy_one_body = False

    def __init__(self, cleaning: Cleaning, missing: Path | None, people: int) -> None:
        if cleaning not in CLEANING:
            raise ValueError(f"no cleaning '{cleaning}'; choices: {', '.join(CLEANING)}.")
        if people < 1:
            raise ValueError(f"people must be at least 1, got {people}.")
        if cleaning != "best" and people != PEOPLE:
            raise ValueError(f"the cleaning '{cleaning}' keeps {PEOPLE} people; people is for 'best', got {people}.")
        self.cleaning = cleaning
        self.missing = None if missing is None else read_clip_list(missing)
        self.people = people

    def find(self, folder: str | Path) -> list[Source]:
        """Every ``SsssCcccPpppRrrrAaaa.skeleton`` below the folder: setup, camera, subject, replication, action.

        Both sets may lie in one folder: ``ntu60`` leaves out the clips that were added for ``ntu120``. A clip on the
        list of missing skeletons is refused, and so is one whose name stands for no recording of the data set.
        """
        sources = []
        for path in files_in(self, Path(folder), "*.skeleton"):
            match = _NAME.fullmatch(path.stem)
            setup, camera, subject, replication, action = map(int, match.groups()) if match else (0,) * 5
            if self.setups < setup <= SETUPS and action > len(self.classes):
                continue
            facts: dict[str, int | str] = {
                "setup": setup,
                "camera": camera,
                "subject": subject,
                "replication": replication,
                "action": action,
            }
            label = action - 1 if 1 <= action <= len(self.classes) else NO_LABEL
            sources.append(Source(path.stem, path, label, facts, self._why_not(path.stem, facts) if match else ""))
        return sources

    def _why_not(self, clip: str, facts: dict[str, int | str]) -> str:
        """Why a clip is refused by its name, empty where it is not."""
        if self.missing is not None and clip in self.missing:
            return "it is on the list of clips with missing skeletons."
        most = {"setup": self.setups, "camera": CAMERAS, "subject": self.subjects, "replication": REPLICATIONS}
        wrong = next((fact for fact in most if not 1 <= int(facts[fact]) <= most[fact]), None)
        if wrong is None:
            return ""
        return (
            f"its name says {wrong} {facts[wrong]}, but '{self.name}' has {wrong}s 1 to {most[wrong]}; "
            "rename or remove it."
        )

    def read(self, source: Source) -> Sequence:
        """Read a clip and clean it.

        Raises:
            ValueError: the file is damaged, or a released cleaning fails on it.
        """
        assert source.path is not None
        recording = read_recording(source.path)
        if self.cleaning == "best":
            return best(recording, self.people)
        if self.cleaning == "released-ctrgcn":
            return released_ctrgcn(recording, self.copy_one_body)
        return CLEANING[self.cleaning](recording)


class Ntu60(_Ntu):
    """NTU RGB+D: 60 actions by 40 people in 17 settings, seen by three Kinects at once, 56,880 clips.

    Args:
        cleaning: how the bodies of a file become people. ``best`` follows them by id, drops ghosts and keeps every
            frame; ``released-stgcn``, ``released-msg3d`` (also 2s-AGCN and DualHead-Net) and ``released-ctrgcn`` are
            what the public code does, for its weights and figures.
        missing: the published list of clips with missing skeletons, whose clips are then refused (302 of NTU RGB+D 60,
            535 of NTU RGB+D 120; the longer one serves for both). Published figures are without them.
        people: the most people of a clip, for ``best``.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a setting makes no sense, or the list is none.
    """

    name = "ntu60"
    classes = _ACTIONS
    splits = {
        "xsub": _across(_TRAINING, 40),
        "xview": Split("camera", {"train": (2, 3), "test": (1,)}),
    }
    citation = (
        "A. Shahroudy, J. Liu, T.-T. Ng, G. Wang: NTU RGB+D: A Large Scale Dataset for 3D Human Activity Analysis, "
        "CVPR 2016"
    )
    subjects = 40
    setups = SETUPS_60

    def __init__(self, cleaning: Cleaning = "best", missing: Path | None = None, people: int = 2) -> None:
        super().__init__(cleaning, missing, people)


class Ntu120(_Ntu):
    """NTU RGB+D 120: 120 actions by 106 people in 32 settings, seen by three Kinects at once, 114,480 clips.

    Args:
        cleaning: how the bodies of a file become people. ``best`` follows them by id, drops ghosts and keeps every
            frame; ``released-stgcn``, ``released-msg3d`` (also 2s-AGCN and DualHead-Net) and ``released-ctrgcn`` are
            what the public code does, for its weights and figures.
        missing: the published list of the 535 clips with missing skeletons, whose clips are then refused. Published
            figures are without them.
        people: the most people of a clip, for ``best``.
        copy_one_body: for ``released-ctrgcn``, whether person 2 of a clip with one body is a copy of person 1, as in
            that code for this data set.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a setting makes no sense, or the list is none.
    """

    name = "ntu120"
    classes = _ACTIONS + _FURTHER_ACTIONS
    splits = {
        "xsub": _across(_TRAINING + _FURTHER_TRAINING, 106),
        "xset": Split("setup", {"train": tuple(range(2, SETUPS + 1, 2)), "test": tuple(range(1, SETUPS + 1, 2))}),
    }
    citation = (
        "J. Liu, A. Shahroudy, M. Perez, G. Wang, L.-Y. Duan, A. C. Kot: NTU RGB+D 120: A Large-Scale Benchmark for 3D "
        "Human Activity Understanding, IEEE TPAMI 42(10), 2020"
    )
    subjects = 106
    setups = SETUPS

    def __init__(
        self,
        cleaning: Cleaning = "best",
        missing: Path | None = None,
        people: int = 2,
        copy_one_body: bool = True,
    ) -> None:
        super().__init__(cleaning, missing, people)
        self.copy_one_body = copy_one_body
