"""A network that takes time in blocks, equal to the one that takes clips.

Which networks can be taken apart: those in which a frame depends on a bounded number of frames around it. The others
look at the whole clip before they look at a frame (2s-AGCN, CTR-GCN), or have not been taken apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bonegraph.inference.stream import folding
from bonegraph.inference.stream.cells import BranchCell, Cell, GraphCell, JointCell, Memory, Shortcut, linear
from bonegraph.inference.stream.folding import Affine, Matrix
from bonegraph.models.base import ActionModel
from bonegraph.models.baselines import TCN
from bonegraph.models.kth import KTH, PlainUnit, ResidualUnit
from bonegraph.models.stgcn import STGCN, FactorisedUnit, JointUnit, TemporalConvolution
from bonegraph.models.stgcnpp import STGCNpp, TemporalPart, Unit

ADAPTIVE = "its graphs are computed from the whole clip"
REASONS = {"AGCN": ADAPTIVE, "CTRGCN": ADAPTIVE, "DualHead": "its attention looks at the whole clip"}
"""Class name -> why the model has no form in which frames come one by one; the others have none here."""


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
        model: in evaluation mode; its weights are copied, with batch normalisations folded in.

    Attributes:
        stride: S, frames of the input for one of the features.
        latency: frames of the input by which the features lag: those of frame t are there when frame t + latency is.
        lead: hidden frames that go before the first one of a person, so that blocks of S frames end when a frame of the
            features is due.

    Raises:
        ValueError: the model cannot be taken apart; the message says why.
    """

    def __init__(self, model: ActionModel) -> None:
        weight = model.head.weight
        self._low: Callable[[Tensor], Tensor] = lambda value: value.to(weight.dtype).contiguous()
        norm = folding.affine(model.input_norm)  # type: ignore[arg-type]
        self.joints: int = model.skeleton.num_joints  # type: ignore[union-attr, assignment]
        self.norm = Affine(*(self._low(value.view(self.joints, -1)) for value in norm))
        self.cells, self.last = self._cells(model), self._last(model)
        self.channels = int(weight.shape[1])
        self.head = Matrix(weight.detach().t(), model.head.bias.detach())
        self.stride, self.latency = 1, 0
        behind = []  # frames by which the masks of each level are behind those of the input
        for cell in self.cells:
            self.latency += self.stride * cell.latency
            self.stride *= cell.stride
            behind.append(self.latency - self.stride + 1)
        self._behind = behind
        self.lead = (self.stride - 1 - self.latency) % self.stride

    def start(self, rows: int) -> State:
        """The state of people who begin now; `lead` hidden frames come next."""
        seen = self.head.weight.new_zeros(rows, self._behind[-1], dtype=torch.bool)
        return State(tuple(cell.memory(rows) for cell in self.cells), seen)

    def step(
        self, x: Float[Tensor, "r f v c"], visible: Bool[Tensor, "r f v"], state: State
    ) -> tuple[Float[Tensor, "r g d"], Bool[Tensor, "r g"], State]:
        """Take a block of frames; a pure function.

        Args:
            x: F frames, a multiple of S, as the clip network takes them.
            visible: joints that are seen; a frame without any does not count.
            state: what the last step returned.

        Returns:
            Features of F / S frames, each a mean over joints, those of them that count, and the new state.
        """
        frames = x.shape[1]
        x = torch.where(visible[..., None], torch.addcmul(self.norm.shift, x, self.norm.scale), 0)
        counts = torch.cat([state.counts, visible.any(dim=2)], dim=1)
        partial = not bool(counts.all())
        now = self._counts(counts, frames, 0, 1) if partial else None
        memories = []
        stride = 1
        if self.tcn:
            x = x.flatten(2)[:, :, None]
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
        return block if stride == 1 else block.unflatten(1, (-1, stride)).any(dim=2)

    @property
    def tcn(self) -> bool:
        """Whether the joints of a frame are its channels."""
        return isinstance(self.cells[0], JointCell) and self.cells[0].graph is None

    def _cells(self, model: ActionModel) -> list[Cell]:
        if type(model) is STGCN:
            return [self._stgcn(unit, model.graph, stride) for unit, stride in _units(model)]
        if type(model) is KTH:
            return [self._kth(unit, model.graph, stride) for unit, stride in _units(model)]
        if type(model) is STGCNpp:
            return [self._stgcnpp(unit) for unit, _ in _units(model)]
        if type(model) is TCN:
            return [self._joint(unit.convolution, None, unit.norm, unit.residual, stride) for unit, stride in _units(model)]
        name = type(model).__name__
        raise ValueError(f"{name} cannot take frames one by one: {REASONS.get(name, 'it is written for clips')}.")

    def _last(self, model: ActionModel) -> Affine | None:
        norm = model.last_norm if isinstance(model, KTH) else None
        return None if norm is None else self._affine(norm)

    def _affine(self, norm: nn.Module) -> Affine:
        return Affine(*map(self._low, folding.affine(norm)))

    def _matrix(self, matrix: Matrix) -> Matrix:
        return Matrix(*map(self._low, matrix))

    def _shortcut(self, layer: nn.Module | None) -> Shortcut:
        if layer is None or isinstance(layer, nn.Identity):
            return None if layer is None else "identity"
        if isinstance(layer, TemporalConvolution):
            return self._matrix(folding.over_time(layer))
        assert isinstance(layer, nn.Sequential)
        return self._matrix(folding.over_time(layer[0]).then(folding.affine(layer[1])))

    def _stgcn(self, unit: nn.Module, graph: Tensor, stride: int) -> Cell:
        masked = _masked(unit, graph)
        if isinstance(unit, JointUnit):
            return self._joint(unit.convolution.conv, masked, unit.norm, unit.residual, stride)
        assert isinstance(unit, FactorisedUnit)
        return GraphCell(
            self._low(folding.aggregation(masked)),
            self._matrix(folding.within_frame(unit.spatial, masked).then(folding.affine(unit.spatial_norm))),
            self._matrix(folding.over_time(unit.temporal).then(folding.affine(unit.temporal_norm))),
            stride,
            self._shortcut(unit.residual),
        )

    def _joint(
        self, conv: nn.Module, graph: Tensor | None, norm: nn.Module, residual: nn.Module | None, stride: int
    ) -> Cell:
        """The normalisation goes into the weights, since the graph in between sums each channel by itself."""
        assert isinstance(conv, nn.Conv2d)
        change = folding.affine(norm)
        subsets = 1 if graph is None else len(graph)
        weight = folding.over_time(conv).weight * change.scale.repeat(subsets)
        return JointCell(
            self._low(weight),
            None if graph is None else self._low(folding.collection(graph)),
            self._low(change.shift),
            conv.in_channels,
            1 if graph is None else self.joints,
            stride,
            self._shortcut(residual),
        )

    def _kth(self, unit: nn.Module, graph: Tensor, stride: int) -> Cell:
        masked = _masked(unit, graph)
        near = self._low(folding.aggregation(masked))
        if isinstance(unit, ResidualUnit):
            return GraphCell(
                near,
                self._matrix(folding.within_frame(unit.spatial, masked).then(folding.affine(unit.temporal_norm))),
                self._matrix(folding.over_time(unit.temporal)),
                stride,
                self._shortcut(unit.shortcut),
                before=None if unit.spatial_norm is None else self._affine(unit.spatial_norm),
                relu=False,
            )
        assert isinstance(unit, PlainUnit)
        start = None if unit.start_norm is None else folding.affine(unit.start_norm)
        over = folding.over_time(unit.temporal)
        if unit.end_norm is not None and not unit.relu_first:
            over = over.then(folding.affine(unit.end_norm))
        return GraphCell(
            near,
            self._matrix(folding.within_frame(unit.spatial, masked, start)),
            self._matrix(over),
            stride,
            None,
            between=False,
            after=self._affine(unit.end_norm) if unit.end_norm is not None and unit.relu_first else None,
        )

    def _stgcnpp(self, unit: nn.Module) -> Cell:
        assert isinstance(unit, Unit)
        part, time = unit.spatial, unit.temporal
        graph = part.graph.detach()
        into = folding.within_frame(part.convolution, graph).then(folding.affine(part.norm))
        identity = isinstance(part.residual, nn.Identity)
        if not identity:
            assert isinstance(part.residual, nn.Sequential)
            more = folding.over_time(part.residual[0]).then(folding.affine(part.residual[1]))
            into = Matrix(torch.cat([into.weight, more.weight]), into.bias + more.bias)
            graph = torch.cat([graph, torch.eye(graph.shape[1]).to(graph)[None]])
        reduce, branches, pooled = _branches(time)
        return BranchCell(
            self._low(folding.aggregation(graph)),
            self._matrix(into),
            identity,
            self._matrix(reduce),
            [*time.widths, time.plain.out_channels],
            [self._matrix(branch) for branch in branches],
            [conv.dilation[0] for conv in time.dilated],  # type: ignore[index, union-attr]
            Affine(*map(self._low, pooled)),
            self._matrix(folding.over_time(time.merge).then(folding.affine(time.merge_norm))),
            time.stride,
            self._shortcut(unit.residual),
        )


def _units(model: STGCN | KTH | STGCNpp | TCN) -> list[tuple[nn.Module, int]]:
    return list(zip(model.units, model.config.strides, strict=True))


def _masked(unit: nn.Module, graph: Tensor) -> Tensor:
    importance = unit.edge_importance
    return graph if importance is None else graph * importance.detach()


def _branches(part: TemporalPart) -> tuple[Matrix, list[Matrix], Affine]:
    """First convolutions of all branches, the dilated ones, and the normalisation of the pooled one.

    The normalisation behind the branches goes into the dilated and the plain one; a maximum does not let it through.
    """
    scale, shift = folding.affine(part.norm)
    sizes = [*part.widths, part.plain.out_channels]
    changes = [Affine(*pair) for pair in zip(scale.split(sizes), shift.split(sizes), strict=True)]
    *dilated, pooled, plain = changes
    first = folding.over_time(part.reduce).then(folding.affine(part.reduce_norm))
    last = folding.over_time(part.plain).then(plain)
    reduce = Matrix(torch.cat([first.weight, last.weight], dim=1), torch.cat([first.bias, last.bias]))
    convolutions = [folding.over_time(conv).then(change) for conv, change in zip(part.dilated, dilated, strict=True)]
    return reduce, convolutions, pooled
