"""Convolutions over time at several scales, in blocks of frames: MS-TCN of MS-G3D."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bonegraph.inference.fast.product import Product
from bonegraph.inference.folding import Affine, Matrix
from bonegraph.inference.stream.cells import Block, Memory, Shortcut, Timing, delay, flat, join

_TAPS = 3
"""Frames under each kernel."""


class ScalesCell:
    """Branches that see time at different scales, with a residual connection.

    The dilated branches are one batched product; for it they are as wide as the widest, by channels of zeros.

    Args:
        reduce: the first 1x1 convolutions of all branches, the plain one last; a ReLU follows but in that.
        widths: channels of each branch, the dilated ones first, then the pooled and the plain one.
        branches: the dilated convolutions.
        dilations: of them.
        pooled: the normalisation of the pooled branch.
        joints: V.
        stride: over the frames.
        shortcut: the residual connection.
        relu: whether a ReLU stands at the end.
    """

    def __init__(
        self,
        reduce: Matrix,
        widths: Sequence[int],
        branches: Sequence[Matrix],
        dilations: Sequence[int],
        pooled: Affine,
        joints: int,
        stride: int,
        shortcut: Shortcut,
        *,
        relu: bool,
    ) -> None:
        *self.widths, self.pooled, self.plain = widths
        self.wide = max(self.widths, default=0)
        self.reduce = Product(Matrix(*(_widened(part, self.widths, self.wide) for part in reduce)))
        square = [_square(branch.weight, self.wide) for branch in branches]
        self.branches = torch.stack(square) if square else None
        self.scale, self.dilations, self.joints, self.relu = pooled.scale, dilations, joints, relu
        constant = [branch.bias for branch in branches] + [pooled.shift, pooled.shift.new_zeros(self.plain)]
        self.constant, self.shortcut = torch.cat(constant), None
        if isinstance(shortcut, Matrix):
            self.shortcut = Product(shortcut.plus(self.constant), relu=relu)
        self.timing = Timing(max([1, *dilations]), stride)
        self.latency, self.stride = self.timing.latency, stride

    def memory(self, rows: int) -> Memory:
        """Of people who begin now."""
        (channels, reduced), new = self.reduce.weight.shape, self.constant.new_zeros
        return new(rows, self.timing.whole, self.joints, reduced), new(rows, self.timing.middle, self.joints, channels)

    def step(self, x: Block, memory: Memory, counts: Tensor | None, add: Block | None = None) -> tuple[Block, Memory]:
        """Take a block of frames; ``add`` joins the sum before the ReLU."""
        rows, frames, joints, _ = x.shape
        kept, residual = memory
        y = self.reduce(flat(x)).view(rows, frames, joints, -1)
        reduced = y.narrow(3, 0, y.shape[3] - self.plain).relu_()
        if counts is not None:
            reduced.mul_(counts)
        known = join(kept, y)
        out = self._branches(known, frames)
        if add is not None:
            out += flat(add)
        before, residual = delay(residual, x)
        start = flat(self.timing.middles(before, frames))
        if self.shortcut is not None:
            out = self.shortcut(start, out)
        else:
            out += start
            out += self.constant
            out = out.relu_() if self.relu else out
        return out.view(rows, frames // self.stride, joints, -1), (known[:, frames:], residual)

    def _branches(self, known: Block, frames: int) -> Float[Tensor, "rsv d"]:
        """All branches side by side, without what is constant in them."""
        *dilated, pooled, plain = torch.split(
            known, [*(self.wide for _ in self.widths), self.pooled, self.plain], dim=3
        )

        def under(branch: Block, tap: int) -> Block:
            """The frames of a branch under a tap, which lies so many frames off the middle of the kernel."""
            some = branch.narrow(1, self.timing.reach + tap, frames - self.stride + 1)
            return some if self.stride == 1 else some[:, :: self.stride]

        parts = []
        if self.branches is not None:
            taps = zip(dilated, self.dilations, strict=True)
            seen = torch.cat([under(branch, tap * apart) for branch, apart in taps for tap in (-1, 0, 1)], dim=3)
            found = torch.bmm(seen.view(-1, *self.branches.shape[:2]).transpose(0, 1), self.branches)
            parts += [one.narrow(1, 0, width) for one, width in zip(found.unbind(), self.widths, strict=True)]
        highest = torch.maximum(torch.maximum(under(pooled, -1), under(pooled, 1)), under(pooled, 0))
        parts += [flat(highest * self.scale), flat(under(plain, 0))]
        return torch.cat(parts, dim=1)


def _widened(reduce: Float[Tensor, "*c d"], widths: Sequence[int], wide: int) -> Float[Tensor, "*c e"]:
    """Zeros behind the channels of each dilated branch, up to a width."""
    *parts, rest = torch.split(reduce, [*widths, reduce.shape[-1] - sum(widths)], dim=-1)
    return torch.cat([*(functional.pad(part, (0, wide - part.shape[-1])) for part in parts), rest], dim=-1)


def _square(weight: Float[Tensor, "kc d"], wide: int) -> Float[Tensor, "kw w"]:
    """The weights of a branch that is wider by zeros."""
    taps = weight.view(_TAPS, -1, weight.shape[1])
    more = wide - weight.shape[1]
    return functional.pad(taps, (0, more, 0, more)).flatten(0, 1)
