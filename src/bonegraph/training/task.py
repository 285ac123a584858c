"""One training step, as Lightning wants it."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from torch import Tensor

from bonegraph.features import pool
from bonegraph.models.base import ActionModel, Loss, kept_statistics
from bonegraph.models.checkpoint import RENAMED
from bonegraph.models.start import HEADS
from bonegraph.objectives.stf import focus_loss
from bonegraph.sample import Batch
from bonegraph.seeding import mix
from bonegraph.skeleton import Skeleton
from bonegraph.training.settings import Settings
from bonegraph.transforms.pipeline import apply


class Task(lightning.LightningModule):
    """A model under training.

    Nothing here has a state of its own: the learning rate is a function of the step, dropout of (seed, step, process),
    augmentation of (seed, epoch, clip id). So a run resumes exactly from weights, optimizer and step alone.

    Args:
        model: any model of the package.
        settings: of the run.
        skeleton: of the data.
    """

    def __init__(self, model: ActionModel, settings: Settings, skeleton: Skeleton) -> None:
        super().__init__()
        self.model, self.settings, self.skeleton = model, settings, skeleton
        if settings.train == "head":
            for name, value in model.named_parameters():
                value.requires_grad_(name.startswith(HEADS))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let a run go on that stopped when some tensors had other names."""
        weights = checkpoint["state_dict"]
        for before, now in RENAMED.items():
            if f"model.{before}" in weights:
                weights[f"model.{now}"] = weights.pop(f"model.{before}")

    def on_train_epoch_start(self) -> None:
        """Nothing before the linear layers changes where these alone learn, running statistics neither."""
        if self.settings.train == "head":
            self.model.eval()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate and the random numbers of this step."""
        steps = int(self.trainer.num_training_batches)
        rate = self.settings.optimizer.rate(self.global_step, steps, self.settings.epochs)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate
        torch.manual_seed(int(mix(self.settings.seed, "step", self.global_step, self.global_rank)) >> 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a batch."""
        batch = apply(self.settings.transforms, batch, self.skeleton, training=True)
        total, logits = self._loss(batch) if self.settings.focus.any else self.model.loss(batch, self._smoothing)
        self._log("train", batch, total.detach(), logits.detach())
        return total

    @property
    def _smoothing(self) -> float:
        return self.settings.optimizer.label_smoothing

    def _loss(self, batch: Batch) -> Loss:
        """The model's own loss and those on its focus, of the same pass (STF, Eq. 6)."""
        x, visible, wanted = batch.positions, batch.visible, self.settings.focus
        with wanted.passes():
            branches = self.model.branches(x, visible)
            own = self.model.loss_of(
                tuple(branch.head(pool(branch.stages[-1])) for branch in branches), batch.labels, self._smoothing
            )
            with kept_statistics(self.model):
                found = focus_loss(wanted, branches, self.model.branches, x, visible)
        for name, loss in found.items():
            self.log(
                f"train_{name}", loss.detach(), on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch)
            )
        return own._replace(total=own.total + sum(getattr(wanted, name) * loss for name, loss in found.items()))

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Loss and accuracy of a batch that is not trained on."""
        batch = apply(self.settings.transforms, batch, self.skeleton, training=False)
        total, logits = self.model.loss(batch)
        self._log("val", batch, total, logits)

    def _log(self, part: str, batch: Batch, loss: Tensor, logits: Tensor) -> None:
        right = (logits.argmax(dim=1) == batch.labels).float().mean()
        for name, value in (("loss", loss), ("accuracy", right)):
            self.log(
                f"{part}_{name}",
                value,
                on_step=False,
                on_epoch=True,
                prog_bar=True,
                sync_dist=True,
                batch_size=len(batch),
            )

    def configure_optimizers(self) -> Any:
        """SGD or Adam; the rate is set before each step."""
        chosen = self.settings.optimizer
        learning = [value for value in self.parameters() if value.requires_grad]
        if chosen.name == "adam":
            return torch.optim.Adam(learning, lr=chosen.lr, weight_decay=chosen.weight_decay)
        return torch.optim.SGD(
            learning,
            lr=chosen.lr,
            momentum=chosen.momentum,
            nesterov=chosen.nesterov and chosen.momentum > 0,
            weight_decay=chosen.weight_decay,
        )
