"""Public ST-GCN weights: the authors' code (st-gcn), and mmskeleton, which kept its names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from torch import Tensor

from bonegraph.graph import Strategy
from bonegraph.models.released.family import Family, Weights
from bonegraph.models.stgcn import Config

_STRATEGIES: dict[int, Strategy] = {1: "uniform", 2: "distance", 3: "spatial-released"}
"""Number of subsets -> the partition that the authors used."""


def found(weights: Weights, key: str, axes: int) -> Tensor:
    """A weight that a network of this kind has.

    Raises:
        ValueError: it is not there, is empty, or has another number of axes.
    """
    if key not in weights:
        raise ValueError(f"there is no weight '{key}'; the file is damaged or of another network.")
    weight = weights[key]
    if weight.ndim != axes or not weight.numel():
        raise ValueError(f"'{key}' has the shape {tuple(weight.shape)}, but {axes} axes are needed.")
    return weight


def num_units(weights: Weights, key: str) -> int:
    """How many units have a weight; ``{}`` in its key stands for their numbers 0, 1, ..."""
    return next(unit for unit in count() if key.format(unit) not in weights)


def strides_of(shortcuts: Sequence[bool]) -> tuple[int, ...]:
    """The temporal stride of each unit, which is not among the weights.

    A residual connection has weights where the shape changes; there, the released networks halve the frames.
    """
    return tuple(2 if shortcut else 1 for shortcut in shortcuts)


def released_config(
    graph: Tensor,
    spatial: Sequence[Tensor],
    temporal: Sequence[Tensor],
    shortcuts: Sequence[bool],
    edge_importance: bool,
) -> Config:
    """The configuration of released ST-GCN weights.

    No file says on which partition it was trained. The matrix lies among the weights and replaces the one that the
    configuration makes, which therefore only needs its shape: K = 1, 2 and 3 stand for the partitions of the authors,
    more for a partition by distance with D = K - 1.

    Args:
        graph: (K, V, V).
        spatial: weight of the graph convolution of each unit, (K·D, C, 1, 1).
        temporal: weight of the temporal convolution of each unit, (D, D, Γ, 1).
        shortcuts: whether the residual connection of each unit has weights.
        edge_importance: whether there are masks.

    Raises:
        ValueError: the shapes fit no ST-GCN.
    """
    subsets, widths = len(graph), tuple(map(len, temporal))
    if not widths or [len(weight) for weight in spatial] != [subsets * width for width in widths]:
        raise ValueError(
            f"graph convolutions of {[len(weight) for weight in spatial]} channels, {subsets} subsets and units of "
            f"{list(widths)} channels make no ST-GCN."
        )
    return Config(
        in_channels=spatial[0].shape[1],
        widths=widths,
        strides=strides_of(shortcuts),
        temporal_kernel=temporal[0].shape[2],
        strategy=_STRATEGIES.get(subsets, "distance"),
        max_hop=1 if subsets in _STRATEGIES else subsets - 1,
        normalisation="released",
        edge_importance=edge_importance,
        dropout=0.5,
    )


def _configure(weights: Weights) -> Config:
    units = range(num_units(weights, "st_gcn_networks.{}.gcn.conv.weight"))
    return released_config(
        found(weights, "A", 3),
        [found(weights, f"st_gcn_networks.{unit}.gcn.conv.weight", 4) for unit in units],
        [found(weights, f"st_gcn_networks.{unit}.tcn.2.weight", 4) for unit in units],
        [f"st_gcn_networks.{unit}.residual.0.weight" in weights for unit in units],
        edge_importance="edge_importance.0" in weights,
    )


def _arrange(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """The last layer is a 1x1 convolution there."""
    if "head.weight" not in ours:
        return ours
    return {**ours, "head.weight": ours["head.weight"].flatten(1)}


STGCN = Family(
    title="ST-GCN (Yan, Xiong and Lin 2018): st-gcn and mmskeleton",
    marks=(r"A", r"st_gcn_networks\.0\.gcn\.conv\.weight", r"fcn\.weight"),
    configure=_configure,
    names=(
        (r"A", r"adjacency"),
        (r"data_bn\.(\w+)", r"input_norm.\1"),
        (r"edge_importance\.(\d+)", r"units.\1.edge_importance"),
        (r"st_gcn_networks\.(\d+)\.gcn\.conv\.(\w+)", r"units.\1.spatial.conv.\2"),
        (r"st_gcn_networks\.(\d+)\.tcn\.0\.(\w+)", r"units.\1.spatial_norm.\2"),
        (r"st_gcn_networks\.(\d+)\.tcn\.2\.(\w+)", r"units.\1.temporal.\2"),
        (r"st_gcn_networks\.(\d+)\.tcn\.3\.(\w+)", r"units.\1.temporal_norm.\2"),
        (r"st_gcn_networks\.(\d+)\.residual\.([01])\.(\w+)", r"units.\1.residual.\2.\3"),
        (r"fcn\.(weight|bias)", r"head.\1"),
    ),
    head="fcn.weight",
    joints=lambda weights: found(weights, "A", 3).shape[1],
    arrange=_arrange,
)
