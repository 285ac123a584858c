"""The report is one harmless file that holds the right numbers."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.scores import Scores
from bonegraph.scores.comparison import Comparison, compare
from bonegraph.scores.subset import confident_mistakes
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.viz.differences import write_comparison
from bonegraph.viz.report import Accuracy, write_report

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "<!-- <b>bold & \"quoted\" 'name'",
    '<a href="javascript:alert(3)">go</a>',
)
METRICS = """\
epoch,step,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds
0,10,0.1,2.5,0.2,,,3.1
1,20,0.1,2.0,0.4,1.75,0.5,3.0
2,30,0.01,1.5,0.6,,,3.0
"""


@dataclass
class Page:
    """What a browser would see."""

    text: str
    title: str = ""
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    scripts: list[tuple[dict[str, str], str]] = field(default_factory=list)
    visible: str = ""

    @property
    def data(self) -> dict[str, Any]:
        (found,) = [content for attributes, content in self.scripts if attributes.get("id") == "data"]
        loaded: dict[str, Any] = json.loads(found)
        return loaded

    @property
    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.elements if "id" in attributes}


class Reader(HTMLParser):
    """Sort the parts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.page = Page(text)
        self.inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.page.elements.append((tag, attributes))
        if tag == "script":
            self.page.scripts.append((attributes, ""))
        if tag in ("script", "style", "title"):
            self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            attributes, content = self.page.scripts[-1]
            self.page.scripts[-1] = (attributes, content + data)
        elif self.inside == "title":
            self.page.title += data
        elif not self.inside:
            self.page.visible += data


def read(path: Path) -> Page:
    return Reader(path.read_text(encoding="utf-8")).page


def make_scores(classes: tuple[str, ...], clips: int = 60, ids: tuple[str, ...] = (), labelled: bool = True) -> Scores:
    rng = np.random.default_rng(len(classes))
    return Scores(
        ids=np.array(ids or [f"clip{number}" for number in range(clips)]),
        classes=classes,
        probabilities=rng.dirichlet(np.ones(len(classes)), size=clips).astype(np.float32),
        labels=rng.integers(0, len(classes), clips) if labelled else np.full(clips, -1),
    )


def films_of(scores: Scores, count: int) -> dict[str, Sequence]:
    """Recordings of the surest mistakes."""
    rng = np.random.default_rng(0)
    rows = confident_mistakes(scores, count)
    assert len(rows) == count
    return {
        str(scores.ids[row]): Sequence(
            rng.normal(size=(7, 1, 25, 3)).astype(np.float32),
            np.ones((7, 1), bool),
            SKELETONS["ntu25"],
            fps=30.0,
            unit="m",
        )
        for row in rows
    }


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    path.write_text(METRICS)
    return path


class TestSafety:
    """Nothing is loaded and no name acts."""

    def test_no_network(self, tmp_path: Path, metrics: Path) -> None:
        page = read(
            write_report(
                tmp_path / "report.html", title="t", scores=make_scores(("a", "b")), curves=metrics, facts={"a": "b"}
            )
        )
        for tag, attributes in page.elements:
            assert tag not in {"iframe", "object", "embed", "base", "img", "form"}
            assert "src" not in attributes
            assert attributes.get("href", "data:,") == "data:,"
            assert not [name for name in attributes if name.startswith("on")]
        (style,) = [text for text in page.text.split("<style>")[1:]]
        assert "url(" not in style.partition("</style>")[0]
        assert "@import" not in style.partition("</style>")[0]

    @pytest.mark.parametrize("film", [False, True])
    def test_only_our_scripts_may_run(self, tmp_path: Path, film: bool) -> None:
        scores = make_scores(("a", "b"))
        films = films_of(scores, 2) if film else {}
        path = tmp_path / "report.html"
        page = read(write_report(path, title="t", scores=scores, curves=None, facts={}, films=films))
        (policy,) = [a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        running = [content for attributes, content in page.scripts if "type" not in attributes]
        assert len(running) == 3 + film
        for content in running:
            digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        assert page.text.count("plotly.js v") == 1
        assert policy.count("sha256-") == len(running)

    def test_hostile_names(self, tmp_path: Path) -> None:
        scores = make_scores(HOSTILE, clips=40, ids=tuple(f"{HOSTILE[n % 4]}{n}" for n in range(40)))
        path = write_report(
            tmp_path / "report.html",
            title=HOSTILE[1],
            scores=scores,
            curves=None,
            facts={HOSTILE[0]: HOSTILE[1], "command": HOSTILE[2], "odd path": "caf\udce9"},
            accuracies=[Accuracy(HOSTILE[0], HOSTILE[1], 0.5, HOSTILE[3])],
            films=films_of(scores, 5),
        )
        page = read(path)
        assert page.title == HOSTILE[1]
        assert not [tag for tag, _ in page.elements if tag in {"img", "a", "b"}]
        assert [attributes["data-film"] for tag, attributes in page.elements if tag == "canvas"] == [
            f"wrong-{number}" for number in range(5)
        ]
        assert len(page.scripts) == 5
        for name in HOSTILE:
            assert name in page.visible  # as text
        # plotly would read tags in its labels
        assert not [name for name in page.data["classes"]["names"] + page.data["classes"]["ticks"] if "<" in name]
        assert page.data["classes"]["names"][0] == "&lt;script&gt;alert(1)&lt;/script&gt;"


class TestContent:
    """The numbers are those of the scores."""

    def test_headline_facts_and_tables(self, tmp_path: Path, metrics: Path) -> None:
        scores = make_scores(tuple(f"action {number}" for number in range(8)), clips=200)
        path = tmp_path / "report.html"
        facts = {"recipe": "stgcn", "seed": "7", "command": "bonegraph fit stgcn --seed 7"}
        assert write_report(path, title="A run", scores=scores, curves=str(metrics), facts=facts) == path
        page = read(path)
        for text in (f"{scores.top(1):.2%}", f"{scores.top(5):.2%}", f"{scores.mean_class_accuracy():.2%}", "A run"):
            assert text in page.visible
        for name, value in facts.items():
            assert name in page.visible and value in page.visible

        assert np.array_equal(page.data["classes"]["counts"], scores.confusion())
        assert page.data["classes"]["mean"] == scores.mean_class_accuracy()
        worst = min(scores.per_class(), key=lambda row: row.correct / row.clips)
        assert f"{worst.correct} of {worst.clips}" in page.visible

        wrong = [clip for clip in range(200) if scores.predicted[clip] != scores.labels[clip]]
        order = sorted(wrong, key=lambda clip: -scores.probabilities[clip].max())
        mistakes = page.visible.partition("Most confident mistakes")[2]
        places = [mistakes.index(f"{scores.ids[clip]}action") for clip in order[:20]]
        assert places == sorted(places)
        assert f"20 of {len(wrong)} wrong clips" in mistakes
        assert f"{scores.ids[order[20]]}action" not in mistakes

    def test_films_stand_below_the_mistakes(self, tmp_path: Path) -> None:
        scores = make_scores(("sit", "stand"), clips=40)
        films = films_of(scores, 3)
        page = read(write_report(tmp_path / "r.html", title="t", scores=scores, curves=None, facts={}, films=films))
        canvases = [attributes["data-film"] for tag, attributes in page.elements if tag == "canvas"]
        assert canvases == list(page.data["films"])
        below = page.visible.partition("Most confident mistakes")[2].partition("Probability")[2]
        for clip in films:
            row = scores.ids.tolist().index(clip)
            truth, answer = (scores.classes[k] for k in (scores.labels[row], scores.predicted[row]))
            assert f"{clip}{truth}, taken for {answer} ({scores.probabilities[row].max():.0%})" in below
        for film in page.data["films"].values():
            assert film["frames"] == 7 and len(film["people"]) == 1

    def test_three_accuracies(self, tmp_path: Path) -> None:
        table = tmp_path / "metrics.csv"
        table.write_text("epoch,train_accuracy,test_accuracy\n0,0.2,0.5\n1,0.3,0.75\n2,0.4,0.75\n3,0.5,0.625\n")
        accuracies = [Accuracy("last epoch", "test", 0.625), Accuracy("best on validation", "test", 0.5)]
        path = tmp_path / "r.html"
        page = read(write_report(path, title="t", scores=None, curves=table, facts={}, accuracies=accuracies))
        shown = page.visible.partition("Remark")[2]
        assert shown.startswith(
            "last epochtest62.50%best on validationtest50.00%best on test (epoch 1)test75.00%"
            "the field's habit: chosen on the test part, not an honest figure"
        )

    @pytest.mark.parametrize("content", ["epoch,test_accuracy\n0,\n1,\n", "epoch,train_accuracy\n0,0.5\n"])
    def test_unwatched_runs_have_no_best_on_test(self, tmp_path: Path, content: str) -> None:
        table = tmp_path / "metrics.csv"
        table.write_text(content)
        page = read(write_report(tmp_path / "r.html", title="t", scores=None, curves=table, facts={}))
        assert "best on test" not in page.visible and "Remark" not in page.visible

    def test_no_top5_for_few_classes(self, tmp_path: Path) -> None:
        page = read(
            write_report(tmp_path / "r.html", title="t", scores=make_scores(("a", "b", "c")), curves=None, facts={})
        )
        assert "Top-1" in page.visible
        assert "Top-5" not in page.visible

    def test_all_right(self, tmp_path: Path) -> None:
        scores = Scores(np.array(["x", "y"]), ("a", "b", "never"), np.eye(3, dtype=np.float32)[:2], np.array([0, 1]))
        page = read(write_report(tmp_path / "r.html", title="t", scores=scores, curves=None, facts={}))
        assert "100.00%" in page.visible
        assert "No class has a mistake" in page.visible
        assert "Every labelled clip is right" in page.visible
        assert "1 of 3 classes have no clip" in page.visible

    @pytest.mark.parametrize("clips", [0, 12])
    def test_without_labels(self, tmp_path: Path, clips: int) -> None:
        scores = make_scores(("a", "b"), clips=clips, labelled=False)
        page = read(write_report(tmp_path / "r.html", title="t", scores=scores, curves=None, facts={}))
        assert f"None of the {clips} clips has a label" in page.visible
        assert "Top-1" not in page.visible
        assert page.data == {}

    def test_neither_scores_nor_curves(self, tmp_path: Path) -> None:
        page = read(write_report(tmp_path / "r.html", title="t", scores=None, curves=None, facts={"seed": "1"}))
        assert "neither scores nor training curves" in page.visible
        assert "seed" in page.visible

    @pytest.mark.parametrize("count", [2, 60, 400])
    def test_labels_of_the_axes_stay_apart(self, tmp_path: Path, count: int) -> None:
        long = "put something inside the pocket of person "
        scores = make_scores(tuple(f"{long}{number}" for number in range(count)), clips=500)
        page = read(write_report(tmp_path / "r.html", title="t", scores=scores, curves=None, facts={}))
        ticks = page.data["classes"]["ticks"]
        assert len(set(ticks)) == count
        assert max(map(len, ticks)) < len(long)
        assert page.data["classes"]["names"][1] == f"{long}1"
        assert len(page.text) < 8_000_000

    def test_a_name_that_looks_like_a_shortened_one(self, tmp_path: Path) -> None:
        stem = "abcdefghijklmnopqrstuvwxyz"
        names = (stem + "1", stem + "2", stem[:23] + "… #1", " ")
        page = read(write_report(tmp_path / "r.html", title="t", scores=make_scores(names), curves=None, facts={}))
        assert len(set(page.data["classes"]["ticks"])) == 4
        assert all(tick.strip() for tick in page.data["classes"]["ticks"])

    def test_same_run_same_file(self, tmp_path: Path, metrics: Path) -> None:
        scores = make_scores(("a", "b"))
        one, other = (
            write_report(tmp_path / name, title="t", scores=scores, curves=metrics, facts={}) for name in ("1", "2")
        )
        assert one.read_bytes() == other.read_bytes()


class TestCurves:
    """Whatever a run left behind in metrics.csv."""

    def page(self, folder: Path, content: str) -> Page:
        (folder / "metrics.csv").write_text(content)
        return read(write_report(folder / "r.html", title="t", scores=None, curves=folder / "metrics.csv", facts={}))

    def lines(self, page: Page) -> dict[str, dict[float, float]]:
        return {
            f"{chart['title']} {line['name']}": dict(zip(line["x"], line["y"], strict=True))
            for chart in page.data["curves"]
            for line in chart["lines"]
        }

    def test_empty_cells_are_gaps(self, tmp_path: Path) -> None:
        page = self.page(tmp_path, METRICS)
        assert self.lines(page) == {
            "Loss training": {0: 2.5, 1: 2.0, 2: 1.5},
            "Loss validation": {1: 1.75},
            "Accuracy training": {0: 0.2, 1: 0.4, 2: 0.6},
            "Accuracy validation": {1: 0.5},
            "Learning rate learning rate": {0: 0.1, 1: 0.1, 2: 0.01},
        }
        assert {"curve-0", "curve-1", "curve-2"} <= page.ids

    def test_missing_columns(self, tmp_path: Path) -> None:
        assert self.lines(self.page(tmp_path, "epoch,train_loss\n0,2\n1,1\n")) == {"Loss training": {0: 2, 1: 1}}
        assert self.lines(self.page(tmp_path, "train_loss\n2\n1\n")) == {"Loss training": {0: 2, 1: 1}}

    def test_repeated_epochs_and_a_cut_last_row(self, tmp_path: Path) -> None:
        page = self.page(tmp_path, "epoch,train_loss,lr\n1,1.5,0.1\n0,2,0.1\n1,1,0.1\n2")
        assert self.lines(page)["Loss training"] == {0: 2, 1: 1}

    def test_divergence_is_told(self, tmp_path: Path) -> None:
        page = self.page(tmp_path, "epoch,train_loss\n0,2\n1,nan\n2,inf\n")
        assert self.lines(page) == {"Loss training": {0: 2}}
        assert "train_loss is not a finite number in 2 epochs (first: epoch 1)" in page.visible

    @pytest.mark.parametrize("content", ["", "epoch,train_loss\n", "something,else\n1,2\n"])
    def test_nothing_recorded(self, tmp_path: Path, content: str) -> None:
        assert "No epoch has been recorded" in self.page(tmp_path, content).visible

    def test_not_a_table(self, tmp_path: Path) -> None:
        path = tmp_path / "metrics.csv"
        path.write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(ValueError, match="not a table of training curves"):
            write_report(tmp_path / "r.html", title="t", scores=None, curves=path, facts={})


class TestFiles:
    """Written whole or not at all."""

    def test_nothing_left_over(self, tmp_path: Path) -> None:
        for title in ("old", "new"):
            write_report(tmp_path / "report.html", title=title, scores=None, curves=None, facts={})
        assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
        assert read(tmp_path / "report.html").title == "new"

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="no folder"):
            write_report(tmp_path / "nowhere" / "r.html", title="t", scores=None, curves=None, facts={})
        with pytest.raises(FileNotFoundError, match="no training curves"):
            write_report(tmp_path / "r.html", title="t", scores=None, curves=tmp_path / "metrics.csv", facts={})
        assert not (tmp_path / "r.html").exists()


class TestComparison:
    """The page about two runs."""

    def compared(self) -> Comparison:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 4, 60)
        ids = np.array([f"{HOSTILE[n % 4]}{n}" for n in range(60)], dtype=np.str_)

        def one() -> Scores:
            rows: NDArray[np.float32] = rng.dirichlet(np.ones(4), 60).astype(np.float32)
            return Scores(ids, HOSTILE, rows, labels)

        return compare([one()], [one()])

    def test_hostile_names(self, tmp_path: Path) -> None:
        result = self.compared()
        page = read(
            write_comparison(
                tmp_path / "c.html",
                result,
                facts={"A": HOSTILE[0], "B": HOSTILE[1]},
                notes=[HOSTILE[2]],
                title=HOSTILE[3],
            )
        )
        assert page.title == HOSTILE[3]
        assert not [tag for tag, _ in page.elements if tag in {"img", "a", "b"}]
        assert all(name in page.visible for name in HOSTILE)
        assert not [name for name in page.data["names"] + page.data["ticks"] if "<" in name]

    def test_numbers(self, tmp_path: Path) -> None:
        result = self.compared()
        page = read(write_comparison(tmp_path / "c.html", result, facts={}))
        assert page.data["differences"] == [row.difference for row in result.classes]
        assert result.paired is not None
        assert f"p = {result.paired.p_value:.3g}" in page.visible
        assert f"Only A is right: {len(result.paired.only_first)} clips" in page.visible
        for clip in (*result.paired.only_first, *result.paired.only_second):
            assert clip in page.visible
        assert "differences" in page.ids
        with pytest.raises(FileNotFoundError, match="no folder"):
            write_comparison(tmp_path / "nowhere/c.html", result, facts={})

    def test_several_runs(self, tmp_path: Path) -> None:
        runs = [make_scores(("a", "b"), clips=clips) for clips in (9, 9)]
        page = read(write_comparison(tmp_path / "c.html", compare(runs, runs), facts={}))
        assert "mean ± sd of 2 runs" in page.visible and "McNemar" not in page.visible
