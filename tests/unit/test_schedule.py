"""The learning rate is a function of the step: its shape, its ends, and what it refuses."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonegraph.training.schedule import Optimizer


def rates(optimizer: Optimizer, steps: int, epochs: int) -> list[float]:
    return [optimizer.rate(step, steps, epochs) for step in range(steps * epochs)]


def test_steps_fall_at_their_milestones() -> None:
    found = rates(Optimizer(lr=0.1, schedule="step", milestones=(2, 5), factor=0.1), 3, 6)
    assert found == pytest.approx([0.1] * 6 + [0.01] * 9 + [0.001] * 3)


def test_cosine_falls_from_the_top_to_zero() -> None:
    found = rates(Optimizer(lr=0.2, schedule="cosine"), 4, 5)
    assert found[0] == 0.2
    assert found[10] == pytest.approx(0.1)
    assert all(after < before for before, after in pairwise(found))
    assert found == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 20)) for step in range(20)])
    assert Optimizer(lr=0.2, schedule="cosine").rate(20, 4, 5) == pytest.approx(0)


def test_constant() -> None:
    assert set(rates(Optimizer(lr=0.3, schedule="constant"), 2, 3)) == {0.3}


@pytest.mark.parametrize("schedule", ["constant", "step"])
def test_warm_up_is_a_straight_line(schedule: str) -> None:
    optimizer = Optimizer(lr=0.1, schedule=schedule, milestones=(4,), warmup_epochs=2)  # type: ignore[arg-type]
    found = rates(optimizer, 5, 6)
    assert found[:10] == pytest.approx([0.01 * (step + 1) for step in range(10)])
    assert found[10] == 0.1


def test_warm_up_may_end_inside_an_epoch() -> None:
    found = rates(Optimizer(lr=1.0, schedule="constant", warmup_epochs=0.5), 4, 2)
    assert found == pytest.approx([0.5, 1.0, 1, 1, 1, 1, 1, 1])


@given(
    st.sampled_from(["step", "cosine", "constant"]),
    st.floats(1e-6, 10),
    st.floats(0, 20),
    st.integers(1, 30),
    st.integers(1, 12),
)
def test_rates_stay_between_zero_and_the_top(schedule: str, lr: float, warmup: float, steps: int, epochs: int) -> None:
    optimizer = Optimizer(lr=lr, schedule=schedule, warmup_epochs=warmup, milestones=(3, 7))  # type: ignore[arg-type]
    found = rates(optimizer, steps, epochs)
    assert all(0 < rate <= lr for rate in found)
    assert found == rates(optimizer, steps, epochs)  # no state


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("lr", 0.0, "lr must be above 0, got 0.0"),
        ("lr", -1.0, "lr must be above 0"),
        ("lr", math.nan, "lr must be above 0, got nan"),
        ("momentum", -0.1, "momentum must be at least 0, got -0.1"),
        ("weight_decay", -1e-4, "weight_decay must be at least 0"),
        ("warmup_epochs", -1.0, "warmup_epochs must be at least 0"),
        ("clip_norm", -2.0, "clip_norm must be at least 0"),
        ("milestones", (5, 3), r"milestones must grow, got \(5, 3\)"),
        ("milestones", (3, 3), "milestones must grow"),
        ("label_smoothing", 1.0, "below 1, got 1.0"),
        ("label_smoothing", -0.1, "at least 0"),
    ],
)
def test_nonsense(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Optimizer(**{field: value})  # type: ignore[arg-type]
