"""Units of a network that take time in blocks: each keeps the frames that its temporal part will see again.

A cell is a pure function of F frames and its memory; it gives F / stride frames, those that the new frames complete,
and its new memory. Before the first frame of a person lies zero, as the padding of a clip is. Nothing in a cell counts
frames, so that people who began at different times are rows of one batch.

Axes: R people as rows, F frames of a block, V joints, C channels, Γ frames of a kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bonegraph.inference.fast.product import Product
from bonegraph.inference.folding import Affine, Matrix

Block = Float[Tensor, "r f v c"]
Memory = tuple[Tensor, ...]
Shortcut = Matrix | Literal["identity"] | None
"""The residual connection of a unit."""


class Cell(Protocol):
    """A unit that takes time in blocks.

    Attributes:
        latency: frames of the input by which the output lags.
        stride: frames of the input for one of the output.
    """

    latency: int
    stride: int

    def memory(self, rows: int) -> Memory:
        """Of people who begin now: zeros."""
        ...

    def step(self, x: Block, memory: Memory, counts: Float[Tensor, "r f 1 1"] | None) -> tuple[Block, Memory]:
        """Take a block of frames, a multiple of the stride.

        Args:
            x: the frames, zero where they do not count.
            memory: what the last step returned.
            counts: 1 for frames that count, 0 for others; None if all do.
        """
        ...


class Timing:
    """Which frames a convolution over time waits for and keeps.

    It gives a frame when it has the last one under the kernel, and also all that the frame stands for under the stride,
    since it counts if any of those does.

    Args:
        reach: frames on each side of the middle.
        stride: over the frames.
    """

    def __init__(self, reach: int, stride: int) -> None:
        self.reach, self.stride = reach, stride
        self.latency = max(reach, stride - 1)
        self.middle = self.latency - stride + 1  # kept frames, if only the middle of the kernel is looked at
        self.whole = self.middle + reach  # kept frames for the whole kernel

    def middles(self, known: Block, frames: int) -> Block:
        """The frames in the middle of the kernel, out of ``middle`` kept and so many new ones."""
        return known[:, : frames : self.stride]


def delay(kept: Block, new: Block) -> tuple[Block, Block]:
    """As many frames as are new, the oldest ones first, and those that are left to keep; copies as little as it can."""
    late, frames = kept.shape[1], new.shape[1]
    if late == frames:
        return kept, new
    if late > frames:
        return kept[:, :frames], torch.cat([kept[:, frames:], new], dim=1)
    return join(kept, new[:, : frames - late]), new[:, frames - late :]


def join(kept: Block, new: Block) -> Block:
    """Frames that were kept, then new ones."""
    return torch.cat([kept, new], dim=1) if kept.shape[1] else new


def flat(x: Block) -> Float[Tensor, "rfv c"]:
    """One row a joint."""
    return x.reshape(-1, x.shape[3])


class OverTime:
    """A convolution over the frames of each joint that takes its padding from memory.

    Args:
        matrix: Γ frames of a joint to one, (Γ·C, D).
        channels: C.
        stride: over the frames.
        relu: whether a ReLU stands behind it.
    """

    def __init__(self, matrix: Matrix, channels: int, stride: int, *, relu: bool = False) -> None:
        self.kernel, self.stride = len(matrix.weight) // channels, stride
        self._product = Product(matrix, relu=relu)

    def __call__(self, known: Block, add: Block | None = None) -> Block:
        """Every place of the kernel within the frames that are known, and something that is added before the ReLU."""
        if torch.compiler.is_exporting():  # as a convolution, which runtimes know to be one
            return self._convolution(known, add)
        rows, frames, joints, channels = known.shape
        places = (frames - self.kernel) // self.stride + 1
        row, frame, joint, channel = known.stride()
        windows = known.as_strided(
            (rows, places, joints, self.kernel, channels), (row, self.stride * frame, joint, frame, channel)
        )
        out = self._product(windows.reshape(-1, self.kernel * channels), None if add is None else flat(add))
        return out.view(rows, places, joints, -1)

    def _convolution(self, known: Block, add: Block | None) -> Block:
        one, maps = self._product, known.permute(0, 3, 1, 2)
        weight = one.weight.view(self.kernel, known.shape[3], -1).permute(2, 1, 0)[..., None]
        out = functional.conv2d(maps, weight, one.bias, (self.stride, 1)).permute(0, 2, 3, 1)
        out = out if add is None else out + add
        return out.relu() if one.relu else out


def multiply(graph: Float[Tensor, "a b"], x: Float[Tensor, "rfb c"]) -> Float[Tensor, "rf a c"]:
    """A matrix over the joints of every frame."""
    frames = x.view(-1, graph.shape[1], x.shape[1])
    return torch.bmm(graph.expand(frames.shape[0], -1, -1), frames)


def linear(x: Float[Tensor, "rfv c"], matrix: Matrix) -> Float[Tensor, "rfv d"]:
    """A layer."""
    if matrix.bias.dim() == 1:
        return torch.addmm(matrix.bias, x, matrix.weight)
    out = torch.mm(x, matrix.weight)
    out.view(-1, *matrix.bias.shape).add_(matrix.bias)
    return out


def through(x: Block, way: Shortcut) -> Block:
    """What a residual connection adds, but for its bias, which `constant` has."""
    return torch.matmul(x, way.weight) if isinstance(way, Matrix) else x


def add_shortcut(
    out: Float[Tensor, "rfv c"], weight: Float[Tensor, "c d"], bias: Float[Tensor, " d"], x: Block | None, way: Shortcut
) -> Float[Tensor, "rfv d"]:
    """A layer and a residual connection: out @ weight + bias + shortcut of x."""
    if way is None or x is None:
        return torch.addmm(bias, out, weight)
    if isinstance(way, Matrix):
        return torch.addmm(torch.addmm(bias, flat(x), way.weight), out, weight)
    return torch.addmm(flat(x), out, weight).add_(bias)


def constant(matrix: Matrix, way: Shortcut) -> Float[Tensor, " d"]:
    """The bias of a layer and its residual connection together."""
    return matrix.bias + way.bias if isinstance(way, Matrix) else matrix.bias


class GraphCell:
    """A graph convolution, then a convolution over time, with a residual connection: ST-GCN as released, and KTH.

    Args:
        graph: `folding.aggregation`.
        into: weights of the graph convolution.
        over: the convolution over time.
        stride: over the frames.
        shortcut: the residual connection.
        before: a batch normalisation at the start, and a ReLU behind it.
        between: whether a ReLU stands between the convolutions.
        relu: whether a ReLU stands at the end.
        after: a batch normalisation behind that.
    """

    def __init__(
        self,
        graph: Float[Tensor, "wk v"],
        into: Matrix,
        over: Matrix,
        stride: int,
        shortcut: Shortcut,
        *,
        before: Affine | None = None,
        between: bool = True,
        relu: bool = True,
        after: Affine | None = None,
    ) -> None:
        self.graph, self.into, self.shortcut = graph, Product(into, relu=between), shortcut
        self.before, self.after = before, after
        over = Matrix(over.weight, constant(over, shortcut))
        self.over = OverTime(over, into.weight.shape[1], stride, relu=relu)
        self.timing = Timing(self.over.kernel // 2, stride)
        self.latency, self.stride = self.timing.latency, stride

    def memory(self, rows: int) -> Memory:
        """Of people who begin now."""
        joints = self.graph.shape[1]
        channels = len(self.into.weight) * joints // len(self.graph)
        kept = self.timing.middle if self.shortcut is not None else 0
        new = self.graph.new_zeros
        return new(rows, self.timing.whole, joints, self.into.weight.shape[1]), new(rows, kept, joints, channels)

    def step(self, x: Block, memory: Memory, counts: Tensor | None) -> tuple[Block, Memory]:
        """Take a block of frames."""
        rows, frames, joints, _ = x.shape
        kept, residual = memory
        start = flat(x)
        if self.before is not None:
            start = torch.addcmul(self.before.shift, start, self.before.scale).relu_()
        near = multiply(self.graph, start).view(start.shape[0], -1)
        y = self.into(near).view(rows, frames, joints, -1)
        if counts is not None:
            y.mul_(counts)
        known = join(kept, y)
        add = None
        if self.shortcut is not None:
            before, residual = delay(residual, x)
            add = through(self.timing.middles(before, frames), self.shortcut)
        out = self.over(known, add)
        if self.after is not None:
            out = torch.addcmul(self.after.shift, out, self.after.scale)
        return out, (known[:, frames:], residual)


class JointCell:
    """A convolution over time, then over the graph, with a residual connection and ReLU: ST-GCN's text, and its TCN.

    Args:
        over: the convolution over time, with its normalisation.
        graph: `folding.collection`, or None where joints are channels.
        shift: the constant of the normalisation.
        channels: C.
        joints: V.
        stride: over the frames.
        shortcut: the residual connection.
    """

    def __init__(
        self,
        over: Float[Tensor, "kc d"],
        graph: Float[Tensor, "w vk"] | None,
        shift: Float[Tensor, " d"],
        channels: int,
        joints: int,
        stride: int,
        shortcut: Shortcut,
    ) -> None:
        self.graph, self.channels, self.joints, self.shortcut = graph, channels, joints, shortcut
        self.bias = constant(Matrix(over, shift), shortcut)
        self.over = OverTime(Matrix(over, over.new_zeros(over.shape[1])), channels, stride)
        self.timing = Timing(self.over.kernel // 2, stride)
        self.latency, self.stride = self.timing.latency, stride

    def memory(self, rows: int) -> Memory:
        """Of people who begin now."""
        return (self.bias.new_zeros(rows, self.timing.whole, self.joints, self.channels),)

    def step(self, x: Block, memory: Memory, counts: Tensor | None) -> tuple[Block, Memory]:
        """Take a block of frames."""
        rows, frames, joints, _ = x.shape
        known = join(memory[0], x)
        out = self.over(known)
        if self.graph is not None:
            out = torch.matmul(self.graph, out.reshape(-1, self.graph.shape[1], len(self.bias)))
        out = out.view(rows, frames // self.stride, joints, -1) + self.bias
        if self.shortcut is not None:
            out += through(self.timing.middles(known[:, self.timing.reach :], frames), self.shortcut)
        return out.relu_(), (known[:, frames:],)


class BranchCell:
    """The unit of ST-GCN++: a graph convolution with a residual, then branches that see time at different scales.

    The dilated branches are one matrix with a block for each: many small products take longer than one with zeros.

    Args:
        graph: `folding.aggregation`; where the spatial residual is a 1x1 convolution, its weights are those of one more
            subset, in which every joint is its own neighbour.
        into: weights of the graph convolution.
        identity: whether the spatial residual is the input itself.
        reduce: the first 1x1 convolutions of all branches, the plain one last.
        widths: channels of each branch, the dilated ones first, then the pooled and the plain one.
        branches: the dilated convolutions.
        dilations: of them.
        pooled: the normalisation of the pooled branch.
        merge: the 1x1 convolution at the end.
        stride: over the frames.
        shortcut: the residual connection of the unit.
    """

    def __init__(
        self,
        graph: Float[Tensor, "wk v"],
        into: Matrix,
        identity: bool,
        reduce: Matrix,
        widths: Sequence[int],
        branches: Sequence[Matrix],
        dilations: Sequence[int],
        pooled: Affine,
        merge: Matrix,
        stride: int,
        shortcut: Shortcut,
    ) -> None:
        self.graph, self.into, self.identity, self.reduce, self.merge = graph, into, identity, reduce, merge
        self.pooled, self.shortcut = pooled, shortcut
        self.bias = constant(merge, shortcut)
        self.plain = widths[-1]
        weights = [branch.weight for branch in branches]
        empty = reduce.weight.new_zeros(0, 0)
        self.dilated = Matrix(
            torch.block_diag(*weights) if weights else empty,  # type: ignore[no-untyped-call]
            torch.cat([branch.bias for branch in branches]) if weights else empty[0:0].flatten(),
        )
        kernel = len(weights[0]) // widths[0] if weights else 1
        self.timing = Timing(max([1, *(kernel // 2 * dilation for dilation in dilations)]), stride)
        self.latency, self.stride = self.timing.latency, stride
        # Where each tap reads: the frame under it, as seen from the first one known, and its channels.
        self.taps: list[tuple[int, int, int]] = []
        first = 0
        for width, dilation in zip(widths, dilations, strict=False):
            start = self.timing.reach - kernel // 2 * dilation
            self.taps += [(start + tap * dilation, first, width) for tap in range(kernel)]
            first += width
        self.pool = (first, widths[-2])

    def memory(self, rows: int) -> Memory:
        """Of people who begin now."""
        joints = self.graph.shape[1]
        channels = len(self.into.weight) * joints // len(self.graph)
        kept = self.timing.middle if self.shortcut is not None else 0
        new = self.graph.new_zeros
        return new(rows, self.timing.whole, joints, len(self.merge.weight)), new(rows, kept, joints, channels)

    def step(self, x: Block, memory: Memory, counts: Tensor | None) -> tuple[Block, Memory]:
        """Take a block of frames."""
        rows, frames, joints, _ = x.shape
        kept, residual = memory
        start = flat(x)
        near = multiply(self.graph, start).view(start.shape[0], -1)
        y = linear(near, self.into)
        if self.identity:
            y += start
        y = linear(y.relu_(), self.reduce).view(rows, frames, joints, -1)
        reduced = y.narrow(3, 0, y.shape[3] - self.plain).relu_()
        if counts is not None:
            reduced.mul_(counts)
        known = join(kept, y)
        last = (frames // self.stride - 1) * self.stride + 1

        def under(tap: int, channel: int, width: int) -> Block:
            return known[:, tap : tap + last : self.stride, :, channel : channel + width]

        middle = self.timing.reach
        parts = []
        if self.taps:
            seen = torch.cat([under(*tap) for tap in self.taps], dim=3)
            parts.append(linear(flat(seen), self.dilated))
        highest = torch.maximum(under(middle - 1, *self.pool), under(middle + 1, *self.pool))
        highest = torch.maximum(highest, under(middle, *self.pool))
        parts.append(flat(torch.addcmul(self.pooled.shift, highest, self.pooled.scale)))
        parts.append(flat(under(middle, y.shape[3] - self.plain, self.plain)))
        before, residual = delay(residual, x) if self.shortcut is not None else (x, residual)
        out = add_shortcut(
            torch.cat(parts, dim=1).relu_(),
            self.merge.weight,
            self.bias,
            self.timing.middles(before, frames),
            self.shortcut,
        ).relu_()
        return out.view(rows, frames // self.stride, joints, -1), (known[:, frames:], residual)
