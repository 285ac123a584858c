"""The training and validation parts of a split, for Lightning."""

from __future__ import annotations

import lightning
import torch
from torch.utils.data import DataLoader, Sampler

from bonegraph.datasets.clips import Clips, Order, TestOrder, TrainingOrder
from bonegraph.datasets.scarce import Scarce
from bonegraph.datasets.store import Store
from bonegraph.sample import Batch
from bonegraph.transforms.lengths import Length


class ClipData(lightning.LightningDataModule):
    """Training and validation parts of one split.

    Args:
        store: the prepared data.
        split: name of the split.
        length: which frames.
        batch_size: over all processes together.
        people: the most people of a clip, 0 for all.
        seed: of order and augmentation.
        workers: processes that fetch frames.
        scarce: which of the training clips are used.
    """

    def __init__(
        self,
        store: Store,
        split: str,
        length: Length,
        *,
        batch_size: int,
        people: int = 0,
        seed: int = 0,
        workers: int = 0,
        scarce: Scarce = Scarce(),  # noqa: B008 - it cannot change
    ) -> None:
        super().__init__()
        self.clips = Clips(store, length, people, seed)
        self.batch_size, self.seed, self.workers = batch_size, seed, workers
        clips = store.part(split, "train")
        self.training = scarce.draw(clips, store.labels[clips], seed)
        self.validation = store.part(split, "val") if "val" in store.splits[split].parts else self.training[:0]
        if not len(self.training):
            raise ValueError(f"the part 'train' of split '{split}' has no clips in '{store.folder}'.")

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of one epoch."""
        rank, world = self._place()
        return self._loader(TrainingOrder(self.training, self.batch_size, self.seed, rank, world))

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """The part ``val``, if the split has one."""
        if not len(self.validation):
            return []
        rank, world = self._place()
        return self._loader(TestOrder(self.validation, self.batch_size, self.clips.length, rank, world))

    def _place(self) -> tuple[int, int]:
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)

    def _loader(self, order: Sampler[Order]) -> DataLoader[Batch]:
        return DataLoader(
            self.clips,
            sampler=order,
            batch_size=None,
            num_workers=self.workers,
            persistent_workers=False,
            pin_memory=torch.cuda.is_available(),
            multiprocessing_context="spawn" if self.workers else None,
        )
