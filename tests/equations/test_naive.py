"""The naive networks have the weights of ours, and their logits and losses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bonegraph.bench.cases import CASES, Case
from bonegraph.bench.naive import naive
from bonegraph.bench.naive.msg3d import WindowConvolution
from bonegraph.graph import scales
from bonegraph.models import dualhead, msg3d, stf, stgcn
from bonegraph.models.base import ActionModel
from bonegraph.models.registry import VARIANTS, build
from bonegraph.skeleton import SKELETONS

WRITTEN = [
    stgcn.released,
    stgcn.best,
    msg3d.released,
    msg3d.best,
    dualhead.paper,
    dualhead.released,
    dualhead.best,
]
NAMES = [f"{make.__module__.rsplit('.', 1)[1]}-{make.__name__}" for make in WRITTEN]


def trained(config: Any) -> ActionModel:
    """A network in which nothing is what it is at first: no zeros, no ones, no graph that does nothing."""
    torch.manual_seed(1)
    model = build(config, SKELETONS["ntu25"], 7, np.arange(25, dtype=np.float64))
    for value in model.parameters():
        nn.init.normal_(value, std=0.1) if value.dim() < 2 else value.data.add_(0.02 * torch.randn_like(value))
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight.data.uniform_(0.5, 1.5)
            module.momentum = None  # the statistics are those of the clips seen so far
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
    batch = Case(2, 9).batch(SKELETONS["ntu25"], 3, 7)
    with torch.no_grad():
        model.train()(batch.positions, batch.visible)
    return model


@pytest.mark.parametrize("make", WRITTEN, ids=NAMES)
def test_logits_and_losses(make: Callable[..., Any]) -> None:
    ours = trained(make("quarter"))
    other = naive(ours)
    assert other is not None
    assert sum(p.numel() for p in other.parameters()) == sum(p.numel() for p in ours.parameters())
    batch = Case(2, 21).batch(SKELETONS["ntu25"], 3, 7)
    with torch.no_grad():
        expected = ours.eval()(batch.positions, batch.visible)
        torch.testing.assert_close(other.eval()(batch.positions, batch.visible), expected, rtol=1e-4, atol=1e-4)
        assert expected.std(dim=0).min() > 1e-3  # clips differ, so that equal logits say something
        loss, same = ours.train().loss(batch).total, other.train().loss(batch).total
    torch.testing.assert_close(same, loss, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("make", WRITTEN, ids=NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_its_mode_is_that_of_the_model(make: Callable[..., Any], training: bool) -> None:
    other = naive(trained(make("quarter")).train(training))
    assert other is not None
    assert {module.training for module in other.modules()} == {training}


def test_as_many_parameters_as_the_released_msg3d() -> None:
    model = build(msg3d.released(), SKELETONS["ntu25"], 60)
    other = naive(model)
    assert other is not None
    assert sum(value.numel() for value in other.parameters()) == 3_194_595


def test_absent_people_are_computed_as_zeros() -> None:
    ours = trained(msg3d.released("quarter")).eval()
    other = naive(ours)
    assert other is not None
    batch = Case(2, 9, alone=1).batch(SKELETONS["ntu25"], 3, 7)
    with torch.no_grad():
        found = other(batch.positions, batch.visible)
        torch.testing.assert_close(found, ours(batch.positions), rtol=1e-4, atol=1e-4)
        assert (found[0] - ours(batch.positions, batch.visible)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "config",
    [stgcn.paper("quarter"), stf.best("quarter"), dualhead.Config(widths=(24, 48, 96), subsample=1)],
    ids=["joint units", "stf", "another subsampling"],
)
def test_what_nobody_wrote_down(config: Any) -> None:
    assert naive(trained(config)) is None


def test_the_released_networks_are_those_that_are_measured() -> None:
    written = {"stgcn", "msg3d", "dualhead"}
    for name, variants in VARIANTS.items():
        model = build(next(iter(variants.values()))("quarter", 3), SKELETONS["ntu25"], 5, np.arange(25.0))
        assert (naive(model) is not None) == (name in written)


def test_cases() -> None:
    mix = CASES["mix"]
    batch = mix.batch(SKELETONS["ntu25"], 3, 60)
    assert batch.positions.shape == (10, 3, 64, 25, 2)
    assert batch.visible.any(dim=(1, 2)).sum() == mix.people == 12
    assert (batch.positions[~batch.visible[:, None].expand_as(batch.positions)] == 0).all()
    assert torch.equal(batch.positions, mix.batch(SKELETONS["ntu25"], 3, 60).positions)
    assert [CASES[name].people for name in ("N1T64", "N8T64", "N2T300")] == [2, 16, 4]


@pytest.mark.parametrize(
    ("window", "stride", "dilation", "length"), [(3, 1, 1, 9), (5, 2, 1, 8), (3, 2, 2, 4), (1, 2, 1, 5)]
)
def test_gradients_of_g3d(window: int, stride: int, dilation: int, length: int) -> None:
    torch.manual_seed(2)
    graph = torch.from_numpy(scales(SKELETONS["coco17"], 3, window))
    ours = msg3d.G3D(6, 6, 4, graph, window, stride, dilation).double()
    ours.residual_graph.data.normal_()
    other = WindowConvolution(ours)
    if window == 1:
        other.stride = ours.every
    x = torch.randn(2, 6, length, 17, dtype=torch.float64, requires_grad=True)
    first, second = ours(x), other(x)
    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)
    weights = torch.randn_like(first)
    mine = torch.autograd.grad((first * weights).sum(), [x, *ours.parameters()])
    names = [name if "collapse" in name else f"inside.{name}" for name, _ in ours.named_parameters()]
    theirs = torch.autograd.grad((second * weights).sum(), [x, *map(other.get_parameter, names)])
    for one, same in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, same, rtol=1e-9, atol=1e-9)
