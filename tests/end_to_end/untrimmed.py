"""Known actions joined to long recordings, with the performer standing still between them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.sequence import Sequence

CLASSES = ("sit down", "stand up", "put on hat", "circle arm forward", "pick up", "raise arm", "walk forward")
REST = 60  # frames


class SomeActions(Synthetic):
    """The built-in data of some classes only; every fact else is the same."""

    def __init__(self, subjects: int = 3, replications: int = 2) -> None:
        super().__init__(0, subjects, replications)
        self.every = Synthetic(0, subjects, replications)
        self.classes = CLASSES

    def find(self, folder: str | Path = "") -> list[Source]:
        names = self.every.classes
        found = [one for one in self.every.find() if names[one.label] in CLASSES]
        return [replace(one, label=CLASSES.index(names[one.label])) for one in found]

    def read(self, source: Source) -> Sequence:
        return self.every.read(source)


class StandingStill(SomeActions):
    """The people of these clips in the pose of the first frame, with the noise of a camera."""

    def read(self, source: Source) -> Sequence:
        return still(super().read(source), source.label)


def still(sequence: Sequence, seed: int, frames: int = 0) -> Sequence:
    count = frames or sequence.num_frames
    noise = np.random.default_rng(seed).normal(0, 0.01, (count, *sequence.positions.shape[1:]))
    positions = (sequence.positions[:1] + noise).astype(np.float32)
    return replace(sequence, positions=positions, present=np.ones((count, 1), np.bool_))


def joined(actions: list[str], subject: int, replication: int) -> tuple[Sequence, list[tuple[int, int, str]]]:
    """Rest, the first action, rest, the second one, ...; and (start, stop, action) of each."""
    data = Synthetic(0, subject, replication)
    pieces, truth, frame = [], [], 0
    for number, action in enumerate(actions):
        name = f"S001C002P{subject:03d}R{replication:03d}A{data.classes.index(action) + 1:03d}"
        clip = data.read(next(one for one in data.find() if one.id == name))
        pieces += [still(clip, number, REST).positions, clip.positions]
        truth.append((frame + REST, frame + REST + clip.num_frames, action))
        frame += REST + clip.num_frames
    positions = np.concatenate(pieces)
    return Sequence(positions, np.ones((frame, 1), np.bool_), data.skeleton, data.fps, data.unit), truth
