"""What a frame of a stream costs, beside recognising the last frames anew whenever there is an answer.

Rows:

    network            frames through the network in blocks of 12, as `ExactStream` does, for 1, 2 and 5 people at once,
                       or of 4 or 16; no transforms, no pooling
    stream             `ExactStream.step`: with transforms, pooling, softmax and all people; also in blocks of 4
    products           the floor of `network`: only its matrix products and convolutions, with the same numbers in the
                       same order, for 1 person
    clip, 64 and 300   the clip network on a window of so many frames, as often as the stream has an answer: every 4
    fast, 64 and 300   the same with the fast form, as `Recogniser` computes it

Milliseconds for a frame of a person. Eleven frames of twelve wait, the last one goes through the network with them, so
the mean over whole blocks is what counts. Full-width networks on NTU-25, 60 classes, one thread. Rows take turns, and
the first turns do not count. Beside the time on the clock stands that of the processor, the one to look at where other
programs run, and the fastest turn, which had the caches for itself. `product` is the rate of a matrix product of the
shape of the widest layer in the same run: it says how fast the machine was.

    python -m benchmarks.streaming --json streaming.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from bonegraph.allocator import keep_memory
from bonegraph.bench.machine import machine
from bonegraph.inference.fast import fast
from bonegraph.inference.stream import ExactStream, FrameNetwork
from bonegraph.models import msg3d, stgcn, stgcnpp
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

BODY, CLASSES = SKELETONS["ntu25"], 60
WINDOWS = (64, 300)
PEOPLE = (1, 2, 5)
PRODUCT = (25, 9 * 256, 256)
STRIDE, BLOCK, BLOCKS = 4, 12, 4
KINDS = ("clock", "processor", "fastest")
MODELS: dict[str, Callable[[], ActionModel]] = {
    "stgcn": lambda: stgcn.STGCN(stgcn.released(), BODY, CLASSES),
    "stgcnpp": lambda: stgcnpp.STGCNpp(stgcnpp.released(), BODY, CLASSES),
    "msg3d": lambda: msg3d.MSG3D(msg3d.released(), BODY, CLASSES),
}
Row = Callable[[], int]
"""Does some work and says for how many frames of a person it was."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the numbers; default: they are only printed")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--repeats", type=int, default=15, help="turns that count")
    parser.add_argument("--warm", type=int, default=3, help="turns before them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = keep_memory()
    models = {name: measure(name, arguments.warm, arguments.repeats) for name in arguments.models}
    numbers = {**machine(), "memory_kept": kept, "repeats": arguments.repeats, "models": models}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in numbers.items() if key != "models"}, indent=2))
    for name, found in models.items():
        print(table(name, found))


def measure(name: str, warm: int, repeats: int) -> dict[str, Any]:
    """Median milliseconds a frame and person by row, on the clock and of the processor, and what follows from them."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    rows = {f"network, {people} people": network(model, people) for people in PEOPLE}
    rows |= {f"network, 1 people, blocks of {block}": network(model, 1, block) for block in (4, 16)}
    rows["products, 1 people"] = products(model)
    rows |= {f"stream, {people} people": stream(model, people) for people in PEOPLE}
    rows["stream, 1 people, blocks of 4"] = stream(model, 1, 4)
    rows |= {f"clip, {window} frames": clip(model, window) for window in WINDOWS}
    rows |= {f"fast, {window} frames": clip(fast(model), window) for window in WINDOWS}
    rows["product"] = product()
    clocks: dict[str, list[float]] = {row: [] for row in rows}
    processors: dict[str, list[float]] = {row: [] for row in rows}
    with torch.inference_mode():
        for turn in range(warm + repeats):
            for row, work in rows.items():
                clock, own = time.perf_counter(), time.process_time()
                frames = work()
                own, clock = time.process_time() - own, time.perf_counter() - clock
                if turn >= warm:
                    clocks[row].append(clock / frames * 1e3)
                    processors[row].append(own / frames * 1e3)
    found: dict[str, Any] = {"clock_ms": medians(clocks), "processor_ms": medians(processors)}
    found["fastest_ms"] = {row: round(min(values), 4) for row, values in processors.items()}
    operations = 2 * PRODUCT[0] * PRODUCT[1] * PRODUCT[2]
    found["product_gflops"] = round(operations / found["processor_ms"]["product"] / 1e6, 1)
    for kind in KINDS:
        times = found[f"{kind}_ms"]
        found[f"{kind}_ratios"] = {
            f"{whole}, {window} frames / {way}, 1 people": round(
                times[f"{whole}, {window} frames"] / times[f"{way}, 1 people"], 1
            )
            for whole in ("clip", "fast")
            for way in ("network", "stream")
            for window in WINDOWS
        }
    return found


def network(model: ActionModel, people: int, block: int = BLOCK) -> Row:
    net = FrameNetwork(model)
    x, visible = torch.randn(people, block, 25, 3), torch.ones(people, block, 25, dtype=torch.bool)
    state = net.start(people)

    def work() -> int:
        nonlocal state
        for _ in range(BLOCKS):
            _, _, state = net.step(x, visible, state)
        return BLOCKS * block * people

    return work


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the products and convolutions that are computed under it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if any(name in str(func) for name in ("mm.", "convolution", "_linear_pointwise.")):
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def products(model: ActionModel) -> Row:
    net, block = FrameNetwork(model), BLOCK
    given = torch.randn(1, block, 25, 3), torch.ones(1, block, 25, dtype=torch.bool), net.start(1)
    with torch.inference_mode():
        net.step(*given)  # the first time operations are tried that are no part of it
        with _Products() as recorded:
            net.step(*given)

    def work() -> int:
        for _ in range(BLOCKS):
            for operation, tensors, options in recorded.calls:
                operation(*tensors, **options)
        return BLOCKS * block

    return work


def stream(model: ActionModel, people: int, block: int = BLOCK) -> Row:
    meaning = Meaning(
        BODY, tuple(map(str, range(CLASSES))), Transforms(centre="first"), Length("all"), people=0, fps=30.0, unit="m"
    )
    one = ExactStream(model, meaning, window=64, block=block)
    x = np.random.default_rng(0).normal(size=(people, 25, 3)).astype(np.float32)
    visible, ids = np.ones((people, 25), np.bool_), list(range(people))

    def work() -> int:
        for _ in range(BLOCKS * block):
            one.step(x, visible, ids)
        return BLOCKS * block * people

    return work


def clip(model: nn.Module, window: int) -> Row:
    """One answer, which stands for as many frames as lie between two answers of the stream."""
    x = torch.randn(1, 3, window, 25, 1)
    visible = torch.ones(1, window, 25, 1, dtype=torch.bool)

    def work() -> int:
        model(x, visible).softmax(dim=1)
        return STRIDE

    return work


def product() -> Row:
    rows, inner, columns = PRODUCT
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)

    def work() -> int:
        for _ in range(50):
            torch.mm(a, b)
        return 50

    return work


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    return {row: round(statistics.median(values), 4) for row, values in times.items()}


def table(name: str, found: dict[str, Any]) -> str:
    lines = [
        f"{name}, product at {found['product_gflops']} GFLOP/s",
        " " * 40 + "".join(f"{kind:>12}" for kind in KINDS),
    ]
    for row in found["clock_ms"]:
        lines.append(f"{row:40}" + "".join(f"{found[f'{kind}_ms'][row]:10.3f}ms" for kind in KINDS))
    for pair in found["clock_ratios"]:
        lines.append(f"{pair:40}" + "".join(f"{found[f'{kind}_ratios'][pair]:11.1f}x" for kind in KINDS))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
