"""Movements of one person, each a function of a phase that runs from 0 to 1.

A movement run with the phase from 1 to 0 is its opposite (lower the arm, stand up, take the hat off, ...): the opposite
visits the same poses in the opposite order, so that only time tells the two apart. All are written for a right hand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bonegraph.datasets.synthetic.body import LEFT, REST_HAND, RIGHT, Array, Body, Controls, Style

WAIST = np.array([-0.08, -0.36, 0.66])  # a hand that carries something, in arm lengths from its shoulder
PI = float(np.pi)


def ease(x: Array) -> Array:
    """Minimum-jerk ramp from 0 to 1, as hands move from rest to rest (Flash and Hogan 1985)."""
    x = np.clip(x, 0, 1)
    return x * x * x * (10 - 15 * x + 6 * x * x)


def through(phase: Array, times: Array, poses: Array) -> Array:
    """Values (T, ...) that pass through `poses` (K, ...) at the phases `times` (K,) and rest there."""
    piece = np.clip(np.searchsorted(times, phase, side="right") - 1, 0, len(times) - 2)
    along = ease((phase - times[piece]) / (times[piece + 1] - times[piece]))
    along = along.reshape(along.shape + (1,) * (poses.ndim - 1))
    return poses[piece] * (1 - along) + poses[piece + 1] * along


def moments(random: np.random.Generator, *times: float) -> Array:
    """The key phases of one repetition: inner ones shift a little, the ends stay."""
    shifted = np.array(times)
    shifted[1:-1] += random.uniform(-0.04, 0.04, len(times) - 2)
    return shifted


def raise_arm(phase: Array, body: Body, style: Style, base: Controls, random: np.random.Generator) -> Controls:
    """The arm goes from hanging to overhead, over the front or the side."""
    half = np.array([0.15 + 0.75 * style.sideways, 0.05, 0.9 - 0.8 * style.sideways])
    top = np.array([random.uniform(0.0, 0.25), 0.96, random.uniform(0.0, 0.2)]) * style.amplitude
    angle = through(phase, np.array([0.0, 1.0]), np.array([0.0, 1.0])) * PI / 2
    # Down, half way and up are 90 degrees apart: an arc through the three.
    swing = np.sin(2 * angle)[:, None] * half
    hands = base.hands.copy()
    hands[:, RIGHT] += swing + np.sin(angle)[:, None] ** 2 * (top - REST_HAND)
    trunk = base.trunk.copy()
    trunk[:, 1] += 0.05 * np.sin(angle) ** 2
    elbows = base.elbows.copy()
    elbows[RIGHT] = (0.7, -0.3, -0.6)
    return replace(base, hands=hands, trunk=trunk, elbows=elbows)


def sit_down(phase: Array, body: Body, style: Style, base: Controls, random: np.random.Generator) -> Controls:
    """From standing onto a chair: bend forward, lower the hips backward, straighten the trunk."""
    chair = 0.46 * random.uniform(0.92, 1.06)  # metres, height of the base of the spine over the floor is a little more
    down, back = chair + 0.09 - body.base_height, -(0.95 + 0.1 * random.random()) * body.thigh
    times = moments(random, 0.0, 0.45, 1.0)
    lowered = ease(phase)
    root = base.root + lowered[:, None] * np.array([0.0, down, back])
    trunk = base.trunk.copy()
    trunk[:, 0] += through(phase, times, np.array([0.0, 0.6 * style.amplitude, -0.03]))
    lap = np.array([-0.05 * style.stance, -0.72, 0.5])
    hands = base.hands + lowered[:, None, None] * (lap - REST_HAND)
    return replace(base, root=root, trunk=trunk, hands=hands)


def put_on_hat(phase: Array, body: Body, style: Style, base: Controls, random: np.random.Generator) -> Controls:
    """A hat held before the waist goes onto the head; the hand returns to the side."""
    above = 2 * body.neck + body.head + 0.05
    inward = -(body.shoulder - 0.06) / body.arm
    crown = np.array([inward, above / body.arm * style.amplitude, 0.16 + random.uniform(-0.05, 0.05)])
    brim = crown + np.array([0.08, 0.12, 0.12])
    start, stop = 0.43 + random.uniform(-0.03, 0.03), 0.57 + random.uniform(-0.03, 0.03)
    path = through(phase, np.array([0.0, start, 0.5, stop, 1.0]), np.stack([WAIST, brim, crown, brim, REST_HAND]))
    hands = base.hands.copy()
    hands[:, RIGHT] += path - REST_HAND
    if style.both_hands > 0.5:
        hands[:, LEFT] += path - REST_HAND
    head = base.head.copy()
    head[:, 0] += through(phase, np.array([0.0, 0.5, 1.0]), np.array([0.12, 0.2, 0.0]))
    elbows = np.tile(np.array([0.85, -0.3, -0.2]), (2, 1))
    return replace(base, hands=hands, head=head, elbows=elbows)


def pick_up(phase: Array, body: Body, style: Style, base: Controls, random: np.random.Generator) -> Controls:
    """Down to the floor with an empty hand, up again with the hand before the waist."""
    knees = style.knees
    depth = -(0.12 + 0.3 * knees) * body.hip_height
    bend = 1.42 - 0.62 * knees
    times = np.array([0.0, random.uniform(0.42, 0.48), random.uniform(0.52, 0.58), 1.0])
    low = through(phase, times, np.array([0.0, 1.0, 1.0, 0.0]))
    root = base.root + low[:, None] * np.array([0.0, depth, -0.1 - 0.12 * knees])
    trunk = base.trunk.copy()
    trunk[:, 0] += low * bend * style.amplitude
    trunk[:, 2] += 0.15 * low
    floor = np.array([-0.1, -0.95, 0.3])
    hands = base.hands.copy()
    hands[:, RIGHT] += through(phase, times, np.stack([REST_HAND, floor, floor, WAIST])) - REST_HAND
    if style.both_hands > 0.5:
        hands[:, LEFT] += through(phase, times, np.stack([REST_HAND, floor, floor, WAIST])) - REST_HAND
    head = base.head.copy()
    head[:, 0] += 0.2 * low
    return replace(base, root=root, trunk=trunk, hands=hands, head=head)


def circle_arm(phase: Array, body: Body, style: Style, base: Controls, random: np.random.Generator) -> Controls:
    """The straight arm circles forward beside the body once: up behind, over the top, down in front."""
    angle = 2 * PI * phase
    out = random.uniform(0.2, 0.4)
    circle = np.stack([np.full_like(phase, out), -np.cos(angle), -np.sin(angle)], axis=1)
    raised = ease(phase / 0.1) * ease((1 - phase) / 0.1)
    hands = base.hands.copy()
    hands[:, RIGHT] += raised[:, None] * (0.96 * circle - REST_HAND)
    if style.both_hands > 0.5:
        hands[:, LEFT] += raised[:, None] * (0.96 * circle - REST_HAND)
    trunk = base.trunk.copy()
    trunk[:, 2] += 0.12 * raised * np.sin(angle)
    elbows = np.tile(np.array([1.0, -0.15, 0.0]), (2, 1))
    return replace(base, hands=hands, trunk=trunk, elbows=elbows)


def walk(phase: Array, body: Body, style: Style, base: Controls, random: np.random.Generator) -> Controls:
    """Two strides or so straight ahead; a foot stands still for 60 % of its stride."""
    stride = 1.15 * style.stride * (body.thigh + body.shank)
    count = random.uniform(1.6, 2.2)
    start = random.random()
    gait = count * (phase - 0.5) + start + np.array([[0.0], [0.5]])  # (2, T): strides done, per foot
    done = gait - np.floor(gait)
    swing = np.clip((done - 0.6) / 0.4, 0, 1)
    travel = stride * count * (phase - 0.5)
    feet = base.feet.copy()
    feet[..., 0] *= 0.5
    feet[..., 1] += (0.28 * body.shank * np.sin(PI * swing) ** 2).T
    feet[..., 2] += (travel + stride * (0.3 + ease(swing) - done)).T
    turn = 2 * PI * gait[0]
    root = base.root.copy()
    root[:, 0] += 0.02 * np.sin(turn)
    root[:, 1] += -0.045 * body.hip_height + 0.018 * np.cos(2 * turn - 0.6)
    root[:, 2] += travel
    trunk = base.trunk.copy()
    trunk[:, 0] += 0.04
    trunk[:, 2] += 0.12 * style.swing * np.cos(turn + PI)
    hands = base.hands.copy()
    sway = 0.42 * style.swing * np.cos(turn)
    hands[:, LEFT, 2] -= sway
    hands[:, RIGHT, 2] += sway
    hands[..., 1] += 0.15 * (np.stack([-sway, sway], axis=1) + 0.3)
    return replace(base, root=root, trunk=trunk, hands=hands, feet=feet)
