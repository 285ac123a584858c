"""``bonegraph compare`` as a user gives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.scores import Scores

from .runs import unchanged


def save(path: Path, answers: str, ids: str = "abcdefgh") -> None:
    """Eight clips, four of each class, and the answers as letters: s(it) or w(alk)."""
    rows = np.array([[0.75, 0.25] if answer == "s" else [0.25, 0.75] for answer in answers], np.float32)
    path.parent.mkdir(exist_ok=True)
    Scores(np.array(list(ids)), ("sit", "walk"), rows, np.array([0, 0, 0, 0, 1, 1, 1, 1])).save(path)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save(tmp_path / "base/scores.npz", "sswwwwws")  # sit 2/4, walk 3/4
    save(tmp_path / "new/scores.npz", "ssssswws")  # sit 4/4, walk 2/4
    save(tmp_path / "base1/scores.npz", "sswwwwww")
    save(tmp_path / "new1/scores.npz", "ssssssww")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], arguments: str) -> list[str]:
    assert main(["compare", *arguments.split()]) == 0, capsys.readouterr().err
    return capsys.readouterr().out.splitlines()


def complaint(capsys: pytest.CaptureFixture[str], arguments: str) -> str:
    assert main(["compare", *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_two_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "base new --report difference.html")
    assert lines[:6] == [
        "A  base",
        "B  new",
        "top-1 of A              62.50%",
        "top-1 of B              75.00%",
        "difference B - A        +12.50 points",
        "clips                        8",
    ]
    assert lines[6].startswith("interval ") and lines[6].endswith(
        "(95%, bootstrap over clips, 10,000 resamples, seed 0)"
    )
    assert lines[7] == "McNemar               p = 1 (exact binomial)"
    assert lines[8:10] == [
        "only A is right              1  e",
        "only B is right              2  c, d",
    ]
    assert [line.split() for line in lines[11:13]] == [
        ["sit", "+50.00", "50.00%", "100.00%", "4"],
        ["walk", "-25.00", "75.00%", "50.00%", "4"],
    ]
    assert lines[-1] == "report: difference.html"
    text = (runs / "difference.html").read_text()
    assert "+12.50" in text and "Only B is right: 2 clips" in text
    assert printed(capsys, "base new --report difference.html") == lines
    assert (runs / "difference.html").read_text() == text


def test_several_runs_a_side(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "base base1 --with new new1 --report difference.html")
    assert lines[:2] == ["A  base, base1", "B  new, new1"]
    assert lines[2] == "top-1 of A              68.75% ± 8.84 (mean ± sd of 2 runs: 62.50%, 75.00%)"
    assert lines[3] == "top-1 of B              75.00% ± 0.00 (mean ± sd of 2 runs: 75.00%, 75.00%)"
    assert any(line.startswith("note: the spread is that of several trainings") for line in lines)
    assert not any("McNemar  " in line for line in lines)
    assert "mean ± sd of 2 runs" in (runs / "difference.html").read_text()


def test_other_clips(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(runs / "new/scores.npz", "ssssswws", ids="bcdxefgh")
    line = complaint(capsys, "base new")
    assert line == (
        "bonegraph compare: cannot compare 'base' with 'new': 2 clips are in only one of them (first: 'a'). Score both "
        "runs on the same split."
    )
    lines = printed(capsys, "base new --common")
    assert "note: 7 of 9 clips are in all of them; the others are left out." in lines
    assert "clips                        7" in lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: inputs; see 'bonegraph compare --help'"),
        ("base", "give A and B, got 1; several runs a side as 'A1 A2 --with B1 B2'"),
        ("base new new1", "give A and B, got 3"),
        ("base nowhere", "no scores 'nowhere'"),
        ("base new --resamples 0", "at least 1 resample, got 0"),
        ("base new --report nowhere/x.html", "no folder nowhere"),
    ],
)
def test_mistakes(runs: Path, arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with unchanged(runs):
        assert message in complaint(capsys, arguments)
