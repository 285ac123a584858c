"""Watching the test part measures what 'evaluate' measures, and changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bonegraph.__main__ import main
from bonegraph.scores import Scores

from .runs import EPOCHS, command, curves, fit_arguments, kill, start, wait_for, weights


@pytest.fixture(scope="module")
def watched(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run 'finished', watched; killed once on the way."""
    folder = tmp_path_factory.mktemp("watched")
    run, log = folder / "run", folder / "log"
    arguments = fit_arguments(store, run, "--watch_test", "true")
    process = start(arguments, log, slow=True)
    wait_for(lambda: (run / "metrics.csv").is_file() and len(curves(run)) >= 2, process)
    kill(process)
    ended = command(arguments, folder)
    assert ended.code == 0, ended.errors
    return run


def test_the_weights_and_the_other_curves_are_those_of_an_unwatched_run(watched: Path, finished: Path) -> None:
    for name in ("model.safetensors", "checkpoints/best.safetensors"):
        assert weights(watched / name) == weights(finished / name)
    table = curves(watched)
    assert len(table) == EPOCHS and all(row["test_accuracy"] for row in table)
    assert [{**row, "test_accuracy": ""} for row in table] == curves(finished)


def test_it_measures_what_evaluate_measures(watched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(watched, tmp_path / "run")
    assert main(["evaluate", str(tmp_path / "run"), "--progress", "false"]) == 0, capsys.readouterr().err
    test = [float(row["test_accuracy"]) for row in curves(watched)]
    assert test[-1] == pytest.approx(Scores.load(tmp_path / "run/scores.npz").top(1), abs=1e-5)
    report = (tmp_path / "run/report.html").read_text()
    assert f"best on test (epoch {test.index(max(test))})" in report
    assert "chosen on the test part, not an honest figure" in report


def test_a_split_without_a_test_part(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from .fakes import write_clip

    source = tmp_path / "files"
    for number in range(6):
        write_clip(source, f"a01_s{number + 1:02d}_e00_v{number % 3 + 1:02d}")
    assert main(["prepare", "nw-ucla", str(tmp_path / "data"), "--source", str(source), "--progress", "false"]) == 0
    arguments = fit_arguments(tmp_path / "data", tmp_path / "run", "--split", "xview-select", "--watch_test", "true")
    assert main(arguments) == 2
    assert "has no part 'test'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
