"""What people save of MediaPipe: every usual layout gives the same sequence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.read import HEAD, format_of, read
from bonegraph.read.mediapipe import is_mediapipe_json, read_mediapipe
from bonegraph.skeleton import SKELETONS

BODY = SKELETONS["mediapipe33"]
DRAW = np.random.default_rng(0)
CLIP = DRAW.uniform(0.1, 0.9, (4, 33, 4)).round(4)  # (T, V, x y z visibility)
METRES = CLIP.copy()
METRES[..., :3] -= METRES[:, [BODY.index("left hip"), BODY.index("right hip")], :3].mean(axis=1, keepdims=True)
NAMES = (  # in the words of MediaPipe
    *("NOSE", "LEFT_EYE_INNER", "LEFT_EYE", "LEFT_EYE_OUTER", "RIGHT_EYE_INNER", "RIGHT_EYE", "RIGHT_EYE_OUTER"),
    *("LEFT_EAR", "RIGHT_EAR", "MOUTH_LEFT", "MOUTH_RIGHT"),
    *(f"{side}_{part}" for part in ("SHOULDER", "ELBOW", "WRIST", "PINKY", "INDEX") for side in ("LEFT", "RIGHT")),
    *(
        f"{side}_{part}"
        for part in ("THUMB", "HIP", "KNEE", "ANKLE", "HEEL", "FOOT_INDEX")
        for side in ("LEFT", "RIGHT")
    ),
)


def marks(pose: Any) -> list[dict[str, float]]:
    return [dict(zip(("x", "y", "z", "visibility"), map(float, mark), strict=True)) for mark in pose]


def camel(name: str) -> str:
    first, *rest = name.lower().split("_")
    return first + "".join(word.title() for word in rest)


def put(folder: Path, content: Any, name: str = "clip.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


LAYOUTS: dict[str, Callable[[], Any]] = {
    "landmarks in frames": lambda: [marks(pose) for pose in CLIP],
    "lists of numbers": lambda: CLIP.tolist(),
    "flat numbers": lambda: CLIP.reshape(4, -1).tolist(),
    "people in frames": lambda: [[marks(pose)] for pose in CLIP],
    "Tasks": lambda: [{"landmarks": [marks(pose)], "worldLandmarks": [marks(pose)]} for pose in CLIP],
    "JavaScript": lambda: [{"poseLandmarks": marks(pose), "poseWorldLandmarks": marks(pose)} for pose in CLIP],
    "Python": lambda: [{"frame": 7 + n, "pose_landmarks": {"landmark": marks(pose)}} for n, pose in enumerate(CLIP)],
    "by name": lambda: [dict(zip(NAMES, marks(pose), strict=True)) for pose in CLIP],
    "by camel name": lambda: [dict(zip(map(camel, NAMES), marks(pose), strict=True)) for pose in CLIP],
    "by number": lambda: [dict(zip(map(str, range(33)), marks(pose), strict=True)) for pose in CLIP],
    "frames by number": lambda: {str(10 - n): marks(pose) for n, pose in enumerate(CLIP[::-1])},
    "frames in an object": lambda: {"fps": 30, "frames": [marks(pose) for pose in CLIP]},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_json(tmp_path: Path, layout: str) -> None:
    path = put(tmp_path, LAYOUTS[layout]())
    assert format_of(path) == "mediapipe"
    sequence = read(path)
    assert (sequence.skeleton, sequence.unit) == (BODY, "normalised")
    assert sequence.confidence is not None and sequence.present.all()
    np.testing.assert_allclose(sequence.positions[:, 0], CLIP[..., :2], rtol=1e-6)
    np.testing.assert_allclose(sequence.confidence[:, 0], CLIP[..., 3], rtol=1e-6)


def heading(first: int) -> str:
    return ",".join(f"{axis}{number}" for number in range(first, first + 33) for axis in "xyzv")


@pytest.mark.parametrize(
    "columns",
    [
        heading(0),
        heading(1),
        ",".join(f"{name}_{axis}" for name in NAMES for axis in ("x", "y", "z", "visibility")),
        ",".join(f"{joint} {axis}" for joint in BODY.joints for axis in ("x", "y", "z", "score")),
        "",
    ],
)
@pytest.mark.parametrize("aside", ["", "class,timestamp,"])
def test_tables(tmp_path: Path, columns: str, aside: str) -> None:
    if not columns and aside:
        return
    rows = [("wave,12:30," if aside else "") + ",".join(map(str, pose.ravel())) for pose in CLIP]
    path = put(tmp_path, "\n".join([*([aside + columns] if columns else []), *rows]), "clip.csv")
    assert format_of(path) == "mediapipe-csv"
    sequence = read(path)
    np.testing.assert_allclose(sequence.positions[:, 0], CLIP[..., :2], rtol=1e-6)
    assert sequence.unit == "normalised"


@pytest.mark.parametrize("shape", [(4, 33, 4), (4, 1, 33, 4), (4, 132)])
def test_arrays(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "clip.npy", CLIP.reshape(shape))
    assert format_of(tmp_path / "clip.npy") == "mediapipe-npy"
    np.testing.assert_allclose(read(tmp_path / "clip.npy").positions[:, 0], CLIP[..., :2], rtol=1e-6)
    np.save(tmp_path / "flat.npy", CLIP[..., :2].reshape(4, -1))
    np.testing.assert_allclose(read_mediapipe(tmp_path / "flat.npy").positions[:, 0], CLIP[..., :2], rtol=1e-6)


def test_metres_are_told_by_the_hips(tmp_path: Path) -> None:
    """In the axes of a Kinect camera: x and y change their signs."""
    np.save(tmp_path / "clip.npy", METRES)
    sequence = read(tmp_path / "clip.npy")
    assert sequence.unit == "m"
    np.testing.assert_allclose(sequence.positions[:, 0], METRES[..., :3] * (-1, -1, 1), rtol=1e-5, atol=1e-6)
    assert read_mediapipe(tmp_path / "clip.npy", space="image").unit == "normalised"  # who says so is believed
    frames = [{"landmarks": [marks(a)], "worldLandmarks": [marks(b)]} for a, b in zip(CLIP, METRES, strict=True)]
    path = put(tmp_path, frames)
    assert (read(path).unit, read_mediapipe(path, space="world").unit) == ("normalised", "m")
    path = put(tmp_path, [{"landmarks": frame["landmarks"]} for frame in frames])
    with pytest.raises(ValueError, match="holds no landmarks of the world; use the other space"):
        read_mediapipe(path, space="world")


def test_people_keep_their_places(tmp_path: Path) -> None:
    """MediaPipe lists them in any order; the one in few frames goes where fewer are wanted."""
    left, right = CLIP * (0.3, 1, 1, 1), CLIP * (0.3, 1, 1, 1) + (0.6, 0, 0, 0)
    frames = [[marks(left[0]), marks(right[0])], [marks(right[1]), marks(left[1])], [], [marks(left[3])], None]
    sequence = read(put(tmp_path, frames))
    assert sequence.present.tolist() == [[True, True], [True, True], [False, False], [True, False], [False, False]]
    np.testing.assert_allclose(sequence.positions[[0, 1, 3], 0], left[[0, 1, 3], :, :2], rtol=1e-5)
    np.testing.assert_allclose(sequence.positions[:2, 1], right[:2, :, :2], rtol=1e-5)
    assert read_mediapipe(tmp_path / "clip.json", people=1).num_people == 1


def test_who_is_not_there(tmp_path: Path) -> None:
    """Zeros, nulls and missing landmarks are absence; no visibility at all is full visibility."""
    pose: list[Any] = marks(CLIP[0])
    pose[3] = None
    frames = [pose, np.zeros(132).tolist(), {}, marks(CLIP[1] * (1, 1, 1, 0))]
    sequence = read(put(tmp_path, frames))
    assert sequence.present[:, 0].tolist() == [True, False, False, False]
    assert np.flatnonzero(~sequence.visible[0, 0]).tolist() == [3]
    sequence = read(put(tmp_path, [[{"x": 0.5, "y": 0.5}] * 33] * 2))
    assert sequence.confidence is not None and sequence.confidence.min() == 1
    sequence = read(put(tmp_path, [marks(pose) for pose in CLIP * (1, 1, 1, 0)]))
    assert sequence.confidence is not None and sequence.confidence.min() == 1
    numbered = [{"frame_index": 3 * n, "landmarks": [marks(pose)]} for n, pose in enumerate(CLIP)]
    assert read(put(tmp_path, numbered)).present[:, 0].nonzero()[0].tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON|nests too deeply"),
        ("[]", "is no list of frames"),
        ("[[], null]", "holds 2 frames, but nobody in any"),
        ([[{"x": 1, "y": 2}] * 21], "frame 0 lists someone with 21 landmarks, but a pose of MediaPipe has 33"),
        ([{"landmarks": "x"}], "frame 0 has no list of landmarks"),
        ([{"hands": [1]}], "frame 0 has no landmarks"),
        ([[1.0] * 130], "landmarks are not 33 times"),
        ([[{"x": "left", "y": 2}] * 33], "landmarks are not 33 times"),
        ([[{"x": 1e999, "y": 2}] * 33], "holds infinity, first in frame 0"),
        ({"landmarks": [[{"x": 1, "y": 2}] * 33] * 40}, "more than 16 people; give a list of frames"),
        ({"5": [[1, 2]] * 33, "99999": [[1, 2]] * 33}, "2 frames with numbers from 5 to 99999"),
    ],
)
def test_damaged_files(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_mediapipe(put(tmp_path, content))
    assert "\n" not in str(error.value)


def test_arguments_that_make_no_sense(tmp_path: Path) -> None:
    path = put(tmp_path, LAYOUTS["Tasks"]())
    with pytest.raises(ValueError, match="people must be at least 1"):
        read_mediapipe(path, people=0)
    with pytest.raises(ValueError, match="space cannot be 'moon'"):
        read_mediapipe(path, space="moon")  # type: ignore[arg-type]
    np.save(tmp_path / "clip.npy", CLIP[:, :20])
    with pytest.raises(ValueError, match=r"has shape \(4, 20, 4\)"):
        read_mediapipe(tmp_path / "clip.npy")
    with pytest.raises(ValueError, match="a column 'speed'"):
        read_mediapipe(put(tmp_path, "x0,speed\n1,2\n", "clip.csv"))


def test_no_other_json_is_taken_for_it(tmp_path: Path) -> None:
    """And none of its files for another format: frame numbers are what Kinetics-Skeleton has, too."""
    others = {
        "nw-ucla": {"file_name": "a01", "skeletons": [[[0.0, 1.0, 2.0]] * 20], "label": 1},
        "kinetics-skeleton": {"data": [{"frame_index": 1, "skeleton": []}], "label": "squat"},
        "openpose": {"version": 1.3, "people": []},
    }
    for name, content in others.items():
        path = put(tmp_path, content, "v_000000000001_keypoints.json")
        assert not is_mediapipe_json(path.read_bytes()[:HEAD])
        assert format_of(path) == name
