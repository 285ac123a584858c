"""MS-G3D (Liu, Zhang, Chen, Wang and Ouyang, CVPR 2020): the released code, and ours.

Joints and bones are trained apart and their scores are added. No clip is changed at random.
"""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import msg3d
from bonegraph.training.recipes import agcn, small, stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms


def ntu60_released() -> Settings:
    """MS-G3D as its authors released it, on NTU RGB+D 60; the input is that of 2s-AGCN.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 91.5 %, X-View 96.2 % (both streams), X-Sub
    89.4 % (joints).
    ``bonegraph fit msg3d-ntu60-released --data data/ntu60-msg3d --split xsub --streams joint bone --run RUN``
    """
    return replace(
        agcn.ntu60_released(),
        recipe="msg3d-ntu60-released",
        model=msg3d.released(),
        optimizer=_steps(30, 40),
        epochs=50,
        batch_size=32,
    )


def ntu120_released() -> Settings:
    """MS-G3D as its authors released it, on NTU RGB+D 120.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 86.9 %, X-Set 88.4 % (both streams).
    ``bonegraph fit msg3d-ntu120-released --data data/ntu120-msg3d --split xset --streams joint bone --run RUN``
    """
    return replace(ntu60_released(), recipe="msg3d-ntu120-released", optimizer=_steps(30, 50), epochs=60)


def kinetics_released() -> Settings:
    """MS-G3D as its authors released it, on Kinetics-Skeleton: all 300 frames, 8 scales on both paths.

    The store is prepared with ``--people frame``. Paper: top-1 38.0 %, top-5 60.9 % (both streams).
    ``bonegraph fit msg3d-kinetics-released --data data/kinetics-frame --streams joint bone --run RUN``
    """
    return Settings(
        recipe="msg3d-kinetics-released",
        split="given",
        model=replace(msg3d.released(), gcn_scales=8, g3d_scales=8),
        length=Length("fragment", 300),
        transforms=Transforms(centre="image", y_up=True, confidence=True, zero_padded=2),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(45, 55), weight_decay=3e-4),
        epochs=65,
        batch_size=128,
        people=2,
    )


def ntu60_best() -> Settings:
    """MS-G3D as we recommend it on NTU RGB+D 60. Not measured by us: no one here has the recordings.

    ``bonegraph fit msg3d-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return replace(stgcn.ntu_best(), recipe="msg3d-ntu60-best", model=msg3d.best())


def ntu120_best() -> Settings:
    """MS-G3D as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit msg3d-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu60_best(), recipe="msg3d-ntu120-best")


def kinetics_best() -> Settings:
    """MS-G3D as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit msg3d-kinetics-best --data data/kinetics --run RUN``
    """
    return replace(stgcn.kinetics_best(), recipe="msg3d-kinetics-best", model=msg3d.best())


def nw_ucla() -> Settings:
    """MS-G3D on NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width, 40 frames).

    Expected: see docs/results.md.
    ``bonegraph fit msg3d-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(
        small.nw_ucla(),
        recipe="msg3d-nw-ucla",
        model=msg3d.best("half"),
        length=Length("crop-resize", 40),
        epochs=34,
    )


def sbu() -> Settings:
    """MS-G3D on SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit msg3d-sbu --data data/sbu --split fold1 --run RUN``
    """
    return replace(small.sbu(), recipe="msg3d-sbu", model=msg3d.best("quarter"))


def _steps(*milestones: int) -> Optimizer:
    return Optimizer(lr=0.05, schedule="step", milestones=milestones, weight_decay=5e-4)
