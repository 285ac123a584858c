"""Small films of skeletons for the HTML reports: one canvas each, plain JavaScript, a few kilobytes a film.

A page that shows films puts each one under a key of its own into the data of the page, ``{"films": {key: film}}`` (see
`bonegraph.viz.page`), `film_element` where it is to be seen, `FILM_STYLE` into the style and `FILM_SCRIPT` among the
scripts. Nothing is loaded and no handler stands in the markup, so that the content security policy of the page holds.
"""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton

GRID = 999
"""Coordinates in a film are whole numbers from 0 to this."""
HIDDEN = -1
"""Both coordinates of a joint that is not visible."""
MIDDLE, LEFT, RIGHT = 0, 1, 2
_ROOM = 0.06  # free border of the picture, of its larger side
_STRAY = 0.25  # how far beyond the usual range of positions the picture still reaches, of that range


def film_data(
    sequence: Sequence,
    *,
    frames: int = 48,
    title: str = "",
    note: str = "",
    weights: NDArray[np.floating] | None = None,
) -> dict[str, object]:
    """One film as plain data for JSON: 3-D recordings from the front (x right, y up), 2-D ones as in the picture.

    Args:
        sequence: the recording; every person in it is drawn.
        frames: at most so many of its frames, spread evenly; the film still takes as long as the recording.
        title: what it is.
        note: a sentence about it.
        weights: (M, V) or, for each frame its own, (T, M, V), in [0, 1], how large and how bright each joint is; NaN
            for people, or for joints in frames, that have none. They take the place of the colours of the sides.

    Returns:
        ``title``, ``note``, ``fps``; ``frames``, how many (F); ``bones``, pairs of joint numbers; ``sides``, for each
        joint 0 (middle), 1 (left) or 2 (right); ``size``, width and height of the picture in grid steps; ``people``,
        for each person F frames, each None where the person is absent, or x and y of the joints in turn
        (x0, y0, x1, y1, ...; y down), both -1 where the joint is not visible; and, where they are given, ``weights``,
        for each person None or one of each joint, or for each person F lists of one of each joint or None.

    Raises:
        ValueError: frames is below 1, or the weights do not fit.
    """
    if frames < 1:
        raise ValueError(f"a film needs at least 1 frame, got {frames}.")
    shape = sequence.positions.shape[:3]
    if weights is not None and weights.shape not in (shape, shape[1:]):
        raise ValueError(f"weights have shape {weights.shape}, but the film has {shape[1:]} or {shape}.")
    count = min(frames, sequence.num_frames)
    chosen = np.linspace(0, sequence.num_frames - 1, count).round().astype(int)
    visible = sequence.visible[chosen]  # (F, M, V)
    present = sequence.present[chosen]
    flat = sequence.positions[chosen, ..., :2].astype(np.float64)  # (F, M, V, 2)
    if sequence.positions.shape[-1] == 3:
        flat[..., 1] = -flat[..., 1]
    steps, size = _on_grid(flat, visible)
    steps = np.where(visible[..., None], steps, HIDDEN)
    rows = steps.transpose(1, 0, 2, 3).reshape(sequence.num_people, count, -1)
    people = [
        [row if there else None for row, there in zip(film, shown, strict=True)]
        for film, shown in zip(rows.tolist(), present.T.tolist(), strict=True)
    ]
    shades: dict[str, object] = {}
    if weights is not None and weights.ndim == 3:
        shades = {"weights": [[_moving_shades(row) for row in person] for person in weights[chosen].swapaxes(0, 1)]}
    elif weights is not None:
        shades = {"weights": [_shades(person) for person in weights]}
    return {
        "title": title,
        "note": note,
        "fps": round(sequence.fps * count / sequence.num_frames, 3),
        "frames": count,
        "bones": [list(bone) for bone in sequence.skeleton.bones],
        "sides": _sides(sequence.skeleton),
        "size": size,
        "people": people,
        **shades,
    }


def _shades(weights: NDArray[np.floating]) -> list[float] | None:
    """Weights of a person for JSON."""
    return None if np.isnan(weights).any() else [round(float(weight), 3) for weight in weights.clip(0, 1)]


def _moving_shades(weights: NDArray[np.floating]) -> list[float | None]:
    """Weights of a person in a frame for JSON."""
    return [None if np.isnan(weight) else round(float(weight), 3) for weight in weights.clip(0, 1)]


def film_element(key: str, title: str, note: str = "") -> str:
    """The place of a film in a page, with everything escaped.

    Args:
        key: of its data.
        title: stands below it.
        note: a sentence under the title.
    """
    small = f"<small>{escape(note)}</small>" if note else ""
    return (
        f'<figure class="film"><canvas class="film" data-film="{escape(key)}" role="img" tabindex="0" '
        f'aria-label="{escape(f"film of {title}")}"></canvas>'
        f"<figcaption><code>{escape(title)}</code>{small}</figcaption></figure>"
    )


def _on_grid(positions: NDArray[np.float64], visible: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[int]]:
    """Quantise (F, M, V, 2) positions, and the size of the picture.

    A single joint that was thrown a kilometre away must not shrink the person to a dot: the picture holds the usual
    positions and a margin, and what lies beyond is drawn at its edge.
    """
    points = positions[visible]
    if not len(points):
        return np.zeros(positions.shape, np.int64), [GRID, GRID]
    low, high = np.percentile(points, (2, 98), axis=0)
    stray = _STRAY * max(float((high - low).max()), 1e-9)
    low, high = np.maximum(points.min(axis=0), low - stray), np.minimum(points.max(axis=0), high + stray)
    extent = max(float((high - low).max()), 1e-9)
    low, high = low - _ROOM * extent, high + _ROOM * extent
    # A person lying down or two far apart make a wide picture, a standing one a tall picture; neither may be a line.
    centre, sides = (low + high) / 2, np.maximum(high - low, 0.5 * float((high - low).max()))
    scale = GRID / float(sides.max())
    steps = np.clip(np.rint((positions - centre + sides / 2) * scale), 0, np.rint(sides * scale))
    return steps.astype(np.int64), [int(side) for side in np.rint(sides * scale)]


def _sides(skeleton: Skeleton) -> list[int]:
    """Left or right by name; where names do not say, the lower number of a mirrored pair is called left."""
    sides = []
    for joint, (name, mirror) in enumerate(zip(skeleton.joints, skeleton.mirror, strict=True)):
        word = name.split()[0].lower() if name.split() else ""
        if mirror == joint:
            sides.append(MIDDLE)
        elif word in ("left", "right"):
            sides.append(LEFT if word == "left" else RIGHT)
        else:
            sides.append(LEFT if joint < mirror else RIGHT)
    return sides


FILM_STYLE = """
:root { --film-left: #d9480f; --film-right: #1f6feb; --film-middle: #5d6878; }
@media (prefers-color-scheme: dark) {
  :root { --film-left: #ff8a4c; --film-right: #5aa2ff; --film-middle: #98a4b3; }
}
.films { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 1rem; }
figure.film { margin: 0; min-width: 0; }
canvas.film {
  display: block; width: 100%; height: 220px; cursor: pointer; border-radius: 8px; background: var(--low, #f1f4f8);
}
canvas.film:focus-visible { outline: 2px solid var(--film-right); outline-offset: 2px; }
figure.film figcaption { font-size: .85rem; margin-top: .35rem; overflow-wrap: anywhere; }
figure.film figcaption small { display: block; }
@media print { canvas.film { break-inside: avoid; } }
"""

FILM_SCRIPT = """
"use strict";
(() => {
  const films = JSON.parse(document.getElementById("data").textContent).films || {};
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const rest = 0.6;  // seconds between the last frame and the first
  const players = [];

  function player(canvas) {
    const film = films[canvas.dataset.film];
    if (!film) return null;
    return {canvas, film, time: 0, shown: -1, seen: false, hover: false, paused: still};
  }

  function frameAt({film, time}) {
    return Math.min(film.frames - 1, Math.floor(time % (film.frames / film.fps + rest) * film.fps));
  }

  function draw(one) {
    const {canvas, film} = one, box = canvas.getBoundingClientRect(), sharp = window.devicePixelRatio || 1;
    if (!box.width || !box.height) return;
    const width = Math.round(box.width * sharp), height = Math.round(box.height * sharp);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const style = getComputedStyle(document.documentElement);
    const colours = ["middle", "left", "right"].map(side => style.getPropertyValue("--film-" + side).trim());
    const parts = colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16));
    const [dull, bright] = [parts(colours[0]), parts(colours[1])];
    const shade = weight => `rgb(${dull.map((part, at) => Math.round(part + (bright[at] - part) * weight)).join(" ")})`;
    const pen = canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, width, height);
    const scale = Math.min(width / film.size[0], (height - 4 * sharp) / film.size[1]);
    const left = (width - film.size[0] * scale) / 2, top = (height - 4 * sharp - film.size[1] * scale) / 2;
    const at = frameAt(one);
    pen.lineCap = "round";
    film.people.forEach((frames, person) => {
      const points = frames[at];
      if (!points) return;
      const x = joint => left + points[2 * joint] * scale, y = joint => top + points[2 * joint + 1] * scale;
      const there = joint => points[2 * joint] >= 0;
      let weights = film.weights ? film.weights[person] : null;
      if (weights && Array.isArray(weights[0])) weights = weights[at];
      // further people are paler, and hatched
      pen.globalAlpha = person ? 0.75 : 1;
      pen.lineWidth = (person ? 2 : 2.5) * sharp;
      pen.setLineDash(person ? [5 * sharp, 4 * sharp] : []);
      for (const [a, b] of film.bones) {
        if (!there(a) || !there(b)) continue;
        pen.strokeStyle = colours[film.weights ? 0 : film.sides[a] || film.sides[b]];
        pen.beginPath(); pen.moveTo(x(a), y(a)); pen.lineTo(x(b), y(b)); pen.stroke();
      }
      pen.setLineDash([]);
      film.sides.forEach((side, joint) => {
        if (!there(joint)) return;
        const weighed = weights && weights[joint] !== null;
        pen.fillStyle = weighed ? shade(weights[joint]) : colours[film.weights ? 0 : side];
        const radius = weighed ? 2 + 6 * weights[joint] : 2.2;
        pen.beginPath(); pen.arc(x(joint), y(joint), radius * sharp, 0, 2 * Math.PI); pen.fill();
      });
    });
    pen.globalAlpha = 0.6;
    pen.fillStyle = colours[0];
    pen.fillRect(0, height - 2 * sharp, width * (at + 1) / film.frames, 2 * sharp);
    pen.globalAlpha = 1;
    one.shown = at;
    canvas.dispatchEvent(new CustomEvent("frame", {detail: (at + 0.5) / film.frames}));
  }

  const watcher = new IntersectionObserver(entries => entries.forEach(entry => {
    const one = players.find(player => player.canvas === entry.target);
    one.seen = entry.isIntersecting;
    if (one.seen) draw(one);
  }));
  for (const canvas of document.querySelectorAll("canvas.film[data-film]")) {
    const one = player(canvas);
    if (!one) continue;
    players.push(one);
    const turn = () => { one.paused = !one.paused; one.hover = false; };
    canvas.addEventListener("pointerenter", event => { one.hover = event.pointerType === "mouse"; });
    canvas.addEventListener("pointerleave", () => { one.hover = false; });
    canvas.addEventListener("click", turn);
    canvas.addEventListener("keydown", event => {
      if (event.key === " " || event.key === "Enter") { event.preventDefault(); turn(); }
    });
    draw(one);
    watcher.observe(canvas);
  }
  const again = () => players.forEach(draw);
  addEventListener("resize", again);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

  let last = 0;
  function tick(now) {
    const passed = Math.min((now - last) / 1000, 0.25);
    last = now;
    for (const one of players) {
      if (!one.seen || one.hover || one.paused) continue;
      one.time += passed;
      if (frameAt(one) !== one.shown) draw(one);
    }
    requestAnimationFrame(tick);
  }
  if (players.length) requestAnimationFrame(now => { last = now; tick(now); });
})();
"""
