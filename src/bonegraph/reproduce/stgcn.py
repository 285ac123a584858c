"""The tables of ST-GCN (Yan, Xiong and Lin, AAAI 2018)."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean

from bonegraph.datasets.known.kinetics_motion import MOTION_CLASSES
from bonegraph.models import baselines, stgcn
from bonegraph.models.stgcn import Width
from bonegraph.reproduce.table import Column, Row, Table
from bonegraph.scores import Scores
from bonegraph.scores.subset import among, clips_of
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
        return Row(title, paper, replace(settings, model=model), ours=ours)

    return (
        row("Baseline TCN", (20.3, 40.0), baselines.tcn(width, channels, dropout)),
        row("Local Convolution", (22.0, 43.2), baselines.local(width, channels, dropout)),
        row("Uni-labeling", (19.3, 37.4), replace(network, strategy="uniform")),
        row("Distance partitioning*", (23.9, 44.9), replace(network, strategy="distance*")),
        row("Distance Partitioning", (29.1, 51.3), replace(network, strategy="distance")),
        row("Spatial Configuration", (29.9, 52.2), network),
        row("ST-GCN + Imp.", (30.7, 52.8), replace(network, edge_importance=True)),
        row("Spatial, released graph", (None, None), replace(network, strategy="spatial-released"), ours=True),
        row("Spatial, normalised as released", (None, None), replace(network, normalisation="released"), ours=True),
        row(
            "Spatial, released graph, normalised as released",
            (None, None),
            replace(network, strategy="spatial-released", normalisation="released"),
            ours=True,
        ),
    )


def kinetics(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 2: the network of the settings, and those of others as the paper quotes them."""
    return (
        Row("RGB (Kay et al. 2017)", (57.0, 77.3)),
        Row("Optical Flow (Kay et al. 2017)", (49.5, 71.9)),
        Row("Feature Enc. (Fernando et al. 2015)", (14.9, 25.8)),
        Row("Deep LSTM (Shahroudy et al. 2016)", (16.4, 35.3)),
        Row("Temporal Conv. (Kim and Reiter 2017)", (20.3, 40.0), _temporal(settings, width)),
        Row("ST-GCN", (30.7, 52.8), settings),
    )


def ntu(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 3: both splits of NTU RGB+D."""
    return (
        Row("Lie Group (Veeriah, Zhuang, and Qi 2015)", (50.1, 52.8)),
        Row("H-RNN (Du, Wang, and Wang 2015)", (59.1, 64.0)),
        Row("Deep LSTM (Shahroudy et al. 2016)", (60.7, 67.3)),
        Row("PA-LSTM (Shahroudy et al. 2016)", (62.9, 70.3)),
        Row("ST-LSTM+TS (Liu et al. 2016)", (69.2, 77.7)),
        Row("Temporal Conv (Kim and Reiter 2017)", (74.3, 83.1), _temporal(settings, width)),
        Row("C-CNN + MTLN (Ke et al. 2017)", (79.6, 84.8)),
        Row("ST-GCN", (81.5, 88.3), settings),
    )


def motion(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 4: clips of the 30 classes of Kinetics-Motion, by a network trained on all 400."""
    return (
        Row("RGB CNN", (70.4, None), file="rgb"),
        Row("Flow CNN", (72.8, None), file="flow"),
        Row("ST-GCN", (72.4, None), settings),
    )


def fusion(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 5: with the scores of other modalities, brought as files."""
    return (
        Row("RGB TSN", (70.3,), file="rgb"),
        Row("Flow TSN", (51.0,), file="flow"),
        Row("ST-GCN", (30.7,), settings),
        Row("RGB + Flow", (71.1,), fused=("RGB TSN", "Flow TSN")),
        Row("RGB + ST-GCN", (71.2,), fused=("RGB TSN", "ST-GCN")),
        Row("RGB + Flow + ST-GCN", (71.7,), fused=("RGB TSN", "Flow TSN", "ST-GCN")),
    )


def _temporal(settings: Settings, width: Width) -> Settings:
    model = baselines.tcn(width, int(settings.model.in_channels), float(settings.model.dropout))
    return replace(settings, model=model)


def motion_accuracy(scores: Scores) -> float:
    """Mean class accuracy over the clips of the 30 classes; the answer is one of all classes."""
    kept = clips_of(scores, MOTION_CLASSES)
    return mean(row.accuracy for row in kept.per_class() if row.accuracy is not None)


def motion_accuracy_among(scores: Scores) -> float:
    """The same where the answer is one of the 30."""
    return among(clips_of(scores, MOTION_CLASSES), MOTION_CLASSES).mean_class_accuracy()


TABLES: dict[str, Table] = {
    "table-1": Table(
        "Convolutions and partition strategies",
        f"{SOURCE}, Table 1 (Kinetics)",
        (Column("top-1", top1), Column("top-5", top5)),
        ablation,
        "Our rows ask what the error in the released graph costs, under Eq. 10 and under the released normalisation.",
    ),
    "table-2": Table(
        "Kinetics-Skeleton", f"{SOURCE}, Table 2", (Column("top-1", top1), Column("top-5", top5)), kinetics
    ),
    "table-3": Table(
        "NTU RGB+D", f"{SOURCE}, Table 3", (Column("X-Sub", top1, "xsub"), Column("X-View", top1, "xview")), ntu
    ),
    "table-4": Table(
        "Kinetics-Motion",
        f"{SOURCE}, Table 4",
        (Column("mean class", motion_accuracy), Column("mean class, 30-way", motion_accuracy_among)),
        motion,
        "Trained on all 400 classes; in the first column it may answer any of them, in the second one of the 30.",
        MOTION_CLASSES,
    ),
    "table-5": Table(
        "Fusion with other modalities",
        f"{SOURCE}, Table 5 (Kinetics)",
        (Column("top-1", top1),),
        fusion,
        "The scores of RGB and flow are files that the user brings; probabilities are averaged.",
    ),
}
