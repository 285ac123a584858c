"""Products with a graph over the joints of each frame, in channels-last memory, where they need no copy."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from bonegraph.inference.fast.convolution import pointwise
from bonegraph.inference.folding import Affine, aggregation, collection, exact, within_frame
from bonegraph.models.stgcn import SpatialConvolution


def gather(graph: Float[Tensor, "w v"], x: Float[Tensor, "r d t v"], joints: int) -> Float[Tensor, "r e t j"]:
    """Product of graph and x in every frame, on joints with their channels: (V, K·C) or (V·K, C) are the same memory.

    Args:
        graph: rows as they lie in the result, columns as they lie in x.
        x: channels-last.
        joints: of the result; it has as many channels as remain.
    """
    rows, _, frames, _ = x.shape
    nodes = x.permute(0, 2, 3, 1).reshape(rows * frames, graph.shape[1], -1)
    out = torch.bmm(graph.expand(rows * frames, -1, -1), nodes)
    return out.view(rows, frames, joints, -1).permute(0, 3, 1, 2)


def weighted_graph(graph: Float[Tensor, "k v w"], importance: Tensor | None) -> Float[Tensor, "k v w"]:
    """A ⊗ M in float64."""
    return exact(graph) if importance is None else exact(graph) * exact(importance)


class Spatial(nn.Module):
    """Eq. 5 of ST-GCN within a frame, with affine maps before and after it folded in, and a ReLU.

    Args:
        conv: the convolution.
        graph: with its edge importance.
        before: of the input.
        after: of the output.
        relu: whether a ReLU comes last.
    """

    graph: Tensor
    bias: Tensor

    def __init__(
        self,
        conv: SpatialConvolution,
        graph: Float[Tensor, "k v w"],
        *,
        before: Affine | None = None,
        after: Affine | None = None,
        relu: bool = False,
    ) -> None:
        super().__init__()
        matrix = within_frame(conv, graph, before)
        matrix = matrix if after is None else matrix.then(after)
        dtype = conv.conv.weight.dtype
        self.relu = relu
        self.register_buffer("graph", aggregation(graph).to(dtype))
        self.convolution = pointwise(matrix, dtype)
        self.register_buffer("bias", rearrange(matrix.bias, "v d -> d 1 v").to(dtype).contiguous())

    def forward(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r d t v"]:
        """Gather, then weight."""
        out: Tensor = self.convolution(gather(self.graph, x, self.bias.shape[2])).add_(self.bias)
        return out.relu_() if self.relu else out


class Collection(nn.Module):
    """Σ_k of K·D channels of the neighbours: the graph behind the weights."""

    graph: Tensor

    def __init__(self, graph: Float[Tensor, "k v w"], dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("graph", collection(graph).to(dtype))

    def forward(self, x: Float[Tensor, "r kd t v"]) -> Float[Tensor, "r d t v"]:
        """Gather on the graph."""
        return gather(self.graph, x, len(self.graph))
