"""What was folded in float64, in the type of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bonegraph.inference import folding
from bonegraph.inference.folding import Affine, Matrix
from bonegraph.inference.stream.cells import Shortcut


class Low:
    """Changes what was folded to the type of the network.

    Args:
        dtype: of its weights.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def tensor(self, value: Tensor) -> Tensor:
        """A weight."""
        return value.to(self.dtype).contiguous()

    def matrix(self, matrix: Matrix) -> Matrix:
        """A layer."""
        return Matrix(self.tensor(matrix.weight), self.tensor(matrix.bias))

    def affine(self, norm: nn.Module | None) -> Affine | None:
        """A batch normalisation, if there is one."""
        return None if norm is None else self.change(folding.affine(norm))

    def change(self, change: Affine) -> Affine:
        """An affine map."""
        return Affine(self.tensor(change.scale), self.tensor(change.shift))

    def shortcut(self, layer: nn.Module | None) -> Shortcut:
        """A residual connection, if there is one."""
        if layer is None:
            return None
        return "identity" if isinstance(layer, nn.Identity) else self.matrix(one_by_one(layer))


def one_by_one(layer: nn.Module) -> Matrix:
    """A 1x1 convolution, alone or with a batch normalisation behind it."""
    if isinstance(layer, nn.Sequential):
        return folding.over_time(layer[0]).then(folding.affine(layer[1]))
    return folding.over_time(layer)
