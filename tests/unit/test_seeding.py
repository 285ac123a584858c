"""Random numbers as a pure function of keys."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.seeding import integers, mix, permutation, uniform

COUNT = 20_000


def chi_square(counts: NDArray[np.int64]) -> float:
    """Of counts that should be equal."""
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


def limit(bins: int) -> float:
    """What a fair chi-square of so many bins exceeds about once in 10,000 draws (normal approximation, generous)."""
    degrees = bins - 1
    return float(degrees + 4 * np.sqrt(2 * degrees) + 8)


def keys_of(kind: str) -> NDArray[np.uint64]:
    """Keys as the package makes them: neighbouring numbers, neighbouring epochs, and names of clips."""
    if kind == "numbers":
        return np.arange(COUNT).astype(np.uint64)
    if kind == "epochs":
        return mix(np.full(COUNT, 5), 0, np.arange(COUNT))
    return mix(np.arange(COUNT), 3, 7)


kinds = pytest.mark.parametrize("kind", ["numbers", "epochs", "clips"])


@kinds
def test_numbers_are_uniform(kind: str) -> None:
    values = uniform(keys_of(kind), "frames")
    assert values.shape == (COUNT,)
    assert values.dtype == np.float64
    assert ((values >= 0) & (values < 1)).all()
    assert chi_square(np.histogram(values, 64, (0, 1))[0]) < limit(64)
    assert len(np.unique(values)) == COUNT
    low_bits = (values * 2**53).astype(np.int64) % 64  # the weak end of poor generators
    assert chi_square(np.bincount(low_bits, minlength=64)) < limit(64)


@kinds
def test_purposes_places_and_neighbours_are_independent(kind: str) -> None:
    keys = keys_of(kind)
    columns = [
        *uniform(keys, "rotation", 3).T,
        uniform(keys, "scale"),
        uniform(keys, "mirror"),
        np.roll(uniform(keys, "mirror"), 1),
        uniform(mix(keys, 1), "mirror"),
    ]
    for first, second in combinations(columns, 2):
        assert abs(np.corrcoef(first, second)[0, 1]) < 5 / COUNT**0.5
        pairs = np.histogram2d(first, second, 8, ((0, 1), (0, 1)))[0]
        assert chi_square(pairs.astype(np.int64).ravel()) < limit(64)


def test_within_one_key() -> None:
    values = uniform(np.array([42], dtype=np.uint64), "joint dropout", 100, 200)[0]
    assert values.shape == (100, 200)
    assert chi_square(np.histogram(values, 64, (0, 1))[0]) < limit(64)
    assert abs(np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]) < 0.03


def test_a_key_does_not_depend_on_its_neighbours() -> None:
    keys = keys_of("clips")[:50]
    together = uniform(keys, "scale", 2, 3)
    assert together.shape == (50, 2, 3)
    order = np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(uniform(keys[order], "scale", 2, 3), together[order])
    for number in (0, 17, 49):
        np.testing.assert_array_equal(uniform(keys[number : number + 1], "scale", 2, 3)[0], together[number])


def test_more_numbers_begin_with_the_same_numbers() -> None:
    keys = keys_of("clips")[:5]
    np.testing.assert_array_equal(uniform(keys, "frames", 9)[:, :4], uniform(keys, "frames", 4))


def test_integers() -> None:
    keys = keys_of("clips")
    values = integers(keys, "fragment", 7)
    assert values.dtype == np.int64
    assert chi_square(np.bincount(values, minlength=7)) < limit(7)
    assert set(values.tolist()) == set(range(7))
    assert (integers(keys, "fragment", 1, 2) == 0).all()
    high = np.arange(1, 6)[:, None]
    each = integers(keys[:5], "fragment", high, 1000)
    assert each.shape == (5, 1000)
    assert [set(row.tolist()) for row in each] == [set(range(count)) for count in range(1, 6)]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 17, 1000])
def test_permutation_is_a_permutation(count: int) -> None:
    for key in (0, 1, 2**64 - 1, np.uint64(2**63)):
        order = permutation(key, count)
        assert order.dtype == np.int64
        np.testing.assert_array_equal(np.sort(order), np.arange(count))
        np.testing.assert_array_equal(order, permutation(key, count))


def test_permutations_are_fair() -> None:
    orders = [tuple(permutation(key, 4).tolist()) for key in range(4800)]
    counts = np.array([orders.count(order) for order in set(orders)])
    assert len(counts) == 24
    assert chi_square(counts) < limit(24)


def test_keys_of_every_whole_number_type() -> None:
    types = (np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64)
    expected = mix(np.array([0, 1, 100]), 3, "order")
    for kind in types:
        np.testing.assert_array_equal(mix(np.array([0, 1, 100], dtype=kind), kind(3), "order"), expected)
        assert mix(kind(100), 3, "order") == expected[2]
    assert mix(100, 3, "order") == expected[2]
    for kind in (np.int8, np.int16, np.int32, np.int64):
        assert mix(kind(-5), 3) == mix(-5, 3)
        assert mix(5, kind(-3)) == mix(5, -3)
    assert mix(2**64 - 1, 3) == mix(-1, 3)
    assert expected.dtype == np.uint64


def test_words_count_in_their_order() -> None:
    results = [mix(0, *words) for words in ((), (0,), (0, 0), (1, 2), (2, 1), ("a",), ("b",), ("a", "b"), ("b", "a"))]
    assert len({int(result) for result in results}) == len(results)


def test_words_broadcast() -> None:
    grid = mix(np.arange(3)[:, None], np.arange(4)[None, :])
    assert grid.shape == (3, 4)
    for row, column in np.ndindex(3, 4):
        assert grid[row, column] == mix(row, column)


def test_nothing_is_changed_in_place() -> None:
    keys = np.arange(5, dtype=np.uint64)
    mix(keys, 1, "a")
    uniform(keys, "a", 2)
    np.testing.assert_array_equal(keys, np.arange(5))


def test_the_numbers_of_a_key_stay_the_same_over_versions() -> None:
    """A run that is resumed by a later version must see what it would have seen."""
    assert mix(0, 0).item() == MIXED[0]
    assert mix(1, "order", 2).item() == MIXED[1]
    np.testing.assert_allclose(uniform(np.array([7], dtype=np.uint64), "frames", 3)[0], DRAWN, rtol=1e-15)
    assert permutation(9, 8).tolist() == ORDER


MIXED = (16_294_208_416_658_607_535, 17_985_359_802_172_000_379)
DRAWN = [0.04287735674597226, 0.9711811285261824, 0.13218480605676097]
ORDER = [7, 1, 4, 6, 3, 5, 2, 0]
