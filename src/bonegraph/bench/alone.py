"""A matrix product or convolution by itself, by every library that torch has for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bonegraph.bench.operations import Convolution, Gradients, Operand, Operation, Product

Run = Callable[[], object]
Prepare = Callable[[], Run]
TORCH = "torch"
"""What torch chooses itself, on operands as the network has them."""

_LEAST_S = 0.002  # of a turn: shorter calls are repeated
_LONG_S = 0.01  # of a call: it warms itself
_MOST_CALLS = 200
_HOPELESS = 1.25  # times as slow as the best library: not tried again
_LINE = 64  # elements; operands begin at the start of a cache line


class Memory:
    """Memory for operands, drawn once for all operations: what the numbers are changes no time."""

    def __init__(self) -> None:
        self._pools: dict[torch.dtype, Tensor] = {}

    def operands(self, *wanted: Operand) -> list[Tensor]:
        """Tensors of given sizes and strides, one behind the other."""
        starts, end = [], 0
        for operand in wanted:
            starts.append(end)
            end += -(-operand.extent // _LINE) * _LINE
        dtype = wanted[0].dtype
        if dtype not in self._pools or len(self._pools[dtype]) < end:
            self._pools[dtype] = torch.randn(end, generator=torch.Generator().manual_seed(0)).to(dtype)
        pool = self._pools[dtype]
        return [pool.as_strided(one.size, one.stride, start) for one, start in zip(wanted, starts, strict=True)]


@dataclass
class Alone:
    """An operation by itself.

    Args:
        operation: which.
        threads: of torch.
        memory: for its operands.

    Attributes:
        best_s: the best time of a call by each library, in seconds: of the processor on one thread, else on the clock
            (`bonegraph.bench.rows.Row.own_s`); empty before the first turn.
    """

    operation: Operation
    threads: int
    memory: Memory = field(repr=False)
    best_s: dict[str, float] = field(default_factory=dict)

    def turn(self) -> None:
        """Time it once more by each library that is not hopeless."""
        hopeless = _HOPELESS * min(self.best_s.values(), default=math.inf)
        with torch.no_grad():
            for library, prepare in by_library(self.operation, self.memory).items():
                if self.best_s.get(library, 0.0) > hopeless:
                    continue
                try:
                    found = self._timed(prepare(), warm=library in self.best_s)
                except (RuntimeError, AttributeError, TypeError):  # a torch without it, or with another form of it
                    if library == TORCH:
                        raise
                    found = math.inf
                self.best_s[library] = min(found, self.best_s.get(library, math.inf))

    def _timed(self, run: Run, warm: bool) -> float:
        clock = time.process_time if self.threads == 1 else time.perf_counter
        start = clock()
        run()
        if warm and (once := clock() - start) >= _LONG_S:
            return once
        start = clock()
        run()
        once = max(clock() - start, 1e-7)
        if once >= _LEAST_S:
            return once
        calls = min(int(_LEAST_S / once) + 1, _MOST_CALLS)
        start = clock()
        for _ in range(calls):
            run()
        return (clock() - start) / calls


def by_library(operation: Operation, memory: Memory) -> dict[str, Prepare]:
    """Ways to compute an operation: `TORCH`, and libraries that it may not have chosen.

    What another library wants of the order in memory is done in preparing, which is not timed.
    """
    if isinstance(operation, Product):
        return _products(operation, memory)
    if isinstance(operation, Convolution):
        return _convolutions(operation, memory)
    return _gradients(operation, memory)


def _products(product: Product, memory: Memory) -> dict[str, Prepare]:
    a, b = memory.operands(product.a, product.b)
    multiply = torch.mm if a.dim() == 2 else torch.bmm

    def onednn() -> Run:
        operation: Any = torch.ops.mkldnn._linear_pointwise
        return lambda: operation(a, b.t(), None, "none", [], "")

    found: dict[str, Prepare] = {TORCH: lambda: lambda: multiply(a, b)}
    if a.dim() == 2 and product.a.dense and product.b.dense:
        found["onednn"] = onednn
    return found


def _convolutions(conv: Convolution, memory: Memory) -> dict[str, Prepare]:
    x, weight = memory.operands(conv.x, conv.weight)

    def onednn() -> Run:
        """The call of `bonegraph.inference.fast.convolution`, without what may follow."""
        geometry = conv.padding, conv.stride, conv.dilation, conv.groups
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        operation: Any = torch.ops.mkldnn._convolution_pointwise
        packed, rows = reorder(weight.contiguous().to_mkldnn(), *geometry, x.shape), _channels_last(x)
        return lambda: operation(rows, packed, None, *geometry, "none", [], "")

    def blas() -> Run:
        rows, matrix = _frames(x).flatten(0, 1), weight.flatten(1).t()
        return lambda: torch.mm(rows, matrix)

    found: dict[str, Prepare] = {TORCH: lambda: lambda: torch.convolution(x, weight, None, *_how(conv))}
    if x.dim() == 4:
        found["onednn"] = onednn
    if conv.pointwise:
        found["blas"] = blas
    return found


def _gradients(gradients: Gradients, memory: Memory) -> dict[str, Prepare]:
    conv, wanted = gradients.of, [*gradients.wanted, False]
    gradient, x, weight = memory.operands(gradients.gradient, conv.x, conv.weight)
    backward: Any = torch.ops.aten.convolution_backward.default

    def ordered() -> Run:
        operands = [_channels_last(value) for value in (gradient, x, weight)]
        return lambda: backward(*operands, None, *_how(conv), wanted)

    def onednn() -> Run:
        """Of many rows of one frame, torch leaves a 1x1 convolution to oneDNN."""
        rows = [_frames(value)[:, None].permute(0, 3, 1, 2) for value in (gradient, x)]
        return lambda: backward(*rows, weight, None, *_how(conv), wanted)

    def blas() -> Run:
        above, below = (_frames(value).flatten(0, 1) for value in (gradient, x))
        matrix = weight.flatten(1)
        return lambda: (wanted[0] and torch.mm(above, matrix), wanted[1] and torch.mm(above.t(), below))

    found: dict[str, Prepare] = {TORCH: lambda: lambda: backward(gradient, x, weight, None, *_how(conv), wanted)}
    if conv.pointwise:
        found |= {"onednn": onednn, "blas": blas}
    elif x.dim() == 4 and max(conv.weight.size[2:]) > 1:
        # Not 1x1 with a stride: that of oneDNN writes out of bounds, see `bonegraph.models.stgcn.TemporalConvolution`.
        found["channels last"] = ordered
    return found


def _how(conv: Convolution) -> tuple[Any, ...]:
    """What torch wants behind the bias: geometry, not transposed, no padding of the output, groups."""
    return conv.stride, conv.padding, conv.dilation, False, (0,) * len(conv.stride), conv.groups


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _frames(x: Tensor) -> Tensor:
    """(N, C, T, V) as (N·T, V, C), side by side in memory."""
    return _channels_last(x).permute(0, 2, 3, 1).flatten(0, 1)
