"""Distances to the gravity centre, measured over the training part of a split (ST-GCN Eq. 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.store import Store
from bonegraph.graph import Floats, gravity_distances, hop_distances


def training_distances(store: Store, clips: NDArray[np.int64]) -> Floats:
    """Gravity distances of ST-GCN Eq. 8, over all frames of the training clips and the joints that are seen in them.

    A joint that none of them shows (legs out of the picture, say) counts as farther out than all others, by its hops
    from the nearest joint that is seen. Of the distances only the order matters.

    Raises:
        ValueError: no joint is ever visible.
    """
    sequences = [store.sequence(int(clip)) for clip in clips]
    joints = store.skeleton.num_joints
    positions = np.concatenate([s.positions.reshape(-1, joints, s.positions.shape[3]) for s in sequences])
    visible = np.concatenate([s.visible.reshape(-1, joints) for s in sequences])
    seen = visible.any(axis=0)
    if seen.all() or not seen.any():
        return gravity_distances(positions, visible)
    distances = np.empty(joints)
    distances[seen] = gravity_distances(positions[:, seen], visible[:, seen])
    away = hop_distances(joints, store.skeleton.edges)[:, seen].min(axis=1)
    distances[~seen] = distances[seen].max() + away[~seen]
    return distances
