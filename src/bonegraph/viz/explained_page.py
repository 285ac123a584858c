"""An explanation as a page that opens anywhere: words, the moving skeleton, maps of joints and time, curves.

Axes: T frames, M people, V joints.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonegraph.inference.explain import Explanation
from bonegraph.inference.faithfulness import Faithfulness
from bonegraph.viz.explained_words import MEANING, faithful_words, joint_name, strongest_places, words
from bonegraph.viz.films import FILM_SCRIPT, FILM_STYLE, film_data, film_element
from bonegraph.viz.page import facts_section, page, tiles

_LISTED = 8
"""So many joints are listed by name."""
_ORANGE, _GREY = (232, 89, 12), (128, 138, 150, 90)


def explanation_page(
    explanation: Explanation,
    found: Faithfulness | None,
    *,
    title: str = "",
    facts: Mapping[str, str] | None = None,
    frames: int = 96,
) -> str:
    """The page.

    Args:
        explanation: what is shown.
        found: its faithfulness, where it was measured.
        title: what the recording is.
        facts: what a reader needs to repeat it.
        frames: at most so many frames of the film.
    """
    film = film_data(explanation.sequence, frames=frames, weights=explanation.focus)
    notes = "".join(f"<p>{escape(note)}</p>" for note in explanation.notes)
    answer = {"recording": title, "class": explanation.action, "probability": f"{explanation.probability:.1%}"}
    if found is not None:
        answer["faithfulness"] = f"{found.gain:+.2f}"
    legend = "small and grey is a focus of 0, large and orange 1; in the map, blank is 0, orange 1, grey not seen"
    sections = [
        tiles(answer),
        f"<section><p class='said'>{escape(words(explanation))}</p><p>{escape(MEANING)}</p>{notes}</section>",
        f"<section><h2>Where and when</h2><div class='explained'>{film_element('focus', title, legend)}"
        f"<div>{_maps(explanation, explanation.focus)}</div></div></section>",
        f"<section><h2>Joints by their share of the focus</h2>{_table(explanation)}</section>",
    ]
    if len(explanation.heads) > 1:
        heads = "".join(
            f"<div><h3>Head {number}</h3>{_maps(explanation, values)}</div>"
            for number, values in enumerate(explanation.heads, start=1)
        )
        sections.append(f"<section><h2>Each head</h2><div class='pair'>{heads}</div></section>")
    if found is not None:
        sections.append(_faithful(found))
    sections.append(facts_section("How it was made", facts or {}))
    return page(
        f"Explanation: {title}",
        sections,
        data={"films": {"focus": film}},
        scripts=[_CURSOR_SCRIPT, FILM_SCRIPT],  # the first frame moves the cursors, too
        style=FILM_STYLE + _STYLE,
    )


def _maps(explanation: Explanation, values: NDArray[np.float64]) -> str:
    """The map of each person as SVG: joints down, seconds across."""
    several = len(explanation.people) > 1
    return "".join(
        (f"<h3>Person {person + 1}</h3>" if several else "") + _map(explanation, values[:, person], person)
        for person in explanation.people
    )


def _map(explanation: Explanation, values: NDArray[np.float64], person: int) -> str:
    sequence = explanation.sequence
    joints, left, wide, top = sequence.skeleton.joints, 118, 600, 4
    row = min(max(14, 340 // len(joints)), 26)
    high, seconds = row * len(joints), sequence.num_frames / sequence.fps
    drawn = [
        f"<text x='{left - 6}' y='{top + row * number + row / 2 + 4:g}' text-anchor='end'>{escape(joint)}</text>"
        for number, joint in enumerate(joints)
    ]
    drawn.append(
        f"<image x='{left}' y='{top}' width='{wide}' height='{high}' preserveAspectRatio='none' href='{_png(values)}'/>"
        f"<rect x='{left}' y='{top}' width='{wide}' height='{high}'/>"
    )
    for share in np.linspace(0, 1, 6):
        at = f"x='{left + share * wide:.1f}' y='{top + high + 15}'"
        drawn.append(f"<text {at} text-anchor='middle'>{share * seconds:.1f}</text>")
    drawn.append(
        f"<text x='{left - 14}' y='{top + high + 15}' text-anchor='end'>seconds</text>"
        f"<line class='cursor' x1='{left}' x2='{left}' y1='{top}' y2='{top + high}' data-left='{left}' "
        f"data-wide='{wide}'/>"
    )
    label = f"focus of person {person + 1}: joints down, seconds across; orange is 1, blank 0, grey not seen"
    return (
        f"<svg class='heat' viewBox='0 0 {left + wide + 16} {top + high + 22}' role='img' aria-label='{label}'>"
        f"<title>{label}</title>{''.join(drawn)}</svg>"
    )


def _png(values: NDArray[np.float64]) -> str:
    """(T, V) in [0, 1] as a picture of V lines of T dots: the more orange, the more focus; grey where not seen."""
    dots = np.zeros((values.shape[1], values.shape[0], 4), np.uint8)
    dots[..., :3] = _ORANGE
    dots[..., 3] = np.rint(255 * np.nan_to_num(values).clip(0, 1)).T
    dots[np.isnan(values.T)] = _GREY
    file = io.BytesIO()
    Image.fromarray(dots).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _table(explanation: Explanation) -> str:
    if explanation.flat:
        return "<p>The focus is flat.</p>"
    places, lines = strongest_places(explanation)[:_LISTED], []
    for place in places:
        bar = f"<span class='bar' style='width:{16 * place.share / places[0].share:.2f}em'></span>"
        lines.append(f"<tr><td>{escape(joint_name(explanation, place))}</td><td>{bar} {place.share:.1%}</td></tr>")
    return f"<table><tbody>{''.join(lines)}</tbody></table>"


def _faithful(found: Faithfulness) -> str:
    """Both curves against chance."""
    random = found.random
    return (
        "<section><h2>Is the focus faithful?</h2>"
        f"<p class='said'>{escape(faithful_words(found))}</p>"
        "<p>Left, joints in frames are hidden from the network, the most focused first: a faithful focus makes the "
        "probability fall early (small area). Right, they are shown one after the other: it rises early (large area). "
        "Grey: a random order. Faithfulness is the area on the right minus that on the left, 0 by chance.</p>"
        "<p><span class='key focus'></span> by focus, <span class='key chance'></span> random order</p>"
        "<div class='pair'>"
        f"{_curves(found.shares, found.deletion, random, 'share hidden')}"
        f"{_curves(found.shares, found.insertion, random[::-1], 'share shown')}</div></section>"
    )


def _curves(shares: NDArray[np.float64], focus: NDArray[np.float64], random: NDArray[np.float64], below: str) -> str:
    wide, high, left, top, right, bottom = 420, 240, 44, 10, 24, 36

    def x(share: float) -> float:
        return left + (wide - left - right) * share

    def y(value: float) -> float:
        return top + (high - top - bottom) * (1 - value)

    drawn = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        drawn.append(
            f"<line class='grid' x1='{left}' x2='{wide - right}' y1='{y(value):.1f}' y2='{y(value):.1f}'/>"
            f"<text x='{left - 6}' y='{y(value) + 4:.1f}' text-anchor='end'>{value:.0%}</text>"
            f"<text x='{x(value):.1f}' y='{high - 20}' text-anchor='middle'>{value:.0%}</text>"
        )
    for name, values in (("chance", random), ("focus", focus)):
        points = " ".join(f"{x(share):.1f},{y(value):.1f}" for share, value in zip(shares, values, strict=True))
        drawn.append(f"<polyline class='{name}' points='{points}'/>")
    drawn.append(f"<text x='{x(0.5):.1f}' y='{high - 4}' text-anchor='middle'>{below}</text>")
    return (
        f"<svg class='curves' viewBox='0 0 {wide} {high}' role='img' aria-label='probability of the class by the "
        f"{below}'>{''.join(drawn)}</svg>"
    )


_CURSOR_SCRIPT = """
"use strict";
document.querySelectorAll('canvas[data-film="focus"]').forEach(film => film.addEventListener("frame", event => {
  for (const line of document.querySelectorAll("svg.heat line.cursor")) {
    const x = Number(line.dataset.left) + event.detail * Number(line.dataset.wide);
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
  }
}));
"""

_STYLE = """
.explained { display: grid; grid-template-columns: minmax(240px, 2fr) minmax(300px, 3fr); gap: 1.25rem; }
.explained canvas.film { height: 420px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 1rem; }
@media (max-width: 700px) { .explained { grid-template-columns: 1fr; } }
.said { color: var(--ink); font-size: 1.05rem; }
h3 { font-size: 1rem; margin: .8rem 0 .3rem; }
.tiles dd { font-size: 1.25rem; overflow-wrap: anywhere; }
.bar { display: inline-block; height: .6em; min-width: 2px; background: #e8590c; }
svg.heat, svg.curves { width: 100%; height: auto; }
svg.heat text { fill: var(--soft); font-size: 11px; }
svg.heat image { image-rendering: pixelated; }
svg.heat rect { fill: none; stroke: var(--line); }
svg.heat .cursor { stroke: var(--second); stroke-width: 2; }
svg.curves text { fill: var(--soft); font-size: 11px; }
svg.curves .grid { stroke: var(--line); }
svg.curves polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg.curves .focus { stroke: #e8590c; }
svg.curves .chance { stroke: var(--first); }
.key { display: inline-block; width: 1.4em; height: .2em; vertical-align: middle; }
.key.focus { background: #e8590c; }
.key.chance { background: var(--first); }
"""
