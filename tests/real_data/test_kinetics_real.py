"""A clip of Kinetics-Skeleton as its authors released it, against what the released programs make of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from bonegraph.datasets.known.kinetics import KineticsSkeleton
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.read import read
from bonegraph.read.kinetics import read_kinetics, released_array


@pytest.fixture(scope="module")
def clip(shared: Path) -> Path:
    files = sorted((shared / "data" / "kinetics_skeleton").glob("*.json"))
    if not files:
        pytest.skip("needs a clip of Kinetics-Skeleton")
    return files[0]


@pytest.fixture(scope="module")
def reference(shared: Path) -> dict[str, np.ndarray]:
    path = shared / "parity" / "preprocessing" / "kinetics.npz"
    if not path.is_file():
        pytest.skip("needs the arrays of the released programs")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("pipeline", ["stgcn", "msg3d"])
def test_released_arrays(clip: Path, reference: dict[str, np.ndarray], pipeline: Literal["stgcn", "msg3d"]) -> None:
    np.testing.assert_allclose(released_array(clip, pipeline), reference[pipeline], atol=1e-5)


def test_a_sequence_is_the_released_array(clip: Path, reference: dict[str, np.ndarray]) -> None:
    sequence = read_kinetics(clip, "frame")
    assert sequence.confidence is not None
    array = np.zeros((3, 300, 18, 2), np.float32)
    length, people = sequence.present.shape
    centred = np.where(sequence.visible[..., None], sequence.positions - 0.5, 0)
    array[:2, :length, :, :people] = centred.transpose(3, 0, 2, 1)
    array[2, :length, :, :people] = sequence.confidence.transpose(0, 2, 1)
    np.testing.assert_allclose(array, reference["stgcn"], atol=1e-5)


def test_what_the_clip_shows(clip: Path) -> None:
    sequence = read(clip)
    assert sequence.num_frames == 190  # its frames count from 1
    assert sequence.present.sum(axis=0).tolist() == [163, 148]
    assert read_kinetics(clip, "all").present.sum(axis=0).tolist() == [163, 148, 4]
    # The surer person stays the first through the clip, so that both ways keep the same two in all.
    by_clip = read_kinetics(clip, "clip")
    np.testing.assert_array_equal(by_clip.present.sum(axis=1), sequence.present.sum(axis=1))


def test_a_store(clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kinetics-skeleton"
    (folder / "kinetics_val").mkdir(parents=True)
    shutil.copy(clip, folder / "kinetics_val")
    content = json.loads(clip.read_text())
    entry = {"has_skeleton": True, "label": content["label"], "label_index": content["label_index"]}
    (folder / "kinetics_val_label.json").write_text(json.dumps({clip.stem: entry}))
    report = prepare(KineticsSkeleton(), folder, tmp_path / "store", progress=False)
    assert report.problems == ()
    store = Store.open(report.folder)
    assert store.classes[int(store.labels[0])] == "flipping pancake"
    sequence, stored = read(clip), store.sequence(0)
    there = sequence.visible[..., None]
    np.testing.assert_array_equal(np.where(there, stored.positions, 0), np.where(there, sequence.positions, 0))
    np.testing.assert_array_equal(stored.visible, sequence.visible)
