"""Every recipe trains and evaluates on data of its skeleton, unit and split, with a thin network for one epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.scoring import score
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.training.recipes import RECIPES, recipe
from bonegraph.training.run import fit

# Skeleton, coordinates, unit and whether there is a confidence.
DATA = {
    "demo": ("ntu25", 3, "m", False),
    "nw-ucla": ("ucla20", 3, "m", False),
    "sbu": ("sbu15", 3, "m", False),
    "utd-mhad": ("utd20", 3, "m", False),
    "msr-action3d": ("msr20", 3, "m", False),
    "penn-action": ("penn13", 2, "px", True),
    **dict.fromkeys(("ntu-paper", "ntu-released", "ntu-best"), ("ntu25", 3, "m", False)),
    **dict.fromkeys(("kinetics-paper", "kinetics-released", "kinetics-best"), ("openpose18", 2, "normalised", True)),
}


def small_store(folder: Path, name: str) -> Store:
    """Twelve clips, some of two people, some joints unseen where there is a confidence."""
    skeleton, coordinates, unit, sure = DATA[name]
    body, draw = SKELETONS[skeleton], np.random.default_rng(0)
    card = Card(
        name="small",
        skeleton=body,
        unit=unit,
        fps=30.0,
        classes=("a", "b", "c", "d", "e", "f"),
        columns={"part": "str"},
        splits={recipe(name).split: Split("part", {"train": ("train",), "test": ("test",)})},
        confidence=sure,
    )
    with StoreWriter(folder, card) as writer:
        for number in range(12):
            shape = (int(draw.integers(3, 40)), int(draw.integers(1, 3)), body.num_joints)
            positions = draw.random((*shape, coordinates)).astype(np.float32)
            confidence = draw.random(shape).round().astype(np.float32) if sure else None
            if confidence is not None:
                confidence[:, 0, 0] = 1.0
            sequence = Sequence(positions, np.ones(shape[:2], bool), body, 30.0, unit, confidence)
            part = "test" if number % 3 == 0 else "train"
            writer.append(f"clip {number}", number % 6, {"part": part}, sequence)
        writer.finish()
    return Store.open(folder)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str, tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", name)
    settings = recipe(name)
    assert settings.recipe == name
    model = replace(settings.model, widths=(4, 4), strides=(1, 2))
    settings = replace(settings, data=str(store.folder), model=model, epochs=1, batch_size=4)
    path = fit(settings, tmp_path / "run", accelerator="cpu", progress=False)
    trained, meaning = load_checkpoint(path)
    clips = store.part(settings.split, "test")
    scores = score(trained, meaning, store, clips, progress=False)
    assert scores.ids.tolist() == store.ids[clips].tolist()
    assert np.isfinite(scores.probabilities).all()
    # A clip is scored alike alone and among others, whatever padding the others need.
    alone = score(trained, meaning, store, clips[1:2], progress=False)
    np.testing.assert_allclose(alone.probabilities[0], scores.probabilities[1], atol=2e-3)


def test_every_recipe_says_its_command_and_what_to_expect() -> None:
    assert set(DATA) == set(RECIPES)
    for name, make in RECIPES.items():
        text = make.__doc__ or ""
        assert "``bonegraph " in text, name
        assert any(word in text for word in ("Expected:", "Paper:", "Not measured by us")), name
