"""Early stopping: a run ends when its validation no longer gets better."""

from __future__ import annotations

import math
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback


class StopEarly(Callback):
    """End after so many validations in a row without a new lowest loss; a loss that is no number is none.

    The lowest loss and the count go into the checkpoint of the run, so that a resumed run ends where an uninterrupted
    one does, also if it was interrupted after its last epoch.

    Args:
        patience: validations, at least 1.
    """

    def __init__(self, patience: int) -> None:
        self.patience, self.lowest, self.waited = patience, math.inf, 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """A resumed run may have ended already."""
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count. The loss is that of all processes, so that they stop together."""
        if trainer.sanity_checking:
            return
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
        else:
            self.waited += 1
        trainer.should_stop = trainer.should_stop or self.waited >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What has been seen so far."""
        return {"lowest": self.lowest, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.lowest, self.waited = float(state_dict["lowest"]), int(state_dict["waited"])
