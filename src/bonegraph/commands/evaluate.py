"""``bonegraph evaluate``."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Literal

from bonegraph.commands import call


def evaluate(
    run: Path,
    data: Path | None = None,
    split: str = "",
    part: str = "test",
    weights: Literal["last", "best"] = "last",
    batch_size: int = 32,
    progress: bool = True,
) -> float:
    """Score a part of a split with the model of a run.

    Writes scores.npz (probabilities by clip id) and report.html (curves, confusion, worst classes) into the run folder;
    other parts than test, and other splits than that of the run, have their name in the file names.

    Examples:
      bonegraph evaluate runs/nw-ucla
      bonegraph evaluate runs/nw-ucla --part val --weights best
      bonegraph evaluate runs/nw-ucla --data other/nw-ucla --split xview

    Args:
        run: the run folder.
        data: the store; default the one the run was trained on.
        split: default the split of the run.
        part: train, val or test.
        weights: after the last epoch, or the best on the validation part.
        batch_size: clips at once.
        progress: show a progress bar.

    Returns:
        Top-1 accuracy in [0, 1].
    """
    from bonegraph.allocator import keep_memory
    from bonegraph.datasets.store import Store
    from bonegraph.inference.scoring import score
    from bonegraph.models.checkpoint import load_checkpoint
    from bonegraph.scores import format_table
    from bonegraph.training.run import BEST, CURVES, FINAL, training_seconds
    from bonegraph.training.settings import read_settings
    from bonegraph.viz.report import write_report

    keep_memory()
    settings = read_settings(run / "config.yaml")
    path = run / (FINAL if weights == "last" else BEST)
    if weights == "last" and not path.is_file():
        raise ValueError(f"the run '{run}' is not finished; go on with 'bonegraph fit {run}/config.yaml --run {run}'.")
    if weights == "best" and not path.is_file():
        raise ValueError(f"the run '{run}' kept no best weights; its split '{settings.split}' may have no part 'val'.")
    model, meaning = load_checkpoint(path)
    store = Store.open(data or settings.data)
    split = split or settings.split
    clips = store.part(split, part)
    scores = score(model, meaning, store, clips, batch_size=batch_size, progress=progress)
    suffix = ("" if split == settings.split else f"-{split}") + ("" if part == "test" else f"-{part}")
    scores.save(run / f"scores{suffix}.npz")
    facts = {
        "recipe": settings.recipe,
        "data": f"{store.name}, split {split}, part {part}, {len(scores)} clips",
        "model": f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters",
        "weights": "after the last epoch" if weights == "last" else "best on the validation part",
        "epochs": str(settings.epochs),
        "seed": str(settings.seed),
        "training time": f"{training_seconds(run) / 60:.1f} min",
        "machine": _machine(),
        "command": shlex.join(["bonegraph", *sys.argv[1:]]),
    }
    curves = run / CURVES
    report = write_report(
        run / f"report{suffix}.html",
        title=f"{settings.recipe} on {store.name}, {split}",
        scores=scores,
        curves=curves if curves.is_file() else None,
        facts=facts,
    )
    print(format_table(scores))
    print(f"report: {report}")
    return scores.top(1)


def _machine() -> str:
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({platform.machine()}{gpu}), torch {torch.__version__}, Python {platform.python_version()}"


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(evaluate, arguments, "evaluate")
