"""Recordings at the frame rate of a checkpoint."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bonegraph.sequence import Sequence

_MOST = 100
"""So many times as many frames are made at most; a rate that asks for more is a mistake."""
_SAME = 0.01
"""Rates that differ by less are one: 29.97 frames a second are 30."""


def at_rate(sequence: Sequence, fps: float) -> Sequence:
    """The same recording with another number of frames a second, by time.

    A new frame between two old ones lies on the line between them where both show the joint; where one of them does, it
    is as there if that one is the nearer. Recordings whose rate differs by less than 1 % are left as they are.

    Args:
        sequence: the recording.
        fps: the new rate, above 0.

    Raises:
        ValueError: it is more than 100 times the old one.
    """
    if abs(sequence.fps - fps) <= _SAME * fps:
        return sequence
    if fps > _MOST * sequence.fps:
        raise ValueError(
            f"a recording of {sequence.fps:g} frames a second cannot be brought to {fps:g}; tell its true rate."
        )
    count = max(1, round(sequence.num_frames * fps / sequence.fps))
    at = np.minimum(np.arange(count) * (sequence.fps / fps), sequence.num_frames - 1)
    before = np.floor(at).astype(np.int64)
    after = np.minimum(before + 1, sequence.num_frames - 1)
    share = (at - before).astype(np.float32)[:, None, None]  # of the later frame
    visible, confidence = sequence.visible, sequence.confidence
    positions, there, weight = between(
        sequence.positions[before], sequence.positions[after], visible[before], visible[after], share
    )
    if confidence is not None:
        confidence = np.where(there, confidence[before] * (1 - weight) + confidence[after] * weight, 0)
        confidence = confidence.clip(0, 1).astype(np.float32)
    present = np.where(share[..., 0] > 0.5, sequence.present[after], sequence.present[before])
    return Sequence(positions, present, sequence.skeleton, fps, sequence.unit, confidence)


def between(
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    seen_before: NDArray[np.bool_],
    seen_after: NDArray[np.bool_],
    share: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Joints between two frames: on the line where both show the joint, else as in the nearer frame.

    Args:
        before: (..., V, C) positions in the earlier frame.
        after: those in the later one.
        seen_before: (..., V) bool.
        seen_after: (..., V) bool.
        share: (..., 1), 0 at the earlier frame and 1 at the later one.

    Returns:
        Positions, whether the joint is there, and the weight of the later frame, all (..., V) or (..., V, C).
    """
    weight = np.where(seen_before & seen_after, share, (share > 0.5).astype(np.float32)).astype(np.float32)
    there = np.where(weight > 0.5, seen_after, seen_before)
    positions = before * (1 - weight)[..., None] + after * weight[..., None]
    return positions.astype(np.float32), there, weight
