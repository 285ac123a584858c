from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from bonegraph.datasets.known import NO_LABEL, known_set
from bonegraph.read import read
from bonegraph.read.utd import read_utd

RNG = np.random.default_rng(0)
NAME = "a1_s2_t3_skeleton.mat"


def write(path: Path, table: Any) -> Path:
    savemat(path, {"d_skel": table})
    return path


def test_utd(tmp_path: Path) -> None:
    table = RNG.normal(size=(20, 3, 4))
    table[..., 2] = 0  # nobody there
    table[7, :, 3] = 0  # one joint at the origin does not make a person absent
    sequence = read(write(tmp_path / NAME, table))
    assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("utd20", "m", 30.0)
    assert sequence.positions.shape == (4, 1, 20, 3)
    for frame in range(4):
        np.testing.assert_array_equal(sequence.positions[frame, 0], table[..., frame].astype(np.float32))
    assert sequence.present[:, 0].tolist() == [True, True, False, True]
    assert sequence.confidence is None


def test_one_frame_has_lost_its_last_dimension(tmp_path: Path) -> None:
    table = RNG.normal(size=(20, 3))
    np.testing.assert_array_equal(read_utd(write(tmp_path / NAME, table)).positions[0, 0], table.astype(np.float32))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((3, 20, 5)), "as 3 x 20 x 5, but 20 joints x 3 x frames"),
        (np.ones((20, 3, 5, 2)), "as 20 x 3 x 5 x 2"),
        (np.zeros((20, 3, 0)), "has no frames"),
        ("twenty", "as a text"),
        (np.full((20, 3, 2), np.nan), "NaN or infinity, first in frame 0"),
        (np.where(np.arange(5) == 3, np.inf, np.ones((20, 3, 5))), "NaN or infinity, first in frame 3"),
        (np.full((20, 3, 2), 1e300), "NaN or infinity"),
        (np.ones((20, 3, 2), complex), "no array of real numbers"),
    ],
)
def test_utd_refuses(tmp_path: Path, table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_utd(write(tmp_path / NAME, table))
    assert f"'{NAME}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_another_file_is_named_as_such(tmp_path: Path) -> None:
    savemat(tmp_path / "a1_s1_t1_inertial.mat", {"d_iner": np.ones((10, 6))})
    with pytest.raises(ValueError, match="has no variable 'd_skel'; check which data set it belongs to"):
        read_utd(tmp_path / "a1_s1_t1_inertial.mat")


def test_find(tmp_path: Path) -> None:
    for name in ("a27_s8_t4", "a28_s1_t1", "a0_s1_t1", "b1_s1_t1"):
        (tmp_path / f"{name}_skeleton.mat").touch()
    (tmp_path / "a1_s1_t1_inertial.mat").touch()
    found = {source.id: source for source in known_set("utd-mhad").find(tmp_path)}
    assert found["a27_s8_t4"].label == 26
    assert found["a27_s8_t4"].facts == {"subject": 8, "repetition": 4}
    assert [found[name].label for name in ("a28_s1_t1", "a0_s1_t1", "b1_s1_t1")] == [NO_LABEL] * 3
    assert len(found) == 4


def test_settings_are_chosen_on_training_subjects() -> None:
    splits = known_set("utd-mhad").splits
    assert set(sum(splits["select"].parts.values(), ())) == set(splits["odd-even"].parts["train"])
