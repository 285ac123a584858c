from __future__ import annotations

import numpy as np
import pytest

from bonegraph.datasets.splits import Split

CAMERAS = np.array([1, 2, 3, 1, 4])


def test_parts_are_clip_numbers_in_order_and_values_may_be_unused() -> None:
    split = Split("camera", {"train": (2, 1), "test": (3,)})
    assert split.clips("train", CAMERAS).tolist() == [0, 1, 3]
    assert split.clips("test", CAMERAS).tolist() == [2]
    assert split.unused(CAMERAS).tolist() == [4]


def test_a_part_without_clips_is_empty() -> None:
    assert Split("camera", {"test": (9,)}).clips("test", CAMERAS).tolist() == []


def test_text_columns() -> None:
    split = Split("pair", {"train": ("s01s02", "s03s04"), "test": ("s02s01",)})
    assert split.clips("train", np.array(["s02s01", "s03s04", "s01s02"])).tolist() == [1, 2]


@pytest.mark.parametrize("test", [(2, 3), ("2",)])
def test_a_value_on_two_sides_is_a_leak(test: tuple[int | str, ...]) -> None:
    with pytest.raises(ValueError, match=r"over 'subject' leaks: value .?2.? is in 'train' and in 'test'"):
        Split("subject", {"train": (1, 2), "test": test})


@pytest.mark.parametrize(
    ("parts", "message"),
    [({}, "no parts"), ({"train": ()}, "no values"), ({"train": (1, 1)}, "names a value twice")],
)
def test_nonsense_is_refused(parts: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Split("subject", dict(parts))


def test_an_unknown_part_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="no part 'tset'; did you mean 'test'"):
        Split("camera", {"train": (1,), "test": (2,)}).clips("tset", CAMERAS)


def test_there_and_back() -> None:
    split = Split("pair", {"train": ("a", "b"), "test": ("c",)})
    assert Split.from_dict(split.to_dict()) == split


@pytest.mark.parametrize("data", [{}, {"column": "a"}, {"column": "a", "parts": 3}, {"column": "a", "parts": {"x": 1}}])
def test_a_wrong_entry_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a split is"):
        Split.from_dict(data)
