"""Movements of two people who face each other, each a function of a phase that runs from 0 to 1.

The second person's controls are in the second person's own frame, so "forward" is towards the first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bonegraph.datasets.synthetic.body import LEFT, REST_HAND, RIGHT, Array, Body, Controls, Style
from bonegraph.datasets.synthetic.solo import PI, ease, through

Pair = tuple[Controls, Controls]
Bodies = tuple[Body, Body]
Styles = tuple[Style, Style]


def push(
    phase: Array, bodies: Bodies, styles: Styles, bases: Pair, random: np.random.Generator
) -> tuple[float, Controls, Controls]:
    """The first pushes the second away with both hands; backwards in time: draws the second close.

    Returns:
        Metres between the two spots, and both people's controls.
    """
    first, second = bases
    meet, stop = random.uniform(0.32, 0.38), random.uniform(0.62, 0.68)
    times = np.array([0.0, meet, stop, 1.0])
    bent, straight = np.array([-0.12, -0.18, 0.5]), np.array([-0.14, -0.1, 0.93])
    hands = first.hands + (through(phase, times, np.stack([REST_HAND, bent, straight, REST_HAND])) - REST_HAND)[:, None]
    trunk = first.trunk.copy()
    trunk[:, 0] += through(phase, times, np.array([0.0, 0.02, 0.22, 0.0]) * styles[0].amplitude)
    pusher = replace(first, hands=hands, trunk=trunk)

    way = bodies[0].arm * 0.43 + random.uniform(0.08, 0.16)  # what the arms give and what the bend of the trunk adds
    pushed = _stepped(second, -way, (phase - meet) / (stop - meet))
    trunk = pushed.trunk.copy()
    times = np.array([0.0, meet - 0.1, 0.5 * (meet + stop), stop + 0.1, 1.0])
    struck = through(phase, times, np.array([0.0, 0.0, 1.0, 0.0, 0.0]))
    trunk[:, 0] -= 0.16 * struck
    hands = pushed.hands + 0.3 * struck[:, None, None] * (np.array([0.2, -0.5, 0.6]) - REST_HAND)
    # Bent arms touch the chest of the second, whose thickness is about 0.12 m.
    distance = 0.5 * bodies[0].arm + 2 * bodies[0].hand + 0.12
    return distance, pusher, replace(pushed, trunk=trunk, hands=hands)


def step_up_and_shake_hands(
    phase: Array, bodies: Bodies, styles: Styles, bases: Pair, random: np.random.Generator
) -> tuple[float, Controls, Controls]:
    """The first steps up to the second and they shake hands; backwards in time: they shake hands and one steps back.

    Returns:
        Metres between the two spots, and both people's controls.
    """
    there, joined, parted = 0.42, random.uniform(0.48, 0.54), random.uniform(0.74, 0.80)
    height = 0.62 * (bodies[0].shoulder_height + bodies[1].shoulder_height) / 2 + random.uniform(0.0, 0.06)
    ahead = random.uniform(0.66, 0.74)
    held = np.clip((phase - joined) / (parted - joined), 0, 1)
    shake = random.uniform(0.05, 0.08) * np.sin(2 * PI * random.integers(2, 4) * held) * styles[0].amplitude
    controls = []
    for body, base in zip(bodies, bases, strict=True):
        target = np.array([-body.shoulder / body.arm, (height - body.shoulder_height) / body.arm, ahead])
        start = 0.24 + random.uniform(-0.05, 0.05)
        times = np.array([0.0, start, joined, parted, 1.0])
        reach = through(phase, times, np.stack([REST_HAND, REST_HAND, target, target, REST_HAND]))
        controls.append(_reaching(base, reach, shake / body.arm))
    way = random.uniform(0.6, 0.9) * styles[0].stride
    first = _stepped(controls[0], way, phase / there)
    back = np.array([0.0, 0.0, way])  # the spot is where the hands meet
    distance = sum(ahead * body.arm + body.hand for body in bodies)
    return distance, replace(first, root=first.root - back, feet=first.feet - back), controls[1]


def _stepped(base: Controls, way: float, progress: Array) -> Controls:
    """Three steps over `way` metres forward (or back) while `progress` goes from 0 to 1: half, whole, half."""
    steps = [np.clip((progress - start) / 0.4, 0, 1) for start in (0.0, 0.3, 0.6)]
    ahead = np.stack([0.5 * way * (ease(steps[0]) + ease(steps[2])), way * ease(steps[1])], axis=1)
    lifts = [np.sin(PI * step) ** 2 for step in steps]
    lift = 0.06 * np.stack([np.maximum(lifts[0], lifts[2]), lifts[1]], axis=1)
    feet = base.feet.copy()
    feet[..., 1] += lift
    feet[..., 2] += ahead
    root = base.root.copy()
    root[:, 1] -= 0.15 * lift.sum(axis=1)
    root[:, 2] += ahead.mean(axis=1)
    return replace(base, root=root, feet=feet)


def _reaching(base: Controls, reach: Array, lift: Array) -> Controls:
    """The right wrist follows `reach` (T, 3) plus `lift` (T,), both in arm lengths; the trunk goes along a little."""
    hands = base.hands.copy()
    hands[:, RIGHT] += reach - REST_HAND
    hands[:, RIGHT, 1] += lift
    hands[:, LEFT, 2] -= 0.03 * reach[:, 2]
    trunk = base.trunk.copy()
    trunk[:, 0] += 0.08 * reach[:, 2]
    trunk[:, 2] += 0.12 * reach[:, 2]
    return replace(base, hands=hands, trunk=trunk)
