"""ST-GCN++ (Duan, Wang, Chen and Lin: PYSKL, ACM Multimedia 2022): the released code, and ours.

Everything about its training is given from memory of the text and the released settings.
"""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import stgcnpp
from bonegraph.training.recipes import small, stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms


def ntu60_released() -> Settings:
    """ST-GCN++ as its authors released it, on NTU RGB+D 60: 100 frames, ten test clips, no augmentation.

    The store is made of PYSKL's annotations, ``bonegraph prepare annotations data/ntu60-pyskl --source
    ntu60_3danno.pkl --normalise true``. Paper: four streams, see there.
    ``bonegraph fit stgcnpp-ntu60-released --data data/ntu60-pyskl --split xsub --run RUN``
    """
    return Settings(
        recipe="stgcnpp-ntu60-released",
        split="xsub",
        model=stgcnpp.released(),
        length=Length("uniform", 100, test_clips=10, replay=True),
        transforms=Transforms(centre="none", zero_padded=2),
        optimizer=Optimizer(lr=0.1, schedule="cosine", weight_decay=5e-4),
        epochs=80,
        batch_size=128,
        people=2,
    )


def ntu120_released() -> Settings:
    """ST-GCN++ as its authors released it, on NTU RGB+D 120, with the settings of NTU RGB+D 60.

    The store is made of PYSKL's annotations, as for NTU RGB+D 60. Paper: four streams, see there.
    ``bonegraph fit stgcnpp-ntu120-released --data data/ntu120-pyskl --split xset --run RUN``
    """
    return replace(ntu60_released(), recipe="stgcnpp-ntu120-released")


def ntu60_best() -> Settings:
    """ST-GCN++ as we recommend it on NTU RGB+D 60. Not measured by us: no one here has the recordings.

    ``bonegraph fit stgcnpp-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return replace(stgcn.ntu_best(), recipe="stgcnpp-ntu60-best", model=stgcnpp.best())


def ntu120_best() -> Settings:
    """ST-GCN++ as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit stgcnpp-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu60_best(), recipe="stgcnpp-ntu120-best")


def kinetics_best() -> Settings:
    """ST-GCN++ as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit stgcnpp-kinetics-best --data data/kinetics --run RUN``
    """
    return replace(stgcn.kinetics_best(), recipe="stgcnpp-kinetics-best", model=stgcnpp.best())


def nw_ucla() -> Settings:
    """ST-GCN++ on NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width).

    Expected: see docs/results.md.
    ``bonegraph fit stgcnpp-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(small.nw_ucla(), recipe="stgcnpp-nw-ucla", model=stgcnpp.best("half"), epochs=50)


def sbu() -> Settings:
    """ST-GCN++ on SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit stgcnpp-sbu --data data/sbu --split fold1 --run RUN``
    """
    return replace(small.sbu(), recipe="stgcnpp-sbu", model=stgcnpp.best("quarter"))
