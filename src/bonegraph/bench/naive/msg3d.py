"""MS-G3D as its equations read: Liu, Zhang, Chen, Wang and Ouyang, CVPR 2020.

Windows are unfolded, each with its frames padded; all scales are gathered before they are weighted; every branch of a
temporal convolution has convolutions and normalisations of its own.

Axes: R people as rows, C channels, T frames, V joints, K scales.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.bench.naive.base import Naive, copied, pooled
from bonegraph.models import msg3d


class GraphConvolution(nn.Module):
    """ReLU(BN(Σ_k W_k x (A_k + A_res,k)))."""

    graph: Tensor

    def __init__(self, ours: msg3d.MultiScaleGCN | msg3d.G3D) -> None:
        super().__init__()
        self.register_buffer("graph", ours.graph.clone())
        self.residual_graph = nn.Parameter(ours.residual_graph.detach().clone())
        self.conv = copied(ours.conv)
        self.norm = copied(ours.norm)

    def forward(self, x: Tensor) -> Tensor:
        """Gather in all scales, then weight."""
        rows, channels, frames, nodes = x.shape
        gathered = torch.einsum("rctv,kvw->rkctw", x, self.graph + self.residual_graph)
        gathered = gathered.reshape(rows, len(self.graph) * channels, frames, nodes)
        return functional.relu(self.norm(self.conv(gathered)))


class WindowConvolution(nn.Module):
    """G3D: the frames of each window side by side, a graph convolution on them, and the window collapses."""

    def __init__(self, ours: msg3d.G3D) -> None:
        super().__init__()
        self.window, self.stride, self.dilation = ours.window, ours.stride, ours.dilation
        self.inside = GraphConvolution(ours)
        self.collapse = copied(ours.collapse)
        self.collapse_norm = copied(ours.collapse_norm)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, D, T / stride, V)."""
        rows, channels, _, joints = x.shape
        reach = self.dilation * (self.window - 1) // 2
        windows = functional.unfold(
            x, (self.window, 1), dilation=(self.dilation, 1), padding=(reach, 0), stride=(self.stride, 1)
        )
        windows = windows.view(rows, channels, self.window, -1, joints).transpose(2, 3).flatten(3)
        inside = self.inside(windows).unflatten(3, (self.window, joints))
        return self.collapse_norm(self.collapse(inside)[:, :, :, 0])  # type: ignore[no-any-return]


class TemporalConvolution(nn.Module):
    """MS-TCN, a branch at a time."""

    def __init__(self, ours: msg3d.MultiScaleTCN) -> None:
        super().__init__()
        self.relu = ours.relu
        self.branches = nn.ModuleList()
        start, strides = 0, (ours.stride, 1)
        for place, width in enumerate(ours.parts):
            rows = slice(start, start + width)
            start += width
            reduce, norm = _part(ours.reduce, rows), _part_of_norm(ours.reduce_norm, rows)
            if place == len(ours.parts) - 1:
                reduce.stride = strides
                self.branches.append(nn.Sequential(reduce, norm))
                continue
            after = _part_of_norm(ours.norm, rows)
            pooled = place == len(ours.convs)
            middle = nn.MaxPool2d((3, 1), strides, (1, 0)) if pooled else copied(ours.convs[place])
            self.branches.append(nn.Sequential(reduce, norm, nn.ReLU(), middle, after))
        self.residual = copied(ours.residual)

    def forward(self, x: Tensor) -> Tensor:
        """All branches and the residual connection."""
        out = torch.cat([branch(x) for branch in self.branches], dim=1) + self.residual(x)
        return functional.relu(out) if self.relu else out


class Block(nn.Module):
    """STGC block."""

    def __init__(self, ours: msg3d.Block) -> None:
        super().__init__()
        self.factorised = nn.Sequential(
            GraphConvolution(ours.spatial), TemporalConvolution(ours.temporal), TemporalConvolution(ours.temporal_again)
        )
        self.windows = nn.ModuleList()
        for window in ours.windows:
            assert isinstance(window, msg3d.G3D)
            self.windows.append(WindowConvolution(window))
        self.fusion = TemporalConvolution(ours.fusion)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, T, V) -> (R, D, T / stride, V)."""
        out = self.factorised(x)
        for window in self.windows:
            out = out + window(x)
        return self.fusion(functional.relu(out))  # type: ignore[no-any-return]


class NaiveMSG3D(Naive):
    """The network.

    Args:
        ours: whose weights are copied.
    """

    def __init__(self, ours: msg3d.MSG3D) -> None:
        super().__init__(ours.input_norm, ours.config.people)
        self.blocks = nn.Sequential()
        for block in ours.blocks:
            assert isinstance(block, msg3d.Block)
            self.blocks.append(Block(block))
        self.head = copied(ours.head)

    def logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, C, T, V, M) -> (N, classes)."""
        return (self.head(pooled(self.blocks(self.normalised(x)), len(x))),)


def _part(conv: nn.Conv2d, rows: slice) -> nn.Conv2d:
    assert conv.bias is not None
    part = nn.Conv2d(conv.in_channels, rows.stop - rows.start, 1)
    part.load_state_dict({"weight": conv.weight[rows], "bias": conv.bias[rows]})
    return part


def _part_of_norm(norm: nn.BatchNorm2d, rows: slice) -> nn.BatchNorm2d:
    part = nn.BatchNorm2d(rows.stop - rows.start)
    part.load_state_dict({name: value[rows] if value.dim() else value for name, value in norm.state_dict().items()})
    return part
