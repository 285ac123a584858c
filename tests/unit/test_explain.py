"""The focus on the frames of a recording, and what hiding it does, against loops."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bonegraph.datasets.card import Card
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.explain import Explanation, explain, on_recording
from bonegraph.inference.faithful_clips import measure, to_plain, to_table
from bonegraph.inference.faithfulness import Faithfulness, area, faithfulness, focused_order, hidden_counts, kept
from bonegraph.inference.focused import Input, NobodySeenError, class_number
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models import dualhead, stgcn
from bonegraph.models.checkpoint import Meaning
from bonegraph.models.registry import VARIANTS, build
from bonegraph.objectives.focus import focus, on_input
from bonegraph.sample import Batch
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms, apply

BODY = SKELETONS["sbu15"]
CLASSES = ("wave", "sit", "run")
SMALL = replace(stgcn.best(), widths=(6, 8), strides=(1, 2))
TWO_HEADS = replace(
    dualhead.best(), widths=(8, 8, 8), gcn_scales=2, g3d_scales=2, windows=(3,), dilations=(1,), coarse_dilations=(1,)
)


def recogniser(config: Any = SMALL, **fields: Any) -> Recogniser:
    """An untrained network whose answers differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(config, BODY, 3, np.arange(float(BODY.num_joints))).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.add_(0.2 * torch.randn_like(value) if name.endswith("bias") else 0.1 * torch.randn_like(value))
    meaning = Meaning(
        skeleton=BODY,
        classes=CLASSES,
        transforms=fields.pop("transforms", Transforms(centre="none")),
        length=fields.pop("length", Length("uniform", 8)),
        people=fields.pop("people", 0),
        fps=20.0,
        unit="m",
    )
    assert not fields
    return Recogniser(model, meaning)


def recording(frames: int = 20, people: int = 1, seed: int = 0) -> Sequence:
    positions = np.random.default_rng(seed).standard_normal((frames, people, BODY.num_joints, 3)).astype(np.float32)
    return Sequence(positions, np.ones((frames, people), np.bool_), BODY, 20.0, "m")


def with_absences() -> Sequence:
    """Two of three people, one of them for a part of the time, and joints that were not found."""
    sequence = recording(20, 3)
    confidence = np.ones(sequence.positions.shape[:3], np.float32)
    confidence[5:9, 0, 3] = 0
    confidence[:, 2, 7] = 0
    sequence.present[:, 1] = False
    sequence.present[:10, 2] = False
    return replace(sequence, confidence=confidence)


def one_input(values: NDArray[np.floating], places: list[float], seen: Any = None) -> Input:
    """An input of one person: values (T, V) at these places of the recording."""
    maps = torch.from_numpy(np.asarray(values, np.float32))[None, :, :, None]
    shown = torch.ones(maps.shape[1:], dtype=torch.bool) if seen is None else torch.from_numpy(seen)[:, :, None]
    unknown = torch.zeros(1, dtype=torch.int64)
    batch = Batch(torch.ones(1, 3, *maps.shape[1:]), shown[None], unknown, unknown, unknown)
    return Input(batch, shown, maps, np.array(places), True)


def test_the_focus_is_that_of_the_network_at_the_frames_it_takes() -> None:
    network, sequence = recogniser(), with_absences()
    found = explain(network, sequence)
    ready = apply(network.meaning.transforms, network.batch(sequence), BODY, training=False)
    (branch,) = network.model.branches(ready.positions, ready.visible)
    logits = network.model(ready.positions, ready.visible).detach()
    label = int(logits.argmax())
    maps = on_input(focus(branch, torch.tensor([label])), 3, 8)[0].detach().numpy()  # (T, V, M)
    assert found.action == found.predicted == CLASSES[label]
    assert found.probability == pytest.approx(float(logits.softmax(dim=1)[0, label]))
    assert found.focus.shape == (20, 3, BODY.num_joints) and found.people == (0, 2) and not found.flat
    taken = ((np.arange(8) + 0.5) * 2.5).astype(int)
    visible = sequence.visible
    checked = 0
    for person in range(3):
        for joint in range(BODY.num_joints):
            known = [step for step in range(8) if visible[taken[step], person, joint]]
            for frame in range(20):
                value = found.focus[frame, person, joint]
                if not visible[frame, person, joint] or not known:
                    assert np.isnan(value)
                    continue
                before = [step for step in known if taken[step] <= frame]
                after = [step for step in known if taken[step] >= frame]
                first, last = (before or after[:1])[-1], (after or before[-1:])[0]
                width = taken[last] - taken[first]
                share = 0 if width == 0 else (frame - taken[first]) / width
                expected = (1 - share) * maps[first, joint, person] + share * maps[last, joint, person]
                assert value == pytest.approx(expected, abs=1e-6)
                checked += 1
    assert checked == 20 * 15 - 4 + 10 * 14


@pytest.mark.parametrize(
    ("length", "places", "expected"),
    [
        (Length("replay", 4), [0, 1, 2, 0], [[2.5], [2], [3]]),  # the first frame enters twice
        (Length("fragment", 4), [3, 4, 5, 6], [[np.nan]] * 3 + [[1], [2], [3], [4]] + [[np.nan]] * 2),
        (Length("fragment", 4), [0, 1, np.nan, np.nan], [[1], [2]]),  # padded by frames that are nowhere
        (Length("crop-resize", 4, crop=(1.0, 1.0)), [0.5, 1.5, 2.5, 3.5], [[1], [1.5], [2.5], [3.5], [4]]),
        (Length("uniform", 4), [1, 3, 5, 7], [[1], [1], [1.5], [2], [2.5], [3], [3.5], [4], [4]]),
        (Length("uniform", 4), [0, 0, 1, 1], [[1.5], [3.5]]),  # shorter than the input: the mean
        (Length("all", 4), [0, 1, 2, 3], [[1], [2], [3], [4]]),
    ],
)
def test_back_to_the_frames_of_the_recording(length: Length, places: list[float], expected: list[list[float]]) -> None:
    values = np.broadcast_to(np.array([[1.0], [2], [3], [4]]), (4, BODY.num_joints))
    got = on_recording([one_input(values, places)], 0, recording(len(expected)), length)
    np.testing.assert_allclose(got[:, 0], np.broadcast_to(expected, (len(expected), BODY.num_joints)))


def test_hidden_frames_of_the_input_say_nothing() -> None:
    values = np.broadcast_to(np.array([[1.0], [0], [3]]), (3, BODY.num_joints))
    seen = np.ones((3, BODY.num_joints), np.bool_)
    seen[1] = False
    got = on_recording([one_input(values, [0, 1, 2], seen)], 0, recording(3), Length("all"))
    np.testing.assert_allclose(got[:, 0, 0], [1, 2, 3])  # not the 0 of the frame in which the joint is hidden


def test_test_clips_are_joined_in_time() -> None:
    network = recogniser(length=Length("uniform", 4, test_clips=2))
    found = explain(network, recording(16))
    first, second = found.focused.inputs
    np.testing.assert_array_equal(first.places, [1, 5, 9, 13])
    np.testing.assert_array_equal(second.places, [3, 7, 11, 15])
    np.testing.assert_allclose(found.focus[first.places.astype(int), 0], first.focus[..., 0].numpy(), rtol=1e-6)
    np.testing.assert_allclose(found.focus[second.places.astype(int), 0], second.focus[..., 0].numpy(), rtol=1e-6)
    assert found.notes == ("The network takes 2 test clips; this is the mean of their focus.",)
    torch.testing.assert_close(found.focused.probabilities, network.probabilities([recording(16)])[0])


def test_what_is_said_about_the_input() -> None:
    def notes(frames: int, shown: int = 1, **fields: Any) -> tuple[str, ...]:
        return explain(recogniser(**fields), recording(frames, shown)).notes

    assert notes(20) == ()
    assert "of 5 frames again" in notes(5, length=Length("replay", 8))[0]
    assert notes(20, length=Length("fragment", 8)) == ("Of 20 frames the network takes 6 to 13, counted from 0.",)
    assert notes(20, 3, people=2) == ("Of 3 people the network takes the first 2.",)
    assert "stream 'bone'" in notes(20, transforms=Transforms(centre="none", stream="bone"))[0]


def test_people_whom_the_network_does_not_take_have_no_focus() -> None:
    found = explain(recogniser(people=1), recording(10, 2))
    assert found.people == (0,) and np.isnan(found.focus[:, 1]).all() and not np.isnan(found.focus[:, 0]).any()


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("score", ["probability", "logit"])
@pytest.mark.parametrize("stage", [-1, 0, 1])
def test_any_class_score_and_stage(label: int, score: Any, stage: int) -> None:
    network, sequence = recogniser(length=Length("all")), recording(9, 2)
    found = explain(network, sequence, label, score, stage)
    ready = apply(network.meaning.transforms, network.batch(sequence), BODY, training=False)
    (branch,) = network.model.branches(ready.positions, ready.visible)
    maps = on_input(focus(branch, torch.tensor([label]), score=score, stage=stage), 2, 9)[0]
    np.testing.assert_allclose(found.focus, maps.permute(0, 2, 1).detach().numpy(), atol=1e-6)
    assert found.action == CLASSES[label]
    assert found.probability == pytest.approx(float(network.probabilities([sequence])[0, label]))


def test_two_heads() -> None:
    network, sequence = recogniser(TWO_HEADS, length=Length("all")), recording(12)
    found = explain(network, sequence, 1)
    ready = apply(network.meaning.transforms, network.batch(sequence), BODY, training=False)
    branches = network.model.branches(ready.positions, ready.visible)
    maps = [on_input(focus(branch, torch.tensor([1])), 1, 12)[0, :, :, 0].detach().numpy() for branch in branches]
    assert len(found.heads) == 2 and "2 heads" in found.notes[0]
    for got, expected in zip(found.heads, maps, strict=True):
        np.testing.assert_allclose(got[:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(found.focus[:, 0], (maps[0] + maps[1]) / 2, atol=1e-4)
    np.testing.assert_allclose(found.focused.inputs[0].focus[..., 0], (maps[0] + maps[1]) / 2, atol=1e-4)


def probability(network: Recogniser, one: Input, shown: set[tuple[int, int, int]], label: int) -> float:
    """Of a class, with only these (frame, joint, person) left, masked by hand."""
    positions, visible = one.batch.positions.clone(), one.batch.visible.clone()
    for frame, joint, person in np.ndindex(*one.seen.shape):
        if (frame, joint, person) not in shown:
            positions[0, :, frame, joint, person] = 0
            if one.masked:
                visible[0, frame, joint, person] = False
    with torch.inference_mode():
        return float(network.model(positions, visible).softmax(dim=1)[0, label])


@pytest.mark.parametrize(
    "transforms",
    [
        Transforms(centre="none"),
        Transforms(centre="none", stream="bone"),
        Transforms(centre="none", zero_padded=2),
        Transforms(centre="none", zero_padded=2, stream="joint-motion"),
    ],
)
def test_deletion_and_insertion_against_loops(transforms: Transforms) -> None:
    network = recogniser(transforms=transforms, length=Length("uniform", 4))
    sequence = recording(6, 2)
    sequence.present[:4, 1] = False
    found = explain(network, sequence)
    got = faithfulness(network, found, steps=5, draws=2, seed=3)
    (one,) = found.focused.inputs
    chance = np.random.default_rng(3)
    entries = [tuple(map(int, index)) for index in torch.nonzero(one.entries)]
    if transforms.zero_padded:
        (values,) = one.batch.positions.any(dim=1).numpy()
        assert entries == [index for index in np.ndindex(*values.shape) if values[index]]
    tie = chance.permutation(len(entries))
    by_focus = sorted(range(len(entries)), key=lambda entry: (-float(one.heads[0][entries[entry]]), int(tie[entry])))
    orders = [by_focus, *(list(chance.permutation(len(entries))) for _ in range(2))]
    hidden: list[list[float]] = []
    for order in orders:
        hidden.append([])
        for step in range(6):
            left = {entries[entry] for entry in order[round(step * len(entries) / 5) :]}
            hidden[-1].append(probability(network, one, left, found.focused.label))
    shown = [
        probability(network, one, {entries[e] for e in by_focus[: round(s * len(entries) / 5)]}, found.focused.label)  # type: ignore[misc]
        for s in range(6)
    ]
    np.testing.assert_allclose(got.shares, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(got.deletion, hidden[0], atol=1e-6)
    np.testing.assert_allclose(got.insertion, shown, atol=1e-6)
    np.testing.assert_allclose(got.random, np.mean(hidden[1:], axis=0), atol=1e-6)
    assert got.deletion_area == pytest.approx(sum((a + b) / 2 / 5 for a, b in zip(hidden[0], hidden[0][1:])))  # noqa: B905
    assert got.gain == pytest.approx(got.insertion_area - got.deletion_area)


@pytest.mark.parametrize(
    "make", [pytest.param(make, id=f"{name}-{kind}") for name, of in VARIANTS.items() for kind, make in of.items()]
)
def test_every_model_is_explained(make: Callable[..., Any]) -> None:
    """From all shown, which is the answer, to nothing shown, which is the bias of the heads where there are masks."""
    network = recogniser(make("quarter", 3))
    sequence = recording(10, 2)
    sequence.present[5:, 1] = False
    found = explain(network, sequence)
    assert found.people == (0, 1) and np.nanmin(found.focus) >= 0 and np.nanmax(found.focus) <= 1 and not found.flat
    np.testing.assert_array_equal(np.isnan(found.focus), ~sequence.visible)
    got = faithfulness(network, found, steps=2, draws=1)
    for values in (got.deletion, got.insertion, got.random):
        assert np.isfinite(values).all()
    for whole in (got.deletion[0], got.insertion[-1], got.random[0]):
        assert whole == pytest.approx(found.probability, abs=1e-5)
    nothing = torch.zeros(1, 3, 8, BODY.num_joints, 2)
    with torch.inference_mode():
        blind = network.model(nothing, torch.zeros(1, 8, BODY.num_joints, 2, dtype=torch.bool)).softmax(dim=1)
    for none in (got.deletion[-1], got.insertion[0], got.random[-1]):
        assert none == pytest.approx(float(blind[0, found.focused.label]), abs=1e-5)


def test_batches_do_not_change_the_curves() -> None:
    network, sequence = recogniser(), recording(10, 2)
    found = explain(network, sequence)
    one, many = (faithfulness(network, found, steps=6, draws=1, batch_size=size) for size in (1, 100))
    np.testing.assert_allclose(one.deletion, many.deletion, atol=1e-6)
    np.testing.assert_allclose(one.insertion, many.insertion, atol=1e-6)


def test_equal_focus_comes_in_random_order() -> None:
    values = np.zeros((4, BODY.num_joints))
    values[1, 5], values[2, 3] = 0.9, 0.5
    one = one_input(values, [0, 1, 2, 3])
    orders = [focused_order(one, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    count = 4 * BODY.num_joints
    for order in orders:
        assert sorted(order) == list(range(count))
        assert list(order[:2]) == [BODY.num_joints + 5, 2 * BODY.num_joints + 3]
    np.testing.assert_array_equal(orders[0], orders[1])
    assert list(orders[0][2:]) != sorted(orders[0][2:])
    assert list(orders[0]) != list(orders[2])


def test_showing_is_hiding_in_reverse() -> None:
    """So that one random curve serves for both, and a random focus gains nothing."""
    entries = torch.rand(5, 4, 3, generator=torch.Generator().manual_seed(0)) < 0.7
    order = np.random.default_rng(0).permutation(int(entries.sum()))
    counts = np.array([0, 7, 20, len(order)])
    hidden = kept(entries, order, counts, shown=False)
    shown = kept(entries, order[::-1].copy(), len(order) - counts, shown=True)
    assert torch.equal(hidden, shown)
    assert torch.equal(hidden[0], entries) and not hidden[-1].any()
    assert not (hidden & ~entries).any() and [int(one.sum()) for one in hidden] == list(len(order) - counts)
    np.testing.assert_array_equal(hidden_counts(10, 4), [0, 2, 5, 8, 10])
    assert hidden_counts(2, 4)[-1] == 2


def test_a_random_focus_gains_nothing_and_the_opposite_loses() -> None:
    network, sequence = recogniser(), recording(16, 1)
    found = explain(network, sequence)
    (one,) = found.focused.inputs

    def gain(heads: torch.Tensor, seed: int = 0) -> float:
        changed = replace(found, focused=replace(found.focused, inputs=(replace(one, heads=heads),)))
        return faithfulness(network, changed, steps=12, draws=1, seed=seed).gain

    draw = torch.Generator().manual_seed(0)
    by_chance = np.array([gain(torch.rand(one.heads.shape, generator=draw)) for _ in range(30)])
    assert abs(by_chance.mean()) < 3 * by_chance.std(ddof=1) / math.sqrt(30)
    distinct = one.heads + 1e-3 * torch.rand(one.heads.shape, generator=draw)  # without ties
    assert gain(1 - distinct) == pytest.approx(-gain(distinct), abs=1e-5)


def test_area() -> None:
    assert area(np.array([1.0, 1.0]), np.array([0.0, 1.0])) == 1
    assert area(np.array([1.0, 0.0, 0.0]), np.array([0, 0.5, 1])) == 0.25
    found = Faithfulness(np.array([0, 0.5, 1]), np.array([1.0, 0, 0]), np.array([0, 1.0, 1]), np.array([1, 0.5, 0]))
    assert (found.deletion_area, found.insertion_area, found.random_area, found.gain) == (0.25, 0.75, 0.5, 0.5)


def blind_to_classes() -> Recogniser:
    """The head has no weights, so that nothing speaks for one class more than for another."""
    network = recogniser()
    torch.nn.init.zeros_(network.model.head.weight)
    return network


def test_a_flat_focus() -> None:
    network = blind_to_classes()
    found = explain(network, recording(10))
    assert found.flat and found.people == (0,) and not np.nan_to_num(found.focus).any()
    got = faithfulness(network, found, steps=3)
    assert np.ptp(got.deletion) < 1e-6 and abs(got.gain) < 1e-6


def test_one_frame() -> None:
    for length in (Length("uniform", 8), Length("all"), Length("replay", 8), Length("crop-resize", 8)):
        network = recogniser(length=length)
        found = explain(network, recording(1))
        assert found.focus.shape == (1, 1, BODY.num_joints) and not np.isnan(found.focus).any()
        assert np.isfinite(faithfulness(network, found, steps=4, draws=1).gain)


def test_a_network_without_masks_has_its_focus_on_who_is_there() -> None:
    sequence = recording(10, 2)
    sequence.present[:, 1] = False
    found = explain(recogniser(transforms=Transforms(centre="none", zero_padded=3)), sequence)
    assert found.people == (0,) and np.nanmax(found.focus) == pytest.approx(1, abs=0.2)
    (one,) = found.focused.inputs
    assert one.heads.shape == (1, 8, BODY.num_joints, 3) and float(one.heads.max()) == 1
    assert not one.entries[..., 1:].any() and one.entries[..., 0].all() and not one.heads[..., 1:].any()


def test_what_cannot_be_explained() -> None:
    network = recogniser()
    with pytest.raises(ValueError, match="several networks; give the checkpoint of one"):
        explain(Recogniser(network.model, network.meaning, [network]), recording())
    nobody = recording()
    nobody.present[:] = False
    with pytest.raises(NobodySeenError, match="nobody is seen in any frame"):
        explain(network, nobody)
    nobody.present[0] = True  # and the network takes other frames
    with pytest.raises(NobodySeenError, match="nobody is seen in the frames that the network takes"):
        explain(network, nobody)
    with pytest.raises(ValueError, match="stage must be one of 2 stages, got 2"):
        explain(network, recording(), stage=2)
    found = explain(network, recording())
    for name in ("steps", "draws", "batch_size"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            faithfulness(network, found, **{name: 0})  # type: ignore[arg-type]
    assert class_number(network.meaning, "sit") == 1
    with pytest.raises(ValueError, match="no class 'wav'; did you mean 'wave'"):
        class_number(network.meaning, "wav")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Five clips; in the fourth, somebody is in the first frame alone, which the network does not take."""
    with StoreWriter(tmp_path / "store", Card("small", BODY, "m", 20.0, CLASSES)) as writer:
        for number in range(5):
            sequence = recording(20 if number == 3 else 6 + number, 1, seed=number)
            sequence.present[1:] = number != 3
            writer.append(f"clip {number}", number % 3, {}, sequence)
        writer.finish()
    return Store.open(tmp_path / "store")


def test_over_clips(store: Store) -> None:
    network = recogniser()
    summary = measure(network, store, np.arange(5), steps=4, draws=2, progress=False)
    assert [one.id for one in summary.clips] == ["clip 0", "clip 1", "clip 2", "clip 4"]
    assert summary.unseen == ("clip 3",) and summary.flat == 0
    for one, clip in zip(summary.clips, (0, 1, 2, 4), strict=True):
        answer = network(store.sequence(clip))[0]
        assert one.action == answer.action and one.probability == pytest.approx(answer.probability, abs=1e-5)
        assert one.truth == CLASSES[clip % 3]
    gains = [one.found.insertion_area - one.found.deletion_area for one in summary.clips]
    mean = sum(gains) / 4
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / 3 / 4)
    assert summary.gain.value == pytest.approx(mean) and summary.gain.error == pytest.approx(error)
    less = [one.found.deletion_area < one.found.random_area for one in summary.clips]
    more = [one.found.insertion_area > one.found.random_area for one in summary.clips]
    assert (summary.better_deletion, summary.better_insertion) == (sum(less) / 4, sum(more) / 4)
    plain = to_plain(summary)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["gain"] == {"mean": summary.gain.value, "standard_error": summary.gain.error}
    table = to_table(summary).splitlines()
    assert f"{summary.deletion.value:.3f} ± {summary.deletion.error:.3f}" in table[1]
    assert table[2].count(f"{summary.random.value:.3f}") == 2


def test_the_numbers_of_a_clip_do_not_depend_on_the_others(store: Store) -> None:
    network = recogniser()
    both = measure(network, store, np.array([0, 4]), label=2, steps=3, draws=1, progress=False)
    alone = measure(network, store, np.array([4]), label=2, steps=3, draws=1, progress=False)
    np.testing.assert_array_equal(both.clips[1].found.random, alone.clips[0].found.random)
    assert {one.action for one in both.clips} == {"run"}
    assert math.isnan(alone.gain.error) and "±" not in to_table(alone)
    assert to_plain(alone)["gain"] == {"mean": alone.gain.value, "standard_error": None}
    other = measure(network, store, np.array([4]), label=2, steps=3, draws=1, seed=1, progress=False)
    assert (other.clips[0].found.random != alone.clips[0].found.random).any()


def test_over_no_clips(store: Store) -> None:
    network = recogniser()
    with pytest.raises(ValueError, match="there are no clips to explain in 'small'"):
        measure(network, store, np.array([], np.int64), progress=False)
    with pytest.raises(ValueError, match="in none of the 1 clips of 'small' is anybody seen"):
        measure(network, store, np.array([3]), progress=False)
    flat = measure(blind_to_classes(), store, np.array([0, 1]), steps=2, draws=1, progress=False)
    assert flat.flat == 2 and flat.better_deletion <= 1


def test_an_explanation_is_of_the_given_recording_alone() -> None:
    """The network, the recording and the random numbers of others stay as they are."""
    network, sequence = recogniser(), recording(10, 2)
    weights = {name: value.clone() for name, value in network.model.state_dict().items()}
    before, state = sequence.positions.copy(), torch.random.get_rng_state()
    found: Explanation = explain(network, sequence, stage=0)
    faithfulness(network, found, steps=2, draws=1)
    np.testing.assert_array_equal(sequence.positions, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in network.model.state_dict().items())
    assert all(value.grad is None for value in network.model.parameters())
