"""One file is enough to recognise, and a broken one is named in one line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bonegraph.models.checkpoint import FORMAT, Calibration, Meaning, load_checkpoint, save_checkpoint
from bonegraph.models.stgcn import STGCN, Config, best, paper, released
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms

OWN = Skeleton("mine", ("head", "left hand", "right hand"), (0, 0, 0), (0, 2, 1), edges=((0, 1), (0, 2), (1, 2)))


def network(config: Config, body: Skeleton, classes: int = 3) -> STGCN:
    """Small, with weights and statistics as after a training."""
    config = replace(config, widths=tuple(width // 16 for width in config.widths))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCN(config, body, classes, np.arange(float(body.num_joints)) * 2 % 5)
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value += 0.1 * torch.rand(value.shape, generator=draw)
    return model.eval()


def meaning(body: Skeleton) -> Meaning:
    return Meaning(
        skeleton=body,
        classes=("wave", "sit down", "höher"),
        transforms=Transforms("bone", "frame", scale="image", image=(640.0, 480.0), augment=Augment(mirror=0.5)),
        length=Length("uniform", 48, 5),
        people=2,
        fps=29.97,
        unit="px",
        made={"recipe": "synthetic", "seed": "3"},
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(
        tmp_path / "model.safetensors", network(best(), SKELETONS["sbu15"]), meaning(SKELETONS["sbu15"])
    )


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, str]], None]) -> Path:
    """The checkpoint with other weights or metadata."""
    weights: dict[str, Any] = load_file(path)
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
    change(weights, about)
    save_file(weights, path, metadata=about)
    return path


def refused(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_checkpoint(path)
    assert type(caught.value) is ValueError
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_older_names_of_weights(saved: Path) -> None:
    """Files in which the adjacency of an ST-GCN is called "graph" give the same network."""
    now, _ = load_checkpoint(saved)
    rewrite(saved, lambda weights, _: weights.update(graph=weights.pop("adjacency")))
    assert "graph" in load_file(saved) and "adjacency" not in load_file(saved)
    before, _ = load_checkpoint(saved)
    assert list(before.state_dict()) == list(now.state_dict())
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in now.state_dict().items())


@pytest.mark.parametrize("body", [SKELETONS["sbu15"], OWN], ids=lambda body: body.name)
@pytest.mark.parametrize("variant", [paper, released, best], ids=lambda variant: variant.__name__)
def test_logits_are_equal_to_the_last_bit(tmp_path: Path, variant: Callable[[], Config], body: Skeleton) -> None:
    model = network(variant(), body)
    path = save_checkpoint(tmp_path / "model.safetensors", model, meaning(body))
    loaded, means = load_checkpoint(path)
    assert isinstance(loaded, STGCN)
    assert means == meaning(body)
    assert loaded.config == model.config
    assert loaded.skeleton == body
    assert not loaded.training
    assert not any(module.training for module in loaded.modules())
    x = torch.randn(2, 3, 9, body.num_joints, 2)
    visible = torch.rand(2, 9, body.num_joints, 2) < 0.8
    with torch.no_grad():
        assert torch.equal(loaded(x), model(x))
        assert torch.equal(loaded(x, visible), model(x, visible))
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())


def test_nothing_else_stays_in_the_folder(saved: Path) -> None:
    assert [file.name for file in saved.parent.iterdir()] == ["model.safetensors"]
    save_checkpoint(saved, network(best(), SKELETONS["sbu15"]), meaning(SKELETONS["sbu15"]))  # over the old one
    load_checkpoint(saved)
    assert [file.name for file in saved.parent.iterdir()] == ["model.safetensors"]


def test_a_failed_write_keeps_the_old_checkpoint(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def full(self: Path, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(saved, network(released(), SKELETONS["sbu15"]), meaning(SKELETONS["sbu15"]))
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == ["model.safetensors"]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        save_checkpoint(tmp_path / "nowhere" / "m", network(best(), OWN), meaning(OWN))


def test_the_same_network_gives_the_same_file(tmp_path: Path, saved: Path) -> None:
    again = save_checkpoint(tmp_path / "b", network(best(), SKELETONS["sbu15"]), meaning(SKELETONS["sbu15"]))
    assert load_checkpoint(again)[1] == load_checkpoint(saved)[1]
    ours, theirs = load_file(again), load_file(saved)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint '.*absent'; give the model\.safetensors of a run"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path)  # a folder


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.5, 0.999])
def test_a_truncated_file(saved: Path, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    refused(saved, "is no checkpoint or is damaged")


def test_a_file_of_another_kind(saved: Path) -> None:
    for content in (b"hello", b"PK\x03\x04" + bytes(300), b"\x00" * 100, b"\xff" * 100):
        saved.write_bytes(content)
        refused(saved, "is no checkpoint or is damaged")


def test_a_damaged_header(saved: Path) -> None:
    whole = bytearray(saved.read_bytes())
    whole[8:40] = b"#" * 32
    saved.write_bytes(bytes(whole))
    refused(saved, "is no checkpoint or is damaged")


def test_another_safetensors_file(saved: Path) -> None:
    save_file({"weight": torch.zeros(3)}, saved)
    refused(saved, f"its format is None, but '{FORMAT}' is needed")
    save_file({"weight": torch.zeros(3)}, saved, metadata={"format": "pt"})
    refused(saved, "its format is 'pt'")


@pytest.mark.parametrize(
    "name", ["model", "config", "skeleton", "classes", "transforms", "length", "people", "fps", "unit", "made"]
)
def test_missing_metadata_is_named(saved: Path, name: str) -> None:
    def drop(weights: dict[str, Any], about: dict[str, str]) -> None:
        del about[name]

    rewrite(saved, drop)
    refused(saved, f"'{name}' is missing")


NONSENSE = (
    "",
    "{",
    "null",
    "5",
    "-1",
    '"text"',
    "[]",
    "{}",
    "[1, 2]",
    '{"a": 1}',
    "true",
    "NaN",
    "[[]]",
    '{"name": 1}',
)


@pytest.mark.parametrize("value", NONSENSE)
@pytest.mark.parametrize("name", ["model", "config", "skeleton", "classes", "transforms", "length"])
def test_nonsense_in_the_metadata_is_one_line(saved: Path, name: str, value: str) -> None:
    rewrite(saved, lambda weights, about: about.update({name: value}))
    if (name, value) in (("transforms", "{}"), ("length", "{}")):
        load_checkpoint(saved)  # every field has a default
    else:
        refused(saved, ".")


@pytest.mark.parametrize("value", ["", "{", "null", "[]", '"text"', "{}", "[1, 2]"])
@pytest.mark.parametrize("name", ["people", "fps"])
def test_nonsense_numbers_are_one_line(saved: Path, name: str, value: str) -> None:
    rewrite(saved, lambda weights, about: about.update({name: value}))
    refused(saved, ".")


@pytest.mark.parametrize("name", ["people", "fps"])
@pytest.mark.parametrize("value", ["Infinity", "NaN", "-1"])
def test_numbers_without_meaning_are_refused(saved: Path, name: str, value: str) -> None:
    rewrite(saved, lambda weights, about: about.update({name: value}))
    refused(saved, ".")


def change_config(saved: Path, **changes: Any) -> Path:
    def change(weights: dict[str, Any], about: dict[str, str]) -> None:
        about["config"] = json.dumps({**json.loads(about["config"]), **changes})

    return rewrite(saved, change)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temporal_kernel": 4}, "temporal_kernel must be odd"),
        ({"strides": [1, 1]}, "widths has 10 units but strides has 2"),
        ({"unit": "join"}, r"config\.unit cannot be 'join'; did you mean 'joint'"),
        ({"layers": 3}, "config has no field 'layers'"),
        ({"in_channels": "3"}, r"config\.in_channels must be a whole number"),
        ({"widths": [4, 4, 4, 4, 8, 8, 8, 16, 16, 8]}, r"do not fit its configuration: .*size mismatch for units\.9"),
        ({"edge_importance": False}, r"do not fit its configuration: .*Unexpected key.*edge_importance"),
        ({"strategy": "uniform"}, r"do not fit its configuration: .*size mismatch for adjacency"),
    ],
)
def test_another_configuration_is_refused(saved: Path, changes: dict[str, Any], message: str) -> None:
    refused(change_config(saved, **changes), message)


def test_an_unknown_model_lists_the_choices(saved: Path) -> None:
    rewrite(saved, lambda weights, about: about.update(model="stgnc"))
    refused(saved, "no model 'stgnc'; did you mean 'stgcn'")


def test_weights_that_are_missing_or_unknown_are_named(saved: Path) -> None:
    def rename(weights: dict[str, Any], about: dict[str, str]) -> None:
        weights["other.bias"] = weights.pop("head.bias")

    rewrite(saved, rename)
    refused(saved, r"Missing key.*head\.bias.*Unexpected key.*other\.bias")


def test_weights_of_another_number_of_classes_are_refused(saved: Path) -> None:
    rewrite(saved, lambda weights, about: about.update(classes=json.dumps(["a", "b"])))
    refused(saved, r"size mismatch for head\.weight")


def test_a_checkpoint_holds_no_pickle(saved: Path) -> None:
    head = int.from_bytes(saved.read_bytes()[:8], "little")
    json.loads(saved.read_bytes()[8 : 8 + head])  # a header in JSON, then numbers alone


def test_calibration_and_clip_length_are_kept(tmp_path: Path) -> None:
    calibration = Calibration(1.5, 0.25, networks=4, clips=30, data="demo, xsub, val")
    about = replace(meaning(OWN), clip_seconds=2.5, calibration=calibration)
    _, loaded = load_checkpoint(save_checkpoint(tmp_path / "m.safetensors", network(best(), OWN), about))
    assert loaded == about
    assert loaded.temperature == 1.5
    assert meaning(OWN).temperature == 1


def test_a_checkpoint_from_before_calibration(saved: Path) -> None:
    with safe_open(saved, framework="pt") as file:
        assert not {"calibration", "clip_seconds"} & set(file.metadata())
    _, loaded = load_checkpoint(saved)
    assert (loaded.calibration, loaded.clip_seconds) == (None, None)


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("calibration", '{"temperature": 0.0, "threshold": 0.5}', "temperature of a calibration must be above 0"),
        ("calibration", '{"temperature": NaN, "threshold": 0.5}', "temperature of a calibration must be above 0"),
        ("calibration", '{"temperature": Infinity, "threshold": 0.5}', "temperature of a calibration must be above 0"),
        ("calibration", '{"temperature": 1.0, "threshold": 1.5}', "threshold of a calibration must lie between"),
        ("calibration", '{"temperature": 1.0, "threshold": NaN}', "threshold of a calibration must lie between"),
        ("calibration", '{"temperature": 1.0, "threshold": 0.5, "networks": 0}', "at least 1 network"),
        ("calibration", '{"temperature": 1.0}', "needs the field 'threshold'"),
        ("calibration", '{"temperature": 1.0, "threshold": 0.5, "more": 1}', "has no field 'more'"),
        ("calibration", "[1, 2]", "must be a mapping"),
        ("calibration", "{", "Expecting property name"),
        ("clip_seconds", "-1", "must be above 0 seconds"),
        ("clip_seconds", "NaN", "must be above 0 seconds"),
        ("clip_seconds", "[1]", "float"),
    ],
)
def test_nonsense_about_calibration(saved: Path, field: str, value: str, message: str) -> None:
    refused(rewrite(saved, lambda _, about: about.update({field: value})), message)
