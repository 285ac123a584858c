"""Gravity distances of a split: training clips alone, joints that are seen alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.models import kth
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.training.distances import training_distances
from bonegraph.training.run import new_model
from bonegraph.training.settings import Settings

BODY = SKELETONS["openpose25"]


def store(folder: Path, *, far: float = 1.0, hidden: tuple[int, ...] = (), junk: float = 0.0) -> Store:
    """Two clips to train on, and one each to validate and to test, which are larger by a factor."""
    split = Split("part", {part: (part,) for part in ("train", "val", "test")})
    card = Card("small", BODY, "px", 25.0, ("a", "b"), {"part": "str"}, {"given": split}, True)
    with StoreWriter(folder, card) as writer:
        for number, part in enumerate(("train", "val", "train", "test")):
            draw = np.random.default_rng(number)
            positions = draw.normal(100, 30, (4, 1, 25, 2)).astype(np.float32)
            positions *= 1.0 if part == "train" else np.float32(far) * np.arange(25)[None, None, :, None]
            confidence = (draw.random((4, 1, 25)) < 0.7).astype(np.float32)
            confidence[0, 0] = 1
            confidence[:, :, list(hidden)] = 0
            positions[confidence == 0] = junk
            writer.append(
                f"clip {number}",
                number % 2,
                {"part": part},
                Sequence(positions, np.ones((4, 1), bool), BODY, 25.0, "px", confidence),
            )
        writer.finish()
    return Store.open(folder)


def by_loops(found: Store) -> list[float]:
    """r_i: mean distance of a joint from the mean of the joints that are seen, over the training frames."""
    sums, counts = np.zeros(25), np.zeros(25)
    for clip in (0, 2):
        sequence = found.sequence(clip)
        for frame in range(4):
            seen = [joint for joint in range(25) if sequence.visible[frame, 0, joint]]
            centre = np.mean([sequence.positions[frame, 0, joint] for joint in seen], axis=0)
            for joint in seen:
                sums[joint] += np.linalg.norm(sequence.positions[frame, 0, joint] - centre)
                counts[joint] += 1
    return list(sums / counts)


def test_training_clips_and_seen_joints_alone(tmp_path: Path) -> None:
    """Traps of the KTH code: test clips were measured too, and a missing joint stood at (0, 0)."""
    found = store(tmp_path / "a")
    distances = training_distances(found, found.part("given", "train"))
    np.testing.assert_allclose(distances, by_loops(found), rtol=1e-5)
    others = store(tmp_path / "b", far=50.0, junk=1e4)
    np.testing.assert_allclose(training_distances(others, others.part("given", "train")), distances, rtol=1e-6)
    assert not np.allclose(training_distances(others, np.arange(4)), distances)


def test_a_model_gets_those_of_its_split(tmp_path: Path) -> None:
    settings = Settings(recipe="x", split="given", model=kth.paper("quarter", dropout=0.0))
    one, other = (new_model(settings, store(tmp_path / name, far=far)) for name, far in (("a", 1.0), ("b", 50.0)))
    assert isinstance(one, kth.KTH) and isinstance(other, kth.KTH)
    assert (one.adjacency == other.adjacency).all()


def test_a_joint_that_nobody_shows_is_farther_out(tmp_path: Path) -> None:
    """The small toe is two hops from the ankle, the last joint that is seen."""
    ankle, big, small = (BODY.index(f"left {name}") for name in ("ankle", "big toe", "small toe"))
    found = store(tmp_path / "a", hidden=(big, small))
    distances = training_distances(found, found.part("given", "train"))
    rest = np.delete(distances, [big, small])
    assert rest.max() < distances[big] < distances[small]
    assert distances[ankle] in rest


def test_nobody_at_all(tmp_path: Path) -> None:
    found = store(tmp_path / "a", hidden=tuple(range(25)))
    with pytest.raises(ValueError, match="joint 0 is never visible"):
        training_distances(found, found.part("given", "train"))
