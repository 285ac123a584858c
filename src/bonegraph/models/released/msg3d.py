"""Public weights of MS-G3D (Liu et al., CVPR 2020), under the names of its authors' code."""

from __future__ import annotations

import re

from einops import rearrange
from torch import Tensor

from bonegraph.models import msg3d
from bonegraph.models.released.family import Family, Weights

Names = tuple[tuple[str, str], ...]


def tcn_names(theirs: str, ours: str) -> Names:
    """Names inside a multi-scale temporal convolution, whose branches share tensors here."""
    return (
        (rf"{theirs}\.branches\.(\d+)\.0\.(\w+)", rf"{ours}.reduce.\2#\1"),
        (rf"{theirs}\.branches\.(\d+)\.1\.(\w+)", rf"{ours}.reduce_norm.\2#\1"),
        (rf"{theirs}\.branches\.(\d+)\.3\.conv\.(\w+)", rf"{ours}.convs.\1.\2"),
        (rf"{theirs}\.branches\.(\d+)\.3\.bn\.(\w+)", rf"{ours}.norm.\2#\1"),
        (rf"{theirs}\.branches\.(\d+)\.4\.(\w+)", rf"{ours}.norm.\2#\1"),
        (rf"{theirs}\.residual\.conv\.(\w+)", rf"{ours}.residual.0.\1"),
        (rf"{theirs}\.residual\.bn\.(\w+)", rf"{ours}.residual.1.\1"),
    )


def block_names(theirs: str, ours: str) -> Names:
    """Names inside an STGC block, e.g. of ``sgcn1``, ``gcn3d1`` and ``tcn1``."""
    path = rf"gcn3d{theirs}\.gcn3d\.(\d+)"
    return (
        (rf"{path}\.gcn3d\.1\.A_res", rf"{ours}.windows.\1.residual_graph"),
        (rf"{path}\.gcn3d\.1\.mlp\.layers\.0\.(\w+)", rf"{ours}.windows.\1.conv.\2"),
        (rf"{path}\.gcn3d\.1\.mlp\.layers\.1\.(\w+)", rf"{ours}.windows.\1.norm.\2"),
        (rf"{path}\.out_conv\.(\w+)", rf"{ours}.windows.\1.collapse.\2"),
        (rf"{path}\.out_bn\.(\w+)", rf"{ours}.windows.\1.collapse_norm.\2"),
        (rf"sgcn{theirs}\.0\.A_res", rf"{ours}.spatial.residual_graph"),
        (rf"sgcn{theirs}\.0\.mlp\.layers\.0\.(\w+)", rf"{ours}.spatial.conv.\1"),
        (rf"sgcn{theirs}\.0\.mlp\.layers\.1\.(\w+)", rf"{ours}.spatial.norm.\1"),
        *tcn_names(rf"sgcn{theirs}\.1", f"{ours}.temporal"),
        *tcn_names(rf"sgcn{theirs}\.2", f"{ours}.temporal_again"),
        *tcn_names(rf"tcn{theirs}", f"{ours}.fusion"),
    )


def arrange(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """A_res (K·V targets, V sources) becomes ``[k, source, target]``."""
    return {
        name: rearrange(value, "(k w) v -> k v w", w=value.shape[1]).contiguous()
        if name.endswith("residual_graph") and value.dim() == 2 and value.shape[1] and not len(value) % value.shape[1]
        else value
        for name, value in weights.items()
    }


def num_scales(residual: Tensor) -> int:
    """K of an A_res (K·V, V)."""
    return len(residual) // residual.shape[1]


def width(weights: Weights, tcn: str) -> int:
    """Output channels of a temporal convolution: those of its branches together."""
    return sum(len(value) for key, value in weights.items() if re.fullmatch(rf"{tcn}\.branches\.\d+\.0\.weight", key))


def dilations(weights: Weights, tcn: str) -> tuple[int, ...]:
    """Dilations of a temporal convolution, which the released code counts from 1."""
    found = sum(1 for key in weights if re.fullmatch(rf"{tcn}\.branches\.\d+\.3\.conv\.weight", key))
    return tuple(range(1, found + 1))


def windows(weights: Weights, block: str) -> tuple[int, ...]:
    """τ of the G3D paths of a block."""
    joints = num_joints(weights)
    sizes = {
        int(match[1]): value.shape[1] // joints
        for key, value in weights.items()
        if (match := re.fullmatch(rf"gcn3d{block}\.gcn3d\.(\d+)\.gcn3d\.1\.A_res", key))
    }
    return tuple(sizes[place] for place in sorted(sizes))


def num_joints(weights: Weights) -> int:
    """V."""
    return int(weights["sgcn1.0.A_res"].shape[1])


def in_channels(weights: Weights) -> int:
    """C of the input."""
    return int(weights["sgcn1.0.mlp.layers.0.weight"].shape[1]) // num_scales(weights["sgcn1.0.A_res"])


def people(weights: Weights) -> int:
    """M of the input normalisation."""
    return len(weights["data_bn.weight"]) // (num_joints(weights) * in_channels(weights))


def _configure(weights: Weights) -> msg3d.Config:
    return msg3d.Config(
        in_channels=in_channels(weights),
        widths=tuple(width(weights, f"tcn{block}") for block in (1, 2, 3)),
        gcn_scales=num_scales(weights["sgcn1.0.A_res"]),
        g3d_scales=num_scales(weights["gcn3d1.gcn3d.0.gcn3d.1.A_res"]),
        windows=windows(weights, "1"),
        dilations=dilations(weights, "tcn1"),
        people=people(weights),
    )


MSG3D = Family(
    title="MS-G3D (Liu et al., CVPR 2020)",
    marks=(r"gcn3d3\.gcn3d\.0\.gcn3d\.1\.A_res", r"sgcn3\.0\.A_res", r"fc\.weight"),
    configure=_configure,
    names=(
        (r"data_bn\.(\w+)", r"input_norm.\1"),
        *(pair for block in range(3) for pair in block_names(str(block + 1), f"blocks.{block}")),
        (r"fc\.(\w+)", r"head.\1"),
    ),
    head="fc.weight",
    joints=num_joints,
    arrange=arrange,
)
