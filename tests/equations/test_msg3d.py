"""MS-G3D against its equations, written as loops, and against the released implementation."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bonegraph.graph import hop_distances, scales
from bonegraph.models.msg3d import (
    G3D,
    MSG3D,
    Block,
    Config,
    MultiScaleGCN,
    MultiScaleTCN,
    Paths,
    best,
    by_row,
    released,
)
from bonegraph.models.released import FAMILIES
from bonegraph.skeleton import SKELETONS, Skeleton

BODY = Skeleton("five", ("a", "b", "c", "d", "e"), (0, 0, 1, 1, 3), (0, 1, 2, 3, 4))


def trained(module: nn.Module) -> Any:
    """In float64 and evaluation mode, with weights and statistics as after a training."""
    draw = torch.Generator().manual_seed(3)
    module = module.double().eval()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point() and name.split(".")[-1] != "graph":
                value.copy_(torch.rand(value.shape, generator=draw).double() + 0.1)
                if value.dim() > 1:
                    value.sub_(0.6)
    return module


def norm(x: Tensor, bn: nn.BatchNorm2d, channel: int) -> Tensor:
    assert bn.running_mean is not None and bn.running_var is not None
    mean, variance = bn.running_mean[channel], bn.running_var[channel]
    return (x - mean) / (variance + bn.eps).sqrt() * bn.weight[channel] + bn.bias[channel]


# ---- the scales


@pytest.mark.parametrize("body", [BODY, SKELETONS["ntu25"], SKELETONS["openpose18"]], ids=lambda body: body.name)
def test_each_pair_at_hop_distance_k_appears_in_scale_k_only(body: Skeleton) -> None:
    hops = hop_distances(body.num_joints, body.edges)
    graph = scales(body, 13)
    for k in range(13):
        for v in range(body.num_joints):
            for w in range(body.num_joints):
                assert (graph[k, v, w] > 0) == (v == w or hops[v, w] == k)


def test_scales_are_normalised_symmetrically() -> None:
    hops = hop_distances(5, BODY.edges)
    graph = scales(BODY, 4)
    for k in range(4):
        linked = [[float(v == w or hops[v, w] == k) for w in range(5)] for v in range(5)]
        degree = [sum(row) for row in linked]
        for v in range(5):
            for w in range(5):
                assert graph[k, v, w] == pytest.approx(linked[v][w] / (degree[v] * degree[w]) ** 0.5)


@pytest.mark.parametrize("window", [1, 3, 5])
def test_a_window_is_the_block_matrix_of_the_graph_with_loops(window: int) -> None:
    """Eq. 7: every τ x τ block is A + I; the hop distances are those of a search through it."""
    joints = BODY.num_joints
    block = np.eye(joints)
    for a, b in BODY.edges:
        block[a, b] = block[b, a] = 1
    large = np.tile(block, (window, window))
    nodes = len(large)
    distance = np.full((nodes, nodes), np.inf)
    for start in range(nodes):
        reached, steps, at = {start}, 0, [start]
        while at:
            for node in at:
                distance[start, node] = steps
            at = sorted({int(n) for node in at for n in np.flatnonzero(large[node])} - reached)
            reached |= set(at)
            steps += 1
    graph = scales(BODY, 4, window)
    assert graph.shape == (4, nodes, nodes)
    for k in range(4):
        np.testing.assert_array_equal(graph[k] > 0, (distance == k) | np.eye(nodes, dtype=bool))


def test_scales_beyond_the_body_are_the_identity_and_nonsense_is_refused() -> None:
    np.testing.assert_array_equal(scales(BODY, 9)[8], np.eye(5))
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 1"):
        scales(BODY, 0)
    with pytest.raises(ValueError, match="must be at least 1, got 3 and 0"):
        scales(BODY, 3, 0)
    with pytest.raises(ValueError, match="a window of 100001 frames and 5 joints are a graph of 500,010,000,050"):
        scales(BODY, 2, 100_001)


# ---- the convolutions


def test_multi_scale_gcn_is_equation_4() -> None:
    graph = torch.from_numpy(scales(BODY, 3))
    layer = trained(MultiScaleGCN(2, 4, graph))
    layer.graph = layer.graph.double()
    layer.requires_grad_(False)
    x = torch.randn(2, 2, 3, 5, dtype=torch.float64)
    found = layer(x)
    full = (layer.graph + layer.residual_graph).detach()
    for row in range(2):
        for frame in range(3):
            for w in range(5):
                for d in range(4):
                    total = layer.conv.bias[d]
                    for k in range(3):
                        for c in range(2):
                            gathered = sum(x[row, c, frame, v] * full[k, v, w] for v in range(5))
                            total = total + layer.conv.weight[d, k * 2 + c, 0, 0] * gathered
                    expected = norm(total, layer.norm, d).clamp(min=0)
                    torch.testing.assert_close(found[row, d, frame, w], expected, rtol=1e-10, atol=1e-12)


def test_in_training_a_plain_branch_counts_the_frames_that_it_keeps() -> None:
    """As released, where its 1x1 convolution has the stride; the other branches begin with all frames."""
    layer = MultiScaleTCN(3, 8, 2, (1, 2), relu=False).double().train()
    x = torch.randn(2, 3, 7, 3, dtype=torch.float64)
    found = layer(x)
    reduced = layer.reduce(x).detach()
    plain = reduced[:, 6:, ::2]
    mean, variance = plain.mean(dim=(0, 2, 3)), plain.var(dim=(0, 2, 3), unbiased=False)
    expected = (plain - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
    shortcut = layer.residual(x)
    torch.testing.assert_close(found[:, 6:], expected + shortcut[:, 6:])
    bn = layer.reduce_norm
    assert bn.running_mean is not None and bn.running_var is not None and bn.num_batches_tracked == 1
    torch.testing.assert_close(bn.running_mean[6:], 0.1 * mean)
    torch.testing.assert_close(bn.running_mean[:6], 0.1 * reduced[:, :6].mean(dim=(0, 2, 3)))
    torch.testing.assert_close(bn.running_var[6:], 0.9 + 0.1 * plain.var(dim=(0, 2, 3)))
    torch.testing.assert_close(layer.eval()(x)[:, 6:] - layer.residual(x)[:, 6:], bn(reduced)[:, 6:, ::2])


@pytest.mark.parametrize(("in_channels", "out_channels", "stride"), [(7, 7, 1), (3, 9, 2), (6, 8, 1)])
def test_multi_scale_tcn_is_its_branches(in_channels: int, out_channels: int, stride: int) -> None:
    """Each branch by itself, as the text draws it; the first branch takes what cannot be shared."""
    dilations = (1, 3)
    layer = trained(MultiScaleTCN(in_channels, out_channels, stride, dilations))
    x = torch.randn(2, in_channels, 7, 3, dtype=torch.float64)
    found = layer(x)
    each = out_channels // 4
    parts = (out_channels - 3 * each, each, each, each)
    assert layer.parts == parts
    frames, channel = (7 - 1) // stride + 1, 0
    reduced = torch.einsum("dc,rctv->rdtv", layer.reduce.weight[:, :, 0, 0], x) + layer.reduce.bias[:, None, None]
    shortcut = x[:, :, ::stride]
    if not isinstance(layer.residual, nn.Identity):
        conv, bn = layer.residual
        shortcut = torch.einsum("dc,rctv->rdtv", conv.weight[:, :, 0, 0], shortcut) + conv.bias[:, None, None]
        shortcut = torch.stack([norm(shortcut[:, d], bn, d) for d in range(out_channels)], dim=1)
    for branch, part in enumerate(parts):
        first = channel
        inner = [norm(reduced[:, first + c], layer.reduce_norm, first + c) for c in range(part)]
        for d in range(part):
            for frame in range(frames):
                centre = frame * stride
                if branch == 3:  # plain
                    value = inner[d][:, centre]
                elif branch == 2:  # max pooling
                    near = [inner[d][:, t].clamp(min=0) for t in range(centre - 1, centre + 2) if 0 <= t < 7]
                    value = norm(torch.stack(near).max(dim=0).values, layer.norm, channel)
                else:
                    conv = layer.convs[branch]
                    value = conv.bias[d] + torch.zeros(2, 3, dtype=torch.float64)
                    for tap in range(3):
                        t = centre + (tap - 1) * dilations[branch]
                        if 0 <= t < 7:
                            for c in range(part):
                                value = value + conv.weight[d, c, tap, 0] * inner[c][:, t].clamp(min=0)
                    value = norm(value, layer.norm, channel)
                expected = (value + shortcut[:, channel, frame]).clamp(min=0)
                torch.testing.assert_close(found[:, channel, frame], expected, rtol=1e-10, atol=1e-12)
            channel += 1


def g3d_by_hand(layer: G3D, x: Tensor) -> Tensor:
    """Eq. 8, node by node: gather over the window, weights, BN, ReLU, then the collapse over its frames."""
    rows, channels, frames, joints = x.shape
    window, stride, dilation = layer.window, layer.stride * layer.every, layer.dilation
    full = layer.graph + layer.residual_graph
    count = (frames - 1) // stride + 1
    inner, outer = layer.conv.out_channels, layer.collapse.out_channels
    result = x.new_zeros(rows, outer, count, joints)
    for out_frame in range(count):
        nodes = x.new_zeros(rows, channels, window * joints)
        for i in range(window):
            t = out_frame * stride + (i - window // 2) * dilation
            if 0 <= t < frames:
                nodes[:, :, i * joints : (i + 1) * joints] = x[:, :, t]
        inside = x.new_zeros(rows, inner, window * joints)
        for q in range(window * joints):
            gathered = [nodes @ full[k, :, q] for k in range(len(full))]
            for d in range(inner):
                assert layer.conv.bias is not None
                total = layer.conv.bias[d].expand(rows)
                for k in range(len(full)):
                    total = total + gathered[k] @ layer.conv.weight[d, k * channels : (k + 1) * channels, 0, 0]
                inside[:, d, q] = norm(total, layer.norm, d).clamp(min=0)
        for w in range(joints):
            for e in range(outer):
                assert layer.collapse.bias is not None
                total = layer.collapse.bias[e].expand(rows)
                for i in range(window):
                    total = total + inside[:, :, i * joints + w] @ layer.collapse.weight[e, :, 0, i, 0]
                result[:, e, out_frame, w] = norm(total, layer.collapse_norm, e)
    return result


@pytest.mark.parametrize(("window", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), (1, 2, 1)])
@pytest.mark.parametrize(("in_channels", "inner"), [(2, 4), (4, 4), (4, 2)])
def test_g3d_is_equation_8(in_channels: int, inner: int, window: int, stride: int, dilation: int) -> None:
    """In both orders of gathering and weighting."""
    graph = torch.from_numpy(scales(BODY, 3, window))
    layer = trained(G3D(in_channels, inner, 3, graph, window, stride, dilation))
    layer.graph = layer.graph.double()
    x = torch.randn(2, in_channels, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), g3d_by_hand(layer, x), rtol=1e-10, atol=1e-11)


def test_both_orders_of_g3d_have_the_same_gradients() -> None:
    graph = torch.from_numpy(scales(BODY, 3, 3))
    layer = trained(G3D(4, 4, 3, graph, 3, 2, 1)).train()
    layer.graph = layer.graph.double()
    x = torch.randn(3, 4, 7, 5, dtype=torch.float64, requires_grad=True)
    found = []
    for order in (layer._gather_first, layer._weight_first):
        inside = layer.norm(order(x))
        weight = torch.linspace(-1, 1, inside.numel(), dtype=torch.float64).view(inside.shape)
        values = [x, layer.residual_graph, layer.conv.weight]
        found.append(torch.autograd.grad((inside * weight).sum() + inside.square().sum(), values))
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def test_one_graph_for_all_rows_is_not_copied() -> None:
    x = torch.randn(2, 3, 6, 4, dtype=torch.float64, requires_grad=True)
    graph = torch.randn(1, 5, 6, dtype=torch.float64, requires_grad=True)
    found = by_row(graph, x), by_row(graph.expand(2, -1, -1), x)
    torch.testing.assert_close(*found)
    weight = torch.randn_like(found[0])
    first, second = (torch.autograd.grad((one * weight).sum(), (x, graph)) for one in found)
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)
    sizes = set()

    def keep(one: torch.Tensor) -> torch.Tensor:
        sizes.add(one.untyped_storage().nbytes())
        return one

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
        by_row(graph, x)
    assert sizes == {graph.nbytes, x.nbytes}


def test_a_block_is_its_paths() -> None:
    paths = Paths(BODY, 3, 2, (3, 5), 1, (1, 2))
    block = trained(Block(4, 8, 2, paths, first=False)).float()
    x = torch.randn(2, 4, 9, 5)
    factorised = block.temporal_again(block.temporal(block.spatial(x)))
    summed = factorised + block.windows[0](x) + block.windows[1](x)
    torch.testing.assert_close(block(x), block.fusion(summed.relu()))
    assert (factorised < 0).any()  # no ReLU before the sum


def test_who_widens_in_a_block() -> None:
    """The first block widens at once, whatever C is; the others in the first MS-TCN and at the collapse."""
    for channels in (2, 3, 4):
        model = MSG3D(best("quarter", channels), BODY, 2)
        first, second = model.blocks[0], model.blocks[1]
        assert isinstance(first, Block) and isinstance(second, Block)
        assert [first.spatial.conv.out_channels, first.windows[0].conv.out_channels] == [24, 24]  # type: ignore[union-attr]
        assert [second.spatial.conv.out_channels, second.windows[0].conv.out_channels] == [24, 24]  # type: ignore[union-attr]
        assert second.temporal.reduce.out_channels == 48
        assert second.windows[1].collapse.out_channels == 48  # type: ignore[union-attr]


# ---- the network


def test_parameters_of_the_paper() -> None:
    model = MSG3D(released(), SKELETONS["ntu25"], 60)
    assert sum(value.numel() for value in model.parameters()) == 3_194_595


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (1, 2)}, "widths has 3 blocks but strides has 2"),
        ({"widths": (96, 192, 5)}, r"a width of 5 cannot be shared by 6 temporal branches \(4 dilations"),
        ({"windows": (3, 4)}, r"windows must be odd.*\(3, 4\)"),
        ({"dilations": (0, 1)}, r"dilations must be at least 1, got \(0, 1\)"),
        ({"in_channels": 0}, "in_channels 0 must be at least 1"),
        ({"gcn_scales": 0}, "gcn_scales 0.*at least 1"),
        ({"people": -1}, "people -1 at least 0"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)


def test_too_many_people_are_refused_and_missing_ones_filled_up() -> None:
    model = MSG3D(replace(released("quarter"), widths=(6, 6, 6)), BODY, 2).eval()
    one = torch.randn(2, 3, 8, 5, 1)
    nobody = torch.cat([one, torch.zeros_like(one)], dim=4)
    torch.testing.assert_close(model(one), model(nobody))
    with pytest.raises(ValueError, match="the input has 3 people, but the network normalises 2"):
        model(torch.zeros(1, 3, 8, 5, 3))


@pytest.mark.parametrize("people", [0, 2])
def test_hidden_frames_are_as_good_as_cut_off(people: int) -> None:
    torch.manual_seed(0)
    config = replace(best("quarter"), widths=(8, 8, 16), dilations=(1, 2), people=people)
    model = trained(MSG3D(config, BODY, 3)).float()
    x = torch.randn(2, 3, 16, 5, 2)
    visible = torch.ones(2, 16, 5, 2, dtype=torch.bool)
    visible[:, 8:] = False
    short = model(x[:, :, :8], visible[:, :8])
    torch.testing.assert_close(model(x, visible), short, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(short, model(x[:, :, :8]), rtol=1e-5, atol=1e-5)


def test_the_released_network_gives_the_reference_logits(shared: Path) -> None:
    family = FAMILIES["msg3d"]
    weights = load_file(shared / "parity" / "msg3d_ntu25.weights.safetensors")
    case = load_file(shared / "parity" / "msg3d_ntu25.io.safetensors")
    assert family.recognises(weights)
    config = family.configure(weights)
    assert config == released()
    model = MSG3D(config, SKELETONS["ntu25"], 60).eval()
    ours, unknown = family.rename(weights)
    assert unknown == []
    model.load_state_dict(ours)
    with torch.no_grad():
        for visible in (None, torch.ones_like(case["input"][:, 0], dtype=torch.bool)):
            difference = (model(case["input"], visible) - case["output_0"]).abs().max()
            assert difference / case["output_0"].abs().max() < 1e-5
