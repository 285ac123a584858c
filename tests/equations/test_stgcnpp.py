"""ST-GCN++ against loops written from the text (Duan et al. 2022, Sec. 3.2), everything in float64."""

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bonegraph.graph import adjacency
from bonegraph.models.released import FAMILIES
from bonegraph.models.stgcn import Shortcut
from bonegraph.models.stgcnpp import (
    Config,
    SpatialPart,
    STGCNpp,
    TemporalPart,
    Unit,
    best,
    branch_widths,
    released,
)
from bonegraph.skeleton import SKELETONS

from .test_graph import loop_hops, random_body
from .test_stgcn import num_parameters, numbers, randomise, same_with_gradients

BODY = SKELETONS["sbu15"]


def normalised(value: Tensor, layer: Any, channels: slice = slice(None)) -> Tensor:
    """A batch normalisation of one vector of channels, in evaluation mode."""
    mean, variance = layer.running_mean[channels], layer.running_var[channels]
    scaled: Tensor = (value - mean) / (variance + layer.eps).sqrt() * layer.weight[channels] + layer.bias[channels]
    return scaled


def small(**changes: Any) -> STGCNpp:
    """Weights and statistics as after a training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCNpp(Config(**{"widths": (8, 13), "strides": (1, 2), **changes}), BODY, 4).double().eval()
    with torch.no_grad():
        draw = torch.Generator().manual_seed(0)
        for name, value in model.state_dict().items():
            if value.is_floating_point() and "conv" not in name:
                value += 0.3 * torch.rand(value.shape, generator=draw, dtype=value.dtype)
    return model


# --- the spatial part -------------------------------------------------------------------------------------------------


def loop_spatial(x: Tensor, part: SpatialPart) -> Tensor:
    """y_w = ReLU(BN(sum_k sum_v A_k[v, w] (W_k x_v + b_k)) + residual), with the residual of x_w itself."""
    weight, bias = part.convolution.conv.weight, part.convolution.conv.bias
    assert bias is not None
    out = len(part.norm.weight)
    rows = []
    for r, t, w in product(range(len(x)), range(x.shape[2]), range(x.shape[3])):
        total = x.new_zeros(out)
        for k, v in product(range(len(part.graph)), range(x.shape[3])):
            kept = slice(k * out, (k + 1) * out)
            total = total + part.graph[k, v, w] * (weight[kept, :, 0, 0] @ x[r, :, t, v] + bias[kept])
        own = x[r, :, t, w]
        if isinstance(part.residual, Shortcut):
            convolution, norm = part.residual
            assert isinstance(convolution, nn.Conv2d)
            assert convolution.bias is not None
            own = normalised(convolution.weight[:, :, 0, 0] @ own + convolution.bias, norm)
        rows.append(torch.relu(normalised(total, part.norm) + own))
    return torch.stack(rows).view(len(x), x.shape[2], x.shape[3], out).permute(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [2, 3])
def test_spatial_part_in_loops(channels: int) -> None:
    part = SpatialPart(2, channels, torch.rand(3, 4, 4)).double().eval()
    randomise(part, 1)
    assert isinstance(part.residual, nn.Identity if channels == 2 else Shortcut)
    x = numbers(0, 2, 2, 3, 4)
    weight, bias = part.convolution.conv.weight, part.convolution.conv.bias
    assert bias is not None
    same_with_gradients(part(x), loop_spatial(x, part), [x, part.graph, weight, bias])


@pytest.mark.parametrize("seed", [1, 3])
def test_each_graph_starts_as_itself_inward_and_outward(seed: int) -> None:
    """Each normalised by the number of sources of a target; inward sources are nearer to the centre."""
    body = random_body(seed)
    hops, joints = loop_hops(body), range(body.num_joints)
    model = STGCNpp(Config(widths=(6, 6), strides=(1, 1)), body, 2)
    for unit in model.units:
        assert isinstance(unit, Unit)
        assert isinstance(unit.spatial.graph, nn.Parameter)
        for k, v, w in product(range(3), joints, joints):

            def linked(source: int, target: int, subset: int = k) -> bool:
                further = hops[body.centre][source] - hops[body.centre][target]
                return hops[source][target] <= 1 and subset == (0 if further == 0 else 1 if further < 0 else 2)

            count = sum(linked(source, w) for source in joints)
            expected = 1 / count if linked(v, w) else 0
            assert unit.spatial.graph[k, v, w].item() == pytest.approx(expected)


def test_each_unit_learns_a_graph_of_its_own() -> None:
    model = small().train()
    model(torch.randn(3, 3, 6, 15, 1, dtype=torch.float64)).square().sum().backward()
    first, second = (model.get_parameter(f"units.{unit}.spatial.graph") for unit in (0, 1))
    assert first.data_ptr() != second.data_ptr()
    absent = torch.from_numpy(adjacency(BODY)) == 0
    for graph in (first, second):
        assert graph.grad is not None
        assert (graph.grad[absent] != 0).all()  # free: pairs without a bone learn, too


# --- the temporal part ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "widths"),
    [
        (6, [1, 1, 1, 1, 1, 1]),
        (11, [6, 1, 1, 1, 1, 1]),
        (64, [14, 10, 10, 10, 10, 10]),
        (128, [23, 21, 21, 21, 21, 21]),
        (256, [46, 42, 42, 42, 42, 42]),
    ],
)
def test_the_first_branch_takes_the_remainder(channels: int, widths: list[int]) -> None:
    assert branch_widths(channels, 6) == widths
    assert sum(widths) == channels
    part = TemporalPart(channels, 1, 3, (1, 2, 3, 4))
    assert [len(part.get_parameter(f"dilated.{branch}.weight")) for branch in range(4)] == widths[:4]
    assert part.plain.out_channels == widths[5]
    assert part.reduce.out_channels == sum(widths[:5])


def loop_temporal(x: Tensor, part: TemporalPart, stride: int, dilations: tuple[int, ...]) -> Tensor:
    """Branch by branch, frame by frame; frames before the first and after the last are not there."""
    channels, frames = x.shape[1], x.shape[2]
    each = channels // (len(dilations) + 2)
    first = channels - each * (len(dilations) + 1)
    starts = [0, *[first + each * b for b in range(len(dilations) + 1)]]
    reduce_bias, plain_bias, merge_bias = part.reduce.bias, part.plain.bias, part.merge.bias
    assert reduce_bias is not None
    assert plain_bias is not None
    assert merge_bias is not None
    columns = []
    for r, t, v in product(range(len(x)), range(0, frames, stride), range(x.shape[3])):
        parts = []
        for branch, (start, end) in enumerate(pairwise(starts)):
            own = slice(start, end)

            def start_of_branch(q: int, own: slice = own, r: int = r, v: int = v) -> Tensor:
                reduced = part.reduce.weight[own, :, 0, 0] @ x[r, :, q, v] + reduce_bias[own]
                return torch.relu(normalised(reduced, part.reduce_norm, own))

            if branch < len(dilations):
                convolution = part.dilated[branch]
                assert isinstance(convolution, nn.Conv2d)
                assert convolution.bias is not None
                total = convolution.bias
                for place in range(3):
                    q = t + (place - 1) * dilations[branch]
                    if 0 <= q < frames:
                        total = total + convolution.weight[:, :, place, 0] @ start_of_branch(q)
                parts.append(total)
            else:
                near = [start_of_branch(q) for q in (t - 1, t, t + 1) if 0 <= q < frames]
                parts.append(torch.stack(near).amax(dim=0))
        parts.append(part.plain.weight[:, :, 0, 0] @ x[r, :, t, v] + plain_bias)
        together = torch.relu(normalised(torch.cat(parts), part.norm))
        columns.append(normalised(part.merge.weight[:, :, 0, 0] @ together + merge_bias, part.merge_norm))
    return torch.stack(columns).view(len(x), -1, x.shape[3], channels).permute(0, 3, 1, 2)


@pytest.mark.parametrize(("stride", "frames"), [(1, 6), (2, 6), (2, 5), (3, 7), (2, 1)])
@pytest.mark.parametrize(("channels", "dilations"), [(9, (1, 2, 3, 4)), (7, (1, 3))])
def test_temporal_part_in_loops(stride: int, frames: int, channels: int, dilations: tuple[int, ...]) -> None:
    part = TemporalPart(channels, stride, 3, dilations).double().eval()
    randomise(part, 2)
    x = numbers(0, 2, channels, frames, 2)
    inputs = [x, part.reduce.weight, part.plain.weight, part.merge.weight]
    same_with_gradients(part(x), loop_temporal(x, part, stride, dilations), inputs)


def test_a_unit_in_loops() -> None:
    """ReLU(temporal(spatial(x)) + residual(x)); the first unit is without the residual, and without dropout."""
    graph = torch.rand(3, 2, 2)
    config = Config(in_channels=2, widths=(7, 7), strides=(1, 1), dilations=(1, 2), dropout=0.4)
    first, second = Unit(config, 0, 2, graph).double().eval(), Unit(config, 1, 7, graph).double().eval()
    randomise(first, 3)
    randomise(second, 4)
    assert first.residual is None
    assert (first.dropout.p, second.dropout.p) == (0, 0.4)
    x = numbers(0, 1, 2, 4, 2)
    middle = torch.relu(loop_temporal(loop_spatial(x, first.spatial), first.temporal, 1, (1, 2)))
    torch.testing.assert_close(first(x), middle, rtol=1e-10, atol=1e-10)
    out = torch.relu(loop_temporal(loop_spatial(middle, second.spatial), second.temporal, 1, (1, 2)) + middle)
    torch.testing.assert_close(second(first(x)), out, rtol=1e-9, atol=1e-9)


def test_a_frame_reaches_four_frames_to_either_side() -> None:
    """The widest branch of one unit has dilation 4."""
    model = STGCNpp(Config(widths=(8,), strides=(1,)), BODY, 4).double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1)  # no ReLU closes and no path cancels another
    x = torch.rand(1, 3, 20, 15, 1, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.features(x).maps[:, :, 10].sum(), x)
    assert torch.nonzero(gradient.abs().sum(dim=(0, 1, 3, 4))).flatten().tolist() == list(range(6, 15))


# --- the network ------------------------------------------------------------------------------------------------------


def test_released_has_the_published_number_of_parameters() -> None:
    assert num_parameters(STGCNpp(released(), SKELETONS["ntu25"], 60)) == 1_403_144


def test_layout() -> None:
    config = released()
    assert config.widths == (64,) * 4 + (128,) * 3 + (256,) * 3
    assert [unit + 1 for unit, stride in enumerate(config.strides) if stride != 1] == [5, 8]
    assert best() == replace(config, dropout=0.1)
    assert best("quarter", 2, 0.0) == replace(config, in_channels=2, widths=tuple(w // 4 for w in config.widths))
    assert released("half").widths == tuple(width // 2 for width in config.widths)


def test_nonsense_is_refused_with_its_numbers() -> None:
    with pytest.raises(ValueError, match=r"widths \(64, 5\) must be at least 6"):
        Config(widths=(64, 5), strides=(1, 1))
    with pytest.raises(ValueError, match=r"dilations must be at least 1, got \(1, 0\)"):
        Config(dilations=(1, 0))
    with pytest.raises(ValueError, match="10 units but strides has 1"):
        Config(strides=(1,))
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        STGCNpp(Config(), BODY, 0)
    with pytest.raises(ValueError, match="2 channels and 15 joints, but the network takes 3 channels"):
        small()(torch.zeros(1, 2, 4, 15, 1))


@pytest.mark.parametrize("body", ["openpose18", "penn13"])
def test_any_skeleton_frames_people_and_channels(body: str) -> None:
    joints = SKELETONS[body].num_joints
    for channels in (2, 4):
        config = Config(in_channels=channels, widths=(8, 12), strides=(1, 2), strategy="spatial")
        model = STGCNpp(config, SKELETONS[body], 4, np.arange(float(joints))).eval()
        for clips, frames, people in ((1, 1, 1), (2, 7, 3)):
            x = torch.randn(clips, channels, frames, joints, people)
            assert model(x).shape == (clips, 4)
            assert model(x, torch.zeros(clips, frames, joints, people, dtype=torch.bool)).isfinite().all()


def test_no_dead_parameter() -> None:
    """In evaluation mode, because in training a normalisation takes out the bias before it."""
    model = small()
    model(torch.randn(2, 3, 9, 15, 2, dtype=torch.float64)).square().sum().backward()
    dead = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert dead == []


# --- masks ------------------------------------------------------------------------------------------------------------


def clip(frames: int, seed: int = 5) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, frames, 15, 2, generator=draw, dtype=torch.float64)
    return x, torch.rand(2, frames, 15, 2, generator=draw) < 0.8


@pytest.mark.parametrize("seen", [1, 5, 8])
def test_hidden_frames_at_the_end_are_a_cut_clip(seen: int) -> None:
    model = small()
    x, visible = clip(12)
    visible[:, :seen, 0] = True
    visible[:, seen:] = False
    expected = model(x[:, :, :seen], visible[:, :seen])
    torch.testing.assert_close(model(x, visible), expected, rtol=1e-12, atol=1e-12)
    everything = torch.ones_like(visible)
    everything[:, seen:] = False
    torch.testing.assert_close(model(x, everything), model(x[:, :, :seen]), rtol=1e-12, atol=1e-12)


def test_hidden_frames_at_the_start_are_a_cut_clip() -> None:
    model = small()
    x, visible = clip(12)
    visible[:, :4] = False
    torch.testing.assert_close(model(x, visible), model(x[:, :, 4:], visible[:, 4:]), rtol=1e-12, atol=1e-12)


def test_what_is_hidden_changes_nothing() -> None:
    model = small()
    x, visible = clip(12)
    visible[0, 3:6] = False
    visible[1, ..., 1] = False
    other = torch.where(visible[:, None], x, 50 * torch.randn_like(x))
    assert torch.equal(model(x, visible), model(other, visible))
    torch.testing.assert_close(model(x, visible)[1:], model(x[1:, ..., :1], visible[1:, ..., :1]))
    assert not torch.allclose(model(x, visible), model(x))


def test_all_visible_is_no_mask() -> None:
    model = small()
    x, visible = clip(7)
    torch.testing.assert_close(model(x, torch.ones_like(visible)), model(x), rtol=1e-12, atol=1e-12)


# --- the released network, number for number --------------------------------------------------------------------------


def test_released_weights_give_released_logits(shared: Path) -> None:
    weights = load_file(shared / "parity" / "pyskl_stgcnpp_ntu25.weights.safetensors")
    case = load_file(shared / "parity" / "pyskl_stgcnpp_ntu25.io.safetensors")
    ours, unknown = FAMILIES["pyskl-stgcnpp"].rename(weights)
    assert unknown == []
    model = STGCNpp(released(), SKELETONS["ntu25"], 60)
    model.load_state_dict(ours)
    with torch.no_grad():
        logits = model.eval()(case["input"])
    assert (logits - case["output_0"]).abs().max() / case["output_0"].abs().max() < 1e-5
