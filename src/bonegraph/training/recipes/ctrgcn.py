"""CTR-GCN (Chen et al., ICCV 2021): the released code, and ours.

Everything about its training is given from memory of the text and the released settings. The released code warms up in
steps of an epoch; here the rate grows with every step.
"""

from __future__ import annotations

import math
from dataclasses import replace

from bonegraph.models import ctrgcn
from bonegraph.training.recipes import small, stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms

TURN = math.degrees(0.3)


def ntu60_released() -> Settings:
    """CTR-GCN as its authors released it, on NTU RGB+D 60: 64 frames of a random part of the clip, turned at random.

    The store is prepared with ``--cleaning released-ctrgcn``. Paper: four streams, see there.
    ``bonegraph fit ctrgcn-ntu60-released --data data/ntu60-ctrgcn --split xsub --run RUN``
    """
    return Settings(
        recipe="ctrgcn-ntu60-released",
        split="xsub",
        model=ctrgcn.released(),
        length=Length("crop-resize", 64, crop=(0.5, 1.0), released=True),
        transforms=Transforms(centre="none", zero_padded=2, augment=Augment(rotation=(TURN, TURN, TURN))),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(35, 55), warmup_epochs=5, weight_decay=4e-4),
        epochs=65,
        batch_size=64,
        people=2,
    )


def ntu120_released() -> Settings:
    """CTR-GCN as its authors released it, on NTU RGB+D 120; a single person is there twice.

    The store is prepared with ``--cleaning released-ctrgcn --copy_one_body true``. Paper: four streams, see there.
    ``bonegraph fit ctrgcn-ntu120-released --data data/ntu120-ctrgcn --split xset --run RUN``
    """
    return replace(ntu60_released(), recipe="ctrgcn-ntu120-released")


def ntu60_best() -> Settings:
    """CTR-GCN as we recommend it on NTU RGB+D 60. Not measured by us: no one here has the recordings.

    ``bonegraph fit ctrgcn-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return replace(stgcn.ntu_best(), recipe="ctrgcn-ntu60-best", model=ctrgcn.best())


def ntu120_best() -> Settings:
    """CTR-GCN as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit ctrgcn-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu60_best(), recipe="ctrgcn-ntu120-best")


def kinetics_best() -> Settings:
    """CTR-GCN as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit ctrgcn-kinetics-best --data data/kinetics --run RUN``
    """
    return replace(stgcn.kinetics_best(), recipe="ctrgcn-kinetics-best", model=ctrgcn.best())


def nw_ucla() -> Settings:
    """CTR-GCN on NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width).

    Expected: see docs/results.md.
    ``bonegraph fit ctrgcn-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(small.nw_ucla(), recipe="ctrgcn-nw-ucla", model=ctrgcn.best("half"), epochs=50)


def sbu() -> Settings:
    """CTR-GCN on SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit ctrgcn-sbu --data data/sbu --split fold1 --run RUN``
    """
    return replace(small.sbu(), recipe="ctrgcn-sbu", model=ctrgcn.best("quarter"))
