"""What the machine can do: products and convolutions alone, of shapes as the models have them.

The best of them in a run is the floor of a pass: nothing that multiplies as much can take less time. Convolutions go
through oneDNN in channels-last memory, products through the BLAS of torch, which is MKL on most machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import nn

from bonegraph.bench.rows import Precision, Row

_DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16}
_TEMPORAL = ((16, 64, 64), (16, 128, 32), (16, 256, 16))  # rows, channels, frames of ST-GCN's 9x1 convolutions
_WEIGHTS = (16, 288, 96, 64)  # rows, channels in and out, frames of a 1x1 convolution
_PRODUCTS = ((25_600, 288, 96), (6_400, 576, 256))
_GRAPHS = (1024, 75, 25, 96)  # frames, K·V, V, channels of a sum over neighbours
JOINTS = 25


def peak_rows(precision: Precision, threads: int) -> Iterator[Row]:
    """Rows of kind ``peak``; ``flops`` are exact."""

    def row(way: str, case: str, flops: int, run: Callable[[], object]) -> Row:
        return Row("", way, case, "peak", precision, threads, 0, flops, run)

    dtype = _DTYPE[precision]
    for rows, channels, frames in _TEMPORAL:
        conv = nn.Conv2d(channels, channels, (9, 1), padding=(4, 0), bias=False)
        flops = 2 * rows * frames * JOINTS * channels * channels * 9
        yield row("convolution", f"9x1, {channels}", flops, _convolve(conv, rows, frames, dtype))
    rows, before, after, frames = _WEIGHTS
    conv = nn.Conv2d(before, after, 1, bias=False)
    flops = 2 * rows * frames * JOINTS * before * after
    yield row("convolution", f"1x1, {before} to {after}", flops, _convolve(conv, rows, frames, dtype))
    for rows, inner, columns in _PRODUCTS:
        a, b = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
        yield row("product", f"{rows} x {inner} x {columns}", 2 * rows * inner * columns, _multiply(a, b))
    count, rows, inner, columns = _GRAPHS
    a, b = torch.randn(count, rows, inner).to(dtype), torch.randn(count, inner, columns).to(dtype)
    yield row(
        "product", f"{count} of {rows} x {inner} x {columns}", 2 * count * rows * inner * columns, _multiply(a, b)
    )


def _convolve(conv: nn.Conv2d, rows: int, frames: int, dtype: torch.dtype) -> Callable[[], object]:
    conv = conv.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(rows, conv.in_channels, frames, JOINTS).to(dtype).contiguous(memory_format=torch.channels_last)

    def run() -> object:
        with torch.inference_mode():
            return conv(x)

    return run


def _multiply(a: torch.Tensor, b: torch.Tensor) -> Callable[[], object]:
    return lambda: torch.matmul(a, b)


def peaks(rows: list[Row]) -> dict[tuple[Precision, int], float]:
    """The most FLOP/s that any row of kind ``peak`` reached in any turn, by precision and threads."""
    best: dict[tuple[Precision, int], float] = {}
    for row in rows:
        if row.kind == "peak" and row.clock_s:
            key = row.precision, row.threads
            best[key] = max(best.get(key, 0.0), row.flops / min(row.own_s))
    return best
