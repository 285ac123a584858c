"""Public CTR-GCN weights: the authors' code and what was made with it."""

from __future__ import annotations

from torch import Tensor

from bonegraph.models.ctrgcn import Config
from bonegraph.models.released.agcn import COMMON, LAYER, arrange, layer_strides, num_joints, num_layers, num_people
from bonegraph.models.released.family import Family, Weights
from bonegraph.models.released.stgcn import found


def _configure(weights: Weights) -> Config:
    layers = range(1, num_layers(weights) + 1)
    in_channels = found(weights, "l1.gcn1.convs.0.conv3.weight", 4).shape[1]
    return Config(
        in_channels=in_channels,
        widths=tuple(len(found(weights, f"l{layer}.gcn1.convs.0.conv3.weight", 4)) for layer in layers),
        strides=layer_strides(weights),
        temporal_kernel=found(weights, "l1.tcn1.branches.0.3.conv.weight", 4).shape[2],
        people=num_people(weights, in_channels),
    )


def _arrange(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """The released graphs are [target, source]."""
    arranged = arrange(ours)
    for key, value in arranged.items():
        if key.endswith("refinement.graph") and value.ndim == 3:
            arranged[key] = value.transpose(1, 2)
    return arranged


CTRGCN = Family(
    title="CTR-GCN (Chen, Zhang, Yuan, Li, Deng and Hu 2021)",
    marks=(
        r"data_bn\.weight",
        r"l1\.gcn1\.PA",
        r"l1\.gcn1\.convs\.0\.conv3\.weight",
        r"l1\.tcn1\.branches\.0\.3\.conv\.weight",
        r"fc\.weight",
    ),
    configure=_configure,
    names=(
        *COMMON,
        (LAYER + r"gcn1\.PA", r"units.\1.spatial.refinement.graph"),
        (LAYER + r"gcn1\.alpha", r"units.\1.spatial.refinement.alpha"),
        (LAYER + r"gcn1\.convs\.([0-2])\.conv([12])\.(\w+)", r"units.\1.spatial.refinement.compare.\4#\3\2"),
        (LAYER + r"gcn1\.convs\.([0-2])\.conv3\.(\w+)", r"units.\1.spatial.conv.\3#\2"),
        (LAYER + r"gcn1\.convs\.([0-2])\.conv4\.(\w+)", r"units.\1.spatial.refinement.expand.\3#\2"),
        (LAYER + r"tcn1\.branches\.([0-2])\.0\.(\w+)", r"units.\1.temporal.reduce.\3#\2"),
        (LAYER + r"tcn1\.branches\.([0-2])\.1\.(\w+)", r"units.\1.temporal.reduce_norm.\3#\2"),
        (LAYER + r"tcn1\.branches\.([01])\.3\.conv\.(\w+)", r"units.\1.temporal.dilated.\2.\3"),
        (LAYER + r"tcn1\.branches\.([01])\.3\.bn\.(\w+)", r"units.\1.temporal.norm.\3#\2"),
        (LAYER + r"tcn1\.branches\.(2)\.4\.(\w+)", r"units.\1.temporal.norm.\3#\2"),
        (LAYER + r"tcn1\.branches\.3\.0\.(\w+)", r"units.\1.temporal.plain.\2"),
        (LAYER + r"tcn1\.branches\.(3)\.1\.(\w+)", r"units.\1.temporal.norm.\3#\2"),
    ),
    head="fc.weight",
    joints=num_joints,
    arrange=_arrange,
)
