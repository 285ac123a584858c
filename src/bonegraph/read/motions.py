"""Mimed motions: one ``.npz`` file of all clips, one person each, 25 joints found by OpenPose.

``keypoints`` (frames of all clips, 25, 3): x, y in pixels and a confidence; ``offsets`` (N + 1): where each clip
begins; ``name``, ``action``, ``subject`` and ``trial``: one value a clip.

Axes: N clips, T frames, M = 1 person, V = 25 joints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.npz import npz_arrays
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 30.0
"""Nominal; the file carries no times."""

_NAMES = ("keypoints", "offsets", "name", "action", "subject", "trial")


@dataclass(frozen=True, eq=False)
class Motions:
    """The clips of a file.

    Attributes:
        keypoints: (frames of all, V, 3).
        offsets: (N + 1,) first frames, and the end.
        names: of the clips.
        actions: what each shows.
        subjects: who shows it.
        trials: the how-manieth time.
    """

    keypoints: NDArray[Any]
    offsets: NDArray[np.int64]
    names: list[str]
    actions: list[str]
    subjects: list[int]
    trials: list[int]

    def sequence(self, clip: int) -> Sequence:
        """One clip, in pixels with y down.

        Raises:
            ValueError: it holds NaN, infinity or a confidence below 0.
        """
        with np.errstate(over="ignore"):
            points = np.array(self.keypoints[self.offsets[clip] : self.offsets[clip + 1]], dtype=np.float32)
        if not np.isfinite(points).all() or (points[..., 2] < 0).any():
            raise ValueError(f"'{self.names[clip]}' holds NaN, infinity or a confidence below 0; fetch the file again.")
        confidence = np.minimum(points[:, None, :, 2], 1)
        positions = np.where(confidence[..., None] > 0, points[:, None, :, :2], 0)
        return Sequence(positions, np.any(confidence > 0, axis=2), SKELETONS["openpose25"], FPS, "px", confidence)


def open_motions(path: Path) -> Motions:
    """Open a file without reading its clips.

    Raises:
        ValueError: the file is damaged, or something else.
        OSError: the file cannot be read at all.
    """

    def choose(names: set[str]) -> tuple[str, ...]:
        if missing := [name for name in _NAMES if name not in names]:
            raise ValueError(f"'{path.name}' has no array '{missing[0]}'; check that it holds the mimed motions.")
        return _NAMES

    arrays = npz_arrays(path, choose, "fiuU")
    keypoints, offsets = arrays["keypoints"], arrays["offsets"]
    joints = SKELETONS["openpose25"].num_joints
    if keypoints.dtype.kind != "f" or keypoints.shape[1:] != (joints, 3):
        raise ValueError(
            f"'{path.name}' has keypoints of shape {keypoints.shape}, but (frames, {joints}, 3) is needed."
        )
    count = len(offsets) - 1
    whole = offsets.dtype.kind in "iu" and offsets.ndim == 1 and count > 0
    if not (whole and offsets[0] == 0 and offsets[-1] == len(keypoints) and (offsets[1:] > offsets[:-1]).all()):
        raise ValueError(f"'{path.name}' has offsets that do not divide its {len(keypoints)} frames; fetch it again.")
    about: dict[str, list[Any]] = {}
    for name in _NAMES[2:]:
        values, kinds = arrays[name], "U" if name in ("name", "action") else "iu"
        if values.shape != (count,) or values.dtype.kind not in kinds:
            raise ValueError(f"'{path.name}' has no {name} for each of its {count} clips; fetch it again.")
        try:
            about[name] = values.tolist()
        except ValueError:  # bytes that are no text
            raise ValueError(f"'{path.name}' has a {name} that is no text; fetch it again.") from None
    return Motions(
        keypoints, offsets.astype(np.int64), about["name"], about["action"], about["subject"], about["trial"]
    )
