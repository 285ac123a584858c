"""Who is found twice in a frame is one; two who stand close are two."""

from __future__ import annotations

import numpy as np
import pytest

from bonegraph.pose.estimator import Person
from bonegraph.pose.mediapipe_pose import without_doubles
from bonegraph.skeleton import SKELETONS

JOINTS = SKELETONS["mediapipe33"].joints
# Where in a body 100 high a joint is; left is at the right of the picture.
HEIGHTS = {"shoulder": 20, "elbow": 35, "wrist": 50, "hip": 50, "knee": 75, "ankle": 95}


def person(x: float, y: float = 0, sure: float = 0.9) -> Person:
    places = [
        (15.0 * name.startswith("left") - 15.0 * name.startswith("right"), HEIGHTS.get(name.split()[-1], 5))
        for name in JOINTS
    ]
    return Person((np.array(places) + np.array((x, y))).astype(np.float32), np.full(33, sure, np.float32))


def upside_down(one: Person, sure: float) -> Person:
    """About the middle of the trunk, 35 below the top."""
    return Person((one.joints * (1, -1) + (0, 70)).astype(np.float32), np.full(33, sure, np.float32))


@pytest.mark.parametrize("sure", [0.8, 0.95])
def test_the_surer_one_stays(sure: float) -> None:
    for other in (person(2, 3, sure), upside_down(person(0), sure)):
        (kept,) = without_doubles([person(0), other])
        assert kept.confidence[0] == np.float32(max(sure, 0.9))


def test_neighbours_are_two() -> None:
    assert len(without_doubles([person(0), person(30), person(60, sure=0.5)])) == 3


def test_no_one() -> None:
    assert without_doubles([]) == []
