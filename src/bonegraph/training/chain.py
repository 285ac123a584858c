"""A chain of trainings: a base, then networks that start from it and answer together.

``chain.yaml``   the resolved settings of the whole
``base/``        the run of the first training, unless the settings start from weights that are there already
``NAME/``        a run for each network of ``tuning.networks``
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from bonegraph.files import write_whole
from bonegraph.models.registry import backbone
from bonegraph.scores.streams import CHAIN, is_run
from bonegraph.training.run import check_folder, fit, is_first_process
from bonegraph.training.settings import Settings
from bonegraph.training.tuning import BASE, Tuning


def steps(settings: Settings, folder: Path) -> dict[Path, Settings]:
    """The trainings of settings by their run folders, in order; a single one where there is no tuning."""
    tuning = settings.tuning
    if not tuning.networks:
        return {folder: settings}
    alone = replace(settings, tuning=Tuning())
    found = {}
    if not settings.start:
        found[folder / BASE] = replace(alone, model=backbone(settings.model))
    for name, focus in tuning.networks.items():
        found[folder / name] = replace(
            alone,
            start=settings.start or str(folder / BASE),
            epochs=tuning.epochs,
            optimizer=tuning.optimizer,
            focus=focus,
        )
    return found


def check_chain(settings: Settings, folder: Path) -> None:
    """See that every folder of a chain is new or holds the same training, before anything takes time.

    Raises:
        ValueError: one of them does not.
    """
    if settings.tuning.networks and is_run(folder):
        raise ValueError(f"'{folder}' holds a run and no chain of them; give another --run folder.")
    for place, step in steps(settings, folder).items():
        check_folder(place, step)


def fit_chain(
    settings: Settings,
    folder: str | Path,
    *,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
    progress: bool = True,
    watch_test: bool = False,
    say: Callable[[str], None] = print,
) -> list[Path]:
    """Train whatever of the settings is not trained yet, one after the other; see `bonegraph.training.run.fit`.

    Args:
        settings: with or without a tuning.
        folder: the run folder, or that of the chain.
        accelerator: as in `fit`.
        devices: as in `fit`.
        nodes: as in `fit`.
        progress: as in `fit`.
        watch_test: as in `fit`.
        say: called with a line before each training of a chain.

    Returns:
        The finished checkpoints.

    Raises:
        FileNotFoundError: as `fit`.
        ValueError: as `fit`.
        OSError: as `fit`.
        KeyboardInterrupt: as `fit`; the finished trainings and epochs stay.
    """
    folder = Path(folder)
    check_chain(settings, folder)
    todo = steps(settings, folder)
    if settings.tuning.networks and is_first_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / CHAIN, yaml.safe_dump(settings.to_plain(), sort_keys=False).encode())
    finished = []
    for number, (place, step) in enumerate(todo.items(), start=1):
        if len(todo) > 1 and is_first_process():
            say(f"{number} of {len(todo)}: {place.name}")
        finished.append(
            fit(
                step,
                place,
                accelerator=accelerator,
                devices=devices,
                nodes=nodes,
                progress=progress,
                watch_test=watch_test,
            )
        )
    return finished
