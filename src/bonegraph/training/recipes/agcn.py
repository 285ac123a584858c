"""2s-AGCN (Shi, Zhang, Cheng and Lu, CVPR 2019): the released code, and ours.

Two streams, joints and bones, are trained apart and their scores are added. Optimiser and steps of both data sets, and
fragments and random moving on Kinetics, are given from memory of the text and the released settings.
"""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import agcn
from bonegraph.training.recipes import small, stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms


def ntu60_released() -> Settings:
    """2s-AGCN as its authors released it, on NTU RGB+D 60: two bodies of most energy, replayed to 300 frames.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 88.5 %, X-View 95.1 % (both streams).
    ``bonegraph fit agcn-ntu60-released --data data/ntu60-msg3d --split xsub --streams joint bone --run RUN``
    """
    return Settings(
        recipe="agcn-ntu60-released",
        split="xsub",
        model=agcn.released(),
        length=Length("replay", 300),
        transforms=Transforms(centre="none", zero_padded=2),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(30, 40), weight_decay=1e-4),
        epochs=50,
        batch_size=64,
        people=2,
    )


def ntu120_released() -> Settings:
    """2s-AGCN with its settings for NTU RGB+D 60 on NTU RGB+D 120, where others have trained it.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 82.5 %, X-Set 84.2 %, both streams, as
    DualHead-Net quotes it.
    ``bonegraph fit agcn-ntu120-released --data data/ntu120-msg3d --split xset --streams joint bone --run RUN``
    """
    return replace(ntu60_released(), recipe="agcn-ntu120-released")


def kinetics_released() -> Settings:
    """2s-AGCN as its authors released it, on Kinetics-Skeleton: moved fragments of 150 frames, tests on all 300.

    The store is prepared with ``--people frame``. Paper: top-1 36.1 %, top-5 58.7 % (both streams).
    ``bonegraph fit agcn-kinetics-released --data data/kinetics-frame --streams joint bone --run RUN``
    """
    return Settings(
        recipe="agcn-kinetics-released",
        split="given",
        model=agcn.released(),
        length=Length("fragment", 150, test_frames=300, fill=300),
        transforms=Transforms(centre="image", y_up=True, confidence=True, zero_padded=2, augment=Augment(moving=True)),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(45, 55), weight_decay=1e-4),
        epochs=65,
        batch_size=64,
        people=2,
    )


def ntu60_best() -> Settings:
    """2s-AGCN as we recommend it on NTU RGB+D 60. Not measured by us: no one here has the recordings.

    ``bonegraph fit agcn-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return replace(stgcn.ntu_best(), recipe="agcn-ntu60-best", model=agcn.best())


def ntu120_best() -> Settings:
    """2s-AGCN as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit agcn-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu60_best(), recipe="agcn-ntu120-best")


def kinetics_best() -> Settings:
    """2s-AGCN as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit agcn-kinetics-best --data data/kinetics --run RUN``
    """
    return replace(stgcn.kinetics_best(), recipe="agcn-kinetics-best", model=agcn.best())


def nw_ucla() -> Settings:
    """2s-AGCN on NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width).

    Expected: see docs/results.md.
    ``bonegraph fit agcn-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(small.nw_ucla(), recipe="agcn-nw-ucla", model=agcn.best("half"), epochs=50)


def sbu() -> Settings:
    """2s-AGCN on SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit agcn-sbu --data data/sbu --split fold1 --run RUN``
    """
    return replace(small.sbu(), recipe="agcn-sbu", model=agcn.best("quarter"))
