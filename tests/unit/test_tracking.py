"""People keep their numbers: while they pass each other, are lost for a moment, come and go; forever, if need be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bonegraph.tracking.assignment import assign
from bonegraph.tracking.places import places
from bonegraph.tracking.tracker import CROWD, NOBODY, Tracker

BODY = np.stack([np.arange(25.0) % 5 * 20, np.arange(25.0) // 5 * 40], axis=1)  # 80 wide, 160 high


@dataclass(frozen=True, eq=False)
class Stick:
    """Somebody in a frame."""

    joints: NDArray[np.float64]
    confidence: NDArray[np.float64]


def stick(x: float, y: float = 0.0, sure: float = 0.5, scale: float = 1.0) -> Stick:
    return Stick(scale * BODY + (x, y), np.full(25, sure))


def crowd(*where: float) -> list[Stick]:
    return [stick(x) for x in where]


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_assignment_is_the_cheapest(rows: int, columns: int, seed: int) -> None:
    cost = np.random.default_rng(seed).integers(0, 9, (rows, columns)).astype(float)
    pairs = assign(cost)
    assert len(pairs) == min(rows, columns)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert sum(cost[pair] for pair in pairs) == cost[linear_sum_assignment(cost)].sum()


def test_a_cost_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        assign(np.array([[np.inf]]))


# --- frame by frame -------------------------------------------------------------------------------------------------


def test_people_who_pass_each_other_keep_their_numbers() -> None:
    tracker = Tracker(25)
    for frame in range(60):
        both = [stick(20 + 8 * frame), stick(500 - 8 * frame, 8)]  # they meet in frame 30
        if frame % 2:  # they are found in any order
            assert tracker.see(both[::-1]) == [1, 0]
        else:
            assert tracker.see(both) == [0, 1]


def test_people_who_hide_each_other_in_passing_keep_their_numbers() -> None:
    tracker = Tracker(25)
    for frame in range(60):
        both = [stick(20 + 8 * frame), stick(500 - 8 * frame, 8)]
        seen = both[:1] if 26 <= frame < 34 else both  # the one in front
        assert tracker.see(seen) == [0, 1][: len(seen)]


def test_the_nearest_pair_is_not_torn_apart() -> None:
    """To match both, the sum of distances alone would take the first away from where they have hardly moved."""
    tracker = Tracker(25)
    tracker.see(crowd(0, 75))
    assert tracker.see(crowd(2, -80)) == [0, 2]


@pytest.mark.parametrize(("lost", "again"), [(1, 0), (10, 0), (24, 0), (60, 1)])
def test_a_short_gap_is_bridged_and_a_long_one_is_not(lost: int, again: int) -> None:
    tracker = Tracker(25)
    for frame in range(100):
        there = not 20 <= frame < 20 + lost
        expected = [0 if frame < 20 else again] if there else []
        assert tracker.see(crowd(100 + 0.5 * frame) if there else []) == expected


def test_a_leap_across_the_picture_is_somebody_else() -> None:
    tracker = Tracker(25)
    assert (tracker.see(crowd(50)), tracker.see(crowd(500)), tracker.see(crowd(52))) == ([0], [1], [0])


def test_somebody_found_upside_down_is_the_same() -> None:
    """Pose networks do this for a frame or two; seen on real videos."""
    tracker = Tracker(25)
    fallen = Stick(BODY[::-1] * (1, 0.8) + (0, 10), np.full(25, 0.5))
    for pose in [stick(0)] * 5 + [fallen] * 3 + [stick(0)] * 5 + [fallen] + [stick(0)]:
        assert tracker.see([pose]) == [0]


def test_at_a_low_rate_people_get_further() -> None:
    """Half a body size a frame is 12 of them a second at 25 fps, but a slow walk at 1."""
    slow, fast = Tracker(2), Tracker(25)
    assert [slow.see(crowd(x)) for x in (0, 150, 300)] == [[0], [0], [0]]
    assert [fast.see(crowd(x)) for x in (0, 150, 300)] == [[0], [1], [2]]


def test_joints_that_one_of_them_lacks_do_not_count() -> None:
    tracker, second = Tracker(25), stick(3)
    second.confidence[:20] = 0
    second.joints[:20] = 0
    assert tracker.see(crowd(0)) == tracker.see([second]) == [0]


def test_guessed_joints_do_not_count_where_others_are_sure() -> None:
    tracker, second = Tracker(25), stick(3)
    second.confidence[:20] = 0.1
    second.joints[:20] = 4000
    assert tracker.see(crowd(0)) == tracker.see([second]) == [0]


def test_who_shares_no_joint_is_known_by_the_centre() -> None:
    upper, lower = stick(0), stick(0)
    upper.confidence[13:] = 0
    lower.confidence[:12] = 0
    tracker = Tracker(25)
    assert tracker.see([upper]) == tracker.see([stick(0)]) == tracker.see([lower]) == [0]


def test_a_pose_without_joints_is_nobody() -> None:
    tracker = Tracker(25)
    assert tracker.see([stick(0, sure=0), stick(0)]) == [NOBODY, 0]
    assert tracker.see([]) == []


def test_a_single_joint_has_no_size() -> None:
    tracker = Tracker(25)
    point = stick(0)
    point.confidence[1:] = 0
    assert tracker.see([point]) == tracker.see([point]) == [0]


def test_who_is_gone_is_forgotten() -> None:
    """Somebody new every other frame, for ever: the tracker remembers those of the last second, and never a number."""
    tracker = Tracker(10)
    for frame in range(500):
        (number,) = tracker.see(crowd(1000.0 * (frame // 2 % 50)))
        assert number == frame // 2
        assert len(tracker.present) <= 6 and number in tracker.present
        assert tracker.present[0] >= number - 5
    for _ in range(10):
        tracker.see([])
    assert tracker.present == ()


def test_a_crowd_is_bounded() -> None:
    """Thousands of poses in each of many frames, always elsewhere: the surest are followed, few are remembered."""
    rng = np.random.default_rng(0)
    tracker = Tracker(25)
    for _ in range(10):
        sure = rng.permutation(np.linspace(0.01, 1, 1000))
        poses = [stick(rng.uniform(0, 1e6), rng.uniform(0, 1e6), one) for one in sure]
        numbers = np.array(tracker.see(poses))
        assert set(np.flatnonzero(numbers != NOBODY)) == set(np.argsort(-sure)[:CROWD])
        assert len(tracker.present) <= 2 * CROWD


def test_arguments() -> None:
    for arguments in ((0.0,), (25.0, -1.0), (25.0, 1.0, 0.0), (float("nan"),), (float("inf"),)):
        with pytest.raises(ValueError, match="out of range"):
            Tracker(*arguments)


# --- whole recordings -----------------------------------------------------------------------------------------------


def test_two_new_people_in_one_frame_are_two() -> None:
    assert places([crowd(0, 500)], 25, 5) == [[(0, 0)], [(0, 1)]]


def test_nobody() -> None:
    assert places([[], [stick(0, sure=0)]], 25, 5) == places([], 25, 5) == []


def test_closest_pairs_are_joined_first() -> None:
    """The pose in between goes to the nearer person, and the other one to the pose that is left."""
    assert places([crowd(0, 60), crowd(50, 20)], 25, 5) == [[(0, 0), (1, 1)], [(0, 1), (1, 0)]]


def test_someone_far_away_is_someone_else() -> None:
    assert places([crowd(0), crowd(400), crowd(2)], 25, 5) == [[(0, 0), (2, 0)], [(1, 0)]]


def test_a_missed_frame_changes_nothing() -> None:
    frames = [crowd(0, 300), crowd(301), crowd(302, 4)]
    assert places(frames, 25, 5) == [[(0, 1), (1, 0), (2, 0)], [(0, 0), (2, 1)]]


def test_the_surest_stay() -> None:
    frames = [[stick(0, sure=0.2), stick(300, sure=0.9), stick(600, sure=0.5)]] * 3
    assert places(frames, 25, 2) == [[(n, 1) for n in range(3)], [(n, 2) for n in range(3)]]


def test_who_walks_out_may_come_back_anywhere() -> None:
    for away, rows in ((25, 1), (24, 2)):  # frames without anyone; a second, or less
        frames = [*[crowd(0)] * 5, *[[]] * away, *[crowd(400)] * 5]
        assert len(places(frames, 25, 5)) == rows


def test_who_comes_back_much_larger_is_somebody_else() -> None:
    frames = [*[[stick(0)]] * 20, *[[]] * 50, *[[stick(0, scale=3)]] * 20]
    assert len(places(frames, 25, 5)) == 2


def test_who_comes_back_is_the_one_who_left_there() -> None:
    frames = [*[crowd(0, 900)] * 20, *[[]] * 50, *[crowd(850, 40)] * 20]
    assert places(frames, 25, 2) == [
        [*[(n, 0) for n in range(20)], *[(n, 1) for n in range(70, 90)]],
        [*[(n, 1) for n in range(20)], *[(n, 0) for n in range(70, 90)]],
    ]


def test_who_is_there_all_along_is_nobody_who_comes_back() -> None:
    frames = [*[crowd(0, 900)] * 20, *[crowd(0)] * 50, *[crowd(0, 500)] * 20]
    assert [len(found) for found in places(frames, 25, 5)] == [90, 40]


def test_a_track_that_broke_is_mended() -> None:
    """Two frames after a pose that turned into another one somebody stands where the first one was."""
    bent = Stick(BODY[:, ::-1] * (1.2, 0.4) + (-60, 70), np.full(25, 0.5))
    frames = [*[crowd(0)] * 20, [], [bent], [], *[crowd(45)] * 20]
    (found,) = places(frames, 25, 5)
    assert len(found) == 41


def test_who_is_found_twice_in_one_frame_is_one() -> None:
    frames = [*[crowd(0)] * 20, crowd(0, 85), *[crowd(85)] * 20]
    (found,) = places(frames, 25, 5)
    assert [frame for frame, _ in found] == list(range(41))


def test_a_fragment_beside_others_is_nobody() -> None:
    frames = [crowd(0, 900) if 50 <= n < 56 else crowd(0) for n in range(100)]
    assert [len(found) for found in places(frames, 25, 5)] == [100]
    assert [len(found) for found in places(frames[46:60], 25, 5)] == [14, 6]  # of a short clip it is a good part


def test_a_recording_of_strangers_takes_bounded_time() -> None:
    """A hostile file: 32 others in every frame, 1,920 tracks of a single pose."""
    rng = np.random.default_rng(0)
    frames = [[stick(*rng.uniform(0, 1e6, 2)) for _ in range(CROWD)] for _ in range(60)]
    kept = places(frames, 25, 3)
    assert len(kept) == 3
    for found in kept:
        numbers = [frame for frame, _ in found]
        assert numbers == sorted(set(numbers))
