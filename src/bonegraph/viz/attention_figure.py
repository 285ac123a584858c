"""The attentions of a DualHead-Net as one picture."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from bonegraph.viz.attended import MEANING, STRONGEST, Attended, Values, beginnings, legend, shares, spread

_DULL, _BRIGHT, _INK = "#5d6878", "#d9480f", "#202124"
_BLOCKS = ("#8a97a8", "#1f6feb")
_SHADES = LinearSegmentedColormap.from_list("attention", [_DULL, _BRIGHT])


def attention_figure(attended: Attended, title: str) -> Figure:
    """The same as one picture; the body is drawn as in the frame that the first block attends to most."""
    count, blocks = len(attended.people), len(attended.spatial)
    columns = 2 * blocks + bool(attended.temporal)
    figure = Figure(figsize=(2.6 * blocks * 2 + 6 * bool(attended.temporal), 4.2 * count + 1), dpi=120)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(
        count, columns, squeeze=False, width_ratios=[*[1.0, 0.8] * blocks, *[2.4] * bool(attended.temporal)]
    )
    for row, person in enumerate(attended.people):
        for number, values in enumerate(attended.spatial):
            _body(grid[row, 2 * number], attended, row, values)
            grid[row, 2 * number].set_title(f"person {person + 1}: joints, block {number + 1}", fontsize=9)
            _bars(grid[row, 2 * number + 1], attended, row, values)
        if attended.temporal:
            _lines(grid[row, -1], attended, row)
            grid[row, -1].set_title(f"person {person + 1}: frames", fontsize=9)
    figure.suptitle(title, color=_INK)
    figure.supxlabel("\n".join([_wrapped(MEANING), *attended.notes]), fontsize=7, color=_DULL)
    return figure


def _wrapped(text: str) -> str:
    first, second, third = text.partition(". Sizes,")
    return f"{first}.\nSizes,{third}" if second else text


def _most_attended(attended: Attended, row: int) -> int:
    """A frame in which the person is seen, the one of the highest temporal attention where there is any."""
    sequence, person = attended.sequence, attended.people[row]
    seen = sequence.visible[:, person].sum(axis=1)
    if attended.temporal and not np.isnan(attended.temporal[0].values[row]).all():
        curve = attended.temporal[0]
        frame = round(float(curve.frames[np.nanargmax(curve.values[row])])) % sequence.num_frames
        if seen[frame]:
            return frame
    return int(seen.argmax())


def _body(axes: Axes, attended: Attended, row: int, values: Values) -> None:
    sequence, person, frame = attended.sequence, attended.people[row], _most_attended(attended, row)
    visible, places = sequence.visible[frame, person], sequence.positions[frame, person, :, :2].astype(np.float64)
    bones = [(a, b) for a, b in sequence.skeleton.bones if visible[a] and visible[b]]
    axes.add_collection(LineCollection([[tuple(places[a]), tuple(places[b])] for a, b in bones], colors=_DULL))
    weights = shares(values)[row, visible]
    x, y = places[visible].T
    axes.scatter(x, y, s=12 + 160 * weights, c=_SHADES(weights), zorder=3, linewidths=0)
    axes.set_aspect("equal", adjustable="datalim")
    if sequence.positions.shape[3] == 2:
        axes.invert_yaxis()
    axes.set_axis_off()
    axes.text(0.5, -0.02, legend(values), transform=axes.transAxes, ha="center", va="top", fontsize=7, color=_INK)


def _bars(axes: Axes, attended: Attended, row: int, values: Values) -> None:
    order = np.argsort(-values[row], kind="stable")[:STRONGEST]
    weights = shares(values)[row, order]
    axes.barh(range(len(order)), weights, color=_SHADES(weights))
    axes.set_yticks(range(len(order)), [attended.sequence.skeleton.joints[joint] for joint in order], fontsize=7)
    for place, joint in enumerate(order):
        axes.text(weights[place] + 0.03, place, f"{values[row, joint]:.3f}", va="center", fontsize=6, color=_INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _lines(axes: Axes, attended: Attended, row: int) -> None:
    fps = attended.sequence.fps
    for number, curve in enumerate(attended.temporal):
        name, colour = f"before block {number + 1} of the coarse head", _BLOCKS[number % len(_BLOCKS)]
        axes.plot(curve.frames / fps, curve.values[row], color=colour, label=name)
    for begin in beginnings(attended):
        axes.axvline(begin / fps, color=_DULL, linestyle=":", linewidth=1)
    axes.set_ylim(*spread(curve.values for curve in attended.temporal))
    axes.set_xlabel("seconds")
    axes.set_ylabel("attention")
    above = axes.secondary_xaxis("top", functions=(partial(np.multiply, fps), partial(np.multiply, 1 / fps)))
    above.set_xlabel("frame")
    axes.legend(fontsize=7, frameon=False)
