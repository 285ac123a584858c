"""Watching the test part while training, which decides nothing.

Published figures are often those of the epoch that happened to be best on the test part. To show how much that habit
gives away, a run can measure it; nothing is chosen by it, and the weights are the same as without.
"""

from __future__ import annotations

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from bonegraph.datasets.clips import Clips, TestOrder
from bonegraph.training.task import Task
from bonegraph.transforms.pipeline import apply


class WatchTest(Callback):
    """After every epoch: top-1 on the test part, as ``test_accuracy``.

    Args:
        fetch: fetches the batches.
        clips: (N,) numbers of the test clips.
        batch_size: clips at once.
    """

    def __init__(self, fetch: Clips, clips: NDArray[np.int64], batch_size: int) -> None:
        self.fetch, self.clips, self.batch_size = fetch, clips, batch_size

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Measure, with the weights of this epoch."""
        assert isinstance(pl_module, Task)
        modes = {module: module.training for module in pl_module.modules()}
        pl_module.eval()
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            right = self._right(trainer, pl_module)
        for module, mode in modes.items():
            module.training = mode
        # every process has its share of the clips
        pl_module.log("test_accuracy", right / len(self.clips), on_epoch=True, sync_dist=True, reduce_fx="sum")

    def _right(self, trainer: lightning.Trainer, task: Task) -> int:
        """How many clips of this process are right, on the mean over their test offsets."""
        order = TestOrder(self.clips, self.batch_size, self.fetch.length, trainer.global_rank, trainer.world_size)
        total: dict[int, NDArray[np.float64]] = {}
        for chosen in order:
            batch = trainer.precision_plugin.convert_input(self.fetch[chosen].to(task.device))
            ready = apply(task.settings.transforms, batch, task.skeleton, training=False)
            shares = torch.softmax(task.model(ready.positions, ready.visible).double(), dim=1).cpu().numpy()
            for clip, row in zip(chosen.clips.tolist(), shares, strict=True):
                total[clip] = total.get(clip, 0) + row
        labels = self.fetch.store.labels
        return sum(int(row.argmax() == labels[clip]) for clip, row in total.items())
