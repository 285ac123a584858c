"""What the heads of a DualHead-Net tell each other about a clip (Chen et al., ACM Multimedia 2021, Sec. 4.5).

The fine head tells the coarse one which frames matter (Eq. 8), the coarse head tells the fine one which joints do
(Eq. 10), twice each. An attention a lies between 0 and 1 and multiplies features by 1 + a; untrained it is 1/2
everywhere. Pictures therefore show where it is higher than elsewhere, from its lowest to its highest value, and show
nothing where these two are nearly equal.

Axes: T frames of the input, S frames of a coarse block, P people whom the network sees, V joints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.dualhead import DualHead
from bonegraph.models.registry import model_name
from bonegraph.sequence import Sequence
from bonegraph.transforms.lengths import places
from bonegraph.transforms.pipeline import apply

Values = NDArray[np.float64]

FLAT = 0.01
"""Attentions that differ by less are drawn alike."""
STRONGEST = 8
"""So many joints are listed by name."""
MEANING = (
    "An attention lies between 0 and 1 and multiplies features by one plus itself; an untrained one is 0.5 everywhere. "
    "Sizes, colours and bars run from the lowest to the highest attention of their block over all people of this clip, "
    f"so they tell where it is higher, not how much; where all differ by less than {FLAT} they are drawn alike."
)
"""What stands beside every picture."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Attention over time.

    Attributes:
        frames: (S,) frames of the recording; where the network plays it again they count on.
        values: (P, S), NaN where the person is absent.
    """

    frames: Values
    values: Values


@dataclass(frozen=True, eq=False)
class Attended:
    """What a network attends to in a recording.

    Attributes:
        sequence: the recording, on the skeleton of the network.
        people: those whom the network sees.
        temporal: of the frames, before each block of the coarse head.
        spatial: of the joints, after each block of the fine head, (P, V).
        notes: what has to be said about the input.
    """

    sequence: Sequence
    people: tuple[int, ...]
    temporal: tuple[Curve, ...]
    spatial: tuple[Values, ...]
    notes: tuple[str, ...] = ()


def attend(recogniser: Recogniser, sequence: Sequence) -> Attended:
    """Run a DualHead-Net on a recording and keep its attentions; of several test clips, the middle one.

    Raises:
        ValueError: it is another model, or one without attentions; the recording does not fit; nobody is seen in the
            frames that the network takes.
    """
    model, meaning = recogniser.model, recogniser.meaning
    if recogniser.others:
        raise ValueError("these are several networks; give the checkpoint of one of them.")
    if not isinstance(model, DualHead):
        raise ValueError(
            f"attentions are those of a DualHead-Net, but the checkpoint holds '{model_name(model.config)}'; give one "
            "that was trained by a recipe for 'dualhead'."
        )
    sequence = recogniser.fitting(sequence)
    test_clip = meaning.length.test_clips // 2
    batch = recogniser.batch(sequence, test_clip)
    ready = apply(meaning.transforms, batch, meaning.skeleton, training=False)
    seen = batch.visible[0].any(dim=1).numpy()  # (T, M)
    rows = [int(person) for person in ready.visible[0].flatten(0, 1).any(dim=0).nonzero()]
    kept = [row for row, person in enumerate(rows) if person < seen.shape[1] and seen[:, person].any()]
    if not kept:
        raise ValueError("nobody is seen in the frames that the network takes.")
    people = tuple(rows[row] for row in kept)
    with torch.inference_mode():
        told = model.attentions(ready.positions, ready.visible)
    if not (told.temporal or told.spatial):
        raise ValueError("this DualHead-Net was trained without attentions; there is nothing to draw.")
    frames = _frames(recogniser, sequence, test_clip)
    temporal = [
        _curve(attention[kept].double().numpy(), step, frames, seen[:, list(people)])
        for attention, step in zip(told.temporal, told.steps, strict=True)
    ]
    notes = []
    if meaning.length.test_clips > 1:
        notes.append(f"Of {meaning.length.test_clips} test clips this is number {test_clip + 1}.")
    if frames.max() >= sequence.num_frames:
        notes.append(f"The network plays the recording of {sequence.num_frames} frames again, until it has enough.")
    return Attended(
        sequence, people, tuple(temporal), tuple(one[kept].double().numpy() for one in told.spatial), tuple(notes)
    )


def _frames(recogniser: Recogniser, sequence: Sequence, test_clip: int) -> Values:
    """(T,) which frame of the recording each frame of the input is; -1 for none."""
    frames = places(recogniser.meaning.length, sequence.num_frames, test_clip)
    again = np.cumsum(np.diff(frames, prepend=frames[:1]) < 0) * sequence.num_frames
    return np.where(np.isnan(frames), -1, frames + again)


def _curve(attention: Values, step: int, frames: Values, seen: NDArray[np.bool_]) -> Curve:
    """Attention of every ``step``-th frame, where the person is there in any frame that it stands for."""
    starts = np.arange(0, len(frames), step)[: attention.shape[1]]
    there = np.logical_or.reduceat(seen, starts, axis=0).T
    known = frames[starts] >= 0
    return Curve(frames[starts][known], np.where(there, attention, np.nan)[:, known])


def spread(values: Iterable[Values]) -> tuple[float, float]:
    """The lowest and the highest of all values; at least `FLAT` apart, so that noise does not look like a message."""
    flat = np.concatenate([one.ravel() for one in values])
    low, high = float(np.nanmin(flat)), float(np.nanmax(flat))
    missing = max(0.0, FLAT - (high - low)) / 2
    return low - missing, high + missing


def shares(values: Values) -> Values:
    """Attentions from their lowest (0) to their highest (1); all 1/2 where they differ by less than `FLAT`."""
    low, high = float(values.min()), float(values.max())
    return np.full_like(values, 0.5) if high - low < FLAT else (values - low) / (high - low)


def legend(values: Values) -> str:
    """What colours and sizes of `shares` mean."""
    low, high = float(values.min()), float(values.max())
    if high - low < FLAT:
        return f"all joints between {low:.3f} and {high:.3f}: drawn alike"
    return f"small and grey is {low:.2f}, large and orange {high:.2f}"


def extent(attended: Attended) -> tuple[float, float]:
    """The first and the last frame of the curves."""
    ends = [curve.frames for curve in attended.temporal if len(curve.frames)]
    return min(float(one[0]) for one in ends), max(float(one[-1]) for one in ends)


def beginnings(attended: Attended) -> list[int]:
    """Frames at which the recording begins again."""
    length = attended.sequence.num_frames
    return list(range(length, int(extent(attended)[1]) + 1, length))
