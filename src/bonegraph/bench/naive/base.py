"""What naive networks have in common: their input norm, their pooling, their loss."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.models.base import InputNorm, Loss
from bonegraph.sample import Batch

Module = TypeVar("Module", bound=nn.Module)


class Naive(nn.Module):
    """A network that pools over frames, joints and all M people, whether they are there or not.

    Args:
        norm: of our network, over V·C, or over M·V·C where ``people`` says so.
        people: M of the norm, or 0.
    """

    def __init__(self, norm: InputNorm, people: int) -> None:
        super().__init__()
        self.people = people
        self.input_norm = nn.BatchNorm1d(norm.num_features)
        self.input_norm.load_state_dict(norm.state_dict())

    def logits(self, x: Float[Tensor, "n c t v m"]) -> tuple[Float[Tensor, "n classes"], ...]:
        """Of every head."""
        raise NotImplementedError

    def fused(self, logits: tuple[Float[Tensor, "n classes"], ...]) -> Float[Tensor, "n classes"]:
        """The answer of all heads."""
        (one,) = logits
        return one

    def forward(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Float[Tensor, "n classes"]:
        """Logits. Nothing is made of the mask."""
        return self.fused(self.logits(x))

    def loss(self, batch: Batch) -> Loss:
        """Mean cross-entropy of the heads."""
        logits = self.logits(batch.positions)
        total = sum((functional.cross_entropy(one, batch.labels) for one in logits), batch.positions.new_zeros(()))
        return Loss(total / len(logits), self.fused(logits))

    def normalised(self, x: Float[Tensor, "n c t v m"]) -> Float[Tensor, "r c t v"]:
        """People as rows, all of them."""
        clips, channels, frames, joints, people = x.shape
        rows = clips if self.people else clips * people
        flat = x.permute(0, 4, 3, 1, 2).reshape(rows, -1, frames)
        normed: Tensor = self.input_norm(flat)
        return normed.view(clips * people, joints, channels, frames).permute(0, 2, 3, 1).contiguous()


def pooled(maps: Float[Tensor, "r c t v"], clips: int) -> Float[Tensor, "n c"]:
    """Mean over frames, joints and people."""
    return maps.view(clips, -1, *maps.shape[1:]).mean(dim=(3, 4)).mean(dim=1)


def copied(module: Module) -> Module:
    """A module of ours with weights of its own, in the memory format that torch makes by default."""
    made: Module = copy.deepcopy(module).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return made
