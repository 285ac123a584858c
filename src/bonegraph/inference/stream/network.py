"""A network that takes time in blocks, equal to the one that takes clips."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bonegraph.inference import folding
from bonegraph.inference.fast.convolution import documented_operations
from bonegraph.inference.fast.network import is_tame
from bonegraph.inference.folding import Affine, Matrix
from bonegraph.inference.stream.cells import JointCell, Memory, linear
from bonegraph.inference.stream.units import cells_of
from bonegraph.models.base import ActionModel, InputNorm
from bonegraph.models.kth import KTH
from bonegraph.models.msg3d import MSG3D
from bonegraph.skeleton import Skeleton


class State(NamedTuple):
    """All that a network knows of R people: tensors whose first axis are the people.

    Attributes:
        memories: of each cell.
        counts: which of the last frames counted.
    """

    memories: tuple[Memory, ...]
    counts: Bool[Tensor, "r h"]

    def tensors(self) -> list[Tensor]:
        """All of them, in one order."""
        return [*(tensor for memory in self.memories for tensor in memory), self.counts]

    def like(self, tensors: list[Tensor]) -> State:
        """A state of the same layout."""
        left = iter(tensors)
        return State(tuple(tuple(next(left) for _ in memory) for memory in self.memories), next(left))


class FrameNetwork:
    """An `ActionModel` that takes time in blocks.

    Args:
        model: in evaluation mode; its weights are copied, with batch normalisations folded in, but for those of
            `local`, which are used as they lie.
        people: rows of a clip that lie together, for networks that normalise each person of a clip in its own way:
            row r is person r modulo ``people``.

    Attributes:
        channels: C of the input.
        stride: S, frames of the input for one of the features.
        latency: frames of the input by which the features lag: those of frame t are there when frame t + latency is.
        lead: hidden frames that go before the first one of a person, so that blocks of S frames end when a frame of the
            features is due.

    Raises:
        ValueError: the model cannot be taken apart, or it normalises fewer people; the message says so.
    """

    def __init__(self, model: ActionModel, people: int = 1) -> None:
        self.cells = cells_of(model)
        weight, norm, skeleton = model.head.weight, model.input_norm, model.skeleton
        assert isinstance(norm, InputNorm) and isinstance(skeleton, Skeleton)
        self.joints = skeleton.num_joints
        slots = model.config.people if isinstance(model, MSG3D) else 0
        if slots and people > slots:
            raise ValueError(
                f"a clip has {people} people, but the network normalises {slots}; set zero_padded to {slots}."
            )
        shape = max(slots, 1), 1, self.joints, -1
        self.norm = Affine(*(value.to(weight).view(shape)[:people] for value in folding.affine(norm)))
        self.channels = self.norm.scale.shape[3]
        last = model.last_norm if isinstance(model, KTH) else None
        self.last = None if last is None else Affine(*(value.to(weight) for value in folding.affine(last)))
        self.head = Matrix(weight.detach().t().clone(), model.head.bias.detach().clone())
        self.stride, self.latency = 1, 0
        behind = []  # frames by which the masks of each level are behind those of the input
        for cell in self.cells:
            self.latency += self.stride * cell.latency
            self.stride *= cell.stride
            behind.append(self.latency - self.stride + 1)
        self._behind = behind
        self._tame = all(is_tame(value) for value in model.state_dict().values())
        self.lead = (self.stride - 1 - self.latency) % self.stride

    def start(self, rows: int) -> State:
        """The state of people who begin now; `lead` hidden frames come next."""
        seen = self.head.weight.new_zeros(rows, self._behind[-1], dtype=torch.bool)
        return State(tuple(cell.memory(rows) for cell in self.cells), seen)

    def step(
        self, x: Float[Tensor, "r f v c"], visible: Bool[Tensor, "r f v"], state: State, masked: bool | None = None
    ) -> tuple[Float[Tensor, "r g d"], Bool[Tensor, "r g"], State]:
        """Take a block of frames; a pure function.

        Args:
            x: F frames, a multiple of S, as the clip network takes them.
            visible: joints that are seen; a frame without any does not count.
            state: what the last step returned.
            masked: whether hidden frames are kept out between units; None looks whether there are any, on which an
                export cannot branch.

        Returns:
            Features of F / S frames, each a mean over joints, those of them that count, and the new state.
        """
        frames = x.shape[1]
        assert frames % self.stride == 0, f"{frames} frames are no multiple of the stride {self.stride}"
        scale, shift = self.norm
        if len(scale) > 1:
            slots = torch.arange(x.shape[0], device=x.device) % len(scale)
            scale, shift = scale[slots], shift[slots]
        x = torch.where(visible[..., None], torch.addcmul(shift, x, scale), 0)
        counts = torch.cat([state.counts, visible.any(dim=2)], dim=1)
        partial = not bool(counts.all()) if masked is None else masked
        now = self._counts(counts, frames, 0, 1) if partial else None
        memories = []
        stride = 1
        if self.tcn:
            x = x.flatten(2)[:, :, None]
        # An export has no values to look at, and is traced with the documented operations anyway.
        with documented_operations(masked is None and not (self._tame and is_tame(x))):
            for cell, memory, behind in zip(self.cells, state.memories, self._behind, strict=True):
                x, memory = cell.step(x, memory, None if now is None else now.to(x.dtype)[:, :, None, None])
                memories.append(memory)
                stride *= cell.stride
                if partial:
                    now = self._counts(counts, frames, behind, stride)
                    x = x * now[:, :, None, None]
        if self.last is not None:
            x = torch.addcmul(self.last.shift, x, self.last.scale).relu_()
            x = x if now is None else x * now[:, :, None, None]
        found = counts.new_ones(x.shape[:2]) if now is None else now
        return x.mean(dim=2), found, State(tuple(memories), counts[:, frames:])

    def logits(self, features: Float[Tensor, "r d"]) -> Float[Tensor, "r classes"]:
        """What the linear layer says."""
        return linear(features, self.head)

    @staticmethod
    def _counts(counts: Bool[Tensor, "r h"], frames: int, behind: int, stride: int) -> Bool[Tensor, "r g"]:
        """Frames that count after some cells: those that stand for at least one that does."""
        end = counts.shape[1] - behind
        block = counts[:, end - frames : end]
        return block if stride == 1 else block.reshape(block.shape[0], -1, stride).any(dim=2)

    @property
    def tcn(self) -> bool:
        """Whether the joints of a frame are its channels."""
        return isinstance(self.cells[0], JointCell) and self.cells[0].graph is None
