"""Rows of the models."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from bonegraph.bench.cases import CASES, Case
from bonegraph.bench.rows import Pass, Precision, Row
from bonegraph.bench.ways import IN_FLOAT32, WAYS
from bonegraph.models.base import ActionModel
from bonegraph.models.complexity import complexity
from bonegraph.models.registry import VARIANTS, build
from bonegraph.sample import Batch
from bonegraph.skeleton import SKELETONS

CLASSES, CHANNELS = 60, 3
SKELETON = SKELETONS["ntu25"]
TRAINING = 3
"""A backward pass has about twice the multiplications of a forward pass."""


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
) -> Iterator[Row]:
    """Rows of one model, ways side by side."""
    model = model_of(name, width)
    flops = {case: flops_of(model, CASES[case]) for case in cases}
    batches = {case: CASES[case].batch(SKELETON, CHANNELS, CLASSES) for case in cases}
    for kind in kinds:
        training = kind == "training"
        for precision in precisions:
            networks = _networks(model, ways, precision, training)
            optimizers = {way: _optimizer(network) for way, network in networks.items()} if training else {}
            for case, batch in batches.items():
                for way, network in networks.items():
                    autocast = precision == "bf16" and way in IN_FLOAT32
                    if training:
                        work = _step(network, optimizers[way], batch, autocast)
                    else:
                        work = _answer(network, batch, autocast)
                    total = flops[case] * (TRAINING if training else 1)
                    yield Row(name, way, case, kind, precision, threads, len(batch), total, work)


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
    return {way: network.train(training) for way, network in made.items() if network is not None}


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


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, autocast: bool) -> Callable[[], object]:
    """Forward, loss, backward, SGD, and the gradients go."""

    def work() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = network.loss(batch).total  # type: ignore[operator]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return work
