"""``bonegraph bench``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bonegraph.commands import one_line

if TYPE_CHECKING:
    from bonegraph.bench.floor import Floors
    from bonegraph.bench.rows import Row

_EXAMPLES = """Measure how fast the models are on this machine: every model, plain, by the fast path, and naive, written
down as its paper reads. They take turns, so that whatever else the machine does meets all of them; what is told is the
median of the turns. Beside it stand clips and GFLOP a second, the share of what the machine can do at most (products
and convolutions alone, measured in the same run), the floor of the pass (its own products and convolutions alone) and
the memory that a pass adds.

Cases: N1T64, N8T64, N2T300 (clips of so many frames, two people each), mix (10 clips of 64 frames, 8 of them with one
person), loader (batches with all four streams out of a store) and prepare (NTU RGB+D recordings to a store).

Ctrl-C keeps what was measured. BONEGRAPH_MALLOC=system measures with memory as the system has it.

Examples:
  bonegraph bench --models stgcn msg3d --cases N1T64 mix --width quarter --repeats 3
  bonegraph bench --passes inference --precisions fp32 bf16 --threads 1 2 --out bench
  bonegraph bench --cases loader prepare
"""


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    given = _parsed(arguments)
    folder: Path | None = given.out
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "bench.json").exists() and not given.overwrite:
            raise ValueError(f"'{folder}' holds a measurement; give another --out, or --overwrite to replace it.")

    from bonegraph.allocator import keep_memory
    from bonegraph.bench import report
    from bonegraph.bench.floor import Floors
    from bonegraph.bench.machine import load, machine
    from bonegraph.bench.measure import take_turns
    from bonegraph.files import write_whole

    settings = {name: value for name, value in vars(given).items() if name not in ("out", "overwrite", "progress")}
    about, before = {**machine(), "memory_kept": keep_memory()}, load()
    del about["threads"]  # each row has its own
    rows: list[Row] = []
    floors = Floors()

    def found(whole: bool) -> dict[str, Any]:
        return report.content(rows, about, settings, (before, load()), whole)

    def keep() -> None:
        if folder is not None:
            write_whole(folder / report.JSON, report.as_json(found(whole=False)))

    with tempfile.TemporaryDirectory(prefix="bonegraph-bench-") as scratch:
        rows += _rows(given, Path(scratch), floors if given.floor else None)
        whole = False
        try:
            take_turns(rows, given.repeats, floors=floors, progress=given.progress, after=keep)
            whole = True
        except KeyboardInterrupt:
            if not any(row.clock_s for row in rows):
                raise KeyboardInterrupt("stopped before anything was measured") from None
    data = found(whole)
    print(report.text(rows, data))
    if folder is not None:
        print("\n" + "\n".join(f"written: {path}" for path in report.write(folder, rows, data)))
    if not whole:
        raise KeyboardInterrupt("stopped; the table has what was measured until then")


def _rows(given: argparse.Namespace, scratch: Path, floors: Floors | None) -> list[Row]:
    from tqdm import tqdm

    from bonegraph.bench.cases import CASES
    from bonegraph.bench.data import DATA_CASES, data_row
    from bonegraph.bench.networks import network_rows
    from bonegraph.bench.peak import peak_rows

    shapes = [case for case in given.cases if case in CASES]
    rows: list[Row] = []
    for place, threads in enumerate(given.threads):
        if shapes:
            rows += [row for precision in given.precisions for row in peak_rows(precision, threads)]
            for model in tqdm(given.models, desc="build", delay=1, leave=False, disable=not given.progress):
                rows += network_rows(
                    model, given.width, given.ways, shapes, given.passes, given.precisions, threads, floors
                )
        if place == 0:  # reading hardly knows of threads
            rows += [data_row(case, scratch, threads) for case in given.cases if case in DATA_CASES]
    return rows


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """The options.

    Raises:
        ValueError: one is wrong, in one line.
    """
    from bonegraph.bench.cases import CASES
    from bonegraph.bench.data import DATA_CASES
    from bonegraph.bench.ways import WAYS
    from bonegraph.models.registry import VARIANTS
    from bonegraph.models.stgcn import DIVISOR

    choices = {
        "models": (list(VARIANTS), list(VARIANTS), "which"),
        "ways": (list(WAYS), list(WAYS), "how they are computed; what a model has not is left out"),
        "cases": ([*CASES, *DATA_CASES], [*CASES, *DATA_CASES], "on which clips, and what else"),
        "passes": (["inference", "training"], ["inference", "training"], "training is a step with its SGD update"),
        "precisions": (["fp32", "bf16"], ["fp32"], "bf16 is autocast"),
    }
    parser = argparse.ArgumentParser(
        prog="bonegraph bench",
        description=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
        allow_abbrev=False,
    )
    for name, (_, default, text) in choices.items():
        parser.add_argument(f"--{name}", nargs="+", default=default, help=f"{text}; default: {' '.join(default)}")
    parser.add_argument("--width", default="full", help="of the models: full, half or quarter")
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[1], help="of torch, one measurement each; default: 1"
    )
    parser.add_argument("--repeats", type=int, default=5, help="turns that count; default: 5")
    parser.add_argument(
        "--floor", default="true", help="true or false: measure the products and convolutions of each pass alone, too"
    )
    parser.add_argument("--out", type=Path, help="folder for bench.json, bench.md and bench.png; default: none")
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier run wrote there")
    parser.add_argument("--progress", default="true", help="true or false: show a progress bar")
    try:
        given, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, "bench")) from None
    if rest:
        raise ValueError(f"does not know '{rest[0]}'; see 'bonegraph bench --help'")
    for name, (known, _, _) in choices.items():
        _check(name, getattr(given, name), known)
    _check("width", [given.width], list(DIVISOR))
    for name in ("floor", "progress"):
        _check(name, [getattr(given, name)], ["true", "false"])
        setattr(given, name, getattr(given, name) == "true")
    if len(set(given.threads)) != len(given.threads):
        raise ValueError(f"--threads names something twice: {' '.join(map(str, given.threads))}.")
    if min(given.threads) < 1 or given.repeats < 1:
        raise ValueError(f"--threads and --repeats must be at least 1, got {min(given.threads)} and {given.repeats}.")
    return given


def _check(option: str, given: list[str], known: list[str]) -> None:
    from bonegraph.skeleton import nearest

    if unknown := [value for value in given if value not in known]:
        raise ValueError(f"--{option} cannot be '{unknown[0]}'{nearest(unknown[0], known)}.")
    if len(set(given)) != len(given):
        raise ValueError(f"--{option} names something twice: {' '.join(given)}.")
