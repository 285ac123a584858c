"""``bonegraph validate``."""

from __future__ import annotations

import json as plain
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bonegraph.commands import call
from bonegraph.commands.info import with_switches

if TYPE_CHECKING:
    from bonegraph.datasets.validate import Validation

_SHOWN = 3  # findings of a kind in the table


def validate(
    store: Path, report: Path | None = None, split: str = "", json: bool = False, progress: bool = True
) -> int:
    """Say what is suspicious in a store: leaks between splits, duplicates, broken poses, wrong labels.

    Errors make results untrue, warnings are clips to look at, notes are worth knowing. The exit status is 0 without
    errors, 1 with errors, 2 if the store cannot be read.

    Examples:
      bonegraph validate data/nw-ucla
      bonegraph validate data/nw-ucla --report nw-ucla.html
      bonegraph validate data/nw-ucla --split xview
      bonegraph validate data/nw-ucla --json > findings.json

    Args:
        store: a prepared folder.
        report: an HTML page to write, with films of the suspects.
        split: look only at this split and the clips in it.
        json: print the findings as JSON instead, each with the ids of all its clips.
        progress: show a progress bar.

    Returns:
        The exit status.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.datasets.validate import validate as look
    from bonegraph.viz.validation import write_validation

    if report is not None and not report.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder '{report.absolute().parent}' for the report; make it first.")
    opened = Store.open(store)
    found = look(opened, split=split, progress=progress)
    if report is not None:
        write_validation(report, opened, found, split=split)
    if json:
        print(plain.dumps([asdict(finding) for finding in found.findings], indent=2, ensure_ascii=False))
    else:
        print(_text(found, opened.name, report))
    return 1 if found.count("error") else 0


def _text(found: Validation, name: str, report: Path | None) -> str:
    lines = []
    kinds = found.by_kind
    if kinds:
        rows = [("severity", "kind", "findings", "clips")]
        for (severity, kind), findings in kinds.items():
            clips = len({clip for finding in findings for clip in finding.clips})
            rows.append((severity, kind, f"{len(findings):,}", f"{clips:,}" if clips else ""))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines += [
            f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
            for row in rows
        ]
    for (severity, kind), findings in kinds.items():
        lines += ["", f"{severity}: {kind}"]
        lines += [f"  {finding.message}" for finding in findings[:_SHOWN]]
        if len(findings) > _SHOWN:
            lines.append(f"  and {len(findings) - _SHOWN:,} more; --report or --json lists them")
    counts = ", ".join(
        f"{count:,} {word}{'' if count == 1 else 's'}"
        for word, count in (
            ("error", found.count("error")),
            ("warning", found.count("warning")),
            ("note", found.count("note")),
        )
    )
    lines += [""] * bool(lines) + [f"'{name}': {found.clips:,} clips, {counts}."]
    if report is not None:
        lines.append(f"report: {report}")
    return "\n".join(lines)


def run(arguments: list[str]) -> int:
    """Called by the command line."""
    status: int = call(validate, with_switches(arguments, "--json"), "validate")
    return status
