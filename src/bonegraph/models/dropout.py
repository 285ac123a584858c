"""Dropout whose masks cost less on a CPU than those of torch, which draws for each number on its own.

A byte decides, and one draw of 64 bits is eight bytes. Where 256 p is no whole number, one value of the byte is left in
between, and another draw decides, so that the probability is p.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BYTES = 8


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, with another stream of random numbers where the input is on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Zero each number with probability p, and scale what is left."""
        if not (self.training and 0 < self.p < 1 and x.device.type == "cpu"):
            return super().forward(x)
        kept = keep(x.numel(), 1 - self.p).to(x.dtype)
        # In the order in which x lies in memory, so that the product goes straight through both.
        return (x * torch.as_strided(kept, x.shape, _dense(x))).mul_(1 / (1 - self.p))


def keep(count: int, probability: float) -> Tensor:
    """Booleans that are true with a probability, drawn from torch's generator."""
    words = torch.empty(-(-count // _BYTES), dtype=torch.int64)
    drawn = words.random_(torch.iinfo(torch.int64).min, None).view(torch.uint8)[:count]
    whole, rest = divmod(probability * 256, 1)
    kept = drawn < int(whole)
    if rest:
        undecided = (drawn == int(whole)).nonzero()[:, 0]
        kept[undecided] = torch.rand(len(undecided)) < rest
    return kept


def _dense(x: Tensor) -> tuple[int, ...]:
    """Strides of a tensor without gaps whose dimensions lie in memory in the order of those of x."""
    return torch.empty_like(x).stride()
