"""From the batch that the loader fetched to the input of a network: blend, centre, rotate, augment, scale, stream."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional

from bonegraph.sample import Batch
from bonegraph.seeding import Keys
from bonegraph.skeleton import Skeleton
from bonegraph.transforms import augment, normalise
from bonegraph.transforms.normalise import Centre, CentreOn, Scale
from bonegraph.transforms.streams import Stream, stream
from bonegraph.transforms.two_of import two_of


@dataclass(frozen=True)
class Augment:
    """Random changes in training.

    Args:
        rotation: up to ± so many degrees about x, y and z.
        scale: factor per axis, drawn from this range.
        mirror: probability of a left/right mirror image.
        joint_dropout: probability that a joint is hidden for the clip.
        moving: random moving of ST-GCN.
        two_of: probability of two different ones of flip, rotation, translation and scaling (`transforms.two_of`), made
            in the unit of the data, before it is scaled; centre the clip, so that 0 is its middle.
    """

    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    mirror: float = 0.0
    joint_dropout: float = 0.0
    moving: bool = False
    two_of: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation", "scale"):  # people write 15 for 15.0
            object.__setattr__(self, name, tuple(map(float, getattr(self, name))))
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be two factors with 0 < low <= high, got {self.scale}.")
        for name in ("mirror", "joint_dropout", "two_of"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a probability, got {getattr(self, name)}.")


@dataclass(frozen=True)
class Transforms:
    """Everything between a stored clip and the network.

    Args:
        stream: joint, bone, joint-motion or bone-motion.
        centre: ``frame``, ``first``, ``image`` (the middle of the image) or ``none``.
        rotate_to_body: whether clips turn to the axes of the first body.
        scale: ``body-height``, ``min-max``, ``image`` or ``none``.
        image: (width, height) in the unit of the data, for ``centre: image`` (default 1, 1) and ``scale: image``.
        confidence: whether the confidence becomes a further channel.
        visibility: whether a further channel tells who is seen: the confidence where the source has one, otherwise 1
            for what is seen and 0 for what is not (STF).
        augment: random changes in training.
        centre_on: the ``first-person``, or the middle of all ``people``, which tells interactions better apart.
        zero_padded: M > 0 does as the released code does: the network is not told who is seen, but always gets M people
            and zeros where nobody is, from which streams are made as if they were places; 0 gives it masks.
        y_up: turn y, which points down in images, upwards (2s-AGCN and MS-G3D on Kinetics).

    Raises:
        ValueError: ``zero_padded`` is below 0, or both ``confidence`` and ``visibility`` are wanted.
    """

    stream: Stream = "joint"
    centre: Centre = "first"
    rotate_to_body: bool = False
    scale: Scale = "none"
    image: tuple[float, float] | None = None
    confidence: bool = False
    augment: Augment = field(default_factory=Augment)
    centre_on: CentreOn = "first-person"
    zero_padded: int = 0
    y_up: bool = False
    visibility: bool = False

    def __post_init__(self) -> None:
        if self.zero_padded < 0:
            raise ValueError(f"zero_padded must be at least 0, got {self.zero_padded}.")
        if self.confidence and self.visibility:
            raise ValueError("confidence and visibility are the same channel where there is a confidence; set one.")

    @property
    def extra_channels(self) -> int:
        """Channels of the input beside the coordinates."""
        return int(self.confidence or self.visibility)


def apply(transforms: Transforms, batch: Batch, skeleton: Skeleton, *, training: bool) -> Batch:
    """Transform a whole batch on its device.

    In training the random changes are a function of ``batch.keys``; otherwise there are none.

    Raises:
        ValueError: the confidence is asked for and the source has none.
    """
    positions, visible, confidence = batch.positions, batch.visible, batch.confidence
    if transforms.centre == "image":
        positions = normalise.image_centre(positions, visible, transforms.image or (1.0, 1.0))
    else:
        positions = normalise.centre(positions, visible, skeleton, transforms.centre, transforms.centre_on)
    if transforms.y_up:
        positions = torch.cat([positions[:, :1], -positions[:, 1:2], positions[:, 2:]], dim=1)
    if transforms.rotate_to_body:
        positions = normalise.rotate_to_body(positions, visible, skeleton)
    if training and transforms.augment.two_of:
        positions, visible, confidence = two_of(
            positions, visible, confidence, skeleton, _keys(batch), transforms.augment.two_of
        )
    if transforms.scale == "image":
        positions = normalise.scale(positions, visible, skeleton, "image", transforms.image)
    if training:
        keys = _keys(batch)
        change = transforms.augment
        if any(change.rotation):
            positions = augment.random_rotation(positions, keys, change.rotation)
        if change.scale != (1.0, 1.0):
            positions = augment.random_scale(positions, keys, *change.scale)
        if change.mirror:
            which = augment.chosen(keys, "mirror", change.mirror, positions.device)
            positions, visible = augment.mirror(positions, visible, skeleton, which)
            confidence = None if confidence is None else augment.swap_sides(confidence, skeleton, which)
        if change.joint_dropout:
            visible = augment.joint_dropout(visible, keys, change.joint_dropout)
        if change.moving:
            positions = augment.random_moving(positions, visible, keys)
        positions = torch.where(visible[:, None], positions, 0)
    if transforms.scale in ("body-height", "min-max"):
        positions = normalise.scale(positions, visible, skeleton, transforms.scale)
    if transforms.confidence and confidence is None:
        raise ValueError("the data set has no confidence; set transforms.confidence to false.")
    if transforms.visibility and confidence is None:
        confidence = visible.to(positions.dtype)
    if transforms.zero_padded:
        positions = _with_confidence(positions, visible, confidence if transforms.confidence else None)
        places, everywhere = _as_zeros(positions, transforms.zero_padded)
        positions, everywhere = stream(places, everywhere, skeleton, transforms.stream)
        if transforms.visibility:  # tells who is seen in every stream; a bone of it would tell nothing
            assert confidence is not None
            seen, _ = _as_zeros((confidence * visible)[:, None], transforms.zero_padded)
            positions = torch.cat([positions, seen], dim=1)
        visible = everywhere
        confidence = None
    else:
        positions, visible = stream(positions, visible, skeleton, transforms.stream)
        positions = _with_confidence(positions, visible, confidence if transforms.extra_channels else None)
    return replace(batch, positions=positions, visible=visible, confidence=confidence)


def _keys(batch: Batch) -> Keys:
    return batch.keys.cpu().numpy().view(np.uint64)


def _with_confidence(positions: torch.Tensor, visible: torch.Tensor, confidence: torch.Tensor | None) -> torch.Tensor:
    """The confidence, where it is given, as a further channel."""
    return positions if confidence is None else torch.cat([positions, (confidence * visible)[:, None]], dim=1)


def _as_zeros(positions: torch.Tensor, people: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Exactly so many people, and a mask that hides nobody, which is the same as none."""
    positions = functional.pad(positions[..., :people], (0, max(0, people - positions.shape[4])))
    visible = torch.ones_like(positions[:, 0], dtype=torch.bool)
    return positions, visible
