"""Products with a graph over the joints of each frame, in channels-last memory, where they need no copy."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from bonegraph.inference.fast.convolution import Convolution
from bonegraph.inference.folding import Affine, aggregation, collection, exact, within_frame
from bonegraph.models.stgcn import SpatialConvolution

FEWEST = 8
"""Of so many joints, one or more that a subset does not reach are worth products of their own."""


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


class _Gathering(nn.Module):
    """Gather on the graph of some joints, then weight."""

    graph: Tensor

    def __init__(self, graph: Float[Tensor, "k v w"], weight: Float[Tensor, "k c d"], dtype: torch.dtype) -> None:
        super().__init__()
        self.joints = graph.shape[2]
        self.register_buffer("graph", aggregation(graph).to(dtype))
        weight = rearrange(weight, "k c d -> d (k c) 1 1")
        self.convolution = Convolution(weight.to(dtype), None)

    def forward(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r d t w"]:
        """The weighted sums of the neighbours."""
        out: Tensor = self.convolution(gather(self.graph, x, self.joints))
        return out


class Spatial(nn.Module):
    """Eq. 5 of ST-GCN within a frame, with affine maps before and after it folded in, and a ReLU.

    The last joints have products with the weights of those subsets alone that reach them, see `unreached_last`.

    Args:
        conv: the convolution.
        graph: with its edge importance.
        before: of the input.
        after: of the output.
        relu: whether a ReLU comes last.
    """

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
        dtype, (subsets, joints, _) = conv.conv.weight.dtype, graph.shape
        self.relu = relu
        self.register_buffer("bias", rearrange(matrix.bias, "v d -> d 1 v").to(dtype).contiguous())
        weight = rearrange(matrix.weight, "(k c) d -> k c d", k=subsets)
        subset, last = _last_unreached(graph)
        others = [place for place in range(subsets) if place != subset]
        last = last if others and last * FEWEST >= joints else 0
        self.parts = nn.ModuleList()
        if last < joints:
            self.parts.append(_Gathering(graph[:, :, : joints - last], weight, dtype))
        if last:
            self.parts.append(_Gathering(graph[others][:, :, joints - last :], weight[others], dtype))

    def forward(
        self, x: Float[Tensor, "r c t v"], out: Float[Tensor, "r d t v"] | None = None
    ) -> Float[Tensor, "r d t v"]:
        """Gather, then weight; into ``out``, if there is one."""
        found: list[Tensor] = [part(x) for part in self.parts]
        if out is None and len(found) == 1:
            out = found[0].add_(self.bias)
        else:
            if out is None:
                rows, width, frames, _ = found[0].shape
                out = x.new_empty(rows, frames, self.bias.shape[2], width).permute(0, 3, 1, 2)
            sizes = [one.shape[3] for one in found]
            parts = torch.split(self.bias, sizes, dim=2), torch.split(out, sizes, dim=3)
            for one, bias, into in zip(found, *parts, strict=True):
                torch.add(one, bias, out=into)
        return out.relu_() if self.relu else out


def _last_unreached(graph: Float[Tensor, "k v w"]) -> tuple[int, int]:
    """The subset that reaches the fewest joints, and how many of the last joints it does not reach."""
    reached = (graph != 0).any(dim=1)
    subset = int(reached.sum(dim=1).argmin())
    return subset, int((reached[subset].flip(0).cumsum(dim=0) == 0).sum())


def unreached_last(graph: Float[Tensor, "k v w"]) -> Int[Tensor, " v"]:
    """An order of the joints: those come last that the subset that reaches the fewest does not reach.

    The released graph of ST-GCN has 17 such joints of NTU's 25, the one of `bonegraph.models.stgcn.best` 5.
    """
    subset, _ = _last_unreached(graph)
    return torch.argsort((graph[subset] == 0).all(dim=0).long(), stable=True)


class Collection(nn.Module):
    """Σ_k of K·D channels of the neighbours: the graph behind the weights."""

    graph: Tensor

    def __init__(self, graph: Float[Tensor, "k v w"], dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("graph", collection(graph).to(dtype))

    def forward(self, x: Float[Tensor, "r kd t v"]) -> Float[Tensor, "r d t v"]:
        """Gather on the graph."""
        return gather(self.graph, x, len(self.graph))
