"""Kinetics-Skeleton, and its part that is about body motion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, get_args

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source
from bonegraph.datasets.known.kinetics_motion import MOTION_CLASSES
from bonegraph.datasets.splits import Split
from bonegraph.read.kinetics import FPS, People, read_kinetics
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, nearest

PARTS = ("train", "val")
_MOST_CLASSES = 10_000


class _Entry(NamedTuple):
    """What a label file says about a clip."""

    has_skeleton: bool
    action: str
    number: int


class KineticsSkeleton(KnownSet):
    """Kinetics-Skeleton: poses that OpenPose found in the 400 actions of the Kinetics videos, 260,232 clips with any.

    The folder holds ``kinetics_train`` and ``kinetics_val``, one JSON file a clip, and beside them the label files
    ``kinetics_train_label.json`` and ``kinetics_val_label.json``, which also name the classes. Papers test on ``val``;
    so does the split ``given``.

    Args:
        people: whom to keep. ``frame``: in every frame the two with the largest sum of scores, as the public code does,
            for its weights and figures. ``clip``: the two places in the order of the file with the highest mean score,
            as the text of ST-GCN says. ``all``: everyone. Nobody is followed over the frames.

    Raises:
        ValueError: there is no such way to choose people.
    """

    name = "kinetics-skeleton"
    skeleton = SKELETONS["openpose18"]
    unit = "normalised"
    fps = FPS
    classes: tuple[str, ...] = ()  # until `find` has read the label files
    splits = {"given": Split("part", {"train": ("train",), "test": ("val",)})}
    licence = "no licence is stated; published for research"
    citation = (
        "S. Yan, Y. Xiong, D. Lin: Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action "
        "Recognition, AAAI 2018"
    )
    where = "the Kinetics-Skeleton archive that the README of ST-GCN (github.com/yysijie/st-gcn) links to"
    has_confidence = True

    def __init__(self, people: People = "frame") -> None:
        if people not in get_args(People):
            raise ValueError(f"people cannot be {people!r}{nearest(str(people), get_args(People))}.")
        self.people: People = people

    def settings(self) -> dict[str, object]:
        """Without the class names, which the store has anyway."""
        return {"people": self.people}

    def find(self, folder: str | Path) -> list[Source]:
        """Every clip of the parts that are there, by folder and label file; the label files give the class names.

        Clips without a skeleton, without a file, or without an entry in the label file are refused.

        Raises:
            FileNotFoundError: the folder is missing or holds no part.
            ValueError: a label file is damaged, or the two do not agree about the classes.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder '{folder}'; get {self.where}, and give that folder.")
        parts = [part for part in PARTS if (folder / f"kinetics_{part}").is_dir()]
        if not parts:
            raise FileNotFoundError(
                f"'{folder}' holds no kinetics_train or kinetics_val; get {self.where}, and give that folder."
            )
        entries = {part: _label_file(folder / f"kinetics_{part}_label.json") for part in parts}
        self.classes = self._class_names([entry for part in parts for entry in entries[part].values()])
        return [source for part in parts for source in self._part(folder, part, entries[part])]

    def read(self, source: Source) -> Sequence:
        """Read the clip, whose own label must be that of the label file."""
        assert source.path is not None
        return read_kinetics(source.path, self.people, action=self.classes[source.label])

    def _class_names(self, entries: list[_Entry]) -> tuple[str, ...]:
        names: dict[int, str] = {}
        for entry in entries:
            if (name := names.setdefault(entry.number, entry.action)) != entry.action:
                raise ValueError(
                    f"the label files call class {entry.number} both '{name}' and '{entry.action}'; fetch them again."
                )
        if len(set(names.values())) != len(names):
            twice = max(names.values(), key=list(names.values()).count)
            raise ValueError(f"the label files give the class '{twice}' two numbers; fetch them again.")
        return tuple(names.get(number, str(number)) for number in range(max(names) + 1))

    def _part(self, folder: Path, part: str, entries: dict[str, _Entry]) -> list[Source]:
        label_of = {name: number for number, name in enumerate(self.classes)}
        labels = f"kinetics_{part}_label.json"
        files = {path.stem: path for path in (folder / f"kinetics_{part}").glob("*.json")}
        sources = []
        for clip in sorted(entries.keys() | files.keys()):
            entry, path, why = entries.get(clip), files.get(clip), ""
            if entry is not None and not self._wanted(entry):
                continue
            if entry is None:
                why = f"'{labels}' does not name it; remove it, or fetch that file again."
            elif not entry.has_skeleton:
                why = f"nobody was found in it: '{labels}' says that it has no skeleton."
            elif path is None:
                why = f"'{labels}' names it, but 'kinetics_{part}' has no such file; fetch it again."
            label = NO_LABEL if entry is None else label_of.get(entry.action, NO_LABEL)
            sources.append(Source(clip, path or folder / labels, label, {"part": part}, why))
        return sources

    def _wanted(self, entry: _Entry) -> bool:
        """Whether a clip belongs to this data set."""
        return True


class KineticsMotion(KineticsSkeleton):
    """Kinetics-Motion: the clips of Kinetics-Skeleton in 30 classes that are about body motion.

    It is made from the folder of Kinetics-Skeleton; labels are 0 to 29. Table 4 of ST-GCN instead takes the clips of
    these classes and predicts all 400.

    Args:
        people: whom to keep. ``frame``: in every frame the two with the largest sum of scores, as the public code does.
            ``clip``: the two places in the order of the file with the highest mean score, as the text of ST-GCN says.
            ``all``: everyone. Nobody is followed over the frames.

    Raises:
        ValueError: there is no such way to choose people.
    """

    name = "kinetics-motion"
    classes = MOTION_CLASSES

    def _class_names(self, entries: list[_Entry]) -> tuple[str, ...]:
        if not any(map(self._wanted, entries)):
            raise ValueError("the label files name none of the 30 classes of Kinetics-Motion; check their names.")
        return MOTION_CLASSES

    def _wanted(self, entry: _Entry) -> bool:
        return entry.action in MOTION_CLASSES


def _label_file(path: Path) -> dict[str, _Entry]:
    """Read ``{id: {"has_skeleton": true, "label": name, "label_index": number}, ...}``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}', which names the classes of the clips beside it; fetch it.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"'{path.name}' is not valid JSON (cut off?): {str(error)[:100]}; fetch it again.") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"'{path.name}' is no label file: it should map clips to classes; fetch it again.")
    entries = {}
    for clip, given in content.items():
        match given:
            case {"has_skeleton": bool(there), "label": str(action), "label_index": int(number)}:
                pass
            case _:
                raise ValueError(
                    f"'{path.name}' lacks has_skeleton, label or label_index for clip {clip[:80]!a}; fetch it again."
                )
        if not 0 <= number < _MOST_CLASSES:
            raise ValueError(f"'{path.name}' gives clip {clip[:80]!a} the class {number}; fetch it again.")
        entries[clip] = _Entry(there, action, number)
    return entries
