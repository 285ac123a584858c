"""``bonegraph evaluate``."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bonegraph.datasets.store import Store
    from bonegraph.models.base import ActionModel
    from bonegraph.models.checkpoint import Meaning
    from bonegraph.scores import Scores
    from bonegraph.training.settings import Settings

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
    fast: bool = True,
    precision: Literal["fp32", "bf16"] = "fp32",
    progress: bool = True,
) -> float:
    """Score a part of a split with the model of a run.

    Writes scores.npz (probabilities by clip id) and report.html (curves, confusion, worst classes, films of the surest
    mistakes) into the run folder; other parts than test, and other splits than that of the run, have their name in the
    file names. Where the run kept the weights that were best on its validation part, the report has their accuracy too.

    In a folder of streams (bonegraph fit --streams) all this is done for each stream. The folder itself gets streams.md
    (each stream alone, joint and bone, all four: the sums of their softmax scores), and of the sums fused-2s.npz,
    fused-4s.npz and report.html. In a chain (the recipes of STF) it is done for the base and each network; the folder
    itself gets chain.md, and of the mean of the networks' probabilities scores.npz and report.html.

    Examples:
      bonegraph evaluate runs/nw-ucla
      bonegraph evaluate runs/four-streams
      bonegraph evaluate runs/nw-ucla --part val --weights best
      bonegraph evaluate runs/nw-ucla --data other/nw-ucla --split xview
      bonegraph evaluate runs/kinetics --classes kinetics-motion
      bonegraph evaluate runs/kinetics --classes my-classes.txt --restrict true
      bonegraph evaluate weights/stgcn.safetensors --data data/ntu60-stgcn --split xsub

    Of a checkpoint without a run (bonegraph convert), scores and report lie beside it, named after it and the split.

    Args:
        run: the run folder, a chain, a folder of streams, or a checkpoint.
        data: the store; default the one the run was trained on.
        split: default the split of the run.
        part: train, val or test.
        weights: after the last epoch, or the best on the validation part.
        classes: print the mean class accuracy over the clips of these classes, too; 'kinetics-motion' (the 30 classes
            of ST-GCN, Table 4), or a file of one class name a line.
        restrict: let the model choose among these classes only, instead of among all.
        batch_size: clips at once.
        fast: on a CPU, use the form of the network for answers, which gives the same (docs/speed.md); false does not.
        precision: of that form; bf16 is faster where the processor has it, logits change by up to 3e-3 of the largest.
        progress: show a progress bar.

    Returns:
        Top-1 accuracy in [0, 1]; of a folder of streams, that of the last row of the table.
    """
    from bonegraph.allocator import keep_memory
    from bonegraph.scores.streams import chain_runs, stream_runs

    keep_memory()
    if restrict and not classes:
        raise ValueError("--restrict is for --classes; give both.")
    if precision != "fp32" and not fast:
        raise ValueError(f"--precision {precision} needs the fast form; leave out --fast false.")
    asked = _Asked(data, split, part, weights, classes, restrict, batch_size, fast, precision, progress)
    if run.is_file():
        return _evaluate_file(run, asked).top(1)
    streams = stream_runs(run)
    for folder in streams.values() or (run,):  # before anything takes time
        for one in chain_runs(folder).values() or (folder,):
            _checkpoint(one, asked)
    if not streams:
        return _evaluate_folder(run, asked).top(1)
    scores: dict[str, Scores] = {}
    for name, folder in streams.items():
        print(f"{name}:")
        scores[name] = _evaluate_folder(folder, asked)
    return _together(run, scores, asked)


@dataclass(frozen=True)
class _Asked:
    """The options of `evaluate`."""

    data: Path | None
    split: str
    part: str
    weights: Literal["last", "best"]
    classes: str
    restrict: bool
    batch_size: int
    fast: bool
    precision: Literal["fp32", "bf16"]
    progress: bool

    @property
    def which(self) -> str:
        """The weights in words."""
        return "after the last epoch" if self.weights == "last" else "best on the validation part"

    def suffix(self, settings: Settings) -> str:
        """What the names of files have besides the usual."""
        other = "" if self.split in ("", settings.split) else f"-{self.split}"
        return other + ("" if self.part == "test" else f"-{self.part}")

    def scores(self, model: ActionModel, meaning: Meaning, store: Store, clips: NDArray[np.int64]) -> Scores:
        """Scores of clips, as asked for."""
        from bonegraph.inference.scoring import score

        return score(
            model,
            meaning,
            store,
            clips,
            batch_size=self.batch_size,
            progress=self.progress,
            fast=self.fast,
            precision=self.precision,
        )

    def clips(self, settings: Settings) -> tuple[Store, NDArray[np.int64], Sequence[str]]:
        """The store, the numbers of its clips, and the classes that are asked for."""
        from bonegraph.datasets.store import Store

        store = Store.open(self.data or settings.data)
        clips = store.part(self.split or settings.split, self.part)
        return store, clips, _class_names(self.classes, store, clips) if self.classes else ()


def _checkpoint(run: Path, asked: _Asked) -> tuple[Settings, Path]:
    """Settings and weights of a run.

    Raises:
        ValueError: the weights are not there.
    """
    from bonegraph.training.run import BEST, FINAL
    from bonegraph.training.settings import read_settings

    settings = read_settings(run / "config.yaml")
    path = run / (FINAL if asked.weights == "last" else BEST)
    if asked.weights == "last" and not path.is_file():
        raise ValueError(f"the run '{run}' is not finished; go on with 'bonegraph fit {run}/config.yaml --run {run}'.")
    if asked.weights == "best" and not path.is_file():
        raise ValueError(f"the run '{run}' kept no best weights; its split '{settings.split}' may have no part 'val'.")
    return settings, path


def _evaluate_folder(folder: Path, asked: _Asked) -> Scores:
    """Score with one run, or with each of a chain and then with those of them that answer together."""
    from bonegraph.files import write_whole
    from bonegraph.scores import format_table
    from bonegraph.scores.fusion import fuse
    from bonegraph.scores.streams import chain_runs, scores_table
    from bonegraph.training.tuning import BASE
    from bonegraph.viz.report import write_report

    runs = chain_runs(folder)
    if not runs:
        return _evaluate(folder, asked)
    base = {BASE: folder / BASE} if (folder / BASE).is_dir() else {}
    found: dict[str, Scores] = {}
    for name, run in {**base, **runs}.items():
        print(f"{name}:")
        found[name] = _evaluate(run, asked)
    settings, _ = _checkpoint(next(iter(runs.values())), asked)
    suffix = asked.suffix(settings)
    together = fuse([found[name] for name in runs], names=tuple(runs))
    together.save(folder / f"scores{suffix}.npz")
    title = f"{settings.recipe}, {asked.split or settings.split}"
    table = scores_table({**found, f"mean of {' and '.join(runs)}": together})
    write_whole(
        folder / f"chain{suffix}.md", f"{title}, part {asked.part}, {len(together)} clips.\n\n{table}\n".encode()
    )
    report = write_report(
        folder / f"report{suffix}.html",
        title=title,
        scores=together,
        curves=None,
        facts={
            **{f"top-1 of {name}": f"{scores.top(1):.2%}" for name, scores in found.items()},
            "answer": f"the mean of the probabilities of {' and '.join(runs)}",
            "weights": asked.which,
            "command": shlex.join(["bonegraph", *sys.argv[1:]]),
        },
    )
    print(f"together:\n{format_table(together)}\n{table}\nreport: {report}")
    return together


def _evaluate(run: Path, asked: _Asked) -> Scores:
    """Score with one run, and write and print what there is to say."""
    from bonegraph.models.checkpoint import load_checkpoint
    from bonegraph.scores import format_table
    from bonegraph.scores.subset import confident_mistakes
    from bonegraph.training.run import BEST, CURVES, FINAL, training_seconds
    from bonegraph.viz.report import Accuracy, write_report

    part, weights = asked.part, asked.weights
    settings, path = _checkpoint(run, asked)
    model, meaning = load_checkpoint(path)
    store, clips, chosen = asked.clips(settings)  # before anything takes time
    split, suffix = asked.split or settings.split, asked.suffix(settings)
    scores = asked.scores(model, meaning, store, clips)
    scores.save(run / f"scores{suffix}.npz")
    facts = {
        "recipe": settings.recipe,
        "data": f"{store.name}, split {split}, part {part}, {len(scores)} clips",
        "model": f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters",
        "weights": asked.which,
        "epochs": str(settings.epochs),
        "seed": str(settings.seed),
        "training time": f"{training_seconds(run) / 60:.1f} min",
        "machine": _machine(),
        "command": shlex.join(["bonegraph", *sys.argv[1:]]),
    }
    top1 = {path: scores.top(1)}
    other = run / (BEST if weights == "last" else FINAL)
    if other.is_file() and part != "train":  # the training part is large, and what a model reaches there tells little
        again = asked.scores(*load_checkpoint(other), store, clips)
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
    subset = _subset_accuracy(scores, asked.classes, chosen, asked.restrict) if chosen else ""
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
    return scores


def _evaluate_file(path: Path, asked: _Asked) -> Scores:
    """Score with a checkpoint that has no run, and write and print what there is to say."""
    from bonegraph.commands.verify import opened
    from bonegraph.scores import format_table
    from bonegraph.scores.subset import confident_mistakes
    from bonegraph.viz.report import write_report

    if asked.data is None or not asked.split:
        raise ValueError(f"'{path}' is a checkpoint without a run; give --data STORE and --split NAME.")
    if asked.weights == "best":
        raise ValueError(f"'{path}' is one set of weights; leave --weights away.")
    model, meaning, store, notes = opened(path, asked.data)
    clips = store.part(asked.split, asked.part)
    chosen = _class_names(asked.classes, store, clips) if asked.classes else ()
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    scores = asked.scores(model, meaning, store, clips)
    name = f"{path.stem}-{asked.split}" + ("" if asked.part == "test" else f"-{asked.part}")
    saved = scores.save(path.with_name(f"{name}-scores.npz"))
    subset = _subset_accuracy(scores, asked.classes, chosen, asked.restrict) if chosen else ""
    report = write_report(
        path.with_name(f"{name}-report.html"),
        title=f"{path.stem} on {store.name}, {asked.split}",
        scores=scores,
        curves=None,
        facts={
            "data": f"{store.name}, split {asked.split}, part {asked.part}, {len(scores)} clips",
            "model": f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters",
            **meaning.made,
            **({"mean class accuracy": subset.strip()} if subset else {}),
            "machine": _machine(),
            "command": shlex.join(["bonegraph", *sys.argv[1:]]),
        },
        films={str(scores.ids[row]): store.sequence(int(clips[row])) for row in confident_mistakes(scores, _FILMS)},
    )
    print(format_table(scores))
    if subset:
        print(f"{'mean class accuracy':<22}{subset}")
    print(f"scores: {saved}")
    print(f"report: {report}")
    return scores


def _together(folder: Path, streams: Mapping[str, Scores], asked: _Asked) -> float:
    """Fuse what the streams answer, and write and print the table of papers."""
    from bonegraph.files import write_whole
    from bonegraph.scores.streams import chain_runs, fusions, stream_runs, streams_table
    from bonegraph.scores.subset import among, clips_of
    from bonegraph.viz.report import write_report

    stream = next(iter(stream_runs(folder).values()))
    settings, _ = _checkpoint(next(iter(chain_runs(stream).values()), stream), asked)
    store, clips, chosen = asked.clips(settings)
    suffix = asked.suffix(settings)
    fused = fusions(streams)
    more: dict[str, Callable[[Scores], float]] = {}
    if asked.restrict:
        more[f"mean class among {asked.classes}"] = lambda s: among(clips_of(s, chosen), chosen).mean_class_accuracy()
    elif chosen:
        more[f"mean class of {asked.classes}"] = lambda s: clips_of(s, chosen).mean_class_accuracy()
    table = streams_table(streams, fused, more)
    for title, scores in fused.items():
        scores.save(folder / f"fused-{title}{suffix}.npz")
    title = f"{settings.recipe} on {store.name}, {asked.split or settings.split}"
    what = f"part {asked.part}, {len(clips)} clips, weights {asked.which}; fused by the sum of softmax scores"
    write_whole(folder / f"streams{suffix}.md", f"{title}, {what}.\n\n{table}\n".encode())
    print(table)
    top1 = {name: scores.top(1) for name, scores in {**streams, **fused}.items()}
    if fused:
        largest = list(fused)[-1]
        report = write_report(
            folder / f"report{suffix}.html",
            title=f"{title}, {largest}",
            scores=fused[largest],
            curves=None,
            facts={
                **{f"top-1 of {name}": f"{share:.2%}" for name, share in top1.items()},
                "fused by": "the sum of softmax scores, clip by clip",
                "weights": asked.which,
                "command": shlex.join(["bonegraph", *sys.argv[1:]]),
            },
        )
        print(f"report: {report}")
    return list(top1.values())[-1]


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
