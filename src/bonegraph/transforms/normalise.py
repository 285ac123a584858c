"""Where the body stands, how it is turned and how large it is. Whole batches, on any device."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bonegraph.skeleton import Skeleton

Centre = Literal["frame", "first", "image", "none"]
CentreOn = Literal["first-person", "people"]
Scale = Literal["body-height", "min-max", "image", "none"]
Positions = Float[Tensor, "n c t v m"]
Visible = Bool[Tensor, "n t v m"]


def _places(positions: Tensor, visible: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor]:
    """Where each person is: the origin joint, or the mean of the visible joints without it.

    Shapes:
        returns points (N, C, T, M) and who is there (N, T, M)
    """
    mean = (positions * visible[:, None]).sum(dim=3) / visible.sum(dim=2).clamp(min=1)[:, None]
    seen = visible[:, None, :, skeleton.origin]
    return torch.where(seen, positions[:, :, :, skeleton.origin], mean), visible.any(dim=2)


def _reference(positions: Tensor, visible: Tensor, skeleton: Skeleton, on: CentreOn) -> tuple[Tensor, Tensor]:
    """The point that moves to zero in each frame: the first person present, or the middle of all who are.

    Shapes:
        returns points (N, C, T) and whether there is one (N, T)
    """
    places, there = _places(positions, visible, skeleton)
    if on == "first-person":
        person = there.to(torch.uint8).argmax(dim=2)[:, None, :, None]
        point = places.gather(3, person.expand(*places.shape[:3], 1))[..., 0]
    else:
        point = (places * there[:, None]).sum(dim=3) / there.sum(dim=2).clamp(min=1)[:, None]
    return point, there.any(dim=2)


def _at_first(points: Tensor, known: Tensor) -> Tensor:
    """The point of the first frame that has one: (N, C, T) -> (N, C, 1)."""
    first = known.to(torch.uint8).argmax(dim=1)
    return points.gather(2, first[:, None, None].expand(points.shape[0], points.shape[1], 1))


def centre(
    positions: Positions, visible: Visible, skeleton: Skeleton, mode: Centre, on: CentreOn = "first-person"
) -> Positions:
    """Move the origin joint of the first person to zero, in every frame or by its place in the first frame.

    All people move together, so that their distance stays. ``frame`` takes out the path of the body, ``first`` keeps
    it. On ``people``, the middle between the origin joints of all present people moves to zero instead, so that the
    coordinates of each person tell where the others are.
    """
    if mode == "none":
        return positions
    point, known = _reference(positions, visible, skeleton, on)
    if mode == "first":
        point = _at_first(point, known)
    return torch.where(visible[:, None], positions - point[..., None, None], 0)


def _joint(skeleton: Skeleton, *names: str) -> int:
    for name in names:
        if name in skeleton.joints:
            return skeleton.joints.index(name)
    raise ValueError(
        f"rotating to body axes needs one of {', '.join(names)}, which '{skeleton.name}' does not have; switch it off."
    )


def rotate_to_body(positions: Positions, visible: Visible, skeleton: Skeleton) -> Positions:
    """Turn a clip so that the first body stands along +z and its shoulders lie along +x.

    The spine (pelvis to mid spine, or the hips to the neck) of the first person in the first frame becomes the z axis,
    the line from the right to the left shoulder, made square to it, the x axis. A body whose joints lie on one line or
    are not seen is left as it is.

    Departs from the released code of 2s-AGCN, MS-G3D and DualHead:
        there x points from the left to the right shoulder and is not made square to z; `bonegraph.read.ntu` does
        where their weights need it.

    Raises:
        ValueError: the coordinates are not 3-D, or the skeleton has no shoulders.
    """
    if positions.shape[1] != 3:
        raise ValueError(f"rotating to body axes needs 3 coordinates, got {positions.shape[1]}; switch it off.")
    left = _joint(skeleton, "left shoulder", "left hip")
    right = _joint(skeleton, "right shoulder", "right hip")
    low = [_joint(skeleton, "pelvis", "left hip"), _joint(skeleton, "pelvis", "right hip")]
    high = _joint(skeleton, "mid spine", "upper spine", "neck", "head", "nose")
    needed = [left, right, high, *low]
    usable = visible[:, :, needed].all(dim=2)  # n t m
    flat = usable.flatten(1).to(torch.uint8).argmax(dim=1)
    people = visible.shape[3]
    clips = torch.arange(len(positions), device=positions.device)
    body = positions[clips, :, flat // people, :, flat % people]  # n c v
    up = body[:, :, high] - body[:, :, low].mean(dim=2)
    across = body[:, :, left] - body[:, :, right]
    z = up / up.norm(dim=1, keepdim=True).clamp(min=1e-8)
    x = across - (across * z).sum(dim=1, keepdim=True) * z
    good = usable.flatten(1).any(dim=1) & (up.norm(dim=1) > 1e-6) & (x.norm(dim=1) > 1e-6)
    x = x / x.norm(dim=1, keepdim=True).clamp(min=1e-8)
    axes = torch.stack([x, torch.linalg.cross(z, x), z], dim=1)  # rows are the new axes
    axes = torch.where(good[:, None, None], axes, torch.eye(3, device=axes.device, dtype=axes.dtype))
    return torch.einsum("ndc,nctvm->ndtvm", axes, positions)


def body_height(positions: Positions, visible: Visible, skeleton: Skeleton) -> Float[Tensor, " n"]:
    """Length of the bones from head to foot of the first person who is seen, each a mean over the frames that show it.

    A bone that is never seen is as long as the one on the other side, or else as the mean of those on the way that are
    seen, or else of all bones that are seen. A clip without any bone has height 1. The unit is that of the positions.
    """
    top = next((joint for name in ("head", "nose") for joint in _named(skeleton, name)), 0)
    feet = ("foot", "heel", "ankle", "knee", "hip")
    foot = next((joint for name in feet for joint in _named(skeleton, f"left {name}")), skeleton.num_joints - 1)
    path = sorted(_to_root(skeleton, top) ^ _to_root(skeleton, foot))  # the way up and down, without the common part
    if not path:
        return positions.new_ones(len(positions))
    parents = list(skeleton.parents)
    person = visible.any(dim=2).any(dim=1).to(torch.uint8).argmax(dim=1)  # the first one who is ever seen
    clips = torch.arange(len(positions), device=positions.device)
    body, there = positions[clips, ..., person], visible[clips, ..., person]
    length = (body - body[..., parents]).norm(dim=1)  # n t v, the bone that ends at each joint
    seen = there & there[:, :, parents]
    seen[:, :, [joint for joint, parent in enumerate(parents) if joint == parent]] = False  # the root has no bone
    mean, known = torch.where(seen, length, 0).sum(dim=1) / seen.sum(dim=1).clamp(min=1), seen.any(dim=1)
    other = list(skeleton.mirror)
    way = torch.where(known, mean, mean[:, other])[:, path]
    there_on_way = (known | known[:, other])[:, path]
    some = there_on_way.any(dim=1)
    typical = torch.where(some, _mean(way, there_on_way), _mean(mean, known))
    height = torch.where(there_on_way, way, typical[:, None]).sum(dim=1)
    return torch.where(height > 1e-6, height, 1)


def _mean(values: Float[Tensor, "n b"], known: Bool[Tensor, "n b"]) -> Float[Tensor, " n"]:
    return torch.where(known, values, 0).sum(dim=1) / known.sum(dim=1).clamp(min=1)


def _named(skeleton: Skeleton, name: str) -> tuple[int, ...]:
    return (skeleton.joints.index(name),) if name in skeleton.joints else ()


def _to_root(skeleton: Skeleton, joint: int) -> set[int]:
    """Joints on the way to the root; each stands for the bone to its parent."""
    chain = set()
    while skeleton.parents[joint] != joint:
        chain.add(joint)
        joint = skeleton.parents[joint]
    return chain


def min_max(positions: Positions, visible: Visible) -> Positions:
    """Stretch each axis of a clip to [-1, 1] over all its people, frames and visible joints."""
    mask = visible[:, None]
    low = positions.masked_fill(~mask, torch.inf).flatten(2).amin(dim=2)[:, :, None, None, None]
    high = positions.masked_fill(~mask, -torch.inf).flatten(2).amax(dim=2)[:, :, None, None, None]
    span = high - low
    stretched = torch.where(span > 1e-8, (positions - low) / span.clamp(min=1e-8) * 2 - 1, 0)
    return torch.where(mask, stretched, 0)


def image_centre(positions: Positions, visible: Visible, size: tuple[float, float]) -> Positions:
    """Move the middle of an image of this size (width, height) to zero; further channels stay."""
    half = positions.new_tensor(size)[None, :, None, None, None] / 2
    plane = torch.where(visible[:, None], positions[:, :2] - half, 0)
    return torch.cat([plane, positions[:, 2:]], dim=1)


def image_scale(positions: Positions, visible: Visible, size: tuple[float, float]) -> Positions:
    """Pixels to [-1, 1] by the size (width, height) of the image; further channels stay."""
    half = positions.new_tensor(size)[None, :, None, None, None] / 2
    plane = torch.where(visible[:, None], positions[:, :2] / half - 1, 0)
    return torch.cat([plane, positions[:, 2:]], dim=1)


def scale(
    positions: Positions, visible: Visible, skeleton: Skeleton, mode: Scale, image: tuple[float, float] | None = None
) -> Positions:
    """Bring clips to one size.

    Raises:
        ValueError: ``image`` without the size of the images.
    """
    if mode == "body-height":
        return positions / body_height(positions, visible, skeleton)[:, None, None, None, None]
    if mode == "min-max":
        return min_max(positions, visible)
    if mode == "image":
        if image is None:
            raise ValueError("scaling by the image needs its size; set transforms.image to (width, height).")
        return image_scale(positions, visible, image)
    return positions
