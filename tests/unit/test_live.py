"""Watching without a camera: frames by time, windows of people, actions with hysteresis, and memory that stays."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bonegraph.inference.live.course import MARGIN, Course
from bonegraph.inference.live.events import Answer, End, Event, Leave, plain
from bonegraph.inference.live.steady import Joints, Steady
from bonegraph.inference.live.watcher import Watcher
from bonegraph.inference.rate import at_rate
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream import EVERYONE, ExactStream, WindowStream
from bonegraph.models import stgcn
from bonegraph.models.checkpoint import Meaning
from bonegraph.models.registry import build
from bonegraph.pose.estimator import Person
from bonegraph.read.video import Frame
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton
from bonegraph.transforms.lengths import Length, Rule
from bonegraph.transforms.pipeline import Transforms

STICK = Skeleton("stick4", ("head", "pelvis", "left foot", "right foot"), (1, 1, 1, 1), (0, 1, 3, 2))
CLASSES = ("a", "b", "c")


def recogniser(
    people: int = 1, unit: str = "px", channels: int = 2, fps: float = 10.0, rule: Rule = "uniform"
) -> Recogniser:
    """An untrained network whose answers differ."""
    config = stgcn.Config(in_channels=channels, widths=(4, 4), strides=(1, 1), unit="factorised")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(config, STICK, 3, np.arange(4.0)).eval()
    length = Length(rule, 8)
    meaning = Meaning(STICK, CLASSES, Transforms(centre="first"), length, people, fps, unit, {}, 2.0, people)
    return Recogniser(model, meaning)


class Given:
    """An estimator that finds whom it is told to."""

    name, skeleton, metric = "given", STICK, True

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        raise NotImplementedError


def person(x: float, time: float = 0.0, sure: float = 1.0) -> Person:
    swing = 10 * np.sin(6 * time)
    joints = np.array([(x + swing, 40), (x, 80), (x + 20, 120), (x - 20, 120)], np.float32)
    return Person(joints, np.full(4, sure, np.float32), np.c_[joints, np.zeros(4)].astype(np.float32) / 100)


def seen(watcher: Watcher, times: Iterable[float], *people: tuple[float, float, float]) -> list[Event]:
    """What is told about people who stand at x from a time to another."""
    told = []
    for time in times:
        here = [person(x, time) for x, start, stop in people if start <= time < stop]
        told += watcher.see(float(time), here, 320, 240)
    return told


def answers(told: list[Event], number: int | None) -> list[Answer]:
    return [one for one in told if isinstance(one, Answer) and one.person == number]


# --- Steady


def joints(value: float, sure: float = 1.0) -> Joints:
    return Joints(np.full((4, 2), value, np.float32), np.full(4, sure, np.float32))


@given(st.lists(st.floats(0.005, 0.4), min_size=1, max_size=30), st.floats(5, 60))
def test_who_moves_evenly_does_so_at_any_rate(gaps: list[float], fps: float) -> None:
    steady = Steady(fps, 4, 2)
    moments = [moment for time in np.cumsum([0, *gaps]) for moment in steady.add(time, {3: joints(100 * time)})]
    times = [moment.time for moment in moments]
    np.testing.assert_allclose(times, np.arange(len(times)) / fps, atol=1e-6)  # every frame, once
    assert times[-1] <= sum(gaps) + 1e-6 and sum(gaps) - times[-1] < 1 / fps + 1e-6
    for moment in moments:
        assert moment.people == (3,)
        np.testing.assert_allclose(moment.positions, 100 * moment.time, atol=1e-2)


def test_it_does_what_is_done_with_recordings() -> None:
    random = np.random.default_rng(0)
    positions = random.standard_normal((24, 1, 4, 2)).astype(np.float32)
    confidence = (random.random((24, 1, 4)) * (random.random((24, 1, 4)) < 0.7)).astype(np.float32)
    present = random.random((24, 1)) < 0.8
    confidence[~present] = 0
    recording = at_rate(Sequence(positions, present, STICK, 8.0, "px", confidence), 20.0)
    steady = Steady(20.0, 4, 2)
    for frame in range(24):
        there = {7: Joints(positions[frame, 0], confidence[frame, 0])} if present[frame, 0] else {}
        for moment in steady.add(frame / 8, there):
            number = round(moment.time * 20)
            assert (moment.people == (7,)) == recording.present[number, 0]
            if moment.people:
                assert recording.confidence is not None
                shown = moment.visible[0]
                np.testing.assert_array_equal(shown, recording.visible[number, 0])
                np.testing.assert_allclose(moment.positions[0][shown], recording.positions[number, 0][shown], atol=1e-5)
                np.testing.assert_allclose(moment.confidence[0], recording.confidence[number, 0], atol=1e-5)


def test_a_long_silence_is_nobody_and_takes_no_time() -> None:
    steady = Steady(30.0, 4, 2)
    steady.add(0.0, {0: joints(0)})
    moments = steady.add(86400.0, {0: joints(9)})
    assert len(moments) <= 31
    assert [moment.people for moment in moments] == [()] * (len(moments) - 1) + [(0,)]
    assert len(steady.add(86400.1, {0: joints(9)})) == 3


def test_only_pictures_that_are_needed_are_wanted() -> None:
    steady = Steady(20.0, 4, 2)
    taken = []
    for number in range(60):  # sixty a second
        if steady.wants(number / 60):
            steady.add(number / 60, {})
            taken.append(number / 60)
    assert 20 <= len(taken) <= 21
    steady = Steady(30.0, 4, 2)
    jitter = np.random.default_rng(0).uniform(-0.01, 0.01, 60)
    assert all(steady.wants(time) and steady.add(time, {}) is not None for time in 0.5 + np.arange(60) / 30 + jitter)


# --- Windows


def fed(stream: WindowStream, times: Iterable[int], *people: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for time in times:
        every = [person(100 + 50 * who, time / 10) for who in people]
        positions = np.array([one.joints for one in every], np.float32).reshape(-1, 4, 2)
        confidence = np.array([one.confidence for one in every], np.float32).reshape(-1, 4)
        found = dict(stream.step(positions, confidence > 0, people, confidence))
    return found


def clip(times: range, *people: int) -> Sequence:
    positions = np.array([[person(100 + 50 * who, time / 10).joints for who in people] for time in times], np.float32)
    shape = positions.shape[:3]
    return Sequence(positions, np.ones(shape[:2], np.bool_), STICK, 10.0, "px", np.ones(shape, np.float32))


def test_an_answer_is_that_of_the_last_frames() -> None:
    one = recogniser()
    stream = WindowStream(one, window=20, stride=5, first=10)
    assert fed(stream, range(5), 0, 2) == {0: None, 2: None}  # too new
    early = fed(stream, range(5, 10), 0, 2)
    np.testing.assert_allclose(early[2], one.scores([clip(range(10), 2)])[0], rtol=1e-4)
    late = fed(stream, range(10, 95), 0, 2)
    expected = one.scores([clip(range(75, 95), 0), clip(range(75, 95), 2)])
    np.testing.assert_allclose(late[0], expected[0], rtol=1e-4)
    np.testing.assert_allclose(late[2], expected[1], rtol=1e-4)


def test_people_together() -> None:
    one = recogniser(people=2)
    stream = WindowStream(one, window=20, stride=5, first=10, each=False)
    found = fed(stream, range(40), 0, 1)
    assert list(found) == [EVERYONE]
    np.testing.assert_allclose(found[EVERYONE], one.scores([clip(range(20, 40), 0, 1)])[0], rtol=1e-4)
    more = fed(stream, range(40, 50), 0, 1, 2)  # the third is seen less: the network takes two
    np.testing.assert_allclose(more[EVERYONE], one.scores([clip(range(30, 50), 0, 1)])[0], rtol=1e-4)


def test_who_is_away_is_a_gap_and_no_zero() -> None:
    one = recogniser()
    stream = WindowStream(one, window=20, stride=5, first=10)
    fed(stream, range(10), 1)
    fed(stream, range(10, 14))
    found = fed(stream, range(14, 20), 1)
    whole = clip(range(20), 1)
    whole.present[10:14] = False
    assert whole.confidence is not None
    whole.confidence[10:14] = 0
    np.testing.assert_allclose(found[1], one.scores([whole])[0], rtol=1e-4)
    assert fed(stream, range(20, 40)) == {1: None}  # nobody was seen for a window
    assert fed(stream, range(40, 42)) == {}


def test_the_last_answer_when_somebody_ends() -> None:
    one = recogniser()
    stream = WindowStream(one, window=20, stride=5, first=10)
    fed(stream, range(4), 1)
    np.testing.assert_allclose(stream.end(1), one.scores([clip(range(4), 1)])[0], rtol=1e-4)  # type: ignore[arg-type]
    assert fed(stream, range(4, 5)) == {}


def test_a_network_that_failed() -> None:
    one = recogniser()
    with torch.no_grad():
        next(one.model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="answers with NaN"):
        fed(WindowStream(one, window=20, stride=5, first=5), range(5), 0)


# --- Course


def told(course: Course, *rows: tuple[float, float, float]) -> tuple[list[str], list[tuple[str, float, float]]]:
    """The actions at times 10, 11, ... (middles of their windows), and those that ended."""
    actions, ended = [], []
    for number, row in enumerate(rows):
        now, past = course.answer(10.0 + number, np.array(row, np.float32))
        actions.append(now.action)
        ended += [] if past is None else [(past.action, past.start, past.end)]
    return actions, ended


A, B, NONE = (0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.4, 0.3, 0.3)


def test_an_action_ends_where_the_next_begins() -> None:
    course = Course(CLASSES, 0.5, first=7.0, smooth=1)
    actions, ended = told(course, A, A, B, B)
    assert actions == ["a", "a", "b", "b"] and ended == [("a", 7.0, 12.0)]
    past = course.end(20.0)
    assert past is not None and (past.action, past.start, past.end) == ("b", 12.0, 20.0)
    assert past.probability == pytest.approx(0.9)


def test_one_odd_answer_changes_nothing() -> None:
    assert told(Course(CLASSES, 0.5, 7.0, smooth=3), A, A, B, A, A)[0] == ["a"] * 5


def test_smoothing_looks_back() -> None:
    actions, ended = told(Course(CLASSES, 0.5, 7.0, smooth=3), A, A, A, B, B, B)
    assert actions == ["a", "a", "a", "a", "b", "b"]
    assert ended == [("a", 7.0, 13.0)]  # known at 14, of answers at 12, 13 and 14


def test_another_action_must_be_clearly_better() -> None:
    near = (0.5 - MARGIN / 3, 0.5, MARGIN / 3)
    assert told(Course(CLASSES, None, 0.0, smooth=1), A, near)[0] == ["a", "a"]
    assert told(Course(CLASSES, None, 0.0, smooth=1), (0.34, 0.33, 0.33), near)[0] == ["a", "a"]
    assert told(Course(CLASSES, None, 0.0, smooth=1), A, (0.4, 0.4 + 1.1 * MARGIN, 0.1))[0] == ["a", "b"]


def test_unknown_has_two_thresholds() -> None:
    course = Course(CLASSES, 0.6, 7.0, smooth=1)
    actions, ended = told(course, NONE, A, NONE, (0.2, 0.5, 0.3), A)
    assert actions == ["unknown", "a", "a", "unknown", "a"]  # 0.4 goes on, but begins nothing
    assert ended == [("a", 11.0, 13.0)]
    assert Course(CLASSES, 0.6, 7.0).end(9.0) is None


# --- Watcher


def test_everybody_has_an_answer_of_their_own() -> None:
    watcher = Watcher(recogniser(), Given(), every=0.5)
    told = seen(watcher, np.arange(0, 6, 0.1), (80, 0, 9), (250, 2, 9))
    first, second = answers(told, 1), answers(told, 2)
    assert first[0].time == pytest.approx(0.9) and first[0].since == 0  # half a window of two seconds
    assert second[0].time == pytest.approx(2.9) and second[0].since == pytest.approx(2.0)
    np.testing.assert_allclose(np.diff([one.time for one in first]), 0.5, atol=1e-6)
    assert {one.people for one in first} == {(1,)}
    assert all(len(one.top) == 3 and abs(sum(p for _, p in one.top) - 1) < 1e-3 for one in first)
    assert watcher.answer_of(1) == first[-1] and [number for number, _ in watcher.seen] == [1, 2]
    json.dumps([plain(one) for one in told])


def test_at_any_rate_of_pictures_the_answers_are_alike() -> None:
    """Half of the pictures were left out, at random: people move by time."""
    random = np.random.default_rng(0)
    dense = np.arange(0, 6.01, 1 / 60)
    thin = dense[np.r_[True, random.random(len(dense) - 2) < 0.3, True]]
    full, part = (answers(seen(Watcher(recogniser(), Given()), times, (80, 0, 9)), 1) for times in (dense, thin))
    assert [one.time for one in full] == pytest.approx([one.time for one in part])
    np.testing.assert_allclose([one.probability for one in full], [one.probability for one in part], atol=0.03)


def test_people_come_and_go() -> None:
    watcher = Watcher(recogniser(), Given())
    told = seen(watcher, np.arange(0, 10, 0.1), (80, 0, 4), (250, 3, 20), (80, 7, 20))
    (leave,) = [one for one in told if isinstance(one, Leave)]
    assert leave.person == 1 and leave.seen == pytest.approx(3.9) and leave.time == pytest.approx(5, abs=0.25)
    ends = [one for one in told if isinstance(one, End) and one.person == 1]
    assert ends[-1].end == leave.seen and ends[0].start == 0
    assert answers(told, 3)[0].since == pytest.approx(7)  # who comes later is somebody new
    assert watcher.people == 2
    finished = watcher.finish()
    assert [one.person for one in finished if isinstance(one, End)] == [2, 3] and watcher.people == 0


def test_a_short_loss_is_none() -> None:
    told = seen(Watcher(recogniser(), Given()), np.arange(0, 8, 0.1), (80, 0, 3), (80, 3.7, 8))
    assert {one.person for one in told if isinstance(one, Answer)} == {1}
    assert not any(isinstance(one, Leave) for one in told)


def test_who_passes_by_is_nobody() -> None:
    told = seen(Watcher(recogniser(), Given()), np.arange(0, 6, 0.1), (80, 0, 6), (250, 2, 2.4))
    assert {one.person for one in told if isinstance(one, Answer)} == {1}
    assert not any(isinstance(one, (Leave, End)) and one.person == 2 for one in told)


def test_a_film_of_three_pictures_has_an_answer() -> None:
    watcher = Watcher(recogniser(), Given())
    assert seen(watcher, [0, 0.1, 0.2], (80, 0, 9)) == []
    answer, end = watcher.finish()
    assert isinstance(answer, Answer) and isinstance(end, End) and end.end == 0.2
    assert Watcher(recogniser(), Given()).finish() == []


def test_together_where_the_checkpoint_saw_people_together() -> None:
    watcher = Watcher(recogniser(people=2), Given())
    told = seen(watcher, np.arange(0, 4, 0.1), (80, 0, 2.9), (250, 0, 9))
    (*_, last) = answers(told, None)
    assert not watcher.each and last.people == (2,) and watcher.answer_of(2) == last
    assert answers(told, None)[2].people == (1, 2)
    assert not answers(told, 1)
    (end,) = watcher.finish()
    assert isinstance(end, End) and end.person is None
    asked = Watcher(recogniser(people=2), Given(), each=True)
    assert answers(seen(asked, np.arange(0, 4, 0.1), (80, 0, 9)), 1)


@pytest.mark.parametrize(("unit", "channels"), [("px", 2), ("normalised", 2), ("m", 3)])
def test_coordinates_are_those_of_the_checkpoint(unit: str, channels: int) -> None:
    one = recogniser(unit=unit, channels=channels)
    watcher = Watcher(one, Given(), smooth=1)
    told = answers(seen(watcher, np.arange(0, 2, 0.1), (80, 0, 9)), 1)
    every = [person(80, time) for time in np.arange(0, 2, 0.1)]
    flat = np.array([p.joints for p in every]) / ((320, 240) if unit == "normalised" else 1)
    positions = flat if channels == 2 else np.array([p.world for p in every])
    sure = np.ones((20, 1, 4), np.float32)
    whole = Sequence(positions[:, None].astype(np.float32), np.ones((20, 1), np.bool_), STICK, 10.0, unit, sure)
    assert told[-1].probability == pytest.approx(float(one.scores([whole]).max()), abs=1e-4)


def test_what_does_not_fit_is_told_before_anything_begins() -> None:
    class Flat(Given):
        metric = False

    class Bust(Given):
        skeleton = Skeleton("bust", ("head", "neck"), (1, 1), (0, 1))

    with pytest.raises(ValueError, match="finds people in the picture only"):
        Watcher(recogniser(unit="m", channels=3), Flat())
    with pytest.raises(ValueError, match=r"'bust' has no pelvis, left foot, right foot, which"):
        Watcher(recogniser(), Bust())
    for options in ({"every": 0.0}, {"threshold": 2.0}, {"smooth": 0}, {"top": 0}, {"window": -1.0}):
        with pytest.raises(ValueError, match=r"must be|must lie"):
            Watcher(recogniser(), Given(), **options)


def test_frame_by_frame_where_the_checkpoint_allows_it() -> None:
    """The answers are those of the stream; who leaves and comes back is somebody new."""
    one = recogniser(rule="all")
    watcher = Watcher(one, Given(), smooth=1, threshold=0)
    assert (watcher.kind, watcher.late) == ("exact", 1.0) and "10 frames behind" in watcher.how
    told = seen(watcher, np.arange(0, 12, 0.1), (80, 0, 4), (80, 7, 12))
    finished = watcher.finish()
    stream = ExactStream(one.model, one.meaning, window=20, first=10, patience=99)
    by_hand, last = [], []
    for frames, first, gone in ((40, 0, 10), (50, 70, 0)):
        for number in range(frames + gone):
            here = [person(80, (first + number) / 10)] if number < frames else []
            positions = np.array([p.joints for p in here], np.float32).reshape(-1, 4, 2)
            found = stream.step(positions, np.ones((len(here), 4), np.bool_), [0] * len(here))
            if (first + number + 1) % 5 == 0 and found.get(0) is not None:
                by_hand.append(((first + number) / 10, found[0]))
        last.append(stream.end(0))
    for number, ending, low, high in ((1, told, 0, 6), (2, finished, 7, 13)):
        given = answers([*told, *finished], number)
        wanted = [(time, answer.max()) for time, answer in by_hand if low <= time < high and answer is not None]
        assert answers(ending, number)[-1] == given[-1]  # what the last frames had still to give
        assert len(given) >= 6
        for answer, (time, probability) in zip(given[:-1], wanted, strict=False):
            assert answer.time == pytest.approx(time) and answer.probability == pytest.approx(probability, abs=1e-5)
        assert answers([*told, *finished], number)[0].since == pytest.approx(low)
    (final,) = [one for one in finished if isinstance(one, Answer)]
    assert last[1] is not None and final.probability == pytest.approx(last[1].max(), abs=1e-4)
    assert Watcher(one, Given(), stream="window").kind == "window"
    with pytest.raises(ValueError, match=r"frames cannot come one by one: length\.rule 'uniform'"):
        Watcher(recogniser(), Given(), stream="exact")
    with pytest.raises(ValueError, match="people are looked at together"):
        Watcher(recogniser(people=2, rule="all"), Given(), stream="exact")
    assert Watcher(recogniser(people=2, rule="all"), Given()).kind == "window"


def test_who_passes_by_is_nobody_frame_by_frame() -> None:
    watcher = Watcher(recogniser(rule="all"), Given())
    told = seen(watcher, np.arange(0, 6, 0.1), (80, 0, 6), (250, 2, 2.4))
    assert {one.person for one in told if isinstance(one, Answer)} == {1}
    watcher = Watcher(recogniser(rule="all"), Given())
    assert seen(watcher, [0, 0.1, 0.2], (80, 0, 9)) == []
    assert isinstance(watcher.finish()[0], Answer)  # a film of three pictures has an answer


def test_time_leaps() -> None:
    """A connection that was away for an hour: who was there has left, and nothing is computed for the hour."""
    watcher = Watcher(recogniser(), Given())
    told = seen(watcher, [*np.arange(0, 3, 0.1), *np.arange(3600, 3603, 0.1)], (80, 0, 1e4))
    (leave,) = [one for one in told if isinstance(one, Leave)]
    assert leave.person == 1 and leave.seen == pytest.approx(2.9)
    assert answers(told, 2)[0].since == 3600


def size(thing: object) -> int:
    """Bytes of everything that a thing holds, but for the network and for types."""
    found, waiting = {id(thing): thing}, [thing]
    while waiting:
        for part in gc.get_referents(waiting.pop()):
            if id(part) not in found and not isinstance(part, (type, ModuleType, FunctionType, Recogniser)):
                found[id(part)] = part
                waiting.append(part)
    return sum(sys.getsizeof(part) for part in found.values())


@pytest.mark.parametrize(("rule", "every"), [("uniform", 400), ("all", 160)])
def test_memory_stays_bounded(rule: Rule, every: int) -> None:
    """Minutes at 10 frames a second, with a new pair of people every four seconds."""
    watcher = Watcher(recogniser(rule=rule), Given(), every=2.0)
    assert watcher.kind == {"uniform": "window", "all": "exact"}[rule]
    sizes = []
    for number in range(8 * every if rule == "uniform" else 5 * every):
        x = 60 + 200 * (number // 40 % 2)
        here = [person(x, number / 10), person(x + 90, number / 7)] if number % 40 < 28 else []
        watcher.see(number / 10, here, 640, 480)
        if number % every == every - 1:
            sizes.append(size(watcher))
    assert sizes[0] > 1000  # it is measured at all
    assert max(sizes) < sizes[0] + 2000 and watcher.people <= 4
