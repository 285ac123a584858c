"""Units of ST-GCN with their normalisations folded and their residual sums inside a convolution."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bonegraph.features import hide
from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.fast.joints import Collection, Spatial, weighted_graph
from bonegraph.inference.stream.folding import affine
from bonegraph.models import stgcn


def shortcut(residual: nn.Module | None) -> nn.Module | None:
    """A residual connection: nothing, the input itself, or a convolution."""
    return folded(*residual) if isinstance(residual, stgcn.Shortcut) else residual


class FactorisedUnit(nn.Module):
    """Graph convolution and ReLU, then Γx1 convolution, + residual, ReLU."""

    def __init__(self, unit: stgcn.FactorisedUnit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        graph = weighted_graph(graph, unit.edge_importance)
        self.spatial = Spatial(unit.spatial, graph, after=affine(unit.spatial_norm), relu=True)
        self.temporal = folded(unit.temporal, unit.temporal_norm, relu=True)
        self.residual = shortcut(unit.residual)

    def forward(self, x: Tensor, graph: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """One unit; its graph is in it."""
        out = hide(self.spatial(x), frames)
        result: Tensor = self.temporal(out, None if self.residual is None else self.residual(x))
        return result


class JointUnit(nn.Module):
    """K·Γ weights, then the graph, + residual, ReLU."""

    def __init__(self, unit: stgcn.JointUnit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        change, conv = affine(unit.norm), unit.convolution.conv
        repeated = change._replace(scale=change.scale.repeat(len(graph)), shift=torch.zeros(()))
        self.temporal = folded(conv, repeated)
        self.collect = Collection(weighted_graph(graph, unit.edge_importance), conv.weight.dtype)
        self.residual = shortcut(unit.residual)
        self.register_buffer("shift", change.shift[:, None, None].to(conv.weight.dtype))
        if isinstance(self.residual, Convolution):  # the sum and the ReLU go into it
            self.residual.relu = True

    def forward(self, x: Tensor, graph: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """One unit; frames that do not count are zero already."""
        out: Tensor = self.collect(self.temporal(x)).add_(self.shift)
        if isinstance(self.residual, Convolution):
            result: Tensor = self.residual(x, out)
            return result
        return (out if self.residual is None else out.add_(x)).relu_()
