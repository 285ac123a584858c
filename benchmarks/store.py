"""How large a store at the scale of NTU RGB+D 60 is, how fast it opens, and how fast batches come out of it.

The data are made up (56,880 clips of NTU-25, about 82 frames on average, 17 % of them with two people: 5.4 million
person-frames) and removed afterwards; 2 GB of disk are needed. One process, one thread.

    python benchmarks/store.py --json store.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from bonegraph.allocator import keep_memory
from bonegraph.bench.data import BATCH, FRAMES, random_request, write_store
from bonegraph.bench.machine import machine
from bonegraph.datasets.store import Store
from bonegraph.transforms.streams import streams

CLIPS = 56_880
LARGEST = 1.7e9  # bytes of positions.npy that we allow ourselves


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the numbers; default: they are only printed")
    parser.add_argument("--folder", type=Path, help="where to put the data for the time being; default: the system's")
    parser.add_argument("--clips", type=int, default=CLIPS, help="fewer clips for a quick look")
    parser.add_argument("--batches", type=int, default=300, help="batches per timing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    kept = keep_memory()
    folder = Path(tempfile.mkdtemp(prefix="bonegraph-store-", dir=arguments.folder))
    try:
        numbers = measure(folder / "store", arguments.clips, arguments.batches)
    finally:
        shutil.rmtree(folder)
    text = json.dumps({**machine(), "memory_kept": kept, **numbers}, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")


def measure(folder: Path, clips: int, batches: int) -> dict[str, object]:
    start = time.perf_counter()
    write_store(folder, clips)
    written = time.perf_counter() - start
    opening = []
    for _ in range(5):
        start = time.perf_counter()
        store = Store.open(folder)
        opening.append(time.perf_counter() - start)
    rng = np.random.default_rng(1)
    requests = [random_request(store, rng) for _ in range(batches)]

    def gather() -> None:
        for clips, frames, people in requests:
            store.gather(clips, frames, people)

    def gather_and_streams() -> None:
        for clips, frames, people in requests:
            positions, visible, _ = store.gather(clips, frames, people)
            x, mask = torch.from_numpy(positions), torch.from_numpy(visible)
            streams(x, mask, store.skeleton)

    size = (folder / "positions.npy").stat().st_size
    return {
        "clips": len(store),
        "person_frames": int((store.frames * store.people).sum()),
        "mean_frames": round(float(store.frames.mean()), 1),
        "two_people": round(float((store.people == 2).mean()), 3),
        "positions_bytes": size,
        "positions_within_limit": size <= LARGEST,
        "write_s": round(written, 2),
        "open_s_median": round(statistics.median(opening), 4),
        "batch": BATCH,
        "frames": FRAMES,
        "mean_people_in_batch": round(statistics.mean(people for _, _, people in requests), 2),
        "gather_clips_per_s": rate(gather, batches),
        "gather_and_four_streams_clips_per_s": rate(gather_and_streams, batches),
    }


def rate(work: Callable[[], None], batches: int) -> int:
    """Clips per second, the median of five runs after one to warm up."""
    work()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(batches * BATCH / statistics.median(times))


if __name__ == "__main__":
    main()
