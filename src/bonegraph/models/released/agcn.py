"""Public 2s-AGCN weights: the authors' code and what was made with it."""

from __future__ import annotations

import re
from itertools import count

from torch import Tensor

from bonegraph.models.agcn import Config
from bonegraph.models.released.family import Family, Weights
from bonegraph.models.released.stgcn import found, strides_of


def num_layers(weights: Weights) -> int:
    """How many layers ``l1``, ``l2``, ... there are."""
    return next(layer for layer in count() if f"l{layer + 1}.gcn1.PA" not in weights)


def num_joints(weights: Weights) -> int:
    """V, which the learned graphs have.

    Raises:
        ValueError: the graphs are not three square ones.
    """
    graph = found(weights, "l1.gcn1.PA", 3)
    if len(graph) != 3 or graph.shape[1] != graph.shape[2]:
        raise ValueError(f"'l1.gcn1.PA' has the shape {tuple(graph.shape)}, but three square graphs are needed.")
    return graph.shape[2]


def num_people(weights: Weights, in_channels: int) -> int:
    """M, from the input normalisation over M·V·C.

    Raises:
        ValueError: its size is no multiple of V·C.
    """
    features, of_one = len(found(weights, "data_bn.weight", 1)), num_joints(weights) * in_channels
    if features % of_one:
        raise ValueError(
            f"'data_bn.weight' has {features} entries, which is no multiple of {num_joints(weights)} joints with "
            f"{in_channels} channels."
        )
    return features // of_one


def layer_strides(weights: Weights) -> tuple[int, ...]:
    """The temporal stride of each layer."""
    return strides_of([f"l{layer + 1}.residual.conv.weight" in weights for layer in range(num_layers(weights))])


def arrange(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Units counted from 0."""
    return {re.sub(r"^units\.(\d+)", lambda unit: f"units.{int(unit[1]) - 1}", key): ours[key] for key in ours}


LAYER = r"l([1-9]\d*)\."
"""How the keys of a layer start."""

COMMON = (
    (r"data_bn\.(\w+)", r"input_norm.\1"),
    (LAYER + r"gcn1\.bn\.(\w+)", r"units.\1.spatial_norm.\2"),
    (LAYER + r"gcn1\.down\.([01])\.(\w+)", r"units.\1.spatial_residual.\2.\3"),
    (LAYER + r"residual\.conv\.(\w+)", r"units.\1.residual.0.\2"),
    (LAYER + r"residual\.bn\.(\w+)", r"units.\1.residual.1.\2"),
    (r"fc\.(weight|bias)", r"head.\1"),
)
"""Names that 2s-AGCN and its descendants share."""


def _configure(weights: Weights) -> Config:
    layers = range(1, num_layers(weights) + 1)
    in_channels = found(weights, "l1.gcn1.conv_d.0.weight", 4).shape[1]
    return Config(
        in_channels=in_channels,
        widths=tuple(len(found(weights, f"l{layer}.gcn1.conv_d.0.weight", 4)) for layer in layers),
        strides=layer_strides(weights),
        temporal_kernel=found(weights, "l1.tcn1.conv.weight", 4).shape[2],
        people=num_people(weights, in_channels),
    )


AGCN = Family(
    title="2s-AGCN (Shi, Zhang, Cheng and Lu 2019)",
    marks=(
        r"data_bn\.weight",
        r"l1\.gcn1\.PA",
        r"l1\.gcn1\.conv_a\.0\.weight",
        r"l1\.tcn1\.conv\.weight",
        r"fc\.weight",
    ),
    configure=_configure,
    names=(
        *COMMON,
        (LAYER + r"gcn1\.PA", r"units.\1.spatial.learned_graph"),
        (LAYER + r"gcn1\.conv_([ab])\.([0-2])\.(\w+)", r"units.\1.spatial.similarity.embed.\4#\2\3"),
        (LAYER + r"gcn1\.conv_d\.([0-2])\.(\w+)", r"units.\1.spatial.conv.\3#\2"),
        (LAYER + r"tcn1\.conv\.(\w+)", r"units.\1.temporal.\2"),
        (LAYER + r"tcn1\.bn\.(\w+)", r"units.\1.temporal_norm.\2"),
    ),
    head="fc.weight",
    joints=num_joints,
    arrange=arrange,
)
