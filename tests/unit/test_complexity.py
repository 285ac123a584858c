"""Counts of small networks by hand, and those of the models against the numbers that are published for them."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bonegraph.models.base import ActionModel
from bonegraph.models.complexity import complexity, latencies
from bonegraph.models.registry import MODELS, VARIANTS, build
from bonegraph.models.stgcn import STGCN, Config, released
from bonegraph.skeleton import SKELETONS

BODY = SKELETONS["sbu15"]
T, V, M, C = 6, 15, 2, 3


class Tiny(ActionModel):
    """A model that is one function."""

    def __init__(self, function: Callable[[Tensor], Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.config, self.skeleton = SimpleNamespace(in_channels=C), BODY
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """(1, C, T, V, M) in rows of people (M, C, T, V)."""
        return self.function(x[0].permute(3, 0, 1, 2))


def of_module(module: nn.Module) -> Tiny:
    return Tiny(module, module)


def product_of(*shape: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x @ torch.ones(shape, device=x.device)


COUNTS: dict[str, tuple[Tiny, int]] = {
    "1x1 convolution": (of_module(nn.Conv2d(C, 8, 1)), M * T * V * C * 8),
    "strided": (of_module(nn.Conv2d(C, 8, (5, 1), (2, 1), (2, 0))), M * (T // 2) * V * C * 8 * 5),
    "dilated": (of_module(nn.Conv2d(C, 8, (3, 1), padding=(2, 0), dilation=(2, 1))), M * T * V * C * 8 * 3),
    "grouped": (of_module(nn.Conv2d(C, 6, (3, 1), padding=(1, 0), groups=3)), M * T * V * 6 * 3),
    "matrix": (Tiny(product_of(V, 7)), M * C * T * V * 7),
    "batch of matrices": (Tiny(product_of(M, C, V, 7)), M * C * T * V * 7),
    "broadcast": (Tiny(lambda x: torch.ones(4, T, device=x.device) @ x), M * C * 4 * T * V),
    "einsum": (Tiny(lambda x: torch.einsum("mctv,mctw->mvw", x, x)), M * V * V * C * T),
    "linear": (of_module(nn.Linear(V, 4)), M * C * T * V * 4),
    "1d": (Tiny(lambda x: nn.functional.conv1d(x[:, 0], torch.ones(5, T, 3, device=x.device))), M * 5 * T * 3 * 13),
    "nothing": (Tiny(lambda x: torch.relu(x * 2 + 1).mean(dim=(2, 3)).softmax(dim=1)), 0),
    "pooling": (of_module(nn.Sequential(nn.BatchNorm2d(C), nn.MaxPool2d((3, 1), 1, (1, 0)))), 0),
}


@pytest.mark.parametrize("name", COUNTS)
def test_multiply_adds_of_one_operation(name: str) -> None:
    model, expected = COUNTS[name]
    count = complexity(model, T, M)
    assert count.multiply_adds == expected
    assert count.flops == 2 * expected
    assert count.parameters == sum(value.numel() for value in model.parameters())


def test_multiply_adds_of_a_unit_of_stgcn() -> None:
    """K·V sources for each joint and channel, a 1x1 and a Γx1 convolution, and the last layer."""
    subsets, before, after, gamma, classes = 3, 3, 4, 5, 7
    config = Config(before, (after,), (1,), temporal_kernel=gamma)
    model = STGCN(config, BODY, classes)
    rows = M * T * V
    expected = rows * V * subsets * before + rows * subsets * before * after + rows * after * after * gamma
    expected += subsets * after * V + after * classes  # the bias that reaches a joint depends on its neighbours
    assert complexity(model, T, M).multiply_adds == expected


SIZE = 4 * C * T * V * M


def chain(x: Tensor) -> Tensor:
    """Two are alive at a time, and the clip."""
    for _ in range(5):
        x = x + 1
    return x


def widest(x: Tensor) -> Tensor:
    """The clip, four of it, and their sum."""
    return torch.cat([x, x, x, x]).sum(dim=0) + 1


def both_kept(x: Tensor) -> Tensor:
    first, second = x + 1, x + 2
    return first * second


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x, SIZE),
        (lambda x: x.transpose(1, 2)[:, 1:].flatten(2, 2).relu_(), SIZE),  # views, and in place
        (lambda x: x + 1, 2 * SIZE),
        (chain, 3 * SIZE),
        (widest, 5 * SIZE + SIZE // M),
        (both_kept, 4 * SIZE),
    ],
)
def test_memory_of_results(function: Callable[[Tensor], Tensor], expected: int) -> None:
    assert complexity(Tiny(function), T, M).activation_bytes == expected


class Turned(nn.Linear):
    """Uses its weight through views."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight.t()[0].view(1, 1, V)


@pytest.mark.parametrize("layer", [nn.Conv2d(C, C, 1, bias=False), Turned(V, V)])
def test_weights_and_their_views_are_no_activations(layer: nn.Module) -> None:
    assert complexity(of_module(layer), T, M).activation_bytes == 2 * SIZE


def test_the_model_stays_as_it_was() -> None:
    model = STGCN(Config(widths=(4, 4), strides=(1, 2)), BODY, 3).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    weight = model.head.weight
    complexity(model, T, M)
    assert model.training
    assert model.head.weight is weight
    assert weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_nonsense_is_refused() -> None:
    model = STGCN(Config(widths=(4,), strides=(1,)), BODY, 3)
    with pytest.raises(ValueError, match="frames and people must be at least 1, got 0 and 2"):
        complexity(model, 0, 2)
    with pytest.raises(ValueError, match="frames and people must be at least 1, got 4 and 0"):
        latencies({"stgcn": model}, 4, 0, progress=False)
    with pytest.raises(ValueError, match="repeats must be at least 1, got 0"):
        latencies({"stgcn": model}, 4, 1, repeats=0, progress=False)


# --- the models -------------------------------------------------------------------------------------------------------


def empty(config: Any, body: str = "ntu25", classes: int = 60) -> ActionModel:
    skeleton = SKELETONS[body]
    with torch.device("meta"):
        return build(config, skeleton, classes, np.arange(float(skeleton.num_joints)))


def test_every_model_has_variants() -> None:
    assert list(VARIANTS) == list(MODELS)
    for name, variants in VARIANTS.items():
        for variant in variants.values():
            assert isinstance(variant("quarter", 2), MODELS[name][1])
            assert variant("quarter", 2).in_channels == 2


PUBLISHED = {"stgcn": 7.3, "agcn": 8.3, "msg3d": 14.0, "dualhead": 8.1, "ctrgcn": 3.9}
"""GFLOP of the released implementations for a clip of 64 frames and 2 people on NTU's skeleton."""


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_counted(name: str) -> None:
    """Never above the released implementation; below it where aggregating comes first or nothing is done twice."""
    config = next(iter(VARIANTS[name].values()))("full", 3)
    model = empty(config)
    count = complexity(model, 64, 2)
    giga = count.flops / 1e9
    assert count.parameters == sum(value.numel() for value in model.parameters())
    assert 0 < giga < 1.02 * PUBLISHED.get(name, 100)
    if name in ("stgcn", "agcn"):
        assert giga == pytest.approx(PUBLISHED[name], rel=0.02)
    people, frames, joints = 2, 64, 25
    assert count.activation_bytes > 4 * people * frames * joints * 3  # the clip at least


def test_long_clips_of_stgcn() -> None:
    single, double = (complexity(empty(released()), 300, people).flops for people in (1, 2))
    assert double / 1e9 == pytest.approx(34.2, rel=0.02)
    assert double == pytest.approx(2 * single, rel=1e-3)  # but for the last layer


def test_real_weights_and_empty_ones_count_the_same() -> None:
    config = Config(widths=(4, 8), strides=(1, 2))
    assert complexity(build(config, BODY, 4), 8, 2) == complexity(empty(config, "sbu15", 4), 8, 2)


def test_latency_is_a_median_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the models move; the first turn is left out."""
    clock, order = [0.0], []
    takes = iter([90.0, 90.0, 1.0, 20.0, 3.0, 30.0, 2.0, 10.0])

    def model(name: str) -> Tiny:
        def work(x: Tensor) -> Tensor:
            order.append(name)
            clock[0] += next(takes)
            return x

        return Tiny(work)

    monkeypatch.setattr("bonegraph.models.complexity.time.perf_counter", lambda: clock[0])
    found = latencies({"a": model("a"), "b": model("b")}, T, M, repeats=3, progress=False)
    assert order == ["a", "b"] * 4
    assert found == {"a": 2, "b": 20}


def test_latency_of_a_model() -> None:
    config = replace(released("quarter"), widths=(4,), strides=(1,))
    found = latencies({"small": STGCN(config, BODY, 3)}, T, M, repeats=2, progress=False)
    assert 0 < found["small"] < 10
