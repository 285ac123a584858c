"""ST-GCN as its equations read: Yan, Xiong and Lin, AAAI 2018.

Eq. 10     f_out = Σ_k (A_k ⊗ M_k) f_in W_k, the weights of all subsets first, then one einsum
Sec. 3.6   units of a graph convolution, BN, ReLU, a Γx1 convolution over time, BN, dropout, a residual, ReLU
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.bench.naive.base import Naive, copied, pooled
from bonegraph.models import stgcn


class Unit(nn.Module):
    """One unit."""

    graph: Tensor

    def __init__(self, ours: stgcn.FactorisedUnit, graph: Tensor) -> None:
        super().__init__()
        self.register_buffer("graph", graph.clone())
        self.edge_importance = deepcopy(ours.edge_importance)
        self.conv = copied(ours.spatial.conv)
        self.spatial_norm = copied(ours.spatial_norm)
        self.after = nn.Sequential(copied(ours.temporal), copied(ours.temporal_norm), copied(ours.dropout))
        self.residual = None if ours.residual is None else copied(ours.residual)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, D, T / stride, V)."""
        graph = self.graph if self.edge_importance is None else self.graph * self.edge_importance
        by_subset = self.conv(x).unflatten(1, (len(graph), -1))
        gathered = torch.einsum("rkctv,kvw->rctw", by_subset, graph).contiguous()
        out = self.after(functional.relu(self.spatial_norm(gathered)))
        if self.residual is not None:
            out = out + self.residual(x)
        return functional.relu(out)


class NaiveSTGCN(Naive):
    """The network.

    Args:
        ours: whose weights are copied; of factorised units.
    """

    def __init__(self, ours: stgcn.STGCN) -> None:
        super().__init__(ours.input_norm, 0)
        self.units = nn.Sequential()
        for unit in ours.units:
            assert isinstance(unit, stgcn.FactorisedUnit)
            self.units.append(Unit(unit, ours.adjacency))
        self.head = copied(ours.head)

    def logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, C, T, V, M) -> (N, classes)."""
        return (self.head(pooled(self.units(self.normalised(x)), len(x))),)
