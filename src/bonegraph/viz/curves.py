"""The curves of a training, from whatever it left behind in ``metrics.csv``."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Chart:
    """One chart of the training curves: a title and the columns of metrics.csv drawn in it."""

    title: str
    columns: tuple[tuple[str, str], ...]  # (column, name in the legend)
    ticks: str = ""  # d3 format of the vertical axis
    logarithmic: bool = False


_CHARTS = (
    _Chart("Loss", (("train_loss", "training"), ("val_loss", "validation"))),
    _Chart(
        "Accuracy",
        (("train_accuracy", "training"), ("val_accuracy", "validation"), ("test_accuracy", "test")),
        ticks=".0%",
    ),
    _Chart("Learning rate", (("lr", "learning rate"),), ticks=".1e", logarithmic=True),
)


@dataclass(frozen=True)
class Curves:
    """What was recorded.

    Attributes:
        charts: those that have at least one point, as plain data for JSON.
        notes: what had to be left out of them.
        best_on_test: the epoch with the highest accuracy on the test part, and that accuracy; None where the training
            did not watch the test part. Of equal ones the first.
    """

    charts: list[dict[str, object]]
    notes: list[str]
    best_on_test: tuple[int, float] | None


def read_curves(path: Path) -> Curves:
    """Read the table of a run.

    Args:
        path: a table with any of the columns epoch, lr, train_loss, train_accuracy, val_loss, val_accuracy and
            test_accuracy; cells may be empty, and of several rows for an epoch the last number counts.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no table.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no training curves {path}. A run writes them as metrics.csv; give None to leave them out."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a table of training curves ({error}); expected metrics.csv of a run") from None

    charts: list[dict[str, object]] = []
    notes: list[str] = []
    for chart in _CHARTS:
        lines: list[dict[str, object]] = []
        for column, name in chart.columns:
            points, broken = _points(rows, column)
            if broken:
                first = min(broken)
                notes.append(f"{column} is not a finite number in {len(broken)} epochs (first: epoch {first:g}).")
            if points:
                lines.append({"name": name, "x": list(points), "y": list(points.values())})
        if lines:
            charts.append(
                {"title": chart.title, "ticks": chart.ticks, "logarithmic": chart.logarithmic, "lines": lines}
            )
    watched, _ = _points(rows, "test_accuracy")
    best = max(watched, key=lambda epoch: watched[epoch]) if watched else None
    return Curves(charts, notes, None if best is None else (int(best), watched[best]))


def _points(rows: list[dict[str, str]], column: str) -> tuple[dict[float, float], set[float]]:
    """The last number of each epoch, by epoch, and the epochs whose last value is not a number one can draw."""
    values: dict[float, float] = {}
    for number, row in enumerate(rows):
        cell = row.get(column)
        if not isinstance(cell, str) or not cell.strip():
            continue
        epoch = _number(row.get("epoch"))
        # without epochs, the rows themselves are the time axis
        values[epoch if math.isfinite(epoch) else float(number)] = _number(cell)
    points = {epoch: values[epoch] for epoch in sorted(values) if math.isfinite(values[epoch])}
    return points, {epoch for epoch, value in values.items() if not math.isfinite(value)}


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell is not None else math.nan
    except ValueError:
        return math.nan
