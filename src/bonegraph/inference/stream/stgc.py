"""A block of MS-G3D in blocks of frames: paths that see different lengths of time, summed where they meet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from bonegraph.inference.fast.product import Product
from bonegraph.inference.folding import Matrix
from bonegraph.inference.stream.cells import Block, Memory, flat, join, multiply
from bonegraph.inference.stream.g3d import WindowCell
from bonegraph.inference.stream.scales import ScalesCell

Counts = Float[Tensor, "r f 1 1"]


class STGCCell:
    """An STGC block: a graph convolution and two convolutions over time, beside windows; the sum, and one more.

    A path that looks less far ahead than another takes its frames so much later, out of those that are kept: all end in
    the same frame. Which frames count is kept as well, for those that are under way within the block.

    Args:
        graph: of MS-GCN, `folding.aggregation`.
        into: its weights.
        first: the first convolution over time of the factorised path.
        second: that behind it; its ReLU is that of the sum with the windows.
        windows: the other paths.
        fusion: the convolution over time of the sum.
    """

    def __init__(
        self,
        graph: Float[Tensor, "wk v"],
        into: Matrix,
        first: ScalesCell,
        second: ScalesCell,
        windows: Sequence[WindowCell],
        fusion: ScalesCell,
    ) -> None:
        self.graph, self.into = graph, Product(into, relu=True)
        self.first, self.second, self.windows, self.fusion = first, second, windows, fusion
        self.stride = first.stride
        factorised = first.latency + self.stride * second.latency
        self.sum_latency = max([factorised, *(window.latency for window in windows)])
        # Frames that a path lets pass before it takes one.
        self.wait = self.sum_latency - factorised
        self.waits = [self.sum_latency - window.latency for window in windows]
        self.latency = self.sum_latency + self.stride * fusion.latency

    def memory(self, rows: int) -> Memory:
        """Of people who begin now: frames that are waited for, which of the last ones count, and that of each part."""
        joints, new = self.graph.shape[1], self.graph.new_zeros
        channels = len(self.into.weight) * joints // len(self.graph)
        parts = (self.first, self.second, self.fusion)
        return (
            new(rows, max([self.wait, *self.waits]), joints, channels),
            new(rows, self.sum_latency - self.stride + 1, 1, 1),
            *(tensor for part in parts for tensor in part.memory(rows)),
            *(window.memory(rows) for window in self.windows),
        )

    def step(self, x: Block, memory: Memory, counts: Counts | None) -> tuple[Block, Memory]:
        """Take a block of frames."""
        frames, (waiting, counted) = x.shape[1], memory[:2]
        first, second, fusion, others = memory[2:4], memory[4:6], memory[6:8], memory[8:]
        seen = None if counts is None else torch.cat([counted, counts], dim=1)
        known = join(waiting, x)

        def after(wait: int) -> Block:
            return known.narrow(1, waiting.shape[1] - wait, frames)

        here = _counting(seen, frames, self.wait)
        y = self._spatial(after(self.wait), here)
        y, first = self.first.step(y, first, here)
        here = _counting(seen, frames, self.wait + self.first.latency, self.stride)
        if here is not None:
            y.mul_(here)
        gathered, kept = None, []
        for window, wait, mine in zip(self.windows, self.waits, others, strict=True):
            gathered, mine = window.step(after(wait), mine, gathered)
            kept.append(mine)
        y, second = self.second.step(y, second, here, gathered)
        here = _counting(seen, frames, self.sum_latency, self.stride)
        if here is not None:
            y.mul_(here)
        y, fusion = self.fusion.step(y, fusion, here)
        last = torch.ones_like(counted) if seen is None else seen[:, frames:]
        return y, (known[:, frames:], last, *first, *second, *fusion, *kept)

    def _spatial(self, x: Block, counts: Counts | None) -> Block:
        """MS-GCN of each frame."""
        near = multiply(self.graph, flat(x)).view(-1, len(self.into.weight))
        y = self.into(near).view(*x.shape[:3], -1)
        return y if counts is None else y.mul_(counts)


def _counting(seen: Counts | None, frames: int, latency: int, stride: int = 1) -> Counts | None:
    """Which frames of a part count that lags: those that stand for at least one that does; None if all do."""
    if seen is None:
        return None
    block = seen.narrow(1, seen.shape[1] - (latency - stride + 1) - frames, frames)
    return block if stride == 1 else block.reshape(block.shape[0], -1, stride, 1, 1).amax(dim=2)
