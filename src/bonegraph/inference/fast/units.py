"""Units of ST-GCN and its relatives with their normalisations folded and their residual sums inside a convolution."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bonegraph.features import hide
from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.fast.joints import Collection, Spatial, weighted_graph
from bonegraph.inference.fast.winograd import NineTaps, temporal
from bonegraph.inference.folding import Affine, affine
from bonegraph.models import kth, stgcn


def shortcut(residual: nn.Module | None) -> nn.Module | None:
    """A residual connection: nothing, the input itself, or a convolution."""
    return folded(*residual) if isinstance(residual, stgcn.Shortcut) else residual


class FactorisedUnit(nn.Module):
    """Graph convolution and ReLU, then Γx1 convolution, + residual, ReLU."""

    def __init__(self, unit: stgcn.FactorisedUnit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        graph = weighted_graph(graph, unit.edge_importance)
        self.spatial = Spatial(unit.spatial, graph, after=affine(unit.spatial_norm), relu=True)
        self.temporal = temporal(unit.temporal, unit.temporal_norm, relu=True)
        self.residual = shortcut(unit.residual)

    def forward(self, x: Tensor, graph: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """One unit; its graph is in it."""
        add = None if self.residual is None else self.residual(x)
        tiles = self.temporal.tiles(x) if isinstance(self.temporal, NineTaps) else None
        if tiles is None:
            result: Tensor = self.temporal(hide(self.spatial(x), frames), add)
            return result
        padded, inside = tiles.room(x)  # into which the graph convolution writes, so that nobody has to pad
        self.spatial(x, inside)
        if frames is not None:
            inside.mul_(frames[:, None, :, None])
        return tiles.of_room(padded, inside, add)


class JointUnit(nn.Module):
    """K·Γ weights, then the graph, + residual, ReLU."""

    def __init__(self, unit: stgcn.JointUnit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        change, conv = affine(unit.norm), unit.convolution.conv
        self.temporal = temporal(conv, _scaled(change, len(graph)))
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


class PlainUnit(nn.Module):
    """Unit of the paper of the KTH data: graph convolution, temporal convolution, ReLU."""

    def __init__(self, unit: kth.PlainUnit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        before = None if unit.start_norm is None else affine(unit.start_norm)
        self.spatial = Spatial(unit.spatial, weighted_graph(graph, unit.edge_importance), before=before)
        self.temporal = temporal(unit.temporal, None if unit.relu_first else unit.end_norm, relu=True)
        self.end_norm = unit.end_norm if unit.relu_first else None

    def forward(self, x: Tensor, graph: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """One unit."""
        out: Tensor = self.temporal(hide(self.spatial(x), frames))
        return out if self.end_norm is None else self.end_norm(out)


class ResidualUnit(nn.Module):
    """Unit of the residual network of that paper, whose first BN and ReLU stand before all weights."""

    def __init__(self, unit: kth.ResidualUnit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        graph = weighted_graph(graph, unit.edge_importance)
        self.spatial_norm = unit.spatial_norm
        self.spatial = Spatial(unit.spatial, graph, after=affine(unit.temporal_norm), relu=True)
        self.temporal = temporal(unit.temporal)
        self.shortcut = folded(unit.shortcut) if isinstance(unit.shortcut, nn.Conv2d) else unit.shortcut

    def forward(self, x: Tensor, graph: Tensor | None = None, frames: Tensor | None = None) -> Tensor:
        """One unit."""
        out = x if self.spatial_norm is None else self.spatial_norm(x).relu_()
        result: Tensor = self.temporal(
            hide(self.spatial(out), frames), None if self.shortcut is None else self.shortcut(x)
        )
        return result


def _scaled(change: Affine, times: int) -> Affine:
    """An affine map without its shift, for channels that repeat."""
    return Affine(change.scale.repeat(times), torch.zeros_like(change.shift).repeat(times))
