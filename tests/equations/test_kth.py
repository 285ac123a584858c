"""The KTH network against loops written from its text, Sec. 4 and 5; and the traps of its authors' code."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bonegraph.graph import adjacency
from bonegraph.models.kth import KTH, Config, PlainUnit, ResidualUnit, best, paper
from bonegraph.skeleton import SKELETONS

from .test_stgcn import eq_10_matrices, numbers, randomise

BODY = SKELETONS["sbu15"]
FRAMES, IN, OUT = 6, 2, 3
SMALL = Config(in_channels=IN, widths=(OUT, OUT), strides=(1, 1), temporal_kernel=3, strategy="symmetrical")


# --- Eq. 5 and Sec. 4.4.2, in loops ---------------------------------------------------------------------------------


def bn(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Batch normalisation with the running statistics, channel by channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    return torch.stack(
        [
            (x[:, c] - norm.running_mean[c]) / (norm.running_var[c] + norm.eps) ** 0.5 * norm.weight[c] + norm.bias[c]
            for c in range(x.shape[1])
        ],
        dim=1,
    )


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0)


def gcn(x: Tensor, unit: Any) -> Tensor:
    """f_out = sum over j of (Λ_j^-1/2 A_j Λ_j^-1/2 ⊗ M_j) f_in W_j."""
    conv, importance = unit.spatial.conv, unit.edge_importance
    total = x.new_zeros(len(x), OUT, x.shape[2], x.shape[3])
    for j, matrix in enumerate(eq_10_matrices(BODY, SMALL.strategy, 1)):
        weight, bias = conv.weight[j * OUT : (j + 1) * OUT, :, 0, 0], conv.bias[j * OUT : (j + 1) * OUT]
        a = torch.from_numpy(matrix) * (1 if importance is None else importance[j].T)
        mapped = torch.einsum("dc,rctv->rdtv", weight, x) + bias[None, :, None, None]
        for i, k in product(range(BODY.num_joints), range(BODY.num_joints)):
            total[..., i] = total[..., i] + a[i, k] * mapped[..., k]
    return total


def tcn(x: Tensor, conv: nn.Conv2d, stride: int) -> Tensor:
    """A standard convolution over the frames, kernel Γ, padded by (Γ - 1) / 2 frames of zeros."""
    assert conv.bias is not None
    half, found = conv.kernel_size[0] // 2, []
    for t in range(0, x.shape[2], stride):
        at_t = conv.bias[None, :, None].expand(len(x), -1, x.shape[3])
        for q in range(max(0, t - half), min(x.shape[2], t + half + 1)):
            at_t = at_t + torch.einsum("dc,rcv->rdv", conv.weight[:, :, q - t + half, 0], x[:, :, q])
        found.append(at_t)
    return torch.stack(found, dim=2)


def unit_of(kind: Any, config: Config, number: int, channels: int) -> Any:
    """A unit with weights and statistics as after a training."""
    graph = torch.from_numpy(adjacency(BODY, config.strategy, normalisation=config.normalisation)).double()
    unit = kind(config, number, channels, graph.shape).double().eval()
    randomise(unit, 5)
    return unit, graph


@pytest.mark.parametrize("importance", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("norms", "order"), [("both", "bn-relu"), ("both", "relu-bn"), ("start", "bn-relu")])
def test_plain_unit(norms: Any, order: Any, stride: int, importance: bool) -> None:
    """Sec. 4.4 and 5.5."""
    config = replace(SMALL, strides=(1, stride), norms=norms, order=order, edge_importance=importance)
    unit, graph = unit_of(PlainUnit, config, 1, OUT)
    x = numbers(0, 2, OUT, FRAMES, BODY.num_joints)
    out = tcn(gcn(bn(x, unit.start_norm), unit), unit.temporal, stride)
    if norms == "start":
        expected = relu(out)
    elif order == "relu-bn":
        expected = bn(relu(out), unit.end_norm)
    else:
        expected = relu(bn(out, unit.end_norm))
    torch.testing.assert_close(unit(x, graph), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("importance", [False, True])
@pytest.mark.parametrize(("channels", "stride"), [(OUT, 1), (OUT, 2), (IN, 1)])
def test_residual_unit(channels: int, stride: int, importance: bool) -> None:
    """Fig. 3: two blocks of BN-ReLU-weights, and the sum with the input. The code put a ReLU after the sum."""
    config = replace(SMALL, strides=(1, stride), residual=True, edge_importance=importance)
    unit, graph = unit_of(ResidualUnit, config, 1, channels)
    x = numbers(0, 2, channels, FRAMES, BODY.num_joints)
    hidden = gcn(relu(bn(x, unit.spatial_norm)), unit)
    change = tcn(relu(bn(hidden, unit.temporal_norm)), unit.temporal, stride)
    if (channels, stride) == (OUT, 1):
        shortcut = x
    else:
        weight, bias = unit.shortcut.weight[:, :, 0, 0], unit.shortcut.bias
        shortcut = torch.einsum("dc,rctv->rdtv", weight, x[:, :, ::stride]) + bias[None, :, None, None]
    ours = unit(x, graph)
    torch.testing.assert_close(ours, change + shortcut, rtol=1e-6, atol=1e-6)
    assert (ours < 0).any()  # nothing follows the sum


def test_residual_network_normalises_once_more_before_pooling() -> None:
    config = replace(best("quarter"), widths=(OUT, OUT), strides=(1, 2))
    model = KTH(config, BODY, 4).double().eval()
    randomise(model, 3)
    x = numbers(1, 2, IN, FRAMES, BODY.num_joints, 1).detach()
    first, last = model.stages(x)
    assert (first.maps < 0).any()
    summed = model.units[1](first.maps, model.adjacency)
    assert model.last_norm is not None
    torch.testing.assert_close(last.maps, relu(bn(summed, model.last_norm)), rtol=1e-9, atol=1e-9)
    assert KTH(replace(config, residual=False), BODY, 4).last_norm is None


# --- what the text states -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "channels"),
    [
        (9, [(64, 64)] * 3 + [(64, 128)] + [(128, 128)] * 2 + [(128, 256)] + [(256, 256)] * 2),
        (12, [(64, 64)] * 3 + [(64, 128)] + [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 3),
    ],
)
def test_channels_of_the_text(layers: Any, channels: list[tuple[int, int]]) -> None:
    """Sec. 4.4 and 5.6; one layer before them raises the channels from 2 to 64."""
    config = paper(layers=layers)
    assert list(zip(config.widths, config.widths[1:], strict=False)) == channels
    assert (config.in_channels, config.widths[0], len(config.widths)) == (2, 64, len(channels) + 1)
    doubled = [number for number, (before, after) in enumerate(channels, start=1) if before != after]
    assert [number for number, stride in enumerate(config.strides) if stride == 2] == doubled
    assert config.edge_importance is False and config.normalisation == "symmetric"
    if layers == 9:
        assert doubled == [4, 7]  # "the 4th and the 7th", not counting the one before them


def test_dropout_is_in_each_unit() -> None:
    for config in (paper(), paper(residual=True)):
        model = KTH(config, SKELETONS["openpose25"], 6, np.arange(25.0))
        assert [module.p for module in model.modules() if isinstance(module, nn.Dropout)] == [0.5] * 10


@pytest.mark.parametrize("residual", [False, True])
def test_masks_learn_and_the_graph_does_not(residual: bool) -> None:
    """Trap of the KTH code: masks never received a gradient while every layer trained the graph itself."""
    config = replace(paper("quarter", residual=residual, dropout=0.0), edge_importance=True)
    model = KTH(config, BODY, 4, np.arange(float(BODY.num_joints)))
    names = dict(model.named_parameters())
    masks = [name for name in names if name.endswith("edge_importance")]
    assert len(masks) == 10 and not any("graph" in name for name in names)
    assert all((names[name] == 1).all() for name in masks)
    before = model.adjacency.clone()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model(torch.randn(4, 2, 16, BODY.num_joints, 1)).square().sum().backward()
    for name in masks:
        grad = names[name].grad
        assert grad is not None and grad[model.adjacency > 0].abs().max() > 0
    optimizer.step()
    assert torch.equal(model.adjacency, before) and not model.adjacency.requires_grad
    assert all((names[name] != 1).any() for name in masks)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"residual": True, "norms": "start"}, "norms and order belong to plain units, got 'start' and 'bn-relu'"),
        ({"residual": True, "order": "relu-bn"}, "got 'both' and 'relu-bn' with residual units"),
        ({"norms": "start", "order": "relu-bn"}, "needs a batch normalisation at the end; norms is 'start'"),
        ({"strides": (1,)}, "widths has 2 units but strides has 1"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **changes)


def test_input_norm_alone() -> None:
    """Sec. 5.5: only one batch normalisation, before the first layer."""
    model = KTH(replace(SMALL, norms="input"), BODY, 4)
    assert [name for name, module in model.named_modules() if "norm" in name and module is not None] == ["input_norm"]
    assert model(torch.randn(2, IN, FRAMES, BODY.num_joints, 1)).isfinite().all()
