"""What holds for every skeleton, and for every recording moved from one skeleton to another."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton, conversion

from .strategies import sequences, skeletons

built_in = pytest.mark.parametrize("body", SKELETONS.values(), ids=list(SKELETONS))
some_built_in = st.sampled_from(list(SKELETONS.values()))


def other_side(joint: str) -> str:
    side, _, part = joint.partition(" ")
    return {"left": f"right {part}", "right": f"left {part}"}.get(side, joint)


def relabel(body: Skeleton, order: list[int]) -> Skeleton:
    """The same body with its joints in another order: new joint p is old joint order[p]."""
    new = {old: place for place, old in enumerate(order)}
    return Skeleton(
        body.name,
        tuple(body.joints[old] for old in order),
        tuple(new[body.parents[old]] for old in order),
        tuple(new[body.mirror[old]] for old in order),
        new[body.centre],
        new[body.origin],
        tuple((new[a], new[b]) for a, b in body.edges),
    )


@given(skeletons())
def test_plain_data_gives_the_same_skeleton_back(body: Skeleton) -> None:
    assert Skeleton.from_dict(body.to_dict()) == body
    assert Skeleton.from_dict(json.loads(json.dumps(body.to_dict()))) == body


@given(skeletons())
def test_bones_are_a_tree(body: Skeleton) -> None:
    assert len(body.bones) == body.num_joints - 1
    root = ({*range(body.num_joints)} - {child for child, _ in body.bones}).pop()
    parent = dict(body.bones)
    for joint in range(body.num_joints):
        steps = 0
        while joint != root:
            joint, steps = parent[joint], steps + 1
            assert steps < body.num_joints


@given(skeletons(max_joints=7), st.data())
def test_bones_sum_back_to_joints(body: Skeleton, data: st.DataObject) -> None:
    recording = data.draw(sequences(body))
    positions = recording.positions.astype(np.float64)
    bones = {child: positions[:, :, child] - positions[:, :, parent] for child, parent in body.bones}
    for joint in range(body.num_joints):
        total, here = np.zeros_like(positions[:, :, 0]), joint
        while here in bones:
            total, here = total + bones[here], body.parents[here]
        np.testing.assert_allclose(total + positions[:, :, here], positions[:, :, joint], atol=1e-9)


@given(skeletons())
def test_mirror_twice_is_identity(body: Skeleton) -> None:
    assert [body.mirror[body.mirror[joint]] for joint in range(body.num_joints)] == [*range(body.num_joints)]


@built_in
def test_mirror_pairs_left_with_right(body: Skeleton) -> None:
    for joint, partner in enumerate(body.mirror):
        assert body.joints[partner] == other_side(body.joints[joint])
        midline = body.joints[joint].split()[0] not in ("left", "right")
        assert (partner == joint) is midline


@built_in
def test_bodies_are_symmetric(body: Skeleton) -> None:
    """The mirror image of a bone is a bone, of an edge an edge."""
    bones = set(body.bones)
    edges = {frozenset(edge) for edge in body.edges}
    assert {(body.mirror[child], body.mirror[parent]) for child, parent in bones} == bones
    assert {frozenset((body.mirror[a], body.mirror[b])) for a, b in body.edges} == edges
    assert body.mirror[body.centre] == body.centre
    assert body.mirror[body.origin] == body.origin


@given(skeletons() | some_built_in)
def test_conversion_to_itself_is_the_identity(body: Skeleton) -> None:
    how = conversion(body, body)
    np.testing.assert_array_equal(how.weights, np.eye(body.num_joints, dtype=np.float32))
    assert how.missing == ()
    assert how.derived == {}


@given(skeletons() | some_built_in, skeletons() | some_built_in)
def test_conversion_rows_sum_to_one_or_zero(source: Skeleton, target: Skeleton) -> None:
    how = conversion(source, target)
    assert how.weights.shape == (target.num_joints, source.num_joints)
    assert (how.weights >= 0).all()
    given_joints = [joint not in how.missing for joint in target.joints]
    np.testing.assert_allclose(how.weights.sum(axis=1), np.array(given_joints, float), rtol=1e-6)
    for joint, parts in how.derived.items():
        row = how.weights[target.index(joint)]
        assert {source.joints[part] for part in np.flatnonzero(row)} == set(parts)


@built_in
def test_conversion_never_swaps_sides(body: Skeleton) -> None:
    """Converting the mirrored body gives the mirror image of the converted body."""
    for target in SKELETONS.values():
        weights = conversion(body, target).weights
        np.testing.assert_array_equal(weights[list(target.mirror)][:, list(body.mirror)], weights, err_msg=target.name)


@given(skeletons(), st.data())
def test_conversion_follows_names_not_order(body: Skeleton, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(body.num_joints)))
    other = relabel(body, list(order))
    weights = conversion(body, other).weights
    np.testing.assert_array_equal(weights @ np.arange(body.num_joints), order)

    recording = data.draw(sequences(body))
    there, _ = recording.to_skeleton(other)
    back, _ = there.to_skeleton(body)
    np.testing.assert_array_equal(there.positions, recording.positions[:, :, order])
    np.testing.assert_array_equal(back.positions, recording.positions)
    np.testing.assert_array_equal(back.visible, recording.visible)


@given(some_built_in, some_built_in, st.data())
def test_converted_joints_are_visible_where_all_their_parts_are(
    source: Skeleton, target: Skeleton, data: st.DataObject
) -> None:
    recording = data.draw(sequences(source, max_frames=2, max_people=2))
    converted, how = recording.to_skeleton(target)
    assert converted.skeleton == target
    for joint in range(target.num_joints):
        parts = np.flatnonzero(how.weights[joint])
        if len(parts) == 0:
            assert not converted.visible[:, :, joint].any()
            continue
        np.testing.assert_array_equal(converted.visible[:, :, joint], recording.visible[:, :, parts].all(axis=-1))
        mean = recording.positions[:, :, parts].astype(np.float64).mean(axis=2)
        np.testing.assert_allclose(converted.positions[:, :, joint], mean, rtol=1e-5, atol=1e-4)


@given(sequences())
def test_visible_needs_a_person_and_a_found_joint(recording: Sequence) -> None:
    assert recording.visible.shape == recording.positions.shape[:3]
    assert not recording.visible[~recording.present].any()
    if recording.confidence is None:
        assert recording.visible[recording.present].all()
    else:
        np.testing.assert_array_equal(
            recording.visible, recording.present[..., None] & (recording.confidence > 0), strict=True
        )
