"""``bonegraph prepare``."""

from __future__ import annotations

import argparse
from pathlib import Path

import jsonargparse

from bonegraph.commands import one_line

_EXAMPLES = """Read every recording of a data set and write them as a store.

examples:
  bonegraph prepare nw-ucla data/nw-ucla --source all_sqe
  bonegraph prepare sbu data/sbu --source sbu
  bonegraph prepare synthetic data/synthetic --seed 1
  bonegraph prepare utd-mhad data/utd-on-ucla --source utd_mhad --to_skeleton ucla20   (for a network of NW-UCLA)
  bonegraph prepare nw-ucla shards/3 --source all_sqe --shard 3/16    (of many machines; see 'bonegraph merge --help')

Files that cannot be used are listed with the reason in problems.csv of the store. After an interruption the same
command goes on. 'bonegraph prepare NAME --help' explains the settings of one data set.

data sets: """


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    from bonegraph.datasets.known import KNOWN_SETS, set_class
    from bonegraph.datasets.known.converted import OnSkeleton
    from bonegraph.datasets.prepare import prepare
    from bonegraph.datasets.shards import Shard
    from bonegraph.skeleton import get_skeleton

    name = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    chosen = set_class(name) if name else None
    parser = jsonargparse.ArgumentParser(
        prog=f"bonegraph prepare {name or 'DATASET'}",
        description=_EXAMPLES + ", ".join([*KNOWN_SETS, "synthetic"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("out", type=Path, help="the store to write, a folder")
    parser.add_argument("--source", type=Path, help="folder or file of the recordings; the synthetic set needs none")
    parser.add_argument("--workers", type=int | None, default=None, help="processes that read; default all processors")
    parser.add_argument("--overwrite", type=bool, default=False, help="write the store again even if it is there")
    parser.add_argument("--progress", type=bool, default=True, help="show a progress bar")
    parser.add_argument(
        "--to_skeleton", type=str | None, default=None, help="match joints by name: a name or a .yaml file"
    )
    parser.add_argument("--shard", type=str | None, default=None, help="prepare one piece of many only, e.g. 3/16")
    settings = parser.add_class_arguments(chosen) if chosen is not None else []
    if chosen is None and not {"-h", "--help"} & set(arguments):
        raise ValueError("give a data set and the store to write; see 'bonegraph prepare --help'")
    try:
        given = parser.parse_args(arguments[1:] if name else arguments)
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, "prepare")) from None
    assert chosen is not None  # help has left by now
    known = chosen(**{field: given[field] for field in settings})
    if given.to_skeleton is not None:
        known = OnSkeleton(known, get_skeleton(given.to_skeleton))
    if given.source is None and name != "synthetic":
        raise ValueError(f"'{name}' needs --source, the folder of its files: {known.where}.")
    print(
        prepare(
            known,
            given.source,
            given.out,
            workers=given.workers,
            progress=given.progress,
            overwrite=given.overwrite,
            shard=None if given.shard is None else Shard.parse(given.shard),
        )
    )
