"""What a recording of 20 minutes costs in `recognise`, beside finding the people in it.

36,000 frames of one person on NTU-25, cut into windows of 2.7 s that start every quarter of that, through ST-GCN with
random weights. Seconds of the clock and of the processor, and by how much the memory of the process grew at most; one
network in one process.

    python -m benchmarks.long_recording --width quarter
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from benchmarks.focus_step import machine

from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.untrimmed import answers
from bonegraph.models import stgcn
from bonegraph.models.checkpoint import Meaning
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

BODY, FPS = SKELETONS["ntu25"], 30.0
SECONDS, WINDOW = 1200, 2.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", choices=get_args(stgcn.Width), default="quarter")
    parser.add_argument("--classes", type=int, default=60)
    parser.add_argument("--json", type=Path, help="where to write the numbers; default: they are only printed")
    given = parser.parse_args()
    torch.set_num_threads(1)
    measured = {"width": given.width, "classes": given.classes, **measure(given.width, given.classes), **machine()}
    print(json.dumps(measured, indent=1))
    if given.json:
        given.json.write_text(json.dumps(measured, indent=1))


def measure(width: stgcn.Width, classes: int) -> dict[str, Any]:
    frames = round(SECONDS * FPS)
    draw = np.random.default_rng(0)
    steps = draw.standard_normal((frames, 1, BODY.num_joints, 3), np.float32) / 100
    walk = Sequence(steps.cumsum(axis=0, dtype=np.float32), np.ones((frames, 1), bool), BODY, FPS, "m")
    torch.manual_seed(0)
    meaning = Meaning(
        BODY,
        tuple(f"action {number}" for number in range(classes)),
        Transforms(),
        Length("uniform", 64),
        people=1,
        fps=FPS,
        unit="m",
        clip_seconds=WINDOW,
    )
    recogniser = Recogniser(stgcn.STGCN(stgcn.best(width), BODY, classes).eval(), meaning)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock, processor = time.perf_counter(), time.process_time()
    found = answers(recogniser, walk)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {
        "seconds of the recording": SECONDS,
        "windows": len(found.timelines[0].windows),
        "seconds": round(clock, 1),
        "processor seconds": round(processor, 1),
        "memory grew by MiB": round(grown),
    }


if __name__ == "__main__":
    main()
