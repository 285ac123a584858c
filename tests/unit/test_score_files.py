"""Scores from files: ours, tables, and what other code leaves behind. Small files, each trap of theirs."""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.known.kinetics_motion import MOTION_CLASSES
from bonegraph.scores import Scores
from bonegraph.scores.files import read_scores, scores_file
from bonegraph.scores.logits import as_probabilities
from bonegraph.scores.order import read_order
from bonegraph.scores.subset import among, clips_of, confident_mistakes

LOGITS = {"a": [2.0, 0.0, -1.0], "b": [0.0, 3.0, 0.5]}


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def dump(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


class TestKindsOfRows:
    """Nothing in these files says whether a row is probabilities or logits."""

    def kind(self, rows: list[list[float]]) -> str | None:
        ids = np.array([f"c{row}" for row in range(len(rows))])
        result, note = as_probabilities(np.array(rows, dtype=np.float64), ids)
        np.testing.assert_allclose(result.sum(axis=1), 1)
        return note

    def test_probabilities_stay(self) -> None:
        assert self.kind([[0.25, 0.75], [1, 0]]) is None
        rows = np.array([[0.25, 0.75]])
        assert as_probabilities(rows, np.array(["c"]))[0].tolist() == rows.tolist()

    def test_rounded_probabilities_are_no_logits(self) -> None:
        rows = [[0.33, 0.33, 0.33], [0.5, 0.3, 0.22]]
        assert self.kind(rows) == "rounded probabilities, made to sum to 1"
        result, _ = as_probabilities(np.array(rows), np.array(["a", "b"]))
        np.testing.assert_allclose(result[1], np.array(rows[1]) / 1.02)

    def test_logits(self) -> None:
        rows = np.array([[1.0, 3.0], [-2.0, 0.5]])
        result, note = as_probabilities(rows, np.array(["a", "b"]))
        np.testing.assert_allclose(result, [softmax([1, 3]), softmax([-2, 0.5])])
        assert note == "taken for logits, softmax applied"
        # one of two rows may look like probabilities by chance
        assert self.kind([[0.0, 1.0], [2.0, -1.0]]) == note
        assert self.kind([[1e308, -1e308], [1e308, 1e308]]) == note

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([[0.5, 0.5], [0.1, 0.9], [0.5, 0.9]], "most rows are probabilities, but that of clip 'c2' sums to 1.4"),
            ([[0.5, 0.5], [-0.1, 1.1], [0.9, 0.1]], "that of clip 'c1' has a negative number"),
            ([[90, 10], [25.5, 74.5]], "percentages; divide them by 100"),
            ([[0.5, 0.5], [np.nan, 1]], "clip 'c1' are not all finite"),
            ([[np.inf, 0.5]], "clip 'c0' are not all finite"),
        ],
    )
    def test_refused(self, rows: list[list[float]], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.kind(rows)


class TestTables:
    """``.csv``."""

    def test_probabilities(self, tmp_path: Path) -> None:
        path = write(tmp_path / "s.csv", "id,sit,stand up\nclip 1,0.25,0.75\nclip 2,1,0\n")
        scores, notes = read_scores(path)
        assert (scores.ids.tolist(), scores.classes, notes) == (["clip 1", "clip 2"], ("sit", "stand up"), ())
        assert scores.probabilities.tolist() == [[0.25, 0.75], [1, 0]]
        assert scores.labels.tolist() == [-1, -1]

    def test_logits_labels_quotes_and_a_mark_of_order(self, tmp_path: Path) -> None:
        text = '\ufeffid,label,sit,"stand, then sit"\r\na,sit,2,-1\r\n\r\n"b, c","stand, then sit",0,1\r\n'
        text += "d,,1,5\r\ne,1,1,5\r\n"
        path = tmp_path / "s.csv"
        path.write_bytes(text.encode())
        scores, notes = read_scores(path)
        assert scores.ids.tolist() == ["a", "b, c", "d", "e"]
        assert scores.classes == ("sit", "stand, then sit")
        assert scores.labels.tolist() == [0, 1, -1, 1]
        np.testing.assert_allclose(scores.probabilities[0], softmax([2, -1]), rtol=1e-6)
        assert notes == (f"'{path}': taken for logits, softmax applied.",)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the first line must be 'id' and the class names"),
            ("clip,sit\na,1\n", "the first line must be 'id'"),
            ("id\na\n", "the first line must be 'id'"),
            ("id,label\na,sit\n", "the first line must be 'id'"),
            ("id,sit,stand\n", "it holds no clips"),
            ("id,sit,stand\na,1,0\nb,1\n", "line 3 has 2 cells, but the first line has 3"),
            ("id,sit,stand\na,1,zero\n", "line 2 holds a score that is no number"),
            ("id,sit,stand\na,1,nan\n", "clip 'a' are not all finite"),
            ("id,sit,stand\na,1,0\na,0,1\n", "'a' comes 2 times"),
            ("id,sit,sit\na,1,0\n", "class name may come once, but 'sit'"),
            ("id,label,sit,stand\na,walk,1,0\n", "line 2 has label 'walk', which is none of the 2 classes"),
            ("id,label,sit,stand\na,2,1,0\n", "label 2, but 2 classes allow 0 to 1"),
        ],
    )
    def test_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = write(tmp_path / "s.csv", text)
        with pytest.raises(ValueError, match=message) as caught:
            read_scores(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    def test_not_text(self, tmp_path: Path) -> None:
        (tmp_path / "s.csv").write_bytes(b"id,sit\n\xff\xfe\x00,1\n")
        with pytest.raises(ValueError, match="no table of scores"):
            read_scores(tmp_path / "s.csv")


class TestPickles:
    """ST-GCN, 2s-AGCN, MS-G3D, CTR-GCN, PYSKL, MMAction2."""

    @pytest.mark.parametrize("protocol", [0, 2, 4, 5])
    @pytest.mark.parametrize("kind", [dict, OrderedDict])
    def test_by_name(self, tmp_path: Path, kind: type[dict[str, Any]], protocol: int) -> None:
        """The public code keeps the ending of the file in the name."""
        content = kind({f"{name}.skeleton": np.array(row, np.float32) for name, row in LOGITS.items()})
        path = dump(tmp_path / "epoch1_test_score.pkl", content, protocol)
        scores, notes = read_scores(path)
        assert scores.ids.tolist() == ["a", "b"]
        assert scores.classes == ("0", "1", "2")
        np.testing.assert_allclose(scores.probabilities, [softmax(row) for row in LOGITS.values()], rtol=1e-6)
        assert scores.labels.tolist() == [-1, -1]
        assert notes == (f"'{path}': taken for logits, softmax applied.",)

    def test_labels_from_the_annotations_whatever_their_order(self, tmp_path: Path) -> None:
        path = dump(tmp_path / "s.pkl", {name: np.array(row) for name, row in LOGITS.items()})
        labels = dump(tmp_path / "val_label.pkl", (["x.skeleton", "b.skeleton", "a.skeleton"], [0, 1, 2]))
        assert read_scores(path, read_order(labels)).scores.labels.tolist() == [2, 1]

    def test_places_instead_of_names(self, tmp_path: Path) -> None:
        """CTR-GCN calls its clips test_0, test_1, ...; sorted as text, 10 comes before 2."""
        rows = {f"test_{place}": np.eye(11)[place] for place in sorted(range(11), key=str)}
        path = dump(tmp_path / "s.pkl", rows)
        order = write(tmp_path / "ids.txt", "".join(f"clip{chr(97 + n)}\n" for n in range(11)))
        scores, notes = read_scores(path, read_order(order))
        answers = dict(zip(scores.ids.tolist(), scores.predicted.tolist(), strict=True))
        assert answers == {f"clip{chr(97 + n)}": n for n in range(11)}
        assert notes == ()
        without = read_scores(path)
        assert without.scores.ids[0] == "test_0" and "by their place; give their ids with --ids" in without.notes[0]
        with pytest.raises(ValueError, match="it has 11 clips, but the list of ids has 2"):
            read_scores(path, read_order(write(tmp_path / "two.txt", "a\nb\n")))
        with pytest.raises(ValueError, match="but the list of ids has 11"):
            read_scores(dump(tmp_path / "gap.pkl", {"test_0": [1, 0], "test_2": [0, 1]}), read_order(order))

    @pytest.mark.parametrize("stacked", [False, True])
    def test_list_in_the_order_of_the_annotations(self, tmp_path: Path, stacked: bool) -> None:
        rows = [np.array([0.5, 0.25, 0.25], np.float32), np.array([0, 1, 0], np.float32)]
        path = dump(tmp_path / "result.pkl", np.stack(rows) if stacked else rows)
        with pytest.raises(ValueError, match="no clip ids; give them with --ids FILE"):
            read_scores(path)
        ids = write(tmp_path / "ids.txt", "b\n\n a \n")
        scores, notes = read_scores(path, read_order(ids))
        assert scores.ids.tolist() == ["b", "a"]
        assert scores.probabilities.tolist() == [[0.5, 0.25, 0.25], [0, 1, 0]]
        assert notes == ()

    def test_pyskl_annotations_give_order_and_labels_of_a_part(self, tmp_path: Path) -> None:
        """In the order of the annotations, not of the split."""
        annotations = {
            "split": {"xsub_train": ["n"], "xsub_val": ["b", "a"]},
            "annotations": [
                {"frame_dir": name, "label": label, "keypoint": np.zeros((1, 2, 25, 3), np.float16)}
                for name, label in (("a", 2), ("n", 0), ("b", 1))
            ],
        }
        order = read_order(dump(tmp_path / "ntu60_3danno.pkl", annotations), "xsub_val")
        scores, _ = read_scores(dump(tmp_path / "result.pkl", [[0.5, 0.5, 0], [0, 0, 1]]), order)
        assert (scores.ids.tolist(), scores.labels.tolist()) == (["a", "b"], [2, 1])
        with pytest.raises(ValueError, match="say which part was scored with --ids_part; it has xsub_train, xsub_val"):
            read_order(tmp_path / "ntu60_3danno.pkl")

    def test_mmaction(self, tmp_path: Path) -> None:
        content = [
            {"pred_score": np.array([0.9, 0.1]), "gt_label": np.array([0])},
            {"pred_score": np.array([0.4, 0.6]), "gt_label": np.array([1])},
        ]
        path = dump(tmp_path / "result.pkl", content)
        scores, _ = read_scores(path, read_order(write(tmp_path / "ids.txt", "a\nb\n")))
        assert scores.labels.tolist() == [0, 1] and scores.top(1) == 1
        early = dump(tmp_path / "early.pkl", [{"pred_scores": {"item": np.array([0.9, 0.1])}}])
        assert read_scores(early, read_order(write(tmp_path / "one.txt", "a"))).scores.predicted.tolist() == [0]
        # labels of the list of ids show that it is in another order
        labels = dump(tmp_path / "val_label.pkl", [["b", "a"], [1, 0]])
        with pytest.raises(ValueError, match="clip 'b' has label 0 in the scores and 1 in the list of ids"):
            read_scores(path, read_order(labels))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({}, "it holds no clips"),
            ({"a": [1.0, 2], "b": [1.0, 2, 3]}, "clip 'b' has 3 scores, but clip 'a' has 2"),
            ({"a": "high"}, "scores of clip 'a' are no row of numbers"),
            ({"a": None}, "no row of numbers"),
            ({"a": 0.5}, "no row of numbers"),
            ({"a": []}, "no row of numbers"),
            ({"a": [[0.5, 0.5], [0.5, 0.5]]}, "no row of numbers"),
            ({"a": [[1], [1, 2]]}, "no row of numbers"),
            ({7: [0.5, 0.5]}, "clip names must be text, got 7"),
            ({"a": np.array([np.nan, 1])}, "clip 'a' are not all finite"),
            ({"a.skeleton": [1.0, 0], "a": [0.5, 0.5]}, "'a' comes 2 times"),
            ("text", "no scores: neither"),
            (None, "no scores: neither"),
            ([], "no scores: neither"),
            ([{"other": 1}], "no scores: neither"),
            ([[0.5, 0.5], ["x", "y"]], "number 1"),
        ],
    )
    def test_refused(self, tmp_path: Path, content: Any, message: str) -> None:
        path = dump(tmp_path / "s.pkl", content)
        with pytest.raises(ValueError, match=message) as caught:
            read_scores(path, read_order(write(tmp_path / "ids.txt", "a\nb\n")))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    def test_nothing_in_a_pickle_is_executed(self, tmp_path: Path) -> None:
        trap = tmp_path / "trap"

        class Evil:
            def __reduce__(self) -> Any:
                return Path.touch, (trap,)

        path = dump(tmp_path / "s.pkl", {"a": Evil()})
        for read in (read_scores, read_order):
            with pytest.raises(ValueError, match=r"s\.pkl"):
                read(path)
        assert not trap.exists()

    def test_cut_short(self, tmp_path: Path) -> None:
        content = dump(tmp_path / "s.pkl", {name: np.array(row) for name, row in LOGITS.items()}).read_bytes()
        for length in range(0, len(content), 9):
            (tmp_path / "s.pkl").write_bytes(content[:length])
            with pytest.raises(ValueError, match=r"s\.pkl"):
                read_scores(tmp_path / "s.pkl")


class TestOrder:
    """Lists of clips."""

    def test_from_our_scores(self, tmp_path: Path) -> None:
        Scores(np.array(["b", "a"]), ("x", "y"), np.eye(2, dtype=np.float32), np.array([1, -1])).save(
            tmp_path / "s.npz"
        )
        order = read_order(tmp_path / "s.npz")
        assert (order.ids.tolist(), order.labels.tolist()) == (["b", "a"], [1, -1])

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ((["a", "b"], [0]), "neither a pair"),
            ((["a", 3], [0, 1]), "clip names must be text, got int"),
            ((["a", "a"], [0, 1]), "'a' comes 2 times"),
            ((["a", "b"], ["x", "y"]), "every clip needs one class number"),
            ((["a", "b"], [[0], [0, 1]]), "every clip needs one class number"),
            ((["a", "b"], [0, 2**70]), "every clip needs one class number"),
            ((["a", "b"], np.zeros((2, 1), int)), "neither a pair"),
            ((1, 2), "neither a pair"),
            ({"split": {"val": ["a"]}, "annotations": [{"frame_dir": "a"}]}, "'frame_dir' and 'label'"),
            ({"split": {"val": ["a"]}, "annotations": [3]}, "'frame_dir' and 'label'"),
            ({"split": {"val": 3}, "annotations": []}, "say which part was scored"),
            ({"split": {"val": []}, "annotations": []}, "it lists no clips"),
            ({"names": []}, "no PYSKL annotations"),
        ],
    )
    def test_refused(self, tmp_path: Path, content: Any, message: str) -> None:
        path = dump(tmp_path / "labels.pkl", content)
        with pytest.raises(ValueError, match=message) as caught:
            read_order(path, "val")
        assert "labels.pkl" in str(caught.value) and "\n" not in str(caught.value)

    def test_no_text_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "ids.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ValueError, match="is no text; give one clip id a line"):
            read_order(tmp_path / "ids.txt")
        with pytest.raises(ValueError, match="it lists no clips"):
            read_order(write(tmp_path / "ids.txt", "\n\n"))
        with pytest.raises(FileNotFoundError, match="no list of clip ids"):
            read_order(tmp_path / "nothing.txt")


class TestPlaces:
    """Which file is meant."""

    def test_run_folders(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        run.mkdir()
        with pytest.raises(FileNotFoundError, match=f"write it with 'bonegraph evaluate {run}'"):
            scores_file(run)
        with pytest.raises(FileNotFoundError, match=f"write it with 'bonegraph evaluate {run} --part val'"):
            scores_file(run, "val")
        scores = Scores(np.array(["a"]), ("x",), np.ones((1, 1), np.float32), np.array([0]))
        scores.save(run / "scores.npz")
        assert scores_file(run) == run / "scores.npz"
        assert read_scores(run).scores.ids.tolist() == ["a"]
        with pytest.raises(FileNotFoundError, match=r"no scores '.*nowhere'"):
            scores_file(tmp_path / "nowhere")
        with pytest.raises(ValueError, match=r"is no scores file; give a run folder, \.npz, \.csv, \.pkl or"):
            read_scores(write(tmp_path / "s.txt", "?"))


class TestArchives:
    """A small file may not become a large one."""

    def test_claims(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.npz"
        Scores(np.array(["a"]), ("x",), np.ones((1, 1), np.float32), np.array([0])).save(path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**6)})
        header = buffer.getvalue()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, header if name == "probabilities.npy" else content)
        with pytest.raises(ValueError, match="claims 1,000,000,000,000,000 numbers"):
            Scores.load(path)
        # a directory that lies about the size of a member
        lying = bytearray(path.read_bytes())
        at = lying.rindex(b"PK\x01\x02")
        lying[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
        path.write_bytes(lying)
        with pytest.raises(ValueError, match="claims"):
            Scores.load(path)


class TestSubset:
    """Some of the classes."""

    scores = Scores(
        np.array(list("abcde")),
        ("sit", "stand", "walk"),
        np.array([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.0, 0.4, 0.6], [1, 0, 0]], np.float32),
        np.array([0, 1, 1, 2, -1]),
    )

    def test_among_all_classes(self) -> None:
        """ST-GCN Table 4: clips of the named classes, choosing among all K."""
        part = clips_of(self.scores, ["walk", "stand"])
        assert part.ids.tolist() == ["b", "c", "d"]
        assert part.classes == self.scores.classes
        assert part.mean_class_accuracy() == (0 + 1) / 2  # stand 0 of 2, walk 1 of 1
        assert self.scores.mean_class_accuracy() == pytest.approx((1 + 0 + 1) / 3)

    def test_among_the_named_classes(self) -> None:
        part = among(clips_of(self.scores, ["walk", "stand"]), ["walk", "stand"])
        assert part.classes == ("walk", "stand")
        np.testing.assert_allclose(part.probabilities, [[0.25, 0.75], [8 / 9, 1 / 9], [0.6, 0.4]], rtol=1e-6)
        assert part.labels.tolist() == [1, 1, 0]
        assert part.mean_class_accuracy() == (0.5 + 1) / 2
        every = among(self.scores, ["walk", "stand"])
        assert every.labels.tolist() == [-1, 1, 1, 0, -1]
        assert every.probabilities[4].tolist() == [0.5, 0.5]  # both were 0

    def test_refused(self) -> None:
        with pytest.raises(ValueError, match="no class 'stnad' among the 3; did you mean 'stand'"):
            clips_of(self.scores, ["stnad"])
        with pytest.raises(ValueError, match="'sit' is named twice"):
            among(self.scores, ["sit", "sit"])
        with pytest.raises(ValueError, match="at least 1 class"):
            among(self.scores, [])
        with pytest.raises(ValueError, match="none of the 1 clips is of the 1 classes"):
            clips_of(self.scores.take(["a"]), ["walk"])

    def test_kinetics_motion(self) -> None:
        assert len(MOTION_CLASSES) == len(set(MOTION_CLASSES)) == 30
        assert "hurling (sport)" in MOTION_CLASSES and all(name == name.strip().lower() for name in MOTION_CLASSES)

    def test_confident_mistakes(self) -> None:
        assert self.scores.ids[confident_mistakes(self.scores, 9)].tolist() == ["c", "b"]
        assert self.scores.ids[confident_mistakes(self.scores, 1)].tolist() == ["c"]
