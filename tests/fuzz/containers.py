"""Small good files that hold many clips, or say something about other files."""

from __future__ import annotations

import io
import json
import pickle
from functools import cache
from typing import Any

import numpy as np

from . import recordings
from .recordings import npy, rng


@cache
def padded() -> dict[str, bytes]:
    """Padded arrays and their labels."""
    data = rng().random((3, 3, 4, 25, 2)).astype(np.float32)
    data[1, :, 2:] = 0
    labels = (["a", "b", "c"], [0, 1, 1])
    return {"train_data_joint.npy": npy(data), "train_label.pkl": pickle.dumps(labels, 2)}


def padded_data() -> list[bytes]:
    """The arrays."""
    return [padded()["train_data_joint.npy"]]


@cache
def padded_labels() -> list[bytes]:
    """The labels in every protocol, and with lengths."""
    names, numbers = ["a.skeleton", "b.skeleton", "c.skeleton"], [0, 1, 1]
    contents = ((names, numbers), (names, (numbers, [4, 3, 2])), [np.array(names), np.array(numbers)])
    return [pickle.dumps(content, protocol) for content in contents for protocol in (0, 2, 4)]


@cache
def ctrgcn() -> list[bytes]:
    """Four arrays, stored and compressed."""
    content = {
        "x_train": rng().random((2, 3, 150)).astype(np.float32),
        "y_train": np.eye(2, dtype=np.float32),
        "x_test": rng().random((1, 3, 150)).astype(np.float32),
        "y_test": np.eye(2)[:1],
    }
    files = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **content)  # type: ignore[arg-type]
        files.append(buffer.getvalue())
    return files


@cache
def motions() -> list[bytes]:
    """Two mimed motions, stored and compressed."""
    content = {
        "keypoints": rng().random((5, 25, 3)).astype(np.float32),
        "offsets": np.array([0, 2, 5]),
        "name": np.array(["p0_boxing_01", "p1_violin_01"]),
        "action": np.array(["boxing", "violin"]),
        "subject": np.array([0, 1]),
        "trial": np.array([1, 1]),
    }
    files = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **content)  # type: ignore[arg-type]
        files.append(buffer.getvalue())
    return files


def openpose() -> dict[str, bytes]:
    """Another frame of the same video."""
    return {"person01_boxing_d1_uncomp/a_000000000002_keypoints.json": recordings.openpose()[0]}


@cache
def annotated() -> list[bytes]:
    """Three clips in space or in pictures, and a split."""

    def clip(name: str, coordinates: int) -> dict[str, Any]:
        shape = (1, 2, 25 if coordinates == 3 else 17, coordinates)
        about: dict[str, Any] = {"frame_dir": name, "label": 1, "total_frames": 2}
        about["keypoint"] = rng().random(shape).astype(np.float16)
        if coordinates == 2:
            about |= {"keypoint_score": np.ones(shape[:3], np.float16), "img_shape": (240, 320)}
        return about

    contents = [
        {"split": {"xsub_train": ["a", "b"], "xsub_val": ["c"]}, "annotations": [clip(name, axes) for name in "abc"]}
        for axes in (2, 3)
    ]
    return [pickle.dumps(content, protocol) for content in contents for protocol in (2, 4, 5)]


def own_labels() -> list[bytes]:
    """A table that names two recordings."""
    return [b"file,label,subject,part\na.npy,sit,1,train\nb.npy,stand,2,test\n"]


@cache
def own() -> dict[str, bytes]:
    """The two."""
    return {"a.npy": npy(rng().random((2, 15, 3))), "b.npy": npy(rng().random((3, 15, 3)))}


def kinetics() -> dict[str, bytes]:
    """A clip of Kinetics-Skeleton."""
    return {"kinetics_train/clip.json": recordings.kinetics()[0]}


@cache
def kinetics_labels() -> list[bytes]:
    """What is beside the clips of Kinetics-Skeleton."""
    entry = {"has_skeleton": True, "label": "squat", "label_index": 0}
    other = {"has_skeleton": False, "label": "lunge", "label_index": 1}
    return [json.dumps({"clip": entry, "other": other}).encode()]
