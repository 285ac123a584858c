"""Missing is a mask, never a zero: what is hidden changes nothing, whatever the skeleton, the network and the mask."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from bonegraph.features import Features, pool
from bonegraph.models.base import InputNorm, people_as_rows
from bonegraph.models.stgcn import STGCN, Config
from bonegraph.skeleton import SKELETONS

from .strategies import skeletons

JUNK = (1e6, -3.0, float("nan"), float("inf"))


def randomise(module: nn.Module, seed: int) -> None:
    """Weights and statistics as after a training, so that nothing is 0 or 1 by chance."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype))
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.5 * torch.randn(buffer.shape, generator=draw, dtype=buffer.dtype))
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=draw, dtype=buffer.dtype) + 0.5)


@dataclass(frozen=True, eq=False)
class Case:
    """A small network in float64 and a batch for it."""

    model: STGCN
    x: Tensor  # (N, C, T, V, M)
    visible: Tensor  # (N, T, V, M)

    def logits(self, x: Tensor | None = None, visible: Tensor | None = None) -> Tensor:
        x, visible = self.x if x is None else x, self.visible if visible is None else visible
        with torch.no_grad():
            result: Tensor = self.model.eval()(x, visible)
        return result

    def training_logits(self, x: Tensor, visible: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits with batch statistics, and the running statistics after it; the network is left as it was."""
        before = {name: value.clone() for name, value in self.model.state_dict().items()}
        logits = self.model.train()(x, visible).detach()
        after = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(before)
        self.model.eval()
        return logits, after


@st.composite
def cases(draw: st.DrawFn, least_clips: int = 1, least_frames: int = 1) -> Case:
    body = draw(skeletons(min_joints=2, max_joints=5))
    strides = draw(st.sampled_from(((1,), (2,), (1, 2), (2, 1, 2), (3, 2))))
    config = Config(
        in_channels=draw(st.integers(2, 3)),
        widths=(3, 4, 3)[: len(strides)],
        strides=strides,
        unit=draw(st.sampled_from(("joint", "factorised"))),
        temporal_kernel=draw(st.sampled_from((1, 3, 5))),
        strategy=draw(
            st.sampled_from(("uniform", "distance", "distance*", "spatial-hops", "spatial-released", "symmetrical"))
        ),
        normalisation=draw(st.sampled_from(("subset", "symmetric", "released"))),
        first_residual=draw(st.booleans()),
    )
    model = STGCN(config, body, 3).double().eval()
    seed = draw(st.integers(0, 2**20))
    randomise(model, seed)
    random = np.random.default_rng(seed)
    clips, people = draw(st.integers(least_clips, 3)), draw(st.integers(1, 3))
    shape = (clips, draw(st.integers(least_frames, 9)), body.num_joints, people)
    visible = random.random(shape) < draw(st.sampled_from((0.4, 0.8, 1.0)))
    visible &= random.random((shape[0], shape[1], 1, shape[3])) < draw(st.sampled_from((0.6, 1.0)))  # frames
    visible &= random.random((shape[0], 1, 1, shape[3])) < draw(st.sampled_from((0.6, 1.0)))  # people
    x = random.normal(size=(shape[0], config.in_channels, *shape[1:])) * visible[:, None]
    return Case(model, torch.from_numpy(x), torch.from_numpy(visible))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def hide(x: Tensor, visible: Tensor, junk: float) -> Tensor:
    return torch.where(visible[:, None], x, junk)


@given(cases(), st.sampled_from(JUNK))
def test_hidden_values_change_nothing(case: Case, junk: float) -> None:
    close(case.logits(hide(case.x, case.visible, junk)), case.logits())


@given(cases(least_clips=2), st.sampled_from(JUNK))
def test_hidden_values_change_nothing_in_training(case: Case, junk: float) -> None:
    """Neither the logits, nor the running statistics, nor any gradient."""
    results = []
    for x in (case.x, hide(case.x, case.visible, junk)):
        case.model.zero_grad()
        x = x.clone().requires_grad_()
        before = {name: value.clone() for name, value in case.model.state_dict().items()}
        logits = case.model.train()(x, case.visible)
        logits.square().sum().backward()
        grads = [value.grad for value in case.model.parameters() if value.grad is not None]
        running = [value.clone() for value in case.model.buffers()]
        assert x.grad is not None
        results.append([logits.detach(), x.grad, *(grad.clone() for grad in grads), *running])
        case.model.load_state_dict(before)
    assert len(results[0]) == len(results[1])
    for ours, theirs in zip(*results, strict=True):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert (results[0][1][~case.visible[:, None].expand_as(case.x)] == 0).all()


def one_more(case: Case, where: int, junk: float) -> tuple[Tensor, Tensor]:
    """The batch with one more person, who is absent."""
    x = torch.cat([case.x[..., :where], torch.full_like(case.x[..., :1], junk), case.x[..., where:]], dim=-1)
    hidden = torch.zeros_like(case.visible[..., :1])
    return x, torch.cat([case.visible[..., :where], hidden, case.visible[..., where:]], dim=-1)


@given(cases(), st.data())
def test_an_absent_person_changes_nothing(case: Case, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, case.x.shape[-1]))
    close(case.logits(*one_more(case, where, data.draw(st.sampled_from(JUNK)))), case.logits())


@given(cases(least_clips=2), st.data())
def test_an_absent_person_changes_nothing_in_training(case: Case, data: st.DataObject) -> None:
    if not case.visible.any():
        return
    more = one_more(case, data.draw(st.integers(0, case.x.shape[-1])), 0.0)
    logits, statistics = case.training_logits(case.x, case.visible)
    others, others_statistics = case.training_logits(*more)
    close(others, logits)
    for name, value in statistics.items():
        close(others_statistics[name], value)


def padded(case: Case, frames: int) -> tuple[Tensor, Tensor]:
    clips, channels, _, joints, people = case.x.shape
    x = torch.cat([case.x, torch.zeros(clips, channels, frames, joints, people, dtype=torch.float64)], dim=2)
    return x, torch.cat([case.visible, torch.zeros(clips, frames, joints, people, dtype=torch.bool)], dim=1)


@given(cases(), st.integers(1, 9))
def test_padding_by_absent_frames_is_exact(case: Case, frames: int) -> None:
    """A clip gives the same logits alone and padded to the length of a longer one."""
    close(case.logits(*padded(case, frames)), case.logits())


@pytest.mark.parametrize("unit", ["joint", "factorised"])
@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 7, 8])
def test_padding_is_exact_for_every_length(unit: str, frames: int) -> None:
    """Odd lengths and two strides of 2, everybody seen in every frame of the clip."""
    config = Config(widths=(3, 4, 5), strides=(1, 2, 2), unit=unit, temporal_kernel=5)  # type: ignore[arg-type]
    model = STGCN(config, SKELETONS["sbu15"], 4).double().eval()
    randomise(model, frames)
    random = torch.Generator().manual_seed(frames)
    x = torch.randn(2, 3, frames, 15, 2, generator=random, dtype=torch.float64)
    case = Case(model, x, torch.ones(2, frames, 15, 2, dtype=torch.bool))
    alone = case.logits()
    for more in range(1, 6):
        close(case.logits(*padded(case, more)), alone)


@given(cases(), st.permutations(range(3)))
def test_the_order_of_people_does_not_matter(case: Case, order: list[int]) -> None:
    people = torch.tensor([person for person in order if person < case.x.shape[-1]])
    close(case.logits(case.x[..., people], case.visible[..., people]), case.logits())
    flipped = case.training_logits(case.x.flip(-1), case.visible.flip(-1))[0]
    if case.visible.sum() > 1:
        close(flipped, case.training_logits(case.x, case.visible)[0])


@given(cases(least_clips=2))
def test_a_clip_does_not_depend_on_its_batch(case: Case) -> None:
    together = case.logits()
    for clip in range(len(case.x)):
        close(case.logits(case.x[clip : clip + 1], case.visible[clip : clip + 1]), together[clip : clip + 1])


@given(cases(least_clips=2), st.data())
def test_a_clip_with_nobody_leaves_the_others_alone(case: Case, data: st.DataObject) -> None:
    empty = data.draw(st.integers(0, len(case.x) - 1))
    visible = case.visible.clone()
    visible[empty] = False
    others = [clip for clip in range(len(case.x)) if clip != empty]
    logits = case.logits(visible=visible)
    assert logits.isfinite().all()
    close(logits[empty], case.model.head.bias.detach())  # no evidence
    close(logits[others], case.logits()[others])
    trained, statistics = case.training_logits(case.x, visible)
    assert trained.isfinite().all()
    if visible[others].any():
        alone, alone_statistics = case.training_logits(case.x[others], visible[others])
        close(trained[others], alone)
        for name, value in alone_statistics.items():
            close(statistics[name], value)


@given(cases())
def test_a_batch_with_nobody_at_all_is_finite(case: Case) -> None:
    nobody = torch.zeros_like(case.visible)
    close(case.logits(visible=nobody), case.model.head.bias.detach().expand(len(case.x), -1))
    if case.x[:, 0].numel() > 2 * case.x.shape[0]:
        logits, statistics = case.training_logits(case.x, nobody)
        assert logits.isfinite().all()
        assert all(value.isfinite().all() for value in statistics.values())


@given(cases())
def test_a_full_mask_is_no_mask(case: Case) -> None:
    everything = torch.ones_like(case.visible)
    with torch.no_grad():
        close(case.logits(visible=everything), case.model.eval()(case.x))
    if case.x.shape[0] * case.x.shape[2] * case.x.shape[4] > 1:
        masked, masked_statistics = case.training_logits(case.x, everything)
        free, free_statistics = case.training_logits(case.x, None)
        # A short batch can have a nearly constant channel, whose normalisation enlarges the rounding.
        torch.testing.assert_close(masked, free, rtol=1e-6, atol=1e-6)
        for name, value in free_statistics.items():
            torch.testing.assert_close(masked_statistics[name], value, rtol=1e-6, atol=1e-6)


@given(cases())
def test_whoever_is_seen_counts(case: Case) -> None:
    """Strides must not lose a person who is seen only in frames between the ones they keep."""
    frames = case.visible.any(dim=2)  # n t m
    features = case.model.features(case.x, case.visible)
    assert features.frames is not None
    seen = torch.zeros(len(case.x), dtype=torch.long).index_add(0, features.owner, features.frames.any(dim=1).long())
    assert seen.tolist() == frames.any(dim=1).sum(dim=1).tolist()


# --- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [2, 5])
def test_input_norm_with_a_full_mask_is_batch_norm(rows: int) -> None:
    joints, channels, frames = 4, 3, 6
    ours, theirs = InputNorm(joints, channels).double(), nn.BatchNorm1d(joints * channels).double()
    randomise(ours, 1)
    theirs.load_state_dict(ours.state_dict())
    full = torch.ones(rows, frames, joints, dtype=torch.bool)
    for step in range(3):
        random = torch.Generator().manual_seed(step)
        x = 5 + 2 * torch.randn(rows, channels, frames, joints, generator=random, dtype=torch.float64)
        flat = x.permute(0, 3, 1, 2).reshape(rows, joints * channels, frames)
        first, second = x.clone().requires_grad_(), flat.clone().requires_grad_()
        result = ours(first, full).permute(0, 3, 1, 2).reshape_as(flat)
        expected = theirs(second)
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
        upstream = torch.randn(flat.shape, generator=random, dtype=torch.float64)
        (ours_grad,) = torch.autograd.grad(result, first, upstream)
        (their_grad,) = torch.autograd.grad(expected, second, upstream)
        ours_grad = ours_grad.permute(0, 3, 1, 2).reshape_as(flat)
        torch.testing.assert_close(ours_grad, their_grad, rtol=1e-9, atol=1e-9)
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-10, atol=1e-10)
    ours.eval()
    theirs.eval()
    torch.testing.assert_close(ours(x, full).permute(0, 3, 1, 2).reshape_as(flat), theirs(flat), rtol=1e-10, atol=1e-10)


@given(st.integers(0, 2**20), st.floats(0.0, 1.0))
def test_masked_statistics_are_those_of_the_visible_entries(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    rows, channels, frames, joints = 3, 2, 4, 3
    x = random.normal(3, 2, (rows, channels, frames, joints))
    visible = random.random((rows, frames, joints)) < share
    norm = InputNorm(joints, channels).double()
    randomise(norm, seed)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    old_mean, old_var = norm.running_mean.clone(), norm.running_var.clone()
    weight, bias = norm.weight.tolist(), norm.bias.tolist()
    result = norm.train()(torch.from_numpy(x), torch.from_numpy(visible)).detach().numpy()
    for v in range(joints):
        for c in range(channels):
            place = v * channels + c
            values = [x[r, c, t, v] for r in range(rows) for t in range(frames) if visible[r, t, v]]
            count = len(values)
            mean = sum(values) / count if count else 0.0
            variance = sum((value - mean) ** 2 for value in values) / count if count else 0.0
            for r in range(rows):
                for t in range(frames):
                    expected = 0.0
                    if visible[r, t, v]:
                        expected = (x[r, c, t, v] - mean) / (variance + norm.eps) ** 0.5
                        expected = expected * weight[place] + bias[place]
                    assert result[r, c, t, v] == pytest.approx(expected, rel=1e-8, abs=1e-8)
            if count > 1:
                unbiased = variance * count / (count - 1)
                new_mean = 0.9 * float(old_mean[place]) + 0.1 * mean
                new_var = 0.9 * float(old_var[place]) + 0.1 * unbiased
            else:  # nothing to measure a spread from
                new_mean, new_var = float(old_mean[place]), float(old_var[place])
            assert float(norm.running_mean[place]) == pytest.approx(new_mean, rel=1e-8, abs=1e-8)
            assert float(norm.running_var[place]) == pytest.approx(new_var, rel=1e-8, abs=1e-8)


@given(st.integers(0, 2**20))
def test_pooling_is_a_mean_over_what_is_seen(seed: int) -> None:
    random = np.random.default_rng(seed)
    clips, rows = 3, 5
    maps = random.normal(size=(rows, 2, 4, 3))
    frames = random.random((rows, 4)) < 0.5
    owner = np.sort(random.integers(0, clips, rows))
    slot = torch.zeros(rows, dtype=torch.long)
    ours = pool(
        Features(torch.from_numpy(maps), torch.from_numpy(owner), slot, torch.from_numpy(frames), clips, 1)
    ).numpy()
    for clip in range(clips):
        people = []
        for row in range(rows):
            if owner[row] == clip and frames[row].any():
                people.append(np.mean([maps[row, :, t].mean(axis=-1) for t in range(4) if frames[row, t]], axis=0))
        expected = np.mean(people, axis=0) if people else np.zeros(2)
        np.testing.assert_allclose(ours[clip], expected, rtol=1e-10, atol=1e-12)


def test_people_who_are_never_seen_are_no_rows() -> None:
    visible = torch.zeros(2, 4, 3, 2, dtype=torch.bool)
    visible[0, 1, 2, 1] = visible[1, 0, 0, 0] = True
    x = torch.arange(2 * 3 * 4 * 3 * 2, dtype=torch.float64).view(2, 3, 4, 3, 2)
    people = people_as_rows(x, visible)
    assert people.owner.tolist() == [0, 1]
    assert people.num_clips == 2
    torch.testing.assert_close(people.rows, torch.stack([x[0, ..., 1], x[1, ..., 0]]), rtol=0, atol=0)
    assert people.visible is not None
    assert torch.equal(people.visible, torch.stack([visible[0, ..., 1], visible[1, ..., 0]]))


def test_gradient_of_a_masked_network() -> None:
    body = SKELETONS["sbu15"]
    random = torch.Generator().manual_seed(0)
    for unit in ("joint", "factorised"):
        config = Config(widths=(2, 3), strides=(1, 2), unit=unit, temporal_kernel=3)
        model = STGCN(config, body, 2).double().train()
        randomise(model, 4)
        x = torch.randn(2, 3, 3, 15, 1, generator=random, dtype=torch.float64)
        visible = torch.rand(2, 3, 15, 1, generator=random) < 0.8
        visible[1, 1] = False
        x = (x * visible[:, None]).requires_grad_()
        assert torch.autograd.gradcheck(lambda value: model(value, visible), (x,), fast_mode=True)  # noqa: B023
        names = ("units.0.edge_importance", "input_norm.weight", "input_norm.bias", "head.weight")
        chosen = tuple(dict(model.named_parameters())[name].detach().clone().requires_grad_() for name in names)

        def by_weights(*values: Tensor) -> Tensor:
            replaced = dict(zip(names, values, strict=True))  # noqa: B023
            result: Tensor = torch.func.functional_call(model, replaced, (x.detach(), visible))  # noqa: B023
            return result

        assert torch.autograd.gradcheck(by_weights, chosen, fast_mode=True)
