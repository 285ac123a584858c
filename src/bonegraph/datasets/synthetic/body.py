"""One synthetic person: proportions, habits, and the joints that follow from a pose.

Local frame of a person: x to the person's left, y up, z forward, metres; right-handed. Joint order is NTU-25.

    Controls (what a movement sets) --posed--> positions (T, 25, 3)

The trunk is forward kinematics from angles; arms and legs reach for a target with two bones (elbow and knee angle
follow from the law of cosines), so that feet stay on the floor and bone lengths never change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEFT, RIGHT = 0, 1  # sides of `hands` and `feet`
SIDE = np.array([1.0, -1.0])  # x of "outward": the left hand is at +x
ARMS = np.array([[4, 5, 6, 7, 21, 22], [8, 9, 10, 11, 23, 24]])  # shoulder, elbow, wrist, hand, hand tip, thumb
LEGS = np.array([[12, 13, 14, 15], [16, 17, 18, 19]])  # hip, knee, ankle, foot
REST_POLE = np.array([0.35, -0.2, -0.9])  # elbows point out and back
REST_HAND = np.array([0.12, -0.97, 0.08])


@dataclass(frozen=True)
class Body:
    """Proportions in metres. The shares of the body height are usual anthropometric averages, varied per person."""

    spine: float  # base spine to mid spine, and again to the shoulders
    neck: float
    head: float
    shoulder: float  # half the shoulder width
    hip: float  # half the hip width
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shank: float
    ankle: float  # height of the ankle over the floor
    foot: float

    @property
    def arm(self) -> float:
        """Shoulder to wrist."""
        return self.upper_arm + self.forearm

    @property
    def hip_height(self) -> float:
        """Of the hip joints in quiet standing; knees are never quite locked."""
        return 0.985 * (self.thigh + self.shank) + self.ankle

    @property
    def base_height(self) -> float:
        """Of the base of the spine in quiet standing."""
        return self.hip_height + 0.2 * self.hip

    @property
    def shoulder_height(self) -> float:
        """In quiet standing."""
        return self.base_height + 1.9 * self.spine


@dataclass(frozen=True)
class Style:
    """How one person does things; each repetition varies it a little."""

    amplitude: float  # 1 is average
    tempo: float  # 1 is average, above is faster
    sideways: float  # 0: arms are raised to the front, 1: to the side
    knees: float  # 0: picks up with a bent back, 1: with bent knees
    both_hands: float  # above 0.5: takes both hands where one would do
    lean: float  # radians, resting forward lean
    stance: float  # half the distance of the feet over half the hip width
    stride: float  # over the leg length
    swing: float  # of the arms in walking, 1 is average


@dataclass(frozen=True)
class Person:
    """A body, its habits and its hand."""

    body: Body
    style: Style
    left_handed: bool


def draw_person(random: np.random.Generator) -> Person:
    """A new person; the same state of `random` gives the same person."""
    height = float(np.clip(random.normal(1.71, 0.09), 1.5, 1.95))
    shares = np.array([0.136, 0.036, 0.088, 0.108, 0.052, 0.170, 0.148, 0.045, 0.245, 0.244, 0.043, 0.085])
    lengths = height * shares * (1 + 0.04 * np.clip(random.standard_normal(len(shares)), -2, 2))
    n = np.clip(random.standard_normal(9), -2, 2)
    style = Style(
        amplitude=1 + 0.06 * n[0],
        tempo=float(np.exp(0.14 * n[1])),
        sideways=float(random.random()),
        knees=float(random.uniform(0.2, 0.9)),
        both_hands=float(random.random() * 0.75),
        lean=0.03 + 0.03 * n[5],
        stance=1.1 + 0.15 * n[6],
        stride=0.95 + 0.1 * n[7],
        swing=1 + 0.25 * n[8],
    )
    return Person(Body(*lengths.tolist()), style, left_handed=bool(random.random() < 0.15))


def vary(style: Style, random: np.random.Generator) -> Style:
    """The style of one repetition."""
    n = np.clip(random.standard_normal(7), -2, 2)
    return replace(
        style,
        amplitude=style.amplitude + 0.03 * n[0],
        tempo=style.tempo * float(np.exp(0.08 * n[1])),
        sideways=float(np.clip(style.sideways + 0.15 * n[2], 0, 1)),
        knees=float(np.clip(style.knees + 0.12 * n[3], 0, 1)),
        both_hands=style.both_hands + 0.08 * n[4],
        lean=style.lean + 0.015 * n[5],
        stride=style.stride + 0.04 * n[6],
    )


@dataclass(frozen=True)
class Controls:
    """What a person does over T frames, for a right-handed person (the left-handed one is the mirror image).

    Args:
        root: (T, 3) metres, base of the spine against quiet standing at the person's spot.
        turn: (T,) radians, to the left.
        trunk: (T, 3) radians: forward bend, bend to the left, twist to the left.
        head: (T, 2) radians: nod, turn to the left.
        hands: (T, 2, 3) wrist against its shoulder: outward, up, forward, in arm lengths.
        elbows: (2, 3) where the elbows point: outward, up, forward.
        feet: (T, 2, 3) metres, ankle against quiet standing at the person's spot.
    """

    root: Array
    turn: Array
    trunk: Array
    head: Array
    hands: Array
    elbows: Array
    feet: Array


def rest(frames: int, body: Body, style: Style) -> Controls:
    """Quiet standing with hanging arms."""
    feet = np.zeros((frames, 2, 3))
    feet[..., 0] = SIDE * body.hip * (style.stance - 1)
    trunk = np.zeros((frames, 3))
    trunk[:, 0] = style.lean
    return Controls(
        root=np.zeros((frames, 3)),
        turn=np.zeros(frames),
        trunk=trunk,
        head=np.zeros((frames, 2)),
        hands=np.broadcast_to(REST_HAND, (frames, 2, 3)).copy(),
        elbows=np.stack([REST_POLE, REST_POLE]),
        feet=feet,
    )


def rotation(pitch: Array, roll: Array, yaw: Array) -> Array:
    """(..., 3, 3) rotation matrices: roll to the left, then bend forward, then turn to the left."""
    cp, sp, cr, sr, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(roll), -np.sin(roll), np.cos(yaw), np.sin(yaw)
    rows = [
        [cy * cr + sy * sp * sr, -cy * sr + sy * sp * cr, sy * cp],
        [cp * sr, cp * cr, -sp],
        [-sy * cr + cy * sp * sr, sy * sr + cy * sp * cr, cy * cp],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def posed(body: Body, controls: Controls) -> Array:
    """(T, 25, 3) joint positions in metres in the person's local frame, floor at y = 0."""
    frames = len(controls.turn)
    pitch, roll, twist = controls.trunk.T
    turn = controls.turn
    angles = rotation(  # pelvis, lower trunk, upper trunk, head
        np.stack([0.25 * pitch, 0.65 * pitch, pitch, 0.5 * pitch + controls.head[:, 0]], axis=1),
        np.stack([0.3 * roll, 0.6 * roll, roll, 0.5 * roll], axis=1),
        np.stack([turn, turn + 0.3 * twist, turn + twist, turn + 0.6 * twist + controls.head[:, 1]], axis=1),
    )
    up = angles[..., 1]
    positions = np.empty((frames, 25, 3))
    positions[:, 0] = controls.root + np.array([0, body.base_height, 0])
    positions[:, 1] = positions[:, 0] + body.spine * up[:, 1]
    positions[:, 20] = positions[:, 1] + body.spine * up[:, 2]
    positions[:, 2] = positions[:, 20] + body.neck * up[:, 2]
    positions[:, 3] = positions[:, 2] + body.head * (0.97 * up[:, 3] + 0.24 * angles[:, 3, :, 2])
    across, drop = SIDE[:, None] * angles[:, 2, None, :, 0], up[:, 2, None]
    positions[:, ARMS[:, 0]] = positions[:, None, 20] + body.shoulder * across - 0.1 * body.spine * drop
    across, drop = SIDE[:, None] * angles[:, 0, None, :, 0], up[:, 0, None]
    positions[:, LEGS[:, 0]] = positions[:, None, 0] + body.hip * across - 0.2 * body.hip * drop

    heading = rotation(np.zeros(frames), np.zeros(frames), turn)
    outward = np.stack([SIDE, np.ones(2), np.ones(2)], axis=1)  # (2, 3): outward, up, forward -> x, y, z
    reach = _turned(heading, controls.hands * outward * body.arm)
    bend = _turned(heading, np.broadcast_to(controls.elbows * outward, (frames, 2, 3)))
    shoulders = positions[:, ARMS[:, 0]]
    elbows, wrists, inner = _two_bones(shoulders, shoulders + reach, bend, body.upper_arm, body.forearm)
    positions[:, ARMS[:, 1]], positions[:, ARMS[:, 2]] = elbows, wrists
    along = (wrists - elbows) / body.forearm
    positions[:, ARMS[:, 3]] = wrists + body.hand * along
    positions[:, ARMS[:, 4]] = wrists + 2.0 * body.hand * along
    positions[:, ARMS[:, 5]] = wrists + body.hand * (1.3 * along - 0.8 * inner)

    forward = heading[:, None, :, 2]
    standing = np.stack([SIDE * body.hip, np.full(2, body.ankle), np.zeros(2)], axis=1)
    bend = forward + 0.25 * SIDE[:, None] * heading[:, None, :, 0]
    hips = positions[:, LEGS[:, 0]]
    knees, ankles, _ = _two_bones(hips, standing + controls.feet, bend, body.thigh, body.shank)
    positions[:, LEGS[:, 1]], positions[:, LEGS[:, 2]] = knees, ankles
    positions[:, LEGS[:, 3]] = ankles + body.foot * forward - np.array([0, 0.7 * body.ankle, 0])
    return positions


def _turned(heading: Array, vectors: Array) -> Array:
    """Vectors (T, 2, 3), each frame turned by its own matrix (T, 3, 3)."""
    turned: Array = vectors @ heading.swapaxes(-1, -2)
    return turned


def _two_bones(start: Array, target: Array, pole: Array, upper: float, lower: float) -> tuple[Array, Array, Array]:
    """Middle and end joint of a limb that reaches for `target` and bends towards `pole`; also the lower bone's normal.

    The normal is a unit vector in the plane of the limb, on the side the limb bends to.

    A target out of reach is replaced by the nearest point on the way to it, so the bones keep their lengths.
    """
    way = target - start
    distance = np.sqrt((way * way).sum(-1, keepdims=True))
    axis = way / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(upper - lower) + 0.1 * lower, 0.999 * (upper + lower))
    bend = pole - (pole * axis).sum(-1, keepdims=True) * axis
    bend = bend / np.maximum(np.sqrt((bend * bend).sum(-1, keepdims=True)), 1e-9)
    along = (distance**2 + upper**2 - lower**2) / (2 * distance)
    off = np.sqrt(np.maximum(upper**2 - along**2, 0))
    middle = start + along * axis + off * bend
    normal = ((distance - along) * bend + off * axis) / lower
    return middle, start + distance * axis, normal
