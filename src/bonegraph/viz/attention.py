"""The attentions of a DualHead-Net, drawn: a page with films, or one picture (see `bonegraph.viz.attended`)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from bonegraph.files import write_whole
from bonegraph.inference.recogniser import Recogniser
from bonegraph.sequence import Sequence
from bonegraph.viz.attended import (
    MEANING,
    STRONGEST,
    Attended,
    Curve,
    attend,
    beginnings,
    extent,
    legend,
    shares,
    spread,
)
from bonegraph.viz.attention_figure import attention_figure
from bonegraph.viz.films import FILM_SCRIPT, FILM_STYLE, film_data, film_element
from bonegraph.viz.page import facts_section, page, tiles, write_page

PICTURES = (".png", ".svg", ".pdf")


def draw_attention(
    recogniser: Recogniser,
    sequence: Sequence,
    path: str | Path,
    *,
    title: str = "",
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the attentions of a recording: a page with films, or one picture.

    Args:
        recogniser: of one DualHead-Net.
        sequence: the recording.
        path: a ``.html``, ``.png``, ``.svg`` or ``.pdf`` file; replaced only when the new one is complete.
        title: what the recording is.
        facts: what a reader of the page needs to repeat it.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: an unknown kind of file, or what `attend` raises.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", *PICTURES):
        kinds = ", ".join((".html", *PICTURES))
        raise ValueError(f"cannot draw into '{path}'; the name must end in one of: {kinds}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder '{path.parent}' to write '{path.name}' into; make it first.")
    attended = attend(recogniser, sequence)
    best = recogniser(sequence)[0]
    answer = f"{best.action} ({best.probability:.0%})"
    if path.suffix.lower() == ".html":
        write_page(path, attention_page(attended, title, answer, facts or {}))
        return path
    picture = io.BytesIO()
    attention_figure(attended, f"{title}: {answer}").savefig(picture, format=path.suffix[1:].lower())
    write_whole(path, picture.getvalue())
    return path


def attention_page(attended: Attended, title: str, answer: str, facts: Mapping[str, str]) -> str:
    """The page: joints on films and by name, frames as curves."""
    sequence, films, shown = attended.sequence, {}, []
    for number, values in enumerate(attended.spatial, start=1):
        weights = np.full(sequence.positions.shape[1:3], np.nan)
        weights[list(attended.people)] = shares(values)
        films[f"block-{number}"] = film_data(sequence, frames=64, weights=weights)
        shown.append(film_element(f"block-{number}", f"fine head, block {number}", legend(values)))
    notes = "".join(f"<p>{escape(note)}</p>" for note in attended.notes)
    sections = [tiles({"recording": title, "answer": answer}), f"<section><p>{MEANING}</p>{notes}</section>"]
    if attended.spatial:
        tables = "".join(_strongest(attended, row) for row in range(len(attended.people)))
        sections.append(
            f"<section><h2>Joints: what the coarse head tells the fine one</h2><div class='films attention'>"
            f"{''.join(shown)}</div>{tables}</section>"
        )
    if attended.temporal:
        curves = "".join(_curves(attended, row) for row in range(len(attended.people)))
        sections.append(f"<section><h2>Frames: what the fine head tells the coarse one</h2>{curves}</section>")
    sections.append(facts_section("How it was made", facts))
    scripts = [FILM_SCRIPT] if films else []
    return page(
        f"Attention: {title}", sections, data={"films": films}, scripts=scripts, style=FILM_STYLE + _ATTENTION_STYLE
    )


def _strongest(attended: Attended, row: int) -> str:
    """The joints of a person with the highest attention, by name."""
    head = "".join(f"<th colspan='2'>block {number}</th>" for number in range(1, len(attended.spatial) + 1))
    orders = [np.argsort(-values[row], kind="stable")[:STRONGEST] for values in attended.spatial]
    lines = []
    for place in range(min(STRONGEST, len(attended.sequence.skeleton.joints))):
        cells = ""
        for values, order in zip(attended.spatial, orders, strict=True):
            joint = order[place]
            width = 8 * shares(values)[row, joint]
            cells += (
                f"<td>{escape(attended.sequence.skeleton.joints[joint])}</td>"
                f"<td><span class='bar' style='width:{width:.2f}em'></span> {values[row, joint]:.3f}</td>"
            )
        lines.append(f"<tr>{cells}</tr>")
    person = f"<h3>Person {attended.people[row] + 1}: strongest joints</h3>"
    return (
        f"{person}<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _curves(attended: Attended, row: int) -> str:
    """The curves of a person as SVG: seconds below, frames of the recording above."""
    wide, high, left, top, right, bottom = 760, 240, 56, 26, 12, 34
    low, up = spread(curve.values for curve in attended.temporal)
    first, last = extent(attended)

    def x(frame: float) -> float:
        return left + (wide - left - right) * (frame - first) / max(last - first, 1e-9)

    def y(value: float) -> float:
        return top + (high - top - bottom) * (up - value) / (up - low)

    def text(at: tuple[float, float], words: str, anchor: str = "middle") -> str:
        return f"<text x='{at[0]:.1f}' y='{at[1]:.1f}' text-anchor='{anchor}'>{words}</text>"

    drawn = [text((left, 12), "frame", "end"), text((left, high - 4), "seconds", "end")]
    for value in np.linspace(low, up, 4):
        drawn.append(f"<line class='grid' x1='{left}' x2='{wide - right}' y1='{y(value):.1f}' y2='{y(value):.1f}'/>")
        drawn.append(text((left - 6, y(value) + 4), f"{value:.3f}", "end"))
    for frame in np.linspace(first, last, 6)[1:]:
        drawn.append(text((x(frame), 12), f"{frame:.0f}"))
        drawn.append(text((x(frame), high - 4), f"{frame / attended.sequence.fps:.1f}"))
    for begin in beginnings(attended):
        drawn.append(f"<line class='again' x1='{x(begin):.1f}' x2='{x(begin):.1f}' y1='{top}' y2='{high - bottom}'/>")
    for number, curve in enumerate(attended.temporal, start=1):
        for part in _unbroken(curve, row):
            points = " ".join(f"{x(frame):.1f},{y(value):.1f}" for frame, value in part)
            drawn.append(f"<polyline class='block-{number}' points='{points}'/>")
    legend_text = ", ".join(
        f"<span class='key block-{number}'></span> before block {number} of the coarse head"
        for number in range(1, len(attended.temporal) + 1)
    )
    label = f"temporal attention of person {attended.people[row] + 1}"
    return (
        f"<h3>Person {attended.people[row] + 1}</h3><p>{legend_text}</p>"
        f"<svg class='curves' viewBox='0 0 {wide} {high}' role='img' aria-label='{label}'>{''.join(drawn)}</svg>"
    )


def _unbroken(curve: Curve, row: int) -> list[list[tuple[float, float]]]:
    """The points of a person's curve, in parts where frames are missing; a single point is a short line."""
    parts: list[list[tuple[float, float]]] = [[]]
    for frame, value in zip(curve.frames, curve.values[row], strict=True):
        if np.isnan(value):
            parts.append([])
        else:
            parts[-1].append((float(frame), float(value)))
    return [part if len(part) > 1 else part * 2 for part in parts if part]


_ATTENTION_STYLE = """
.films.attention { grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); }
.films.attention canvas.film { height: 400px; }
h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
.bar { display: inline-block; height: .6em; min-width: 2px; background: var(--film-left); }
svg.curves { width: 100%; height: auto; }
svg.curves text { fill: var(--soft); font-size: 12px; }
svg.curves .grid { stroke: var(--line); }
svg.curves .again { stroke: var(--soft); stroke-dasharray: 3 4; }
svg.curves polyline { fill: none; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
svg.curves .block-1 { stroke: var(--first); }
svg.curves .block-2 { stroke: var(--second); }
.key { display: inline-block; width: 1.4em; height: .2em; vertical-align: middle; }
.key.block-1 { background: var(--first); }
.key.block-2 { background: var(--second); }
"""
