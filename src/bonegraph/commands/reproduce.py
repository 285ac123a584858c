"""``bonegraph reproduce``."""

from __future__ import annotations

import argparse
import shlex
import typing
from pathlib import Path

import jsonargparse

_EXAMPLES = """Measure a table of a paper on a prepared set: train what is missing, show the paper's value beside ours.

examples:
  bonegraph reproduce stgcn/table-1 stgcn-kinetics-paper --data data/kinetics --out tables/kinetics
  bonegraph reproduce stgcn/table-1 nw-ucla --data data/nw-ucla --out tables/ucla --width quarter --seeds 3
  bonegraph reproduce stgcn/table-3 stgcn-ntu60-paper --data data/ntu60 --out tables/ntu
  bonegraph reproduce stgcn/table-5 stgcn-kinetics-paper --data data/kinetics --out tables/kinetics \
      --scores '{rgb: rgb.csv}'
  bonegraph reproduce kth/table-1 kth-kth-table-1 --data data/kth --out tables/kth
  bonegraph reproduce dualhead/table-4 dualhead-ntu60-paper --data data/ntu60 --out tables/dualhead
  bonegraph reproduce dualhead/table-5 dualhead-ntu60-paper --data data/ntu60 --out tables/dualhead
  bonegraph reproduce stf/table-5 stf-sbu --data data/sbu --out tables/stf --width quarter --seeds 1 \
      --splits fold1 fold2 fold3 fold4 fold5
  bonegraph reproduce stf/shift utd-mhad --data data/utd-ucla20 --out tables/shift \
      --starts '{msg3d: runs/stf/base, explore: runs/stf/explore, focus: runs/stf/focus}'

The recipe gives data, schedule and input; the table gives the models. Interrupted, the same command goes on. The folder
then holds PAPER-table-N.md, the same as .html, and a run folder for each training; a training that several tables of a
paper share is done once where they are given the same folder.

tables: """


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    from bonegraph.allocator import keep_memory
    from bonegraph.commands.settings import base_settings, parse
    from bonegraph.files import write_whole
    from bonegraph.models.stgcn import Width
    from bonegraph.reproduce import TABLES, table
    from bonegraph.reproduce.show import html, markdown
    from bonegraph.reproduce.table import measure

    named = arguments[:2] if len(arguments) > 1 and not any(a.startswith("-") for a in arguments[:2]) else []
    if not named and not {"-h", "--help"} & set(arguments):
        raise ValueError("give a table and a recipe first; see 'bonegraph reproduce --help'")
    parser = jsonargparse.ArgumentParser(
        prog="bonegraph reproduce TABLE RECIPE",
        description=_EXAMPLES + ", ".join(TABLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("--out", type=Path, required=False, help="folder of the runs and the table")
    parser.add_argument("--width", type=Width, default="full", help="full is the paper's; half, quarter")
    parser.add_argument("--seeds", type=int, default=3, help="runs for each cell")
    parser.add_argument(
        "--scores", type=dict[str, Path], default={}, help="scores of other modalities, '{rgb: FILE, flow: FILE}'"
    )
    parser.add_argument(
        "--splits", nargs="+", type=str, default=[], help="repeat everything on each of these splits, e.g. folds"
    )
    parser.add_argument(
        "--starts", type=dict[str, Path], default={}, help="runs that rows start from, '{msg3d: RUN, focus: RUN}'"
    )
    parser.add_argument("--progress", type=bool, default=True, help="show progress bars")
    chosen = table(named[0]) if named else None
    base = base_settings(named[1] if named else "demo")
    given, settings = parse(parser, arguments[len(named) :], base, "reproduce", leave_out="model")
    assert chosen is not None  # help has left by now
    if given.out is None or not settings.data:
        raise ValueError("give the prepared store and a folder: --data STORE --out FOLDER")
    keep_memory()
    width = typing.cast(Width, given.width)
    rows = chosen.rows(settings, width)
    cells = measure(
        chosen,
        rows,
        given.out,
        given.seeds,
        given.scores,
        print,
        splits=given.splits,
        brought=given.starts,
        progress=given.progress,
    )
    facts = {
        "data": settings.data,
        "recipe": settings.recipe,
        "width": width,
        "epochs": str(settings.epochs),
        **({"splits": ", ".join(given.splits)} if given.splits else {}),
        "seeds": f"{settings.seed} to {settings.seed + given.seeds - 1}",
        "command": shlex.join(["bonegraph", "reproduce", *arguments]),
    }
    text = markdown(chosen, rows, cells)
    file = given.out / named[0].replace("/", "-")
    write_whole(file.with_suffix(".md"), f"{text}\n".encode())
    write_whole(file.with_suffix(".html"), html(chosen, rows, cells, facts).encode())
    print(text)
