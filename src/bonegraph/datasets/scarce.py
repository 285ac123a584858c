"""Few training clips: a share of them, drawn at random, to see what a method is worth where data are scarce."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.seeding import mix, permutation


@dataclass(frozen=True)
class Scarce:
    """Which of the training clips are used.

    Args:
        share: of the clips, in (0, 1].
        stratified: whether each class keeps its share, at least one clip, instead of what chance leaves it.

    Raises:
        ValueError: the share is out of range.
    """

    share: float = 1.0
    stratified: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"scarce.share must be above 0 and at most 1, got {self.share}.")

    def draw(self, clips: NDArray[np.int64], labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """The clips that are kept, in their order; the same seed keeps the same, and a larger share more of them.

        Args:
            clips: (N,) numbers of the training clips.
            labels: (N,) their classes.
            seed: of the run.
        """
        if self.share == 1:
            return clips
        order = permutation(mix(seed, "scarce").item(), len(clips))
        groups = [order[labels[order] == label] for label in np.unique(labels)] if self.stratified else [order]
        kept = np.concatenate([group[: max(1, round(self.share * len(group)))] for group in groups])
        drawn: NDArray[np.int64] = clips[np.sort(kept)]
        return drawn
