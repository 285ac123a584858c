"""Convolutions over time at several scales, in blocks of frames: MS-TCN of MS-G3D."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
        reduce: the first 1x1 convolutions of the dilated branches and of the pooled one; a ReLU follows.
        branches: the dilated convolutions.
        dilations: of them.
        pooled: the normalisation of the pooled branch.
        plain: the 1x1 convolution that is the plain branch.
        joints: V.
        stride: over the frames.
        shortcut: the residual connection, the input itself where it is no matrix.
        relu: whether a ReLU stands at the end.
    """

    def __init__(
        self,
        reduce: Matrix,
        branches: Sequence[Matrix],
        dilations: Sequence[int],
        pooled: Affine,
        plain: Matrix,
        joints: int,
        stride: int,
        shortcut: Shortcut,
        *,
        relu: bool,
    ) -> None:
        self.widths, self.wide = [len(one.bias) for one in branches], max([0, *(len(one.bias) for one in branches)])
        self.reduce = Product(Matrix(*(_widened(part, self.widths, self.wide) for part in reduce)), relu=True)
        square = [_square(one.weight, self.wide) for one in branches]
        self.branches = torch.stack(square) if square else None
        self.scale, self.plain, self.dilations = pooled.scale, Product(plain), dilations
        self.constant = torch.cat([*(one.bias for one in branches), pooled.shift, torch.zeros_like(plain.bias)])
        self.shortcut = Product(shortcut.plus(self.constant), relu=relu) if isinstance(shortcut, Matrix) else None
        self.joints, self.relu = joints, relu
        self.timing = Timing(max([1, *dilations]), stride)
        self.latency, self.stride = self.timing.latency, stride

    def memory(self, rows: int) -> Memory:
        """Of people who begin now."""
        (channels, reduced), new = self.reduce.weight.shape, self.constant.new_zeros
        return new(rows, self.timing.whole, self.joints, reduced), new(rows, self.timing.middle, self.joints, channels)

    def step(self, x: Block, memory: Memory, counts: Tensor | None, add: Block | None = None) -> tuple[Block, Memory]:
        """Take a block of frames; ``add`` joins the sum before the ReLU."""
        rows, frames, joints, _ = x.shape
        y = self.reduce(flat(x)).view(rows, frames, joints, -1)
        if counts is not None:
            y.mul_(counts)
        known = join(memory[0], y)
        before, residual = delay(memory[1], x)
        # A copy: the last bit of a product depends on where in memory its rows begin, which a restored state changes.
        middle = flat(self.timing.middles(before, frames).clone(memory_format=torch.contiguous_format))
        out = torch.cat([*self._branches(known, frames), self.plain(middle)], dim=1)
        if add is not None:
            out += flat(add)
        if self.shortcut is not None:
            out = self.shortcut(middle, out)
        else:
            out.add_(middle).add_(self.constant)
            out = out.relu_() if self.relu else out
        return out.view(rows, frames // self.stride, joints, -1), (known[:, frames:], residual)

    def _branches(self, known: Block, frames: int) -> Iterator[Float[Tensor, "rsv d"]]:
        """All branches but the plain one, without what is constant in them."""
        *dilated, pooled = torch.split(known, [*(self.wide for _ in self.widths), len(self.scale)], dim=3)

        def under(branch: Block, tap: int) -> Block:
            """The frames of a branch under a tap, which lies so many frames off the middle of the kernel."""
            some = branch.narrow(1, self.timing.reach + tap, frames - self.stride + 1)
            return some if self.stride == 1 else some[:, :: self.stride]

        if self.branches is not None:
            taps = zip(dilated, self.dilations, strict=True)
            seen = torch.cat([under(branch, tap * apart) for branch, apart in taps for tap in (-1, 0, 1)], dim=3)
            found = torch.bmm(seen.view(-1, *self.branches.shape[:2]).transpose(0, 1), self.branches)
            yield from (one.narrow(1, 0, width) for one, width in zip(found.unbind(), self.widths, strict=True))
        highest = torch.maximum(torch.maximum(under(pooled, -1), under(pooled, 1)), under(pooled, 0))
        yield flat(highest * self.scale)


def _widened(reduce: Float[Tensor, "*c d"], widths: Sequence[int], wide: int) -> Float[Tensor, "*c e"]:
    """Zeros behind the channels of each dilated branch, up to a width."""
    *parts, rest = torch.split(reduce, [*widths, reduce.shape[-1] - sum(widths)], dim=-1)
    return torch.cat([*(functional.pad(part, (0, wide - part.shape[-1])) for part in parts), rest], dim=-1)


def _square(weight: Float[Tensor, "kc d"], wide: int) -> Float[Tensor, "kw w"]:
    """The weights of a branch that is wider by zeros."""
    taps = weight.view(_TAPS, -1, weight.shape[1])
    more = wide - weight.shape[1]
    return functional.pad(taps, (0, more, 0, more)).flatten(0, 1)
