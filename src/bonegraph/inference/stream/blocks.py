"""The blocks of MS-G3D as cells: their layers folded in float64, then in the type of the network."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from bonegraph.inference import folding
from bonegraph.inference.folding import Affine, Matrix, exact
from bonegraph.inference.stream.g3d import WindowCell
from bonegraph.inference.stream.lowering import Low
from bonegraph.inference.stream.scales import ScalesCell
from bonegraph.inference.stream.stgc import STGCCell
from bonegraph.models import msg3d


def block_cell(block: msg3d.Block, low: Low) -> STGCCell:
    """An STGC block."""
    graph = _graph(block.spatial)
    joints = graph.shape[1]
    return STGCCell(
        low.tensor(folding.aggregation(graph)),
        low.matrix(_weights(block.spatial.conv, block.spatial.norm)),
        _scales(block.temporal, joints, low),
        _scales(block.temporal_again, joints, low, relu=True),
        [_window(window, joints, low) for window in block.windows if isinstance(window, msg3d.G3D)],
        _scales(block.fusion, joints, low),
    )


def _graph(part: msg3d.MultiScaleGCN | msg3d.G3D) -> Tensor:
    """A + A_res."""
    return exact(part.graph) + exact(part.residual_graph)


def _weights(conv: nn.Conv2d, norm: nn.Module) -> Matrix:
    """A 1x1 convolution and the normalisation behind it."""
    return folding.over_time(conv).then(folding.affine(norm))


def _scales(part: msg3d.MultiScaleTCN, joints: int, low: Low, *, relu: bool = False) -> ScalesCell:
    """The normalisation behind the branches goes into all but the pooled one: a maximum does not let it through."""
    scale, shift = (torch.split(value, list(part.parts[:-1])) for value in folding.affine(part.norm))
    behind = [Affine(*pair) for pair in zip(scale, shift, strict=True)]
    convs = [conv for conv in part.convs if isinstance(conv, nn.Conv2d)]
    weight, bias = low.matrix(_weights(part.reduce, part.reduce_norm))
    others = len(bias) - part.parts[-1]  # channels of all branches but the plain one
    return ScalesCell(
        Matrix(weight[:, :others].contiguous(), bias[:others]),
        [low.matrix(folding.over_time(conv).then(change)) for conv, change in zip(convs, behind, strict=False)],
        [conv.dilation[0] for conv in convs],
        low.change(behind[-1]),
        Matrix(weight[:, others:].contiguous(), bias[others:]),
        joints,
        part.stride,
        low.shortcut(part.residual),
        relu=part.relu or relu,
    )


def _window(part: msg3d.G3D, joints: int, low: Low) -> WindowCell:
    weights, graph = _weights(part.conv, part.norm), _graph(part)
    gather_first = part.conv.in_channels < part.conv.out_channels
    if gather_first:
        graph = rearrange(graph, "k s q -> (q k) s")
    else:
        graph = rearrange(graph, "k (j v) q -> q (j v k)", v=joints)
        weights = weights._replace(weight=rearrange(weights.weight, "(k c) d -> c (k d)", k=len(part.graph)))
    assert part.collapse.bias is not None
    change = folding.affine(part.collapse_norm)
    collapse = Matrix(rearrange(exact(part.collapse.weight), "d c 1 i 1 -> (i c) d"), exact(part.collapse.bias))
    return WindowCell(
        low.tensor(graph),
        low.matrix(weights),
        gather_first,
        low.matrix(collapse.then(change)),
        part.window,
        part.dilation,
        joints,
        max(part.stride, part.every),
    )
