"""Blocks of MS-G3D: weights before graphs, windows as views of the frames, sums inside convolutions."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Shift, every, hide
from bonegraph.inference.fast.branches import MultiScaleTCN
from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.fast.joints import gather
from bonegraph.inference.folding import affine, aggregation, exact
from bonegraph.models import msg3d

FRAMES_OF_SCALES = 128
"""Frames of people whose joints are gathered in all scales at once."""


class Windows(nn.Module):
    """ReLU(BN(Σ_k W_k Σ_j x[s t + j] (A_k + A_res,k)[j, i])): Eq. 8 of MS-G3D up to the collapse.

    Where the weights come first, the frames of a window lie side by side in memory, so that a window is a view.

    Args:
        part: with its convolution, graphs and normalisation.
    """

    graph: Tensor
    bias: Tensor

    def __init__(self, part: msg3d.G3D) -> None:
        super().__init__()
        self.window, self.stride, self.dilation = part.window, part.stride, part.dilation
        self.reach = part.dilation * (part.window - 1) // 2
        self.few = part.conv.in_channels < part.conv.out_channels  # less to gather than to give
        convolution, dtype = folded(part.conv, part.norm, relu=True), part.conv.weight.dtype
        graph = exact(part.graph) + exact(part.residual_graph)
        self.subsets, bias = len(graph), convolution.bias
        if self.few:
            graph = rearrange(graph, "k s q -> s (q k)")
        else:
            convolution = Convolution(msg3d.weight_by_scale(convolution.weight, self.subsets), None)
            graph = rearrange(graph, "k (j v) q -> q (j v k)", j=part.window)
        self.convolution = convolution
        self.register_buffer("graph", graph.to(dtype).contiguous())
        self.register_buffer("bias", bias)

    def forward(
        self, x: Float[Tensor, "r c t v"], extra: Float[Tensor, "r k v w"] | None = None
    ) -> Float[Tensor, "rs d i v"]:
        """Windows of all rows, in channels-last memory; ``extra`` is added to the graphs in every pair of frames."""
        x = functional.pad(x, (0, 0, self.reach, self.reach))
        return self._gather_first(x, extra) if self.few else self._weight_first(x, extra)

    def _views(self, x: Float[Tensor, "r t s d"]) -> Float[Tensor, "r n j s d"]:
        """The frames of each window, without a copy."""
        row, frame, *rest = x.stride()
        count = (x.shape[1] - 2 * self.reach - 1) // self.stride + 1
        size = len(x), count, self.window, *x.shape[2:]
        return x.as_strided(size, (row, self.stride * frame, self.dilation * frame, *rest))

    def _gather_first(self, x: Tensor, extra: Tensor | None) -> Tensor:
        """One product for all scales and frames, then the weights."""
        joints = x.shape[3]
        windows = self._views(x.permute(0, 2, 3, 1))
        nodes = rearrange(windows, "r n j v c -> r (c n) (j v)")
        graph = self.graph
        if extra is not None:
            graph = graph + rearrange(extra, "r k v w -> r v (w k)").repeat(1, self.window, self.window)
        found = rearrange(nodes @ graph, "r (c n) (i v k) -> (r n) i v (k c)", c=x.shape[1], v=joints, k=self.subsets)
        out: Tensor = self.convolution(found.permute(0, 3, 1, 2))
        return out

    def _weight_first(self, x: Tensor, extra: Tensor | None) -> Tensor:
        """The weights once a frame, then a product for each window."""
        rows, joints = len(x), x.shape[3]
        given = rearrange(self.convolution(x).permute(0, 2, 3, 1), "r t v (k d) -> r t (v k) d", k=self.subsets)
        windows = self._views(given)
        frames = windows.shape[1]
        graphs = self.graph.expand(rows, -1, -1)
        if extra is not None:
            graphs = graphs + rearrange(extra, "r k v w -> r w (v k)").repeat(1, self.window, self.window)
        out = given.new_empty(rows, frames, self.window * joints, given.shape[3])
        for row in range(rows):
            torch.bmm(graphs[row].expand(frames, -1, -1), windows[row].flatten(1, 2), out=out[row])
        out = out.add_(self.bias).relu_()
        found: Tensor = rearrange(out, "r n (i v) d -> (r n) i v d", i=self.window)
        return found.permute(0, 3, 1, 2)


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
        """Some frames at a time, because K channels of each make large maps."""
        few = max(1, FRAMES_OF_SCALES // len(x))
        outs = [self.convolution(gather(graph, part, joints)) for part in torch.split(x, few, dim=2)]
        return outs[0] if len(outs) == 1 else torch.cat(outs, dim=2)


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
