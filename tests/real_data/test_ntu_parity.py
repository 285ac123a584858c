"""NTU RGB+D against the arrays of the released code, and the published lists of missing skeletons."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.datasets.known import known_set
from bonegraph.datasets.known.ntu import Ntu60, Ntu120, read_clip_list
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.read import read
from bonegraph.read.ntu import Cleaning, read_recording, released_array
from bonegraph.read.ntu.cleaning import MID_SPINE

FRAMES = 300
RELEASED = [name for name in get_args(Cleaning) if name.startswith("released-")]
released = pytest.mark.parametrize("cleaning", RELEASED)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    folder = shared / "parity" / "preprocessing" / "ntu_skeleton"
    if not folder.is_dir():
        pytest.skip(f"needs .skeleton files with known results, but there is no '{folder}'")
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> dict[str, NDArray[Any]]:
    with np.load(folder.parent / "ntu.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def lists(shared: Path) -> Path:
    folder = shared / "data" / "ntu_missing"
    if not folder.is_dir():
        pytest.skip(f"needs the lists of clips with missing skeletons, but there is no '{folder}'")
    return folder


@released
def test_our_arrays_are_those_of_the_released_code(
    folder: Path, theirs: dict[str, NDArray[Any]], cleaning: Any
) -> None:
    expected = theirs[cleaning.removeprefix("released-")]
    assert len(theirs["names"]) == len(expected) == len(list(folder.glob("*.skeleton"))) == 7
    for name, array in zip(theirs["names"], expected, strict=True):
        ours = released_array(read_recording(folder / f"{name}.skeleton"), cleaning)
        assert ours.dtype == np.float32
        assert ours.shape == array.shape
        np.testing.assert_allclose(ours, array, rtol=0, atol=1e-5, err_msg=name)
        assert np.abs(array).max() > 0.5


@released
def test_a_prepared_store_gives_the_arrays_of_the_released_code(
    tmp_path: Path, folder: Path, theirs: dict[str, NDArray[Any]], cleaning: Any
) -> None:
    """Absent people are zeros, and absent frames fill a clip up."""
    report = prepare(Ntu60(cleaning), folder, tmp_path / "store", progress=False)
    assert report.problems == ()
    store = Store.open(report.folder)
    assert store.ids.tolist() == theirs["names"].tolist()
    frames = np.arange(FRAMES)
    gathered = store.gather(range(7), np.where(frames < store.frames[:, None], frames, -1), 2).positions
    if cleaning == "released-ctrgcn":
        assert store.frames.tolist() == theirs["ctrgcn_frames"].tolist()
        gathered = gathered.transpose(0, 2, 4, 3, 1).reshape(7, FRAMES, -1)
    np.testing.assert_allclose(gathered, theirs[cleaning.removeprefix("released-")], rtol=0, atol=1e-5)


def test_ntu120_copies_the_only_body_for_ctrgcn(tmp_path: Path, folder: Path, theirs: dict[str, NDArray[Any]]) -> None:
    store = Store.open(prepare(Ntu120("released-ctrgcn"), folder, tmp_path / "store", progress=False).folder)
    assert store.people.tolist() == [2] * 7
    for clip, array in enumerate(theirs["ctrgcn"].reshape(7, FRAMES, 2, 25, 3)):
        ours, expected = store.sequence(clip).positions, array[: store.frames[clip]]
        np.testing.assert_allclose(ours[:, 0], expected[:, 0], rtol=0, atol=1e-5)
        second = expected[:, 1] if expected[:, 1].any() else expected[:, 0]
        np.testing.assert_allclose(ours[:, 1], second, rtol=0, atol=1e-5)
    plain = Store.open(
        prepare(Ntu120("released-ctrgcn", copy_one_body=False), folder, tmp_path / "plain", progress=False).folder
    )
    assert plain.people.tolist() == [1, 2, 1, 1, 1, 1, 2]


def test_our_own_cleaning_finds_the_people(folder: Path) -> None:
    """One person; two who change places; gaps; 300 frames; a ghost; a second id for 8 frames; three people."""
    sequences = [read(path) for path in sorted(folder.glob("*.skeleton"))]
    assert [sequence.num_frames for sequence in sequences] == [103, 64, 80, 300, 90, 70, 60]  # no frame is lost
    assert [sequence.present.sum(axis=0).tolist() for sequence in sequences] == [
        *([103], [64, 64], [65], [300], [90], [70], [60, 60])
    ]
    gaps = np.flatnonzero(~sequences[2].present[:, 0]).tolist()
    assert gaps == [*range(5), 40, 41, *range(72, 80)]


def test_people_who_change_places_stay_who_they_are(folder: Path) -> None:
    path = folder / "S001C002P002R001A050.skeleton"

    def jumps(sequence: Any) -> Any:
        """Metres from frame to frame, per person."""
        return np.linalg.norm(np.diff(sequence.positions[:, :, MID_SPINE], axis=0), axis=-1).max(axis=0)

    (source,) = [source for source in Ntu60().find(folder) if source.path == path]
    assert (jumps(Ntu60("best").read(source)) < 0.1).all()
    assert (jumps(Ntu60("released-stgcn").read(source)) > 0.5).all()  # as released


def test_lists_of_missing_skeletons(lists: Path) -> None:
    shorter, longer = (read_clip_list(lists / f"{name}.txt") for name in ("ntu60", "ntu120"))
    assert (len(shorter), len(longer), len(longer - shorter)) == (302, 535, 233)
    assert shorter < longer
    assert all(int(clip[1:4]) <= 17 for clip in shorter)
    assert all(int(clip[1:4]) > 17 for clip in longer - shorter)


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        # What is left of the clips of NTU RGB+D 60 is published: 40,320 - 229 = 40,091, and so on.
        ("ntu60", {"xsub": {"train": 229, "test": 73}, "xview": {"train": 274, "test": 28}}),
        ("ntu120", {}),
    ],
)
def test_missing_clips_are_refused_by_name(tmp_path: Path, folder: Path, lists: Path, name: str, sides: Any) -> None:
    """Empty files under all the names, beside good ones: none of them is even opened."""
    source = tmp_path / "in"
    source.mkdir()
    for path in folder.glob("*.skeleton"):
        (source / path.name).symlink_to(path)
    missing = read_clip_list(lists / "ntu120.txt")
    for clip in missing:
        (source / f"{clip}.skeleton").touch()
    known = (Ntu60 if name == "ntu60" else Ntu120)(missing=lists / "ntu120.txt")
    report = prepare(known, source, tmp_path / "store", progress=False)
    expected = sorted(clip for clip in missing if name == "ntu120" or int(clip[1:4]) <= 17)
    assert [problem.id for problem in report.problems] == expected
    assert {problem.reason for problem in report.problems} == {"it is on the list of clips with missing skeletons."}
    assert report.clips == 7
    assert "missing=535 clips, sha256 " in Store.open(report.folder).card.made["settings"]

    facts = [clip.facts for clip in known_set(name).find(source) if clip.id in missing]
    for split_name, split in known.splits.items():
        column = np.array([fact[split.column] for fact in facts])
        found = {part: len(split.clips(part, column)) for part in split.parts}
        assert sum(found.values()) == len(facts)
        assert found == sides.get(split_name, found)
