"""Pictures of skeletons and of the subsets that a partition strategy makes of their joints (ST-GCN Fig. 3).

Every function returns a matplotlib `Figure` of its own and leaves the global state of ``pyplot`` alone, so that it
works the same in a notebook, a server thread and a test.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from bonegraph.files import write_whole
from bonegraph.graph import Floats, Normalisation, Strategy, adjacency, partition
from bonegraph.skeleton import Skeleton

_BONE = "#9aa0a6"
_QUIET = "#d5d8dc"
_INK = "#202124"
_SIDES = {"left": "#d55e00", "right": "#0072b2", "midline": "#3c4043"}
# Colour-blind safe (Okabe and Ito 2008), one for each subset; more than seven start over.
_SUBSETS = ("#009e73", "#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#d55e00", "#8a7f00")
_SUFFIXES = (".png", ".svg", ".pdf")

# A person who stands and looks at us, so that their left is on our right. Heads, hands and feet are drawn larger than
# life, because their joints lie close together. Units: roughly metres above the floor.
_MIDLINE = {
    "head": (0.0, 1.78),
    "nose": (0.0, 1.66),
    "neck": (0.0, 1.50),
    "upper spine": (0.0, 1.38),
    "mid spine": (0.0, 1.14),
    "pelvis": (0.0, 0.92),
}
_LEFT = {
    "inner eye": (0.06, 1.90),
    "eye": (0.14, 1.83),
    "outer eye": (0.20, 1.75),
    "ear": (0.24, 1.66),
    "mouth": (0.05, 1.54),
    "shoulder": (0.24, 1.38),
    "elbow": (0.40, 1.14),
    "wrist": (0.54, 0.93),
    "hand": (0.61, 0.83),
    "hand tip": (0.68, 0.71),
    "thumb": (0.53, 0.76),
    "index": (0.63, 0.72),
    "pinky": (0.70, 0.81),
    "hip": (0.14, 0.88),
    "knee": (0.24, 0.48),
    "ankle": (0.31, 0.13),
    "heel": (0.29, 0.03),
    "foot": (0.39, 0.03),
    "big toe": (0.38, -0.02),
    "small toe": (0.46, 0.05),
}
_LABEL_INSIDE = ("thumb", "heel")  # names written towards the body, because the hand or foot goes on outside
_REST_POSE = {
    **_MIDLINE,
    **{f"left {part}": place for part, place in _LEFT.items()},
    **{f"right {part}": (-x, y) for part, (x, y) in _LEFT.items()},
}


def rest_pose(skeleton: Skeleton) -> NDArray[np.float64]:
    """Where to draw each joint: a standing person, or the bone tree where a joint has a name of its own.

    Shapes:
        returns (V, 2), x to the right and y upwards; no two joints at the same place.
    """
    if set(skeleton.joints) <= set(_REST_POSE):
        return np.array([_REST_POSE[joint] for joint in skeleton.joints], dtype=np.float64)
    return _tree_layout(skeleton)


def _tree_layout(skeleton: Skeleton) -> NDArray[np.float64]:
    """The root on top, one row for each generation, each parent above the middle of its children."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in skeleton.bones:
        children[parent].append(child)
    root = next(joint for joint, parent in enumerate(skeleton.parents) if joint == parent)
    places = np.zeros((skeleton.num_joints, 2))
    order, stack, leaves = [], [root], 0
    while stack:
        joint = stack.pop()
        order.append(joint)
        stack.extend(reversed(children[joint]))
        if joint != root:
            places[joint, 1] = places[skeleton.parents[joint], 1] - 1
        if not children[joint]:
            places[joint, 0], leaves = leaves, leaves + 1
    for joint in reversed(order):  # children first
        if children[joint]:
            places[joint, 0] = np.mean([places[child, 0] for child in children[joint]])
    return places


def subset_names(strategy: Strategy, max_hop: int = 1) -> tuple[str, ...]:
    """What each of the K subsets of `bonegraph.graph.partition` holds, in their order."""
    hops = [f"{hop} hop{'s' * (hop > 1)}" for hop in range(1, max_hop + 1)]
    names: dict[str, tuple[str, ...]] = {
        "uniform": ("root and neighbours",),
        "distance": ("root", *hops),
        "distance*": ("root, weight w", "1 hop, weight \N{MINUS SIGN}w"),
        "spatial": ("root, equally far", "centripetal", "centrifugal"),
        "spatial-hops": ("root, equally far", "centripetal", "centrifugal"),
        "spatial-released": (
            "root",
            *(f"{side}, {hop}" for hop in hops for side in ("centrifugal or 'equal'", "centripetal")),
        ),
        "symmetrical": ("root", "neighbours, and the other side"),
    }
    return names[strategy]


def draw_skeleton(skeleton: Skeleton, *, names: bool = True) -> Figure:
    """A skeleton with its graph edges; left, right and midline joints in three colours, the centre joint ringed.

    Args:
        skeleton: what to draw.
        names: write joint number and name; False writes the number alone.

    Example:
        >>> from bonegraph.skeleton import SKELETONS
        >>> draw_skeleton(SKELETONS["ntu25"]).savefig("ntu25.png")  # doctest: +SKIP
    """
    figure = Figure(figsize=(7, 7.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    places = _draw_edges(axes, skeleton, _BONE)
    sides = np.array([_side(joint) for joint in skeleton.joints])
    for side, colour in _SIDES.items():
        if (chosen := sides == side).any():
            axes.scatter(places[chosen, 0], places[chosen, 1], s=70, color=colour, zorder=3, label=side)
    _ring(axes, places[skeleton.centre], label="centre")
    _write_names(axes, skeleton, places, range(skeleton.num_joints), names=names, size=8)
    axes.set_title(f"{skeleton.name}: {skeleton.num_joints} joints", color=_INK)
    _legend(axes, columns=4)
    return figure


def draw_partition(
    skeleton: Skeleton,
    strategy: Strategy,
    *,
    max_hop: int = 1,
    joint: str | None = None,
    distances: Floats | None = None,
) -> Figure:
    """One root joint with its neighbours coloured by subset, beside the K adjacency matrices (ST-GCN Fig. 3).

    The matrices are normalised by subset size, those of ``spatial-released`` as in the released code.

    Args:
        skeleton: what to draw.
        strategy: see `bonegraph.graph.partition`.
        max_hop: D, at least 1.
        joint: name of the root joint; default the one whose neighbours fall into the most subsets.
        distances: (V,) gravity distances, for the strategy ``spatial``.

    Raises:
        ValueError: an unknown joint, or what `bonegraph.graph.partition` raises.

    Example:
        >>> from bonegraph.skeleton import SKELETONS
        >>> figure = draw_partition(SKELETONS["ntu25"], "spatial-hops", joint="left elbow")
        >>> figure.savefig("partition.png")  # doctest: +SKIP
    """
    return _draw([_Split.of(skeleton, strategy, max_hop, joint, distances)])


def draw_all_partitions(
    skeleton: Skeleton,
    path: str | Path,
    *,
    max_hop: int = 1,
    joint: str | None = None,
    distances: Floats | None = None,
) -> Path:
    """Write one picture with every partition strategy, one below the other.

    Args:
        skeleton: what to draw.
        path: a ``.png``, ``.svg`` or ``.pdf`` file; replaced only when the new one is complete.
        max_hop: D, at least 1; above 1 without ``distance*``, which is defined for 1 alone.
        joint: name of the root joint; default see `draw_partition`.
        distances: (V,) gravity distances; without them ``spatial`` is left out.

    Returns:
        The path written.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: an unknown kind of file or joint, or D below 1.
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"cannot draw into '{path}'; the name must end in one of: {', '.join(_SUFFIXES)}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder '{path.parent}' to write '{path.name}' into; make it first.")
    left_out = {"spatial"} if distances is None else set()
    left_out |= {"distance*"} if max_hop > 1 else set()
    figure = _draw(
        [
            _Split.of(skeleton, strategy, max_hop, joint, distances)
            for strategy in get_args(Strategy)
            if strategy not in left_out
        ]
    )
    figure.suptitle(f"{skeleton.name}: partition strategies, D = {max_hop}", fontsize=14, color=_INK)
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower())
    write_whole(path, picture.getvalue())
    return path


@dataclass(frozen=True, eq=False)
class _Split:
    """One strategy on one skeleton, seen from one root joint."""

    skeleton: Skeleton
    strategy: Strategy
    names: tuple[str, ...]
    subsets: NDArray[np.bool_]  # (K, V, V)
    matrices: NDArray[np.float32]  # (K, V, V), but (1, V, V) for distance*
    root: int

    @classmethod
    def of(
        cls, skeleton: Skeleton, strategy: Strategy, max_hop: int, joint: str | None, distances: Floats | None
    ) -> _Split:
        subsets = partition(skeleton, strategy, max_hop=max_hop, distances=distances)
        normalisation: Normalisation = "released" if strategy == "spatial-released" else "subset"
        matrices = adjacency(skeleton, strategy, max_hop=max_hop, normalisation=normalisation, distances=distances)
        root = _telling_joint(subsets) if joint is None else skeleton.index(joint)
        return cls(skeleton, strategy, subset_names(strategy, max_hop), subsets, matrices, root)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the matrices: at most four in a row."""
        count = len(self.matrices)
        columns = min(count, -(-count // -(-count // 4)))
        return -(-count // columns), columns


def _draw(splits: list[_Split]) -> Figure:
    """One block of rows for each strategy: the skeleton on the left, its matrices on the right."""
    rows = sum(split.grid[0] for split in splits)
    columns = max(split.grid[1] for split in splits)
    figure = Figure(figsize=(4.4 + 3.3 * columns, 0.4 + max(3.6 * rows, 4.2)), dpi=150, layout="constrained")
    grid = GridSpec(rows, 1 + columns, figure=figure, width_ratios=[4.4, *[3.3] * columns])
    top = 0
    for split in splits:
        height, width = split.grid
        _draw_neighbours(figure.add_subplot(grid[top : top + height, 0]), split)
        for index in range(len(split.matrices)):
            _draw_matrix(figure.add_subplot(grid[top + index // width, 1 + index % width]), split, index)
        top += height
    return figure


def _draw_neighbours(axes: Axes, split: _Split) -> None:
    skeleton, root = split.skeleton, split.root
    places = _draw_edges(axes, skeleton, _QUIET)
    axes.scatter(places[:, 0], places[:, 1], s=22, color=_QUIET, zorder=2)
    for index, name in enumerate(split.names):
        members = split.subsets[index, :, root]
        label = f"{index}: {name}"
        axes.scatter(places[members, 0], places[members, 1], s=70, color=_colour(index), zorder=3, label=label)
    _ring(axes, places[root])
    if split.strategy in ("spatial-hops", "spatial-released"):
        x, y = places[skeleton.centre]
        axes.scatter(x, y, s=55, marker="x", color=_INK, linewidths=1.6, zorder=5, label="centre")
    named = np.flatnonzero(split.subsets[:, :, root].any(axis=0))
    _write_names(axes, skeleton, places, named.tolist(), names=True, size=7)
    axes.set_title(f"{split.strategy}: neighbours of '{skeleton.joints[root]}'", fontsize=10, color=_INK)
    _legend(axes, columns=2)


def _draw_matrix(axes: Axes, split: _Split, index: int) -> None:
    matrix, joints = split.matrices[index], split.skeleton.joints
    title = f"A[{index}] {split.names[index]}: {int(split.subsets[index].sum())} entries"
    high = float(matrix.max()) or 1.0
    low, colours = 0.0, ["#ffffff", _colour(index)]
    if split.strategy == "distance*":
        low, colours = -high, [_colour(1), "#ffffff", _colour(0)]
        title = f"A[0] \N{MINUS SIGN} A[1]: {int(split.subsets.sum())} entries"
    axes.imshow(matrix, vmin=low, vmax=high, cmap=LinearSegmentedColormap.from_list("subset", colours))
    column = Rectangle((split.root - 0.5, -0.5), 1, len(joints), fill=False, edgecolor=_INK, linewidth=0.8)
    axes.add_patch(column)  # what reaches the root joint of the drawing beside it
    size = float(np.clip(110 / len(joints), 3.5, 7))
    axes.set_xticks(range(len(joints)), joints, rotation=90, fontsize=size)
    axes.set_yticks(range(len(joints)), joints, fontsize=size)
    axes.tick_params(length=0, pad=1)
    axes.set_xlabel("target", fontsize=7)
    axes.set_ylabel("source", fontsize=7)
    axes.set_title(title, fontsize=8, color=_INK)
    for spine in axes.spines.values():
        spine.set_color(_QUIET)


def _telling_joint(subsets: NDArray[np.bool_]) -> int:
    """The joint whose neighbours fall into the most subsets; of equals the one with the most neighbours."""
    filled = subsets.any(axis=1).sum(axis=0)
    neighbours = subsets.sum(axis=(0, 1))
    return int(np.lexsort((neighbours, filled))[-1])


def _draw_edges(axes: Axes, skeleton: Skeleton, colour: str) -> NDArray[np.float64]:
    places = rest_pose(skeleton)
    for a, b in skeleton.edges:
        axes.plot(places[[a, b], 0], places[[a, b], 1], color=colour, linewidth=2, zorder=1, solid_capstyle="round")
    if set(skeleton.joints) <= set(_REST_POSE):
        axes.set_aspect("equal")
    axes.margins(0.16, 0.06)
    axes.set_axis_off()
    return places


def _ring(axes: Axes, place: NDArray[np.float64], label: str | None = None) -> None:
    axes.scatter(place[0], place[1], s=190, facecolors="none", edgecolors=_INK, linewidths=1.4, zorder=4, label=label)


def _write_names(
    axes: Axes,
    skeleton: Skeleton,
    places: NDArray[np.float64],
    joints: Iterable[int],
    *,
    names: bool,
    size: float,
) -> None:
    middle = (places[:, 0].min() + places[:, 0].max()) / 2
    for joint in joints:
        x, y = places[joint]
        name = skeleton.joints[joint]
        outward = -1 if x < middle else 1
        if name.partition(" ")[2] in _LABEL_INSIDE:
            outward = -outward
        text = axes.annotate(
            f"{joint} {name}" if names else str(joint),
            (x, y),
            # names on the midline are lifted over the bones that leave it sideways
            xytext=(9 * outward, 0 if x != middle else size),
            textcoords="offset points",
            ha="right" if outward < 0 else "left",
            va="center",
            fontsize=size,
            color=_INK,
            zorder=6,
        )
        text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=columns, frameon=False, fontsize=8)


def _side(joint: str) -> str:
    first = joint.partition(" ")[0]
    return first if first in _SIDES else "midline"


def _colour(index: int) -> str:
    return _SUBSETS[index % len(_SUBSETS)]
