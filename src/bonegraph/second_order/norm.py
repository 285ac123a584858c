"""Batch normalisation by the statistics of the batch, whose gradient is cheap to differentiate.

    y  = γ x̂ + β,  x̂ = ι (x - μ),  ι = 1 / sqrt(σ² + ε)
    gx = γ ι (g - a - b x̂)                          a, b: means of g and g x̂ in each channel
    v  = gradient of a loss with respect to gx      c, d, e: means of v, v x̂ and v g

    with respect to g    γ ι (v - c - d x̂)          the same function as gx
    with respect to x    -γ ι² ((e - a c - 3 b d) x̂ + d (g - a) + b (v - c))
    with respect to γ    ι n (e - a c - b d)        n: numbers in a channel

The last but one is one weighted sum of x, g and v for each channel; torch makes some twenty passes over the maps of it.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from bonegraph.second_order.bilinear import Asked

_ops = torch.ops.aten


def batch_norm(
    x: Float[Tensor, "b c h w"],
    running_mean: Float[Tensor, " c"] | None,
    running_var: Float[Tensor, " c"] | None,
    weight: Float[Tensor, " c"],
    bias: Float[Tensor, " c"],
    momentum: float,
    eps: float,
    asked: Asked,
) -> Float[Tensor, "b c h w"]:
    """`functional.batch_norm` in training, running statistics among it.

    Args:
        x: maps.
        running_mean: changed in place.
        running_var: changed in place.
        weight: γ.
        bias: β.
        momentum: share of this batch in the running statistics.
        eps: ε.
        asked: of passes back, see `bonegraph.second_order.bilinear.Asked`.
    """
    out: Tensor = _Norm.apply(x, weight, bias, running_mean, running_var, momentum, eps, asked)  # type: ignore[no-untyped-call]
    return out


class _Norm(torch.autograd.Function):
    """y."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
        asked: Asked,
    ) -> Tensor:
        y, mean, scale = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.eps, ctx.asked = eps, asked
        found: Tensor = y
        return found

    @staticmethod
    def backward(ctx: Any, gy: Tensor) -> Any:
        x, weight, mean, scale = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad[:3]
        rest = (None,) * 5
        if ctx.asked.inputs_only:
            to_weight = to_bias = False
        if not torch.is_grad_enabled():
            return (*_backward(gy, x, weight, mean, scale, ctx.eps, (to_x, to_weight, to_bias)), *rest)
        gx = _Input.apply(gy, x, weight, mean, scale, ctx.eps) if to_x else None  # type: ignore[no-untyped-call]
        gweight = None
        if to_weight:
            gweight = (gy * functional.batch_norm(x, None, None, training=True, eps=ctx.eps)).sum(dim=(0, 2, 3))
        return gx, gweight, gy.sum(dim=(0, 2, 3)) if to_bias else None, *rest


class _Input(torch.autograd.Function):
    """gx."""

    @staticmethod
    def forward(ctx: Any, gy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float) -> Tensor:
        gx, gweight, gbias = _backward(gy, x, weight, mean, scale, eps, (True, True, True))
        ctx.save_for_backward(gy, x, weight, mean, scale, gweight, gbias)
        ctx.eps = eps
        return gx

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor) -> Any:
        gy, x, weight, mean, scale, gweight, gbias = ctx.saved_tensors
        count = x.numel() // x.shape[1]
        ggy, vx, vs = _backward(v, x, weight, mean, scale, ctx.eps, (True, True, True))
        a, b, c, d = gbias / count, gweight / count, vs / count, vx / count
        e = (v * gy).sum(dim=(0, 2, 3), dtype=scale.dtype) / count
        rest = e - a * c - b * d
        share = -weight * scale.square()
        of_x, of_gy, of_v = share * scale * (rest - 2 * b * d), share * d, share * b
        fixed = -(of_x * mean + of_gy * a + of_v * c)
        of_x, of_gy, of_v, fixed = (part[:, None, None].to(x.dtype) for part in (of_x, of_gy, of_v, fixed))
        gx = torch.addcmul(fixed, x, of_x).addcmul_(gy, of_gy).addcmul_(v, of_v)
        return ggy, gx, scale * count * rest, None, None, None


def _backward(
    gy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, γ and β as far as wanted, by torch's own backward pass of a batch normalisation."""
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    gy = gy.contiguous(memory_format=layout)
    found: tuple[Tensor, Tensor, Tensor] = _ops.native_batch_norm_backward(
        gy, x, weight, None, None, mean, scale, True, eps, wanted
    )
    return found
