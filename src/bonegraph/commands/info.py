"""``bonegraph info``."""

from __future__ import annotations

import csv
import json as plain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.datasets.store import Store

_FEW = 24  # a fact with more values than this is summed up


def info(store: Path, json: bool = False) -> None:
    """Say what is in a store: size, facts, classes, splits, lengths, and where its terms of use are.

    What is suspicious in it, 'bonegraph validate' says.

    Examples:
      bonegraph info data/nw-ucla
      bonegraph info data/nw-ucla --json

    Args:
        store: a prepared folder.
        json: print everything as JSON instead.
    """
    from bonegraph.datasets.store import Store

    content = describe(Store.open(store))
    print(plain.dumps(content, indent=2, ensure_ascii=False) if json else _text(content))


def describe(store: Store) -> dict[str, Any]:
    """What is in a store, as plain data for JSON.

    Returns:
        name, folder, source, licence, citation; clips, frames (of all clips), cells (frames times people), rows (cells
        in which the person is present), absent (the share that is not), invisible (share of the joints of present
        people that were not found; None without a confidence), people (clips by number of people), bytes (by file),
        skeleton, joints, channels, unit, fps, confidence, length (min, median and max in frames and seconds), classes
        and facts (clips by value), splits (column, clips by part, clips in no part), problems (files refused; None if
        nobody kept a list), made.
    """
    import numpy as np

    files = sorted(path for path in store.folder.iterdir() if path.is_file())
    positions = np.load(store.folder / "positions.npy", mmap_mode="r")
    cells, rows = int((store.frames * store.people).sum()), len(positions)
    counts = np.bincount(store.labels, minlength=len(store.classes)).tolist()
    lengths = [float(np.percentile(store.frames, share)) for share in (0, 50, 100)]
    splits = {}
    for name, split in store.splits.items():
        column = store.column(split.column)
        parts = {part: len(split.clips(part, column)) for part in split.parts}
        splits[name] = {"column": split.column, "parts": parts, "unused": len(split.unused(column))}
    return {
        "name": store.name,
        "folder": str(store.folder),
        "source": store.card.source,
        "licence": store.card.licence,
        "citation": store.card.citation,
        "clips": len(store),
        "frames": int(store.frames.sum()),
        "cells": cells,
        "rows": rows,
        "absent": 1 - rows / cells,
        "invisible": _invisible(store.folder) if store.has_confidence else None,
        "people": _clips_by_value(store.people),
        "bytes": {path.name: path.stat().st_size for path in files},
        "skeleton": store.skeleton.name,
        "joints": store.skeleton.num_joints,
        "channels": int(positions.shape[-1]),
        "unit": store.unit,
        "fps": store.fps,
        "confidence": store.has_confidence,
        "length": {
            "frames": dict(zip(("min", "median", "max"), lengths, strict=True)),
            "seconds": {
                name: length / store.fps for name, length in zip(("min", "median", "max"), lengths, strict=True)
            },
        },
        "classes": dict(zip(store.classes, counts, strict=True)),
        "facts": {name: _clips_by_value(column) for name, column in store.columns.items()},
        "splits": splits,
        "problems": _problems(store.folder / "problems.csv"),
        "made": store.card.made,
    }


def _clips_by_value(column: Any) -> dict[str, int]:
    import numpy as np

    values, counts = np.unique(column, return_counts=True)
    return dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))


def _invisible(folder: Path, chunk: int = 1 << 16) -> float:
    import numpy as np

    confidence = np.load(folder / "confidence.npy", mmap_mode="r")
    lost: int = sum(int((confidence[start : start + chunk] == 0).sum()) for start in range(0, len(confidence), chunk))
    return lost / int(confidence.size)


def _problems(path: Path) -> int | None:
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return max(0, sum(1 for _ in csv.reader(file)) - 1)


# --- as text ----------------------------------------------------------------------------------------------------------


def _text(content: dict[str, Any]) -> str:
    frames, seconds = content["length"]["frames"], content["length"]["seconds"]
    absent = f"{content['absent']:.2%} of {content['cells']:,} cells (frames times people)"
    if content["invisible"] is not None:
        absent += f"; of the joints of people who are there, {content['invisible']:.2%} were not found"
    refused = content["problems"]
    facts = {
        "name": content["name"],
        "clips": f"{content['clips']:,}, {content['frames']:,} frames in all",
        "length": f"{frames['min']:.0f} / {frames['median']:g} / {frames['max']:.0f} frames (min / median / max), "
        f"{seconds['min']:.2f} / {seconds['median']:.2f} / {seconds['max']:.2f} s at {content['fps']:g} fps",
        "people": ", ".join(f"{count:,} clips with {people}" for people, count in content["people"].items()),
        "absent": absent,
        "skeleton": f"{content['skeleton']}, {content['joints']} joints x {content['channels']}, {content['unit']}"
        + (", with confidence" if content["confidence"] else ""),
        "on disk": _size(sum(content["bytes"].values())),
        "refused": "no list was kept"
        if refused is None
        else f"{refused:,} files" + (" (problems.csv)" if refused else ""),
        "source": content["source"],
        "licence": content["licence"],
        "citation": content["citation"],
        "made": ", ".join(f"{name} {value}" for name, value in content["made"].items() if name != "files" and value),
    }
    lines = [f"{name:<10}{value}" for name, value in facts.items() if value]
    lines += ["", "classes"]
    width = max(map(len, content["classes"]))
    digits = len(str(len(content["classes"]) - 1))
    lines += [
        f"  {label:>{digits}}  {name:<{width}}  {count:>7,}  {count / content['clips']:6.1%}"
        for label, (name, count) in enumerate(content["classes"].items())
    ]
    for name, values in content["facts"].items():
        lines += ["", name, *(f"  {line}" for line in _values(values))]
    if content["splits"]:
        lines += ["", "splits"]
        width = max(map(len, content["splits"]))
        for name, split in content["splits"].items():
            parts = ", ".join(f"{part} {count:,}" for part, count in split["parts"].items())
            unused = f", unused {split['unused']:,}" if split["unused"] else ""
            lines.append(f"  {name:<{width}}  by {split['column']}: {parts}{unused}")
    return "\n".join(lines)


def _values(values: dict[str, int]) -> list[str]:
    """Clips by value: all of them in lines of six, or how many there are."""
    if len(values) > _FEW:
        names, counts = list(values), sorted(values.values())
        each = f"{counts[0]:,}" if counts[0] == counts[-1] else f"{counts[0]:,} to {counts[-1]:,}"
        return [f"{len(values):,} values from {names[0]} to {names[-1]}, {each} clips each"]
    shown = [f"{value}: {count:,}" for value, count in values.items()]
    width = max(map(len, shown)) + 2
    return ["".join(f"{text:<{width}}" for text in shown[at : at + 6]).rstrip() for at in range(0, len(shown), 6)]


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def with_switches(arguments: list[str], *names: str) -> list[str]:
    """Let ``--json`` stand for ``--json true``."""
    given = [*arguments, ""]
    return [
        f"{argument}=true" if argument in names and given[at + 1].lower() not in ("true", "false") else argument
        for at, argument in enumerate(arguments)
    ]


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(info, with_switches(arguments, "--json"), "info")
