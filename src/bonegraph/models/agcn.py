"""2s-AGCN: *Two-Stream Adaptive Graph Convolutional Networks for Skeleton-Based Action Recognition*.

Shi, Zhang, Cheng and Lu, CVPR 2019. The two streams, joints and bones, are two of these networks; their scores are
added.

    f_out = Σ_k W_k f_in (A_k + B_k + C_k)        adaptive graph convolution                `AdaptiveConvolution`
    A_k                                           the joint, its parent, its children       `directed`
    B_k                                           learned, the same for every clip          ``learned_graph``
    C_k = softmax(f_in^T W_θk^T W_φk f_in)        similarity, for each clip and person      `Similarity`
    unit                                          graph, BN, residual, ReLU, time, BN       `Unit`
    network                                                                                 `AGCN`, `released`, `best`

Axes: N clips, C channels, T frames, V joints, M people, K subsets, R people as rows.
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
from bonegraph.graph import Floats, hop_distances
from bonegraph.models.base import ActionModel, InputNorm, check_input, linear_head, normalise_people
from bonegraph.models.stgcn import DIVISOR, TemporalConvolution, Width, chain, check_units, initialise, residual, run
from bonegraph.skeleton import Skeleton

REDUCTION = 4
"""The similarity of joints is measured on D / 4 channels."""


@dataclass(frozen=True)
class Config:
    """Every choice of a 2s-AGCN.

    Args:
        in_channels: C of the input, any number.
        widths: output channels of each unit.
        strides: temporal stride of each unit.
        temporal_kernel: Γ, odd.
        people: M that the input normalisation counts; 0 normalises all people alike and takes any number.
        dropout: probability after the temporal convolution, 0 for none.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    temporal_kernel: int = 9
    people: int = 0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_units(self.in_channels, self.widths, self.strides, self.temporal_kernel, self.dropout)
        check_people(self.people)


def check_people(people: int) -> None:
    """See that an input normalisation can count so many people.

    Raises:
        ValueError: it cannot.
    """
    if people < 0:
        raise ValueError(f"people must be at least 0, got {people}.")


def released(width: Width = "full", in_channels: int = 3, people: int = 2) -> Config:
    """The network of the authors' code, which is the text's; the input normalisation counts two people."""
    return Config(in_channels=in_channels, widths=layout(width), people=people)


def best(width: Width = "full", in_channels: int = 3, dropout: float = 0.0) -> Config:
    """What we recommend: the same for any number of people."""
    return Config(in_channels=in_channels, widths=layout(width), dropout=dropout)


def layout(width: Width) -> tuple[int, ...]:
    """Widths of the ten units."""
    base = 64 // DIVISOR[width]
    return (base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3


def directed(skeleton: Skeleton) -> Float[Tensor, "3 v v"]:
    """The three subsets of the released code: the joint itself, its parent ("inward"), its children ("outward").

    Of the two joints of an edge, the one nearer to the centre is the parent; where both are equally near, the edge is
    read as (child, parent), like a bone. What reaches a joint in a subset is a mean: a joint receives its parent, and
    its children in equal shares.

    Shapes:
        returns (3, V, V), ``[k, source, target]``.
    """
    joints = skeleton.num_joints
    depth = hop_distances(joints, skeleton.edges)[skeleton.centre]
    graph = torch.zeros(3, joints, joints, device="cpu")
    graph[0] = torch.eye(joints, device="cpu")
    for a, b in skeleton.edges:
        child, parent = (a, b) if depth[a] >= depth[b] else (b, a)
        graph[1, parent, child] = graph[2, child, parent] = 1
    return graph / graph.sum(dim=1, keepdim=True).clamp(min=1)


class Similarity(nn.Module):
    """C_k: how alike two joints of a person are over the clip, as weights of the sources of each joint.

    C_k[v, w] = softmax_v(Σ_ct θ_k(x)[c, t, v] φ_k(x)[c, t, w] / (C'·T)) with 1x1 convolutions θ, φ to C' channels. With
    a mask, T are the frames that count.
    """

    def __init__(self, in_channels: int, channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets, self.channels = subsets, channels
        self.embed = nn.Conv2d(in_channels, 2 * subsets * channels, 1)

    def forward(self, x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, K, V, V), ``[row, subset, source, target]``; the sources of a target sum to 1."""
        source, target = rearrange(self.embed(x), "r (two k c) t v -> two r k v (t c)", two=2, k=self.subsets)
        if frames is None:
            count: Tensor | int = x.shape[2]
        else:
            source = source * frames.repeat_interleave(self.channels, dim=1)[:, None, None, :]
            count = frames.sum(dim=1).clamp(min=1)[:, None, None, None]
        return torch.softmax(source @ target.transpose(2, 3) / (self.channels * count), dim=2)


def aggregate(x: Float[Tensor, "r c t v"], graph: Float[Tensor, "g k v w"]) -> Float[Tensor, "r kc t w"]:
    """Sum the neighbours of every joint in each subset, on a graph of each row's own, or, g = 1, on one for all."""
    own, subsets, joints, _ = graph.shape
    rows, frames = x.shape[0], x.shape[2]
    weights = rearrange(graph, "g k v w -> g 1 (w k) v").expand(-1, rows * frames if own == 1 else frames, -1, -1)
    x = torch.bmm(weights.reshape(rows * frames, joints * subsets, joints), rearrange(x, "r c t v -> (r t) v c"))
    return rearrange(x, "(r t) (w k) c -> r (k c) t w", r=rows, t=frames, k=subsets)  # a view of channels-last memory


class AdaptiveConvolution(nn.Module):
    """f_out = Σ_k W_k f_in (A_k + B_k + C_k) + b_k.

    Args:
        in_channels: C.
        out_channels: D.
        subsets: K.
        joints: V.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int, joints: int) -> None:
        super().__init__()
        self.subsets, self.out_channels = subsets, out_channels
        self.similarity = Similarity(in_channels, max(1, out_channels // REDUCTION), subsets)
        self.learned_graph = nn.Parameter(torch.full((subsets, joints, joints), 1e-6))
        self.conv = nn.Conv2d(in_channels, out_channels * subsets, 1)

    def forward(
        self, x: Float[Tensor, "r c t v"], graph: Float[Tensor, "k v w"], frames: Bool[Tensor, "r t"] | None = None
    ) -> Float[Tensor, "r d t w"]:
        """Convolve over the joints of each frame."""
        near = aggregate(x, graph + self.learned_graph + self.similarity(x, frames))
        weight = rearrange(self.conv.weight, "(k d) c 1 1 -> d (k c) 1 1", k=self.subsets)
        assert self.conv.bias is not None
        return functional.conv2d(near, weight, self.conv.bias.view(self.subsets, self.out_channels).sum(dim=0))


class Unit(nn.Module):
    """Adaptive graph convolution, BN, + residual, ReLU, Γx1 convolution, BN, dropout, + residual, ReLU."""

    def __init__(self, config: Config, unit: int, in_channels: int, graph_shape: torch.Size) -> None:
        super().__init__()
        channels, stride = config.widths[unit], config.strides[unit]
        self.spatial = AdaptiveConvolution(in_channels, channels, graph_shape[0], graph_shape[1])
        self.spatial_norm = nn.BatchNorm2d(channels)
        self.spatial_residual = residual(in_channels, channels, 1, wanted=True)
        self.temporal = TemporalConvolution(channels, channels, config.temporal_kernel, stride)
        self.temporal_norm = nn.BatchNorm2d(channels)
        self.residual = residual(in_channels, channels, stride, unit > 0)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, graph: Tensor, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count, if any, are zero in x, in every mean over T and before Γ."""
        assert self.spatial_residual is not None
        out = self.spatial_norm(self.spatial(x, graph, frames)) + self.spatial_residual(x)
        out = hide(functional.relu(out), frames)
        out = self.dropout(self.temporal_norm(self.temporal(out)))
        if self.residual is not None:
            out = out + self.residual(x)
        return functional.relu(out)


class AGCN(ActionModel):
    """The network: input normalisation, units, global pooling, linear head.

    At the start the adaptive part of a unit weighs nothing (its BN starts at 1e-6), so that the network begins as its
    residual connections and temporal convolutions, and B_k starts at 1e-6.

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
        >>> model = AGCN(released(), SKELETONS["ntu25"], num_classes=60)
        >>> model(torch.zeros(2, 3, 20, 25, 1)).shape
        torch.Size([2, 60])
    """

    adjacency: Tensor

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.register_buffer("adjacency", directed(skeleton), persistent=False)
        self.input_norm = InputNorm(max(1, config.people) * skeleton.num_joints, config.in_channels)
        self.units = chain(Unit, config, self.adjacency.shape)
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)
        for module in self.modules():
            if isinstance(module, Similarity):  # one convolution for 2 K embeddings, each with a fan-out of its own
                nn.init.normal_(module.embed.weight, std=(2 / module.channels) ** 0.5)
            elif isinstance(module, Unit):
                nn.init.constant_(module.spatial_norm.weight, 1e-6)

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each unit."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, self.config.people)
        yield from run(self.units, self.config.strides, people.rows, people, self.adjacency)
