"""A network for answers: parts exchanged for faster ones that compute the same, a few people at once, nobody twice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bonegraph.inference.fast import baselines as fast_baselines
from bonegraph.inference.fast import blocks, branches, own_graphs, units
from bonegraph.inference.fast.convolution import Convolution, documented_operations, folded
from bonegraph.inference.fast.joints import unreached_last
from bonegraph.models import agcn, baselines, ctrgcn, dualhead, kth, msg3d, stgcn, stgcnpp
from bonegraph.models.base import ActionModel, InputNorm, People, check_input, normalise_people

Precision = Literal["fp32", "bf16"]
FRAMES_AT_ONCE = 256
"""Frames of people that go through a network together: their maps fit the caches."""
LENGTHS_KEPT = 16
LARGEST = 1e6
"""Normalised positions, or weights, beyond it go through operations that keep NaN."""

Exchange = Callable[[Any, Tensor], nn.Module]
"""From a part of a network and the network's own graph, if it has one, to the part that takes its place."""
PARTS: dict[type[nn.Module], Exchange] = {
    stgcn.FactorisedUnit: units.FactorisedUnit,
    stgcn.JointUnit: units.JointUnit,
    msg3d.Block: blocks.Block,
    stgcnpp.Unit: branches.STGCNppUnit,
    kth.PlainUnit: units.PlainUnit,
    kth.ResidualUnit: units.ResidualUnit,
    baselines.Unit: fast_baselines.unit,
    ctrgcn.Unit: own_graphs.ChannelwiseUnit,
    agcn.Unit: own_graphs.AdaptiveUnit,
    stgcn.Shortcut: lambda part, graph: units.shortcut(part) or part,
    stgcn.TemporalConvolution: lambda part, graph: folded(part),
}


class _AsIs(nn.Module):
    """In place of an input normalisation: the rows are normalised already."""

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """The same."""
        return x


class _Float32Head(nn.Linear):
    """A linear head in fp32 on features in less."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return super().forward(x.float())


class FastModel(nn.Module):
    """A network that gives the logits of another, sooner. It has no gradients, and weights of its own.

    Each person that is seen goes through the network alone, or with few others. A person who is all zeros and not
    masked, as released networks count them, is computed once for each number of frames and kept.

    Args:
        model: in evaluation mode; it is left as it is, and what happens to it later changes nothing here.
        precision: ``bf16`` is about twice as fast where the processor has it; logits differ by about 1e-3.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes), in the precision of the input normalisation.
    """

    def __init__(self, model: ActionModel, precision: Precision = "fp32") -> None:
        super().__init__()
        network = copy.deepcopy(model).eval().requires_grad_(False)
        config: Any = network.config
        self.config, self.skeleton = config, cast(Any, network).skeleton
        self.people: int = getattr(config, "people", 0)
        self.input_norm = cast(InputNorm, network.input_norm)
        if self.people:  # rows come one by one, normalised
            network.config = replace(config, people=0)
        network.input_norm = _AsIs()
        self.order = _in_another_order(network)
        _exchange(network, next(network.buffers(recurse=False), torch.empty(0)))
        self.network = _in_bf16(network) if precision == "bf16" else network
        self.dtype = torch.bfloat16 if precision == "bf16" else self.input_norm.weight.dtype
        self._tame = all(is_tame(value) for value in self.network.state_dict().values())
        self._nobody: dict[tuple[int, int], Tensor] = {}

    @torch.no_grad()
    def forward(
        self, x: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"] | None = None
    ) -> Float[Tensor, "n classes"]:
        """Logits, as those of the model.

        Raises:
            ValueError: as the model.
        """
        check_input(x, self.config.in_channels, self.skeleton)
        people = self._in_order(normalise_people(self.input_norm, x, visible, self.people))
        with documented_operations(not (self._tame and is_tame(people.rows))):
            found = self._of_people(people) if visible is not None else self._with_nobody(x, people)
        return self._of_clips(found, people)

    def _in_order(self, people: People) -> People:
        """The people with their joints as the network has them."""
        if self.order is None:
            return people
        visible = None if people.visible is None else people.visible[..., self.order]
        return people._replace(rows=people.rows[..., self.order], visible=visible)

    def _with_nobody(self, x: Tensor, people: People) -> Float[Tensor, "r heads classes"]:
        """Logits of each row where absent people are zeros: those of all zeros are looked up."""
        frames = x.shape[2]
        empty = torch.ones(len(people.rows), dtype=torch.bool)
        there = ~(x == 0).flatten(1, 3).all(dim=1)  # n m
        slots = there.shape[1]
        known = people.slot < slots  # the model fills up with nobody
        empty[known] = ~there[people.owner[known], people.slot[known]]
        kinds = people.slot if self.people else torch.zeros_like(people.slot)
        wanted = {(frames, int(kind)) for kind in kinds[empty]}
        for key in sorted(wanted - self._nobody.keys()):
            first = int((empty & (kinds == key[1])).nonzero()[0])
            if len(self._nobody) >= LENGTHS_KEPT:
                self._nobody.pop(next(iter(self._nobody)))
            self._nobody[key] = self._alone(people.rows[first : first + 1], None)
        found = self._of_people(people._replace(rows=people.rows[~empty]))
        result = found.new_empty(len(empty), *found.shape[1:])
        result[~empty] = found
        for key in wanted:
            result[empty & (kinds == key[1])] = self._nobody[key]
        return result

    def _of_people(self, people: People) -> Float[Tensor, "r heads classes"]:
        """Logits of each row, a few rows at a time."""
        rows, seen = people.rows, people.visible
        few = max(1, FRAMES_AT_ONCE // max(1, rows.shape[2]))
        parts = [
            self._alone(rows[start : start + few], None if seen is None else seen[start : start + few])
            for start in range(0, len(rows), few)
        ]
        return torch.cat(parts) if parts else self._of_nobody().expand(0, -1, -1)

    def _alone(self, rows: Float[Tensor, "r c t v"], seen: Tensor | None) -> Float[Tensor, "r heads classes"]:
        """Logits of people as clips of one person each."""
        x, visible = rows.to(self.dtype)[..., None], None if seen is None else seen[..., None]
        if isinstance(self.network, dualhead.DualHead):
            return torch.stack(self.network.logits(x, visible), dim=1)
        logits: Tensor = self.network(x, visible)
        return logits[:, None]

    def _of_nobody(self) -> Float[Tensor, "heads classes"]:
        """Logits of features that are all 0: those of a clip in which nobody is seen at all."""
        heads = [module for module in self.network.children() if isinstance(module, nn.Linear)]
        return torch.stack([head.bias for head in heads])

    def _heads_that_see(self, people: People) -> Float[Tensor, "r heads"]:
        """1 where a person counts for a head: the coarse one of DualHead-Net may take none of the frames it is in."""
        frames, seen = people.frames, people.rows.new_ones(len(people.rows), len(self._of_nobody()))
        if frames is not None and isinstance(self.network, dualhead.DualHead):
            seen[:, 1] = frames[:, :: self.network.config.subsample].any(dim=1)
        return seen

    def _of_clips(self, found: Float[Tensor, "r heads classes"], people: People) -> Float[Tensor, "n classes"]:
        """Linear heads of a mean of features are the mean of the heads."""
        count, seen = people.num_clips, self._heads_that_see(people)[..., None]
        total = found.new_zeros(count, *found.shape[1:]).index_add(0, people.owner, found * seen)
        number = found.new_zeros(count, *seen.shape[1:]).index_add(0, people.owner, seen)
        logits = torch.where(number > 0, total / number.clamp(min=1), self._of_nobody())
        if isinstance(self.network, dualhead.DualHead):
            return self.network.fused(*logits.unbind(dim=1))
        return logits[:, 0]


def fast(model: ActionModel, precision: Precision = "fp32") -> FastModel | ActionModel:
    """The network for answers, or the model itself where nothing is gained: in training, or not on a CPU.

    Args:
        model: left as it is.
        precision: see `FastModel`.

    Example:
        >>> from bonegraph.models import stgcn
        >>> from bonegraph.skeleton import SKELETONS
        >>> model = stgcn.STGCN(stgcn.released("quarter"), SKELETONS["ntu25"], num_classes=60).eval()
        >>> fast(model)(torch.zeros(2, 3, 20, 25, 1)).shape
        torch.Size([2, 60])
    """
    if model.training or any(value.device.type != "cpu" for value in model.parameters()):
        return model
    return FastModel(model, precision)


def is_tame(values: Tensor) -> bool:
    """Whether nothing is NaN, infinite, or so large that it may become so."""
    return values.numel() == 0 or bool(values.abs().amax() <= LARGEST)


def _in_another_order(network: ActionModel) -> Tensor | None:
    """Give a network its joints in the order that its graph convolutions want, where they want one."""
    if not isinstance(network, stgcn.STGCN | kth.KTH):
        return None
    order = unreached_last(network.adjacency)
    network.adjacency = network.adjacency[:, order][:, :, order]
    for unit in network.units:
        importance = unit.edge_importance
        if isinstance(importance, nn.Parameter):
            importance.data = importance[:, order][:, :, order]
    return order


def _exchange(module: nn.Module, graph: Tensor) -> None:
    """Put the faster parts in place, wherever they are in a network."""
    for name, child in module.named_children():
        if type(child) in PARTS:
            child = PARTS[type(child)](child, graph)
            setattr(module, name, child)
        if not isinstance(child, Convolution):
            _exchange(child, graph)


def _in_bf16(network: ActionModel) -> ActionModel:
    """A network in bf16 up to its heads."""
    heads = {name: head for name, head in network.named_children() if isinstance(head, nn.Linear)}
    for name, head in heads.items():
        precise = _Float32Head(head.in_features, head.out_features)
        precise.load_state_dict(head.state_dict())
        heads[name] = precise.requires_grad_(False)
        delattr(network, name)
    network = network.to(torch.bfloat16)
    for name, head in heads.items():
        setattr(network, name, head)
    return network
