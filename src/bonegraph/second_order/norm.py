"""Batch normalisation by the statistics of the batch, whose gradient is cheap to differentiate.

    y  = γ x̂ + β,  x̂ = ι (x - μ),  ι = 1 / sqrt(σ² + ε);  n numbers in a channel
    gx = γ ι (g - a - b x̂),  gγ = n b,  gβ = n a        a, b: means of g and g x̂ in each channel
    v  = gradient of a loss with respect to gx          c, d, e: means of v, v x̂ and v g

    with respect to g    γ ι (v - c - d x̂)              the same function as gx
    with respect to x    -γ ι² ((e - a c - 3 b d) x̂ + d (g - a) + b (v - c))
    with respect to γ    ι n (e - a c - b d)

The last but one is one weighted sum of x, g and v for each channel, where torch passes over the maps some twenty times.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

_ops = torch.ops.aten


def batch_norm(
    x: Float[Tensor, "b c h w"],
    running_mean: Float[Tensor, " c"] | None,
    running_var: Float[Tensor, " c"] | None,
    weight: Float[Tensor, " c"],
    bias: Float[Tensor, " c"],
    momentum: float,
    eps: float,
) -> Float[Tensor, "b c h w"]:
    """`torch.nn.functional.batch_norm` in training, which changes the running statistics in place."""
    out: Tensor = _Norm.apply(x, weight, bias, running_mean, running_var, momentum, eps)  # type: ignore[no-untyped-call]
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
    ) -> Tensor:
        y, mean, scale = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, weight, mean, scale)
        ctx.eps = eps
        found: Tensor = y
        return found

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        # All three come of one pass, whether they are asked for or not.
        return (*_Gradients.apply(g, *ctx.saved_tensors, ctx.eps), *(None,) * 4)  # type: ignore[no-untyped-call]


class _Gradients(torch.autograd.Function):
    """gx, gγ and gβ."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float) -> Any:
        gx, gweight, gbias = gradients(g, x, weight, mean, scale, eps)
        ctx.save_for_backward(g, x, weight, mean, scale, gweight, gbias)
        ctx.eps = eps
        ctx.set_materialize_grads(False)
        return gx, gweight, gbias

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor | None, of_weight: Tensor | None, of_bias: Tensor | None) -> Any:
        g, x, weight, mean, scale, gweight, gbias = ctx.saved_tensors
        count = x.numel() // x.shape[1]
        a, b = gbias / count, gweight / count
        # Every gradient of maps is shares of x, g and v, and a number, in each channel.
        to_g = to_x = to_weight = None
        if v is not None:
            to_g, vx, vs = gradients(v, x, weight, mean, scale, ctx.eps)
            c, d, e = vs / count, vx / count, (v * g).sum(dim=(0, 2, 3), dtype=scale.dtype) / count
            rest = e - a * c - b * d
            to_weight = scale * count * rest
            share = -weight * scale.square()
            by_x, by_g, by_v = share * scale * (rest - 2 * b * d), share * d, share * b
            fixed = -(by_x * mean + by_g * a + by_v * c)
            by_x, by_g, by_v, fixed = (one[:, None, None].to(x.dtype) for one in (by_x, by_g, by_v, fixed))
            to_x = torch.addcmul(fixed, x, by_x).addcmul_(g, by_g).addcmul_(v, by_v)
        if of_weight is not None or of_bias is not None:
            normed = (x - mean[:, None, None]) * scale[:, None, None]
            more = torch.zeros_like(g)
            if of_bias is not None:
                more = more + of_bias[:, None, None]
            if of_weight is not None:
                more = more + of_weight[:, None, None] * normed
                change = (of_weight * scale)[:, None, None] * (g - a[:, None, None] - b[:, None, None] * normed)
                to_x = change if to_x is None else to_x + change
            to_g = more if to_g is None else to_g + more
        return to_g, to_x, to_weight, None, None, None


def gradients(
    g: Tensor, x: Tensor, weight: Tensor, mean: Tensor, scale: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, γ and β, by torch's own pass back through a batch normalisation."""
    layout = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    g = g.contiguous(memory_format=layout)
    found: tuple[Tensor, Tensor, Tensor] = _ops.native_batch_norm_backward(
        g, x, weight, None, None, mean, scale, True, eps, (True, True, True)
    )
    return found
