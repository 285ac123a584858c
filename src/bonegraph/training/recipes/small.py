"""Recipes for the built-in data and for sets that a CPU trains in minutes."""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import stgcn
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


def utd_mhad() -> Settings:
    """UTD-MHAD, joint stream, odd people train, even people test (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit utd-mhad --data DATA --run RUN``
    """
    return Settings(
        recipe="utd-mhad",
        split="odd-even",
        model=stgcn.best("quarter", dropout=0.0),
        length=Length("uniform", 64),
        transforms=Transforms(
            centre="first",
            scale="body-height",
            augment=Augment(rotation=(5, 20, 5), scale=(0.9, 1.1)),
        ),
        optimizer=Optimizer(lr=0.05, warmup_epochs=2, clip_norm=1.0, label_smoothing=0.1),
        epochs=60,
        batch_size=8,
        precision="bf16-mixed",
    )


def msr_action3d() -> Settings:
    """MSR-Action3D, odd people train, even people test, the usual 557 clips (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit msr-action3d --data DATA --run RUN``
    """
    return replace(utd_mhad(), recipe="msr-action3d", split="odd-even-557", length=Length("uniform", 40), epochs=80)


def penn_action() -> Settings:
    """Penn Action, 13 joints in the image with visibility, the given split (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit penn-action --data DATA --run RUN``
    """
    return Settings(
        recipe="penn-action",
        split="given",
        model=stgcn.best("quarter", dropout=0.1, in_channels=3),
        length=Length("uniform", 48),
        transforms=Transforms(
            centre="first",
            scale="body-height",
            confidence=True,
            augment=Augment(scale=(0.8, 1.2), mirror=0.5, joint_dropout=0.05),
        ),
        optimizer=Optimizer(lr=0.05, warmup_epochs=2, clip_norm=1.0, label_smoothing=0.1),
        epochs=30,
        batch_size=16,
        precision="bf16-mixed",
    )
