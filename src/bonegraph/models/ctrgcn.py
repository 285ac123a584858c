"""CTR-GCN: *Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition*.

Chen, Zhang, Yuan, Li, Deng and Hu, ICCV 2021.

    M(ψ(x_u), φ(x_v)) = tanh(ψ(x_u) - φ(x_v))     relation of two joints, x = mean_T     `Refinement`
    R = A + α ξ(M)                                a graph for each output channel        `Refinement`
    z_u = Σ_v R_uv (x W)_v, channel by channel    summed over subsets                    `ChannelwiseConvolution`
    multi-scale temporal convolution              dilated, max-pool and 1x1 branches     `TemporalPart`
    unit                                          graph, BN, residual, ReLU, time        `Unit`
    network                                                                              `CTRGCN`, `released`, `best`

Axes: N clips, C channels, T frames, V joints, M people, K subsets, R people as rows, B branches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Features, hide
from bonegraph.graph import Floats
from bonegraph.models.agcn import check_people, directed, layout
from bonegraph.models.base import ActionModel, InputNorm, check_input, linear_head, normalise_people
from bonegraph.models.layout import every_frame
from bonegraph.models.stgcn import TemporalConvolution, Width, chain, check_units, initialise, residual, run
from bonegraph.skeleton import Skeleton

REDUCTION = 8
"""Joints are compared on C / 8 channels, in the first unit on 8."""


@dataclass(frozen=True)
class Config:
    """Every choice of a CTR-GCN.

    The relation of two joints is measured on C / 8 channels. The first unit, whose C are coordinates, has 8 whatever C
    is: the released code says so for 3 and 9 input channels, and with others has one channel or none.

    Args:
        in_channels: C of the input, any number.
        widths: output channels of each unit, shared equally by the temporal branches.
        strides: temporal stride of each unit.
        temporal_kernel: Γ of the dilated convolutions, odd.
        dilations: of the temporal convolutions, one branch each; a max-pool branch and a 1x1 branch follow.
        people: M that the input normalisation counts; 0 normalises all people alike and takes any number.
        dropout: probability after the temporal part, 0 for none.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    temporal_kernel: int = 5
    dilations: tuple[int, ...] = (1, 2)
    people: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_units(self.in_channels, self.widths, self.strides, self.temporal_kernel, self.dropout)
        check_people(self.people)
        if min(self.dilations, default=1) < 1:
            raise ValueError(f"dilations must be at least 1, got {self.dilations}.")
        branches = len(self.dilations) + 2
        if any(width % branches for width in self.widths):
            raise ValueError(f"widths {self.widths} must be multiples of the {branches} temporal branches.")


def released(width: Width = "full", in_channels: int = 3, people: int = 2) -> Config:
    """The network of the authors' code; the input normalisation counts two people."""
    return Config(in_channels=in_channels, widths=layout(width), people=people)


def best(width: Width = "full", in_channels: int = 3, dropout: float = 0.0) -> Config:
    """What we recommend: the same for any number of people."""
    return Config(in_channels=in_channels, widths=layout(width), dropout=dropout)


class Refinement(nn.Module):
    """R_k[v, u] = A_k[v, u] + α ξ_k(tanh(ψ_k(x)_u - φ_k(x)_v)): a graph for each clip, person and output channel.

    ψ, φ and ξ are 1x1 convolutions and x is the mean over T; the convolutions are affine, so the mean comes first. With
    a mask, T are the frames that count. A is learned; it starts as `bonegraph.models.agcn.directed`, which the released
    code reads the other way round here: a joint receives the sum of its children, and a share of its parent.

    Args:
        in_channels: C.
        channels: C', on which joints are compared.
        out_channels: D.
        graph: (K, V, V), A at the start.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int, graph: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        self.subsets, self.channels, self.out_channels = len(graph), channels, out_channels
        self.compare = nn.Conv2d(in_channels, 2 * self.subsets * channels, 1)
        self.expand = nn.Conv2d(channels, self.subsets * out_channels, 1)
        self.alpha = nn.Parameter(torch.zeros(1))
        self.graph = nn.Parameter(graph.clone())

    def forward(self, x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, D, K·V, V), ``[row, channel, (subset, source), target]``."""
        if frames is None:
            mean = x.mean(dim=2, keepdim=True)
        else:
            mean = hide(x, frames).sum(dim=2, keepdim=True) / frames.sum(dim=1).clamp(min=1)[:, None, None, None]
        target, source = rearrange(self.compare(mean), "r (two k c) 1 v -> two k r c v", two=2, k=self.subsets)
        relation = torch.tanh(target[..., None, :] - source[..., :, None]).flatten(3)
        assert self.expand.bias is not None
        weight = rearrange(self.alpha * self.expand.weight[..., 0, 0], "(k d) c -> k 1 d c", k=self.subsets)
        bias = rearrange(self.alpha * self.expand.bias, "(k d) -> d k 1 1", k=self.subsets)
        refined = rearrange(weight @ relation, "k r d (v u) -> r d (k v) u", u=x.shape[3])
        return refined + rearrange(bias + self.graph, "d k v u -> d (k v) u")


class ChannelwiseConvolution(nn.Module):
    """z_u = Σ_k Σ_v R_k[v, u] (W_k x + b_k)_v, with a graph R for each channel.

    Args:
        in_channels: C.
        out_channels: D.
        first: whether the channels are those of the input.
        graph: (K, V, V), A at the start.
    """

    def __init__(self, in_channels: int, out_channels: int, first: bool, graph: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        channels = REDUCTION if first else max(1, in_channels // REDUCTION)
        self.subsets = len(graph)
        self.refinement = Refinement(in_channels, channels, out_channels, graph)
        self.conv = nn.Conv2d(in_channels, self.subsets * out_channels, 1)

    def forward(self, x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, D, T, V)."""
        values = rearrange(self.conv(x), "r (k d) t v -> r d t (k v)", k=self.subsets)
        out = torch.matmul(values, self.refinement(x, frames))
        return out.contiguous(memory_format=torch.channels_last)


class TemporalPart(nn.Module):
    """Branches that see time at different scales, side by side, with C / B channels each.

    Dilated and max-pool branches start with a 1x1 convolution, BN and ReLU, which are one for all of them here; the
    last branch is a 1x1 convolution. One BN after the concatenation is the BN at the end of each branch.

    Args:
        channels: C, in and out.
        stride: over the frames, the same in every branch.
        kernel: Γ of a dilated convolution.
        dilations: one branch each.
    """

    def __init__(self, channels: int, stride: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.stride, self.width = stride, channels // (len(dilations) + 2)
        self.reduce = nn.Conv2d(channels, channels - self.width, 1)
        self.reduce_norm = nn.BatchNorm2d(channels - self.width)
        self.dilated = nn.ModuleList(
            TemporalConvolution(self.width, self.width, kernel, stride, dilation) for dilation in dilations
        )
        self.plain = nn.Conv2d(channels, self.width, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, C, T / stride, V); frames that do not count act like the padding at the ends."""
        reduced = hide(functional.relu(self.reduce_norm(self.reduce(x))), frames)
        *parts, pooled = torch.split(reduced, self.width, dim=1)
        outs = [conv(part) for conv, part in zip(self.dilated, parts, strict=True)]
        outs.append(functional.max_pool2d(pooled, (3, 1), (self.stride, 1), (1, 0)))
        outs.append(self.plain(every_frame(x, self.stride)))
        normed: Tensor = self.norm(torch.cat(outs, dim=1))
        return normed


class Unit(nn.Module):
    """Channel-wise graph convolution, BN, + residual, ReLU, temporal part, dropout, + residual, ReLU."""

    def __init__(self, config: Config, unit: int, in_channels: int, graph: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        channels, stride = config.widths[unit], config.strides[unit]
        self.spatial = ChannelwiseConvolution(in_channels, channels, unit == 0, graph)
        self.spatial_norm = nn.BatchNorm2d(channels)
        self.spatial_residual = residual(in_channels, channels, 1, wanted=True)
        self.temporal = TemporalPart(channels, stride, config.temporal_kernel, config.dilations)
        self.residual = residual(in_channels, channels, stride, unit > 0)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, *, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count, if any, are zero in x, in every mean over T and before every branch."""
        assert self.spatial_residual is not None
        out = self.spatial_norm(self.spatial(x, frames)) + self.spatial_residual(x)
        out = self.dropout(self.temporal(hide(functional.relu(out), frames), frames))
        if self.residual is not None:
            out = out + self.residual(x)
        return functional.relu(out)


class CTRGCN(ActionModel):
    """The network: input normalisation, units, global pooling, linear head.

    At the start α is 0, so that every channel and clip has the graph A, and the BN behind the graph convolutions starts
    at 1e-6, so that the network begins as its residual connections and temporal parts.

    Args:
        config: `released`, `best` or your own.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: not used; every model takes them.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N, T and M; with ``people``, at most so many.

    Raises:
        ValueError: the input has other joints or channels than the network.

    Example:
        >>> from bonegraph.skeleton import SKELETONS
        >>> model = CTRGCN(released(), SKELETONS["ntu25"], num_classes=60)
        >>> model(torch.zeros(2, 3, 20, 25, 1)).shape
        torch.Size([2, 60])
    """

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.input_norm = InputNorm(max(1, config.people) * skeleton.num_joints, config.in_channels)
        self.units = chain(Unit, config, directed(skeleton).transpose(1, 2))
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)
        for module in self.modules():
            if isinstance(module, Refinement):  # one convolution for K or 2 K, each with a fan-out of its own
                nn.init.normal_(module.compare.weight, std=(2 / module.channels) ** 0.5)
                nn.init.normal_(module.expand.weight, std=(2 / module.out_channels) ** 0.5)
            elif isinstance(module, Unit):
                nn.init.constant_(module.spatial_norm.weight, 1e-6)

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each unit."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, self.config.people)
        yield from run(self.units, self.config.strides, people.rows, people)
