"""Windows: a long recording cut into pieces as long as the clips that a checkpoint was trained on.

    recording --cut--> windows --score--> (W, classes) --per_frame--> (T, classes)

Axes: T frames, M people, W windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Several
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bonegraph.models.checkpoint import Meaning
from bonegraph.sequence import Sequence

ONE_WINDOW = 1.5
"""A recording of at most so many windows is looked at as a whole."""
OVERLAP = 4
"""By default a window begins so many times in the length of one."""
LEAST_SEEN = 1 / 8
"""Somebody who is seen for a smaller share of a window is not looked at."""
_LONGEST_GAP = 1 / 2
"""Somebody who is away for at most this share of a window has not left."""
_LONGEST = 86400.0
_GUESSED = (1.0, 10.0)
_USUAL = 3.0


@dataclass(frozen=True)
class Window:
    """Some frames of some people.

    Attributes:
        people: who is looked at, together; counted from 0.
        start: the first frame.
        stop: the frame after the last one.
    """

    people: tuple[int, ...]
    start: int
    stop: int

    @property
    def num_frames(self) -> int:
        """How many frames it has."""
        return self.stop - self.start


@dataclass(frozen=True)
class Cutting:
    """How recordings are cut.

    Args:
        window: length of a window in seconds.
        stride: seconds from the start of a window to that of the next.

    Raises:
        ValueError: one of them is not above 0, or too long, or there would be gaps between windows.
    """

    window: float
    stride: float

    def __post_init__(self) -> None:
        if not (0 < self.window <= _LONGEST and 0 < self.stride <= _LONGEST):
            raise ValueError(
                f"window and stride must be above 0 and at most {_LONGEST:g} seconds, got {self.window:g} and "
                f"{self.stride:g}."
            )
        if self.stride > self.window:
            raise ValueError(
                f"a stride of {self.stride:g} s leaves gaps between windows of {self.window:g} s; give at most that."
            )

    def frames(self, fps: float) -> tuple[int, int]:
        """Window and stride in frames, at least 1 each."""
        window = max(1, round(self.window * fps))
        return window, min(window, max(1, round(self.stride * fps)))


def cutting_for(meaning: Meaning, window: float | None = None, stride: float | None = None) -> Cutting:
    """Windows as long as the training clips, a new one every quarter of that.

    Of a checkpoint that does not tell how long its training clips are, they are taken to be 3 seconds; where its input
    shows a clip at its own speed instead of stretching it, they are taken to be as long as the input, up to 10 seconds.

    Args:
        meaning: of the checkpoint.
        window: seconds, instead.
        stride: seconds, instead.

    Raises:
        ValueError: as `Cutting`.
    """
    if window is None:
        window = meaning.clip_seconds
    if window is None:
        at_speed = meaning.length.rule in ("replay", "loop", "fragment")
        shortest, longest = _GUESSED
        window = min(max(meaning.length.frames / meaning.fps, shortest), longest) if at_speed else _USUAL
    return Cutting(window, window / OVERLAP if stride is None else stride)


def looked_at(meaning: Meaning, sequence: Sequence, each: bool | None = None) -> list[tuple[int, ...]]:
    """Whom to look at: everyone who is ever seen alone, or all together.

    Args:
        meaning: of the checkpoint.
        sequence: the recording.
        each: look at each person alone; None does so where the checkpoint was trained with one person a clip.
    """
    if not looks_at_each(meaning, each):
        return [tuple(range(sequence.num_people))]
    return [(int(person),) for person in np.flatnonzero(sequence.visible.any(axis=(0, 2)))]


def looks_at_each(meaning: Meaning, each: bool | None = None) -> bool:
    """Whether people are looked at one by one: as asked for, or where the training clips show one person each."""
    return 1 in (meaning.clip_people, meaning.people) if each is None else each


def is_short(sequence: Sequence, cutting: Cutting) -> bool:
    """Whether a recording is looked at as a whole."""
    return sequence.num_frames <= ONE_WINDOW * cutting.frames(sequence.fps)[0]


def cut(sequence: Sequence, people: tuple[int, ...], cutting: Cutting) -> list[Window]:
    """The windows in which some people are looked at, one after the other; see `stays`."""
    return [window for windows in stays(sequence, people, cutting) for window in windows]


def stays(sequence: Sequence, people: tuple[int, ...], cutting: Cutting) -> list[list[Window]]:
    """The windows in which some people are looked at, by the times in which they are there.

    A short recording (`ONE_WINDOW`) is one window. In a longer one there are windows wherever one of these people is
    seen; a time in which somebody is seen that is short itself is one window, of its own length.

    Args:
        sequence: the recording.
        people: whom, counted from 0.
        cutting: how.

    Returns:
        Windows by their start, at least one for each time; none where hardly anything is seen of these people.
    """
    window, stride = cutting.frames(sequence.fps)
    if is_short(sequence, cutting):
        return [[Window(people, 0, sequence.num_frames)]]
    seen = np.asarray(sequence.visible[:, people].any(axis=(1, 2)))
    found = []
    for start, stop in spans(seen, _LONGEST_GAP * window):
        if np.count_nonzero(seen[start:stop]) < LEAST_SEEN * window:
            continue
        if stop - start <= ONE_WINDOW * window:
            found.append([Window(people, start, stop)])
            continue
        starts = [*range(start, stop - window, stride), stop - window]
        found.append([Window(people, first, first + window) for first in starts])
    return found


def spans(seen: NDArray[np.bool_], longest_gap: float) -> list[tuple[int, int]]:
    """Times in which something is seen: (first frame, frame after the last); short gaps belong to them."""
    frames = np.flatnonzero(seen)
    if not len(frames):
        return []
    breaks = np.flatnonzero(np.diff(frames) - 1 > longest_gap)
    firsts, lasts = frames[np.r_[0, breaks + 1]], frames[np.r_[breaks, len(frames) - 1]]
    return [(int(first), int(last) + 1) for first, last in zip(firsts, lasts, strict=True)]


def clip_of(sequence: Sequence, window: Window, most: int = 0) -> Sequence:
    """What a window shows, as a recording of its own; a window of everything is the recording itself.

    Args:
        sequence: the recording.
        window: of it; somebody of its people has to be seen in it.
        most: take at most so many people, those who are seen most in this window; 0 for all.
    """
    if window == Window(tuple(range(sequence.num_people)), 0, sequence.num_frames):
        return sequence
    frames = slice(window.start, window.stop)
    count = sequence.visible[frames][:, window.people].sum(axis=(0, 2))
    order = [int(place) for place in np.argsort(-count, kind="stable") if count[place]]
    people = [window.people[place] for place in sorted(order[: most or None])]
    confidence = sequence.confidence
    return replace(
        sequence,
        positions=sequence.positions[frames, people],
        present=sequence.present[frames, people],
        confidence=None if confidence is None else confidence[frames, people],
    )


def per_frame(windows: Several[Window], probabilities: NDArray[np.floating], num_frames: int) -> NDArray[np.float32]:
    """Class probabilities of every frame: the mean over the windows that show it, where its middle counts most.

    The weight of a window falls along a line from its middle to its ends (a triangle), because an action that a window
    shows is most likely in its middle.

    Args:
        windows: any number.
        probabilities: (W, classes).
        num_frames: T of the recording.

    Returns:
        (T, classes); NaN in frames that no window shows.
    """
    total = np.zeros((num_frames, probabilities.shape[1]), np.float32)
    weights = np.zeros((num_frames, 1), np.float32)
    for window, answer in zip(windows, probabilities, strict=True):
        steps = np.arange(1, window.num_frames + 1, dtype=np.float32)
        weight = np.minimum(steps, steps[::-1])[:, None]
        total[window.start : window.stop] += weight * answer.astype(np.float32)
        weights[window.start : window.stop] += weight
    return np.divide(total, weights, out=np.full_like(total, np.nan), where=weights > 0)


def batches(windows: Iterable[Window], size: int) -> Iterable[list[Window]]:
    """So many windows at a time."""
    waiting: list[Window] = []
    for window in windows:
        waiting.append(window)
        if len(waiting) == size:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
