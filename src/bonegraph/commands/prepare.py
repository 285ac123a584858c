"""``bonegraph prepare``."""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import jsonargparse

from bonegraph.commands import one_line

if TYPE_CHECKING:
    from bonegraph.datasets.known import KnownSet

_EXAMPLES = """Read recordings and write them as a store: a folder of your own, or a data set that is known by name.

your own recordings, examples:
  bonegraph prepare my-videos data/mine           (one folder per class, or a labels.csv: file,label,subject)
  bonegraph prepare my-videos data/mine --fps 15 --people 2 --space world
  bonegraph prepare my-tables data/mine --format csv --skeleton my-skeleton.yaml --fps 50 --unit m
  bonegraph prepare openpose-output data/mine --format openpose --labels people.csv
  bonegraph prepare landmarks data/mine --format mediapipe --labels folders
  bonegraph prepare annotations.pkl data/mine --format pickle --classes names.txt
formats: {formats}. What is not given is guessed from the files, and said.

known data sets, examples:
  bonegraph prepare nw-ucla data/nw-ucla --source all_sqe
  bonegraph prepare sbu data/sbu --source sbu
  bonegraph prepare synthetic data/synthetic --seed 1
  bonegraph prepare utd-mhad data/utd-on-ucla --source utd_mhad --to_skeleton ucla20   (for a network of NW-UCLA)
  bonegraph prepare nw-ucla shards/3 --source all_sqe --shard 3/16    (of many machines; see 'bonegraph merge --help')
names: {names}

Files that cannot be used are listed with the reason in problems.csv of the store. After an interruption the same
command goes on. 'bonegraph prepare NAME --help' explains the settings of one data set, 'bonegraph prepare FOLDER
--format csv --help' those of one format."""

_SHOWN = 3
"""So many refused files are named; all are in problems.csv."""


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    from bonegraph.datasets.known import KNOWN_SETS, set_class
    from bonegraph.datasets.known.converted import OnSkeleton
    from bonegraph.datasets.known.own import OWN_FORMATS
    from bonegraph.datasets.prepare import prepare
    from bonegraph.datasets.shards import Shard
    from bonegraph.skeleton import get_skeleton

    name = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    own = name not in (*KNOWN_SETS, "synthetic", "") and Path(name).exists()
    chosen = _own_class(name, arguments) if own else set_class(name) if name else None
    parser = jsonargparse.ArgumentParser(
        prog=f"bonegraph prepare {name or 'FOLDER'}",
        description=_EXAMPLES.format(formats=", ".join(OWN_FORMATS), names=", ".join([*KNOWN_SETS, "synthetic"])),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("out", type=Path, help="the store to write, a folder")
    if own:
        parser.add_argument("--format", type=str | None, default=None, help="of the recordings; default by the files")
    else:
        parser.add_argument(
            "--source", type=Path, help="folder or file of the recordings; the synthetic set needs none"
        )
    parser.add_argument("--workers", type=int | None, default=None, help="processes that read; default all processors")
    parser.add_argument("--overwrite", type=bool, default=False, help="write the store again even if it is there")
    parser.add_argument("--progress", type=bool, default=True, help="show a progress bar")
    parser.add_argument(
        "--to_skeleton", type=str | None, default=None, help="match joints by name: a name or a .yaml file"
    )
    parser.add_argument("--shard", type=str | None, default=None, help="prepare one piece of many only, e.g. 3/16")
    settings = parser.add_class_arguments(chosen) if chosen is not None else []
    if own and "skeleton" not in settings:  # the files have one of their own
        parser.add_argument("--skeleton", type=str | None, default=None, help="the same as --to_skeleton")
    if chosen is None and not {"-h", "--help"} & set(arguments):
        raise ValueError("give a folder or a data set, and the store to write; see 'bonegraph prepare --help'")
    if chosen is not None:
        _check_options(chosen, {*settings, "skeleton"} if own else set(settings), arguments)
    try:
        given = parser.parse_args(arguments[1:] if name else arguments)
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, "prepare")) from None
    assert chosen is not None  # help has left by now
    known = chosen(**{field: given[field] for field in settings})
    target = given.to_skeleton
    if own and "skeleton" not in settings and given.skeleton is not None:
        target = given.skeleton
    if target is not None:
        known = OnSkeleton(known, get_skeleton(target))
    source = Path(name) if own else given.source
    if source is None and name != "synthetic":
        here = f" (or prepare ./{name}, if the folder here is meant)" if Path(name).exists() else ""
        raise ValueError(f"'{name}' needs --source, the folder of its files: {known.where}{here}.")
    report = prepare(
        known,
        source,
        given.out,
        workers=given.workers,
        progress=given.progress,
        overwrite=given.overwrite,
        shard=None if given.shard is None else Shard.parse(given.shard),
        say=lambda text: print(f"note: {text}", file=sys.stderr),
    )
    print(report)
    for problem in report.problems[:_SHOWN]:
        print(f"refused: '{problem.file or problem.id}': {problem.reason}", file=sys.stderr)
    if len(report.problems) > _SHOWN:
        rest = len(report.problems) - _SHOWN
        print(f"refused: {rest} more, see '{report.folder / 'problems.csv'}'", file=sys.stderr)


def _own_class(source: str, arguments: list[str]) -> type[KnownSet]:
    """The class for a folder of one's own, by ``--format`` or by its files.

    Raises:
        FileNotFoundError: as `guess_format`.
        ValueError: there is no such format, or it is in doubt.
    """
    from bonegraph.datasets.known.own import OWN_FORMATS, guess_format
    from bonegraph.skeleton import nearest

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--format", nargs="?")
    parser.add_argument("--labels", nargs="?")
    given, _ = parser.parse_known_args(arguments)
    if given.format is not None:
        if given.format not in OWN_FORMATS:
            raise ValueError(f"no format '{given.format}'{nearest(given.format, OWN_FORMATS)}.")
        return OWN_FORMATS[given.format]
    guess = guess_format(Path(source), given.labels)
    print(f"note: format {guess.format}: {guess.why} (--format)", file=sys.stderr)
    return OWN_FORMATS[guess.format]


def _check_options(chosen: type[KnownSet], settings: set[str], arguments: list[str]) -> None:
    """Refuse an option of other data sets with a word about where it belongs.

    Raises:
        ValueError: there is one.
    """
    from bonegraph.datasets.known import KNOWN_SETS
    from bonegraph.datasets.known.own import OWN_FORMATS

    for argument in arguments:
        option = argument.partition("=")[0].removeprefix("--")
        if not argument.startswith("--") or option in settings:
            continue
        everywhere = {**OWN_FORMATS, **KNOWN_SETS}
        owners = [name for name, one in everywhere.items() if option in inspect.signature(one).parameters]
        if option == "format":
            if chosen not in OWN_FORMATS.values() or "--source" in arguments:
                raise ValueError(f"--format is for a folder of your own: bonegraph prepare FOLDER OUT {argument} ...")
        elif owners:
            raise ValueError(
                f"--{option} belongs to {', '.join(owners)}, not to '{chosen.name}'; leave it out, or choose one of "
                "these."
            )
