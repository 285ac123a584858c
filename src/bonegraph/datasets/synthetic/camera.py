"""Three depth cameras in an arc and what such a sensor gets wrong.

Camera frame, as Kinect's: x right in the mirrored picture (towards the right hand of a person who faces the camera),
y up, z away from the camera; metres, right-handed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.synthetic.body import ARMS, LEGS, Array


@dataclass(frozen=True)
class Camera:
    """Angle around the stage and downward tilt in radians, height and distance in metres."""

    angle: float
    height: float
    tilt: float
    distance: float


# Camera 1 is the middle one, as in NTU RGB+D, where it sees people at 45 degrees who face camera 2 or 3.
CAMERAS = {
    1: Camera(angle=0.0, height=1.35, tilt=0.10, distance=3.1),
    2: Camera(angle=-np.pi / 4, height=1.10, tilt=0.03, distance=2.9),
    3: Camera(angle=np.pi / 4, height=1.75, tilt=0.20, distance=3.2),
}

# Standard deviation in metres; hands and feet are found worse than the trunk.
NOISE = np.full(25, 0.006)
NOISE[ARMS[:, 1]] = NOISE[LEGS[:, 1]] = 0.008
NOISE[ARMS[:, 2]] = NOISE[LEGS[:, 2]] = 0.011
NOISE[LEGS[:, 3]] = NOISE[ARMS[:, 3]] = 0.014
NOISE[ARMS[:, 4]] = NOISE[ARMS[:, 5]] = 0.018
KNOT = 6  # frames between the knots of the slow part of the noise


def seen(stage: Array, camera: Camera, random: np.random.Generator) -> Array:
    """The stage in the camera's frame; `random` shifts this clip's camera a little."""
    angle, height, tilt, distance = np.array(
        [camera.angle, camera.height, camera.tilt, camera.distance]
    ) + random.standard_normal(4).clip(-2, 2) * (0.05, 0.04, 0.02, 0.12)
    aside = random.uniform(-0.2, 0.2)
    away = np.array([-np.sin(angle), 0.0, -np.cos(angle)])
    right = np.array([-np.cos(angle), 0.0, np.sin(angle)])
    up = np.array([0.0, 1.0, 0.0])
    axes = np.stack([right, np.cos(tilt) * up + np.sin(tilt) * away, np.cos(tilt) * away - np.sin(tilt) * up])
    eye = -distance * away + height * up + aside * right
    positions: Array = (stage - eye) @ axes.T
    return positions


def sensed(positions: Array, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Adds noise, frozen joints and lost people to exact positions in a camera's frame.

    Args:
        positions: (T, M, V, 3) metres.
        random: decides what goes wrong.

    Returns:
        positions: (T, M, V, 3) float32, 0 where the person is lost.
        present: (T, M) bool.
    """
    frames, people, joints, _ = positions.shape
    # The side of the body that is turned away hides behind the trunk.
    behind = np.clip((positions[..., 2] - positions[:, :, 20:21, 2]) / 0.25, 0, 1)
    knots = frames // KNOT + 2
    slow = random.standard_normal((knots, people, joints, 3))
    index, along = np.divmod(np.arange(frames), KNOT)
    along = (along / KNOT)[:, None, None, None]
    slow = slow[index] * (1 - along) + slow[index + 1] * along
    noise = 0.9 * slow + 0.5 * random.standard_normal(positions.shape)
    noisy = positions + noise * (NOISE * (1 + 1.2 * behind))[..., None] * (1.0, 1.0, 1.3)

    for person in range(people):
        if random.random() < 0.3:  # one limb is not tracked for a while and stays where it was
            limb = (*ARMS, *LEGS)[random.integers(4)][2:]
            start = int(random.integers(0, frames - 14))
            stop = start + int(random.integers(4, 13))
            noisy[start:stop, person, limb] = noisy[start, person, limb]
    present = np.ones((frames, people), np.bool_)
    for person in range(people):
        if random.random() < 0.2:
            start = int(random.integers(0, frames - 8))
            present[start : start + int(random.integers(2, 9)), person] = False
    return np.where(present[..., None, None], noisy, 0).astype(np.float32), present
