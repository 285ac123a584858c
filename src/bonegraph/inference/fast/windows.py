"""Windows of G3D: weights before graphs where that is less, windows as views of the frames, or in tiles of four."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.inference.fast.convolution import Convolution, documented_only, folded
from bonegraph.inference.fast.winograd import POINTS, minimal
from bonegraph.inference.folding import exact
from bonegraph.models import msg3d

STRIDE, TILE = 2, 4
"""Of windows in tiles, and how many windows are a tile."""
NARROWEST = 5
"""Frames of a window below which tiles save less than they cost."""
SHORTEST = 8
"""Windows of a clip below which they do."""


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
        self._tiles: WindowTiles | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made of graph and weights at the first answer."""
        return {**self.__dict__, "_tiles": None}

    def forward(
        self, x: Float[Tensor, "r c t v"], extra: Float[Tensor, "r k v w"] | None = None
    ) -> Float[Tensor, "rs d i v"]:
        """Windows of all rows, in channels-last memory; ``extra`` is added to the graphs in every pair of frames."""
        if extra is None and self._in_tiles(x):
            if self._tiles is None:
                self._tiles = WindowTiles(self.graph, self.convolution.weight, self.window)
            return self._joined(self._tiles(x))
        x = functional.pad(x, (0, 0, self.reach, self.reach))
        return self._gather_first(x, extra) if self.few else self._weight_first(x, extra)

    def _in_tiles(self, x: Tensor) -> bool:
        """Whether tiles are faster, which they are in fp32; rounding apart, they give the same for tame numbers."""
        long = self.window >= NARROWEST and -(-x.shape[2] // STRIDE) >= SHORTEST
        fits = self.stride == STRIDE and self.dilation == 1 and not self.few
        return long and fits and x.dtype == torch.float32 and not documented_only()

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
        return self._joined(out)

    def _joined(self, out: Float[Tensor, "r n iv d"]) -> Float[Tensor, "rn d i v"]:
        """The rest of what follows the sums: bias and ReLU; then every window is an image."""
        found: Tensor = rearrange(out.add_(self.bias).relu_(), "r n (i v) d -> (r n) i v d", i=self.window)
        return found.permute(0, 3, 1, 2)


class WindowTiles:
    """Σ_j x[2 t + j] A_j for four windows at once, with a little more than half of the products.

    The sum over the even frames of windows and that over the odd ones are convolutions over time with matrices as taps,
    and go by Winograd's way, see `bonegraph.inference.fast.winograd`: F(4, 3) and F(4, 2) for five frames, 11 products
    instead of 20. They share all points but one, so that their products are one there. Frames are transformed before
    they are weighted, when they are small.

    Args:
        graph: (τV, τVK) as `Windows` has it, of K scales.
        weight: (KD, C, 1, 1), the weights of the scales.
        window: τ, at least 3 and odd.
    """

    def __init__(self, graph: Float[Tensor, "q jvk"], weight: Float[Tensor, "kd c 1 1"], window: int) -> None:
        self.reach, self.weigh = window // 2, Convolution(weight, None)
        points = POINTS[: TILE + window // 2 - 1]
        even, odd = minimal(TILE, window // 2 + 1, points), minimal(TILE, window // 2, points[:-1])
        size = len(even.taps)
        order = [*range(size - 2), size - 1, size - 2]  # what the odd frames do not have comes last
        taps, inputs = even.taps[order], even.inputs[order]
        frames = inputs.new_zeros(size, 2, STRIDE * size)
        frames[:, 0, ::2], frames[:-1, 1, 1 : 2 * size - 1 : 2] = inputs, odd.inputs
        self.outputs = even.outputs[:, order].float()
        self.inputs = frames.flatten(0, 1)[:-1, :-1].float()
        parts = rearrange(graph.double(), "q (j s) -> j q s", j=window)
        self.sources = parts.shape[2]
        both = torch.einsum("pj,jqs->pqs", taps, parts[::2])
        shared = torch.cat([both[:-1], torch.einsum("pj,jqs->pqs", odd.taps, parts[1::2])], dim=2)
        self.graphs = [*shared.float().contiguous(), both[-1].float().contiguous()]

    def __call__(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r n q d"]:
        """Sums of all windows."""
        rows, width, length, joints = x.shape
        frames, (products, reach) = -(-length // STRIDE), self.inputs.shape
        tiles, step = -(-frames // TILE), STRIDE * TILE
        padded = functional.pad(
            x.permute(0, 2, 3, 1).flatten(2), (0, 0, self.reach, (tiles - 1) * step + reach - length - self.reach)
        )
        seen = padded.unfold(1, reach, step).mT
        given = x.new_empty(rows, tiles, products, joints * width)
        for row, into in zip(seen, given, strict=True):
            torch.bmm(self.inputs.expand(tiles, -1, -1), row, out=into)
        image = given.view(1, -1, joints, width).permute(0, 3, 1, 2)
        weighted = self.weigh(image).permute(0, 2, 3, 1).reshape(rows * tiles, products, self.sources, -1)
        found = x.new_empty(len(self.graphs), len(weighted), len(self.graphs[0]), weighted.shape[3])
        for graph, part, into in zip(self.graphs, torch.split(weighted, 2, dim=1), found, strict=True):
            torch.bmm(graph.expand(len(part), -1, -1), part.flatten(1, 2), out=into)
        sums = torch.bmm(self.outputs.expand(len(weighted), -1, -1), found.flatten(2).transpose(0, 1))
        return sums.view(rows, tiles * TILE, *found.shape[2:])[:, :frames]
