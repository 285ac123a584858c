"""Which frames are taken, against loops."""

from fractions import Fraction
from math import ceil, floor
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from bonegraph.seeding import mix, uniform
from bonegraph.transforms.lengths import Length, Rule, blend, pick_frames

LENGTHS = np.arange(1, 401)
KEYS = mix(LENGTHS, "keys")
SIZES = (1, 7, 64, 300)
RULES: tuple[Rule, ...] = get_args(Rule)


def modes() -> list[tuple[Length, NDArray[np.uint64] | None, int]]:
    """Every rule in training and at every test offset."""
    found: list[tuple[Length, NDArray[np.uint64] | None, int]] = []
    for rule in RULES:
        for frames in SIZES:
            offsets = 3 if rule == "uniform" else 1
            length = Length(rule, frames, offsets)
            found.append((length, KEYS, 0))
            found.extend((length, None, offset) for offset in range(offsets))
    return found


every_mode = pytest.mark.parametrize(
    ("length", "keys", "offset"),
    modes(),
    ids=[f"{mode[0].rule}-{mode[0].frames}-{'test' if mode[1] is None else 'train'}{mode[2]}" for mode in modes()],
)


@every_mode
def test_frames_are_in_range_and_in_order(length: Length, keys: NDArray[np.uint64] | None, offset: int) -> None:
    pick = pick_frames(length, LENGTHS, keys, offset)
    columns = 400 if length.rule == "all" else length.frames
    assert pick.frames.dtype == np.int64
    assert pick.frames.shape == (400, columns * (2 if length.rule == "crop-resize" else 1))
    assert (pick.frames < LENGTHS[:, None]).all()
    if length.rule in ("fragment", "all"):
        real = pick.frames >= 0
        assert (pick.frames[~real] == -1).all()
        np.testing.assert_array_equal(real.sum(axis=1), np.minimum(LENGTHS, columns))
        assert (np.diff(real.astype(int), axis=1) <= 0).all()  # absent frames come last
        assert (np.diff(pick.frames, axis=1)[real[:, 1:]] == 1).all()
    else:
        assert (pick.frames >= 0).all()
        if length.rule not in ("replay", "loop"):
            assert (np.diff(pick.frames[:, :columns], axis=1) >= 0).all()
    assert (pick.blend is None) == (length.rule != "crop-resize")


@every_mode
def test_a_clip_does_not_depend_on_its_batch(length: Length, keys: NDArray[np.uint64] | None, offset: int) -> None:
    together = pick_frames(length, LENGTHS, keys, offset)
    for clip in (0, 5, 63, 64, 200, 399):
        alone = pick_frames(length, LENGTHS[[clip]], None if keys is None else keys[[clip]], offset)
        columns = alone.frames.shape[1]
        np.testing.assert_array_equal(alone.frames[0], together.frames[clip, :columns])
        if length.rule == "loop":  # the clip is longer among longer ones, and goes on from its beginning
            again = together.frames[clip, columns:]
            assert again.tolist() == [(columns + step) % LENGTHS[clip] for step in range(len(again))]
        else:
            assert (together.frames[clip, columns:] == -1).all()
        if alone.blend is not None and together.blend is not None:
            np.testing.assert_array_equal(alone.blend[0], together.blend[clip])


@pytest.mark.parametrize("frames", SIZES)
def test_uniform_takes_one_frame_of_each_segment(frames: int) -> None:
    training = pick_frames(Length("uniform", frames), LENGTHS, KEYS).frames
    testing = [pick_frames(Length("uniform", frames, 4), LENGTHS, None, offset).frames for offset in range(4)]
    for row, total in enumerate(LENGTHS.tolist()):
        for segment in range(frames):
            first, last = floor(Fraction(segment * total, frames)), ceil(Fraction((segment + 1) * total, frames)) - 1
            for picked in (training, *testing):
                assert first <= picked[row, segment] <= last


def test_uniform_in_testing_takes_the_middle_of_each_share() -> None:
    for count in (1, 2, 4):  # whose offsets are exact numbers
        for offset in range(count):
            picked = pick_frames(Length("uniform", 64, count), LENGTHS, None, offset).frames
            share = (offset + Fraction(1, 2)) / count
            for row, total in enumerate(LENGTHS.tolist()):
                expected = [floor((step + share) * total / 64) for step in range(64)]
                assert picked[row].tolist() == expected


def test_uniform_reaches_every_frame() -> None:
    keys = mix(np.arange(500), "epochs")
    picked = pick_frames(Length("uniform", 8), np.full(500, 30), keys).frames
    assert set(picked.ravel().tolist()) == set(range(30))
    offsets = [pick_frames(Length("uniform", 8, 4), np.array([32]), None, offset).frames for offset in range(4)]
    assert sorted(np.concatenate(offsets, axis=1)[0].tolist()) == list(range(32))
    exact = pick_frames(Length("uniform", 30), np.full(500, 30), keys).frames
    assert (exact == np.arange(30)).all()


def test_replay_plays_the_clip_again() -> None:
    for keys in (KEYS, None):
        picked = pick_frames(Length("replay", 300), LENGTHS, keys).frames
        for row, total in enumerate(LENGTHS.tolist()):
            looped = [*range(total)] * (300 // total + 1)
            assert picked[row].tolist() == looped[:300]


def test_fragment_is_a_run_of_frames() -> None:
    testing = pick_frames(Length("fragment", 50), LENGTHS, None).frames
    for row, total in enumerate(LENGTHS.tolist()):
        if total <= 50:
            assert testing[row].tolist() == [*range(total), *[-1] * (50 - total)]
        else:
            before, after = testing[row, 0], total - 1 - testing[row, -1]
            assert 0 <= after - before <= 1  # the middle

    keys = mix(np.arange(2000), "epochs")
    starts = pick_frames(Length("fragment", 50), np.full(2000, 57), keys).frames[:, 0]
    assert set(starts.tolist()) == set(range(8))  # also the very last one
    assert np.bincount(starts).min() > 2000 / 8 * 0.7
    short = pick_frames(Length("fragment", 50), np.full(2000, 20), keys).frames
    assert (short == np.r_[np.arange(20), np.full(30, -1)]).all()


def test_a_fragment_of_a_clip_that_was_filled_up_first() -> None:
    """ST-GCN on Kinetics: clips become 300 frames by replaying (text) or zeros (released), then 150 are cut out."""
    keys = mix(np.arange(500), "epochs")
    for replay in (True, False):
        length = Length("fragment", 150, test_frames=300, fill=300, replay=replay)
        clip = [t % 189 if replay else (t if t < 189 else -1) for t in range(300)]
        assert pick_frames(length, np.array([189]), None).frames.tolist() == [clip]
        found = pick_frames(length, np.full(500, 189), keys).frames
        windows = [clip[start : start + 150] for start in range(151)]
        starts = {windows.index(row) for row in found.tolist()}
        assert found.shape == (500, 150) and len(starts) > 130 and {0, 150} & starts


def test_a_fragment_in_training_and_all_frames_in_testing() -> None:
    length = Length("fragment", 3, test_frames=5)
    testing = pick_frames(length, np.array([4, 5, 9]), None).frames
    assert testing.tolist() == [[0, 1, 2, 3, -1], [0, 1, 2, 3, 4], [2, 3, 4, 5, 6]]
    assert pick_frames(length, np.array([4, 5, 9]), mix(np.arange(3), "a")).frames.shape == (3, 3)


@pytest.mark.parametrize("field", ["test_frames", "fill"])
def test_fields_of_fragments_belong_to_fragments(field: str) -> None:
    with pytest.raises(ValueError, match="belong to the rule 'fragment', got 'uniform'"):
        Length(**{field: True})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 0"):
        Length("fragment", **{field: -1})  # type: ignore[arg-type]


def test_all_takes_every_frame() -> None:
    for keys in (KEYS[:3], None):
        picked = pick_frames(Length("all"), np.array([2, 5, 1]), keys).frames
        assert picked.tolist() == [[0, 1, -1, -1, -1], [0, 1, 2, 3, 4], [0, -1, -1, -1, -1]]


def test_loop_is_as_long_as_the_longest_clip_of_the_batch() -> None:
    """KTH: the batch is padded by looping; longer ones than the cap give a run of their frames."""
    few = np.array([3, 7, 5])
    picked = pick_frames(Length("loop", 300), few, KEYS[:3]).frames
    assert picked.tolist() == [[0, 1, 2, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 0, 1]]
    lengths, keys = np.array([1890, 12, 50]), KEYS[:3]
    picked = pick_frames(Length("loop", 50), lengths, keys).frames
    assert picked.shape == (3, 50)
    start = picked[0, 0]
    assert 0 <= start <= 1840 and picked[0].tolist() == list(range(start, start + 50))
    assert picked[1].tolist() == [frame % 12 for frame in range(50)]
    assert picked[2].tolist() == list(range(50))
    starts = pick_frames(Length("loop", 50), np.full(400, 60), KEYS).frames[:, 0]
    assert set(starts.tolist()) == set(range(11))


def test_loop_in_testing_does_not_depend_on_the_batch() -> None:
    length = Length("loop", 50)
    together = pick_frames(length, LENGTHS, None).frames
    assert together.shape == (400, 50)
    for clip in (0, 10, 48, 49, 50, 399):
        np.testing.assert_array_equal(pick_frames(length, LENGTHS[clip : clip + 1], None).frames[0], together[clip])
    assert together[399].tolist() == list(range(175, 225))


# --- crop-resize ----------------------------------------------------------------------------------------------------


def loop_resize(total: int, start: float, cut: float, frames: int) -> list[tuple[int, int, float]]:
    """Centres of equal pieces of the interval, between the two nearest frames; nothing beyond the ends."""
    result = []
    for step in range(frames):
        centre = start + (step + 0.5) * cut / frames - 0.5
        centre = min(max(centre, 0.0), total - 1.0)
        earlier = floor(centre)
        result.append((earlier, min(earlier + 1, total - 1), centre - earlier))
    return result


def check_resize(pick: Any, row: int, expected: list[tuple[int, int, float]]) -> None:
    frames = len(expected)
    ours = pick.frames[row, :frames] + pick.blend[row]
    theirs = [earlier + weight for earlier, _, weight in expected]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(
        pick.frames[row, frames:], np.minimum(pick.frames[row, :frames] + 1, LENGTHS[row] - 1)
    )


@pytest.mark.parametrize("frames", SIZES)
def test_crop_resize_in_testing_takes_the_middle(frames: int) -> None:
    pick = pick_frames(Length("crop-resize", frames), LENGTHS, None)
    for row, total in enumerate(LENGTHS.tolist()):
        cut = max(0.95 * total, min(total, frames))
        check_resize(pick, row, loop_resize(total, (total - cut) / 2, cut, frames))


@pytest.mark.parametrize("frames", SIZES)
def test_crop_resize_in_training_cuts_a_random_interval(frames: int) -> None:
    pick = pick_frames(Length("crop-resize", frames, crop=(0.3, 0.8)), LENGTHS, KEYS)
    draws = uniform(KEYS, "crop", 2)
    for row, total in enumerate(LENGTHS.tolist()):
        cut = max((0.3 + 0.5 * draws[row, 0]) * total, min(total, frames))
        check_resize(pick, row, loop_resize(total, draws[row, 1] * (total - cut), cut, frames))


@pytest.mark.parametrize("frames", [1, 5, 16, 40])
@pytest.mark.parametrize("total", [1, 2, 9, 16, 33])
def test_the_whole_clip_resized_is_linear_interpolation(frames: int, total: int) -> None:
    random = torch.Generator().manual_seed(frames + total)
    clip = torch.randn(2, 3, total, 4, 2, generator=random, dtype=torch.float64)
    for keys in (None, KEYS[:2]):
        pick = pick_frames(Length("crop-resize", frames, crop=(1.0, 1.0)), np.full(2, total), keys)
        assert pick.blend is not None
        fetched = torch.stack([clip[n][:, pick.frames[n]] for n in range(2)])
        visible = torch.ones(2, 2 * frames, 4, 2, dtype=torch.bool)
        ours, seen, _ = blend(fetched, visible, None, torch.from_numpy(pick.blend))
        flat = clip.permute(0, 1, 3, 4, 2).reshape(2, -1, total)
        theirs = interpolate(flat, size=frames, mode="linear").view(2, 3, 4, 2, frames).permute(0, 1, 4, 2, 3)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        assert seen.all()


def test_blend_respects_the_masks() -> None:
    random = np.random.default_rng(0)
    clips, channels, frames, joints, people = 2, 3, 4, 3, 2
    visible = random.random((clips, 2 * frames, joints, people)) < 0.6
    positions = random.normal(size=(clips, channels, 2 * frames, joints, people)) * visible[:, None]
    confidence = random.random((clips, 2 * frames, joints, people)) * visible
    later = random.random((clips, frames))
    given = [torch.from_numpy(array) for array in (positions, visible, confidence, later)]
    ours, seen, sure = blend(given[0], given[1], given[2], given[3])
    assert sure is not None
    for n, t, v, m in np.ndindex(clips, frames, joints, people):
        first, second = visible[n, t, v, m], visible[n, frames + t, v, m]
        before, after = positions[n, :, t, v, m], positions[n, :, frames + t, v, m]
        low, high = confidence[n, t, v, m], confidence[n, frames + t, v, m]
        weight = later[n, t]
        if first and second:
            place, chance = (1 - weight) * before + weight * after, (1 - weight) * low + weight * high
        elif first:
            place, chance = before, low
        elif second:
            place, chance = after, high
        else:
            place, chance = np.zeros(channels), 0.0
        assert seen[n, t, v, m] == (first or second)
        np.testing.assert_allclose(ours[n, :, t, v, m], place, rtol=1e-10)
        assert sure[n, t, v, m].item() == pytest.approx(chance, rel=1e-10)


def test_training_depends_on_the_key_and_testing_on_nothing() -> None:
    other = mix(KEYS, 1)
    for rule in RULES:
        length = Length(rule, 32)
        first, again, changed = (pick_frames(length, LENGTHS, keys).frames for keys in (KEYS, KEYS.copy(), other))
        np.testing.assert_array_equal(first, again)
        assert np.array_equal(first, changed) == (rule in ("replay", "all"))


def test_arguments_are_left_as_they_were() -> None:
    lengths, keys = LENGTHS.copy(), KEYS.copy()
    for rule in RULES:
        pick_frames(Length(rule, 16), lengths, keys)
    np.testing.assert_array_equal(lengths, LENGTHS)
    np.testing.assert_array_equal(keys, KEYS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": 0}, "at least 1, got 0 and 1"),
        ({"test_clips": 0}, "at least 1, got 64 and 0"),
        ({"rule": "replay", "test_clips": 2}, "'replay' has one test clip, got test_clips 2"),
        ({"crop": (0.0, 1.0)}, r"0 < shortest <= longest <= 1, got \(0\.0, 1\.0\)"),
        ({"crop": (0.9, 0.5)}, "shortest <= longest"),
        ({"crop": (0.5, 1.5)}, "longest <= 1"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Length(**arguments)
