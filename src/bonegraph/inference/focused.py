"""The focus of a network on its own input: every test clip of a recording, every head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from bonegraph.features import Branch
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.checkpoint import Meaning
from bonegraph.objectives.focus import Score, focus, on_input
from bonegraph.sample import Batch
from bonegraph.sequence import Sequence
from bonegraph.skeleton import nearest
from bonegraph.transforms.lengths import places
from bonegraph.transforms.pipeline import apply


class NobodySeenError(ValueError):
    """There is nothing to look at in a recording."""


@dataclass(frozen=True, eq=False)
class Input:
    """One test clip as it enters the network, and the focus on it.

    Axes: H heads, T frames of the input, V joints, M people.

    Attributes:
        batch: of this one clip, after the transforms.
        seen: joints that the recording has in these frames.
        heads: the focus of each head in [0, 1], 0 where nothing is seen.
        places: where in the recording each frame is, NaN where nowhere.
        masked: whether the network is told what is seen; if not, what is hidden from it becomes zero.
    """

    batch: Batch
    seen: Bool[Tensor, "t v m"]
    heads: Float[Tensor, "h t v m"]
    places: NDArray[np.float64]
    masked: bool

    @property
    def focus(self) -> Float[Tensor, "t v m"]:
        """The mean of the heads."""
        return self.heads.mean(dim=0)

    @property
    def entries(self) -> Bool[Tensor, "t v m"]:
        """What there is to hide: what the mask shows or, without a mask, what is not zero anyway."""
        return self.batch.visible[0] if self.masked else (self.batch.positions[0] != 0).any(dim=0)


@dataclass(frozen=True, eq=False)
class Focused:
    """The focus of a network on its input.

    Attributes:
        label: number of the class.
        probabilities: of all classes, (K,), the mean of the test clips.
        inputs: one for each test clip.
    """

    label: int
    probabilities: Float[Tensor, " k"]
    inputs: tuple[Input, ...]


def class_number(meaning: Meaning, name: str) -> int:
    """The number of a class.

    Raises:
        ValueError: there is none of this name; the message lists them and the nearest.
    """
    if name not in meaning.classes:
        raise ValueError(f"no class '{name}'{nearest(name, meaning.classes)}.")
    return meaning.classes.index(name)


def find_focus(
    recogniser: Recogniser, sequence: Sequence, label: int | None = None, score: Score = "probability", stage: int = -1
) -> Focused:
    """Run a network on a fitting recording and ask each of its heads where it looks.

    Args:
        recogniser: of one network.
        sequence: from `Recogniser.fitting`.
        label: of the class, None for the most probable one.
        score: what is differentiated.
        stage: at which maps; -1 the last.

    Raises:
        NobodySeenError: nobody is seen in the frames that the network takes.
        ValueError: there is no such stage.
    """
    model, meaning = recogniser.model, recogniser.meaning
    fetched = [recogniser.batch(sequence, test_clip) for test_clip in range(meaning.length.test_clips)]
    if not any(batch.visible.any() for batch in fetched):
        raise NobodySeenError("nobody is seen in the frames that the network takes.")
    ready = [apply(meaning.transforms, batch, meaning.skeleton, training=False) for batch in fetched]
    with torch.no_grad():
        logits = [model(batch.positions, batch.visible).float() for batch in ready]
    probabilities = (torch.cat(logits) / meaning.temperature).softmax(dim=1).mean(dim=0)
    chosen = int(probabilities.argmax()) if label is None else label
    inputs = []
    for number, (batch, before) in enumerate(zip(ready, fetched, strict=True)):
        heads = _heads(recogniser, batch, chosen, score, stage)
        seen = _as_wide(before.visible[0], heads.shape[3])
        heads = torch.where(seen, heads, 0)
        masked = not meaning.transforms.zero_padded
        heads = heads if masked else _from_seen(heads)
        inputs.append(Input(batch, seen, heads, places(meaning.length, sequence.num_frames, number), masked))
    return Focused(chosen, probabilities, tuple(inputs))


def _heads(recogniser: Recogniser, batch: Batch, label: int, score: Score, stage: int) -> Float[Tensor, "h t v m"]:
    """The focus of every head; earlier maps than the last need a backward pass."""
    frames, people = batch.positions.shape[2], batch.positions.shape[4]

    def found(branch: Branch) -> Tensor:
        return on_input(focus(branch, torch.tensor([label]), score=score, stage=stage), people, frames)[0]

    with torch.set_grad_enabled(stage != -1):
        positions = batch.positions.clone().requires_grad_(stage != -1)
        branches = recogniser.model.branches(positions, batch.visible)
        return torch.stack([found(branch).detach().float() for branch in branches])


def _from_seen(heads: Float[Tensor, "h t v m"]) -> Float[Tensor, "h t v m"]:
    """Up to 1 over what the recording shows: a network that is not told who is there may look at nobody, too."""
    highest = heads.flatten(1).amax(dim=1)
    return heads / torch.where(highest > 0, highest, 1)[:, None, None, None]


def _as_wide(seen: Bool[Tensor, "t v m"], people: int) -> Bool[Tensor, "t v m"]:
    """For as many people as the input has."""
    missing = people - seen.shape[2]
    if missing <= 0:
        return seen[:, :, :people]
    return torch.cat([seen, seen.new_zeros(*seen.shape[:2], missing)], dim=2)
