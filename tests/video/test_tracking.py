"""People keep their numbers: while they pass each other, are lost for a moment, come and go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from bonegraph.pose.assignment import assign
from bonegraph.pose.estimator import Person
from bonegraph.pose.tracking import Tracker, leading

from .films import stick


def person(x: float, y: float = 100, size: float = 40) -> Person:
    return Person(stick(x, y, size).astype(np.float32), np.ones(4, np.float32))


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_assignment_is_the_cheapest(rows: int, columns: int, seed: int) -> None:
    cost = np.random.default_rng(seed).integers(0, 9, (rows, columns)).astype(float)
    pairs = assign(cost)
    assert len(pairs) == min(rows, columns)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert sum(cost[pair] for pair in pairs) == cost[linear_sum_assignment(cost)].sum()


def test_people_who_pass_each_other_keep_their_numbers() -> None:
    tracker = Tracker(25)
    for frame in range(60):
        both = [person(20 + 4 * frame), person(260 - 4 * frame, 104)]  # they meet in frame 30
        if frame % 2:  # and are found in any order
            assert tracker.see(both[::-1]) == [1, 0]
        else:
            assert tracker.see(both) == [0, 1]
    assert len(tracker.tracks) == 2


@pytest.mark.parametrize("lost, tracks", [(10, 1), (25, 1), (60, 2)])
def test_a_short_gap_is_bridged_and_a_long_one_is_not(lost: int, tracks: int) -> None:
    tracker = Tracker(25, gap=1.1)
    for frame in range(100):
        tracker.see([] if 20 <= frame < 20 + lost else [person(100 + 0.5 * frame)])
    assert len(tracker.tracks) == tracks
    assert sum(len(track.frames) for track in tracker.tracks) == 100 - lost


def test_people_enter_and_leave() -> None:
    tracker = Tracker(25)
    for frame in range(90):
        there = [person(50)] if frame < 60 else []
        if frame >= 30:
            there.insert(0, person(300))
        tracker.see(there)
    assert [(track.frames[0], track.frames[-1]) for track in tracker.tracks] == [(0, 59), (30, 89)]
    assert leading(tracker.tracks, 2) == tracker.tracks


def test_those_who_are_there_most_are_kept_in_the_order_of_their_coming() -> None:
    tracker = Tracker(25)
    for frame in range(40):
        there = [person(100), person(300)] if frame > 5 else [person(100)]
        tracker.see([*there, person(600)] if frame < 4 else there)
    first, ghost, second = tracker.tracks
    assert leading(tracker.tracks, 2) == [first, second]
    assert leading(tracker.tracks, 1) == [first]
    assert len(ghost.frames) == 4


def test_a_leap_across_the_picture_is_somebody_else() -> None:
    tracker = Tracker(25)
    assert tracker.see([person(50)]) == [0]
    assert tracker.see([person(500)]) == [1]


def test_arguments() -> None:
    for arguments in ((0.0,), (25.0, -1.0), (25.0, 1.0, 0.0), (float("nan"),)):
        with pytest.raises(ValueError, match="out of range"):
            Tracker(*arguments)
