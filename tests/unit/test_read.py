from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.known import KNOWN_SETS, NO_LABEL, known_set
from bonegraph.read import read
from bonegraph.read.sbu import read_sbu
from bonegraph.read.ucla import read_ucla
from bonegraph.sequence import Sequence

RNG = np.random.default_rng(0)


def write_ucla(path: Path, skeletons: Any, label: int = 1) -> Path:
    path.write_text(json.dumps({"file_name": path.stem, "skeletons": skeletons, "label": label}))
    return path


def write_sbu(path: Path, positions: np.ndarray[Any, np.dtype[Any]], first: int = 55) -> Path:
    lines = [
        ",".join([str(first + frame), *(f"{value:.5f}" for value in row)])
        for frame, row in enumerate(positions.reshape(len(positions), -1))
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_ucla(tmp_path: Path) -> None:
    positions = RNG.normal(size=(4, 20, 3)).round(5)
    positions[2] = 0  # nobody there
    positions[3, 5] = 0  # one joint at the origin does not make a person absent
    sequence = read_ucla(write_ucla(tmp_path / "a01_s01_e00_v01.json", positions.tolist()), label=1)
    assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("ucla20", "m", 30.0)
    assert sequence.positions.shape == (4, 1, 20, 3)
    assert sequence.positions.dtype == np.float32
    np.testing.assert_array_equal(sequence.positions[:, 0], positions.astype(np.float32))
    assert sequence.present[:, 0].tolist() == [True, True, False, True]
    assert sequence.confidence is None


@pytest.mark.parametrize(
    ("skeletons", "message"),
    [
        ([], "no frames"),
        ([[[0.0, 1.0, 2.0]] * 19], "shape"),
        ([[[0.0, 1.0]] * 20], "shape"),
        ([[[0.0, 1.0, 2.0]] * 20, [[0.0, 1.0, 2.0]] * 19], "no table of numbers"),
        ([[["left", 1.0, 2.0]] * 20], "no table of numbers"),
        ([[[10**400, 1.0, 2.0]] * 20], "no table of numbers"),
        ([[[float("nan"), 1.0, 2.0]] * 20], "NaN or infinity, first in frame 0"),
        ([[[None, 1.0, 2.0]] * 20], "NaN or infinity"),
        ([[[1e300, 1.0, 2.0]] * 20], "NaN or infinity"),
        ([{"x": 1}], "no table of numbers"),
        ("none", "no list 'skeletons'"),
    ],
)
def test_ucla_refuses(tmp_path: Path, skeletons: Any, message: str) -> None:
    path = write_ucla(tmp_path / "a01_s01_e00_v01.json", skeletons)
    with pytest.raises(ValueError, match=message) as error:
        read_ucla(path)
    assert "'a01_s01_e00_v01.json'" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [b"", b"[1, 2", b"\xff\xfe\x00", b'{"skeletons": [[[0.1, 0.2', b"[1]", b"[" * 100_000])
def test_ucla_refuses_damaged_files(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a01_s01_e00_v01.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=r"a01_s01_e00_v01\.json"):
        read_ucla(path)


def test_ucla_label_must_agree_with_the_name(tmp_path: Path) -> None:
    path = write_ucla(tmp_path / "a01_s01_e00_v01.json", [[[0.0, 1.0, 2.0]] * 20], label=2)
    assert read_ucla(path).num_frames == 1
    with pytest.raises(ValueError, match="carries label 2, but its name stands for label 1"):
        read_ucla(path, label=1)


def test_sbu(tmp_path: Path) -> None:
    positions = RNG.uniform(0.1, 1, size=(3, 2, 15, 3)).round(5)
    positions[1, 1] = 0
    sequence = read_sbu(write_sbu(tmp_path / "skeleton_pos.txt", positions))
    assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("sbu15", "m", 15.0)
    metres = np.stack(
        [1.28 - 2.56 * positions[..., 0], 0.96 - 1.92 * positions[..., 1], 1.28 * positions[..., 2]], axis=-1
    )
    metres[1, 1] = 0  # absent
    np.testing.assert_allclose(sequence.positions, metres, atol=1e-6)
    assert sequence.present.tolist() == [[True, True], [True, False], [True, True]]


def _line(frame: int, *values: str) -> str:
    return ",".join([str(frame), *values, *["0.5"] * (90 - len(values))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (_line(1)[:-10], "line 1 has .* numbers, but 91 are needed"),
        (_line(1) + "\n" + _line(2)[:100], "line 2 has"),
        (_line(1) + ",0.5,0.5", "line 1 has 93 numbers"),
        (_line(1, "left"), "line 1: could not convert"),
        (_line(1, "nan"), "NaN or infinity, first in line 1"),
        (_line(1) + "\n" + _line(2, "inf"), "NaN or infinity, first in line 2"),
        (_line(1, "1e300"), "NaN or infinity"),
        (_line(1) + "\n" + _line(3), "jumps from frame 1 to 3 in line 2"),
        ("\u00e9", "not a text file"),
    ],
)
def test_sbu_refuses(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "skeleton_pos.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        read_sbu(path)
    assert "skeleton_pos.txt'" in str(error.value)
    assert "\n" not in str(error.value)


def test_find_ucla(tmp_path: Path) -> None:
    deep = tmp_path / "deeper"
    deep.mkdir()
    for name in ("a12_s10_e03_v02", "a07_s01_e00_v01", "notes"):
        write_ucla(deep / f"{name}.json", [])
    found = {source.id: source for source in known_set("nw-ucla").find(tmp_path)}
    assert found["a12_s10_e03_v02"].label == 9
    assert found["a12_s10_e03_v02"].facts == {"subject": 10, "camera": 2, "repetition": 3}
    assert found["a07_s01_e00_v01"].label == found["notes"].label == NO_LABEL  # the data set has no action 7


def test_find_sbu(tmp_path: Path) -> None:
    for folder in ("s01s02/08/001", "s09s09/00/x"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "skeleton_pos.txt").touch()
    found = {source.id: source for source in known_set("sbu").find(tmp_path)}
    assert found["s01s02_08_001"].label == 7
    assert found["s01s02_08_001"].facts == {"pair": "s01s02", "fold": 1, "repetition": 1}
    assert found["s09s09_00_x"].label == NO_LABEL
    assert found["s09s09_00_x"].facts == {"pair": "s09s09", "fold": 0, "repetition": 0}


@pytest.mark.parametrize("name", sorted(KNOWN_SETS))
def test_a_wrong_folder_says_where_to_get_the_data(tmp_path: Path, name: str) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(FileNotFoundError, match="; get the ") as error:
            known_set(name).find(folder)
        assert str(folder) in str(error.value)


@pytest.mark.parametrize("name", sorted(KNOWN_SETS))
def test_facts(name: str) -> None:
    known = known_set(name)
    assert known.name == name
    assert len(set(known.classes)) == len(known.classes)
    for split in known.splits.values():
        assert split.column in {"camera", "fold", "part", "random", "scenario", "setup", "subject", "usual_subject"}


def test_an_unknown_set_names_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"no data set 'nw-ucl'; did you mean 'nw-ucla'\? Choices: .*nw-ucla, .*sbu, synth"
    ):
        known_set("nw-ucl")


def test_any_file(tmp_path: Path) -> None:
    positions = RNG.uniform(0.1, 1, size=(3, 2, 15, 3))
    assert read(write_sbu(tmp_path / "skeleton_pos.txt", positions)).skeleton.name == "sbu15"
    clip = write_ucla(tmp_path / "any.json", [[[0.0, 1.0, 2.0]] * 20])
    assert read(clip).skeleton.name == read(clip, "nw-ucla").skeleton.name == "ucla20"
    with pytest.raises(FileNotFoundError, match=r"no file '.*none.json'"):
        read(tmp_path / "none.json")
    (tmp_path / "clip.mp3").touch()
    with pytest.raises(ValueError, match=r"'clip.mp3' tells no format by its name; name one of: nw-ucla, sbu"):
        read(tmp_path / "clip.mp3")
    with pytest.raises(ValueError, match="no format 'nw-ucl'; did you mean 'nw-ucla'"):
        read(clip, "nw-ucl")


def test_readers_return_sequences(tmp_path: Path) -> None:
    path = write_ucla(tmp_path / "a01_s01_e00_v01.json", [[[0.0, 1.0, 2.0]] * 20])
    (source,) = known_set("nw-ucla").find(tmp_path)
    assert source.path == path
    assert isinstance(known_set("nw-ucla").read(source), Sequence)
