"""DualHead-Net as its equations read: Chen, Zhou, Wang, Wang, Wang, Li and He, ACM Multimedia 2021.

Sec. 3.3   backbone, one STGC block
Sec. 3.4   a fine head of fewer channels, a coarse one of every second frame
Eq. 8-11   fine to coarse, a number a frame; coarse to fine, a number a joint
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from bonegraph.bench.naive.base import Naive, copied, pooled
from bonegraph.bench.naive.msg3d import Block
from bonegraph.models import dualhead, msg3d


class NaiveDualHead(Naive):
    """The network.

    Args:
        ours: whose weights are copied; with cross attention and subsampling by two.
    """

    def __init__(self, ours: dualhead.DualHead) -> None:
        super().__init__(ours.input_norm, ours.config.people)
        self.backbone = Block(ours.backbone)
        self.embed = copied(ours.embed)
        self.fine, self.coarse = _blocks(ours.fine), _blocks(ours.coarse)
        self.temporal, self.spatial = copied(ours.temporal), copied(ours.spatial)
        self.fine_head, self.coarse_head = copied(ours.fine_head), copied(ours.coarse_head)
        self.share, self.fuse = ours.config.fine_weight, ours.config.fuse

    def logits(self, x: Tensor) -> tuple[Tensor, ...]:
        """Of the fine and of the coarse head."""
        out = self.backbone(self.normalised(x))
        fine, coarse = self.embed(out), out[:, :, ::2].contiguous()
        for index in (0, 1):
            fine = self.fine[index](fine)
            of_frames = self.temporal[index](fine)
            coarse = self.coarse[index](coarse * (1 + of_frames[:, None, :, None]))
            of_joints = self.spatial[index](coarse)
            fine = fine * (1 + of_joints[:, None, None, :])
        return self.fine_head(pooled(fine, len(x))), self.coarse_head(pooled(coarse, len(x)))

    def fused(self, logits: tuple[Tensor, ...]) -> Tensor:
        """Eq. 14, or the mean of the logits as in the released code."""
        fine, coarse = logits
        if self.fuse == "logits":
            return self.share * fine + (1 - self.share) * coarse
        return (
            self.share * functional.softmax(fine, dim=1) + (1 - self.share) * functional.softmax(coarse, dim=1)
        ).log()


def _blocks(ours: nn.ModuleList) -> nn.ModuleList:
    blocks = nn.ModuleList()
    for block in ours:
        assert isinstance(block, msg3d.Block)
        blocks.append(Block(block))
    return blocks
