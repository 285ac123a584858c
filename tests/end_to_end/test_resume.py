"""A run that is killed, stopped or out of disk, and started again, ends like one that nobody touched: bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from bonegraph.__main__ import main
from bonegraph.files import held

from .runs import EPOCHS, command, curves, finish, fit_arguments, kill, same, start, unchanged, wait_for, weights


def rows(run: Path) -> int:
    return len(curves(run)) if (run / "metrics.csv").is_file() else 0


def kill_in_write(arguments: list[str], run: Path, name: str, log: Path) -> None:
    """Kill a run when half of a file is written."""
    process = start(arguments, log, slow=True)
    wait_for(lambda: any(run.rglob(f".{name}.{process.pid}.tmp")), process)
    time.sleep(0.02)
    kill(process)
    assert any(run.rglob(f".{name}.{process.pid}.tmp"))  # it was hit in time


def test_the_run_is_worth_the_test(finished: Path) -> None:
    """Otherwise equal weights would say little."""
    table = curves(finished)
    assert len(table) == EPOCHS
    assert len({row["lr"] for row in table}) == EPOCHS
    assert float(table[-1]["train_loss"]) < float(table[0]["train_loss"])
    assert len({row["val_accuracy"] for row in table}) > 1
    assert weights(finished / "model.safetensors")[1] != weights(finished / "checkpoints/best.safetensors")[1]
    settings = yaml.safe_load((finished / "config.yaml").read_text())
    assert settings["model"]["dropout"] == 0.3 and settings["transforms"]["augment"]["rotation"] != [0, 0, 0]


def test_killed_while_writing_each_file(store: Path, finished: Path, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    arguments = fit_arguments(store, run)
    for name in ("config.yaml", "best.safetensors", "metrics.csv", "last.ckpt"):
        kill_in_write(arguments, run, name, log)
    assert not (run / "checkpoints/last.ckpt").exists()
    process = start(arguments, log, slow=True)
    wait_for(lambda: rows(run) >= 3, process)
    kill(process)
    whole = (run / "checkpoints/last.ckpt").read_bytes()
    kill_in_write(arguments, run, "last.ckpt", log)
    assert (run / "checkpoints/last.ckpt").read_bytes() == whole
    kill_in_write(arguments, run, "model.safetensors", log)
    assert not (run / "model.safetensors").exists()
    assert command(arguments, tmp_path).code == 0
    same(run, finished)


def test_killed_at_random_moments(store: Path, finished: Path, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    arguments = fit_arguments(store, run)
    chance = random.Random(4)
    last = run / "checkpoints/last.ckpt"

    def kept() -> int:
        return last.stat().st_mtime_ns if last.exists() else 0

    for kills in range(10):
        process = start(arguments, log, slow=True)
        before = kept()
        if kills % 2:  # from time to time a kill must not come before there is progress
            wait_for(lambda: not process.is_alive() or kept() != before)  # noqa: B023
        process.join(chance.uniform(0, 0.8))
        kill(process)
    assert command(arguments, tmp_path).code == 0
    same(run, finished)


def test_killed_command(store: Path, finished: Path, tmp_path: Path) -> None:
    """The real thing: an interpreter of its own, killed with all it started."""
    run = tmp_path / "run"
    arguments = fit_arguments(store, run)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "bonegraph", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    wait_for(lambda: rows(run) >= 1 or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(120) == -signal.SIGKILL, (tmp_path / "log").read_text()
    assert 1 <= rows(run) <= EPOCHS
    assert command(arguments, tmp_path).code == 0
    same(run, finished)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand(store: Path, finished: Path, tmp_path: Path, number: signal.Signals) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    arguments = fit_arguments(store, run)
    process = start(arguments, log, slow=True)
    wait_for(lambda: rows(run) >= 2, process)
    assert process.pid is not None
    os.kill(process.pid, number)
    ended = finish(process, log)
    assert ended.code == 130, ended
    assert ended.errors.strip() == "bonegraph fit: stopped; the same command goes on from the last finished epoch."
    kept = rows(run)
    assert 2 <= kept < EPOCHS
    assert not list(run.rglob(".*.tmp"))
    assert command(arguments, tmp_path).code == 0
    same(run, finished)


def test_full_disk(store: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = fit_arguments(store, run)
    needed = (finished / "checkpoints/last.ckpt").stat().st_size
    assert needed > (finished / "checkpoints/best.safetensors").stat().st_size
    line = command(arguments, tmp_path, limit=needed // 2 * 2 - 1000).line()
    assert "File too large" in line and "last.ckpt" in line and "make room" in line
    process = start(arguments, tmp_path / "log", slow=True)
    wait_for(lambda: rows(run) >= 3, process)
    kill(process)
    whole = (run / "checkpoints/last.ckpt").read_bytes()
    line = command(arguments, tmp_path, limit=needed // 2 * 2 - 1000).line()
    assert "last.ckpt" in line
    assert (run / "checkpoints/last.ckpt").read_bytes() == whole
    assert command(arguments, tmp_path).code == 0
    same(run, finished)


def test_full_disk_at_the_end(store: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "model.safetensors").unlink()
    arguments = fit_arguments(store, run)
    line = command(arguments, tmp_path, limit=10_000).line()
    assert "File too large" in line and "model.safetensors" in line and ".tmp" not in line
    assert command(arguments, tmp_path).code == 0
    same(run, finished)


def test_a_finished_run_is_left_alone(store: Path, finished: Path, tmp_path: Path) -> None:
    with unchanged(finished):
        ended = command(fit_arguments(store, finished), tmp_path)
    assert ended == (0, f"finished: {finished / 'model.safetensors'}\n")


def test_epochs_without_validation_have_no_numbers_of_an_earlier_one(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = fit_arguments(store, run, "--validate_every", "2")
    process = start(arguments, tmp_path / "log", slow=True)
    wait_for(lambda: rows(run) >= 2, process)
    kill(process)
    assert command(arguments, tmp_path).code == 0
    assert [row["val_loss"] != "" for row in curves(run)] == [False, True] * (EPOCHS // 2)


def test_damaged_checkpoint_of_the_run(store: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "model.safetensors").unlink()
    last = run / "checkpoints/last.ckpt"
    for data in (last.read_bytes()[:-5000], b"", b"nonsense" * 100):
        last.write_bytes(data)
        line = command(fit_arguments(store, run), tmp_path).line()
        assert "last.ckpt' is damaged; delete it" in line
        assert last.read_bytes() == data
    last.unlink()
    assert command(fit_arguments(store, run), tmp_path).code == 0
    assert weights(run / "model.safetensors") == weights(finished / "model.safetensors")


def test_a_run_from_before_a_tensor_was_renamed(store: Path, finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "model.safetensors").unlink()
    last = run / "checkpoints/last.ckpt"
    content = torch.load(last, weights_only=True)
    content["state_dict"]["model.graph"] = content["state_dict"].pop("model.adjacency")
    torch.save(content, last)
    assert command(fit_arguments(store, run), tmp_path).code == 0
    assert weights(run / "model.safetensors") == weights(finished / "model.safetensors")


def test_two_runs_at_once(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with held(run, "taken"):
        assert main(fit_arguments(store, run)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "another run is training in" in line
    assert list(run.iterdir()) == []
