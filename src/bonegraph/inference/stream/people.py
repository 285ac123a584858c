"""What every stream understands of people in a frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.stream.causal import Frames

Probabilities = NDArray[np.float32]
Answers = dict[int, Probabilities | None]


class Stream(Protocol):
    """Recognises people in frames that come one by one.

    Attributes:
        latency: frames by which an answer lags behind what it is about.
        stride: frames from one answer to the next.
    """

    latency: int
    stride: int

    @property
    def people(self) -> tuple[int, ...]:
        """Ids of those who are followed."""
        ...

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
            ValueError: shapes disagree, a visible joint has no finite place, or an id comes twice.
        """
        ...

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the last answer, in which all its frames are.

        Raises:
            KeyError: nobody with this id is followed.
        """
        ...

    def save(self, path: str | Path) -> None:
        """Keep all that the stream knows in a file.

        Raises:
            OSError: it cannot be written; what was there before stays.
        """
        ...

    def restore(self, path: str | Path) -> None:
        """Go on where a stream with the same checkpoint and settings was.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or of another stream; this one is left as it was.
        """
        ...


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
    if not np.isfinite(positions[visible]).all():
        raise ValueError("positions hold NaN or infinity at visible joints; mark such joints as not visible.")


def frame_of(
    positions: NDArray[np.float32],
    visible: NDArray[np.bool_],
    confidence: NDArray[np.float32] | None,
    row: int,
) -> Frames:
    """The frame of one person, a copy."""
    seen = visible[row : row + 1].astype(np.bool_)
    sure = seen if confidence is None else confidence[row : row + 1] * seen
    places = np.where(seen[..., None], positions[row : row + 1], 0).astype(np.float32)
    return Frames(places, seen, sure.astype(np.float32), np.ones(1, np.bool_))
