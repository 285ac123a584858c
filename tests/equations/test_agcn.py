"""2s-AGCN against loops written from the paper (Shi et al. 2019), and against a network under the published names.

Graphs are ``[source, target]``. Everything is float64.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.models.agcn import (
    AGCN,
    AdaptiveConvolution,
    Config,
    Similarity,
    Unit,
    aggregate,
    best,
    directed,
    released,
)
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, load_checkpoint, save_checkpoint
from bonegraph.models.registry import MODELS, build
from bonegraph.models.released.load import load_released
from bonegraph.models.stgcn import TemporalConvolution
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

from .test_graph import loop_hops, random_body
from .test_stgcn import num_parameters, numbers, randomise, same_with_gradients

SMALL = Config(widths=(4, 8, 8), strides=(1, 2, 2), temporal_kernel=5)
ONE_JOINT = Skeleton("point", ("joint",), (0,), (0,))

# --- the graph ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [*SKELETONS.values(), *(random_body(seed) for seed in range(12))], ids=str)
def test_subsets_are_the_joint_its_parents_and_its_children(body: Skeleton) -> None:
    """Each joint receives the mean of what is one hop nearer to the centre, and of what is one hop farther."""
    graph, hops = directed(body), loop_hops(body)
    linked = {pair for a, b in body.edges for pair in ((a, b), (b, a))}
    assert torch.equal(graph[0], torch.eye(body.num_joints))
    for target in range(body.num_joints):
        depth = hops[body.centre][target]
        for subset, side in ((1, -1), (2, 1)):
            near = [v for v in range(body.num_joints) if (v, target) in linked]
            sources = [v for v in near if hops[body.centre][v] - depth == side]
            level = [v for v in near if hops[body.centre][v] == depth]  # either way round, as the edge says
            for v in range(body.num_joints):
                if v in level:
                    assert (graph[1, v, target] > 0) != (graph[1, target, v] > 0)
                    assert (graph[1, v, target] > 0) == (graph[2, target, v] > 0)
                else:
                    assert (graph[subset, v, target] > 0) == (v in sources)
            total = float(graph[subset, :, target].sum())
            assert total == pytest.approx(1 if graph[subset, :, target].any() else 0)
            assert len(set(graph[subset, :, target].tolist()) - {0.0}) <= 1


def test_parents_are_those_of_the_bones_where_the_centre_is_the_root() -> None:
    body = SKELETONS["ntu25"]
    parent, children = directed(body)[1:]
    for joint, above in enumerate(body.parents):
        if joint != above:
            assert parent[above, joint] == 1
            assert children[joint, above] == pytest.approx(1 / sum(other == above for _, other in body.bones))
    assert int((parent > 0).sum()) == int((children > 0).sum()) == 24


def test_a_joint_that_carries_the_root_is_still_the_centre() -> None:
    """The bones of OpenPose start at the nose, but its graph is about the neck."""
    body = SKELETONS["openpose18"]
    parent = directed(body)[1]
    assert parent[body.index("neck"), body.index("nose")] == 1
    assert parent[:, body.index("neck")].sum() == 0


def test_an_edge_across_is_read_as_child_and_parent() -> None:
    ring = Skeleton("ring", ("a", "b", "c"), (0, 0, 0), (0, 1, 2), edges=((1, 0), (2, 0), (2, 1)))
    _, parent, children = directed(ring)
    assert parent[:, 2].tolist() == [0.5, 0.5, 0]
    assert parent[:, 1].tolist() == [1, 0, 0]
    assert children[:, 1].tolist() == [0, 0, 1]


# --- equations ------------------------------------------------------------------------------------------------------


def loop_similarity(module: Similarity, x: Tensor, frames: Tensor | None) -> Tensor:
    """C_k = softmax over the sources of θ_k(x_v) · φ_k(x_w), summed over channels and frames, divided by C'·T."""
    weight, bias = module.embed.weight[..., 0, 0], module.embed.bias
    assert bias is not None
    subsets, channels = module.subsets, module.channels
    rows, _, length, joints = x.shape
    result = []
    for r, k in product(range(rows), range(subsets)):
        kept = [t for t in range(length) if frames is None or frames[r, t]]
        theta = slice(k * channels, (k + 1) * channels)
        phi = slice((subsets + k) * channels, (subsets + k + 1) * channels)
        for w in range(joints):
            scores = []
            for v in range(joints):
                total = x.new_zeros(())
                for t in kept:
                    source = weight[theta] @ x[r, :, t, v] + bias[theta]
                    target = weight[phi] @ x[r, :, t, w] + bias[phi]
                    total = total + source @ target
                scores.append(total / (channels * max(1, len(kept))))
            weights = [score.exp() for score in scores]
            result.append(torch.stack([value / torch.stack(weights).sum() for value in weights]))
    return torch.stack(result).view(rows, subsets, joints, joints).transpose(2, 3)


MASKS = [None, torch.tensor([[True, False, True, True], [True, True, False, False], [False] * 4])]


@pytest.mark.parametrize("frames", MASKS, ids=["all", "masked"])
def test_similarity_in_loops(frames: Tensor | None) -> None:
    module = Similarity(3, 2, 2).double()
    randomise(module, 1)
    x = numbers(0, 3, 3, 4, 3)
    assert module.embed.bias is not None
    inputs = [x, module.embed.weight, module.embed.bias]
    ours = module(x, frames)
    same_with_gradients(ours, loop_similarity(module, x, frames), inputs)
    torch.testing.assert_close(ours.sum(dim=2), torch.ones(3, 2, 3, dtype=torch.float64))


def test_hidden_frames_do_not_count_in_the_similarity() -> None:
    module = Similarity(3, 2, 3).double()
    randomise(module, 2)
    x, frames = numbers(0, 1, 3, 6, 4), torch.tensor([[True, True, False, True, False, False]])
    masked = module(x * frames[:, None, :, None], frames)
    torch.testing.assert_close(masked, module(x[:, :, frames[0]]), rtol=1e-12, atol=1e-12)


def test_aggregate_sums_the_sources_on_the_graph_of_each_row() -> None:
    x, graph = numbers(0, 2, 3, 4, 5), numbers(1, 2, 2, 5, 5)
    sums = torch.zeros(2, 2, 3, 4, 5, dtype=torch.float64)
    for r, k, source, target in product(range(2), range(2), range(5), range(5)):
        sums[r, k, :, :, target] += graph[r, k, source, target] * x[r, :, :, source]
    same_with_gradients(aggregate(x, graph), sums.flatten(1, 2), [x, graph])
    memory = x.detach().contiguous(memory_format=torch.channels_last)
    assert aggregate(memory, graph.detach()).is_contiguous(memory_format=torch.channels_last)


def test_aggregate_on_one_graph_is_that_of_the_same_for_each_row() -> None:
    x, graph = numbers(0, 2, 3, 4, 5), numbers(1, 1, 2, 5, 5)
    same_with_gradients(aggregate(x, graph), aggregate(x, graph.expand(2, -1, -1, -1)), [x, graph])


@pytest.mark.parametrize("frames", MASKS, ids=["all", "masked"])
def test_adaptive_convolution_in_loops(frames: Tensor | None) -> None:
    """f_out = Σ_k W_k f_in (A_k + B_k + C_k) + b_k."""
    subsets, joints, out = 2, 3, 4
    module = AdaptiveConvolution(3, out, subsets, joints).double()
    randomise(module, 3)
    x, given = numbers(0, 3, 3, 4, joints), numbers(1, subsets, joints, joints)
    similar = loop_similarity(module.similarity, x, frames)
    assert module.conv.bias is not None
    total = torch.zeros(3, out, 4, joints, dtype=torch.float64)
    for k in range(subsets):
        weight, bias = module.conv.weight[k * out : (k + 1) * out, :, 0, 0], module.conv.bias[k * out : (k + 1) * out]
        for r, t, w in product(range(3), range(4), range(joints)):
            gathered = x.new_zeros(3)
            for v in range(joints):
                share = given[k, v, w] + module.learned_graph[k, v, w] + similar[r, k, v, w]
                gathered = gathered + share * x[r, :, t, v]
            spot = torch.zeros_like(total)
            spot[r, :, t, w] = 1
            total = total + spot * (weight @ gathered + bias)[:, None, None]
    inputs = [x, given, *module.parameters()]
    same_with_gradients(module(x, given, frames), total, inputs)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (1, 2, 1), (3, 2, 1), (5, 1, 2), (5, 2, 2)])
def test_temporal_convolution_in_loops(kernel: int, stride: int, dilation: int) -> None:
    module = TemporalConvolution(2, 3, kernel, stride, dilation).double()
    assert module.bias is not None
    for length in (1, 2, 5, 6):
        x = numbers(0, 2, 2, length, 3)
        frames = []
        for t in range(0, length, stride):
            total = module.bias[:, None].expand(2, 3, 3)
            for step in range(kernel):
                q = t + (step - kernel // 2) * dilation
                if 0 <= q < length:
                    total = total + torch.einsum("dc,rcv->rdv", module.weight[..., step, 0], x[:, :, q])
            frames.append(total)
        torch.testing.assert_close(module(x), torch.stack(frames, dim=2), rtol=1e-12, atol=1e-12)


# --- a network under the published names ----------------------------------------------------------------------------


def conv(weights: dict[str, Tensor], name: str, x: Tensor, **how: Any) -> Tensor:
    return functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], **how)


def norm(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    return functional.batch_norm(x, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"])


class Published:
    """Random weights under published names, all that a network of these widths has."""

    def __init__(self, joints: int, seed: int = 0) -> None:
        self.draw, self.joints = torch.Generator().manual_seed(seed), joints
        self.weights: dict[str, Tensor] = {}

    def number(self, name: str, *shape: int) -> None:
        self.weights[name] = torch.randn(shape, generator=self.draw, dtype=torch.float64) / math.prod(shape[1:]) ** 0.5

    def conv(self, name: str, before: int, after: int, kernel: int = 1) -> None:
        self.number(f"{name}.weight", after, before, kernel, 1)
        self.number(f"{name}.bias", after)

    def norm(self, name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            self.number(f"{name}.{part}", channels)
        self.weights[f"{name}.running_var"] = self.weights[f"{name}.running_var"].abs() + 0.5
        self.weights[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def network(
        self, widths: tuple[int, ...], strides: tuple[int, ...], people: int, layer: Callable[[str, int, int], None]
    ) -> dict[str, Tensor]:
        """A network for 4 channels and 5 classes, whose layers are filled by ``layer``."""
        self.norm("data_bn", people * self.joints * 4)
        for index, (before, after) in enumerate(zip((4, *widths), widths, strict=False)):
            name = f"l{index + 1}"
            self.number(f"{name}.gcn1.PA", 3, self.joints, self.joints)
            self.norm(f"{name}.gcn1.bn", after)
            if before != after:
                self.conv(f"{name}.gcn1.down.0", before, after)
                self.norm(f"{name}.gcn1.down.1", after)
            if index and (before != after or strides[index] > 1):
                self.conv(f"{name}.residual.conv", before, after)
                self.norm(f"{name}.residual.bn", after)
            layer(name, before, after)
        self.number("fc.weight", 5, widths[-1])
        self.number("fc.bias", 5)
        return self.weights


def published_forward(
    weights: dict[str, Tensor],
    x: Tensor,
    strides: tuple[int, ...],
    spatial: Callable[[str, Tensor], Tensor],
    temporal: Callable[[str, Tensor, int], Tensor],
) -> Tensor:
    """The released network around two parts of its units: normalisation over M·V·C, units, mean, linear layer."""
    clips, channels, frames, joints, people = x.shape
    flat = x.permute(0, 4, 3, 1, 2).reshape(clips, people * joints * channels, frames)
    x = norm(weights, "data_bn", flat).view(clips * people, joints, channels, frames).permute(0, 2, 3, 1)
    for index, stride in enumerate(strides):
        name = f"l{index + 1}"
        down = x
        if f"{name}.gcn1.down.0.weight" in weights:
            down = norm(weights, f"{name}.gcn1.down.1", conv(weights, f"{name}.gcn1.down.0", x))
        out = torch.relu(norm(weights, f"{name}.gcn1.bn", spatial(name, x)) + down)
        out = temporal(name, out, stride)
        if f"{name}.residual.conv.weight" in weights:
            x = norm(weights, f"{name}.residual.bn", conv(weights, f"{name}.residual.conv", x, stride=(stride, 1)))
            out = out + x
        elif index:
            out = out + x
        x = torch.relu(out)
    pooled = x.mean(dim=(2, 3)).view(clips, people, -1).mean(dim=1)
    return pooled @ weights["fc.weight"].T + weights["fc.bias"]


WIDTHS, STRIDES = (4, 4, 8, 8), (1, 1, 2, 1)


def published_agcn(joints: int) -> dict[str, Tensor]:
    file = Published(joints)

    def layer(name: str, before: int, after: int) -> None:
        for subset in range(3):
            file.conv(f"{name}.gcn1.conv_a.{subset}", before, after // 4)
            file.conv(f"{name}.gcn1.conv_b.{subset}", before, after // 4)
            file.conv(f"{name}.gcn1.conv_d.{subset}", before, after)
        file.conv(f"{name}.tcn1.conv", after, after, 5)
        file.norm(f"{name}.tcn1.bn", after)

    return file.network(WIDTHS, STRIDES, 2, layer)


def agcn_forward(weights: dict[str, Tensor], x: Tensor, graph: Tensor) -> Tensor:
    def spatial(name: str, x: Tensor) -> Tensor:
        total = torch.zeros(())
        for subset in range(3):
            source = conv(weights, f"{name}.gcn1.conv_a.{subset}", x)
            target = conv(weights, f"{name}.gcn1.conv_b.{subset}", x)
            scores = torch.einsum("rctv,rctw->rvw", source, target) / source[0, :, :, 0].numel()
            whole = graph[subset] + weights[f"{name}.gcn1.PA"][subset] + torch.softmax(scores, dim=1)
            near = torch.einsum("rctv,rvw->rctw", x, whole)
            total = total + conv(weights, f"{name}.gcn1.conv_d.{subset}", near)
        return total

    def temporal(name: str, x: Tensor, stride: int) -> Tensor:
        out = conv(weights, f"{name}.tcn1.conv", x, stride=(stride, 1), padding=(2, 0))
        return norm(weights, f"{name}.tcn1.bn", out)

    return published_forward(weights, x, STRIDES, spatial, temporal)


def same_as_published(weights: dict[str, Tensor], path: Path, body: Skeleton, forward: Callable[..., Tensor]) -> None:
    """Our network of a file of these weights gives what the published names say."""
    save_file({name: value.contiguous() for name, value in weights.items()}, path)
    found = load_released(path, body)
    assert found.notes == () or not any("not in the file" in note for note in found.notes)
    x = numbers(1, 3, 4, 7, body.num_joints, 2).detach()
    with torch.no_grad():
        model = build(found.model.config, body, found.num_classes).double().eval()
        model.load_state_dict(found.model.state_dict())
        exact = {name: value.float().to(value.dtype) for name, value in weights.items()}  # as the loader stores them
        torch.testing.assert_close(model(x), forward(exact, x), rtol=1e-9, atol=1e-9)


def test_published_names_mean_what_we_think(tmp_path: Path) -> None:
    body = SKELETONS["sbu15"]
    weights = published_agcn(15)
    same_as_published(
        weights, tmp_path / "a.safetensors", body, lambda w, x: agcn_forward(w, x, directed(body).double())
    )
    found = load_released(tmp_path / "a.safetensors", body)
    assert found.family == "agcn"
    assert found.model.config == Config(4, WIDTHS, STRIDES, 5, people=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l2.gcn1.conv_a.1.weight": None}, "unlike ours: units.1.spatial.similarity.embed.weight of shape"),
        ({"l2.gcn1.bn.weight": None}, "1 missing: units.1.spatial_norm.weight"),
        ({"l1.gcn1.conv_q.weight": torch.zeros(1)}, r"1 unknown: l1\.gcn1\.conv_q\.weight"),
        ({"l1.gcn1.PA": torch.zeros(2, 15, 15)}, r"'l1.gcn1.PA' has the shape \(2, 15, 15\), but three square graphs"),
        ({"data_bn.weight": torch.zeros(61)}, "61 entries, which is no multiple of 15 joints with 4 channels"),
        ({"l1.gcn1.conv_a.1.weight": torch.zeros(2)}, "the parts of .* have unlike shapes"),
        ({"l1.tcn1.conv.weight": torch.zeros(4, 4, 4, 1)}, "temporal_kernel must be odd"),
    ],
)
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    weights = {**published_agcn(15), **change}
    save_file(
        {name: value.contiguous() for name, value in weights.items() if value is not None}, tmp_path / "a.safetensors"
    )
    with pytest.raises(ValueError, match=message) as caught:
        load_released(tmp_path / "a.safetensors", SKELETONS["sbu15"])
    assert "\n" not in str(caught.value)


def released_logits(shared: Path, fixture: str, kind: type[ActionModel]) -> None:
    """Public weights by their key names: all keys used, none missing, the reference logits."""
    found = load_released(shared / "parity" / f"{fixture}.weights.safetensors")
    assert isinstance(found.model, kind)
    assert found.num_classes == 60
    assert not any("not in the file" in note for note in found.notes)
    case = load_file(shared / "parity" / f"{fixture}.io.safetensors")
    with torch.no_grad():
        logits = found.model(case["input"])
        masked = found.model(case["input"], torch.ones_like(case["input"][:, 0], dtype=torch.bool))
    reference = case["output_0"]
    assert logits.shape == reference.shape
    assert (logits - reference).abs().max() / reference.abs().max() < 1e-5
    assert (masked - reference).abs().max() / reference.abs().max() < 1e-5


def test_released_weights_give_released_logits(shared: Path) -> None:
    released_logits(shared, "agcn_ntu25", AGCN)


# --- the network ----------------------------------------------------------------------------------------------------


def test_released_has_the_published_number_of_parameters() -> None:
    assert num_parameters(AGCN(released(), SKELETONS["ntu25"], 60)) == 3_469_510


@pytest.mark.parametrize(("width", "base"), [("full", 64), ("half", 32), ("quarter", 16)])
def test_variants(width: Any, base: int) -> None:
    widths = (base,) * 4 + (2 * base,) * 3 + (4 * base,) * 3
    assert released(width, 4) == Config(4, widths, (1, 1, 1, 1, 2, 1, 1, 2, 1, 1), 9, people=2)
    assert released(width, 4, people=5).people == 5
    assert best(width, 4) == replace(released(width, 4), people=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (8,) * 9}, "widths has 9 units but strides has 10"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
        ({"temporal_kernel": 8}, "temporal_kernel must be odd.*got 8"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, got 1\.0"),
        ({"people": -1}, "people must be at least 0, got -1"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)


def test_wrong_inputs_are_refused_with_both_numbers() -> None:
    model = AGCN(replace(SMALL, people=2), SKELETONS["sbu15"], 3)
    with pytest.raises(ValueError, match=r"2 channels and 15 joints.*3 channels and the 15 joints of 'sbu15'"):
        model(torch.zeros(1, 2, 4, 15, 1))
    with pytest.raises(ValueError, match="the input has 3 people, but the network normalises 2"):
        model(torch.zeros(1, 3, 4, 15, 3))
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        AGCN(SMALL, SKELETONS["sbu15"], 0)


def test_registry() -> None:
    assert MODELS["agcn"] == (AGCN, Config)
    assert isinstance(build(SMALL, SKELETONS["sbu15"], 3), AGCN)


# What follows holds for every network of ten units with relations of joints; `test_ctrgcn` calls it as well.


def in_float64(config: Any, body: Skeleton, seed: int) -> ActionModel:
    """A network in float64, as after a training."""
    model = build(config, body, 4).double().eval()
    randomise(model, seed)
    return model


def hidden_frames_are_cut_off(config: Any) -> None:
    """A clip gives the same logits alone, and followed by any number of hidden frames, whatever they hold."""
    body = SKELETONS["sbu15"]
    for frames, people in ((1, 0), (3, 2), (6, 0), (7, 2)):
        model = in_float64(replace(config, people=people), body, frames)
        x = numbers(frames, 2, 3, frames, 15, 2).detach()
        visible = torch.ones(2, frames, 15, 2, dtype=torch.bool)
        visible[0, frames // 2 :, :, 1] = False  # a person who leaves
        with torch.no_grad():
            alone = model(x, visible)
            for more, junk in ((1, float("nan")), (2, 1e6), (5, 0.0)):
                longer = torch.cat([x, torch.full((2, 3, more, 15, 2), junk, dtype=x.dtype)], dim=2)
                hidden = torch.cat([visible, torch.zeros(2, more, 15, 2, dtype=torch.bool)], dim=1)
                torch.testing.assert_close(model(longer, hidden), alone, rtol=1e-9, atol=1e-9)
            earlier = torch.cat([torch.full((2, 3, 4, 15, 2), 5.0, dtype=x.dtype), x], dim=2)  # 4: the strides divide
            before = torch.cat([torch.zeros(2, 4, 15, 2, dtype=torch.bool), visible], dim=1)
            torch.testing.assert_close(model(earlier, before), alone, rtol=1e-9, atol=1e-9)
            if not people:
                longest = max(1, frames // 2)
                first = model(x[:1, :, :longest, :, 1:], visible[:1, :longest, :, 1:])
                second = model(x[:1, ..., 1:], visible[:1, ..., 1:])
                if frames > 1:
                    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-9)


def what_is_hidden_changes_nothing(config: Any) -> None:
    """Hidden joints, frames in the middle, absent people, and the rest of the batch."""
    model = in_float64(config, SKELETONS["sbu15"], 5)
    draw = torch.Generator().manual_seed(5)
    x = numbers(5, 3, 3, 9, 15, 2).detach()
    visible = torch.rand(3, 9, 15, 2, generator=draw) < 0.8
    visible &= torch.rand(3, 9, 1, 2, generator=draw) < 0.7
    visible[1, ..., 1] = False
    with torch.no_grad():
        logits = model(x, visible)
        for junk in (0.0, float("nan"), float("inf"), -1e6):
            torch.testing.assert_close(model(torch.where(visible[:, None], x, junk), visible), logits)
        torch.testing.assert_close(model(x[1:2, ..., :1], visible[1:2, ..., :1]), logits[1:2])
        torch.testing.assert_close(model(x.flip(-1), visible.flip(-1)), logits)
        everything = torch.ones_like(visible)
        torch.testing.assert_close(model(x, everything), model(x))
        nobody = model(x, ~everything)
        torch.testing.assert_close(nobody, model.head.bias.expand_as(nobody))


def any_body_works(config: Any) -> None:
    """Any skeleton, input channels, number of frames and people."""
    bodies = [*SKELETONS.values(), *(random_body(seed) for seed in range(4)), ONE_JOINT]
    for index, body in enumerate(bodies):
        changed = replace(config, in_channels=1 + index % 5, people=(0, 3)[index % 2])
        model = build(changed, body, 3)
        x = (
            numbers(index, 2, changed.in_channels, (1, 2, 7)[index % 3], body.num_joints, 1 + index % 3)
            .detach()
            .float()
        )
        logits = model.eval()(x)
        assert logits.shape == (2, 3)
        assert logits.isfinite().all()
    model = build(replace(config, in_channels=4, strides=(2, 3, 1), temporal_kernel=1), SKELETONS["coco17"], 3)
    logits = model(torch.randn(2, 4, 1, 17, 2))
    logits.square().sum().backward()
    assert logits.isfinite().all()


def gradients_repeat_on_two_threads(config: Any) -> None:
    """See `tests/unit/test_stgcn.py`: strided 1x1 convolutions write out of bounds in torch's CPU build."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        model = build(replace(config, temporal_kernel=1), SKELETONS["ntu25"], 3)  # kernels of 1 have a stride as well
        for count in range(8, 11):
            x = torch.randn(count, 3, 16, 25, 1, generator=torch.Generator().manual_seed(count))
            found = []
            for _ in range(2):
                model.zero_grad()
                model(x).square().sum().backward()
                found.append([value.grad.clone() for value in model.parameters() if value.grad is not None])
            assert len(found[0]) == len(list(model.parameters()))
            assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))
    finally:
        torch.set_num_threads(threads)


def it_learns(config: Any, precision: torch.dtype) -> None:
    """Eight clips of two classes that differ in what a hand does over time, in twenty steps."""
    torch.manual_seed(0)
    model = build(config, SKELETONS["sbu15"], 2)
    x = 0.1 * torch.randn(8, 3, 8, 15, 1)
    labels = torch.arange(8) % 2
    x[labels == 1, 1, :, 5] += torch.linspace(-1, 1, 8)[:, None]
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision is not torch.float32):
            loss = functional.cross_entropy(model(x, torch.ones(8, 8, 15, 1, dtype=torch.bool)), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] < 2  # not far from log 2: nothing explodes at the start
    assert losses[-1] < 0.6 * losses[0]


def a_checkpoint_keeps_it(config: Any, folder: Path) -> None:
    body = SKELETONS["sbu15"]
    model = build(config, body, 4).eval()
    randomise(model, 1)
    about = Meaning(body, ("a", "b", "c", "d"), Transforms(), Length(), 0, 30.0, "m")
    loaded, _ = load_checkpoint(save_checkpoint(folder / "model.safetensors", model, about))
    x = torch.randn(2, 3, 5, 15, 1)
    assert loaded.config == config
    assert torch.equal(loaded(x), model(x))


def every_weight_has_a_gradient(config: Any) -> None:
    """As after a training, in training; biases before a batch normalisation have none, by nature."""
    model = in_float64(config, SKELETONS["sbu15"], 3).train()
    x, visible = numbers(3, 3, 3, 8, 15, 2).detach(), torch.rand(3, 8, 15, 2) < 0.9
    model(x, visible).square().sum().backward()
    dead = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert dead == []


def test_hidden_frames_are_cut_off() -> None:
    hidden_frames_are_cut_off(SMALL)


def test_what_is_hidden_changes_nothing() -> None:
    what_is_hidden_changes_nothing(SMALL)


def test_any_body_works() -> None:
    any_body_works(SMALL)


def test_gradients_repeat_on_two_threads() -> None:
    gradients_repeat_on_two_threads(SMALL)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_it_learns(precision: torch.dtype) -> None:
    it_learns(SMALL, precision)


def test_a_checkpoint_keeps_it(tmp_path: Path) -> None:
    a_checkpoint_keeps_it(SMALL, tmp_path)


def test_every_weight_has_a_gradient() -> None:
    every_weight_has_a_gradient(SMALL)


def test_it_starts_as_residuals_and_temporal_convolutions() -> None:
    model = AGCN(SMALL, SKELETONS["sbu15"], 3).eval()
    for unit in model.units:
        assert isinstance(unit, Unit)
        assert (unit.spatial_norm.weight == 1e-6).all()
        assert (unit.spatial.learned_graph == 1e-6).all()
        channels = unit.spatial.conv.in_channels
        x = torch.rand(2, channels, 5, 15)
        before = unit(x, model.adjacency)
        nn.init.zeros_(unit.spatial_norm.weight)
        torch.testing.assert_close(unit(x, model.adjacency), before, rtol=1e-4, atol=1e-4)
