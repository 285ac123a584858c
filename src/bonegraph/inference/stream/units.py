"""The units of each network as cells: their layers folded in float64, then in the type of the network."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from bonegraph.inference import folding
from bonegraph.inference.folding import Affine, Matrix
from bonegraph.inference.stream.blocks import block_cell
from bonegraph.inference.stream.cells import BranchCell, Cell, GraphCell, JointCell
from bonegraph.inference.stream.local import LocalCell, Targets
from bonegraph.inference.stream.lowering import Low, one_by_one
from bonegraph.models import baselines, kth, msg3d, stgcn, stgcnpp
from bonegraph.models.base import ActionModel

FRAME_BY_FRAME = (stgcn.STGCN, stgcnpp.STGCNpp, kth.KTH, baselines.TCN, baselines.Local, msg3d.MSG3D)
REASONS = {
    "AGCN": "its graphs are computed from the whole clip",
    "CTRGCN": "its graphs are computed from the whole clip",
    "DualHead": "its attention looks at the whole clip",
    "STF": "its graphs are computed from the whole clip",
}
"""Class name -> why frames cannot come one by one."""


def obstacle_of(model: ActionModel) -> str:
    """Why a model cannot take frames one by one, as a part of a sentence; empty if it can."""
    if type(model) in FRAME_BY_FRAME:
        return ""
    name = type(model).__name__
    return f"{name} takes whole clips" + (f": {REASONS[name]}" if name in REASONS else "")


def cells_of(model: ActionModel) -> list[Cell]:
    """The units of a network.

    Raises:
        ValueError: it takes whole clips; the message says why.
    """
    if not isinstance(model, FRAME_BY_FRAME) or obstacle_of(model):
        raise ValueError(f"frames cannot come one by one: {obstacle_of(model)}; slide a window over them.")
    low = Low(model.head.weight.dtype)
    if isinstance(model, msg3d.MSG3D):
        return [block_cell(block, low) for block in model.blocks if isinstance(block, msg3d.Block)]
    return [_cell(unit, model, stride, low) for unit, stride in zip(model.units, model.config.strides, strict=True)]


def _cell(unit: nn.Module, model: nn.Module, stride: int, low: Low) -> Cell:
    if isinstance(unit, stgcnpp.Unit):
        return _branches(unit, low)
    if isinstance(unit, baselines.Unit) and isinstance(unit.convolution, baselines.LocalConvolution):
        return _local(unit, unit.convolution, low)
    if isinstance(unit, baselines.Unit):
        return _joint(unit.convolution, None, unit.norm, unit.residual, stride, low)
    graph = model.adjacency
    assert isinstance(graph, Tensor)
    if isinstance(unit, stgcn.JointUnit):
        return _joint(unit.convolution.conv, _masked(graph, unit), unit.norm, unit.residual, stride, low)
    if isinstance(unit, stgcn.FactorisedUnit):
        return _factorised(unit, _masked(graph, unit), stride, low)
    if isinstance(unit, kth.ResidualUnit):
        return _residual(unit, _masked(graph, unit), stride, low)
    assert isinstance(unit, kth.PlainUnit)
    return _plain(unit, _masked(graph, unit), stride, low)


def _masked(graph: Tensor, unit: stgcn.JointUnit | stgcn.FactorisedUnit | kth.PlainUnit | kth.ResidualUnit) -> Tensor:
    return graph if unit.edge_importance is None else graph * unit.edge_importance.detach()


def _factorised(unit: stgcn.FactorisedUnit, graph: Tensor, stride: int, low: Low) -> Cell:
    return GraphCell(
        low.tensor(folding.aggregation(graph)),
        low.matrix(folding.within_frame(unit.spatial, graph).then(folding.affine(unit.spatial_norm))),
        low.matrix(folding.over_time(unit.temporal).then(folding.affine(unit.temporal_norm))),
        stride,
        low.shortcut(unit.residual),
    )


def _joint(
    conv: nn.Module, graph: Tensor | None, norm: nn.Module, residual: nn.Module | None, stride: int, low: Low
) -> Cell:
    """The normalisation scales the weights, since the graph behind them sums each channel by itself."""
    assert isinstance(conv, nn.Conv2d)
    change = folding.affine(norm)
    subsets, joints = (1, 1) if graph is None else graph.shape[:2]
    return JointCell(
        low.tensor(folding.over_time(conv).weight * change.scale.repeat(subsets)),
        None if graph is None else low.tensor(folding.collection(graph)),
        low.tensor(change.shift),
        conv.in_channels,
        joints,
        stride,
        low.shortcut(residual),
    )


def _local(unit: baselines.Unit, conv: baselines.LocalConvolution, low: Low) -> Cell:
    """Weights stay where they are, by edges; those of a joint lie together."""
    weight, targets, edge = conv.weight.detach(), [], 0
    for neighbours, joints in conv.groups:
        some = slice(edge, edge + neighbours * joints)
        sources = torch.tensor([source for source, _ in conv.edges[some]], device=weight.device)
        targets.append(Targets(sources, rearrange(weight[some], "(g n) k c d -> g (n k c) d", n=neighbours)))
        edge += neighbours * joints
    return LocalCell(
        targets,
        conv.places.clone(),
        low.change(folding.affine(unit.norm)),
        conv.kernel,
        weight.shape[2],
        conv.stride,
        low.shortcut(unit.residual),
    )


def _residual(unit: kth.ResidualUnit, graph: Tensor, stride: int, low: Low) -> Cell:
    return GraphCell(
        low.tensor(folding.aggregation(graph)),
        low.matrix(folding.within_frame(unit.spatial, graph).then(folding.affine(unit.temporal_norm))),
        low.matrix(folding.over_time(unit.temporal)),
        stride,
        low.shortcut(unit.shortcut),
        before=low.affine(unit.spatial_norm),
        relu=False,
    )


def _plain(unit: kth.PlainUnit, graph: Tensor, stride: int, low: Low) -> Cell:
    start = None if unit.start_norm is None else folding.affine(unit.start_norm)
    over = folding.over_time(unit.temporal)
    if unit.end_norm is not None and not unit.relu_first:
        over = over.then(folding.affine(unit.end_norm))
    return GraphCell(
        low.tensor(folding.aggregation(graph)),
        low.matrix(folding.within_frame(unit.spatial, graph, start)),
        low.matrix(over),
        stride,
        None,
        between=False,
        after=low.affine(unit.end_norm) if unit.relu_first else None,
    )


def _branches(unit: stgcnpp.Unit, low: Low) -> Cell:
    """The normalisation behind the branches goes into all but the pooled one: a maximum does not let it through."""
    part, time = unit.spatial, unit.temporal
    graph = part.graph.detach()
    into = folding.within_frame(part.convolution, graph).then(folding.affine(part.norm))
    identity = isinstance(part.residual, nn.Identity)
    if not identity:  # one more subset, in which every joint is its own neighbour
        more = one_by_one(part.residual)
        into = Matrix(torch.cat([into.weight, more.weight]), into.bias + more.bias)
        graph = torch.cat([graph, torch.eye(graph.shape[1]).to(graph)[None]])
    widths = [*time.widths, time.plain.out_channels]
    scale, shift = folding.affine(time.norm)
    behind = [Affine(*pair) for pair in zip(torch.split(scale, widths), torch.split(shift, widths), strict=True)]
    first = folding.over_time(time.reduce).then(folding.affine(time.reduce_norm))
    plain = folding.over_time(time.plain).then(behind[-1])
    convolutions = [conv for conv in time.dilated if isinstance(conv, nn.Conv2d)]
    return BranchCell(
        low.tensor(folding.aggregation(graph)),
        low.matrix(into),
        identity,
        low.matrix(Matrix(torch.cat([first.weight, plain.weight], dim=1), torch.cat([first.bias, plain.bias]))),
        widths,
        [low.matrix(folding.over_time(conv).then(one)) for conv, one in zip(convolutions, behind, strict=False)],
        [conv.dilation[0] for conv in convolutions],
        low.change(behind[-2]),
        low.matrix(folding.over_time(time.merge).then(folding.affine(time.merge_norm))),
        time.stride,
        low.shortcut(unit.residual),
    )
