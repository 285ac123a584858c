"""What we change in Lightning."""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace
from typing import Any

import lightning
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.plugins.precision import DoublePrecision

from bonegraph.sample import Batch


class Bar(TQDMProgressBar):
    """The progress bar without the version of the logger, which says nothing here."""

    def get_metrics(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> Any:
        """Loss and accuracy."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}


class Double(DoublePrecision):
    """Float64 for our batches, which are frozen, so that Lightning cannot change them itself."""

    def convert_input(self, data: Any) -> Any:
        """A batch with positions in float64."""
        return replace(data, positions=data.positions.double()) if isinstance(data, Batch) else data


def slurm() -> list[SLURMEnvironment]:
    """SLURM, where it started us, without what Lightning does there on SIGUSR1.

    That is a checkpoint within an epoch, preferred ever after to later ones of whole epochs, and a job put back into
    the queue; our runs go on from whole epochs when the same command is given again, by whomever.

    Raises:
        RuntimeError: SLURM was told of tasks in a way that Lightning does not take.
    """
    if TorchElasticEnvironment.detect() or not SLURMEnvironment.detect():
        return []
    return [SLURMEnvironment(auto_requeue=False)]


class quiet(warnings.catch_warnings):
    """Lightning's advice that does not hold here: our loader needs no workers, our folder is meant to be there."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        for message in (
            ".*does not have many workers.*",
            ".*exists and is not empty.*",
            ".*no `val_dataloader`.*",
            ".*You defined a `validation_step` but have no.*",
            ".*Starting from v1.9.0.*",
            ".*GPU available but not used.*",
            ".*treespec.*",
            ".*isinstance.*LeafSpec.*",
            ".*Grad strides do not match bucket view strides.*",
        ):
            warnings.filterwarnings("ignore", message=message)
        for part in ("pytorch", "fabric"):
            logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
        return entered
