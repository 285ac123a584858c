"""SBU Kinect Interaction clips: one text file per clip, two people, 15 joints each.

A line is ``frame, 15 x (x, y, z) of the first person, 15 x (x, y, z) of the second``. Yun et al., "Two-person
Interaction Detection Using Body-Pose Features and Multiple Instance Learning", CVPR Workshops 2012.

The files hold normalised coordinates, with y pointing down and axes of unlike scale, in which turning a body would bend
it. The reader gives metres with y up: x = 1.28 - 2.56 x', y = 0.96 - 1.92 y', z = 1.28 z', the normalisation that the
authors describe, undone; with these factors the lengths of the bones vary least over the data set.

Axes: T frames, M = 2 people, V = 15 joints, C = 3.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 15.0
"""The nominal rate that the authors give; the files carry frame numbers, but no times."""

PEOPLE = 2
OFFSET = np.array([1.28, 0.96, 0.0])
SCALE = np.array([-2.56, -1.92, 1.28])
"""Metres from the normalised coordinates of the files, by axis."""


def read_sbu(path: str | Path) -> Sequence:
    """Read one ``skeleton_pos.txt``.

    Args:
        path: the text file.

    Returns:
        A sequence of two people on ``sbu15``, in metres with y up, at a nominal 15 frames per second. A person whose
        joints are all exactly zero in a frame is marked absent there.

    Raises:
        ValueError: the file is no such table, is damaged, skips frames, or holds NaN or infinity.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    where = "/".join(path.parts[-4:])  # every file of the set has the same name
    skeleton = SKELETONS["sbu15"]
    width = 1 + PEOPLE * skeleton.num_joints * 3
    try:
        lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"'{where}' is not a text file; fetch it again.") from None
    if not lines:
        raise ValueError(f"'{where}' is empty; remove it or fetch it again.")
    table = np.empty((len(lines), width))
    for number, line in enumerate(lines, start=1):
        fields = line.rstrip().rstrip(",").split(",")
        if len(fields) != width:
            raise ValueError(
                f"'{where}' line {number} has {len(fields)} numbers, but {width} are needed (frame, 2 people x "
                f"{skeleton.num_joints} joints x 3); it may be cut off, fetch it again."
            )
        try:
            table[number - 1] = [float(field) for field in fields]
        except ValueError as error:
            raise ValueError(f"'{where}' line {number}: {error}; fetch the file again.") from None
    usable = np.abs(table) <= np.finfo(np.float32).max  # not where NaN
    if not usable.all():
        line_number = int(np.argwhere(~usable)[0][0]) + 1
        raise ValueError(f"'{where}' holds NaN or infinity, first in line {line_number}; fetch the file again.")
    if (jumps := np.diff(table[:, 0]) != 1).any():
        first = int(np.argmax(jumps))
        raise ValueError(
            f"'{where}' jumps from frame {table[first, 0]:g} to {table[first + 1, 0]:g} in line {first + 2}; "
            "frames must follow each other, fetch the file again."
        )
    positions = table[:, 1:].reshape(len(lines), PEOPLE, skeleton.num_joints, 3)
    present = (positions != 0).reshape(*positions.shape[:2], -1).any(axis=-1)
    metres = np.where(present[..., None, None], OFFSET + SCALE * positions, 0)
    return Sequence(metres.astype(np.float32), present, skeleton, FPS, "m")
