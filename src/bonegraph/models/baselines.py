"""The baselines that ST-GCN is compared with in its Table 1: a temporal network, and local but unshared weights.

Yan, Xiong and Lin, AAAI 2018, Sec. 4.2; the temporal network follows Kim and Reiter, *Interpretable 3D Human Action
Analysis with Temporal Convolutional Networks*, CVPR Workshops 2017.

    "only temporal convolution", joints concatenated             `TCN`
    "local convolution", unshared weights on the sparse graph    `LocalConvolution`, `Local`

Both have the layout of the paper's ST-GCN (`bonegraph.models.stgcn.paper`); only the convolution differs. On a graph in
which all joints are neighbours, a local convolution is a temporal convolution of V·C channels.

Axes: N clips, C channels, T frames, V joints, M people, E directed edges, Γ frames of a kernel, R people as rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Features
from bonegraph.graph import Floats, hop_distances
from bonegraph.models.base import ActionModel, InputNorm, check_input, linear_head, normalise_people
from bonegraph.models.stgcn import DIVISOR, TemporalConvolution, Width, check_units, initialise, residual, run
from bonegraph.skeleton import Skeleton


@dataclass(frozen=True)
class _Layout:
    """Units of a baseline.

    Args:
        in_channels: C of the input.
        widths: output channels of each unit; of each joint for ``local``, of the whole body for ``tcn``.
        strides: temporal stride of each unit.
        temporal_kernel: Γ, odd.
        dropout: probability, 0 for none.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 2, 1, 1, 2, 1, 1)
    temporal_kernel: int = 9
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_units(self.in_channels, self.widths, self.strides, self.temporal_kernel, self.dropout)


@dataclass(frozen=True)
class TCNConfig(_Layout):
    """Units of a `TCN`."""


@dataclass(frozen=True)
class LocalConfig(_Layout):
    """Units of a `Local`.

    Args:
        max_hop: D, how far away a neighbour may be.
    """

    max_hop: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_hop < 1:
            raise ValueError(f"max_hop must be at least 1, got {self.max_hop}.")


def tcn(width: Width = "full", in_channels: int = 3, dropout: float = 0.5) -> TCNConfig:
    """The temporal baseline with the channels of the paper's ST-GCN."""
    return TCNConfig(in_channels=in_channels, widths=_widths(width), dropout=dropout)


def local(width: Width = "full", in_channels: int = 3, dropout: float = 0.5) -> LocalConfig:
    """The local baseline with the channels of the paper's ST-GCN."""
    return LocalConfig(in_channels=in_channels, widths=_widths(width), dropout=dropout)


def _widths(width: Width) -> tuple[int, ...]:
    base = 64 // DIVISOR[width]
    return (base,) * 3 + (2 * base,) * 3 + (4 * base,) * 3


class LocalConvolution(nn.Module):
    """A spatial-temporal convolution with a weight matrix for every directed edge and temporal offset.

    f_out(w, t) = Σ_v∈B(w) Σ_q W[v→w, q] f_in(v, t + q): Eq. 5 without the sharing of Eq. 7.

    Targets with equally many neighbours lie together, so that each such group is one batched matrix product on a piece
    of the weights as it lies: there are millions of them, and to move them costs more than to multiply.

    Args:
        in_channels: C.
        out_channels: D.
        neighbours: (V, V) bool ``[source, target]``, every joint a neighbour of itself.
        kernel: Γ, odd.
        stride: over the frames.

    Attributes:
        edges: (source, target) of each weight.
        weight: (E, Γ, C, D).

    Departs from the paper:
        there is no bias, because a batch normalisation follows.
    """

    places: Tensor

    def __init__(
        self, in_channels: int, out_channels: int, neighbours: Bool[Tensor, "v v"], kernel: int, stride: int
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        near = neighbours.cpu()
        degrees = near.sum(dim=0)
        order = torch.argsort(degrees, stable=True, descending=False).tolist()
        self.edges = [(int(v), w) for w in order for v in near[:, w].nonzero()[:, 0]]
        self.groups = [(int(n), int((degrees == n).sum())) for n in torch.unique(degrees)]  # neighbours, targets
        places = torch.empty(len(order), dtype=torch.long)
        places[order] = torch.arange(len(order))
        self.register_buffer("places", places, persistent=False)
        self.weight = nn.Parameter(torch.empty(len(self.edges), kernel, in_channels, out_channels))
        with torch.no_grad():  # N(0, 2 / fan-in) with the neighbours that a joint has
            for edge, (_, target) in enumerate(self.edges):
                self.weight[edge].normal_(std=(2 / (int(degrees[target]) * in_channels * kernel)) ** 0.5)

    def forward(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r d s v"]:
        """Convolve over the neighbours of each joint."""
        rows, reach = x.shape[0], self.kernel // 2
        last = (x.shape[2] - 1) // self.stride * self.stride + 1
        frames = functional.pad(rearrange(x, "r c t v -> v r t c"), (0, 0, reach, reach))
        outs, edge = [], 0
        for size, targets in self.groups:
            sources = [source for source, _ in self.edges[edge : edge + size * targets]]
            near = rearrange(frames[sources], "(g n) r t c -> g n r t c", n=size)
            taps = [near[:, :, :, tap : tap + last : self.stride] for tap in range(self.kernel)]
            nodes = rearrange(torch.stack(taps), "k g n r s c -> g (r s) (n k c)")
            weight = rearrange(self.weight[edge : edge + size * targets], "(g n) k c d -> g (n k c) d", n=size)
            outs.append(torch.bmm(nodes, weight))
            edge += size * targets
        out = torch.cat(outs)[self.places]
        return rearrange(out, "w (r s) d -> r d s w", r=rows)


class Unit(nn.Module):
    """The unit of the text around another convolution: convolution, BN, + residual, ReLU, dropout."""

    def __init__(
        self, convolution: nn.Module, in_channels: int, out_channels: int, stride: int, dropout: float
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = residual(in_channels, out_channels, stride, wanted=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, *, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count are zero already."""
        out = self.norm(self.convolution(x))
        if self.residual is not None:
            out = out + self.residual(x)
        dropped: Tensor = self.dropout(functional.relu(out))
        return dropped


class _Baseline(ActionModel):
    """Input normalisation, units around some convolution, pooling, head."""

    def __init__(
        self,
        config: TCNConfig | LocalConfig,
        skeleton: Skeleton,
        num_classes: int,
        in_channels: int,
        convolution: Callable[[int, int, int], nn.Module],
    ) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.input_norm = InputNorm(skeleton.num_joints, config.in_channels)
        inputs = (in_channels, *config.widths[:-1])
        self.units = nn.ModuleList(
            Unit(convolution(before, after, stride), before, after, stride, config.dropout)
            for before, after, stride in zip(inputs, config.widths, config.strides, strict=True)
        )
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)

    def _arranged(self, x: Float[Tensor, "r c t v"]) -> Tensor:
        """The normalised input as the units take it."""
        return x

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each unit."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, 0)
        yield from run(self.units, self.config.strides, self._arranged(people.rows), people)


class TCN(_Baseline):
    """Temporal convolution only: the joints of a frame are its channels.

    Args:
        config: units.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: not used; every model takes them.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N, T and M. The feature maps have one joint.
    """

    def __init__(
        self, config: TCNConfig, skeleton: Skeleton, num_classes: int, distances: Floats | None = None
    ) -> None:
        kernel = config.temporal_kernel

        def convolution(before: int, after: int, stride: int) -> nn.Module:
            return TemporalConvolution(before, after, kernel, stride, bias=False)

        super().__init__(config, skeleton, num_classes, config.in_channels * skeleton.num_joints, convolution)

    def _arranged(self, x: Float[Tensor, "r c t v"]) -> Tensor:
        return rearrange(x, "r c t v -> r (v c) t 1")


class Local(_Baseline):
    """Local convolution: the sparse graph of ST-GCN, with weights that no two edges share.

    Args:
        config: units.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: not used; every model takes them.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N, T and M.
    """

    def __init__(
        self, config: LocalConfig, skeleton: Skeleton, num_classes: int, distances: Floats | None = None
    ) -> None:
        neighbours = torch.from_numpy(hop_distances(skeleton.num_joints, skeleton.edges) <= config.max_hop)

        def convolution(before: int, after: int, stride: int) -> nn.Module:
            return LocalConvolution(before, after, neighbours, config.temporal_kernel, stride)

        super().__init__(config, skeleton, num_classes, config.in_channels, convolution)
