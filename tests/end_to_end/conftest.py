"""A tiny prepared store and one finished run, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.synthetic import Synthetic

from .runs import command, fit_arguments


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """192 clips: 64 to train on, 32 to validate, 16 to test."""
    folder = tmp_path_factory.mktemp("data") / "synthetic"
    prepare(Synthetic(subjects=4, replications=1), None, folder, workers=1, progress=False)
    return folder


@pytest.fixture(scope="session")
def finished(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody interrupted. Tests that write into a run folder take a copy."""
    folder = tmp_path_factory.mktemp("finished")
    ended = command(fit_arguments(store, folder / "run"), folder)
    assert ended.code == 0, ended.errors
    return folder / "run"
