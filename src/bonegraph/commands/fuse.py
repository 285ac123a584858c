"""``bonegraph fuse``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jsonargparse

from bonegraph.commands import one_line

if TYPE_CHECKING:
    from bonegraph.scores import Scores

_EXAMPLES = """Fuse the scores of several streams: their weighted mean, clips joined by id and classes by name.

An input is a run folder (its scores.npz), a folder of streams (each of its runs), a scores file of ours (.npz), a table
(.csv: id, then one column a class), or a score pickle of other code (.pkl). Rows that are not probabilities are taken
for logits, which is said.

examples:
  bonegraph fuse runs/joint runs/bone --out runs/two-streams.npz
  bonegraph fuse runs/joint runs/bone runs/joint-motion runs/bone-motion --weights 0.6 0.6 0.4 0.4
  bonegraph fuse runs/four-streams --weights 0.6 0.6 0.4 0.4
  bonegraph fuse runs/joint runs/bone --search            # weights chosen on scores-val.npz of each run
  bonegraph fuse runs/joint rgb.csv flow.csv --common
  bonegraph fuse joint.pkl bone.pkl --ids val_label.pkl --of logits"""


def fuse(
    inputs: Sequence[Path],
    *,
    out: Path | None = None,
    weights: Sequence[float] | None = None,
    search: bool = False,
    validate: Sequence[Path] = (),
    step: float = 0.1,
    of: Literal["probabilities", "logits"] = "probabilities",
    common: bool = False,
    ids: Path | None = None,
    ids_part: str = "",
    report: Path | None = None,
) -> Scores:
    """Fuse the scores of several streams and say what comes of it.

    Args:
        inputs: run folders, folders of streams or scores files, at least two after all.
        out: the file for the fused scores, .npz.
        weights: one for each input; default all equal.
        search: choose the weights on validation scores.
        validate: validation scores, one file for each input; default scores-val.npz of run folders.
        step: of the weights that are tried.
        of: what is added.
        common: keep the clips that all inputs have.
        ids: the order of the clips, for inputs without clip ids.
        ids_part: which part of a PYSKL annotation file was scored.
        report: an HTML report of the fused scores.

    Raises:
        ValueError: the inputs do not fit together, or the options contradict each other.
        FileNotFoundError: an input is missing.
    """
    from bonegraph.scores import format_table
    from bonegraph.scores.align import align
    from bonegraph.scores.files import read_scores, scores_file
    from bonegraph.scores.fusion import fuse as fused_scores
    from bonegraph.scores.fusion import search_weights
    from bonegraph.scores.order import read_order
    from bonegraph.scores.streams import stream_runs

    inputs = [path for given in inputs for path in stream_runs(given).values() or (given,)]
    if len(inputs) < 2:
        raise ValueError(f"give at least two inputs, got {len(inputs)}.")
    if search and weights is not None:
        raise ValueError("give either --weights or --search.")
    if validate and not search:
        raise ValueError("--validate is for --search; give both.")
    if validate and len(validate) != len(inputs):
        raise ValueError(f"{len(inputs)} inputs but {len(validate)} files of validation scores; give one for each.")
    if out is not None and out.suffix != ".npz":
        raise ValueError(f"the fused scores are an .npz file, but --out is '{out}'.")
    order = read_order(ids, ids_part) if ids is not None else None

    def load(paths: Sequence[Path]) -> list[Scores]:
        found = [read_scores(path, order) for path in paths]
        _print_notes(note for one in found for note in one.notes)
        return [one.scores for one in found]

    names = [str(given) for given in inputs]
    aligned, notes = align(load(inputs), names, common=common)
    _print_notes(notes)
    if search:
        for given in () if validate else inputs:
            if not given.is_dir():
                raise ValueError(f"'{given}' is no run folder; give its validation scores with --validate.")
        files = validate or [scores_file(given, "val") for given in inputs]
        found = search_weights(
            load(files), aligned, step=step, of=of, names=[str(file) for file in files], common=common
        )
        weights = found.weights
        print(
            f"note: weights chosen among {found.tried:,} on {found.clips:,} validation clips, where they reach "
            f"{found.accuracy:.2%} (equal weights {found.equal:.2%})."
        )
    fused = fused_scores(aligned, weights, of=of, names=names)
    given_weights = [1.0] * len(inputs) if weights is None else list(weights)
    for name, one, weight in zip(names, aligned, given_weights, strict=True):
        accuracy = f"{one.top(1):8.2%}" if one.labelled.any() else f"{'':8}"
        print(f"  weight {weight:<6.4g} {accuracy}  {name}")
    print(format_table(fused))
    if out is not None:
        print(f"scores: {fused.save(out)}")
    if report is not None:
        _report(report, fused, names, given_weights, of)
    return fused


def _report(path: Path, fused: Scores, names: Sequence[str], weights: Sequence[float], of: str) -> None:
    from bonegraph.viz.report import write_report

    streams = zip(names, weights, strict=True)
    facts = {f"stream {at}": f"{name}, weight {weight:.4g}" for at, (name, weight) in enumerate(streams, start=1)}
    facts["mean of"] = of
    facts["command"] = shlex.join(["bonegraph", *sys.argv[1:]])
    write_report(path, title="Fused scores", scores=fused, curves=None, facts=facts)
    print(f"report: {path}")


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(f"note: {note}")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    parser = jsonargparse.ArgumentParser(
        prog="bonegraph fuse",
        description=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("inputs", nargs="+", type=Path, help="run folders or scores files")
    parser.add_argument("--out", type=Path, help="the file for the fused scores, .npz")
    parser.add_argument("--weights", nargs="+", type=float, help="one for each input; default all equal")
    parser.add_argument(
        "--search", nargs="?", const=True, default=False, type=bool, help="choose the weights on validation scores"
    )
    parser.add_argument(
        "--validate",
        nargs="+",
        type=Path,
        default=[],
        help="validation scores for --search, one for each input; default scores-val.npz of run folders",
    )
    parser.add_argument("--step", type=float, default=0.1, help="of the weights that --search tries")
    parser.add_argument(
        "--of",
        choices=("probabilities", "logits"),
        default="probabilities",
        help="what is added; the logits of probabilities are their logarithms",
    )
    parser.add_argument(
        "--common", nargs="?", const=True, default=False, type=bool, help="keep the clips that all inputs have"
    )
    parser.add_argument(
        "--ids",
        type=Path,
        help="the order of the clips, for inputs without ids: one id a line, .npz, or a pickle of annotations",
    )
    parser.add_argument("--ids_part", type=str, default="", help="the scored part of a PYSKL annotation file")
    parser.add_argument("--report", type=Path, help="an HTML report of the fused scores")
    try:
        given = parser.instantiate(parser.parse_args(arguments))
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, "fuse")) from None
    fuse(**vars(given))
