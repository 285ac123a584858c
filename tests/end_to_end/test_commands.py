"""The commands one after the other, as a user gives them."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from bonegraph.__main__ import COMMANDS, main
from bonegraph.datasets.store import Store
from bonegraph.scores import Scores
from bonegraph.training.recipes import GROUPS, RECIPES
from bonegraph.training.settings import Settings, read_settings

from .fakes import write_clip
from .runs import Ended, command, fit_arguments, unchanged, weights


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run that may be written into."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints when all is well."""
    assert main(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def config(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    loaded = yaml.safe_load(printed(capsys, "fit", *arguments, "--print_config"))
    assert isinstance(loaded, dict)
    return loaded


def test_from_nothing_to_an_answer(tmp_path: Path) -> None:
    """`prepare` writes what the other commands read; nothing but the command line is used."""
    data, run = tmp_path / "data", tmp_path / "run"
    source = tmp_path / "files"
    for number in range(24):
        write_clip(source, f"a{number % 6 + 1:02d}_s{number // 12 + 1:02d}_e00_v{number % 3 + 1:02d}")
    ended = command(["prepare", "nw-ucla", str(data), "--source", str(source), "--progress", "false"], tmp_path)
    assert ended.code == 0 and "12 clips" in ended.errors, ended.errors
    small = ["--epochs", "1", "--length.frames", "8", "--model.widths", "[16]", "--model.strides", "[1]"]
    ended = command(fit_arguments(data, run, *small, "--split", "xview"), tmp_path)
    assert ended.code == 0, ended.errors
    ended = command(["evaluate", str(run), "--progress", "false"], tmp_path)
    assert ended.code == 0 and str(run / "report.html") in ended.errors
    ended = command(["recognise", str(run), str(source / "a01_s01_e00_v01.json")], tmp_path)
    assert ended.code == 0 and len(ended.errors.splitlines()) == 6  # five actions, and that it is not calibrated


@pytest.mark.parametrize("part", ["test", "val", "train"])
def test_evaluate(run: Path, store: Path, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "evaluate", str(run), "--part", part, "--progress", "false")
    suffix = "" if part == "test" else f"-{part}"
    scores = Scores.load(run / f"scores{suffix}.npz")
    opened = Store.open(store)
    clips = opened.part("xboth-val", part)
    assert sorted(scores.ids) == sorted(opened.ids[clips])
    labels = dict(zip(opened.ids, opened.labels, strict=True))
    assert [labels[clip] for clip in scores.ids] == list(scores.labels)
    assert scores.classes == opened.classes
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1, atol=1e-5)
    report = (run / f"report{suffix}.html").read_text()
    assert "<html" in report and opened.classes[0] in report and str(run / f"report{suffix}.html") in out
    assert f"{scores.top(1):.2%}" in out


def test_evaluate_gives_the_accuracy_that_training_saw(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, "evaluate", str(run), "--part", "val", "--weights", "best", "--progress", "false")
    with (run / "metrics.csv").open(newline="") as file:
        best = max(float(row["val_accuracy"]) for row in csv.DictReader(file))
    assert Scores.load(run / "scores-val.npz").top(1) == pytest.approx(best, abs=1e-6)


def test_evaluate_twice_is_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, "evaluate", str(run), "--progress", "false", "--batch_size", "32")
    first = Scores.load(run / "scores.npz")
    printed(capsys, "evaluate", str(run), "--progress", "false", "--batch_size", "5")
    again = Scores.load(run / "scores.npz")
    assert list(first.ids) == list(again.ids)
    np.testing.assert_allclose(first.probabilities, again.probabilities, atol=1e-5)


def test_recognise_agrees_with_evaluate(run: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, "evaluate", str(run), "--progress", "false")
    scores = Scores.load(run / "scores.npz")
    for row in (0, len(scores) - 1):
        clip = str(scores.ids[row])
        out = printed(capsys, "recognise", str(run), "--data", str(store), "--clip", clip, "--top", "3")
        lines = out.splitlines()
        assert len(lines) == 3
        order = np.argsort(-scores.probabilities[row], kind="stable")
        share, action = lines[0].split(maxsplit=1)
        assert action == scores.classes[order[0]]
        assert float(share.rstrip("%")) == pytest.approx(100 * scores.probabilities[row, order[0]], abs=0.06)
        by_file = printed(capsys, "recognise", str(run / "model.safetensors"), "--data", str(store), "--clip", clip)
        assert by_file.splitlines()[:3] == lines


def test_recognise_takes_a_recording_by_its_place(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "a01_s01_e00_v03.json")
    for arguments in ([str(run), missing], [str(run), missing, "--top", "1"], [str(run), "--recording", missing]):
        assert main(["recognise", *arguments]) == 2
        assert missing in capsys.readouterr().err


def test_config_of_a_run_reads_back(run: Path, finished: Path, tmp_path: Path, store: Path) -> None:
    other = tmp_path / "other"
    quiet = ["--accelerator", "cpu", "--progress", "false"]
    assert command(["fit", str(run / "config.yaml"), "--run", str(other), *quiet], tmp_path) == Ended(
        0, f"finished: {other / 'model.safetensors'}\n"
    )
    assert (other / "config.yaml").read_text() == (finished / "config.yaml").read_text()
    assert weights(other / "model.safetensors") == weights(finished / "model.safetensors")


@pytest.mark.parametrize("name", list(RECIPES))
def test_printed_config_is_yaml_that_reads_back(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "fit", name, "--seed", "7", "--print_config")
    path = tmp_path / "printed.yaml"
    path.write_text(text)
    assert read_settings(path) == Settings.from_plain(yaml.safe_load(text))
    assert read_settings(path).seed == 7
    assert config(capsys, str(path)) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("option", "value", "loaded"),
    [
        ("optimizer.lr", "0.05", 0.05),
        ("optimizer.weight_decay", "1e-4", 1e-4),
        ("optimizer.name", "adam", "adam"),
        ("optimizer.nesterov", "false", False),
        ("optimizer.schedule", "step", "step"),
        ("optimizer.milestones", "[10, 50]", [10, 50]),
        ("optimizer.milestones", "[]", []),
        ("model.widths", "[8,8,8,8,8,8,8,8,8,9]", [8] * 9 + [9]),
        ("model.strategy", "uniform", "uniform"),
        ("model.dropout", "0.25", 0.25),
        ("length.rule", "crop-resize", "crop-resize"),
        ("length.crop", "[0.7, 1.0]", [0.7, 1.0]),
        ("transforms.stream", "bone-motion", "bone-motion"),
        ("transforms.rotate_to_body", "true", True),
        ("transforms.image", "[640, 480]", [640.0, 480.0]),
        ("transforms.image", "null", None),
        ("transforms.augment.rotation", "[1, 2, 3]", [1.0, 2.0, 3.0]),
        ("transforms.augment.scale", "[0.5, 1.5]", [0.5, 1.5]),
        ("transforms.augment.moving", "true", True),
        ("epochs", "3", 3),
        ("batch_size", "4", 4),
        ("people", "1", 1),
        ("precision", "64-true", "64-true"),
        ("seed", "9", 9),
        ("split", "xsub", "xsub"),
        ("workers", "2", 2),
    ],
)
def test_any_field_can_be_given(option: str, value: str, loaded: object, capsys: pytest.CaptureFixture[str]) -> None:
    plain = config(capsys, "demo", f"--{option}", value)
    found = plain
    for key in option.split("."):
        found = found[key]
    assert found == loaded
    before = config(capsys, "demo")
    for key in option.split(".")[:-1]:
        plain, before = plain[key], before[key]
    last = option.split(".")[-1]
    assert {**plain, last: None} == {**before, last: None}  # nothing else moved


def test_every_field_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "demo", "--help"])
    text = capsys.readouterr().out

    def options(plain: dict[str, Any], before: str = "") -> list[str]:
        return [
            name
            for field, value in plain.items()
            for name in (options(value, f"{before}{field}.") if isinstance(value, dict) else [f"{before}{field}"])
        ]

    for option in options(config(capsys, "demo")):
        assert option in ("recipe", "model.name") or f"--{option} " in text, option


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_other_precision(store: Path, tmp_path: Path, precision: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    arguments = fit_arguments(store, run, "--precision", precision, "--epochs", "1")
    ended = command(arguments, tmp_path)
    assert ended.code == 0, ended.errors
    printed(capsys, "evaluate", str(run), "--progress", "false")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_help_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert f"bonegraph {name}" in out.split("xamples:", 1)[1]
    assert "Traceback" not in out


def test_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        out = printed(capsys, *arguments)
        assert all(name in out for name in COMMANDS)
    assert printed(capsys, "--version").startswith("bonegraph ")
    assert all(name in printed(capsys, "recipes") for name in RECIPES)


def test_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "picture.png"
    printed(capsys, "draw", "sbu15", "--out", str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_evaluate_an_unfinished_run(run: Path, tmp_path: Path) -> None:
    (run / "model.safetensors").unlink()
    with unchanged(run):
        line = command(["evaluate", str(run)], tmp_path).line()
    assert f"bonegraph fit {run}/config.yaml --run {run}" in line


def test_module_runs_without_a_warning(tmp_path: Path) -> None:
    """And its output may be cut short by a pipe."""
    done = subprocess.run(
        f"'{sys.executable}' -W error -m bonegraph recipes | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert (done.stdout, done.stderr) == (f"{next(iter(GROUPS))}\n", "")


def test_stopped_while_a_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which takes seconds for some, whose libraries are large."""
    monkeypatch.delitem(sys.modules, "bonegraph.commands.recipes", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Stopping(), *sys.meta_path])
    assert main(["recipes"]) == 130
    assert capsys.readouterr().err == "\nbonegraph recipes: stopped\n"


class Stopping:
    """Somebody presses Ctrl-C at the import of a command."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "bonegraph.commands.recipes":
            signal.raise_signal(signal.SIGINT)
