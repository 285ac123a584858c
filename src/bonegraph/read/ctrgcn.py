"""The ``.npz`` files of the CTR-GCN family: NTU RGB+D by its own cleaning, in four arrays.

``x_train`` and ``x_test`` are (N, T, D): people x joints x 3 numbers a frame, zeros where nobody is. ``y_train`` and
``y_test`` are (N, classes): 1 in one place. Chen et al., "Channel-wise Topology Refinement Graph Convolution for
Skeleton-Based Action Recognition", ICCV 2021. The files name no clips.

In the files of NTU RGB+D 120 the second person of a clip of one is a copy of the first. Nobody is there twice: such a
copy is absent here, unless it is asked for.

Axes: N clips, T frames, D = M people x V joints x 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.npz import npz_arrays

PARTS = ("train", "test")


@dataclass(frozen=True, eq=False)
class CtrGcnFile:
    """The clips of one file.

    Attributes:
        data: (N, T, D) by part.
        labels: (N,) by part; -1 where a row of the file names not exactly one class.
        classes: how many there are.
    """

    data: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.int64]]
    classes: int

    def clip(self, part: str, number: int, joints: int, *, copies: bool = False) -> NDArray[np.float32]:
        """(T, M, V, 3) of a clip, padding included.

        Args:
            part: ``"train"`` or ``"test"``.
            number: of the clip in its part.
            joints: V.
            copies: keep a second person who is the first again.

        Raises:
            ValueError: the frames do not divide into people of so many joints.
        """
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused later
            clip = np.array(self.data[part][number], dtype=np.float32)
        if clip.shape[1] % (3 * joints):
            raise ValueError(
                f"a frame has {clip.shape[1]} numbers, which are no people of {joints} joints x 3; name the skeleton."
            )
        people = clip.reshape(len(clip), -1, joints, 3)
        if not copies and people.shape[1] == 2 and np.array_equal(people[:, 0], people[:, 1]):
            people[:, 1] = 0
        return people


def open_ctrgcn(path: Path) -> CtrGcnFile:
    """Open a file with x_train, y_train, x_test and y_test, or with one of the two pairs.

    Raises:
        ValueError: the file is no such archive, is damaged, or unfolds to far more than it is.
        OSError: the file cannot be read at all.
    """
    parts: list[str] = []

    def choose(names: set[str]) -> list[str]:
        parts.extend(part for part in PARTS if {f"x_{part}", f"y_{part}"} <= names)
        if not parts:
            raise ValueError(f"'{path.name}' has no arrays x_train and y_train; check that CTR-GCN can read it.")
        return [f"{kind}_{part}" for part in parts for kind in "xy"]

    arrays = npz_arrays(path, choose)
    data = {part: arrays[f"x_{part}"] for part in parts}
    for part, clips in data.items():
        if clips.ndim != 3 or clips.shape[2] != data[parts[0]].shape[2]:
            raise ValueError(
                f"'{path.name}' has x_{part} of shape {clips.shape}, but (clips, frames, people x joints x 3) is "
                "needed, alike in both parts; check that CTR-GCN can read it."
            )
    labels, widths = {}, []
    for part in parts:
        truth = arrays[f"y_{part}"]
        if len(truth) != len(data[part]) or not (truth.ndim == 2 or (truth.ndim == 1 and truth.dtype.kind in "iu")):
            raise ValueError(
                f"'{path.name}' has y_{part} of shape {truth.shape} for {len(data[part])} clips; fetch it again."
            )
        if truth.ndim == 2:
            labels[part] = np.where((truth != 0).sum(axis=1) == 1, (truth != 0).argmax(axis=1), -1).astype(np.int64)
            widths.append(truth.shape[1])
        else:
            labels[part] = truth.astype(np.int64)
            widths.append(int(labels[part].max()) + 1)
    return CtrGcnFile(data, labels, max(widths))
