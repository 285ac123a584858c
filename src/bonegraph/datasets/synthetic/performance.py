"""A performance: who does what, when and where on the stage, before any camera looks.

Stage: metres, y up, floor at y = 0, the middle camera stands at +z and people turn to it by default; x is the left of a
person who faces that camera.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bonegraph.datasets.synthetic import duo, solo
from bonegraph.datasets.synthetic.body import LEFT, Array, Body, Controls, Person, Style, posed, rest, vary

FPS = 30.0
SHORTEST, LONGEST = 40, 120  # frames of a clip

Solo = Callable[[Array, Body, Style, Controls, np.random.Generator], Controls]
Duo = Callable[[Array, duo.Bodies, duo.Styles, duo.Pair, np.random.Generator], tuple[float, Controls, Controls]]


@dataclass(frozen=True)
class Movement:
    """One class: a movement, its direction in time and its usual length in seconds."""

    name: str
    seconds: float
    solo: Solo | None = None
    duo: Duo | None = None
    backwards: bool = False
    steady: bool = False  # walks on through the whole clip, with no rest before and after

    @property
    def people(self) -> int:
        """1 or 2."""
        return 1 if self.duo is None else 2


MOVEMENTS: tuple[Movement, ...] = (
    Movement("raise arm", 1.6, solo.raise_arm),
    Movement("lower arm", 1.6, solo.raise_arm, backwards=True),
    Movement("sit down", 1.8, solo.sit_down),
    Movement("stand up", 1.8, solo.sit_down, backwards=True),
    Movement("put on hat", 2.0, solo.put_on_hat),
    Movement("take off hat", 2.0, solo.put_on_hat, backwards=True),
    Movement("pick up", 2.2, solo.pick_up),
    Movement("put down", 2.2, solo.pick_up, backwards=True),
    Movement("circle arm forward", 2.0, solo.circle_arm),
    Movement("circle arm backward", 2.0, solo.circle_arm, backwards=True),
    Movement("walk forward", 2.4, solo.walk, steady=True),
    Movement("walk backward", 2.4, solo.walk, backwards=True, steady=True),
    Movement("push", 2.0, duo=duo.push),
    Movement("pull", 2.0, duo=duo.push, backwards=True),
    Movement("step up and shake hands", 2.7, duo=duo.step_up_and_shake_hands),
    Movement("shake hands and step back", 2.7, duo=duo.step_up_and_shake_hands, backwards=True),
)


@dataclass(frozen=True)
class Spot:
    """Where a person stands on the stage (x, z in metres) and the turn from the middle camera, radians to the left."""

    x: float
    z: float
    turn: float

    def place(self, positions: Array) -> Array:
        """From the person's local frame to the stage."""
        c, s = np.cos(self.turn), np.sin(self.turn)
        turned: Array = positions @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        moved: Array = turned + np.array([self.x, 0, self.z])
        return moved


def perform(
    movement: Movement,
    people: tuple[Person, ...],
    replication: int,
    mirror: tuple[int, ...],
    random: np.random.Generator,
) -> Array:
    """(T, M, V, 3) exact joint positions on the stage, in metres.

    Args:
        movement: what is done.
        people: the person who acts and, in a movement of two, the partner.
        replication: from 1; people turn to one side in odd ones and to the other side in even ones.
        mirror: the mirror joints of NTU-25, for left-handed people.
        random: decides timing, amplitude, facing, start phase and secondary motion.
    """
    styles = tuple(vary(person.style, random) for person in people)
    phase = _phase(movement, styles[0].tempo, random)
    facing = (0.35 if replication % 2 else -0.35) + 0.22 * float(np.clip(random.standard_normal(), -2, 2))
    bases = tuple(
        _secondary(rest(len(phase), person.body, style), random) for person, style in zip(people, styles, strict=True)
    )
    if movement.solo is not None:
        controls: tuple[Controls, ...] = (movement.solo(phase, people[0].body, styles[0], bases[0], random),)
        spots: tuple[Spot, ...] = (Spot(0.0, 0.0, 0.0),)
    else:
        assert movement.duo is not None
        bodies = (people[0].body, people[1].body)
        distance, first, second = movement.duo(phase, bodies, (styles[0], styles[1]), (bases[0], bases[1]), random)
        controls = (first, second)
        spots = (Spot(0.0, -distance / 2, 0.0), Spot(0.0, distance / 2, np.pi))
        # Seen from the middle camera the two stand side by side; who stands on which side is chance.
        facing += np.pi / 2 if random.random() < 0.5 else -np.pi / 2
    positions = np.stack(
        [
            spot.place(posed(person.body, control))
            for person, control, spot in zip(people, controls, spots, strict=True)
        ],
        axis=1,
    )
    if people[0].left_handed:  # the whole scene: two people shake hands with the hand of the first
        positions = positions[:, :, list(mirror)] * np.array([-1.0, 1.0, 1.0])
    x, z = random.uniform(-0.15, 0.15, 2)
    return Spot(x, z, facing).place(positions)


def _phase(movement: Movement, tempo: float, random: np.random.Generator) -> Array:
    """(T,) phase of the movement in each frame: rest, the movement with an uneven tempo, rest."""
    moving = movement.seconds / tempo * FPS
    before, after = random.uniform(-2, 18, 2)
    skew = random.uniform(-0.3, 0.3)
    if movement.steady:
        before, after, skew = 0.0, 0.0, 0.5 * skew
    frames = int(np.clip(round(before + moving + after), SHORTEST, LONGEST))
    scale = frames / (before + moving + after)
    done = np.clip((np.arange(frames) / scale - before) / moving, 0, 1)
    done = done + skew * done * (1 - done)
    phase: Array = 1 - done if movement.backwards else done
    return phase


def _secondary(base: Controls, random: np.random.Generator) -> Controls:
    """Adds what people do besides: sway, breathing, looking around, hands that are never quite still."""
    frames = len(base.turn)
    time = np.arange(frames)[:, None] / FPS
    # Ten slow curves, each two sines of chance frequency (Hz) and phase.
    rates, starts = random.uniform(0.1, 0.7, (2, 11)), random.uniform(0, 2 * np.pi, (2, 11))
    curves = np.sin(2 * np.pi * rates[0] * time + starts[0]) + 0.6 * np.sin(2 * np.pi * rates[1] * time + starts[1])
    sizes = np.array([0.008, 0.008, 0.012, 0.015, 0.025, 0.05, 0.12, 0.02, 0.025, 0.02, 0.025])
    curves = curves * sizes
    breath = 0.012 * np.sin(2 * np.pi * 0.3 * time[:, 0] + starts[0, 0])
    root = base.root.copy()
    root[:, [0, 2]] += curves[:, :2]
    trunk = base.trunk.copy()
    trunk[:, 0] += curves[:, 2] + breath
    trunk[:, 1:] += curves[:, 3:5]
    hands = base.hands.copy()
    hands[..., ::2] += curves[:, 7:11].reshape(frames, 2, 2)
    hands[..., 1] += 0.03 * np.abs(random.standard_normal(2))
    hands[:, LEFT] += random.normal(0, 0.03, 3)
    return replace(base, root=root, trunk=trunk, head=base.head + curves[:, 5:7], hands=hands)
