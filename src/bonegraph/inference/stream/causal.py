"""The transforms of a checkpoint on frames that come one by one, where that is possible.

They are those of `bonegraph.transforms.pipeline`, applied to a short clip: the frame in which a person was first seen,
by which a clip is centred, and the frames of a block. What looks at the whole clip is refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bonegraph.inference.stream.frames import Frames, first_seen
from bonegraph.models.checkpoint import Meaning
from bonegraph.sample import Batch
from bonegraph.transforms.normalise import body_height
from bonegraph.transforms.pipeline import apply

KEEPS_RATE = ("all", "fragment", "replay", "loop")
"""Rules that show a network the frames of a clip one after the other, as a stream does."""


def obstacle(meaning: Meaning) -> str:
    """Which setting of a checkpoint looks at the whole clip, as a part of a sentence; empty if none does."""
    transforms = meaning.transforms
    if meaning.length.rule not in KEEPS_RATE:
        return f"length.rule '{meaning.length.rule}' spreads a clip over {meaning.length.frames} frames"
    if transforms.scale == "body-height":
        return "transforms.scale 'body-height' measures the bones in the whole clip"
    if transforms.scale == "min-max":
        return "transforms.scale 'min-max' looks for the extremes of the whole clip"
    if transforms.rotate_to_body:
        return "transforms.rotate_to_body turns a clip by the first frame that shows shoulders and hips"
    return ""


class CausalTransforms:
    """From frames of people to the input of a network, each person as in a clip alone.

    Args:
        meaning: of the checkpoint.
        heights_at_start: scale by the height of a person in the first frame, instead of its mean over the clip.

    Attributes:
        ahead: frames after a block that it needs, 1 for motion.
        people: rows of a person: 1, or as many as the network is shown, with zeros for those who are not there.

    Raises:
        ValueError: a transform looks at the whole clip.
    """

    def __init__(self, meaning: Meaning, *, heights_at_start: bool = False) -> None:
        self.skeleton, self.transforms = meaning.skeleton, meaning.transforms
        self.heights = heights_at_start and self.transforms.scale == "body-height"
        if self.heights:
            self.transforms = replace(self.transforms, scale="none")
        if reason := obstacle(replace(meaning, transforms=self.transforms)):
            raise ValueError(f"frames cannot come one by one: {reason}; slide a window over them.")
        self.motion = self.transforms.stream.endswith("-motion")
        self.bones = self.transforms.stream.startswith("bone")
        self.ahead = int(self.motion)
        self.people = max(1, self.transforms.zero_padded)

    def __call__(
        self, anchors: list[Frames], blocks: list[Frames], *, ended: bool = False
    ) -> tuple[Float[Tensor, "r f v c"], Bool[Tensor, "r f v"]]:
        """Transform a block of several people.

        Args:
            anchors: one frame of each, the first in which the person was seen; before that, an empty one.
            blocks: F frames of each and `ahead` more.
            ended: no frames follow.

        Returns:
            Input and mask with `people` rows for each person.
        """
        pairs = list(zip(anchors, blocks, strict=True))
        clips = [anchor.then(block) for anchor, block in pairs]
        positions, visible, confidence, exists = (torch.from_numpy(np.stack(part)) for part in zip(*clips, strict=True))
        unknown = torch.zeros(len(clips), dtype=torch.int64)
        clip = Batch(
            torch.where(visible[..., None], positions, 0).permute(0, 3, 1, 2)[..., None],
            visible[..., None],
            unknown,
            unknown,
            unknown,
            confidence[..., None],
        )
        ready = apply(self.transforms, clip, self.skeleton, training=False)
        end = positions.shape[1] - self.ahead
        x = ready.positions[:, :, 1:end].permute(0, 4, 2, 3, 1).flatten(0, 1)  # a person's rows lie together
        mask = ready.visible & exists[:, :, None, None]
        if self.motion and not ended and not self.transforms.zero_padded:
            # A joint that is lost may come back, so that its last frame is not known to be the last.
            seen = visible & visible[:, :, list(self.skeleton.parents)] if self.bones else visible
            mask = mask[:, 1:end] & seen[:, 2:, :, None]
        else:
            mask = mask[:, 1:end]
        if self.heights:
            first = [anchor if anchor.visible.any() else first_seen(block) for anchor, block in pairs]
            x = x.clone()
            x[..., : positions.shape[3]] /= self._heights(first).repeat_interleave(self.people)[:, None, None, None]
        return x, mask.permute(0, 3, 1, 2).flatten(0, 1)

    def _heights(self, frames: list[Frames]) -> Float[Tensor, " r"]:
        positions = torch.from_numpy(np.stack([frame.positions for frame in frames])).permute(0, 3, 1, 2)[..., None]
        visible = torch.from_numpy(np.stack([frame.visible for frame in frames]))[..., None]
        return body_height(positions, visible, self.skeleton)
