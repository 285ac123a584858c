"""Padded arrays of a whole data set, as ST-GCN, 2s-AGCN, MS-G3D and their many relatives write them.

``train_data_joint.npy`` (or ``train_data.npy``) holds (N, C, T, V, M) numbers, all clips padded with zeros to one
length and one number of people; ``train_label.pkl`` beside it holds the names of the clips and their classes.

Reading gives back what the padding hides: someone whose joints are all exactly zero in a frame is absent there, and
frames at the end in which nobody is there are cut off. (MS-G3D and 2s-AGCN fill the end by repeating the clip; where
that begins cannot be known.)

The functions for files of numbers, `map_npy` and `check_header`, trust no header further than the file is long.

Axes: N clips, C channels, T frames, V joints, M people.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.pickles import load_pickle
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton

_LONGEST_HEADER = 10_000
_NO_HEADER = (ValueError, TypeError, KeyError, SyntaxError, OverflowError, RecursionError, MemoryError, EOFError)
_SCORED = frozenset({"openpose18", "openpose25", "coco17"})  # skeletons of detectors, whose third channel is a score


@dataclass(frozen=True, eq=False)
class Arrays:
    """The clips of one pair of files.

    Attributes:
        data: (N, C, T, V, M), a read-only memory map.
        names: of the clips.
        labels: of the clips.
        frames: T of every clip where the label file tells it, else None.
        index: number of a clip by its name; the first where several have one name.
    """

    data: NDArray[Any]
    names: tuple[str, ...]
    labels: tuple[int, ...]
    frames: tuple[int, ...] | None
    index: dict[str, int]

    def clip(self, name: str) -> NDArray[Any]:
        """(T, M, V, C) of a clip as the file has it, padding included but for what the label file excludes."""
        number = self.index[name]
        length = None if self.frames is None else max(1, self.frames[number])
        clip: NDArray[Any] = self.data[number, :, :length].transpose(1, 3, 2, 0)
        return clip


def open_arrays(path: Path) -> Arrays:
    """Open a data file and the label file beside it.

    Args:
        path: ``PREFIX_data_joint.npy`` or ``PREFIX_data.npy``; the labels are in ``PREFIX_label.pkl``.

    Raises:
        FileNotFoundError: there is no label file.
        ValueError: a file is damaged, or the two do not belong to each other.
        OSError: a file cannot be read at all.
    """
    data = map_npy(path)
    if data.ndim != 5 or data.shape[1] not in (2, 3, 4):
        raise ValueError(
            f"'{path.name}' holds an array of shape {data.shape}, but (clips, 2 to 4 channels, frames, joints, people) "
            "is needed; give the file of joint positions."
        )
    labels = labels_of(path)
    if not labels.is_file():
        raise FileNotFoundError(f"no file '{labels}'; the names and classes of '{path.name}' should be there.")
    found = _Labels.of(labels)
    if len(found.names) != len(data):
        raise ValueError(
            f"'{labels.name}' names {len(found.names)} clips, but '{path.name}' holds {len(data)}; give files that "
            "were made together."
        )
    index: dict[str, int] = {}
    for number, name in enumerate(found.names):
        index.setdefault(name, number)
    return Arrays(data, *found, index)


def labels_of(path: Path) -> Path:
    """The label file of a data file."""
    return path.with_name(f"{prefix_of(path)}_label.pkl")


def prefix_of(path: Path) -> str:
    """``"train"`` of ``train_data_joint.npy``."""
    return path.name.removesuffix(".npy").removesuffix("_joint").removesuffix("_data")


class _Labels(NamedTuple):
    names: tuple[str, ...]
    labels: tuple[int, ...]
    frames: tuple[int, ...] | None

    @classmethod
    def of(cls, path: Path) -> _Labels:
        """Read (names, labels) or (names, labels, frames), however nested.

        Raises:
            ValueError: the pickle holds something else.
        """
        columns = list(_columns(load_pickle(path)))
        names = [tuple(map(_text, column)) for column in columns if all(isinstance(x, str | bytes) for x in column)]
        numbers = [tuple(map(int, column)) for column in columns if all(_is_whole(x) for x in column)]
        if len(names) != 1 or not 1 <= len(numbers) <= 2 or len(names) + len(numbers) != len(columns):
            raise ValueError(
                f"'{path.name}' is no label file: it should hold a list of names and a list of class numbers, and "
                "perhaps one of lengths; check what wrote it."
            )
        if any(len(column) != len(names[0]) for column in numbers):
            raise ValueError(
                f"'{path.name}' has {len(names[0])} names but {len(numbers[0])} class numbers; fetch it again."
            )
        return cls(names[0], numbers[0], numbers[1] if len(numbers) == 2 else None)


def _columns(value: object, depth: int = 0) -> list[list[Any]]:
    """The lists of plain values in tuples of tuples, in order."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or not value or depth > 4:
        return []
    if isinstance(value[0], list | tuple | np.ndarray):
        return [column for item in value for column in _columns(item, depth + 1)]
    return [list(value)]


def _text(name: str | bytes) -> str:
    """Name of a clip; the ending of the file that it was made of is no part of it."""
    text = name.decode("latin1") if isinstance(name, bytes) else name
    return text.removesuffix(".skeleton").removesuffix(".json")


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def sequence_of(
    clip: NDArray[Any], skeleton: Skeleton, fps: float, unit: str, *, score: bool, padded: bool, name: str
) -> Sequence:
    """A sequence from an array in which zeros stand for those who are not there.

    Args:
        clip: (T, M, V, C).
        skeleton: the V joints.
        fps: frames per second.
        unit: of the positions.
        score: the last channel is a score of each joint, not a coordinate.
        padded: frames at the end in which nobody is there are no part of the clip.
        name: of the clip in messages.

    Raises:
        ValueError: it holds NaN or infinity, has another number of joints or of channels, or a score is below 0.
    """
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        clip = np.asarray(clip, dtype=np.float32)
    if clip.ndim != 4 or clip.shape[2] != skeleton.num_joints or clip.shape[3] - score not in (2, 3):
        raise ValueError(
            f"'{name}' has shape {clip.shape}, but (frames, people, {skeleton.num_joints} joints of '{skeleton.name}', "
            f"2 or 3 coordinates{' and a score' if score else ''}) is needed."
        )
    if not np.isfinite(clip).all():
        frame = int(np.argwhere(~np.isfinite(clip))[0][0])
        raise ValueError(f"'{name}' holds NaN or infinity, first in frame {frame}; make the file again.")
    positions, confidence = clip, None
    if score:
        positions, confidence = clip[..., :-1], np.minimum(clip[..., -1], 1)
        if (confidence < 0).any():
            raise ValueError(f"'{name}' has a score below 0; say that the last channel is no score.")
    seen = clip if confidence is None else confidence
    present: NDArray[np.bool_] = (seen != 0).reshape(*clip.shape[:2], -1).any(axis=-1)
    somebody = np.flatnonzero(present.any(axis=-1))
    length = len(clip) if not padded else int(somebody[-1]) + 1 if len(somebody) else 1
    return Sequence(
        np.ascontiguousarray(positions[:length]),
        present[:length],
        skeleton,
        fps,
        unit,
        None if confidence is None else np.ascontiguousarray(confidence[:length]),
    )


def has_score(skeleton: Skeleton, channels: int) -> bool:
    """Whether the last of C channels is a score, where nobody says: a fourth one, or the third of a detector."""
    return channels == 4 or (channels == 3 and skeleton.name in _SCORED)


def skeleton_with(joints: int, coordinates: int, *, guess: bool) -> Skeleton:
    """The built-in skeleton with so many joints.

    Args:
        joints: V.
        coordinates: C, 2 for pixels.
        guess: of several, take the one that nearly all files of others have: ``ntu25`` and ``ucla20``.

    Raises:
        ValueError: there is none, or more than one.
    """
    fitting = [skeleton for skeleton in SKELETONS.values() if skeleton.num_joints == joints]
    if joints == 25 and coordinates == 2:
        fitting = [SKELETONS["openpose25"]]
    elif guess and joints in (20, 25):
        fitting = [SKELETONS[f"{'ntu' if joints == 25 else 'ucla'}{joints}"]]
    if len(fitting) != 1:
        which = f"could be {' or '.join(skeleton.name for skeleton in fitting)}" if fitting else "are no skeleton known"
        raise ValueError(f"{joints} joints {which}; name the skeleton, or give a YAML file of it.")
    return fitting[0]


def map_npy(path: Path, kinds: str = "fiu") -> NDArray[Any]:
    """An array of plain numbers from an ``.npy`` file, as a read-only memory map.

    Args:
        path: the file.
        kinds: of numbers that may be in it, as numpy abbreviates them.

    Raises:
        ValueError: the file is no such array, or shorter than its header says.
        OSError: the file cannot be read at all.
    """
    with path.open("rb") as file:
        header = file.read(_LONGEST_HEADER + 12)
    return map_array(path, check_header(header, path.stat().st_size, path.name, kinds))


class Header(NamedTuple):
    """What an ``.npy`` file says about itself, and where its numbers begin."""

    shape: tuple[int, ...]
    order: Literal["C", "F"]
    dtype: np.dtype[Any]
    start: int


def check_header(data: bytes, size: int, name: str, kinds: str = "fiu") -> Header:
    """Read the header of an ``.npy`` file and hold it against what there is.

    Args:
        data: the file's beginning, at least the header.
        size: bytes of the whole file.
        name: of the file in messages.
        kinds: of numbers that may be in it.

    Raises:
        ValueError: it is none, holds something else than numbers, or declares more of them than there are.
    """
    file = io.BytesIO(data[: _LONGEST_HEADER + 12])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy wonders about headers of Python 2
            version = np.lib.format.read_magic(file)
            read = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape, fortran, dtype = read(file)
    except (*_NO_HEADER, tokenize.TokenError):
        raise ValueError(f"'{name}' is no .npy file, or its header is damaged; make it again.") from None
    if dtype.hasobject or dtype.names is not None or dtype.kind not in kinds:
        raise ValueError(f"'{name}' holds {dtype.kind!r} values instead of numbers; save it as a float32 array.")
    start = file.tell()
    if any(length < 1 for length in shape):
        raise ValueError(f"'{name}' says that its shape is {shape}, so that it holds nothing; make it again.")
    if math.prod(shape) * dtype.itemsize > size - start:
        raise ValueError(f"'{name}' says that its shape is {shape}, but it is too short (cut off?); make it again.")
    return Header(tuple(shape), "F" if fortran else "C", dtype, start)


def map_array(path: Path, header: Header, offset: int = 0) -> NDArray[Any]:
    """The numbers behind a checked header that begins at some byte of a file, as a read-only memory map."""
    array = np.memmap(path, header.dtype, "r", offset + header.start, header.shape, header.order)
    plain: NDArray[Any] = array.view(np.ndarray)  # indexing the subclass is slow
    return plain
