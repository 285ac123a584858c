"""Blocks of MS-G3D: joints gathered before they are weighted, sums inside convolutions."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bonegraph.features import Shift, every, hide
from bonegraph.inference.fast.branches import MultiScaleTCN
from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.fast.joints import gather
from bonegraph.inference.fast.windows import Windows
from bonegraph.inference.folding import affine, aggregation, exact
from bonegraph.models import msg3d

FRAMES_OF_SCALES = 32
"""Frames of people whose joints are gathered in all scales at once."""


class MultiScaleGCN(nn.Module):
    """MS-GCN (Eq. 4): gathered in all scales, then weighted."""

    graph: Tensor

    def __init__(self, part: msg3d.MultiScaleGCN) -> None:
        super().__init__()
        graph = aggregation(exact(part.graph) + exact(part.residual_graph))
        self.register_buffer("graph", graph.to(part.conv.weight.dtype))
        self.convolution = folded(part.conv, part.norm, relu=True)

    def forward(self, x: Float[Tensor, "r c t v"], extra: Tensor | None = None) -> Float[Tensor, "r d t v"]:
        """Convolve over the joints of each frame, with ``extra`` on graphs of each row's own."""
        joints = x.shape[3]
        if extra is not None:
            graphs = self.graph + rearrange(extra, "r k v w -> r (w k) v")
            return torch.cat([self._gathered(graphs[row], x[row : row + 1], joints) for row in range(len(x))])
        return self._gathered(self.graph, x, joints)

    def _gathered(self, graph: Tensor, x: Float[Tensor, "r c t v"], joints: int) -> Float[Tensor, "r d t v"]:
        """Some frames at a time, because K channels of each make large maps, as one image."""
        rows, width, frames, _ = x.shape
        image = x.permute(0, 2, 3, 1).reshape(1, rows * frames, joints, width).permute(0, 3, 1, 2)
        parts = torch.split(image, FRAMES_OF_SCALES, dim=2)
        outs = [self.convolution(gather(graph, part, joints)).permute(0, 2, 3, 1) for part in parts]
        out = outs[0] if len(outs) == 1 else torch.cat(outs, dim=1)
        return out.reshape(rows, frames, joints, -1).permute(0, 3, 1, 2)


class G3D(nn.Module):
    """Windows, and their collapse, to which something may be added."""

    def __init__(self, part: msg3d.G3D) -> None:
        super().__init__()
        self.every = part.every
        self.windows = Windows(part)
        assert part.collapse.bias is not None
        change, dtype = affine(part.collapse_norm), part.conv.weight.dtype
        weight = exact(part.collapse.weight)[:, :, 0] * change.scale[:, None, None, None]
        bias = exact(part.collapse.bias) * change.scale + change.shift
        self.collapse = Convolution(weight.to(dtype), bias.to(dtype), padding=0)

    def forward(
        self, x: Float[Tensor, "r c t v"], extra: Tensor | None = None, add: Float[Tensor, "r d s v"] | None = None
    ) -> Float[Tensor, "r d s v"]:
        """Convolve over windows."""
        rows = len(x)
        if add is not None:
            add = rearrange(add.permute(0, 2, 3, 1), "r s v d -> (r s) 1 v d").permute(0, 3, 1, 2)
        out: Tensor = self.collapse(self.windows(x[:, :, :: self.every], extra), add)
        return rearrange(out, "(r s) d 1 v -> r s v d", r=rows).permute(0, 3, 1, 2)


class Block(nn.Module):
    """STGC block."""

    def __init__(self, block: msg3d.Block, graph: Tensor | None = None) -> None:
        super().__init__()
        self.stride = block.stride
        self.spatial = MultiScaleGCN(block.spatial)
        self.temporal, self.temporal_again = MultiScaleTCN(block.temporal), MultiScaleTCN(block.temporal_again)
        self.temporal_again.relu = True  # of the sum with the windows
        self.windows = nn.ModuleList(G3D(window) for window in block.windows if isinstance(window, msg3d.G3D))
        self.fusion = MultiScaleTCN(block.fusion)

    def forward(
        self,
        x: Float[Tensor, "r c t v"],
        frames: Bool[Tensor, "r t"] | None = None,
        spatial_graph: Float[Tensor, "r k v v"] | None = None,
        window_graph: Float[Tensor, "r k v v"] | None = None,
        shift: Shift | None = None,
        ends: list[Tensor] | None = None,
    ) -> Float[Tensor, "r d s v"]:
        """One block. Without gradients there is no shift, and nobody asks for the ends of its paths."""
        assert shift is None and ends is None
        after = None if frames is None else every(frames, self.stride)
        gathered: Tensor | None = None
        for window in self.windows:
            gathered = window(x, window_graph, gathered)
        factorised = hide(self.temporal(hide(self.spatial(x, spatial_graph), frames), frames), after)
        out = self.temporal_again(factorised, after, gathered)
        return hide(self.fusion(hide(out, after), after), after)
