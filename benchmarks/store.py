"""How large a store at the scale of NTU RGB+D 60 is, how fast it opens, and how fast batches come out of it.

The data are made up (56,880 clips of NTU-25, about 82 frames on average, 17 % of them with two people: 5.4 million
person-frames) and removed afterwards; 2 GB of disk are needed. One process, one thread.

    python benchmarks/store.py --json store.json
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bonegraph.allocator import keep_memory
from bonegraph.datasets.card import Card
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import Cells, Row, StoreWriter
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.streams import streams

CLIPS = 56_880
BATCH = 64
FRAMES = 64
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
    write(folder, clips)
    written = time.perf_counter() - start
    opening = []
    for _ in range(5):
        start = time.perf_counter()
        store = Store.open(folder)
        opening.append(time.perf_counter() - start)
    rng = np.random.default_rng(1)
    requests = [request(store, rng) for _ in range(batches)]

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


def write(folder: Path, clips: int) -> None:
    rng = np.random.default_rng(0)
    skeleton = SKELETONS["ntu25"]
    # A long tail up to 300 frames, as in the data set.
    frames = np.clip(rng.gamma(6.0, 81 / 6, clips), 20, 300).astype(int)
    people = np.where(rng.random(clips) < 0.17, 2, 1)
    labels = rng.integers(0, 60, clips)
    card = Card("ntu60-like", skeleton, "m", 30.0, tuple(f"action {number}" for number in range(60)))
    pool = rng.normal(size=(1 << 18, skeleton.num_joints, 3)).astype(np.float32)
    with StoreWriter(folder, card) as writer:
        for first in range(0, clips, 512):
            block = range(first, min(first + 512, clips))
            rows = [Row(f"clip{n:06d}", int(labels[n]), (), int(frames[n]), int(people[n])) for n in block]
            cells = sum(row.frames * row.people for row in rows)
            offset = int(rng.integers(len(pool) - cells))
            writer.append_cells(rows, Cells(pool[offset : offset + cells], np.ones(cells, np.bool_)))
        writer.finish()


def request(store: Store, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """A random batch: 64 random frames, in order, of clips from anywhere in the store."""
    clips = rng.integers(0, len(store), BATCH)
    frames = np.sort((rng.random((BATCH, FRAMES)) * store.frames[clips][:, None]).astype(np.int64), axis=1)
    return clips, frames, int(store.people[clips].max())


def rate(work: Callable[[], None], batches: int) -> int:
    """Clips per second, the median of five runs after one to warm up."""
    work()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(batches * BATCH / statistics.median(times))


def machine() -> dict[str, object]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "machine": platform.machine(),
        "processor": processor(),
        "commit": commit.stdout.strip() if commit.returncode == 0 else "unknown",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "processes": 1,
        "threads": torch.get_num_threads(),
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
