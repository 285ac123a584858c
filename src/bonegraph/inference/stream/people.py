"""What every stream does with people: who comes begins, who is gone for long is forgotten, all are kept in a file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from bonegraph.inference.stream.frames import Buffer, nothing
from bonegraph.inference.stream.keeping import Kept, frame_tensors, frames_of, read_people, tensor_of, write_people
from bonegraph.models.checkpoint import Meaning

Probabilities = NDArray[np.float32]
Answers = dict[int, Probabilities | None]


@dataclass(kw_only=True)
class Person:
    """One who is followed.

    Attributes:
        frames: the last ones, as many as are needed.
        seen: frames in which the person was seen.
        absent: frames since the person was last given.
        answer: the last one.
    """

    frames: Buffer
    seen: int = 0
    absent: int = 0
    answer: Probabilities | None = None


P = TypeVar("P", bound=Person)


class Stream(ABC, Generic[P]):
    """Recognises people in frames that come one by one.

    Args:
        meaning: of the checkpoint.
        coordinates: of a joint.
        kept: frames of a person that are kept.
        latency: frames by which an answer lags behind what it is about.
        stride: frames from one answer to the next.
        patience: absent frames after which a person is forgotten.

    Attributes:
        latency: as given.
        stride: as given.
        patience: as given.
    """

    def __init__(
        self, meaning: Meaning, coordinates: int, *, kept: int, latency: int, stride: int, patience: float = math.inf
    ) -> None:
        self.meaning, self.coordinates, self.joints = meaning, coordinates, meaning.skeleton.num_joints
        self.latency, self.stride, self.patience = latency, stride, patience
        self._room = kept
        self._people: dict[int, P] = {}

    @property
    def people(self) -> tuple[int, ...]:
        """Ids of those who are followed."""
        return tuple(self._people)

    def step(
        self,
        positions: NDArray[np.float32],
        visible: NDArray[np.bool_],
        people: Sequence[int],
        confidence: NDArray[np.float32] | None = None,
    ) -> Answers:
        """Take the next frame.

        Args:
            positions: (P, V, C) of the people who are there, P may be 0.
            visible: (P, V) joints that are seen.
            people: P ids. A new one begins; one that is missing is not seen in this frame.
            confidence: (P, V) in [0, 1] where the pose estimator gives one.

        Returns:
            For every person who is followed the probabilities of the classes, those of the last answer, or None while
            it is too early for one.

        Raises:
            ValueError: shapes disagree, a visible joint has no finite place, or an id comes twice, of which nothing has
                changed; or the checkpoint answers with NaN.
        """
        check_frame(positions, visible, people, confidence, self.joints, self.coordinates)
        rows = {person: row for row, person in enumerate(people)}
        for person in people:
            if person not in self._people:
                self._people[person] = self._begin()
        for person, one in self._people.items():
            row = rows.get(person)
            if row is None:
                one.absent += 1
                one.frames.skip()
            else:
                one.absent = 0
                one.seen += bool(visible[row].any())
                one.frames.put(positions[row], visible[row], None if confidence is None else confidence[row])
        self._advance()
        answers = self._answers()
        for person in [person for person, one in self._people.items() if one.absent > self.patience]:
            del self._people[person]
        return answers

    @abstractmethod
    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the last answer, in which all its frames are.

        Raises:
            KeyError: nobody with this id is followed.
        """

    def save(self, path: str | Path) -> None:
        """Keep all that the stream knows in a file (safetensors).

        Raises:
            OSError: it cannot be written; what was there before stays.
        """
        write_people(Path(path), self._about(), {person: self._kept(one) for person, one in self._people.items()})

    def restore(self, path: str | Path) -> None:
        """Go on where a stream with the same checkpoints and settings was; the answers are equal to the last bit.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or of another stream; this one is left as it was.
        """
        people = read_people(Path(path), self._about())
        try:
            self._people = {person: self._restored(kept) for person, kept in people.items()}
        except (ValueError, KeyError) as error:
            raise ValueError(f"cannot use '{path}': {str(error).strip()}.") from None

    @abstractmethod
    def _begin(self) -> P:
        """A person who comes now."""

    @abstractmethod
    def _advance(self) -> None:
        """Answer those for whom it is time, after everybody has a new frame."""

    @abstractmethod
    def _about(self) -> dict[str, str]:
        """What must be the same where a state is used."""

    def _answers(self) -> Answers:
        return {person: one.answer for person, one in self._people.items()}

    def _buffer(self) -> Buffer:
        """For the frames of a new person."""
        return Buffer(self._room, self.joints, self.coordinates)

    def _kept(self, one: P) -> Kept:
        tensors = frame_tensors("frames", one.frames.frames)
        if one.answer is not None:
            tensors["answer"] = torch.from_numpy(one.answer)
        return Kept({"seen": one.seen, "absent": one.absent}, tensors)

    def _restored(self, kept: Kept) -> P:
        one = self._begin()
        one.frames = self._buffer()
        like = nothing(0, self.joints, self.coordinates, exists=True)
        one.frames.add(frames_of("frames", kept.tensors, like, self._room))
        if "answer" in kept.tensors:
            one.answer = tensor_of("answer", kept.tensors, torch.zeros(len(self.meaning.classes))).numpy()
        one.seen, one.absent = kept.numbers["seen"], kept.numbers["absent"]
        return one


AnyStream = Stream[Any]


def check_frame(
    positions: NDArray[np.float32],
    visible: NDArray[np.bool_],
    people: Sequence[int],
    confidence: NDArray[np.float32] | None,
    joints: int,
    coordinates: int,
) -> None:
    """See that a frame can be used, before anything has changed.

    Raises:
        ValueError: it cannot.
    """
    wanted = (len(people), joints, coordinates)
    if positions.shape != wanted:
        raise ValueError(
            f"positions have shape {positions.shape}, but (people, joints, coordinates) {wanted} is needed."
        )
    for name, array in (("visible", visible), ("confidence", confidence)):
        if array is not None and array.shape != wanted[:2]:
            raise ValueError(f"{name} has shape {array.shape}, but (people, joints) {wanted[:2]} is needed.")
    if len(set(people)) != len(people):
        raise ValueError(f"the ids of people in a frame must differ, got {list(people)}.")
    if not np.isfinite(positions).all() and not np.isfinite(positions[visible]).all():
        raise ValueError("positions hold NaN or infinity at visible joints; mark such joints as not visible.")


def finite(answers: Probabilities) -> Probabilities:
    """Answers that are numbers.

    Raises:
        ValueError: they are not.
    """
    if not np.isfinite(answers).all():
        raise ValueError("the checkpoint answers with NaN or infinity; its training failed, take another one.")
    return answers
