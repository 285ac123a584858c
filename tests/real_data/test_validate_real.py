"""Validation of the real data sets: what is wrong with them is found, and little else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bonegraph.datasets.known import KnownSet, known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.validate import Validation, validate


def prepared(known: KnownSet, source: Path, out: Path) -> Store:
    if not source.is_dir():
        pytest.skip(f"needs the recordings of {known.name}: {known.where}")
    return Store.open(prepare(known, source, out / known.name, progress=False).folder)


@pytest.fixture(scope="module")
def nw_ucla(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepared(known_set("nw-ucla"), shared / "data" / "nw_ucla", tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def found(nw_ucla: Store) -> Validation:
    return validate(nw_ucla, progress=False)


def test_nw_ucla_holds_recordings_of_one_view_as_those_of_another(nw_ucla: Store, found: Validation) -> None:
    """In this copy 95 clips of view 3 are clips of view 2, to the digit, so that they are trained and tested on."""
    copies = [finding for finding in found.findings if finding.kind == "duplicate"]
    assert len(copies) == 95
    for finding in copies:
        one, other = finding.clips
        assert (one[:-4], one[-4:], other[-4:]) == (other[:-4], "_v02", "_v03")
        assert "are the same recording; they are in train and test of 'xview'" in finding.message
        first, second = (nw_ucla.sequence(nw_ucla.find(clip)).positions for clip in finding.clips)
        np.testing.assert_array_equal(first, second)
    assert [finding for finding in found.findings if finding.severity == "error" and finding.kind != "duplicate"] == []


def test_nw_ucla_has_few_warnings(nw_ucla: Store, found: Validation) -> None:
    warned = {clip for finding in found.findings if finding.severity == "warning" for clip in finding.clips}
    assert len(warned) < 0.06 * len(nw_ucla)
    assert [finding.clips for finding in found.findings if finding.kind == "short"] == [
        ("a01_s10_e00_v03",),
        ("a02_s09_e04_v02",),
        ("a02_s09_e04_v03",),
        ("a03_s09_e01_v01",),
    ]


@pytest.mark.parametrize(("column", "value"), [("subject", 3), ("camera", 2)])
def test_shifted_labels_of_nw_ucla_are_found(nw_ucla: Store, column: str, value: int) -> None:
    wrong = nw_ucla.column(column) == value
    ids = np.array([f"clip {number}" for number in range(len(nw_ucla))])  # their ids would tell at once
    labels = np.where(wrong, (nw_ucla.labels + 1) % 10, nw_ucla.labels)
    findings = validate(replace(nw_ucla, labels=labels, ids=ids), progress=False).findings
    (shift,) = [finding for finding in findings if finding.kind == "label-shift"]
    assert f"the labels of {column} {value} look shifted" in shift.message
    assert set(shift.clips) == set(ids[wrong].tolist())


def test_sbu_has_no_errors(shared: Path, tmp_path: Path) -> None:
    store = prepared(known_set("sbu"), shared / "data" / "sbu", tmp_path)
    validation = validate(store, progress=False)
    assert validation.count("error") == 0
    # In a few of its clips a foot was never tracked.
    stuck = [finding.message for finding in validation.findings if finding.kind == "frozen-joint"]
    assert 1 <= len(stuck) <= 10 and all("foot" in message for message in stuck)
