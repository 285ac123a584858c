"""The known sets of the KTH paper: folders of OpenPose frames by name, and the mimed motions in one file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.known import NO_LABEL
from bonegraph.datasets.known.kth import Kth, random_part
from bonegraph.datasets.known.motions import SUBJECTS, MimedMotions
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store

ACTIONS = ("boxing", "handclapping", "handwaving", "jogging", "running", "walking")


def person(x: float, sure: float = 0.5) -> dict[str, list[float]]:
    """Someone of 25 joints."""
    points = [value for joint in range(25) for value in (x + 1 + joint % 5 * 20, 1 + joint // 5 * 40, sure)]
    return {"pose_keypoints_2d": points}


def write(folder: Path, frames: dict[str, Any], name: str = "clip") -> None:
    """Frames of OpenPose by the number in their name."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        (folder / f"{name}_{number}_keypoints.json").write_text(json.dumps({"version": 1.3, "people": people}))


def folders(folder: Path) -> Path:
    """Three videos as folders of frames, one of them with a film beside it."""
    for number, name in enumerate(
        ("person01_boxing_d1_uncomp", "person20_handwaving_d4_uncomp", "person25_walking_d2")
    ):
        write(folder / name, {"9": [person(number)], "10": [], "11": [person(5), person(400, sure=0.1)]}, name)
    (folder / "person01_boxing_d1_uncomp.avi").touch()
    write(folder / "person02_dancing_d3", {"0": [person(0)]})
    return folder


def test_names_tell_everything(tmp_path: Path) -> None:
    found = {source.id: source for source in Kth().find(folders(tmp_path))}
    assert len(found) == 4
    known = {name: (source.label, source.facts["subject"], source.facts["scenario"]) for name, source in found.items()}
    assert known == {
        "person01_boxing_d1": (0, 1, 1),
        "person20_handwaving_d4": (2, 20, 4),
        "person25_walking_d2": (5, 25, 2),
        "person02_dancing_d3": (NO_LABEL, 2, 3),
    }


def test_prepare(tmp_path: Path) -> None:
    report = prepare(Kth(), folders(tmp_path / "poses"), tmp_path / "store", workers=1, progress=False)
    assert report.clips == 3
    reasons = {problem.id: problem.reason for problem in report.problems}
    assert "none of the 6 classes" in reasons["person02_dancing_d3"]
    store = Store.open(tmp_path / "store")
    clip = store.sequence(store.find("person25_walking_d2"))
    assert (clip.fps, clip.unit, clip.num_people) == (25.0, "px", 1)
    assert store.card.made["settings"] == "people=1, poses='openpose', seed=0"
    assert clip.present[:, 0].tolist() == [True, False, True]
    np.testing.assert_allclose(clip.positions[[0, 2], 0, 0, 0], [3, 6])
    # A folder that has one more frame is another recording.
    assert prepare(Kth(), tmp_path / "poses", tmp_path / "store", workers=1, progress=False).already_done
    write(tmp_path / "poses/person25_walking_d2", {"12": []}, "person25_walking_d2")
    with pytest.raises(FileExistsError, match="from other files or settings"):
        prepare(Kth(), tmp_path / "poses", tmp_path / "store", workers=1, progress=False)


def test_splits_keep_validation_apart_from_test() -> None:
    sizes = {
        name: {part: len(values) for part, values in split.parts.items()}
        for name, split in Kth.splits.items()
        if split.column == "subject"
    }
    assert sizes == {
        "xsub": {"train": 15, "val": 5, "test": 5},
        "xsub-10": {"train": 10, "val": 5, "test": 5},
        "xsub-authors": {"train": 8, "val": 8, "test": 9},
    }
    assert Kth.splits["xsub"].parts["train"] == (*range(1, 16),)
    for name, split in Kth.splits.items():
        assert set(split.parts) == {"train", "val", "test"}, name
        values = [value for part in split.parts.values() for value in part]
        assert len(values) == len(set(values))
    assert sorted(Kth.splits["xsub-authors"].parts["test"]) == [2, 3, 5, 6, 7, 8, 9, 10, 22]
    assert [Kth.splits[f"scenario{number}"].parts["test"] for number in range(1, 5)] == [(1,), (2,), (3,), (4,)]


def test_the_random_split_is_stratified_and_a_function_of_the_name() -> None:
    def parts(seed: int) -> dict[tuple[str, int, int], str]:
        return {
            (action, subject, scenario): random_part(action, subject, scenario, seed)
            for action in ACTIONS
            for subject in range(1, 26)
            for scenario in range(1, 5)
        }

    first, other = parts(0), parts(1)
    for action in ACTIONS:
        counted = Counter(part for (name, _, _), part in first.items() if name == action)
        assert counted == {"train": 60, "val": 20, "test": 20}
    assert first == parts(0) and first != other
    alike = sum(first["boxing", s, d] == first["walking", s, d] for s in range(1, 26) for d in range(1, 5))
    assert alike < 75  # the classes are cut independently; chance gives 44


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="people must be at least 1 and seed at least 0, got 0 and 0"):
        Kth(people=0)


# --- mimed motions --------------------------------------------------------------------------------------------------


def motions(path: Path, **change: Any) -> Path:
    """Three clips of 2, 3 and 4 frames."""
    keypoints = np.random.default_rng(0).uniform(1, 2, (9, 25, 3)).astype(np.float32)
    keypoints[:, 10, 2] = 0
    keypoints[:, 0, 2] = 0.5
    content = {
        "keypoints": keypoints,
        "offsets": np.array([0, 2, 5, 9]),
        "name": np.array(["p0_boxing_01", "p0_violin_01", "p4_dance_01"]),
        "action": np.array(["boxing", "violin", "dance"]),
        "subject": np.array([0, 0, 4]),
        "trial": np.array([1, 1, 1]),
        **change,
    }
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


def test_mimed_motions(tmp_path: Path) -> None:
    path = motions(tmp_path / "motions.npz")
    known = MimedMotions()
    sources = known.find(tmp_path)
    assert known.find(path) == sources
    assert [(s.id, s.label, s.facts["subject"]) for s in sources] == [
        ("p0_boxing_01", 0, 0),
        ("p0_violin_01", 4, 0),
        ("p4_dance_01", NO_LABEL, 4),
    ]
    clip = known.read(sources[1])
    assert clip.positions.shape == (3, 1, 25, 2)
    assert not clip.visible[..., 10].any() and clip.visible[..., 0].all()
    assert (clip.positions[:, :, 10] == 0).all()
    assert clip.confidence is not None and clip.confidence.max() == 1 and (clip.confidence[..., 0] == 0.5).all()


def test_people_of_the_mimed_motions() -> None:
    assert len(SUBJECTS) == 27
    drawn = set()
    for split in MimedMotions.splits.values():
        assert {part: len(people) for part, people in split.parts.items()} == {"train": 17, "val": 5, "test": 5}
        assert sorted(person for people in split.parts.values() for person in people) == sorted(SUBJECTS)
        drawn.add(frozenset(split.parts["test"]))
    assert len(drawn) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trial": None}, "'motions.npz' has no array 'trial'"),
        ({"keypoints": np.ones((9, 18, 3), np.float32)}, r"keypoints of shape \(9, 18, 3\), but \(frames, 25, 3\)"),
        ({"offsets": np.array([0, 2, 5, 10])}, "has offsets that do not divide its 9 frames"),
        ({"offsets": np.array([0, 5, 2, 9])}, "has offsets that do not divide its 9 frames"),
        ({"name": np.array(["a", "b"])}, "has no name for each of its 3 clips"),
        ({"subject": np.array(["a", "b", "c"])}, "has no subject for each of its 3 clips"),
    ],
)
def test_damaged_motions(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    motions(tmp_path / "motions.npz", **change)
    with pytest.raises(ValueError, match=message) as error:
        MimedMotions().find(tmp_path)
    assert "\n" not in str(error.value)


def test_a_clip_with_nan_is_refused(tmp_path: Path) -> None:
    keypoints = np.full((9, 25, 3), 0.5, np.float32)
    keypoints[3] = np.nan
    motions(tmp_path / "motions.npz", keypoints=keypoints)
    report = prepare(MimedMotions(), tmp_path / "motions.npz", tmp_path / "store", workers=1, progress=False)
    assert report.clips == 1
    assert "'p0_violin_01' holds NaN" in {problem.id: problem.reason for problem in report.problems}["p0_violin_01"]
