"""A table of a paper: rows, columns, the paper's values, and how ours are measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.store import Store
from bonegraph.inference.scoring import score
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.stgcn import Width
from bonegraph.scores import Scores
from bonegraph.scores.align import align
from bonegraph.scores.files import read_scores
from bonegraph.scores.fusion import fuse
from bonegraph.skeleton import nearest
from bonegraph.training.run import fit, new_model
from bonegraph.training.settings import Settings


@dataclass(frozen=True)
class Column:
    """A column: a metric on the test part of a split, or the size of the models.

    Args:
        title: its heading.
        metric: a share in [0, 1] from the scores of a run; None counts the parameters, of which papers give millions.
        split: a split of the store; empty for the split of the settings.
    """

    title: str
    metric: Callable[[Scores], float] | None
    split: str = ""


@dataclass(frozen=True)
class Row:
    """A row. Its scores come from training, from a file, from other rows, or (another's method) from nowhere.

    Args:
        title: as the paper calls it.
        paper: the paper's values in percent (millions of parameters), one a column; None where it gives none.
        settings: what is trained.
        file: name of a modality whose scores the user brings.
        fused: titles of rows whose probabilities are averaged, clip by clip.
        ours: whether the row is ours and not the paper's.
        run: name of the run folder, the same for rows that are the same training; empty for one by the title.
        remark: on the paper's values, where they need one.
    """

    title: str
    paper: tuple[float | None, ...]
    settings: Settings | None = None
    file: str = ""
    fused: tuple[str, ...] = ()
    ours: bool = False
    run: str = ""
    remark: str = ""

    @property
    def folder(self) -> str:
        """Name of the run folder."""
        return self.run or slug(self.title)


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Args:
        title: what it shows.
        source: paper and table.
        columns: the columns.
        rows: from settings (data, schedule, input) and a width to the rows.
        note: what differs from the paper, one sentence.
        classes: names of classes that the data must have.
    """

    title: str
    source: str
    columns: tuple[Column, ...]
    rows: Callable[[Settings, Width], tuple[Row, ...]]
    note: str = ""
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Our value of a cell: percent, one a seed."""

    values: tuple[float, ...]

    def __str__(self) -> str:
        if len(self.values) < 2:
            return f"{self.values[0]:.1f}"
        return f"{mean(self.values):.1f} ± {stdev(self.values):.1f}"


@dataclass(frozen=True)
class Size:
    """Our value of a cell: how many parameters a model has."""

    parameters: int

    def __str__(self) -> str:
        return f"{self.parameters:,}"


Cells = dict[tuple[str, str], Measured | Size]
"""(row, column) -> our value."""


def slug(title: str) -> str:
    """A folder name from a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower().replace("*", " star").replace("+", " and ")).strip("-")


def measure(
    table: Table,
    rows: tuple[Row, ...],
    folder: Path,
    seeds: int,
    files: Mapping[str, Path],
    say: Callable[[str], None],
    *,
    progress: bool = True,
) -> Cells:
    """Train and score whatever of a table is missing.

    Each run has a folder ``NAME/SPLIT-seedN`` of its own, so that an interrupted table goes on where it was, and rows
    and tables that name the same run share it.

    Args:
        table: which one.
        rows: of the table.
        folder: for the runs.
        seeds: runs for each cell, at least 1; the seeds count from that of the settings.
        files: scores of other modalities by name; rows that need another one stay empty.
        say: called with a line before each run.
        progress: show progress bars.

    Raises:
        ValueError: seeds is below 1, no row takes a file, a file does not fit, or what `fit` refuses.
        FileNotFoundError: a file is missing.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}.")
    taken = {row.file for row in rows if row.file}
    for name in files:
        if name not in taken:
            raise ValueError(f"no row of this table takes the scores of '{name}'{nearest(name, taken)}.")
    brought = {name: read_scores(path).scores for name, path in files.items()}  # before hours of training
    first = next((row.settings for row in rows if row.settings is not None), None)

    def runs(row: Row, split: str) -> dict[Path, Settings]:
        """The runs of a row by their folders, one a seed."""
        assert row.settings is not None
        chosen = replace(row.settings, split=split or row.settings.split)
        return {
            folder / row.folder / f"{chosen.split}-seed{seed}": replace(chosen, seed=seed)
            for seed in range(chosen.seed, chosen.seed + seeds)
        }

    jobs: dict[Path, tuple[str, Settings]] = {}
    for row in (row for row in rows if row.settings is not None):
        for column in (column for column in table.columns if column.metric is not None):
            for place, settings in runs(row, column.split).items():
                same = jobs.setdefault(place, (row.title, settings))[1]
                assert same == settings, f"'{place}' would hold two trainings"
    for settings in {(settings.data, settings.split): settings for _, settings in jobs.values()}.values():
        _check_data(table, Store.open(settings.data), settings.split)
    trained: dict[Path, Scores] = {}
    for number, (place, (title, settings)) in enumerate(jobs.items(), start=1):
        say(f"{number} of {len(jobs)}: {title}, {settings.split}, seed {settings.seed}")
        trained[place] = run(settings, place, progress)

    by_title = {row.title: row for row in rows}

    def found(row: Row, split: str) -> list[Scores]:
        if row.settings is not None:
            return [trained[place] for place in runs(row, split)]
        if row.fused:
            parts = [found(by_title[title], split) for title in row.fused]
            most = max(map(len, parts)) if all(parts) else 0
            return [fuse([part[min(number, len(part) - 1)] for part in parts]) for number in range(most)]
        if row.file not in brought or first is None:
            return []
        return [_on_part(brought[row.file], first.data, split or first.split, str(files[row.file]))]

    cells: Cells = {}
    for row in rows:
        for column in table.columns:
            if column.metric is None:
                if row.settings is not None:
                    cells[row.title, column.title] = size(row.settings)
            elif scores := found(row, column.split):
                cells[row.title, column.title] = Measured(tuple(100 * column.metric(one) for one in scores))
    return cells


def size(settings: Settings) -> Size:
    """Parameters of the model that settings train."""
    model = new_model(settings, Store.open(settings.data))
    return Size(sum(parameter.numel() for parameter in model.parameters()))


def _check_data(table: Table, store: Store, split: str) -> None:
    """See that a store has what a table asks for, before hours of training."""
    tested(store, split)
    if lacking := [name for name in table.classes if name not in store.classes]:
        raise ValueError(
            f"{table.title} needs {len(table.classes)} classes, of which '{store.name}' lacks {len(lacking)} (first: "
            f"'{lacking[0]}'); give another store."
        )


def _on_part(scores: Scores, data: str, split: str, name: str) -> Scores:
    """Scores of a file for those clips of the test part that it has, with their labels and our order of classes."""
    store = Store.open(data)
    clips = tested(store, split)
    even = np.full((len(clips), len(store.classes)), 1 / len(store.classes))
    truth = Scores(store.ids[clips], store.classes, even, store.labels[clips])
    return align((truth, scores), (f"{store.name}, {split}", name), common=True).scores[1]


def tested(store: Store, split: str) -> NDArray[np.int64]:
    """Clips of the part ``test``, or of ``val`` where a split has no other (Kinetics tests on its validation set)."""
    if split not in store.splits:
        raise ValueError(f"'{store.name}' has no split '{split}'{nearest(split, store.splits)}.")
    return store.part(split, "test" if "test" in store.splits[split].parts else "val")


def run(settings: Settings, folder: Path, progress: bool = True) -> Scores:
    """Train in a folder unless that is done, and score the test part unless that is done."""
    path, file = fit(settings, folder, progress=progress), folder / "scores.npz"
    if not file.is_file():
        store = Store.open(settings.data)
        model, meaning = load_checkpoint(path)
        score(model, meaning, store, tested(store, settings.split), progress=progress).save(file)
    return Scores.load(file)
