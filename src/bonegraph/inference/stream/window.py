"""Recognise people in the last frames again and again: right for every checkpoint, and slower."""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream.frames import nothing
from bonegraph.inference.stream.keeping import Kept, fingerprint
from bonegraph.inference.stream.people import Answers, Person, Probabilities, Stream, finite
from bonegraph.inference.windows import LEAST_SEEN
from bonegraph.sequence import Sequence

EVERYONE = -1
"""Whose answer it is where people are looked at together."""


@dataclass(kw_only=True)
class _Person(Person):
    """One who is followed.

    Attributes:
        known: whether there was an answer.
    """

    known: bool = False


class WindowStream(Stream[_Person]):
    """Recognise people in their last frames.

    Every answer is that of the `Recogniser` for the last ``window`` frames of a person alone, or of all together; while
    a person is new, for as many as there are. All are recognised in the same frame, in one batch. Somebody who is seen
    for less than an eighth of a window is not looked at, as in recordings.

    Args:
        recogniser: one checkpoint or several.
        window: frames that are looked at.
        stride: frames from one answer to the next.
        first: somebody new gets an answer once they were seen in so many frames; default is half a window.
        each: look at each person alone; else the only answer is that of `EVERYONE`.
        patience: absent frames after which a person is forgotten; default is a whole window.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        *,
        window: int = 64,
        stride: int = 4,
        first: int | None = None,
        each: bool = True,
        patience: float | None = None,
    ) -> None:
        first = -(-window // 2) if first is None else first
        if window < 1 or stride < 1 or not 1 <= first <= window:
            raise ValueError(
                f"window and stride must be at least 1 and first between 1 and window, got {window}, {stride}, {first}."
            )
        super().__init__(
            recogniser.meaning,
            recogniser.coordinates,
            kept=window,
            latency=0,
            stride=stride,
            patience=window if patience is None else patience,
        )
        self.recogniser, self.window, self.first, self.each = recogniser, window, first, each
        self._phase = 0  # frames since the last answers

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the answer for the last frames, None if hardly anything was seen.

        Where people are looked at together one of them has none, and `EVERYONE` forgets all.

        Raises:
            KeyError: nobody with this id is followed.
        """
        together = person == EVERYONE and not self.each
        ending = list(self._people.values()) if together else [self._people.pop(person)]
        for one in ending:
            one.known = True  # there is no time left to wait for more
        if together:
            self._people.clear()
        elif not self.each:
            return None
        self._score([ending])
        return ending[0].answer if ending else None

    def restore(self, path: str | Path) -> None:
        """See `Stream.restore`."""
        phase = self._phase
        try:
            super().restore(path)
        except ValueError:
            self._phase = phase
            raise

    def _begin(self) -> _Person:
        return _Person(frames=self._buffer())

    def _advance(self) -> None:
        self._phase = (self._phase + 1) % self.stride
        if self._phase == 0:
            people = list(self._people.values())
            self._score([[one] for one in people] if self.each else [people])

    def _answers(self) -> Answers:
        if self.each or not self._people:
            return super()._answers()
        return {EVERYONE: next(iter(self._people.values())).answer}  # that of who is there for longest

    def _about(self) -> dict[str, str]:
        networks = self.recogniser.networks
        return {
            "stream": "window",
            "settings": repr((self.window, self.stride, self.first, self.each)),
            "transforms": repr([network.meaning.transforms for network in networks]),
            "weights": fingerprint(network.model for network in networks),
        }

    def _kept(self, one: _Person) -> Kept:
        kept = super()._kept(one)
        return kept._replace(numbers={**kept.numbers, "known": one.known, "phase": self._phase})

    def _restored(self, kept: Kept) -> _Person:
        one = super()._restored(kept)
        one.known = bool(kept.numbers["known"])
        self._phase = kept.numbers["phase"] % self.stride
        return one

    def _score(self, subjects: Several[list[_Person]]) -> None:
        """Answer for some people, those of a list together."""
        asked, clips = [], []
        for together in subjects:
            clip = self._clip(together)
            for one in together:
                one.answer = None
            if clip is not None:
                asked.append(together)
                clips.append(clip)
        if clips:
            found = finite(self.recogniser.scores(clips).cpu().numpy())
            for together, answer in zip(asked, found, strict=True):
                for one in together:
                    one.answer, one.known = answer, True

    def _clip(self, people: list[_Person]) -> Sequence | None:
        """The last frames of some people, of those who are seen most; None where they are seen in too few."""
        every = [one.frames.frames for one in people]
        count = max((len(frames.exists) for frames in every), default=0)
        for row, frames in enumerate(every):
            if missing := count - len(frames.exists):  # who came later
                every[row] = nothing(missing, self.joints, self.coordinates, exists=False).then(frames)
        visible = np.stack([frames.visible for frames in every], axis=1) if every else np.zeros((0, 0, 0), np.bool_)
        least = LEAST_SEEN * self.window if any(one.known for one in people) else self.first
        if np.count_nonzero(visible.any(axis=(1, 2))) < max(1.0, least):
            return None
        seen = visible.sum(axis=(0, 2))
        order = [int(row) for row in np.argsort(-seen, kind="stable") if seen[row]]
        shown = [every[row] for row in sorted(order[: self.meaning.people or None])]
        return Sequence(
            positions=np.stack([frames.positions for frames in shown], axis=1),
            present=np.stack([frames.visible.any(axis=1) for frames in shown], axis=1),
            skeleton=self.meaning.skeleton,
            fps=self.meaning.fps,
            unit=self.meaning.unit,
            confidence=np.stack([frames.confidence for frames in shown], axis=1),
        )
