"""Few training clips: how many, which, and that a seed keeps them."""

import numpy as np
import pytest

from bonegraph.datasets.scarce import Scarce

CLIPS = np.arange(100, 300)
LABELS = np.repeat([0, 1, 2, 3], [100, 60, 36, 4])


def test_all_by_default() -> None:
    assert Scarce().draw(CLIPS, LABELS, 0) is CLIPS


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25])
def test_a_share_at_random(share: float) -> None:
    drawn = [Scarce(share).draw(CLIPS, LABELS, seed) for seed in (0, 0, 1)]
    assert len(drawn[0]) == round(share * 200)
    assert (np.diff(drawn[0]) > 0).all() and set(drawn[0]) <= set(CLIPS)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert set(drawn[0]) != set(drawn[2])


@pytest.mark.parametrize("stratified", [False, True])
def test_a_larger_share_holds_the_smaller(stratified: bool) -> None:
    few, more = (set(Scarce(share, stratified).draw(CLIPS, LABELS, 3)) for share in (0.1, 0.25))
    assert few < more


def test_stratified_keeps_the_share_of_each_class_and_at_least_a_clip() -> None:
    drawn = Scarce(0.1, stratified=True).draw(CLIPS, LABELS, 0)
    assert np.bincount(LABELS[drawn - 100]).tolist() == [10, 6, 4, 1]


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5])
def test_nonsense_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share must be above 0 and at most 1"):
        Scarce(share)
