"""The last frames of people, looked at again and again.

Axes: W frames of the window, M people, V joints, C coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream.people import Answers, Probabilities
from bonegraph.sequence import Sequence

EVERYONE = -1
"""Whose answer it is where people are looked at together."""

_LEAST_SEEN = 1 / 8
"""Somebody who is seen for a smaller share of a window is not looked at, as in recordings."""


class Answering(Protocol):
    """What the watcher needs of a stream; those of `bonegraph.inference.stream` look at each person alone."""

    def step(
        self,
        positions: NDArray[np.float32],
        visible: NDArray[np.bool_],
        people: Several[int],
        confidence: NDArray[np.float32] | None = None,
    ) -> Answers:
        """Take the next frame.

        Args:
            positions: (M, V, C), on the skeleton and at the frame rate of the checkpoint.
            visible: (M, V).
            people: M ids.
            confidence: (M, V) in [0, 1].

        Returns:
            The last answer for each id that is followed; None where there is none yet.
        """
        ...

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the answer for the last frames, None if they are too few."""
        ...


class _Ring:
    """The last W frames of one person; what was written more than W frames ago is gone."""

    def __init__(self, frame: int, window: int, joints: int, coordinates: int) -> None:
        self.first = frame
        self.positions = np.zeros((window, joints, coordinates), np.float32)
        self.confidence = np.zeros((window, joints), np.float32)
        self._frame = np.full(window, -1)  # which frame stands in each row

    def put(self, frame: int, positions: NDArray[np.float32], confidence: NDArray[np.float32]) -> None:
        row = frame % len(self._frame)
        self.positions[row], self.confidence[row], self._frame[row] = positions, confidence, frame

    def last(self, frame: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Positions, confidence and whether the person is there, of the last frames up to this one."""
        frames = np.arange(frame - count + 1, frame + 1)
        rows = frames % len(self._frame)
        return self.positions[rows], self.confidence[rows], self._frame[rows] == frames


class Sliding:
    """Answer for people by their last frames, all of them in one batch.

    Every answer is that of the `Recogniser` for the last ``window`` frames of a person alone, or of all together;
    while a person is new, for as many as there are.

    Args:
        recogniser: one checkpoint or several.
        window: W, the frames that are looked at.
        stride: frames from one answer to the next.
        first: somebody new gets an answer once they were seen in so many frames.
        each: look at each person alone.

    Raises:
        ValueError: a number is out of range, or the checkpoint answers with NaN.
    """

    def __init__(self, recogniser: Recogniser, *, window: int, stride: int, first: int, each: bool = True) -> None:
        if not (1 <= first <= window and stride >= 1):
            raise ValueError(
                f"stride must be at least 1 and first between 1 and the window, got {stride}, {first} and {window}."
            )
        self._recogniser = recogniser
        self._window, self._stride, self._first, self._each = window, stride, first, each
        self._rings: dict[int, _Ring] = {}
        self._answers: Answers = {}
        self._known: set[int] = set()  # who had an answer
        self._frame = -1

    def step(
        self,
        positions: NDArray[np.float32],
        visible: NDArray[np.bool_],
        people: Several[int],
        confidence: NDArray[np.float32] | None = None,
    ) -> Answers:
        """Take the next frame; see `Answering.step`. Together, the only id is `EVERYONE`."""
        self._frame += 1
        sure = visible.astype(np.float32) if confidence is None else np.where(visible, confidence, 0)
        for row, person in enumerate(people):
            if person not in self._rings:
                self._rings[person] = _Ring(self._frame, self._window, *positions.shape[1:])
            self._rings[person].put(self._frame, positions[row], sure[row])
        if (self._frame + 1) % self._stride == 0:
            self._answers = self._scored(self._subjects())
        return self._answers

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; see `Answering.end`. `EVERYONE` forgets all."""
        subjects = {who: rings for who, rings in self._subjects().items() if who == person}
        self._known.update(subjects)  # there is no time left to wait for more
        answer = self._scored(subjects).get(person)
        for who in list(self._rings) if person == EVERYONE else [person]:
            self._rings.pop(who, None)
        self._answers.pop(person, None)
        self._known.discard(person)
        return answer

    def _subjects(self) -> dict[int, list[_Ring]]:
        """Who are looked at, together."""
        if self._each:
            return {person: [ring] for person, ring in self._rings.items()}
        return {EVERYONE: list(self._rings.values())} if self._rings else {}

    def _scored(self, subjects: dict[int, list[_Ring]]) -> Answers:
        answers: Answers = dict.fromkeys(subjects)
        clips = {}
        for who, rings in subjects.items():
            count = min(self._window, self._frame - min(ring.first for ring in rings) + 1)
            clip = self._clip(rings, count, _LEAST_SEEN * self._window if who in self._known else self._first)
            if clip is not None:
                clips[who] = clip
        if clips:
            found = self._recogniser.scores(list(clips.values())).cpu().numpy()
            if not np.isfinite(found).all():
                raise ValueError("the checkpoint answers with NaN or infinity; its training failed, take another one.")
            answers.update(zip(clips, found, strict=True))
            self._known.update(clips)
        return answers

    def _clip(self, rings: list[_Ring], count: int, least: float) -> Sequence | None:
        """The last frames of some people, of those who are seen most; None where they are seen in too few."""
        every = [ring.last(self._frame, count) for ring in rings]
        positions, confidence, present = (np.stack(parts, axis=1) for parts in zip(*every, strict=True))
        visible = (confidence > 0) & present[..., None]
        if np.count_nonzero(visible.any(axis=(1, 2))) < max(1.0, least):
            return None
        seen = visible.sum(axis=(0, 2))
        order = [int(row) for row in np.argsort(-seen, kind="stable") if seen[row]]
        rows = sorted(order[: self._recogniser.meaning.people or None])
        meaning = self._recogniser.meaning
        return Sequence(
            positions[:, rows],
            present[:, rows],
            meaning.skeleton,
            meaning.fps,
            meaning.unit,
            np.where(present[:, rows, None], confidence[:, rows], 0).astype(np.float32),
        )
