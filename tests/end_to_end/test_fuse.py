"""``bonegraph fuse`` as a user gives it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.scores import Scores

from .runs import unchanged

CLASSES = ("sit", "stand", "walk")


def scores(seed: int, clips: str, labelled: bool = True) -> Scores:
    """A stream that is right more often than not, differently for each seed."""
    rng = np.random.default_rng(seed)
    labels = np.array([ord(clip) % 3 for clip in clips])
    rows = rng.dirichlet(np.ones(3), len(clips))
    rows[np.arange(len(clips)), labels] += 0.3
    rows /= rows.sum(axis=1, keepdims=True)
    return Scores(np.array(list(clips)), CLASSES, rows.astype(np.float32), labels if labelled else labels * 0 - 1)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three run folders, as far as fusing looks into them, below the working directory."""
    for seed, name in enumerate(("joint", "bone", "motion")):
        (tmp_path / name).mkdir()
        scores(seed, "abcdefghijkl").save(tmp_path / name / "scores.npz")
        scores(seed, "mnopqrstuvwx").save(tmp_path / name / "scores-val.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], arguments: str) -> str:
    assert main(["fuse", *arguments.split()]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], arguments: str) -> str:
    assert main(["fuse", *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_three_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "joint bone motion --weights 1 1 0.5 --out fused.npz --report fused.html")
    streams = [Scores.load(runs / name / "scores.npz") for name in ("joint", "bone", "motion")]
    fused = Scores.load(runs / "fused.npz")
    expected = sum(w * one.probabilities for w, one in zip((0.4, 0.4, 0.2), streams, strict=True))
    np.testing.assert_allclose(fused.probabilities, expected, atol=1e-6)
    assert fused.labels.tolist() == streams[0].labels.tolist()
    lines = out.splitlines()
    assert lines[0].split() == ["weight", "1", f"{streams[0].top(1):.2%}", "joint"]
    assert lines[2].split() == ["weight", "0.5", f"{streams[2].top(1):.2%}", "motion"]
    assert lines[3].split() == ["top-1", f"{fused.top(1):.2%}"]
    report = (runs / "fused.html").read_text()
    assert "weight 0.5" in report and f"{fused.top(1):.2%}" in report


def test_logits(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, "joint bone --of logits --out fused.npz")
    streams = [Scores.load(runs / name / "scores.npz").probabilities for name in ("joint", "bone")]
    expected = np.sqrt(streams[0] * streams[1])
    fused = Scores.load(runs / "fused.npz").probabilities
    np.testing.assert_allclose(fused, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)


def test_search_uses_the_validation_scores_alone(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "joint bone motion --search --out fused.npz")
    assert "note: weights chosen among 67 on 12 validation clips, where they reach " in out
    by_hand = printed(
        capsys,
        "joint bone motion --search --validate joint/scores-val.npz bone/scores-val.npz motion/scores-val.npz",
    )
    assert by_hand == out.replace("scores: fused.npz\n", "")
    # other labels of the test clips choose no other weights
    wrong = Scores.load(runs / "joint/scores.npz")
    for name in ("joint", "bone", "motion"):
        one = Scores.load(runs / name / "scores.npz")
        Scores(one.ids, one.classes, one.probabilities, (wrong.labels + 1) % 3).save(runs / name / "scores.npz")
    again = printed(capsys, "joint bone motion --search")
    assert [line.split()[1] for line in again.splitlines() if "weight " in line] == [
        line.split()[1] for line in out.splitlines() if "weight " in line
    ]


def test_weights_are_not_chosen_on_the_fused_clips(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with unchanged(runs):
        line = complaint(capsys, "joint bone --search --validate joint/scores.npz bone/scores.npz --out fused.npz")
    assert "cannot choose weights on 'joint/scores.npz': 12 of its clips are fused with them (first: 'a')." in line
    assert "no honest figure" in line
    # one clip is one too many
    scores(0, "lmnopq").save(runs / "a.npz")
    scores(1, "lmnopq").save(runs / "b.npz")
    assert "1 of its clips" in complaint(capsys, "joint bone --search --validate a.npz b.npz")


def test_other_clips(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores(1, "bcdefghijklm").save(runs / "bone/scores.npz")
    line = complaint(capsys, "joint bone --out fused.npz")
    assert line == (
        "bonegraph fuse: cannot fuse 'joint' with 'bone': 2 clips are in only one of them (first: 'a'). Score both "
        "streams on the same split."
    )
    out = printed(capsys, "joint bone --common --out fused.npz")
    assert "note: 11 of 13 clips are in all of them; the others are left out." in out
    assert Scores.load(runs / "fused.npz").ids.tolist() == list("bcdefghijkl")
    assert printed(capsys, "joint bone --common true --out fused.npz") == out


def test_streams_of_other_code(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Our run, a table in another order of clips and classes, and the logits of 2s-AGCN without class names."""
    joint = Scores.load(runs / "joint/scores.npz")
    rgb = scores(7, "lkjihgfedcba")
    lines = ["id,walk,sit,stand"]
    lines += [
        f"{clip},{row[2]},{row[0]},{row[1]}" for clip, row in zip(rgb.ids, rgb.probabilities.tolist(), strict=True)
    ]
    (runs / "rgb.csv").write_text("\n".join(lines))
    flow = scores(8, "abcdefghijkl")
    logits = {
        f"{clip}.skeleton": np.log(row) + 3 for clip, row in zip(flow.ids.tolist(), flow.probabilities, strict=True)
    }
    (runs / "flow.pkl").write_bytes(pickle.dumps(logits))
    out = printed(capsys, "joint rgb.csv flow.pkl --out fused.npz")
    fused = Scores.load(runs / "fused.npz")
    expected = (joint.probabilities + rgb.take(joint.ids).probabilities + flow.probabilities) / 3
    np.testing.assert_allclose(fused.probabilities, expected, atol=1e-5)
    assert fused.classes == CLASSES and (fused.labels == joint.labels).all()
    for note in (
        "note: 'flow.pkl': taken for logits, softmax applied.",
        "note: the classes of 'rgb.csv' are put in the order of 'joint'.",
        "note: 'flow.pkl' has no class names; its classes are taken to be in the order of 'joint'.",
    ):
        assert note in out.splitlines()


def test_scores_without_ids(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joint = Scores.load(runs / "joint/scores.npz")
    backwards = joint.take(joint.ids[::-1])
    (runs / "result.pkl").write_bytes(pickle.dumps(list(backwards.probabilities)))
    assert "--ids FILE" in complaint(capsys, "joint result.pkl")
    (runs / "ids.txt").write_text("\n".join(backwards.ids))
    printed(capsys, "joint result.pkl --ids ids.txt --out fused.npz")
    np.testing.assert_allclose(Scores.load(runs / "fused.npz").probabilities, joint.probabilities, atol=1e-6)


def test_without_any_label(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("joint", "bone"):
        scores(3, "abc", labelled=False).save(runs / f"{name}.npz")
    assert printed(capsys, "joint.npz bone.npz").splitlines()[-1].split() == ["clips", "3", "(0", "labelled)"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: inputs; see 'bonegraph fuse --help'"),
        ("joint", "give at least two inputs, got 1"),
        ("joint nowhere", "no scores 'nowhere'"),
        ("joint empty", "no scores 'empty/scores.npz'; write it with 'bonegraph evaluate empty'"),
        ("joint bone --weights 1", "2 scores but 1 weights; give one weight for each"),
        ("joint bone --weights 1 x", "weights"),
        ("joint bone --weights 0 0", "one of them above 0; got 0, 0"),
        ("joint bone --weights 1 1 --search", "give either --weights or --search"),
        ("joint bone --validate joint", "--validate is for --search"),
        ("joint bone --search --validate joint", "2 inputs but 1 files of validation scores"),
        ("joint bone/scores.npz --search", "'bone/scores.npz' is no run folder; give its validation scores"),
        ("joint bone --search --step 0.3", "1 divided by a whole number, such as 0.1 or 0.05; got 0.3"),
        ("joint bone --out fused.csv", "the fused scores are an .npz file, but --out is 'fused.csv'"),
        ("joint bone --out nowhere/fused.npz", "no folder nowhere"),
        ("joint bone --of scores", "invalid choice: 'scores'"),
        ("joint bone --ids nowhere.txt", "no list of clip ids 'nowhere.txt'"),
    ],
)
def test_mistakes(runs: Path, arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "empty").mkdir()
    with unchanged(runs):
        assert message in complaint(capsys, arguments)


def test_a_run_without_validation_scores(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "bone/scores-val.npz").unlink()
    line = complaint(capsys, "joint bone --search")
    assert "no scores 'bone/scores-val.npz'; write it with 'bonegraph evaluate bone --part val'." in line
