"""MS-G3D: *Disentangling and Unifying Graph Convolutions for Skeleton-Based Action Recognition*.

Liu, Zhang, Chen, Wang and Ouyang, CVPR 2020. The backbone of DualHead-Net and of STF.

    Eq. 4       disentangled multi-scale aggregation             `bonegraph.graph.scales`, `MultiScaleGCN`
    Eq. 7       graph of a window of frames                      `bonegraph.graph.scales`, ``window``
    Eq. 8       G3D, graph convolution over windows              `G3D`
    Sec. 3.3    learned residual adjacency A_res                 ``residual_graph`` of both
    Fig. 3 (c)  multi-scale temporal convolution                 `MultiScaleTCN`
    Fig. 3 (a)  STGC block, factorised path and G3D paths        `Block`
    Fig. 3 (a)  the network                                      `MSG3D`, `released`, `best`

Axes: N clips, C channels, T frames, V joints, M people, K scales, τ frames of a window, R people as rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Branch, Features, Shift, every, hide, hides, shift_of
from bonegraph.graph import Floats, scales
from bonegraph.models.agcn import aggregate
from bonegraph.models.base import ActionModel, InputNorm, check_input, linear_head, normalise_people
from bonegraph.models.layout import channels_last, every_frame, ordered
from bonegraph.models.stgcn import DIVISOR, Shortcut, TemporalConvolution, Width, initialise
from bonegraph.models.windows import by_window
from bonegraph.second_order.mode import above
from bonegraph.skeleton import Skeleton

Frames = Bool[Tensor, "r t"]


@dataclass(frozen=True)
class Config:
    """Every choice of an MS-G3D.

    Args:
        in_channels: C of the input.
        widths: output channels of each block.
        strides: temporal stride of each block.
        gcn_scales: K of the factorised path, the identity among them.
        g3d_scales: K of the G3D paths.
        windows: τ of each G3D path, odd; none leaves the factorised path alone.
        window_dilation: frames between two frames of a window.
        dilations: of the temporal convolutions, one branch each.
        people: M that the input normalisation counts; 0 normalises all people alike and takes any number.
        cumulative: scales of "fewer than k intermediate joints", as in the text of STF, instead of exactly k hops.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (96, 192, 384)
    strides: tuple[int, ...] = (1, 2, 2)
    gcn_scales: int = 13
    g3d_scales: int = 6
    windows: tuple[int, ...] = (3, 5)
    window_dilation: int = 1
    dilations: tuple[int, ...] = (1, 2, 3, 4)
    people: int = 0
    cumulative: bool = False

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.strides) or not self.widths:
            raise ValueError(
                f"widths has {len(self.widths)} blocks but strides has {len(self.strides)}; give one stride per block."
            )
        check_paths(self.in_channels, self.widths, self.windows, self.dilations)
        if min(*self.strides, self.gcn_scales, self.g3d_scales, self.window_dilation) < 1 or self.people < 0:
            raise ValueError(
                f"strides {self.strides}, gcn_scales {self.gcn_scales}, g3d_scales {self.g3d_scales} and "
                f"window_dilation {self.window_dilation} must be at least 1, people {self.people} at least 0."
            )


def check_paths(
    in_channels: int, widths: tuple[int, ...], windows: tuple[int, ...], dilations: tuple[int, ...]
) -> None:
    """See that numbers make the paths of a block.

    Raises:
        ValueError: they do not.
    """
    if min(*widths, in_channels) < 1:
        raise ValueError(f"widths {widths} and in_channels {in_channels} must be at least 1.")
    if any(window < 1 or window % 2 == 0 for window in windows):
        raise ValueError(f"windows must be odd, so that a frame is their centre; got {windows}.")
    if any(dilation < 1 for dilation in dilations):
        raise ValueError(f"dilations must be at least 1, got {dilations}.")
    if min(widths) < len(dilations) + 2:
        raise ValueError(
            f"a width of {min(widths)} cannot be shared by {len(dilations) + 2} temporal branches ({len(dilations)} "
            "dilations, a pooling and a plain one)."
        )


def released(width: Width = "full", in_channels: int = 3, people: int = 2) -> Config:
    """The network of the authors' code, which is the text's; the input normalisation counts two people."""
    return Config(in_channels=in_channels, widths=_widths(width), people=people)


def best(width: Width = "full", in_channels: int = 3) -> Config:
    """What we recommend: the same for any number of people."""
    return Config(in_channels=in_channels, widths=_widths(width))


def _widths(width: Width) -> tuple[int, ...]:
    base = 96 // DIVISOR[width]
    return base, 2 * base, 4 * base


def residual_graph(graph: Tensor) -> nn.Parameter:
    """A_res of MS-G3D: an adjacency that is learned beside the given one, near zero at first."""
    return nn.Parameter(torch.empty_like(graph).uniform_(-1e-6, 1e-6))


class MultiScaleGCN(nn.Module):
    """MS-GCN (Eq. 4): ReLU(BN(Σ_k W_k x (A_k + A_res,k))), scale k with hop distance k alone.

    Args:
        in_channels: C.
        out_channels: D.
        graph: (K, V, V) from `bonegraph.graph.scales`.
    """

    graph: Tensor

    def __init__(self, in_channels: int, out_channels: int, graph: Tensor) -> None:
        super().__init__()
        self.register_buffer("graph", graph, persistent=False)
        self.residual_graph = residual_graph(graph)
        self.conv = nn.Conv2d(len(graph) * in_channels, out_channels, 1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(
        self,
        x: Float[Tensor, "r c t v"],
        extra: Float[Tensor, "r k v v"] | None = None,
        shift: Shift | None = None,
    ) -> Float[Tensor, "r d t v"]:
        """Convolve over the joints of each frame, with ``extra`` on graphs of each row's own."""
        graph = self.graph + self.residual_graph
        graph = graph[None] if extra is None else graph + extra
        few = self.conv.in_channels < self.conv.out_channels  # less to gather than to give
        out = self.conv(aggregate(x, graph)) if few else self._weight_first(x, graph)
        if shift is not None:
            out = out + self._shifted(shift, graph)
        return ordered(self.norm(channels_last(out))).relu_()

    def _weight_first(self, x: Float[Tensor, "r c t v"], graph: Float[Tensor, "g k v v"]) -> Float[Tensor, "r d t v"]:
        """The same sum. What the graphs' gradient needs is kept, so that a focus of x has not to weight all again."""
        subsets = graph.shape[1]
        given = functional.conv2d(x, weight_by_scale(self.conv.weight, subsets))
        given = rearrange(given, "r (k d) t v -> r t (v k) d", k=subsets)  # a view of channels-last memory
        assert self.conv.bias is not None
        return rearrange(by_row(rearrange(graph, "r k v w -> r w (v k)"), given) + self.conv.bias, "r t w d -> r d t w")

    def _shifted(self, shift: Shift, graph: Float[Tensor, "g k v v"]) -> Float[Tensor, "r d t v"]:
        """What a shift adds, in each frame that counts the same."""
        weight = rearrange(self.conv.weight, "d (k c) 1 1 -> d k c", k=graph.shape[1])
        given = torch.einsum("rc,dkc->rdk", shift.by, weight)
        added = torch.einsum("rdk,rkw->rdw", given, graph.sum(dim=2))
        return hide(added[:, :, None], shift.frames)


def weight_by_scale(weight: Float[Tensor, "d kc 1 1"], subsets: int) -> Float[Tensor, "kd c 1 1"]:
    """The weights of all scales as one 1x1 convolution that comes before the graphs."""
    return rearrange(weight, "d (k c) 1 1 -> (k d) c 1 1", k=subsets)


def by_row(graph: Float[Tensor, "g w s"], x: Float[Tensor, "r t s d"]) -> Float[Tensor, "r t w d"]:
    """Gather in all frames of a row on the graph of the row, or on the only graph, of which no copies are made."""
    rows, frames = x.shape[:2]
    if len(graph) == 1:
        graphs = graph.expand(rows * frames, -1, -1)
    else:
        graphs = graph[:, None].expand(-1, frames, -1, -1).flatten(0, 1)
    return rearrange(torch.bmm(graphs, x.flatten(0, 1)), "(r t) w d -> r t w d", r=rows, t=frames)


class MultiScaleTCN(nn.Module):
    """MS-TCN: a 1x1 convolution for every branch, then one branch per dilation, one max pooling, one plain.

    The branches share the output channels; what is left over goes to the first. The 1x1 convolutions and their batch
    normalisations are one of each here, which is the same. The residual connection and ReLU follow.

    Args:
        in_channels: C.
        out_channels: D.
        stride: over the frames.
        dilations: one branch each.
        relu: whether a ReLU follows.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, dilations: tuple[int, ...], *, relu: bool = True
    ) -> None:
        super().__init__()
        branches = len(dilations) + 2
        each = out_channels // branches
        self.parts = (out_channels - (branches - 1) * each, *(each,) * (branches - 1))
        self.stride, self.relu = stride, relu
        self.reduce = nn.Conv2d(in_channels, out_channels, 1)
        self.reduce_norm = nn.BatchNorm2d(out_channels)
        self.convs = nn.ModuleList(
            TemporalConvolution(part, part, 3, stride, dilation)
            for part, dilation in zip(self.parts, dilations, strict=False)
        )
        self.norm = nn.BatchNorm2d(out_channels - each)
        same = in_channels == out_channels and stride == 1
        self.residual = nn.Identity() if same else Shortcut(in_channels, out_channels, stride)

    def forward(self, x: Float[Tensor, "r c t v"], frames: Frames | None = None) -> Float[Tensor, "r d s v"]:
        """Convolve over the frames of each joint; those that do not count act like the padding at the ends."""
        rest, plain = self._reduced(x)
        rest = hide(functional.relu(rest), frames)
        *parts, pooled = torch.split(rest, list(self.parts[:-1]), dim=1)
        pooled = functional.max_pool2d(pooled, (3, 1), (self.stride, 1), (1, 0))
        outs = [conv(part) for conv, part in zip(self.convs, parts, strict=True)]
        normed = ordered(self.norm(torch.cat([*outs, pooled], dim=1)))
        out = torch.cat([normed, plain], dim=1).add_(self.residual(x))
        return ordered(out.relu_() if self.relu else out)

    def _reduced(self, x: Float[Tensor, "r c t v"]) -> tuple[Float[Tensor, "r e t v"], Float[Tensor, "r f s v"]]:
        """What the 1x1 convolutions give the other branches, and the plain branch at the frames that it keeps.

        In training its statistics are those of these frames, as in the released code.
        """
        given, norm = ordered(self.reduce(x)), self.reduce_norm
        others = given.shape[1] - self.parts[-1]
        shares = [others, self.parts[-1]]
        if self.stride == 1 or not self.training:
            rest, plain = torch.split(ordered(norm(given)), shares, dim=1)
            return rest, every_frame(plain, self.stride)
        assert norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        momentum = 0.0 if norm.momentum is None else norm.momentum
        given_rest, given_plain = map(channels_last, torch.split(given, shares, dim=1))
        rest, plain = (
            functional.batch_norm(
                part,
                norm.running_mean[channels],
                norm.running_var[channels],
                norm.weight[channels],
                norm.bias[channels],
                True,
                momentum,
                norm.eps,
            )
            for part, channels in (
                (given_rest, slice(0, others)),
                (channels_last(every_frame(given_plain, self.stride)), slice(others, None)),
            )
        )
        return ordered(rest), ordered(plain)


class G3D(nn.Module):
    """One MS-G3D path (Eq. 8): multi-scale graph convolution over windows of τ frames, then the window collapses.

    out[t] = BN(Σ_i O_i ReLU(BN(Σ_k W_k Σ_j x[s t + j] (A_k + A_res,k)[j, i]))): node i of a window gathers from all of
    its τV nodes, and a (1, τ, 1) convolution O reads the τ frames of the window. The inner width is C, in the first
    block D.

    Args:
        in_channels: C.
        inner: channels within a window.
        out_channels: D.
        graph: (K, τV, τV) from `bonegraph.graph.scales`.
        window: τ.
        stride: frames between windows.
        dilation: frames between two frames of a window.
    """

    graph: Tensor

    def __init__(
        self, in_channels: int, inner: int, out_channels: int, graph: Tensor, window: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        self.window, self.dilation = window, dilation
        # A window of one frame picks its frames first, see `bonegraph.models.stgcn.TemporalConvolution`.
        self.every, self.stride = (stride, 1) if window == 1 else (1, stride)
        self.register_buffer("graph", graph, persistent=False)
        self.residual_graph = residual_graph(graph)
        self.conv = nn.Conv2d(len(graph) * in_channels, inner, 1)
        self.norm = nn.BatchNorm2d(inner)
        self.collapse = nn.Conv3d(inner, out_channels, (1, window, 1))
        self.collapse_norm = nn.BatchNorm2d(out_channels)

    def forward(
        self,
        x: Float[Tensor, "r c t v"],
        extra: Float[Tensor, "r k v v"] | None = None,
        shift: Shift | None = None,
    ) -> Float[Tensor, "r d s v"]:
        """Convolve over windows, whose ends are padded with zeros.

        ``extra`` is added to the graphs of each row in every pair of frames of a window.
        """
        rows, x = x.shape[0], every_frame(x, self.every)
        few = self.conv.in_channels < self.conv.out_channels  # less to gather than to give
        inside = self._gather_first(x, extra) if few else self._weight_first(x, extra)
        if shift is not None:
            inside = inside + self._shifted(shift, x.shape[2], extra)
        inside = ordered(self.norm(ordered(inside))).relu_()
        # The frames of a window as channels: a view, and a 1x1 convolution.
        frames = rearrange(inside, "(r t) d v i -> r (i d) t v", r=rows)
        weight = rearrange(self.collapse.weight, "d c 1 i 1 -> d (i c) 1 1")
        normed: Tensor = self.collapse_norm(ordered(functional.conv2d(frames, weight, self.collapse.bias)))
        return ordered(normed)

    def _gather_first(
        self, x: Float[Tensor, "r c t v"], extra: Float[Tensor, "r k v v"] | None = None
    ) -> Float[Tensor, "b d v i"]:
        """Every window as a graph of its own, b = r s of them, then the weights."""
        taps = self._taps(x)
        nodes = rearrange(torch.stack(taps, dim=3), "r c t j v -> (r t) c (j v)")
        graph = rearrange(self.graph + self.residual_graph, "k s q -> (k q) s")
        nodes = functional.linear(nodes, graph)
        nodes = rearrange(nodes, "b c (k i v) -> b v i (k c)", k=len(self.graph), i=self.window).permute(0, 3, 1, 2)
        weighted: Tensor = self.conv(channels_last(nodes))
        if extra is None:
            return weighted
        own = functional.conv2d(aggregate(torch.stack(taps).sum(dim=0), extra), self.conv.weight)
        return weighted + rearrange(own, "r d t w -> (r t) d w 1")  # the same in each frame of a window

    def _taps(self, x: Float[Tensor, "r c t ..."]) -> list[Float[Tensor, "r c s ..."]]:
        """The frames of all windows, first frames first."""
        reach = self.dilation * (self.window - 1) // 2
        last = (x.shape[2] - 1) // self.stride * self.stride + 1
        padded = functional.pad(x, (0, 0) * (x.dim() - 3) + (reach, reach))
        starts = range(0, self.window * self.dilation, self.dilation)
        return [padded[:, :, start : start + last : self.stride] for start in starts]

    def _weight_first(
        self, x: Float[Tensor, "r c t v"], extra: Float[Tensor, "r k v v"] | None = None
    ) -> Float[Tensor, "b d v i"]:
        """The weights once a frame, then a product for each window.

        The same sum with τ times fewer multiplications by W, and no copy of a frame for each of its windows.
        """
        rows, frames, subsets, joints = x.shape[0], x.shape[2], len(self.graph), x.shape[3]
        reach = self.dilation * (self.window - 1) // 2
        views = self._as_views(x)
        x = functional.pad(x, (0, 0, reach, reach)) if views else x
        given = functional.conv2d(x, weight_by_scale(self.conv.weight, subsets)).permute(0, 2, 3, 1)
        given = rearrange(given, "r t v (k d) -> r t (v k) d", k=subsets)  # back in one copy, which einops knows not of
        taps = rearrange(self.graph + self.residual_graph, "k (j v) (i w) -> (w i) j (v k)", v=joints, w=joints)
        if views:
            out = by_window(given, taps.flatten(1), self.window, self.stride)
            inside = rearrange(out, "r t (w i) d -> (r t) w i d", w=joints)
        else:
            # A line of frames for each channel of each row, as in `bonegraph.models.lines`: there it is fastest.
            lines = rearrange(given, "r t s d -> (r d) t s").contiguous().mT.unsqueeze(2)
            kernel, padding, dilation = taps.mT.unsqueeze(2), (0, reach), (1, self.dilation)
            out = functional.conv2d(lines, kernel, stride=(1, self.stride), padding=padding, dilation=dilation)
            inside = rearrange(out, "(r d) (w i) 1 t -> (r t) w i d", r=rows, w=joints)
        assert self.conv.bias is not None
        if extra is None:
            return (inside + self.conv.bias).permute(0, 3, 1, 2)
        own = by_row(rearrange(extra, "r k v w -> r w (v k)"), given)
        own = torch.bmm(self._summing(frames, own, padded=views).expand(rows, -1, -1), own.flatten(2))
        own = rearrange(own, "r t (w d) -> (r t) w 1 d", w=joints) + self.conv.bias
        return (inside + own).permute(0, 3, 1, 2)  # the same in each frame of a window

    def _as_views(self, x: Tensor) -> bool:
        """Whether windows are views: on a CPU, in all digits.

        With few digits torch copies views that overlap, and the gradient of the graphs, added up window by window,
        would lose what is small beside the sum.
        """
        device = x.device.type
        plain = self.dilation == 1 and not torch.compiler.is_compiling()
        return plain and device == "cpu" and not torch.is_autocast_enabled(device)

    def _summing(self, frames: int, like: Tensor, *, padded: bool) -> Float[Tensor, "s t"]:
        """The matrix that sums the frames of each window; ``padded`` counts the padding at both ends as frames."""
        taps = self._taps(torch.eye(frames, dtype=like.dtype, device=like.device)[None])
        summing = torch.stack(taps).sum(dim=0)[0].T
        reach = self.dilation * (self.window - 1) // 2
        return functional.pad(summing, (reach, reach)) if padded else summing

    def _shifted(self, shift: Shift, frames: int, extra: Float[Tensor, "r k v v"] | None) -> Float[Tensor, "b d v i"]:
        """What a shift adds: a window near the ends has fewer frames that count."""
        subsets, joints = len(self.graph), self.graph.shape[1] // self.window
        weight = rearrange(self.conv.weight, "d (k c) 1 1 -> d k c", k=subsets)
        given = torch.einsum("rc,dkc->rdk", shift.by, weight)
        graph = rearrange(self.graph + self.residual_graph, "k (j v) (i w) -> k v j (w i)", v=joints, w=joints)
        added = torch.einsum("rdk,kjq->rjdq", given, graph.sum(dim=1))
        if extra is not None:
            own = torch.einsum("rdk,rkw->rdw", given, extra.sum(dim=2))
            added = added + own.repeat_interleave(self.window, dim=2)[:, None]
        counted = given.new_ones(len(given), frames)
        if shift.frames is not None:
            counted = shift.frames[:, :: self.every].to(given.dtype)
        counted = torch.stack(self._taps(counted[:, None]), dim=3)[:, 0]
        added = torch.einsum("rtj,rjdq->rtqd", counted, added)
        return rearrange(added, "r t (w i) d -> (r t) d w i", i=self.window)


@dataclass(frozen=True)
class Paths:
    """What the paths of a block have in common.

    Args:
        skeleton: joints and edges.
        gcn_scales: K of the factorised path.
        g3d_scales: K of the G3D paths.
        windows: τ of each G3D path.
        window_dilation: frames between two frames of a window.
        dilations: of the temporal convolutions.
        cumulative: see `bonegraph.graph.scales`.
    """

    skeleton: Skeleton
    gcn_scales: int
    g3d_scales: int
    windows: tuple[int, ...]
    window_dilation: int
    dilations: tuple[int, ...]
    cumulative: bool = False


class Block(nn.Module):
    """STGC block: a factorised path (MS-GCN, MS-TCN, MS-TCN) beside G3D paths, summed, ReLU, MS-TCN.

    Args:
        in_channels: C.
        out_channels: D.
        stride: over the frames.
        paths: scales, windows and dilations.
        first: whether this is the first block, in which MS-GCN widens to D; elsewhere MS-GCN keeps C and the MS-TCN
            after it widens.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, paths: Paths, *, first: bool) -> None:
        super().__init__()
        self.stride = stride
        inner = out_channels if first else in_channels
        graph = torch.from_numpy(scales(paths.skeleton, paths.gcn_scales, cumulative=paths.cumulative))
        self.spatial = MultiScaleGCN(in_channels, inner, graph)
        self.temporal = MultiScaleTCN(inner, out_channels, stride, paths.dilations)
        self.temporal_again = MultiScaleTCN(out_channels, out_channels, 1, paths.dilations, relu=False)
        self.windows = nn.ModuleList(
            G3D(
                in_channels,
                inner,
                out_channels,
                torch.from_numpy(scales(paths.skeleton, paths.g3d_scales, window, cumulative=paths.cumulative)),
                window,
                stride,
                paths.window_dilation,
            )
            for window in paths.windows
        )
        self.fusion = MultiScaleTCN(out_channels, out_channels, 1, paths.dilations)

    def forward(
        self,
        x: Float[Tensor, "r c t v"],
        frames: Frames | None = None,
        spatial_graph: Float[Tensor, "r k v v"] | None = None,
        window_graph: Float[Tensor, "r k v v"] | None = None,
        shift: Shift | None = None,
        ends: list[Tensor] | None = None,
    ) -> Float[Tensor, "r d s v"]:
        """One block. Frames that do not count are zero already, and zero in what it returns.

        The graphs are the rows' own, added to those of the factorised path and of the G3D paths (STF, Eq. 1). A shift
        is one of x. ``ends`` gets what the factorised path gives, and the sum of what the G3D paths do.
        """
        after = None if frames is None else every(frames, self.stride)
        factorised = hide(self.temporal(hide(self.spatial(x, spatial_graph, shift), frames), frames), after)
        out = self.temporal_again(factorised, after)
        if self.windows:
            first, *others = (window(x, window_graph, shift) for window in self.windows)
            gathered = sum(others, first)
            if ends is not None:
                ends += [out, gathered]
            out = out + gathered
        return hide(self.fusion(hide(functional.relu(out), after), after), after)


class MSG3D(ActionModel):
    """The network: input normalisation, STGC blocks, global pooling, linear head.

    Args:
        config: `released`, `best` or your own.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: not used; every model takes them.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N and T; any M, or at most ``config.people``.

    Raises:
        ValueError: the input has other joints or channels than the network, or more people than it normalises.

    In training, batch normalisation inside the blocks counts every frame of a present person, also those that a mask
    hides; in evaluation hidden frames change nothing.
    """

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        paths = Paths(
            skeleton,
            config.gcn_scales,
            config.g3d_scales,
            config.windows,
            config.window_dilation,
            config.dilations,
            config.cumulative,
        )
        self.input_norm = InputNorm(max(config.people, 1) * skeleton.num_joints, config.in_channels)
        inputs = (config.in_channels, *config.widths[:-1])
        self.blocks = nn.ModuleList(
            Block(before, after, stride, paths, first=index == 0)
            for index, (before, after, stride) in enumerate(zip(inputs, config.widths, config.strides, strict=True))
        )
        self.head = linear_head(config.widths[-1], num_classes)
        initialise(self)

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each block."""
        return self._run(x, visible, [], None)

    def branches(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> tuple[Branch, ...]:
        """The blocks, the linear layer, the embeddings of a network that has some, and the paths of the last block."""
        told: list[Features] = []
        paths: list[Features] = []
        stages = tuple(self._run(x, visible, told, paths))
        return (Branch(stages, self.head, tuple(told), tuple(paths)),)

    def _run(
        self, x: Tensor, visible: Tensor | None, told: list[Features], paths: list[Features] | None
    ) -> Iterator[Features]:
        """The stages; ``told`` gets the embeddings, ``paths`` the ends of both paths of the last block."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, self.config.people)
        frames = people.frames
        now = Features(
            people.rows.contiguous(memory_format=torch.channels_last),
            people.owner,
            people.slot,
            frames,
            people.num_clips,
            1,
        )
        partial = hides(frames)
        for index, (block, stride) in enumerate(zip(self.blocks, self.config.strides, strict=True)):
            place = index - len(self.blocks)
            hidden = now.frames if partial else None
            graphs: list[Tensor] = []
            ends: list[Tensor] | None = [] if paths is not None and place == -1 else None
            with above(place):
                for embedding, graph in self._own_graphs(index, now.maps, hidden, now.shift):
                    told.append(now._replace(maps=embedding[:, None], shift=None))
                    graphs.append(graph)
                out = block(now.maps, hidden, *graphs, shift=now.shift, ends=ends)
            frames = None if now.frames is None else every(now.frames, stride)
            shift = shift_of(place, out, frames if partial else None)
            now = now._replace(maps=out, frames=frames, step=now.step * stride, shift=shift)
            if paths is not None and ends is not None:
                paths += [now._replace(maps=one, shift=None) for one in ends]
            yield now

    def _own_graphs(
        self, index: int, x: Float[Tensor, "r c t v"], frames: Frames | None, shift: Shift | None
    ) -> Iterator[tuple[Float[Tensor, "r t v"], Float[Tensor, "r k v w"]]]:
        """Embedding and graphs of its own for each path of a block, in networks that have them (STF)."""
        yield from ()
