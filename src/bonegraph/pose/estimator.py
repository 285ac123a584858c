"""What every pose estimator does: frames in, people out. Nothing here knows which network does it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.video import Frame
from bonegraph.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody in one frame.

    Args:
        joints: (V, 2) float32, x to the right and y down, in pixels; a joint may lie outside of the picture.
        confidence: (V,) float32 in [0, 1], how sure each joint is; 0 is a joint that was not found.
        world: (V, 3) float32 in metres where the estimator gives it, in the axes of a Kinect camera, in which most
            recordings of 3-D skeletons are: x to the left of the camera, y up, z away from the camera. The origin may
            move with the person.

    Raises:
        ValueError: shapes disagree, a number is not finite, or a confidence is not in [0, 1].
    """

    joints: NDArray[np.float32]
    confidence: NDArray[np.float32]
    world: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count = len(self.confidence)
        shapes = (self.joints.shape, self.confidence.shape, None if self.world is None else self.world.shape)
        if shapes not in (((count, 2), (count,), None), ((count, 2), (count,), (count, 3))):
            raise ValueError(f"a person has joints, confidence and world of shapes {shapes}; (V, 2), (V,), (V, 3) fit.")
        if not all(np.isfinite(part).all() for part in (self.joints, self.confidence, self.world) if part is not None):
            raise ValueError("a person has a joint at NaN or infinity; give it confidence 0 and any finite place.")
        if not ((self.confidence >= 0) & (self.confidence <= 1)).all():
            raise ValueError("the confidence of a joint must lie between 0 and 1.")


class PoseEstimator(Protocol):
    """Finds the joints of people in frames.

    Attributes:
        name: what notes and cards call it.
        skeleton: the V joints of every `Person`.
        metric: whether every `Person` has ``world``.
    """

    name: str
    skeleton: Skeleton
    metric: bool

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        """The people in each frame of one video, in any order; none is an empty list.

        Each call is a video of its own: an estimator that looks at earlier frames begins anew.

        Args:
            frames: (height, width, 3) RGB, all of one size.
            fps: frames per second, above 0.
        """
        ...
