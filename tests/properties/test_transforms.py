"""What holds for transforms of every skeleton and every batch: functions of the keys, blind to what is hidden."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bonegraph.sample import Batch
from bonegraph.seeding import mix
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.augment import mirror, random_moving
from bonegraph.transforms.normalise import rotate_to_body
from bonegraph.transforms.pipeline import Augment, Transforms, apply
from bonegraph.transforms.streams import STREAMS, bones, motion

from .strategies import skeletons

SETTINGS = (
    Transforms(),
    Transforms("bone", "frame", scale="body-height"),
    Transforms("joint", "first", scale="min-max", augment=Augment((0.0, 0.0, 20.0), (0.8, 1.2))),
    Transforms("joint-motion", "none", scale="image", image=(20.0, 10.0), augment=Augment(moving=True)),
    Transforms("bone-motion", "first", augment=Augment((10.0, 5.0, 20.0), mirror=0.5)),
    Transforms("joint", "first", confidence=True, augment=Augment(joint_dropout=0.3)),
    Transforms("bone", "frame", confidence=True, augment=Augment((9.0, 9.0, 9.0), (0.9, 1.1), 0.5, 0.2, True)),
)


def batch_of(seed: int, body: Skeleton, clips: int, frames: int, people: int, channels: int, share: float) -> Batch:
    random = np.random.default_rng(seed)
    shape = (clips, frames, body.num_joints, people)
    visible = (random.random(shape) < share) & (random.random((clips, frames, 1, people)) < share)
    positions = random.normal(1, 2, (clips, channels, *shape[1:])) * visible[:, None]
    keys = mix(random.integers(0, 2**40, clips), "clip")
    return Batch(
        torch.from_numpy(positions),
        torch.from_numpy(visible),
        torch.arange(clips),
        torch.arange(clips),
        torch.from_numpy(keys.view(np.int64)),
        torch.from_numpy(random.random(shape) * visible),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Skeleton, Batch]:
    body = draw(skeletons(max_joints=6))
    clips, frames, people, channels = (
        draw(st.integers(least, most)) for least, most in ((1, 4), (1, 6), (1, 3), (2, 3))
    )
    share = draw(st.sampled_from((0.3, 0.8, 1.0)))
    return body, batch_of(draw(st.integers(0, 2**20)), body, clips, frames, people, channels, share)


def pick(batch: Batch, clips: list[int]) -> Batch:
    changed = {name: value[clips] for name, value in vars(batch).items() if isinstance(value, Tensor)}
    return replace(batch, **changed)


def same(ours: Batch, theirs: Batch) -> None:
    """Equal, as far as ``theirs`` reaches in frames and people."""
    _, _, frames, _, people = theirs.positions.shape
    torch.testing.assert_close(ours.positions[:, :, :frames, :, :people], theirs.positions, rtol=1e-10, atol=1e-10)
    assert torch.equal(ours.visible[:, :frames, :, :people], theirs.visible)


settings = pytest.mark.parametrize("transforms", SETTINGS, ids=range(len(SETTINGS)))


@settings
@given(cases(), st.booleans(), st.data())
def test_a_clip_does_not_depend_on_its_batch(
    transforms: Transforms, case: tuple[Skeleton, Batch], training: bool, data: st.DataObject
) -> None:
    """Any clips of the batch, in any order, come out as they do in the whole batch."""
    body, batch = case
    chosen = data.draw(st.lists(st.integers(0, len(batch) - 1), min_size=1, max_size=4))
    together = apply(transforms, batch, body, training=training)
    same(apply(transforms, pick(batch, chosen), body, training=training), pick(together, chosen))


def with_absent_person(batch: Batch) -> Batch:
    wider = {
        name: torch.nn.functional.pad(getattr(batch, name), (0, 1)) for name in ("positions", "visible", "confidence")
    }
    return replace(batch, **wider)


def with_absent_frames(batch: Batch, count: int) -> Batch:
    longer = {
        name: torch.nn.functional.pad(getattr(batch, name), (0, 0, 0, 0, 0, count))
        for name in ("positions", "visible", "confidence")
    }
    return replace(batch, **longer)


@settings
@given(cases(), st.booleans())
def test_an_absent_person_changes_nothing(transforms: Transforms, case: tuple[Skeleton, Batch], training: bool) -> None:
    """A batch has as many people as its fullest clip; the others must not notice."""
    body, batch = case
    wider = apply(transforms, with_absent_person(batch), body, training=training)
    same(wider, apply(transforms, batch, body, training=training))
    assert not wider.visible[..., -1].any()
    assert (wider.positions[..., -1] == 0).all()


@pytest.mark.parametrize("name", STREAMS)
@given(cases(), st.integers(1, 3))
def test_absent_frames_at_the_end_change_no_stream(name: str, case: tuple[Skeleton, Batch], count: int) -> None:
    """A short clip beside a long one has absent frames at its end (rules ``all`` and ``fragment``)."""
    body, batch = case
    batch = replace(batch, visible=batch.visible.clone())
    batch.visible[:, -1] = True  # the last frame of the clip is a real one
    transforms = Transforms(name)  # type: ignore[arg-type]
    longer = apply(transforms, with_absent_frames(batch, count), body, training=False)
    same(longer, apply(transforms, batch, body, training=False))


@given(cases(), st.integers(1, 3))
def test_absent_frames_at_the_end_do_not_slow_down_random_moving(case: tuple[Skeleton, Batch], count: int) -> None:
    _, batch = case
    keys = batch.keys.numpy().view(np.uint64)
    visible = torch.ones_like(batch.visible)
    longer = with_absent_frames(replace(batch, visible=visible), count)
    moved = random_moving(longer.positions, longer.visible, keys)
    torch.testing.assert_close(moved[:, :, : visible.shape[1]], random_moving(batch.positions, visible, keys))


@settings
@given(cases())
def test_testing_has_no_randomness(transforms: Transforms, case: tuple[Skeleton, Batch]) -> None:
    body, batch = case
    result = apply(transforms, batch, body, training=False)
    same(apply(transforms, replace(batch, keys=batch.keys + 1), body, training=False), result)
    same(apply(replace(transforms, augment=Augment()), batch, body, training=True), result)


@settings
@given(cases(), st.booleans())
def test_results_are_finite_and_zero_where_hidden(
    transforms: Transforms, case: tuple[Skeleton, Batch], training: bool
) -> None:
    body, batch = case
    before = {name: value.clone() for name, value in vars(batch).items() if isinstance(value, Tensor)}
    result = apply(transforms, batch, body, training=training)
    assert result.positions.dtype == torch.float64
    assert result.positions.isfinite().all()
    assert (result.positions[~result.visible[:, None].expand_as(result.positions)] == 0).all()
    for name, value in before.items():  # nothing changes in place
        assert torch.equal(getattr(batch, name), value)


@settings
@given(cases(), st.booleans())
def test_float32_is_float64_rounded(transforms: Transforms, case: tuple[Skeleton, Batch], training: bool) -> None:
    body, batch = case
    assert batch.confidence is not None
    single = replace(batch, positions=batch.positions.float(), confidence=batch.confidence.float())
    ours, theirs = (apply(transforms, entry, body, training=training) for entry in (single, batch))
    assert ours.positions.dtype == torch.float32
    assert torch.equal(ours.visible, theirs.visible)
    torch.testing.assert_close(ours.positions.double(), theirs.positions, rtol=1e-3, atol=1e-3)


@given(cases())
def test_mirroring_twice_is_the_identity(case: tuple[Skeleton, Batch]) -> None:
    body, batch = case
    every = torch.ones(len(batch), dtype=torch.bool)
    once = mirror(batch.positions, batch.visible, body, every)
    twice = mirror(*once, body, every)
    assert torch.equal(twice[0], batch.positions)
    assert torch.equal(twice[1], batch.visible)


@given(cases())
def test_bones_sum_back_to_joints(case: tuple[Skeleton, Batch]) -> None:
    body, batch = case
    parts = bones(batch.positions, body)
    root = next(joint for joint, parent in enumerate(body.parents) if joint == parent)
    for joint in range(body.num_joints):
        total, here = batch.positions[:, :, :, root].clone(), joint
        while here != root:
            total += parts[:, :, :, here]
            here = body.parents[here]
        torch.testing.assert_close(total, batch.positions[:, :, :, joint], rtol=1e-10, atol=1e-10)


@given(cases())
def test_motion_sums_back_to_the_path(case: tuple[Skeleton, Batch]) -> None:
    _, batch = case
    x = batch.positions
    later = x[:, :, :1] + motion(x).cumsum(dim=2)[:, :, :-1]
    torch.testing.assert_close(later, x[:, :, 1:], rtol=1e-10, atol=1e-10)


@given(st.integers(0, 2**20), st.sampled_from(("ntu25", "ucla20", "sbu15")))
def test_rotation_to_the_body_forgets_how_the_camera_was_turned(seed: int, name: str) -> None:
    body = SKELETONS[name]
    batch = batch_of(seed, body, 2, 3, 2, 3, 1.0)
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn[:, 0] *= np.linalg.det(turn)  # a rotation, no mirror image
    turned = torch.einsum("dc,nctvm->ndtvm", torch.from_numpy(turn), batch.positions)
    ours = rotate_to_body(turned, batch.visible, body)
    torch.testing.assert_close(ours, rotate_to_body(batch.positions, batch.visible, body), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(rotate_to_body(ours, batch.visible, body), ours, rtol=1e-6, atol=1e-6)
