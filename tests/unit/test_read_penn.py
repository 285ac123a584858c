from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from bonegraph.datasets.known import known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.read import read
from bonegraph.read.penn import read_penn, read_penn_facts

RNG = np.random.default_rng(0)


def content(frames: int = 4, **changed: Any) -> dict[str, Any]:
    return {
        "action": "tennis_serve",
        "x": RNG.uniform(1, 480, size=(frames, 13)),
        "y": RNG.uniform(1, 270, size=(frames, 13)),
        "visibility": np.ones((frames, 13), np.uint8),
        "train": np.array([[-1]], np.int16),
        "dimensions": np.array([[270, 480, frames]], np.uint16),
        **changed,
    }


def write(path: Path, data: dict[str, Any]) -> Path:
    savemat(path, data, do_compression=True)
    return path


def test_penn(tmp_path: Path) -> None:
    data = content()
    data["visibility"][0, 4] = data["visibility"][2] = 0
    data["x"][0, 4] = np.nan  # nobody saw the joint, so its place does not matter
    path = write(tmp_path / "0001.mat", data)
    sequence = read(path)
    assert (sequence.skeleton.name, sequence.unit) == ("penn13", "px")
    assert sequence.positions.shape == (4, 1, 13, 2)
    seen = data["visibility"] == 1
    np.testing.assert_array_equal(sequence.positions[:, 0, :, 0][seen], data["x"].astype(np.float32)[seen])
    np.testing.assert_array_equal(sequence.positions[:, 0, :, 1][seen], data["y"].astype(np.float32)[seen])
    assert sequence.confidence is not None
    np.testing.assert_array_equal(sequence.confidence[:, 0], seen)
    np.testing.assert_array_equal(sequence.visible[:, 0], seen)
    assert sequence.present[:, 0].tolist() == [True, True, False, True]
    assert read_penn_facts(path) == ("tennis serve", False, 480, 270)


def test_whole_numbers_are_stored_in_small_types(tmp_path: Path) -> None:
    data = content(x=np.full((2, 13), 300, np.uint16), y=np.full((2, 13), 200, np.uint8), visibility=np.ones((2, 13)))
    sequence = read_penn(write(tmp_path / "0001.mat", data))
    np.testing.assert_array_equal(sequence.positions[..., 0], 300)
    np.testing.assert_array_equal(sequence.positions[..., 1], 200)


BAD = np.ones((4, 13))
BAD[2, 5] = np.nan


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.ones((4, 14))}, "'x' as 4 x 14, but frames x 13 joints"),
        ({"y": np.ones((3, 13))}, "unlike numbers of frames"),
        ({"y": "text"}, "'y' as a text"),
        ({"visibility": np.full((4, 13), 2)}, "visibility that is neither 0 nor 1"),
        ({"visibility": np.full((4, 13), np.nan)}, "visibility that is neither 0 nor 1"),
        ({"visibility": np.zeros((4, 13))}, "shows no joint in any of its 4 frames"),
        ({"x": BAD}, "NaN or infinity for a visible joint, first in frame 2"),
        ({"y": np.full((4, 13), 1e300)}, "NaN or infinity for a visible joint, first in frame 0"),
        ({name: np.zeros((0, 13)) for name in ("x", "y", "visibility")}, "no frames"),
        ({"x": {"a": 1}}, "no array of real numbers"),
    ],
)
def test_penn_refuses(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_penn(write(tmp_path / "0001.mat", content(**changed)))
    assert "'0001.mat'" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"action": 3.0}, "action that is no text"),
        ({"train": 0.0}, "neither 1 nor -1"),
        ({"train": "yes"}, "neither 1 nor -1"),
        ({"train": np.ones((2, 2))}, "neither 1 nor -1"),
        ({"dimensions": np.ones((1, 2))}, "height, width and frames"),
        ({"dimensions": np.full((1, 3), np.nan)}, "height, width and frames"),
        ({"dimensions": np.array([[0, 10, 10]])}, "height, width and frames"),
    ],
)
def test_facts_are_refused(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_penn_facts(write(tmp_path / "0001.mat", content(**changed)))


def test_prepare(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    write(files / "0001.mat", content(train=1.0))
    write(files / "0041.mat", content(train=1.0))
    write(files / "0042.mat", content(action="bowl"))
    write(files / "0051.mat", content(train=1.0))
    write(files / "0090.mat", content(action="chess"))
    (files / "0091.mat").write_bytes((files / "0001.mat").read_bytes()[:300])
    report = prepare(known_set("penn-action"), files, tmp_path / "store", progress=False)
    reasons = {problem.id: problem.reason for problem in report.problems}
    assert set(reasons) == {"0090", "0091"}
    assert "it shows 'chess', which is none of the 15 classes" in reasons["0090"]
    assert "cut off" in reasons["0091"]
    store = Store.open(report.folder)
    assert [store.classes[label] for label in store.labels] == ["tennis serve"] * 2 + ["bowl", "tennis serve"]
    assert store.column("width").tolist() == [480] * 4
    assert store.column("height").tolist() == [270] * 4

    def ids(split: str, part: str) -> list[str]:
        return [store.ids[clip] for clip in store.part(split, part)]

    assert ids("given", "train") == ["0001", "0041", "0051"]
    assert ids("given", "test") == ["0042"]
    assert ids("select", "train") == ["0001", "0051"]
    assert ids("select", "val") == ["0041"]
