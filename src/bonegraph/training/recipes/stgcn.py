"""ST-GCN (Yan, Xiong and Lin, AAAI 2018) on NTU RGB+D and Kinetics-Skeleton: the text, the released code, and ours.

The text gives the learning rate, its decay, dropout and augmentation. It gives neither the length of training nor the
batch, which are the released ones here, nor how long the fragments are (released: 150 frames).
"""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms


def ntu_paper() -> Settings:
    """ST-GCN as in the text on NTU RGB+D: dropout 0.5, no augmentation, clips replayed to 300 frames.

    Paper: X-Sub 81.5 %, X-View 88.3 %.
    ``bonegraph fit stgcn-ntu60-paper --data data/ntu60 --split xsub --run RUN``
    """
    return Settings(
        recipe="stgcn-ntu60-paper",
        split="xsub",
        model=stgcn.paper(),
        length=Length("replay", 300),
        transforms=Transforms(centre="none"),
        optimizer=_text(),
        epochs=80,
        batch_size=64,
        people=2,
    )


def ntu_released() -> Settings:
    """ST-GCN as its authors released it, on NTU RGB+D: 10 units, zero-padded people and frames.

    The store is prepared with ``--cleaning released-stgcn``. Paper: X-Sub 81.5 %, X-View 88.3 %.
    ``bonegraph fit stgcn-ntu60-released --data data/ntu60-stgcn --split xsub --run RUN``
    """
    return Settings(
        recipe="stgcn-ntu60-released",
        split="xsub",
        model=stgcn.released(),
        length=Length("fragment", 300),
        transforms=Transforms(centre="none", zero_padded=2),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(10, 50), weight_decay=1e-4),
        epochs=80,
        batch_size=64,
        people=2,
    )


def ntu_best() -> Settings:
    """ST-GCN as we recommend it on NTU RGB+D. Not measured by us: no one here has the recordings.

    ``bonegraph fit stgcn-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return Settings(
        recipe="stgcn-ntu60-best",
        split="xsub",
        model=stgcn.best(),
        length=Length("uniform", 100, test_clips=4),
        transforms=Transforms(
            centre="first",
            augment=Augment(rotation=(15, 30, 15), scale=(0.9, 1.1), joint_dropout=0.02),
        ),
        optimizer=Optimizer(lr=0.1, warmup_epochs=2, weight_decay=5e-4, label_smoothing=0.1),
        epochs=65,
        batch_size=64,
        people=2,
        precision="bf16-mixed",
    )


def ntu120_released() -> Settings:
    """ST-GCN with its released settings for NTU RGB+D 60 on NTU RGB+D 120, where others have trained it.

    The store is prepared with ``--cleaning released-stgcn``. Paper: X-Sub 70.7 %, X-Set 73.2 %, as DualHead-Net quotes
    it.
    ``bonegraph fit stgcn-ntu120-released --data data/ntu120-stgcn --split xset --run RUN``
    """
    return replace(ntu_released(), recipe="stgcn-ntu120-released")


def ntu120_best() -> Settings:
    """ST-GCN as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit stgcn-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu_best(), recipe="stgcn-ntu120-best")


def kinetics_paper() -> Settings:
    """ST-GCN as in the text on Kinetics-Skeleton: random moving and fragments instead of dropout, tests on all frames.

    The store is prepared with ``--people clip``. Paper: top-1 30.7 %, top-5 52.8 %.
    ``bonegraph fit stgcn-kinetics-paper --data data/kinetics --run RUN``
    """
    return Settings(
        recipe="stgcn-kinetics-paper",
        split="given",
        model=replace(stgcn.paper(), dropout=0.0),
        length=Length("fragment", 150, test_frames=300, fill=300, replay=True),
        transforms=_kinetics(),
        optimizer=_text(),
        epochs=50,
        batch_size=256,
        people=2,
    )


def kinetics_released() -> Settings:
    """ST-GCN as its authors released it, on Kinetics-Skeleton: fragments of zero-padded clips.

    The store is prepared with ``--people frame``. Paper: top-1 30.7 %, top-5 52.8 %.
    ``bonegraph fit stgcn-kinetics-released --data data/kinetics-frame --run RUN``
    """
    return Settings(
        recipe="stgcn-kinetics-released",
        split="given",
        model=stgcn.released(dropout=0.0),
        length=Length("fragment", 150, test_frames=300, fill=300),
        transforms=replace(_kinetics(), zero_padded=2),
        optimizer=Optimizer(lr=0.1, schedule="step", milestones=(20, 30, 40, 50), weight_decay=1e-4),
        epochs=50,
        batch_size=256,
        people=2,
    )


def kinetics_best() -> Settings:
    """ST-GCN as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit stgcn-kinetics-best --data data/kinetics --run RUN``
    """
    return Settings(
        recipe="stgcn-kinetics-best",
        split="given",
        model=stgcn.best(),
        length=Length("uniform", 100, test_clips=4),
        transforms=replace(_kinetics(), augment=Augment(moving=True, mirror=0.5)),
        optimizer=Optimizer(lr=0.1, warmup_epochs=2, weight_decay=3e-4),
        epochs=65,
        batch_size=128,
        people=2,
        precision="bf16-mixed",
    )


def _text() -> Optimizer:
    """SGD with 0.01, divided by 10 after every 10 epochs."""
    return Optimizer(
        lr=0.01, schedule="step", milestones=tuple(range(10, 80, 10)), momentum=0.9, nesterov=False, weight_decay=1e-4
    )


def _kinetics() -> Transforms:
    """Two coordinates about the middle of the image, and the score as a third channel."""
    return Transforms(centre="image", confidence=True, augment=Augment(moving=True))
