"""``bonegraph prepare``."""

from __future__ import annotations

from pathlib import Path

from bonegraph.commands import call


def prepare(
    dataset: str,
    out: Path,
    source: Path | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> None:
    """Read every recording of a data set and write them as a store.

    Examples:
      bonegraph prepare nw-ucla data/nw-ucla --source all_sqe
      bonegraph prepare sbu data/sbu --source sbu
      bonegraph prepare synthetic data/synthetic

    Files that cannot be used are listed with the reason in problems.csv of the store. After an interruption the same
    command goes on.

    Args:
        dataset: nw-ucla, sbu or synthetic.
        out: the store to write, a folder.
        source: folder of the recordings; the synthetic set needs none.
        workers: processes that read; default all processors.
        overwrite: write the store again even if it is there.
        progress: show a progress bar.
    """
    from bonegraph.datasets.known import known_set
    from bonegraph.datasets.prepare import prepare as make

    known = known_set(dataset)
    if source is None and dataset != "synthetic":
        raise ValueError(f"'{dataset}' needs --source, the folder of its files: {known.where}.")
    report = make(known, source, out, workers=workers, progress=progress, overwrite=overwrite)
    print(report)


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(prepare, arguments, "prepare")
