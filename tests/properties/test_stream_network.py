"""A network that takes time in blocks finds what the clip network finds, whatever network, body and mask."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bonegraph.features import Features, pool
from bonegraph.inference.stream.network import FrameNetwork
from bonegraph.inference.stream.pooling import Pool
from bonegraph.models import baselines, kth, msg3d, stgcn, stgcnpp
from bonegraph.models.base import ActionModel
from bonegraph.models.registry import MODELS, VARIANTS, build
from bonegraph.skeleton import SKELETONS, Skeleton

from .strategies import skeletons
from .test_masks import randomise

STRIDES = ((1,), (2,), (1, 2), (2, 1, 2), (3, 2), (1, 4))
EXACT = ("stgcn", "stgcnpp", "kth", "tcn", "local", "msg3d")
WHOLE = sorted(set(MODELS) - set(EXACT))


def config_of(draw: st.DrawFn, name: str) -> Any:
    strides = draw(st.sampled_from(STRIDES))
    if name == "msg3d":
        return msg3d_config(draw, strides)
    channels, kernel = draw(st.integers(2, 3)), draw(st.sampled_from((1, 3, 5)))
    common: dict[str, Any] = {"in_channels": channels, "strides": strides, "temporal_kernel": kernel}
    widths = draw(st.sampled_from(((3, 4, 3), (4, 4, 4))))[: len(strides)]
    graph: dict[str, Any] = {
        "strategy": draw(st.sampled_from(("uniform", "distance", "spatial-hops", "spatial-released", "symmetrical"))),
        "normalisation": draw(st.sampled_from(("subset", "symmetric", "released"))),
    }
    masked = draw(st.booleans())
    if name == "stgcn":
        return stgcn.Config(
            widths=widths,
            unit=draw(st.sampled_from(("joint", "factorised"))),
            first_residual=draw(st.booleans()),
            edge_importance=masked,
            **common,
            **graph,
        )
    if name == "stgcnpp":
        dilations = draw(st.sampled_from(((), (1,), (1, 2), (3, 1, 2))))
        wide = tuple(3 * width + 4 for width in widths)
        return stgcnpp.Config(widths=wide, dilations=dilations, **common, **graph)
    if name == "kth":
        residual = draw(st.booleans())
        norms: kth.Norms = "both" if residual else draw(st.sampled_from(("both", "start", "input")))
        order: kth.Order = "bn-relu" if residual or norms != "both" else draw(st.sampled_from(("bn-relu", "relu-bn")))
        return kth.Config(
            widths=widths, residual=residual, norms=norms, order=order, edge_importance=masked, **common, **graph
        )
    if name == "local":
        return baselines.LocalConfig(widths=widths, max_hop=draw(st.integers(1, 2)), **common)
    return baselines.TCNConfig(widths=widths, **common)


def msg3d_config(draw: st.DrawFn, strides: tuple[int, ...]) -> msg3d.Config:
    """Windows may see less far or farther than the factorised path, and scales come before or after the weights."""
    strides = strides[:2]
    return msg3d.Config(
        in_channels=draw(st.integers(2, 3)),
        widths=draw(st.sampled_from(((7, 9), (12, 6))))[: len(strides)],
        strides=strides,
        gcn_scales=draw(st.integers(1, 3)),
        g3d_scales=draw(st.integers(1, 5)),
        windows=draw(st.sampled_from(((), (1,), (3,), (3, 5), (7, 1)))),
        window_dilation=draw(st.integers(1, 3)),
        dilations=draw(st.sampled_from(((), (1,), (1, 2), (3, 1, 2)))),
        people=draw(st.sampled_from((0, 2))),
        cumulative=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn, names: Sequence[str] = EXACT) -> tuple[ActionModel, int]:
    """A small network in float64, and a seed."""
    body = draw(skeletons(min_joints=2, max_joints=5))
    seed = draw(st.integers(0, 2**20))
    model = build(config_of(draw, draw(st.sampled_from(names))), body, 3).double().eval()
    randomise(model, seed)
    return model, seed


def clip_of(model: ActionModel, seed: int, frames: int, shown: float) -> tuple[Tensor, Tensor]:
    """(R, T, V, C) and a mask in which joints, frames and maybe a whole person are hidden."""
    random = np.random.default_rng(seed)
    body, channels = model.skeleton, model.config.in_channels  # type: ignore[union-attr]
    assert isinstance(body, Skeleton)
    shape = (int(random.integers(1, 4)), frames, body.num_joints)
    visible = (random.random(shape) < shown) & (random.random((*shape[:2], 1)) < shown)
    x = random.normal(size=(*shape, int(channels)))  # type: ignore[arg-type]
    return torch.from_numpy(x), torch.from_numpy(visible)


def streamed(network: FrameNetwork, x: Tensor, visible: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Features of a clip and which of them count, in blocks, to the padding behind the last one."""
    frames, step = x.shape[1], network.stride * block
    after = -(network.lead + frames) % step + -(-(network.latency + step) // step) * step
    ends = (0, 0, 0, 0, network.lead, after)
    x = torch.nn.functional.pad(x, ends, value=7.0)  # hidden, so that it does not matter
    visible = torch.nn.functional.pad(visible, ends[2:])
    state, features, counts = network.start(len(x)), [], []
    for first in range(0, x.shape[1], step):
        found, seen, state = network.step(x[:, first : first + step], visible[:, first : first + step], state)
        features.append(found)
        counts.append(seen)
    before = (network.lead + network.latency - network.stride + 1) // network.stride
    every = torch.cat(counts, dim=1)
    total = -(-frames // network.stride)
    assert not every[:, :before].any()
    assert not every[:, before + total :].any()
    return torch.cat(features, dim=1)[:, before : before + total], every[:, before : before + total]


def of_the_clip(model: ActionModel, x: Tensor, visible: Tensor) -> Features:
    """What the clip network finds, every person in a clip alone."""
    with torch.no_grad():
        return model.features(x.permute(0, 3, 1, 2)[..., None], visible[..., None])


def check(model: ActionModel, x: Tensor, visible: Tensor, block: int, tolerance: float) -> None:
    there = visible.flatten(1).any(dim=1)
    if not there.any():
        return
    x, visible = x[there], visible[there]  # the clip network computes nothing for the others
    clip = of_the_clip(model, x, visible)
    with torch.no_grad():
        features, counts = streamed(FrameNetwork(model), x, visible, block)
    assert clip.frames is not None
    assert torch.equal(counts, clip.frames)
    scale = max(1.0, float(clip.maps.abs().max()))
    assert float((features - clip.maps.mean(dim=3).transpose(1, 2)).abs().max()) <= tolerance * scale
    whole = Pool.start(0, 1, features[0, 0])
    for row in range(len(x)):
        mean = whole.add(features[row : row + 1], counts[row : row + 1]).mean()
        assert mean is not None
        assert float((mean - pool(clip)[row]).abs().max()) <= tolerance * scale


@given(cases(), st.integers(1, 14), st.sampled_from((0.5, 0.8, 1.0)), st.integers(1, 3))
def test_blocks_find_what_the_clip_network_finds(
    case: tuple[ActionModel, int], frames: int, shown: float, block: int
) -> None:
    """On all frames, padding at both ends included, and pooled."""
    model, seed = case
    check(model, *clip_of(model, seed, frames, shown), block, 1e-10)


@given(cases(), st.integers(30, 45), st.integers(1, 3), st.integers(1, 3))
def test_a_gap_after_many_frames_that_all_count(
    case: tuple[ActionModel, int], start: int, gap: int, block: int
) -> None:
    """Masks are left out while nothing is hidden as far as the network looks back, and are right again after that."""
    model, seed = case
    x, visible = clip_of(model, seed, 60, 1.0)
    visible[:, start : start + gap] = False
    check(model, x, visible, block, 1e-10)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("number", range(3))
def test_published_networks_in_float32(name: str, number: int) -> None:
    """Their layers and kernels, a quarter as wide, with weights as they start and statistics as after a training."""
    variants = VARIANTS[name]
    config = list(variants.values())[number % len(variants)]("quarter", 3)
    body = SKELETONS["ntu25"]
    torch.manual_seed(number)
    model = build(config, body, 5, np.arange(25.0)).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    x, visible = clip_of(model, number, 41, (1.0, 0.9, 0.7)[number])
    check(model, x.float(), visible, 1 + number, 1e-5)


@given(cases(), st.integers(1, 12), st.integers(1, 12), st.integers(1, 3))
def test_people_who_began_at_other_times_share_a_batch(
    case: tuple[ActionModel, int], first: int, second: int, late: int
) -> None:
    model, seed = case
    network = FrameNetwork(model)
    clips = [clip_of(model, seed + number, frames, 0.8) for number, frames in enumerate((first, second))]
    with torch.no_grad():
        alone = [streamed(network, x[:1], visible[:1], 1) for x, visible in clips]
        # The second person joins when the first is `late` blocks old.
        (x, visible), (other, shown) = clips
        x, visible, other, shown = x[:1], visible[:1], other[:1], shown[:1]
        most = network.lead + max(first, second) + network.latency
        length = (late + -(-most // network.stride) + 1) * network.stride
        state = network.start(1)
        features: list[list[Tensor]] = [[], []]
        counts: list[list[Tensor]] = [[], []]
        feeds = [padded(network, one, mask, length) for one, mask in ((x, visible), (other, shown))]
        for number in range(length // network.stride):
            rows = [(0, number)] + ([(1, number - late)] if number >= late else [])
            if number == late:
                new = network.start(1)
                state = state.like([torch.cat(p) for p in zip(state.tensors(), new.tensors(), strict=True)])
            blocks = [slice(at * network.stride, (at + 1) * network.stride) for _, at in rows]
            fed = [[part[:, block] for part in feeds[who]] for (who, _), block in zip(rows, blocks, strict=True)]
            found, seen, state = network.step(torch.cat([x for x, _ in fed]), torch.cat([v for _, v in fed]), state)
            for place, (who, _) in enumerate(rows):
                features[who].append(found[place : place + 1])
                counts[who].append(seen[place : place + 1])
    before = (network.lead + network.latency - network.stride + 1) // network.stride
    for who, (expected, expected_counts) in enumerate(alone):
        got = torch.cat(features[who], dim=1)[:, before : before + expected.shape[1]]
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
        assert torch.equal(torch.cat(counts[who], dim=1)[:, before : before + expected.shape[1]], expected_counts)


def padded(network: FrameNetwork, x: Tensor, visible: Tensor, length: int) -> tuple[Tensor, Tensor]:
    ends = (0, 0, 0, 0, network.lead, length - network.lead - x.shape[1])
    return torch.nn.functional.pad(x, ends), torch.nn.functional.pad(visible, ends[2:])


@given(cases())
def test_a_step_changes_none_of_its_arguments(case: tuple[ActionModel, int]) -> None:
    model, seed = case
    network = FrameNetwork(model)
    x, visible = clip_of(model, seed, 2 * network.stride, 0.7)
    with torch.no_grad():
        state = network.step(x, visible, network.start(len(x)))[2]
        before = [tensor.clone() for tensor in (x, visible, *state.tensors())]
        first = network.step(x, visible, state)
        second = network.step(x, visible, state, masked=True)
    for ours, theirs in zip((x, visible, *state.tensors()), before, strict=True):
        assert torch.equal(ours, theirs)
    torch.testing.assert_close(first[0], second[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", WHOLE)
def test_the_others_say_that_they_take_clips(name: str) -> None:
    config = next(iter(VARIANTS[name].values()))("quarter", 3)
    model = build(config, SKELETONS["ntu25"], 4, np.arange(25.0))
    with pytest.raises(
        ValueError, match=rf"^frames cannot come one by one: {type(model).__name__} takes whole clips.*"
    ):
        FrameNetwork(model)


@pytest.mark.parametrize(("name", "clips"), [*((name, False) for name in EXACT), *((name, True) for name in WHOLE)])
def test_who_sees_the_end_of_a_clip_at_its_beginning(name: str, clips: bool) -> None:
    """Who says that it takes whole clips does: a frame farther away than any latency changes the first features."""
    frames, draw = 161, torch.Generator().manual_seed(7)
    torch.manual_seed(7)
    model = build(next(iter(VARIANTS[name].values()))("quarter", 3), SKELETONS["sbu15"], 4, np.arange(15.0)).eval()
    x, visible = torch.randn(1, 3, frames, 15, 1, generator=draw), torch.ones(1, frames, 15, 1, dtype=torch.bool)
    other = x.clone()
    other[:, :, -1] += 1
    with torch.no_grad():
        for parameter in model.parameters():  # some are zero at first
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.02)
        found, others = (model.branches(given, visible) for given in (x, other))
    same = [
        torch.equal(one.stages[-1].maps[:, :, 0], two.stages[-1].maps[:, :, 0])
        for one, two in zip(found, others, strict=True)
    ]
    assert all(same) != clips


@pytest.mark.parametrize("window", [1, 5, 0])
def test_the_pool_is_the_mean_over_its_window_and_does_not_drift(window: int) -> None:
    """Over 100,000 frames, after a very large one has left the window; a sum of all is as exact as float64."""
    random = torch.Generator().manual_seed(3)
    kept = Pool.start(window, 2, torch.zeros(4))
    values = 5 + torch.randn(2, 100_000, 4, generator=random)
    counts = torch.rand(2, 100_000, generator=random) < 0.7
    if window:
        values[:, 10] = 1e6
    for first in range(0, 99_000, 1000):
        kept = kept.add(values[:, first : first + 1000], counts[:, first : first + 1000])
    for frame in range(99_000, 100_000):
        kept = kept.add(values[:, frame : frame + 1], counts[:, frame : frame + 1])
    last = slice(-window if window else None, None)
    there = counts[:, last]
    rows = torch.stack([values[row, last][there[row]].double().mean(dim=0) for row in range(2) if there[row].any()])
    mean = kept.mean()
    assert mean is not None
    torch.testing.assert_close(mean.double(), rows.mean(dim=0), rtol=1e-6, atol=1e-6)


def test_an_empty_pool_has_no_mean() -> None:
    assert Pool.start(3, 1, torch.zeros(2)).mean() is None
    assert Pool.start(0, 1, torch.zeros(2)).add(torch.ones(1, 1, 2), torch.zeros(1, 1, dtype=torch.bool)).mean() is None
