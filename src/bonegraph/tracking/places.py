"""Places for people: who of all who were seen in a recording is kept, and in which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bonegraph.tracking.tracker import NOBODY, Body, Pose, Tracker, body_of

GAP = 1.0
"""Seconds out of sight, after which somebody may come back anywhere; before, only nearby."""

_BRIEF, _LITTLE = 0.5, 0.1
"""Who is never followed for so many seconds, nor for this part of the longest track, is nobody."""

_ALIKE = 2.0
"""Who comes back after a while is at most by this factor larger or smaller."""

_NEAR = 0.5
"""Who comes back sooner is so near, in sizes of the body."""

_DOUBLE = 0.2
"""So many seconds, and a quarter of the track, somebody may be found twice, as one who goes and as one who comes."""

_MOST_TRACKS = 256
"""So many tracks, the surest, are looked at in the end; time stays bounded."""


@dataclass(eq=False)
class _Track:
    """One person over time.

    Attributes:
        found: the (frame, place in the frame) of every pose.
        longest: how many frames the tracker followed this person for, without losing them for good.
        sureness: sum of the confidences of all joints.
        first: pose.
        last: pose.
    """

    found: list[tuple[int, int]]
    longest: int
    sureness: float
    first: Body
    last: Body


def places(frames: Sequence[Sequence[Pose]], fps: float, most: int) -> list[list[tuple[int, int]]]:
    """Follow people through a whole recording.

    People are followed by `Tracker`. Then, with hindsight: who was seen for a moment only, beside others who stay, is
    nobody; and who walks out of the picture and comes back, anywhere after more than a second, is the same person
    where the size fits.

    Args:
        frames: the poses of T frames; those without anyone count as time that passes.
        fps: frames per second, above 0.
        most: M, the people who are kept.

    Returns:
        For each of at most M people, who was seen most surely first, the (frame, place in the frame) of every pose.
    """
    tracker = Tracker(fps, GAP)
    tracks: dict[int, _Track] = {}
    for number, poses in enumerate(frames):
        for place, who in enumerate(tracker.see(poses)):
            if who == NOBODY:
                continue
            body = body_of(poses[place])
            track = tracks.setdefault(who, _Track([], 0, 0.0, body, body))
            track.found.append((number, place))
            track.longest += 1
            track.sureness += float(poses[place].confidence.sum())
            track.last = body
    joined = _joined(_surest(list(tracks.values())), fps)
    enough = min(_BRIEF * fps, _LITTLE * max((track.longest for track in joined), default=0))
    return [track.found for track in _surest([track for track in joined if track.longest >= enough])[:most]]


def _surest(tracks: list[_Track]) -> list[_Track]:
    return sorted(tracks, key=lambda track: -track.sureness)[:_MOST_TRACKS]  # the sort is stable


def _joined(tracks: list[_Track], fps: float) -> list[_Track]:
    """People in the order of their coming, with the tracks of those who came back made one."""
    people: list[_Track] = []
    for track in sorted(tracks, key=lambda track: track.found[0]):
        start = track.found[0][0]
        gone = [one for one in people if _may_be(one, track, fps)]
        if gone:  # the one who left nearest to where this one comes
            same = min(gone, key=lambda one: _between(one, track))
            same.found = [(frame, place) for frame, place in same.found if frame < start] + track.found
            same.longest = max(same.longest, track.longest)
            same.sureness += track.sureness
            same.last = track.last
        else:
            people.append(track)
    return people


def _may_be(gone: _Track, come: _Track, fps: float) -> bool:
    """Whether one who comes after another has gone may be the same person."""
    away = come.found[0][0] - gone.found[-1][0]  # frames; 0 and below: both are there
    sizes = gone.last.size, come.first.size
    if away > GAP * fps:
        return max(sizes) <= _ALIKE * min(sizes)
    twice = 1 - away <= min(_DOUBLE * fps, len(come.found) / 4, len(gone.found) / 4)
    return twice and _between(gone, come) <= _NEAR * max(sizes)


def _between(gone: _Track, come: _Track) -> float:
    return float(np.linalg.norm(gone.last.centre - come.first.centre))
