"""Annotation files of PYSKL and MMAction2: one pickle with all clips of a data set and its splits.

``{"split": {"xsub_train": [ids], "xsub_val": [ids], ...}, "annotations": [{"frame_dir": id, "label": 0, "keypoint":
(M, T, V, C), ...}, ...]}``; clips in two dimensions have ``keypoint_score`` (M, T, V) and ``img_shape`` (height, width)
as well. Duan et al., "PYSKL: Towards Good Practices for Skeleton Action Recognition", ACM Multimedia 2022. Numbers are
often float16, and people are as many as there are, without padding.

The pickle is read as data (`bonegraph.read.pickles`), and its arrays stay in the file until a clip is asked for.

Axes: T frames, M people, V joints, C = 2 or 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bonegraph.read.arrays import sequence_of
from bonegraph.read.ntu.released import turned
from bonegraph.read.pickles import load_pickle
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton

_PART = re.compile(r"(?:(.+)[_-])?(train|val|test)(?:[_-]?(\d+)|[_-](.+))?")


@dataclass(frozen=True, eq=False)
class Annotations:
    """The clips of one file.

    Attributes:
        clips: by id; the first where several have one id.
        ids: of all clips, in the order of the file.
        splits: for every split the part of each id that it names: ``"train"``, ``"val"`` or ``"test"``.
        shape: (V, C) of the first clip.
        scored: the first clip has a score for every joint.
    """

    clips: dict[str, dict[str, Any]]
    ids: tuple[str, ...]
    splits: dict[str, dict[str, str]]
    shape: tuple[int, int]
    scored: bool


def open_annotations(path: Path) -> Annotations:
    """Read an annotation file.

    A split is named by what its parts have in common: ``xsub_train`` and ``xsub_val`` are the split ``xsub``; plain
    ``train`` and ``val`` are the split ``given``; ``train1`` and ``test1`` are ``split1``. Other lists are passed over.

    Raises:
        ValueError: the file is no annotation file or is damaged, or an id is in two parts of one split.
        OSError: the file cannot be read at all.
    """
    content = load_pickle(path)
    if not isinstance(content, dict):
        content = {"annotations": content}  # older files have no splits
    listed = content.get("annotations")
    if not isinstance(listed, list) or not listed or not all(isinstance(clip, dict) for clip in listed):
        raise ValueError(f"'{path.name}' has no list 'annotations' of clips; check that PYSKL can read it.")
    clips: dict[str, dict[str, Any]] = {}
    ids = []
    for number, clip in enumerate(listed):
        name = clip.get("frame_dir", clip.get("filename"))
        if not isinstance(name, str):
            raise ValueError(f"'{path.name}' has a clip without a name 'frame_dir' (clip {number}); fetch it again.")
        ids.append(name)
        clips.setdefault(name, clip)
    first = clips[ids[0]]
    keypoint = first.get("keypoint")
    if not isinstance(keypoint, np.ndarray) or keypoint.ndim != 4:
        elsewhere = "; its poses are in other files" if "raw_file" in first else ""
        raise ValueError(
            f"'{path.name}' has no 'keypoint' (people, frames, joints, coordinates) in its first clip{elsewhere}."
        )
    shape = (int(keypoint.shape[2]), int(keypoint.shape[3]))
    return Annotations(clips, tuple(ids), _splits(content.get("split"), path.name), shape, "keypoint_score" in first)


def _splits(given: object, name: str) -> dict[str, dict[str, str]]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"'{name}' has a 'split' that is no dictionary of lists; fetch it again.")
    splits: dict[str, dict[str, str]] = {}
    for key, ids in given.items():
        match = _PART.fullmatch(key) if isinstance(key, str) else None
        if match is None:
            continue
        if not isinstance(ids, list | tuple) or not all(isinstance(clip, str) for clip in ids):
            raise ValueError(f"'{name}' has a split {ascii(key)[:80]} that is no list of clips; fetch it again.")
        before, part, number, after = match.groups()
        split = "_".join(filter(None, [before, after, f"split{number}" if number else ""])) or "given"
        parts = splits.setdefault(split, {})
        for clip in ids:
            if parts.setdefault(clip, part) != part:
                raise ValueError(
                    f"'{name}' has clip {ascii(clip)[:80]} in '{parts[clip]}' and in '{part}' of the split '{split}'; "
                    "keep it in one of them."
                )
    return splits


def read_annotation(clip: dict[str, Any], skeleton: Skeleton, fps: float, unit: str) -> Sequence:
    """A sequence from one clip of an annotation file.

    Args:
        clip: of the file.
        skeleton: the V joints.
        fps: frames per second; the files carry no times.
        unit: of the result; ``"normalised"`` divides pixels by width and height, which the clip must tell.

    Raises:
        ValueError: an array is missing or of the wrong shape, holds NaN or infinity, or a score is below 0.
    """
    name = str(clip.get("frame_dir", clip.get("filename")))
    keypoint, score = clip.get("keypoint"), clip.get("keypoint_score")
    if not isinstance(keypoint, np.ndarray) or keypoint.ndim != 4 or keypoint.dtype.kind not in "fiu":
        raise ValueError(f"'{name}' has no array 'keypoint' (people, frames, joints, coordinates); fetch it again.")
    if 0 in keypoint.shape:
        raise ValueError(f"'{name}' has a 'keypoint' of shape {keypoint.shape}: nobody is in it.")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        positions = keypoint.astype(np.float32)
    if unit == "normalised" and keypoint.shape[3] == 2:
        positions /= _picture(clip, name)
    if score is not None:
        if not isinstance(score, np.ndarray) or score.shape != keypoint.shape[:3] or score.dtype.kind not in "fiu":
            raise ValueError(f"'{name}' has a 'keypoint_score' that does not fit its 'keypoint'; fetch it again.")
        positions = np.concatenate([positions, score[..., None].astype(np.float32)], axis=-1)
    frames_first = positions.swapaxes(0, 1)
    return sequence_of(frames_first, skeleton, fps, unit, score=score is not None, padded=False, name=name)


def pre_normalised(sequence: Sequence) -> Sequence:
    """What PYSKL and MMAction2 do to clips in space before they choose frames (``PreNormalize3D``).

    1. Keep the frames in which person 1 is there. Where person 2 is there more often, keep theirs and exchange the two.
    2. Subtract the mid spine of the then first person in the then first frame from all joints that are not zero.
    3. Turn the clip so that in that frame the bone from pelvis to mid spine points along z, and then so that the line
       from the left to the right shoulder points along x.

    Raises:
        ValueError: the clip is not on ``ntu25`` in space, has more than two people, or nobody is in it.
    """
    body = SKELETONS["ntu25"]
    if sequence.skeleton != body or sequence.positions.shape[3] != 3 or sequence.num_people > 2:
        raise ValueError(
            f"the normalisation of PYSKL is for one or two people on 'ntu25' in space, but there are "
            f"{sequence.num_people} on '{sequence.skeleton.name}' with {sequence.positions.shape[3]} coordinates; "
            "leave it out."
        )
    counts = sequence.present.sum(axis=0)
    order = [1, 0] if len(counts) == 2 and counts[0] < counts[1] else list(range(len(counts)))
    frames = np.flatnonzero(sequence.present[:, order[0]])
    if not len(frames):
        raise ValueError("nobody is there in any frame.")
    positions, present = sequence.positions[frames][:, order], sequence.present[frames][:, order]
    origin = positions[0, 0, body.index("mid spine")]
    positions = np.where(positions.any(axis=-1, keepdims=True), positions - origin, np.float32(0))
    pelvis, spine = body.index("pelvis"), body.index("mid spine")
    left, right = body.index("left shoulder"), body.index("right shoulder")
    positions = turned(positions, positions[0, 0, spine] - positions[0, 0, pelvis], np.array([0, 0, 1]))
    positions = turned(positions, positions[0, 0, right] - positions[0, 0, left], np.array([1, 0, 0]))
    return replace(sequence, positions=positions, present=present)


def _picture(clip: dict[str, Any], name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(width, height) in pixels."""
    shape = clip.get("img_shape", clip.get("original_shape"))
    try:
        height, width = (float(length) for length in shape)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise ValueError(f"'{name}' has no 'img_shape' (height, width); keep its pixels (unit px).") from None
    if not (0 < height < 1e6 and 0 < width < 1e6):
        raise ValueError(f"'{name}' says that its picture is {width:g} x {height:g} pixels; fetch the file again.")
    return np.array([width, height], np.float32)
