"""What public weights take in: the frames, the place of the body, and how a store has to be prepared for them.

A network that sees anything else than in training answers anything. None of it is written in the files of weights; it
is what the code of each family does before its network in testing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bonegraph.datasets.known.ntu import Ntu60, Ntu120
from bonegraph.datasets.store import Store
from bonegraph.models.checkpoint import Meaning
from bonegraph.models.released.load import Released
from bonegraph.skeleton import nearest
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms
from bonegraph.transforms.streams import STREAMS, Stream


@dataclass(frozen=True)
class Preprocessing:
    """From a prepared store to the input of a network.

    Args:
        title: whose.
        transforms: for the joint stream.
        length: which frames.
        unit: of the store.
        scored: the last channel is the confidence.
        stores: how the store is prepared: data set -> what its settings must say; any of them will do.
        command: that prepares such a store, for people.
        streams: those that come out as in the code of the family.
        cleaning: of single recordings of NTU RGB+D.
        differs: what does not come out exactly, for people.
    """

    title: str
    transforms: Transforms
    length: Length
    unit: str
    scored: bool = False
    stores: tuple[tuple[str, str], ...] = ()
    command: str = ""
    streams: tuple[Stream, ...] = STREAMS
    cleaning: str = ""
    differs: str = ""


def _ntu(cleaning: str, container: str) -> tuple[tuple[str, str], ...]:
    needed = f"cleaning='{cleaning}'"
    return (("ntu60", needed), ("ntu120", needed), (container, ""))


_PLAIN = Transforms(centre="none")
_IMAGE = Transforms(centre="image")
_KINETICS = (("kinetics-skeleton", "people='frame'"),)
_QUANTISED = "scores are kept in steps of 1/255"
_EVEN = "clips of 100 frames or more are sampled at even offsets, not by numpy's generator with seed 255"

PREPROCESSING: dict[str, Preprocessing] = {
    "stgcn-ntu": Preprocessing(
        title="ST-GCN on NTU RGB+D: two bodies by place, 300 frames, zeros where nobody is",
        transforms=_PLAIN,
        length=Length("fragment", 300),
        unit="m",
        stores=_ntu("released-stgcn", "arrays"),
        command="bonegraph prepare ntu60 STORE --source FOLDER --cleaning released-stgcn",
        cleaning="released-stgcn",
    ),
    "stgcn-kinetics": Preprocessing(
        title="ST-GCN on Kinetics-Skeleton: two people a frame, image centre at 0, 300 frames, zeros where nobody is",
        transforms=_IMAGE,
        length=Length("fragment", 300),
        unit="normalised",
        scored=True,
        stores=_KINETICS,
        command="bonegraph prepare kinetics-skeleton STORE --source FOLDER --people frame",
        differs=_QUANTISED,
    ),
    "msg3d-ntu": Preprocessing(
        title="2s-AGCN, MS-G3D and DualHead-Net on NTU RGB+D: two bodies of most energy, centred, turned, replayed",
        transforms=_PLAIN,
        length=Length("replay", 300),
        unit="m",
        stores=_ntu("released-msg3d", "arrays"),
        command="bonegraph prepare ntu60 STORE --source FOLDER --cleaning released-msg3d",
        cleaning="released-msg3d",
    ),
    "msg3d-kinetics": Preprocessing(
        title="2s-AGCN, MS-G3D and DualHead-Net on Kinetics-Skeleton: as ST-GCN, with y upwards",
        transforms=replace(_IMAGE, y_up=True),
        length=Length("fragment", 300),
        unit="normalised",
        scored=True,
        stores=_KINETICS,
        command="bonegraph prepare kinetics-skeleton STORE --source FOLDER --people frame",
        differs=_QUANTISED,
    ),
    "ctrgcn-ntu": Preprocessing(
        title="CTR-GCN on NTU RGB+D: bodies by id without ghosts, the middle 95 % of a clip brought to 64 frames",
        transforms=_PLAIN,
        length=Length("crop-resize", 64, released=True),
        unit="m",
        stores=_ntu("released-ctrgcn", "ctrgcn"),
        command="bonegraph prepare ntu60 STORE --source FOLDER --cleaning released-ctrgcn",
        cleaning="released-ctrgcn",
    ),
    "pyskl-3d": Preprocessing(
        title="PYSKL and MMAction2 in space: centred and turned by the first frame, ten times 100 frames",
        transforms=_PLAIN,
        length=Length("uniform", 100, test_clips=10, replay=True),
        unit="m",
        stores=(("annotations", "normalise=True"),),
        command="bonegraph prepare annotations STORE --source ntu60_3danno.pkl --normalise true",
        streams=("joint", "bone"),
        differs=_EVEN,
    ),
    "pyskl-2d": Preprocessing(
        title="PYSKL and MMAction2 in images: pixels to [-1, 1], ten times 100 frames",
        transforms=Transforms(centre="none", scale="image", image=(1.0, 1.0)),
        length=Length("uniform", 100, test_clips=10, replay=True),
        unit="normalised",
        scored=True,
        stores=(("annotations", "unit='normalised'"),),
        command="bonegraph prepare annotations STORE --source ntu60_hrnet.pkl --unit normalised",
        streams=("joint",),
        differs=f"{_QUANTISED}, joints with a score below 0.01 are kept, and {_EVEN}",
    ),
    "plain": Preprocessing(
        title="every frame as it is stored",
        transforms=_PLAIN,
        length=Length("all"),
        unit="m",
    ),
}
"""By name; ``plain`` is for weights of your own that were trained on such a store."""

OF_FAMILY = {
    "stgcn": {"ntu25": "stgcn-ntu", "openpose18": "stgcn-kinetics"},
    "agcn": {"ntu25": "msg3d-ntu", "openpose18": "msg3d-kinetics"},
    "msg3d": {"ntu25": "msg3d-ntu", "openpose18": "msg3d-kinetics"},
    "dualhead": {"ntu25": "msg3d-ntu", "openpose18": "msg3d-kinetics"},
    "ctrgcn": {"ntu25": "ctrgcn-ntu"},
    "pyskl-stgcn": {"ntu25": "pyskl-3d", "coco17": "pyskl-2d"},
    "pyskl-stgcnpp": {"ntu25": "pyskl-3d", "coco17": "pyskl-2d"},
}
"""Family -> skeleton -> what its public weights take in."""

LICENCES = {
    "stgcn": "BSD-style, CUHK Multimedia Lab (st-gcn) or Apache-2.0 (mmskeleton)",
    "pyskl-stgcn": "Apache-2.0",
    "pyskl-stgcnpp": "Apache-2.0",
    "agcn": "CC BY-NC 4.0, no commercial use",
    "ctrgcn": "CC BY-NC 4.0, no commercial use",
    "msg3d": "MIT",
    "dualhead": "none stated",
}
"""Family -> licence of the code that its weights are published with."""

CLASSES = {60: Ntu60.classes, 120: Ntu120.classes}
"""Class names that follow from their number; the 400 of Kinetics come with its label files."""


def released_preprocessing(released: Released, wanted: str = "") -> str:
    """The name of the preprocessing of released weights.

    Raises:
        ValueError: there is none of this name, or none is known for weights of this family and skeleton.
    """
    if wanted:
        if wanted not in PREPROCESSING:
            raise ValueError(f"no preprocessing '{wanted}'{nearest(wanted, PREPROCESSING)}.")
        return wanted
    known = OF_FAMILY.get(released.family, {})
    if released.skeleton.name not in known:
        raise ValueError(
            f"what weights of '{released.family}' on '{released.skeleton.name}' take in is not known; choose "
            f"--preprocessing: {', '.join(PREPROCESSING)}."
        )
    return known[released.skeleton.name]


def stream_by_name(name: str) -> Stream | None:
    """The stream that the name of a file tells, as in ``ntu60-xsub-bone.pt`` or PYSKL's ``bm.pth``."""
    stem = Path(name).stem.lower()
    short: dict[str, Stream] = {"j": "joint", "b": "bone", "jm": "joint-motion", "bm": "bone-motion"}
    if stem in short:
        return short[stem]
    words = set(re.split(r"[^a-z]+", stem))
    if not words & {"joint", "bone", "motion"}:
        return None
    kind: Stream = "bone" if "bone" in words else "joint"
    if "motion" not in words:
        return kind
    return "bone-motion" if kind == "bone" else "joint-motion"


def released_meaning(
    released: Released,
    preprocessing: str,
    stream: Stream,
    classes: tuple[str, ...],
    *,
    frames: int = 0,
    fps: float = 30.0,
    made: dict[str, str] | None = None,
) -> Meaning:
    """The meaning of released weights, for a checkpoint.

    Args:
        released: the weights in their network.
        preprocessing: a key of `PREPROCESSING`.
        stream: which they were trained on.
        classes: in the order of the logits.
        frames: T, 0 for that of the preprocessing.
        fps: of the training clips.
        made: what else is known about them.

    Raises:
        ValueError: the stream does not come out as in the code of the family, the channels are not those of the
            network, or the number of class names is wrong.
    """
    chosen = PREPROCESSING[preprocessing]
    if stream not in chosen.streams:
        raise ValueError(
            f"'{preprocessing}' gives {' and '.join(chosen.streams)} as the public code does, but not {stream} (see "
            "docs/weights.md); choose another stream or --preprocessing."
        )
    if len(classes) != released.num_classes:
        raise ValueError(f"there are {len(classes)} class names, but the weights tell {released.num_classes} classes.")
    config: Any = released.model.config
    scored = chosen.scored and config.in_channels > 2
    if not scored and preprocessing != "plain" and config.in_channels != (2 if chosen.scored else 3):
        raise ValueError(
            f"'{preprocessing}' gives {2 if chosen.scored else 3} channels, but the weights take {config.in_channels}; "
            "choose another --preprocessing."
        )
    people = getattr(config, "people", 0) or 2
    transforms = replace(chosen.transforms, stream=stream, confidence=scored, zero_padded=people)
    return Meaning(
        skeleton=released.skeleton,
        classes=classes,
        transforms=transforms,
        length=replace(chosen.length, frames=frames or chosen.length.frames),
        people=people,
        fps=fps,
        unit=chosen.unit,
        made={
            "family": released.family,
            "preprocessing": preprocessing,
            "store": chosen.command.replace("ntu60", "ntu120") if released.num_classes == 120 else chosen.command,
            "licence": LICENCES.get(released.family, "unknown"),
            **(made or {}),
        },
    )


def store_differs(meaning: Meaning, store: Store) -> str:
    """Why a store may not be what converted weights need; empty where it is, and for checkpoints of our own."""
    chosen = PREPROCESSING.get(meaning.made.get("preprocessing", ""))
    if chosen is None or not chosen.stores:
        return ""
    settings = store.card.made.get("settings", "")
    if any(store.name == name and needed in settings for name, needed in chosen.stores):
        return ""
    needed = meaning.made.get("store", chosen.command)
    return (
        f"the weights need a store made by '{needed}', but '{store.folder.name}' is '{store.name}'"
        f"{f' ({settings[:200]})' if settings else ''}; expect lower accuracy."
    )


def numbered(classes: tuple[str, ...]) -> bool:
    """Whether class names are only their numbers."""
    return classes == tuple(map(str, range(len(classes))))


def with_names_of(meaning: Meaning, store: Store) -> Meaning:
    """The meaning with the class names of a store, where one of the two has only numbers, equally many."""
    if len(meaning.classes) == len(store.classes) and (numbered(meaning.classes) or numbered(store.classes)):
        return replace(meaning, classes=store.classes)
    return meaning
