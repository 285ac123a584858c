"""Graphs against loops written from the ST-GCN paper (Yan, Xiong and Lin 2018), Sec. 3.3 to 3.6.

In the loops i is the root joint v_ti and j a neighbour v_tj, as in the paper. The library stores ``A[k, source,
target]``, which is the transpose of the paper's A_k^ij: source = j, target = i.
"""

from collections import deque
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bonegraph.graph import (
    Normalisation,
    Strategy,
    adjacency,
    gravity_distances,
    hop_distances,
    partition,
)
from bonegraph.skeleton import SKELETONS, Skeleton

Labels = dict[tuple[int, int], int]  # (i, j) -> l_ti(v_tj), for j in B(v_ti) alone
Edges = tuple[tuple[int, int], ...]

HOPS = (1, 2, 3)
ALPHA = 0.001


def random_body(seed: int) -> Skeleton:
    """A random bone tree of 1 to 10 joints, every third one with extra edges that close loops."""
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 11))
    order = random.permutation(count).tolist()
    parents = list(range(count))
    for place in range(1, count):
        parents[order[place]] = order[int(random.integers(place))]
    edges = {(child, parent) for child, parent in enumerate(parents) if child != parent}
    if seed % 3 == 0 and count > 3:
        edges |= {(a, b) for a, b in random.integers(count, size=(3, 2)).tolist() if a != b}
    names = tuple(f"joint {joint}" for joint in range(count))
    centre = int(random.integers(count))
    mirror = list(range(count))
    pairs = random.permutation(count).tolist()
    for a, b in zip(pairs[: count // 3], pairs[-(count // 3) :], strict=False):
        mirror[a], mirror[b] = b, a
    return Skeleton("random", names, tuple(parents), tuple(mirror), centre, edges=tuple(sorted(edges)))


def asymmetric_distances(skeleton: Skeleton) -> NDArray[np.float64]:
    """Some gravity distances, with two equal ones wherever there are enough joints."""
    distances = np.random.default_rng(skeleton.num_joints).uniform(0.1, 1.0, skeleton.num_joints)
    if skeleton.num_joints > 2:
        distances[0] = distances[1]
    return distances


BODIES = [*SKELETONS.values(), *(random_body(seed) for seed in range(12))]
bodies = pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body.name}-{body.num_joints}")


# --- the paper in loops ---------------------------------------------------------------------------------------------


def search(start: int, num_joints: int, edges: Edges) -> list[float]:
    """d(v_tj, v_ti): minimum length of any path, by breadth-first search."""
    distance = [float("inf")] * num_joints
    distance[start] = 0
    queue = deque([start])
    while queue:
        here = queue.popleft()
        for a, b in edges:
            for one, other in ((a, b), (b, a)):
                if one == here and distance[other] == float("inf"):
                    distance[other] = distance[here] + 1
                    queue.append(other)
    return distance


def loop_hops(skeleton: Skeleton) -> list[list[float]]:
    return [search(joint, skeleton.num_joints, skeleton.edges) for joint in range(skeleton.num_joints)]


def neighbour_set(hops: list[list[float]], i: int, max_hop: int) -> list[int]:
    """Eq. 2: B(v_ti) = {v_tj | d(v_tj, v_ti) <= D}."""
    return [j for j in range(len(hops)) if hops[j][i] <= max_hop]


def label_uniform(hops: list[list[float]], max_hop: int) -> Labels:
    """Uni-labeling: l_ti(v_tj) = 0."""
    return {(i, j): 0 for i in range(len(hops)) for j in neighbour_set(hops, i, max_hop)}


def label_distance(hops: list[list[float]], max_hop: int) -> Labels:
    """Distance partitioning: l_ti(v_tj) = d(v_tj, v_ti)."""
    return {(i, j): int(hops[j][i]) for i in range(len(hops)) for j in neighbour_set(hops, i, max_hop)}


def label_spatial(hops: list[list[float]], max_hop: int, r: list[float]) -> Labels:
    """Eq. 8: 0 where r_j = r_i, 1 (centripetal) where r_j < r_i, 2 (centrifugal) where r_j > r_i."""
    labels = {}
    for i in range(len(hops)):
        for j in neighbour_set(hops, i, max_hop):
            if r[j] == r[i]:
                labels[i, j] = 0
            elif r[j] < r[i]:
                labels[i, j] = 1
            else:
                labels[i, j] = 2
    return labels


def label_symmetrical(hops: list[list[float]], max_hop: int, mirror: tuple[int, ...]) -> Labels:
    """KTH Sec. 4.3: 0 for the joint itself; 1 for its neighbours, their mirror joints and its own mirror joint."""
    labels = {}
    for i in range(len(hops)):
        reached = [mirror[i]]
        for j in neighbour_set(hops, i, max_hop):
            reached += [j, mirror[j]]
        labels.update({(i, j): 1 for j in reached})
        labels[i, i] = 0
    return labels


def label_as_released(hops: list[list[float]], max_hop: int, centre: int) -> Labels:
    """The released mistake: nobody farther than D from the centre has a distance, and unknown equals unknown.

    One subset for the root, then two for each hop: equal or farther from the centre, and nearer.
    """
    known = [hops[centre][j] if hops[centre][j] <= max_hop else float("inf") for j in range(len(hops))]
    labels = {}
    for i in range(len(hops)):
        for j in neighbour_set(hops, i, max_hop):
            hop = int(hops[j][i])
            if hop == 0:
                labels[i, j] = 0
            elif known[j] == known[i] or known[j] > known[i]:
                labels[i, j] = 2 * hop - 1
            else:
                labels[i, j] = 2 * hop
    return labels


def loop_labels(skeleton: Skeleton, strategy: Strategy, max_hop: int) -> tuple[Labels, int]:
    """The label map of a strategy and its number K of subsets."""
    hops = loop_hops(skeleton)
    if strategy == "uniform":
        return label_uniform(hops, max_hop), 1
    if strategy in ("distance", "distance*"):
        return label_distance(hops, max_hop), max_hop + 1
    if strategy == "spatial":
        return label_spatial(hops, max_hop, asymmetric_distances(skeleton).tolist()), 3
    if strategy == "spatial-hops":
        return label_spatial(hops, max_hop, hops[skeleton.centre]), 3
    if strategy == "symmetrical":
        return label_symmetrical(hops, max_hop, skeleton.mirror), 2
    return label_as_released(hops, max_hop, skeleton.centre), 1 + 2 * max_hop


def by_cardinality(labels: Labels, subsets: int, num_joints: int) -> NDArray[np.float64]:
    """Eq. 4: 1 / Z_ti(v_tj), with Z_ti(v_tj) = |{v_tk | l_ti(v_tk) = l_ti(v_tj)}|."""
    matrices = np.zeros((subsets, num_joints, num_joints))
    for (i, j), label in labels.items():
        same = [k for k in range(num_joints) if (i, k) in labels and labels[i, k] == label]
        matrices[label, j, i] = 1 / len(same)
    return matrices


def by_eq_10(labels: Labels, subsets: int, num_joints: int) -> NDArray[np.float64]:
    """Eq. 10: Lambda_j^-1/2 A_j Lambda_j^-1/2 with Lambda_j^ii = sum_k A_j^ik + alpha, as explicit matrices."""
    matrices = []
    for subset in range(subsets):
        a = np.zeros((num_joints, num_joints))
        for (i, j), label in labels.items():
            if label == subset:
                a[i, j] = 1
        root = np.zeros((num_joints, num_joints))
        for i in range(num_joints):
            root[i, i] = (sum(a[i, k] for k in range(num_joints)) + ALPHA) ** -0.5
        matrices.append((root @ a @ root).T)  # ours is [source, target]
    return np.stack(matrices)


def as_released(labels: Labels, subsets: int, num_joints: int) -> NDArray[np.float64]:
    """A D^-1 with D^ii = |B(v_ti)| of the whole A + I, and only then the split into subsets."""
    matrices = np.zeros((subsets, num_joints, num_joints))
    for (i, j), label in labels.items():
        degree = len([k for k in range(num_joints) if (i, k) in labels])
        matrices[label, j, i] = 1 / degree
    return matrices


LOOPS = {"subset": by_cardinality, "symmetric": by_eq_10, "released": as_released}


def build(skeleton: Skeleton, strategy: Strategy, max_hop: int, how: Normalisation) -> NDArray[np.float32]:
    distances = asymmetric_distances(skeleton) if strategy == "spatial" else None
    return adjacency(skeleton, strategy, max_hop=max_hop, normalisation=how, alpha=ALPHA, distances=distances)


# --- Sec. 3.1 to 3.4 ------------------------------------------------------------------------------------------------


@bodies
def test_hop_distance_is_the_shortest_path(body: Skeleton) -> None:
    np.testing.assert_array_equal(hop_distances(body.num_joints, body.edges), loop_hops(body))


def test_hop_distance_is_infinite_where_no_path_leads() -> None:
    hops = hop_distances(4, ((0, 1), (2, 3)))
    expected = np.array(
        [[0, 1, np.inf, np.inf], [1, 0, np.inf, np.inf], [np.inf, np.inf, 0, 1], [np.inf, np.inf, 1, 0]]
    )
    np.testing.assert_array_equal(hops, expected)


@bodies
def test_neighbour_set_eq_2(body: Skeleton) -> None:
    hops = loop_hops(body)
    for max_hop in HOPS:
        whole = partition(body, "uniform", max_hop=max_hop)[0]
        for i in range(body.num_joints):
            assert np.flatnonzero(whole[:, i]).tolist() == neighbour_set(hops, i, max_hop), f"D = {max_hop}"


@pytest.mark.parametrize("strategy", get_args(Strategy))
@bodies
def test_partition(body: Skeleton, strategy: Strategy) -> None:
    distances = asymmetric_distances(body) if strategy == "spatial" else None
    for max_hop in (1,) if strategy == "distance*" else HOPS:
        labels, count = loop_labels(body, strategy, max_hop)
        expected = np.zeros((count, body.num_joints, body.num_joints), dtype=bool)
        for (i, j), label in labels.items():
            expected[label, j, i] = True
        result = partition(body, strategy, max_hop=max_hop, distances=distances)
        np.testing.assert_array_equal(result, expected, err_msg=f"D = {max_hop}")


def test_gravity_distance_is_an_average_over_all_frames() -> None:
    random = np.random.default_rng(3)
    frames, joints = 7, 5
    positions = random.normal(size=(frames, joints, 3)).astype(np.float32)
    sums = [0.0] * joints
    for frame in range(frames):
        centre = [sum(float(positions[frame, j, c]) for j in range(joints)) / joints for c in range(3)]
        for j in range(joints):
            sums[j] += sum((float(positions[frame, j, c]) - centre[c]) ** 2 for c in range(3)) ** 0.5
    measured = gravity_distances(positions, np.ones((frames, joints), dtype=bool))
    np.testing.assert_allclose(measured, [total / frames for total in sums], rtol=1e-6)


def test_gravity_distance_counts_visible_joints_alone() -> None:
    random = np.random.default_rng(4)
    frames, people, joints = 6, 2, 4
    positions = random.normal(size=(frames, people, joints, 2)).astype(np.float32)
    visible = random.random((frames, people, joints)) < 0.6
    visible[0, 0] = False  # a body of which nothing is seen
    visible[1] = True
    sums, times = [0.0] * joints, [0] * joints
    for t, m in product(range(frames), range(people)):
        seen = [j for j in range(joints) if visible[t, m, j]]
        if not seen:
            continue
        centre = [sum(float(positions[t, m, j, c]) for j in seen) / len(seen) for c in range(2)]
        for j in seen:
            sums[j] += sum((float(positions[t, m, j, c]) - centre[c]) ** 2 for c in range(2)) ** 0.5
            times[j] += 1
    expected = [total / count for total, count in zip(sums, times, strict=True)]
    np.testing.assert_allclose(gravity_distances(positions, visible), expected, rtol=1e-6)

    hidden = np.where(visible[..., None], positions, np.float32(1e6))
    np.testing.assert_array_equal(gravity_distances(hidden, visible), gravity_distances(positions, visible))


def test_gravity_distance_refuses_a_joint_that_nobody_saw() -> None:
    visible = np.ones((3, 4), dtype=bool)
    visible[:, 2] = False
    with pytest.raises(ValueError, match=r"joint 2 is never visible.*spatial-hops"):
        gravity_distances(np.ones((3, 4, 3), np.float32), visible)


def test_spatial_with_measured_distances() -> None:
    body = SKELETONS["openpose18"]
    random = np.random.default_rng(5)
    positions = random.normal(size=(9, body.num_joints, 2)).astype(np.float32)
    measured = gravity_distances(positions, np.ones((9, body.num_joints), dtype=bool))
    labels = label_spatial(loop_hops(body), 2, measured.tolist())
    split = partition(body, "spatial", max_hop=2, distances=measured)
    assert all(split[label, j, i] for (i, j), label in labels.items())
    assert split.sum() == len(labels)


# --- Eq. 4, 5 and 10 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", get_args(Normalisation))
@pytest.mark.parametrize("strategy", [name for name in get_args(Strategy) if name != "distance*"])
@bodies
def test_normalisation(body: Skeleton, strategy: Strategy, how: Normalisation) -> None:
    for max_hop in HOPS:
        labels, count = loop_labels(body, strategy, max_hop)
        expected = LOOPS[how](labels, count, body.num_joints)
        result = build(body, strategy, max_hop, how)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7, err_msg=f"D = {max_hop}")


@pytest.mark.parametrize("how", get_args(Normalisation))
@bodies
def test_distance_star_ties_the_two_weights(body: Skeleton, how: Normalisation) -> None:
    labels, count = loop_labels(body, "distance", 1)
    subsets = LOOPS[how](labels, count, body.num_joints)
    features = np.random.default_rng(0).normal(size=(4, body.num_joints))
    weight = np.random.default_rng(1).normal(size=(3, 4))
    expected = weight @ features @ subsets[0] + (-weight) @ features @ subsets[1]  # w0 = -w1

    tied = build(body, "distance*", 1, how)
    assert tied.shape == (1, body.num_joints, body.num_joints)
    np.testing.assert_allclose(weight @ features @ tied[0], expected, rtol=1e-5, atol=1e-5)


def test_symmetrical_on_openpose() -> None:
    """KTH Sec. 4.3, by hand: which joints reach the neck, the left elbow and the left heel."""
    body = SKELETONS["openpose25"]
    itself, others = partition(body, "symmetrical")
    np.testing.assert_array_equal(itself, np.eye(25, dtype=bool))
    for joint, expected in (
        ("neck", {"nose", "left shoulder", "right shoulder", "pelvis"}),
        ("left elbow", {"left shoulder", "left wrist", "right shoulder", "right wrist", "right elbow"}),
        ("left heel", {"left ankle", "right ankle", "right heel"}),
    ):
        assert {body.joints[source] for source in np.flatnonzero(others[:, body.index(joint)])} == expected


def test_alpha_is_added_to_degrees_and_not_to_entries() -> None:
    """Trap of the KTH code: alpha on every entry before the power -1/2 makes the graph dense and nearly constant."""
    body = SKELETONS["openpose25"]
    for strategy in ("uniform", "distance", "spatial-hops", "symmetrical"):
        matrices, subsets = adjacency(body, strategy, normalisation="symmetric"), partition(body, strategy)
        assert (matrices[~subsets] == 0).all()
        assert (subsets.sum(axis=(1, 2)) < 25 * 25 / 4).all()


@pytest.mark.parametrize("strategy", ["uniform", "distance", "spatial", "spatial-hops"])
@bodies
def test_graph_convolution_eq_5(body: Skeleton, strategy: Strategy) -> None:
    """f_out(v_ti) = sum over B(v_ti) of f_in(v_tj) . w(l_ti(v_tj)) / Z_ti(v_tj)."""
    max_hop = 2
    labels, count = loop_labels(body, strategy, max_hop)
    hops = loop_hops(body)
    random = np.random.default_rng(2)
    features, weights = random.normal(size=(2, body.num_joints)), random.normal(size=(count, 2))
    expected = np.zeros(body.num_joints)
    for i in range(body.num_joints):
        for j in neighbour_set(hops, i, max_hop):
            z = sum(labels[i, k] == labels[i, j] for k in neighbour_set(hops, i, max_hop))
            expected[i] += float(features[:, j] @ weights[labels[i, j]]) / z
    result = np.einsum("kc,cs,kst->t", weights, features, build(body, strategy, max_hop, "subset"))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_eq_9_is_the_uniform_case_of_eq_10() -> None:
    body = SKELETONS["ntu25"]
    whole = np.eye(25)
    for a, b in body.edges:
        whole[a, b] = whole[b, a] = 1
    root = np.diag(whole.sum(axis=1) ** -0.5)
    result = adjacency(body, "uniform", normalisation="symmetric", alpha=0.0)
    np.testing.assert_allclose(result[0], root @ whole @ root, rtol=1e-6)


def test_alpha_keeps_empty_rows_finite() -> None:
    result = adjacency(SKELETONS["ntu25"], "spatial-hops", normalisation="symmetric")
    empty = partition(SKELETONS["ntu25"], "spatial-hops").sum(axis=1) == 0
    assert empty.any()
    assert np.isfinite(result).all()


# --- the trap -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "right", "released"),
    [
        ("ntu25", [25, 24, 24], [25, 40, 8]),
        ("openpose18", [18, 17, 17], [18, 25, 9]),
        ("coco17", [17, 16, 16], [17, 22, 10]),
    ],
)
def test_trap_entries_per_subset(name: str, right: list[int], released: list[int]) -> None:
    body = SKELETONS[name]
    assert partition(body, "spatial-hops").sum(axis=(1, 2)).tolist() == right
    assert partition(body, "spatial-released").sum(axis=(1, 2)).tolist() == released


def test_trap_what_is_centripetal() -> None:
    """Subset 1 of Eq. 8 holds the nearer neighbours; the released code has them, incompletely, in subset 2."""
    body = SKELETONS["ntu25"]
    elbow, shoulder, wrist = (body.index(f"left {part}") for part in ("elbow", "shoulder", "wrist"))
    spine = body.index("upper spine")
    right, released = partition(body, "spatial-hops"), partition(body, "spatial-released")
    assert right[1, shoulder, elbow]  # shoulder -> elbow: nearer to the centre than the root
    assert right[2, wrist, elbow]
    assert released[2, spine, shoulder]
    assert released[1, shoulder, spine]
    assert released[1, wrist, elbow]  # both are 'infinitely' far, so 'equally' far
    assert released[1, elbow, wrist]


@pytest.mark.parametrize(
    ("fixture", "name", "strategy"),
    [
        ("stgcn_ntu25_spatial", "ntu25", "spatial-released"),
        ("stgcn_openpose18_uniform", "openpose18", "uniform"),
        ("stgcn_openpose18_distance", "openpose18", "distance"),
    ],
)
def test_released_buffer(shared: Path, fixture: str, name: str, strategy: Strategy) -> None:
    """Matrix for matrix what public weights were trained with; counts cannot show two swapped subsets."""
    file = shared / "parity" / f"{fixture}.weights.safetensors"
    released = load_file(file)["A"]
    ours = adjacency(SKELETONS[name], strategy, normalisation="released")
    np.testing.assert_array_equal(ours != 0, released != 0)
    np.testing.assert_allclose(ours, released, rtol=1e-6)


# --- what users get wrong -------------------------------------------------------------------------------------------


def test_unknown_names_suggest_the_nearest() -> None:
    body = SKELETONS["sbu15"]
    with pytest.raises(ValueError, match="no partition strategy 'spatial_hops'; did you mean 'spatial-hops'"):
        partition(body, "spatial_hops")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no normalisation 'symetric'; did you mean 'symmetric'"):
        adjacency(body, normalisation="symetric")  # type: ignore[arg-type]


def test_impossible_graphs_are_refused() -> None:
    body = SKELETONS["sbu15"]
    with pytest.raises(ValueError, match="max_hop must be at least 1, got 0"):
        partition(body, "uniform", max_hop=0)
    with pytest.raises(ValueError, match=r"'distance\*'.*needs max_hop 1, got 2"):
        partition(body, "distance*", max_hop=2)
    with pytest.raises(ValueError, match=r"needs 15 gravity distances.*got None"):
        partition(body, "spatial")
    with pytest.raises(ValueError, match=r"needs 15 gravity distances.*got \(14,\)"):
        partition(body, "spatial", distances=np.ones(14))
