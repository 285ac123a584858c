"""``bonegraph fit``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import jsonargparse
import yaml

if TYPE_CHECKING:
    from bonegraph.training.settings import Settings
    from bonegraph.transforms.streams import Stream

_EXAMPLES = """Train a model by a recipe. An interrupted run goes on with the same command.

examples:
  bonegraph fit own --data data/mine --run runs/mine                 (your own data; the settings follow from the store)
  bonegraph fit nw-ucla --data data/nw-ucla --run runs/nw-ucla
  bonegraph fit nw-ucla --data data/nw-ucla --run runs/seed1 --seed 1 --optimizer.lr 0.05
  bonegraph fit runs/seed1/config.yaml --run runs/again
  bonegraph fit sbu --data data/sbu --run runs/sbu1 --split fold1 --print_config
  bonegraph fit nw-ucla --data data/nw-ucla --run runs/four --streams joint bone joint-motion bone-motion
  bonegraph fit stf-nw-ucla --data data/nw-ucla --run runs/stf
  bonegraph fit stf-nw-ucla --data data/nw-ucla --run runs/stf2 --start runs/msg3d --tuning.epochs 20
  torchrun --nproc_per_node 4 -m -- bonegraph fit nw-ucla --data data/nw-ucla --run runs/four --devices 4
'bonegraph recipes' lists the recipes; any field of the settings can be given."""


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    from bonegraph.commands.settings import base_settings, data_of, parse

    named = arguments[:1] if arguments and not arguments[0].startswith("-") else []
    name = named[0] if named else ""
    if not named and not {"-h", "--help"} & set(arguments):
        raise ValueError("give a recipe or a config.yaml first; see 'bonegraph fit --help'")
    parser = jsonargparse.ArgumentParser(
        prog=f"bonegraph fit {name or 'RECIPE'}",
        description=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    parser.add_argument("--run", type=Path, required=False, help="the run folder")
    parser.add_argument(
        "--streams", nargs="+", type=str, default=[], help="train a run for each, in folders of their names"
    )
    parser.add_argument("--accelerator", type=str, default="auto", help="cpu, gpu or auto")
    parser.add_argument("--devices", type=str, default="auto", help="processes on this machine")
    parser.add_argument("--nodes", type=int, default=1, help="machines, each started by torchrun or SLURM")
    parser.add_argument("--progress", type=bool, default=True, help="show a progress bar")
    parser.add_argument(
        "--watch_test", type=bool, default=False, help="measure the test part every epoch too; decides nothing"
    )
    parser.add_argument("--print_config", action="store_true", help="print the resolved settings and stop")
    # The parser has ideas of its own about an option of this name.
    print_config = "--print_config" in arguments
    rest = [argument for argument in arguments[len(named) :] if argument != "--print_config"]
    base = base_settings(name or "demo", data_of(rest))
    given, settings = parse(parser, rest, base, "fit")
    if given.streams:
        by_hand = any(argument.partition("=")[0] == "--transforms.stream" for argument in rest)
        if by_hand or settings.transforms.stream != base.transforms.stream:
            raise ValueError("give either --streams or --transforms.stream.")
    chosen = _by_stream(settings, given.streams)
    if print_config:
        settings = next(iter(chosen.values()))
        print(yaml.safe_dump(settings.to_plain(), sort_keys=False), end="")
        return
    if given.run is None:
        raise ValueError("give the run folder: --run runs/NAME")
    if not settings.data:
        raise ValueError("give the prepared store: --data FOLDER (made by 'bonegraph prepare')")

    from bonegraph.allocator import keep_memory
    from bonegraph.scores.streams import CHAIN, is_run
    from bonegraph.training.chain import check_chain, fit_chain
    from bonegraph.training.keeping import throughput
    from bonegraph.training.run import CURVES, is_first_process

    keep_memory()

    devices = int(given.devices) if str(given.devices).isdecimal() else given.devices
    if given.streams:  # all of them before hours of training
        if is_run(given.run) or (given.run / CHAIN).is_file():
            raise ValueError(f"'{given.run}' holds a run and no streams; give another --run folder.")
        for stream, settings in chosen.items():
            check_chain(settings, given.run / stream)
    for number, (stream, settings) in enumerate(chosen.items(), start=1):
        if stream and is_first_process():
            print(f"{number} of {len(chosen)}: {stream}", flush=True)
        paths = fit_chain(
            settings,
            given.run / stream,
            accelerator=given.accelerator,
            devices=devices,
            nodes=given.nodes,
            progress=given.progress,
            watch_test=given.watch_test,
        )
        if is_first_process():
            for path in paths:
                count = throughput(path.with_name(CURVES))
                if count and count[0] > 1:
                    print(f"{count[0]} processes, {count[1]:.4g} clips/s each")
                print(f"finished: {path}")


def _by_stream(settings: Settings, names: Sequence[str]) -> dict[str, Settings]:
    """Settings by the name of the folder inside the run folder, which is empty without streams.

    Raises:
        ValueError: there is no such stream, or it is there twice.
    """
    from bonegraph.transforms.streams import check_streams

    if not names:
        return {"": settings}
    check_streams(names)
    if len(set(names)) < len(names):
        raise ValueError(f"each stream may come once, got --streams {' '.join(names)}.")
    return {
        name: replace(settings, transforms=replace(settings.transforms, stream=cast("Stream", name))) for name in names
    }
