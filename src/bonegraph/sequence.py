"""Sequence: one recording of one or more people, as every reader returns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.skeleton import Conversion, Skeleton, conversion


@dataclass(frozen=True, eq=False)
class Sequence:
    """Joint positions of M people over T frames. Missing is a mask, never a zero.

    Args:
        positions: (T, M, V, C) float32, finite; the values of absent people have no meaning.
        present: (T, M) bool, who is seen in which frame.
        skeleton: the V joints.
        fps: frames per second, above 0.
        unit: ``"m"``, ``"px"`` or ``"normalised"``.
        confidence: (T, M, V) float32 in [0, 1] where the source has one; a joint with 0 is not visible.

    Raises:
        ValueError: shapes disagree, or a number is not finite.
    """

    positions: NDArray[np.float32]
    present: NDArray[np.bool_]
    skeleton: Skeleton
    fps: float
    unit: str
    confidence: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        shape = self.positions.shape
        if len(shape) != 4 or shape[2] != self.skeleton.num_joints or shape[3] not in (2, 3):
            raise ValueError(
                f"positions have shape {shape}, but (frames, people, {self.skeleton.num_joints} joints of "
                f"'{self.skeleton.name}', 2 or 3) is needed."
            )
        if shape[0] == 0:
            raise ValueError("the sequence has no frames; a sequence needs at least one.")
        if self.present.shape != shape[:2]:
            raise ValueError(f"present has shape {self.present.shape}, but positions need {shape[:2]}.")
        if self.confidence is not None and self.confidence.shape != shape[:3]:
            raise ValueError(f"confidence has shape {self.confidence.shape}, but positions need {shape[:3]}.")
        if not np.isfinite(self.positions).all():
            frame = int(np.argwhere(~np.isfinite(self.positions))[0][0])
            raise ValueError(f"positions hold NaN or infinity, first in frame {frame}; mark missing people as absent.")
        if self.confidence is not None and not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise ValueError("confidence must lie between 0 and 1.")
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"the frame rate must be above 0, got {self.fps}.")

    @property
    def num_frames(self) -> int:
        """T."""
        return int(self.positions.shape[0])

    @property
    def num_people(self) -> int:
        """M."""
        return int(self.positions.shape[1])

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(T, M, V) bool: the person is present and the joint was found."""
        visible = np.broadcast_to(self.present[:, :, None], self.positions.shape[:3])
        return visible if self.confidence is None else visible & (self.confidence > 0)

    def to_skeleton(self, target: Skeleton) -> tuple[Sequence, Conversion]:
        """The same recording on another skeleton, by joint name.

        Returns:
            The new sequence (missing joints get confidence 0, a derived joint is visible where all its parts are, with
            their lowest confidence) and the conversion, which says what is derived and what is missing.
        """
        how = conversion(self.skeleton, target)
        if self.skeleton == target:
            return self, how
        positions = np.einsum("wv,tmvc->tmwc", how.weights, self.positions).astype(np.float32)
        confidence = self.confidence
        if confidence is None and how.missing:
            confidence = np.ones(self.positions.shape[:3], np.float32)
        if confidence is not None:
            parts = how.weights > 0
            lowest = np.where(parts, confidence[:, :, None, :], 1.0).min(axis=-1)
            confidence = np.where(parts.any(axis=1), lowest, 0.0).astype(np.float32)
        return Sequence(positions, self.present, target, self.fps, self.unit, confidence), how
