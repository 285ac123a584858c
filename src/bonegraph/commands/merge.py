"""``bonegraph merge``."""

from __future__ import annotations

import argparse
from pathlib import Path

import jsonargparse

from bonegraph.commands import one_line

_EXAMPLES = """Join the shards that 'bonegraph prepare --shard' wrote into one store.

examples:
  bonegraph prepare nw-ucla shards/1 --source all_sqe --shard 1/2
  bonegraph prepare nw-ucla shards/2 --source all_sqe --shard 2/2
  bonegraph merge data/nw-ucla shards/1 shards/2

The store is the same, to the byte, as if one machine had prepared it. The shards stay; remove them afterwards. After
an interruption the same command merges again."""


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    from bonegraph.datasets.merge import merge

    parser = jsonargparse.ArgumentParser(
        prog="bonegraph merge",
        description=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("out", type=Path, help="the store to write, a folder")
    parser.add_argument("shards", type=Path, nargs="+", help="the folders of all shards, in any order")
    parser.add_argument("--overwrite", type=bool, default=False, help="write the store again even if it is there")
    parser.add_argument("--progress", type=bool, default=True, help="show a progress bar")
    try:
        given = parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, "merge")) from None
    print(merge(given.out, given.shards, progress=given.progress, overwrite=given.overwrite))
