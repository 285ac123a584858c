"""MediaPipe Pose (BlazePose GHUM, Bazarevsky et al. 2020; Grishchenko et al. 2022): 33 joints, on a CPU in real time.

One person is found by the classic Solutions API, which follows them from frame to frame; several by the Tasks API. Both
use the weights that come with mediapipe 0.10.14. No connection is opened: models that are not in the package are
refused before mediapipe would fetch them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bonegraph.pose.estimator import Person
from bonegraph.pose.task_file import task_file
from bonegraph.read.video import Frame
from bonegraph.skeleton import SKELETONS

_MODELS = {0: "pose_landmark_lite", 1: "pose_landmark_full", 2: "pose_landmark_heavy"}
_SAME = 0.15
"""Two people whose joints, or whose trunks, are closer than this part of their size are one that was found twice."""

_TRUNK = [
    SKELETONS["mediapipe33"].index(f"{side} {part}") for part in ("shoulder", "hip") for side in ("left", "right")
]

_OWN = 0.8
"""How alike (intersection over union) a newly found person and a followed one must be for mediapipe to drop the latter.

It looks for new people as long as there are fewer than asked for. With its own value, 0.5, somebody who is followed
well is given up for a box that lies half over them and half over their neighbour, and not found again for seconds.
"""
_NOISY_FRAMES = 3  # the first ones, in which the networks are loaded


class MediaPipePose:
    """People by MediaPipe: 33 joints in pixels, and in metres about the middle of the hips.

    Args:
        people: at most so many in a frame. 1 is fastest and steadiest.
        complexity: of the network, 1; or 0 (lite) and 2 (heavy), one person only, where you have put their files into
            the package.
        least: how sure the detector must be that there is a person, in [0, 1]; default 0.5 for one person and 0.3 for
            several, since small people beside others are often missed at 0.5.

    Raises:
        ValueError: mediapipe is not installed, lacks a model, or an argument makes no sense.

    Example:
        >>> estimator = MediaPipePose(people=2)  # doctest: +SKIP
    """

    name = "mediapipe"
    skeleton = SKELETONS["mediapipe33"]
    metric = True

    def __init__(self, people: int = 1, complexity: int = 1, least: float | None = None) -> None:
        if not 1 <= people <= 20:
            raise ValueError(f"people must be from 1 to 20, got {people}.")
        if complexity not in _MODELS or (people > 1 and complexity != 1):
            choices = "1" if people > 1 else "0, 1 or 2"
            raise ValueError(f"complexity must be {choices} for {people} people, got {complexity}.")
        if least is not None and not 0 <= least <= 1:
            raise ValueError(f"the least certainty must lie between 0 and 1, got {least}.")
        self._mediapipe = _import()
        self._modules = Path(self._mediapipe.__file__).parent / "modules"
        if not (self._modules / "pose_landmark" / f"{_MODELS[complexity]}.tflite").is_file():
            raise ValueError(
                f"mediapipe comes without the model of complexity {complexity}, and nothing is downloaded; use 1, or "
                f"put {_MODELS[complexity]}.tflite into '{self._modules / 'pose_landmark'}'."
            )
        self._people, self._complexity = people, complexity
        self._least = least if least is not None else 0.5 if people == 1 else 0.3

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        """As `bonegraph.pose.estimator.PoseEstimator`."""
        find = self._one if self._people == 1 else self._several
        pictures = iter(frames)
        waited = next(pictures, None)  # a camera may take its time, in which a network that is there already would talk
        if waited is None:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protobuf, about how mediapipe calls it
            with _silence():
                network = self._classic() if self._people == 1 else self._tasks()
        try:
            for number, frame in enumerate(chain([waited], pictures)):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    with _silence() if number < _NOISY_FRAMES else contextlib.nullcontext():
                        found = find(network, np.ascontiguousarray(frame), round(1000 * number / fps))
                yield found
        finally:
            with _silence():
                network.close()

    def _classic(self) -> Any:
        return self._mediapipe.solutions.pose.Pose(
            model_complexity=self._complexity, min_detection_confidence=self._least, smooth_landmarks=True
        )

    def _tasks(self) -> Any:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.PoseLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=task_file(self._modules)),
            running_mode=vision.RunningMode.VIDEO,
            num_poses=self._people,
            min_pose_detection_confidence=self._least,
            min_tracking_confidence=_OWN,
        )
        return vision.PoseLandmarker.create_from_options(options)

    def _one(self, network: Any, frame: Frame, milliseconds: int) -> list[Person]:
        found = network.process(frame)
        if found.pose_landmarks is None:
            return []
        return [_person(found.pose_landmarks.landmark, found.pose_world_landmarks.landmark, frame)]

    def _several(self, network: Any, frame: Frame, milliseconds: int) -> list[Person]:
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=frame)
        found = network.detect_for_video(image, milliseconds)
        every = [
            _person(flat, deep, frame)
            for flat, deep in zip(found.pose_landmarks, found.pose_world_landmarks, strict=True)
        ]
        return without_doubles(every)


@functools.lru_cache(maxsize=2)
def mediapipe_for(people: int) -> MediaPipePose:
    """The estimator for so many people, one for each process that reads.

    Raises:
        ValueError: as `MediaPipePose`.
    """
    return MediaPipePose(people)


def without_doubles(people: Sequence[Person]) -> list[Person]:
    """Leave out who is somebody else found again; of two, the surer one stays."""
    kept: list[Person] = []
    for person in sorted(people, key=lambda person: -float(person.confidence.mean())):
        if all(_apart(person, other) > _SAME for other in kept):
            kept.append(person)
    return kept


def _apart(one: Person, other: Person) -> float:
    """Mean distance of the joints, or that of the trunks if it is less, by the size of the larger one.

    Who is found a second time may stand on the head there: then only the trunks lie upon each other.
    """
    size = max(float(np.linalg.norm(np.ptp(person.joints, axis=0))) for person in (one, other))
    away = one.joints - other.joints
    joints, trunk = np.linalg.norm(away, axis=1).mean(), np.linalg.norm(away[_TRUNK].mean(axis=0))
    return float(min(joints, trunk)) / max(size, 1.0)


def _person(flat: Any, deep: Any, frame: Frame) -> Person:
    height, width, _ = frame.shape
    joints = np.array([(mark.x * width, mark.y * height) for mark in flat], np.float32)
    confidence = np.array([mark.visibility for mark in flat], np.float32).clip(0, 1)
    # mediapipe: x right and y down in the picture, z away from the camera
    world = np.array([(-mark.x, -mark.y, mark.z) for mark in deep], np.float32)
    return Person(joints, confidence, world)


def _import() -> Any:
    try:
        with warnings.catch_warnings(), _silence():
            warnings.simplefilter("ignore")
            import mediapipe
    except ImportError:
        raise ValueError(
            "finding people in a video needs mediapipe, which is not installed: pip install -c constraints.txt -e "
            "'.[pose]'."
        ) from None
    if not hasattr(mediapipe, "solutions"):
        raise ValueError(
            f"mediapipe {mediapipe.__version__} comes without the models of its classic interface; install "
            "mediapipe==0.10.14: pip install -c constraints.txt -e '.[pose]'."
        )
    return mediapipe


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Hold back what the libraries below mediapipe write to standard error while they start; they have no setting."""
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
