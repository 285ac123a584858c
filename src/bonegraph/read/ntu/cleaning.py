"""Who is who in a recording of NTU RGB+D: the cleaning that we recommend.

A Kinect numbers the people it tracks, but the order of the bodies in a frame changes, a person who was lost comes back
under another number, and furniture is taken for people. `best` turns the bodies into people; it neither moves a joint
nor drops a frame, so that time and place stay what they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.ntu.recording import JOINTS, NtuRecording
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

FPS = 30.0
SKELETON = SKELETONS["ntu25"]
MID_SPINE = SKELETON.index("mid spine")

SHORT = 11
"""Frames; a body that is seen for no more than these beside others is none. The limit of CTR-GCN and PYSKL."""
WIDE, MOSTLY = 0.8, 0.69754
"""A body is implausible in a frame in which its width is above 0.8 of its height, and a ghost where it is so in this
share of its frames. The limits of CTR-GCN and PYSKL."""
FLAT = 0.3
"""Metres; a body whose height is below this in most of its frames is a table or a shadow."""
PAUSE, STEP = 30, 0.5
"""Frames and metres; a body that appears after no longer a pause and no farther away than this is the one before."""


@dataclass(frozen=True, eq=False)
class _Track:
    """One body through time: frames (n,), rising, and positions (n, 25, 3)."""

    frames: NDArray[np.int64]
    positions: NDArray[np.float64]


def best(recording: NtuRecording, people: int = 2) -> Sequence:
    """Track people by id, drop ghosts, join what belongs together, and order people by how much they move.

    1. A body is followed by its id, not by its place in the frame; an id that a frame holds twice is two bodies. A body
       whose joints are all exactly zero is absent.
    2. Beside other bodies, one that is too wide for a person (`WIDE`, `MOSTLY`) or too flat (`FLAT`) is dropped.
    3. A body that appears shortly after another was lost, and close to it (`PAUSE`, `STEP`), is the same person.
    4. Beside others, a person who is seen in no more than `SHORT` frames is dropped. Where 2 or 4 would leave nobody,
       all stay.
    5. Those who move most come first: the squared distance of the joints from their mean over time, summed over frames.

    Args:
        recording: the file.
        people: the most people that are kept.

    Returns:
        All T frames, in metres as the camera saw them; gaps, and frames without anybody, are absent people.

    Raises:
        ValueError: people is below 1.
    """
    if people < 1:
        raise ValueError(f"people must be at least 1, got {people}.")
    tracks = _tracks(recording)
    tracks = _join([track for track in tracks if not _is_ghost(track)] or tracks)
    tracks = [track for track in tracks if len(track.frames) > SHORT] or tracks
    tracks = sorted(tracks, key=_motion, reverse=True)[:people]
    shape = (recording.num_frames, max(1, len(tracks)))
    positions, present = np.zeros((*shape, JOINTS, 3), np.float32), np.zeros(shape, np.bool_)
    for person, track in enumerate(tracks):
        positions[track.frames, person] = track.positions
        present[track.frames, person] = True
    return Sequence(positions, present, SKELETON, FPS, "m")


def _tracks(recording: NtuRecording) -> list[_Track]:
    """One track per id, in the order of their first frames."""
    there = np.flatnonzero(recording.positions.any(axis=(1, 2)))
    rows = there[np.argsort(recording.ids[there], kind="stable")]
    tracks = []
    for body in np.split(rows, np.flatnonzero(np.diff(recording.ids[rows])) + 1):
        frames = recording.frames[body]
        again = np.arange(len(body)) - np.searchsorted(frames, frames)  # 1 where a frame holds the id a second time
        for number in range(int(again.max(initial=-1)) + 1):
            one = body[again == number]
            tracks.append(_Track(recording.frames[one], recording.positions[one]))
    return sorted(tracks, key=lambda track: int(track.frames[0]))


def _is_ghost(track: _Track) -> bool:
    """Too wide or too flat for a person."""
    width, height, _ = np.ptp(track.positions, axis=1).T
    return bool(np.mean(width > WIDE * height) >= MOSTLY or np.median(height) < FLAT)


def _join(tracks: list[_Track]) -> list[_Track]:
    """Append each track to the nearest of those that it can continue."""
    if len(tracks) < 2:
        return tracks
    chains: list[list[_Track]] = []
    last_frame = np.full(len(tracks), np.iinfo(np.int64).max)
    last_place = np.zeros((len(tracks), 3))
    for track in tracks:
        pause = int(track.frames[0]) - last_frame[: len(chains)]
        step = np.linalg.norm(last_place[: len(chains)] - track.positions[0, MID_SPINE], axis=-1)
        step[(pause < 1) | (pause > PAUSE) | (step > STEP)] = np.inf
        chain = int(np.argmin(step)) if np.isfinite(step).any() else len(chains)
        if chain == len(chains):
            chains.append([])
        chains[chain].append(track)
        last_frame[chain], last_place[chain] = track.frames[-1], track.positions[-1, MID_SPINE]
    return [
        _Track(np.concatenate([part.frames for part in chain]), np.concatenate([part.positions for part in chain]))
        for chain in chains
    ]


def _motion(track: _Track) -> float:
    return float(np.square(track.positions - track.positions.mean(axis=0)).sum())
