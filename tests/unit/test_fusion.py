"""Fusion against sums written out by hand; clips by id, classes by name; no weights from the clips they are for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonegraph.scores import Scores
from bonegraph.scores.align import align
from bonegraph.scores.fusion import fuse, search_weights


def tiny(
    rows: list[list[float]], labels: list[int], ids: str = "", classes: tuple[str, ...] = ("sit", "stand")
) -> Scores:
    """Clips with one-letter ids."""
    names = list(ids or "abcdefgh"[: len(rows)])
    return Scores(np.array(names, dtype=np.str_), classes, np.array(rows, dtype=np.float32), np.array(labels))


def random_scores(clips: int, classes: int, seed: int) -> Scores:
    rng = np.random.default_rng(seed)
    return Scores(
        np.array([f"clip{number:03d}" for number in range(clips)], dtype=np.str_),
        tuple(f"class {number}" for number in range(classes)),
        rng.dirichlet(np.ones(classes), size=clips).astype(np.float32),
        np.random.default_rng(clips).integers(0, classes, clips),
    )


class TestMean:
    """The numbers."""

    def test_mean_of_probabilities(self) -> None:
        joint = tiny([[0.75, 0.25], [0.5, 0.5]], [0, 1])
        bone = tiny([[0.25, 0.75], [0, 1]], [0, 1])
        assert fuse([joint, bone]).probabilities.tolist() == [[0.5, 0.5], [0.25, 0.75]]
        assert fuse([joint, bone], (3, 1)).probabilities.tolist() == [[0.625, 0.375], [0.375, 0.625]]
        assert fuse([joint, bone], (0, 2)).probabilities.tolist() == bone.probabilities.tolist()
        assert fuse([joint, bone]).labels.tolist() == [0, 1]

    def test_only_the_ratios_of_the_weights_matter(self) -> None:
        streams = [random_scores(20, 5, seed) for seed in range(3)]
        one, other = fuse(streams, (1, 1, 0.5)), fuse(streams, (40, 40, 20))
        np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-6)

    def test_logits_are_logarithms(self) -> None:
        """softmax(log p + log q) is p·q made to sum to 1; with weights 1/2 each their roots."""
        joint, bone = tiny([[0.8, 0.2]], [0]), tiny([[0.3, 0.7]], [0])
        first, second = math.sqrt(0.8 * 0.3), math.sqrt(0.2 * 0.7)
        expected = [first / (first + second), second / (first + second)]
        np.testing.assert_allclose(fuse([joint, bone], of="logits").probabilities[0], expected, rtol=1e-6)

    def test_sums_of_logits_rank_as_sums_of_the_original_logits(self) -> None:
        """What the softmax took away is a number a clip, the same for every class."""
        rng = np.random.default_rng(3)
        raw = [rng.normal(0, 4, (50, 6)) for _ in range(2)]
        streams = []
        for logits in raw:
            exp = np.exp(logits - logits.max(axis=1, keepdims=True))
            streams.append(
                Scores(
                    np.array([f"{n}" for n in range(50)]),
                    tuple("abcdef"),
                    (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32),
                    np.zeros(50, np.int64),
                )
            )
        total = 0.7 * raw[0] + 0.3 * raw[1]
        exp = np.exp(total - total.max(axis=1, keepdims=True))
        fused = fuse(streams, (0.7, 0.3), of="logits").probabilities
        np.testing.assert_allclose(fused, exp / exp.sum(axis=1, keepdims=True), atol=1e-6)
        assert (fused.argmax(axis=1) != fuse(streams, (0.7, 0.3)).predicted).any()  # it is another rule

    def test_a_probability_of_zero_is_no_veto_without_end(self) -> None:
        fused = fuse([tiny([[0, 1]], [0]), tiny([[1, 0]], [0])], of="logits")
        assert fused.probabilities.tolist() == [[0.5, 0.5]]

    @given(seed=st.integers(0, 1000), copies=st.integers(2, 4))
    def test_a_stream_with_itself_is_itself(self, seed: int, copies: int) -> None:
        scores = random_scores(7, 4, seed)
        for of in ("probabilities", "logits"):
            fused = fuse([scores] * copies, of=of)
            np.testing.assert_allclose(fused.probabilities, scores.probabilities, atol=1e-6)

    @pytest.mark.parametrize("weights", [(1,), (1, 1, 1), (-1, 2), (0, 0), (math.nan, 1), (math.inf, 1)])
    def test_nonsense_weights(self, weights: tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match=r"one weight for each|weights must be 0 or more"):
            fuse([tiny([[1, 0]], [0])] * 2, weights)


class TestAlign:
    """What belongs together."""

    def test_clips_are_joined_by_id_in_the_order_of_the_first(self) -> None:
        joint = tiny([[1, 0], [0.5, 0.5]], [0, 1], ids="xy")
        bone = tiny([[0.5, 0.5], [0, 1]], [1, 0], ids="yx")
        fused = fuse([joint, bone])
        assert fused.ids.tolist() == ["x", "y"]
        assert fused.probabilities.tolist() == [[0.5, 0.5], [0.5, 0.5]]
        assert fuse([bone, joint]).ids.tolist() == ["y", "x"]

    def test_other_clips_are_refused_in_these_words(self) -> None:
        joint = tiny([[1, 0], [0, 1], [0, 1]], [0, 1, 1], ids="abc")
        bone = tiny([[1, 0], [0, 1], [0, 1]], [1, 1, 1], ids="bcd")
        with pytest.raises(ValueError) as caught:
            fuse([joint, bone], names=("joint", "bone"))
        assert str(caught.value) == (
            "cannot fuse 'joint' with 'bone': 2 clips are in only one of them (first: 'a'). Score both streams on the "
            "same split."
        )
        with pytest.raises(ValueError, match=r"'bone': 1 clip is in only one of them \(first: 'a'\)"):
            fuse([joint, joint.take(["b", "c"])], names=("joint", "bone"))

    def test_common_clips(self) -> None:
        joint = tiny([[1, 0], [0, 1], [0, 1]], [0, 1, 1], ids="abc")
        bone = tiny([[1, 0], [0, 1], [0, 1]], [1, 1, 1], ids="bcd")
        third = tiny([[1, 0], [0, 1]], [1, 1], ids="cb")
        aligned = align([joint, bone, third], common=True)
        assert [one.ids.tolist() for one in aligned.scores] == [["b", "c"]] * 3
        assert aligned.notes == ("2 of 4 clips are in all of them; the others are left out.",)
        assert fuse([joint, bone, third], common=True).ids.tolist() == ["b", "c"]
        with pytest.raises(ValueError, match="no clip is in all of them"):
            align([joint, tiny([[1, 0]], [0], ids="z")], common=True)
        assert align([joint, joint], common=True).notes == ()

    def test_classes_are_matched_by_name(self) -> None:
        joint = tiny([[0.7, 0.2, 0.1]], [2], classes=("sit", "stand", "walk"))
        bone = tiny([[0.5, 0.4, 0.1]], [0], classes=("walk", "sit", "stand"))
        aligned = align([joint, bone], ("joint", "bone"))
        np.testing.assert_allclose(aligned.scores[1].probabilities, [[0.4, 0.1, 0.5]])
        assert aligned.scores[1].labels.tolist() == [2]
        assert aligned.notes == ("the classes of 'bone' are put in the order of 'joint'.",)
        np.testing.assert_allclose(fuse([joint, bone]).probabilities, [[0.55, 0.15, 0.3]], rtol=1e-6)

    @given(order=st.permutations(range(5)), seed=st.integers(0, 100))
    def test_any_order_of_classes_and_clips_changes_nothing(self, order: list[int], seed: int) -> None:
        one, other = random_scores(9, 5, seed), random_scores(9, 5, seed + 1)
        place = np.argsort(order)
        shuffled = Scores(
            other.ids[::-1],
            tuple(other.classes[column] for column in order),
            other.probabilities[::-1][:, order],
            place[other.labels[::-1]],
        )
        np.testing.assert_array_equal(fuse([one, shuffled]).probabilities, fuse([one, other]).probabilities)
        assert fuse([shuffled, one]).top(1) == fuse([one, other]).top(1)

    def test_other_classes_are_refused(self) -> None:
        joint = tiny([[1, 0]], [0])
        with pytest.raises(ValueError, match=r"2 classes are in only one of them \(first: 'stand'\)"):
            fuse([joint, tiny([[1, 0]], [0], classes=("sit", "walk"))])
        with pytest.raises(ValueError, match="2 classes in one and 3 in the other"):
            fuse([joint, tiny([[1, 0, 0]], [0], classes=("sit", "stand", "walk"))])

    @pytest.mark.parametrize("first", [True, False])
    def test_numbered_classes_take_the_names_of_the_others(self, first: bool) -> None:
        named, plain = tiny([[1, 0]], [0]), tiny([[0, 1]], [-1], classes=("0", "1"))
        aligned = align([named, plain] if first else [plain, named], ("x", "y"))
        assert all(one.classes == ("sit", "stand") for one in aligned.scores)
        assert len(aligned.notes) == 1 and "has no class names" in aligned.notes[0]
        assert align([plain, plain]).scores[0].classes == ("0", "1")
        # numbers in another order are names like others
        with pytest.raises(ValueError, match="only one of them"):
            align([named, tiny([[0, 1]], [-1], classes=("1", "0"))])

    def test_labels_come_from_whoever_has_them(self) -> None:
        one = tiny([[1, 0]] * 3, [-1, 1, -1])
        other = tiny([[1, 0]] * 3, [0, -1, -1])
        assert fuse([one, other]).labels.tolist() == [0, 1, -1]

    def test_contradicting_labels_are_refused(self) -> None:
        none = tiny([[1, 0]] * 2, [-1, -1])
        one, other = tiny([[1, 0]] * 2, [0, 1]), tiny([[1, 0]] * 2, [0, 0])
        with pytest.raises(ValueError, match="'one' with 'other': clip 'b' is 'stand' in one and 'sit' in the other"):
            fuse([none, one, other], names=("none", "one", "other"))

    def test_nothing(self) -> None:
        with pytest.raises(ValueError, match="cannot fuse 0 scores"):
            fuse([])


class TestSearch:
    """Weights from a validation part."""

    def test_weights_by_hand(self) -> None:
        # Clip a is right with any weight of the first above 0.5·, clip b with any weight of the second above 0.2.
        first = tiny([[1, 0], [0.625, 0.375]], [0, 1])
        second = tiny([[0, 1], [0, 1]], [0, 1])
        test = tiny([[1, 0]], [0], ids="z")
        found = search_weights([first, second], [test], step=0.1)
        # a: w > 0.5 (a tie at 0.5 goes to the lower class, which is right); b: 0.625 w < 0.5, so w < 0.8
        assert found.weights == (0.5, 0.5)
        assert (found.accuracy, found.equal, found.clips, found.tried) == (1.0, 1.0, 2, 11)

    def test_the_best_one_is_found(self) -> None:
        """Only one point of the grid gets both clips right."""
        first = tiny([[1, 0], [0.71, 0.29]], [0, 1])
        second = tiny([[0.2, 0.8], [0.2, 0.8]], [0, 1])
        accuracies = {}
        for n in range(11):
            w = n / 10
            fused = [w + 0.2 * (1 - w), 0.71 * w + 0.2 * (1 - w)]
            accuracies[w] = int(fused[0] > 0.5) + int(fused[1] < 0.5)
        best = [w for w, right in accuracies.items() if right == max(accuracies.values())]
        found = search_weights([first, second], [], step=0.1)
        assert found.accuracy == max(accuracies.values()) / 2
        assert found.weights[0] == pytest.approx(min(best, key=lambda w: abs(w - 0.5)))

    def test_ties_go_to_the_most_equal_weights_which_need_not_be_on_the_grid(self) -> None:
        streams = [tiny([[1, 0]], [0])] * 3
        found = search_weights(streams, [])
        np.testing.assert_allclose(found.weights, [1 / 3] * 3)
        assert found.tried == math.comb(12, 2) + 1

    def test_agrees_with_trying_everything(self) -> None:
        streams = [random_scores(60, 4, seed) for seed in (1, 2, 3)]
        right = {}
        for point in itertools.product(range(6), repeat=3):
            if sum(point) == 5:
                right[point] = (fuse(streams, [n / 5 for n in point]).predicted == streams[0].labels).sum()
        right[(5 / 3,) * 3] = (fuse(streams).predicted == streams[0].labels).sum()  # type: ignore[index]
        best = max(right.values())
        found = search_weights(streams, [], step=0.2)
        assert found.accuracy == best / 60
        most_equal = min(sum(n * n for n in point) for point, count in right.items() if count == best)
        assert sum((5 * w) ** 2 for w in found.weights) == pytest.approx(most_equal)

    def test_weights_chosen_on_the_fused_clips_are_refused(self) -> None:
        """They would promise too much: on labels of pure chance, the searched weights beat equal ones."""
        streams = [random_scores(40, 4, seed) for seed in (1, 2, 3)]
        found = search_weights(streams, [])
        assert found.accuracy > found.equal
        for fused in (streams, [streams[0].take(["clip007"]), random_scores(2, 4, 0).take([])]):
            with pytest.raises(ValueError, match=r"are fused with them \(first: 'clip0.*no honest figure"):
                search_weights(streams, fused, names=("a", "b", "c"))

    @pytest.mark.parametrize("step", [0, -0.1, 0.3, 2, math.nan])
    def test_nonsense_steps(self, step: float) -> None:
        with pytest.raises(ValueError, match="1 divided by a whole number"):
            search_weights([tiny([[1, 0]], [0])] * 2, [], step=step)

    def test_too_many_weights(self) -> None:
        with pytest.raises(ValueError, match="4,598,126 choices of 5 weights"):
            search_weights([tiny([[1, 0]], [0])] * 5, [], step=0.01)

    def test_unlabelled_validation(self) -> None:
        with pytest.raises(ValueError, match="0 of 1 validation clips have a label"):
            search_weights([tiny([[1, 0]], [-1])] * 2, [])
