"""The baselines of ST-GCN's Table 1 against loops: local convolution with unshared weights, and a temporal network."""

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import nn

from bonegraph.graph import hop_distances
from bonegraph.models.baselines import TCN, Local, LocalConfig, LocalConvolution, TCNConfig, local, tcn
from bonegraph.skeleton import SKELETONS

from .test_graph import random_body

FRAMES, IN, OUT = 6, 2, 3


def neighbours_of(seed: int, max_hop: int) -> torch.Tensor:
    body = random_body(seed)
    return torch.from_numpy(hop_distances(body.num_joints, body.edges) <= max_hop)


@pytest.mark.parametrize("seed", [1, 3, 9])
@pytest.mark.parametrize(("max_hop", "kernel", "stride"), [(1, 3, 1), (1, 3, 2), (2, 5, 1), (1, 1, 3)])
def test_local_convolution_has_a_matrix_for_every_edge_and_offset(
    seed: int, max_hop: int, kernel: int, stride: int
) -> None:
    near = neighbours_of(seed, max_hop)
    layer = LocalConvolution(IN, OUT, near, kernel, stride).double()
    x = torch.randn(2, IN, FRAMES, len(near), dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert sorted(layer.edges) == [(v, w) for v in range(len(near)) for w in range(len(near)) if near[v, w]]
    assert layer.weight.shape == (len(layer.edges), kernel, IN, OUT)
    steps = range(0, FRAMES, stride)
    expected = torch.zeros(2, OUT, len(steps), len(near), dtype=torch.float64)
    for (edge, (v, w)), (step, t), q in product(enumerate(layer.edges), enumerate(steps), range(kernel)):
        frame = t + q - kernel // 2
        if 0 <= frame < FRAMES:
            expected[:, :, step, w] += x[:, :, frame, v] @ layer.weight[edge, q]
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)


def test_on_the_complete_graph_it_is_a_temporal_convolution() -> None:
    """The paper: the temporal baseline is unshared weights on a fully connected joint graph."""
    joints, kernel = 5, 3
    layer = LocalConvolution(IN, OUT, torch.ones(joints, joints, dtype=torch.bool), kernel, 1).double()
    temporal = nn.Conv1d(joints * IN, joints * OUT, kernel, padding=1, bias=False).double()
    with torch.no_grad():
        matrices = layer.weight.view(joints, joints, kernel, IN, OUT)  # target, source
        temporal.weight.copy_(matrices.permute(0, 4, 1, 3, 2).reshape(joints * OUT, joints * IN, kernel))
    x = torch.randn(4, IN, FRAMES, joints, dtype=torch.float64, requires_grad=True)
    flat = x.permute(0, 3, 1, 2).reshape(4, joints * IN, FRAMES)
    expected = temporal(flat).view(4, joints, OUT, FRAMES).permute(0, 2, 3, 1)
    torch.testing.assert_close(layer(x), expected, rtol=1e-10, atol=1e-10)
    ours = torch.autograd.grad(layer(x).square().sum(), x)[0]
    theirs = torch.autograd.grad(expected.square().sum(), x)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def test_no_weight_of_the_local_convolution_is_shared_or_dead() -> None:
    near = neighbours_of(9, 1)
    layer = LocalConvolution(IN, OUT, near, 3, 1)
    layer(torch.rand(2, IN, FRAMES, len(near)) + 0.1).sum().backward()
    assert layer.weight.grad is not None and (layer.weight.grad != 0).all()
    x = torch.zeros(1, IN, FRAMES, len(near))
    x[:, :, :, 0] = 1.0
    reached = layer(x).abs().sum(dim=(0, 1, 2)) > 0
    assert torch.equal(reached, near[0])


def test_the_temporal_network_takes_all_joints_of_a_frame_as_channels() -> None:
    body = random_body(3)
    torch.manual_seed(0)  # of four channels some must be above the ReLU in every frame
    network = TCN(TCNConfig(in_channels=2, widths=(4,), strides=(1,), temporal_kernel=3), body, 2).double().eval()
    kernel = network.get_parameter("units.0.convolution.weight")
    assert kernel.shape == (4, 2 * body.num_joints, 3, 1)
    x = torch.randn(1, 2, FRAMES, body.num_joints, 1, dtype=torch.float64)
    whole = network.features(x).maps
    assert whole.shape == (1, 4, FRAMES, 1)
    for joint in range(body.num_joints):  # every joint reaches the frame before, its own and the frame after, no other
        other = x.clone()
        other[:, :, 3, joint] += 1.0
        moved = (network.features(other).maps != whole).any(dim=1).flatten()
        assert moved.tolist() == [False, False, True, True, True, False]


@pytest.mark.parametrize("make", [tcn, local])
def test_layout_is_that_of_the_paper(make: type) -> None:
    config = make("full", 3, 0.5)
    assert config.widths == (64,) * 3 + (128,) * 3 + (256,) * 3
    assert config.strides == (1, 1, 1, 2, 1, 1, 2, 1, 1)
    assert config.temporal_kernel == 9 and config.dropout == 0.5


def test_parameters_of_a_local_network() -> None:
    skeleton = SKELETONS["ucla20"]
    network = Local(local("quarter"), skeleton, 10)
    edges = 20 + 2 * 19  # every joint to itself, every bone both ways
    widths = (3, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    weights = sum(edges * 9 * a * b for a, b in pairwise(widths))
    layers = [layer for layer in network.modules() if isinstance(layer, LocalConvolution)]
    assert sum(layer.weight.numel() for layer in layers) == weights


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"widths": (4, 4), "strides": (1,)}, "widths has 2 units but strides has 1"),
        ({"temporal_kernel": 4}, "temporal_kernel must be odd"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"in_channels": 0}, "must be at least 1"),
    ],
)
@pytest.mark.parametrize("config", [TCNConfig, LocalConfig])
def test_nonsense_is_refused(config: type, wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**wrong)


def test_a_local_network_needs_neighbours() -> None:
    with pytest.raises(ValueError, match="max_hop must be at least 1"):
        LocalConfig(max_hop=0)


@pytest.mark.parametrize("network", ["tcn", "local"])
def test_what_is_hidden_changes_nothing(network: str) -> None:
    skeleton = SKELETONS["ucla20"]
    torch.manual_seed(0)
    model = (
        (TCN(tcn("quarter"), skeleton, 3) if network == "tcn" else Local(local("quarter"), skeleton, 3)).double().eval()
    )
    x = torch.randn(2, 3, 12, 20, 2, dtype=torch.float64)
    visible = torch.ones(2, 12, 20, 2, dtype=torch.bool)
    visible[0, :, :, 1] = False  # nobody there
    visible[1, 5] = False  # nobody in frame 5
    visible[1, 8:] = False  # the end is padding
    junk = torch.where(visible[:, None], x, torch.tensor(float("nan"), dtype=torch.float64))
    torch.testing.assert_close(model(junk, visible), model(torch.nan_to_num(junk), visible), rtol=0, atol=0)
    alone = model(x[:1, ..., :1], visible[:1, ..., :1])
    torch.testing.assert_close(model(junk, visible)[:1], alone, rtol=1e-10, atol=1e-10)
    short = model(x[1:, :, :8], visible[1:, :8])
    torch.testing.assert_close(model(junk, visible)[1:], short, rtol=1e-10, atol=1e-10)


def test_other_joints_are_refused() -> None:
    model = TCN(tcn("quarter"), SKELETONS["ucla20"], 3)
    with pytest.raises(ValueError, match="3 channels and 25 joints"):
        model(torch.from_numpy(np.zeros((1, 3, 4, 25, 1), np.float32)))
