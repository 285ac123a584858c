"""How fast clips come out of a store, and how fast recordings become one. The data are made up."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bonegraph.bench.rows import Row
from bonegraph.datasets.card import Card
from bonegraph.datasets.known import known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.datasets.writer import Cells, StoreWriter
from bonegraph.datasets.writer import Row as Clip
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.streams import STREAMS, streams

BATCH, FRAMES = 64, 64
STORED, BATCHES, RECORDINGS = 4_096, 16, 32
"""Clips of the store, batches of a turn, recordings to prepare: small, since they are made anew for each run."""
DATA_CASES = ("loader", "prepare")


def data_row(case: str, folder: Path, threads: int) -> Row:
    """A row of `DATA_CASES`; what it needs is written below a folder."""
    if case == "loader":
        write_store(folder / "store", STORED)
        return _loader(Store.open(folder / "store"), threads)
    write_recordings(folder / "recordings", RECORDINGS)
    return _preparing(folder, threads)


def _loader(store: Store, threads: int) -> Row:
    rng = np.random.default_rng(1)
    requests = [random_request(store, rng) for _ in range(BATCHES)]

    def work() -> None:
        for clips, frames, people in requests:
            gathered = store.gather(clips, frames, people)
            streams(torch.from_numpy(gathered.positions), torch.from_numpy(gathered.visible), store.skeleton, STREAMS)

    return Row("", "", "loader", "data", "fp32", threads, BATCHES * BATCH, 0, work)


def _preparing(folder: Path, threads: int) -> Row:
    out = folder / "prepared"

    def work() -> None:
        shutil.rmtree(out, ignore_errors=True)
        prepare(known_set("ntu60"), folder / "recordings", out, workers=1, progress=False)

    return Row("", "", "prepare", "data", "fp32", threads, RECORDINGS, 0, work)


def write_store(folder: Path, clips: int) -> None:
    """A store of clips like those of NTU RGB+D 60: as long, 17 % of them with two people, joints anywhere."""
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
            rows = [Clip(f"clip{n:06d}", int(labels[n]), (), int(frames[n]), int(people[n])) for n in block]
            cells = sum(row.frames * row.people for row in rows)
            offset = int(rng.integers(len(pool) - cells))
            writer.append_cells(rows, Cells(pool[offset : offset + cells], np.ones(cells, np.bool_)))
        writer.finish()


def random_request(store: Store, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """A random batch: 64 random frames, in order, of clips from anywhere in the store."""
    clips = rng.integers(0, len(store), BATCH)
    frames = np.sort((rng.random((BATCH, FRAMES)) * store.frames[clips][:, None]).astype(np.int64), axis=1)
    return clips, frames, int(store.people[clips].max())


def write_recordings(folder: Path, count: int) -> None:
    """Some synthetic clips as ``.skeleton`` files of NTU RGB+D."""
    folder.mkdir(parents=True)
    data = Synthetic(subjects=1)
    for source in data.find()[:count]:
        (folder / f"{source.id}.skeleton").write_text(skeleton_text(data.read(source)), encoding="ascii")


def skeleton_text(sequence: Sequence) -> str:
    """A recording as text of a ``.skeleton`` file, see `bonegraph.read.ntu.recording`; what nobody reads is zeros."""
    lines = [str(sequence.num_frames)]
    for positions, present in zip(sequence.positions, sequence.present, strict=True):
        lines.append(str(int(present.sum())))
        for person in np.flatnonzero(present).tolist():
            lines += [f"{72057594037927936 + person}" + " 0" * 9, str(sequence.skeleton.num_joints)]
            lines += [f"{x:.6f} {y:.6f} {z:.6f}" + " 0" * 9 for x, y, z in positions[person].tolist()]
    return "\n".join(lines) + "\n"
