"""Batch: clips as models take them. The one place where people become the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """N clips of T frames, V joints and at most M people.

    Args:
        positions: coordinates, 0 where invisible; after the transforms the input of the model.
        visible: which joint of whom is seen in which frame.
        labels: class numbers, -1 where unknown.
        clips: row of each clip in its store.
        keys: random keys of the clips (see `bonegraph.seeding`); the augmentation is a function of them.
        confidence: of the pose estimator, where there is one.
    """

    positions: Float[Tensor, "n c t v m"]
    visible: Bool[Tensor, "n t v m"]
    labels: Int[Tensor, " n"]
    clips: Int[Tensor, " n"]
    keys: Int[Tensor, " n"]
    confidence: Float[Tensor, "n t v m"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def with_positions(self, positions: Tensor) -> Batch:
        """The same clips with other coordinates or channels."""
        return replace(self, positions=positions)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device."""
        moved = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, torch.Tensor)
        }
        return replace(self, **moved)

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, called by the data loader before a copy to a GPU."""
        pinned = {name: value.pin_memory() for name, value in vars(self).items() if isinstance(value, torch.Tensor)}
        return replace(self, **pinned)


def join(batches: Sequence[Batch]) -> Batch:
    """Batches of one shape as one.

    Args:
        batches: at least one; with a confidence each, or none of them.
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    joined = {
        name: torch.cat([getattr(batch, name) for batch in batches])
        for name, value in vars(first).items()
        if isinstance(value, torch.Tensor)
    }
    return replace(first, **joined)
