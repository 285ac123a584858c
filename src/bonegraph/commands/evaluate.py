"""``bonegraph evaluate``."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bonegraph.datasets.store import Store
    from bonegraph.scores import Scores

_FILMS = 12


def evaluate(
    run: Path,
    data: Path | None = None,
    split: str = "",
    part: str = "test",
    weights: Literal["last", "best"] = "last",
    classes: str = "",
    restrict: bool = False,
    batch_size: int = 32,
    progress: bool = True,
) -> float:
    """Score a part of a split with the model of a run.

    Writes scores.npz (probabilities by clip id) and report.html (curves, confusion, worst classes, films of the surest
    mistakes) into the run folder; other parts than test, and other splits than that of the run, have their name in the
    file names. Where the run kept the weights that were best on its validation part, the report has their accuracy too.

    Examples:
      bonegraph evaluate runs/nw-ucla
      bonegraph evaluate runs/nw-ucla --part val --weights best
      bonegraph evaluate runs/nw-ucla --data other/nw-ucla --split xview
      bonegraph evaluate runs/kinetics --classes kinetics-motion
      bonegraph evaluate runs/kinetics --classes my-classes.txt --restrict true

    Args:
        run: the run folder.
        data: the store; default the one the run was trained on.
        split: default the split of the run.
        part: train, val or test.
        weights: after the last epoch, or the best on the validation part.
        classes: print the mean class accuracy over the clips of these classes, too; 'kinetics-motion' (the 30 classes
            of ST-GCN, Table 4), or a file of one class name a line.
        restrict: let the model choose among these classes only, instead of among all.
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
    from bonegraph.scores.subset import confident_mistakes
    from bonegraph.training.run import BEST, CURVES, FINAL, training_seconds
    from bonegraph.training.settings import read_settings
    from bonegraph.viz.report import Accuracy, write_report

    keep_memory()
    if restrict and not classes:
        raise ValueError("--restrict is for --classes; give both.")
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
    chosen = _class_names(classes, store, clips) if classes else ()  # before anything takes time
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
    top1 = {path: scores.top(1)}
    other = run / (BEST if weights == "last" else FINAL)
    if other.is_file() and part != "train":  # the training part is large, and what a model reaches there tells little
        again = score(*load_checkpoint(other), store, clips, batch_size=batch_size, progress=progress)
        top1[other] = again.top(1)
    place = part if split == settings.split else f"{part} of {split}"
    accuracies = [
        Accuracy(title, place, top1[file], remark)
        for file, title, remark in (
            (run / FINAL, "last epoch", ""),
            (run / BEST, "best on validation", "chosen on this very part" if part == "val" else ""),
        )
        if file in top1
    ]
    subset = _subset_accuracy(scores, classes, chosen, restrict) if chosen else ""
    if subset:
        facts["mean class accuracy"] = subset.strip()
    curves = run / CURVES
    report = write_report(
        run / f"report{suffix}.html",
        title=f"{settings.recipe} on {store.name}, {split}",
        scores=scores,
        curves=curves if curves.is_file() else None,
        facts=facts,
        accuracies=accuracies,
        films={str(scores.ids[row]): store.sequence(int(clips[row])) for row in confident_mistakes(scores, _FILMS)},
    )
    print(format_table(scores))
    if subset:
        print(f"{'mean class accuracy':<22}{subset}")
    print(f"report: {report}")
    return scores.top(1)


def _class_names(given: str, store: Store, clips: NDArray[np.int64]) -> Sequence[str]:
    """The classes of a known subset, or the lines of a file, of which the store has some clips.

    Raises:
        ValueError: it is neither, a class is unknown, or none has a clip.
    """
    from bonegraph.datasets.known.kinetics_motion import MOTION_CLASSES
    from bonegraph.scores.subset import class_columns

    names = MOTION_CLASSES if given == "kinetics-motion" else _lines(given)
    numbers = class_columns(store.classes, names)
    if not set(numbers.tolist()) & set(store.labels[clips].tolist()):
        raise ValueError(f"none of the {len(clips)} clips is of the {len(names)} classes of '{given}'.")
    return names


def _lines(given: str) -> tuple[str, ...]:
    path = Path(given)
    if not path.is_file():
        raise ValueError(f"no list of classes '{given}'; give a file of one class name a line, or kinetics-motion.")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"'{path}' is no text; give one class name a line.") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise ValueError(f"'{path}' names no class; give one class name a line.")
    return names


def _subset_accuracy(scores: Scores, given: str, chosen: Sequence[str], restrict: bool) -> str:
    from bonegraph.scores.subset import among, clips_of

    clips = clips_of(scores, chosen)
    absent = len(chosen) - len(set(clips.labels.tolist()))
    without = f", {absent} without a clip" if absent else ""
    way = len(chosen) if restrict else len(scores.classes)
    accuracy = (among(clips, chosen) if restrict else clips).mean_class_accuracy()
    where = f"over the {len(chosen)} classes of {given}{without}"
    return f"{accuracy:8.2%} {where}: {len(clips):,} clips, choosing among {way}"


def _machine() -> str:
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({platform.machine()}{gpu}), torch {torch.__version__}, Python {platform.python_version()}"


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(evaluate, arguments, "evaluate")
