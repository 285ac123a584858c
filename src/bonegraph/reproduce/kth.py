"""The tables and figures of the KTH re-implementation of ST-GCN (Nagy, Panesar and Qian, 2020).

The recipe gives data, schedule and input; the rows give the networks, and what else a study changes. Accuracy is over
clips, of the weights of the last epoch.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal

from bonegraph.graph import Strategy
from bonegraph.models import kth
from bonegraph.models.stgcn import Width
from bonegraph.reproduce.stgcn import top1
from bonegraph.reproduce.table import Column, Row, Table, slug
from bonegraph.training.keeping import read_curves
from bonegraph.training.run import CURVES
from bonegraph.training.settings import Settings

SOURCE = (
    "Nagy, Panesar, Qian: Spatial-temporal Graph Convolutional Networks for Skeleton-based Action Recognition, 2020"
)
RATES = (1e-2, 1e-3, 1e-4)
STRATEGIES: dict[str, Strategy] = {"Uni-labelling": "uniform", "Spatial configuration": "spatial"}


def _curve(name: str, scale: float, which: Literal["last", "best"] = "last") -> Column:
    """A column from the curves of a run: of its last epoch that has a number, or the highest; NaN where it has none."""

    def of_run(folder: Path) -> float:
        values = [float(row[name]) for row in read_curves(folder / CURVES) if row[name]]
        values = values[-1:] if which == "last" else [max(values, default=math.nan)]
        return scale * values[0] if values else math.nan

    title = {"val_accuracy": "Validation", "train_loss": "Training loss", "val_loss": "Validation loss"}[name]
    title += ", best epoch" if which == "best" else ""
    return Column(title, None, of_run=of_run, digits=1 if scale == 100 else 3)


VALIDATION, BEST = _curve("val_accuracy", 100), _curve("val_accuracy", 100, "best")
TEST = Column("Test", top1)


def _network(settings: Settings, width: Width, strategy: Strategy, dropout: float) -> kth.Config:
    return kth.paper(width, int(settings.model.in_channels), strategy, dropout=dropout)


def _row(table: str, title: str, paper: tuple[float | None, ...], settings: Settings, remark: str = "") -> Row:
    """A row whose runs are its own: tables differ in their schedules."""
    return Row(title, paper, settings, run=slug(f"{table} {title}"), remark=remark)


def strategies(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 1: the partition strategies, dropout 0.5."""
    rows: tuple[tuple[str, Strategy, float, float], ...] = (
        ("Uni-labelling", "uniform", 71.09, 64.84),
        ("Distance", "distance", 51.56, 48.37),
        ("Spatial conf.", "spatial", 71.88, 70.31),
        ("Symmetrical", "symmetrical", 62.5, 65.62),
    )
    return tuple(
        _row("table-1", title, (val, test), replace(settings, model=_network(settings, width, strategy, 0.5)))
        for title, strategy, val, test in rows
    )


def cells(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Every strategy with plain and with residual units, otherwise as we recommend; for data of one's own."""
    base = kth.best(width, int(settings.model.in_channels))
    strategies: dict[str, Strategy] = {
        "Uni-labelling": "uniform",
        "Distance": "distance",
        "Spatial configuration": "spatial",
        "Symmetrical": "symmetrical",
    }
    return tuple(
        _row(
            "cells",
            f"{title}, {'residual' if residual else 'plain'}",
            (None, None),
            replace(settings, model=replace(base, strategy=strategy, residual=residual)),
        )
        for title, strategy in strategies.items()
        for residual in (False, True)
    )


def layers(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Fig. 10: 9 and 12 layers, plain and with residual units, no dropout."""
    found: tuple[tuple[str, kth.Layers, bool, float], ...] = (
        ("Uni-labelling", 9, False, 57.03),
        ("Uni-labelling", 9, True, 67.96),
        ("Uni-labelling", 12, False, 46.88),
        ("Uni-labelling", 12, True, 55.47),
        ("Spatial configuration", 9, False, 51.56),
        ("Spatial configuration", 9, True, 71.88),
        ("Spatial configuration", 12, False, 67.19),
        ("Spatial configuration", 12, True, 69.53),
    )
    rows = []
    for strategy, count, residual, paper in found:
        title = f"{strategy}, {count}-layer, {'w. residual' if residual else 'original'}"
        channels = int(settings.model.in_channels)
        model = kth.paper(width, channels, STRATEGIES[strategy], layers=count, residual=residual, dropout=0.0)
        rows.append(_row("figure-10", title, (paper,), replace(settings, model=model)))
    return tuple(rows)


def final(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Sec. 5.7: the final models."""
    channels = int(settings.model.in_channels)
    residual = kth.paper(width, channels, "spatial", residual=True, dropout=0.0)
    rows: tuple[tuple[str, float, kth.Config], ...] = (
        ("Uni-labelling, dropout 0.5", 71.09, kth.paper(width, channels, "uniform", dropout=0.5)),
        ("Spatial configuration, dropout 0.5", 77.34, kth.paper(width, channels, "spatial", dropout=0.5)),
        ("Spatial configuration, residual block", 80.47, residual),
        (
            "Spatial configuration, residual block, edge importance",
            70.31,
            replace(residual, edge_importance=True),
        ),
    )
    return tuple(_row("final", title, (paper,), replace(settings, model=model)) for title, paper, model in rows)


def studies(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Figs. 4 to 8: learning rate and dropout; where batch normalisation stands, and in which order with ReLU."""
    none: tuple[None, ...] = (None,) * 4
    plain = _network(settings, width, "uniform", 0.5)
    rows = [
        _row(
            "figures-4-8",
            f"dropout {dropout}, learning rate {rate:g}",
            none,
            replace(
                settings,
                model=_network(settings, width, "spatial", dropout),
                optimizer=replace(settings.optimizer, lr=rate),
            ),
        )
        for dropout in (0.25, 0.5)
        for rate in RATES
    ]
    for title, model, paper, remark in (
        ("BN at both ends", plain, none, ""),
        ("BN at the start only", replace(plain, norms="start"), none, "Figs. 7 and 8: worse than at both ends."),
        ("ReLU before BN", replace(plain, order="relu-bn"), (None, None, None, 57.0), "Sec. 5.5: about, 200 epochs."),
        (
            "BN of the input only",
            replace(plain, norms="input"),
            none,
            "Sec. 5.5: the loss turned out to be indefinite.",
        ),
    ):
        rows.append(_row("figures-4-8", title, paper, replace(settings, model=model), remark))
    return tuple(rows)


TABLES: dict[str, Table] = {
    "table-1": Table("Partition strategies", f"{SOURCE}, Table 1", (VALIDATION, TEST), strategies),
    "cells": Table(
        "Partition strategies with plain and residual units",
        f"{SOURCE}, whose text compares the strategies with plain units alone",
        (VALIDATION, TEST),
        cells,
        "Normalised as Eq. 4 of ST-GCN (by subset), dropout 0.1.",
    ),
    "figure-10": Table("Residual units and depth", f"{SOURCE}, Fig. 10", (VALIDATION,), layers),
    "final": Table("Final models", f"{SOURCE}, Sec. 5.7", (TEST,), final),
    "figures-4-8": Table(
        "Learning rate, dropout and batch normalisation",
        f"{SOURCE}, Figs. 4 to 8",
        (_curve("train_loss", 1), _curve("val_loss", 1), VALIDATION, BEST),
        studies,
        "The paper shows curves without values; losses are no percentages; the learning rates are ours.",
    ),
}
