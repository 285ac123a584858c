"""MSR-Action3D clips: one text file per clip, one person, 20 joints: a line per joint, 20 lines per frame.

A line is ``x y z confidence``. Li, Zhang, Liu, "Action Recognition Based on a Bag of 3D Points", CVPR Workshops 2010.

The files of real-world coordinates (``skeleton3D``) are in metres already, with y up and z away from the camera: people
are 1.4 to 3.9 away from it and about 1.7 tall. The order of the joints is that of `SKELETONS` ``msr20``.

The confidence is left out, because it does not say which joints can be trusted: the tracker gives it only where it
detects a joint itself, so that the spine has 0 in 97 % of all frames, the neck in 87 % and the feet in 87 %, although
their positions are as steady as those of the others.

Axes: T frames, M = 1 person, V = 20 joints, C = 3.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 15.0
"""The nominal rate that the authors give; the files carry no times."""


def read_msr(path: str | Path) -> Sequence:
    """Read one ``aAA_sSS_eEE_skeleton3D.txt``.

    Args:
        path: the text file.

    Returns:
        A sequence of one person on ``msr20``, in metres with y up, at a nominal 15 frames per second. A frame in which
        all joints are exactly zero is marked absent.

    Raises:
        ValueError: the file is no such table, is damaged, shows nobody in any frame, or holds NaN or infinity.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    skeleton = SKELETONS["msr20"]
    joints = skeleton.num_joints
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"'{path.name}' is not a text file; fetch it again.") from None
    if not lines:
        raise ValueError(f"'{path.name}' is empty; remove it or fetch it again.")
    table = np.empty((len(lines), 4))
    for number, fields in enumerate(lines, start=1):
        if len(fields) != 4:
            raise ValueError(
                f"'{path.name}' line {number} has {len(fields)} numbers, but 4 are needed (x, y, z, confidence); it "
                "may be cut off, fetch it again."
            )
        try:
            table[number - 1] = [float(field) for field in fields]
        except ValueError as error:
            reason = str(error)[:100]  # it quotes the file
            raise ValueError(f"'{path.name}' line {number}: {reason}; fetch the file again.") from None
    if len(lines) % joints:
        raise ValueError(
            f"'{path.name}' has {len(lines)} lines, which are no whole frames of {joints} joints; it may be cut off, "
            "fetch it again."
        )
    usable = np.abs(table) <= np.finfo(np.float32).max  # not where NaN
    if not usable.all():
        line_number = int(np.argwhere(~usable)[0][0]) + 1
        raise ValueError(f"'{path.name}' holds NaN or infinity, first in line {line_number}; fetch the file again.")
    positions = table[:, :3].reshape(-1, 1, joints, 3)
    present = (positions != 0).any(axis=(2, 3))
    if not present.any():
        raise ValueError(f"'{path.name}' is zero in all {len(positions)} frames, which shows nobody; leave it out.")
    return Sequence(positions.astype(np.float32), present, skeleton, FPS, "m")
