"""NW-UCLA clips: one JSON file per clip, one person, 20 joints of a first-generation Kinect, in metres.

The files are the ones that came with CTR-GCN (Chen et al., ICCV 2021): ``{"file_name": "a01_s01_e00_v01",
"skeletons": T x 20 x 3, "label": 1..10}``. The recordings are Wang et al., "Cross-view Action Modeling, Learning and
Recognition", CVPR 2014.

Axes: T frames, M = 1 person, V = 20 joints, C = 3 (x, y up, z away from the camera).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 30.0
"""The nominal rate of the Kinect; the files carry no times."""


def read_ucla(path: str | Path, label: int | None = None) -> Sequence:
    """Read one NW-UCLA clip.

    Args:
        path: the JSON file.
        label: the number 1..10 that the file should carry, as its name says; None trusts the file.

    Returns:
        A sequence of one person on ``ucla20``, in metres, at a nominal 30 frames per second. A frame in which all
        joints are exactly zero is marked absent.

    Raises:
        ValueError: the file is no NW-UCLA clip, is damaged, holds NaN or infinity, or carries another label.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    skeleton = SKELETONS["ucla20"]
    frames = _frames(path, label)
    if not frames:
        raise ValueError(f"'{path.name}' has no frames; remove the file or fetch it again.")
    try:
        positions = np.array(frames, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):  # the last for whole numbers beyond every float
        raise ValueError(
            f"'{path.name}' has skeletons that are no table of numbers (frames x 20 joints x 3); fetch the file again."
        ) from None
    if positions.shape[1:] != (skeleton.num_joints, 3):
        raise ValueError(
            f"'{path.name}' has skeletons of shape {positions.shape}, but frames x {skeleton.num_joints} joints x 3 is "
            "needed; check that it is an NW-UCLA clip."
        )
    positions = positions[:, None]
    usable = np.abs(positions) <= np.finfo(np.float32).max  # not where NaN
    if not usable.all():
        frame = int(np.argwhere(~usable)[0][0])
        raise ValueError(f"'{path.name}' holds NaN or infinity, first in frame {frame}; fetch the file again.")
    present = (positions != 0).reshape(*positions.shape[:2], -1).any(axis=-1)
    return Sequence(positions.astype(np.float32), present, skeleton, FPS, "m")


def _frames(path: Path, label: int | None) -> list[Any]:
    try:
        clip = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise ValueError(f"'{path.name}' is not valid JSON (cut off?): {error}; fetch the file again.") from None
    except RecursionError:
        raise ValueError(f"'{path.name}' is not an NW-UCLA clip: it nests too deeply; remove it.") from None
    frames = clip.get("skeletons") if isinstance(clip, dict) else None
    if not isinstance(frames, list):
        raise ValueError(f"'{path.name}' is not an NW-UCLA clip: it has no list 'skeletons'; remove it.")
    if label is not None and clip.get("label", label) != label:
        raise ValueError(
            f"'{path.name}' carries label {clip['label']!r}, but its name stands for label {label}; mend one of them."
        )
    return frames
