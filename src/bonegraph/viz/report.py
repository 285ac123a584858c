"""The report of a run: one HTML file that opens anywhere, also without a network.

Text and tables are plain HTML; the numbers behind the charts and films travel as JSON (see `bonegraph.viz.page`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import MappingProxyType

from bonegraph.scores import Scores, worst_classes
from bonegraph.scores.subset import confident_mistakes
from bonegraph.sequence import Sequence as Recording
from bonegraph.viz.charts import chart_scripts, plotly_text, short_names
from bonegraph.viz.curves import Curves, read_curves
from bonegraph.viz.films import FILM_SCRIPT, FILM_STYLE, film_data, film_element
from bonegraph.viz.page import facts_section, page, tiles, write_page

_WORST_CLASSES = 10
_WRONG_CLIPS = 20


@dataclass(frozen=True)
class Accuracy:
    """One of the accuracies of a run, which differ in the epoch whose weights they are measured with.

    Attributes:
        weights: of which epoch.
        part: of the split, on which they are measured.
        share: top-1 in [0, 1].
        remark: what a reader should know about it.
    """

    weights: str
    part: str
    share: float
    remark: str = ""


HABIT = "the field's habit: chosen on the test part, not an honest figure"
"""The remark on the best epoch on test."""


def write_report(
    path: str | Path,
    *,
    title: str,
    scores: Scores | None,
    curves: str | Path | None,
    facts: Mapping[str, str],
    accuracies: Sequence[Accuracy] = (),
    films: Mapping[str, Recording] = MappingProxyType({}),
) -> Path:
    """Write a self-contained HTML report.

    Args:
        path: file to write, usually ``report.html`` in the run folder; its folder must exist.
        title: heading of the page.
        scores: scores of the evaluated clips; None leaves out everything about accuracy.
        curves: ``metrics.csv``, see `bonegraph.viz.curves.read_curves`. None leaves the curves out. Where it has a
            column test_accuracy, its highest value joins the accuracies, marked as what it is.
        facts: what a reader needs to repeat the run (recipe, data, split, seed, time, machine, command), shown in the
            given order.
        accuracies: of the same run with the weights of several epochs.
        films: recordings of wrong clips by clip id, see `bonegraph.scores.subset.confident_mistakes`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if the folder of ``path`` or the file ``curves`` does not exist.
        ValueError: if ``curves`` is not a table.
    """
    recorded = read_curves(Path(curves)) if curves is not None else None
    shown = list(accuracies)
    if recorded is not None and recorded.best_on_test is not None:
        epoch, share = recorded.best_on_test
        shown.append(Accuracy(f"best on test (epoch {epoch})", "test", share, HABIT))
    data: dict[str, object] = {}
    scripts = chart_scripts(_SCRIPT)
    sections = [_headline(scores) if scores is not None else "", _accuracy_section(shown), facts_section("Run", facts)]
    if recorded is not None:
        sections.append(_curve_section(recorded))
        data["curves"] = recorded.charts
    if scores is not None and scores.labelled.any():
        keys = {clip: f"wrong-{at}" for at, clip in enumerate(films)}
        sections += [_confusion_section(scores), _class_section(scores), _wrong_section(scores, keys)]
        data["classes"] = _class_data(scores)
        if films:
            data["films"] = {keys[clip]: film_data(recording) for clip, recording in films.items()}
            scripts.append(FILM_SCRIPT)
    if scores is None and recorded is None:
        sections.append('<p class="note">This run has neither scores nor training curves yet.</p>')
    write_page(Path(path), page(title, sections, data=data, scripts=scripts, style=_STYLE + FILM_STYLE))
    return Path(path)


# --- the sections -----------------------------------------------------------------------------------------------------


def _headline(scores: Scores) -> str:
    known = int(scores.labelled.sum())
    values = {}
    if known:
        values["Top-1"] = f"{scores.top(1):.2%}"
        if len(scores.classes) > 5:
            values["Top-5"] = f"{scores.top(5):.2%}"
        values["Mean class"] = f"{scores.mean_class_accuracy():.2%}"
    values["Clips"] = f"{len(scores):,}"
    values["Classes"] = f"{len(scores.classes):,}"
    note = ""
    if known == 0:
        note = f'<p class="note">None of the {len(scores):,} clips has a label, so there is no accuracy to report.</p>'
    elif known < len(scores):
        note = f'<p class="note">Only the {known:,} of {len(scores):,} clips that have a label count.</p>'
    return tiles(values) + note


def _accuracy_section(accuracies: Sequence[Accuracy]) -> str:
    if not accuracies:
        return ""
    rows = "".join(
        f"<tr><td>{escape(one.weights)}</td><td>{escape(one.part)}</td><td class='number'>{one.share:.2%}</td>"
        f"<td>{escape(one.remark)}</td></tr>"
        for one in accuracies
    )
    return (
        '<section><h2>Accuracy, by the epoch of the weights</h2><div class="wide"><table><thead><tr><th>Weights</th>'
        f"<th>Part</th><th class='number'>Top-1</th><th>Remark</th></tr></thead><tbody>{rows}</tbody></table></div>"
        "</section>"
    )


def _curve_section(curves: Curves) -> str:
    if not curves.charts:
        return '<section><h2>Training</h2><p class="note">No epoch has been recorded.</p></section>'
    charts = "".join(f'<div class="chart" id="curve-{number}"></div>' for number in range(len(curves.charts)))
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in curves.notes)
    return f'<section><h2>Training</h2>{notes}<div class="curves">{charts}</div></section>'


def _confusion_section(scores: Scores) -> str:
    # A cell needs a few pixels to be seen; on a narrow screen the matrix scrolls sideways instead of shrinking.
    size = len(scores.classes)
    width = min(220 + size * (40 if size <= 12 else 14), 1060)
    height = min(190 + size * (44 if size <= 12 else 16), 1060)
    hidden = "; names that do not fit appear when zoomed in" if size > 60 else ""
    return (
        "<section><h2>Confusion matrix</h2>"
        f"<p>Each row is a true class and sums to 100 %. Hover for counts, drag to zoom, double-click to zoom out"
        f'{hidden}.</p><div class="wide"><div id="confusion" '
        f'style="min-width:{width}px;max-width:{max(520, height * 4 // 3)}px;height:{height}px"></div></div></section>'
    )


def _class_section(scores: Scores) -> str:
    rows = scores.per_class()
    absent = sum(row.clips == 0 for row in rows)
    left_out = f" {absent} of {len(rows)} classes have no clip and are left out." if absent else ""
    height = 90 + 20 * (len(rows) - absent)
    chart = (
        "<section><h2>Accuracy of each class</h2>"
        f"<p>Lowest first; the dashed line is the mean over classes.{left_out}</p>"
        f'<div class="tall"><div id="classes" style="height:{height}px"></div></div></section>'
    )
    worst = worst_classes(scores, _WORST_CLASSES)
    if not worst:
        return chart + "<section><h2>Worst classes</h2><p>No class has a mistake.</p></section>"
    cells = "".join(
        f"<tr><td>{escape(row.name)}</td><td class='number'>{row.correct / row.clips:.1%}</td>"
        f"<td class='number'>{row.correct} of {row.clips}</td>"
        f"<td>{escape(row.confused_with or '')} <small>({row.confused_clips})</small></td></tr>"
        for row in worst
    )
    return (
        f'{chart}<section><h2>Worst classes</h2><div class="wide"><table><thead><tr><th>Class</th>'
        "<th class='number'>Accuracy</th><th class='number'>Correct</th><th>Most often taken for</th></tr></thead>"
        f"<tbody>{cells}</tbody></table></div></section>"
    )


def _wrong_section(scores: Scores, films: Mapping[str, str]) -> str:
    """The surest mistakes, and the films of those that have one (clip id to the key of its data)."""
    heading = "<section><h2>Most confident mistakes</h2>"
    wrong = int((scores.labelled & (scores.predicted != scores.labels)).sum())
    if not wrong:
        return f"{heading}<p>Every labelled clip is right.</p></section>"
    shown = [_mistake(scores, int(row)) for row in confident_mistakes(scores, _WRONG_CLIPS)]
    cells = "".join(
        f"<tr><td><code>{escape(one.clip)}</code></td><td>{escape(one.truth)}</td>"
        f"<td class='number'>{one.truth_share:.1%}</td><td>{escape(one.answer)}</td>"
        f"<td class='number'>{one.answer_share:.1%}</td></tr>"
        for one in shown
    )
    canvases = "".join(
        film_element(films[one.clip], one.clip, f"{one.truth}, taken for {one.answer} ({one.answer_share:.0%})")
        for one in shown
        if one.clip in films
    )
    return (
        f"{heading}<p>{len(shown)} of {wrong:,} wrong clips, the surest first: worth watching for wrong labels, "
        'bad poses and truly similar actions.</p><div class="wide"><table><thead><tr><th>Clip</th><th>Truth</th>'
        "<th class='number'>Probability</th><th>Answer</th><th class='number'>Probability</th></tr></thead>"
        f"<tbody>{cells}</tbody></table></div>"
        + (f'<div class="films">{canvases}</div>' if canvases else "")
        + "</section>"
    )


@dataclass(frozen=True)
class _Mistake:
    clip: str
    truth: str
    truth_share: float
    answer: str
    answer_share: float


def _mistake(scores: Scores, row: int) -> _Mistake:
    truth, answer = int(scores.labels[row]), int(scores.predicted[row])
    shares = scores.probabilities[row]
    return _Mistake(
        clip=str(scores.ids[row]),
        truth=scores.classes[truth],
        truth_share=float(shares[truth]),
        answer=scores.classes[answer],
        answer_share=float(shares[answer]),
    )


def _class_data(scores: Scores) -> dict[str, object]:
    """Names, short unique axis labels, counts and the mean for the two charts about classes."""
    return {
        "names": [plotly_text(name) for name in scores.classes],
        "ticks": [plotly_text(tick) for tick in short_names(scores.classes)],
        "counts": scores.confusion().tolist(),
        "mean": scores.mean_class_accuracy(),
    }


# --- the looks --------------------------------------------------------------------------------------------------------

_STYLE = """
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: .5rem; }
.chart { height: 280px; min-width: 0; }
.films { margin-top: 1rem; }
"""

_SCRIPT = """
"use strict";
function drawCurve(chart, number) {
  const alone = chart.lines.length === 1;
  const traces = chart.lines.map((line, at) => ({
    type: "scatter", mode: line.x.length < 40 ? "lines+markers" : "lines", name: line.name, x: line.x, y: line.y,
    line: {
      width: 2, dash: line.name === "test" ? "dot" : "solid",
      color: css(line.name === "test" ? "ink" : alone || line.name === "validation" ? "second" : "first"),
    },
    marker: {size: 4},
  }));
  Plotly.react("curve-" + number, traces, layout({
    title: {text: chart.title, font: {size: 14, color: css("ink")}, x: 0, xanchor: "left",
      y: 0.95, yanchor: "top"},
    margin: {l: 10, r: 10, t: 40, b: 10}, hovermode: "x unified", showlegend: !alone,
    legend: {orientation: "h", x: 1, xanchor: "right", y: 1.02, yanchor: "bottom"},
    xaxis: axis({title: {text: "epoch"}, showgrid: false, tickformat: ",d",
      dtick: Math.max(...chart.lines.map(line => line.x.length)) <= 8 ? 1 : undefined}),
    yaxis: axis({tickformat: chart.ticks, type: chart.logarithmic ? "log" : "linear", exponentformat: "power",
      dtick: chart.logarithmic ? 1 : undefined}),
  }), config);
}

function drawConfusion(classes) {
  const {names, ticks, counts} = classes, size = names.length;
  const totals = counts.map(row => row.reduce((sum, count) => sum + count, 0));
  const share = counts.map((row, truth) => row.map(count => totals[truth] ? count / totals[truth] : null));
  const written = share.map(row => row.map(value => value ? (100 * value).toFixed(0) + "%" : ""));
  const hover = counts.map((row, truth) => row.map((count, answer) =>
    `truth <b>${names[truth]}</b><br>answer <b>${names[answer]}</b><br>${count} of ${totals[truth]} clips`));
  Plotly.react("confusion", [{
    type: "heatmap", x: ticks, y: ticks, z: share, customdata: hover,
    hovertemplate: "%{customdata}, %{z:.1%}<extra></extra>",
    text: written, texttemplate: size <= 12 ? "%{text}" : "",
    xgap: size <= 60 ? 1 : 0, ygap: size <= 60 ? 1 : 0, zmin: 0, zmax: 1,
    // a few per cent of confusion have to be visible beside a strong diagonal
    colorscale: [[0, css("low")], [0.25, css("middle")], [1, css("high")]],
    colorbar: {tickformat: ".0%", thickness: 10, outlinewidth: 0, lenmode: "pixels", len: 220,
      y: 1, yanchor: "top"},
  }], layout({
    margin: {l: 10, r: 10, t: 10, b: 10}, font: {size: size <= 30 ? 12 : 9, color: css("soft")},
    xaxis: axis({title: {text: "answer", standoff: 10}, type: "category", showgrid: false,
      tickangle: ticks.join("  ").length <= 50 ? 0 : -90}),
    yaxis: axis({title: {text: "truth", standoff: 10}, type: "category", showgrid: false, autorange: "reversed"}),
  }), config);
}

function drawClasses(classes) {
  const {names, ticks, counts} = classes;
  const rows = counts.map((row, at) => {
    const clips = row.reduce((sum, count) => sum + count, 0);
    return {at, clips, correct: row[at], accuracy: row[at] / clips};
  }).filter(row => row.clips > 0).sort((a, b) => a.accuracy - b.accuracy || b.clips - a.clips || a.at - b.at);
  Plotly.react("classes", [{
    type: "bar", orientation: "h", y: rows.map(row => ticks[row.at]), x: rows.map(row => row.accuracy),
    text: rows.map(row => `<b>${names[row.at]}</b><br>${row.correct} of ${row.clips} clips`), textposition: "none",
    hovertemplate: "%{text}, %{x:.1%}<extra></extra>", marker: {color: css("second")},
  }], layout({
    margin: {l: 10, r: 20, t: 10, b: 10}, bargap: 0.3, dragmode: false,
    xaxis: axis({range: [0, 1], tickformat: ".0%", side: "top", fixedrange: true}),
    yaxis: axis({type: "category", autorange: "reversed", fixedrange: true, tickmode: "linear", dtick: 1,
      showgrid: false}),
    shapes: [{type: "line", x0: classes.mean, x1: classes.mean, y0: 0, y1: 1, yref: "paper",
      line: {dash: "dash", width: 1.5, color: css("ink")}}],
  }), config);
}

always(() => {
  (data.curves || []).forEach(drawCurve);
  if (data.classes) { drawConfusion(data.classes); drawClasses(data.classes); }
});
"""
