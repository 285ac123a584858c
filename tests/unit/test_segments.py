"""Segments against brute force, and what "unknown" means in them."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from bonegraph.inference.segments import UNKNOWN, path, segments
from bonegraph.inference.windows import Window, per_frame

CLASSES = ("wave", "sit", "run")


def runs_of(states: tuple[int, ...]) -> list[tuple[int, int, int]]:
    edges = [0, *(t for t in range(1, len(states)) if states[t] != states[t - 1]), len(states)]
    return [(a, b, states[a]) for a, b in pairwise(edges)]


def worth(scores: np.ndarray, runs: list[tuple[int, int, int]], switch: float) -> float:
    return sum(float(scores[a:b, s].sum()) for a, b, s in runs) - switch * (len(runs) - 1)


@pytest.mark.parametrize("least", [1, 2, 3])
@pytest.mark.parametrize("frames, states", [(7, 2), (6, 3)])
def test_the_best_path_of_all(frames: int, states: int, least: int) -> None:
    random = np.random.default_rng(frames + states + least)
    for switch in (0.0, 0.7, 2.0):
        for _ in range(10):
            scores = random.standard_normal((frames, states))
            every = (runs_of(one) for one in product(range(states), repeat=frames))
            allowed = [runs for runs in every if all(b - a >= least for a, b, _ in runs)]
            best = max(worth(scores, runs, switch) for runs in allowed)
            found = path(scores, least, switch)
            assert worth(scores, found, switch) == pytest.approx(best)
            assert [run[0] for run in found] == [0, *(run[1] for run in found[:-1])] and found[-1][1] == frames
            assert all(b - a >= least for a, b, _ in found)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_fewer_frames_than_a_run_needs_are_one(frames: int) -> None:
    scores = np.array([[0.0, 1.0], [0.0, -3.0], [0.0, 1.0]])[:frames]
    assert path(scores, 3, 0.1) == [(0, frames, int(scores.sum(axis=0).argmax()))]


def windowed(frames: np.ndarray, length: int = 8, stride: int = 2) -> tuple[list[Window], np.ndarray]:
    """Windows whose answer is the mean over their frames."""
    windows = [Window((0,), start, start + length) for start in range(0, len(frames) - length + 1, stride)]
    return windows, np.array([frames[one.start : one.stop].mean(axis=0) for one in windows])


def blocks(*states: tuple[int, list[float]]) -> np.ndarray:
    return np.concatenate([np.tile(p, (count, 1)) for count, p in states])


def test_actions_between_unknown_times() -> None:
    sure, other, flat = [0.9, 0.05, 0.05], [0.05, 0.05, 0.9], [0.35, 0.33, 0.32]
    frames = blocks((20, flat), (12, sure), (20, flat), (12, other))
    windows, answers = windowed(frames)
    found = segments(windows, answers, per_frame(windows, answers, len(frames)), CLASSES, 0.8, least=4)
    assert [segment.action for segment in found] == [UNKNOWN, "wave", UNKNOWN, "run"]
    assert [segment.likeliest for segment in found] == ["wave", "wave", "wave", "run"]
    for segment, edge in zip(found, (0, 20, 32, 52), strict=True):
        assert abs(segment.start - edge) <= 4
    assert found[1].peak == pytest.approx(0.9) and 0.6 < found[1].probability < 0.9
    never = segments(windows, answers, per_frame(windows, answers, len(frames)), CLASSES, None, least=4)
    assert [segment.action for segment in never] == ["wave", "run"]


def test_the_threshold_is_that_of_a_window() -> None:
    """Of one window alone the answer is unknown exactly where it is below the threshold."""
    window, answers = [Window((0,), 0, 5)], np.array([[0.6, 0.3, 0.1]])
    frames = per_frame(window, answers, 5)
    for threshold, action in ((0.0, "wave"), (0.59, "wave"), (0.6, "wave"), (0.61, UNKNOWN), (1.0, UNKNOWN)):
        (found,) = segments(window, answers, frames, CLASSES, threshold, least=3)
        assert (found.start, found.stop, found.action, found.likeliest) == (0, 5, action, "wave")
        assert found.probability == pytest.approx(0.6)


def test_time_without_windows_has_no_segment() -> None:
    windows = [Window((0,), 2, 6), Window((0,), 20, 26)]
    answers = np.array([[0.9, 0.1, 0.0], [0.9, 0.1, 0.0]])
    found = segments(windows, answers, per_frame(windows, answers, 30), CLASSES, None, least=3)
    assert [(segment.start, segment.stop, segment.action) for segment in found] == [(2, 6, "wave"), (20, 26, "wave")]
    assert segments([], np.zeros((0, 3)), per_frame([], np.zeros((0, 3)), 9), CLASSES, 0.5, least=3) == []


def test_certain_numbers_are_no_trouble() -> None:
    windows, answers = windowed(blocks((12, [1.0, 0.0, 0.0]), (12, [0.0, 1.0, 0.0])))
    found = segments(windows, answers, per_frame(windows, answers, 24), CLASSES, 1.0, least=3)
    assert [segment.action for segment in found] == ["wave", "sit"]
