"""What is seen while watching: skeletons, what everyone does, and the frame rate, drawn on each picture as it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bonegraph import sequence as sequences
from bonegraph.pose.estimator import Person
from bonegraph.read.frames import Frame
from bonegraph.skeleton import Skeleton
from bonegraph.viz.annotated import PEOPLE, annotated


def drawn(
    picture: Frame,
    people: Sequence[tuple[int, Person]],
    skeleton: Skeleton,
    texts: Mapping[int, str],
    lines: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """One picture with the people on it, of even width and height; everybody keeps their colour.

    Args:
        picture: in which they were found.
        people: number and pose of each.
        skeleton: of the poses.
        texts: by number, for the heads.
        lines: text for the upper left corner.
    """
    rows = _rows([number for number, _ in people])
    count = max(rows.values(), default=0) + 1
    positions = np.zeros((1, count, skeleton.num_joints, 2), np.float32)
    confidence = np.zeros(positions.shape[:3], np.float32)
    present = np.zeros((1, count), np.bool_)
    for number, person in people:
        row = rows[number]
        positions[0, row], confidence[0, row], present[0, row] = person.joints, person.confidence, True
    found = sequences.Sequence(positions, present, skeleton, 1.0, "px", confidence)
    labels = {rows[number]: f"{number}: {text}" for number, text in texts.items() if number in rows}
    return next(annotated([picture], found, lines, labels=lambda _: labels))


def _rows(numbers: Sequence[int]) -> dict[int, int]:
    """A row for each number, by which the colour goes: always the same one, whoever else is there."""
    rows: dict[int, int] = {}
    for number in numbers:
        row = (number - 1) % PEOPLE
        while row in rows.values():
            row += PEOPLE
        rows[number] = row
    return rows
