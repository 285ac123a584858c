"""The three preparations of NTU RGB+D that published weights and accuracies stand on, errors included.

==================  =================================================================================================
``released-stgcn``  ST-GCN (Yan et al. 2018): the first two bodies of each frame, by place; who is who may change
``released-msg3d``  2s-AGCN, MS-G3D and DualHead-Net: the two bodies of most energy, replayed to 300 frames, centred in
                    each frame, turned to the axes of the first body
``released-ctrgcn`` CTR-GCN (Chen et al. 2021), after SGN and HCN: bodies by id, ghosts removed, two actors, centred on
                    the first frame
==================  =================================================================================================

Each gives a `Sequence`; filled up with absent frames to 300 and with zeros for absent people it is the array of the
released code, which `released_array` returns. Where that code asks whether coordinates add up to zero, this asks
whether they all are zero. The arrays hold 300 frames, so a longer recording is refused.

Axes: T frames, M = 2 people, V = 25 joints, C = 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.ntu.cleaning import FPS, MID_SPINE, SKELETON
from bonegraph.read.ntu.recording import JOINTS, NtuRecording
from bonegraph.sequence import Sequence

FRAMES, PEOPLE = 300, 2
_PELVIS = SKELETON.index("pelvis")
_LEFT, _RIGHT = SKELETON.index("left shoulder"), SKELETON.index("right shoulder")

Bodies = NDArray[np.float32]  # (T, M, V, C), zeros where nobody is


def released_array(
    recording: NtuRecording,
    cleaning: Literal["released-stgcn", "released-msg3d", "released-ctrgcn"],
    copy_one_body: bool = False,
) -> NDArray[np.float32]:
    """The array that the released code writes for one clip.

    Args:
        recording: the file.
        cleaning: whose code.
        copy_one_body: see `released_ctrgcn`.

    Shapes:
        returns (C, 300, V, M), or for ``released-ctrgcn`` (300, M·V·C)

    Raises:
        ValueError: the released code fails on such a recording.
    """
    if cleaning == "released-ctrgcn":
        sequence = released_ctrgcn(recording, copy_one_body)
    else:
        sequence = released_stgcn(recording) if cleaning == "released-stgcn" else released_msg3d(recording)
    filled: Bodies = np.zeros((FRAMES, PEOPLE, JOINTS, 3), np.float32)
    filled[: sequence.num_frames][sequence.present] = sequence.positions[sequence.present]
    return filled.reshape(FRAMES, -1) if cleaning == "released-ctrgcn" else filled.transpose(3, 0, 2, 1)


def _sequence(bodies: Bodies, present: NDArray[np.bool_]) -> Sequence:
    return Sequence(bodies, present, SKELETON, FPS, "m")


def _there(bodies: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Who is present: not all joints are zero."""
    present: NDArray[np.bool_] = (bodies != 0).any(axis=(-2, -1))
    return present


def _fails(recording: NtuRecording, what: str) -> ValueError:
    return ValueError(f"'{recording.name}' {what}, on which the released code fails; take the cleaning 'best' for it.")


def _check_length(recording: NtuRecording) -> None:
    if recording.num_frames > FRAMES:
        raise _fails(recording, f"has {recording.num_frames} frames, more than {FRAMES}")


def _by_slot(recording: NtuRecording, most: int) -> NDArray[np.float64]:
    """(T, most, V, C): the bodies of each frame by their place in it."""
    _check_length(recording)
    slots = recording.slots
    kept = slots < most
    bodies = np.zeros((recording.num_frames, most, JOINTS, 3))
    bodies[recording.frames[kept], slots[kept]] = recording.positions[kept]
    return bodies


def released_stgcn(recording: NtuRecording) -> Sequence:
    """ST-GCN: the body that stands first in a frame is person 1, the second person 2, further ones are left out.

    Raises:
        ValueError: more than 300 frames.
    """
    bodies = _by_slot(recording, PEOPLE).astype(np.float32)
    return _sequence(bodies, _there(bodies))


# --- 2s-AGCN, MS-G3D, DualHead-Net ------------------------------------------------------------------------------------


def released_msg3d(recording: NtuRecording) -> Sequence:
    """2s-AGCN, MS-G3D and DualHead-Net.

    1. Of the first four places keep the two of most energy: the standard deviation of x over all joints of the frames
       in which somebody stands there, plus that of y, plus that of z.
    2. A person who is absent in frame 0 has the frames moved together at the start; then every person is replayed
       until frame 300. A gap in a person who is there in frame 0 stays.
    3. In each frame subtract the mid spine of person 1 from all joints that are not zero. Where person 1 is absent,
       nothing is subtracted.
    4. Turn the clip so that in frame 0 the bone from pelvis to mid spine of person 1 points along z, and then so that
       the line from the left to the right shoulder points along x.

    Returns:
        300 frames.

    Raises:
        ValueError: more than 300 frames.
    """
    slots = _by_slot(recording, 4)
    energy = [_energy(slots[:, slot]) for slot in range(slots.shape[1])]
    chosen = np.argsort(energy, kind="stable")[::-1][:PEOPLE]
    bodies = np.stack([_replayed(slots[:, slot].astype(np.float32)) for slot in chosen], axis=1)
    present = _there(bodies)
    main = bodies[:, :1, MID_SPINE, None].copy()
    bodies = np.where(bodies.any(axis=-1, keepdims=True), bodies - main, np.float32(0))
    bodies = turned(bodies, bodies[0, 0, MID_SPINE] - bodies[0, 0, _PELVIS], np.array([0, 0, 1]))
    bodies = turned(bodies, bodies[0, 0, _RIGHT] - bodies[0, 0, _LEFT], np.array([1, 0, 0]))
    return _sequence(bodies, present)


def _energy(body: NDArray[np.float64]) -> float:
    seen = body[_there(body)]
    return float(seen.std(axis=(0, 1)).sum()) if len(seen) else 0.0


def _replayed(body: Bodies) -> Bodies:
    """(T, V, C) to (300, V, C)."""
    there = _there(body)
    if not there.any():
        return np.zeros((FRAMES, *body.shape[1:]), np.float32)
    body = body[: np.flatnonzero(there)[-1] + 1] if there[0] else body[there]
    return body[np.arange(FRAMES) % len(body)]


def turned(bodies: Bodies, bone: NDArray[np.float32], axis: NDArray[np.int64]) -> Bodies:
    """Rotate everything about the line that is square to a bone and an axis, so that the bone comes to lie on it.

    A bone of no length, or along the axis (in whichever direction), turns nothing.
    """
    square = np.cross(bone, axis).astype(np.float64)
    sine = np.linalg.norm(square)  # times the length of the bone, as the cosine
    if np.abs(bone).sum() < 1e-6 or np.abs(square).sum() < 1e-6:
        return bodies
    angle = np.arctan2(sine, bone @ axis)
    x, y, z = square / sine
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    result: Bodies = (bodies @ matrix.T).astype(np.float32)
    return result


# --- CTR-GCN ----------------------------------------------------------------------------------------------------------

# Ours start from the same numbers, but may change; these may not.
SHORT = 11
"""Frames; of several bodies those with no more are dropped."""
WIDE, MOSTLY = 0.8, 0.69754
"""Of several bodies those are dropped that in this share of frames have a width above 0.8 of their height."""


@dataclass(frozen=True, eq=False)
class _Actor:
    """A body of CTR-GCN: its frames are taken to follow each other, whatever gaps there were."""

    start: int  # counted in frames that hold somebody
    positions: Bodies  # (n, V, C)
    motion: float

    @property
    def end(self) -> int:
        """The last frame."""
        return self.start + len(self.positions) - 1


def released_ctrgcn(recording: NtuRecording, copy_one_body: bool = False) -> Sequence:
    """CTR-GCN.

    1. Frames without a body are dropped, bodies are told apart by id, and the frames of a body are moved together.
    2. If there are several: drop those of at most 11 frames; then, one after the other and never the last one, those
       that are too wide in at least 0.69754 of their frames. Motion is the sum of the variances of x, y and z over all
       joints and frames, or that over the frames that are not too wide if it is less.
    3. The body of most motion is actor 1. Each other one, by motion, goes on actor 1 if they share no more than one
       frame (from the first to the last frame that actor 1 has by then), else on actor 2 by the same rule, else it is
       dropped. The time of actor 2 counts from frame 0. Frames in which both are missing are dropped.
    4. Subtract the mid spine of actor 1 in the first frame in which there is an actor 1.

    A single body counts as present in each of its frames, even where all its joints are zero.

    Args:
        recording: the file.
        copy_one_body: make person 2 a copy of person 1 where one body is left, as the code does for NTU RGB+D 120;
            for NTU RGB+D 60 it leaves person 2 out.

    Raises:
        ValueError: the released code fails: nobody is there, there are more than 300 frames, of several bodies none is
            in more than 11 frames, or an id is in more frames than there are.
    """
    _check_length(recording)
    actors = _actors(recording)
    chosen = _sorted_out(actors)
    if actors and not chosen:
        raise _fails(recording, f"has several bodies, but none in more than {SHORT} frames")
    num_frames = len(np.unique(recording.frames))
    if any(actor.end >= num_frames for actor in chosen):
        raise _fails(recording, "has an id twice in a frame")
    bodies = _placed(chosen, num_frames)
    present = _there(bodies)
    if not present[:, 0].any():
        raise _fails(recording, "has nobody in any of its frames")
    origin = bodies[np.argmax(present[:, 0]), 0, MID_SPINE]
    if len(actors) == 1:
        present[:, 0] = True
    else:
        seen = present.any(axis=1)
        bodies, present = bodies[seen], present[seen]
    bodies = np.where(present[..., None, None], bodies - origin, np.float32(0))
    if len(chosen) == 1 and copy_one_body:
        bodies, present = (np.repeat(array[:, :1], PEOPLE, axis=1) for array in (bodies, present))
    return _sequence(bodies, present)


def _actors(recording: NtuRecording) -> list[_Actor]:
    """Every body, in the order of first appearance in the file."""
    _, times = np.unique(recording.frames, return_inverse=True)
    _, first, number = np.unique(recording.ids, return_index=True, return_inverse=True)
    rows = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    actors = []
    for body in np.argsort(first):
        positions = recording.positions[rows[body]].astype(np.float32)
        actors.append(_Actor(int(times[first[body]]), positions, _variance(positions)))
    return actors


def _sorted_out(actors: list[_Actor]) -> list[_Actor]:
    """Those who are no ghosts, by motion; a single one stays."""
    if len(actors) > 1:
        actors = [actor for actor in actors if len(actor.positions) > SHORT]
    return sorted(_not_wide(actors), key=lambda actor: actor.motion, reverse=True)


def _variance(positions: Bodies) -> float:
    return float(positions.reshape(-1, 3).var(axis=0).sum())


def _not_wide(actors: list[_Actor]) -> list[_Actor]:
    left = list(actors)
    for actor in actors:
        if len(left) == 1:
            break
        width, height, _ = np.ptp(actor.positions, axis=1).T
        wide = width > WIDE * height
        if wide.mean() >= MOSTLY:
            left.remove(actor)
        elif wide.any():
            motion = min(actor.motion, _variance(actor.positions[~wide]))
            left[left.index(actor)] = replace(actor, motion=motion)
    return left


def _placed(actors: list[_Actor], num_frames: int) -> Bodies:
    """(T, 2, V, C): every actor on person 1 or 2, zeros in between."""
    bodies = np.zeros((num_frames, PEOPLE, JOINTS, 3), np.float32)
    spans: list[tuple[int, int]] = []
    for actor in actors:
        if not spans:
            bodies[actor.start : actor.end + 1, 0] = actor.positions
            spans = [(actor.start, actor.end), (0, 0)]
            continue
        for person, (start, end) in enumerate(spans):
            if min(end, actor.end) <= max(start, actor.start):
                bodies[actor.start : actor.end + 1, person] = actor.positions
                spans[person] = (min(start, actor.start), max(end, actor.end))
                break
    return bodies
