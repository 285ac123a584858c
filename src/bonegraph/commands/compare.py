"""``bonegraph compare``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jsonargparse

from bonegraph.commands import one_line

if TYPE_CHECKING:
    from bonegraph.scores.comparison import Comparison

_EXAMPLES = """Compare two runs on the same clips: A, the baseline, and B; the difference is B minus A.

Says the accuracy of each, the difference by class, the clips that only one of them gets right, McNemar's test, and a
bootstrap interval of the difference. With several runs a side (seeds) it gives mean and standard deviation instead of
the tests. An input is whatever 'bonegraph fuse' takes.

examples:
  bonegraph compare runs/msg3d runs/stf --report stf-against-msg3d.html
  bonegraph compare runs/a-seed0 runs/a-seed1 runs/a-seed2 --with runs/b-seed0 runs/b-seed1 runs/b-seed2
  bonegraph compare theirs.pkl runs/ours --common"""


def compare(
    inputs: Sequence[Path],
    *,
    others: Sequence[Path] = (),
    common: bool = False,
    resamples: int = 10_000,
    seed: int = 0,
    ids: Path | None = None,
    ids_part: str = "",
    report: Path | None = None,
) -> Comparison:
    """Compare two runs, or two groups of runs, and say what differs.

    Args:
        inputs: A and B; or, with `others`, the runs of side A. Run folders or scores files.
        others: the runs of side B.
        common: keep the clips that all runs have.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        ids: the order of the clips, for inputs without clip ids.
        ids_part: which part of a PYSKL annotation file was scored.
        report: an HTML report.

    Raises:
        ValueError: the runs do not fit together.
        FileNotFoundError: an input is missing.
    """
    from bonegraph.scores.align import align
    from bonegraph.scores.comparison import compare as compared
    from bonegraph.scores.files import read_scores
    from bonegraph.scores.order import read_order
    from bonegraph.scores.text import format_comparison

    if not others:
        if len(inputs) != 2:
            raise ValueError(f"give A and B, got {len(inputs)}; several runs a side as 'A1 A2 --with B1 B2'.")
        inputs, others = inputs[:1], inputs[1:]
    order = read_order(ids, ids_part) if ids is not None else None
    read = [read_scores(path, order) for path in (*inputs, *others)]
    names = [str(path) for path in (*inputs, *others)]
    aligned, notes = align([one.scores for one in read], names, verb="compare", common=common)
    notes = (*(note for one in read for note in one.notes), *notes)
    sides = (aligned[: len(inputs)], aligned[len(inputs) :])
    result = compared(*sides, names=names, resamples=resamples, seed=seed)
    titles = {"A": ", ".join(names[: len(inputs)]), "B": ", ".join(names[len(inputs) :])}
    for side, title in titles.items():
        print(f"{side}  {title}")
    for note in notes:
        print(f"note: {note}")
    print(format_comparison(result))
    if report is not None:
        from bonegraph.viz.differences import write_comparison

        command = shlex.join(["bonegraph", *sys.argv[1:]])
        write_comparison(report, result, facts={**titles, "command": command}, notes=notes)
        print(f"report: {report}")
    return result


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    parser = jsonargparse.ArgumentParser(
        prog="bonegraph compare",
        description=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("inputs", nargs="+", type=Path, help="A and B, or with --with the runs of side A")
    parser.add_argument("--with", dest="others", nargs="+", type=Path, default=[], help="the runs of side B")
    parser.add_argument(
        "--common", nargs="?", const=True, default=False, type=bool, help="keep the clips that all runs have"
    )
    parser.add_argument("--resamples", type=int, default=10_000, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument(
        "--ids", type=Path, help="the order of the clips, for inputs without ids; as in 'bonegraph fuse'"
    )
    parser.add_argument("--ids_part", type=str, default="", help="the scored part of a PYSKL annotation file")
    parser.add_argument("--report", type=Path, help="an HTML report")
    try:
        given = parser.instantiate(parser.parse_args(arguments))
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, "compare")) from None
    compare(**vars(given))
