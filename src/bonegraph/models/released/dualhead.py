"""Public weights of DualHead-Net (Chen et al., ACM MM 2021), under the names of its authors' code."""

from __future__ import annotations

from bonegraph.models import dualhead
from bonegraph.models.released.family import Family, Weights
from bonegraph.models.released.msg3d import (
    arrange,
    block_names,
    dilations,
    in_channels,
    num_joints,
    num_scales,
    people,
    width,
    windows,
)


def _configure(weights: Weights) -> dualhead.Config:
    widths = width(weights, "tcn1"), width(weights, "tcn2_coarse"), width(weights, "tcn3_coarse")
    return dualhead.Config(
        in_channels=in_channels(weights),
        widths=widths,
        fine_reduction=widths[0] // max(len(weights["embed_fine.weight"]), 1),
        gcn_scales=num_scales(weights["sgcn1.0.A_res"]),
        g3d_scales=num_scales(weights["gcn3d1.gcn3d.0.gcn3d.1.A_res"]),
        windows=windows(weights, "1"),
        coarse_windows=windows(weights, "2_coarse"),
        dilations=dilations(weights, "tcn1"),
        coarse_dilations=dilations(weights, "tcn2_coarse"),
        fuse="logits",
        people=people(weights),
    )


DUALHEAD = Family(
    title="DualHead-Net (Chen et al., ACM MM 2021)",
    marks=(r"fc_fine\.weight", r"fc_coarse\.weight", r"embed_fine\.weight", r"sgcn1\.0\.A_res"),
    configure=_configure,
    names=(
        (r"data_bn\.(\w+)", r"input_norm.\1"),
        *block_names("1", "backbone"),
        *(pair for index in (0, 1) for pair in block_names(f"{index + 2}_fine", f"fine.{index}")),
        *(pair for index in (0, 1) for pair in block_names(f"{index + 2}_coarse", f"coarse.{index}")),
        (r"embed_fine\.(\w+)", r"embed.\1"),
        (r"conv_ta_fine_to_coarse_block_2_to_1\.(\w+)", r"temporal.0.\1"),
        (r"conv_ta_fine_to_coarse_block_3_to_2\.(\w+)", r"temporal.1.\1"),
        (r"conv_sa_coarse_to_fine_block_2_to_2\.(\w+)", r"spatial.0.\1"),
        (r"conv_sa_coarse_to_fine_block_3_to_3\.(\w+)", r"spatial.1.\1"),
        (r"fc_fine\.(\w+)", r"fine_head.\1"),
        (r"fc_coarse\.(\w+)", r"coarse_head.\1"),
    ),
    head="fc_fine.weight",
    joints=num_joints,
    arrange=arrange,
)
