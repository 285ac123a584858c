"""The KTH re-implementation: *Spatial-temporal Graph Convolutional Networks for Skeleton-based Action Recognition*.

Nagy, Panesar and Qian, KTH 2020: ST-GCN built anew, with questions about its parts.

    Sec. 4.3    symmetrical distance partitioning             `bonegraph.graph.partition`, ``symmetrical``
    Eq. 5       graph convolution, normalised adjacency       `SpatialConvolution`, `bonegraph.graph.adjacency`
    Sec. 4.4.2  temporal convolution                          `TemporalConvolution`
    Sec. 4.4.3  learnable edge importance, A ⊗ M              ``edge_importance`` of a unit
    Sec. 4.5    full pre-activation residual block, Fig. 3    `ResidualUnit`
    Sec. 5.5    where to normalise, and in which order        `PlainUnit`, ``norms``, ``order``
    Sec. 4.4    9 + 1 and 11 + 1 layers                       `KTH`, `paper`, `best`

Axes: N clips, C channels, T frames, V joints, M people, K subsets, R people as rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Features, hide
from bonegraph.graph import Floats, Normalisation, Strategy
from bonegraph.models.base import ActionModel, InputNorm, check_input, linear_head, normalise_people
from bonegraph.models.dropout import Dropout
from bonegraph.models.stgcn import (
    DIVISOR,
    SpatialConvolution,
    TemporalConvolution,
    Width,
    chain,
    check_units,
    initialise,
    partitioned,
    run,
)
from bonegraph.skeleton import Skeleton

Norms = Literal["both", "start", "input"]
Order = Literal["bn-relu", "relu-bn"]
Layers = Literal[9, 12]


@dataclass(frozen=True)
class Config:
    """Every choice of the network.

    Args:
        in_channels: C of the input, 2 coordinates and perhaps a confidence.
        widths: output channels of each unit.
        strides: temporal stride of each unit.
        residual: full pre-activation residual units instead of plain ones.
        norms: batch normalisation in plain units: at ``both`` ends, at the ``start``, or only for the ``input`` of the
            network (Sec. 5.5; the paper found no training that way).
        order: what comes first at the end of a plain unit, batch normalisation or ReLU.
        temporal_kernel: Γ, odd.
        strategy: partition of the neighbours.
        max_hop: D.
        normalisation: of the adjacency; ``symmetric`` is Eq. 5.
        edge_importance: a learnable mask per unit and subset.
        dropout: probability, 0 for none.

    Raises:
        ValueError: numbers that fit no network, or an order of what is not there.
    """

    in_channels: int = 2
    widths: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    residual: bool = False
    norms: Norms = "both"
    order: Order = "bn-relu"
    temporal_kernel: int = 9
    strategy: Strategy = "spatial"
    max_hop: int = 1
    normalisation: Normalisation = "symmetric"
    edge_importance: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_units(self.in_channels, self.widths, self.strides, self.temporal_kernel, self.dropout)
        if self.residual and (self.norms, self.order) != ("both", "bn-relu"):
            raise ValueError(
                f"norms and order belong to plain units, got '{self.norms}' and '{self.order}' with residual units; "
                "leave them at 'both' and 'bn-relu'."
            )
        if self.order == "relu-bn" and self.norms != "both":
            raise ValueError(f"order 'relu-bn' needs a batch normalisation at the end; norms is '{self.norms}'.")


def paper(
    width: Width = "full",
    in_channels: int = 2,
    strategy: Strategy = "spatial",
    *,
    layers: Layers = 9,
    residual: bool = False,
    dropout: float = 0.5,
) -> Config:
    """The network of the text: 9 + 1 or ("12-layer") 11 + 1 units, Eq. 5, no edge importance.

    Departs from the paper:
        of the deeper network the text gives the channels but not the strides; they are 2 where the channels double.
    """
    base = 64 // DIVISOR[width]
    each = 3 if layers == 9 else 4
    return Config(
        in_channels=in_channels,
        widths=(base,) * 4 + (2 * base,) * each + (4 * base,) * each,
        strides=(1, 1, 1, 1) + (2, *(1,) * (each - 1)) * 2,
        residual=residual,
        strategy=strategy,
        dropout=dropout,
    )


def best(width: Width = "full", in_channels: int = 2, dropout: float = 0.1) -> Config:
    """What we recommend: residual units on a graph that needs no data, normalised as Eq. 4 of ST-GCN, some dropout."""
    base = 64 // DIVISOR[width]
    return Config(
        in_channels=in_channels,
        widths=(base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3,
        residual=True,
        strategy="spatial-hops",
        normalisation="subset",
        dropout=dropout,
    )


class PlainUnit(nn.Module):
    """BN, graph convolution, temporal convolution, BN, ReLU, dropout.

    Departs from the paper:
        the text names the parts but not all of their places. The activation stands at the end, since Sec. 5.5 asks
        whether it comes before or after the batch normalisation there; dropout, which is "in each unit", comes last.
        The first unit's batch normalisation at the start is the input normalisation over V·C.
    """

    def __init__(self, config: Config, unit: int, in_channels: int, graph_shape: torch.Size) -> None:
        super().__init__()
        channels, stride = config.widths[unit], config.strides[unit]
        self.relu_first = config.order == "relu-bn"
        self.start_norm = nn.BatchNorm2d(in_channels) if unit > 0 and config.norms != "input" else None
        self.spatial = SpatialConvolution(in_channels, channels, graph_shape[0])
        self.temporal = TemporalConvolution(channels, channels, config.temporal_kernel, stride)
        self.end_norm = nn.BatchNorm2d(channels) if config.norms == "both" else None
        self.dropout = Dropout(config.dropout)
        self.edge_importance = nn.Parameter(torch.ones(graph_shape)) if config.edge_importance else None

    def forward(self, x: Tensor, graph: Tensor, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count, if any, are zero before the temporal convolution."""
        masked = graph if self.edge_importance is None else graph * self.edge_importance
        out = x if self.start_norm is None else self.start_norm(x)
        out = self.temporal(hide(self.spatial(out, masked), frames))
        if self.end_norm is None:
            out = functional.relu(out)
        elif self.relu_first:
            out = self.end_norm(functional.relu(out))
        else:
            out = functional.relu(self.end_norm(out))
        dropped: Tensor = self.dropout(out)
        return dropped


class ResidualUnit(nn.Module):
    """BN, ReLU, graph convolution, BN, ReLU, temporal convolution, dropout, + shortcut; nothing after the sum (Fig. 3).

    The shortcut is the input itself, or a 1x1 convolution where the shape changes, as in He et al., *Identity Mappings
    in Deep Residual Networks*, ECCV 2016, from where the block comes.

    Departs from the paper:
        the first unit begins with its graph convolution and has no shortcut: it raises the channels of the input, which
        is normalised already, and of which a ReLU would lose half. The text does not place dropout.
    """

    def __init__(self, config: Config, unit: int, in_channels: int, graph_shape: torch.Size) -> None:
        super().__init__()
        channels, stride = config.widths[unit], config.strides[unit]
        self.spatial_norm = nn.BatchNorm2d(in_channels) if unit > 0 else None
        self.spatial = SpatialConvolution(in_channels, channels, graph_shape[0])
        self.temporal_norm = nn.BatchNorm2d(channels)
        self.temporal = TemporalConvolution(channels, channels, config.temporal_kernel, stride)
        self.dropout = Dropout(config.dropout)
        self.shortcut: nn.Module | None = None
        if unit > 0:
            same = in_channels == channels and stride == 1
            self.shortcut = nn.Identity() if same else TemporalConvolution(in_channels, channels, 1, stride)
        self.edge_importance = nn.Parameter(torch.ones(graph_shape)) if config.edge_importance else None

    def forward(self, x: Tensor, graph: Tensor, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count, if any, are zero before the temporal convolution."""
        masked = graph if self.edge_importance is None else graph * self.edge_importance
        out: Tensor = x if self.spatial_norm is None else functional.relu(self.spatial_norm(x))
        out = functional.relu(self.temporal_norm(self.spatial(out, masked)))
        out = self.dropout(self.temporal(hide(out, frames)))
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        return out


class KTH(ActionModel):
    """The network: input normalisation over V·C, units, global pooling, linear head.

    Args:
        config: `paper`, `best` or your own.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: (V,) gravity distances of the training split, for the strategy ``spatial``.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N, T and M.

    Raises:
        ValueError: the input has other joints or channels than the network.

    Departs from the paper:
        after residual units, which end in a sum, a last BN and ReLU come before pooling, as in every pre-activation
        network; the text has none. The text has one person; people are averaged as in ST-GCN.

    In training, batch normalisation inside the units counts every frame of a present person, also those that a mask
    hides; in evaluation hidden frames change nothing.

    Example:
        >>> from bonegraph.skeleton import SKELETONS
        >>> model = KTH(best(), SKELETONS["openpose25"], num_classes=6)
        >>> model(torch.zeros(2, 2, 20, 25, 1)).shape
        torch.Size([2, 6])
    """

    adjacency: Tensor

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.register_buffer("adjacency", partitioned(config, skeleton, distances))
        self.input_norm = InputNorm(skeleton.num_joints, config.in_channels)
        unit = ResidualUnit if config.residual else PlainUnit
        self.units = chain(unit, config, self.adjacency.shape)
        self.last_norm = nn.BatchNorm2d(config.widths[-1]) if config.residual else None
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each unit; those of the last one as they are pooled."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, 0)
        stages = run(self.units, self.config.strides, people.rows, people, self.adjacency)
        for number, stage in enumerate(stages, start=1):
            if self.last_norm is not None and number == len(self.units):
                stage = stage._replace(maps=hide(functional.relu(self.last_norm(stage.maps)), stage.frames))
            yield stage
