"""A run folder, from settings to a checkpoint that recognises.

``config.yaml``          the resolved settings
``checkpoints/``         ``last.ckpt`` to go on from, ``best.safetensors`` where there is a validation part
``metrics.csv``          one row an epoch; ``tensorboard/`` holds the same
``model.safetensors``    the weights after the last epoch, with all that is needed to recognise; the run is finished
``scores.npz``           probabilities by clip id, written by ``evaluate``
``report.html``          curves, confusion, worst classes, written by ``evaluate``
"""

from __future__ import annotations

import filecmp
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from bonegraph.datasets.datamodule import ClipData
from bonegraph.datasets.store import Store
from bonegraph.files import held, write_whole, writing
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, load_checkpoint, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.models.start import start_from
from bonegraph.skeleton import Skeleton, way_out
from bonegraph.training.distances import training_distances
from bonegraph.training.engine import Bar, Double, quiet, slurm
from bonegraph.training.keeping import Curves, KeepBest, KeepLast, WholeFiles, read_curves
from bonegraph.training.settings import Settings, read_settings
from bonegraph.training.stopping import StopEarly
from bonegraph.training.task import Task
from bonegraph.training.watching import WatchTest

FINAL = "model.safetensors"
BEST = "checkpoints/best.safetensors"
LAST = "checkpoints/last.ckpt"
CURVES = "metrics.csv"
STOPPED = "stopped; the same command goes on from the last finished epoch."
OTHERS_GONE = (
    "another process of this training ended or cannot be reached, its own messages say why; "
    "the same commands go on from the last finished epoch."
)


def fit(
    settings: Settings,
    folder: str | Path,
    *,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
    progress: bool = True,
    watch_test: bool = False,
) -> Path:
    """Train, or go on where an interrupted run stopped.

    Args:
        settings: everything that decides the result.
        folder: the run folder.
        accelerator: ``cpu``, ``gpu`` or ``auto``.
        devices: processes on this machine, one a device; ``auto`` takes every GPU, or one CPU process.
        nodes: machines; each is started by torchrun or SLURM.
        progress: show a progress bar.
        watch_test: measure the test part after every epoch, for `metrics.csv` alone; it decides nothing.

    Returns:
        The finished checkpoint.

    Raises:
        FileNotFoundError: the store is missing.
        ValueError: store and settings do not fit, or the folder holds a run with other settings.
        OSError: the folder cannot be written, another run is training in it, or another process of this one is gone.
        KeyboardInterrupt: Ctrl-C; the finished epochs stay.
    """
    folder = Path(folder)
    store = Store.open(settings.data)
    data = ClipData(
        store,
        settings.split,
        settings.length,
        batch_size=settings.batch_size,
        people=settings.people,
        seed=settings.seed,
        workers=settings.workers,
        scarce=settings.scarce,
    )
    if settings.patience and not len(data.validation):
        raise ValueError(
            f"patience {settings.patience} needs a part 'val' with clips, which the split '{settings.split}' of "
            f"'{store.name}' lacks; set patience to 0 or choose another split."
        )
    watched = store.part(settings.split, "test") if watch_test else store.labels[:0]
    check_folder(folder, settings)
    if (folder / FINAL).is_file():
        return folder / FINAL
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"another run is training in '{folder}'; wait for it, or give another --run folder."
    with held(folder, busy) if is_first_process() else nullcontext():
        _train(settings, folder, data, accelerator, devices, nodes, progress, watched)
    return folder / FINAL


def _train(
    settings: Settings,
    folder: Path,
    data: ClipData,
    accelerator: str,
    devices: int | str,
    nodes: int,
    progress: bool,
    watched: NDArray[np.int64],
) -> None:
    store = data.clips.store
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    model = new_model(settings, store)
    last = folder / LAST
    if settings.start and not last.is_file():
        begin(model, settings.start, store.skeleton)
    meaning = Meaning(
        skeleton=store.skeleton,
        classes=store.classes,
        transforms=settings.transforms,
        length=settings.length,
        people=settings.people,
        fps=store.fps,
        unit=store.unit,
        made={
            "recipe": settings.recipe,
            "data": store.name,
            "split": settings.split,
            "seed": str(settings.seed),
            "epochs": str(settings.epochs),
            **({"start": settings.start} if settings.start else {}),
            **({"share of the clips": str(settings.scarce.share)} if settings.scarce.share < 1 else {}),
        },
        clip_seconds=float(np.median(store.frames[data.training])) / store.fps,
        clip_people=int(store.people[data.training].max()),
    )
    callbacks: list[Callback] = [Curves(folder / CURVES), KeepLast(last)]
    if len(data.validation):
        callbacks.insert(0, KeepBest(folder / BEST, meaning))
    if settings.patience:
        callbacks.insert(0, StopEarly(settings.patience))
    if len(watched):
        callbacks.insert(0, WatchTest(data.clips, watched, settings.batch_size))
    if progress:
        callbacks.append(Bar(refresh_rate=max(1, len(data.training) // settings.batch_size // 20)))
    with quiet():
        try:
            trainer = lightning.Trainer(
                accelerator=accelerator,
                devices=1 if devices == "auto" and not torch.cuda.is_available() else devices,
                num_nodes=nodes,
                max_epochs=settings.epochs,
                precision=None if settings.precision == "64-true" else settings.precision,
                gradient_clip_val=settings.optimizer.clip_norm or None,
                logger=TensorBoardLogger(str(folder), name="", version="tensorboard"),
                callbacks=callbacks,
                plugins=[WholeFiles(), *slurm(), *([Double()] if settings.precision == "64-true" else [])],
                check_val_every_n_epoch=settings.validate_every,
                limit_val_batches=1.0 if len(data.validation) else 0,
                num_sanity_val_steps=0,
                use_distributed_sampler=False,
                enable_progress_bar=progress,
                enable_model_summary=False,
                log_every_n_steps=1,
                default_root_dir=folder,
            )
        except (MisconfigurationException, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"cannot train on accelerator {accelerator}, devices {devices}: {error}") from None
        _check_started(trainer.world_size)
        task = Task(model, settings, store.skeleton)
        if trainer.is_global_zero:
            write_whole(folder / "config.yaml", yaml.safe_dump(settings.to_plain(), sort_keys=False).encode())
        try:
            with writing(folder):
                trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
        except (SystemExit, KeyboardInterrupt):
            # Lightning turns Ctrl-C and SIGTERM into an exit of its own, the latter with status 0.
            raise KeyboardInterrupt(STOPPED) from None
        except RuntimeError as error:
            if trainer.world_size > 1 and _says_others_are_gone(error):
                raise ConnectionError(OTHERS_GONE) from None
            raise
    if trainer.is_global_zero:
        with writing(folder / FINAL):
            save_checkpoint(folder / FINAL, task.model, meaning)


def _says_others_are_gone(error: RuntimeError) -> bool:
    """Whether processes that train together lost each other; gloo has no error of its own."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)


def _check_started(processes: int) -> None:
    """See that as many processes were started as train together.

    More of them would each train alone, in the same folder; fewer would wait for the others for half an hour.

    Raises:
        ValueError: torchrun or srun started another number.
    """
    of_step = os.environ.get("SLURM_STEP_NUM_TASKS", "")  # 1 where somebody works within `srun --pty`
    started = os.environ.get("WORLD_SIZE") or (of_step if of_step != "1" else "")
    if started.isdecimal() and int(started) != processes:
        raise ValueError(
            f"{started} processes were started, but --devices and --nodes make {processes}; give as many --devices as "
            "torchrun has --nproc_per_node, or srun --ntasks-per-node, and as many --nodes as there are machines."
        )
    if not started and not of_step and processes > 1 and "SLURM_STEP_ID" not in os.environ and slurm():
        raise ValueError(f"SLURM is to start {processes} processes, but started this one alone; put srun before it.")


def is_first_process() -> bool:
    """Whether this is the one of several training processes that speaks for all."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def training_seconds(folder: Path) -> float:
    """How long the epochs of a run took, without interruptions."""
    return sum(float(row["seconds"]) for row in read_curves(folder / CURVES))


def begin(model: ActionModel, start: str | Path, skeleton: Skeleton) -> list[str]:
    """Give a model the weights of a run or checkpoint; see `start_from`.

    Raises:
        FileNotFoundError: there is none, or the run is not finished.
        ValueError: the weights do not fit the model, or were trained on other joints than those of the skeleton.
    """
    path = Path(start)
    source, meaning = load_checkpoint(path / FINAL if path.is_dir() else path)
    if meaning.skeleton.joints != skeleton.joints:  # as many joints in another order would go unnoticed
        raise ValueError(
            f"cannot start from '{path}': it was trained on '{meaning.skeleton.name}', but the store has "
            f"'{skeleton.name}'; {way_out(skeleton, meaning.skeleton)}"
        )
    try:
        return start_from(model, source)
    except ValueError as error:
        raise ValueError(f"cannot start from '{path}': {error}") from None


def new_model(settings: Settings, store: Store) -> ActionModel:
    """A model with fresh weights for a store.

    Raises:
        ValueError: the configuration and the store have different channels.
    """
    config: Any = settings.model
    given = _channels(settings, store)
    if config.in_channels != given:
        raise ValueError(
            f"the model takes {config.in_channels} channels but '{store.name}' gives {given}; "
            f"set --model.in_channels {given}."
        )
    distances = None
    if getattr(config, "strategy", "") == "spatial":
        clips = store.part(settings.split, "train")
        distances = training_distances(store, settings.scarce.draw(clips, store.labels[clips], settings.seed))
    return build(config, store.skeleton, len(store.classes), distances)


def _channels(settings: Settings, store: Store) -> int:
    coordinates = int(store.sequence(0).positions.shape[3])
    return coordinates + settings.transforms.extra_channels


def check_folder(folder: Path, settings: Settings) -> None:
    """See that a run folder is new, or holds a run with the same settings.

    Settings of a run that has not kept anything yet may change: there is nothing to lose. Where the data and the
    weights to start from lie, and how many processes fetch clips, may always change.

    Raises:
        ValueError: the folder holds a run with other settings, or something else.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"'{folder}' is a file; give another --run folder.")
    # One look, because with several processes the first one may be writing just now; unfinished files are its too.
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    there = {name for name in there if not (name.startswith(".") and name.endswith(".tmp"))}
    if there and "config.yaml" not in there:
        raise ValueError(f"'{folder}' is there and is no run folder; give another --run folder.")
    if not there or not any((folder / name).is_file() for name in (LAST, BEST, FINAL)):
        return
    old, new = (_flat(value.to_plain()) for value in (read_settings(folder / "config.yaml"), settings))
    changed = [name for name in new if old.get(name) != new[name] and name not in ("workers", "data")]
    if "start" in changed and _same_weights(old.get("start"), new["start"]):
        changed.remove("start")
    if changed:
        name = changed[0]
        raise ValueError(
            f"'{folder}' holds a run with {name} {old.get(name)}, but {new[name]} was asked for; "
            "give another --run folder, or delete this one."
        )


def _same_weights(old: Any, new: Any) -> bool:
    """Whether two places hold the same weights, or the old one is gone: folders may be moved and copied."""
    if not (old and new):
        return False
    before, after = (path / FINAL if path.is_dir() else path for path in (Path(old), Path(new)))
    return not before.is_file() or (after.is_file() and filecmp.cmp(before, after, shallow=False))


def _flat(plain: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(plain, dict):
        return {name: plain}
    return {
        key: item for field, value in plain.items() for key, item in _flat(value, f"{name}.{field}".strip(".")).items()
    }
