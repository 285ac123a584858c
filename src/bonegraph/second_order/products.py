"""The bilinear functions of networks: convolution (its input, its kernel) and products of matrices in batches.

Axes: B images or matrices, C channels in, D channels out, H and W.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from bonegraph.second_order.bilinear import lowered, value

_ops = torch.ops.aten


class Steps(NamedTuple):
    """How a convolution goes over its input."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def convolution(
    x: Float[Tensor, "b c h w"], weight: Float[Tensor, "d c i j"], bias: Float[Tensor, " d"] | None, steps: Steps
) -> Float[Tensor, "b d p q"]:
    """`torch.conv2d` of one group, also under autocast."""
    x, weight = lowered(x, weight)
    last = x.stride(1) == 1 and x.shape[1] > 1  # channels side by side, also where x is a part of them
    layout = torch.channels_last if last else torch.contiguous_format
    x = x.contiguous(memory_format=layout)
    offset = None if bias is None else bias.to(x.dtype)
    return value(ConvolutionProducts(steps, layout, x.shape, weight.shape), x, weight, offset)


def bmm(a: Float[Tensor, "b m k"], b: Float[Tensor, "b k n"]) -> Float[Tensor, "b m n"]:
    """`torch.bmm`, also under autocast."""
    a, b = lowered(a, b)
    return value(_Matrices(), a, b)


class ConvolutionProducts(NamedTuple):
    """Without its bias. Gradients lie in memory as what they are the gradient of."""

    steps: Steps
    layout: torch.memory_format
    x_shape: torch.Size
    weight_shape: torch.Size

    def value(self, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
        """The convolution of a by b."""
        return torch.conv2d(a.contiguous(memory_format=self.layout), b, offset, *self.steps)

    def to_first(self, g: Tensor, b: Tensor) -> Tensor:
        """The gradient of the input."""
        like = torch.empty(self.x_shape, dtype=g.dtype, device=g.device, memory_format=self.layout)
        return self._back(g, like, b, (True, False, False))[0]

    def to_second(self, a: Tensor, g: Tensor) -> Tensor:
        """The gradient of the kernel."""
        like = torch.empty(self.weight_shape, dtype=g.dtype, device=g.device)
        return self._back(g, a.contiguous(memory_format=self.layout), like, (False, True, False))[1]

    def _back(self, g: Tensor, x: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]) -> tuple[Tensor, ...]:
        g = g.contiguous(memory_format=self.layout)
        found: tuple[Tensor, ...] = _ops.convolution_backward(g, x, weight, None, *self.steps, False, [0, 0], 1, wanted)
        return found


class _Matrices:
    def value(self, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
        return torch.bmm(a, b)

    def to_first(self, g: Tensor, b: Tensor) -> Tensor:
        return torch.bmm(g, b.mT)

    def to_second(self, a: Tensor, g: Tensor) -> Tensor:
        return torch.bmm(a.mT, g)
