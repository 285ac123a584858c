from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.known import NO_LABEL, known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.read import read
from bonegraph.read.msr import read_msr

RNG = np.random.default_rng(0)
NAME = "a01_s02_e03_skeleton3D.txt"
LIST = "files_used_in_cvpr12_paper.txt"


def write(path: Path, table: np.ndarray[Any, np.dtype[Any]]) -> Path:
    path.write_text("\n".join(" ".join(f"{value:.6f}" for value in row) for row in table.reshape(-1, 4)) + "\n")
    return path


def test_msr(tmp_path: Path) -> None:
    table = RNG.uniform(0.1, 1, size=(4, 20, 4)).round(6)
    table[2] = 0  # nobody there
    table[1, :, 3] = 0  # the confidence hides nobody
    table[3, 5, :3] = 0  # one joint at the origin does not make a person absent
    sequence = read(write(tmp_path / NAME, table))
    assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("msr20", "m", 15.0)
    assert sequence.positions.shape == (4, 1, 20, 3)
    np.testing.assert_array_equal(sequence.positions[:, 0], table[..., :3].astype(np.float32))
    assert sequence.present[:, 0].tolist() == [True, True, False, True]
    assert sequence.confidence is None


def test_a_person_who_is_mostly_absent_is_kept(tmp_path: Path) -> None:
    table = np.zeros((900, 20, 4))
    table[450] = 1
    assert read_msr(write(tmp_path / NAME, table)).present.sum() == 1


def rows(count: int, line: str = "0.1 0.2 0.3 1") -> str:
    return (line + "\n") * count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        (rows(19), "19 lines, which are no whole frames of 20 joints"),
        (rows(41), "41 lines"),
        (rows(39) + "0.1 0.2 0.3\n", "line 40 has 3 numbers, but 4 are needed"),
        (rows(20, "0.1 0.2 0.3 1 1"), "line 1 has 5 numbers"),
        (rows(20, "0.1 left 0.3 1"), "line 1: could not convert"),
        (rows(20) + rows(20, "0.1 nan 0.3 1"), "NaN or infinity, first in line 21"),
        (rows(20, "0.1 0.2 1e309 1"), "NaN or infinity, first in line 1"),
        (rows(20, "0.1 0.2 0.3 inf"), "NaN or infinity, first in line 1"),
        (rows(40, "0 0 0 0"), "zero in all 2 frames, which shows nobody"),
        ("\u00e9", "not a text file"),
    ],
)
def test_msr_refuses(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / NAME
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        read_msr(path)
    assert f"'{NAME}'" in str(error.value)
    assert "\n" not in str(error.value)


def test_find(tmp_path: Path) -> None:
    for name in ("a20_s10_e03", "a01_s01_e01", "a21_s01_e01", "walk"):
        (tmp_path / f"{name}_skeleton3D.txt").touch()
    (tmp_path / LIST).write_text("a20_s10_e03\na01_s02_e01\n")
    found = {source.id: source for source in known_set("msr-action3d").find(tmp_path)}
    assert found["a20_s10_e03"].label == 19
    assert found["a20_s10_e03"].facts == {"subject": 10, "repetition": 3, "usual_subject": 10}
    assert found["a01_s01_e01"].facts == {"subject": 1, "repetition": 1, "usual_subject": 0}
    assert found["a21_s01_e01"].label == found["walk"].label == NO_LABEL
    (tmp_path / LIST).unlink()
    assert {source.facts["usual_subject"] for source in known_set("msr-action3d").find(tmp_path)} == {0}


def test_a_store_has_both_splits_and_refuses_the_empty_clip(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("a01_s01_e01", "a01_s02_e01", "a01_s01_e02"):
        write(files / f"{name}_skeleton3D.txt", RNG.uniform(0.1, 1, size=(3, 20, 4)))
    write(files / "a13_s09_e02_skeleton3D.txt", np.zeros((3, 20, 4)))
    (files / LIST).write_text("a01_s01_e01\r\na01_s02_e01\r\n")
    report = prepare(known_set("msr-action3d"), files, tmp_path / "store", progress=False)
    assert [problem.id for problem in report.problems] == ["a13_s09_e02"]
    store = Store.open(report.folder)
    ids = store.ids
    assert {ids[clip] for clip in store.part("odd-even", "train")} == {"a01_s01_e01", "a01_s01_e02"}
    assert {ids[clip] for clip in store.part("odd-even-557", "train")} == {"a01_s01_e01"}
    assert {ids[clip] for clip in store.part("odd-even-557", "test")} == {"a01_s02_e01"}


def test_settings_are_chosen_on_training_subjects() -> None:
    splits = known_set("msr-action3d").splits
    for name in ("odd-even", "odd-even-557"):
        chosen = splits[name.replace("odd-even", "select")]
        assert set(sum(chosen.parts.values(), ())) == set(splits[name].parts["train"])
        assert chosen.column == splits[name].column
