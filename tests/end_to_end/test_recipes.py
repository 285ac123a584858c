"""Every recipe trains and evaluates on data of its skeleton, unit and split, with a thin network for one epoch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.scoring import score
from bonegraph.models import dualhead, msg3d
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.released.preprocessing import OF_FAMILY, PREPROCESSING
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.training.chain import fit_chain
from bonegraph.training.recipes import GROUPS, OLD_NAMES, RECIPES, recipe
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment

# Where a recipe's data are named in its own name: skeleton, coordinates, unit and whether there is a confidence.
DATA = {
    "demo": ("ntu25", 3, "m", False),
    "own": ("mediapipe33", 2, "px", True),
    "nw-ucla": ("ucla20", 3, "m", False),
    "sbu": ("sbu15", 3, "m", False),
    "utd-mhad": ("utd20", 3, "m", False),
    "msr-action3d": ("msr20", 3, "m", False),
    "penn-action": ("penn13", 2, "px", True),
    "ntu60": ("ntu25", 3, "m", False),
    "ntu120": ("ntu25", 3, "m", False),
    "kth": ("openpose25", 2, "px", True),
    "mimed-motions": ("openpose25", 2, "px", True),
    "kinetics": ("openpose18", 2, "normalised", True),
}


def data_of(name: str) -> tuple[str, int, str, bool]:
    named = [data for data in DATA if f"-{data}-" in f"-{name}-"]
    return DATA[max(named, key=len)]  # the model kth may learn other data


def thin(model: Any) -> Any:
    """The same kind of model with few channels and scales, and a stride."""
    if isinstance(model, dualhead.Config):
        return replace(model, widths=(8, 8, 8), gcn_scales=3, g3d_scales=2, windows=(3,), dilations=(1, 2))
    if isinstance(model, msg3d.Config):
        few = replace(model, widths=(4, 4), strides=(1, 2), dilations=(1, 2))
        return replace(few, gcn_scales=3, g3d_scales=2, windows=(3,))
    return replace(model, widths=(8, 8), strides=(1, 2))


def shorter(length: Length) -> Length:
    """A tenth of the frames of a rule for long clips."""
    if length.frames <= 100:
        return replace(length, test_clips=min(length.test_clips, 2))
    return replace(length, frames=length.frames // 10, test_frames=length.test_frames // 10, fill=length.fill // 10)


def small_store(folder: Path, name: str) -> Store:
    """Twelve clips, some of two people, some joints unseen where there is a confidence."""
    skeleton, coordinates, unit, sure = data_of(name)
    parts = ("train", "test", *(["val"] if recipe(name).patience else []))
    body, draw = SKELETONS[skeleton], np.random.default_rng(0)
    card = Card(
        name="small",
        skeleton=body,
        unit=unit,
        fps=30.0,
        classes=("a", "b", "c", "d", "e", "f"),
        columns={"part": "str"},
        splits={recipe(name).split: Split("part", {part: (part,) for part in parts})},
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
            part = "test" if number % 3 == 0 else "val" if number % 6 == 1 and "val" in parts else "train"
            writer.append(f"clip {number}", number % 6, {"part": part}, sequence)
        writer.finish()
    return Store.open(folder)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe(name: str, tmp_path: Path) -> None:
    store = small_store(tmp_path / "store", name)
    settings = recipe(name)
    assert settings.recipe == name
    length, model = shorter(settings.length), thin(settings.model)
    settings = replace(settings, data=str(store.folder), length=length, model=model, epochs=1, batch_size=4)
    settings = replace(settings, tuning=replace(settings.tuning, epochs=1))
    *_, path = fit_chain(settings, tmp_path / "run", accelerator="cpu", progress=False)
    trained, meaning = load_checkpoint(path)
    clips = store.part(settings.split, "test")
    scores = score(trained, meaning, store, clips, progress=False)
    assert scores.ids.tolist() == store.ids[clips].tolist()
    assert np.isfinite(scores.probabilities).all()
    # A clip is scored alike alone and among others, whatever padding the others need.
    alone = score(trained, meaning, store, clips[1:2], progress=False)
    np.testing.assert_allclose(alone.probabilities[0], scores.probabilities[1], atol=2e-3)


def test_every_recipe_says_its_command_and_what_to_expect() -> None:
    for name, make in RECIPES.items():
        text = make.__doc__ or ""
        assert f"``bonegraph fit {name} " in text or (name == "demo" and "``bonegraph demo``" in text), name
        assert any(word in text for word in ("Expected:", "Paper:", "Not measured by us")), name


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_of_a_recipe_is_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = re.findall(r"``bonegraph (fit .*?)``", RECIPES[name].__doc__ or "")
    if name != "demo":
        assert main([*command[0].split(), "--print_config"]) == 0
        assert capsys.readouterr().out.startswith(f"recipe: {name}\n")


def test_older_names_work() -> None:
    for old, name in OLD_NAMES.items():
        assert recipe(old) == replace(recipe(name), recipe=old)
    with pytest.raises(ValueError, match="no recipe 'msg3d-ntu60-relased'; did you mean 'msg3d-ntu60-released'"):
        recipe("msg3d-ntu60-relased")


def test_recipes_are_listed_by_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line in GROUPS] == list(GROUPS)
    listed = [line.split()[0] for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert listed == list(RECIPES)
    assert "  stgcn-ntu60-paper (also ntu-paper)" in lines
    assert main(["recipes", "sbu"]) == 0
    text = capsys.readouterr().out
    assert "  msg3d-sbu\n" in text and "nw-ucla\n" not in text and "  demo" not in text
    assert main(["recipes", "sub"]) == 2
    assert "no recipe has 'sub' in its name" in capsys.readouterr().err


def test_the_schedules_of_the_papers() -> None:
    """SPEC of each: epochs, batch, first rate, weight decay, steps."""
    for name, *expected in (
        ("agcn-ntu60-released", 50, 64, 0.1, 1e-4, (30, 40)),
        ("agcn-kinetics-released", 65, 64, 0.1, 1e-4, (45, 55)),
        ("msg3d-ntu60-released", 50, 32, 0.05, 5e-4, (30, 40)),
        ("msg3d-ntu120-released", 60, 32, 0.05, 5e-4, (30, 50)),
        ("msg3d-kinetics-released", 65, 128, 0.1, 3e-4, (45, 55)),
        ("dualhead-ntu60-paper", 80, 64, 0.1, 5e-4, (40, 60, 80)),
        ("dualhead-ntu120-released", 80, 64, 0.05, 5e-4, (40, 60, 80)),
        ("dualhead-kinetics-paper", 80, 128, 0.1, 1e-4, (55, 70)),
        ("ctrgcn-ntu60-released", 65, 64, 0.1, 4e-4, (35, 55)),
        ("stgcnpp-ntu60-released", 80, 128, 0.1, 5e-4, ()),
    ):
        one = recipe(name)
        by, how = one.optimizer, "step" if expected[-1] else "cosine"
        assert [one.epochs, one.batch_size, by.lr, by.weight_decay, by.milestones] == expected, name
        assert (by.name, by.momentum, by.nesterov, by.schedule, by.factor) == ("sgd", 0.9, True, how, 0.1), name


def test_the_settings_of_the_kth_paper() -> None:
    """SPEC 2.5: Adam, batch 16; learning rate, epochs, dropout and augmentation of each table."""
    for name, *expected in (
        ("kth-kth-table-1", 1e-4, 1000, 0.5, False, 0.0),
        ("kth-kth-figure-10", 0.01, 100, 0.0, True, 0.0),
        ("kth-kth-final", 1e-4, 1000, 0.0, True, 0.5),
    ):
        one = recipe(name)
        by, model = one.optimizer, one.model
        assert (by.name, by.schedule, one.batch_size, one.length.rule) == ("adam", "constant", 16, "loop"), name
        assert [by.lr, one.epochs, model.dropout, model.residual, one.transforms.augment.two_of] == expected, name
        assert (model.in_channels, model.strategy, model.edge_importance) == (2, "spatial", False), name


def test_released_recipes_test_like_released_weights() -> None:
    """In testing, a recipe of the released code sees what public weights of the family see."""
    for name, make in RECIPES.items():
        model, _, variant = name.partition("-")
        if not variant.endswith("-released"):
            continue
        settings = make()
        family = {"stgcnpp": "pyskl-stgcnpp"}.get(model, model)
        known = PREPROCESSING[OF_FAMILY[family][data_of(name)[0]]]
        seen = replace(known.transforms, zero_padded=2, confidence=known.scored)
        assert replace(settings.transforms, augment=Augment()) == seen, name
        frames = settings.length.test_frames or settings.length.frames
        assert replace(settings.length, frames=frames, test_frames=0, fill=0) == known.length, name
