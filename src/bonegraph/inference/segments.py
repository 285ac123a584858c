"""Segments: from the class probabilities of every frame to actions with a start and an end.

Axes: T frames, S states: the classes and, where there is a threshold, "unknown".
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.windows import Window

UNKNOWN = "unknown"
"""What is said where no action is probable enough."""
SWITCH = 0.1
"""The default of what it costs to change the action."""
_GOES_ON = 0.5
"""An action goes on as long as it has this share of the threshold."""
_SURE = 0.02
"""Probabilities nearer to 0 or 1 count as this near."""


@dataclass(frozen=True)
class Segment:
    """An action and its time.

    Attributes:
        start: its first frame.
        stop: the frame after its last one.
        action: name of the class, or "unknown".
        probability: of the likeliest class, the mean over the frames.
        peak: the highest probability that a window in its middle gives to this class.
        likeliest: name of the class that is most probable over these frames; the action, unless that is "unknown".
    """

    start: int
    stop: int
    action: str
    probability: float
    peak: float
    likeliest: str


def path(scores: NDArray[np.floating], least: int, switch: float) -> list[tuple[int, int, int]]:
    """The best way to divide frames into runs of one state each, of at least so many frames.

    The best is the highest sum of the scores of the chosen states, less ``switch`` for every change of the state
    (Viterbi's algorithm on a Potts model with a least duration). With P the sums of the scores from the start,

        B[t, s] = max(B[t-1, s] + e[t, s],  max_r B[t-least, r] - switch + P[t, s] - P[t-least, s])

    is the best sum of frames 0 to t whose last run is of state s and complete: it goes on, or it began ``least`` frames
    ago, after the best run of any state. Because the best r is the same for every s, this takes T·S steps and keeps a
    bit for each of them. (r = s is no case of its own: going on costs nothing and is never worse.)

    Args:
        scores: (T, S), finite; log-probabilities, say.
        least: frames of a run, at least 1; fewer frames than that in all are one run.
        switch: the cost of a change, at least 0.

    Returns:
        (start, stop, state) of the runs, in order; neighbours differ in their state.
    """
    count, states = scores.shape
    if count <= least:
        return [(0, count, int(scores.sum(axis=0).argmax()))]
    sums = np.zeros((least + 1, states))  # P of the last frames, in a ring
    best = np.zeros(states)
    before = np.full((least, 2), -np.inf)  # max_r B and its r of the last frames, in a ring
    began = np.zeros((count, states), np.bool_)
    origin = np.zeros(count, np.int64)
    running = np.zeros(states)
    for frame in range(count):
        running = running + scores[frame]
        if frame < least - 1:
            pass
        elif frame == least - 1:
            best = running.copy()
        else:
            score, state = before[frame % least]  # of frame - least
            new = score - switch + running - sums[(frame - least) % (least + 1)]
            best = best + scores[frame]
            began[frame] = new > best
            best = np.where(began[frame], new, best)
            origin[frame] = int(state) if np.isfinite(score) else -1
        sums[frame % (least + 1)] = running
        top = int(best.argmax())
        before[frame % least] = (best[top], top) if frame >= least - 1 else (-np.inf, 0)
    runs, stop, state, frame = [], count, int(best.argmax()), count - 1
    while frame >= 0:
        if began[frame, state]:
            start = frame - least + 1
            runs.append((start, stop, state))
            stop, state, frame = start, int(origin[frame]), start - 1
        else:
            frame -= 1
    runs.append((0, stop, state))
    return _merged(runs[::-1])


def segments(
    windows: Several[Window],
    answers: NDArray[np.floating],
    frames: NDArray[np.floating],
    classes: tuple[str, ...],
    threshold: float | None,
    *,
    least: int,
    switch: float = SWITCH,
) -> list[Segment]:
    """The actions of a recording, one after the other.

    What is added up is the log-odds of each class in each frame, log p/(1-p). Neighbouring frames are in the same
    windows and tell nearly the same, therefore the frames of a window together count as one observation.

    "unknown" has two thresholds (hysteresis, as in the edge detector of Canny), because that of a checkpoint is for
    windows that show an action from its start to its end, while most windows of a long recording show the end of one
    and the start of the next: an action goes on as long as it is at least half as probable as the threshold, and it is
    an answer if the most probable window whose middle lies in it reaches the threshold.

    Args:
        windows: where the people were looked at.
        answers: (W, classes) probabilities of the windows.
        frames: (T, classes) those of the frames, from `per_frame`; NaN in frames without an answer, where segments end.
        classes: their names.
        threshold: below it is "unknown"; None never says so.
        least: the fewest frames of a segment, where there is time for so many.
        switch: what a change of the action costs, in units of log-odds; see `path`.
    """
    known = np.isfinite(frames).all(axis=1)
    edges = np.flatnonzero(np.diff(np.r_[False, known, False]))
    longest = max((window.num_frames for window in windows), default=1)
    found: list[Segment] = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        part = frames[first:last]
        scores = _log_odds(part)
        if threshold is not None:
            floor = np.full((len(part), 1), threshold * _GOES_ON, scores.dtype)
            scores = np.concatenate([scores, _log_odds(floor)], axis=1)
        runs = [
            (int(first) + start, int(first) + stop, state)
            for start, stop, state in path(scores / longest, max(1, least), switch)
        ]
        if threshold is not None:
            runs = [(*run[:2], run[2] if _peak(run, windows, answers) >= threshold else len(classes)) for run in runs]
        found += [_named(run, windows, answers, frames, classes) for run in _merged(runs)]
    return found


def _log_odds(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    """Bounded, so that no single frame decides."""
    clipped = probabilities.clip(_SURE, 1 - _SURE)
    odds: NDArray[np.floating] = np.log(clipped / (1 - clipped))
    return odds


def _peak(run: tuple[int, int, int], windows: Several[Window], answers: NDArray[np.floating]) -> float:
    """The highest probability that a window gives to the class of a run: of those whose middle lies in it, if any."""
    start, stop, state = run
    if state >= answers.shape[1]:
        return 0.0
    first, last = np.array([(window.start, window.stop) for window in windows]).T
    inside = (start <= (first + last) / 2) & ((first + last) / 2 < stop)
    if not inside.any():
        inside = (first < stop) & (start < last)
    return float(answers[inside, state].max())


def _named(
    run: tuple[int, int, int],
    windows: Several[Window],
    answers: NDArray[np.floating],
    frames: NDArray[np.floating],
    classes: tuple[str, ...],
) -> Segment:
    start, stop, state = run
    means = frames[start:stop].mean(axis=0)
    likeliest = state if state < len(classes) else int(means.argmax())
    action = classes[state] if state < len(classes) else UNKNOWN
    peak = _peak((start, stop, likeliest), windows, answers)
    return Segment(start, stop, action, float(means[likeliest]), peak, classes[likeliest])


def _merged(runs: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Neighbours of one state as one run."""
    merged: list[tuple[int, int, int]] = []
    for start, stop, state in runs:
        if merged and merged[-1][2] == state:
            start = merged.pop()[0]
        merged.append((start, stop, state))
    return merged
