"""Graph convolutions over windows of frames, in blocks of frames: G3D of MS-G3D."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from bonegraph.inference.fast.product import Product
from bonegraph.inference.folding import Matrix
from bonegraph.inference.stream.cells import Block, OverTime, Timing, flat, join


class WindowCell:
    """A multi-scale graph convolution over windows of τ frames, ReLU, and the collapse of each window to a frame.

    The joints are gathered first and then weighted where there are fewer channels to gather than to give. Else a frame
    is weighted once, for all windows that it is in, and kept as that.

    Args:
        graph: of all scales: (τV·K, τV) to gather first, (τV, τV·K) to weight first.
        weights: of all scales: (K·C, E) to gather first, (C, K·E) to weight first; the bias is (E,).
        gather_first: which of both.
        collapse: τ frames of a joint to one, (τ·E, D).
        window: τ, odd.
        dilation: frames between two frames of a window.
        joints: V.
        stride: frames between windows.
    """

    def __init__(
        self,
        graph: Float[Tensor, "a b"],
        weights: Matrix,
        gather_first: bool,
        collapse: Matrix,
        window: int,
        dilation: int,
        joints: int,
        stride: int,
    ) -> None:
        self.graph, self.bias, self.gather_first = graph, weights.bias, gather_first
        none = weights.bias.new_zeros(weights.weight.shape[1])
        self.into = Product(weights, relu=True) if gather_first else Product(weights._replace(bias=none))
        self.window, self.dilation, self.joints = window, dilation, joints
        self.collapse = OverTime(collapse, len(weights.bias), 1)
        self.timing = Timing(window // 2 * dilation, stride)
        self.latency, self.stride = self.timing.latency, stride

    def memory(self, rows: int) -> Block:
        """Of people who begin now: frames as they are gathered."""
        channels = self.into.weight.shape[1]
        if self.gather_first:
            channels = self.into.weight.shape[0] * self.window * self.joints // len(self.graph)
        return self.graph.new_zeros(rows, self.timing.whole, self.joints, channels)

    def step(self, x: Block, kept: Block, add: Block | None = None) -> tuple[Block, Block]:
        """Take a block of frames, zero where they do not count; ``add`` is summed with what it gives."""
        rows, frames, joints, _ = x.shape
        given = x if self.gather_first else self.into(flat(x)).view(rows, frames, joints, -1)
        known = join(kept, given)
        if self.gather_first:
            inside = self.into(self._gathered_at_once(known, frames))
        else:
            inside = self._gathered(known, frames).add_(self.bias).relu_()
        windows = inside.view(-1, self.window, joints, len(self.bias))
        more = None if add is None else add.flatten(0, 1)[:, None]
        out = self.collapse(windows, more).reshape(rows, frames // self.stride, joints, -1)
        return out, known[:, frames:]

    def _windows(self, known: Block, frames: int) -> list[Float[Tensor, "r j v c"]]:
        """Views of the frames that are known, where nothing lies between two frames of a window."""
        span = (self.window - 1) * self.dilation + 1
        windows = [known.narrow(1, first, span) for first in range(0, frames, self.stride)]
        return windows if self.dilation == 1 else [window[:, :: self.dilation] for window in windows]

    def _gathered(self, known: Block, frames: int) -> Float[Tensor, "r s q e"]:
        """Weighted frames, gathered by a product for each window, in which nothing is moved."""
        rows = known.shape[0]
        graphs, windows = self.graph.expand(rows, -1, -1), self._windows(known, frames)
        found = [torch.bmm(graphs, window.reshape(rows, self.graph.shape[1], -1)) for window in windows]
        return torch.stack(found, dim=1)

    def _gathered_at_once(self, known: Block, frames: int) -> Float[Tensor, "rsq kc"]:
        """Frames of a few channels, gathered by one product for all windows."""
        windows = torch.stack(self._windows(known, frames), dim=1)
        nodes = rearrange(windows, "r s j v c -> (j v) (r s c)")
        found = torch.mm(self.graph, nodes)
        count, channels = windows.shape[1], windows.shape[4]
        return rearrange(found, "(q k) (r s c) -> (r s q) (k c)", q=self.graph.shape[1], s=count, c=channels)
