"""Data sets as other tools have written them: one file holds many clips.

What the files do not tell (the skeleton, the frame rate, the unit, the names of the classes) is set, or has a default
that fits nearly all files of the kind. A container is opened once in each process that reads and then kept; the set
itself, which travels to those processes, keeps none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args

import numpy as np

from bonegraph.datasets.card import LEADING, TRAILING
from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.known.dividing import divided
from bonegraph.datasets.splits import Split
from bonegraph.read.annotations import open_annotations, pre_normalised, read_annotation
from bonegraph.read.arrays import Arrays, has_score, labels_of, open_arrays, prefix_of, sequence_of, skeleton_with
from bonegraph.read.ctrgcn import open_ctrgcn
from bonegraph.read.table import FPS
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, get_skeleton, nearest

Unit = Literal["m", "px", "normalised"]
Opened = TypeVar("Opened")

NO_PART = "none"
"""What a column of parts says of a clip that is in none."""

MOST_CLASSES = 100_000


class Container(KnownSet):
    """What they have in common; the settings are explained in the subclasses, where the command line looks."""

    # What `find` replaces by what is set or what the files tell.
    skeleton = SKELETONS["ntu25"]
    unit = "m"
    classes: tuple[str, ...] = ()
    splits: dict[str, Split] = {}
    licence = "that of the recordings"
    citation = "that of the recordings"

    reasons: ClassVar[dict[str, str]] = {}
    """Option -> where its value comes from, if nobody gives it; for people."""

    def __init__(self, skeleton: str | None, fps: float | None, unit: Unit | None, classes: Path | None) -> None:
        if fps is not None and not (np.isfinite(fps) and fps > 0):
            raise ValueError(f"the frame rate must be above 0, got {fps}.")
        if unit is not None and unit not in get_args(Unit):
            raise ValueError(f"unit cannot be {unit!r}{nearest(str(unit), get_args(Unit))}.")
        self.fps = FPS if fps is None else float(fps)
        self._skeleton = None if skeleton is None else get_skeleton(skeleton)
        self._unit = unit
        self._names = None if classes is None else read_classes(classes)
        # By name only: a card tells nobody how the folders of its maker are called.
        self._given: dict[str, object] = {
            "skeleton": self._skeleton and self._skeleton.name,
            "fps": fps and float(fps),
            "unit": unit,
            "classes": classes and classes.name,
        }

    def settings(self) -> dict[str, object]:
        """What was given, without what follows from it."""
        return {name: value for name, value in self._given.items() if value is not None}

    def guessed(self) -> str:
        """What nobody said about the files and was taken from them, with the options that say otherwise."""
        said = {
            "skeleton": f"skeleton {self.skeleton.name}",
            "fps": f"{self.fps:g} frames per second",
            "unit": f"unit {self.unit}",
            "space": f"unit {self.unit}",
        }
        taken = [option for option in self.reasons if self._given.get(option) is None]
        return ", ".join(f"{said[option]} {self.reasons[option]} (--{option})" for option in taken)

    def name_classes(self, count: int) -> None:
        """Class names as they were given, else the numbers of the classes."""
        if count > MOST_CLASSES:
            raise ValueError(f"'{self.name}' has labels up to {count - 1}; that is no number of a class.")
        self.classes = self._names if self._names is not None else tuple(map(str, range(count)))


class ArraysSet(Container):
    """Padded arrays of ST-GCN, 2s-AGCN, MS-G3D and relatives: ``*_data_joint.npy`` or ``*_data.npy`` + ``*_label.pkl``.

    The source is the folder of one split (``xsub``, say) or one of its data files; what stands before ``_data`` becomes
    the column ``part``, and the split ``given`` tests on ``val``.

    Args:
        skeleton: a name or a YAML file; default by the number of joints (25 ntu25, 20 ucla20, 18 openpose18, ...).
        fps: frames per second.
        unit: of the positions; default metres, and normalised where there are two coordinates.
        classes: a text file, one class name a line; default the numbers of the classes.
        score: the last channel is a score, not a coordinate; default for a fourth channel, and for the third on a
            skeleton of OpenPose or COCO.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such skeleton or file of class names.
    """

    name = "arrays"
    where = "the arrays (*_data_joint.npy or *_data.npy, *_label.pkl) that ST-GCN, 2s-AGCN or MS-G3D make of a data set"

    def __init__(
        self,
        skeleton: str | None = None,
        fps: float = FPS,
        unit: Unit | None = None,
        classes: Path | None = None,
        score: bool | None = None,
    ) -> None:
        super().__init__(skeleton, fps, unit, classes)
        self._score = score
        self._given["score"] = score

    def find(self, folder: str | Path) -> list[Source]:
        """Every clip of the data files in one folder, by the names of the label files.

        Raises:
            FileNotFoundError: there is no data file, or a label file is missing.
            ValueError: a file is damaged, or the files do not belong together.
        """
        files = self._files(Path(folder))
        opened = {prefix_of(path) or "all": (path, _arrays(path)) for path in files}
        shapes = {(arrays.data.shape[1], arrays.data.shape[3]) for _, arrays in opened.values()}
        if len(shapes) != 1:
            raise ValueError(f"'{folder}' holds arrays of unlike channels and joints {sorted(shapes)}; give one file.")
        ((channels, joints),) = shapes
        self.skeleton = self._skeleton or skeleton_with(joints, channels, guess=True)
        self.has_confidence = has_score(self.skeleton, channels) if self._score is None else self._score
        self.unit = self._unit or ("m" if channels - self.has_confidence == 3 else "normalised")
        self.name_classes(1 + max(max(arrays.labels) for _, arrays in opened.values()))
        self.splits = {"given": split_over("part", opened)}
        return [
            Source(name, path, label, {"part": part})
            for part, (path, arrays) in opened.items()
            for name, label in zip(arrays.names, arrays.labels, strict=True)
        ]

    def read(self, source: Source) -> Sequence:
        """Read one clip out of its array."""
        assert source.path is not None
        clip = _arrays(source.path).clip(source.id)
        return sequence_of(
            clip, self.skeleton, self.fps, self.unit, score=self.has_confidence, padded=True, name=source.id
        )

    def _files(self, source: Path) -> list[Path]:
        if source.is_file():
            if not source.name.endswith(("_data.npy", "_data_joint.npy")):
                raise ValueError(f"'{source}' is no *_data_joint.npy or *_data.npy; give such a file, or the folder.")
            return [source]
        files = files_in(self, source, "*_data_joint.npy", "*_data.npy")
        if len({path.parent for path in files}) > 1:
            raise ValueError(
                f"'{source}' holds arrays in several folders ('{files[0].parent}', '{files[-1].parent}'); give one."
            )
        by_part = {prefix_of(path): path for path in sorted(files, key=lambda path: path.stem.endswith("_joint"))}
        return [by_part[part] for part in sorted(by_part)]


def _arrays(path: Path) -> Arrays:
    return opened_once(open_arrays, path, labels_of(path))


class CtrGcnSet(Container):
    """The ``.npz`` files of the CTR-GCN family, with x_train, y_train, x_test and y_test.

    The source is the file, or a folder with one such file. The clips have no names and are numbered: ``train-000000``.
    The split is called ``given``.

    Args:
        skeleton: a name or a YAML file; default ntu25.
        fps: frames per second.
        unit: of the positions; default metres.
        classes: a text file, one class name a line; default the numbers of the classes.
        copies: keep a second person who is the first again, as in the files of NTU RGB+D 120; the released weights for
            it expect that.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such skeleton or file of class names.
    """

    name = "ctrgcn"
    where = "the .npz file (NTU60_CS.npz, say) that CTR-GCN makes of NTU RGB+D"

    def __init__(
        self,
        skeleton: str | None = None,
        fps: float = FPS,
        unit: Unit | None = None,
        classes: Path | None = None,
        copies: bool = False,
    ) -> None:
        super().__init__(skeleton, fps, unit, classes)
        self.skeleton = self._skeleton or SKELETONS["ntu25"]
        self.unit = unit or "m"
        self.copies = copies
        self._given["copies"] = copies or None

    def find(self, folder: str | Path) -> list[Source]:
        """Every clip of the file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: there are several, or it is damaged.
        """
        path = one_file(self, Path(folder), "*.npz")
        opened = opened_once(open_ctrgcn, path)
        self.name_classes(opened.classes)
        self.splits = {"given": split_over("part", opened.labels)}
        return [
            Source(f"{part}-{number:06d}", path, label, {"part": part})
            for part, labels in opened.labels.items()
            for number, label in enumerate(labels.tolist())
        ]

    def read(self, source: Source) -> Sequence:
        """Read one clip out of the file."""
        assert source.path is not None
        part, number = source.id.split("-")
        opened = opened_once(open_ctrgcn, source.path)
        clip = opened.clip(part, int(number), self.skeleton.num_joints, copies=self.copies)
        return sequence_of(clip, self.skeleton, self.fps, self.unit, score=False, padded=True, name=source.id)


class AnnotationsSet(Container):
    """The pickles of PYSKL and MMAction2 (``ntu60_3danno.pkl``, ``ntu60_hrnet.pkl``, ...), read as data.

    The source is the file, or a folder with one such file. Every split of the file becomes a column with ``train``,
    ``val``, ``test`` or ``none``, and a split of the same name; one with only ``train`` and ``val`` tests on ``val``.
    Where the file has none, the split ``random`` takes clips of each class by the seed.

    Args:
        skeleton: a name or a YAML file; default by the number of joints (25 ntu25, 17 coco17, ...).
        fps: frames per second; default 30.
        unit: of the positions; default metres, and pixels where there are two coordinates; ``normalised`` divides
            pixels by the width and the height of the picture.
        classes: a text file, one class name a line; default the numbers of the classes.
        normalise: centre and turn clips in space as PYSKL does before it trains (its ``PreNormalize3D``), and leave out
            frames without the first person; public weights of PYSKL and MMAction2 expect that.
        seed: of the split ``random``.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such skeleton or file of class names.
    """

    name = "annotations"
    where = "the annotation file (.pkl) of PYSKL or MMAction2"
    reasons: ClassVar[dict[str, str]] = {
        "skeleton": "by the number of joints",
        "fps": "as the file tells none",
        "unit": "by the number of coordinates",
    }

    def __init__(
        self,
        skeleton: str | None = None,
        fps: float | None = None,
        unit: Unit | None = None,
        classes: Path | None = None,
        normalise: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(skeleton, fps, unit, classes)
        self.normalise, self.seed = normalise, seed
        self._given |= {"normalise": normalise or None, "seed": seed or None}

    def find(self, folder: str | Path) -> list[Source]:
        """Every clip of the file; one that only a split names is refused.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: there are several, or it is damaged.
        """
        path = one_file(self, Path(folder), "*.pkl")
        opened = opened_once(open_annotations, path)
        joints, coordinates = opened.shape
        self.skeleton = self._skeleton or skeleton_with(joints, coordinates, guess=True)
        self.has_confidence = opened.scored
        self.unit = self._unit or ("m" if coordinates == 3 else "px")
        labels = {clip: _label(opened.clips[clip].get("label")) for clip in opened.ids}
        self.name_classes(1 + max(labels.values()))
        columns = {name: _column(name) for name, parts in opened.splits.items() if parts}
        self.splits = {name: split_over(column, opened.splits[name].values()) for name, column in columns.items()}
        unknown = sorted({clip for parts in opened.splits.values() for clip in parts} - labels.keys())
        why = "a split names it, but the file has no such annotation."
        sources = [
            Source(
                clip,
                path,
                labels.get(clip, NO_LABEL),
                {column: opened.splits[name].get(clip, NO_PART) for name, column in columns.items()},
                "" if clip in labels else why,
            )
            for clip in (*opened.ids, *unknown)
        ]
        sources, self.splits = divided(sources, self.splits, self.seed)
        return sources

    def read(self, source: Source) -> Sequence:
        """Read one clip out of the file."""
        assert source.path is not None
        clip = opened_once(open_annotations, source.path).clips[source.id]
        sequence = read_annotation(clip, self.skeleton, self.fps, self.unit)
        return pre_normalised(sequence) if self.normalise else sequence


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names, one a line, in the order of their numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text, is empty, or names a class twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}'; give a text file with one class name a line.")
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise ValueError(f"'{path}' is not a text file; give one class name a line, in UTF-8.") from None
    if not names:
        raise ValueError(f"'{path}' is empty; give one class name a line.")
    if len(set(names)) != len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"'{path}' names the class '{twice}' twice; class names must differ.")
    return names


@functools.lru_cache(maxsize=4)
def _opened(open_file: Callable[[Path], Any], path: Path, states: tuple[tuple[int, int] | None, ...]) -> Any:
    return open_file(path)


def opened_once(open_file: Callable[[Path], Opened], path: Path, *beside: Path) -> Opened:
    """An open container; the same one as long as nobody writes to its file, or to those that are read beside it."""
    return cast(Opened, _opened(open_file, path, tuple(map(_state, (path, *beside)))))


def _state(path: Path) -> tuple[int, int] | None:
    if not path.exists():
        return None
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def one_file(known: KnownSet, source: Path, pattern: str) -> Path:
    """The source itself, or the only such file in it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several.
    """
    if source.is_file():
        return source
    files = files_in(known, source, pattern)
    if len(files) > 1:
        raise ValueError(
            f"'{source}' holds {len(files)} {pattern} ('{files[0].name}', '{files[1].name}', ...); give one of them."
        )
    return files[0]


def _label(value: object) -> int:
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else NO_LABEL


def _column(split: str) -> str:
    """The column of a split of the file."""
    if split == "given":
        return "part"
    return f"{split}_part" if split in LEADING + TRAILING else split


def split_over(column: str, parts: Iterable[str]) -> Split:
    """The split over a column of parts. Where there is no ``test``, ``val`` is what the field tests on."""
    there = {part for part in parts if part not in (NO_PART, "")}
    test_on_val = "val" in there and "test" not in there
    return Split(column, {"test" if test_on_val and part == "val" else part: (part,) for part in sorted(there)})
