"""The focus of STF against Grad-CAM by automatic differentiation, taken literally, in float64."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from bonegraph.features import Branch, Features, pool
from bonegraph.models import agcn, ctrgcn, dualhead, msg3d, stf, stgcn, stgcnpp
from bonegraph.models.registry import build
from bonegraph.objectives.focus import direction, distance, focus, normalised, on_input, raw_focus

from .test_msg3d import BODY

NETWORKS: dict[str, Any] = {
    "stgcn": stgcn.Config(widths=(4, 6, 8), strides=(1, 2, 1)),
    "stgcnpp": stgcnpp.Config(widths=(6, 6, 12), strides=(1, 2, 1), dropout=0.0),
    "agcn": agcn.Config(widths=(4, 6, 8), strides=(1, 2, 1)),
    "ctrgcn": ctrgcn.Config(widths=(8, 8, 8), strides=(1, 2, 1)),
    "msg3d": msg3d.Config(widths=(6, 6, 8), dilations=(1, 2), gcn_scales=3, g3d_scales=2),
    "dualhead": dualhead.Config(widths=(12, 12, 12), dilations=(1, 2), gcn_scales=2, g3d_scales=2),
    "stf": stf.Config(widths=(6, 6, 8), dilations=(1, 2), gcn_scales=3, g3d_scales=2, bins=3),
}


class Head(NamedTuple):
    """Maps and a linear layer, as after a network."""

    branch: Branch
    logits: Tensor


def head(dtype: torch.dtype = torch.float64, sharp: float = 1.0, masked: bool = False, seed: int = 0) -> Head:
    draw = torch.Generator().manual_seed(seed)
    maps = torch.randn(5, 6, 7, 4, generator=draw, dtype=torch.float64)
    owner, slot = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([0, 1, 0, 0, 1])
    frames = torch.rand(5, 7, generator=draw) < 0.7 if masked else None
    if frames is not None:
        frames[:, 0] = True
        maps = maps * frames[:, None, :, None]
    linear = nn.Linear(6, 4, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(sharp * torch.randn(4, 6, generator=draw, dtype=torch.float64))
        linear.bias.copy_(torch.randn(4, generator=draw, dtype=torch.float64))
    features = Features(maps.to(dtype).requires_grad_(), owner, slot, frames, 3, 1)
    branch = Branch((features,), linear.to(dtype))
    return Head(branch, branch.head(pool(features)))


def literal(branch: Branch, labels: Tensor, stage: int = -1, score: str = "probability") -> Tensor:
    """Eq. 2 and min-max over each clip, by automatic differentiation and loops."""
    features = branch.stages[stage]
    logits = branch.head(pool(branch.stages[-1]))
    values = logits.softmax(dim=1) if score == "probability" else logits
    chosen = values.gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, features.maps, create_graph=True)
    weights = gradient.mean(dim=(2, 3))
    raw = (weights[:, :, None, None] * features.maps).sum(dim=1).relu()
    scaled = []
    for row in range(len(raw)):
        clip = raw[features.owner == features.owner[row]]
        span = clip.max() - clip.min()
        scaled.append((raw[row] - clip.min()) / (span if span > 0 else 1))
    return torch.stack(scaled)


LABELS = torch.tensor([1, 3, 0])


@pytest.mark.parametrize("score", ["probability", "logit"])
def test_the_stable_focus_is_grad_cam(score: Any) -> None:
    branch, _ = head()
    found = focus(branch, LABELS, score=score).maps[:, 0]
    torch.testing.assert_close(found, literal(branch, LABELS, score=score), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("score", ["probability", "logit"])
def test_so_is_its_derivative(score: Any) -> None:
    """With respect to maps and weights."""
    branch, _ = head()
    values = [branch.stages[0].maps, branch.head.weight, branch.head.bias]
    draw = torch.randn(5, 7, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = torch.autograd.grad((focus(branch, LABELS, score=score).maps[:, 0] * draw).sum(), values, allow_unused=True)
    theirs = torch.autograd.grad((literal(branch, LABELS, score=score) * draw).sum(), values, allow_unused=True)
    for first, second in zip(ours, theirs, strict=True):
        if first is None or second is None:
            assert score == "logit" and first is second is None
        else:
            torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("sharp", [1.0, 10.0, 30.0, 60.0])
def test_float32_keeps_its_digits_on_clips_that_are_learnt_well(sharp: float) -> None:
    """The literal form loses them all where 1 - p is small; ours does not."""
    exact, near = head(sharp=sharp), head(torch.float32, sharp=sharp)
    labels = exact.logits.argmax(dim=1)
    others = exact.logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1) - exact.logits.logsumexp(dim=1)
    if sharp == 60.0:
        assert others.exp().min() < 1e-8
    expected = focus(exact.branch, labels).maps
    found = focus(near.branch, labels).maps
    assert found.isfinite().all()
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def network(name: str) -> tuple[Any, Tensor]:
    """A network with fresh weights whose statistics fit a batch, and the batch."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = build(NETWORKS[name], BODY, 4).double().train()
        x = torch.randn(3, 3, 8, 5, 2, dtype=torch.float64)
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.momentum = 1.0
                    module.bias.uniform_(0, 0.5)
            model(x)
    return model.eval(), x


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("score", ["probability", "logit"])
def test_every_stage_of_every_network_is_grad_cam(name: str, score: Any) -> None:
    model, x = network(name)
    shown = 0
    for branch in model.branches(x):
        for stage in range(len(branch.stages)):
            found = focus(branch, LABELS, stage=stage, score=score)
            assert found.maps.shape[2:] == branch.stages[stage].maps.shape[2:]
            torch.testing.assert_close(found.maps[:, 0], literal(branch, LABELS, stage, score), rtol=1e-6, atol=1e-8)
            shown += int(found.maps.amax() > 0.99)
    assert shown > 0


def test_derivative_at_an_earlier_stage() -> None:
    model, x = network("stgcn")
    (branch,) = model.branches(x)
    values = [model.head.weight, model.units[0].spatial.conv.weight, model.units[2].temporal.weight]
    draw = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = torch.autograd.grad((focus(branch, LABELS, stage=1).maps[:, 0] * draw).sum(), values, retain_graph=True)
    theirs = torch.autograd.grad((literal(branch, LABELS, 1) * draw).sum(), values)
    for first, second in zip(ours, theirs, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("scaling", ["clip", "person"])
def test_min_max_over_who_is_there(scaling: Any) -> None:
    branch, _ = head(masked=True)
    features = branch.stages[0]
    assert features.frames is not None
    raw = torch.rand(5, 7, 4, generator=torch.Generator().manual_seed(2)) * features.frames[:, :, None]
    found = normalised(raw, features, scaling)
    for row in range(5):
        same = [row] if scaling == "person" else [r for r in range(5) if features.owner[r] == features.owner[row]]
        there = torch.cat([raw[r][features.frames[r]].flatten() for r in same])
        for t in range(7):
            if features.frames[row, t]:
                expected = (raw[row, t] - there.min()) / (there.max() - there.min())
                torch.testing.assert_close(found[row, t], expected)
            else:
                assert (found[row, t] == 0).all()


def test_flat_maps_and_nobody_have_no_focus_and_no_gradient() -> None:
    branch, _ = head()
    features = branch.stages[0]
    for value in (0.0, 3.0):
        raw = torch.full((5, 7, 4), value, requires_grad=True)
        found = normalised(raw, features)
        assert (found == 0).all()
        found.sum().backward()  # type: ignore[no-untyped-call]
        assert raw.grad is not None
        assert (raw.grad == 0).all()
    nobody = features._replace(frames=torch.zeros(5, 7, dtype=torch.bool))
    assert (normalised(torch.rand(5, 7, 4), nobody) == 0).all()


def test_direction_is_the_gradient_but_for_its_length() -> None:
    branch, logits = head()
    for clip, label in enumerate(LABELS.tolist()):
        chances = logits[clip].softmax(dim=0)
        expected = branch.head.weight[label] - sum(chances[k] * branch.head.weight[k] for k in range(4))
        found = direction(branch.head, logits, LABELS)[clip] * (1 - chances[label])
        torch.testing.assert_close(found, expected)
    one = nn.Linear(3, 1)
    assert torch.equal(direction(one, torch.zeros(2, 1), torch.tensor([0, 0])), one.weight[[0, 0]])


def test_distance_is_a_norm_over_a_clip() -> None:
    branch, _ = head(masked=True)
    features = branch.stages[0]
    assert features.frames is not None
    draw = torch.Generator().manual_seed(4)
    first = features._replace(maps=torch.rand(5, 1, 7, 4, generator=draw, dtype=torch.float64))
    second = features._replace(maps=torch.rand(5, 1, 7, 4, generator=draw, dtype=torch.float64))
    found = distance(first, second)
    for clip in range(3):
        total = torch.zeros((), dtype=torch.float64)
        for row in range(5):
            for t in range(7):
                if features.owner[row] == clip and features.frames[row, t]:
                    total = total + (first.maps[row, 0, t] - second.maps[row, 0, t]).square().sum()
        torch.testing.assert_close(found[clip], total.sqrt())


def test_distance_of_maps_of_unlike_length_is_on_the_longer() -> None:
    branch, _ = head()
    features = branch.stages[0]
    fine = features._replace(maps=torch.rand(5, 1, 7, 4), step=2)
    coarse = features._replace(maps=torch.rand(5, 1, 4, 4), step=4)
    stretched = torch.stack(
        [
            coarse.maps[:, 0, t // 2] if t % 2 == 0 else coarse.maps[:, 0, t // 2 : t // 2 + 2].mean(dim=1)
            for t in range(7)
        ],
        dim=1,
    )
    expected = distance(fine, features._replace(maps=stretched[:, None], step=2))
    torch.testing.assert_close(distance(fine, coarse), expected)
    torch.testing.assert_close(distance(coarse, fine), expected)


def test_equal_maps_have_no_distance_and_no_gradient() -> None:
    branch, _ = head()
    maps = torch.rand(5, 1, 7, 4, requires_grad=True)
    found = branch.stages[0]._replace(maps=maps)
    away = distance(found, found)
    assert (away == 0).all()
    away.sum().backward()  # type: ignore[no-untyped-call]
    assert maps.grad is not None
    assert (maps.grad == 0).all()


def test_gradcheck_away_from_the_kinks() -> None:
    branch, logits = head(seed=3)
    features = branch.stages[0]

    def spread(maps: Tensor, weight: Tensor) -> Tensor:
        linear = nn.Linear(6, 4, dtype=torch.float64)
        del linear.weight
        linear.weight = weight
        moved = Branch((features._replace(maps=maps),), linear)
        top = logits.topk(2, dim=1).indices
        fixed = logits.detach()
        both = [focus(moved, top[:, place], logits=fixed) for place in (0, 1)]
        return distance(*both)

    maps = features.maps.detach().requires_grad_()
    weight = branch.head.weight.detach().requires_grad_()
    assert torch.autograd.gradcheck(spread, (maps, weight), eps=1e-7, atol=1e-5)


def test_focus_on_the_joints_of_the_input() -> None:
    branch, _ = head()
    features = branch.stages[0]
    found = focus(branch, LABELS)._replace(step=2)
    whole = on_input(found, people=3, length=14)
    assert whole.shape == (3, 14, 4, 3)
    assert (whole[:, :, :, 2] == 0).all()
    assert (whole[1, :, :, 1] == 0).all()
    for row in range(5):
        clip, slot = int(features.owner[row]), int(features.slot[row])
        for t in range(7):
            torch.testing.assert_close(whole[clip, 2 * t, :, slot], found.maps[row, 0, t])
        between = found.maps[row, 0, 2:4].mean(dim=0)
        torch.testing.assert_close(whole[clip, 5, :, slot], between)


def test_an_unknown_stage_is_refused() -> None:
    branch, _ = head()
    with pytest.raises(ValueError, match="stage must be one of 1 stages, got 1"):
        focus(branch, LABELS, stage=1)


def test_raw_focus_is_never_negative() -> None:
    branch, logits = head(masked=True)
    assert (raw_focus(branch, direction(branch.head, logits, LABELS)) >= 0).all()
