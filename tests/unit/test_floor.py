"""The floor of a pass: which products and convolutions it performs, and what they take alone."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bonegraph.bench.alone import TORCH, Alone, Memory, by_library
from bonegraph.bench.cases import Case
from bonegraph.bench.floor import Floor, Floors
from bonegraph.bench.measure import FLOOR_TURNS, take_turns
from bonegraph.bench.networks import SKELETON, model_of, network_rows
from bonegraph.bench.operations import Convolution, Gradients, Operand, Operation, Product, recorded
from bonegraph.inference.fast import fast
from bonegraph.inference.fast.convolution import Convolution as Fused
from bonegraph.inference.fast.convolution import has_onednn
from bonegraph.inference.fast.winograd import NineTaps, has_groups

F32 = torch.float32


def whole(*size: int, dtype: torch.dtype = F32) -> Operand:
    """Of a tensor without gaps, the last axis side by side."""
    return Operand(size, tuple(torch.empty(size).stride()), dtype)


def channels_last(*size: int, dtype: torch.dtype = F32) -> Operand:
    return Operand(size, tuple(torch.empty(size).contiguous(memory_format=torch.channels_last).stride()), dtype)


class Tiny(nn.Module):
    """Two equal convolutions, a graph, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(4, 4, (3, 1), padding=(1, 0))
        self.second = nn.Conv2d(4, 4, (3, 1), padding=(1, 0))
        self.graph = nn.Parameter(torch.rand(5, 5))
        self.head = nn.Linear(4, 7)

    def forward(self, x: Tensor) -> Tensor:  # (N, 4, 6, 5)
        x = self.second(self.first(x).relu())
        x = torch.bmm(x.flatten(0, 1), self.graph.expand(x.shape[0] * x.shape[1], -1, -1))
        logits: Tensor = self.head(x.view(-1, 4, 6, 5).mean(dim=(2, 3)))
        return logits


CONV = Convolution(whole(2, 4, 6, 5), whole(4, 4, 3, 1), (1, 1), (1, 0), (1, 1), 1)
FORWARD: Counter[Operation] = Counter(
    {
        CONV: 2,
        Product(whole(8, 6, 5), Operand((8, 5, 5), (0, 5, 1), F32)): 1,
        Product(whole(2, 4), Operand((4, 7), (1, 4), F32)): 1,
    }
)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_forward_pass_as_by_hand(context: type[torch.no_grad]) -> None:
    network, x = Tiny(), torch.randn(2, 4, 6, 5)

    def work() -> None:
        with context():
            network(x)

    assert recorded(work) == FORWARD


def test_backward_pass_as_by_hand() -> None:
    network, x = Tiny(), torch.randn(2, 4, 6, 5)
    gradients: Counter[Operation] = Counter(
        {
            # nobody wants the gradient of x
            Gradients(CONV, whole(2, 4, 6, 5), (True, True)): 1,
            Gradients(CONV, whole(2, 4, 6, 5), (False, True)): 1,
            # of the graph, of what it is multiplied with, of the head's weights, of its input
            Product(Operand((8, 5, 6), (30, 1, 5), F32), Operand((8, 6, 5), (0, 0, 0), F32)): 1,
            Product(Operand((8, 6, 5), (0, 0, 0), F32), Operand((8, 5, 5), (0, 1, 5), F32)): 1,
            Product(Operand((7, 2), (1, 7), F32), whole(2, 4)): 1,
            Product(whole(2, 7), whole(7, 4)): 1,
        }
    )
    weights = torch.randn(2, 7)
    found = recorded(lambda: (network(x) * weights).sum().backward())
    assert {shape_of(key): count for key, count in (found - FORWARD).items()} == {
        shape_of(key): count for key, count in gradients.items()
    }
    assert all(found[key] == count for key, count in FORWARD.items())


def shape_of(operation: Operation) -> object:
    """Without strides, which autograd may choose."""
    if isinstance(operation, Product):
        return operation.a.size, operation.b.size
    assert isinstance(operation, Gradients)
    return operation.of, operation.gradient.size, operation.wanted


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_calls_are_seen(dtype: torch.dtype) -> None:
    if not has_onednn(dtype):
        pytest.skip("oneDNN has no such convolutions here")
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(8, 4, 3, 1, generator=draw).to(dtype), torch.randn(8, generator=draw).to(dtype)
    conv = Fused(weight, bias, stride=2, relu=True)
    x = torch.randn(2, 4, 6, 5, generator=draw).to(dtype)
    more = torch.randn(2, 8, 3, 5, generator=draw).to(dtype)

    def work() -> None:
        conv(x)
        conv(x, more)

    x4, w4 = channels_last(2, 4, 6, 5, dtype=dtype), channels_last(8, 4, 3, 1, dtype=dtype)
    assert recorded(work) == Counter({Convolution(x4, w4, (2, 1), (1, 0), (1, 1), 1): 2})


def test_groups_are_seen() -> None:
    if not (has_onednn(F32) and has_groups()):
        pytest.skip("oneDNN has no such convolutions here")
    conv, x = NineTaps(torch.randn(128, 130, 9, 1), None, stride=1, relu=True), torch.randn(1, 130, 16, 3)
    convolutions = {one: count for one, count in recorded(lambda: conv(x)).items() if isinstance(one, Convolution)}
    # One with a group for each of 24 multiplications for eight frames, instead of 72.
    assert {one.weight.size: count for one, count in convolutions.items()} == {(24 * 128, 130, 1, 1): 1}
    assert sum(one.flops * count for one, count in convolutions.items()) == 2 * 128 * 130 * 3 * 16 * 24 // 8


@pytest.mark.parametrize("name", ["stgcn", "msg3d", "ctrgcn", "agcn"])
def test_nothing_is_missed(name: str) -> None:
    """As many multiplications as torch itself counts, forward and backward, merged by shape."""
    network, batch = model_of(name, "quarter").train(), Case(1, 16).batch(SKELETON, 3, 60)

    def work() -> None:
        network.loss(batch).total.backward()  # type: ignore[no-untyped-call]

    found = recorded(work)
    with FlopCounterMode(display=False) as counter:
        work()
    assert sum(key.flops * count for key, count in found.items()) == counter.get_total_flops()
    assert max(found.values()) > 1


def test_autocast_and_the_fast_form_are_seen_as_they_compute() -> None:
    network, batch = model_of("stgcn", "quarter").eval(), Case(1, 16).batch(SKELETON, 3, 60)
    quick = fast(network, "bf16")
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        plain = recorded(lambda: network(batch.positions, batch.visible))
    answers = recorded(lambda: quick(batch.positions, batch.visible))
    for found in (plain, answers):
        types = {key.x.dtype for key in found if isinstance(key, Convolution)}
        assert types == {torch.bfloat16}
    assert sum(answers.values()) >= 29  # ten units with a graph, 1x1 and 9x1 each


OPERATIONS: list[Operation] = [
    *FORWARD,
    Convolution(whole(2, 4, 6, 5), whole(8, 4, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    Convolution(channels_last(2, 4, 6, 5), channels_last(8, 4, 1, 1), (2, 1), (0, 0), (1, 1), 1),
    Convolution(whole(2, 4, 6), whole(8, 4, 3), (1,), (1,), (1,), 1),
    Gradients(CONV, channels_last(2, 4, 6, 5), (True, True)),
    Gradients(
        Convolution(whole(2, 4, 6, 5), whole(8, 4, 1, 1), (1, 1), (0, 0), (1, 1), 1), whole(2, 8, 6, 5), (True, True)
    ),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: type(one).__name__)
def test_every_library_computes_the_same(operation: Operation) -> None:
    """On equal operands, whatever order in memory and of axes they want; here by the sum, which all orders share."""
    sums = {}
    with torch.no_grad():
        for name, prepare in by_library(operation, Memory()).items():
            found = prepare()()
            parts = [part for part in found if part is not None] if isinstance(found, tuple) else [found]
            assert all(isinstance(part, Tensor) for part in parts)
            sums[name] = [float(part.double().sum()) for part in parts if isinstance(part, Tensor)]
    for name, values in sums.items():
        assert values == pytest.approx(sums[TORCH], rel=1e-4, abs=1e-3), name


def test_floor_is_positive_and_at_most_what_torch_chooses() -> None:
    floors = Floors()
    floor, again = floors.of(FORWARD, 1), floors.of(Counter({CONV: 3}), 1)
    assert floor.seconds is again.seconds is None and len(floors) == 3  # the convolution is in both, and timed once
    assert floors.with_threads(2) == []
    for alone in floors.with_threads(1):
        alone.turn()
    assert floor.seconds is not None and again.seconds is not None
    called = sum(count * alone.best_s[TORCH] for alone, count in floor.parts)
    assert 0 < again.seconds < 1 and 0 < floor.seconds <= called
    assert floor.seconds > 2 / 3 * again.seconds  # two of the three convolutions, and more
    data = json.loads(json.dumps(floor.as_data()))
    assert data["flops"] == sum(key.flops * count for key, count in FORWARD.items())
    first = next(one for one in data["operations"] if one["kind"] == "convolution")
    assert first["count"] == 2 and first["x"] == {"size": [2, 4, 6, 5], "stride": [120, 30, 5, 1], "dtype": "float32"}
    assert Floor([]).seconds is None


def test_the_best_turn_counts_and_libraries_without_hope_rest() -> None:
    alone = Alone(CONV, 1, Memory(), {TORCH: 1e-9, "onednn": 1.0})
    alone.turn()
    assert alone.best_s == {TORCH: 1e-9, "onednn": 1.0}


def test_rows_of_a_task_share_its_floor() -> None:
    floors = Floors()
    rows = list(
        network_rows("tcn", "quarter", ["plain", "fast"], ["N1T64"], ["inference", "training"], ["fp32"], 1, floors)
    )
    assert [row.way for row in rows] == ["plain", "fast", "plain"]
    assert rows[0].floor is rows[1].floor is not None and rows[2].floor is not rows[0].floor
    kinds = [{type(alone.operation) for alone, _ in row.floor.parts} for row in rows if row.floor is not None]
    assert Gradients not in kinds[0] and Gradients in kinds[2]
    rounds: list[int] = []
    take_turns(rows[:2], 3, floors=floors, progress=False, after=lambda: rounds.append(0))
    assert len(rounds) == 3 and FLOOR_TURNS == 3
    data = rows[1].as_data()
    assert 0 < data["floor_s"] == rows[0].floor_s
    assert data["floor_share"] == pytest.approx(data["floor_s"] / data["processor_median_s"])
    alone = next(network_rows("tcn", "quarter", ["fast"], ["N1T64"], ["training"], ["fp32"], 1, floors), None)
    assert alone is None  # no way to train: no floor either
    assert next(network_rows("tcn", "quarter", ["plain"], ["N1T64"], ["inference"], ["fp32"], 1)).floor is None
