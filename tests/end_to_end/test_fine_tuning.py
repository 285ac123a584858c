"""Begin with the weights of a run, train the last layer alone, and add STF's losses, from the command line."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bonegraph.__main__ import main
from bonegraph.models.checkpoint import load_checkpoint

from .runs import fit_arguments

SMALL = "--model.widths [6,8] --model.strides [1,2] --model.dilations [1,2] --model.gcn_scales 2 --model.g3d_scales 2"
COMMON = f"{SMALL} --split xboth-val --length.frames 8 --epochs 1 --accelerator cpu --progress false"


def fit(recipe: str, store: Path, run: Path, *more: str) -> None:
    arguments = ["fit", recipe, "--data", str(store), "--run", str(run), *COMMON.split(), *more]
    assert main(arguments) == 0


@pytest.fixture(scope="module")
def base(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("base") / "run"
    fit("msg3d-sbu", store, run, "--precision", "32-true", "--seed", "1")
    return run


def test_a_run_starts_from_another(store: Path, base: Path, tmp_path: Path) -> None:
    fit(
        "msg3d-sbu",
        store,
        tmp_path / "run",
        "--precision",
        "32-true",
        "--start",
        str(base),
        "--optimizer.lr",
        "1e-9",
        "--optimizer.warmup_epochs",
        "0",
    )
    before, after = (load_file(run / "model.safetensors") for run in (base, tmp_path / "run"))
    weights = [name for name in before if "running" not in name and "tracked" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in weights)
    _, meaning = load_checkpoint(tmp_path / "run" / "model.safetensors")
    assert meaning.made["start"] == str(base)


def test_the_last_layer_alone(store: Path, base: Path, tmp_path: Path) -> None:
    fit("msg3d-sbu", store, tmp_path / "run", "--precision", "32-true", "--start", str(base), "--train", "head")
    before, after = (load_file(run / "model.safetensors") for run in (base, tmp_path / "run"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}


def test_focus_losses_train_and_resume(store: Path, base: Path, tmp_path: Path) -> None:
    """One option attaches them; the run goes on after its first epoch as if it had not stopped."""
    more = ("--focus.explore", "0.01", "--focus.diverge", "0.1", "--focus.cohere", "0.1", "--start", str(base))
    fit("msg3d-sbu", store, tmp_path / "run", *more, "--precision", "bf16-mixed")
    plain, focused = (load_file(run / "model.safetensors") for run in (base, tmp_path / "run"))
    assert not torch.equal(plain["head.weight"], focused["head.weight"])
    assert all(value.isfinite().all() for value in focused.values())


def test_one_line_for_what_does_not_fit(
    store: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more, message in (
        (("--start", str(tmp_path / "nowhere")), "no checkpoint"),
        (("--start", str(base), "--model.widths", "[6,12]"), "cannot start from"),
        (("--focus.embed", "0.1"), "no embeddings to supervise"),
        (("--focus.diverge", "-1"), "at least 0"),
    ):
        arguments = ["fit", "msg3d-sbu", "--data", str(store), "--run", str(tmp_path / "run"), *COMMON.split(), *more]
        assert main(arguments) == 2
        errors = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        assert len(errors) == 1 and message in errors[0], errors


def test_starting_needs_the_same_kind_of_model(
    store: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*fit_arguments(store, tmp_path / "run"), "--start", str(base)]) == 2
    assert "start from a model of the same kind" in capsys.readouterr().err
