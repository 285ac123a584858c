"""DualHead-Net: *Learning Multi-Granular Spatio-Temporal Graph Network for Skeleton-based Action Recognition*.

Chen, Zhou, Wang, Wang, Wang, Li and He, ACM Multimedia 2021. Built of the parts of MS-G3D.

    Sec. 3.3    backbone: one STGC block                         ``backbone``
    Sec. 3.4    coarse and fine head, simplified blocks          ``coarse``, ``fine``
    Eq. 8, 9    temporal attention, fine to coarse               `TemporalAttention`
    Eq. 10, 11  spatial attention, coarse to fine                `SpatialAttention`
    Eq. 12-14   two linear layers, fused scores                  ``fine_head``, ``coarse_head``, `DualHead.forward`
    Sec. 3.6    two cross-entropies                              `DualHead.loss`

Axes: N clips, C channels, T frames, V joints, M people, R people as rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Branch, Features, every, hide, hides, over_joints, pool, resample
from bonegraph.graph import Floats
from bonegraph.models.base import ActionModel, InputNorm, Loss, check_input, linear_head, normalise_people
from bonegraph.models.layout import channels_last, every_frame
from bonegraph.models.msg3d import Block, Frames, Paths, check_paths
from bonegraph.models.stgcn import DIVISOR, Width, initialise
from bonegraph.sample import Batch
from bonegraph.second_order.mode import above
from bonegraph.skeleton import Skeleton

Attention = Literal["cross", "self", "none"]
ATTENTION_KERNEL = 9  # frames that a temporal attention looks at


@dataclass(frozen=True)
class Config:
    """Every choice of a DualHead-Net.

    Args:
        in_channels: C of the input.
        widths: channels of the backbone and of the two coarse blocks.
        fine_reduction: the fine head has so many times fewer channels (Table 5).
        subsample: the coarse head takes every so-manieth frame (Table 7).
        gcn_scales: K of the factorised paths, the identity among them.
        g3d_scales: K of the G3D paths.
        windows: τ of the G3D paths of backbone and fine head.
        coarse_windows: τ of the G3D paths of the coarse head (Table 6).
        dilations: of the temporal convolutions of backbone and fine head.
        coarse_dilations: of those of the coarse head.
        temporal_attention: over frames of the coarse head: ``cross`` from the fine head, ``self`` from the coarse head
            itself (Table 8), or ``none``.
        spatial_attention: over joints of the fine head: ``cross`` from the coarse head, ``self`` or ``none``.
        fine_weight: λ, the share of the fine head in the prediction.
        fuse: ``probabilities`` is the text's Eq. 14, ``logits`` the released code.
        people: M that the input normalisation counts; 0 normalises all people alike and takes any number.

    Raises:
        ValueError: numbers that fit no network.
    """

    in_channels: int = 3
    widths: tuple[int, int, int] = (96, 192, 384)
    fine_reduction: int = 2
    subsample: int = 2
    gcn_scales: int = 9
    g3d_scales: int = 6
    windows: tuple[int, ...] = (3, 5)
    coarse_windows: tuple[int, ...] = (3,)
    dilations: tuple[int, ...] = (1, 2, 3, 4)
    coarse_dilations: tuple[int, ...] = (1, 2)
    temporal_attention: Attention = "cross"
    spatial_attention: Attention = "cross"
    fine_weight: float = 0.5
    fuse: Literal["probabilities", "logits"] = "probabilities"
    people: int = 0

    def __post_init__(self) -> None:
        if min(self.fine_reduction, self.subsample, self.gcn_scales, self.g3d_scales) < 1 or self.people < 0:
            raise ValueError(
                f"fine_reduction {self.fine_reduction}, subsample {self.subsample}, gcn_scales {self.gcn_scales} and "
                f"g3d_scales {self.g3d_scales} must be at least 1, people {self.people} at least 0."
            )
        if any(width % self.fine_reduction for width in self.widths):
            raise ValueError(f"widths {self.widths} cannot all be divided by fine_reduction {self.fine_reduction}.")
        check_paths(self.in_channels, self.widths, self.coarse_windows, self.coarse_dilations)
        check_paths(self.in_channels, (self.widths[0], *self.fine_widths), self.windows, self.dilations)
        if not 0 <= self.fine_weight <= 1:
            raise ValueError(f"fine_weight must be between 0 and 1, got {self.fine_weight}.")

    @property
    def fine_widths(self) -> tuple[int, ...]:
        """Channels of the fine head: embedded, after its first and after its second block."""
        return tuple(width // self.fine_reduction for width in self.widths)


def paper(width: Width = "full", in_channels: int = 3) -> Config:
    """The network of the text: mean of the probabilities, input normalised for two people."""
    return Config(in_channels=in_channels, widths=_widths(width), people=2)


def released(width: Width = "full", in_channels: int = 3) -> Config:
    """The network of the authors' code, which averages logits."""
    return Config(in_channels=in_channels, widths=_widths(width), people=2, fuse="logits")


def best(width: Width = "full", in_channels: int = 3) -> Config:
    """What we recommend: the text's for any number of people."""
    return Config(in_channels=in_channels, widths=_widths(width))


def _widths(width: Width) -> tuple[int, int, int]:
    base = 96 // DIVISOR[width]
    return base, 2 * base, 4 * base


class TemporalAttention(nn.Conv1d):
    """Eq. 8: a = σ(conv(mean over joints)), one number a frame. From zeros, so that it starts as 1/2 everywhere."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1, ATTENTION_KERNEL, padding=ATTENTION_KERNEL // 2)

    def forward(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r t"]:
        """Attention of the frames; those that do not count are zero already."""
        return super().forward(over_joints(x).mT).sigmoid()[:, 0]


class SpatialAttention(nn.Conv1d):
    """Eq. 10: a = σ(conv over the joints(mean over frames)), one number a joint. From zeros, too."""

    def __init__(self, channels: int, num_joints: int) -> None:
        kernel = num_joints if num_joints % 2 else num_joints - 1
        super().__init__(channels, 1, kernel, padding=kernel // 2)

    def forward(self, x: Float[Tensor, "r c t v"], frames: Frames | None = None) -> Float[Tensor, "r v"]:
        """Attention of the joints; frames that do not count are zero already, and left out of the mean."""
        total = x.permute(0, 2, 3, 1).sum(dim=1).mT
        mean = total / x.shape[2] if frames is None else total / frames.sum(dim=1).clamp(min=1)[:, None, None]
        return super().forward(mean).sigmoid()[:, 0]


class Attentions(NamedTuple):
    """What the heads tell each other, once before each coarse block and once after it; none where there is none.

    Attributes:
        temporal: of the frames of the coarse head, (R, frames).
        spatial: of the joints of the fine head, (R, V).
        steps: frames of the input between two frames of each temporal attention.
        owner: the clip of each row.
    """

    temporal: list[Tensor]
    spatial: list[Tensor]
    steps: list[int]
    owner: Tensor


class DualHead(ActionModel):
    """The network: an STGC block, then a fine and a coarse head that attend to each other.

    Args:
        config: `paper`, `released`, `best` or your own.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: not used; every model takes them.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N and T; any M, or at most ``config.people``.

    Raises:
        ValueError: the input has other joints or channels than the network, or more people than it normalises.

    Departs from the paper:
        where both heads have unlike lengths (subsampling 1 or 4), which the text leaves open, the temporal attention is
        interpolated linearly between the times of its frames.
    """

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        scales = skeleton, config.gcn_scales, config.g3d_scales
        fine_paths = Paths(*scales, config.windows, 1, config.dilations)
        coarse_paths = Paths(*scales, config.coarse_windows, 1, config.coarse_dilations)
        coarse, fine = config.widths, config.fine_widths
        self.input_norm = InputNorm(max(config.people, 1) * skeleton.num_joints, config.in_channels)
        self.backbone = Block(config.in_channels, coarse[0], 1, fine_paths, first=True)
        self.embed = nn.Conv2d(coarse[0], fine[0], 1)
        self.fine = nn.ModuleList(Block(fine[i], fine[i + 1], 2, fine_paths, first=False) for i in (0, 1))
        self.coarse = nn.ModuleList(Block(coarse[i], coarse[i + 1], 2, coarse_paths, first=False) for i in (0, 1))
        sources = {"cross": fine[1:], "self": coarse[:2], "none": ()}[config.temporal_attention]
        self.temporal = nn.ModuleList(map(TemporalAttention, sources))
        sources = {"cross": coarse[1:], "self": fine[1:], "none": ()}[config.spatial_attention]
        self.spatial = nn.ModuleList(SpatialAttention(channels, skeleton.num_joints) for channels in sources)
        self.fine_head = linear_head(fine[2], num_classes)
        self.coarse_head = linear_head(coarse[2], num_classes)
        initialise(self)
        for attention in (*self.temporal, *self.spatial):
            for value in attention.parameters():
                nn.init.zeros_(value)

    def branches(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> tuple[Branch, ...]:
        """The fine and the coarse head, each from the backbone to its linear layer."""
        fine, coarse = zip(*self._stages(x, visible), strict=True)
        return Branch(fine, self.fine_head), Branch(coarse, self.coarse_head)

    def attentions(self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None) -> Attentions:
        """What the heads tell each other about a batch."""
        told = Attentions([], [], [], torch.empty(0))
        for fine, _ in self._stages(x, visible, told):
            told = told._replace(owner=fine.owner)
        return told

    def logits(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> tuple[Float[Tensor, "n classes"], Float[Tensor, "n classes"]]:
        """Logits of the fine and of the coarse head (Eq. 12, 13 before the softmax)."""
        for pair in self._stages(x, visible):
            fine, coarse = pair
        return self.fine_head(pool(fine)), self.coarse_head(pool(coarse))

    def forward(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Float[Tensor, "n classes"]:
        """Eq. 14. For ``probabilities`` the logarithm of the fused ones, whose softmax they are."""
        return self.fused(*self.logits(x, visible))

    def loss(self, batch: Batch, label_smoothing: float = 0.0) -> Loss:
        """Mean of the cross-entropies of the two heads."""
        return self.loss_of(self.logits(batch.positions, batch.visible), batch.labels, label_smoothing)

    def loss_of(
        self, logits: tuple[Float[Tensor, "n classes"], ...], labels: Int[Tensor, " n"], label_smoothing: float = 0.0
    ) -> Loss:
        """Mean of the cross-entropies of the two heads."""
        fine, coarse = (functional.cross_entropy(one, labels, label_smoothing=label_smoothing) for one in logits)
        return Loss((fine + coarse) / 2, self.fused(*logits))

    def fused(self, fine: Float[Tensor, "n classes"], coarse: Float[Tensor, "n classes"]) -> Float[Tensor, "n classes"]:
        """Eq. 14 from the logits of both heads."""
        share = self.config.fine_weight
        if self.config.fuse == "logits":
            return share * fine + (1 - share) * coarse
        parts = [
            logits.log_softmax(dim=1) + (math.log(weight) if weight else -math.inf)
            for logits, weight in ((fine, share), (coarse, 1 - share))
        ]
        return torch.logaddexp(*parts)

    def _stages(
        self, x: Tensor, visible: Tensor | None, told: Attentions | None = None
    ) -> Iterator[tuple[Features, Features]]:
        """Maps of the fine and of the coarse head: the backbone's, then after each block and its attention."""
        check_input(x, self.config.in_channels, self.skeleton)
        people = normalise_people(self.input_norm, x, visible, self.config.people)
        seen = people.frames
        frames = seen if hides(seen) else None  # None where nothing is hidden

        def found(maps: Tensor, frames: Tensor | None, step: int) -> Features:
            if frames is None and seen is not None:
                frames = seen.new_ones(maps.shape[0], maps.shape[2])
            return Features(maps, people.owner, people.slot, frames, people.num_clips, step)

        out = self.backbone(people.rows.contiguous(memory_format=torch.channels_last), frames)
        yield found(out, frames, 1), found(out, frames, 1)
        step = self.config.subsample
        coarse = channels_last(every_frame(out, step))
        fine = hide(self.embed(out), frames)
        coarse_frames = None if frames is None else frames[:, ::step]
        told = told or Attentions([], [], [], people.owner)
        for index in (0, 1):
            with above(index - 2):
                fine = self.fine[index](fine, frames)
            frames = None if frames is None else every(frames, 2)
            coarse = self._attend_frames(index, fine, frames, coarse, told)
            with above(index - 2):
                coarse = self.coarse[index](coarse, coarse_frames)
            coarse_frames = None if coarse_frames is None else every(coarse_frames, 2)
            fine = self._attend_joints(index, fine, frames, coarse, coarse_frames, told)
            yield found(fine, frames, 2 ** (index + 1)), found(coarse, coarse_frames, step * 2 ** (index + 1))

    def _attend_frames(
        self, index: int, fine: Tensor, fine_frames: Tensor | None, coarse: Tensor, told: Attentions
    ) -> Tensor:
        """Eq. 9: coarse features, re-weighted frame by frame."""
        if not len(self.temporal):
            return coarse
        if self.config.temporal_attention == "self":
            attention = self.temporal[index](coarse)
        else:
            step = self.config.subsample / 2
            attention = self.temporal[index](fine)
            if step != 1:
                attention = resample(attention, step, coarse.shape[2], fine_frames)
        told.temporal.append(attention)
        told.steps.append(self.config.subsample * 2**index)
        attended: Tensor = coarse * (1 + attention[:, None, :, None])
        return attended

    def _attend_joints(
        self,
        index: int,
        fine: Tensor,
        fine_frames: Tensor | None,
        coarse: Tensor,
        coarse_frames: Tensor | None,
        told: Attentions,
    ) -> Tensor:
        """Eq. 11: fine features, re-weighted joint by joint."""
        if not len(self.spatial):
            return fine
        source = (fine, fine_frames) if self.config.spatial_attention == "self" else (coarse, coarse_frames)
        attention = self.spatial[index](*source)
        told.spatial.append(attention)
        attended: Tensor = fine * (1 + attention[:, None, None, :])
        return attended
