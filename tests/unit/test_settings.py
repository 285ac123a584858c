"""Settings go to plain data and back, and say which field is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bonegraph.models import stgcn
from bonegraph.models.registry import config_type
from bonegraph.training.recipes import RECIPES, recipe
from bonegraph.training.schedule import Optimizer
from bonegraph.training.settings import Settings, read_settings

SETTINGS = Settings(
    recipe="demo",
    data="somewhere",
    model=stgcn.Config(widths=(8, 16), strides=(1, 2)),
    optimizer=Optimizer(lr=1e-5, weight_decay=1e-7, schedule="step", milestones=(2, 4)),
)


@pytest.mark.parametrize("settings", [SETTINGS, *(make() for make in RECIPES.values())], ids=["own", *RECIPES])
def test_there_and_back(settings: Settings, tmp_path: Path) -> None:
    assert Settings.from_plain(settings.to_plain()) == settings
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings.to_plain(), sort_keys=False))
    assert read_settings(path) == settings
    name = settings.to_plain()["model"]["name"]
    assert type(settings.model) is config_type(name)


def test_the_name_of_the_model_goes_first() -> None:
    assert SETTINGS.to_plain()["model"]["name"] == "stgcn"
    assert next(iter(SETTINGS.to_plain()["model"])) == "name"


def test_plain_data_is_plain() -> None:
    def check(value: Any) -> None:
        assert value is None or type(value) in (dict, list, str, int, float, bool), value
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    check(SETTINGS.to_plain())


def test_what_is_left_out_keeps_its_default() -> None:
    settings = Settings.from_plain({"recipe": "mine", "model": {"name": "stgcn"}, "epochs": 3})
    assert settings == Settings(recipe="mine", model=stgcn.Config(), epochs=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"epochs": "3"}, "epochs must be a whole number, got '3'"),
        ({"epochs": True}, "epochs must be a whole number, got True"),
        ({"epoch": 3}, "no field 'epoch'; did you mean 'epochs'"),
        ({"batch_size": -1}, "batch_size must be at least 1, got -1"),
        ({"people": -1}, "people must be at least 0, got -1"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
        ({"precision": "32"}, "precision cannot be '32'; choices: 16-mixed, 32-true"),
        ({"optimizer": {"lr": "fast"}}, "optimizer.lr must be a number, got 'fast'"),
        ({"optimizer": {"lr": -1}}, "lr must be above 0"),
        ({"optimizer": {"milestones": [1, "x"]}}, "optimizer.milestones must be a whole number, got 'x'"),
        ({"optimizer": 3}, "optimizer must be a mapping, got 3"),
        ({"length": {"crop": [0.5]}}, "length.crop needs 2 values, got 1"),
        ({"transforms": {"augment": {"mirorr": 1}}}, "transforms.augment has no field 'mirorr'; did you mean 'mirror'"),
        ({"model": {"name": "stgcm"}}, "no model 'stgcm'; did you mean 'stgcn'"),
        ({"model": {"name": "stgcn", "widths": [8]}}, "widths has 1 units but strides has 10"),
        ({"model": None}, "a mapping with a field 'model'"),
    ],
)
def test_nonsense_names_the_field(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    plain = {**SETTINGS.to_plain(), **change}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(plain))
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as error:
        read_settings(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "epochs: [1,", "\0", "a: b: c", "!!python/name:os.system"])
def test_no_settings(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml") as error:
        read_settings(path)
    assert "\n" not in str(error.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"give the config\.yaml of a run folder"):
        read_settings(tmp_path / "config.yaml")


def test_yaml_executes_nothing(tmp_path: Path) -> None:
    path, proof = tmp_path / "config.yaml", tmp_path / "proof"
    path.write_text(f"recipe: !!python/object/apply:os.system ['touch {proof}']\nmodel: {{name: stgcn}}\n")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_settings(path)
    assert not proof.exists()


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        SETTINGS.epochs = 3  # type: ignore[misc]
    assert replace(SETTINGS, epochs=3) != SETTINGS


def test_unknown_recipe() -> None:
    with pytest.raises(ValueError, match="no recipe 'nw-ucl'; did you mean 'nw-ucla'"):
        recipe("nw-ucl")
