"""What holds for the subsets and matrices of every skeleton, strategy and neighbourhood size."""

from typing import NamedTuple, get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bonegraph.graph import Strategy, adjacency, hop_distances, partition
from bonegraph.skeleton import SKELETONS, Skeleton

from .strategies import skeletons


class Case(NamedTuple):
    body: Skeleton
    strategy: Strategy
    max_hop: int
    distances: NDArray[np.float64]  # used by 'spatial' alone

    def partition(self) -> NDArray[np.bool_]:
        return partition(self.body, self.strategy, max_hop=self.max_hop, distances=self.distances)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    body = draw(skeletons())
    strategy: Strategy = draw(st.sampled_from(get_args(Strategy)))
    max_hop = 1 if strategy == "distance*" else draw(st.integers(1, 4))
    # Few different values, so that some joints are equally far from the centre.
    distances = draw(st.lists(st.integers(0, 3), min_size=body.num_joints, max_size=body.num_joints))
    return Case(body, strategy, max_hop, np.array(distances, dtype=np.float64))


@given(cases())
def test_subsets_are_disjoint_and_cover_the_neighbours(case: Case) -> None:
    count = case.partition().sum(axis=0)
    reached = hop_distances(case.body.num_joints, case.body.edges) <= case.max_hop
    if case.strategy == "symmetrical":
        reached |= reached[list(case.body.mirror)]
    np.testing.assert_array_equal(count, reached.astype(int))


@given(cases())
def test_the_root_is_in_its_first_subset(case: Case) -> None:
    assert case.partition()[0].diagonal().all()


@given(cases())
def test_number_of_subsets(case: Case) -> None:
    count = {"uniform": 1, "distance": case.max_hop + 1, "distance*": 2, "spatial": 3, "spatial-hops": 3}
    count["symmetrical"] = 2
    assert len(case.partition()) == count.get(case.strategy, 1 + 2 * case.max_hop)


@given(cases())
def test_subset_normalised_columns_sum_to_one_or_zero(case: Case) -> None:
    if case.strategy == "distance*":
        case = case._replace(strategy="distance")  # the difference of its two subsets: both are in 'distance'
    matrices = adjacency(case.body, case.strategy, max_hop=case.max_hop, distances=case.distances)
    filled = case.partition().any(axis=1)
    np.testing.assert_allclose(matrices.sum(axis=1), filled.astype(float), rtol=1e-6)


@given(cases())
def test_released_columns_sum_to_one_over_all_subsets(case: Case) -> None:
    if case.strategy == "distance*":
        case = case._replace(strategy="distance")
    matrices = adjacency(
        case.body, case.strategy, max_hop=case.max_hop, normalisation="released", distances=case.distances
    )
    np.testing.assert_allclose(matrices.sum(axis=(0, 1)), 1.0, rtol=1e-6)


@given(cases(), st.floats(0.001, 1.0))
def test_symmetric_normalisation_scales_and_moves_nothing(case: Case, alpha: float) -> None:
    """Eq. 10 keeps where the entries are, and alpha only makes them smaller."""
    if case.strategy == "distance*":
        case = case._replace(strategy="distance")
    matrices = [
        adjacency(
            case.body,
            case.strategy,
            max_hop=case.max_hop,
            normalisation="symmetric",
            alpha=value,
            distances=case.distances,
        )
        for value in (alpha, 2 * alpha)
    ]
    np.testing.assert_array_equal(matrices[0] > 0, case.partition())
    assert (matrices[1] <= matrices[0]).all()


@given(skeletons(), st.integers(1, 3))
def test_undirected_strategies_give_symmetric_subsets(body: Skeleton, max_hop: int) -> None:
    for subsets in (partition(body, "uniform", max_hop=max_hop), partition(body, "distance", max_hop=max_hop)):
        np.testing.assert_array_equal(subsets, subsets.swapaxes(1, 2))


@given(cases())
def test_centripetal_is_centrifugal_seen_from_the_other_end(case: Case) -> None:
    for strategy in ("spatial", "spatial-hops"):
        same, nearer, farther = case._replace(strategy=strategy).partition()
        np.testing.assert_array_equal(nearer, farther.T)
        np.testing.assert_array_equal(same, same.T)


@pytest.mark.parametrize("strategy", [name for name in get_args(Strategy) if name != "spatial"])
@pytest.mark.parametrize("body", SKELETONS.values(), ids=list(SKELETONS))
def test_left_and_right_are_treated_alike(body: Skeleton, strategy: Strategy) -> None:
    matrices = adjacency(body, strategy)
    order = list(body.mirror)
    np.testing.assert_array_equal(matrices[:, order][:, :, order], matrices)


@given(skeletons(), st.data())
def test_an_unconnected_joint_changes_nothing(body: Skeleton, data: st.DataObject) -> None:
    """A joint that no edge reaches has itself as its only neighbour."""
    alone = Skeleton(
        "more",
        (*body.joints, "balloon"),
        (*body.parents, 0),
        (*body.mirror, body.num_joints),
        body.centre,
        body.origin,
        body.edges,
    )
    strategy: Strategy = data.draw(
        st.sampled_from([name for name in get_args(Strategy) if name not in ("distance*", "spatial")])
    )
    assume(body.edges)  # without edges the bones are the edges, and the balloon has one
    matrices, more = adjacency(body, strategy), adjacency(alone, strategy)
    np.testing.assert_array_equal(more[:, :-1, :-1], matrices)
    assert more[0, -1, -1] == 1
    assert more.sum() - matrices.sum() == pytest.approx(1, abs=1e-4)
