"""Clips in the networks for answers (`bonegraph.inference.fast`) beside the plain ones.

Shapes are N clips of T frames of two people on NTU-25; `mix` is 10 clips of 64 frames, 8 of which have one person. The
other is zeros in them, as in released code, which computes nobody; in rows that end in `masked` a mask says so. Full-
width networks as released, 60 classes, one thread. Rows take turns, and the first turns do not count. Milliseconds of
the processor for the whole batch, medians; `ratio` is plain by fast.

`share` compares the multiplications that the plain network does (twice the multiply-adds that torch counts) in the time
of the fast one with `peak`, the rate of the widest temporal convolution of ST-GCN in oneDNN, in the same run.

    python -m benchmarks.inference --json inference.json
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.focus_step import machine
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bonegraph.allocator import keep_memory
from bonegraph.inference.fast import FastModel
from bonegraph.models.registry import VARIANTS, build
from bonegraph.skeleton import SKELETONS

BODY, CLASSES = SKELETONS["ntu25"], 60
SHAPES = {"N1T64": (1, 64, 1.0), "N8T64": (8, 64, 1.0), "N2T300": (2, 300, 1.0), "mix": (10, 64, 0.2)}
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the numbers; default: they are only printed")
    parser.add_argument("--models", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=7, help="turns that count")
    parser.add_argument("--warm", type=int, default=2, help="turns before them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = keep_memory()
    found: dict[str, Any] = {}
    print(f"{'model':10}{'shape':8}{'plain':>10}{'fp32':>9}{'ratio':>7}{'share':>7}{'bf16':>9}{'ratio':>7}{'share':>7}")
    for name in arguments.models:
        for shape in arguments.shapes:
            row = measure(name, shape, arguments.warm, arguments.repeats)
            found.setdefault(name, {})[shape] = row
            print(
                f"{name:10}{shape:8}{row['plain_ms']:10.1f}"
                + "".join(
                    f"{row[f'{kind}_ms']:9.1f}{row[f'{kind}_ratio']:7.2f}{row[f'{kind}_share']:7.2f}" for kind in TYPES
                ),
                flush=True,
            )
    numbers = {**machine(), "memory_kept": kept, "repeats": arguments.repeats, "models": found}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


@torch.inference_mode()
def measure(name: str, shape: str, warm: int, repeats: int) -> dict[str, float]:
    """Times of one network on one shape, and how far the results are apart."""
    torch.manual_seed(0)
    config: Any = next(iter(VARIANTS[name].values()))()
    model = build(config, BODY, CLASSES, np.arange(float(BODY.num_joints)))
    model.eval().requires_grad_(False)
    networks: dict[str, Callable[..., Tensor]] = {"plain": model}
    networks |= {"fp32": FastModel(model), "bf16": FastModel(model, "bf16")}
    x, visible = clips(config.in_channels, *SHAPES[shape])
    masks = {"": None} | ({"_masked": visible} if SHAPES[shape][2] < 1 else {})
    work: dict[str, Callable[[], Tensor]] = {
        row + kind: functools.partial(network, x, mask)
        for kind, mask in masks.items()
        for row, network in networks.items()
    }
    peaks = {f"{kind}_peak": peak(dtype) for kind, dtype in TYPES.items()}
    times: dict[str, list[float]] = {row: [] for row in (*work, *peaks)}
    results: dict[str, Tensor] = {}
    for turn in range(warm + repeats):
        for row, function in (*work.items(), *((key, one[0]) for key, one in peaks.items())):
            start = time.process_time()
            result = function()
            if turn >= warm:
                times[row].append(1000 * (time.process_time() - start))
            results[row] = result
    medians = {row: statistics.median(found) for row, found in times.items()}
    with FlopCounterMode(display=False) as counter:
        model(x, visible)
    numbers = {f"{row}_ms": medians[row] for row in work} | {"gflop": counter.get_total_flops() / 1e9}
    last = list(masks)[-1]
    for kind in TYPES:
        rate = peaks[f"{kind}_peak"][1] / medians[f"{kind}_peak"]
        numbers[f"{kind}_peak_gflops"] = rate
        numbers[f"{kind}_share"] = numbers["gflop"] / medians[kind + last] * 1000 / rate
        for suffix in masks:
            numbers[f"{kind}{suffix}_ratio"] = medians["plain" + suffix] / medians[kind + suffix]
            apart = (results[kind + suffix] - results["plain" + suffix]).norm() / results["plain" + suffix].norm()
            numbers[f"{kind}{suffix}_apart"] = float(apart)
    return numbers


def clips(channels: int, count: int, frames: int, couples: float) -> tuple[Tensor, Tensor]:
    """Clips of two people, or of one where they are no couples."""
    x = torch.randn(count, channels, frames, BODY.num_joints, 2)
    x[round(count * couples) :, ..., 1] = 0
    return x, (x != 0).any(dim=1)


def peak(dtype: torch.dtype) -> tuple[Callable[[], Tensor], float]:
    """The widest temporal convolution of ST-GCN on two people, and its millions of operations."""
    layout = torch.channels_last
    x = torch.randn(2, 256, 16, 25).to(dtype).contiguous(memory_format=layout)
    weight = torch.randn(256, 256, 9, 1).to(dtype).contiguous(memory_format=layout)
    operations = 2 * x.numel() * 256 * 9 / 1e6
    return lambda: torch.nn.functional.conv2d(x, weight, padding=(4, 0)), operations


if __name__ == "__main__":
    main()
