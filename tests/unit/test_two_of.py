"""Two of four changes of a clip, against loops; and the traps of the KTH code."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bonegraph.sample import Batch
from bonegraph.seeding import Keys, integers, mix
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.pipeline import Augment, Transforms, apply
from bonegraph.transforms.two_of import ANGLES, CHANGES, SCALES, SHIFTS, drawn, two_of

BODY = SKELETONS["openpose25"]
COUNT = 400


def keys(count: int = COUNT, seed: int = 0) -> Keys:
    return mix(np.arange(count), seed)


def clips(count: int, channels: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    random = np.random.default_rng(3)
    visible = torch.from_numpy(random.random((count, 2, 25, 1)) < 0.8)
    positions = torch.from_numpy(random.normal(0, 50, (count, channels, 2, 25, 1))) * visible[:, None]
    return positions, visible, torch.from_numpy(random.random((count, 2, 25, 1))) * visible


def amount(name: str, choices: tuple[Any, ...], clip: int) -> Any:
    return choices[int(integers(keys(), f"two of, {name}", len(choices), 1)[clip, 0])]


@pytest.mark.parametrize("channels", [2, 3])
def test_two_of_against_loops(channels: int) -> None:
    positions, visible, confidence = clips(COUNT, channels)
    before = positions.clone(), visible.clone(), confidence.clone()
    ours, seen, sure = two_of(positions, visible, confidence, BODY, keys(), 0.5)
    assert sure is not None
    for clip, pair in enumerate(drawn(keys(), 0.5).tolist()):
        place, there, chance = (value[clip].clone() for value in before)
        for change in pair:
            if change < 0:
                continue
            name = CHANGES[change]
            if name == "flip":
                order = list(BODY.mirror)
                place, there, chance = place[:, :, order], there[:, order], chance[:, order]
                place[0] = -place[0]
            elif name == "rotation":
                angle = math.radians(amount(name, ANGLES, clip))
                x, y = place[0].clone(), place[1].clone()
                place[0] = math.cos(angle) * x - math.sin(angle) * y
                place[1] = math.sin(angle) * x + math.cos(angle) * y
            elif name == "translation":
                for axis, shift in enumerate(amount(name, SHIFTS, clip)):
                    place[axis] += shift
            else:
                place = place * amount(name, SCALES, clip)
            place = place * there
        torch.testing.assert_close(ours[clip], place, rtol=1e-9, atol=1e-9)
        assert torch.equal(seen[clip], there) and torch.equal(sure[clip], chance)
    assert all(torch.equal(now, then) for now, then in zip((positions, visible, confidence), before, strict=True))


def test_the_two_are_different_and_every_pair_comes() -> None:
    """Trap: they were drawn with replacement, so that one change could come twice."""
    pairs = [tuple(pair) for pair in drawn(keys(4000), 0.5).tolist()]
    changed = [pair for pair in pairs if pair != (-1, -1)]
    assert 0.45 < len(changed) / len(pairs) < 0.55
    assert set(changed) == set(permutations(range(4), 2))
    assert min(Counter(changed).values()) > len(changed) / 12 / 2
    assert drawn(keys(50), 0.0).max() == -1 and drawn(keys(50), 1.0).min() == 0


def test_translation_moves() -> None:
    """Trap: with a homogeneous coordinate of 0 it did nothing."""
    pairs = drawn(keys(), 1.0).tolist()
    index = {name: number for number, name in enumerate(CHANGES)}
    wanted = [[index["scaling"], index["translation"]], [index["translation"], index["scaling"]]]
    clip = pairs.index(wanted[0])
    shift, size = amount("translation", SHIFTS, clip), amount("scaling", SCALES, clip)
    positions, visible = torch.zeros(COUNT, 2, 2, 25, 1), torch.ones(COUNT, 2, 25, 1, dtype=torch.bool)
    moved, _, _ = two_of(positions, visible, None, BODY, keys(), 1.0)
    torch.testing.assert_close(moved[clip, :, 0, 0, 0], torch.tensor(shift))
    other = pairs.index(wanted[1])
    shift, size = amount("translation", SHIFTS, other), amount("scaling", SCALES, other)
    torch.testing.assert_close(moved[other, :, 0, 0, 0], torch.tensor(shift) * size)
    assert (moved.flatten(1).abs().amax(dim=1) > 0).sum() == sum(index["translation"] in pair for pair in pairs)


def test_flip_swaps_sides() -> None:
    """Trap: the mirrored left wrist stayed the left wrist."""
    left, right = BODY.index("left wrist"), BODY.index("right wrist")
    positions, visible, confidence = clips(COUNT)
    visible[:] = True
    visible[:, :, left] = False
    positions[:, :, :, left] = 0
    confidence[:, :, left] = 0
    _, seen, sure = two_of(positions, visible, confidence, BODY, keys(), 1.0)
    assert sure is not None
    for clip, pair in enumerate(drawn(keys(), 1.0).tolist()):
        hidden = right if CHANGES.index("flip") in pair else left
        assert set((~seen[clip]).nonzero()[:, 1].tolist()) == {hidden}
        assert (sure[clip, :, hidden] == 0).all()


def test_every_amount_of_the_paper_comes() -> None:
    """SPEC 2.6."""
    for name, choices, expected in (
        ("rotation", ANGLES, {-15.0, -10.0, -5.0, 5.0, 10.0, 15.0}),
        ("translation", SHIFTS, {(5.0, 5.0), (0.0, 5.0), (5.0, 0.0)}),
        ("scaling", SCALES, {0.95, 1.05, 1.1}),
    ):
        assert {amount(name, choices, clip) for clip in range(COUNT)} == expected


def batch() -> Batch:
    positions, visible, confidence = clips(COUNT)
    labels = torch.zeros(COUNT, dtype=torch.int64)
    known = torch.from_numpy(keys().view(np.int64))
    return Batch(positions + 100 * visible[:, None], visible, labels, labels, known, confidence)


@pytest.mark.parametrize("scale", ["none", "image"])
def test_in_the_pipeline(scale: Any) -> None:
    """In training alone, in the unit of the data, and a function of the keys."""
    transforms = Transforms(
        centre="none", scale=scale, image=(160.0, 120.0), confidence=True, augment=Augment(two_of=0.5)
    )
    given = batch()
    plain = apply(transforms, given, BODY, training=False).positions
    ours = apply(transforms, given, BODY, training=True)
    changed = (ours.positions - plain).flatten(1).abs().amax(dim=1) > 1e-9
    assert changed.tolist() == (drawn(keys(), 0.5)[:, 0] >= 0).tolist()
    again = apply(transforms, given, BODY, training=True)
    assert torch.equal(again.positions, ours.positions)
    positions, visible, _ = two_of(given.positions, given.visible, given.confidence, BODY, keys(), 0.5)
    expected = positions if scale == "none" else (positions / torch.tensor([80.0, 60.0])[:, None, None, None] - 1)
    torch.testing.assert_close(ours.positions[:, :2], torch.where(visible[:, None], expected, 0))
    assert not ours.positions.transpose(0, 1)[:, ~ours.visible].any()


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two_of must be a probability, got 1\.5"):
        Augment(two_of=1.5)
