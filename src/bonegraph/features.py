"""Feature maps of people on a graph, and what is done with them in time: strides, hidden frames, pooling, resampling.

What objectives know of a model is here: its `Branch`es.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.second_order.mode import asked


class Shift(NamedTuple):
    """One change of all joints, in the frames that count, of the maps that a block reads: zeros to differentiate by.

    What is linear in the maps answers a shift at a small part of its cost. The gradient by it is the sum of the
    gradient of the maps over frames and joints, which is all that a focus needs.

    Attributes:
        by: what is added to the channels of each row.
        frames: frames that count, None where all do.
    """

    by: Float[Tensor, "r c"]
    frames: Bool[Tensor, "r t"] | None


class Features(NamedTuple):
    """Feature maps on the graph.

    Attributes:
        maps: one map a person.
        owner: the clip of each row.
        slot: which of the M people of the clip it is.
        frames: frames that count, None where all do.
        num_clips: N.
        step: frames of the input from one frame of the maps to the next.
        shift: of these maps, where the next block has one.
    """

    maps: Float[Tensor, "r c t v"]
    owner: Int[Tensor, " r"]
    slot: Int[Tensor, " r"]
    frames: Bool[Tensor, "r t"] | None
    num_clips: int
    step: int
    shift: Shift | None = None


class Branch(NamedTuple):
    """What leads to one linear layer.

    Attributes:
        stages: maps after each block, the lowest first; the last ones are pooled.
        head: the linear layer that reads them.
        embeddings: maps of one channel in [0, 1], by which a network says itself where it looks (STF).
        paths: maps at the ends of the two paths of the last block, before they are summed (MS-G3D).
    """

    stages: tuple[Features, ...]
    head: nn.Linear
    embeddings: tuple[Features, ...] = ()
    paths: tuple[Features, ...] = ()


def shift_of(stage: int, maps: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None) -> Shift | None:
    """A shift of the maps of a stage, counted from the last, -1, where gradients of their gradient are asked for."""
    if not (asked(stage) and maps.requires_grad):
        return None
    return Shift(maps.new_zeros(maps.shape[:2], requires_grad=True), frames)


def every(frames: Bool[Tensor, "r t"], stride: int) -> Bool[Tensor, "r s"]:
    """Which frames count after a temporal stride: those that stand for at least one frame that counts."""
    if stride == 1:
        return frames
    # Padded, because a symbolic T then comes to the very length that a convolution of this stride gives; in 2D, because
    # torch takes a symbolic T for a number in max_pool1d.
    padded = functional.pad(frames.float(), (0, stride - 1))[:, None, :, None]
    return functional.max_pool2d(padded, (stride, 1))[:, 0, :, 0].bool()


def hides(frames: Bool[Tensor, "r t"] | None) -> bool:
    """Whether some frame may not count; where none is hidden, hiding would cost time and change nothing.

    What torch compiles or exports cannot ask its data and hides in any case.
    """
    return frames is not None and (torch.compiler.is_compiling() or not bool(frames.all()))


def hide(x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None) -> Float[Tensor, "r c t v"]:
    """Zero the frames that do not count, as the padding at the ends of a clip is."""
    return x if frames is None else x * frames[:, None, :, None]


def over_joints(maps: Float[Tensor, "r c t v"]) -> Float[Tensor, "r t c"]:
    """Mean over the joints of each frame.

    A sum and the channels last, so that the gradient of a map whose channels lie side by side does, too: that of a mean
    would be a map in another order, and what comes before it slow to go back through.
    """
    return maps.permute(0, 2, 3, 1).sum(dim=2) / maps.shape[3]


def pool(features: Features) -> Float[Tensor, "n c"]:
    """Mean over frames and joints of each person, then over the people of each clip. What is masked does not count."""
    maps, owner, frames, count = features.maps, features.owner, features.frames, features.num_clips
    by_frame = over_joints(maps)
    if frames is None:
        people = by_frame.mean(dim=1)
        weight = torch.ones_like(owner, dtype=maps.dtype)
    else:
        seen = frames.sum(dim=1)
        people = (by_frame * frames[:, :, None]).sum(dim=1) / seen.clamp(min=1)[:, None]
        weight = (seen > 0).to(maps.dtype)
    total = maps.new_zeros(count, maps.shape[1]).index_add(0, owner, people * weight[:, None])
    return total / maps.new_zeros(count).index_add(0, owner, weight).clamp(min=1)[:, None]


def resample(
    x: Float[Tensor, "r s ..."], step: float, length: int, frames: Bool[Tensor, "r s"] | None = None
) -> Float[Tensor, "r t ..."]:
    """What is known at frames 0, 1, 2, ... at the times 0, step, 2 step, ..., linear between two frames.

    A frame that does not count has nothing to give; beyond the last one its value stays.
    """
    places = torch.arange(length, device=x.device) * step
    before = places.long().clamp(max=x.shape[1] - 1)
    after = (before + 1).clamp(max=x.shape[1] - 1)
    share = (places - before).clamp(0, 1).to(x.dtype)
    low, high = (1 - share).expand(x.shape[0], -1), share.expand(x.shape[0], -1)
    if frames is not None:
        low, high = low * frames[:, before], high * frames[:, after]
        total = (low + high).clamp(min=1e-12)
        low, high = low / total, high / total
    shape = (*low.shape, *(1,) * (x.dim() - 2))
    return low.view(shape) * x[:, before] + high.view(shape) * x[:, after]
