"""The report of a run: one HTML file that opens anywhere, also without a network.

Text and tables are plain HTML; the numbers behind the charts travel as JSON and are drawn by plotly.js, which is inside
the file. A content security policy lets the browser run these two scripts and nothing else, and load nothing at all:
even if a name slipped through the escaping, it could not act.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from plotly.offline import get_plotlyjs

from bonegraph.files import write_whole
from bonegraph.scores import Scores, worst_classes

_WORST_CLASSES = 10
_WRONG_CLIPS = 20
_LONGEST_TICK = 24


@dataclass(frozen=True)
class _Chart:
    """One chart of the training curves: a title and the columns of metrics.csv drawn in it."""

    title: str
    columns: tuple[tuple[str, str], ...]  # (column, name in the legend)
    ticks: str = ""  # d3 format of the vertical axis
    logarithmic: bool = False


_CHARTS = (
    _Chart("Loss", (("train_loss", "training"), ("val_loss", "validation"))),
    _Chart("Accuracy", (("train_accuracy", "training"), ("val_accuracy", "validation")), ticks=".0%"),
    _Chart("Learning rate", (("lr", "learning rate"),), ticks=".1e", logarithmic=True),
)


def write_report(
    path: str | Path,
    *,
    title: str,
    scores: Scores | None,
    curves: str | Path | None,
    facts: Mapping[str, str],
) -> Path:
    """Write a self-contained HTML report.

    Args:
        path: file to write, usually ``report.html`` in the run folder; its folder must exist.
        title: heading of the page.
        scores: scores of the evaluated clips; None leaves out everything about accuracy.
        curves: ``metrics.csv`` with any of the columns epoch, step, lr, train_loss, train_accuracy, val_loss,
            val_accuracy; cells may be empty and of several rows for an epoch the last number counts. None leaves the
            curves out.
        facts: what a reader needs to repeat the run (recipe, data, split, seed, time, machine, command), shown in the
            given order.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if the folder of ``path`` or the file ``curves`` does not exist.
        ValueError: if ``curves`` is not a table.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write the report: no folder {path.parent}. Make it first.")
    page = _page(title, scores, _read_curves(Path(curves)) if curves is not None else None, facts)

    # A path or host name that is not text in any encoding must not cost the whole report.
    write_whole(path, page.encode("utf-8", errors="xmlcharrefreplace"))
    return path


# --- the page ---------------------------------------------------------------------------------------------------------


def _page(title: str, scores: Scores | None, curves: _Curves | None, facts: Mapping[str, str]) -> str:
    sections = [_headline(scores) if scores is not None else "", _facts(facts)]
    data: dict[str, object] = {}
    if curves is not None:
        sections.append(_curve_section(curves))
        data["curves"] = curves.charts
    if scores is not None and scores.labelled.any():
        sections += [_confusion_section(scores), _class_section(scores), _wrong_section(scores)]
        data["classes"] = _class_data(scores)
    if scores is None and curves is None:
        sections.append('<p class="note">This run has neither scores nor training curves yet.</p>')

    # The parser turns \r\n into \n before it hashes a script, so the hash here has to be of the same text.
    plotly = str(get_plotlyjs()).replace("\r\n", "\n")
    policy = (
        f"default-src 'none'; script-src {_fingerprint(plotly)} {_fingerprint(_SCRIPT)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    # "<" is the only character with which JSON text could end its script element.
    payload = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<noscript><p class="note">The charts need JavaScript; all tables are readable without it.</p></noscript>
{"".join(sections)}
</main>
<script type="application/json" id="data">{payload}</script>
<script>{plotly}</script>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _fingerprint(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _headline(scores: Scores) -> str:
    known = int(scores.labelled.sum())
    tiles = []
    if known:
        tiles.append(("Top-1", f"{scores.top(1):.2%}"))
        if len(scores.classes) > 5:
            tiles.append(("Top-5", f"{scores.top(5):.2%}"))
        tiles.append(("Mean class", f"{scores.mean_class_accuracy():.2%}"))
    tiles.append(("Clips", f"{len(scores):,}"))
    tiles.append(("Classes", f"{len(scores.classes):,}"))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    note = ""
    if known == 0:
        note = f'<p class="note">None of the {len(scores):,} clips has a label, so there is no accuracy to report.</p>'
    elif known < len(scores):
        note = f'<p class="note">Only the {known:,} of {len(scores):,} clips that have a label count.</p>'
    return f'<dl class="tiles">{cells}</dl>{note}'


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>'
        + (f"<code>{escape(str(value))}</code>" if name.lower() == "command" else escape(str(value)))
        + "</td></tr>"
        for name, value in facts.items()
    )
    return f'<section><h2>Run</h2><table class="facts">{rows}</table></section>'


def _curve_section(curves: _Curves) -> str:
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


def _wrong_section(scores: Scores) -> str:
    predicted = scores.predicted
    wrong = np.flatnonzero(scores.labelled & (predicted != scores.labels))
    heading = "<section><h2>Most confident mistakes</h2>"
    if not len(wrong):
        return f"{heading}<p>Every labelled clip is right.</p></section>"
    confidence = scores.probabilities[wrong, predicted[wrong]]
    # by confidence, then by id, so that the same scores always give the same page
    shown = wrong[np.lexsort((scores.ids[wrong], -confidence))][:_WRONG_CLIPS]
    cells = "".join(
        f"<tr><td><code>{escape(str(scores.ids[clip]))}</code></td>"
        f"<td>{escape(scores.classes[scores.labels[clip]])}</td>"
        f"<td class='number'>{scores.probabilities[clip, scores.labels[clip]]:.1%}</td>"
        f"<td>{escape(scores.classes[predicted[clip]])}</td>"
        f"<td class='number'>{scores.probabilities[clip, predicted[clip]]:.1%}</td></tr>"
        for clip in shown
    )
    return (
        f"{heading}<p>{len(shown)} of {len(wrong):,} wrong clips, the surest first: worth watching for wrong labels, "
        'bad poses and truly similar actions.</p><div class="wide"><table><thead><tr><th>Clip</th><th>Truth</th>'
        "<th class='number'>Probability</th><th>Answer</th><th class='number'>Probability</th></tr></thead>"
        f"<tbody>{cells}</tbody></table></div></section>"
    )


# --- the numbers behind the charts ------------------------------------------------------------------------------------


def _class_data(scores: Scores) -> dict[str, object]:
    """Names, short unique axis labels, counts and the mean for the two charts about classes."""
    return {
        "names": [_plotly_text(name) for name in scores.classes],
        "ticks": [_plotly_text(tick) for tick in _short_names(scores.classes)],
        "counts": scores.confusion().tolist(),
        "mean": scores.mean_class_accuracy(),
    }


def _plotly_text(text: str) -> str:
    """Plotly reads tags such as <b> and <a> in labels, and draws entities as the characters they name."""
    return escape(text, quote=False)


def _short_names(names: tuple[str, ...]) -> list[str]:
    """Cut long names for an axis; names that become equal get their number, because an axis joins equal labels."""
    short = [name if len(name) <= _LONGEST_TICK else name[: _LONGEST_TICK - 1].rstrip() + "…" for name in names]
    used: set[str] = set()
    for number, tick in enumerate(short):
        # ends at the latest when the number makes it unlike every other
        while tick in used or not tick.strip():
            tick = f"{tick} #{number}"
        used.add(tick)
        short[number] = tick
    return short


@dataclass(frozen=True)
class _Curves:
    """Charts that have at least one point, and what had to be left out of them."""

    charts: list[dict[str, object]]
    notes: list[str]


def _read_curves(path: Path) -> _Curves:
    if not path.is_file():
        raise FileNotFoundError(
            f"no training curves {path}. A run writes them as metrics.csv; give None to leave them out."
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a table of training curves ({error}); expected metrics.csv of a run") from None

    charts: list[dict[str, object]] = []
    notes: list[str] = []
    for chart in _CHARTS:
        lines: list[dict[str, object]] = []
        for column, name in chart.columns:
            points, broken = _points(rows, column)
            if broken:
                first = min(broken)
                notes.append(f"{column} is not a finite number in {len(broken)} epochs (first: epoch {first:g}).")
            if points:
                lines.append({"name": name, "x": list(points), "y": list(points.values())})
        if lines:
            charts.append(
                {"title": chart.title, "ticks": chart.ticks, "logarithmic": chart.logarithmic, "lines": lines}
            )
    return _Curves(charts, notes)


def _points(rows: list[dict[str, str]], column: str) -> tuple[dict[float, float], set[float]]:
    """The last number of each epoch, by epoch, and the epochs whose last value is not a number one can draw."""
    values: dict[float, float] = {}
    for number, row in enumerate(rows):
        cell = row.get(column)
        if not isinstance(cell, str) or not cell.strip():
            continue
        epoch = _number(row.get("epoch"))
        # without epochs, the rows themselves are the time axis
        values[epoch if math.isfinite(epoch) else float(number)] = _number(cell)
    points = {epoch: values[epoch] for epoch in sorted(values) if math.isfinite(values[epoch])}
    return points, {epoch for epoch, value in values.items() if not math.isfinite(value)}


def _number(cell: str | None) -> float:
    try:
        return float(cell) if cell is not None else math.nan
    except ValueError:
        return math.nan


# --- the looks --------------------------------------------------------------------------------------------------------

_STYLE = """
:root {
  --page: #f6f7f9; --card: #ffffff; --ink: #1b2330; --soft: #5d6878; --line: #e2e6ec;
  --first: #8a97a8; --second: #1f6feb; --low: #f1f4f8; --middle: #6ea8fe; --high: #0b3d91;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f141b; --card: #171e27; --ink: #e6eaf0; --soft: #98a4b3; --line: #2a3442;
    --first: #8391a3; --second: #5aa2ff; --low: #1d2632; --middle: #2f6fc4; --high: #b9dcff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1160px; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .75rem; color: var(--soft); font-size: .9rem; }
section, .tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
section { padding: 1.1rem 1.25rem; margin: 1rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: .75rem; margin: 0 0 1rem; }
.tiles div { padding: .8rem 1.1rem; }
.tiles dt { color: var(--soft); font-size: .85rem; }
.tiles dd { margin: 0; font-size: 1.6rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.note { border-left: 3px solid var(--second); padding: .1rem .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-top: 1px solid var(--line); }
tr:first-child > th, .facts tr:first-child > td { border-top: 0; }
th { color: var(--soft); font-weight: 500; }
td { overflow-wrap: anywhere; min-width: 6rem; }
td.number { min-width: 0; overflow-wrap: normal; }
.facts th { width: 9rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-right: 1.5rem; }
small { color: var(--soft); }
code { font: .86em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); gap: .5rem; }
.chart { height: 280px; min-width: 0; }
.wide { overflow-x: auto; }
.tall { max-height: 640px; overflow-y: auto; }
@media (max-width: 600px) {
  main { padding: 1rem .6rem 3rem; }
  section { padding: .9rem .8rem; }
  .facts th { width: 6rem; }
}
@media print { .tall { max-height: none; } section { break-inside: avoid; } }
"""

_SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const touch = matchMedia("(pointer: coarse)").matches;
// On a touch screen a finger scrolls the page; dragging inside a chart would trap it.
// No tool bar: it would cover the legends, and one of its buttons offers to send the numbers to a server.
const config = {responsive: true, displayModeBar: false};

function layout(extra) {
  return Object.assign({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: touch ? false : "zoom",
    font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: css("soft")},
    hoverlabel: {bgcolor: css("card"), bordercolor: css("line"), font: {color: css("ink")}, align: "left"},
  }, extra);
}
const axis = extra => Object.assign(
  {gridcolor: css("line"), linecolor: css("line"), zeroline: false, automargin: true}, extra);

function drawCurve(chart, number) {
  const alone = chart.lines.length === 1;
  const traces = chart.lines.map((line, at) => ({
    type: "scatter", mode: line.x.length < 40 ? "lines+markers" : "lines", name: line.name, x: line.x, y: line.y,
    line: {width: 2, color: css(alone || line.name === "validation" ? "second" : "first")}, marker: {size: 4},
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

function draw() {
  (data.curves || []).forEach(drawCurve);
  if (data.classes) { drawConfusion(data.classes); drawClasses(data.classes); }
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
"""
