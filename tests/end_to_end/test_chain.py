"""STF as one command: a base, two networks from it, their mean; interrupted anywhere, it goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.store import Store
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.scores import Scores
from bonegraph.training.recipes import stf
from bonegraph.training.settings import read_settings

from .runs import command, kill, start, wait_for, weights

SMALL = (
    "--model.widths [6,8] --model.strides [1,2] --model.dilations [1,2] --model.gcn_scales 2 --model.g3d_scales 2 "
    "--model.windows [3] --split xboth-val --length.frames 8 --epochs 2 --tuning.epochs 2 --precision 32-true "
    "--accelerator cpu --progress false"
)
NAMES = ("base", "explore", "focus")


def arguments(store: Path, run: Path, *more: str) -> list[str]:
    return ["fit", "stf-demo", "--data", str(store), "--run", str(run), *SMALL.split(), *more]


def unfinished(run: Path) -> list[str]:
    return [name for name in NAMES if not (run / name / "model.safetensors").is_file()]


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain that nobody interrupted."""
    folder = tmp_path_factory.mktemp("chain")
    ended = command(arguments(store, folder / "run"), folder)
    assert ended.code == 0, ended.errors
    lines = [f"{number} of 3: {name}" for number, name in enumerate(NAMES, start=1)]
    assert ended.errors.splitlines()[:3] == lines
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def test_each_network_starts_from_the_base_with_its_own_losses(trained: Path) -> None:
    base, explore, focus = (read_settings(trained / name / "config.yaml") for name in NAMES)
    assert type(base.model).__module__ == "bonegraph.models.msg3d" and not base.focus.any and base.start == ""
    for settings, loss in ((explore, stf.NETWORKS["explore"]), (focus, stf.NETWORKS["focus"])):
        assert type(settings.model).__module__ == "bonegraph.models.stf"
        assert settings.focus == loss and settings.start == str(trained / "base")
        assert (settings.epochs, settings.optimizer.lr, settings.tuning.networks) == (2, 1e-3, {})
    whole = read_settings(trained / "chain.yaml")
    assert whole.tuning.networks == stf.NETWORKS and whole.tuning.epochs == 2


@pytest.mark.parametrize("left", [1, 2])
def test_a_killed_chain_goes_on_to_the_same_weights(store: Path, trained: Path, tmp_path: Path, left: int) -> None:
    """Killed within its second and its third training."""
    run, log = tmp_path / "run", tmp_path / "log"
    process = start(arguments(store, run), log, slow=True)
    wait_for(lambda: (run / NAMES[left] / "checkpoints/last.ckpt").is_file(), process)
    kill(process)
    assert unfinished(run)[0] == NAMES[left]
    ended = command(arguments(store, run), tmp_path)
    assert ended.code == 0, ended.errors
    for name in NAMES:
        assert weights(run / name / "model.safetensors")[1] == weights(trained / name / "model.safetensors")[1]


def test_the_answer_is_the_mean_of_the_networks(store: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--progress", "false"]) == 0
    printed = capsys.readouterr().out
    table = (run / "chain.md").read_text()
    assert table.splitlines()[-1].startswith("| mean of explore and focus |") and table.splitlines()[-1] in printed
    assert len(table.splitlines()) == 8  # title, blank, head, rule, base, two networks, mean
    explore, focus, both = (Scores.load(run / name / "scores.npz") for name in ("explore", "focus", "."))
    np.testing.assert_allclose(both.probabilities, (explore.probabilities + focus.probabilities) / 2, atol=1e-6)
    assert "the mean of the probabilities of explore and focus" in (run / "report.html").read_text()
    opened = Store.open(store)
    clip = opened.find(str(both.ids[0]))
    answers = {answer.action: answer.probability for answer in Recogniser.load(run)(opened.sequence(clip))}
    for number, action in enumerate(both.classes):
        assert answers[action] == pytest.approx(float(both.probabilities[0, number]), abs=1e-4)
    capsys.readouterr()
    assert main(["compare", str(run / "base"), str(run)]) == 0  # Fig. 3: differences by class
    assert "raise arm" in capsys.readouterr().out


def test_joints_and_bones(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """J, B and J+B: a chain for each stream, and the mean of four networks."""
    run = tmp_path / "run"
    more = ("--streams", "joint", "bone", "--epochs", "1", "--tuning.epochs", "1")
    assert main(arguments(store, run, *more)) == 0
    assert main(["evaluate", str(run), "--progress", "false"]) == 0
    joint, bone, fused = (Scores.load(run / name) for name in ("joint/scores.npz", "bone/scores.npz", "fused-2s.npz"))
    np.testing.assert_allclose(fused.probabilities, (joint.probabilities + bone.probabilities) / 2, atol=1e-6)
    recogniser = Recogniser.load(run)
    assert len(recogniser.others) == 3
    opened = Store.open(store)
    answers = recogniser(opened.sequence(opened.find(str(fused.ids[0]))))
    assert answers[0].probability == pytest.approx(float(fused.probabilities[0].max()), abs=1e-4)


def test_from_weights_that_are_there_with_a_channel_for_who_is_seen(store: Path, trained: Path, tmp_path: Path) -> None:
    """Three channels of the base, four of the networks: the fourth begins without effect."""
    run = tmp_path / "run"
    more = ("--start", str(trained / "base"), "--transforms.visibility", "true", "--model.in_channels", "4")
    networks = ("--tuning.networks", "{explore: {explore: 0.01}}", "--tuning.epochs", "1")
    assert main(arguments(store, run, *more, *networks)) == 0
    assert {path.name for path in run.iterdir()} == {"explore", "chain.yaml"}
    model, meaning = load_checkpoint(run / "explore/model.safetensors")
    assert model.config.in_channels == 4 and meaning.transforms.visibility  # type: ignore[union-attr]
    assert main(["evaluate", str(run), "--progress", "false"]) == 0


def test_one_line_for_what_does_not_fit(
    store: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def complaint(*given: str) -> str:
        assert main([*given]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "holds a run and no chain" in complaint(*arguments(store, run / "base"))
    nothing = arguments(store, tmp_path / "x", "--tuning.epochs", "0")
    assert "tuning.epochs must be at least 1, got 0" in complaint(*nothing)
    assert "cannot be called 'base'" in complaint(
        *arguments(store, tmp_path / "x", "--tuning.networks", "{base: {explore: 0.01}}")
    )
    assert main(arguments(store, run)) == 0  # a copy is the same run
    assert "holds a run with epochs 2, but 3 was asked for" in complaint(*arguments(store, run, "--tuning.epochs", "3"))
    assert "holds a run and no streams" in complaint(*arguments(store, run, "--streams", "joint"))
    capsys.readouterr()
    shutil.copy(run / "focus/model.safetensors", run / "base/model.safetensors")
    assert "holds a run with start" in complaint(*arguments(store, run))
    (run / "focus/model.safetensors").unlink()
    assert "is not finished" in complaint("evaluate", str(run))
    (run / "chain.yaml").write_text("tuning: {networks: {../base: {}}}\n")
    assert "names no networks" in complaint("evaluate", str(run))
