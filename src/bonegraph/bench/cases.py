"""Clips that are measured: made up, of the shapes that the field's figures are about."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bonegraph.sample import Batch
from bonegraph.skeleton import Skeleton


@dataclass(frozen=True)
class Case:
    """A batch of clips with room for two people each.

    Args:
        clips: N.
        frames: T.
        alone: clips with one person; the second one's place is zeros.
    """

    clips: int
    frames: int
    alone: int = 0

    PEOPLE = 2

    @property
    def people(self) -> int:
        """How many there are in all clips."""
        return self.clips * self.PEOPLE - self.alone

    def batch(self, skeleton: Skeleton, channels: int, classes: int) -> Batch:
        """The clips; always the same."""
        chance = torch.Generator().manual_seed(0)
        shape = (self.clips, channels, self.frames, skeleton.num_joints, self.PEOPLE)
        visible = torch.ones(self.clips, *shape[2:], dtype=torch.bool)
        visible[: self.alone, ..., 1:] = False
        return Batch(
            positions=torch.randn(shape, generator=chance) * visible[:, None],
            visible=visible,
            labels=torch.randint(classes, (self.clips,), generator=chance),
            clips=torch.arange(self.clips),
            keys=torch.zeros(self.clips, dtype=torch.int64),
        )


CASES = {
    "N1T64": Case(1, 64),
    "N8T64": Case(8, 64),
    "N2T300": Case(2, 300),
    "mix": Case(10, 64, alone=8),
}
"""Clips by name. ``mix`` is what data sets are like in which few actions are between two people."""
