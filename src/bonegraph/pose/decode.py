"""From the output of a pose network to joints: two kinds of output that nearly all top-down networks have.

*SimCC* (Li et al., ECCV 2022; RTMPose): for each joint a score for each place in x and one for each place in y, finer
than pixels. *Heat maps* (HRNet, ViTPose): a score for each place of a coarser picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def decode_simcc(x: Floats, y: Floats, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The place of the highest score in x and in y; the confidence is the lower of the two scores.

    Args:
        x: (V, Wx) scores, Wx a multiple of the width (2, usually).
        y: (V, Hy) scores.
        width: of the input of the network, in pixels.
        height: of the input of the network, in pixels.

    Returns:
        (V, 2) in pixels of the input and (V,) in [0, 1].

    Raises:
        ValueError: the shapes do not belong together.
    """
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(f"scores of shapes {x.shape} and {y.shape} are no SimCC output; (V, Wx) and (V, Hy) are.")
    places = np.stack([x.argmax(axis=1) * (width / x.shape[1]), y.argmax(axis=1) * (height / y.shape[1])], axis=1)
    confidence = np.minimum(x.max(axis=1), y.max(axis=1)).clip(0, 1)
    return places.astype(np.float32), confidence.astype(np.float32)


def decode_heatmaps(maps: Floats, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The place of the highest score, moved a quarter of a cell towards the higher neighbour (Newell et al. 2016).

    Args:
        maps: (V, H, W) scores.
        width: of the input of the network, in pixels.
        height: of the input of the network, in pixels.

    Returns:
        (V, 2) in pixels of the input and (V,) in [0, 1].

    Raises:
        ValueError: the shape is not that of heat maps.
    """
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"scores of shape {maps.shape} are no heat maps; (V, H, W) are.")
    count, rows, columns = maps.shape
    best = maps.reshape(count, -1).argmax(axis=1)
    row, column = best // columns, best % columns
    joint = np.arange(count)
    around = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge")
    right = np.sign(around[joint, row + 1, column + 2] - around[joint, row + 1, column])
    down = np.sign(around[joint, row + 2, column + 1] - around[joint, row, column + 1])
    inside_x, inside_y = (column > 0) & (column < columns - 1), (row > 0) & (row < rows - 1)
    places = np.stack(
        [(column + 0.25 * right * inside_x) * (width / columns), (row + 0.25 * down * inside_y) * (height / rows)],
        axis=1,
    )
    return places.astype(np.float32), maps[joint, row, column].clip(0, 1).astype(np.float32)
