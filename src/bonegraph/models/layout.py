"""Where the numbers of a map lie in memory: channels side by side, also on the way back.

torch's operations are written for maps, and gradients of maps, that lie alike and without gaps. Where one is in another
order, or a part of something wider, the pass back through a batch normalisation takes 7 to 18 times as long, and that
through a ReLU 20 times (torch 2.13, CPU). What slices, concatenations and means hand back is often such a gradient.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def channels_last(x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r c t v"]:
    """The same map in channels-last memory without gaps, and its gradient too."""
    return ordered(x.contiguous(memory_format=torch.channels_last))


def ordered(x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r c t v"]:
    """A map in channels-last memory; whatever the gradient's order, it goes on from here in that of the map."""
    if x.requires_grad and x.device.type == "cpu" and not torch.compiler.is_compiling():
        x.register_hook(_ordered)  # type: ignore[no-untyped-call]
    return x


def every_frame(x: Float[Tensor, "r c t v"], step: int) -> Float[Tensor, "r c s v"]:
    """Frames 0, step, 2 step, ... as a view; the gradient of channels-last maps is in channels-last memory.

    The view has gaps, and for an odd T torch does not see that its channels are last.
    """
    return x if step == 1 else x.permute(0, 2, 3, 1)[:, ::step].permute(0, 3, 1, 2)


def _ordered(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.contiguous(memory_format=torch.channels_last)
