"""What a run keeps on disk while it trains: checkpoints that are whole or absent, and one row of curves an epoch."""

from __future__ import annotations

import csv
import io
import pickle
import statistics
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, Checkpoint

from bonegraph.files import write_whole, writing
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.training.task import Task

# The last one is empty but where a run was asked to watch the test part.
_MEASURED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_accuracy")
COLUMNS = ("epoch", "step", "lr", *_MEASURED, "seconds", "processes", "clips_per_s")


class WholeFiles(TorchCheckpointIO):
    """Checkpoints appear under their name only when they are complete, and load without executing code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write to memory, then to a temporary name, then rename."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(Path(path), buffer.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read one.

        Raises:
            ValueError: it is damaged.
        """
        try:
            loaded: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            raise ValueError(f"'{path}' is damaged; delete it and the run starts again from the beginning.") from None
        return loaded


class KeepLast(Checkpoint):
    """After every epoch: everything that is needed to go on.

    Args:
        path: the file, replaced every time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save."""
        trainer.save_checkpoint(self.path)


class KeepBest(Callback):
    """The weights with the best validation accuracy, as a checkpoint that recognises. Of equal ones the first.

    Args:
        path: the file.
        meaning: goes into the checkpoint.
    """

    def __init__(self, path: Path, meaning: Meaning) -> None:
        self.path, self.meaning, self.best = path, meaning, -1.0

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Save if this is the best so far."""
        accuracy = float(trainer.callback_metrics.get("val_accuracy", -1.0))
        if trainer.sanity_checking or accuracy <= self.best:
            return
        self.best = accuracy
        if trainer.is_global_zero:
            assert isinstance(pl_module, Task)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with writing(self.path):
                save_checkpoint(self.path, pl_module.model, self.meaning)

    def state_dict(self) -> dict[str, Any]:
        """The best accuracy goes into the checkpoint of the run."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.best = float(state_dict["best"])


class Curves(Callback):
    """``metrics.csv``: one row an epoch; after a resume, rows of repeated epochs are replaced.

    ``seconds`` are those of the whole epoch, ``clips_per_s`` what one of the processes trained on in the time until the
    last batch.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.started, self.validated = path, 0.0, False
        self.clips, self.trained = 0, 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.started, self.validated, self.clips = time.monotonic(), False, 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count."""
        self.clips += len(batch)
        self.trained = time.monotonic()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """This epoch has a validation; in others Lightning repeats the numbers of the last one."""
        self.validated = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add a row."""
        metrics = trainer.callback_metrics  # asked for by every process, because it gathers from all of them
        if not trainer.is_global_zero:
            return
        known = [name for name in COLUMNS if name in metrics and (self.validated or not name.startswith("val"))]
        row = {
            **{name: f"{float(metrics[name]):.6g}" for name in known},
            "epoch": str(trainer.current_epoch),
            "step": str(trainer.global_step),
            "lr": f"{trainer.optimizers[0].param_groups[0]['lr']:.6g}",
            "seconds": f"{time.monotonic() - self.started:.3f}",
            "processes": str(trainer.world_size),
            "clips_per_s": f"{self.clips / max(self.trained - self.started, 1e-6):.4g}",
        }
        rows = [old for old in read_curves(self.path) if int(old["epoch"]) < trainer.current_epoch]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, row])
        write_whole(self.path, text.getvalue().encode())


def read_curves(path: Path) -> list[dict[str, str]]:
    """Rows of a ``metrics.csv``; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def throughput(path: Path) -> tuple[int, float] | None:
    """Processes of the last epoch of a ``metrics.csv``, and the median of the clips that each trained on in a second.

    Returns:
        None where nobody counted, as in files of before.
    """
    rows = read_curves(path)
    processes = rows[-1].get("processes") if rows else None
    if not processes:
        return None
    rates = [float(row["clips_per_s"]) for row in rows if row.get("processes") == processes]
    return int(processes), statistics.median(rates)
