"""Rows of the models."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from bonegraph.bench.cases import CASES, Case
from bonegraph.bench.floor import Floors
from bonegraph.bench.operations import Operation, recorded
from bonegraph.bench.rows import Pass, Precision, Row
from bonegraph.bench.ways import IN_FLOAT32, WAYS
from bonegraph.inference.fast.convolution import has_onednn
from bonegraph.models.base import ActionModel
from bonegraph.models.complexity import complexity
from bonegraph.models.registry import VARIANTS, build
from bonegraph.sample import Batch
from bonegraph.skeleton import SKELETONS

CLASSES, CHANNELS = 60, 3
SKELETON = SKELETONS["ntu25"]
TRAINING = 3
"""A backward pass has about twice the multiplications of a forward pass."""
LEAST: dict[Pass, str] = {"inference": "fast", "training": "plain"}
"""The way whose products and convolutions are the floor of a pass."""


def model_of(name: str, width: str) -> ActionModel:
    """The variant of a model that others publish numbers of, for NTU RGB+D, with random weights."""
    config = next(iter(VARIANTS[name].values()))(width, CHANNELS)
    torch.manual_seed(0)
    # Distances of nobody: the graph they make changes no time.
    return build(config, SKELETON, CLASSES, np.arange(SKELETON.num_joints, dtype=np.float64))


def network_rows(
    name: str,
    width: str,
    ways: Sequence[str],
    cases: Sequence[str],
    kinds: Sequence[Pass],
    precisions: Sequence[Precision],
    threads: int,
    floors: Floors | None = None,
) -> Iterator[Row]:
    """Rows of one model, ways side by side.

    Args:
        name: of the model.
        width: of the model.
        ways: of `bonegraph.bench.ways.WAYS`; what the model has not is left out.
        cases: of `bonegraph.bench.cases.CASES`.
        kinds: passes.
        precisions: of the numbers.
        threads: of torch.
        floors: gets the products and convolutions of each task; none are looked for without.
    """
    model = model_of(name, width)
    flops = {case: flops_of(model, CASES[case]) for case in cases}
    batches = {case: CASES[case].batch(SKELETON, CHANNELS, CLASSES) for case in cases}
    for kind in kinds:
        training = kind == "training"
        for precision in precisions:
            networks = _networks(model, ways, precision, training)
            optimizers = {way: _optimizer(network) for way, network in networks.items()} if training else {}
            least = LEAST[kind]
            counted = (networks if least in networks else _networks(model, [least], precision, training)).get(least)
            for case, batch in batches.items():
                floor = None
                if floors is not None and counted is not None:
                    autocast = precision == "bf16" and least in IN_FLOAT32
                    floor = floors.of(_operations(counted, batch, autocast, training), threads)
                for way, network in networks.items():
                    autocast = precision == "bf16" and way in IN_FLOAT32
                    if training:
                        work = _step(network, optimizers[way], batch, autocast)
                    else:
                        work = _answer(network, batch, autocast)
                    total = flops[case] * (TRAINING if training else 1)
                    yield Row(name, way, case, kind, precision, threads, len(batch), total, work, floor=floor)


def flops_of(model: ActionModel, case: Case) -> int:
    """Of the forward pass of the plain model, for the people who are there."""
    return complexity(model, case.frames, Case.PEOPLE).flops * case.people // Case.PEOPLE


def _networks(model: ActionModel, ways: Sequence[str], precision: Precision, training: bool) -> dict[str, nn.Module]:
    """A network for each way that there is, with weights of its own: training must not change what others have."""
    made = {
        way: WAYS[way](copy.deepcopy(model).train(training), precision)
        for way in ways
        if not training or way in IN_FLOAT32
    }
    return {way: network for way, network in made.items() if network is not None}


def _operations(network: nn.Module, batch: Batch, autocast: bool, training: bool) -> Counter[Operation]:
    """What a pass multiplies."""
    has_onednn(torch.float32), has_onednn(torch.bfloat16)  # they try it out the first time, which is not of the pass
    found = recorded(_learning(network, batch, autocast) if training else _answer(network, batch, autocast))
    network.zero_grad()
    return found


def _answer(network: nn.Module, batch: Batch, autocast: bool) -> Callable[[], object]:
    def work() -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return network(batch.positions, batch.visible)

    return work


def _optimizer(network: nn.Module) -> torch.optim.Optimizer:
    """SGD as the papers have it. Its momentum is there from the beginning, so that no row has it in its memory."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for value in network.parameters():
        value.grad = torch.zeros_like(value)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer


def _learning(network: nn.Module, batch: Batch, autocast: bool) -> Callable[[], object]:
    """Forward, loss, backward."""

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = network.loss(batch).total  # type: ignore[operator]
        loss.backward()

    return work


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, autocast: bool) -> Callable[[], object]:
    """The same, then SGD, and the gradients go."""
    learn = _learning(network, batch, autocast)

    def work() -> None:
        learn()
        optimizer.step()
        optimizer.zero_grad()

    return work
