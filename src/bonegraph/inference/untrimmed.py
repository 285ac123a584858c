"""Recordings of any length: who does what from when to when.

    recording --at_rate--> frames of the checkpoint --cut--> windows --scores--> probabilities --segments--> actions

Windows go through the network one by one or, where the checkpoint allows it, each frame does so once
(`bonegraph.inference.stream.recording`).

Axes: T frames, W windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bonegraph.inference.rate import at_rate
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.segments import SWITCH, Segment, segments
from bonegraph.inference.stream.people import finite
from bonegraph.inference.stream.recording import stream_for_recordings, windows_of
from bonegraph.inference.windows import (
    Cutting,
    Window,
    batches,
    clip_of,
    cut,
    cutting_for,
    is_short,
    looked_at,
    looks_at_each,
    per_frame,
    stays,
)
from bonegraph.sequence import Sequence

_TOGETHER = 2048
"""Frames of input that go through a network at once; more take more memory and are no faster on a CPU."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """What somebody, or some people together, do over a recording.

    Attributes:
        people: who, counted from 0 in the recording.
        windows: where they were looked at.
        probabilities: (W, classes), calibrated.
        segments: their actions, one after the other.
    """

    people: tuple[int, ...]
    windows: tuple[Window, ...]
    probabilities: NDArray[np.float32]
    segments: tuple[Segment, ...]

    def at(self, frame: int) -> Segment | None:
        """The segment in which a frame lies."""
        return next((segment for segment in self.segments if segment.start <= frame < segment.stop), None)


@dataclass(frozen=True, eq=False)
class Answers:
    """What people do in a recording.

    Attributes:
        classes: class names.
        fps: frames per second of the windows and segments.
        num_frames: T at this rate.
        whole: the recording is short, and was looked at as a whole.
        threshold: below which it is "unknown"; None where that is never said.
        timelines: one for everybody, or one for all together; none where hardly anything is seen.
    """

    classes: tuple[str, ...]
    fps: float
    num_frames: int
    whole: bool
    threshold: float | None
    timelines: tuple[Timeline, ...]


def answers(
    recogniser: Recogniser,
    sequence: Sequence,
    *,
    cutting: Cutting | None = None,
    each: bool | None = None,
    threshold: float | None = None,
    least: float | None = None,
    switch: float = SWITCH,
    stream: Literal["window", "exact"] = "window",
    progress: bool = False,
) -> Answers:
    """Say what people do in a recording, and when.

    Args:
        recogniser: the checkpoint, or several.
        sequence: the recording, on any skeleton that can be converted.
        cutting: how it is cut; default `cutting_for` the checkpoint.
        each: look at each person alone; default as `looked_at`.
        threshold: an answer of a lower probability is "unknown"; default that of the checkpoint.
        least: the shortest segment in seconds; default twice the stride, half a window.
        switch: what a change of the action costs; see `segments`.
        stream: recognise every window as a clip (``window``), or average the features of its frames, each of which is
            computed once (``exact``).
        progress: show a progress bar where there are many windows.

    Raises:
        ValueError: the recording does not fit the checkpoint, nobody is seen in it, an answer is no number, or frames
            cannot come one by one to it.
    """
    meaning = recogniser.meaning
    sequence = recogniser.fitting(at_rate(sequence, meaning.fps))
    cutting = cutting_for(meaning) if cutting is None else cutting
    threshold = recogniser.threshold if threshold is None else threshold
    _, stride = cutting.frames(sequence.fps)
    fewest = 2 * stride if least is None else round(least * sequence.fps)
    exact = stream_for_recordings(recogniser, each=looks_at_each(meaning, each)) if stream == "exact" else None
    subjects = looked_at(meaning, sequence, each)
    times = [stays(sequence, people, cutting) for people in subjects]
    cuts = [[window for windows in some for window in windows] for some in times]
    seen, timelines = np.asarray(sequence.visible.any(axis=(0, 2))), []
    with tqdm(
        total=sum(map(len, cuts)), desc="recognise", unit="window", disable=not progress, delay=1, leave=False
    ) as bar:
        for people, windows, some in zip(subjects, cuts, times, strict=True):
            if exact is None or not windows:
                found = _probabilities(recogniser, sequence, windows, bar.update)
            else:
                found = np.concatenate([windows_of(exact, sequence, stay, bar.update) for stay in some])
            frames = per_frame(windows, found, sequence.num_frames)
            told = segments(windows, found, frames, meaning.classes, threshold, least=fewest, switch=switch)
            if windows:
                shown = tuple(person for person in people if seen[person])
                timelines.append(Timeline(shown, tuple(windows), found, tuple(told)))
    whole = is_short(sequence, cutting)
    return Answers(meaning.classes, sequence.fps, sequence.num_frames, whole, threshold, tuple(timelines))


def clips_of(recogniser: Recogniser, sequence: Sequence, cutting: Cutting, each: bool | None = None) -> list[Sequence]:
    """The clips that a network sees of a fitting recording, those of everybody one after the other."""
    meaning = recogniser.meaning
    return [
        clip_of(sequence, window, meaning.people)
        for people in looked_at(meaning, sequence, each)
        for window in cut(sequence, people, cutting)
    ]


def _probabilities(
    recogniser: Recogniser, sequence: Sequence, windows: list[Window], done: Callable[[int], object]
) -> NDArray[np.float32]:
    """(W, classes), some windows at a time; ``done`` hears how many."""
    meaning = recogniser.meaning
    found = np.zeros((len(windows), len(meaning.classes)), np.float32)
    longest = max((window.num_frames for window in windows), default=1)
    size = max(1, _TOGETHER // (longest if meaning.length.rule == "all" else meaning.length.frames))
    first = 0
    for some in batches(windows, size):
        clips = [clip_of(sequence, window, meaning.people) for window in some]
        found[first : first + len(some)] = recogniser.scores(clips).numpy()
        first += len(some)
        done(len(some))
    return finite(found)
