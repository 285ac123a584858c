"""DualHead-Net (Chen et al., ACM Multimedia 2021): the text, the released code, and ours.

The text gives the learning rate, its decay by 10 at two epochs, the last epoch, batch and weight decay, but the text we
have lost the epochs. On NTU RGB+D they are those of the released code here (40, 60, 80, of which 80 is the end); on
Kinetics, which ends after 80 epochs, the steps are ours. Its input is that of MS-G3D, on Kinetics that of ST-GCN.
"""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import dualhead
from bonegraph.training.recipes import msg3d, small, stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms


def ntu60_paper() -> Settings:
    """DualHead-Net as in the text, on NTU RGB+D 60.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 92.0 %, X-View 96.6 % (four streams), 90.3 %
    and 96.1 % (joints), 90.7 % and 95.5 % (bones).
    ``bonegraph fit dualhead-ntu60-paper --data data/ntu60-msg3d --split xsub --run RUN``
    """
    return replace(
        msg3d.ntu60_released(),
        recipe="dualhead-ntu60-paper",
        model=dualhead.paper(),
        transforms=Transforms(centre="none"),
        optimizer=_steps(0.1),
        epochs=80,
        batch_size=64,
    )


def ntu120_paper() -> Settings:
    """DualHead-Net as in the text, on NTU RGB+D 120.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 88.2 %, X-Set 89.3 % (four streams), 84.6 %
    and 85.9 % (joints), 86.7 % and 87.9 % (bones).
    ``bonegraph fit dualhead-ntu120-paper --data data/ntu120-msg3d --split xset --run RUN``
    """
    return replace(ntu60_paper(), recipe="dualhead-ntu120-paper")


def kinetics_paper() -> Settings:
    """DualHead-Net as in the text, on Kinetics-Skeleton with the input of ST-GCN: moved fragments, tests on all frames.

    The steps at 55 and 70 are ours. The store is prepared with ``--people clip``. Paper: top-1 38.4 %, top-5 61.3 %
    (four streams), 36.6 % and 59.5 % (joints), 35.7 % and 58.7 % (bones).
    ``bonegraph fit dualhead-kinetics-paper --data data/kinetics --run RUN``
    """
    return replace(
        stgcn.kinetics_paper(),
        recipe="dualhead-kinetics-paper",
        model=dualhead.paper(),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(55, 70), weight_decay=1e-4),
        epochs=80,
        batch_size=128,
    )


def ntu60_released() -> Settings:
    """DualHead-Net as its authors released it, on NTU RGB+D 60: half the learning rate, mean of the logits.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 92.0 %, X-View 96.6 % (four streams), 90.3 %
    and 96.1 % (joints), 90.7 % and 95.5 % (bones).
    ``bonegraph fit dualhead-ntu60-released --data data/ntu60-msg3d --split xsub --run RUN``
    """
    return replace(
        ntu60_paper(),
        recipe="dualhead-ntu60-released",
        model=dualhead.released(),
        transforms=Transforms(centre="none", zero_padded=2),
        optimizer=_steps(0.05),
    )


def ntu120_released() -> Settings:
    """DualHead-Net as its authors released it, on NTU RGB+D 120.

    The store is prepared with ``--cleaning released-msg3d``. Paper: X-Sub 88.2 %, X-Set 89.3 % (four streams), 84.6 %
    and 85.9 % (joints), 86.7 % and 87.9 % (bones).
    ``bonegraph fit dualhead-ntu120-released --data data/ntu120-msg3d --split xset --run RUN``
    """
    return replace(ntu60_released(), recipe="dualhead-ntu120-released")


def ntu60_best() -> Settings:
    """DualHead-Net as we recommend it on NTU RGB+D 60. Not measured by us: no one here has the recordings.

    ``bonegraph fit dualhead-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return replace(stgcn.ntu_best(), recipe="dualhead-ntu60-best", model=dualhead.best())


def ntu120_best() -> Settings:
    """DualHead-Net as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit dualhead-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu60_best(), recipe="dualhead-ntu120-best")


def kinetics_best() -> Settings:
    """DualHead-Net as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit dualhead-kinetics-best --data data/kinetics --run RUN``
    """
    return replace(stgcn.kinetics_best(), recipe="dualhead-kinetics-best", model=dualhead.best())


def nw_ucla() -> Settings:
    """DualHead-Net on NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width, 40 frames).

    Expected: see docs/results.md.
    ``bonegraph fit dualhead-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(
        small.nw_ucla(),
        recipe="dualhead-nw-ucla",
        model=dualhead.best("half"),
        length=Length("crop-resize", 40),
        epochs=40,
    )


def sbu() -> Settings:
    """DualHead-Net on SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit dualhead-sbu --data data/sbu --split fold1 --run RUN``
    """
    return replace(small.sbu(), recipe="dualhead-sbu", model=dualhead.best("quarter"))


def _steps(lr: float) -> Optimizer:
    return Optimizer(lr=lr, schedule="step", milestones=(40, 60, 80), weight_decay=5e-4)
