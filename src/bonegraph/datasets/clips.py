"""Batches of a store: which clips, which frames, in which order. Nothing else happens in a loader worker.

The order of the clips and every random choice are functions of (seed, epoch, clip id), so that a resumed run sees what
an uninterrupted one would have seen, on any number of processes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from bonegraph.datasets.store import Store
from bonegraph.sample import Batch
from bonegraph.seeding import mix, permutation
from bonegraph.transforms.lengths import Length, blend, pick_frames


@dataclass(frozen=True, eq=False)
class Order:
    """What to fetch: some clips, in a training epoch or (epoch None) at one of the test offsets."""

    clips: NDArray[np.int64]
    epoch: int | None = None
    test_clip: int = 0


class Clips(Dataset[Batch]):
    """Fetches batches of a store.

    Args:
        store: the prepared data.
        length: which frames.
        people: the most people of a clip, 0 for all.
        seed: of the random choices in training.
    """

    def __init__(self, store: Store, length: Length, people: int = 0, seed: int = 0) -> None:
        self.store, self.length, self.people, self.seed = store, length, people, seed
        # The key of a clip depends on its id alone, not on its place in a store.
        self._names = np.array([zlib.crc32(str(name).encode()) for name in store.ids], dtype=np.uint64)

    def __getitem__(self, order: Order) -> Batch:
        clips = order.clips
        keys = mix(self._names[clips], self.seed, 0 if order.epoch is None else order.epoch)
        training = order.epoch is not None
        pick = pick_frames(self.length, self.store.frames[clips], keys if training else None, order.test_clip)
        most = int(self.store.people[clips].max())
        gathered = self.store.gather(clips, pick.frames, min(most, self.people) if self.people else most)
        positions, visible = torch.from_numpy(gathered.positions), torch.from_numpy(gathered.visible)
        confidence = None if gathered.confidence is None else torch.from_numpy(gathered.confidence)
        if pick.blend is not None:
            later = torch.from_numpy(pick.blend)
            positions, visible, confidence = blend(positions, visible, confidence, later, pick.zeros)
        return Batch(
            positions=positions,
            visible=visible,
            labels=torch.from_numpy(self.store.labels[clips]),
            clips=torch.from_numpy(clips),
            keys=torch.from_numpy(keys.view(np.int64)),
            confidence=confidence,
        )


class TrainingOrder(Sampler[Order]):
    """Batches of one epoch after the other.

    All batches of an epoch have nearly the same size, so that none is too small for batch normalisation. With several
    processes each takes its share of every batch; the shares are equal, for which up to (processes - 1) clips of a
    batch sit out an epoch.
    """

    def __init__(self, clips: NDArray[np.int64], batch_size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        if batch_size < world:
            raise ValueError(f"batch_size {batch_size} is below the {world} processes; give each at least one clip.")
        if len(clips) < world:
            raise ValueError(f"the training split has {len(clips)} clips for {world} processes; use fewer processes.")
        self.clips, self.seed, self.rank, self.world = clips, seed, rank, world
        self.batches = min(math.ceil(len(clips) / batch_size), len(clips) // world)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[Order]:
        shuffled = self.clips[permutation(mix(self.seed, "order", self.epoch).item(), len(self.clips))]
        for batch in np.array_split(shuffled, self.batches):
            even = batch[: len(batch) // self.world * self.world]
            yield Order(even[self.rank :: self.world], self.epoch)


class TestOrder(Sampler[Order]):
    """Every clip once at each test offset, in the order of the store; with several processes, each takes its share."""

    __test__ = False  # not a test, whatever pytest thinks of the name

    def __init__(
        self, clips: NDArray[np.int64], batch_size: int, length: Length, rank: int = 0, world: int = 1
    ) -> None:
        own = clips[rank::world]
        self.orders = [
            Order(own[start : start + batch_size], None, test_clip)
            for test_clip in range(length.test_clips)
            for start in range(0, len(own), batch_size)
        ]

    def __len__(self) -> int:
        return len(self.orders)

    def __iter__(self) -> Iterator[Order]:
        return iter(self.orders)
