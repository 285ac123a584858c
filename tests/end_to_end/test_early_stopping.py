"""A run with ``patience`` ends where its validation says so, whether or not it was interrupted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .runs import command, curves, fit_arguments, kill, same, start, wait_for

PATIENCE = 2
MORE = ("--patience", str(PATIENCE), "--epochs", "40", "--optimizer.lr", "0.5", "--optimizer.schedule", "constant")


def rows(run: Path) -> int:
    return len(curves(run)) if (run / "metrics.csv").is_file() else 0


@pytest.fixture(scope="module")
def stopped(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("stopped")
    ended = command(fit_arguments(store, folder / "run", *MORE), folder)
    assert ended.code == 0, ended.errors
    return folder / "run"


def test_it_ends_after_so_many_validations_without_a_lower_loss(stopped: Path) -> None:
    losses = [float(row["val_loss"]) for row in curves(stopped)]
    assert PATIENCE < len(losses) < 40
    assert len(losses) - 1 - losses.index(min(losses)) == PATIENCE
    waited, lowest = 0, float("inf")
    for loss in losses[:-1]:  # it did not end too late
        waited = 0 if loss < lowest else waited + 1
        lowest = min(loss, lowest)
        assert waited < PATIENCE


def test_killed_on_the_way(store: Path, stopped: Path, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    arguments = fit_arguments(store, run, *MORE)
    for least in (1, rows(stopped) - 1):
        process = start(arguments, log, slow=True)
        wait_for(lambda: rows(run) >= least, process)  # noqa: B023
        kill(process)
    assert command(arguments, tmp_path).code == 0
    same(run, stopped)


def test_killed_after_its_last_epoch(store: Path, stopped: Path, tmp_path: Path) -> None:
    """It must not train one more."""
    run = tmp_path / "run"
    shutil.copytree(stopped, run)
    (run / "model.safetensors").unlink()
    assert command(fit_arguments(store, run, *MORE), tmp_path).code == 0
    same(run, stopped)


def test_a_loss_that_is_no_number_does_not_train_on(store: Path, tmp_path: Path) -> None:
    arguments = fit_arguments(store, tmp_path / "run", *MORE, "--optimizer.lr", "1e30", "--optimizer.clip_norm", "0")
    ended = command(arguments, tmp_path)
    assert ended.code == 0, ended.errors
    assert rows(tmp_path / "run") <= PATIENCE + 2


def test_without_a_validation_part(store: Path, tmp_path: Path) -> None:
    line = command(fit_arguments(store, tmp_path / "run", *MORE, "--split", "xboth"), tmp_path).line()
    assert "patience 2 needs a part 'val' with clips, which the split 'xboth' of 'synthetic' lacks" in line
    assert not (tmp_path / "run").exists()
