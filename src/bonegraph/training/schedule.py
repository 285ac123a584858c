"""The learning rate as a pure function of the step, so that resuming needs no state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Optimizer:
    """How weights follow the gradient.

    Args:
        name: ``sgd`` (with momentum) or ``adam``.
        lr: the highest learning rate, for the whole batch.
        momentum: of SGD.
        nesterov: of SGD.
        weight_decay: on every weight.
        schedule: ``step`` multiplies by ``factor`` at each milestone, ``cosine`` falls to 0 over the run, ``constant``.
        milestones: epochs, counted from 0, from which on the next factor holds.
        factor: of each milestone.
        warmup_epochs: the rate grows linearly over these epochs; fractions are allowed.
        clip_norm: largest norm of the gradient, 0 for no limit.
        label_smoothing: share of the label that is spread over all classes.

    Raises:
        ValueError: a number out of range.
    """

    name: Literal["sgd", "adam"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-4
    schedule: Literal["step", "cosine", "constant"] = "cosine"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup_epochs: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise ValueError(f"lr must be above 0, got {self.lr}.")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must grow, got {self.milestones}.")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing}.")
        for field in ("momentum", "weight_decay", "warmup_epochs", "clip_norm"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must be at least 0, got {getattr(self, field)}.")

    def rate(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """Learning rate of an optimizer step.

        Args:
            step: counted from 0 over the whole run.
            steps_per_epoch: at least 1.
            epochs: length of the run.
        """
        epoch = step / steps_per_epoch
        rate = self.lr
        if self.schedule == "step":
            rate *= self.factor ** sum(epoch >= milestone for milestone in self.milestones)
        if self.schedule == "cosine":
            rate *= (1 + math.cos(math.pi * min(1.0, epoch / epochs))) / 2
        if epoch < self.warmup_epochs:
            rate *= (step + 1) / (self.warmup_epochs * steps_per_epoch)
        return min(rate, self.lr)
