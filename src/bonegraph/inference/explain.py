"""Explain an answer: which joints, and when, a network looks at in a recording (Grad-CAM, as STF uses it).

Ke, Peng and Lyu, *Towards To-a-T Spatio-Temporal Focus for Skeleton-Based Action Recognition*, AAAI 2022, Eq. 2: see
`bonegraph.objectives.focus`, which finds the focus on the input of a network. Here it is brought back to the frames of
the recording, whatever rule chose those of the input.

Axes: T frames of the recording, M people, V joints.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.focused import Focused, Input, NobodySeenError, find_focus
from bonegraph.inference.recogniser import Recogniser
from bonegraph.objectives.focus import Score
from bonegraph.sequence import Sequence
from bonegraph.transforms.lengths import Length

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a network looks in a recording.

    Attributes:
        sequence: the recording, on the skeleton of the checkpoint.
        focus: (T, M, V) in [0, 1]; NaN where nothing is seen, by the recording or by the network. The mean of the
            heads and of the test clips.
        heads: the same of each head, in the order of the network's branches (DualHead: fine, coarse).
        action: the class that is explained.
        probability: of it.
        predicted: the most probable class.
        notes: what has to be said about the input.
        focused: the same on the input of the network.
    """

    sequence: Sequence
    focus: Values
    heads: tuple[Values, ...]
    action: str
    probability: float
    predicted: str
    notes: tuple[str, ...]
    focused: Focused

    @property
    def people(self) -> tuple[int, ...]:
        """Those whom the network sees."""
        return tuple(int(person) for person in np.flatnonzero(~np.isnan(self.focus).all(axis=(0, 2))))

    @property
    def flat(self) -> bool:
        """Whether the focus points nowhere."""
        return not float(np.nansum(self.focus)) > 0


def explain(
    recogniser: Recogniser, sequence: Sequence, label: int | None = None, score: Score = "probability", stage: int = -1
) -> Explanation:
    """Find where a network looks in a recording.

    Args:
        recogniser: of one network.
        sequence: the recording.
        label: number of the class, any; None for the predicted one.
        score: what is differentiated: the ``probability``, as in STF, or the ``logit``, plain Grad-CAM.
        stage: after which block; -1 the last.

    Raises:
        NobodySeenError: nobody is seen, or not in the frames that the network takes.
        ValueError: these are several networks, the recording does not fit, or there is no such stage.
    """
    if recogniser.others:
        raise ValueError("these are several networks; give the checkpoint of one of them.")
    if not sequence.visible.any():
        raise NobodySeenError("nobody is seen in any frame; there is nothing to explain.")
    sequence, meaning = recogniser.fitting(sequence), recogniser.meaning
    focused = find_focus(recogniser, sequence, label, score, stage)
    heads = range(len(focused.inputs[0].heads))
    by_head = tuple(on_recording(focused.inputs, head, sequence, meaning.length) for head in heads)
    return Explanation(
        sequence=sequence,
        focus=np.mean(by_head, axis=0),
        heads=by_head,
        action=meaning.classes[focused.label],
        probability=float(focused.probabilities[focused.label]),
        predicted=meaning.classes[int(focused.probabilities.argmax())],
        notes=_notes(recogniser, sequence, focused),
        focused=focused,
    )


def on_recording(inputs: Several[Input], head: int, sequence: Sequence, length: Length) -> Values:
    """The focus of a head on the frames of a recording, (T, M, V).

    A frame that enters the network several times, in one test clip or in several, has the mean; one between two that
    enter lies on the line between them. Frames beyond the part that the network takes have none, nor have joints that
    are not visible, or that are visible in no frame that the network takes.

    Args:
        inputs: the test clips.
        head: number of the head.
        sequence: the recording.
        length: the rule that chose the frames.
    """
    places = np.concatenate([one.places for one in inputs])
    maps = np.concatenate([one.heads[head].numpy() for one in inputs]).astype(np.float64)  # (all frames, V, M)
    seen = np.concatenate([one.seen.numpy() for one in inputs])
    out = np.full(sequence.positions.shape[:3], np.nan)
    frames = _taken(places, sequence.num_frames, length)
    for person in range(min(maps.shape[2], sequence.num_people)):
        for joint in range(maps.shape[1]):
            known = seen[:, joint, person] & ~np.isnan(places)
            if known.any():
                at, which, count = np.unique(places[known], return_inverse=True, return_counts=True)
                mean = np.bincount(which, maps[known, joint, person]) / count
                out[frames, person, joint] = np.interp(frames, at, mean)
    return np.where(sequence.visible, out, np.nan)


def _taken(places: Values, num_frames: int, length: Length) -> NDArray[np.int64]:
    """The frames of the recording that the input stands for."""
    if length.rule == "uniform":  # each frame of the input stands for a segment, and all segments for the recording
        return np.arange(num_frames)
    return np.arange(int(np.floor(np.nanmin(places))), int(np.ceil(np.nanmax(places))) + 1)


def _notes(recogniser: Recogniser, sequence: Sequence, focused: Focused) -> tuple[str, ...]:
    """What a reader has to know about the input."""
    meaning, notes = recogniser.meaning, []
    places = np.concatenate([one.places for one in focused.inputs])
    taken = _taken(places, sequence.num_frames, meaning.length)
    if len(focused.inputs[0].heads) > 1:
        notes.append(f"The network has {len(focused.inputs[0].heads)} heads; this is the mean of their focus.")
    if len(focused.inputs) > 1:
        notes.append(f"The network takes {len(focused.inputs)} test clips; this is the mean of their focus.")
    if (np.diff(focused.inputs[0].places) < 0).any():
        notes.append(f"The network plays the recording of {sequence.num_frames} frames again, until it has enough.")
    if len(taken) < sequence.num_frames:
        notes.append(f"Of {sequence.num_frames} frames the network takes {taken[0]} to {taken[-1]}, counted from 0.")
    if sequence.num_people > meaning.people > 0:
        notes.append(f"Of {sequence.num_people} people the network takes the first {meaning.people}.")
    if meaning.transforms.stream != "joint":
        notes.append(f"The network takes the stream '{meaning.transforms.stream}'; a joint stands for its place in it.")
    return tuple(notes)
