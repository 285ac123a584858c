"""What is damaged: a few small good files of every kind that the package reads, and how each is read.

A new file format needs an entry in `FORMAT_SEEDS`; a test says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bonegraph.datasets.known import KnownSet
from bonegraph.datasets.known.containers import AnnotationsSet, ArraysSet, CtrGcnSet
from bonegraph.datasets.known.kinetics import KineticsSkeleton
from bonegraph.datasets.known.kth import Kth
from bonegraph.datasets.known.motions import MimedMotions
from bonegraph.datasets.known.ntu import Ntu60
from bonegraph.datasets.known.penn import PennAction
from bonegraph.datasets.known.table import TableSet
from bonegraph.datasets.store import Store
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.released.load import load_released
from bonegraph.read import FORMATS
from bonegraph.read.pickles import load_pickle
from bonegraph.read.video import Video
from bonegraph.scores.files import read_scores
from bonegraph.scores.order import read_order
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton

from . import containers, kept, recordings, videos
from .mutate import Change, binary, in_mat, in_npy, in_safetensors, in_zip, text

Seeds = Callable[[], list[bytes]]


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        name: of the target.
        file: name of the file; some readers go by it.
        open: reads the file and whatever follows from it; raises where it is refused.
        seeds: good files.
        change: how they are damaged.
        others: files that lie beside it, by name.
    """

    name: str
    file: str
    open: Callable[[Path], object]
    seeds: Seeds
    change: Change
    others: Callable[[], dict[str, bytes]] = lambda: {}

    def place(self, folder: Path) -> None:
        """Make a folder ready for the file."""
        for name, content in {**self.others(), self.file: b""}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


FORMAT_SEEDS: dict[str, tuple[str, Seeds, Change]] = {
    "nw-ucla": ("a01_s01_e01_v01.json", recordings.ucla, text),
    "sbu": ("skeleton_pos.txt", recordings.sbu, text),
    "utd-mhad": ("a1_s1_t1_skeleton.mat", recordings.utd, in_mat),
    "msr-action3d": ("a01_s01_e01_skeleton3D.txt", recordings.msr, text),
    "penn-action": ("0001.mat", recordings.penn, in_mat),
    "ntu": ("S001C001P001R001A001.skeleton", recordings.ntu, text),
    "kinetics-skeleton": ("clip.json", recordings.kinetics, text),
    "openpose": ("clip_000000000007_keypoints.json", recordings.openpose, text),
    "mediapipe": ("clip.json", recordings.landmarks, text),
    "mediapipe-csv": ("clip.csv", recordings.landmark_tables, text),
    "mediapipe-npy": ("clip.npy", recordings.landmark_arrays, in_npy),
    "csv": ("clip.csv", recordings.tables, text),
    "npy": ("clip.npy", recordings.arrays, in_npy),
}
"""For each format of `bonegraph.read.FORMATS`: a file name, good files and how to damage them."""


def recording(read: Callable[[Path], Sequence], path: Path) -> None:
    """Read a recording, which must be what it says it is."""
    sequence = read(path)
    assert isinstance(sequence, Sequence)
    assert sequence.positions.dtype == np.float32
    assert sequence.present.dtype == np.bool_
    assert sequence.visible.shape == sequence.positions.shape[:3]
    assert sequence.num_people >= 1


def whole_set(make: Callable[[], KnownSet], path: Path) -> None:
    """Find and read the clips of a known data set."""
    known = make()
    for source in known.find(path.parent):
        if not source.refused and 0 <= source.label < len(known.classes):
            recording(lambda _, source=source: known.read(source), path)  # type: ignore[misc]


def frames(path: Path) -> None:
    """Every frame of a video, which must be as large as it says."""
    video = Video(path)
    assert video.fps > 0 and (video.about is None or video.about >= 1)
    count = 0
    for frame in video:
        assert frame.shape == (video.height, video.width, 3) and frame.dtype == np.uint8
        count += 1
    assert count >= 1


def open_store(path: Path) -> None:
    """Open a store and read every clip, part and column."""
    opened = Store.open(path.parent)
    for clip in range(len(opened)):
        opened.sequence(clip)
        opened.gather([clip], np.array([[0, -1, int(opened.frames[clip]) - 1]]), 2)
    for name, split in opened.splits.items():
        for part in split.parts:
            opened.part(name, part)


def nothing() -> dict[str, bytes]:
    """No other files."""
    return {}


NTU = ("S001C001P001R001A001.skeleton", recordings.longer_ntu, text, nothing)
SETS: dict[str, tuple[Callable[[], KnownSet], str, Seeds, Change, Callable[[], dict[str, bytes]]]] = {
    "ntu60 as ST-GCN": (partial(Ntu60, "released-stgcn"), *NTU),
    "ntu60 as MS-G3D": (partial(Ntu60, "released-msg3d"), *NTU),
    "ntu60 as CTR-GCN": (partial(Ntu60, "released-ctrgcn"), *NTU),
    "penn-action": (PennAction, "0001.mat", recordings.penn, in_mat, nothing),
    "arrays": (ArraysSet, "train_data_joint.npy", containers.padded_data, in_npy, containers.padded),
    "arrays labels": (ArraysSet, "train_label.pkl", containers.padded_labels, binary, containers.padded),
    "ctrgcn": (CtrGcnSet, "NTU60_CS.npz", containers.ctrgcn, in_zip(in_npy), nothing),
    "annotations": (AnnotationsSet, "ntu60_3danno.pkl", containers.annotated, binary, nothing),
    "mimed motions": (MimedMotions, "motions.npz", containers.motions, in_zip(in_npy), nothing),
    "kth": (
        *(Kth, "person01_boxing_d1_uncomp/a_000000000001_keypoints.json"),
        *(lambda: recordings.openpose()[:1], text, containers.openpose),
    ),
    "table labels": (TableSet, "labels.csv", containers.own_labels, text, containers.own),
    "kinetics labels": (
        *(KineticsSkeleton, "kinetics_train_label.json"),
        *(containers.kinetics_labels, text, containers.kinetics),
    ),
}
"""Known data sets and what of them is damaged: the set, the file, good files, damage, and the files beside it."""


def targets() -> dict[str, Target]:
    """Everything that is read, by name."""
    found = [
        Target(name, file, partial(recording, FORMATS[name].read), seeds, change)
        for name, (file, seeds, change) in FORMAT_SEEDS.items()
    ]
    found += [
        Target(f"store {name}", name, open_store, lambda name=name: [kept.store()[name]], change, kept.store)  # type: ignore[misc]
        for name, change in (
            ("dataset.json", text),
            ("index.csv", text),
            ("positions.npy", in_npy),
            ("present.npy", in_npy),
            ("confidence.npy", in_npy),
        )
    ]
    found += [
        Target(f"set {name}", file, partial(whole_set, make), seeds, change, others)
        for name, (make, file, seeds, change, others) in SETS.items()
    ]
    found += [
        Target(f"video {kind}", f"clip.{kind}", frames, partial(videos.video, kind), binary) for kind in videos.KINDS
    ]
    found += [
        Target("skeleton", "stick.yaml", Skeleton.from_yaml, kept.skeletons, text),
        Target("checkpoint", "model.safetensors", load_checkpoint, kept.checkpoint, in_safetensors),
        Target("stream", "state.safetensors", kept.go_on, kept.stream_states, in_safetensors),
        Target("weights zip", "weights.pt", load_released, partial(kept.torch_files, True), in_zip(binary)),
        Target("weights old", "weights.pt", load_released, partial(kept.torch_files, False), binary),
        Target("weights safetensors", "weights.pt", load_released, kept.safetensors_files, in_safetensors),
        Target("weights archive", "weights.zip", load_released, kept.archives, in_zip(binary)),
        Target("scores npz", "scores.npz", read_scores, kept.scores, in_zip(in_npy)),
        Target("scores csv", "scores.csv", read_scores, kept.score_tables, text),
        Target("scores pickle", "scores.pkl", read_scores, kept.score_pickles, binary),
        Target("clip ids", "ids.txt", read_order, kept.clip_ids, text),
        Target("clip ids pickle", "ids.pkl", partial(read_order, part="xsub_val"), kept.clip_id_pickles, binary),
        Target("pickle", "data.pkl", load_pickle, kept.pickles, binary),
    ]
    return {target.name: target for target in found}
