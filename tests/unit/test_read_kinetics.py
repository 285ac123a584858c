"""Kinetics-Skeleton: the clips, whom to keep, the released arrays, and the data set of label files and folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from bonegraph.datasets.known import NO_LABEL
from bonegraph.datasets.known.kinetics import KineticsMotion, KineticsSkeleton
from bonegraph.datasets.known.kinetics_motion import MOTION_CLASSES
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.read import read
from bonegraph.read.kinetics import People, read_kinetics, released_array

Person = dict[str, list[float]]


def person(score: float = 0.5, at: float = 0.5, missing: tuple[int, ...] = ()) -> Person:
    """Someone whose joints lie in a row from a place on, with one score for all but the missing ones."""
    scores = [0.0 if joint in missing else score for joint in range(18)]
    pose = [0.0 if joint in missing else at + 0.01 * joint + 0.1 * axis for joint in range(18) for axis in (0, 1)]
    return {"pose": pose, "score": scores}


def clip(frames: dict[int, list[Person]], label: str = "squat", number: int = 3) -> dict[str, Any]:
    data = [{"frame_index": index, "skeleton": people} for index, people in frames.items()]
    return {"data": data, "label": label, "label_index": number}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_clip(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", clip({1: [person(missing=(4,))], 2: [], 4: [person(1.02)]}))
    sequence = read_kinetics(path)
    assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("openpose18", "normalised", 30.0)
    assert sequence.positions.shape == (5, 1, 18, 2)  # frames are numbered as in the file
    assert sequence.present[:, 0].tolist() == [False, True, False, False, True]
    assert sequence.confidence is not None
    np.testing.assert_allclose(sequence.positions[1, 0, 3], [0.53, 0.63])  # not centred
    assert not sequence.visible[1, 0, 4]
    assert sequence.visible[1, 0].sum() == 17
    assert sequence.confidence[4].max() == 1  # a little more than sure is sure


def test_someone_without_a_joint_is_absent(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", clip({0: [person(0.0), person(0.1)]}))
    assert read_kinetics(path, "all").present.tolist() == [[False, True]]


CROWD = {
    0: [person(0.2, at=0.1), person(0.9, at=0.2), person(0.5, at=0.3)],
    1: [person(0.6, at=0.1), person(0.1, at=0.2)],
    2: [person(0.6, at=0.1), person(0.1, at=0.2)],
}


@pytest.mark.parametrize(
    ("people", "first", "present"),
    [
        # By frame: the second and third of the first frame, then each time both, the surer one first.
        ("frame", [[0.2, 0.3], [0.1, 0.2], [0.1, 0.2]], [[True, True], [True, True], [True, True]]),
        # By clip, means 0.47, 0.37, 0.17: absence counts.
        ("clip", [[0.1, 0.2], [0.1, 0.2], [0.1, 0.2]], [[True, True], [True, True], [True, True]]),
        (
            "all",
            [[0.1, 0.2, 0.3], [0.1, 0.2, 0.0], [0.1, 0.2, 0.0]],
            [[True, True, True], [True, True, False], [True, True, False]],
        ),
    ],
)
def test_whom_to_keep(tmp_path: Path, people: People, first: list[list[float]], present: list[list[bool]]) -> None:
    sequence = read_kinetics(write(tmp_path / "a.json", clip(CROWD)), people)
    np.testing.assert_allclose(sequence.positions[..., 0, 0], first, atol=1e-6)
    assert sequence.present.tolist() == present


def test_the_surer_place_of_a_clip_comes_first(tmp_path: Path) -> None:
    frames = {0: [person(0.1, at=0.1), person(0.9, at=0.2), person(0.5, at=0.3)]}
    sequence = read_kinetics(write(tmp_path / "a.json", clip(frames)), "clip")
    np.testing.assert_allclose(sequence.positions[0, :, 0, 0], [0.2, 0.3])
    with pytest.raises(ValueError, match="people cannot be 'clips'; did you mean 'clip'"):
        read_kinetics(tmp_path / "a.json", "clips")  # type: ignore[arg-type]


@pytest.mark.parametrize("pipeline", ["stgcn", "msg3d"])
def test_released_arrays(tmp_path: Path, pipeline: Literal["stgcn", "msg3d"]) -> None:
    """Against the released programs as loops: of the first five people, per frame the two with most score."""
    rng = np.random.default_rng(0)
    frames = {
        int(index): [
            {"pose": rng.uniform(0, 1, 36).round(3).tolist(), "score": (rng.uniform(-0.3, 1, 18).clip(0)).tolist()}
            for _ in range(rng.integers(0, 8))
        ]
        for index in rng.permutation(320)[:250]
    }
    expected = np.zeros((3, 300, 18, 2))
    for index, people in frames.items():
        best = sorted(people[:5], key=lambda someone: -sum(someone["score"]))[:2]
        for place, someone in enumerate(best):
            for joint, score in enumerate(someone["score"]):
                if index < 300 and score > 0:
                    x, y = someone["pose"][2 * joint : 2 * joint + 2]
                    expected[:, index, joint, place] = x - 0.5, (y - 0.5) * (-1 if pipeline == "msg3d" else 1), score
    content = clip(frames)
    array = released_array(content, pipeline)
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, atol=1e-6)
    path = write(tmp_path / "a.json", content)
    np.testing.assert_array_equal(released_array(path, pipeline), array)

    # A sequence says the same, but for the middle of the picture.
    sequence = read_kinetics(path, "frame")
    assert sequence.confidence is not None
    sign = np.array([1, -1 if pipeline == "msg3d" else 1])
    centred = np.where(sequence.visible[..., None], sign * (sequence.positions - 0.5), 0)[:300]
    np.testing.assert_allclose(centred.transpose(3, 0, 2, 1), array[:2, : len(centred)], atol=1e-6)
    np.testing.assert_allclose(sequence.confidence[:300].transpose(0, 2, 1), array[2, : len(centred)], atol=1e-6)


def test_no_such_pipeline() -> None:
    with pytest.raises(ValueError, match="pipeline cannot be 'agcn'"):
        released_array(clip({0: [person()]}), "agcn")  # type: ignore[arg-type]


def _broken(**change: Any) -> dict[str, Any]:
    return {**clip({0: [person()]}), **change}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not valid JSON"),
        ('{"data": [{"frame_index": 1', "not valid JSON"),
        ("[" * 100_000, "nests too deeply"),
        ("[1]", "is not a Kinetics-Skeleton clip"),
        (_broken(data="x"), "has no list 'data'"),
        (_broken(data=[]), "has no frames"),
        (_broken(data=[1]), "entry 0"),
        (_broken(data=[{"frame_index": 0}]), "without 'frame_index' and 'skeleton'"),
        (_broken(data=[{"frame_index": -1, "skeleton": []}]), "without 'frame_index'"),
        (_broken(data=[{"frame_index": True, "skeleton": []}]), "without 'frame_index'"),
        (_broken(data=[{"frame_index": 0, "skeleton": []}] * 2), "lists frame 0 twice"),
        (_broken(data=[{"frame_index": 10**9, "skeleton": []}]), "counts to frame 1000000000"),
        (_broken(data=[{"frame_index": 5000, "skeleton": []}]), "counts to frame 5000"),
        (
            _broken(
                data=[{"frame_index": 0, "skeleton": [{"pose": [], "score": []}] * 3000}]
                + [{"frame_index": number, "skeleton": []} for number in range(1, 300)]
            ),
            "and person 3000",
        ),
        (clip({0: [{"pose": [0.5] * 36}]}), "someone without 'pose' and 'score' in frame 0"),
        (clip({0: [{"pose": [0.5] * 34, "score": [0.5] * 18}]}), "'pose' that is no list of 36 numbers"),
        (clip({0: [{"pose": [0.5] * 36, "score": [0.5] * 17}]}), "'score' that is no list of 18 numbers"),
        (clip({0: [person(), {"pose": [0.5] * 35, "score": [0.5] * 18}]}), "'pose' that is no list"),
        (clip({0: [{"pose": ["left"] * 36, "score": [0.5] * 18}]}), "'pose' that is no list"),  # type: ignore[list-item]
        (clip({0: [{"pose": [10**400] * 36, "score": [0.5] * 18}]}), "'pose' that is no list"),
        (clip({0: [{"pose": [None] * 36, "score": [0.5] * 18}]}), "NaN or infinity"),  # type: ignore[list-item]
        (clip({0: [], 7: [person(float("nan"))]}), "NaN or infinity, first in frame 7"),
        (clip({0: [person(at=1e39)]}), "NaN or infinity, first in frame 0"),
        (clip({0: [person(-0.5)]}), "score below 0"),
    ],
)
def test_refuses(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path / "clip.json", content)
    for reader in (read_kinetics, lambda path: released_array(path, "stgcn")):
        with pytest.raises(ValueError, match=message) as error:
            reader(path)
        assert "'clip.json'" in str(error.value)
        assert "\n" not in str(error.value)


def test_read_tells_the_json_formats_apart(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.json", clip({0: [person()]}))).skeleton.name == "openpose18"
    ucla = {"file_name": "a01", "skeletons": [[[0.0, 1.0, 2.0]] * 20], "label": 1}
    assert read(write(tmp_path / "b.json", ucla)).skeleton.name == "ucla20"
    assert read(tmp_path / "a.json", "kinetics-skeleton").num_frames == 1
    with pytest.raises(ValueError, match="begins like none of the formats that its name allows") as error:
        read(write(tmp_path / "c.json", {"names": []}))
    assert "nw-ucla" in str(error.value)
    assert "kinetics-skeleton" in str(error.value)
    with pytest.raises(ValueError, match="is not an NW-UCLA clip"):
        read(tmp_path / "a.json", "nw-ucla")


# The data set.

CLIPS = {
    "train": {"aa": ("squat", 1, True), "bb": ("abseiling", 0, True), "cc": ("lunge", 2, False)},
    "val": {"dd": ("lunge", 2, True), "ee": ("abseiling", 0, True), "ff": ("squat", 1, True)},
}


@pytest.fixture
def kinetics(tmp_path: Path) -> Path:
    folder = tmp_path / "kinetics-skeleton"
    for part, clips in CLIPS.items():
        entries = {}
        for name, (label, number, there) in clips.items():
            entries[name] = {"has_skeleton": there, "label": label, "label_index": number}
            people = [person(), person(0.9)] if there else []
            write(folder / f"kinetics_{part}" / f"{name}.json", clip({0: people, 1: people}, label, number))
        write(folder / f"kinetics_{part}_label.json", entries)
    return folder


def test_the_data_set(tmp_path: Path, kinetics: Path) -> None:
    (kinetics / "kinetics_val" / "ff.json").unlink()
    write(kinetics / "kinetics_val" / "gg.json", clip({0: [person()]}))
    write(kinetics / "kinetics_train" / "bb.json", clip({0: [person()]}, "squat", 1))  # another class
    report = prepare(KineticsSkeleton(), kinetics, tmp_path / "store", progress=False)
    store = Store.open(report.folder)
    assert store.classes == ("abseiling", "squat", "lunge")
    assert dict(zip(store.ids.tolist(), store.labels.tolist(), strict=True)) == {"aa": 1, "dd": 2, "ee": 0}
    assert store.ids[store.part("given", "train")].tolist() == ["aa"]
    assert store.ids[store.part("given", "test")].tolist() == ["dd", "ee"]
    assert store.card.made["settings"] == "people='frame'"
    confidence = store.gather([0], [[0, 1]], 2).confidence
    assert confidence is not None
    np.testing.assert_allclose(confidence[0, 0, 0], [0.9, 0.5], atol=1 / 255)
    assert {problem.id: problem.reason.split(";")[0] for problem in report.problems} == {
        "bb": "'bb.json' carries the label 'squat', but it should be 'abseiling'.",
        "cc": "nobody was found in it: 'kinetics_train_label.json' says that it has no skeleton.",
        "ff": "'kinetics_val_label.json' names it, but 'kinetics_val' has no such file",
        "gg": "'kinetics_val_label.json' does not name it",
    }
    assert prepare(KineticsSkeleton(), kinetics, tmp_path / "store", progress=False).already_done
    with pytest.raises(FileExistsError, match="other files or settings"):
        prepare(KineticsSkeleton("all"), kinetics, tmp_path / "store", progress=False)


def test_other_class_names_are_another_store(tmp_path: Path, kinetics: Path) -> None:
    prepare(KineticsSkeleton(), kinetics, tmp_path / "store", progress=False)
    for path in kinetics.rglob("*.json"):
        path.write_text(path.read_text().replace("squat", "knees"))  # of equal length
    with pytest.raises(FileExistsError, match="other files or settings"):
        prepare(KineticsSkeleton(), kinetics, tmp_path / "store", progress=False)


def test_one_part_is_enough(kinetics: Path) -> None:
    (kinetics / "kinetics_train_label.json").unlink()
    for path in (kinetics / "kinetics_train").iterdir():
        path.unlink()
    (kinetics / "kinetics_train").rmdir()
    assert {source.facts["part"] for source in KineticsSkeleton().find(kinetics)} == {"val"}


def test_kinetics_motion(tmp_path: Path, kinetics: Path) -> None:
    assert len(MOTION_CLASSES) == 30
    report = prepare(KineticsMotion(), kinetics, tmp_path / "store", progress=False)
    store = Store.open(report.folder)
    assert store.classes == MOTION_CLASSES
    assert dict(zip(store.ids.tolist(), store.labels.tolist(), strict=True)) == {"aa": 3, "dd": 19, "ff": 3}
    assert [problem.id for problem in report.problems] == ["cc"]  # clips of other classes are no problem


def test_numbers_without_a_class(kinetics: Path) -> None:
    entries = {"dd": {"has_skeleton": True, "label": "lunge", "label_index": 4}}
    write(kinetics / "kinetics_val_label.json", entries)
    write(kinetics / "kinetics_train_label.json", {**entries})
    known = KineticsSkeleton()
    found = {source.id: source for source in known.find(kinetics)}
    assert known.classes == ("0", "1", "2", "3", "lunge")
    assert (found["dd"].label, found["ee"].label) == (4, NO_LABEL)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("", "'kinetics_val_label.json' is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ({}, "is no label file"),
        ([1], "is no label file"),
        ({"dd": 5}, "lacks has_skeleton, label or label_index for clip 'dd'"),
        ({"dd": {"has_skeleton": True, "label": 5, "label_index": 0}}, "lacks has_skeleton"),
        ({"dd": {"has_skeleton": True, "label": "x", "label_index": -1}}, "the class -1"),
        ({"dd": {"has_skeleton": True, "label": "x", "label_index": 10**9}}, "the class 1000000000"),
        ({"dd": {"has_skeleton": True, "label": "x", "label_index": 0}}, "call class 0 both 'abseiling' and 'x'"),
        ({"dd": {"has_skeleton": True, "label": "squat", "label_index": 5}}, "'squat' two numbers"),
    ],
)
def test_damaged_label_files(kinetics: Path, entries: Any, message: str) -> None:
    write(kinetics / "kinetics_val_label.json", entries)
    with pytest.raises(ValueError, match=message) as error:
        KineticsSkeleton().find(kinetics)
    assert "\n" not in str(error.value)


def test_wrong_folders(tmp_path: Path, kinetics: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no kinetics_train or kinetics_val; get the Kinetics-Skeleton"):
        KineticsSkeleton().find(kinetics / "kinetics_val")
    (kinetics / "kinetics_val_label.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file '.*kinetics_val_label\.json', which names the classes"):
        KineticsSkeleton().find(kinetics)
    with pytest.raises(ValueError, match="people cannot be 'two'; choices: all, clip, frame"):
        KineticsSkeleton("two")  # type: ignore[arg-type]
    other = {"dd": {"has_skeleton": True, "label": "x", "label_index": 0}}
    for part in CLIPS:
        write(kinetics / f"kinetics_{part}_label.json", other)
    with pytest.raises(ValueError, match="none of the 30 classes of Kinetics-Motion"):
        KineticsMotion().find(kinetics)


def test_a_label_file_leads_nowhere_else(kinetics: Path) -> None:
    secret = write(kinetics.parent / "secret.json", clip({0: [person()]}))
    entries = {"../../secret": {"has_skeleton": True, "label": "squat", "label_index": 1}}
    write(kinetics / "kinetics_val_label.json", entries)
    found = {source.id: source for source in KineticsSkeleton().find(kinetics)}["../../secret"]
    assert found.path != secret
    assert "no such file" in found.refused
