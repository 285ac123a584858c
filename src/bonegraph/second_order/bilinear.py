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

from typing import Protocol

import torch
from torch import Tensor

from bonegraph.second_order.nodes import Argument, joined


class Bilinear(Protocol):
    """The three products, as numbers: nothing here is differentiated."""

    def value(self, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
        """Y = f(a, b), plus the offset of each channel, the second axis, where there is one."""

    def to_first(self, g: Tensor, b: Tensor) -> Tensor:
        """The gradient of a from that of y."""

    def to_second(self, a: Tensor, g: Tensor) -> Tensor:
        """The gradient of b from that of y."""


def value(f: Bilinear, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
    """f(a, b) + offset."""
    arguments = [
        Argument(a, (b,), lambda v, b: to_first(f, v, b)),
        Argument(b, (a,), lambda v, a: to_second(f, a, v)),
    ]
    if offset is not None:
        arguments.append(Argument(offset, (), lambda v: v.sum(dim=(0, *range(2, v.dim())))))
    return joined(lambda: f.value(a, b, offset), arguments)


def to_first(f: Bilinear, g: Tensor, b: Tensor) -> Tensor:
    """The gradient of a."""
    arguments = [
        Argument(g, (b,), lambda v, b: value(f, v, b)),
        Argument(b, (g,), lambda v, g: to_second(f, v, g)),
    ]
    return joined(lambda: f.to_first(g, b), arguments)


def to_second(f: Bilinear, a: Tensor, g: Tensor) -> Tensor:
    """The gradient of b."""
    arguments = [
        Argument(a, (g,), lambda v, g: to_first(f, g, v)),
        Argument(g, (a,), lambda v, a: value(f, a, v)),
    ]
    return joined(lambda: f.to_second(a, g), arguments)


def lowered(*values: Tensor) -> tuple[Tensor, ...]:
    """What autocast makes of the arguments of a product."""
    device = values[0].device.type
    if not torch.is_autocast_enabled(device):
        return values
    low = torch.get_autocast_dtype(device)
    return tuple(each if each.dtype == torch.float64 else each.to(low) for each in values)
