"""An explanation as pictures of a film: the moving skeleton beside a map of joints and time, with a cursor.

Axes: F pictures, M people, V joints.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from bonegraph.inference.explain import Explanation
from bonegraph.viz.explained_words import words
from bonegraph.viz.films import HIDDEN, film_data
from bonegraph.viz.video import Picture

_DULL, _BRIGHT, _INK, _UNSEEN = "#5d6878", "#d9480f", "#202124", "#ccd2da"
_JOINTS = LinearSegmentedColormap.from_list("joints", [_DULL, _BRIGHT])
HEAT = LinearSegmentedColormap.from_list("heat", ["#fdf3ee", "#f4a478", _BRIGHT]).with_extremes(bad=_UNSEEN)
"""Colours of a map; where nothing is seen it is grey."""
_DPI = 100


class ExplainedFilm:
    """The pictures, one after the other.

    Args:
        explanation: what is shown.
        title: what the recording is.
        frames: at most so many pictures, evenly spread over the recording.

    Attributes:
        fps: pictures per second; the film takes as long as the recording.
        count: F.
    """

    def __init__(self, explanation: Explanation, title: str = "", frames: int = 240) -> None:
        self.explanation = explanation
        film = film_data(explanation.sequence, frames=frames, weights=explanation.focus)
        self.film = cast("dict[str, Any]", film)
        self.count, self.fps = int(self.film["frames"]), float(self.film["fps"])
        people = explanation.people
        joints = explanation.sequence.skeleton.joints
        height = max(5.6, 0.16 * len(joints) * len(people) + 1.6)
        self.figure = Figure(figsize=(11.2, 2 * round(height * _DPI / 2) / _DPI), dpi=_DPI, facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        grid = self.figure.add_gridspec(
            len(people), 2, width_ratios=(1, 1.25), left=0.01, right=0.93, top=1 - 0.95 / height, bottom=0.5 / height,
            wspace=0.32, hspace=0.12,
        )  # fmt: skip
        self.figure.text(0.015, 1 - 0.12 / height, title, fontsize=12, color=_INK, va="top", weight="bold")
        told = textwrap.fill(words(explanation), 165)
        self.figure.text(0.015, 1 - 0.40 / height, told, fontsize=9, color=_INK, va="top")
        self._body = self.figure.add_subplot(grid[:, 0])
        self._moving: list[Artist] = []
        self._start_body()
        self._cursors = []
        for row, person in enumerate(people):
            axes = self.figure.add_subplot(grid[row, 1])
            self._map(axes, person, last=row == len(people) - 1)
            self._cursors.append(axes.axvline(0, color="#1f6feb", linewidth=1.6, animated=True))

    def __iter__(self) -> Iterator[Picture]:
        """(height, width, 3) pictures; what does not move is drawn once."""
        self.canvas.draw()  # type: ignore[no-untyped-call]
        still = self.canvas.copy_from_bbox(self.figure.bbox)  # type: ignore[no-untyped-call]
        for number in range(self.count):
            self.canvas.restore_region(still)  # type: ignore[no-untyped-call]
            self._show(number)
            for artist in (*self._moving, *self._cursors):
                assert artist.axes is not None
                artist.axes.draw_artist(artist)
            pixels = np.asarray(self.canvas.buffer_rgba())  # type: ignore[no-untyped-call]
            yield pixels[..., :3].copy()

    def _start_body(self) -> None:
        width, height = self.film["size"]
        axes = self._body
        axes.set_xlim(0, width)
        axes.set_ylim(height, 0)
        axes.set_aspect("equal")
        axes.set_axis_off()
        self._bones, self._joints = [], []
        for person in range(len(self.film["people"])):
            bones = LineCollection([], colors=_DULL, linewidths=2, linestyles="--" if person else "-", animated=True)
            axes.add_collection(bones)
            joints = axes.scatter([], [], s=[], color=_DULL, zorder=3, linewidths=0, animated=True)
            self._bones.append(bones)
            self._joints.append(joints)
        self._time = axes.text(
            0.02, 0.01, "", transform=axes.transAxes, fontsize=10, color=_INK, animated=True, family="monospace"
        )
        self._moving = [*self._bones, *self._joints, self._time]

    def _map(self, axes: Axes, person: int, *, last: bool) -> None:
        sequence = self.explanation.sequence
        values = np.ma.masked_invalid(self.explanation.focus[:, person].T)
        seconds, joints = sequence.num_frames / sequence.fps, sequence.skeleton.joints
        image = axes.imshow(
            values, aspect="auto", interpolation="nearest", cmap=HEAT, vmin=0, vmax=1,
            extent=(0, seconds, len(joints) - 0.5, -0.5),
        )  # fmt: skip
        axes.set_yticks(range(len(joints)), joints, fontsize=7)
        axes.tick_params(axis="x", labelsize=8, labelbottom=last)
        axes.tick_params(axis="y", length=0)
        if len(self.explanation.people) > 1:
            axes.set_title(f"person {person + 1}", fontsize=8, loc="left", pad=2)
        if last:
            axes.set_xlabel("seconds (grey: not seen)", fontsize=8)
        bar = self.figure.colorbar(image, cax=axes.inset_axes((1.02, 0, 0.02, 1)))
        bar.ax.tick_params(labelsize=7)
        bar.set_label("focus", fontsize=8)

    def _show(self, number: int) -> None:
        seconds = (number + 0.5) / self.fps
        for cursor in self._cursors:
            cursor.set_xdata([seconds, seconds])
        self._time.set_text(f"{number / self.fps:6.2f} s")
        for person, frames in enumerate(self.film["people"]):
            flat = frames[number]
            points = np.full((0, 2), 0.0) if flat is None else np.array(flat, float).reshape(-1, 2)
            there = points[:, 0] != HIDDEN
            weights = np.array(self.film["weights"][person][number], float)  # None becomes NaN
            weights = weights[: len(points)][there]
            size = np.where(np.isnan(weights), 10, 14 + 150 * np.nan_to_num(weights))
            self._bones[person].set_segments(
                [points[[a, b]] for a, b in self.film["bones"] if len(points) and there[a] and there[b]]
            )
            self._joints[person].set_offsets(points[there])
            self._joints[person].set_sizes(size)
            self._joints[person].set_facecolor(_JOINTS(np.nan_to_num(weights)))
