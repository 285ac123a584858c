"""Penn Action clips: one MATLAB file of annotations per clip, one person, 13 joints, in pixels.

``x``, ``y`` and ``visibility`` are T x 13, ``action`` is the name of the class, ``train`` is 1 or -1, ``dimensions`` is
height, width and number of frames. Zhang, Zhu, Derpanis, "From Actemes to Action: A Strongly-Supervised Representation
for Detailed Action Understanding", ICCV 2013.

Axes: T frames, M = 1 person, V = 13 joints, C = 2 (x to the right, y down, in pixels of the video).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.mat import read_mat
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 30.0
"""A nominal rate: the clips come from films of many rates, which the files do not tell."""


class PennFacts(NamedTuple):
    """What a file says about its clip.

    Attributes:
        action: name of the class, with spaces.
        train: whether the authors use it for training, otherwise for testing.
        width: of the images, in pixels.
        height: of the images, in pixels.
    """

    action: str
    train: bool
    width: int
    height: int


def read_penn_facts(path: str | Path) -> PennFacts:
    """Read what a file says about its clip, without the joints.

    Raises:
        ValueError: the file is no annotation of Penn Action, or is damaged.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    found = read_mat(path, ("action", "train", "dimensions"))
    action, train, size = found["action"], found["train"], found["dimensions"]
    if not isinstance(action, str):
        raise ValueError(f"'{path.name}' has an action that is no text; fetch the file again.")
    if isinstance(train, str) or train.size != 1 or train.item() not in (1, -1):
        raise ValueError(f"'{path.name}' has a flag 'train' that is neither 1 nor -1; fetch the file again.")
    if isinstance(size, str) or size.size != 3 or not ((size >= 1) & (size <= 1e6)).all():
        raise ValueError(f"'{path.name}' has dimensions that are not height, width and frames; fetch the file again.")
    height, width, _ = (int(value) for value in size.ravel().tolist())
    return PennFacts(action.replace("_", " "), train.item() == 1, width, height)


def read_penn(path: str | Path) -> Sequence:
    """Read one annotation file, such as ``0001.mat``.

    Args:
        path: the MATLAB file.

    Returns:
        A sequence of one person on ``penn13``, in pixels, at a nominal 30 frames per second. The confidence is the
        visibility, 1 or 0; a frame without a visible joint is marked absent.

    Raises:
        ValueError: the file is no annotation of Penn Action, is damaged, shows nobody in any frame, or a visible joint
            is at NaN or infinity.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    skeleton = SKELETONS["penn13"]
    found = read_mat(path, ("x", "y", "visibility"))
    tables = {name: _table(path, name, found[name], skeleton.num_joints) for name in found}
    frames = {name: len(table) for name, table in tables.items()}
    if len(set(frames.values())) != 1:
        raise ValueError(f"'{path.name}' has unlike numbers of frames in {frames}; fetch the file again.")
    if not frames["x"]:
        raise ValueError(f"'{path.name}' has no frames; remove the file or fetch it again.")
    visibility = tables["visibility"]
    if not np.isin(visibility, (0, 1)).all():
        raise ValueError(f"'{path.name}' has a visibility that is neither 0 nor 1; fetch the file again.")
    visible = visibility == 1
    if not visible.any():
        raise ValueError(f"'{path.name}' shows no joint in any of its {frames['x']} frames; leave it out.")
    positions = np.stack([tables["x"], tables["y"]], axis=-1)
    usable = (np.abs(positions) <= np.finfo(np.float32).max).all(axis=-1)  # not where NaN
    if (visible & ~usable).any():
        frame = int(np.argwhere(visible & ~usable)[0][0])
        raise ValueError(
            f"'{path.name}' holds NaN or infinity for a visible joint, first in frame {frame}; fetch the file again."
        )
    # Joints that nobody could see have guessed positions, or (1, 1); the confidence says which ones count.
    positions = np.where(usable[..., None], positions, 0)
    present = visible.any(axis=1)
    return Sequence(
        positions.astype(np.float32)[:, None],
        present[:, None],
        skeleton,
        FPS,
        "px",
        visible.astype(np.float32)[:, None],
    )


def _table(path: Path, name: str, value: NDArray[Any] | str, joints: int) -> NDArray[np.float64]:
    if isinstance(value, str) or value.ndim != 2 or value.shape[1] != joints:
        shape = "a text" if isinstance(value, str) else " x ".join(map(str, value.shape))
        raise ValueError(
            f"'{path.name}' has '{name}' as {shape}, but frames x {joints} joints is needed; check that it is an "
            "annotation of Penn Action."
        )
    return value.astype(np.float64)
