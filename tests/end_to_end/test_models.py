"""``bonegraph models`` as a user gives it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.complexity import complexity
from bonegraph.models.registry import VARIANTS, build
from bonegraph.models.stgcn import released
from bonegraph.skeleton import SKELETONS


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main(["models", *arguments, "--progress", "false"]) == 0
    return capsys.readouterr().out


def listed(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[Any, list[Any], str]:
    """The clip and the models of the JSON file, and what is printed."""
    path = folder / "models.json"
    text = said(capsys, *arguments, "--json", str(path))
    content = json.loads(path.read_text())
    return content["clip"], content["models"], text


def test_all_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"frames": 8, "people": 3, "classes": 5, "channels": 2, "width": "quarter"}
    options = [text for name, value in asked.items() for text in (f"--{name}", str(value))]
    clip, models, text = listed(capsys, tmp_path, "--skeleton", "sbu15", *options)
    assert clip == {**asked, "skeleton": "sbu15", "joints": 15, "variant": ""}
    firsts = {name: next(iter(variants)) for name, variants in VARIANTS.items()}
    assert {row["model"]: row["variant"] for row in models} == firsts
    expected = complexity(build(released("quarter", 2), SKELETONS["sbu15"], 5), 8, 3)
    assert models[0] == {"model": "stgcn", "variant": "released", **vars(expected), "flops": expected.flops}
    assert "8 frames, 3 people, sbu15 with 15 joints x 2, 5 classes, width quarter" in text
    assert f"{expected.parameters:,}" in text
    assert "2 x multiply-add" in text
    assert "time ms" not in text


def test_variants(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: VARIANTS[name] for name in ("tcn", "stgcn")}
    monkeypatch.setattr("bonegraph.models.registry.VARIANTS", few)
    for variant, expected in (
        ("all", ["tcn paper", "stgcn released", "stgcn paper", "stgcn best"]),
        ("paper", ["tcn paper", "stgcn paper"]),
        ("best", ["stgcn best"]),
    ):
        rows = listed(capsys, tmp_path, "--width", "quarter", "--frames", "2", "--variant", variant)[1]
        assert [f"{row['model']} {row['variant']}" for row in rows] == expected


def test_latency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--width", "quarter", "--frames", "2", "--people", "1", "--repeats", "1", "--variant", "paper")
    clip, models, text = listed(capsys, tmp_path, "--skeleton", "sbu15", *options, "--latency")
    assert (clip["threads"], clip["repeats"]) == (torch.get_num_threads(), 1)
    assert {row["model"] for row in models} >= {"stgcn", "tcn", "local"}
    assert all(row["seconds"] > 0 for row in models)
    assert f"time: median of 1, threads: {torch.get_num_threads()}" in text
    assert "time ms" in text


def test_a_checkpoint(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished / "model.safetensors"
    model, meaning = load_checkpoint(path)
    clip, (row,), text = listed(capsys, tmp_path, str(path))
    assert (clip["frames"], clip["classes"], clip["skeleton"]) == (16, len(meaning.classes), meaning.skeleton.name)
    expected = complexity(model, 16, clip["people"])
    assert row == {"model": "stgcn", "variant": "", **vars(expected), "flops": expected.flops}
    assert "made: " in text
    assert said(capsys, str(finished)) == said(capsys, str(path)).replace(str(path), str(finished))
    longer = listed(capsys, tmp_path, str(path), "--frames", "32", "--people", "1")
    assert (longer[0]["frames"], longer[0]["people"]) == (32, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--variant", "bets"), "no model has a variant 'bets'; did you mean 'best'?"),
        (("--frames", "-1"), "frames must be from 0 to 100,000, got -1."),
        (("--classes", "0"), "classes must be from 1 to 100,000, got 0."),
        (("--skeleton", "ntu"), "no skeleton 'ntu'"),
        (("--width", "huge"), "huge"),
        (("--latency", "--repeats", "0", "--variant", "paper", "--width", "quarter"), "repeats must be at least 1"),
        (("nowhere.safetensors",), "no checkpoint 'nowhere.safetensors'"),
        (("runs/x", "--width", "half"), "a checkpoint has its own width; leave out --width"),
        (("--json", "nowhere/models.json"), "there is no folder 'nowhere'"),
    ],
)
def test_mistakes_end_in_one_line(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", *arguments, "--progress", "false"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("bonegraph models: ")
    assert message in errors
    assert errors.count("\n") == 1
