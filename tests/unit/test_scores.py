"""Scores against torchmetrics, against their own promises, and against damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_recall,
)

from bonegraph.scores import ClassScore, Scores, format_table, worst_classes


def random_scores(clips: int, classes: int, seed: int = 0, unlabelled: int = 0) -> Scores:
    """Scores without ties; the first ``unlabelled`` clips have no label."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(classes, 0.5), size=clips) if classes > 1 else np.ones((clips, 1))
    labels = rng.integers(0, classes, clips)
    # push half of the clips towards the truth, so that the numbers are not those of chance
    for row in range(0, clips, 2):
        probabilities[row] = 0.5 * probabilities[row]
        probabilities[row, labels[row]] += 0.5
    labels[:unlabelled] = -1
    return Scores(
        ids=np.array([f"clip{number:04d}" for number in range(clips)], dtype=np.str_),
        classes=tuple(f"class {number}" for number in range(classes)),
        probabilities=probabilities.astype(np.float32),
        labels=labels.astype(np.int64),
    )


def tiny(
    probabilities: list[list[float]], labels: list[int], ids: list[str] | None = None, classes: tuple[str, ...] = ()
) -> Scores:
    """A handful of clips written out by hand."""
    return Scores(
        ids=np.array(ids or [f"c{row}" for row in range(len(labels))]),
        classes=classes or tuple("abcdefgh"[: len(probabilities[0])]),
        probabilities=np.array(probabilities, dtype=np.float32),
        labels=np.array(labels),
    )


def same(one: Scores, other: Scores) -> bool:
    """Equal to the last bit, order included."""
    return (
        one.classes == other.classes
        and np.array_equal(one.ids, other.ids)
        and np.array_equal(one.probabilities, other.probabilities)
        and np.array_equal(one.labels, other.labels)
    )


some_scores = st.builds(
    random_scores,
    clips=st.integers(1, 40),
    classes=st.integers(1, 12),
    seed=st.integers(0, 10_000),
)


class TestAgainstTorchmetrics:
    """An independent implementation agrees."""

    @pytest.mark.parametrize(("clips", "classes", "seed"), [(50, 2, 0), (200, 10, 1), (333, 60, 2), (40, 60, 3)])
    def test_numbers(self, clips: int, classes: int, seed: int) -> None:
        scores = random_scores(clips, classes, seed)
        probabilities, labels = torch.tensor(scores.probabilities), torch.tensor(scores.labels)
        for k in (1, 5):
            if k <= classes:
                oracle = multiclass_accuracy(probabilities, labels, classes, top_k=k, average="micro")
                assert scores.top(k) == pytest.approx(oracle.item(), abs=1e-6)
        recall = multiclass_recall(probabilities, labels, classes, average="none")
        present = np.unique(scores.labels)
        assert scores.mean_class_accuracy() == pytest.approx(recall[present].mean().item(), abs=1e-6)
        if len(present) == classes:
            macro = multiclass_recall(probabilities, labels, classes, average="macro")
            assert scores.mean_class_accuracy() == pytest.approx(macro.item(), abs=1e-6)
        counts = multiclass_confusion_matrix(probabilities, labels, classes)
        assert np.array_equal(scores.confusion(), counts.numpy())
        for number, row in enumerate(scores.per_class()):
            if row.accuracy is not None:
                assert row.accuracy == pytest.approx(recall[number].item(), abs=1e-6)

    def test_unlabelled_clips_do_not_count(self) -> None:
        scores = random_scores(60, 8, unlabelled=20)
        known = torch.tensor(scores.labels) >= 0
        oracle = multiclass_accuracy(
            torch.tensor(scores.probabilities)[known], torch.tensor(scores.labels)[known], 8, average="micro"
        )
        assert scores.top(1) == pytest.approx(oracle.item(), abs=1e-6)
        assert scores.confusion().sum() == 40


class TestNumbers:
    """Values one can check by eye."""

    def test_ties_go_to_the_lower_class(self) -> None:
        scores = tiny([[0.25] * 4] * 4, [0, 1, 2, 3])
        assert [scores.top(k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
        assert scores.predicted.tolist() == [0, 0, 0, 0]

    def test_more_answers_than_classes_are_always_right(self) -> None:
        assert tiny([[1, 0], [1, 0]], [0, 1]).top(5) == 1.0

    def test_mean_class_accuracy_skips_absent_classes(self) -> None:
        scores = tiny([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]], [0, 0, 1, 1])
        assert scores.mean_class_accuracy() == pytest.approx(0.75)

    def test_per_class(self) -> None:
        scores = tiny([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], [0, 0, 0, 1])
        assert scores.per_class() == [
            ClassScore("a", clips=3, correct=1, accuracy=1 / 3, confused_with="b", confused_clips=2),
            ClassScore("b", clips=1, correct=1, accuracy=1.0, confused_with=None, confused_clips=0),
            ClassScore("c", clips=0, correct=0, accuracy=None, confused_with=None, confused_clips=0),
        ]
        assert [row.name for row in worst_classes(scores, 5)] == ["a"]

    @pytest.mark.parametrize("clips", [0, 3])
    def test_nothing_labelled(self, clips: int) -> None:
        scores = random_scores(clips, 4, unlabelled=clips)
        assert len(scores) == clips
        assert scores.confusion().sum() == 0
        with pytest.raises(ValueError, match=f"0 of {clips} clips have a label"):
            scores.top(1)
        with pytest.raises(ValueError, match=f"0 of {clips} clips have a label"):
            scores.mean_class_accuracy()
        assert str(clips) in format_table(scores)

    def test_top_zero(self) -> None:
        with pytest.raises(ValueError, match="at least 1, got 0"):
            random_scores(3, 3).top(0)

    def test_table(self) -> None:
        scores = tiny([[1, 0], [0, 1], [0, 1], [0, 1]], [0, 0, 0, 1], classes=("sit", "stand up"))
        assert format_table(scores).splitlines() == [
            "top-1                   50.00%",
            "mean class accuracy     66.67%",
            "clips                        4",
            "worst classes",
            "  sit    33.33%  1 of 3, 2 taken for stand up",
        ]
        assert "top-5" in format_table(random_scores(30, 6))
        assert "40 (30 labelled)" in format_table(random_scores(40, 6, unlabelled=10))


class TestProperties:
    """What holds for any scores."""

    @given(scores=some_scores, seed=st.integers(0, 1000))
    def test_order_of_clips_changes_nothing(self, scores: Scores, seed: int) -> None:
        shuffled = scores.take(np.random.default_rng(seed).permutation(scores.ids))
        assert shuffled.top(1) == pytest.approx(scores.top(1))
        assert shuffled.top(3) == pytest.approx(scores.top(3))
        assert shuffled.mean_class_accuracy() == pytest.approx(scores.mean_class_accuracy())
        assert np.array_equal(shuffled.confusion(), scores.confusion())
        assert shuffled.per_class() == scores.per_class()
        assert same(shuffled.take(scores.ids), scores)

    @given(scores=some_scores, copies=st.integers(1, 12))
    def test_averaging_copies_changes_nothing(self, scores: Scores, copies: int) -> None:
        reversed_copy = scores.take(scores.ids[::-1])
        assert same(Scores.average([scores, *[reversed_copy] * (copies - 1)]), scores)

    @given(scores=some_scores, ranks=st.integers(1, 5))
    def test_dealing_to_processes_and_merging_changes_nothing(self, scores: Scores, ranks: int) -> None:
        ids = scores.ids.tolist()
        # like a distributed sampler: equally many for every process, the first clips twice
        padded = (ids * ranks)[: -(-len(ids) // ranks) * ranks]
        parts = [scores.take(list(dict.fromkeys(padded[rank::ranks]))) for rank in range(ranks)]
        assert same(Scores.merge(parts), Scores.merge([scores]))
        assert same(Scores.merge(parts[::-1]), scores)

    @given(scores=some_scores)
    def test_top_one_is_predicted_and_top_k_grows(self, scores: Scores) -> None:
        assert scores.top(1) == pytest.approx((scores.predicted == scores.labels).mean())
        tops = [scores.top(k) for k in range(1, len(scores.classes) + 2)]
        assert tops == sorted(tops)
        assert tops[-1] == 1.0


class TestAverageAndMerge:
    """Joined by id, or refused with a reason."""

    def test_mean(self) -> None:
        one = tiny([[1, 0], [0, 1]], [0, 1], ids=["x", "y"])
        other = tiny([[0, 1], [0.5, 0.5]], [1, 0], ids=["y", "x"])
        mean = Scores.average([one, other])
        assert mean.ids.tolist() == ["x", "y"]
        assert mean.probabilities.tolist() == [[0.75, 0.25], [0, 1]]

    def test_average_refuses(self) -> None:
        one = tiny([[1, 0], [0, 1]], [0, 1], ids=["x", "y"])
        with pytest.raises(ValueError, match=r"2 clips are in only one of two scorings \(first: 'y'\)"):
            Scores.average([one, tiny([[1, 0], [0, 1]], [0, 1], ids=["x", "z"])])
        with pytest.raises(ValueError, match="'x' has label 0 in one and 1 in another"):
            Scores.average([one, tiny([[1, 0], [0, 1]], [1, 1], ids=["x", "y"])])
        with pytest.raises(ValueError, match="class 1 is 'b' in one and 'q' in another"):
            Scores.average([one, tiny([[1, 0], [0, 1]], [0, 1], ids=["x", "y"], classes=("a", "q"))])
        with pytest.raises(ValueError, match="2 classes, another has 3"):
            Scores.average([one, tiny([[1, 0, 0], [0, 1, 0]], [0, 1], ids=["x", "y"])])
        with pytest.raises(ValueError, match="at least 1"):
            Scores.average([])

    def test_merge_takes_empty_parts(self) -> None:
        scores = random_scores(5, 3)
        assert same(Scores.merge([scores.take([]), scores, scores.take([])]), scores)

    def test_merge_refuses_disagreement(self) -> None:
        one = tiny([[1, 0]], [0], ids=["x"])
        with pytest.raises(ValueError, match=r"clip 'x' differ by 0\.300"):
            Scores.merge([one, tiny([[0.7, 0.3]], [0], ids=["x"])])
        with pytest.raises(ValueError, match="clip 'x' has label 0 in one part and 1 in another"):
            Scores.merge([one, tiny([[1, 0]], [1], ids=["x"])])
        assert same(Scores.merge([one, tiny([[0.999, 0.001]], [0], ids=["x"])]), one)

    def test_take_names_the_missing_clip(self) -> None:
        with pytest.raises(ValueError, match=r"1 of 2 clips have no scores \(first: 'nobody'\)"):
            random_scores(3, 2).take(["clip0000", "nobody"])


class TestChecks:
    """Nonsense is refused in one line with both numbers."""

    @pytest.mark.parametrize(
        ("ids", "classes", "probabilities", "labels", "message"),
        [
            (["x", "y"], ("a", "b"), [[1, 0]], [0, 1], r"shape \(1, 2\), but 2 clips and 2 classes need \(2, 2\)"),
            (["x"], ("a", "b"), [[1, 0, 0]], [0], r"shape \(1, 3\), but 1 clips and 2 classes"),
            (["x"], ("a", "b"), [[1, 0]], [0, 1], r"labels have shape \(2,\), but 1 clips"),
            (["x", "x"], ("a", "b"), [[1, 0], [1, 0]], [0, 1], "'x' comes 2 times"),
            (["x"], ("a", "a"), [[1, 0]], [0], "class name may come once, but 'a' comes 2 times"),
            (["x"], (), np.zeros((1, 0)), [0], "at least 1 class, got 0"),
            (["x"], ("a", "b"), [[np.nan, 1]], [0], "clip 'x' has nan for class 0"),
            (["x"], ("a", "b"), [[0, np.inf]], [0], "clip 'x' has inf for class 1"),
            (["x"], ("a", "b"), [[1.5, -0.5]], [0], "clip 'x' has -0.5 for class 1; apply softmax"),
            (["x"], ("a", "b"), [[0.6, 0.6]], [0], "sum to 1.2000, not to 1 within 0.001"),
            (["x"], ("a", "b"), [[1, 0]], [2], "label 2, but 2 classes allow 0 to 1"),
            (["x"], ("a", "b"), [[1, 0]], [-2], "label -2"),
            (["x"], ("a", "b"), [[1, 0]], [0.5], "whole numbers, got float64"),
            (["x"], ("a", "b"), [["1", "0"]], [0], "real numbers"),
            ([7], ("a", "b"), [[1, 0]], [0], "ids must be text, got int64"),
            ([["x"]], ("a", "b"), [[1, 0]], [0], "ids must have 1 axis, got 2"),
        ],
    )
    def test_refused(
        self,
        ids: npt.ArrayLike,
        classes: tuple[str, ...],
        probabilities: npt.ArrayLike,
        labels: npt.ArrayLike,
        message: str,
    ) -> None:
        with pytest.raises(ValueError, match=message) as caught:
            Scores(np.asarray(ids), classes, np.asarray(probabilities), np.asarray(labels))
        assert "\n" not in str(caught.value)

    def test_types_are_fixed_and_arguments_untouched(self) -> None:
        ids = np.array(["x", "yy"], dtype=object)
        probabilities = np.array([[1.0, 0.0], [0.0, 1.0]])
        scores = Scores(ids, ("a", "b"), probabilities, np.array([0, -1], dtype=np.int8))
        assert scores.ids.dtype == np.dtype("U2")
        assert scores.probabilities.dtype == np.float32
        assert scores.labels.dtype == np.int64
        assert scores.labelled.tolist() == [True, False]
        assert probabilities.dtype == np.float64
        assert ids.dtype == object


class TestFiles:
    """A file is whole or refused."""

    @given(clips=st.integers(0, 20), name=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
    @settings(max_examples=25)
    def test_round_trip(self, tmp_path_factory: pytest.TempPathFactory, clips: int, name: str) -> None:
        plain = random_scores(clips, 3)
        scores = Scores(plain.ids, ("one", "two" + name, "three"), plain.probabilities, plain.labels)
        path = tmp_path_factory.mktemp("scores") / "scores.npz"
        assert scores.save(path) == path
        assert same(Scores.load(path), scores)

    def test_fixed_keys_no_pickle_nothing_left_over(self, tmp_path: Path) -> None:
        path = tmp_path / "run.scores"
        random_scores(4, 3).save(path)
        random_scores(5, 3).save(path)  # over the old one
        assert [file.name for file in tmp_path.iterdir()] == ["run.scores"]
        with np.load(path, allow_pickle=False) as archive:
            assert sorted(archive) == ["classes", "ids", "labels", "probabilities"]
            assert archive["ids"].dtype.kind == archive["classes"].dtype.kind == "U"
            assert len(archive["ids"]) == 5

    def test_same_scores_same_bytes(self, tmp_path: Path) -> None:
        scores = random_scores(9, 3)
        assert scores.save(tmp_path / "a").read_bytes() == scores.save(tmp_path / "b").read_bytes()

    def test_failed_write_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = random_scores(4, 3).save(tmp_path / "scores.npz")

        def full(*_: object, **__: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(np, "savez_compressed", full)
        with pytest.raises(OSError, match="disk full"):
            random_scores(5, 3).save(path)
        assert len(Scores.load(path)) == 4
        assert [file.name for file in tmp_path.iterdir()] == ["scores.npz"]

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no scores file"):
            Scores.load(tmp_path / "scores.npz")
        with pytest.raises(FileNotFoundError, match="no folder"):
            random_scores(2, 2).save(tmp_path / "nowhere" / "scores.npz")

    def test_cut_short_or_damaged(self, tmp_path: Path) -> None:
        whole = random_scores(20, 4)
        content = whole.save(tmp_path / "whole.npz").read_bytes()
        broken = tmp_path / "broken.npz"
        for length in range(0, len(content), 7):
            broken.write_bytes(content[:length])
            with pytest.raises(ValueError, match=r"broken\.npz") as caught:
                Scores.load(broken)
            assert "\n" not in str(caught.value)
        for at in range(0, len(content), 5):
            broken.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
            # some bytes (dates, permissions) carry nothing; any other damage is noticed, never loaded
            try:
                assert same(Scores.load(broken), whole)
            except ValueError as error:
                assert "broken.npz" in str(error) and "\n" not in str(error)

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04nothing", b"\x80\x04\x95."])
    def test_another_kind_of_file(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "scores.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a whole scores file"):
            Scores.load(path)

    def test_other_arrays(self, tmp_path: Path) -> None:
        path = tmp_path / "scores.npz"
        np.savez(path, ids=np.array(["x"]), labels=np.array([0]))
        with pytest.raises(ValueError, match="lacks classes, probabilities"):
            Scores.load(path)
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
        with pytest.raises(ValueError, match="one array"):
            Scores.load(path)
        one = np.ones((1, 1))
        np.savez(path, ids=np.array(["x"]), classes=np.array(["a"]), probabilities=one, labels=np.array([3]))
        with pytest.raises(ValueError, match=r"scores\.npz: clip 'x' has label 3"):
            Scores.load(path)

    def test_pickled_objects_are_never_opened(self, tmp_path: Path) -> None:
        path = tmp_path / "scores.npz"
        ids = np.array([{"not": "text"}], dtype=object)
        np.savez(path, ids=ids, classes=np.array(["a"]), probabilities=np.ones((1, 1)), labels=np.array([0]))
        with pytest.raises(ValueError, match="not a whole scores file"):
            Scores.load(path)
