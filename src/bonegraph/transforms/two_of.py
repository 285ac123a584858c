"""Two different ones of four changes of a training clip (Nagy, Panesar and Qian, KTH 2020, Sec. 3.1).

"... with probability 0.5 to have two out of the following transformations applied: horizontal flipping; rotation;
translation; scaling", each by an amount from a fixed set, which is that of the public code. Whole batches, on any
device; a function of the keys of the clips.

Departs from the public code:
    its two changes could be the same one, its translation did nothing, and its flip left each side on its side.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bonegraph.seeding import Keys, integers, uniform
from bonegraph.skeleton import Skeleton
from bonegraph.transforms.augment import Positions, Visible, mirror, swap_sides

CHANGES = ("flip", "rotation", "translation", "scaling")
ANGLES = (-15.0, -10.0, -5.0, 5.0, 10.0, 15.0)
"""Degrees, in the plane of the picture."""
SHIFTS = ((5.0, 5.0), (0.0, 5.0), (5.0, 0.0))
"""In the unit of the data, which are pixels."""
SCALES = (0.95, 1.05, 1.1)


def drawn(keys: Keys, probability: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """(N, 2) numbers of two different `CHANGES`, in the order in which they are made; -1 for clips that stay."""
    pair = np.argsort(uniform(keys, "two of four", len(CHANGES)), axis=1)[:, :2]
    return np.where(uniform(keys, "two of", 1) < probability, pair, -1)


def two_of(
    positions: Positions,
    visible: Visible,
    confidence: Float[Tensor, "n t v m"] | None,
    skeleton: Skeleton,
    keys: Keys,
    probability: float,
) -> tuple[Positions, Visible, Float[Tensor, "n t v m"] | None]:
    """Change clips. The first two coordinates are the plane of the picture; others are scaled alone.

    Args:
        positions: in the unit of the data, with 0 where the clip turns and is mirrored.
        visible: what is hidden stays 0.
        confidence: changes sides with the joints.
        skeleton: its sides.
        keys: one a clip.
        probability: that a clip is changed.
    """
    angles = _amounts(keys, "rotation", ANGLES, positions)[:, 0] * (math.pi / 180)
    shifts = _amounts(keys, "translation", SHIFTS, positions)
    sizes = _amounts(keys, "scaling", SCALES, positions)
    turns = torch.stack(
        [torch.stack([angles.cos(), -angles.sin()], 1), torch.stack([angles.sin(), angles.cos()], 1)], 1
    )
    for change in torch.from_numpy(drawn(keys, probability)).to(positions.device).T:
        flip, rotation, translation, scaling = (change == number for number in range(len(CHANGES)))
        positions, visible = mirror(positions, visible, skeleton, flip)
        confidence = None if confidence is None else swap_sides(confidence, skeleton, flip)
        plane, others = positions[:, :2], positions[:, 2:]
        turned = torch.einsum("ndc,nctvm->ndtvm", turns, plane)
        plane = torch.where(_each(rotation), turned, plane)
        plane = torch.where(_each(translation), plane + _each(shifts), plane)
        positions = torch.cat([plane, others], dim=1)
        positions = torch.where(_each(scaling), positions * _each(sizes), positions)
        positions = torch.where(visible[:, None], positions, 0)
    return positions, visible, confidence


def _amounts(keys: Keys, change: str, choices: tuple[object, ...], like: Tensor) -> Float[Tensor, "n _"]:
    """One of the choices for each clip, as a row."""
    table = np.array(choices, dtype=np.float64).reshape(len(choices), -1)
    return torch.from_numpy(table[integers(keys, f"two of, {change}", len(choices), 1)[:, 0]]).to(like)


def _each(values: Tensor) -> Tensor:
    """(N,) or (N, C) against (N, C, T, V, M)."""
    return values.reshape(len(values), -1, 1, 1, 1)
