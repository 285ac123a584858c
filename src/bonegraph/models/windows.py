"""Products with windows of frames that are views of memory, in which frames lie one behind the other.

A convolution over time does the same, but wants the channels that it sums side by side in memory: a copy of the maps
before it, and one after it.

Axes: R people as rows, F frames with the padding at their ends, τ frames of a window, T windows, S numbers of a frame
that are summed, Q sums, D channels, each of which is by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bonegraph.second_order.bilinear import value


def by_window(
    x: Float[Tensor, "r f s d"], weight: Float[Tensor, "q js"], window: int, stride: int
) -> Float[Tensor, "r t q d"]:
    """Σ_js weight[q, (j s)] x[r, stride t + j, s, d], for every window that lies within the frames.

    Args:
        x: frames, contiguous or copied.
        weight: of the frames of a window, the first frame first.
        window: τ.
        stride: frames from one window to the next.
    """
    return value(_Windows(window, stride, x.shape[1]), x.contiguous(), weight)


class _Windows(NamedTuple):
    """The three products of `bonegraph.second_order.bilinear`: a are the frames, b the weights."""

    window: int
    stride: int
    frames: int

    def value(self, a: Tensor, b: Tensor, offset: Tensor | None = None) -> Tensor:
        """The sums of all windows."""
        assert offset is None
        rows, _, _, channels = a.shape
        count = (self.frames - self.window) // self.stride + 1
        out = a.new_empty(rows, count, len(b), channels)
        for row, found in zip(a, out, strict=True):
            torch.bmm(b.expand(count, -1, -1), _views(row, self.window, self.stride, count), out=found)
        return out

    def to_first(self, g: Tensor, b: Tensor) -> Tensor:
        """The gradient of the frames: products with windows of that of the sums, for frames 0, stride, ..., then 1, ...

        Frame stride u + first is the j-th of window u - (j - first) / stride, for every stride-th j.
        """
        rows, count, sums, channels = g.shape
        taps = b.view(sums, self.window, -1)
        new = g.new_empty if self.stride <= self.window else g.new_zeros  # some frames may be in no window
        out = new(rows, self.frames, taps.shape[2], channels)
        for first in range(min(self.stride, self.window)):
            own = taps[:, first :: self.stride].flip(1)  # the last window that a frame is in has it first
            before = own.shape[1] - 1
            places = len(range(first, self.frames, self.stride))
            weight = own.permute(2, 1, 0).flatten(1).expand(places, -1, -1)
            padded = functional.pad(g, (0, 0, 0, 0, before, places - count))
            for row, found in zip(padded, out[:, first :: self.stride], strict=True):
                torch.bmm(weight, _views(row, before + 1, 1, places), out=found)
        return out

    def to_second(self, a: Tensor, g: Tensor) -> Tensor:
        """The gradient of the weights, added up window by window: together they would be large."""
        _, count, sums, _ = g.shape
        out = g.new_zeros(sums, self.window * a.shape[2])
        for row, gradients in zip(a, g, strict=True):
            for gradient, seen in zip(gradients, _views(row, self.window, self.stride, count), strict=True):
                torch.addmm(out, gradient, seen.mT, out=out)
        return out


def _views(x: Float[Tensor, "f s d"], window: int, stride: int, count: int) -> Float[Tensor, "t js d"]:
    _, numbers, channels = x.shape
    size, step = (count, window * numbers, channels), (stride * numbers * channels, channels, 1)
    return x.as_strided(size, step)  # from where x begins
