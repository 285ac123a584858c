"""Random changes of training clips, each a function of the clip's key. Whole batches, on any device."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from bonegraph.seeding import Keys, integers, uniform
from bonegraph.skeleton import Skeleton

Positions = Float[Tensor, "n c t v m"]
Visible = Bool[Tensor, "n t v m"]


def draw(keys: Keys, purpose: str, like: Tensor, *shape: int) -> Tensor:
    """Uniform numbers in [-1, 1) from the keys, as a tensor beside ``like``."""
    return torch.from_numpy(uniform(keys, purpose, *shape) * 2 - 1).to(like)


def rotation_matrices(angles: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Rotations about x, then y, then z. Angles in radians."""
    x, y, z = (_about(axis, angles[:, axis]) for axis in range(3))
    return z @ y @ x


def _about(axis: int, angle: Tensor) -> Tensor:
    first, second = [a for a in range(3) if a != axis]
    sign = -1 if axis == 1 else 1  # the plane (x, z) turns the other way round
    turn = torch.eye(3, device=angle.device, dtype=angle.dtype).repeat(len(angle), 1, 1)
    turn[:, first, first] = turn[:, second, second] = angle.cos()
    turn[:, second, first] = sign * angle.sin()
    turn[:, first, second] = -sign * angle.sin()
    return turn


def random_rotation(positions: Positions, keys: Keys, degrees: tuple[float, float, float]) -> Positions:
    """Turn each clip about its origin by up to ±``degrees`` about x, y and z; 2-D clips turn by the last alone.

    The angles are independent and uniform.
    """
    angles = draw(keys, "rotation", positions, 3) * positions.new_tensor(degrees) * (math.pi / 180)
    turn = rotation_matrices(angles)
    if positions.shape[1] == 2:
        turn = _about(2, angles[:, 2])[:, :2, :2]
    return torch.einsum("ndc,nctvm->ndtvm", turn, positions)


def random_scale(positions: Positions, keys: Keys, low: float, high: float, per_axis: bool = True) -> Positions:
    """Stretch each clip by a factor from [low, high), each axis by its own or all by one."""
    share = (draw(keys, "scale", positions, positions.shape[1] if per_axis else 1) + 1) / 2
    return positions * (low + (high - low) * share)[:, :, None, None, None]


def swap_sides(
    values: Shaped[Tensor, "n t v m"], skeleton: Skeleton, which: Bool[Tensor, " n"]
) -> Shaped[Tensor, "n t v m"]:
    """In the marked clips left joints change place with right ones."""
    order = torch.tensor(skeleton.mirror, device=values.device)
    return torch.where(which[:, None, None, None], values[:, :, order], values)


def mirror(
    positions: Positions, visible: Visible, skeleton: Skeleton, which: Bool[Tensor, " n"]
) -> tuple[Positions, Visible]:
    """Mirror the marked clips: x changes its sign and left joints change place with right ones.

    Centre the clip before, so that x = 0 is its middle.
    """
    order = torch.tensor(skeleton.mirror, device=positions.device)
    flip = positions.new_tensor([-1.0] + [1.0] * (positions.shape[1] - 1))[None, :, None, None, None]
    swapped = positions[:, :, :, order] * flip
    mirrored = torch.where(which[:, None, None, None, None], swapped, positions)
    return mirrored, swap_sides(visible, skeleton, which)


def chosen(keys: Keys, purpose: str, probability: float, device: torch.device) -> Bool[Tensor, " n"]:
    """Mark each clip with a probability."""
    return torch.from_numpy(uniform(keys, purpose) < probability).to(device)


def joint_dropout(visible: Visible, keys: Keys, probability: float) -> Visible:
    """Hide each joint of each person for a whole clip with a probability. The caller zeroes what is hidden."""
    _, _, joints, people = visible.shape
    # People first, so that a person's joints do not depend on how many others are in the batch.
    kept = uniform(keys, "joint dropout", people, joints).transpose(0, 2, 1) >= probability
    return visible & torch.from_numpy(kept).to(visible.device)[:, None]


ANGLES = (-10.0, -5.0, 0.0, 5.0, 10.0)
SCALES = (0.9, 1.0, 1.1)
SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)


def random_moving(positions: Positions, visible: Visible, keys: Keys, key_frames: int = 2) -> Positions:
    """A smoothly moving camera (ST-GCN Sec. 3.6).

    At each key frame an angle, a scale and a shift are drawn from the fixed candidates of the released code; between
    key frames, which divide the clip from its first to its last visible frame, they are interpolated linearly, and each
    frame is transformed over all its joints. The image plane (the first two coordinates) moves; further channels stay.

    Args:
        positions: with the image centre at 0.
        visible: what is hidden stays 0.
        keys: one a clip.
        key_frames: at least 2; two are the first and the last frame, as in the paper.
    """
    drawn = [
        np.asarray(values)[integers(keys, f"moving {name}", len(values), key_frames)]
        for name, values in (("angle", ANGLES), ("scale", SCALES), ("x", SHIFTS), ("y", SHIFTS))
    ]
    knots = torch.from_numpy(np.stack(drawn, axis=1)).to(positions)  # n 4 key_frames
    path = _between(knots, _progress(visible, knots.dtype))
    angle, size, shift = path[:, 0] * (math.pi / 180), path[:, 1], path[:, 2:]
    cos, sin = angle.cos() * size, angle.sin() * size
    turn = torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)  # n 2 2 t
    plane = torch.einsum("ndct,nctvm->ndtvm", turn, positions[:, :2]) + shift[..., None, None]
    return torch.cat([torch.where(visible[:, None], plane, 0), positions[:, 2:]], dim=1)


def _progress(visible: Visible, dtype: torch.dtype) -> Float[Tensor, "n t"]:
    """Where each frame lies between the start (0) and the last visible frame (1) of its clip."""
    steps = torch.arange(visible.shape[1], device=visible.device)
    last = torch.where(visible.any(dim=3).any(dim=2), steps, 0).amax(dim=1)
    return (steps.to(dtype) / last.clamp(min=1)[:, None]).clamp(max=1)


def _between(knots: Float[Tensor, "n k f"], progress: Float[Tensor, "n t"]) -> Float[Tensor, "n k t"]:
    """Linear interpolation of evenly spaced key frames."""
    place = progress * (knots.shape[2] - 1)
    before = place.floor().clamp(max=knots.shape[2] - 2).long()
    share = (place - before)[:, None]
    index = before[:, None].expand(-1, knots.shape[1], -1)
    return knots.gather(2, index) * (1 - share) + knots.gather(2, index + 1) * share
