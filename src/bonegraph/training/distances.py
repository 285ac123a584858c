"""Distances to the gravity centre, measured over the training part of a split (ST-GCN Eq. 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.store import Store
from bonegraph.graph import Floats, gravity_distances


def training_distances(store: Store, clips: NDArray[np.int64]) -> Floats:
    """Gravity distances of ST-GCN Eq. 8, over all frames of the training clips.

    Raises:
        ValueError: some joint is never visible.
    """
    sequences = [store.sequence(int(clip)) for clip in clips]
    joints = store.skeleton.num_joints
    positions = np.concatenate([s.positions.reshape(-1, joints, s.positions.shape[3]) for s in sequences])
    visible = np.concatenate([s.visible.reshape(-1, joints) for s in sequences])
    return gravity_distances(positions, visible)
