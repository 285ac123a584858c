"""Where gradients of gradients are asked for, and the passes that take our convolutions and normalisations for them.

Values and gradients are those of torch, whose way is the one to check against, and the way of everything outside.
Networks say where a block begins that lies above a stage (`above`); whatever it does by `torch.nn.Conv2d`,
`torch.nn.BatchNorm2d`, `torch.bmm` and their functions is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bonegraph.second_order.available import available
from bonegraph.second_order.norm import batch_norm
from bonegraph.second_order.products import Steps, bmm, convolution

_ASKED: ContextVar[int | None] = ContextVar("second_order", default=None)


@contextmanager
def second_order(stage: int = -2) -> Iterator[None]:
    """Passes in here let the gradient of the maps of a stage be differentiated at less cost.

    Args:
        stage: of a network, counted from the last, -1.

    Example:
        >>> with second_order(-2):
        ...     branches = model.branches(x)
        >>> found = focus(branches[0], labels, stage=-2)
    """
    before = _ASKED.set(stage)
    try:
        yield
    finally:
        _ASKED.reset(before)


def asked(stage: int) -> bool:
    """Whether the gradient of the maps of this stage will be differentiated."""
    return _lowest() == stage


def above(stage: int) -> AbstractContextManager[object]:
    """Where the block belongs that ends in this stage, counted from the last, -1."""
    lowest = _lowest()
    if lowest is None or stage <= lowest or not torch.is_grad_enabled() or not available():
        return nullcontext()
    return _Ours()


def _lowest() -> int | None:
    """The stage that is asked for; none in what torch compiles or exports, which cannot look up context variables."""
    return None if torch.compiler.is_compiling() else _ASKED.get()


class _Ours(TorchFunctionMode):
    """Puts our functions in the place of torch's; in what they do themselves, torch takes the mode away."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        instead = _INSTEAD.get(func)
        found = None if instead is None else instead(*args, **kwargs)
        return func(*args, **kwargs) if found is None else found


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor | None:
    if groups != 1 or input.dim() != 4 or isinstance(padding, str):
        return None
    return convolution(input, weight, bias, Steps(_pair(stride), _pair(padding), _pair(dilation)))


def _norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor | None:
    counted = input.numel() > input.shape[1]  # else torch refuses, with a reason
    if not (training and input.dim() == 4 and counted) or weight is None or bias is None:
        return None
    return batch_norm(input, running_mean, running_var, weight, bias, momentum, eps)


def _product(input: Tensor, mat2: Tensor, *, out: Tensor | None = None) -> Tensor | None:
    return bmm(input, mat2) if out is None else None  # into given memory go only numbers


def _concatenation(tensors: Any, dim: int = 0) -> Tensor:
    found: Tensor = _Concatenation.apply(dim, *tensors)  # type: ignore[no-untyped-call]
    return found


class _Concatenation(torch.autograd.Function):
    """`torch.cat`; the gradient is taken apart in one piece, so that its own gradient is one concatenation."""

    @staticmethod
    def forward(ctx: Any, dim: int, *tensors: Tensor) -> Tensor:
        ctx.dim, ctx.sizes = dim, [each.shape[dim] for each in tensors]
        return torch.cat(tensors, dim)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return None, *torch.split(g, ctx.sizes, ctx.dim)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


_INSTEAD: dict[Any, Any] = {
    torch.conv2d: _convolution,
    torch.bmm: _product,
    torch.cat: _concatenation,
    functional.batch_norm: _norm,
}
