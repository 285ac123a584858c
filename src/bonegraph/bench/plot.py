"""Bars of time by model and way."""

from __future__ import annotations

import io
import textwrap

from bonegraph.bench.rows import Pass, Precision, Row, quartiles, short
from bonegraph.bench.ways import WAYS

_COLOURS = ("#9aa5b1", "#2f6f9f", "#e08a3c", "#5b8f5b")
_PANEL = (3.6, 2.7)  # inches


def picture(rows: list[Row], remark: str = "") -> bytes | None:
    """A PNG with a panel for each case, pass, precision and number of threads; None while no model was measured.

    Args:
        rows: of which those of models are drawn.
        remark: written below the title, for what a reader must know.
    """
    from matplotlib.artist import Artist
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [row for row in rows if row.model and row.clock_s]
    if not rows:
        return None
    models = list(dict.fromkeys(row.model for row in rows))
    ways = [way for way in WAYS if any(row.way == way for row in rows)]
    cases = list(dict.fromkeys(row.case for row in rows))
    lines: list[tuple[Pass, Precision, int]] = list(
        dict.fromkeys((row.kind, row.precision, row.threads) for row in rows)
    )
    width = max(_PANEL[0], 0.5 * len(models) * len(ways) + 1)
    figure = Figure(figsize=(max(6.0, width * len(cases)), _PANEL[1] * len(lines) + 1.1), layout="constrained")
    panels = figure.subplots(len(lines), len(cases), squeeze=False)
    legend: dict[str, Artist] = {}
    for place, line in enumerate(lines):
        for panel, case in zip(panels[place], cases, strict=True):
            kind, precision, threads = line
            panel.set_title(f"{kind}, {case}, {precision}, threads: {threads}", fontsize=9)
            panel.set_ylabel("ms", fontsize=8)
            panel.tick_params(labelsize=8)
            panel.spines[["top", "right"]].set_visible(False)
            panel.set_xticks(range(len(models)), models)
            for number, way in enumerate(ways):
                shown = [
                    row
                    for row in rows
                    if (row.kind, row.precision, row.threads, row.case, row.way) == (*line, case, way)
                ]
                if not shown:
                    continue
                found = [[value * 1e3 for value in quartiles(row.clock_s)] for row in shown]
                middles = [middle for _, middle, _ in found]
                ends = [[middle - low for low, middle, _ in found], [high - middle for _, middle, high in found]]
                each = 0.8 / len(ways)
                places = [models.index(row.model) + (number - (len(ways) - 1) / 2) * each for row in shown]
                colour = _COLOURS[list(WAYS).index(way) % len(_COLOURS)]
                bars = panel.bar(places, middles, 0.92 * each, yerr=ends, color=colour, error_kw={"lw": 1})
                panel.bar_label(bars, [short(middle) for middle in middles], fontsize=7, padding=2)
                legend[way] = bars.patches[0]
            panel.margins(y=0.15)
    figure.legend(
        [legend[way] for way in ways], ways, loc="outside lower center", ncols=len(ways), fontsize=9, frameon=False
    )
    title = "Milliseconds by model and way, median and quartiles"
    figure.suptitle("\n".join([title, *textwrap.wrap(remark, 100)]), fontsize=10)
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=130)
    return file.getvalue()
