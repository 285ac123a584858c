"""The report of a comparison: accuracy by class of two sides, and the clips that only one of them gets right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from bonegraph.scores.comparison import Comparison, Side
from bonegraph.scores.text import format_interval, format_p_value, format_side, points
from bonegraph.viz.charts import chart_scripts, plotly_text, short_names
from bonegraph.viz.page import facts_section, page, tiles, write_page

_CLIPS = 500


def write_comparison(
    path: str | Path,
    comparison: Comparison,
    *,
    facts: Mapping[str, str],
    title: str = "Comparison",
    notes: Sequence[str] = (),
) -> Path:
    """Write a self-contained HTML page about two sides, called A (the first) and B.

    Args:
        path: file to write; its folder must exist.
        comparison: of the two.
        facts: what A and B are and how to repeat this.
        title: heading of the page.
        notes: what was assumed, a sentence each.

    Returns:
        The path.

    Raises:
        FileNotFoundError: if the folder of ``path`` does not exist.
    """
    values = {
        "Top-1 of A": f"{comparison.first.mean:.2%}",
        "Top-1 of B": f"{comparison.second.mean:.2%}",
        "B - A, points": points(comparison.difference).strip(),
        "Clips": f"{comparison.clips:,}",
    }
    rows = comparison.classes
    names = tuple(row.name for row in rows)
    data = {
        "names": [plotly_text(name) for name in names],
        "ticks": [plotly_text(tick) for tick in short_names(names)],
        "differences": [row.difference for row in rows],
        "hover": [f"A {row.first:.2%}, B {row.second:.2%}, {row.clips:,} clips" for row in rows],
    }
    sections = [
        tiles(values),
        "".join(f'<p class="note">{escape(note)}</p>' for note in notes),
        facts_section("Runs", facts),
        _chance_section(comparison),
        _class_section(comparison),
        _clip_section(comparison),
    ]
    write_page(Path(path), page(title, sections, data=data, scripts=chart_scripts(_SCRIPT)))
    return Path(path)


def _chance_section(comparison: Comparison) -> str:
    facts = {"top-1 of A": _side(comparison.first), "top-1 of B": _side(comparison.second)}
    if comparison.unlabelled:
        facts["left out"] = f"{comparison.unlabelled:,} clips without a label"
    if comparison.paired is not None:
        facts["difference B - A"] = f"{points(comparison.difference).strip()}; {format_interval(comparison.paired)}"
        facts["McNemar's test"] = format_p_value(comparison.paired)
    return facts_section("Is it more than chance?", facts)


def _side(side: Side) -> str:
    return format_side(side).strip()


def _class_section(comparison: Comparison) -> str:
    rows = "".join(
        f"<tr><td>{escape(row.name)}</td><td class='number'>{points(row.difference).strip()}</td>"
        f"<td class='number'>{row.first:.2%}</td><td class='number'>{row.second:.2%}</td>"
        f"<td class='number'>{row.clips:,}</td></tr>"
        for row in comparison.classes
    )
    better = sum(row.difference > 0 for row in comparison.classes)
    worse = sum(row.difference < 0 for row in comparison.classes)
    height = 90 + 20 * len(comparison.classes)
    return (
        "<section><h2>Difference of each class</h2>"
        f"<p>Accuracy of B minus accuracy of A, in points: B is better in {better} classes and worse in {worse} of "
        f'{len(comparison.classes)}.</p><div class="tall"><div id="differences" style="height:{height}px"></div></div>'
        '<div class="wide tall"><table><thead><tr><th>Class</th>'
        "<th class='number'>B - A</th><th class='number'>A</th><th class='number'>B</th><th class='number'>Clips</th>"
        f"</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _clip_section(comparison: Comparison) -> str:
    if comparison.paired is None:
        return ""
    sections = []
    for side, ids in (("A", comparison.paired.only_first), ("B", comparison.paired.only_second)):
        listed = "".join(f"<li><code>{escape(clip)}</code></li>" for clip in ids[:_CLIPS])
        more = f"<p>The first {_CLIPS} of them.</p>" if len(ids) > _CLIPS else ""
        count = "1 clip" if len(ids) == 1 else f"{len(ids):,} clips"
        sections.append(
            f'<section><h2>Only {side} is right: {count}</h2>{more}<ul class="tall">{listed}</ul></section>'
        )
    return "".join(sections)


_SCRIPT = """
"use strict";
always(() => {
  const {names, ticks, differences, hover} = data;
  Plotly.react("differences", [{
    type: "bar", orientation: "h", y: ticks, x: differences.map(value => 100 * value),
    text: hover.map((line, at) => `<b>${names[at]}</b><br>${line}`), textposition: "none",
    hovertemplate: "%{text}<br>%{x:+.2f} points<extra></extra>",
    marker: {color: differences.map(value => css(value < 0 ? "first" : "second"))},
  }], layout({
    margin: {l: 10, r: 20, t: 10, b: 10}, bargap: 0.3, dragmode: false,
    xaxis: axis({title: {text: "points"}, side: "top", fixedrange: true, zeroline: true, zerolinecolor: css("ink")}),
    yaxis: axis({type: "category", autorange: "reversed", fixedrange: true, tickmode: "linear", dtick: 1,
      showgrid: false}),
  }), config);
});
"""
