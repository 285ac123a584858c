"""STF (Ke, Peng and Lyu, AAAI 2022): an MS-G3D, then two networks with losses on the focus, whose answers are averaged.

The input is the paper's: joints minus the centre joint of their frame, divided by the body height, with a channel that
tells who is seen; 300 frames, short clips are played again; nothing else is changed, and nothing at random.

Departs from the paper:
    the text gives three initial learning rates and not which is whose; here they go to NTU RGB+D 60, 120 and Kinetics
    in its order. It gives no number of epochs, of either training: the first has those of MS-G3D's own code, the second
    15, in which the rate falls along a cosine.
"""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import msg3d as msg3d_model
from bonegraph.models import stf
from bonegraph.objectives.stf import FocusLoss
from bonegraph.training.recipes import msg3d, small
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.training.tuning import Tuning
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

NETWORKS = {"explore": FocusLoss(explore=0.01), "focus": FocusLoss(diverge=0.1, cohere=0.1, embed=0.01)}
"""The two networks with the paper's weights; together their training is unstable, the paper says."""


def tuned(base: Settings, lr: float = 1e-3) -> Settings:
    """Settings of an MS-G3D with the second training of STF after it."""
    second = replace(base.optimizer, lr=lr, schedule="cosine", milestones=(), warmup_epochs=0.0)
    return replace(base, model=stf.on(base.model), tuning=Tuning(NETWORKS, optimizer=second))


def _paper(recipe: str, model: msg3d_model.Config, milestones: tuple[int, ...], epochs: int, lr: float) -> Settings:
    optimizer = Optimizer(
        lr=0.05, momentum=0.9, nesterov=False, weight_decay=5e-4, schedule="step", milestones=milestones
    )
    settings = Settings(
        recipe=recipe,
        split="xsub",
        model=model,
        length=Length("replay", 300),
        transforms=Transforms(centre="frame", scale="body-height", visibility=True),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=32,
        people=2,
    )
    return tuned(settings, lr)


def ntu60_paper() -> Settings:
    """STF as its text has it, on NTU RGB+D 60: base, two networks, joints and bones.

    Paper: X-Sub 91.34 / 91.09 / 92.47 %, X-View 96.46 / 96.51 / 96.86 % (joints, bones, both).
    ``bonegraph fit stf-ntu60-paper --data data/ntu60 --split xsub --streams joint bone --run RUN``
    """
    return _paper("stf-ntu60-paper", msg3d_model.released(in_channels=4), (20, 35, 45), 50, 1e-3)


def ntu120_paper() -> Settings:
    """STF as its text has it, on NTU RGB+D 120.

    Paper: X-Sub 85.06 / 86.80 / 88.85 %, X-Set 86.40 / 88.86 / 89.92 % (joints, bones, both).
    ``bonegraph fit stf-ntu120-paper --data data/ntu120 --split xset --streams joint bone --run RUN``
    """
    return _paper("stf-ntu120-paper", msg3d_model.released(in_channels=4), (20, 35, 50), 60, 5e-4)


def kinetics_paper() -> Settings:
    """STF as its text has it, on Kinetics-Skeleton; the visibility is the score of the pose estimator.

    Paper: top-1 38.20 / 37.56 / 39.87 % (joints, bones, both).
    ``bonegraph fit stf-kinetics-paper --data data/kinetics --streams joint bone --run RUN``
    """
    model = replace(msg3d_model.released(), gcn_scales=8, g3d_scales=8)
    return replace(_paper("stf-kinetics-paper", model, (25, 40, 55), 65, 1e-4), split="given")


def ntu60_best() -> Settings:
    """STF as we recommend it on NTU RGB+D 60. Not measured by us: no one here has the recordings.

    ``bonegraph fit stf-ntu60-best --data data/ntu60 --split xsub --run RUN``
    """
    return replace(tuned(msg3d.ntu60_best()), recipe="stf-ntu60-best")


def ntu120_best() -> Settings:
    """STF as we recommend it on NTU RGB+D 120. Not measured by us: no one here has the recordings.

    ``bonegraph fit stf-ntu120-best --data data/ntu120 --split xset --run RUN``
    """
    return replace(ntu60_best(), recipe="stf-ntu120-best")


def kinetics_best() -> Settings:
    """STF as we recommend it on Kinetics-Skeleton. Not measured by us: no one here has the recordings.

    ``bonegraph fit stf-kinetics-best --data data/kinetics --run RUN``
    """
    return replace(tuned(msg3d.kinetics_best()), recipe="stf-kinetics-best")


def nw_ucla() -> Settings:
    """STF on NW-UCLA, joint stream, train views 1 and 2, test view 3 (half width, 40 frames).

    Expected: see docs/results.md.
    ``bonegraph fit stf-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(tuned(msg3d.nw_ucla()), recipe="stf-nw-ucla")


def sbu() -> Settings:
    """STF on SBU Kinect Interaction, two people, five folds by pair (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit stf-sbu --data data/sbu --split fold1 --run RUN``
    """
    return replace(tuned(msg3d.sbu()), recipe="stf-sbu")


def demo() -> Settings:
    """STF on the built-in data (quarter width).

    Expected: see docs/results.md.
    ``bonegraph fit stf-demo --data data/synthetic --run RUN``
    """
    return replace(tuned(replace(small.demo(), model=msg3d_model.best("quarter"))), recipe="stf-demo")
