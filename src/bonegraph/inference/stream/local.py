"""Convolutions over time and neighbours without shared weights, in blocks of frames: the baseline `local`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from bonegraph.inference.folding import Affine
from bonegraph.inference.stream.cells import Block, Memory, Shortcut, Timing, join, through


class Targets(NamedTuple):
    """Joints with equally many neighbours.

    Attributes:
        sources: the N neighbours of each of the G joints, one joint after the other.
        weight: of each joint, neighbours outside, then the Γ frames, channels inside.
    """

    sources: Int[Tensor, " gn"]
    weight: Float[Tensor, "g nkc d"]


class LocalCell:
    """A local convolution, with a residual connection and ReLU.

    Args:
        targets: joints by their number of neighbours. The weights are not copied: at full width they are 560 MB.
        places: where each joint is among the targets.
        change: the normalisation.
        kernel: Γ.
        channels: C.
        stride: over the frames.
        shortcut: the residual connection.
    """

    def __init__(
        self,
        targets: Sequence[Targets],
        places: Int[Tensor, " v"],
        change: Affine,
        kernel: int,
        channels: int,
        stride: int,
        shortcut: Shortcut,
    ) -> None:
        self.targets, self.places, self.scale, self.shift = targets, places, change.scale, change.shift
        if not isinstance(shortcut, str | None):
            self.shift = self.shift + shortcut.bias
        self.kernel, self.channels, self.shortcut = kernel, channels, shortcut
        self.timing = Timing(kernel // 2, stride)
        self.latency, self.stride = self.timing.latency, stride

    def memory(self, rows: int) -> Memory:
        """Of people who begin now."""
        return (self.shift.new_zeros(rows, self.timing.whole, len(self.places), self.channels),)

    def step(self, x: Block, memory: Memory, counts: Tensor | None) -> tuple[Block, Memory]:
        """Take a block of frames."""
        frames, known = x.shape[1], join(memory[0], x)
        last = frames - self.stride + 1
        seen = torch.stack([known[:, tap : tap + last : self.stride] for tap in range(self.kernel)])
        found = []
        for sources, weight in self.targets:
            nodes = seen.index_select(3, sources)
            found.append(torch.bmm(rearrange(nodes, "k r s (g n) c -> g (r s) (n k c)", g=len(weight)), weight))
        out = rearrange(torch.cat(found)[self.places], "w (r s) d -> r s w d", s=seen.shape[2])
        out = torch.addcmul(self.shift, out, self.scale)
        if self.shortcut is not None:
            out += through(self.timing.middles(known[:, self.timing.reach :], frames), self.shortcut)
        return out.relu_(), (known[:, frames:],)
