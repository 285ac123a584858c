"""Bilinear functions, such as convolutions, whose gradients are cheap to differentiate.

A y = f(a, b) that is linear in a and in b has three products in all, each the derivative of the two others:

    product                  with respect to
    y  = f(a, b)             a: to_first(g, b)       b: to_second(a, g)
    ga = to_first(g, b)      g: f(v, b)              b: to_second(v, g)
    gb = to_second(a, g)     a: to_first(g, v)       g: f(a, v)

torch computes the same for ``create_graph=True``, but with convolutions in which channels and images change places and
with results whose memory does not lie as that of what they are added to.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Bilinear(Protocol):
    """The three products."""

    def value(self, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
        """Y = f(a, b), plus a number for each channel, the second axis of y, where there is one."""

    def to_first(self, g: Tensor, b: Tensor) -> Tensor:
        """The gradient of a from that of y."""

    def to_second(self, a: Tensor, g: Tensor) -> Tensor:
        """The gradient of b from that of y."""


class Asked(Protocol):
    """What a pass back is to compute, as it stands when that pass runs.

    ``inputs_only`` leaves out the gradients of parameters. A pass that asks `torch.autograd.grad` for others has no use
    for them, which a function written in Python is not told.
    """

    inputs_only: bool


def apply(f: Bilinear, a: Tensor, b: Tensor, offset: Tensor | None = None, asked: Asked | None = None) -> Tensor:
    """f(a, b) + offset.

    Args:
        f: the three products.
        a: the first argument.
        b: the second; a parameter, if it is a leaf.
        offset: for each channel.
        asked: of passes back.
    """
    y: Tensor = _Value.apply(f, a, b, offset, asked if b.is_leaf else None)  # type: ignore[no-untyped-call]
    return y


def lowered(*values: Tensor) -> tuple[Tensor, ...]:
    """What autocast makes of the arguments of a product."""
    device = values[0].device.type
    if not torch.is_autocast_enabled(device):
        return values
    low = torch.get_autocast_dtype(device)
    return tuple(value if value.dtype == torch.float64 else value.to(low) for value in values)


class _Value(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, f: Bilinear, a: Tensor, b: Tensor, offset: Tensor | None, asked: Asked | None) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.f, ctx.asked = f, asked
        return f.value(a, b, offset)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        a, b = ctx.saved_tensors
        _, to_first, to_second, to_offset, _ = ctx.needs_input_grad
        if ctx.asked is not None and ctx.asked.inputs_only:
            to_second = to_offset = False
        ga = _First.apply(ctx.f, g, b) if to_first else None  # type: ignore[no-untyped-call]
        gb = _Second.apply(ctx.f, a, g) if to_second else None  # type: ignore[no-untyped-call]
        return None, ga, gb, g.sum(dim=(0, 2, 3)) if to_offset else None, None


class _First(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, f: Bilinear, g: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(g, b)
        ctx.f = f
        return f.to_first(g, b)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        g, b = ctx.saved_tensors
        _, to_g, to_b = ctx.needs_input_grad
        vg = _Value.apply(ctx.f, v, b, None, None) if to_g else None  # type: ignore[no-untyped-call]
        return None, vg, _Second.apply(ctx.f, v, g) if to_b else None  # type: ignore[no-untyped-call]


class _Second(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, f: Bilinear, a: Tensor, g: Tensor) -> Tensor:
        ctx.save_for_backward(a, g)
        ctx.f = f
        return f.to_second(a, g)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        a, g = ctx.saved_tensors
        _, to_a, to_g = ctx.needs_input_grad
        va = _First.apply(ctx.f, g, v) if to_a else None  # type: ignore[no-untyped-call]
        return None, va, _Value.apply(ctx.f, a, v, None, None) if to_g else None  # type: ignore[no-untyped-call]
