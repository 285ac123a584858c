"""A mean over the last frames of the features of a person."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Pool(NamedTuple):
    """What was given of a person: the last W frames one by one, or the sum of all where W is 0.

    The mean is computed from these every time. A sum that frames are added to and taken from would drift.

    Attributes:
        window: W.
        values: of each frame that is kept, 0 where it does not count; in float64 if a sum.
        counts: how many frames each stands for.
    """

    window: int
    values: Float[Tensor, "w r d"]
    counts: Float[Tensor, "w r"]

    @classmethod
    def start(cls, window: int, rows: int, like: Float[Tensor, " d"]) -> Pool:
        """Of a person who begins now."""
        values = like.new_zeros(0 if window else 1, rows, len(like), dtype=None if window else torch.float64)
        return cls(window, values, values[..., 0])

    def add(self, features: Float[Tensor, "r g d"], counts: Bool[Tensor, "r g"]) -> Pool:
        """After G more frames."""
        more = counts.t().to(self.counts.dtype)
        values = features.transpose(0, 1) * more[..., None]
        values, more = torch.cat([self.values, values]), torch.cat([self.counts, more])
        if self.window:
            return self._replace(values=values[-self.window :], counts=more[-self.window :])
        return self._replace(values=values.sum(dim=0, keepdim=True), counts=more.sum(dim=0, keepdim=True))

    def mean(self) -> Float[Tensor, " d"] | None:
        """Over the frames of each row, then over the rows, as `bonegraph.features.pool`; None if nothing counts."""
        total = self.counts.sum(dim=0)
        there = int(total.count_nonzero())
        if not there:
            return None
        # Of rows that are not there the sum is 0.
        return (self.values.sum(dim=0) / total.clamp(min=1)[:, None]).sum(dim=0) / there
