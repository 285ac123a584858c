"""ST-GCN++: *PYSKL: Towards Good Practices for Skeleton Action Recognition*.

Duan, Wang, Chen and Lin, ACM Multimedia 2022. ST-GCN with a graph that is learned freely in every unit, a residual
inside the spatial part, and a cheap temporal part of several branches: less than half of ST-GCN's weights and half of
its work, at a higher accuracy. Our default for users in a hurry.

    Sec. 3.2, spatial module     free A, residual before ReLU                       `SpatialPart`
    Sec. 3.2, temporal module    dilated, max-pool and 1x1 branches, 1x1 convolution `TemporalPart`
    Sec. 3.2, the network        10 units as in the released ST-GCN                 `STGCNpp`, `released`, `best`

Axes: N clips, C channels, T frames, V joints, M people, K subsets, R people as rows, B branches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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
    Shortcut,
    SpatialConvolution,
    TemporalConvolution,
    Width,
    chain,
    check_units,
    initialise,
    partitioned,
    residual,
    run,
)
from bonegraph.skeleton import Skeleton


@dataclass(frozen=True)
class Config:
    """Every choice of an ST-GCN++.

    Args:
        in_channels: C of the input, 2 or 3 coordinates and perhaps a confidence.
        widths: output channels of each unit, at least one for each branch of the temporal part.
        strides: temporal stride of each unit.
        temporal_kernel: frames of a dilated convolution, odd.
        dilations: of the dilated convolutions, one branch each; a max-pool branch and a 1x1 branch follow.
        strategy: partition of the neighbours in which each graph starts.
        max_hop: D of that partition.
        normalisation: of that partition.
        dropout: probability at the end of the temporal part, 0 for none; the first unit has none.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    temporal_kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 3, 4)
    strategy: Strategy = "spatial-hops"
    max_hop: int = 1
    normalisation: Normalisation = "subset"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_units(self.in_channels, self.widths, self.strides, self.temporal_kernel, self.dropout)
        if min(self.dilations, default=1) < 1:
            raise ValueError(f"dilations must be at least 1, got {self.dilations}.")
        if min(self.widths) < self.num_branches:
            raise ValueError(f"widths {self.widths} must be at least {self.num_branches}, a channel for each branch.")

    @property
    def num_branches(self) -> int:
        """B of the temporal part."""
        return len(self.dilations) + 2


def released(width: Width = "full", in_channels: int = 3) -> Config:
    """The network of the authors' code."""
    base = 64 // DIVISOR[width]
    return Config(in_channels=in_channels, widths=(base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3)


def best(width: Width = "full", in_channels: int = 3, dropout: float = 0.1) -> Config:
    """What we recommend: the released network with some dropout."""
    base = 64 // DIVISOR[width]
    return Config(in_channels=in_channels, widths=(base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3, dropout=dropout)


def branch_widths(channels: int, branches: int) -> list[int]:
    """C // B channels for each branch; the first takes the remainder as well."""
    each = channels // branches
    return [channels - each * (branches - 1), *[each] * (branches - 1)]


class SpatialPart(nn.Module):
    """ReLU(BN(Σ_k A_k^T (x W_k + b_k)) + residual(x)) with a learnable A, which starts as a partition.

    Args:
        in_channels: C.
        channels: D.
        graph: A at the start.
    """

    def __init__(self, in_channels: int, channels: int, graph: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        self.graph = nn.Parameter(graph.clone())
        self.convolution = SpatialConvolution(in_channels, channels, len(graph))
        self.norm = nn.BatchNorm2d(channels)
        self.residual = nn.Identity() if in_channels == channels else Shortcut(in_channels, channels, 1)

    def forward(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r d t v"]:
        """Convolve over the joints of each frame."""
        return functional.relu(self.norm(self.convolution(x, self.graph)) + self.residual(x))


class TemporalPart(nn.Module):
    """Branches that see time at different scales, side by side.

    Every branch but the plain one starts with a 1x1 convolution, BN and ReLU, which are one for all of them here: each
    branch reads its own channels of the result. What they give is concatenated, then BN, ReLU, 1x1 convolution, BN.

    Args:
        channels: C, in and out.
        stride: over the frames, the same in every branch.
        kernel: frames of a dilated convolution.
        dilations: one branch each.
    """

    def __init__(self, channels: int, stride: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        *self.widths, plain = branch_widths(channels, len(dilations) + 2)
        self.stride = stride
        self.reduce = nn.Conv2d(channels, channels - plain, 1)
        self.reduce_norm = nn.BatchNorm2d(channels - plain)
        self.dilated = nn.ModuleList(
            TemporalConvolution(width, width, kernel, stride, dilation)
            for width, dilation in zip(self.widths, dilations, strict=False)
        )
        self.pool = nn.MaxPool2d((3, 1), (stride, 1), (1, 0))
        self.plain = nn.Conv2d(channels, plain, 1)
        self.norm = nn.BatchNorm2d(channels)
        self.merge = nn.Conv2d(channels, channels, 1)
        self.merge_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, C, T / stride, V). Frames that do not count are zero for the branches.

        To the max-pool that is the same as the ends of the clip, because after ReLU nothing is below zero.
        """
        reduced = hide(functional.relu(self.reduce_norm(self.reduce(x))), frames)
        *parts, last = torch.split(reduced, self.widths, dim=1)
        branches = [convolution(part) for convolution, part in zip(self.dilated, parts, strict=True)]
        branches += [self.pool(last), self.plain(x if self.stride == 1 else x[:, :, :: self.stride])]
        out: Tensor = self.merge_norm(self.merge(functional.relu(self.norm(torch.cat(branches, dim=1)))))
        return out


class Unit(nn.Module):
    """Spatial part, temporal part, dropout, + residual, ReLU. The first unit has neither residual nor dropout."""

    def __init__(self, config: Config, unit: int, in_channels: int, graph: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        channels, stride = config.widths[unit], config.strides[unit]
        self.spatial = SpatialPart(in_channels, channels, graph)
        self.temporal = TemporalPart(channels, stride, config.temporal_kernel, config.dilations)
        self.residual = residual(in_channels, channels, stride, unit > 0)
        self.dropout = Dropout(config.dropout if unit > 0 else 0.0)

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        """One unit."""
        out = self.dropout(self.temporal(self.spatial(x), frames))
        if self.residual is not None:
            out = out + self.residual(x)
        return functional.relu(out)


class STGCNpp(ActionModel):
    """The network: input normalisation over V·C, units, global pooling, linear head.

    Args:
        config: `released`, `best` or your own.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: (V,) gravity distances of the training split, for the strategy ``spatial``.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N, T and M.

    Raises:
        ValueError: the input has other joints or channels than the network.

    In training, batch normalisation inside the units counts every frame of a present person, also those that a mask
    hides; in evaluation hidden frames change nothing.

    Example:
        >>> from bonegraph.skeleton import SKELETONS
        >>> model = STGCNpp(released(), SKELETONS["ntu25"], num_classes=60)
        >>> model(torch.zeros(2, 3, 20, 25, 1)).shape
        torch.Size([2, 60])
    """

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.input_norm = InputNorm(skeleton.num_joints, config.in_channels)
        self.units = chain(Unit, config, partitioned(config, skeleton, distances))
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each unit."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, 0)
        yield from run(self.units, self.config.strides, people.rows, people)
