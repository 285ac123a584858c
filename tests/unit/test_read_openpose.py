"""OpenPose: folders of one JSON file a frame, and who is who in them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.read import read
from bonegraph.read.openpose import read_openpose

BODY = np.stack([np.arange(25.0) % 5 * 20, np.arange(25.0) // 5 * 40], axis=1)  # 80 wide, 160 high


def person(x: float, y: float = 0.0, sure: float = 0.5, joints: int = 25, missing: tuple[int, ...] = ()) -> Any:
    points = np.concatenate([BODY[:joints] + (x, y) + 1, np.full((joints, 1), sure)], axis=1)
    points[list(missing)] = 0
    return {"person_id": [-1], "pose_keypoints_2d": points.ravel().tolist(), "face_keypoints_2d": []}


def write(folder: Path, frames: dict[str, Any], name: str = "clip") -> Path:
    """Frames by the number in their name; text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        content = people if isinstance(people, str) else json.dumps({"version": 1.3, "people": people})
        (folder / f"{name}_{number}_keypoints.json").write_text(content)
    return folder


def test_a_video(tmp_path: Path) -> None:
    folder = write(tmp_path / "v", {f"{n:012}": [person(n, missing=(10, 24))] for n in range(3)})
    sequence = read_openpose(folder, fps=25)
    assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("openpose25", "px", 25)
    assert sequence.positions.shape == (3, 1, 25, 2)
    np.testing.assert_allclose(sequence.positions[:, 0, 6, 0], [21, 22, 23])
    assert (~sequence.visible[0, 0]).nonzero()[0].tolist() == [10, 24]  # 0, 0, 0 is no place
    assert sequence.confidence is not None and sequence.confidence[0, 0, 0] == np.float32(0.5)
    assert read(folder).positions.shape == sequence.positions.shape
    assert read(folder, "openpose").num_frames == 3
    assert read(folder / "clip_000000000001_keypoints.json").num_frames == 1


def test_frames_go_by_number_and_not_by_name(tmp_path: Path) -> None:
    """Trap of the KTH code: as text, frame 10 comes before frame 9."""
    numbers = [8, 9, 10, 11, 99, 100]
    names = [str(number) for number in numbers]
    assert sorted(names) != names
    folder = write(tmp_path / "v", {name: [person(int(name))] for name in names})
    sequence = read_openpose(folder)
    present = sequence.present[:, 0]
    assert (np.flatnonzero(present) + 8).tolist() == numbers  # the gap from 12 to 98 is absence
    np.testing.assert_allclose(sequence.positions[present, 0, 0, 0], np.array(numbers) + 1)


def test_eighteen_joints(tmp_path: Path) -> None:
    folder = write(tmp_path / "v", {"0": [person(0, joints=18)], "1": []})
    sequence = read_openpose(folder)
    assert sequence.skeleton.name == "openpose18"
    assert sequence.present.tolist() == [[True], [False]]


def test_older_key(tmp_path: Path) -> None:
    old = {"pose_keypoints": person(0)["pose_keypoints_2d"]}
    assert read_openpose(write(tmp_path / "v", {"0": [old]})).present.all()


def test_nobody(tmp_path: Path) -> None:
    sequence = read_openpose(write(tmp_path / "v", {"0": [], "1": [person(0, sure=0.0)]}))
    assert sequence.present.tolist() == [[False], [False]]


def test_two_people_keep_their_places(tmp_path: Path) -> None:
    frames = {str(n): [person(10 + n), person(300 - n, sure=0.9)][:: 1 if n % 2 else -1] for n in range(20)}
    sequence = read_openpose(write(tmp_path / "v", frames))
    assert sequence.num_people == 2
    np.testing.assert_allclose(sequence.positions[:, 0, 0, 0], 301 - np.arange(20))  # the surest first
    np.testing.assert_allclose(sequence.positions[:, 1, 0, 0], 11 + np.arange(20))
    alone = read_openpose(tmp_path / "v", people=1)
    np.testing.assert_array_equal(alone.positions[:, 0], sequence.positions[:, 0])


BROKEN = {
    '{"people": [': "is not valid JSON (cut off?)",
    "[]": "is no frame of OpenPose: it has no list 'people'",
    '{"people": 3}': "it has no list 'people'",
    '{"people": [3]}': "lists someone without 'pose_keypoints_2d'",
    json.dumps({"people": [{"pose_keypoints_2d": [1.0] * 45}]}): "with 45 values instead of 75 (BODY_25) or 54 (COCO)",
    json.dumps({"people": [{"pose_keypoints_2d": ["x"] * 75}]}): "that is no list of numbers",
    json.dumps({"people": [{"pose_keypoints_2d": [float("nan")] * 75}]}): "holds NaN or infinity",
    json.dumps({"people": [{"pose_keypoints_2d": [-1.0] * 75}]}): "has a confidence below 0",
    "[" * 100_000: "it nests too deeply",
}


@pytest.mark.parametrize(("text", "message"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_damaged_frame_is_empty_and_said(
    text: str, message: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write(tmp_path / "v", {"0": [person(0)], "1": text, "2": [person(1)]})
    with caplog.at_level(logging.WARNING):
        sequence = read_openpose(folder)
    assert sequence.present.tolist() == [[True], [False], [True]]
    (said,) = caplog.messages
    assert "'clip_1_keypoints.json'" in said and message in said and said.endswith("; the frame counts as empty.")


@pytest.mark.parametrize(("text", "message"), BROKEN.items(), ids=range(len(BROKEN)))
def test_damaged_everywhere_is_refused_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "v", {"0": text, "1": text})
    with pytest.raises(ValueError) as error:
        read_openpose(folder)
    line = str(error.value)
    assert message in line and "'clip_0_keypoints.json'" in line and "1 others of 'v'" in line and "\n" not in line


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \*_keypoints.json; give the folder that OpenPose wrote"):
        read_openpose(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file"):
        read(tmp_path)
    with pytest.raises(ValueError, match="people must be at least 1, got 0"):
        read_openpose(tmp_path, people=0)
    write(tmp_path / "two", {"0": []}, "a")
    write(tmp_path / "two", {"1": []}, "b")
    with pytest.raises(ValueError, match="holds frames of 'a' and of 'b'; give each video its folder"):
        read_openpose(tmp_path / "two")
    write(tmp_path / "twice", {"7": [], "007": []})
    with pytest.raises(ValueError, match=r"'clip_007_keypoints.json' and 'clip_7_keypoints.json' are both frame 7"):
        read_openpose(tmp_path / "twice")
    write(tmp_path / "mixed", {"0": [person(0)], "1": [person(0, joints=18)]})
    with pytest.raises(ValueError, match="poses of 25 and of 18 joints"):
        read_openpose(tmp_path / "mixed")
    write(tmp_path / "far", {"0": [], "99999": []})
    with pytest.raises(ValueError, match="has 2 frames but numbers from 0 to 99999"):
        read_openpose(tmp_path / "far")
    (tmp_path / "named").mkdir()
    (tmp_path / "named/clip_keypoints.json").write_text("{}")
    with pytest.raises(ValueError, match=r"'clip_keypoints.json' has no frame number in its name"):
        read_openpose(tmp_path / "named")
