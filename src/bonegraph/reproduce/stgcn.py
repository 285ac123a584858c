"""The tables of ST-GCN (Yan, Xiong and Lin, AAAI 2018)."""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import baselines, stgcn
from bonegraph.models.stgcn import Width
from bonegraph.reproduce.table import Column, Row, Table
from bonegraph.scores import Scores
from bonegraph.training.settings import Settings

SOURCE = "Yan, Xiong, Lin: Spatial Temporal Graph Convolutional Networks, AAAI 2018"


def top1(scores: Scores) -> float:
    """Top-1 accuracy."""
    return scores.top(1)


def top5(scores: Scores) -> float:
    """Top-5 accuracy."""
    return scores.top(5)


def ablation(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 1: the convolution and its partition strategies, one schedule for all rows.

    All rows have the units of the text; dropout and input channels are those of the settings' own model.
    """
    dropout, channels = float(settings.model.dropout), int(settings.model.in_channels)
    network = replace(stgcn.paper(width, channels), dropout=dropout, edge_importance=False)

    def row(title: str, paper: tuple[float | None, float | None], model: object, ours: bool = False) -> Row:
        return Row(title, paper, replace(settings, model=model), ours)

    return (
        row("Baseline TCN", (20.3, 40.0), baselines.tcn(width, channels, dropout)),
        row("Local Convolution", (22.0, 43.2), baselines.local(width, channels, dropout)),
        row("Uni-labeling", (19.3, 37.4), replace(network, strategy="uniform")),
        row("Distance partitioning*", (23.9, 44.9), replace(network, strategy="distance*")),
        row("Distance Partitioning", (29.1, 51.3), replace(network, strategy="distance")),
        row("Spatial Configuration", (29.9, 52.2), network),
        row("ST-GCN + Imp.", (30.7, 52.8), replace(network, edge_importance=True)),
        row("Spatial, released graph", (None, None), replace(network, strategy="spatial-released"), ours=True),
        row("Spatial by hops", (None, None), replace(network, strategy="spatial-hops"), ours=True),
    )


TABLES: dict[str, Table] = {
    "table-1": Table(
        "Convolutions and partition strategies",
        f"{SOURCE}, Table 1 (Kinetics)",
        (Column("top-1", top1), Column("top-5", top5)),
        ablation,
        "The last two rows ask what the error in the released graph costs: only the partition differs.",
    ),
}
