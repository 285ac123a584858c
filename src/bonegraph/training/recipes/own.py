"""The recipe for your own data, which depends on what is in the store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bonegraph.datasets.known.dividing import BY_CHANCE, BY_SUBJECT
from bonegraph.datasets.store import Store
from bonegraph.models import stgcn
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms

_STEPS = 600
"""So many steps a run has, if that is 30 to 120 epochs."""

_MANY = 2000
"""From so many training clips on, the network has half width instead of a quarter."""


def own() -> Settings:
    """Your own data: any skeleton, frame rate, number of clips, people and coordinates (quarter width).

    Input channels, frames, batch, epochs and the split follow from the store; these are the settings for few clips in
    two coordinates. Left and right are told apart; where they mean the same, add --transforms.augment.mirror 0.5.
    Expected: it depends on the data; two actions of five clips each take under a minute on a CPU.
    ``bonegraph fit own --data data/mine --run RUN``
    """
    return Settings(
        recipe="own",
        split=BY_CHANCE,
        model=stgcn.best("quarter", in_channels=2, dropout=0.1),
        length=Length("uniform", 32),
        transforms=Transforms(
            centre="first",
            scale="body-height",
            augment=Augment(rotation=(0, 0, 10), scale=(0.8, 1.2), joint_dropout=0.05),
        ),
        optimizer=Optimizer(lr=0.05, warmup_epochs=5, clip_norm=1.0, label_smoothing=0.1),
        epochs=120,
        batch_size=4,
    )


def own_stream() -> Settings:
    """Your own data, for frames that come one by one: `own` without what needs a whole clip (quarter width).

    Clips keep their speed and are not stretched (``fragment``), each frame is centred by itself, as somebody who is
    watched for an hour walks far from where they began, and body heights are not measured but varied in training.
    ``bonegraph watch RUN 0`` then computes each frame once, and is 2.8 seconds late at 30 frames a second; with fewer
    units (--model.widths "[16, 32]" --model.strides "[1, 2]": 0.3 s) it is less late and sees less of what went before.
    Expected: somewhat less than `own`, as the distance to the camera changes what it sees.
    ``bonegraph fit own-stream --data data/mine --run RUN``
    """
    return _stream_of(own())


def own_stream_of(store: Store) -> Settings:
    """`own_stream` as it fits a store: clips of the usual length, up to 128 frames.

    Raises:
        ValueError: as `own_of`.
    """
    usual = own_of(store)
    frames = np.median(store.frames[store.part(usual.split, "train")])
    return _stream_of(usual, int(np.clip(8 * np.ceil(float(frames) / 8), 16, 128)))


def _stream_of(usual: Settings, frames: int = 64) -> Settings:
    augment = replace(usual.transforms.augment, scale=(0.6, 1.6))
    return replace(
        usual,
        recipe="own-stream",
        length=Length("fragment", frames),
        transforms=replace(usual.transforms, centre="frame", scale="none", augment=augment),
    )


def own_of(store: Store) -> Settings:
    """`own` as it fits a store.

    The split is ``given``, else by subject, else by chance, else the first. The confidence is no channel: a joint that
    was not found is hidden by the mask, and recordings without scores can be recognised, too.

    Raises:
        ValueError: there is nothing to train on, or fewer than two actions.
    """
    splits = [name for name in ("given", BY_SUBJECT, BY_CHANCE, *store.splits) if name in store.splits]
    training = {name: store.part(name, "train") for name in splits if "train" in store.splits[name].parts}
    split = next((name for name, clips in training.items() if len(clips)), None)
    if split is None:
        raise ValueError(f"'{store.folder}' has no split with clips to train on; see 'bonegraph info {store.folder}'.")
    clips = training[split]
    shown = np.unique(store.labels[clips])
    if len(shown) < 2:
        raise ValueError(
            f"the part 'train' of split '{split}' in '{store.folder}' shows only '{store.classes[shown[0]]}'; an "
            "action is told from others, so give clips of at least two."
        )
    most = 4 if len(clips) < 32 else 8 if len(clips) < 64 else 16
    steps = -(-len(clips) // most)
    batch = -(-len(clips) // steps)  # alike, as a batch of one or two clips upsets the statistics of the network
    coordinates = int(store.sequence(0).positions.shape[3])
    together = float(np.mean(store.people[clips] > 1)) > 0.5
    usual = own()
    return replace(
        usual,
        split=split,
        model=stgcn.best("half" if len(clips) >= _MANY else "quarter", in_channels=coordinates, dropout=0.1),
        length=Length("uniform", int(np.clip(8 * round(float(np.median(store.frames[clips])) / 8), 16, 64))),
        transforms=replace(
            usual.transforms,
            centre_on="people" if together else "first-person",
            augment=replace(usual.transforms.augment, rotation=(0, 0, 10) if coordinates == 2 else (10, 30, 10)),
        ),
        epochs=int(np.clip(round(_STEPS / steps), 30, 120)),
        batch_size=batch,
    )
