"""What a training step of STF costs, beside one of MS-G3D, and what its second-order part costs.

Rows, each a whole step (zero the gradients, forward, losses, backward, SGD):

    msg3d, naive               MS-G3D written down as its equations read, memory as the system has it
    msg3d, naive, kept         the same, freed memory kept in the process
    msg3d                      ours
    stf, cross-entropy         STF without losses on its focus
    stf, torch's second order  with L_d, L_c and L_Gk; gradients of gradients by torch
    stf                        the same by bonegraph.second_order

The floor of a row is the best time of its matrix products and convolutions alone (see docs/bench.md), in the same run.

One thread. The setting of the memory is one of a process, so that rows of both kinds have processes of their own; rows
take turns, and the first turns do not count. Beside the time on the clock stands that of the processor, the one to look
at where other programs run. NTU-25, 60 classes, two people, random clips.

    python -m benchmarks.focus_step --json focus_step.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bonegraph.allocator import keep_memory
from bonegraph.bench.floor import Floors
from bonegraph.bench.machine import machine
from bonegraph.bench.naive.msg3d import NaiveMSG3D
from bonegraph.bench.operations import recorded
from bonegraph.features import pool
from bonegraph.models import msg3d, stf
from bonegraph.models.base import kept_statistics
from bonegraph.models.complexity import complexity
from bonegraph.objectives.stf import FocusLoss, focus_loss
from bonegraph.skeleton import SKELETONS

CLASSES, PEOPLE = 60, 2
PARAMETERS = 3_194_595
"""Of the released MS-G3D."""
NAIVE, OURS, PLAIN = "msg3d, naive", "msg3d", "stf, cross-entropy"
KEPT, ORACLE, OWN = "msg3d, naive, kept", "stf, torch's second order", "stf"
ROWS = (NAIVE, KEPT, OURS, PLAIN, ORACLE, OWN)
AS_THE_SYSTEM = (NAIVE,)
WITH_FLOOR = (KEPT, OURS, PLAIN, ORACLE, OWN)
RATIOS = ((OWN, NAIVE), (OWN, KEPT), (OWN, OURS), (OWN, PLAIN), (ORACLE, OWN))
Times = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the numbers; default: they are only printed")
    parser.add_argument("--shapes", nargs="+", default=["1x64", "8x64"], help="clips x frames; also 2x300")
    parser.add_argument("--repeats", type=int, default=7, help="turns that count")
    parser.add_argument("--warm", type=int, default=3, help="turns before them")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.work:
        work(arguments.work)
        return
    check()
    shapes = {shape: measure(shape, arguments.warm, arguments.repeats) for shape in arguments.shapes}
    numbers = {**machine(), "repeats": arguments.repeats, "flops_of_a_clip": flops(), "shapes": shapes}
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in numbers.items() if key != "shapes"}, indent=2))
    for shape, found in shapes.items():
        print(table(shape, found))


def check() -> None:
    """The naive network is the released one: as many parameters, and the logits of ours."""
    torch.manual_seed(0)
    ours = msg3d.MSG3D(msg3d.released(), SKELETONS["ntu25"], CLASSES).eval()
    naive = NaiveMSG3D(ours).eval()
    count = sum(value.numel() for value in naive.parameters())
    assert count == PARAMETERS, f"{count} parameters instead of {PARAMETERS}"
    x = torch.randn(2, 3, 20, 25, PEOPLE)
    with torch.no_grad():
        torch.testing.assert_close(naive(x), ours(x), rtol=1e-4, atol=1e-4)


def measure(shape: str, warm: int, repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds by row, on the clock and of the processor, and their ratios."""
    clocks: Times = {row: [] for row in ROWS}
    processors: Times = {row: [] for row in ROWS}
    systems = Worker(shape, system=True)
    kept = Worker(shape, system=False)
    for turn in range(warm + repeats):
        for row in ROWS:
            clock, own = (systems if row in AS_THE_SYSTEM else kept).step(row)
            if turn >= warm:
                clocks[row].append(clock)
                processors[row].append(own)
    systems.close()
    kept.close()
    found = {"clock_s": medians(clocks), "processor_s": medians(processors), "floor_s": floors(shape)}
    for name in ("clock", "processor"):
        seconds = found[f"{name}_s"]
        found[f"{name}_ratios"] = {f"{a} / {b}": round(seconds[a] / seconds[b], 3) for a, b in RATIOS}
    return found


def floors(shape: str, turns: int = 3) -> dict[str, float]:
    """Seconds of the products and convolutions of a step alone, by row."""
    keep_memory()
    x, labels = clips_of(shape)
    known = Floors()
    found = {row: known.of(recorded(step_of(row, x, labels)), threads=1) for row in WITH_FLOOR}
    for _ in range(turns):
        for alone in known.with_threads(1):
            alone.turn()
    return {row: round(floor.seconds or 0.0, 4) for row, floor in found.items()}


def medians(times: Times) -> dict[str, float]:
    return {row: round(statistics.median(values), 4) for row, values in times.items()}


class Worker:
    """A process that makes a step whenever it is told a row."""

    def __init__(self, shape: str, *, system: bool) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "BONEGRAPH_MALLOC": "system" if system else ""}
        command = [sys.executable, "-m", "benchmarks.focus_step", "--work", shape]
        root = Path(__file__).parent.parent
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=root
        )

    def step(self, row: str) -> tuple[float, float]:
        """Seconds on the clock and of the processor."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(row, file=self.process.stdin, flush=True)
        clock, own = self.process.stdout.readline().split()
        return float(clock), float(own)

    def close(self) -> None:
        """End it."""
        self.process.communicate()


def clips_of(shape: str) -> tuple[Tensor, Tensor]:
    """Random clips and their labels."""
    clips, frames = map(int, shape.split("x"))
    torch.manual_seed(0)
    return torch.randn(clips, 3, frames, 25, PEOPLE), torch.randint(CLASSES, (clips,))


def work(shape: str) -> None:
    """Make steps, as standard input says."""
    keep_memory()
    x, labels = clips_of(shape)
    steps: dict[str, Callable[[], None]] = {}
    for line in sys.stdin:
        row = line.strip()
        if row not in steps:
            steps[row] = step_of(row, x, labels)
        clock, own = time.perf_counter(), time.process_time()
        steps[row]()
        print(time.perf_counter() - clock, time.process_time() - own, flush=True)


def step_of(row: str, x: Tensor, labels: Tensor) -> Callable[[], None]:
    skeleton = SKELETONS["ntu25"]
    wanted = None
    model: nn.Module
    if row in (NAIVE, KEPT):
        model = NaiveMSG3D(msg3d.MSG3D(msg3d.released(), skeleton, CLASSES))
    elif row == OURS:
        model = msg3d.MSG3D(msg3d.released(), skeleton, CLASSES)
    else:
        model = stf.STF(stf.best(), skeleton, CLASSES)
        if row != PLAIN:
            way: Literal["own", "torch"] = "torch" if row == ORACLE else "own"
            wanted = FocusLoss(diverge=0.1, cohere=0.1, embed=0.01, second_order=way)
    optimizer = torch.optim.SGD(model.train().parameters(), lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        loss = cross_entropy(model(x), labels) if wanted is None else loss_of(model, wanted, x, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def loss_of(model: nn.Module, wanted: FocusLoss, x: Tensor, labels: Tensor) -> Tensor:
    """STF, Eq. 6, as in training."""
    assert isinstance(model, stf.STF)
    with wanted.passes():
        (branch,) = branches = model.branches(x)
        total = cross_entropy(branch.head(pool(branch.stages[-1])), labels)
        with kept_statistics(model):
            found = focus_loss(wanted, branches, model.branches, x, None)
    for name, loss in found.items():
        total = total + getattr(wanted, name) * loss
    return total


def flops() -> dict[str, float]:
    """Of the forward pass of a clip of 300 frames; the shipped STF is the mean of two networks."""
    skeleton = SKELETONS["ntu25"]
    base = complexity(msg3d.MSG3D(msg3d.best(), skeleton, CLASSES), 300, PEOPLE).flops
    one = complexity(stf.STF(stf.best(), skeleton, CLASSES), 300, PEOPLE).flops
    return {
        "msg3d": base,
        "stf": one,
        "stf / msg3d": round(one / base, 3),
        "two stf / msg3d": round(2 * one / base, 3),
    }


def table(shape: str, found: dict[str, dict[str, float]]) -> str:
    clips, frames = shape.split("x")
    lines = [f"{clips} clips of {frames} frames", f"{'':42}{'clock':>10}{'processor':>12}{'floor':>10}"]
    for row in ROWS:
        floor = f"{found['floor_s'][row]:9.3f}s" if row in WITH_FLOOR else ""
        lines.append(f"{row:42}{found['clock_s'][row]:9.3f}s{found['processor_s'][row]:11.3f}s{floor}")
    for pair in found["clock_ratios"]:
        lines.append(f"{pair:42}{found['clock_ratios'][pair]:9.2f}x{found['processor_ratios'][pair]:11.2f}x")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
