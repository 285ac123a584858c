"""A layer on rows, few of them, with all that follows it: a sum and a ReLU in the same pass where that is faster.

Large weights go to oneDNN, packed once, as in `bonegraph.inference.fast.convolution`: on few rows torch's own product
reads them at three quarters of that rate. The operation is not part of torch's documented interface: it is tried once,
on a small case, and where it is missing or answers otherwise than the documented one, that one is used, as for small
weights, where it is faster.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bonegraph.inference.fast.convolution import documented_only
from bonegraph.inference.folding import Matrix

LARGE = 100_000
"""Weights from which oneDNN is faster than torch's own product."""


class Product:
    """act(x @ weight + bias [+ what is added]) for answers, without gradients.

    Args:
        matrix: (C, D); a bias of (V, D) is that of V rows, again and again.
        relu: whether a ReLU comes last.
    """

    def __init__(self, matrix: Matrix, *, relu: bool = False) -> None:
        (self.weight, self.bias), self.relu = matrix, relu
        self._packed: Tensor | None = None
        self._biases: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of the weights at the first answer, which torch can neither copy nor pickle."""
        return {**self.__dict__, "_packed": None}

    def __call__(self, x: Float[Tensor, "n c"], add: Float[Tensor, "n d"] | None = None) -> Float[Tensor, "n d"]:
        """(N, C) -> (N, D)."""
        if self.weight.numel() >= LARGE and not documented_only() and x.device.type == "cpu" and has_products(x.dtype):
            return self._onednn(x, add)
        if torch.compiler.is_exporting() and self.bias.dim() == 2:  # the number of rows is free
            out = (torch.mm(x, self.weight).view(-1, *self.bias.shape) + self.bias).flatten(0, 1)
            out = out if add is None else out + add
        elif add is None:
            out = torch.addmm(self._bias(x.shape[0]), x, self.weight)
        else:
            out = torch.addmm(add, x, self.weight).add_(self._bias(x.shape[0]))
        return out.relu_() if self.relu else out

    def _bias(self, rows: int) -> Float[Tensor, "*n d"]:
        """For so many rows."""
        if self.bias.dim() == 1:
            return self.bias
        if self._biases is None or len(self._biases) != rows:
            self._biases = self.bias.repeat(rows // len(self.bias), 1)
        return self._biases

    def _onednn(self, x: Tensor, add: Tensor | None) -> Tensor:
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.t().contiguous(), None)
        bias: Tensor | None = self.bias
        rest: Tensor | None = None
        if self.bias.dim() == 2:
            bias, rest = None, self._bias(x.shape[0])
            if add is None:
                add, rest = rest, None
        operation = torch.ops.mkldnn._linear_pointwise
        out: Tensor
        if add is None:
            out = operation(x, self._packed, bias, "relu" if self.relu else "none", [], "")
            return out
        out = operation.binary(x, add, self._packed, bias, "add")
        if rest is not None:
            out += rest
        return out.relu_() if self.relu else out


@cache
def has_products(dtype: torch.dtype) -> bool:
    """Whether layers of this type can go to oneDNN directly, and give what they should."""
    if dtype != torch.float32 or os.environ.get("BONEGRAPH_ONEDNN") == "off":
        return False
    draw = torch.Generator().manual_seed(0)
    x, weight, bias, add = (torch.randn(shape, generator=draw) for shape in ((5, 24), (24, 8), (8,), (5, 8)))
    by_row = torch.randn(5, 8, generator=draw)
    one, other = Product(Matrix(weight, bias), relu=True), Product(Matrix(weight, by_row))
    plain = x @ weight
    try:
        found = one._onednn(x, None), one._onednn(x, add), other._onednn(x, None), other._onednn(x, add)
    except (RuntimeError, AttributeError, TypeError):
        return False  # a torch without it, or with another form of it
    wanted = (plain + bias).relu(), (plain + bias + add).relu(), plain + by_row, plain + by_row + add
    return all(torch.allclose(*pair, rtol=1e-4, atol=1e-4) for pair in zip(found, wanted, strict=True))
