"""The bilinear functions of networks: convolution (its input, its kernel) and products of matrices in batches.

Axes: B images or matrices, C channels in, D channels out, H and W.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from bonegraph.second_order.bilinear import Asked, apply, lowered

_ops = torch.ops.aten


class Steps(NamedTuple):
    """How a convolution goes over its input."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


def convolution(
    x: Float[Tensor, "b c h w"],
    weight: Float[Tensor, "d c i j"],
    bias: Float[Tensor, " d"] | None,
    steps: Steps,
    asked: Asked,
) -> Float[Tensor, "b d p q"]:
    """`torch.conv2d`, also under autocast.

    Args:
        x: the input.
        weight: the kernel; one group.
        bias: of the channels out.
        steps: stride, padding and dilation.
        asked: of passes back.
    """
    x, weight = lowered(x, weight)
    offset = None if bias is None else bias.to(x.dtype)
    return apply(_Convolution(steps, x, weight), x, weight, offset, asked)


def bmm(a: Float[Tensor, "b m k"], b: Float[Tensor, "b k n"]) -> Float[Tensor, "b m n"]:
    """`torch.bmm`, also under autocast."""
    a, b = lowered(a, b)
    return apply(_Matrices(), a, b)


class _Convolution:
    """Without bias; results lie in memory as what they are the gradient of."""

    def __init__(self, steps: Steps, x: Tensor, weight: Tensor) -> None:
        self.steps = steps
        self.layout = torch.channels_last if _last(x) or _last(weight) else torch.contiguous_format
        self.shapes = x.shape, weight.shape

    def value(self, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
        return torch.conv2d(a.contiguous(memory_format=self.layout), b, offset, *self.steps)

    def to_first(self, g: Tensor, b: Tensor) -> Tensor:
        like = torch.empty(self.shapes[0], dtype=g.dtype, device=g.device, memory_format=self.layout)
        return self._back(g, like, b, (True, False, False))[0]

    def to_second(self, a: Tensor, g: Tensor) -> Tensor:
        like = torch.empty(self.shapes[1], dtype=g.dtype, device=g.device, memory_format=self.layout)
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


def _last(x: Tensor) -> bool:
    """Whether channels lie side by side in memory, also those of a part of the channels."""
    return x.stride(1) == 1 and x.shape[1] > 1
