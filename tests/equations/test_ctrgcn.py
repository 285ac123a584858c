"""CTR-GCN against loops written from the paper (Chen et al. 2021), and against a network under the published names.

Graphs are ``[source, target]``. Everything is float64.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.models.agcn import directed
from bonegraph.models.ctrgcn import (
    CTRGCN,
    ChannelwiseConvolution,
    Config,
    Refinement,
    TemporalPart,
    Unit,
    best,
    released,
)
from bonegraph.models.registry import MODELS, build
from bonegraph.models.released.load import load_released
from bonegraph.skeleton import SKELETONS

from . import test_agcn as common
from .test_agcn import MASKS, Published, conv, norm, published_forward
from .test_stgcn import num_parameters, numbers, randomise, same_with_gradients

SMALL = Config(widths=(4, 8, 8), strides=(1, 2, 2), temporal_kernel=3)

# --- equations ------------------------------------------------------------------------------------------------------


def refinement(subsets: int, joints: int, out: int) -> Refinement:
    module = Refinement(3, 2, out, torch.eye(joints).expand(subsets, -1, -1)).double()
    randomise(module, 1)
    return module


def loop_refinement(module: Refinement, x: Tensor, frames: Tensor | None) -> Tensor:
    """R = A + α ξ(tanh(ψ(x_u) - φ(x_v))), x the mean over the frames that count, as (R, K, D, source, target)."""
    compare, expand = module.compare, module.expand
    assert compare.bias is not None
    assert expand.bias is not None
    subsets, channels, out = module.subsets, module.channels, module.out_channels
    rows, _, length, joints = x.shape
    found = []
    for r, k in product(range(rows), range(subsets)):
        kept = [t for t in range(length) if frames is None or frames[r, t]]
        psi, phi = (
            slice(k * channels, (k + 1) * channels),
            slice((subsets + k) * channels, (subsets + k + 1) * channels),
        )
        xi = slice(k * out, (k + 1) * out)

        means = []
        for embedding, joint in product((psi, phi), range(joints)):
            total = x.new_zeros(channels)
            for t in kept:
                total = total + compare.weight[embedding, :, 0, 0] @ x[r, :, t, joint] + compare.bias[embedding]
            means.append(total / len(kept))
        for v, u in product(range(joints), repeat=2):
            relation = torch.tanh(means[u] - means[joints + v])
            refined = expand.weight[xi, :, 0, 0] @ relation + expand.bias[xi]
            found.append(module.graph[k, v, u] + module.alpha * refined)
    return torch.stack(found).view(rows, subsets, joints, joints, out).permute(0, 1, 4, 2, 3)


SOME = [None, torch.tensor([[True, False, True], [False, False, True]])]


@pytest.mark.parametrize("frames", SOME, ids=["all", "masked"])
def test_refinement_in_loops(frames: Tensor | None) -> None:
    module = refinement(2, 3, 3)
    x = numbers(0, 2, 3, 3, 3)
    loops = loop_refinement(module, x, frames)
    ours = module(x, frames).unflatten(2, (2, 3)).transpose(1, 2)
    same_with_gradients(ours, loops, [x, *module.parameters()])


def test_a_person_in_no_frame_is_finite() -> None:
    module = refinement(3, 4, 2)
    assert module(numbers(0, 3, 3, 4, 4), MASKS[1]).isfinite().all()


@pytest.mark.parametrize("frames", SOME, ids=["all", "masked"])
def test_channelwise_convolution_in_loops(frames: Tensor | None) -> None:
    """z_u = Σ_k Σ_v R_k[v, u] (W_k x + b_k)_v, each channel on its own graph."""
    subsets, joints, out = 2, 3, 4
    module = ChannelwiseConvolution(3, out, True, torch.rand(subsets, joints, joints)).double()
    randomise(module, 2)
    x = numbers(0, 2, 3, 3, joints)
    graphs = loop_refinement(module.refinement, x, frames)
    assert module.conv.bias is not None
    values = []
    for r, d, t, u in product(range(2), range(out), range(3), range(joints)):
        total = x.new_zeros(())
        for k, v in product(range(subsets), range(joints)):
            row = k * out + d
            total = total + graphs[r, k, d, v, u] * (
                module.conv.weight[row, :, 0, 0] @ x[r, :, t, v] + module.conv.bias[row]
            )
        values.append(total)
    loops = torch.stack(values).view(2, out, 3, joints)
    same_with_gradients(module(x, frames), loops, [x, *module.parameters()])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [None, torch.tensor([[True, False, True, True, True], [True] * 2 + [False] * 3])])
def test_temporal_part_in_loops(stride: int, frames: Tensor | None) -> None:
    """Four branches by hand, with frames that do not count as zeros, which is what lies beyond the ends."""
    part = TemporalPart(8, stride, 5, (1, 2)).double().eval()
    randomise(part, 4)
    x = numbers(0, 2, 8, 5, 2)
    if frames is not None:
        x = (x * frames[:, None, :, None]).detach().requires_grad_()

    def scaled(value: Tensor, layer: nn.BatchNorm2d, channels: slice) -> Tensor:
        mean, variance = layer.running_mean, layer.running_var
        assert mean is not None
        assert variance is not None
        centred = (value - mean[channels]) / (variance[channels] + layer.eps).sqrt()
        return centred * layer.weight[channels] + layer.bias[channels]

    def entered(r: int, t: int, v: int, branch: slice) -> Tensor | None:
        """What a branch reads in a frame; None beyond the ends."""
        if not 0 <= t < 5:
            return None
        if frames is not None and not frames[r, t]:
            return x.new_zeros(2)
        assert part.reduce.bias is not None
        value = part.reduce.weight[branch, :, 0, 0] @ x[r, :, t, v] + part.reduce.bias[branch]
        return torch.relu(scaled(value, part.reduce_norm, branch))

    outs = []
    for r, t, v in product(range(2), range(0, 5, stride), range(2)):
        branches = []
        for index, dilation in enumerate((1, 2)):
            layer = part.dilated[index]
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            total: Tensor = layer.bias
            for step in range(5):
                read = entered(r, t + (step - 2) * dilation, v, slice(2 * index, 2 * index + 2))
                if read is not None:
                    total = total + layer.weight[:, :, step, 0] @ read
            branches.append(total)
        near = [entered(r, q, v, slice(4, 6)) for q in (t - 1, t, t + 1)]
        branches.append(torch.stack([value for value in near if value is not None]).amax(dim=0))
        assert part.plain.bias is not None
        branches.append(part.plain.weight[:, :, 0, 0] @ x[r, :, t, v] + part.plain.bias)
        outs.append(scaled(torch.cat(branches), part.norm, slice(None)))
    loops = torch.stack(outs).view(2, -1, 2, 8).permute(0, 3, 1, 2)
    ours = part(x, frames)
    torch.testing.assert_close(ours, loops, rtol=1e-12, atol=1e-12)
    upstream = numbers(9, *ours.shape).detach()
    (first,), (second,) = (torch.autograd.grad(value, x, upstream) for value in (ours, loops))
    torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-11)


# --- a network under the published names ----------------------------------------------------------------------------

WIDTHS, STRIDES = (16, 16, 32, 32), (1, 1, 2, 1)


def published_ctrgcn(joints: int) -> dict[str, Tensor]:
    file = Published(joints)

    def layer(name: str, before: int, after: int) -> None:
        reduced = 8 if name == "l1" else before // 8
        for subset in range(3):
            file.conv(f"{name}.gcn1.convs.{subset}.conv1", before, reduced)
            file.conv(f"{name}.gcn1.convs.{subset}.conv2", before, reduced)
            file.conv(f"{name}.gcn1.convs.{subset}.conv3", before, after)
            file.conv(f"{name}.gcn1.convs.{subset}.conv4", reduced, after)
        file.number(f"{name}.gcn1.alpha", 1)
        quarter = after // 4
        for branch in range(4):
            file.conv(f"{name}.tcn1.branches.{branch}.0", after, quarter)
            file.norm(f"{name}.tcn1.branches.{branch}.1", quarter)
        for branch in range(2):
            file.conv(f"{name}.tcn1.branches.{branch}.3.conv", quarter, quarter, 5)
            file.norm(f"{name}.tcn1.branches.{branch}.3.bn", quarter)
        file.norm(f"{name}.tcn1.branches.2.4", quarter)

    return file.network(WIDTHS, STRIDES, 2, layer)


def ctrgcn_forward(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    def spatial(name: str, x: Tensor) -> Tensor:
        total = torch.zeros(())
        for subset in range(3):
            part = f"{name}.gcn1.convs.{subset}"
            target, source = (conv(weights, f"{part}.{layer}", x).mean(dim=2) for layer in ("conv1", "conv2"))
            relation = torch.tanh(target[:, :, :, None] - source[:, :, None, :])  # target, source
            graph = conv(weights, f"{part}.conv4", relation) * weights[f"{name}.gcn1.alpha"]
            graph = graph + weights[f"{name}.gcn1.PA"][subset]
            total = total + torch.einsum("rduv,rdtv->rdtu", graph, conv(weights, f"{part}.conv3", x))
        return total

    def temporal(name: str, x: Tensor, stride: int) -> Tensor:
        outs = []
        for branch in range(4):
            part = f"{name}.tcn1.branches.{branch}"
            step = stride if branch == 3 else 1
            out = norm(weights, f"{part}.1", conv(weights, f"{part}.0", x, stride=(step, 1)))
            if branch < 2:
                how: dict[str, Any] = {
                    "stride": (stride, 1),
                    "padding": (2 * (branch + 1), 0),
                    "dilation": (branch + 1, 1),
                }
                out = norm(weights, f"{part}.3.bn", conv(weights, f"{part}.3.conv", torch.relu(out), **how))
            if branch == 2:
                out = functional.max_pool2d(torch.relu(out), (3, 1), (stride, 1), (1, 0))
                out = norm(weights, f"{part}.4", out)
            outs.append(out)
        return torch.cat(outs, dim=1)

    return published_forward(weights, x, STRIDES, spatial, temporal)


def test_published_names_mean_what_we_think(tmp_path: Path) -> None:
    body = SKELETONS["sbu15"]
    common.same_as_published(published_ctrgcn(15), tmp_path / "a.safetensors", body, ctrgcn_forward)
    found = load_released(tmp_path / "a.safetensors", body)
    assert found.family == "ctrgcn"
    assert found.model.config == Config(4, WIDTHS, STRIDES, 5, people=2)


def test_released_weights_give_released_logits(shared: Path) -> None:
    common.released_logits(shared, "ctrgcn_ntu25", CTRGCN)


def test_the_graph_starts_where_the_released_one_does(shared: Path) -> None:
    """The reference weights are the start, a little disturbed; theirs are [target, source]."""
    weights = load_file(shared / "parity" / "ctrgcn_ntu25.weights.safetensors")
    disturbed = torch.stack([weights[f"l{layer}.gcn1.PA"] for layer in range(1, 11)]).mean(dim=0).transpose(1, 2)
    model = CTRGCN(released("quarter"), SKELETONS["ntu25"], 3)
    for unit in model.units:
        assert isinstance(unit, Unit)
        assert (disturbed - unit.spatial.refinement.graph).abs().max() < 0.1
    assert (disturbed - directed(SKELETONS["ntu25"])).abs().max() > 0.4  # the other way round


# --- the network ----------------------------------------------------------------------------------------------------


def test_released_has_the_published_number_of_parameters() -> None:
    assert num_parameters(CTRGCN(released(), SKELETONS["ntu25"], 60)) == 1_446_672


def test_a_joint_starts_with_the_sum_of_its_children_and_a_share_of_its_parent() -> None:
    body = SKELETONS["ntu25"]
    for unit in CTRGCN(SMALL, body, 3).units:
        assert isinstance(unit, Unit)
        _, children, parent = unit.spatial.refinement.graph.detach()
        for joint, above in body.bones:
            assert children[joint, above] == 1
            assert parent[above, joint] == pytest.approx(1 / sum(other == above for _, other in body.bones))
        assert int((children > 0).sum()) == int((parent > 0).sum()) == 24


@pytest.mark.parametrize(("width", "base"), [("full", 64), ("half", 32), ("quarter", 16)])
def test_variants(width: Any, base: int) -> None:
    widths = (base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3
    assert released(width, 4) == Config(4, widths, (1, 1, 1, 1, 2, 1, 1, 2, 1, 1), 5, (1, 2), people=2)
    assert released(width, 4, people=5).people == 5
    assert best(width, 4) == replace(released(width, 4), people=0)


@pytest.mark.parametrize("in_channels", [1, 2, 3, 4, 9, 30])
def test_reduced_channels(in_channels: int) -> None:
    """8 in the first unit, whatever its input has, then C / 8."""
    model = CTRGCN(Config(in_channels=in_channels), SKELETONS["sbu15"], 3)
    channels = [unit.spatial.refinement.channels for unit in model.units if isinstance(unit, Unit)]
    assert channels == [8, 8, 8, 8, 8, 16, 16, 16, 32, 32]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (8,) * 9}, "widths has 9 units but strides has 10"),
        ({"temporal_kernel": 4}, "temporal_kernel must be odd.*got 4"),
        ({"dilations": (1, 0)}, r"dilations must be at least 1, got \(1, 0\)"),
        ({"dilations": (1, 2, 3)}, r"widths \(64, .*\) must be multiples of the 5 temporal branches"),
        ({"people": -2}, "people must be at least 0, got -2"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)


def test_registry() -> None:
    assert MODELS["ctrgcn"] == (CTRGCN, Config)
    assert isinstance(build(SMALL, SKELETONS["sbu15"], 3), CTRGCN)


def test_hidden_frames_are_cut_off() -> None:
    common.hidden_frames_are_cut_off(SMALL)


def test_what_is_hidden_changes_nothing() -> None:
    common.what_is_hidden_changes_nothing(SMALL)


def test_any_body_works() -> None:
    common.any_body_works(SMALL)


def test_gradients_repeat_on_two_threads() -> None:
    common.gradients_repeat_on_two_threads(SMALL)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_it_learns(precision: torch.dtype) -> None:
    common.it_learns(SMALL, precision)


def test_a_checkpoint_keeps_it(tmp_path: Path) -> None:
    common.a_checkpoint_keeps_it(SMALL, tmp_path)


def test_every_weight_has_a_gradient() -> None:
    common.every_weight_has_a_gradient(SMALL)


def test_it_starts_with_one_graph_for_all() -> None:
    """α = 0: the refinement adds nothing, but α itself has a gradient and so begins to move."""
    model = CTRGCN(SMALL, SKELETONS["sbu15"], 3)
    for unit in model.units:
        assert isinstance(unit, Unit)
        module = unit.spatial.refinement
        assert module.alpha.item() == 0
        assert (unit.spatial_norm.weight == 1e-6).all()
        x = torch.rand(2, unit.spatial.conv.in_channels, 5, 15)
        shared = module.graph.flatten(0, 1).expand(2, unit.spatial_norm.num_features, -1, -1)
        torch.testing.assert_close(module(x), shared)
        (gradient,) = torch.autograd.grad(module(x).square().sum(), module.alpha)
        assert gradient != 0
