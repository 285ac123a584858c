"""Watcher: from the people in each picture to what each of them does."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Sequence as Several
from dataclasses import dataclass

import numpy as np

from bonegraph.inference.films import check_estimator
from bonegraph.inference.live.course import Course
from bonegraph.inference.live.events import Answer, End, Event, Leave
from bonegraph.inference.live.steady import Joints, Moment, Steady
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream import EVERYONE, ExactStream, open_stream
from bonegraph.inference.stream.opening import Kind
from bonegraph.inference.stream.people import Probabilities
from bonegraph.inference.windows import cutting_for, looks_at_each
from bonegraph.pose.estimator import Person, PoseEstimator
from bonegraph.sequence import Sequence
from bonegraph.tracking.places import GAP
from bonegraph.tracking.tracker import NOBODY, Tracker

_FIRST = 1 / 2
"""Somebody new gets an answer after this share of a window."""


@dataclass
class _Stay:
    """Somebody, or everybody, while they are there.

    Attributes:
        first: when they were seen first, in seconds.
        seen: when they were seen last.
        people: ids of those who were looked at last.
        course: what they do; None before the first answer.
    """

    first: float
    seen: float
    people: tuple[int, ...]
    course: Course | None = None


class Watcher:
    """Say what people do, by the people found in picture after picture.

    Args:
        recogniser: the checkpoint, or several.
        estimator: which finds the people; its skeleton and coordinates have to fit.
        every: seconds from one answer to the next.
        window: seconds that are looked at; default the median length of the training clips.
        each: look at each person alone; default where the checkpoint was trained with one person a clip.
        threshold: an action of a lower probability is "unknown"; default that of the checkpoint.
        smooth: how many answers are averaged.
        top: how many of the most probable classes are told.
        stream: frame by frame (``exact``), or by windows that slide; see `open_stream`.

    Attributes:
        fps: frames per second of the checkpoint.
        window: seconds of a window.
        each: whether each person is looked at alone.
        threshold: None where "unknown" is never said.
        how: which kind of stream it is, in a sentence.
        kind: ``exact`` or ``window``.
        late: seconds by which an answer lags behind what it is about.
        scored: how many times the networks answered, and the seconds they took.

    Raises:
        ValueError: a number is out of range, the estimator does not fit the checkpoint, or frames cannot come one by
            one to it.

    Example:
        >>> watcher = Watcher(recogniser, estimator)  # doctest: +SKIP
        >>> for number, people in enumerate(estimator.people(frames, 30)):  # doctest: +SKIP
        ...     events = watcher.see(number / 30, people, width=640, height=480)
    """

    def __init__(
        self,
        recogniser: Recogniser,
        estimator: PoseEstimator,
        *,
        every: float = 0.5,
        window: float | None = None,
        each: bool | None = None,
        threshold: float | None = None,
        smooth: int = 3,
        top: int = 3,
        stream: Kind = "auto",
    ) -> None:
        check_estimator(recogniser, estimator)
        if not 0 < every <= 3600:
            raise ValueError(f"every must be above 0 and at most 3600 seconds, got {every:g}.")
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"the threshold must lie between 0 and 1, got {threshold:g}.")
        if not 1 <= smooth <= 1000 or top < 1:
            raise ValueError(f"smooth must be from 1 to 1000 and top at least 1, got {smooth} and {top}.")
        meaning = recogniser.meaning
        self._classes, self._smooth, self._top = meaning.classes, smooth, top
        self.window = cutting_for(meaning, window, stride=1 / meaning.fps if window is None else window).window
        self.each = looks_at_each(meaning, each)
        self.threshold = recogniser.threshold if threshold is None else threshold
        frames = max(1, round(self.window * meaning.fps))
        self._stride = max(1, round(every * meaning.fps))
        self._stream, self.how = open_stream(
            recogniser,
            stream,
            window=frames,
            stride=self._stride,
            first=max(1, math.ceil(_FIRST * frames)),
            each=self.each,
            patience=math.inf,  # the tracker says who is gone
        )
        self.kind = "exact" if isinstance(self._stream, ExactStream) else "window"
        self.late = self._stream.latency / meaning.fps
        self._meaning, self._coordinates, self._skeleton = meaning, recogniser.coordinates, estimator.skeleton
        self._tracker = Tracker(meaning.fps, GAP)
        self._steady = Steady(meaning.fps, meaning.skeleton.num_joints, self._coordinates)
        self.fps, self._frames, self._time = meaning.fps, 0, 0.0
        self._stays: dict[int, _Stay] = {}  # those who are there, and EVERYONE
        self.scored: tuple[int, float] = (0, 0.0)
        self._spent = 0.0  # seconds since the last answers
        self._seen: tuple[tuple[int, Person], ...] = ()
        self._now: dict[int, Answer] = {}

    @property
    def people(self) -> int:
        """How many are there."""
        return sum(who != EVERYONE for who in self._stays)

    @property
    def seen(self) -> tuple[tuple[int, Person], ...]:
        """Number, from 1, and pose of those who are seen in the last picture."""
        return self._seen

    def answer_of(self, number: int) -> Answer | None:
        """The last answer about a person, by number."""
        return self._now.get(number - 1 if self.each else EVERYONE)

    def wants(self, time: float) -> bool:
        """Whether a picture of this time is needed; more than the checkpoint's frames a second are not."""
        return self._steady.wants(time)

    def see(self, time: float, found: Several[Person], width: int, height: int) -> list[Event]:
        """Take the people in the next picture.

        Args:
            time: seconds since the first picture, later than that of the one before.
            found: in any order.
            width: of the picture, in pixels.
            height: of the picture, in pixels.

        Returns:
            What is to be told, in the order of its time.

        Raises:
            ValueError: the checkpoint answers with NaN.
        """
        # The tracker counts frames: those that were left out are frames without anybody.
        missed = round(time * self.fps) - round(self._time * self.fps) - 1
        for _ in range(min(missed, 2 * math.ceil(GAP * self.fps))):
            self._tracker.see([])
        numbers = self._tracker.see(found)
        self._time = time
        self._seen = tuple((who + 1, person) for who, person in zip(numbers, found, strict=True) if who != NOBODY)
        people = {who - 1: self._joints(person, width, height) for who, person in self._seen}
        for who in people:
            self._stays.setdefault(who, _Stay(time, time, (who,))).seen = time
        if people:
            everyone = self._stays.setdefault(EVERYONE, _Stay(time, time, ()))
            everyone.seen, everyone.people = time, tuple(sorted(people))
        events: list[Event] = []
        for moment in self._steady.add(time, people):
            events += self._step(moment)
        present = set(self._tracker.present)
        gone = [who for who in self._stays if who != EVERYONE and who not in present]
        for who in gone:
            events += self._leave(who)
        if gone and not self.people:
            events += self._leave(EVERYONE)
        return events

    def finish(self) -> list[Event]:
        """Nothing more will come: the last answers of those who had none, and the end of all actions."""
        events: list[Event] = []
        for who in sorted(who for who in self._stays if (who == EVERYONE) != self.each):
            stay = self._stays[who]
            events += self._last(who, stay, wanted=stay.course is None or self.late > 0)
            events += self._ended(who, stay)
        self._stays.clear()
        self._now.clear()
        return events

    def _joints(self, person: Person, width: int, height: int) -> Joints:
        """On the skeleton and in the coordinates of the checkpoint, as `inference.films.film_for`."""
        positions = person.joints if self._coordinates == 2 else person.world
        assert positions is not None  # the estimator says that it is metric
        if self._coordinates == 2 and self._meaning.unit == "normalised":
            positions = (positions / (width, height)).astype(np.float32)
        here = np.ones((1, 1), np.bool_)
        one = Sequence(
            positions[None, None], here, self._skeleton, self.fps, self._meaning.unit, person.confidence[None, None]
        )
        fitting, _ = one.to_skeleton(self._meaning.skeleton)
        assert fitting.confidence is not None
        return Joints(fitting.positions[0, 0], fitting.confidence[0, 0])

    def _step(self, moment: Moment) -> list[Event]:
        start = clock.perf_counter()
        answers = self._stream.step(moment.positions, moment.visible, moment.people, moment.confidence)
        self._spent += clock.perf_counter() - start
        self._frames += 1
        if self._frames % self._stride:
            return []
        if answers:
            self.scored = (self.scored[0] + 1, self.scored[1] + self._spent)
            self._spent = 0.0
        events: list[Event] = []
        for who in sorted(answers):
            answer, stay = answers[who], self._stays.get(who)
            if answer is not None and stay is not None:
                events += self._answer(who, stay, moment.time, answer, about=moment.time - self.late)
        return events

    def _last(self, who: int, stay: _Stay, *, wanted: bool) -> list[Event]:
        """Forget somebody; the answer in which their last frames are."""
        there = who in self._stream.people or (who == EVERYONE and not self.each)
        answer = self._stream.end(who) if there else None
        return [] if answer is None or not wanted else self._answer(who, stay, self._time, answer, about=stay.seen)

    def _answer(self, who: int, stay: _Stay, time: float, probabilities: Probabilities, *, about: float) -> list[Event]:
        """Take an answer.

        Args:
            who: it is about.
            stay: theirs.
            time: of the last frame that was looked at.
            probabilities: of the classes.
            about: the time of the last frame of the window.
        """
        if stay.course is None:
            stay.course = Course(self._classes, self.threshold, stay.first, self._smooth)
        middle = max((about + stay.first) / 2, about - self.window / 2)
        now, past = stay.course.answer(middle, probabilities)
        mean = stay.course.mean
        best = tuple((self._classes[one], float(mean[one])) for one in np.argsort(-mean, kind="stable")[: self._top])
        number = None if who == EVERYONE else who + 1
        people = tuple(one + 1 for one in stay.people)
        told = Answer(time, number, people, now.action, now.probability, best, now.since)
        self._now[who] = told
        ended = [] if past is None else [End(time, number, past.action, past.start, past.end, past.probability)]
        return [*ended, told]

    def _leave(self, who: int) -> list[Event]:
        stay = self._stays.pop(who)
        # What the last frames had still to give; who was there for a moment only is nobody.
        long = stay.seen - stay.first >= _FIRST * self.window
        events = self._last(who, stay, wanted=self.late > 0 and long)
        self._now.pop(who, None)
        events += self._ended(who, stay)
        if who != EVERYONE and (stay.course is not None or not self.each):
            events.append(Leave(self._time, who + 1, stay.seen))
        return events

    def _ended(self, who: int, stay: _Stay) -> list[Event]:
        past = None if stay.course is None else stay.course.end(stay.seen)
        if past is None:
            return []
        number = None if who == EVERYONE else who + 1
        return [End(self._time, number, past.action, past.start, past.end, past.probability)]
