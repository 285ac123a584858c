"""Videos as a checkpoint needs them: in its coordinates, at its frame rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bonegraph.inference.recogniser import Recogniser
from bonegraph.pose.estimator import PoseEstimator
from bonegraph.pose.recording import Filmed, film
from bonegraph.read.video import Video
from bonegraph.sequence import Sequence


def film_for(
    recogniser: Recogniser, video: Video, estimator: PoseEstimator, *, people: int = 1, progress: bool = False
) -> tuple[Filmed, Sequence]:
    """Find the people in a video for a checkpoint.

    A checkpoint of three coordinates gets metres (about the hips of each person), one of two gets pixels, or parts of
    the picture if it was trained on those.

    Args:
        recogniser: the checkpoint.
        video: the video; best at ``recogniser.meaning.fps``.
        estimator: finds people in frames.
        people: at most so many are kept, those who are seen most.
        progress: show a progress bar.

    Returns:
        The people as found, and as the checkpoint needs them.

    Raises:
        ValueError: the skeleton lacks joints that the checkpoint needs, the estimator gives no metric coordinates but
            the checkpoint needs them, the video cannot be read, or nobody is found.
    """
    check_estimator(recogniser, estimator)  # before anything takes time
    found = film(video, estimator, people=people, progress=progress)
    if recogniser.coordinates == 3:
        return found, found.sequence("world")
    sequence = found.image
    if recogniser.meaning.unit == "normalised":
        parts = (sequence.positions / (found.width, found.height)).astype(np.float32)
        sequence = replace(sequence, positions=parts, unit="normalised")
    return found, sequence


def check_estimator(recogniser: Recogniser, estimator: PoseEstimator) -> None:
    """See that a checkpoint can look at the people whom an estimator finds.

    Raises:
        ValueError: the skeleton lacks joints that the checkpoint needs, or the estimator gives no metric coordinates
            but the checkpoint needs them.
    """
    recogniser.check_skeleton(estimator.skeleton)
    if recogniser.coordinates == 3 and not estimator.metric:
        raise ValueError(
            f"the checkpoint takes 3 coordinates a joint, but '{estimator.name}' finds people in the picture only; use "
            "a checkpoint of 2 coordinates, or mediapipe."
        )
