"""What every model has in common: features on the graph, masked pooling, a linear head, a loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Branch, Features, pool
from bonegraph.sample import Batch
from bonegraph.skeleton import Skeleton


class People(NamedTuple):
    """The people of a batch as rows; nobody pays for a person who is not there.

    Attributes:
        rows: R people, all M of every clip, or only the present ones.
        owner: the clip of each row.
        slot: which of the M people of the clip it is.
        visible: joints seen, None where nothing is masked.
        num_clips: N.
    """

    rows: Float[Tensor, "r c t v"]
    owner: Int[Tensor, " r"]
    slot: Int[Tensor, " r"]
    visible: Bool[Tensor, "r t v"] | None
    num_clips: int

    @property
    def frames(self) -> Bool[Tensor, "r t"] | None:
        """Frames in which a person is seen at all, None where nothing is masked."""
        return None if self.visible is None else self.visible.any(dim=2)


def linear_head(width: int, num_classes: int) -> nn.Linear:
    """The last layer of a network: from pooled features to logits.

    Raises:
        ValueError: there is no class.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}.")
    return nn.Linear(width, num_classes)


def check_input(x: Tensor, channels: int, skeleton: Skeleton) -> None:
    """See that an input has the channels and joints of a network.

    Raises:
        ValueError: it has others.
    """
    if x.shape[1] != channels or x.shape[3] != skeleton.num_joints:
        raise ValueError(
            f"the input has {x.shape[1]} channels and {x.shape[3]} joints, but the network takes {channels} channels "
            f"and the {skeleton.num_joints} joints of '{skeleton.name}'."
        )


def people_as_rows(x: Tensor, visible: Tensor | None, *, training: bool = False) -> People:
    """(N, C, T, V, M) to rows of people. With a mask, people who are never seen are left out.

    What torch compiles or exports for evaluation keeps them, because it cannot ask its data; the mask keeps them out of
    the result. In training they would count in the statistics of batch normalisations.

    Raises:
        ValueError: mask and input disagree in shape.
    """
    count, _, frames, joints, people = x.shape
    rows = rearrange(x, "n c t v m -> (n m) c t v")
    # Not repeat_interleave, which torch exports to ONNX wrongly for a free M.
    owner = torch.arange(count, device=x.device)[:, None].expand(count, people).reshape(-1)
    slot = torch.arange(people, device=x.device)[None].expand(count, people).reshape(-1)
    if visible is None:
        return People(rows, owner, slot, None, count)
    if visible.shape != (count, frames, joints, people):
        raise ValueError(f"visible has shape {tuple(visible.shape)}, but x needs {(count, frames, joints, people)}.")
    seen = rearrange(visible, "n t v m -> (n m) t v")
    if torch.compiler.is_compiling() and not training:
        return People(rows, owner, slot, seen, count)
    present = seen.flatten(1).any(dim=1)
    if present.all():
        return People(rows, owner, slot, seen, count)
    if not present.any():
        present = torch.ones_like(present)  # nobody in the whole batch: the masks below keep them out of the result
    return People(rows[present], owner[present], slot[present], seen[present], count)


class InputNorm(nn.BatchNorm1d):
    """Batch normalisation of the input over V·C, for any number of people.

    With a mask, the statistics count visible entries only and what is invisible becomes 0.
    """

    def __init__(self, num_joints: int, channels: int) -> None:
        super().__init__(num_joints * channels)

    def forward(self, x: Float[Tensor, "r c t v"], visible: Bool[Tensor, "r t v"] | None = None) -> Tensor:
        """Normalise each channel of each joint."""
        _, channels, _, joints = x.shape
        flat = rearrange(x, "r c t v -> r (v c) t")
        if visible is None:
            flat = super().forward(flat)
            return rearrange(flat, "r (v c) t -> r c t v", v=joints, c=channels)
        mask = rearrange(visible, "r t v -> r v t").repeat_interleave(channels, dim=1)
        flat = torch.where(mask, flat, 0)
        if self.training:
            count = mask.sum(dim=(0, 2))
            mean = flat.sum(dim=(0, 2)) / count.clamp(min=1)
            square = torch.where(mask, flat - mean[:, None], 0).square().sum(dim=(0, 2))
            variance = square / count.clamp(min=1)
            self._track(mean.detach(), (square / (count - 1).clamp(min=1)).detach(), count > 1)
        else:
            assert self.running_mean is not None and self.running_var is not None
            mean, variance = self.running_mean, self.running_var
        scale = self.weight / (variance + self.eps).sqrt()
        flat = torch.where(mask, flat * scale[:, None] + (self.bias - mean * scale)[:, None], 0)
        return rearrange(flat, "r (v c) t -> r c t v", v=joints, c=channels)

    def _track(self, mean: Tensor, variance: Tensor, measured: Tensor) -> None:
        """Running statistics as torch keeps them; a joint that nobody shows in this batch keeps its own."""
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        momentum = 0.1 if self.momentum is None else self.momentum
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            for running, new in ((self.running_mean, mean), (self.running_var, variance)):
                running.copy_(torch.where(measured, running + momentum * (new - running), running))


def normalise_people(norm: InputNorm, x: Tensor, visible: Tensor | None, people: int) -> People:
    """Input normalisation, then people as rows.

    Args:
        norm: over V·C, or over M·V·C where ``people`` says so.
        x: (N, C, T, V, M).
        visible: (N, T, V, M) or None.
        people: 0 for a norm over V·C, which takes any number of people; M for one over M·V·C, as released networks
            have it, which takes clips of at most M people and fills up with nobody.

    Raises:
        ValueError: more people than the norm knows.
    """
    if not people:
        found = people_as_rows(x, visible, training=norm.training)
        return found._replace(rows=norm(found.rows, found.visible))
    if x.shape[4] > people:
        raise ValueError(
            f"the input has {x.shape[4]} people, but the network normalises {people}; set people to {people}, or train "
            "with model.people 0, which takes any number."
        )
    missing = people - x.shape[4]
    x = functional.pad(x, (0, missing))
    if visible is not None:
        visible = functional.pad(visible, (0, missing))
        mask = rearrange(visible, "n t v m -> n t (m v)")
    joints = x.shape[3]
    rows = norm(rearrange(x, "n c t v m -> n c t (m v)"), None if visible is None else mask)
    return people_as_rows(rearrange(rows, "n c t (m v) -> n c t v m", v=joints), visible, training=norm.training)


@contextmanager
def kept_statistics(model: nn.Module) -> Iterator[None]:
    """Passes in here leave the running statistics of batch normalisations as they are."""
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None if norm.num_batches_tracked is None else norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


class Loss(NamedTuple):
    """What a training step needs: the loss to minimise and the logits, for the accuracy."""

    total: Float[Tensor, ""]
    logits: Float[Tensor, "n classes"]


class ActionModel(nn.Module):
    """A model that ends in pooling and a linear head.

    Subclasses give `stages`, or `branches` where they have several heads; objectives such as the focus losses need
    nothing but `branches`.
    """

    head: nn.Linear

    def stages(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Iterator[Features]:
        """Feature maps after each block, the lowest first.

        Raises:
            TypeError: the model has several heads; its `branches` have stages.
        """
        raise TypeError(f"{type(self).__name__} has no stages of a single head; take those of its branches.")

    def features(self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None) -> Features:
        """Feature maps before pooling: those of the last stage, without keeping the others."""
        for found in self.stages(x, visible):
            last = found
        return last

    def branches(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> tuple[Branch, ...]:
        """What leads to each linear layer; most models have one."""
        return (Branch(tuple(self.stages(x, visible)), self.head),)

    def forward(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Float[Tensor, "n classes"]:
        """Logits. ``visible`` None is the behaviour of the released code, where absent people are zeros."""
        logits: Tensor = self.head(pool(self.features(x, visible)))
        return logits

    def loss(self, batch: Batch, label_smoothing: float = 0.0) -> Loss:
        """Cross-entropy of a batch."""
        return self.loss_of((self(batch.positions, batch.visible),), batch.labels, label_smoothing)

    def loss_of(
        self, logits: tuple[Float[Tensor, "n classes"], ...], labels: Int[Tensor, " n"], label_smoothing: float = 0.0
    ) -> Loss:
        """The loss from the logits of all branches, for objectives that need the branches anyway."""
        (one,) = logits
        return Loss(functional.cross_entropy(one, labels, label_smoothing=label_smoothing), one)
