"""Small good files of one recording each, in every format."""

from __future__ import annotations

import io
import json
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from bonegraph.skeleton import SKELETONS


def rng() -> np.random.Generator:
    """The same numbers for every file."""
    return np.random.default_rng(0)


def rows(table: NDArray[Any], separator: str = " ") -> bytes:
    """A table as text."""
    return "".join(separator.join(f"{value:.4f}" for value in row) + "\n" for row in table).encode()


@cache
def ucla() -> list[bytes]:
    """JSON, one of which shows nobody for a frame."""
    clips = [rng().normal(size=(2, 20, 3)).round(3), np.zeros((2, 20, 3))]
    clips[1][1] = 1.5
    return [json.dumps({"file_name": "a01", "skeletons": clip.tolist(), "label": 1}).encode() for clip in clips]


@cache
def sbu() -> list[bytes]:
    """Lines of 1 + 2 x 15 x 3 numbers."""
    table = np.concatenate([np.arange(5, 8)[:, None], rng().random((3, 90))], axis=1)
    alone = table.copy()
    alone[1, 46:] = 0
    return [rows(table, ","), rows(alone, ",")]


@cache
def msr() -> list[bytes]:
    """20 lines of 4 numbers a frame."""
    table = rng().random((40, 4))
    table[20:] *= rng().random() < 0.5
    return [rows(rng().random((40, 4))), rows(table)]


@cache
def openpose() -> list[bytes]:
    """Frames with two people of 25 joints, one of 18, and nobody."""

    def frame(people: int, joints: int) -> bytes:
        poses = np.concatenate([rng().random((people, joints, 2)) * 640, rng().random((people, joints, 1))], axis=2)
        poses[:, 3] = 0
        listed = [{"person_id": [-1], "pose_keypoints_2d": pose.round(3).ravel().tolist()} for pose in poses]
        return json.dumps({"version": 1.3, "people": listed}).encode()

    return [frame(2, 25), frame(1, 18), frame(0, 25)]


def skeleton_file(*bodies: int) -> bytes:
    """A ``.skeleton`` file with so many bodies in each frame."""
    lines = [str(len(bodies))]
    for count in bodies:
        lines.append(str(count))
        for body in range(count):
            lines += [f"7205759404034320{body} 0 1 0 0 0 1 0.1 -0.2 2", "25"]
            for joint in (rng().normal(size=(25, 3)) * (1, 3, 1)).round(3) + body:
                lines.append(" ".join([*map(str, joint), "250.5 200.1 980.2 500.3 0.1 0.9 -0.1 0.2 2"]))
    return "\r\n".join(lines).encode()


@cache
def ntu() -> list[bytes]:
    """Two frames of two and one bodies, and one frame without anybody between two with."""
    return [skeleton_file(2, 1), skeleton_file(1, 0, 1)]


@cache
def longer_ntu() -> list[bytes]:
    """Two bodies for longer than a ghost lasts."""
    return [skeleton_file(*[2] * 12)]


def mat(content: dict[str, Any]) -> list[bytes]:
    """A MATLAB file as it is and compressed."""
    files = []
    for compressed in (False, True):
        buffer = io.BytesIO()
        savemat(buffer, content, do_compression=compressed)
        files.append(buffer.getvalue())
    return files


@cache
def utd() -> list[bytes]:
    """``d_skel``, 20 x 3 x 2."""
    return mat({"d_skel": rng().normal(size=(20, 3, 2))})


@cache
def penn() -> list[bytes]:
    """Annotations of three frames."""
    return mat(
        {
            "action": "bowl",
            "x": rng().uniform(1, 480, size=(3, 13)),
            "y": rng().uniform(1, 270, size=(3, 13)),
            "visibility": (rng().random((3, 13)) < 0.8).astype(np.uint8),
            "train": np.array([[1]], np.int16),
            "dimensions": np.array([[270, 480, 3]], np.uint16),
        }
    )


@cache
def kinetics() -> list[bytes]:
    """Frames with nobody, one person, two."""

    def person() -> dict[str, list[float]]:
        return {"pose": rng().random(36).round(3).tolist(), "score": rng().random(18).round(3).tolist()}

    frames = [{"frame_index": number, "skeleton": [person()] * number} for number in range(3)]
    return [json.dumps({"data": frames, "label": "squat", "label_index": 0}).encode()]


@cache
def tables() -> list[bytes]:
    """With and without a heading, with frames and people."""
    joints = SKELETONS["penn13"].joints
    named = ",".join(f"{joint} {axis}" for joint in joints for axis in "xy").encode() + b"\n"
    people = ";".join(["frame", "person", *(f"x{n};y{n};z{n}" for n in range(15))]).encode() + b"\n"
    body = rng().random((4, 45))
    who = np.array([[1, 0], [1, 1], [2, 0], [3, 1]])
    return [
        named + rows(rng().random((3, 26)), ","),
        rows(rng().random((3, 39)), ","),
        people + rows(np.concatenate([who, body], axis=1), ";"),
    ]


def npy(array: NDArray[Any]) -> bytes:
    """An array as a file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@cache
def arrays() -> list[bytes]:
    """(T, V, C) and (T, M, V, C)."""
    return [npy(rng().random((3, 17, 2)).astype(np.float32)), npy(rng().random((2, 2, 15, 3)))]


@cache
def landmarks() -> list[bytes]:
    """Two frames of MediaPipe in its layouts: one person, people of the Tasks interface, by name, flat, by number."""

    def marks() -> list[dict[str, float]]:
        return [dict(zip(("x", "y", "z", "visibility"), mark, strict=True)) for mark in numbers(4)]

    def numbers(axes: int) -> list[list[float]]:
        rows: list[list[float]] = rng().random((33, axes)).round(3).tolist()
        return rows

    named = dict(zip(SKELETONS["mediapipe33"].joints, marks(), strict=True))
    contents: list[Any] = [
        [marks(), None],
        [{"landmarks": [marks(), marks()], "worldLandmarks": [marks(), marks()]}, {"landmarks": []}],
        [named, {}],
        {"frames": [np.ravel(numbers(4)).tolist(), []]},
        {"0": numbers(3), "2": numbers(2)},
        [{"frame": 3, "poseLandmarks": marks()}, {"frame": 5, "poseLandmarks": marks()}],
    ]
    return [json.dumps(content).encode() for content in contents]


@cache
def landmark_tables() -> list[bytes]:
    """Columns by number with a class beside them, and no heading."""
    numbered = ",".join(["class", *(f"{axis}{number}" for number in range(1, 34) for axis in "xyzv")]).encode()
    body = rows(rng().random((3, 132)), ",")
    return [numbered + b"\n" + b"\n".join(b"wave," + line for line in body.splitlines()), body]


@cache
def landmark_arrays() -> list[bytes]:
    """(T, 33, 4) and (T, 132)."""
    return [npy(rng().random((2, 33, 4)).astype(np.float32)), npy(rng().random((2, 132)))]
