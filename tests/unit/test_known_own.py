"""Folders of one's own recordings: what they hold, whose labels, which split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.known import NO_LABEL
from bonegraph.datasets.known.base import Source
from bonegraph.datasets.known.dividing import divided
from bonegraph.datasets.known.mediapipe import MediaPipeSet
from bonegraph.datasets.known.openpose import OpenPoseSet
from bonegraph.datasets.known.own import guess_format
from bonegraph.datasets.known.table import CsvSet, NpySet
from bonegraph.datasets.splits import Split

DRAW = np.random.default_rng(0)


def touch(folder: Path, *names: str, content: bytes = b"") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def openpose(folder: Path, frames: int = 3, joints: int = 25) -> Path:
    folder.mkdir(parents=True)
    for number in range(frames):
        pose = DRAW.uniform(1, 300, (joints, 3))
        pose[:, 2] = 0.9
        people = [{"pose_keypoints_2d": pose.ravel().tolist()}]
        (folder / f"v_{number:012}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def landmarks(path: Path, *, world: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pose = DRAW.uniform(0.1, 0.9, (3, 33, 4)).tolist()
    path.write_text(json.dumps([{"worldLandmarks" if world else "landmarks": [frame]} for frame in pose]))
    return path


# The format


@pytest.mark.parametrize(
    ("files", "format", "why"),
    [
        (("wave/a.mp4", "wave/b.MOV", "sit/c.avi", "notes.txt"), "video", "3 videos"),
        (("a.csv", "b.csv", "labels.csv"), "csv", "2 .csv files"),
        (("w/a.npy", "w/b.npy", "w/c.npy", "w/a.mp4"), "npy", "3 .npy files, passing over 1 videos"),
        (("w/v/v_000_keypoints.json", "w/v/v_001_keypoints.json"), "openpose", "1 folders of OpenPose"),
        (("all.pkl",), "pickle", "1 pickles"),
        (("w/.hidden.csv", "w/a.npy"), "npy", "1 .npy files"),
    ],
)
def test_a_format_is_guessed(tmp_path: Path, files: tuple[str, ...], format: str, why: str) -> None:
    touch(tmp_path, *files)
    assert guess_format(tmp_path) == (format, why)


def test_landmarks_are_told_by_their_beginning(tmp_path: Path) -> None:
    landmarks(tmp_path / "json" / "a.json")
    np.save(tmp_path / "a.npy", np.ones((3, 33, 4)))
    touch(tmp_path / "csv", "a.csv", content=",".join(f"{a}{n}" for n in range(33) for a in "xyzv").encode())
    assert guess_format(tmp_path) == ("mediapipe", "3 files of landmarks of MediaPipe")
    touch(tmp_path / "csv", "a.csv", content=b"x0,y0\n1,2\n")
    assert guess_format(tmp_path / "csv").format == "csv"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "holds no recordings of a known format; formats: video, openpose, mediapipe, csv, npy, pickle"),
        (("a.mp4", "b.mp4", "a.csv", "b.csv"), "holds 2 .csv files and 2 videos; say which are meant: --format csv or"),
        (("S001C001P001R001A001.skeleton",), "1 .skeleton files.*bonegraph prepare ntu60 OUT"),
        (("a.json",), "1 .json files of another kind"),
        (("train_data_joint.npy", "train_label.pkl"), "looks like the arrays of ST-GCN .*bonegraph prepare arrays OUT"),
    ],
)
def test_a_format_in_doubt(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    touch(tmp_path, *files, content=b"{}")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        guess_format(tmp_path)


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "all.pickle", "a.mp4", "mine.csv", "b.mp4")
    assert guess_format(tmp_path / "all.pickle").format == "pickle"
    (tmp_path / "all.pickle").unlink()
    assert guess_format(tmp_path / "mine.csv").format == "video"  # a table of labels stands for its folder
    assert guess_format(tmp_path, "mine.csv") == ("video", "2 videos")
    with pytest.raises(ValueError, match=r"is one file; give a folder of recordings.*bonegraph recognise"):
        guess_format(tmp_path / "a.mp4")


# Splits


def sources(*facts: dict[str, Any]) -> list[Source]:
    return [Source(f"clip{number}", None, number % 2, about) for number, about in enumerate(facts)]


def test_subjects_are_divided_by_number_or_name() -> None:
    found, splits = divided(sources(*({"subject": number} for number in range(10))), {})
    assert splits["xsub"].parts == {"train": (*range(6),), "val": (6, 7), "test": (8, 9)}
    assert "random" not in found[0].facts
    _, splits = divided(sources({"subject": "ann"}, {"subject": "bob"}, {"subject": ""}), {})
    assert splits["xsub"].parts == {"train": ("ann",), "test": ("bob",)}
    _, splits = divided(sources({"subject": 1}, {"subject": 1}), {})
    assert list(splits) == ["random"]  # one subject alone tells nothing


def test_by_chance_every_class_is_in_every_part() -> None:
    found, splits = divided(sources(*[{}] * 10), {}, seed=3)
    parts = {(source.label, source.facts["random"]) for source in found}
    assert parts == {(label, part) for label in (0, 1) for part in ("train", "val", "test")}
    assert sum(source.facts["random"] == "train" for source in found) == 6
    assert divided(sources(*[{}] * 10), {}, seed=3) == (found, splits) != divided(sources(*[{}] * 10), {}, seed=4)
    given = {"given": Split("part", {"train": ("train",), "test": ("test",)})}
    assert divided(found, given) == (found, given)


def test_a_column_that_only_trains_is_no_split(tmp_path: Path) -> None:
    for name in ("train/walk/a.npy", "train/walk/b.npy", "train/run/a.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / name, np.ones((2, 15, 3)))
    known = NpySet()
    known.find(tmp_path)
    assert list(known.splits) == ["random"]


# Labels


def test_a_table_of_another_name_or_none(tmp_path: Path) -> None:
    for name in ("walk/a.npy", "run/b.npy"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "in" / name, np.ones((2, 15, 3)))
    (tmp_path / "in" / "labels.csv").write_text("file,label\nwalk/a.npy,one\nrun/b.npy,two\n")
    (tmp_path / "in" / "other.csv").write_text("file,label\nwalk/a.npy,three\n")
    (tmp_path / "away.csv").write_text("file,label\nwalk/a.npy,four\nrun/b.npy,five\n")
    for labels, classes in (
        (None, ("one", "two")),
        ("folders", ("run", "walk")),
        ("other.csv", ("three",)),
        (str(tmp_path / "away.csv"), ("five", "four")),
    ):
        known = NpySet(labels=labels)
        known.find(tmp_path / "in")
        assert known.classes == classes
    with pytest.raises(FileNotFoundError, match=r"no table of labels 'none\.csv'"):
        NpySet(labels="none.csv").find(tmp_path / "in")
    with pytest.raises(ValueError, match="is a table of labels itself"):
        NpySet(labels="other.csv").find(tmp_path / "in" / "labels.csv")


def test_what_was_guessed_is_said(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    np.save(tmp_path / "walk" / "a.npy", np.ones((2, 15, 3)))
    known = NpySet()
    known.find(tmp_path)
    assert known.guessed() == (
        "1 classes from the folders (--labels), skeleton sbu15 by the joints of the first file (--skeleton), 30 frames "
        "per second as the files tell none (--fps), unit m by the number of coordinates (--unit), split 'random' by "
        "seed 0 (--seed, or a column subject or part)"
    )
    (tmp_path / "l.csv").write_text("file,label,subject\nwalk/a.npy,walk,1\nwalk/b.npy,walk,2\nwalk/c.npy,sit,3\n")
    for name in "bc":
        np.save(tmp_path / "walk" / f"{name}.npy", np.ones((2, 15, 3)))
    known = NpySet("sbu15", 25, "m", labels="l.csv")
    known.find(tmp_path)
    assert known.guessed() == "split 'xsub' by subject"


# OpenPose and MediaPipe


def test_folders_of_openpose(tmp_path: Path) -> None:
    for name in ("wave/one", "wave/two", "sit/one"):
        openpose(tmp_path / name)
    openpose(tmp_path / "sit" / "small", joints=18)
    known = OpenPoseSet(fps=25)
    found = {source.id: source for source in known.find(tmp_path)}
    assert {name: source.label for name, source in found.items()} == {
        "sit/one": 0,
        "sit/small": 0,
        "wave/one": 1,
        "wave/two": 1,
    }
    sequence = known.read(found["wave/two"])
    assert (sequence.skeleton.name, sequence.fps, sequence.num_frames) == ("openpose25", 25, 3)
    with pytest.raises(ValueError, match=r"is on 'openpose18', which has no left big toe, .* of 'openpose25'"):
        known.read(found["sit/small"])
    (tmp_path / "labels.csv").write_text("file,label\nwave/one,a\nsit/one/,b\n")
    found = {source.id: source for source in known.find(tmp_path)}
    assert [name for name, source in found.items() if not source.refused] == ["wave/one", "sit/one"]
    assert "does not name it" in found["wave/two"].refused


def test_larger_poses_of_openpose_become_smaller(tmp_path: Path) -> None:
    openpose(tmp_path / "a" / "1", joints=18)
    openpose(tmp_path / "a" / "2", joints=25)
    known = OpenPoseSet()
    assert [known.read(source).skeleton.name for source in known.find(tmp_path)] == ["openpose18"] * 2


def test_frames_beside_each_other_are_no_clips(tmp_path: Path) -> None:
    openpose(tmp_path / "wave")
    with pytest.raises(ValueError, match="no recording has a label"):
        OpenPoseSet().find(tmp_path)


def test_files_of_mediapipe(tmp_path: Path) -> None:
    landmarks(tmp_path / "wave" / "a.json")
    landmarks(tmp_path / "wave" / "b.json", world=True)
    np.save(tmp_path / "c.npy", np.ones((3, 33, 4)))
    known = MediaPipeSet(fps=10)
    found = {source.id: source for source in known.find(tmp_path)}
    assert (known.unit, known.fps, found["c"].label) == ("normalised", 10, NO_LABEL)
    assert known.read(found["wave/a"]).unit == "normalised"
    with pytest.raises(ValueError, match="holds no landmarks of the image"):
        known.read(found["wave/b"])
    known = MediaPipeSet(space="world")
    found = {source.id: source for source in known.find(tmp_path)}
    assert (known.unit, known.read(found["wave/b"]).positions.shape[-1]) == ("m", 3)


def test_settings_that_make_no_sense() -> None:
    for make in (
        lambda: OpenPoseSet(people=0),
        lambda: MediaPipeSet(people=0),
        lambda: CsvSet(seed=-1),
        lambda: CsvSet(fps=0),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()
