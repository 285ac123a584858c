"""Recipes: one function a published (or recommended) setting. The command line overrides any field."""

from __future__ import annotations

from collections.abc import Callable

from bonegraph.models import stgcn
from bonegraph.skeleton import nearest
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms


def demo() -> Settings:
    """Built-in data: quarter-width ST-GCN, tested on people and a view never trained on.

    Expected: at least 95 % on two CPU cores in under three minutes.
    ``bonegraph demo``
    """
    return Settings(
        recipe="demo",
        split="xboth",
        model=stgcn.best("quarter", dropout=0.0),
        length=Length("uniform", 32),
        transforms=Transforms(
            centre="first",
            scale="body-height",
            augment=Augment(rotation=(5, 40, 5), scale=(0.9, 1.1), mirror=0.5),
        ),
        optimizer=Optimizer(lr=0.1, warmup_epochs=1, weight_decay=2e-4, label_smoothing=0.1),
        epochs=20,
        batch_size=16,
    )


def nw_ucla() -> Settings:
    """NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width).

    Expected: see docs/results.md.
    ``bonegraph fit nw-ucla --data DATA --run RUN``
    """
    return Settings(
        recipe="nw-ucla",
        split="xview",
        model=stgcn.best("half", dropout=0.1),
        length=Length("crop-resize", 52),
        transforms=Transforms(
            centre="first",
            scale="min-max",
            augment=Augment(rotation=(15, 60, 0), scale=(0.5, 1.5), mirror=0.5),
        ),
        optimizer=Optimizer(lr=0.05, warmup_epochs=2),
        epochs=60,
        batch_size=16,
        precision="bf16-mixed",
    )


def sbu() -> Settings:
    """SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit sbu --data DATA --split fold1 --run RUN``
    """
    return Settings(
        recipe="sbu",
        split="fold1",
        model=stgcn.best("quarter", dropout=0.0),
        length=Length("uniform", 32),
        transforms=Transforms(
            centre="frame",
            centre_on="people",
            augment=Augment(rotation=(5, 20, 5), scale=(0.8, 1.2), mirror=0.5),
        ),
        optimizer=Optimizer(lr=0.05, warmup_epochs=2, clip_norm=1.0),
        epochs=70,
        batch_size=8,
        precision="bf16-mixed",
    )


RECIPES: dict[str, Callable[[], Settings]] = {"demo": demo, "nw-ucla": nw_ucla, "sbu": sbu}
"""Recipe name -> settings."""


def recipe(name: str) -> Settings:
    """Settings of a recipe.

    Raises:
        ValueError: no such recipe; the message lists the choices.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe '{name}'{nearest(name, RECIPES)}.")
    return RECIPES[name]()
