"""What the charts of every report share: plotly.js, a look that follows the page, and labels that it cannot misread."""

from __future__ import annotations

from html import escape

from plotly.offline import get_plotlyjs

_LONGEST_TICK = 24


def chart_scripts(script: str) -> list[str]:
    """The scripts of a page with charts, in their order.

    Args:
        script: draws the charts. It finds ``Plotly``; ``data``, the data of the page; ``layout``, ``axis``, ``config``
            and ``css``; and ends with ``always(draw)``.
    """
    return [str(get_plotlyjs()), _SHARED, script]


def plotly_text(text: str) -> str:
    """Escape a label: plotly reads tags such as <b> and <a>, and draws entities as the characters they name."""
    return escape(text, quote=False)


def short_names(names: tuple[str, ...]) -> list[str]:
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


_SHARED = """
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

// draws now, and again where the page turns dark or light
function always(draw) {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
"""
