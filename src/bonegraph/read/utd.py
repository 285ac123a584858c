"""UTD-MHAD clips: one MATLAB file per clip, one person, 20 joints of a first-generation Kinect, in metres.

``d_skel`` is 20 x 3 x T. Chen, Jafari, Kehtarnavaz, "UTD-MHAD: A Multimodal Dataset for Human Action Recognition
Utilizing a Depth Camera and a Wearable Inertial Sensor", ICIP 2015.

Axes: T frames, M = 1 person, V = 20 joints, C = 3 (x, y up, z away from the camera).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bonegraph.read.mat import read_mat
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 30.0
"""The nominal rate of the Kinect; the files carry no times."""


def read_utd(path: str | Path) -> Sequence:
    """Read one ``aA_sS_tT_skeleton.mat``.

    Args:
        path: the MATLAB file.

    Returns:
        A sequence of one person on ``utd20``, in metres, at a nominal 30 frames per second. A frame in which all joints
        are exactly zero is marked absent.

    Raises:
        ValueError: the file is no UTD-MHAD skeleton, is damaged, or holds NaN or infinity.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    skeleton = SKELETONS["utd20"]
    table = read_mat(path, ("d_skel",))["d_skel"]
    if isinstance(table, str) or table.shape[:2] != (skeleton.num_joints, 3) or table.ndim > 3:
        shape = "a text" if isinstance(table, str) else " x ".join(map(str, table.shape))
        raise ValueError(
            f"'{path.name}' has 'd_skel' as {shape}, but {skeleton.num_joints} joints x 3 x frames is needed; "
            "check that it is a skeleton of UTD-MHAD."
        )
    # MATLAB drops a last dimension of 1.
    positions = table.reshape(skeleton.num_joints, 3, -1).transpose(2, 0, 1).astype(np.float64)[:, None]
    if not len(positions):
        raise ValueError(f"'{path.name}' has no frames; remove the file or fetch it again.")
    usable = np.abs(positions) <= np.finfo(np.float32).max  # not where NaN
    if not usable.all():
        frame = int(np.argwhere(~usable)[0][0])
        raise ValueError(f"'{path.name}' holds NaN or infinity, first in frame {frame}; fetch the file again.")
    present = (positions != 0).any(axis=(2, 3))
    return Sequence(positions.astype(np.float32), present, skeleton, FPS, "m")
