"""What ``bonegraph evaluate`` says besides the scores: three accuracies, films, some of the classes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bonegraph.__main__ import main
from bonegraph.scores import Scores
from bonegraph.scores.subset import among, clips_of, confident_mistakes


@pytest.fixture(scope="module")
def run(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate") / "run"
    shutil.copytree(finished, folder)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["evaluate", *arguments, "--progress", "false"]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def payload(path: Path) -> dict[str, Any]:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', path.read_text())
    loaded: dict[str, Any] = json.loads(found)
    return loaded


def row(path: Path, name: str) -> list[str]:
    """Cells of a row of the accuracies."""
    found = re.search(rf"<tr><td>{name}</td>(.*?)</tr>", path.read_text())
    assert found is not None, name
    return re.findall(r"<td[^>]*>(.*?)</td>", found.group(1))


def test_accuracies_of_both_weights(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, str(run), "--weights", "best")
    best = Scores.load(run / "scores.npz").top(1)
    printed(capsys, str(run))
    last = Scores.load(run / "scores.npz").top(1)
    assert row(run / "report.html", "last epoch") == ["test", f"{last:.2%}", ""]
    assert row(run / "report.html", "best on validation") == ["test", f"{best:.2%}", ""]
    assert "best on test" not in (run / "report.html").read_text()
    printed(capsys, str(run), "--part", "val")
    assert row(run / "report-val.html", "best on validation")[2] == "chosen on this very part"


def test_fast_plain_and_in_bf16(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for options in ((), ("--fast", "false"), ("--precision", "bf16")):
        printed(capsys, str(run), *options)
        found.append(Scores.load(run / "scores.npz").probabilities)
    quick, plain, half = found
    assert 0 < abs(quick - plain).max() < 1e-5
    assert 1e-5 < abs(half - plain).max() < 0.05
    assert main(["evaluate", str(run), "--fast", "false", "--precision", "bf16"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_films_of_the_surest_mistakes(run: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bonegraph.datasets.store import Store
    from bonegraph.viz.films import film_data

    printed(capsys, str(run))
    scores = Scores.load(run / "scores.npz")
    wrong = scores.ids[confident_mistakes(scores, 12)].tolist()
    assert wrong
    films = payload(run / "report.html")["films"]
    opened = Store.open(store)
    expected = [film_data(opened.sequence(opened.find(clip))) for clip in wrong]
    assert list(films.values()) == json.loads(json.dumps(expected))


def test_some_of_the_classes(run: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, str(run))
    scores = Scores.load(run / "scores.npz")
    chosen = [scores.classes[label] for label in sorted(set(scores.labels.tolist()))[:4]]
    path = tmp_path / "classes.txt"
    path.write_text("\n".join(chosen) + "\n\n")
    part = clips_of(scores, chosen)
    for restrict, accuracy, way in (
        ("false", part.mean_class_accuracy(), 16),
        ("true", among(part, chosen).mean_class_accuracy(), 4),
    ):
        out = printed(capsys, str(run), "--classes", str(path), "--restrict", restrict)
        line = f"over the 4 classes of {path}: {len(part)} clips, choosing among {way}"
        assert f"mean class accuracy   {accuracy:8.2%} {line}" in out.splitlines()
        assert f"{accuracy:.2%} {line}" in (run / "report.html").read_text()
    assert Scores.load(run / "scores.npz").ids.tolist() == scores.ids.tolist()  # the scores are those of all clips


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--classes kinetics-motion", "no class 'belly dancing' among the 16"),
        ("--classes kinetics-motoin", "no list of classes 'kinetics-motoin'; give a file of one class name a line"),
        ("--classes EMPTY", "names no class"),
        ("--classes BINARY", "is no text"),
        ("--restrict true", "--restrict is for --classes"),
    ],
)
def test_mistakes(run: Path, tmp_path: Path, arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "EMPTY").write_text("\n")
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe")
    for name in ("EMPTY", "BINARY"):
        arguments = arguments.replace(name, str(tmp_path / name))
    assert main(["evaluate", str(run), "--progress", "false", *arguments.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
