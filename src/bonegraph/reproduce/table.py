"""A table of a paper: rows, columns, the paper's values, and how ours are measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from types import MappingProxyType

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
from bonegraph.training.run import FINAL, fit, new_model
from bonegraph.training.settings import Settings


@dataclass(frozen=True)
class Column:
    """A column: a metric on the test part of a split, the size of the models, or something else about their runs.

    Args:
        title: its heading.
        metric: a share in [0, 1] from the scores of a run; None counts the parameters, of which papers give millions.
        split: a split of the store; empty for the split of the settings.
        of_run: a number from the folder of a finished run, instead of a metric; NaN where it has none.
        digits: that are shown.
    """

    title: str
    metric: Callable[[Scores], float] | None
    split: str = ""
    of_run: Callable[[Path], float] | None = None
    digits: int = 1

    @property
    def counts_parameters(self) -> bool:
        """Whether it is the size of the models."""
        return self.metric is None and self.of_run is None


@dataclass(frozen=True)
class Row:
    """A row. Its values come from training, from a file, from other rows, or (another's method) from nowhere.

    Args:
        title: as the paper calls it.
        paper: the paper's values in percent (millions of parameters), one a column; None where it gives none.
        settings: what is trained.
        file: name of a modality whose scores the user brings.
        fused: titles of rows whose probabilities are averaged, clip by clip.
        minus: titles of two rows, of which the second one's values are taken from the first one's.
        after: title of the row whose run of the same split and number it starts from.
        brought: name of a run of the user that it starts from, whose model and input it takes over.
        ours: whether the row is ours and not the paper's.
        run: name of the run folder, the same for rows that are the same training; empty for one by the title.
        remark: on the paper's values, where they need one.
    """

    title: str
    paper: tuple[float | None, ...]
    settings: Settings | None = None
    file: str = ""
    fused: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()
    after: str = ""
    brought: str = ""
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
    """Our value of a cell: percent, one a run."""

    values: tuple[float, ...]
    digits: int = 1

    def __str__(self) -> str:
        shown = [mean(self.values), *([stdev(self.values)] if len(self.values) > 1 else [])]
        return " ± ".join(f"{value:.{self.digits}f}" for value in shown)


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
    splits: Sequence[str] = (),
    brought: Mapping[str, Path] = MappingProxyType({}),
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
        splits: repeat everything on each of these, instead of on the split of the settings (folds).
        brought: runs of the user by name; rows that start from another one stay empty.
        progress: show progress bars.

    Raises:
        ValueError: seeds is below 1, no row takes a file, a file does not fit, or what `fit` refuses.
        FileNotFoundError: a file or a run that was brought is missing.
    """
    if splits and any(column.split for column in table.columns):
        raise ValueError("this table has columns for its splits; leave --splits away.")
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, got {seeds}.")
    taken = {row.file for row in rows if row.file}
    for name in files:
        if name not in taken:
            raise ValueError(f"no row of this table takes the scores of '{name}'{nearest(name, taken)}.")
    rows = with_brought(rows, brought)
    by_title = {row.title: row for row in rows}
    files_read = {name: read_scores(path).scores for name, path in files.items()}  # before hours of training
    first = next((row.settings for row in rows if row.settings is not None), None)

    def runs(row: Row, split: str) -> dict[Path, Settings]:
        """The runs of a row by their folders, one a split and seed."""
        assert row.settings is not None
        starts = list(runs(by_title[row.after], split)) if row.after else []
        found: dict[Path, Settings] = {}
        for one in [split] if split else list(splits) or [row.settings.split]:
            for seed in range(row.settings.seed, row.settings.seed + seeds):
                start = str(starts[len(found)]) if starts else row.settings.start
                place = folder / row.folder / f"{one}-seed{seed}"
                found[place] = replace(row.settings, split=one, seed=seed, start=start)
        return found

    jobs: dict[Path, tuple[str, Settings]] = {}
    for column in (column for column in table.columns if not column.counts_parameters):
        for row in (row for row in rows if row.settings is not None):
            for place, settings in runs(row, column.split).items():
                same = jobs.setdefault(place, (row.title, settings))[1]
                assert same == settings, f"'{place}' would hold two trainings"
    jobs = _one_repeat_after_the_other(jobs)
    for settings in {(settings.data, settings.split): settings for _, settings in jobs.values()}.values():
        _check_data(table, Store.open(settings.data), settings.split)
    trained: dict[Path, Scores] = {}
    for number, (place, (title, settings)) in enumerate(jobs.items(), start=1):
        say(f"{number} of {len(jobs)}: {title}, {settings.split}, seed {settings.seed}")
        trained[place] = run(settings, place, progress)

    def found(row: Row, split: str) -> list[Scores]:
        if row.settings is not None:
            return [trained[place] for place in runs(row, split)]
        if row.fused:
            parts = [found(by_title[title], split) for title in row.fused]
            most = max(map(len, parts)) if all(parts) else 0
            return [fuse([part[min(number, len(part) - 1)] for part in parts]) for number in range(most)]
        if row.file not in files_read or first is None:
            return []
        return [_on_part(files_read[row.file], first.data, split or first.split, str(files[row.file]))]

    cells: Cells = {}
    for row in rows:
        for column in table.columns:
            cell = row.title, column.title
            if column.counts_parameters:
                if row.settings is not None:
                    cells[cell] = size(row.settings)
            elif column.of_run is not None:
                values = tuple(map(column.of_run, runs(row, column.split))) if row.settings is not None else ()
                if values and not any(map(math.isnan, values)):
                    cells[cell] = Measured(values, column.digits)
            elif scores := found(row, column.split):
                assert column.metric is not None
                cells[cell] = Measured(tuple(100 * column.metric(one) for one in scores), column.digits)
    for row in (row for row in rows if row.minus):
        for column in table.columns:
            more, less = (cells.get((title, column.title)) for title in row.minus)
            if isinstance(more, Measured) and isinstance(less, Measured):
                differences = (one - two for one, two in zip(more.values, less.values, strict=True))
                cells[row.title, column.title] = Measured(tuple(differences), column.digits)
    return cells


def with_brought(rows: tuple[Row, ...], brought: Mapping[str, Path]) -> tuple[Row, ...]:
    """Rows that start from runs of the user: they take over model, frames and input. Without its run a row is empty.

    Raises:
        FileNotFoundError: a run is missing.
        ValueError: no row takes a run of this name, or it is no checkpoint.
    """
    taken = {row.brought for row in rows if row.brought}
    for name in brought:
        if name not in taken:
            raise ValueError(f"no row of this table starts from '{name}'{nearest(name, taken)}.")
    found = []
    settings: Settings | None
    for row in rows:
        if row.brought:
            settings = None
            if row.brought in brought and row.settings is not None:
                path = brought[row.brought]
                model, meaning = load_checkpoint(path / FINAL if path.is_dir() else path)
                settings = replace(
                    row.settings,
                    start=str(path),
                    model=model.config,
                    length=meaning.length,
                    transforms=meaning.transforms,
                    people=meaning.people,
                )
            row = replace(row, settings=settings)
        found.append(row)
    return tuple(found)


def _one_repeat_after_the_other(jobs: dict[Path, tuple[str, Settings]]) -> dict[Path, tuple[str, Settings]]:
    """All rows of the first repeat, then all of the second, so that an interrupted table has whole ones to look at."""
    places: dict[Path, list[Path]] = {}
    for place in jobs:
        places.setdefault(place.parent, []).append(place)
    number = {place: at for several in places.values() for at, place in enumerate(several)}
    return {place: jobs[place] for place in sorted(jobs, key=number.__getitem__)}  # the sort is stable


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
