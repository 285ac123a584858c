"""Preparation of UTD-MHAD, MSR-Action3D and Penn Action, against what is published about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import loadmat

from bonegraph.datasets.known import known_set
from bonegraph.datasets.prepare import Report, prepare
from bonegraph.datasets.store import Store
from bonegraph.read.mat import read_mat


def prepared(name: str, source: Path, out: Path) -> tuple[Store, Report]:
    known = known_set(name)
    if not source.is_dir():
        pytest.skip(f"needs the recordings of {known.name}: {known.where}")
    report = prepare(known, source, out / known.name, workers=1, progress=False)
    return Store.open(report.folder), report


@pytest.fixture(scope="module")
def utd(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Report]:
    return prepared("utd-mhad", shared / "data" / "utd_mhad", tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def msr(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Report]:
    return prepared("msr-action3d", shared / "data" / "msr_action3d", tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def penn(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Report]:
    return prepared("penn-action", shared / "data" / "penn_action", tmp_path_factory.mktemp("stores"))


def clips_of(store: Store, action: str) -> list[int]:
    return [int(clip) for clip in np.flatnonzero(store.labels == store.classes.index(action))]


def path_of(store: Store, clip: int, joint: str) -> NDArray[np.float32]:
    """(T, C) where a joint is, in the frames that show the person."""
    sequence = store.sequence(clip)
    shown: NDArray[np.float32] = sequence.positions[sequence.present[:, 0], 0, store.skeleton.index(joint)]
    return shown


def sizes(store: Store, split: str) -> dict[str, int]:
    return {part: len(store.part(split, part)) for part in store.splits[split].parts}


def test_utd(utd: tuple[Store, Report]) -> None:
    store, report = utd
    assert report.problems == ()
    assert len(store) == 861
    assert np.percentile(store.frames, (0, 50, 100)).tolist() == [41, 67, 125]
    assert sizes(store, "odd-even") == {"train": 431, "test": 430}
    assert sizes(store, "select") == {"train": 323, "val": 108}
    counts = np.bincount(store.labels).tolist()
    assert sorted(counts) == [31] * 3 + [32] * 24  # 8 people, 4 times each; three recordings are damaged
    assert set(store.column("subject").tolist()) == set(range(1, 9))


def test_utd_actions_are_what_their_names_say(utd: tuple[Store, Report]) -> None:
    store, _ = utd

    def rise(action: str) -> float:
        heights = [path_of(store, clip, "pelvis")[:, 1] for clip in clips_of(store, action)]
        return float(np.mean([height[-1] - height[0] for height in heights]))

    def travel(action: str, joint: str) -> float:
        return float(np.mean([np.ptp(path_of(store, clip, joint), axis=0).sum() for clip in clips_of(store, action)]))

    assert rise("sit to stand") > 0.2
    assert rise("stand to sit") < -0.2
    assert travel("wave", "right wrist") > 5 * travel("wave", "left wrist")
    assert travel("clap", "left wrist") > 2 * travel("wave", "left wrist")


def test_msr(msr: tuple[Store, Report]) -> None:
    store, report = msr
    assert [problem.id for problem in report.problems] == ["a13_s09_e02"]
    assert "zero in all 38 frames" in report.problems[0].reason
    assert len(store) == 566
    assert np.percentile(store.frames, (0, 50, 100)).tolist() == [13, 39, 936]
    absent = [clip for clip in range(len(store)) if not store.sequence(clip).present.all()]
    assert len(absent) == 19  # and the one that was refused
    assert sizes(store, "odd-even") == {"train": 291, "test": 275}
    assert sizes(store, "odd-even-557") == {"train": 284, "test": 273}
    assert sizes(store, "select") == {"train": 173, "val": 118}
    usual = store.column("usual_subject")
    assert (usual > 0).sum() == 557
    np.testing.assert_array_equal(usual[usual > 0], store.column("subject")[usual > 0])


def test_msr_stands_upright_in_metres(msr: tuple[Store, Report]) -> None:
    store, _ = msr
    heights = []
    for clip in clips_of(store, "high arm wave"):
        head, foot = path_of(store, clip, "head"), path_of(store, clip, "left foot")
        heights.append(float((head - foot)[:, 1].mean()))
    assert 1.4 < np.median(heights) < 1.9


def test_msr_actions_are_what_their_names_say(msr: tuple[Store, Report]) -> None:
    store, _ = msr

    def reach(action: str, joint: str) -> float:
        """Metres that a joint gets above the head, on average."""
        return float(
            np.mean(
                [
                    (path_of(store, clip, joint) - path_of(store, clip, "head"))[:, 1].max()
                    for clip in clips_of(store, action)
                ]
            )
        )

    assert reach("two hand wave", "left wrist") > 0
    assert reach("two hand wave", "right wrist") > 0
    assert reach("high arm wave", "right wrist") > 0
    assert reach("high arm wave", "left wrist") < -0.5


def test_penn(penn: tuple[Store, Report]) -> None:
    store, report = penn
    assert [problem.id for problem in report.problems] == ["1516"]
    assert "shows no joint in any of its 68 frames" in report.problems[0].reason
    assert len(store) == 2325
    assert np.percentile(store.frames, (0, 50, 100)).tolist() == [18, 56, 663]
    assert sizes(store, "given") == {"train": 1257, "test": 1068}  # 1,258 and 1,068 with the clip that shows nobody
    assert store.has_confidence
    val = np.bincount(store.labels[store.part("select", "val")], minlength=15)
    assert (val >= 5).all()  # every class can be chosen on
    assert 0.15 < val.sum() / len(store.part("given", "train")) < 0.25


def test_penn_joints_lie_in_the_picture(penn: tuple[Store, Report]) -> None:
    store, _ = penn
    outside = total = 0
    for clip in range(0, len(store), 10):
        sequence = store.sequence(clip)
        size = np.array([store.column("width")[clip], store.column("height")[clip]])
        seen = sequence.positions[sequence.visible]
        outside += int(((seen < 0) | (seen > size + 1)).any(axis=1).sum())
        total += len(seen)
    assert outside < total / 100


def test_penn_stands_upright_in_the_picture(penn: tuple[Store, Report]) -> None:
    store, _ = penn
    for action in ("jumping jacks", "squat", "golf swing"):
        below = []
        for clip in clips_of(store, action):
            sequence = store.sequence(clip)
            seen = sequence.visible[:, 0]
            head, ankle = (store.skeleton.index(joint) for joint in ("head", "left ankle"))
            both = seen[:, head] & seen[:, ankle]
            below.extend((sequence.positions[both, 0, ankle, 1] > sequence.positions[both, 0, head, 1]).tolist())
        assert np.mean(below) > 0.95


def test_matlab_files_agree_with_scipy(shared: Path) -> None:
    files = [
        *sorted((shared / "data" / "utd_mhad").glob("*.mat"))[::50],
        *sorted((shared / "data" / "penn_action").glob("*.mat"))[::50],
        # Written without the end of their compressed streams.
        *(shared / "data" / "penn_action" / f"{number}.mat" for number in (1605, 1833)),
    ]
    if not all(file.is_file() for file in files):
        pytest.skip("needs the recordings of UTD-MHAD and Penn Action")
    for file in files:
        wanted = {name: value for name, value in loadmat(file).items() if not name.startswith("__")}
        found = read_mat(file, tuple(wanted))
        for name, value in wanted.items():
            ours = found[name]
            if isinstance(ours, str):
                assert [ours] == value.tolist()
            else:
                np.testing.assert_array_equal(ours, value)
                assert ours.dtype == value.dtype
