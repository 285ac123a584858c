"""A table of a paper: rows, columns, the paper's values, and how ours are measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

from bonegraph.datasets.store import Store
from bonegraph.inference.scoring import score
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.stgcn import Width
from bonegraph.scores import Scores
from bonegraph.training.run import fit
from bonegraph.training.settings import Settings


@dataclass(frozen=True)
class Column:
    """A column: a metric, on the test part of a split.

    Args:
        title: its heading.
        metric: a share in [0, 1] from the scores of a run.
        split: a split of the store; empty for the split of the settings.
    """

    title: str
    metric: Callable[[Scores], float]
    split: str = ""


@dataclass(frozen=True)
class Row:
    """A row.

    Args:
        title: as the paper calls it.
        paper: the paper's values in percent, one a column; None where it gives none.
        settings: what is trained; None for a method that is not ours to run.
        ours: whether the row is ours and not the paper's.
    """

    title: str
    paper: tuple[float | None, ...]
    settings: Settings | None = None
    ours: bool = False


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Args:
        title: what it shows.
        source: paper and table.
        columns: the columns.
        rows: from settings (data, schedule, input) and a width to the rows.
        note: what differs from the paper, one sentence.
    """

    title: str
    source: str
    columns: tuple[Column, ...]
    rows: Callable[[Settings, Width], tuple[Row, ...]]
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """Our value of a cell: percent, one a seed."""

    values: tuple[float, ...]

    def __str__(self) -> str:
        if len(self.values) < 2:
            return f"{self.values[0]:.1f}"
        return f"{mean(self.values):.1f} ± {stdev(self.values):.1f}"


Cells = dict[tuple[str, str], Measured]
"""(row, column) -> our value."""


def slug(title: str) -> str:
    """A folder name from a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower().replace("*", " star").replace("+", " and ")).strip("-")


def measure(
    table: Table, rows: tuple[Row, ...], folder: Path, seeds: int, say: Callable[[str], None], progress: bool = True
) -> Cells:
    """Train and score whatever of a table is missing.

    Each run has a folder ``ROW/SPLIT-seedN`` of its own, so that an interrupted table goes on where it was.

    Args:
        table: which one.
        rows: of the table; those without settings are left out.
        folder: for the runs.
        seeds: runs for each cell, at least 1; the seeds count from that of the settings.
        say: called with a line before each run.
        progress: show progress bars.

    Raises:
        ValueError: seeds is below 1, or what `fit` refuses.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}.")
    jobs = [
        (row, replace(row.settings, split=split, seed=row.settings.seed + number))
        for row in rows
        if row.settings is not None
        for split in dict.fromkeys(column.split or row.settings.split for column in table.columns)
        for number in range(seeds)
    ]
    scores: dict[tuple[str, str], list[Scores]] = {}
    for number, (row, settings) in enumerate(jobs, start=1):
        say(f"{number} of {len(jobs)}: {row.title}, {settings.split}, seed {settings.seed}")
        place = folder / slug(row.title) / f"{settings.split}-seed{settings.seed}"
        scores.setdefault((row.title, settings.split), []).append(run(settings, place, progress))
    return {
        (row.title, column.title): Measured(
            tuple(100 * column.metric(one) for one in scores[row.title, column.split or row.settings.split])
        )
        for row in rows
        if row.settings is not None
        for column in table.columns
    }


def run(settings: Settings, folder: Path, progress: bool = True) -> Scores:
    """Train in a folder unless that is done, and score the test part unless that is done."""
    path, file = fit(settings, folder, progress=progress), folder / "scores.npz"
    if not file.is_file():
        store = Store.open(settings.data)
        model, meaning = load_checkpoint(path)
        part = "test" if "test" in store.splits[settings.split].parts else "val"
        score(model, meaning, store, store.part(settings.split, part), progress=progress).save(file)
    return Scores.load(file)


def markdown(table: Table, rows: tuple[Row, ...], cells: Cells) -> str:
    """The table as Markdown, the paper's value beside ours."""
    heads = [f"{column.title} ({who})" for column in table.columns for who in ("paper", "ours")]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for row in rows:
        texts = []
        for column, value in zip(table.columns, row.paper, strict=True):
            measured = cells.get((row.title, column.title))
            texts += ["" if value is None else f"{value:.1f}", "" if measured is None else str(measured)]
        lines.append(f"| {row.title}{' (not in the paper)' if row.ours else ''} | " + " | ".join(texts) + " |")
    return "\n".join(lines)
