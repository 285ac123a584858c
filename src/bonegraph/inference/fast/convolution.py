"""One convolution with all that follows it: a batch normalisation in its weights, a sum and a ReLU in the same pass.

On a CPU it goes to oneDNN, also where torch would choose otherwise, as it does for 1x1 and 3x1 convolutions of a few
rows. The operation that does so is not part of torch's documented interface: it is tried once, on a small case, and
where it is missing or answers otherwise than the documented one, that one is used. ``BONEGRAPH_ONEDNN=off`` does
without. Its ReLU makes 0 of NaN, where torch keeps NaN; `documented_operations` is for numbers that may lead there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.inference.folding import Affine, affine, exact

_documented: ContextVar[bool] = ContextVar("documented", default=False)


@contextmanager
def documented_operations(wanted: bool = True) -> Iterator[None]:
    """In here, convolutions are torch's own, which keep NaN."""
    before = _documented.set(wanted or _documented.get())
    try:
        yield
    finally:
        _documented.reset(before)


def documented_only() -> bool:
    """Whether we are in there."""
    return _documented.get()


class Convolution(nn.Module):
    """act(convolution over the frames of each joint + bias [+ what is added]) for answers, without gradients.

    Args:
        weight: (D, C, Γ, 1).
        bias: (D,) or None.
        stride: over the frames.
        dilation: over the frames.
        relu: whether a ReLU comes last.
        padding: frames of zeros at each end; None keeps the length, or divides it by the stride.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        weight: Float[Tensor, "d c k 1"],
        bias: Float[Tensor, " d"] | None,
        *,
        stride: int = 1,
        dilation: int = 1,
        relu: bool = False,
        padding: int | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self.stride, self.dilation, self.relu = (stride, 1), (dilation, 1), relu
        self.padding = (weight.shape[2] // 2 * dilation if padding is None else padding, 0)
        self._packed: tuple[torch.dtype, Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of the weights at the first answer, which torch can neither copy nor pickle."""
        return {**self.__dict__, "_packed": None}

    def forward(self, x: Float[Tensor, "r c t v"], add: Float[Tensor, "r d s v"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, D, T / stride, V)."""
        if onednn_takes(x):
            return self._onednn(x, add)
        out = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)
        if add is not None:
            out = out.add_(add)
        return out.relu_() if self.relu else out

    def _onednn(self, x: Tensor, add: Tensor | None) -> Tensor:
        """The same in one operation, with weights in the order that oneDNN wants for such an input."""
        if self._packed is None or self._packed[0] != x.dtype:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            how = self.padding, self.stride, self.dilation, 1
            self._packed = x.dtype, reorder(self.weight.to_mkldnn(), *how, x.shape)
        x = x.contiguous(memory_format=torch.channels_last)
        weights = self._packed[1], self.bias, self.padding, self.stride, self.dilation, 1
        operation = torch.ops.mkldnn._convolution_pointwise
        out: Tensor
        if add is None:
            out = operation(x, *weights, "relu" if self.relu else "none", [], "")
        else:
            add = add.contiguous(memory_format=torch.channels_last)
            out = operation.binary(x, add, *weights, "add", 1.0, "relu" if self.relu else None, [], "")
        return out


def onednn_takes(x: Tensor) -> bool:
    """Whether this goes to oneDNN directly."""
    return not documented_only() and has_onednn(x.dtype) and x.device.type == "cpu" and x.numel() > 0


@cache
def has_onednn(dtype: torch.dtype) -> bool:
    """Whether convolutions of this type can go to oneDNN directly, and give what they should."""
    if dtype not in (torch.float32, torch.bfloat16) or os.environ.get("BONEGRAPH_ONEDNN") == "off":
        return False
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    try:
        return _answers_as_documented(dtype)
    except (RuntimeError, AttributeError, TypeError):
        return False  # a torch without it, or with another form of it


def _answers_as_documented(dtype: torch.dtype) -> bool:
    draw = torch.Generator().manual_seed(0)
    x, weight, bias, add = (
        torch.randn(shape, generator=draw).to(dtype) for shape in ((2, 8, 9, 5), (6, 8, 3, 1), (6,), (2, 6, 5, 5))
    )
    one = Convolution(weight, bias, stride=2, relu=True)
    plain = functional.conv2d(x.float(), weight.float(), bias.float(), one.stride, one.padding)
    close = 0.05 if dtype == torch.bfloat16 else 1e-4
    return all(
        torch.allclose(
            one._onednn(x, more).float(),
            (plain if more is None else plain + more.float()).relu(),
            rtol=close,
            atol=close,
        )
        for more in (None, add)
    )


def folded(conv: nn.Module, norm: nn.Module | Affine | None = None, *, relu: bool = False) -> Convolution:
    """A convolution of a network and the batch normalisation behind it, in the precision of its weights.

    Its stride is that of `bonegraph.models.stgcn.TemporalConvolution` where it picks its frames first.
    """
    assert isinstance(conv, nn.Conv2d)
    weight = exact(conv.weight)
    bias = weight.new_zeros(len(weight)) if conv.bias is None else exact(conv.bias)
    if norm is not None:
        change = norm if isinstance(norm, Affine) else affine(norm)
        weight, bias = weight * change.scale[:, None, None, None], bias * change.scale + change.shift
    stride, dilation = max(int(conv.stride[0]), int(getattr(conv, "every", 1))), int(conv.dilation[0])
    like = conv.weight.dtype
    return Convolution(weight.to(like), bias.to(like), stride=stride, dilation=dilation, relu=relu)
