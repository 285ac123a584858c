"""Comparisons against values worked out by hand, against scipy, and against resampling clip by clip."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bonegraph.scores import Scores
from bonegraph.scores.comparison import bootstrap_interval, compare, mcnemar
from bonegraph.scores.text import format_comparison

CLASSES = ("sit", "stand", "walk")


def answered(labels: list[int], answers: list[int], classes: tuple[str, ...] = CLASSES, ids: str = "") -> Scores:
    """A run by its labels and answers."""
    rows = np.eye(len(classes), dtype=np.float32)[answers]
    names = list(ids) if ids else [f"c{row:04d}" for row in range(len(labels))]
    return Scores(np.array(names, dtype=np.str_), classes, rows, np.array(labels))


def pair(both: int, only_first: int, only_second: int, neither: int = 0) -> tuple[Scores, Scores]:
    """Two runs with so many clips of each kind, all of the first class."""
    counts = (both, only_first, only_second, neither)
    first = [0] * both + [0] * only_first + [1] * only_second + [1] * neither
    second = [0] * both + [1] * only_first + [0] * only_second + [1] * neither
    return answered([0] * sum(counts), first), answered([0] * sum(counts), second)


class TestMcNemar:
    """The p-value from its definition."""

    @pytest.mark.parametrize(
        ("only_first", "only_second", "expected"),
        [
            (0, 0, 1.0),
            (0, 1, 1.0),  # 2·(1/2), no more than 1
            (0, 3, 0.25),  # 2·(1/8)
            (1, 5, 2 * (1 + 6) / 64),
            (2, 8, 2 * (1 + 10 + 45) / 1024),
            (5, 5, 1.0),
            (0, 24, 2 / 2**24),
        ],
    )
    def test_exact_by_hand(self, only_first: int, only_second: int, expected: float) -> None:
        p_value, test = mcnemar(only_first, only_second)
        assert p_value == pytest.approx(expected, rel=1e-12) and test == "exact"
        assert mcnemar(only_second, only_first)[0] == mcnemar(only_first, only_second)[0]

    @pytest.mark.parametrize(("only_first", "only_second"), [(4, 11), (0, 7), (9, 14), (12, 12)])
    def test_exact_against_scipy(self, only_first: int, only_second: int) -> None:
        oracle = stats.binomtest(only_first, only_first + only_second, 0.5).pvalue
        assert mcnemar(only_first, only_second)[0] == pytest.approx(oracle, rel=1e-9)

    @pytest.mark.parametrize(
        ("only_first", "only_second", "statistic"),
        [
            (10, 15, 16 / 25),
            (25, 5, 361 / 30),
            (59, 6, 52**2 / 65),
            (13, 13, 0.0),
            (13, 14, 0.0),
            (412, 836, 423**2 / 1248),
        ],
    )
    def test_chi_square_with_continuity_correction(self, only_first: int, only_second: int, statistic: float) -> None:
        p_value, test = mcnemar(only_first, only_second)
        assert test == "chi-square"
        assert p_value == pytest.approx(stats.chi2.sf(statistic, df=1), rel=1e-9)

    def test_known_quantile(self) -> None:
        """3.841 is the 5 % point of chi-square with one degree of freedom; (|24 - 41| - 1)² / 65 is 3.938."""
        assert mcnemar(24, 41)[0] == pytest.approx(math.erfc(math.sqrt(256 / 65 / 2)))
        assert mcnemar(24, 41)[0] == pytest.approx(0.0472, abs=1e-4)


class TestBootstrap:
    """Drawing counts is drawing clips."""

    def test_like_drawing_the_clips(self) -> None:
        only_first, only_second, clips = 6, 14, 80
        each = np.repeat([-1, 1, 0], [only_first, only_second, clips - only_first - only_second])
        rng = np.random.default_rng(1)
        drawn = each[rng.integers(0, clips, (20_000, clips))].mean(axis=1)
        low, high = bootstrap_interval(only_first, only_second, clips, resamples=20_000)
        assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1.01 / clips)

    def test_large_samples_are_normal(self) -> None:
        only_first, only_second, clips = 400, 800, 16_000
        low, high = bootstrap_interval(only_first, only_second, clips, resamples=50_000)
        difference = (only_second - only_first) / clips
        spread = math.sqrt(((only_first + only_second) / clips - difference**2) / clips)
        assert (low, high) == pytest.approx((difference - 1.96 * spread, difference + 1.96 * spread), abs=2e-4)

    def test_seeded(self) -> None:
        assert bootstrap_interval(3, 9, 50, seed=1) == bootstrap_interval(3, 9, 50, seed=1)
        few = [bootstrap_interval(30, 90, 5000, resamples=40, seed=seed) for seed in (1, 2)]
        assert few[0] != few[1]
        assert bootstrap_interval(0, 0, 50) == (0.0, 0.0)


class TestTwoRuns:
    """One against one."""

    def test_by_hand(self) -> None:
        labels = [0, 0, 0, 0, 1, 1, 2, -1]
        first = answered(labels, [0, 0, 1, 1, 1, 0, 2, 0])  # sit 2/4, stand 1/2, walk 1/1
        second = answered(labels, [0, 0, 0, 0, 0, 0, 2, 1])  # sit 4/4, stand 0/2, walk 1/1
        result = compare([first], [second])
        assert (result.clips, result.unlabelled) == (7, 1)
        assert result.first.accuracies == pytest.approx((4 / 7,))
        assert result.second.accuracies == pytest.approx((5 / 7,))
        assert result.difference == pytest.approx(1 / 7)
        assert [(row.name, row.clips, row.first, row.second) for row in result.classes] == [
            ("sit", 4, 0.5, 1.0),
            ("walk", 1, 1.0, 1.0),
            ("stand", 2, 0.5, 0.0),
        ]
        assert [row.difference for row in result.classes] == [0.5, 0.0, -0.5]
        assert result.paired is not None
        assert result.paired.only_first == ("c0004",)
        assert result.paired.only_second == ("c0002", "c0003")
        assert (result.paired.p_value, result.paired.test) == (1.0, "exact")
        assert result.paired.low <= result.difference <= result.paired.high

    def test_the_difference_is_that_of_the_second_to_the_first(self) -> None:
        first, second = pair(both=50, only_first=5, only_second=20)
        one, other = compare([first], [second]), compare([second], [first])
        assert one.difference == pytest.approx(0.2) == -other.difference
        assert one.paired is not None and other.paired is not None
        assert one.paired.p_value == other.paired.p_value == mcnemar(5, 20)[0]
        assert one.paired.low > 0 > other.paired.high

    def test_the_same_run_twice(self) -> None:
        first, _ = pair(both=3, only_first=1, only_second=1)
        result = compare([first], [first])
        assert result.paired is not None
        assert (result.difference, result.paired.p_value, result.paired.low, result.paired.high) == (0, 1, 0, 0)
        assert "-0.00" not in format_comparison(result)

    def test_order_of_clips_and_classes_does_not_matter(self) -> None:
        first, second = answered([0, 1, 2], [0, 2, 2]), answered([0, 1, 2], [0, 1, 1])
        moved = Scores(
            second.ids[::-1],
            ("walk", "sit", "stand"),
            second.probabilities[::-1][:, [2, 0, 1]],
            np.array([1, 2, 0])[second.labels[::-1]],
        )
        one, other = compare([first], [second]), compare([first], [moved])
        assert format_comparison(one) == format_comparison(other)

    def test_refused(self) -> None:
        first = answered([0, 1], [0, 1], ids="ab")
        with pytest.raises(ValueError, match=r"cannot compare 'x' with 'y': 2 clips are in only one .*Score both runs"):
            compare([first], [answered([0, 1], [0, 1], ids="bc")], names=("x", "y"))
        with pytest.raises(ValueError, match="0 of 1 clips have a label"):
            compare([answered([-1], [0])], [answered([-1], [0])])
        with pytest.raises(ValueError, match="on both sides, got 1 and 0"):
            compare([first], [])
        with pytest.raises(ValueError, match="at least 1 resample, got 0"):
            compare([first], [first], resamples=0)


class TestSeveralRuns:
    """Seeds on each side."""

    def test_mean_and_deviation_by_hand(self) -> None:
        labels = [0, 0, 1, 1]
        first = [answered(labels, answers) for answers in ([0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1])]  # 3/4, 2/4, 4/4
        second = [answered(labels, answers) for answers in ([0, 1, 1, 1], [1, 1, 1, 1])]  # 3/4, 2/4
        result = compare(first, second)
        assert result.paired is None
        assert result.first.mean == pytest.approx(0.75)
        assert result.first.deviation == pytest.approx(0.25)  # sqrt((0² + 0.25² + 0.25²) / 2)
        assert result.second.mean == pytest.approx(0.625)
        assert result.second.deviation == pytest.approx(0.125 * math.sqrt(2))
        assert [row.name for row in result.classes] == ["stand", "sit"]
        assert [row.first for row in result.classes] == pytest.approx([0.5, 1.0])
        assert [row.second for row in result.classes] == pytest.approx([1.0, 0.25])
        text = format_comparison(result)
        assert "75.00% ± 25.00 (mean ± sd of 3 runs: 75.00%, 50.00%, 100.00%)" in text
        assert "note: the spread" in text and "p =" not in text

    def test_one_run_has_no_deviation(self) -> None:
        runs = [answered([0, 1], [0, 1]), answered([0, 1], [0, 0])]
        result = compare(runs[:1], runs)
        assert result.first.deviation is None and result.paired is None
        assert result.second.deviation == pytest.approx(0.25 * math.sqrt(2))


class TestText:
    """The lines."""

    def test_lines(self) -> None:
        first, second = pair(both=90, only_first=2, only_second=7, neither=1)
        lines = format_comparison(compare([first], [second]), clips=1).splitlines()
        assert lines[:4] == [
            "top-1 of A              92.00%",
            "top-1 of B              97.00%",
            "difference B - A         +5.00 points",
            "clips                      100",
        ]
        assert lines[5] == "McNemar               p = 0.18 (exact binomial)"
        assert lines[6:8] == [
            "only A is right              2  c0090, ...",
            "only B is right              7  c0092, ...",
        ]
        assert lines[-1].split() == ["sit", "+5.00", "92.00%", "97.00%", "100"]

    def test_many_classes_are_cut_in_the_middle(self) -> None:
        names = tuple(f"class {number:02d}" for number in range(30))
        first = answered(list(range(30)), [0] * 30, names)
        second = answered(list(range(30)), list(range(30)), names)
        text = format_comparison(compare([first], [second]), classes=3)
        assert "... 24 classes between" in text
        assert text.splitlines()[-1].split()[:2] == ["class", "00"]  # the only one without a gain
