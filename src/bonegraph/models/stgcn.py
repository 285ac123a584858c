"""ST-GCN: *Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition*.

Yan, Xiong and Lin, AAAI 2018.

    Eq. 5 + 7   joint spatial-temporal convolution               `JointConvolution`
    Eq. 5       spatial convolution of one frame                 `SpatialConvolution`
    Eq. 10      sum over subsets, normalised adjacency           `bonegraph.graph.adjacency`, `aggregate`
    Sec. 3.5    edge importance M, A ⊗ M                         ``edge_importance`` of a unit
    Sec. 3.6    the network                                      `STGCN`, `paper`, `released`, `best`

Axes: N clips, C channels, T frames, V joints, M people, K subsets, R people as rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Features, every, hide, hides
from bonegraph.graph import Floats, Normalisation, Strategy, adjacency
from bonegraph.models.base import ActionModel, InputNorm, People, check_input, linear_head, normalise_people
from bonegraph.models.dropout import Dropout
from bonegraph.models.layout import every_frame, ordered
from bonegraph.models.lines import Lines, as_lines, from_lines
from bonegraph.second_order.mode import above
from bonegraph.skeleton import Skeleton

Width = Literal["full", "half", "quarter"]
DIVISOR: dict[str, int] = {"full": 1, "half": 2, "quarter": 4}


@dataclass(frozen=True)
class Config:
    """Every choice of an ST-GCN.

    Args:
        in_channels: C of the input, 2 or 3 coordinates and perhaps a confidence.
        widths: output channels of each unit.
        strides: temporal stride of each unit.
        unit: ``joint`` is the paper's single 1xΓ convolution with K·Γ weights (Eq. 5 and 7); ``factorised`` is the
            released 1x1 graph convolution, BN, ReLU, Γx1 convolution.
        temporal_kernel: Γ, odd.
        strategy: partition of the neighbours.
        max_hop: D.
        normalisation: of the adjacency.
        edge_importance: a learnable mask per unit and subset.
        first_residual: whether the first unit has a residual connection.
        first_dropout: whether the first unit has dropout.
        dropout: probability, 0 for none.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)
    unit: Literal["joint", "factorised"] = "factorised"
    temporal_kernel: int = 9
    strategy: Strategy = "spatial-hops"
    max_hop: int = 1
    normalisation: Normalisation = "subset"
    edge_importance: bool = True
    first_residual: bool = False
    first_dropout: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_units(self.in_channels, self.widths, self.strides, self.temporal_kernel, self.dropout)


def check_units(
    in_channels: int, widths: tuple[int, ...], strides: tuple[int, ...], temporal_kernel: int, dropout: float
) -> None:
    """See that numbers make a chain of units.

    Raises:
        ValueError: they do not.
    """
    if len(widths) != len(strides) or not widths:
        raise ValueError(f"widths has {len(widths)} units but strides has {len(strides)}; give one stride per unit.")
    if min(*widths, *strides, in_channels) < 1:
        raise ValueError(f"widths {widths}, strides {strides} and in_channels must be at least 1.")
    if temporal_kernel < 1 or temporal_kernel % 2 == 0:
        raise ValueError(f"temporal_kernel must be odd, so that a frame is its centre; got {temporal_kernel}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}.")


def paper(width: Width = "full", in_channels: int = 3) -> Config:
    """The network of the text: 9 joint units, residual and dropout everywhere, Eq. 10, gravity distances."""
    base = 64 // DIVISOR[width]
    return Config(
        in_channels=in_channels,
        widths=(base,) * 3 + (2 * base,) * 3 + (4 * base,) * 3,
        strides=(1, 1, 1, 2, 1, 1, 2, 1, 1),
        unit="joint",
        strategy="spatial",
        normalisation="symmetric",
        first_residual=True,
        first_dropout=True,
        dropout=0.5,
    )


def released(width: Width = "full", in_channels: int = 3, dropout: float = 0.5) -> Config:
    """The network of the authors' code: 10 factorised units and the graph that public weights depend on."""
    base = 64 // DIVISOR[width]
    return Config(
        in_channels=in_channels,
        widths=(base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3,
        strategy="spatial-released",
        normalisation="released",
        dropout=dropout,
    )


def best(width: Width = "full", in_channels: int = 3, dropout: float = 0.1) -> Config:
    """What we recommend: the released layout on the graph that Eq. 8 means, normalised as Eq. 4 says."""
    base = 64 // DIVISOR[width]
    return Config(
        in_channels=in_channels,
        widths=(base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3,
        dropout=dropout,
    )


def aggregate(x: Lines, graph: Float[Tensor, "k v w"]) -> Float[Tensor, "w c k rt"]:
    """Sum the neighbours of every joint in each subset: Σ_source A[k, source, target] x[source]."""
    subsets, joints, _ = graph.shape
    sources = rearrange(x, "(v r) c 1 t -> v (r t c)", v=joints)
    targets = torch.mm(rearrange(graph, "k v w -> (w k) v"), sources)
    return rearrange(targets, "(w k) (rt c) -> w c k rt", k=subsets, c=x.shape[1])


class SpatialConvolution(nn.Module):
    """Eq. 5 within one frame: f_out = Σ_k A_k^T (f_in W_k + b_k).

    The aggregation comes first and the K weights act as one convolution over the subsets, which is the same sum.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int) -> None:
        super().__init__()
        self.subsets, self.out_channels = subsets, out_channels
        self.conv = nn.Conv2d(in_channels, out_channels * subsets, 1)

    def forward(self, x: Float[Tensor, "r c t v"], graph: Float[Tensor, "k v w"]) -> Float[Tensor, "r d t w"]:
        """Convolve over the joints of each frame, to channels-last memory."""
        out = from_lines(self.along(as_lines(x), graph), graph.shape[2])
        return out.contiguous(memory_format=torch.channels_last)

    def along(self, x: Lines, graph: Float[Tensor, "k v w"]) -> Lines:
        """The same, from lines to lines."""
        weight = rearrange(self.conv.weight, "(k d) c 1 1 -> d c k 1", k=self.subsets)
        out = functional.conv2d(aggregate(x, graph), weight.contiguous(memory_format=torch.channels_last))
        assert self.conv.bias is not None
        bias = torch.einsum("kd,kvw->wd", self.conv.bias.view(self.subsets, self.out_channels), graph)
        out = rearrange(out.add_(bias[:, :, None, None]).squeeze(2), "w d (r t) -> (w r) t d", t=x.shape[3])
        return out.contiguous().mT.unsqueeze(2)


class TemporalConvolution(nn.Conv2d):
    """A Γx1 convolution over frames that keeps the length, or divides it by its stride.

    A kernel of one frame picks its frames before it convolves, which is the same. On two threads, the strided 1x1
    convolution of oneDNN (torch 2.13, CPU) writes out of bounds in its backward pass for few channels in channels-last
    memory.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1, *, bias: bool = True
    ) -> None:
        self.every = stride if kernel == 1 else 1
        step = 1 if kernel == 1 else stride
        padding = kernel // 2 * dilation
        super().__init__(in_channels, out_channels, (kernel, 1), (step, 1), (padding, 0), (dilation, 1), bias=bias)

    def forward(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r d s v"]:
        """Convolve over the frames of each joint."""
        if self.every > 1:
            x = every_frame(x, self.every).contiguous(memory_format=torch.channels_last)
        return super().forward(x)

    def along(self, x: Lines) -> Lines:
        """The same, from lines to lines."""
        x, weight = every_frame(x.mT, self.every).mT, self.weight.squeeze(3).unsqueeze(2)
        padding = 0, int(self.padding[0])
        out = functional.conv2d(x, weight, self.bias, self.stride[::-1], padding, self.dilation[::-1])
        return out.contiguous(memory_format=torch.channels_last)


class JointConvolution(nn.Module):
    """Eq. 5 with the label map of Eq. 7: one 1xΓ convolution with K·Γ weights, then the adjacency.

    Departs from the paper:
        there is no bias, because a batch normalisation follows.
    """

    def __init__(self, in_channels: int, out_channels: int, subsets: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.subsets = subsets
        self.conv = TemporalConvolution(in_channels, out_channels * subsets, kernel, stride, bias=False)

    def forward(self, x: Float[Tensor, "r c t v"], graph: Float[Tensor, "k v w"]) -> Float[Tensor, "r d s w"]:
        """Convolve over joints and frames at once."""
        x = self.conv(x)
        rows, frames = x.shape[0], x.shape[2]
        x = rearrange(x, "r (k d) t v -> (r t) (k v) d", k=self.subsets)
        x = torch.matmul(rearrange(graph, "k v w -> w (k v)"), x)
        return rearrange(x, "(r t) w d -> r t w d", r=rows, t=frames).permute(0, 3, 1, 2)


class JointUnit(nn.Module):
    """The unit of the text: joint convolution, BN, + residual, ReLU, dropout.

    Departs from the paper:
        the text does not place batch normalisation inside a unit; we put one before the sum.
    """

    def __init__(self, config: Config, unit: int, in_channels: int, graph_shape: torch.Size) -> None:
        super().__init__()
        channels, stride = config.widths[unit], config.strides[unit]
        self.convolution = JointConvolution(in_channels, channels, graph_shape[0], config.temporal_kernel, stride)
        self.norm = nn.BatchNorm2d(channels)
        self.residual = residual(in_channels, channels, stride, unit > 0 or config.first_residual)
        self.dropout = Dropout(config.dropout if unit > 0 or config.first_dropout else 0.0)
        self.edge_importance = nn.Parameter(torch.ones(graph_shape)) if config.edge_importance else None

    def forward(self, x: Tensor, graph: Tensor, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count are zero already, and nothing here changes that before the convolution."""
        masked = graph if self.edge_importance is None else graph * self.edge_importance
        out = self.norm(self.convolution(x, masked))
        if self.residual is not None:
            out = out + self.residual(x)
        dropped: Tensor = self.dropout(functional.relu(out))
        return dropped


class FactorisedUnit(nn.Module):
    """The unit of the released code: graph convolution, BN, ReLU, Γx1 convolution, BN, dropout, + residual, ReLU."""

    def __init__(self, config: Config, unit: int, in_channels: int, graph_shape: torch.Size) -> None:
        super().__init__()
        channels, stride, kernel = config.widths[unit], config.strides[unit], config.temporal_kernel
        self.spatial = SpatialConvolution(in_channels, channels, graph_shape[0])
        self.spatial_norm = nn.BatchNorm2d(channels)
        self.temporal = TemporalConvolution(channels, channels, kernel, stride)
        self.temporal_norm = nn.BatchNorm2d(channels)
        self.residual = residual(in_channels, channels, stride, unit > 0 or config.first_residual)
        self.dropout = Dropout(config.dropout if unit > 0 or config.first_dropout else 0.0)
        self.edge_importance = nn.Parameter(torch.ones(graph_shape)) if config.edge_importance else None

    def forward(self, x: Tensor, graph: Tensor, frames: Tensor | None = None) -> Tensor:
        """One unit. Frames that do not count, if any, are zero before the temporal convolution."""
        masked = graph if self.edge_importance is None else graph * self.edge_importance
        joints, lines = x.shape[3], as_lines(x)
        out = self.spatial_norm(self.spatial.along(lines, masked)).relu_()
        if frames is not None:
            out = out * frames.repeat(joints, 1)[:, None, None]
        out = self.dropout(self.temporal_norm(self.temporal.along(out)))
        if self.residual is not None:
            out = out.add_(self.residual.along(lines) if isinstance(self.residual, Shortcut) else lines)
        return from_lines(ordered(out.relu_()), joints)


class Shortcut(nn.Sequential):
    """The residual connection where the shape changes: 1x1 convolution and BN on every ``stride``-th frame.

    Shapes:
        (R, C, T, V) -> (R, D, T / stride, V).
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__(TemporalConvolution(in_channels, channels, 1, stride), nn.BatchNorm2d(channels))

    def along(self, x: Lines) -> Lines:
        """The same, from lines to lines."""
        conv, norm = self
        assert isinstance(conv, TemporalConvolution)
        out: Tensor = norm(conv.along(x))
        return out


def residual(in_channels: int, channels: int, stride: int, wanted: bool) -> nn.Module | None:
    """The residual connection of a unit: nothing, the input itself, or a `Shortcut` where the shape changes."""
    if not wanted:
        return None
    return nn.Identity() if in_channels == channels and stride == 1 else Shortcut(in_channels, channels, stride)


class STGCN(ActionModel):
    """The network: input normalisation over V·C, units, global pooling, linear head.

    Args:
        config: `paper`, `released`, `best` or your own.
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
        >>> model = STGCN(released(), SKELETONS["ntu25"], num_classes=60)
        >>> model(torch.zeros(2, 3, 20, 25, 1)).shape
        torch.Size([2, 60])
    """

    adjacency: Tensor

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.register_buffer("adjacency", partitioned(config, skeleton, distances))
        self.input_norm = InputNorm(skeleton.num_joints, config.in_channels)
        unit = {"joint": JointUnit, "factorised": FactorisedUnit}[config.unit]
        self.units = chain(unit, config, self.adjacency.shape)
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)
        # As the maps are, so that no step has to reorder weights.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each unit."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, 0)
        yield from run(self.units, self.config.strides, people.rows, people, self.adjacency)


class _Partitioned(Protocol):
    """What a configuration says about its graph."""

    @property
    def strategy(self) -> Strategy: ...
    @property
    def max_hop(self) -> int: ...
    @property
    def normalisation(self) -> Normalisation: ...


def partitioned(config: _Partitioned, skeleton: Skeleton, distances: Floats | None) -> Float[Tensor, "k v v"]:
    """The graph of a configuration.

    Raises:
        ValueError: the strategy ``spatial`` without gravity distances.
    """
    graph = adjacency(
        skeleton,
        config.strategy,
        max_hop=config.max_hop,
        normalisation=config.normalisation,
        distances=distances,
    )
    return torch.from_numpy(graph)


class _Chained(Protocol):
    """What a configuration says about its units."""

    @property
    def in_channels(self) -> int: ...
    @property
    def widths(self) -> tuple[int, ...]: ...


_Config = TypeVar("_Config", bound=_Chained)
_Graph = TypeVar("_Graph")


def chain(unit: Callable[[_Config, int, int, _Graph], nn.Module], config: _Config, graph: _Graph) -> nn.ModuleList:
    """Units that take what the one before gives.

    Args:
        unit: from configuration, place in the chain, channels of its input and graph to a unit.
        config: with the channels of the input and of each unit.
        graph: as the unit takes it.
    """
    inputs = (config.in_channels, *config.widths)
    return nn.ModuleList(unit(config, index, inputs[index], graph) for index in range(len(config.widths)))


def run(
    units: nn.ModuleList, strides: tuple[int, ...], x: Float[Tensor, "r c t v"], people: People, *graph: Tensor
) -> Iterator[Features]:
    """Units one after the other; the maps after each. A masked frame is zero before every unit, like the padding."""
    out = x.contiguous(memory_format=torch.channels_last)
    frames = people.frames
    partial, step = hides(frames), 1
    for place, (unit, stride) in enumerate(zip(units, strides, strict=True), -len(units)):
        with above(place):
            out = unit(out, *graph, frames=frames if partial else None)
        if frames is not None:
            frames = every(frames, stride)
            out = hide(out, frames if partial else None)
        step *= stride
        yield Features(out, people.owner, people.slot, frames, people.num_clips, step)


def initialise(model: nn.Module) -> None:
    """Weights N(0, 2 / fan-out) for convolutions, as for any network of ReLUs; biases 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
