"""Calibration against naive loops and another minimiser, and what it makes of a store."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from bonegraph.inference.calibration import (
    COLDEST,
    HOTTEST,
    calibration_error,
    keeping,
    mixed,
    negative_log_likelihood,
    separating,
    temperature_of,
)
from bonegraph.models.checkpoint import Calibration, load_checkpoint, write_calibration


def scored(count: int, test_clips: int, scale: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are right more often than not, and too sure by a factor."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=random)
    logits = torch.randn(count, test_clips, 4, generator=random)
    logits[torch.arange(count), :, labels] += 1.0
    return logits * scale, labels


def naive_loss(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    total = 0.0
    for clips, label in zip(logits.double().tolist(), labels.tolist(), strict=True):
        probability = 0.0
        for values in clips:
            exps = [math.exp(value / temperature - max(values) / temperature) for value in values]
            probability += exps[label] / sum(exps) / len(clips)
        total -= math.log(probability)
    return total / len(labels)


@pytest.mark.parametrize("test_clips", [1, 3])
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_of_the_lowest_likelihood(test_clips: int, scale: float) -> None:
    logits, labels = scored(60, test_clips, scale)
    found = temperature_of(logits, labels)
    best = minimize_scalar(
        lambda t: naive_loss(logits, labels, t), bounds=(COLDEST, HOTTEST), method="bounded", options={"xatol": 1e-5}
    )
    assert found == pytest.approx(best.x, rel=1e-3)
    assert naive_loss(logits, labels, found) <= best.fun + 1e-9
    assert negative_log_likelihood(mixed([logits.double()], [found]), labels) == pytest.approx(
        naive_loss(logits, labels, found)
    )


def test_temperature_goes_with_the_logits() -> None:
    logits, labels = scored(200, 1, 1.0)
    assert temperature_of(logits * 3, labels) == pytest.approx(3 * temperature_of(logits, labels), rel=1e-3)


def test_where_no_answer_is_wrong_the_temperature_stays() -> None:
    logits = torch.eye(4)[:, None] * 2
    assert temperature_of(logits, torch.arange(4)) == 1


def test_expected_calibration_error() -> None:
    logits, labels = scored(300, 1, 3.0)
    probabilities = logits[:, 0].softmax(dim=1)
    confidence, answer = probabilities.double().max(dim=1)
    total = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        rows = [row for row in range(300) if low < confidence[row] <= high]
        if rows:
            accuracy = sum(float(answer[row] == labels[row]) for row in rows) / len(rows)
            total += len(rows) / 300 * abs(accuracy - sum(float(confidence[row]) for row in rows) / len(rows))
    assert calibration_error(probabilities, labels) == pytest.approx(total)
    assert calibration_error(torch.eye(3), torch.arange(3)) == 0
    assert calibration_error(torch.eye(3), (torch.arange(3) + 1) % 3) == 1


def test_a_threshold_that_keeps() -> None:
    confidence = torch.arange(1, 21) / 20
    for share in (1.0, 0.95, 0.9, 0.5, 0.01):
        threshold = keeping(confidence[torch.randperm(20)], share)
        assert float((confidence >= threshold).double().mean()) >= share - 1e-9
        assert float((confidence >= threshold + 1e-6).double().mean()) < share
    assert keeping(torch.tensor([0.7]), 0.95) == pytest.approx(0.7)


def test_a_threshold_that_separates() -> None:
    random = np.random.default_rng(0)
    for known, unknown in (
        (random.uniform(0.4, 1, 30), random.uniform(0.2, 0.8, 20)),
        (np.array([0.9, 0.9]), np.array([0.1])),
        (np.array([0.3]), np.array([0.9])),
        (np.array([0.5]), np.array([0.5])),
    ):
        found = separating(torch.from_numpy(known), torch.from_numpy(unknown))
        tried = np.linspace(0, 1, 5001)
        best = max((known >= t).mean() + (unknown < t).mean() for t in tried)
        assert (known >= found).mean() + (unknown < found).mean() == pytest.approx(best)
        assert 0 <= found <= 1


def test_writing_leaves_the_weights_alone(finished: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "model.safetensors"
    path.write_bytes((finished / "model.safetensors").read_bytes())
    _, before = load_checkpoint(path)
    calibration = Calibration(2.0, 0.5, 1, 9, "some clips")
    write_calibration(path, calibration)
    write_calibration(path, calibration)
    _, after = load_checkpoint(path)
    assert after.calibration == calibration and before.calibration is None
    with safe_open(path, framework="pt") as new, safe_open(finished / "model.safetensors", framework="pt") as old:
        assert all(torch.equal(new.get_tensor(name), old.get_tensor(name)) for name in old.keys())  # noqa: SIM118
        about = dict(new.metadata())
        del about["calibration"]
        assert about == dict(old.metadata())
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
