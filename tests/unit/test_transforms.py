"""Each transform against loops over clips, frames, joints and people."""

from collections import deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bonegraph.models.stgcn import STGCN, Config
from bonegraph.plain import from_plain
from bonegraph.sample import Batch
from bonegraph.seeding import Keys, integers, mix, uniform
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms import augment, normalise
from bonegraph.transforms.pipeline import Augment, Transforms, apply
from bonegraph.transforms.streams import STREAMS, bones, motion, stream

BODY = SKELETONS["ntu25"]
SHAPE = (4, 3, 6, 25, 2)
THREE_D = [name for name in SKELETONS if "left shoulder" in SKELETONS[name].joints]


def keys(count: int, seed: int = 0) -> Keys:
    return mix(np.arange(count), seed)


def bodies(seed: int, *, share: float = 0.8, shape: tuple[int, ...] = SHAPE) -> tuple[Tensor, Tensor]:
    """Two people who come and go, with joints that are not found; hidden joints are 0, as in a batch."""
    random = np.random.default_rng(seed)
    clips, channels, frames, joints, people = shape
    visible = random.random((clips, frames, joints, people)) < share
    visible &= random.random((clips, frames, 1, people)) < share
    positions = random.normal(1.0, 2.0, (clips, channels, frames, joints, people)) * visible[:, None]
    return torch.from_numpy(positions), torch.from_numpy(visible)


def same(ours: Tensor, theirs: Any) -> None:
    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=1e-9, atol=1e-9)


# --- centre ---------------------------------------------------------------------------------------------------------


def reference_point(positions: Tensor, visible: Tensor, body: Skeleton, n: int, t: int) -> Any:
    """The origin joint of the first person who is there, or the mean of what is seen of that person."""
    for m in range(visible.shape[3]):
        seen = [v for v in range(body.num_joints) if visible[n, t, v, m]]
        if body.origin in seen:
            return positions[n, :, t, body.origin, m].numpy()
        if seen:
            return np.mean([positions[n, :, t, v, m].numpy() for v in seen], axis=0)
    return None


@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
@pytest.mark.parametrize("mode", ["frame", "first", "none"])
def test_centre(mode: Any, share: float) -> None:
    positions, visible = bodies(1, share=share)
    visible[3, :2] = False  # a clip that begins with nobody
    visible[2] = False  # and one that has nobody
    positions = positions * visible[:, None]
    expected = positions.clone()
    for n in range(len(positions)):
        points = [reference_point(positions, visible, BODY, n, t) for t in range(SHAPE[2])]
        first = next((point for point in points if point is not None), None)
        for t in range(SHAPE[2]):
            point = {"frame": points[t], "first": first, "none": None}[mode]
            for v, m in np.ndindex(25, 2):
                if point is not None and visible[n, t, v, m]:
                    expected[n, :, t, v, m] -= torch.from_numpy(point)
    same(normalise.centre(positions, visible, BODY, mode), expected)


def test_centre_moves_people_together() -> None:
    positions, visible = bodies(2, share=2)
    for mode in ("frame", "first"):
        centred = normalise.centre(positions, visible, BODY, mode)
        same(centred[..., 1] - centred[..., 0], positions[..., 1] - positions[..., 0])
    assert (normalise.centre(positions, visible, BODY, "frame")[:, :, :, BODY.origin, 0] == 0).all()
    assert (normalise.centre(positions, visible, BODY, "first")[:, :, 0, BODY.origin, 0] == 0).all()


# --- rotation to body axes ------------------------------------------------------------------------------------------


def axes_of(body: Skeleton) -> tuple[list[int], int, int, int]:
    """Low end of the spine, high end, left and right shoulder, by the words of the docstring."""
    low = [body.index("pelvis")] if "pelvis" in body.joints else [body.index("left hip"), body.index("right hip")]
    high = next(name for name in ("mid spine", "upper spine", "neck", "head", "nose") if name in body.joints)
    return low, body.index(high), body.index("left shoulder"), body.index("right shoulder")


@pytest.mark.parametrize("name", THREE_D)
def test_the_first_body_stands_along_z_with_its_shoulders_along_x(name: str) -> None:
    body = SKELETONS[name]
    positions, visible = bodies(3, share=2, shape=(5, 3, 4, body.num_joints, 2))
    turned = normalise.rotate_to_body(positions, visible, body)
    low, high, left, right = axes_of(body)
    for n in range(5):
        spine = turned[n, :, 0, high, 0] - turned[n, :, 0, low, 0].mean(dim=1)
        across = turned[n, :, 0, left, 0] - turned[n, :, 0, right, 0]
        same(spine[:2], torch.zeros(2, dtype=torch.float64))
        assert spine[2] > 0
        assert across[0] > 0
        assert abs(across[1]) < 1e-9  # along x once it is square to the spine


def turn_of(before: Tensor, after: Tensor) -> Tensor:
    """The matrix that takes the points of a clip to their new places."""
    first, second = before.flatten(1), after.flatten(1)
    result: Tensor = torch.linalg.lstsq(first.T, second.T).solution.T
    same(result @ first, second)
    return result


def test_rotation_to_the_body_keeps_lengths_and_hands() -> None:
    positions, visible = bodies(4, share=2)
    turned = normalise.rotate_to_body(positions, visible, BODY)
    for n in range(len(positions)):
        turn = turn_of(positions[n], turned[n])
        same(turn @ turn.T, torch.eye(3, dtype=torch.float64))
        assert torch.linalg.det(turn) > 0


def test_rotation_takes_the_first_body_that_shows_its_axes() -> None:
    positions, visible = bodies(5, share=2)
    low, high, left, right = axes_of(BODY)
    visible[0, 0, high, 0] = False  # person 1 in frame 0
    visible[1, 0] = False
    visible[1, 1, left, :] = False
    visible[1, 2, right, 0] = False  # person 1 in frame 2
    visible[2, :, low[0]] = False  # nobody at all
    positions = positions * visible[:, None]
    turned = normalise.rotate_to_body(positions, visible, BODY)
    for n, t, m in ((0, 0, 1), (1, 2, 1), (3, 0, 0)):
        spine = turned[n, :, t, high, m] - turned[n, :, t, low, m].mean(dim=1)
        across = turned[n, :, t, left, m] - turned[n, :, t, right, m]
        same(spine[:2], torch.zeros(2, dtype=torch.float64))
        assert abs(across[1]) < 1e-9
    same(turned[2], positions[2])
    assert (turned[~visible[:, None].expand_as(turned)] == 0).all()


@pytest.mark.parametrize("how", ["line", "point", "spine", "hidden"])
def test_a_body_without_axes_is_left_as_it_is(how: str) -> None:
    positions, visible = bodies(6, share=2)
    low, high, _, _ = axes_of(BODY)
    if how == "line":
        positions = torch.arange(25.0, dtype=torch.float64)[None, None, None, :, None].expand(SHAPE).clone()
    elif how == "point":
        positions = torch.ones(SHAPE, dtype=torch.float64)
    elif how == "spine":
        positions[:, :, :, high] = positions[:, :, :, low[0]]
    else:
        visible = torch.zeros_like(visible)
        positions = positions * 0
    same(normalise.rotate_to_body(positions, visible, BODY), positions)


def test_rotation_needs_three_coordinates_and_shoulders() -> None:
    positions, visible = bodies(7, shape=(1, 2, 3, 25, 1))
    with pytest.raises(ValueError, match="needs 3 coordinates, got 2"):
        normalise.rotate_to_body(positions, visible, BODY)
    plain = Skeleton("stick", ("top", "bottom"), (0, 0), (0, 1))
    positions, visible = bodies(7, shape=(1, 3, 3, 2, 1))
    with pytest.raises(ValueError, match="'stick' does not have; switch it off"):
        normalise.rotate_to_body(positions, visible, plain)


# --- size -----------------------------------------------------------------------------------------------------------


def path_between(body: Skeleton, start: int, end: int) -> list[tuple[int, int]]:
    """Bones on the way from one joint to another, by breadth-first search."""
    came: dict[int, int] = {start: start}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for bone in body.bones:
            for one, other in (bone, bone[::-1]):
                if one == here and other not in came:
                    came[other] = here
                    queue.append(other)
    way = []
    while end != start:
        way.append((end, came[end]))
        end = came[end]
    return way


@pytest.mark.parametrize("name", ["ntu25", "sbu15", "ucla20", "coco17", "openpose18"])
def test_body_height_is_the_way_from_head_to_foot(name: str) -> None:
    body = SKELETONS[name]
    top = body.index("head" if "head" in body.joints else "nose")
    feet = ("left foot", "left heel", "left ankle", "left knee", "left hip")
    foot = body.index(next(joint for joint in feet if joint in body.joints))
    positions, visible = bodies(8, share=0.6, shape=(6, 3, 7, body.num_joints, 2))
    way = [a if body.parents[a] == b else b for a, b in path_between(body, top, foot)]  # bones, by their far end
    visible[1, :, foot] = False
    visible[2] = False
    visible[3, :, foot] = visible[3, :, body.mirror[foot]] = False
    visible[4, :, way] = False  # nothing on the way,
    visible[4, :, [body.mirror[joint] for joint in way]] = False  # on neither side
    expected = []
    for n in range(6):
        m = 0 if visible[n, ..., 0].any() else 1

        def length(joint: int, n: int = n, m: int = m) -> float | None:
            """Mean length of a bone over the frames that show it, None where there is none."""
            parent = body.parents[joint]
            seen = [t for t in range(7) if visible[n, t, joint, m] and visible[n, t, parent, m] and joint != parent]
            found = [float((positions[n, :, t, joint, m] - positions[n, :, t, parent, m]).norm()) for t in seen]
            return sum(found) / len(found) if found else None

        on_way = []
        for joint in way:
            own = length(joint)
            on_way.append(length(body.mirror[joint]) if own is None else own)
        known = [x for x in on_way if x is not None] or [
            x for x in map(length, range(body.num_joints)) if x is not None
        ]
        typical = sum(known) / len(known) if known else 0.0
        expected.append(sum(typical if x is None else x for x in on_way) or 1.0)
    assert expected[2] == 1.0 and expected[4] != 1.0
    same(normalise.body_height(positions, visible, body), torch.tensor(expected, dtype=torch.float64))
    scaled = normalise.scale(positions, visible, body, "body-height")
    for n in range(6):
        same(scaled[n], positions[n] / expected[n])


def test_body_height_of_a_clip_whose_first_person_is_absent() -> None:
    """The first person is the first one present, as in centring; otherwise pixels would stay pixels."""
    positions, visible = bodies(9, share=2)
    alone = normalise.body_height(positions[..., 1:], visible[..., 1:], BODY)
    visible[..., 0] = False
    same(normalise.body_height(positions * visible[:, None], visible, BODY), alone)


def test_min_max() -> None:
    positions, visible = bodies(10)
    visible[2] = False
    positions[1, 2] = 5.0 * visible[1]  # one axis without extent
    ours = normalise.scale(positions, visible, BODY, "min-max")
    for n in range(4):
        for c in range(3):
            values = positions[n, c][visible[n]]
            for t, v, m in np.ndindex(6, 25, 2):
                expected = 0.0
                if visible[n, t, v, m] and values.max() > values.min():
                    share = (positions[n, c, t, v, m] - values.min()) / (values.max() - values.min())
                    expected = float(share) * 2 - 1
                assert ours[n, c, t, v, m].item() == pytest.approx(expected, abs=1e-9)


def test_image_scale() -> None:
    positions, visible = bodies(11)
    ours = normalise.scale(positions, visible, BODY, "image", (200.0, 100.0))
    hidden = ~visible
    same(ours[:, 0], ((positions[:, 0] - 100) / 100).masked_fill(hidden, 0))
    same(ours[:, 1], ((positions[:, 1] - 50) / 50).masked_fill(hidden, 0))
    same(ours[:, 2], positions[:, 2])
    corners = torch.tensor([[0.0, 200.0], [0.0, 100.0]])[None, :, None, :, None]
    ends = normalise.image_scale(corners, torch.ones(1, 1, 2, 1, dtype=torch.bool), (200.0, 100.0))
    assert ends.flatten().tolist() == [-1, 1, -1, 1]
    with pytest.raises(ValueError, match=r"set transforms\.image to \(width, height\)"):
        normalise.scale(positions, visible, BODY, "image")
    assert normalise.scale(positions, visible, BODY, "none") is positions


# --- augmentation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axis", "before", "after"),
    [(0, (0, 1, 0), (0, 0, 1)), (1, (0, 0, 1), (1, 0, 0)), (2, (1, 0, 0), (0, 1, 0))],
)
def test_a_quarter_turn_is_right_handed(axis: int, before: Any, after: Any) -> None:
    angles = torch.zeros(1, 3, dtype=torch.float64)
    angles[0, axis] = torch.pi / 2
    turn = augment.rotation_matrices(angles)[0]
    same(turn @ torch.tensor(before, dtype=torch.float64), torch.tensor(after, dtype=torch.float64))
    still = torch.eye(3, dtype=torch.float64)[axis]
    same(turn @ still, still)


def test_rotation_matrices_turn_about_x_then_y_then_z() -> None:
    angles = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, (20, 3)))
    turns = augment.rotation_matrices(angles)
    for angle, turn in zip(angles, turns, strict=True):
        alone = [augment.rotation_matrices((angle * unit)[None])[0] for unit in torch.eye(3, dtype=torch.float64)]
        same(turn, alone[2] @ alone[1] @ alone[0])
        same(turn @ turn.T, torch.eye(3, dtype=torch.float64))
        assert torch.linalg.det(turn) > 0


@pytest.mark.parametrize("degrees", [(20.0, 0.0, 0.0), (0.0, 30.0, 0.0), (0.0, 0.0, 90.0), (10.0, 20.0, 30.0)])
def test_random_rotation_stays_within_its_degrees(degrees: tuple[float, float, float]) -> None:
    points, _ = bodies(12, share=2, shape=(300, 3, 1, 4, 1))
    turned = augment.random_rotation(points, keys(300), degrees)
    drawn = (uniform(keys(300), "rotation", 3) * 2 - 1) * np.radians(degrees)
    for n in range(300):
        turn = augment.rotation_matrices(torch.from_numpy(drawn[n : n + 1]))[0]
        same(turned[n], torch.einsum("dc,ctvm->dtvm", turn, points[n]))
    for axis in range(3):
        if degrees[axis]:
            share = drawn[:, axis] / np.radians(degrees[axis])
            assert share.min() < -0.95
            assert share.max() > 0.95
        elif sum(map(bool, degrees)) == 1 and not degrees[axis]:
            assert (drawn[:, axis] == 0).all()


def test_random_rotation_of_a_plane() -> None:
    points, _ = bodies(13, share=2, shape=(50, 2, 1, 4, 1))
    turned = augment.random_rotation(points, keys(50), (0.0, 0.0, 45.0))
    angles = (uniform(keys(50), "rotation", 3)[:, 2] * 2 - 1) * np.pi / 4
    for n, angle in enumerate(angles):
        turn = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        same(turned[n], torch.einsum("dc,ctvm->dtvm", turn, points[n]))


@pytest.mark.parametrize("per_axis", [True, False])
def test_random_scale(per_axis: bool) -> None:
    points, _ = bodies(14, share=2, shape=(400, 3, 2, 2, 1))
    factors = (augment.random_scale(points, keys(400), 0.5, 1.5, per_axis) / points).flatten(2)
    same(factors, factors[..., :1].expand_as(factors))  # one factor for all of an axis
    each = factors[..., 0]
    assert ((each >= 0.5 - 1e-9) & (each < 1.5 + 1e-9)).all()
    assert each.min() < 0.52
    assert each.max() > 1.48
    assert bool((each[:, 0] - each[:, 1]).abs().max() < 1e-9) == (not per_axis)


def test_mirror() -> None:
    positions, visible = bodies(15)
    which = torch.tensor([True, False, True, False])
    moved, seen = augment.mirror(positions, visible, BODY, which)
    for n, v in np.ndindex(4, 25):
        source = BODY.mirror[v] if which[n] else v
        sign = torch.tensor([-1.0 if which[n] else 1.0, 1.0, 1.0])
        same(moved[n, :, :, v], positions[n, :, :, source] * sign[:, None, None])
        assert torch.equal(seen[n, :, v], visible[n, :, source])
    assert BODY.mirror[BODY.index("left wrist")] == BODY.index("right wrist")


def test_random_mirror_has_its_probability() -> None:
    x, visible = bodies(16, share=2, shape=(1000, 3, 1, 25, 1))
    numbers = torch.arange(1000)
    given = Batch(x, visible, numbers, numbers, torch.from_numpy(keys(1000).view(np.int64)))
    for probability in (0.0, 0.3, 1.0):
        transforms = Transforms(centre="none", augment=Augment(mirror=probability))
        moved = apply(transforms, given, BODY, training=True).positions
        share = float((moved != x).flatten(1).any(dim=1).double().mean())
        assert share == pytest.approx(probability, abs=0.05 if 0 < probability < 1 else 0)


def test_joint_dropout_hides_a_joint_of_a_person_for_the_whole_clip() -> None:
    _, visible = bodies(17, shape=(200, 3, 6, 25, 2))
    kept = augment.joint_dropout(visible, keys(200), 0.25)
    assert not (kept & ~visible).any()  # nothing appears
    shown = kept.any(dim=1)
    for n, v, m in np.ndindex(200, 25, 2):
        assert torch.equal(kept[n, :, v, m], visible[n, :, v, m] & shown[n, v, m])
    share = 1 - shown.sum() / visible.any(dim=1).sum()
    assert float(share) == pytest.approx(0.25, abs=0.02)
    assert torch.equal(augment.joint_dropout(visible, keys(200), 0.0), visible)
    assert not augment.joint_dropout(visible, keys(200), 1.0).any()


@pytest.mark.parametrize("key_frames", [2, 3, 5])
@pytest.mark.parametrize("frames", [1, 2, 6, 30])
def test_random_moving_is_an_affine_map_of_each_frame(key_frames: int, frames: int) -> None:
    positions, visible = bodies(18, shape=(4, 3, frames, 25, 2))
    ours = augment.random_moving(positions, visible, keys(4), key_frames)
    drawn = {
        name: np.asarray(values)[integers(keys(4), f"moving {name}", len(values), key_frames)]
        for name, values in (
            ("angle", augment.ANGLES),
            ("scale", augment.SCALES),
            ("x", augment.SHIFTS),
            ("y", augment.SHIFTS),
        )
    }
    places = np.linspace(0, frames - 1, key_frames)
    for n, t in np.ndindex(4, frames):
        angle, size, x, y = (
            np.interp(t, places, drawn[name][n]) if frames > 1 else drawn[name][n, 0]
            for name in ("angle", "scale", "x", "y")
        )
        angle = np.radians(angle)
        turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for v, m in np.ndindex(25, 2):
            expected = positions[n, :, t, v, m].numpy().copy()
            if visible[n, t, v, m]:
                expected[:2] = turn @ expected[:2] + (x, y)
            same(ours[n, :, t, v, m], expected)


def test_random_moving_draws_every_candidate() -> None:
    for name, values in (("angle", augment.ANGLES), ("scale", augment.SCALES), ("x", augment.SHIFTS)):
        assert set(integers(keys(200), f"moving {name}", len(values), 2).ravel().tolist()) == set(range(len(values)))


# --- streams --------------------------------------------------------------------------------------------------------


def test_bones_and_motion() -> None:
    positions, _ = bodies(19, share=2)
    ours = bones(positions, BODY)
    for v in range(25):
        same(ours[:, :, :, v], positions[:, :, :, v] - positions[:, :, :, BODY.parents[v]])
    moved = motion(positions)
    for t in range(5):
        same(moved[:, :, t], positions[:, :, t + 1] - positions[:, :, t])
    assert (moved[:, :, 5] == 0).all()


@pytest.mark.parametrize("name", STREAMS)
def test_streams_and_their_masks(name: Any) -> None:
    positions, visible = bodies(20)
    values, seen = stream(positions, visible, BODY, name)
    for n, t, v, m in np.ndindex(4, 6, 25, 2):
        ends = [(t, v)] + ([(t, BODY.parents[v])] if "bone" in name else [])

        def there(frame: int) -> bool:
            return all(bool(visible[n, frame, joint, m]) for _, joint in ends)  # noqa: B023

        moves = "motion" in name and t < 5 and there(t + 1)
        last = not any(there(frame) for frame in range(t + 1, 6))
        whole = there(t)
        if "motion" in name:
            whole = whole and (moves or last)  # the last frame that is seen keeps its place, with motion 0
        assert bool(seen[n, t, v, m]) == whole
        expected = torch.zeros(3, dtype=torch.float64)
        if whole:

            def at(frame: int) -> Tensor:
                here = positions[n, :, frame, v, m]  # noqa: B023
                return here - positions[n, :, frame, BODY.parents[v], m] if "bone" in name else here  # noqa: B023

            if "motion" not in name:
                expected = at(t)
            elif moves:
                expected = at(t + 1) - at(t)
        same(values[n, :, t, v, m], expected)


def test_an_unknown_stream_lists_the_choices() -> None:
    with pytest.raises(ValueError, match=r"stream cannot be 'bones'; did you mean 'bone'\? Choices: bone, bone-motion"):
        from_plain(Transforms, {"stream": "bones"})


# --- the pipeline ---------------------------------------------------------------------------------------------------


def batch(seed: int, *, confidence: bool = False) -> Batch:
    positions, visible = bodies(seed)
    count = len(positions)
    sure = torch.rand(visible.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * visible
    numbers = torch.arange(count)
    drawn = torch.from_numpy(keys(count, seed).view(np.int64))
    return Batch(positions, visible, numbers, numbers, drawn, sure if confidence else None)


def test_centre_on_people_is_the_middle_of_those_present() -> None:
    positions, visible = bodies(30, share=0.7)
    visible[0, 2, :, 1] = False
    visible[1, 3] = False
    for mode in ("frame", "first"):
        ours = normalise.centre(positions, visible, BODY, mode, "people")
        for n in range(len(positions)):
            points = []
            for t in range(positions.shape[2]):
                places = []
                for m in range(positions.shape[4]):
                    joints = [v for v in range(BODY.num_joints) if visible[n, t, v, m]]
                    joints = [BODY.origin] if BODY.origin in joints else joints
                    if joints:
                        places.append(torch.stack([positions[n, :, t, v, m] for v in joints]).mean(dim=0))
                points.append(torch.stack(places).mean(dim=0) if places else None)
            first = next(point for point in points if point is not None)
            for t, point in enumerate(points):
                moved = first if mode == "first" else point
                for v, m in np.ndindex(BODY.num_joints, positions.shape[4]):
                    expected = positions[n, :, t, v, m] - moved if visible[n, t, v, m] and moved is not None else 0
                    same(ours[n, :, t, v, m], torch.zeros(3, dtype=torch.float64) + expected)


def test_the_order_of_the_pipeline() -> None:
    """Centre, rotate, turn and stretch at random, mirror, hide, scale, stream."""
    change = Augment((5.0, 5.0, 30.0), (0.8, 1.2), 0.5, 0.1)
    transforms = Transforms("bone", "frame", True, "body-height", augment=change)
    given = batch(21)
    result = apply(transforms, given, BODY, training=True)
    drawn = given.keys.numpy().view(np.uint64)
    x, visible = given.positions, given.visible
    x = normalise.rotate_to_body(normalise.centre(x, visible, BODY, "frame"), visible, BODY)
    x = augment.random_scale(augment.random_rotation(x, drawn, change.rotation), drawn, 0.8, 1.2)
    x, visible = augment.mirror(x, visible, BODY, torch.from_numpy(uniform(drawn, "mirror") < 0.5))
    visible = augment.joint_dropout(visible, drawn, 0.1)
    x = normalise.scale(x * visible[:, None], visible, BODY, "body-height")
    x, visible = stream(x, visible, BODY, "bone")
    same(result.positions, x)
    assert torch.equal(result.visible, visible)


def test_the_confidence_becomes_a_channel() -> None:
    given = batch(22, confidence=True)
    result = apply(Transforms(confidence=True), given, BODY, training=False)
    assert result.positions.shape[1] == 4
    assert given.confidence is not None
    same(result.positions[:, 3], given.confidence * given.visible)
    plain = apply(Transforms(), given, BODY, training=False)
    same(result.positions[:, :3], plain.positions)
    with pytest.raises(ValueError, match=r"has no confidence; set transforms\.confidence to false"):
        apply(Transforms(confidence=True), batch(22), BODY, training=False)


def test_visibility_is_a_channel() -> None:
    """1 and 0, or the confidence where there is one (STF); in every stream and whoever is padded."""
    for confidence in (False, True):
        given = batch(22, confidence=confidence)
        result = apply(Transforms(visibility=True), given, BODY, training=False)
        expected = (
            given.visible.to(given.positions.dtype) if given.confidence is None else given.confidence * given.visible
        )
        same(result.positions[:, 3], expected)
        bones = apply(Transforms(visibility=True, stream="bone"), given, BODY, training=False)
        assert ((bones.positions[:, 3] != 0) <= bones.visible).all() and bones.positions[:, 3].any()
        padded = apply(Transforms(visibility=True, zero_padded=4, stream="bone"), given, BODY, training=False)
        there = min(4, expected.shape[3])
        same(padded.positions[:, 3, ..., :there], expected[..., :there])
        assert not padded.positions[:, 3, ..., there:].any() and padded.visible.all()
    hidden = apply(Transforms(visibility=True, augment=Augment(joint_dropout=0.5)), batch(22), BODY, training=True)
    same(hidden.positions[:, 3], hidden.visible.to(hidden.positions.dtype))
    with pytest.raises(ValueError, match="confidence and visibility are the same channel"):
        Transforms(visibility=True, confidence=True)


def test_mirroring_takes_the_confidence_along() -> None:
    given = batch(23, confidence=True)
    result = apply(Transforms(confidence=True, augment=Augment(mirror=1.0)), given, BODY, training=True)
    assert given.confidence is not None
    same(result.positions[:, 3], given.confidence[:, :, list(BODY.mirror)])
    assert torch.equal(result.visible, given.visible[:, :, list(BODY.mirror)])


def test_half_the_clips_mirrored_take_their_own_confidence_along() -> None:
    given = batch(24, confidence=True)
    which = uniform(given.keys.numpy().view(np.uint64), "mirror") < 0.5
    assert 0 < which.sum() < len(which)
    result = apply(Transforms(confidence=True, augment=Augment(mirror=0.5)), given, BODY, training=True)
    assert given.confidence is not None
    for n, mirrored in enumerate(which):
        order = list(BODY.mirror) if mirrored else list(range(25))
        same(result.positions[n, 3], given.confidence[n][:, order])


def test_the_middle_of_the_image_is_the_centre() -> None:
    given = batch(25, confidence=True)
    for size in ((640.0, 480.0), None):
        result = apply(Transforms(centre="image", image=size), given, BODY, training=False)
        width, height = size or (1.0, 1.0)
        middle = torch.tensor([width / 2, height / 2, 0.0], dtype=given.positions.dtype)
        expected = (given.positions - middle[None, :, None, None, None]) * given.visible[:, None]
        same(result.positions[:, :2], expected[:, :2])


def test_zero_padded_tells_the_network_nothing_about_who_is_seen() -> None:
    """The released code: always M people, zeros where nobody is, all of which count."""
    given = batch(26)
    for people in (1, 2, 5):
        result = apply(Transforms(zero_padded=people), given, BODY, training=False)
        plain = apply(Transforms(), given, BODY, training=False).positions
        assert result.positions.shape[4] == people and result.visible.shape[3] == people
        assert result.visible.all()
        there = min(people, plain.shape[4])
        same(result.positions[..., :there], plain[..., :there])
        assert not result.positions[..., there:].any()
    model = STGCN(Config(widths=(4,), strides=(1,)), BODY, 3).double().eval()
    result = apply(Transforms(zero_padded=5), given, BODY, training=False)
    torch.testing.assert_close(
        model(result.positions.double(), result.visible), model(result.positions.double(), None), rtol=0, atol=1e-13
    )
    with pytest.raises(ValueError, match="zero_padded must be at least 0, got -1"):
        Transforms(zero_padded=-1)


def test_image_needs_its_size() -> None:
    with pytest.raises(ValueError, match=r"set transforms\.image"):
        apply(Transforms(scale="image"), batch(0), BODY, training=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": (0.0, 1.0)}, r"0 < low <= high, got \(0\.0, 1\.0\)"),
        ({"scale": (1.2, 0.8)}, "low <= high"),
        ({"mirror": 1.5}, r"mirror must be a probability, got 1\.5"),
        ({"joint_dropout": -0.5}, r"joint_dropout must be a probability, got -0\.5"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augment(**arguments)
