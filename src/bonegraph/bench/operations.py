"""Which matrix products and convolutions a piece of work really performs.

What is recorded is what torch calls in the end, below autograd and autocast: sizes, strides and number types are those
that reach a library. Biases, and the sum and ReLU of a fused call, are left out: they belong to the elementwise work.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Operand(NamedTuple):
    """A tensor without its values.

    Attributes:
        size: of each axis.
        stride: of each axis, in elements; 0 where all entries are the same.
        dtype: of its numbers.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @property
    def extent(self) -> int:
        """Elements of memory from the first to the last."""
        return 1 + sum((size - 1) * step for size, step in zip(self.size, self.stride, strict=True))

    @property
    def dense(self) -> bool:
        """Whether its memory has neither gaps nor repeats."""
        return self.extent == math.prod(self.size)


@dataclass(frozen=True)
class Product:
    """A product of matrices, or a batch of them.

    Args:
        a: (n, k) or (b, n, k).
        b: (k, m) or (b, k, m).
    """

    a: Operand
    b: Operand

    @property
    def flops(self) -> int:
        """Twice the multiply-adds."""
        return 2 * math.prod(self.a.size) * self.b.size[-1]


@dataclass(frozen=True)
class Convolution:
    """A convolution.

    Args:
        x: (N, C, ...).
        weight: (D, C / groups, ...).
        stride: along each axis of space.
        padding: as many.
        dilation: as many.
        groups: of channels.
    """

    x: Operand
    weight: Operand
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def pointwise(self) -> bool:
        """Whether it is a product of channels: (N, C, T, V), a kernel of one place, nothing skipped."""
        return (
            self.weight.size[2:] == (1, 1) and self.groups == 1 and set(self.stride) == {1} and set(self.padding) == {0}
        )

    @property
    def flops(self) -> int:
        """Twice the multiply-adds, those with padding as well."""
        space = [
            (size + 2 * around - reach * (kernel - 1) - 1) // step + 1
            for size, kernel, step, around, reach in zip(
                self.x.size[2:], self.weight.size[2:], self.stride, self.padding, self.dilation, strict=True
            )
        ]
        return 2 * self.x.size[0] * math.prod(space) * math.prod(self.weight.size)


@dataclass(frozen=True)
class Gradients:
    """What a convolution does in a backward pass.

    Args:
        of: the convolution.
        gradient: of its output.
        wanted: whether gradients of its input, and of its weights, are computed.
    """

    of: Convolution
    gradient: Operand
    wanted: tuple[bool, bool]

    @property
    def flops(self) -> int:
        """Twice the multiply-adds: each gradient has those of the convolution."""
        return self.of.flops * sum(self.wanted)


Operation = Product | Convolution | Gradients

_PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}
"""Products by name, with the place of their first matrix: what is added comes before."""
_FUSED = "mkldnn::_convolution_pointwise"


def recorded(work: Callable[[], object]) -> Counter[Operation]:
    """Do some work, and tell which products and convolutions it took, and how often each.

    Args:
        work: anything that calls torch, backward passes included.
    """
    recorder = _Recorder()
    with recorder:
        work()
    return recorder.found


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[Operation] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with self:  # what torch would take apart itself, but does not in inference mode
            parts = func.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        operation = _operation(func, args)
        if operation is not None and operation.flops:
            self.found[operation] += 1
        return func(*args, **kwargs)


def _operation(func: Any, args: Any) -> Operation | None:
    name = func._schema.name
    if name in _PRODUCTS:
        first = _PRODUCTS[name]
        return Product(_operand(args[first]), _operand(args[first + 1]))
    if name == "aten::convolution":
        x, weight, _, stride, padding, dilation, transposed, _, groups = args
        assert not transposed, "no model here has transposed convolutions"
        return _convolution(x, weight, stride, padding, dilation, groups)
    if name == "aten::convolution_backward":
        gradient, x, weight, _, stride, padding, dilation, _, _, groups, wanted = args
        conv = _convolution(x, weight, stride, padding, dilation, groups)
        return Gradients(conv, _operand(gradient), (wanted[0], wanted[1]))
    if name == _FUSED:
        x, *rest = args
        added = func._overloadname == "binary"
        weight, _, padding, stride, dilation, groups = rest[1:7] if added else rest[:6]
        return _convolution(x, weight, stride, padding, dilation, groups)
    return None


def _convolution(x: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> Convolution:
    return Convolution(_operand(x), _operand(weight), tuple(stride), tuple(padding), tuple(dilation), groups)


def _operand(value: Tensor) -> Operand:
    size = tuple(value.shape)
    if value.layout != torch.strided:  # packed by oneDNN, from channels-last memory
        channels, height, width = size[1:]
        return Operand(size, (channels * height * width, 1, channels * width, channels), value.dtype)
    return Operand(size, tuple(value.stride()), value.dtype)
