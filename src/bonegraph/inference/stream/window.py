"""Recognise people in the last frames again and again: right for every checkpoint, and slower."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream.causal import Frames, nothing
from bonegraph.inference.stream.keeping import (
    Kept,
    fingerprint,
    frame_tensors,
    frames_of,
    read_people,
    tensor_of,
    write_people,
)
from bonegraph.inference.stream.people import Answers, Probabilities, check_frame, frame_of
from bonegraph.sequence import Sequence


@dataclass
class _Person:
    """One who is followed.

    Attributes:
        frames: the last ones.
        due: frames until the next answer.
        answer: the last one.
        absent: frames since the person was last given.
    """

    frames: Frames
    due: int
    answer: Probabilities | None = None
    absent: int = 0


class WindowStream:
    """Recognise people in their last frames, each person as in a recording alone.

    Every answer is that of the `Recogniser` for the last ``window`` frames. Those who are due in the same frame are
    recognised together.

    Args:
        recogniser: one checkpoint or several.
        window: frames that are looked at.
        stride: frames from one answer to the next.
        first: frames before the first answer; default is a whole window.
        patience: absent frames after which a person is forgotten; default is a whole window.

    Raises:
        ValueError: a number is out of range.
    """

    latency = 0

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        window: int = 64,
        stride: int = 4,
        first: int | None = None,
        patience: int | None = None,
    ) -> None:
        first = window if first is None else first
        if window < 1 or stride < 1 or not 1 <= first <= window:
            raise ValueError(
                f"window and stride must be at least 1 and first between 1 and window, got {window}, {stride}, {first}."
            )
        self.recogniser, self.window, self.stride, self.first = recogniser, window, stride, first
        self.patience = window if patience is None else patience
        self.meaning, self.coordinates = recogniser.meaning, recogniser.coordinates
        self.joints = self.meaning.skeleton.num_joints
        self._people: dict[int, _Person] = {}

    @property
    def people(self) -> tuple[int, ...]:
        """Ids of those who are followed."""
        return tuple(self._people)

    def step(
        self,
        positions: NDArray[np.float32],
        visible: NDArray[np.bool_],
        people: Several[int],
        confidence: NDArray[np.float32] | None = None,
    ) -> Answers:
        """Take the next frame; see `Stream.step`."""
        check_frame(positions, visible, people, confidence, self.joints, self.coordinates)
        rows = {person: row for row, person in enumerate(people)}
        for person in people:
            if person not in self._people:
                self._people[person] = _Person(nothing(0, self.joints, self.coordinates, exists=True), self.first)
        for person, one in self._people.items():
            if person in rows:
                one.absent = 0
                new = frame_of(positions, visible, confidence, rows[person])
            else:
                one.absent += 1
                new = nothing(1, self.joints, self.coordinates, exists=True)
            one.frames = one.frames.then(new).cut(-self.window)
            one.due -= 1
        self._answer([one for one in self._people.values() if one.due <= 0])
        answers = {person: one.answer for person, one in self._people.items()}
        self._people = {person: one for person, one in self._people.items() if one.absent <= self.patience}
        return answers

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the answer for the last frames.

        Raises:
            KeyError: nobody with this id is followed.
        """
        one = self._people.pop(person)
        self._answer([one])
        return one.answer

    def save(self, path: str | Path) -> None:
        """Keep all that the stream knows in a file (safetensors).

        Raises:
            OSError: it cannot be written; what was there before stays.
        """
        people = {}
        for person, one in self._people.items():
            tensors = frame_tensors("frames", one.frames)
            if one.answer is not None:
                tensors["answer"] = torch.from_numpy(one.answer)
            people[person] = Kept({"absent": one.absent, "due": one.due}, tensors)
        write_people(Path(path), self._about(), people)

    def restore(self, path: str | Path) -> None:
        """Go on where a stream with the same checkpoints and settings was.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or of another stream; this one is left as it was.
        """
        people = read_people(Path(path), self._about())
        try:
            self._people = {person: self._restored(kept) for person, kept in people.items()}
        except (ValueError, KeyError) as error:
            raise ValueError(f"cannot use '{path}': {str(error).strip()}.") from None

    def _about(self) -> dict[str, str]:
        networks = self.recogniser.networks
        return {
            "stream": "window",
            "settings": repr((self.window, self.stride)),
            "transforms": repr([network.meaning.transforms for network in networks]),
            "weights": fingerprint(network.model for network in networks),
        }

    def _restored(self, kept: Kept) -> _Person:
        like = nothing(0, self.joints, self.coordinates, exists=True)
        answer = None
        if "answer" in kept.tensors:
            answer = tensor_of("answer", kept.tensors, torch.zeros(len(self.meaning.classes))).numpy()
        frames = frames_of("frames", kept.tensors, like, self.window)
        return _Person(frames, kept.numbers["due"], answer, kept.numbers["absent"])

    def _answer(self, people: list[_Person]) -> None:
        for one in people:
            one.due, one.answer = self.stride, None
        seen = [one for one in people if one.frames.visible.any()]
        if seen:
            found = self.recogniser.scores([self._sequence(one.frames) for one in seen]).cpu().numpy()
            for one, answer in zip(seen, found, strict=True):
                one.answer = answer

    def _sequence(self, frames: Frames) -> Sequence:
        """The frames as a recording of one person."""
        return Sequence(
            positions=frames.positions[:, None],
            present=np.asarray(frames.visible.any(axis=1))[:, None],
            skeleton=self.meaning.skeleton,
            fps=self.meaning.fps,
            unit=self.meaning.unit,
            confidence=frames.confidence[:, None],
        )
