"""Where gradients of gradients are asked for: passes in `SecondOrder` take our convolutions and normalisations.

Values and gradients are those of torch, whose way is the one to check against; it is the way of everything outside.
Networks need not know of it: whatever they do by `torch.nn.Conv2d`, `torch.nn.BatchNorm2d` or their functions is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from bonegraph.second_order.norm import batch_norm
from bonegraph.second_order.products import Steps, bmm, convolution

_CURRENT: ContextVar[SecondOrder | None] = ContextVar("second_order", default=None)


class SecondOrder(TorchFunctionMode):
    """A context for a forward pass and for the gradients that will be differentiated, of one thread.

    Attributes:
        stage: of a network, whose maps' gradient will be differentiated; -1 is the last.
        inputs_only: the pass back that runs now has no use for gradients of weights, see `inputs_only`.

    Example:
        >>> with SecondOrder():
        ...     branches = model.branches(x)
        ...     found = focus(branches[0], labels, stage=-2)
    """

    def __init__(self, stage: int = -2) -> None:
        super().__init__()
        self.stage = stage
        self.inputs_only = False
        self._before: Token[SecondOrder | None] | None = None

    def __enter__(self) -> SecondOrder:
        self._before = _CURRENT.set(self)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        assert self._before is not None
        _CURRENT.reset(self._before)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.is_grad_enabled():
            found = None
            if func is torch.conv2d:
                found = self._convolution(*args, **kwargs)
            elif func is functional.batch_norm:
                found = self._norm(*args, **kwargs)
            elif func is torch.bmm and not kwargs:
                found = bmm(*args)
            if found is not None:
                return found
        return func(*args, **kwargs)

    def _convolution(
        self,
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
        return convolution(input, weight, bias, Steps(_pair(stride), _pair(padding), _pair(dilation)), self)

    def _norm(
        self,
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
        return batch_norm(input, running_mean, running_var, weight, bias, momentum, eps, self)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def asked(stage: int) -> bool:
    """Whether the gradient of this stage will be differentiated."""
    mode = _CURRENT.get()
    return mode is not None and mode.stage == stage


@contextmanager
def inputs_only() -> Iterator[None]:
    """Passes back in here give no gradient of a weight, if they are of a `SecondOrder` that is open; else they do."""
    mode = _CURRENT.get()
    if mode is None:
        yield
        return
    before, mode.inputs_only = mode.inputs_only, True
    try:
        yield
    finally:
        mode.inputs_only = before
