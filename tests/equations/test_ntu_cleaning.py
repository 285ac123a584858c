"""The ways in which bodies of NTU RGB+D become people, against loops and against cases made for each rule.

The loops go frame by frame and joint by joint in float64, as the released preparations are described; the library works
on whole arrays. Who is chosen must be the same, where they end up within 1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.read.ntu import CLEANING, Cleaning, NtuRecording, released_array
from bonegraph.read.ntu.cleaning import FLAT, MID_SPINE, PAUSE, SHORT, STEP, best
from bonegraph.read.ntu.released import released_ctrgcn, released_msg3d, released_stgcn
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

Array = NDArray[np.float64]
PELVIS, LEFT, RIGHT = (SKELETONS["ntu25"].index(name) for name in ("pelvis", "left shoulder", "right shoulder"))
LOW, HIGH = 15, 21


def recording(frames: Iterable[Iterable[tuple[int, Any]]]) -> NtuRecording:
    """A file of these frames; each is a list of (id, joints)."""
    rows = [(number, body, joints) for number, frame in enumerate(frames) for body, joints in frame]
    count = len(list(frames))
    numbers, ids, joints = zip(*rows, strict=True) if rows else ((), (), ())
    positions = np.array(joints, dtype=np.float64).reshape(-1, 25, 3)
    return NtuRecording("made.skeleton", count, np.array(ids, np.int64), np.array(numbers, np.int64), positions)


def upright(seed: int = 0, at: tuple[float, float, float] = (0.0, 0.0, 3.0), width: float = 0.5) -> Array:
    """A body 1.6 m high, of this width, whose mid spine is at a place."""
    random = np.random.default_rng(seed)
    joints = random.uniform(-1, 1, (25, 3)) * (width / 2, 0.8, 0.2)
    joints[LOW], joints[HIGH] = (-width / 2, -0.8, 0), (width / 2, 0.8, 0)  # corners of what holds it
    joints[MID_SPINE], joints[PELVIS] = (0, 0, 0), (0.03, -0.3, 0.02)
    return joints + at


def walk(body: Array, frames: int, step: tuple[float, float, float] = (0.01, 0.0, 0.0)) -> list[Array]:
    return [body + np.array(step) * frame for frame in range(frames)]


def size_of(joints: Any) -> Any:
    """A length that no rotation changes."""
    return np.linalg.norm(joints[..., LOW, :] - joints[..., HIGH, :], axis=-1)


def alone(joints: list[Array], body: int = 7) -> list[list[tuple[int, Array]]]:
    return [[(body, frame)] for frame in joints]


def random_recording(seed: int) -> NtuRecording:
    """A crowd: up to five bodies that come, go, change places and lie down, with empty frames here and there."""
    random = np.random.default_rng(seed)
    count = int(random.integers(30, 120))
    frames: list[list[tuple[int, Array]]] = [[] for _ in range(count)]
    for body in range(int(random.integers(1, 6))):
        start = int(random.integers(0, count // 2)) if random.random() < 0.7 else 0
        end = int(random.integers(start + 1, count + 1)) if random.random() < 0.7 else count
        shape = upright(seed * 10 + body, (body - 1.5, 0.1 * body, 3 + 0.2 * body), random.uniform(0.4, 1.2))
        wide = random.uniform(1, 3) if random.random() < 0.4 else 1.0  # wider than high now and then
        gap = random.random() < 0.5
        for frame in range(start, end):
            if gap and random.random() < 0.2:
                continue
            joints = shape + random.normal(0, 0.02 * (body + 1), 3) + random.normal(0, 0.01, (25, 3))
            if random.random() < 0.5:
                middle = joints[MID_SPINE].copy()
                joints = middle + (joints - middle) * (wide, 1 / wide, 1)
            frames[frame].append((72057594037927936 + body, joints.round(6)))
    for t, bodies in enumerate(frames):
        order = random.permutation(len(bodies))
        frames[t] = [bodies[place] for place in order] if random.random() > 0.05 else []
    if not any(frames):
        frames[0].append((1, upright(seed)))
    return recording(frames)


def bodies_of(given: NtuRecording) -> list[list[tuple[int, Array]]]:
    """The frames that were given to `recording`."""
    frames: list[list[tuple[int, Array]]] = [[] for _ in range(given.num_frames)]
    for frame, body, joints in zip(given.frames.tolist(), given.ids.tolist(), given.positions, strict=True):
        frames[frame].append((body, joints))
    return frames


def filled(sequence: Sequence) -> Array:
    """(300, 2, 25, 3): absent frames and people are zeros."""
    array = np.zeros((300, 2, 25, 3))
    for frame in range(sequence.num_frames):
        for person in range(sequence.num_people):
            if sequence.present[frame, person]:
                array[frame, person] = sequence.positions[frame, person]
    return array


def close(ours: Any, loops: Any) -> None:
    np.testing.assert_allclose(ours, loops, rtol=0, atol=1e-5)


seeds = pytest.mark.parametrize("seed", range(12))

# --- ST-GCN -----------------------------------------------------------------------------------------------------------


def loop_stgcn(given: NtuRecording) -> Array:
    array = np.zeros((3, 300, 25, 2))
    for t, frame in enumerate(bodies_of(given)):
        for m, (_, joints) in enumerate(frame):
            if m < 2:
                for v in range(25):
                    for c in range(3):
                        array[c, t, v, m] = joints[v, c]
    return array


@seeds
def test_stgcn(seed: int) -> None:
    given = random_recording(seed)
    close(released_array(given, "released-stgcn"), loop_stgcn(given))


def test_stgcn_goes_by_place_and_mixes_people_up() -> None:
    a, b, c = (upright(seed, (seed, 0, 3)) for seed in range(3))
    sequence = released_stgcn(recording([[(1, a), (2, b), (3, c)], [(2, b), (1, a)], [], [(2, b)]]))
    assert sequence.present.tolist() == [[True, True], [True, True], [False, False], [True, False]]
    for frame, people in enumerate([(a, b), (b, a), (), (b,)]):
        for person, joints in enumerate(people):
            close(sequence.positions[frame, person], joints)


# --- 2s-AGCN, MS-G3D, DualHead-Net ------------------------------------------------------------------------------------


def is_zero(joints: Any) -> bool:
    return all(value == 0 for joint in joints for value in joint)


def loop_energy(person: Array) -> float:
    """Standard deviation over the frames that are not zero, of x, of y and of z, summed."""
    total = 0.0
    for c in range(3):
        values = [person[t, v, c] for t in range(len(person)) if not is_zero(person[t]) for v in range(25)]
        if values:
            mean = math.fsum(values) / len(values)
            total += math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return total


def loop_turn(bone: Array, axis: Array) -> Array:
    """The smallest rotation that takes a bone to an axis, by quaternion."""
    bone = bone / math.sqrt(sum(value**2 for value in bone))
    angle = math.acos(max(-1.0, min(1.0, float(bone @ axis))))
    x, y, z = np.cross(bone, axis) / np.linalg.norm(np.cross(bone, axis)) * math.sin(angle / 2)
    w = math.cos(angle / 2)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def loop_msg3d(given: NtuRecording) -> Any:
    slots = np.zeros((4, given.num_frames, 25, 3))
    for t, frame in enumerate(bodies_of(given)):
        for m, (_, joints) in enumerate(frame):
            if m < 4:
                slots[m, t] = joints
    order = sorted(range(4), key=lambda m: loop_energy(slots[m]), reverse=True)
    people = np.zeros((2, 300, 25, 3))
    for m in range(2):
        people[m, : given.num_frames] = slots[order[m]]
        person = people[m]
        if is_zero(person.reshape(-1, 3)):
            continue
        if is_zero(person[0]):  # the frames that are there, together
            there = [person[t].copy() for t in range(300) if not is_zero(person[t])]
            person[:] = 0
            for t, joints in enumerate(there):
                person[t] = joints
        last = max(t for t in range(300) if not is_zero(person[t]))
        for t in range(last + 1, 300):
            person[t] = person[t - last - 1]
    main = people[0, :, 1].copy()
    for m in range(2):
        for t in range(300):
            for v in range(25):
                if any(people[m, t, v]):
                    people[m, t, v] -= main[t]
    for low, high, axis in ((0, 1, [0.0, 0.0, 1.0]), (4, 8, [1.0, 0.0, 0.0])):
        matrix = loop_turn(people[0, 0, high] - people[0, 0, low], np.array(axis))
        for m in range(2):
            for t in range(300):
                for v in range(25):
                    people[m, t, v] = matrix @ people[m, t, v]
    return people.transpose(3, 1, 2, 0)


@pytest.mark.parametrize("seed", range(6))
def test_msg3d(seed: int) -> None:
    given = random_recording(seed)
    ours = released_array(given, "released-msg3d")
    close(ours, loop_msg3d(given))
    np.testing.assert_array_equal(ours, filled(released_msg3d(given)).transpose(3, 0, 2, 1).astype(np.float32))


def test_msg3d_keeps_the_two_of_most_energy() -> None:
    """Energy is counted where somebody is: being away does not add to it. The fifth place is not looked at."""
    people = [upright(m, (m, 0, 3)) for m in range(5)]
    spread = [1.0, 3.0, 2.0, 0.5, 9.0]
    frames = [[(m, people[m][MID_SPINE] + (people[m] - people[m][MID_SPINE]) * spread[m]) for m in range(5)]] * 6
    frames += [[(0, people[0])]] * 6  # the others are away
    sequence = released_msg3d(recording(frames))
    close(size_of(sequence.positions[0]), [3 * size_of(people[1]), 2 * size_of(people[2])])
    assert sequence.present.tolist() == [[True, True]] * 300


def test_msg3d_replays_after_the_last_frame_and_moves_late_comers_to_the_start() -> None:
    a = [upright(0) * (1 + frame / 20) for frame in range(10)]  # more energy than b
    b = [upright(1, (1, 0, 3)) * (1 + frame / 100) for frame in range(10)]
    there_a, there_b = [0, 1, 4, 5, 6], [2, 3, 5, 6]
    frames = [
        [(0, a[t]) if t in there_a else (9, np.zeros((25, 3))), *([(1, b[t])] if t in there_b else [])]
        for t in range(10)
    ]
    sequence = released_msg3d(recording(frames))
    # Person 1 is there in frame 0: its gap stays, and the frames 0 to 6 are played again.
    assert sequence.present[:, 0].tolist() == [t % 7 in there_a for t in range(300)]
    assert sequence.present[:, 1].all()
    whose = [[a[t % 7] for t in range(300)], [b[there_b[t % 4]] for t in range(300)]]
    for person in range(2):
        expected = size_of(np.array(whose[person])) * sequence.present[:, person]
        close(size_of(sequence.positions[:, person]), expected)


def test_msg3d_centres_each_frame_and_leaves_holes_alone() -> None:
    a, b = walk(upright(0), 4, (0.5, 0.3, 0.1)), walk(upright(1, (2, 0, 3), 0.3), 4)
    a[1][6] = 0  # one joint was not seen
    sequence = released_msg3d(recording([[(0, a[t]) if t != 2 else (5, 0 * a[t]), (1, b[t])] for t in range(4)]))
    assert sequence.present[:8, 0].tolist() == [True, True, False, True, True, True, False, True]
    assert not sequence.positions[sequence.present[:, 0], 0, MID_SPINE].any()  # no travel is left
    assert not sequence.positions[1, 0, 6].any()
    assert sequence.positions[0, 0, 6].any()
    # Where person 1 is away, person 2 is where the camera saw it, at 3 m; else beside person 1.
    distance = np.linalg.norm(sequence.positions[:4, 1, MID_SPINE], axis=-1)
    beside = [np.linalg.norm(b[t][MID_SPINE] - a[t][MID_SPINE]) for t in range(4)]
    close(distance, [beside[0], beside[1], np.linalg.norm(b[2][MID_SPINE]), beside[3]])


def test_msg3d_turns_the_spine_to_z_and_then_the_shoulders_to_x() -> None:
    given = random_recording(3)
    array = released_array(given, "released-msg3d").astype(np.float64)
    shoulders = array[:, 0, RIGHT, 0] - array[:, 0, LEFT, 0]
    close(shoulders, [np.linalg.norm(shoulders), 0, 0])
    body = upright(5)
    body[PELVIS] = body[MID_SPINE] - (0, 0.3, 0)
    body[RIGHT] = body[LEFT] + (0.24, 0, 0.32)  # square to the spine, so that both can be had
    turned = released_array(recording([[(1, body)]]), "released-msg3d")
    close(turned[:, 0, MID_SPINE, 0] - turned[:, 0, PELVIS, 0], [0, 0, 0.3])
    close(turned[:, 0, RIGHT, 0] - turned[:, 0, LEFT, 0], [0.4, 0, 0])


@pytest.mark.parametrize("direction", [1.0, -1.0, 0.0])
def test_msg3d_leaves_bones_along_an_axis_alone(direction: float) -> None:
    """Also those that point the wrong way, or are none: no rotation is defined for them, and none is made."""
    body = upright(2)
    body[PELVIS] = body[MID_SPINE] - (0, 0, 0.3 * direction)
    body[RIGHT] = body[LEFT] + (0.4 * direction, 0, 0)
    array = released_array(recording([[(0, body)]]), "released-msg3d")
    close(array[:, 0, :, 0].T, body - body[MID_SPINE])


# --- CTR-GCN ----------------------------------------------------------------------------------------------------------


def loop_variance(frames: list[Array]) -> float:
    """Variance of x, of y and of z over all joints and frames, summed."""
    total = 0.0
    for c in range(3):
        values = [float(np.float32(joint[c])) for joints in frames for joint in joints]
        mean = math.fsum(values) / len(values)
        total += math.fsum((value - mean) ** 2 for value in values) / len(values)
    return total


def loop_valid(joints: Array) -> bool:
    x, y = [joint[0] for joint in joints], [joint[1] for joint in joints]
    return bool(max(x) - min(x) <= 0.8 * (max(y) - min(y)))


def loop_ctrgcn(given: NtuRecording, copy: bool = False) -> Array:
    """(300, 150)."""
    frames = [frame for frame in bodies_of(given) if frame]
    tracks: dict[int, list[Array]] = {}
    start: dict[int, int] = {}
    for t, frame in enumerate(frames):
        for body, joints in frame:
            start.setdefault(body, t)
            tracks.setdefault(body, []).append(joints)
    motion = {body: loop_variance(track) for body, track in tracks.items()}
    if several := len(tracks) > 1:
        for body in list(tracks):
            if len(tracks[body]) <= 11:
                del tracks[body]
        for body in list(tracks):
            if len(tracks) == 1:
                break
            valid = [joints for joints in tracks[body] if loop_valid(joints)]
            if (len(tracks[body]) - len(valid)) / len(tracks[body]) >= 0.69754:
                del tracks[body]
            elif valid:
                motion[body] = min(motion[body], loop_variance(valid))
    order = sorted(tracks, key=lambda body: motion[body], reverse=True)
    array = np.zeros((len(frames), 150))
    ends = {body: start[body] + len(tracks[body]) - 1 for body in order}

    def put(body: int, person: int) -> None:
        for number, joints in enumerate(tracks[body]):
            array[start[body] + number, person * 75 : person * 75 + 75] = joints.reshape(-1)

    put(order[0], 0)
    first, last = [start[order[0]], 0], [ends[order[0]], 0]
    for body in order[1:]:
        for person in range(2):
            if min(last[person], ends[body]) - max(first[person], start[body]) <= 0:
                put(body, person)
                first[person] = min(first[person], start[body])
                last[person] = max(last[person], ends[body])
                break
    if several:
        array = np.array([row for row in array if any(row)])
    origin = next(row[3:6].copy() for row in array if any(row[:75]))
    for row in array:
        for person in range(2):
            joints = row[person * 75 : person * 75 + 75].reshape(25, 3)
            if joints.any():
                joints -= origin
    if copy and len(tracks) == 1:
        array[:, 75:] = array[:, :75]
    return np.concatenate([array, np.zeros((300 - len(array), 150))])


@pytest.mark.parametrize("copy", [False, True])
@seeds
def test_ctrgcn(seed: int, copy: bool) -> None:
    given = random_recording(seed)
    if not any((given.ids == body).sum() > 11 for body in given.ids):
        with pytest.raises(ValueError, match="none in more than 11 frames"):
            released_array(given, "released-ctrgcn", copy)
        return
    ours = released_array(given, "released-ctrgcn", copy)
    close(ours, loop_ctrgcn(given, copy))
    np.testing.assert_array_equal(ours, filled(released_ctrgcn(given, copy)).reshape(300, 150).astype(np.float32))


def test_the_random_recordings_meet_every_rule() -> None:
    """So that the loops above have something to disagree about."""
    met = {"ghost": 0, "one": 0, "two": 0, "short": 0, "gap": 0, "crowd": 0, "late": 0}
    for seed in range(6):
        given = random_recording(seed)
        counts = [int((given.ids == body).sum()) for body in np.unique(given.ids)]
        spans = [int(np.ptp(given.frames[given.ids == body])) + 1 for body in np.unique(given.ids)]
        people = int(released_ctrgcn(given).present.any(axis=0).sum())
        met["ghost"] += len(counts) > people
        met["one"] += people == 1
        met["two"] += people == 2
        met["short"] += min(counts) <= 11 and len(counts) > 1
        met["gap"] += counts != spans
        met["crowd"] += int(given.slots.max()) > 2
        met["late"] += not released_stgcn(given).present[0].any()
    assert min(met.values()) >= 1, met


def chosen_by_ctrgcn(*tracks: tuple[int, list[Array]]) -> list[list[float]]:
    """For tracks (start, joints), the x of the mid spine of both persons in every frame in which they are.

    It counts from the first frame of actor 1.
    """
    length = max(start + len(joints) for start, joints in tracks)
    frames = [
        [(body, joints[t - start]) for body, (start, joints) in enumerate(tracks) if 0 <= t - start < len(joints)]
        for t in range(length)
    ]
    sequence = released_ctrgcn(recording(frames))
    return [sequence.positions[column, m, MID_SPINE, 0].tolist() for m, column in enumerate(sequence.present.T)]


def scaled(size: float, place: float, frames: int, width: float = 0.5) -> list[Array]:
    """A body that stands still; the larger, the more "motion", since its joints vary more."""
    body = upright(1, (0, 0, 0), width) * size
    return [body + np.array([place, 0, 3])] * frames


@pytest.mark.parametrize(("frames", "people"), [(11, 1), (12, 2)])
def test_ctrgcn_drops_bodies_of_up_to_11_frames(frames: int, people: int) -> None:
    for given in (
        [(0, scaled(1, 0, 30)), (3, scaled(2, 2, frames))],
        [(3, scaled(2, 2, frames)), (0, scaled(1, 0, 30))],
    ):
        columns = chosen_by_ctrgcn(*given)
        assert sum(bool(column) for column in columns) == people
    assert len(chosen_by_ctrgcn((0, scaled(1, 0, 3)))[0]) == 3  # a body that is alone stays


@pytest.mark.parametrize(("wide", "frames", "kept"), [(30, 43, False), (83, 119, True), (43, 43, False), (0, 43, True)])
def test_ctrgcn_drops_bodies_that_are_wide_too_often(wide: int, frames: int, kept: bool) -> None:
    """30 / 43 = 0.69767 is too often, 83 / 119 = 0.69748 is not."""
    ghost = [*scaled(2, 2, wide, width=1.6 * 0.801), *scaled(2, 2, frames - wide, width=1.6 * 0.799)]
    columns = chosen_by_ctrgcn((0, scaled(1, 0, frames)), (0, ghost))
    assert [len(column) for column in columns] == [frames, frames if kept else 0]


def test_ctrgcn_never_drops_the_last_body() -> None:
    lying = scaled(1, 0, 20, width=3)
    assert [len(column) for column in chosen_by_ctrgcn((0, lying))] == [20, 0]
    columns = chosen_by_ctrgcn((0, lying), (0, scaled(2, 3, 20, width=3)))  # the later one of two ghosts
    assert [len(column) for column in columns] == [20, 0]
    assert len(chosen_by_ctrgcn((0, lying), (2, scaled(2, 3, 11)))[0]) == 20  # the other was too short


def test_ctrgcn_puts_the_body_of_most_motion_first() -> None:
    columns = chosen_by_ctrgcn((0, scaled(1, 0, 20)), (0, scaled(1.2, 5, 20)))
    assert columns == [pytest.approx([0] * 20, abs=1e-5), pytest.approx([-5] * 20, abs=1e-5)]
    # Frames that are too wide do not count as motion, unless they lessen it.
    some_wide = [*scaled(1.2, 5, 10, width=4), *scaled(0.5, 5, 10)]
    columns = chosen_by_ctrgcn((0, scaled(1, 0, 20)), (0, some_wide))
    assert columns == [pytest.approx([0] * 20, abs=1e-5), pytest.approx([5] * 20, abs=1e-5)]


def test_ctrgcn_appends_by_interval() -> None:
    """Main: frames 0 to 19. Sharing one frame is no overlap (and the later body takes it), sharing two is."""
    main = scaled(3, 0, 20)
    assert [len(column) for column in chosen_by_ctrgcn((0, main), (20, scaled(2, 1, 20)))] == [40, 0]
    columns = chosen_by_ctrgcn((0, main), (19, scaled(2, 1, 20)))
    assert columns == [pytest.approx([0] * 19 + [1] * 20, abs=1e-5), []]
    assert [len(column) for column in chosen_by_ctrgcn((0, main), (18, scaled(2, 1, 20)))] == [20, 20]
    # A third one that overlaps with both is dropped, one that overlaps with neither goes to the first.
    three = chosen_by_ctrgcn((0, main), (0, scaled(2, 1, 20)), (5, scaled(1, 2, 15)))
    assert three == [pytest.approx([0] * 20, abs=1e-5), pytest.approx([1] * 20, abs=1e-5)]
    three = chosen_by_ctrgcn((0, main), (0, scaled(2, 1, 20)), (20, scaled(1, 2, 15)))
    assert three == [pytest.approx([0] * 20 + [2] * 15, abs=1e-5), pytest.approx([1] * 20, abs=1e-5)]
    # The time of actor 2 counts from frame 0, so that nobody fits in before the first body that it got.
    main, second, early = scaled(3, 0, 60), scaled(2, 1, 20), scaled(1, 2, 15)
    assert [len(column) for column in chosen_by_ctrgcn((0, main), (40, second), (5, early))] == [60, 20]
    assert [len(column) for column in chosen_by_ctrgcn((0, main), (5, early), (40, scaled(0.5, 1, 20)))] == [60, 35]


def test_ctrgcn_moves_the_frames_of_a_body_together() -> None:
    a, b = walk(upright(0, (0, 0, 3)), 30, (0.1, 0, 0)), scaled(0.5, 9, 30)
    frames = [[(2, b[t]), *([(1, a[t])] if t % 2 else [])] if t != 4 else [] for t in range(30)]
    sequence = released_ctrgcn(recording(frames))
    assert sequence.num_frames == 29  # the empty frame is gone
    first = np.flatnonzero(sequence.present[:, 0])
    assert first.tolist() == [*range(1, 16)]  # seen in every other frame, told as 15 in a row
    close(sequence.positions[first, 0, MID_SPINE, 0], [0.2 * step for step in range(15)])


def test_ctrgcn_centres_on_the_first_frame_and_keeps_travel() -> None:
    a, b = walk(upright(0), 20, (0.1, 0, 0.05)), scaled(0.3, 1, 14)
    sequence = released_ctrgcn(
        recording([[(2, b[t])] if t < 4 else [(1, a[t - 4]), *([(2, b[t])] if t < 14 else [])] for t in range(24)])
    )
    assert sequence.present[:, 0].tolist() == [False] * 4 + [True] * 20
    origin = a[0][MID_SPINE]  # where actor 1 is first seen
    close(sequence.positions[4:, 0], [joints - origin for joints in a])
    close(sequence.positions[:14, 1], [joints - origin for joints in b])


def test_ctrgcn_copies_the_only_body_where_asked() -> None:
    one = recording(alone(walk(upright(0), 15)))
    assert released_ctrgcn(one).present.any(axis=0).tolist() == [True, False]
    assert not released_array(one, "released-ctrgcn")[:, 75:].any()
    copied = released_array(one, "released-ctrgcn", copy_one_body=True)
    assert copied[:15].all(axis=0).any()
    np.testing.assert_array_equal(copied[:, :75], copied[:, 75:])
    # Also where one is left, but not where there are two.
    ghost = recording(
        [
            [(1, joints), *([(2, upright(3, (1, 0, 3)))] if t < 5 else [])]
            for t, joints in enumerate(walk(upright(0), 15))
        ]
    )
    np.testing.assert_array_equal(released_array(ghost, "released-ctrgcn", True), copied)
    two = recording([[(1, upright(0)), (2, upright(1))]] * 15)
    np.testing.assert_array_equal(released_array(two, "released-ctrgcn", True), released_array(two, "released-ctrgcn"))


def test_ctrgcn_takes_a_single_body_of_zeros_for_a_place() -> None:
    """Of several bodies, frames in which all are zero are dropped; a single one is moved like all others."""
    zero, body = np.zeros((25, 3)), upright(0)
    sequence = released_ctrgcn(recording(alone([zero, body, zero])))
    close(sequence.positions[:, 0], [-body[MID_SPINE] + zero, body - body[MID_SPINE], -body[MID_SPINE] + zero])
    frames = [[(1, body), (2, upright(1))]] * 12 + [[(1, zero)]] * 3 + [[(1, body)]]
    assert released_ctrgcn(recording(frames)).num_frames == 13


# --- what the released code fails on ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cleaning", get_args(Cleaning)[1:])
def test_longer_recordings_are_refused(cleaning: Any) -> None:
    body = upright(0)
    assert CLEANING[cleaning](recording([[(1, body)]] * 300)).num_frames == 300
    with pytest.raises(
        ValueError, match=r"'made.skeleton' has 301 frames, more than 300, on which the released code fa"
    ):
        CLEANING[cleaning](recording([[(1, body)]] * 301))
    assert best(recording([[(1, body)]] * 301)).num_frames == 301


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([[], []], "has nobody in any of its frames"),
        ([[(1, np.zeros((25, 3)))]] * 3, "has nobody in any of its frames"),
        ([[(1, np.zeros((25, 3))), (2, np.zeros((25, 3)))]] * 13, "has nobody in any of its frames"),
        ([[(1, upright(0)), (2, upright(1))]] * 11, "has several bodies, but none in more than 11 frames"),
        ([[(1, upright(0)), (1, upright(1))]] * 3, "has an id twice in a frame"),
    ],
)
def test_ctrgcn_fails_in_words(frames: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"'made.skeleton' {message}, on which the released code fails; take"):
        released_ctrgcn(recording(frames))


@pytest.mark.parametrize("cleaning", ["best", "released-stgcn", "released-msg3d"])
@pytest.mark.parametrize("frames", [[[]], [[], []], [[(1, np.zeros((25, 3)))]]])
def test_nobody_is_absent(cleaning: Any, frames: Any) -> None:
    sequence = CLEANING[cleaning](recording(frames))
    assert not sequence.present.any()
    assert sequence.num_people >= 1


# --- ours -------------------------------------------------------------------------------------------------------------


def test_best_follows_ids_and_keeps_time_and_place() -> None:
    """Places swap, the ids differ in the last of 17 digits, and one of two is away for a while."""
    a, b = walk(upright(0), 40, (0.02, 0, 0)), walk(upright(1, (1, 0, 3)), 40, (0, 0.001, 0))
    one, two = 72057594037931101, 72057594037931102
    frames = []
    for t in range(40):
        frame = [(one, a[t]), *([(two, b[t])] if not 10 <= t < 15 else [])]
        frames.append(frame[:: (-1) ** t] if t not in (0, 20) else [])
    sequence = best(recording(frames))
    assert sequence.num_frames == 40
    empty = [t in (0, 20) for t in range(40)]
    assert sequence.present[:, 0].tolist() == [not none for none in empty]
    assert sequence.present[:, 1].tolist() == [not (none or 10 <= t < 15) for t, none in enumerate(empty)]
    for t in range(40):
        for person, track in enumerate((a, b)):  # a moves more
            if sequence.present[t, person]:
                np.testing.assert_array_equal(sequence.positions[t, person], track[t].astype(np.float32))
    assert (sequence.skeleton.name, sequence.fps, sequence.unit) == ("ntu25", 30.0, "m")


def people(*tracks: tuple[int, list[Array]], most: int = 2, first_id: int = 1) -> list[list[int]]:
    """For tracks (start, joints) under ids of their own: the frames of each person that `best` finds."""
    length = max(start + len(joints) for start, joints in tracks)
    frames = [
        [
            (first_id + body, joints[t - start])
            for body, (start, joints) in enumerate(tracks)
            if 0 <= t - start < len(joints)
        ]
        for t in range(length)
    ]
    sequence = best(recording(frames), most)
    assert sequence.num_frames == length
    return [np.flatnonzero(column).tolist() for column in sequence.present.T]


def still(frames: int, x: float = 0.0, width: float = 0.5, height: float = 1.6) -> list[Array]:
    body = upright(4, (0, 0, 0), width) * (1, height / 1.6, 1)
    return [body + np.array([x, 0, 3])] * frames


def test_best_drops_what_is_short_beside_others() -> None:
    assert people((0, still(30)), (5, still(SHORT, 2))) == [[*range(30)]]
    assert people((0, walk(upright(0), 30)), (5, still(SHORT + 1, 2))) == [[*range(30)], [*range(5, 17)]]
    assert people((0, still(5))) == [[*range(5)]]
    assert len(people((0, still(5)), (0, still(4, 2)))) == 2  # nobody would be left


def test_best_drops_ghosts_beside_others() -> None:
    lying, table = still(30, 2, width=1.6 * 0.81), still(30, 2, width=0.1, height=0.9 * FLAT)
    narrow, low = still(30, 2, width=1.6 * 0.79), still(30, 2, width=0.1, height=1.1 * FLAT)
    for ghost, body in ((lying, narrow), (table, low)):
        assert len(people((0, still(30)), (0, ghost))) == 1
        assert len(people((0, still(30)), (0, body))) == 2
        assert people((0, ghost)) == [[*range(30)]]  # one who lies down alone is a person
        assert len(people((0, ghost), (0, ghost))) == 2  # nobody would be left
    mostly = [lying[0]] * 30 + [narrow[0]] * 13  # 30 / 43 = 0.69767
    assert len(people((0, still(43)), (0, mostly))) == 1
    assert len(people((0, still(43)), (0, [*mostly[1:], narrow[0]]))) == 2


def test_best_joins_a_second_id_that_continues_the_first() -> None:
    first = still(20)
    assert people((0, first), (20, still(10))) == [[*range(30)]]  # short, but the same person
    assert people((0, first), (19 + PAUSE, still(20))) == [[*range(20), *range(19 + PAUSE, 39 + PAUSE)]]
    assert len(people((0, first), (20 + PAUSE, still(20)))) == 2  # too long a pause
    assert people((0, first), (20, still(20, 0.9 * STEP))) == [[*range(40)]]
    assert len(people((0, first), (20, still(20, 1.1 * STEP)))) == 2  # too far away
    assert len(people((0, first), (19, still(20)))) == 2  # both at once
    # Of two who were lost, in frames 19 and 18 at 0 and 0.4 m, the nearer one comes back.
    lost = (0, still(20)), (0, still(19, 0.4))
    for place, last in ((0.19, 19), (0.21, 18)):
        found = people(*lost, (22, still(20, place)))
        assert sorted(column[-1] for column in found) == sorted([41, 37 - last])
        assert [*range(last + 1), *range(22, 42)] in found
    # A person may be lost more than once, and ids may go up or down.
    thrice = ((0, first), (25, still(20)), (50, still(5)))
    frames = [*range(20), *range(25, 45), *range(50, 55)]
    assert people(*thrice) == [frames]


def test_best_joins_no_ghost_to_a_person() -> None:
    assert people((0, still(20)), (20, still(20, width=2))) == [[*range(20)]]


def test_best_puts_those_who_move_most_first() -> None:
    slow, fast = walk(upright(0), 30, (0.01, 0, 0)), walk(upright(1, (2, 0, 3)), 30, (0, 0, 0.03))
    for order in ((slow, fast), (fast, slow)):
        frames = [[(body, joints[t]) for body, joints in enumerate(order)] for t in range(30)]
        sequence = best(recording(frames))
        np.testing.assert_array_equal(sequence.positions[:, 0], np.array(fast, np.float32))
        np.testing.assert_array_equal(sequence.positions[:, 1], np.array(slow, np.float32))
    # A large body that stands still does not move; a short burst is less than a long walk.
    burst = walk(upright(2, (4, 0, 3)), 12, (0.03, 0, 0))
    large = [joints * 3 for joints in still(29, 2)]
    assert people((0, large), (3, burst), (0, slow), most=3) == [[*range(30)], [*range(3, 15)], [*range(29)]]


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_best_keeps_as_many_as_are_asked_for(most: int) -> None:
    crowd = [(0, walk(upright(body, (body * 2, 0, 3)), 20, (0.01 * (4 - body), 0, 0))) for body in range(4)]
    assert people(*crowd, most=most) == [[*range(20)]] * min(most, 4)


def test_best_needs_room_for_someone() -> None:
    with pytest.raises(ValueError, match="people must be at least 1, got 0"):
        best(recording([[(1, upright(0))]]), 0)


def test_best_tells_two_bodies_of_one_id_apart() -> None:
    a, b = upright(0), upright(1, (2, 0, 3))
    sequence = best(recording([[(1, a), (1, b)] if t % 2 else [(1, a)] for t in range(30)]))
    always = int(np.argmax(sequence.present.sum(axis=0)))
    assert sequence.present[:, always].all()
    np.testing.assert_array_equal(sequence.positions[:, always], np.array([a] * 30, np.float32))
    np.testing.assert_array_equal(np.flatnonzero(sequence.present[:, 1 - always]), np.arange(1, 30, 2))
    np.testing.assert_array_equal(sequence.positions[1::2, 1 - always], np.array([b] * 15, np.float32))


def test_best_is_the_same_whatever_the_order_in_the_frames() -> None:
    for seed in range(12):
        given = random_recording(seed)
        turned = best(recording([frame[::-1] for frame in bodies_of(given)]))
        expected = best(given)
        np.testing.assert_array_equal(turned.present, expected.present)
        np.testing.assert_array_equal(turned.positions, expected.positions)
        assert expected.num_frames == given.num_frames
        # Nothing is invented: every body of the result is one of the file.
        for t, person in zip(*np.nonzero(expected.present), strict=True):
            assert any(
                np.array_equal(expected.positions[t, person], np.float32(joints)) for _, joints in bodies_of(given)[t]
            )
