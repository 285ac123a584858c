"""Preparation of the real data sets, against what is published about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bonegraph.datasets.known import KnownSet, known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store


def prepared(known: KnownSet, source: Path, out: Path) -> Store:
    if not source.is_dir():
        pytest.skip(f"needs the recordings of {known.name}: {known.where}")
    report = prepare(known, source, out / known.name, progress=False)
    assert report.problems == ()
    return Store.open(report.folder)


@pytest.fixture(scope="module")
def nw_ucla(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepared(known_set("nw-ucla"), shared / "data" / "nw_ucla", tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def sbu(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepared(known_set("sbu"), shared / "data" / "sbu", tmp_path_factory.mktemp("stores"))


def test_nw_ucla(nw_ucla: Store) -> None:
    assert len(nw_ucla) == 1484
    assert np.percentile(nw_ucla.frames, (0, 50, 100)).tolist() == [1, 31, 201]
    assert (len(nw_ucla.part("xview", "train")), len(nw_ucla.part("xview", "test"))) == (1020, 464)
    assert (len(nw_ucla.part("xview-select", "train")), len(nw_ucla.part("xview-select", "val"))) == (516, 504)
    assert np.bincount(nw_ucla.labels).tolist() == [150, 152, 141, 173, 148, 149, 142, 142, 145, 142]
    assert set(nw_ucla.column("subject").tolist()) == set(range(1, 11))
    assert (nw_ucla.people == 1).all()


def test_nw_ucla_actions_are_what_their_names_say(nw_ucla: Store) -> None:
    def rise(name: str) -> float:
        """Metres by which the pelvis ends higher than it began, on average."""
        clips = np.flatnonzero(nw_ucla.labels == nw_ucla.classes.index(name))
        heights = [nw_ucla.sequence(int(clip)).positions[:, 0, 0, 1] for clip in clips]
        return float(np.mean([height[-1] - height[0] for height in heights]))

    assert rise("sit down") < -0.1
    assert rise("stand up") > 0.1


def test_sbu(sbu: Store) -> None:
    assert len(sbu) == 282
    assert np.percentile(sbu.frames, (0, 50, 100)).tolist() == [10, 23, 46]
    assert (sbu.people == 2).all()
    assert set(sbu.column("fold").tolist()) == {1, 2, 3, 4, 5}
    folds = [sbu.part(f"fold{fold}", "test") for fold in range(1, 6)]
    assert [len(fold) for fold in folds] == [55, 52, 56, 54, 65]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(282))
    for number in range(1, 6):
        train, test = (sbu.part(f"fold{number}", part) for part in ("train", "test"))
        assert len(train) + len(test) == 282
        assert not set(sbu.column("pair")[train]) & set(sbu.column("pair")[test])


def test_sbu_actions_are_what_their_names_say(sbu: Store) -> None:
    def closer(name: str) -> float:
        """By how much the distance of the two trunks shrinks, on average."""
        clips = np.flatnonzero(sbu.labels == sbu.classes.index(name))
        trunks = [sbu.sequence(int(clip)).positions[:, :, sbu.skeleton.index("mid spine")] for clip in clips]
        distances = [np.linalg.norm(trunk[:, 0] - trunk[:, 1], axis=-1) for trunk in trunks]
        return float(np.mean([distance[0] - distance[-1] for distance in distances]))

    assert closer("approaching") > 0.2
    assert closer("departing") < -0.2


def test_sbu_stands_upright_in_metres(sbu: Store) -> None:
    positions = sbu.sequence(0).positions
    head, foot = (positions[..., sbu.skeleton.index(joint), 1].mean() for joint in ("head", "left foot"))
    assert 1.0 < head - foot < 1.8
