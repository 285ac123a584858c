"""A function whose arguments have each a node of its own in the graph of a gradient.

torch leaves out nodes that do not lead to what a gradient is asked for, but does not tell a function written in Python
which of its arguments do. With one node for all of them the gradient of maps would compute that of every weight, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Argument(NamedTuple):
    """An argument and how its gradient comes about.

    Attributes:
        of: the argument.
        kept: tensors that its gradient needs.
        gradient: from the gradient of the value and these.
    """

    of: Tensor
    kept: tuple[Tensor, ...]
    gradient: Callable[..., Tensor]


def joined(compute: Callable[[], Tensor], arguments: Sequence[Argument]) -> Tensor:
    """A value with a node for every argument that asks for a gradient."""
    wanted = [each for each in arguments if each.of.requires_grad] if torch.is_grad_enabled() else []
    with torch.no_grad():
        y = compute()
    if not wanted:
        return y
    parts = [_Part.apply(each.of, y, each) for each in wanted]  # type: ignore[no-untyped-call]
    whole: Tensor = _Whole.apply(y, *parts)  # type: ignore[no-untyped-call]
    return whole


class _Part(torch.autograd.Function):
    """Has the shape of the value and no memory; its gradient is one of an argument."""

    @staticmethod
    def forward(ctx: Any, of: Tensor, y: Tensor, argument: Argument) -> Tensor:
        ctx.save_for_backward(*argument.kept)
        ctx.gradient = argument.gradient
        return y.new_zeros(()).expand(y.shape)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return ctx.gradient(g, *ctx.saved_tensors), None, None


class _Whole(torch.autograd.Function):
    """The value; its gradient is that of every part."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, *parts: Tensor) -> Tensor:
        ctx.count = len(parts)
        ctx.layout = torch.channels_last if y.dim() == 4 and y.stride(1) == 1 else torch.contiguous_format
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return None, *(g.contiguous(memory_format=ctx.layout),) * ctx.count  # once for all of them
