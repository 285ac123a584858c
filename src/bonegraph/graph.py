"""Skeleton graphs as adjacency matrices ``A[k, source, target]``: who contributes to whom, in which subset.

Paper to code (Yan, Xiong and Lin, *Spatial Temporal Graph Convolutional Networks*, AAAI 2018)

    Eq. 2, 6  neighbour set B(v), distance at most D       `hop_distances`, ``max_hop``
    Sec. 3.4  partition strategies, Eq. 8                  `partition`
    Eq. 4     normalisation by subset size Z               ``normalisation="subset"``
    Eq. 10    Lambda^-1/2 A Lambda^-1/2 with alpha         ``normalisation="symmetric"``
    released  A D^-1 of all of A + I, then split           ``normalisation="released"``
    Sec. 3.4  distance to the gravity centre               `gravity_distances`

Nagy, Panesar and Qian, *Spatial-temporal Graph Convolutional Networks for Skeleton-based Action Recognition*, KTH 2020

    Sec. 4.3  symmetrical distance partitioning            `partition`, ``symmetrical``
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bonegraph.skeleton import Skeleton, nearest

Strategy = Literal["uniform", "distance", "distance*", "spatial", "spatial-hops", "spatial-released", "symmetrical"]
Normalisation = Literal["subset", "symmetric", "released"]
Floats = NDArray[np.float64]
_MOST_ENTRIES = 2**27


def hop_distances(num_joints: int, edges: tuple[tuple[int, int], ...]) -> Floats:
    """Length of the shortest path between every pair of joints, infinite where there is none.

    Shapes:
        returns (V, V), symmetric, zero on the diagonal.
    """
    hops = np.full((num_joints, num_joints), np.inf)
    np.fill_diagonal(hops, 0)
    for a, b in edges:
        hops[a, b] = hops[b, a] = 1
    for via in range(num_joints):
        hops = np.minimum(hops, hops[:, via, None] + hops[None, via, :])
    return hops


def gravity_distances(positions: NDArray[np.float32], visible: NDArray[np.bool_]) -> Floats:
    """Mean distance of each joint from the gravity centre of its body (r_i of ST-GCN Eq. 8).

    The gravity centre is the mean of the visible joints of one person in one frame. Measure it over the training split
    only.

    Args:
        positions: (..., V, C), any number of frames and people.
        visible: (..., V); a body with no visible joint counts nowhere.

    Shapes:
        returns (V,), in the unit of the positions.

    Raises:
        ValueError: some joint is never visible, so that it has no distance.
    """
    seen = visible[..., None]
    count = np.maximum(visible.sum(axis=-1), 1)[..., None, None]
    centre = np.where(seen, positions, 0).sum(axis=-2, keepdims=True, dtype=np.float64) / count
    distance = np.linalg.norm(np.where(seen, positions - centre, 0), axis=-1)
    bodies = tuple(range(visible.ndim - 1))
    frames = visible.sum(axis=bodies)
    if not frames.all():
        joint = int(np.argmin(frames))
        raise ValueError(f"joint {joint} is never visible, so it has no gravity distance; use 'spatial-hops' instead.")
    return np.asarray(distance.sum(axis=bodies) / frames, dtype=np.float64)


def partition(
    skeleton: Skeleton, strategy: Strategy, *, max_hop: int = 1, distances: Floats | None = None
) -> NDArray[np.bool_]:
    """Split the neighbours of every joint into K subsets (ST-GCN Sec. 3.4).

    Args:
        skeleton: joints, edges and centre.
        strategy: ``uniform`` (K = 1), ``distance`` (K = D + 1), ``distance*`` (K = 2, whose weights are tied by
            `adjacency`), ``spatial`` (Eq. 8 with measured gravity distances, K = 3), ``spatial-hops`` (Eq. 8 with the
            hop distance to the centre joint, K = 3), ``spatial-released`` (K = 1 + 2 D), ``symmetrical`` (K = 2: the
            joint itself; its neighbours, their mirror joints and its own mirror joint).
        max_hop: D, at least 1.
        distances: (V,) from `gravity_distances`; needed by ``spatial`` alone.

    Shapes:
        returns (K, V, V) bool, ``[k, source, target]``; disjoint, and together all pairs at most D hops apart, with
        ``symmetrical`` the mirror images of these sources as well.

    Raises:
        ValueError: an unknown strategy, D below 1, ``distance*`` with D above 1, or missing distances.

    Departs from the paper:
        ``spatial-released`` repeats an error of the released code, because every public weight depends on it: hop
        distances beyond D are infinite there, and two infinite distances count as equal, so that equal-distance edges
        mix with centrifugal ones.
    """
    if strategy not in get_args(Strategy):
        raise ValueError(f"no partition strategy '{strategy}'{nearest(strategy, get_args(Strategy))}.")
    if max_hop < 1:
        raise ValueError(f"max_hop must be at least 1, got {max_hop}.")
    hops = hop_distances(skeleton.num_joints, skeleton.edges)
    neighbours = hops <= max_hop
    if strategy == "uniform":
        return neighbours[None]
    if strategy in ("distance", "distance*"):
        if strategy == "distance*" and max_hop != 1:
            raise ValueError(f"'distance*' ties two subsets and needs max_hop 1, got {max_hop}.")
        return np.stack([hops == hop for hop in range(max_hop + 1)])
    if strategy == "symmetrical":
        itself = np.eye(skeleton.num_joints, dtype=bool)
        return np.stack([itself, (neighbours | neighbours[list(skeleton.mirror)]) & ~itself])
    if strategy == "spatial-released":
        known = np.where(neighbours, hops, np.inf)[skeleton.centre]
        source, target = known[:, None], known[None, :]
        outer, inner = source >= target, source < target
        rings = [side & (hops == hop) for hop in range(1, max_hop + 1) for side in (outer, inner)]
        return np.stack([hops == 0, *rings])
    if strategy == "spatial":
        if distances is None or np.shape(distances) != (skeleton.num_joints,):
            raise ValueError(
                f"'spatial' needs {skeleton.num_joints} gravity distances measured over the training split, got "
                f"{None if distances is None else np.shape(distances)}; use 'spatial-hops' where there is no data."
            )
        r = np.asarray(distances, dtype=np.float64)
    else:
        r = hops[skeleton.centre]
    source, target = r[:, None], r[None, :]
    return np.stack([source == target, source < target, source > target]) & neighbours  # Eq. 8


def _by_subset(subsets: Floats, alpha: float) -> Floats:
    sizes = np.maximum(subsets.sum(axis=1, keepdims=True), 1)
    return np.asarray(subsets / sizes, dtype=np.float64)  # Eq. 4: 1 / Z over the sources of each target


def _symmetric(subsets: Floats, alpha: float) -> Floats:
    scale = (subsets.sum(axis=1) + alpha) ** -0.5  # Lambda_j^ii: what reaches target i in subset j
    return np.asarray(scale[:, :, None] * subsets * scale[:, None, :], dtype=np.float64)


def _as_released(subsets: Floats, alpha: float) -> Floats:
    sizes = np.maximum(subsets.sum(axis=(0, 1)), 1)
    return np.asarray(subsets / sizes, dtype=np.float64)  # columns of the whole A + I, before the split


_NORMALISE: dict[str, Callable[[Floats, float], Floats]] = {
    "subset": _by_subset,
    "symmetric": _symmetric,
    "released": _as_released,
}


def adjacency(
    skeleton: Skeleton,
    strategy: Strategy = "spatial-hops",
    *,
    max_hop: int = 1,
    normalisation: Normalisation = "subset",
    alpha: float = 0.001,
    distances: Floats | None = None,
) -> NDArray[np.float32]:
    """Normalised adjacency of a skeleton, ready for a graph convolution.

    Args:
        skeleton: joints, edges and centre.
        strategy: see `partition`.
        max_hop: D, at least 1.
        normalisation: ``subset`` (ST-GCN Eq. 4), ``symmetric`` (Eq. 10) or ``released``.
        alpha: keeps empty rows of Eq. 10 finite.
        distances: (V,) from `gravity_distances`, for the strategy ``spatial``.

    Shapes:
        returns (K, V, V) float32, ``[k, source, target]``. ``distance*`` returns K = 1, the difference of its two
        normalised subsets, which is the same as tied weights w0 = -w1.

    Raises:
        ValueError: an unknown strategy or normalisation, or what `partition` raises.

    Example:
        >>> from bonegraph.skeleton import SKELETONS
        >>> adjacency(SKELETONS["ntu25"], "spatial-hops").shape
        (3, 25, 25)
    """
    if normalisation not in _NORMALISE:
        raise ValueError(f"no normalisation '{normalisation}'{nearest(normalisation, _NORMALISE)}.")
    subsets = partition(skeleton, strategy, max_hop=max_hop, distances=distances).astype(np.float64)
    normalised = _NORMALISE[normalisation](subsets, alpha)
    if strategy == "distance*":
        normalised = normalised[:1] - normalised[1:]
    return normalised.astype(np.float32)


def scales(skeleton: Skeleton, num_scales: int, window: int = 1, *, cumulative: bool = False) -> NDArray[np.float32]:
    """Disentangled scales of MS-G3D (Liu et al., CVPR 2020, Eq. 4), over one frame or a window of frames (Eq. 7).

    Scale 0 is the identity; scale k links the nodes whose hop distance is exactly k, and each node with itself. In a
    window every joint is linked with itself and its neighbours in all frames of the window, so that nodes of different
    frames are as far apart as their joints are, but at least one hop.

    Args:
        skeleton: joints and edges.
        num_scales: K, the identity among them.
        window: τ frames; node ``frame * V + joint``.
        cumulative: link what is at most 1, 2, ... hops away instead, as the text of STF has it.

    Shapes:
        returns (K, τV, τV) float32, ``[k, source, target]``, symmetric, normalised as D^-1/2 A D^-1/2.

    Raises:
        ValueError: no scale or no frame, or so many that the graph takes gigabytes.
    """
    if num_scales < 1 or window < 1:
        raise ValueError(f"scales and window must be at least 1, got {num_scales} and {window}.")
    if num_scales * (window * skeleton.num_joints) ** 2 > _MOST_ENTRIES:
        raise ValueError(
            f"{num_scales} scales over a window of {window} frames and {skeleton.num_joints} joints are a graph of "
            f"{num_scales * (window * skeleton.num_joints) ** 2:,} entries, more than {_MOST_ENTRIES:,}."
        )
    hops = np.tile(hop_distances(skeleton.num_joints, skeleton.edges), (window, window))
    frame = np.arange(window).repeat(skeleton.num_joints)
    hops = np.where(frame[:, None] == frame[None, :], hops, np.maximum(hops, 1))
    itself = np.eye(len(hops), dtype=bool)
    reached = [hops <= k + 1 if cumulative else hops == k for k in range(num_scales)]
    linked = (np.stack(reached) | itself).astype(np.float64)
    degree = linked.sum(axis=1)
    return np.asarray(linked / np.sqrt(degree[:, :, None] * degree[:, None, :]), dtype=np.float32)
