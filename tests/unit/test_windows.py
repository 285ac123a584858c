"""How recordings are brought to a frame rate and cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bonegraph.inference.rate import at_rate
from bonegraph.inference.windows import Cutting, Window, clip_of, cut, cutting_for, looked_at, per_frame, spans
from bonegraph.models.checkpoint import Meaning
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

BODY = SKELETONS["sbu15"]
MEANING = Meaning(BODY, ("a", "b"), Transforms(), Length("uniform", 40), 0, 20.0, "m")
TWO_SECONDS = Cutting(2.0, 0.5)  # at 10 frames a second 20 frames, a new window every 5


def recording(present: np.ndarray, fps: float = 10.0) -> Sequence:
    """(T, M) who is seen when; every joint is where its frame number says."""
    frames, people = present.shape
    positions = np.broadcast_to(np.arange(frames)[:, None, None, None], (frames, people, BODY.num_joints, 3))
    return Sequence(positions.astype(np.float32), present, BODY, fps, "m")


def seen(frames: int, people: int = 1) -> np.ndarray:
    return np.ones((frames, people), np.bool_)


@pytest.mark.parametrize("frames", [1, 3, 30])
def test_a_short_recording_is_one_window(frames: int) -> None:
    sequence = recording(seen(frames, 2))
    (window,) = cut(sequence, (0, 1), TWO_SECONDS)
    assert window == Window((0, 1), 0, frames)
    assert clip_of(sequence, window) is sequence


@pytest.mark.parametrize("frames", [31, 35, 60, 200])
def test_windows_of_a_long_one(frames: int) -> None:
    windows = cut(recording(seen(frames)), (0,), TWO_SECONDS)
    assert {window.num_frames for window in windows} == {20}
    starts = [window.start for window in windows]
    assert starts[0] == 0 and windows[-1].stop == frames
    assert all(0 < step <= 5 for step in np.diff(starts))


def test_somebody_who_leaves_and_comes_back() -> None:
    present = seen(200, 2)
    present[60:130, 0] = False  # gone
    present[150:158, 0] = False  # hidden for less than half a window
    present[:, 1] = False
    present[100:102, 1] = True  # hardly seen
    present[160:175, 1] = True
    sequence = recording(present)
    first = cut(sequence, (0,), TWO_SECONDS)
    assert {(w.start < 60, w.stop <= 60) for w in first} == {(True, True), (False, False)}
    assert min(w.start for w in first if w.start >= 60) == 130 and first[-1].stop == 200
    assert cut(sequence, (1,), TWO_SECONDS) == [Window((1,), 160, 175)]
    together = cut(sequence, (0, 1), TWO_SECONDS)
    assert not any(w.start < 110 and w.stop > 95 for w in together)  # two frames are nobody


def test_nobody() -> None:
    assert cut(recording(~seen(100)), (0,), TWO_SECONDS) == []


def test_five_people_of_whom_two_are_taken() -> None:
    present = np.zeros((100, 5), np.bool_)
    present[:50, 4] = present[:60, 1] = present[50:, 0] = present[70:, 3] = True
    sequence = recording(present)
    early = clip_of(sequence, Window((0, 1, 2, 3, 4), 0, 20), most=2)
    assert early.num_people == 2 and early.present.all()
    late = clip_of(sequence, Window((0, 1, 2, 3, 4), 60, 80), most=2)
    np.testing.assert_array_equal(late.present.sum(axis=0), [20, 10])
    assert clip_of(sequence, Window((0, 1, 2, 3, 4), 60, 80)).num_people == 2  # the others are not there
    assert clip_of(sequence, Window((3,), 60, 80)).num_people == 1


def test_whom_to_look_at() -> None:
    present = seen(10, 3)
    present[:, 1] = False
    sequence = recording(present)
    assert looked_at(MEANING, sequence) == [(0, 1, 2)]
    assert looked_at(replace(MEANING, clip_people=1), sequence) == [(0,), (2,)]
    assert looked_at(replace(MEANING, people=1), sequence) == [(0,), (2,)]
    assert looked_at(replace(MEANING, clip_people=1), sequence, each=False) == [(0, 1, 2)]
    assert looked_at(replace(MEANING, clip_people=2), sequence, each=True) == [(0,), (2,)]


@pytest.mark.parametrize(
    "meaning, window",
    [
        (replace(MEANING, clip_seconds=4.0), 4.0),
        (MEANING, 3.0),
        (replace(MEANING, length=Length("all")), 3.0),
        (replace(MEANING, length=Length("replay", 300)), 10.0),
        (replace(MEANING, length=Length("fragment", 80)), 4.0),
        (replace(MEANING, length=Length("loop", 8)), 1.0),
    ],
)
def test_how_long_a_window_is(meaning: Meaning, window: float) -> None:
    assert cutting_for(meaning) == Cutting(window, window / 4)
    assert cutting_for(meaning, window=8.0) == Cutting(8.0, 2.0)
    assert cutting_for(meaning, stride=0.1) == Cutting(window, 0.1)


@pytest.mark.parametrize(
    "window, stride", [(0, 1), (1, 0), (-1, 1), (float("nan"), 1), (1, float("inf")), (1, 2), (1e300, 1)]
)
def test_nonsense(window: float, stride: float) -> None:
    with pytest.raises(ValueError, match="window"):
        Cutting(window, stride)


def test_frames_are_the_weighted_mean_of_their_windows() -> None:
    windows = [Window((0,), 0, 4), Window((0,), 2, 7), Window((0,), 9, 10)]
    answers = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    found = per_frame(windows, answers, 12)
    weights = {0: [1, 2, 2, 1], 1: [1, 2, 3, 2, 1], 2: [1]}
    for frame in range(12):
        total, mean = 0.0, np.zeros(2)
        for number, window in enumerate(windows):
            if window.start <= frame < window.stop:
                weight = weights[number][frame - window.start]
                total, mean = total + weight, mean + weight * answers[number]
        if total:
            np.testing.assert_allclose(found[frame], mean / total, rtol=1e-6)
        else:
            assert np.isnan(found[frame]).all()


def test_spans() -> None:
    frames = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1], np.bool_)
    assert spans(frames, 0) == [(1, 3), (5, 6), (9, 10)]
    assert spans(frames, 2) == [(1, 6), (9, 10)]
    assert spans(frames, 3) == [(1, 10)]
    assert spans(frames & False, 3) == []


def test_another_rate_by_time() -> None:
    sequence = recording(seen(61), fps=30.0)
    fewer = at_rate(sequence, 12.0)
    assert (fewer.fps, fewer.num_frames) == (12.0, 24)
    np.testing.assert_allclose(fewer.positions[:, 0, 0, 0], np.arange(24) * 2.5, rtol=1e-6)
    more = at_rate(sequence, 60.0)
    assert more.num_frames == 122
    np.testing.assert_allclose(more.positions[:, 0, 0, 0], np.minimum(np.arange(122) / 2, 60), rtol=1e-6)
    assert at_rate(sequence, 29.97) is sequence
    assert at_rate(recording(seen(1), fps=60.0), 10.0).num_frames == 1
    with pytest.raises(ValueError, match="tell its true rate"):
        at_rate(recording(seen(9), fps=0.001), 30.0)


def test_what_is_not_seen_is_not_blended() -> None:
    present = seen(4)
    present[2:] = False
    confidence = np.ones((4, 1, BODY.num_joints), np.float32)
    confidence[1, 0, 3] = 0
    sequence = replace(recording(present, fps=10.0), confidence=confidence)
    sequence.positions[2:] = 1e6  # the places of absent people have no meaning
    sequence.positions[1, 0, 3] = -1e6
    found = at_rate(sequence, 30.0)
    np.testing.assert_array_equal(found.present[:, 0], np.arange(12) / 3 < 1.5)
    there = found.positions[found.visible]
    assert np.abs(there).max() <= 1
    assert found.visible[1, 0, 3] and not found.visible[2, 0, 3]  # a third of the way, two thirds of it
