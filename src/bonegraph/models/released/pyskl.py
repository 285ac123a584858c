"""Public weights of the OpenMMLab family, PYSKL and MMAction2: ST-GCN and ST-GCN++.

Both name the network ``backbone`` and the last layer ``cls_head``; the layer is ``fc_cls`` in PYSKL and ``fc`` in
MMAction2. A caller may have stripped ``backbone.``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bonegraph.models import stgcn, stgcnpp
from bonegraph.models.released.family import Family, Weights
from bonegraph.models.released.stgcn import found, num_units, released_config, strides_of

_UNIT = r"(?:backbone\.)?gcn\.(\d+)\."
_FIRST = r"(?:backbone\.)?gcn\.0\."
_HEAD = r"cls_head\.(?:fc_cls|fc)\.(weight|bias)"
_COMMON = (
    (r"(?:backbone\.)?data_bn\.(\w+)", r"input_norm.\1"),
    (_UNIT + r"residual\.conv\.(\w+)", r"units.\1.residual.0.\2"),
    (_UNIT + r"residual\.bn\.(\w+)", r"units.\1.residual.1.\2"),
    (_HEAD, r"head.\1"),
)


def _bare(weights: Weights) -> dict[str, Tensor]:
    """Without the prefix."""
    return {key.removeprefix("backbone."): value for key, value in weights.items()}


def _joints(weights: Weights) -> int:
    return found(_bare(weights), "gcn.0.gcn.A", 3).shape[1]


def _check_norm(weights: Weights, channels: int) -> None:
    """See that the input norm is over V·C, as in all public files.

    Raises:
        ValueError: it is over M·V·C.
    """
    joints, size = _joints(weights), len(found(weights, "data_bn.weight", 1))
    if size != joints * channels:
        raise ValueError(
            f"the input norm has {size} numbers, but {joints} joints of {channels} channels make {joints * channels}; "
            "networks of data_bn_type 'MVC' cannot be read."
        )


# --- ST-GCN -----------------------------------------------------------------------------------------------------------


def _configure_stgcn(weights: Weights) -> stgcn.Config:
    weights = _bare(weights)
    units = range(num_units(weights, "gcn.{}.gcn.conv.weight"))
    if any(key.startswith("gcn.0.gcn.down.") for key in weights):
        raise ValueError("this ST-GCN has a residual inside its spatial part (gcn.0.gcn.down), which ours has not.")
    config = released_config(
        found(weights, "gcn.0.gcn.A", 3),
        [found(weights, f"gcn.{unit}.gcn.conv.weight", 4) for unit in units],
        [found(weights, f"gcn.{unit}.tcn.conv.weight", 4) for unit in units],
        [f"gcn.{unit}.residual.conv.weight" in weights for unit in units],
        edge_importance=True,
    )
    _check_norm(weights, config.in_channels)
    return config


def _one_graph(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """From a graph and a mask PA per unit to one graph and a mask per unit, which is what our ST-GCN has.

    Where the units differ in their graphs, or learn them freely (there is no PA), the graph becomes all ones and each
    mask the whole matrix of its unit; the function is the same.
    """
    graphs = {name.removesuffix(".graph"): ours[name] for name in ours if name.endswith(".graph")}
    rest = {name: value for name, value in ours.items() if not name.endswith(".graph")}
    masks = {unit: rest.get(f"{unit}.edge_importance") for unit in graphs}
    if not graphs:
        return rest
    first = next(iter(graphs.values()))
    if all(mask is not None for mask in masks.values()) and all(torch.equal(first, a) for a in graphs.values()):
        return {**rest, "adjacency": first}
    for unit, graph in graphs.items():
        mask = masks[unit]
        rest[f"{unit}.edge_importance"] = graph if mask is None else graph * mask
    return {**rest, "adjacency": torch.ones_like(first)}


STGCN = Family(
    title="ST-GCN (Yan, Xiong and Lin 2018): PYSKL and MMAction2",
    marks=(_FIRST + r"gcn\.A", _FIRST + r"gcn\.conv\.weight", _FIRST + r"tcn\.conv\.weight", _HEAD),
    configure=_configure_stgcn,
    names=(
        *_COMMON,
        (_UNIT + r"gcn\.A", r"units.\1.graph"),
        (_UNIT + r"gcn\.PA", r"units.\1.edge_importance"),
        (_UNIT + r"gcn\.conv\.(\w+)", r"units.\1.spatial.conv.\2"),
        (_UNIT + r"gcn\.bn\.(\w+)", r"units.\1.spatial_norm.\2"),
        (_UNIT + r"tcn\.conv\.(\w+)", r"units.\1.temporal.\2"),
        (_UNIT + r"tcn\.bn\.(\w+)", r"units.\1.temporal_norm.\2"),
    ),
    head=_HEAD.replace("(weight|bias)", "weight"),
    joints=_joints,
    arrange=_one_graph,
)


# --- ST-GCN++ ---------------------------------------------------------------------------------------------------------


def _configure_stgcnpp(weights: Weights) -> stgcnpp.Config:
    """The dilations are not among the weights; they are 1, 2, ... in all public files."""
    weights = _bare(weights)
    units = range(num_units(weights, "gcn.{}.gcn.conv.weight"))
    dilated = num_units(weights, "gcn.0.tcn.branches.{}.3.conv.weight")
    ends = (f"gcn.0.tcn.branches.{dilated}.0.weight", f"gcn.0.tcn.branches.{dilated + 1}.weight")
    if "gcn.0.gcn.PA" in weights or "gcn.0.gcn.down.0.weight" not in weights or any(key not in weights for key in ends):
        raise ValueError(
            "this is no ST-GCN++ as published: graphs without a mask PA, a residual (down) in the spatial part, and "
            "dilated branches before one max-pool and one 1x1 branch are needed."
        )
    config = stgcnpp.Config(
        in_channels=found(weights, "gcn.0.gcn.conv.weight", 4).shape[1],
        widths=tuple(len(found(weights, f"gcn.{unit}.gcn.bn.weight", 1)) for unit in units),
        strides=strides_of([f"gcn.{unit}.residual.conv.weight" in weights for unit in units]),
        temporal_kernel=found(weights, "gcn.0.tcn.branches.0.3.conv.weight", 4).shape[2] if dilated else 3,
        dilations=tuple(range(1, dilated + 1)),
        strategy="spatial-hops",
    )
    _check_norm(weights, config.in_channels)
    return config


STGCNPP = Family(
    title="ST-GCN++ (Duan et al. 2022): PYSKL and MMAction2",
    marks=(_FIRST + r"gcn\.A", _FIRST + r"gcn\.conv\.weight", _FIRST + r"tcn\.transform\.2\.weight", _HEAD),
    configure=_configure_stgcnpp,
    names=(
        *_COMMON,
        (_UNIT + r"gcn\.A", r"units.\1.spatial.graph"),
        (_UNIT + r"gcn\.conv\.(\w+)", r"units.\1.spatial.convolution.conv.\2"),
        (_UNIT + r"gcn\.bn\.(\w+)", r"units.\1.spatial.norm.\2"),
        (_UNIT + r"gcn\.down\.([01])\.(\w+)", r"units.\1.spatial.residual.\2.\3"),
        (_UNIT + r"tcn\.branches\.(\d+)\.0\.(\w+)", r"units.\1.temporal.reduce.\3#\2"),
        (_UNIT + r"tcn\.branches\.(\d+)\.1\.(\w+)", r"units.\1.temporal.reduce_norm.\3#\2"),
        (_UNIT + r"tcn\.branches\.(\d+)\.3\.conv\.(\w+)", r"units.\1.temporal.dilated.\2.\3"),
        (_UNIT + r"tcn\.branches\.\d+\.(weight|bias)", r"units.\1.temporal.plain.\2"),
        (_UNIT + r"tcn\.transform\.0\.(\w+)", r"units.\1.temporal.norm.\2"),
        (_UNIT + r"tcn\.transform\.2\.(\w+)", r"units.\1.temporal.merge.\2"),
        (_UNIT + r"tcn\.bn\.(\w+)", r"units.\1.temporal.merge_norm.\2"),
    ),
    head=_HEAD.replace("(weight|bias)", "weight"),
    joints=_joints,
)
