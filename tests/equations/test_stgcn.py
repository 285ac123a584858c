"""ST-GCN against loops written from the paper (Yan, Xiong and Lin 2018), Sec. 3.3 to 3.6.

In the loops i is the root joint v_ti, j a neighbour, t the frame of the root and q the frame of the neighbour, as in
the paper. Everything is float64; the adjacency is stored in float32, so the loops round 1 / Z to float32 as well.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bonegraph.graph import Strategy, adjacency
from bonegraph.models.lines import as_lines
from bonegraph.models.stgcn import (
    STGCN,
    Config,
    FactorisedUnit,
    JointConvolution,
    JointUnit,
    SpatialConvolution,
    aggregate,
    best,
    paper,
    released,
)
from bonegraph.skeleton import SKELETONS, Skeleton

from .test_graph import ALPHA, Labels, asymmetric_distances, loop_hops, loop_labels, neighbour_set, random_body

FRAMES, IN, OUT = 5, 2, 3
CASES = [(name, hop) for name in get_args(Strategy) for hop in ((1,) if name == "distance*" else (1, 2, 3))]
cases = pytest.mark.parametrize(("strategy", "max_hop"), CASES)
seeds = pytest.mark.parametrize("seed", [1, 3, 9])  # a tree, and two graphs with loops


def body_of(seed: int) -> Skeleton:
    return random_body(seed)


def distances_of(body: Skeleton, strategy: str) -> Any:
    return asymmetric_distances(body) if strategy == "spatial" else None


def graph_of(body: Skeleton, strategy: Strategy, max_hop: int, how: Any = "subset") -> Tensor:
    matrices = adjacency(body, strategy, max_hop=max_hop, normalisation=how, distances=distances_of(body, strategy))
    return torch.from_numpy(matrices).double()


def randomise(module: nn.Module, seed: int) -> None:
    """Weights and statistics as after a training, so that nothing is 0 or 1 by chance."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=draw, dtype=buffer.dtype))
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=draw, dtype=buffer.dtype) + 0.5)


def numbers(seed: int, *shape: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_()


def by_cardinality(labels: Labels, num_joints: int, i: int, j: int) -> float:
    """1 / Z_ti(v_tj) of Eq. 4."""
    same = [k for k in range(num_joints) if (i, k) in labels and labels[i, k] == labels[i, j]]
    return float(np.float32(1 / len(same)))


def label_weights(conv: nn.Conv2d, strategy: Strategy, subsets: int) -> list[Tensor]:
    """w'(l) of Eq. 3 for each label, as (OUT, IN, Γ); ``distance*`` ties w'(0) = -w'(1)."""
    if strategy == "distance*":
        return [conv.weight[..., 0], -conv.weight[..., 0]]
    return [conv.weight[subset * OUT : (subset + 1) * OUT, :, :, 0] for subset in range(subsets)]


def sources(labels: Labels, hops: list[list[float]], i: int, max_hop: int) -> list[int]:
    """B(v_ti), and with ``symmetrical`` the mirror joints that have a label too."""
    near = neighbour_set(hops, i, max_hop)
    return near + [j for j in range(len(hops)) if (i, j) in labels and j not in near]


def mask_of(importance: Tensor, strategy: Strategy, label: int, i: int, j: int) -> Tensor:
    """M_k^ij; ours is [source, target]. The tied subsets of ``distance*`` share one mask."""
    return importance[0 if strategy == "distance*" else label, j, i]


def same_with_gradients(ours: Tensor, loops: Tensor, inputs: list[Tensor]) -> None:
    assert ours.shape == loops.shape
    torch.testing.assert_close(ours, loops, rtol=1e-12, atol=1e-12)
    upstream = numbers(99, *ours.shape).detach()
    for first, second in zip(
        torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(loops, inputs, upstream), strict=True
    ):
        assert first.abs().max() > 0
        torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-11)


def loop_eq_5_and_7(
    x: Tensor, body: Skeleton, strategy: Strategy, max_hop: int, conv: nn.Conv2d, importance: Tensor, stride: int
) -> Tensor:
    """f_out(v_ti) = sum over B(v_ti) of f_in(v_qj) . w'(l_ST(v_qj)) / Z_ti(v_tj), with Eq. 6 for B and Eq. 7 for l_ST.

    l_ST(v_qj) = l_ti(v_tj) + (q - t + floor(Γ/2)) K numbers the pairs of a label and a place in time. Frames before the
    first and after the last are 0. A stride takes every second root frame.
    """
    gamma = conv.kernel_size[0]
    hops = loop_hops(body)
    labels, count = loop_labels(body, strategy, max_hop)
    weights = label_weights(conv, strategy, count)
    rooted = []
    for r, t, i in product(range(len(x)), range(0, x.shape[2], stride), range(body.num_joints)):
        total = x.new_zeros(OUT)
        for q in range(t - gamma // 2, t + gamma // 2 + 1):
            if not 0 <= q < x.shape[2]:
                continue
            for j in sources(labels, hops, i, max_hop):
                spatio_temporal = labels[i, j] + (q - t + gamma // 2) * count  # Eq. 7
                place, label = divmod(spatio_temporal, count)
                share = by_cardinality(labels, body.num_joints, i, j) * mask_of(importance, strategy, label, i, j)
                total = total + share * (weights[label][:, :, place] @ x[r, :, q, j])
        rooted.append(total)
    return torch.stack(rooted).view(len(x), -1, body.num_joints, OUT).permute(0, 3, 1, 2)


@pytest.mark.parametrize("stride", [1, 2])
@seeds
@cases
def test_joint_convolution_is_eq_5_with_the_labels_of_eq_7(
    strategy: Strategy, max_hop: int, seed: int, stride: int
) -> None:
    body = body_of(seed)
    graph = graph_of(body, strategy, max_hop)
    module = JointConvolution(IN, OUT, len(graph), 3, stride).double()
    x, importance = numbers(0, 1, IN, FRAMES, body.num_joints), numbers(1, *graph.shape)
    ours = module(x, graph * importance)
    loops = loop_eq_5_and_7(x, body, strategy, max_hop, module.conv, importance, stride)
    same_with_gradients(ours, loops, [x, module.conv.weight, importance])


def loop_eq_5(
    x: Tensor, body: Skeleton, strategy: Strategy, max_hop: int, conv: nn.Conv2d, importance: Tensor
) -> Tensor:
    """Eq. 5 in each frame; f_in(v_tj) . w'(l) carries the bias of its subset."""
    assert conv.bias is not None
    hops = loop_hops(body)
    labels, count = loop_labels(body, strategy, max_hop)
    weights = label_weights(conv, strategy, count)
    bias = [conv.bias, -conv.bias] if strategy == "distance*" else list(conv.bias.view(-1, OUT))
    rooted = []
    for r, t, i in product(range(len(x)), range(x.shape[2]), range(body.num_joints)):
        total = x.new_zeros(OUT)
        for j in sources(labels, hops, i, max_hop):
            label = labels[i, j]
            share = by_cardinality(labels, body.num_joints, i, j) * mask_of(importance, strategy, label, i, j)
            total = total + share * (weights[label][:, :, 0] @ x[r, :, t, j] + bias[label])
        rooted.append(total)
    return torch.stack(rooted).view(len(x), -1, body.num_joints, OUT).permute(0, 3, 1, 2)


@seeds
@cases
def test_spatial_convolution_is_eq_5(strategy: Strategy, max_hop: int, seed: int) -> None:
    body = body_of(seed)
    graph = graph_of(body, strategy, max_hop)
    module = SpatialConvolution(IN, OUT, len(graph)).double()
    randomise(module, 7)
    x, importance = numbers(0, 2, IN, 3, body.num_joints), numbers(1, *graph.shape)
    ours = module(x, graph * importance)
    loops = loop_eq_5(x, body, strategy, max_hop, module.conv, importance)
    assert module.conv.bias is not None
    same_with_gradients(ours, loops, [x, module.conv.weight, module.conv.bias, importance])


def test_aggregate_sums_the_sources_of_each_target() -> None:
    x, graph = numbers(0, 2, 3, 4, 5), numbers(1, 2, 5, 5)
    sums = torch.zeros(5, 3, 2, 2, 4, dtype=torch.float64)
    for k, source, target in product(range(2), range(5), range(5)):
        sums[target, :, k] += graph[k, source, target] * x[..., source].transpose(0, 1)
    torch.testing.assert_close(aggregate(as_lines(x), graph), sums.flatten(3), rtol=1e-12, atol=1e-12)


@seeds
def test_distance_star_is_two_subsets_with_tied_weights(seed: int) -> None:
    """w0 = -w1: the gradient of the one weight is the difference of the two."""
    body = body_of(seed)
    tied = JointConvolution(IN, OUT, 1, 3, 1).double()
    free = JointConvolution(IN, OUT, 2, 3, 1).double()
    with torch.no_grad():
        free.conv.weight.copy_(torch.cat([tied.conv.weight, -tied.conv.weight]))
    x = numbers(0, 2, IN, FRAMES, body.num_joints)
    ours, theirs = tied(x, graph_of(body, "distance*", 1)), free(x, graph_of(body, "distance", 1))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    assert tied.conv.weight.grad is not None
    assert free.conv.weight.grad is not None
    first, second = free.conv.weight.grad[:OUT], free.conv.weight.grad[OUT:]
    torch.testing.assert_close(tied.conv.weight.grad, first - second, rtol=1e-10, atol=1e-10)


# --- Eq. 10 and the units -------------------------------------------------------------------------------------------


def eq_10_matrices(body: Skeleton, strategy: Strategy, max_hop: int) -> list[np.ndarray[Any, Any]]:
    """Lambda_j^-1/2 A_j Lambda_j^-1/2 with A_j^ik = 1 where k is in subset j of i."""
    labels, count = loop_labels(body, strategy, max_hop)
    matrices = []
    for subset in range(count):
        a = np.zeros((body.num_joints, body.num_joints))
        for (i, j), label in labels.items():
            a[i, j] = label == subset
        root = np.diag((a.sum(axis=1) + ALPHA) ** -0.5)
        matrices.append(root @ a @ root)
    return matrices


def eq_10(
    x: Tensor, body: Skeleton, strategy: Strategy, max_hop: int, conv: nn.Conv2d, importance: Tensor | None
) -> Tensor:
    """f_out = sum_j (Lambda_j^-1/2 A_j Lambda_j^-1/2 ⊗ M_j) f_in W_j, where f_in W_j is the 1xΓ convolution."""
    weights = conv.weight.chunk(conv.weight.shape[0] // OUT)
    total: Tensor | int = 0
    for subset, matrix in enumerate(eq_10_matrices(body, strategy, max_hop)):
        a = torch.from_numpy(matrix)
        if importance is not None:
            a = a * importance[subset].T
        convolved = nn.functional.conv2d(x, weights[subset], None, conv.stride, conv.padding)
        total = total + torch.einsum("ij,rdtj->rdti", a, convolved)
    assert isinstance(total, Tensor)
    return total


def unit_config(unit: Any, strategy: Strategy, stride: int = 1, **changes: Any) -> Config:
    first_residual = stride == 1
    return Config(
        in_channels=IN,
        widths=(OUT,),
        strides=(stride,),
        unit=unit,
        temporal_kernel=3,
        strategy=strategy,
        normalisation="symmetric",
        first_residual=first_residual,
        **changes,
    )


@pytest.mark.parametrize("stride", [1, 2])
@seeds
@pytest.mark.parametrize(("strategy", "max_hop"), [case for case in CASES if case[0] != "distance*"])
def test_joint_unit_is_eq_10_with_edge_importance(strategy: Strategy, max_hop: int, seed: int, stride: int) -> None:
    body = body_of(seed)
    graph = graph_of(body, strategy, max_hop, "symmetric")
    unit = JointUnit(unit_config("joint", strategy, stride), 0, IN, graph.shape).double().eval()
    x = numbers(0, 2, IN, FRAMES, body.num_joints)
    importance = unit.edge_importance
    assert importance is not None
    assert (importance == 1).all()  # M starts as an all-one matrix

    def by_hand(mask: Tensor | None) -> Tensor:
        out = unit.norm(eq_10(x, body, strategy, max_hop, unit.convolution.conv, mask))
        return torch.relu(out if unit.residual is None else out + unit.residual(x))

    torch.testing.assert_close(unit(x, graph), by_hand(None), rtol=1e-5, atol=1e-5)
    randomise(unit, 3)
    torch.testing.assert_close(unit(x, graph), by_hand(importance), rtol=1e-5, atol=1e-5)


def test_an_all_one_mask_is_no_mask() -> None:
    """In float64: the product with ones lies elsewhere in memory, which can change the order of a float32 sum."""
    body = SKELETONS["openpose18"]
    config = Config(widths=(4, 4), strides=(1, 2), temporal_kernel=3)
    with_mask, without = STGCN(config, body, 3), STGCN(replace(config, edge_importance=False), body, 3)
    missing, unknown = without.load_state_dict(with_mask.state_dict(), strict=False)
    assert missing == []
    assert unknown == ["units.0.edge_importance", "units.1.edge_importance"]
    for unit in range(2):
        mask = with_mask.get_parameter(f"units.{unit}.edge_importance")
        assert torch.equal(with_mask.adjacency * mask, without.adjacency)
    x = torch.randn(2, 3, 6, 18, 1, dtype=torch.float64)
    torch.testing.assert_close(with_mask.double().eval()(x), without.double().eval()(x), rtol=1e-13, atol=1e-13)


def test_the_mask_has_one_weight_for_each_edge_and_subset() -> None:
    model = STGCN(Config(widths=(4, 4), strides=(1, 1)), SKELETONS["ntu25"], 3)
    shapes = [tuple(value.shape) for name, value in model.named_parameters() if "edge_importance" in name]
    assert shapes == [(3, 25, 25)] * 2


@pytest.mark.parametrize("stride", [1, 2])
@seeds
def test_factorised_unit_in_loops(seed: int, stride: int) -> None:
    """The released unit: Eq. 5, BN, ReLU, Γx1 convolution, BN, + residual, ReLU."""
    body = body_of(seed)
    config = replace(unit_config("factorised", "spatial-hops", stride), normalisation="subset")
    graph = graph_of(body, "spatial-hops", 1)
    unit = FactorisedUnit(config, 0, IN, graph.shape).double().eval()
    randomise(unit, 5)
    x = numbers(0, 2, IN, FRAMES, body.num_joints)
    assert unit.edge_importance is not None

    def norm(value: Tensor, layer: nn.BatchNorm2d) -> Tensor:
        mean, variance = layer.running_mean, layer.running_var
        assert mean is not None
        assert variance is not None
        scaled = (value - mean[:, None, None]) / (variance[:, None, None] + layer.eps).sqrt()
        return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]

    spatial = loop_eq_5(x, body, "spatial-hops", 1, unit.spatial.conv, unit.edge_importance)
    middle = torch.relu(norm(spatial, unit.spatial_norm))
    assert unit.temporal.bias is not None
    frames = []
    for t in range(0, FRAMES, stride):
        total = unit.temporal.bias[:, None].expand(OUT, body.num_joints).expand(2, -1, -1)
        for step in range(3):
            if 0 <= t + step - 1 < FRAMES:
                here = middle[:, :, t + step - 1]
                total = total + torch.einsum("dc,rcv->rdv", unit.temporal.weight[..., step, 0], here)
        frames.append(total)
    out = norm(torch.stack(frames, dim=2), unit.temporal_norm)
    expected = torch.relu(out if unit.residual is None else out + unit.residual(x))
    torch.testing.assert_close(unit(x, graph), expected, rtol=1e-10, atol=1e-10)


# --- Sec. 3.6: the network ------------------------------------------------------------------------------------------


def num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_released_has_the_published_number_of_parameters() -> None:
    assert num_parameters(STGCN(released(), SKELETONS["ntu25"], 60)) == 3_098_832


def test_released_layout() -> None:
    config = released()
    assert config.widths == (64,) * 4 + (128,) * 3 + (256,) * 3
    assert [unit + 1 for unit, stride in enumerate(config.strides) if stride != 1] == [5, 8]
    first, *others = STGCN(config, SKELETONS["ntu25"], 60).units
    assert isinstance(first, FactorisedUnit)
    assert first.residual is None
    assert first.dropout.p == 0
    for unit in others:
        assert isinstance(unit, FactorisedUnit)
        assert unit.residual is not None
        assert unit.dropout.p == 0.5
    assert best().widths == config.widths


def test_paper_layout() -> None:
    """9 units: 64, 128 and 256 channels three times each, Γ = 9, stride 2 at the 4th and the 7th, ResNet everywhere."""
    config = paper()
    assert config.widths == (64, 64, 64, 128, 128, 128, 256, 256, 256)
    assert [unit + 1 for unit, stride in enumerate(config.strides) if stride != 1] == [4, 7]
    assert {config.strides[3], config.strides[6]} == {2}
    assert config.temporal_kernel == 9
    model = STGCN(config, SKELETONS["openpose18"], 400, np.arange(18.0))
    for unit in model.units:
        assert isinstance(unit, JointUnit)
        assert unit.residual is not None
        assert unit.dropout.p == 0.5
        assert unit.convolution.conv.kernel_size == (9, 1)
    assert model.head.in_features == 256


def test_paper_number_of_parameters() -> None:
    """Counted by hand: input BN, K·Γ weights a unit and its BN and mask, two widening residuals and the first, head."""
    joints, subsets, gamma, channels = 18, 3, 9, 3
    widths = (64, 64, 64, 128, 128, 128, 256, 256, 256)
    count = 2 * joints * channels
    for before, after in zip((channels, *widths), widths, strict=False):
        count += before * after * subsets * gamma + 2 * after + subsets * joints * joints
        count += 0 if before == after else before * after + after + 2 * after
    count += 256 * 400 + 400
    assert num_parameters(STGCN(paper(), SKELETONS["openpose18"], 400, np.arange(18.0))) == count


@pytest.mark.parametrize("variant", [paper, released, best])
def test_narrow_widths_are_a_half_and_a_quarter(variant: Any) -> None:
    full = variant().widths
    assert variant("half").widths == tuple(width // 2 for width in full)
    assert variant("quarter").widths == tuple(width // 4 for width in full)


def every_path_counts(model: STGCN) -> None:
    """All weights positive, all normalisations the identity: no ReLU closes and no path cancels another."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.fill_(1 / module.weight[0].numel())


def reached(model: STGCN, frames: int, output: int) -> list[int]:
    """Input frames that change an output frame."""
    joints = model.skeleton.num_joints
    x = torch.rand(1, model.config.in_channels, frames, joints, 1, dtype=torch.float64, requires_grad=True)
    maps = model.features(x).maps
    (gradient,) = torch.autograd.grad(maps[:, :, output].sum(), x)
    return torch.nonzero(gradient.abs().sum(dim=(0, 1, 3, 4))).flatten().tolist()


def frames_by_rule(config: Config, frames: int, output: int) -> list[int]:
    """Eq. 6 from the last unit back to the first: root frame t sees q with |q - t| <= floor(Γ/2)."""
    lengths = [frames]
    for stride in config.strides:
        lengths.append(-(-lengths[-1] // stride))
    seen = {output}
    for stride, length in zip(reversed(config.strides), reversed(lengths[:-1]), strict=True):
        half = config.temporal_kernel // 2
        seen = {q for t in seen for q in range(t * stride - half, t * stride + half + 1) if 0 <= q < length}
    return sorted(seen)


@pytest.mark.parametrize("unit", ["joint", "factorised"])
@pytest.mark.parametrize(("strides", "kernel"), [((1,), 3), ((2,), 3), ((1, 2), 3), ((2, 1, 2), 5), ((3, 1), 3)])
def test_a_frame_reaches_exactly_the_frames_of_eq_6(unit: Any, strides: tuple[int, ...], kernel: int) -> None:
    config = Config(widths=(2,) * len(strides), strides=strides, unit=unit, temporal_kernel=kernel, first_residual=True)
    model = STGCN(config, SKELETONS["sbu15"], 2).double().eval()
    every_path_counts(model)
    for frames in (1, 2, 7, 20):
        for output in range(frames_after(config, frames)):
            assert reached(model, frames, output) == frames_by_rule(config, frames, output)


def frames_after(config: Config, frames: int) -> int:
    for stride in config.strides:
        frames = -(-frames // stride)
    return frames


def test_the_paper_network_sees_145_frames() -> None:
    """4 units at full rate, 3 at half and 2 at a quarter, each 4 frames to either side: 4·(4·1 + 3·2 + 2·4) = 72."""
    config = replace(paper(), widths=(2,) * 9, strategy="uniform")
    model = STGCN(config, SKELETONS["sbu15"], 2).double().eval()
    every_path_counts(model)
    output = 25
    assert reached(model, 200, output) == list(range(4 * output - 72, 4 * output + 73))


def test_a_joint_reaches_its_neighbours_alone() -> None:
    body = SKELETONS["ntu25"]
    for max_hop in (1, 2):
        config = Config(widths=(2,), strides=(1,), max_hop=max_hop, first_residual=True)
        model = STGCN(config, body, 2).double().eval()
        every_path_counts(model)
        x = torch.rand(1, 3, 3, 25, 1, dtype=torch.float64, requires_grad=True)
        maps = model.features(x).maps
        hops = loop_hops(body)
        for target in range(25):
            (gradient,) = torch.autograd.grad(maps[..., target].sum(), x, retain_graph=True)
            sources = torch.nonzero(gradient.abs().sum(dim=(0, 1, 2, 4))).flatten().tolist()
            assert sources == neighbour_set(hops, target, max_hop)


# --- the released network, number for number ------------------------------------------------------------------------


RELEASED_NAMES = {
    "data_bn.": "input_norm.",
    "gcn.conv.": "spatial.conv.",
    "tcn.0.": "spatial_norm.",
    "tcn.2.": "temporal.",
    "tcn.3.": "temporal_norm.",
    "fcn.": "head.",
}


def renamed(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for key, value in weights.items():
        if value.is_floating_point():
            value = value.float()  # the fixtures keep convolutions in half precision
        if key == "A":
            yield "adjacency", value
        elif key.startswith("edge_importance."):
            yield f"units.{key.split('.')[1]}.edge_importance", value
        else:
            name = key.replace("st_gcn_networks.", "units.")
            for theirs, ours in RELEASED_NAMES.items():
                name = name.replace(theirs, ours)
            yield name, value[:, :, 0, 0] if key == "fcn.weight" else value


@pytest.mark.parametrize(
    ("fixture", "body", "strategy", "classes"),
    [
        ("stgcn_ntu25_spatial", "ntu25", "spatial-released", 60),
        ("stgcn_openpose18_uniform", "openpose18", "uniform", 400),
        ("stgcn_openpose18_distance", "openpose18", "distance", 400),
    ],
)
def test_released_weights_give_released_logits(
    shared: Path, fixture: str, body: str, strategy: Strategy, classes: int
) -> None:
    weights = dict(renamed(load_file(shared / "parity" / f"{fixture}.weights.safetensors")))
    case = load_file(shared / "parity" / f"{fixture}.io.safetensors")
    model = STGCN(replace(released(), strategy=strategy), SKELETONS[body], classes)
    torch.testing.assert_close(model.adjacency, weights["adjacency"], rtol=1e-6, atol=1e-8)
    model.load_state_dict(weights)
    with torch.no_grad():
        logits = model.eval()(case["input"])
        masked = model(case["input"], torch.ones_like(case["input"][:, 0], dtype=torch.bool))
    reference = case["output_0"]
    assert logits.shape == reference.shape
    assert (logits - reference).abs().max() / reference.abs().max() < 1e-5
    assert (masked - reference).abs().max() / reference.abs().max() < 1e-5
