"""The tables of DualHead-Net (Chen et al., ACM Multimedia 2021).

The networks normalise as many people, and fuse their heads in the way, that the model of the recipe does, so that they
are of its variant. A training is named after what it is, so that rows and tables that need the same one share it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bonegraph.models import dualhead, msg3d
from bonegraph.models.stgcn import Width
from bonegraph.reproduce.stgcn import top1, top5
from bonegraph.reproduce.table import Column, Row, Table
from bonegraph.scores.streams import FUSIONS
from bonegraph.training.settings import Settings
from bonegraph.transforms.streams import STREAMS, Stream

SOURCE = "Chen et al.: Learning Multi-Granular Spatio-Temporal Graph Network, ACM Multimedia 2021"
PARAMETERS, ACCURACY = Column("parameters", None), Column("top-1", top1)
Values = tuple[float | None, ...]


def network(settings: Settings, width: Width) -> dualhead.Config:
    """The full DualHead-Net, every attention across the heads."""
    own: Any = settings.model
    model = dualhead.best(width, own.in_channels)
    return replace(model, people=getattr(own, "people", model.people), fuse=getattr(own, "fuse", model.fuse))


def baseline(settings: Settings, width: Width) -> msg3d.Config:
    """MS-G3D on the same input."""
    model = network(settings, width)
    return replace(msg3d.best(width, model.in_channels), people=model.people)


def _row(settings: Settings, title: str, paper: Values, name: str, model: object, remark: str = "") -> Row:
    """A row that trains a model on the stream of the settings."""
    run = f"{name}-{settings.transforms.stream}"
    return Row(title, paper, replace(settings, model=model), run=run, remark=remark)


def _streams(settings: Settings, width: Width, paper: dict[str, Values]) -> tuple[Row, ...]:
    """The network on each stream, and the fusions by the sum of the softmax scores.

    Args:
        settings: of every stream.
        width: of the network.
        paper: values for Js, Bs, 2s and 4s; the paper has no rows for the motion streams alone.
    """
    short: dict[Stream, str] = {"joint": "Js", "bone": "Bs", "joint-motion": "Jm", "bone-motion": "Bm"}
    model, none = network(settings, width), (None,) * len(paper["Js"])

    def title(name: str) -> str:
        return f"{name} DualHead-Net"

    alone = [
        replace(
            _row(
                replace(settings, transforms=replace(settings.transforms, stream=stream)),
                title(short[stream]),
                paper.get(short[stream], none),
                "dual-head",
                model,
            ),
            ours=short[stream] not in paper,
        )
        for stream in STREAMS
    ]
    fused = [
        Row(title(name), paper[name], fused=tuple(title(short[stream]) for stream in streams))
        for name, streams in FUSIONS.items()
    ]
    return (*alone, *fused)


def ntu60(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 1: both splits of NTU RGB+D 60."""
    return (
        Row("GCA-LSTM (Liu et al., 2017b)", (74.4, 82.8)),
        Row("VA-LSTM (Zhang et al., 2017)", (79.4, 87.6)),
        Row("TCN (Kim and Reiter, 2017)", (74.3, 83.1)),
        Row("Clips+CNN+MTLN (Ke et al., 2017)", (79.6, 84.8)),
        Row("ST-GCN (Yan et al., 2018)", (81.5, 88.3)),
        Row("SR-TSL (Si et al., 2018)", (84.8, 92.4)),
        Row("STGR-GCN (Li et al., 2019b)", (86.9, 92.3)),
        Row("AS-GCN (Li et al., 2019a)", (86.8, 94.2)),
        Row("2s-AGCN (Shi et al., 2019c)", (88.5, 95.1)),
        Row("DGNN (Shi et al., 2019a)", (89.9, 96.1)),
        Row("GR-GCN (Gao et al., 2019)", (87.5, 94.3)),
        Row("SGN (Zhang et al., 2020a)", (89.0, 94.5)),
        Row("MS-AAGCN (Shi et al., 2019b)", (90.0, 96.2)),
        Row("NAS-GCN (Peng et al., 2020)", (89.4, 95.7)),
        Row("4s Decouple-GCN (Cheng et al., 2020a)", (90.8, 96.6)),
        Row("4s Shift-GCN (Cheng et al., 2020b)", (89.7, 96.6)),
        Row("STIGCN (Huang et al., 2020)", (90.1, 96.1)),
        Row("ResGCN (Song et al., 2020)", (90.9, 96.0)),
        Row("4s Dynamic-GCN (Ye et al., 2020)", (91.5, 96.0)),
        Row("2s MS-G3D (Liu et al., 2020)", (91.5, 96.2)),
        Row("4s MST-GCN (Chen et al., 2021)", (91.5, 96.6)),
        *_streams(settings, width, {"Js": (90.3, 96.1), "Bs": (90.7, 95.5), "2s": (91.7, 96.5), "4s": (92.0, 96.6)}),
    )


def ntu120(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 2: both splits of NTU RGB+D 120."""
    return (
        Row("ST-LSTM (Liu et al., 2016)", (55.7, 57.9)),
        Row("Clips+CNN+MTLN (Ke et al., 2017)", (62.2, 61.8)),
        Row("SkeMotion (Caetano et al., 2019b)", (67.7, 66.9)),
        Row("TSRJI (Caetano et al., 2019a)", (67.9, 62.8)),
        Row("ST-GCN (Yan et al., 2018)", (70.7, 73.2)),
        Row("2s-AGCN (Shi et al., 2019c)", (82.5, 84.2)),
        Row("4s Decouple-GCN (Cheng et al., 2020a)", (86.5, 88.1)),
        Row("4s Shift-GCN (Cheng et al., 2020b)", (85.9, 87.6)),
        Row("2s MS-G3D (Liu et al., 2020)", (86.9, 88.4)),
        Row("ResGCN (Song et al., 2020)", (87.3, 88.3)),
        Row("4s Dynamic-GCN (Ye et al., 2020)", (87.3, 88.6)),
        Row("4s MST-GCN (Chen et al., 2021)", (87.5, 88.8)),
        *_streams(settings, width, {"Js": (84.6, 85.9), "Bs": (86.7, 87.9), "2s": (87.9, 89.1), "4s": (88.2, 89.3)}),
    )


def kinetics(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 3: top-1 and top-5 on Kinetics-Skeleton."""
    return (
        Row("PA-LSTM (Shahroudy et al., 2016)", (16.4, 35.3)),
        Row("TCN (Kim and Reiter, 2017)", (20.3, 40.0)),
        Row("ST-GCN (Yan et al., 2018)", (30.7, 52.8)),
        Row("AS-GCN (Li et al., 2019a)", (34.8, 56.5)),
        Row("2s-AGCN (Shi et al., 2019c)", (36.1, 58.7)),
        Row("DGNN (Shi et al., 2019a)", (36.9, 59.6)),
        Row("NAS-GCN (Peng et al., 2020)", (37.1, 60.1)),
        Row("2s MS-G3D (Liu et al., 2020)", (38.0, 60.9)),
        Row("STIGCN (Huang et al., 2020)", (37.9, 60.8)),
        Row("4s Dynamic-GCN (Ye et al., 2020)", (37.9, 61.3)),
        Row("4s MST-GCN (Chen et al., 2021)", (38.1, 60.8)),
        *_streams(settings, width, {"Js": (36.6, 59.5), "Bs": (35.7, 58.7), "2s": (38.3, 61.1), "4s": (38.4, 61.3)}),
    )


def incremental(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 4: from MS-G3D to two heads, then the temporal (TA) and the spatial attention (SA) between them."""
    full = network(settings, width)
    temporal = replace(full, spatial_attention="none")
    return (
        _row(settings, "Baseline (MS-G3D)", (3.2, 89.4), "msg3d", baseline(settings, width)),
        _row(settings, "Dual head", (3.0, 89.9), "no-attention", replace(temporal, temporal_attention="none")),
        _row(settings, "Dual head, TA", (3.0, 90.2), "temporal-attention", temporal),
        _row(settings, "Dual head, TA, SA", (3.0, 90.3), "dual-head", full),
    )


def channels(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 5: how many channels fewer the fine head has."""
    full = network(settings, width)
    quarter = "The paper's table says 89.7; its text says that the accuracy drops to 87.4."
    return (
        _row(settings, "Baseline (MS-G3D)", (3.2, 89.4), "msg3d", baseline(settings, width)),
        _row(settings, "No reduction", (4.9, 90.5), "fine-channels-all", replace(full, fine_reduction=1)),
        _row(settings, "Reduce channels to 1/2 (proposed)", (3.0, 90.3), "dual-head", full),
        _row(
            settings,
            "Reduce channels to 1/4",
            (2.5, 89.7),
            "fine-channels-quarter",
            replace(full, fine_reduction=4),
            quarter,
        ),
    )


def pathways(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 6: how many G3D paths the coarse head has, of windows 3 and 5."""
    full = network(settings, width)
    return (
        _row(settings, "w/o G3D (factorised)", (2.4, 90.0), "coarse-g3d-none", replace(full, coarse_windows=())),
        _row(settings, "1 G3D", (3.0, 90.3), "dual-head", full),
        _row(settings, "2 G3D", (3.9, 90.0), "coarse-g3d-two", replace(full, coarse_windows=(3, 5))),
    )


def subsampling(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 7: which frames the coarse head takes."""
    full = network(settings, width)
    return (
        _row(settings, "subsample all frames", (89.8,), "coarse-frames-all", replace(full, subsample=1)),
        _row(settings, "subsample 1/2 frames", (90.3,), "dual-head", full),
        _row(settings, "subsample 1/4 frames", (90.1,), "coarse-frames-quarter", replace(full, subsample=4)),
    )


def attention(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 8: attention across the heads against that of a head to itself."""
    full = network(settings, width)
    temporal, spatial = replace(full, temporal_attention="self"), replace(full, spatial_attention="self")
    return (
        _row(settings, "Temporal attention, cross head", (90.3,), "dual-head", full),
        _row(settings, "Temporal attention, self learned", (90.0,), "temporal-attention-self", temporal),
        _row(settings, "Spatial attention, cross head", (90.3,), "dual-head", full),
        _row(settings, "Spatial attention, self learned", (90.1,), "spatial-attention-self", spatial),
    )


_FUSED = "Fusions add the softmax scores of their streams; the rows for motion alone are ours."

TABLES: dict[str, Table] = {
    "table-1": Table(
        "NTU RGB+D 60",
        f"{SOURCE}, Table 1",
        (Column("X-sub", top1, "xsub"), Column("X-view", top1, "xview")),
        ntu60,
        _FUSED,
    ),
    "table-2": Table(
        "NTU RGB+D 120",
        f"{SOURCE}, Table 2",
        (Column("X-sub", top1, "xsub"), Column("X-set", top1, "xset")),
        ntu120,
        _FUSED,
    ),
    "table-3": Table(
        "Kinetics-Skeleton",
        f"{SOURCE}, Table 3",
        (Column("top-1", top1), Column("top-5", top5)),
        kinetics,
        _FUSED,
    ),
    "table-4": Table(
        "Dual head and attentions, one by one", f"{SOURCE}, Table 4 (X-sub)", (PARAMETERS, ACCURACY), incremental
    ),
    "table-5": Table("Channels of the fine head", f"{SOURCE}, Table 5 (X-sub)", (PARAMETERS, ACCURACY), channels),
    "table-6": Table("G3D paths of the coarse head", f"{SOURCE}, Table 6 (X-sub)", (PARAMETERS, ACCURACY), pathways),
    "table-7": Table("Frames of the coarse head", f"{SOURCE}, Table 7 (X-sub)", (ACCURACY,), subsampling),
    "table-8": Table("Attention across heads", f"{SOURCE}, Table 8 (X-sub)", (ACCURACY,), attention),
}
