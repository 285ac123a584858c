"""From a video to a `Sequence`: find the people in every frame, follow them, and keep those who are there most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from tqdm import tqdm

from bonegraph.pose.estimator import Person, PoseEstimator
from bonegraph.read.video import Video
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton
from bonegraph.tracking.places import places

Space = Literal["image", "world"]
"""``image``: x and y in pixels, y down. ``world``: x, y, z in metres, y up, as a Kinect camera gives them."""


@dataclass(frozen=True, eq=False)
class Filmed:
    """The people in a video, on the skeleton of the estimator.

    Attributes:
        image: in pixels.
        world: in metres; None where the estimator does not give it.
        width: of the picture, in pixels.
        height: of the picture, in pixels.
        notes: what was wrong with the file.
    """

    image: Sequence
    world: Sequence | None
    width: int
    height: int
    notes: tuple[str, ...]

    def sequence(self, space: Space, skeleton: Skeleton | None = None) -> Sequence:
        """The people in one kind of coordinates.

        Args:
            space: which coordinates.
            skeleton: convert to this one by joint name; joints that the estimator does not find get confidence 0.

        Raises:
            ValueError: the estimator gives no metric coordinates.
        """
        sequence = self.image if space == "image" else self.world
        if sequence is None:
            raise ValueError("the pose estimator gives no metric coordinates; use --space image, or mediapipe.")
        return sequence if skeleton is None else sequence.to_skeleton(skeleton)[0]

    @property
    def detection_rate(self) -> float:
        """The part of the frames in which somebody is seen."""
        return float(self.image.present.any(axis=1).mean())


def film(video: Video, estimator: PoseEstimator, *, people: int = 1, progress: bool = False) -> Filmed:
    """Find and follow the people in a video.

    Memory grows with the joints, not with the pictures: some 1 kB a person and frame.

    Args:
        video: the video.
        estimator: finds people in frames.
        people: keep at most so many, who is found most surely first (`bonegraph.tracking`); at least 1.
        progress: show a progress bar.

    Raises:
        ValueError: people is below 1, the video cannot be read, or nobody is found in any frame.
    """
    if people < 1:
        raise ValueError(f"people must be at least 1, got {people}.")
    frames: list[list[Person]] = []
    with tqdm(total=video.about, unit="frame", desc=f"poses of {video.name}", disable=not progress) as bar:
        for found in estimator.people(video, video.fps):
            frames.append(found)
            bar.update()
    kept = [[(frame, frames[frame][place]) for frame, place in track] for track in places(frames, video.fps, people)]
    if not kept:
        raise ValueError(
            f"nobody is found in any of the {len(frames)} frames of '{video.name}'; a person should be seen from head "
            "to foot and be at least a fifth of the height of the picture."
        )
    image = _sequence(kept, len(frames), "image", estimator.skeleton, video.fps)
    world = _sequence(kept, len(frames), "world", estimator.skeleton, video.fps) if estimator.metric else None
    return Filmed(image, world, video.width, video.height, tuple(video.notes))


def _sequence(
    tracks: list[list[tuple[int, Person]]], frames: int, space: Space, skeleton: Skeleton, fps: float
) -> Sequence:
    shape = (frames, len(tracks), skeleton.num_joints)
    positions = np.zeros((*shape, 2 if space == "image" else 3), np.float32)
    confidence = np.zeros(shape, np.float32)
    present = np.zeros(shape[:2], bool)
    for number, track in enumerate(tracks):
        for frame, person in track:
            joints = person.joints if space == "image" else person.world
            assert joints is not None  # the estimator says that it is metric
            positions[frame, number], confidence[frame, number] = joints, person.confidence
            present[frame, number] = True
    return Sequence(positions, present, skeleton, fps, "px" if space == "image" else "m", confidence)
