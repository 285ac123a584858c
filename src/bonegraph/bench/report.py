"""What was measured as JSON, as a table of text or Markdown, and as files of a folder."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bonegraph.bench.peak import peaks
from bonegraph.bench.plot import picture
from bonegraph.bench.rows import Row, quartiles, short
from bonegraph.bench.ways import WAYS
from bonegraph.files import write_whole

VERSION = 1
JSON = "bench.json"
_BUSY_LOAD, _BUSY_RATIO = 0.5, 1.1
_WORDS = ("model", "way", "case", "pass", "precision")
_FIRST = next(iter(WAYS))


def busy(rows: Iterable[Row], load: float | None) -> list[str]:
    """Why the figures are not to be believed; nothing where the machine had time for us.

    Args:
        rows: measured.
        load: of the machine before the run.
    """
    reasons = []
    if load is not None and load > _BUSY_LOAD:
        reasons.append(f"the load was {load:g} before the run")
    alone = [row for row in rows if row.threads == 1]  # several threads wait for each other, too
    waits = [clock / own for row in alone for clock, own in zip(row.clock_s, row.processor_s, strict=True) if own > 0]
    if waits and (wait := statistics.median(waits)) > _BUSY_RATIO:
        reasons.append(f"turns took {wait:.2f} times as long on the clock as on the processor")
    return reasons


def content(
    rows: list[Row],
    about: dict[str, Any],
    settings: dict[str, Any],
    load: tuple[float | None, float | None],
    whole: bool,
) -> dict[str, Any]:
    """All of it as plain data.

    Args:
        rows: measured, or not yet.
        about: the machine.
        settings: what was asked for.
        load: of the machine, before and after.
        whole: whether every turn was taken.
    """
    highest = [{"precision": p, "threads": n, "gflops": value / 1e9} for (p, n), value in peaks(rows).items()]
    return {
        "version": VERSION,
        "complete": whole,
        "busy": busy(rows, load[0]),
        "machine": {**about, "load_before": load[0], "load_after": load[1]},
        "settings": settings,
        "peak": highest,
        "rows": [row.as_data() for row in rows],
        "floors": _floors(rows),
    }


def _floors(rows: list[Row]) -> list[dict[str, Any]]:
    """The floor of each task, with its operations."""
    of_tasks = {row.task: row.floor for row in rows if row.floor is not None}
    names = "model", "case", "kind", "precision", "threads"
    return [dict(zip(names, task, strict=True)) | floor.as_data() for task, floor in of_tasks.items()]


def write(folder: Path, rows: list[Row], data: dict[str, Any]) -> list[Path]:
    """Write bench.json, bench.md and, where models were measured, bench.png; each of them whole or not at all."""
    files = {JSON: as_json(data), "bench.md": markdown(rows, data).encode(), "bench.png": b""}
    if drawn := picture(rows, "; ".join(_remarks(data))):
        files["bench.png"] = drawn
    else:  # one of an earlier measurement would lie
        (folder / "bench.png").unlink(missing_ok=True)
        del files["bench.png"]
    for name, text in files.items():
        write_whole(folder / name, text)
    return [folder / name for name in files]


def as_json(data: dict[str, Any]) -> bytes:
    """The text of bench.json."""
    return json.dumps(data, indent=1).encode()


def text(rows: list[Row], data: dict[str, Any]) -> str:
    """Tables for the terminal."""
    parts = ["\n".join(_heading(data))]
    for shared, columns in _tables(rows):
        titles, lines = list(columns), list(zip(*columns.values(), strict=True))
        widths = [max(map(len, cells)) for cells in zip(titles, *lines, strict=True)]
        aligned = [
            "  ".join(
                f"{cell:<{w}}" if t in _WORDS else f"{cell:>{w}}"
                for t, cell, w in zip(titles, line, widths, strict=True)
            )
            for line in (titles, *lines)
        ]
        parts.append("\n".join([shared, *(line.rstrip() for line in aligned)]).strip())
    return "\n\n".join(parts)


def markdown(rows: list[Row], data: dict[str, Any]) -> str:
    """The same in Markdown."""
    parts = ["# bonegraph bench", "\n".join(f"- {line}" for line in _heading(data))]
    for shared, columns in _tables(rows):
        marks = ["---" if title in _WORDS else "---:" for title in columns]
        lines = [list(columns), marks, *zip(*columns.values(), strict=True)]
        parts.append(f"{shared}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _heading(data: dict[str, Any]) -> list[str]:
    about, settings = data["machine"], data["settings"]
    turns = settings["repeats"] if data["complete"] else f"at most {settings['repeats']}"
    memory = "kept" if about["memory_kept"] else "given back"
    lines = [
        f"{about['processor']}, {about['cores']} cores, torch {about['torch']}, commit {about['commit']}",
        f"width {settings['width']}, medians of {turns} turns, freed memory {memory}",
    ]
    lines += [f"peak: {p['gflops']:.0f} GFLOP/s, {p['precision']}, threads: {p['threads']}" for p in data["peak"]]
    before, after = about["load_before"], about["load_after"]
    if before is not None:
        lines.append(f"load: {before:g} before, {after:g} after")
    if data["floors"]:
        lines.append("floor: the same matrix products and convolutions alone, best of a few turns; nothing else")
    if data["peak"]:
        lines.append("GFLOP/s and comparisons: on one thread by the time of the processor, else by that of the clock")
    return [*lines, *_remarks(data)]


def _remarks(data: dict[str, Any]) -> list[str]:
    remarks = []
    if data["busy"]:
        remarks.append(f"THE MACHINE IS BUSY, do not believe these figures: {', '.join(data['busy'])}")
    if not data["complete"]:
        remarks.append("PARTIAL: stopped before every turn was taken")
    return remarks


def _tables(rows: list[Row]) -> Iterable[tuple[str, dict[str, list[str]]]]:
    """For the models, for the data and for the peak: what all rows share, and the columns of the rest."""
    measured = [row for row in rows if row.clock_s]
    highest = peaks(measured)
    firsts = {row.task: row for row in measured if row.way == _FIRST}

    def share(row: Row) -> str:
        key = row.precision, row.threads
        return f"{row.rate / highest[key]:.0%}" if row.flops and key in highest else ""

    def gain(row: Row) -> str:
        first = firsts.get(row.task)
        return "" if first is None else f"{faster(first, row):.2f}x"

    def near(row: Row) -> str:
        return "" if row.floor_s is None else f"{row.floor_s / statistics.median(row.own_s):.0%}"

    of_all: dict[str, Callable[[Row], str]] = {
        "model": lambda row: row.model,
        "pass": lambda row: row.kind,
        "case": lambda row: row.case,
        "precision": lambda row: row.precision,
        "threads": lambda row: str(row.threads),
        "way": lambda row: row.way,
        "ms": lambda row: short(row.seconds * 1e3),
        "quartiles": lambda row: "{0}-{2}".format(*(short(value * 1e3) for value in quartiles(row.clock_s))),
        "processor ms": lambda row: short(statistics.median(row.processor_s) * 1e3),
        "clips/s": lambda row: short(row.clips / row.seconds) if row.clips else "",
        "GFLOP/s": lambda row: short(row.rate / 1e9) if row.flops else "",
        "of peak": share,
        "floor ms": lambda row: "" if row.floor_s is None else short(row.floor_s * 1e3),
        "floor / this": near,
        "MB": lambda row: "" if row.memory_bytes is None else short(row.memory_bytes / 1e6),
        f"{_FIRST} / this": gain,
    }
    groups = (
        [row for row in measured if row.model],
        [row for row in measured if row.kind == "data"],
        [row for row in measured if row.kind == "peak"],
    )
    for group in filter(None, groups):
        columns = {title: [cell(row) for row in group] for title, cell in of_all.items()}
        same = {
            title: cells[0]
            for title, cells in columns.items()
            if title in (*_WORDS, "threads") and len(set(cells)) == 1
        }
        columns = {title: cells for title, cells in columns.items() if title not in same and any(cells)}
        yield ", ".join(f"{title}: {value}" for title, value in same.items() if value), columns


def faster(first: Row, row: Row) -> float:
    """How many times less time a row takes than another one: the median over turns, which are side by side."""
    return statistics.median(a / b for a, b in zip(first.own_s, row.own_s, strict=False))
