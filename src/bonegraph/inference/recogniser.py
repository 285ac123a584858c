"""Recogniser: a checkpoint, or several together, that answers what people in a sequence do."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Several
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bonegraph.inference.fast import FastModel, Precision
from bonegraph.inference.scoring import for_answers, logits
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, load_checkpoint
from bonegraph.sample import Batch, join
from bonegraph.scores.streams import chain_runs, stream_runs
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton, conversion
from bonegraph.transforms.lengths import blend, pick_frames


@dataclass(frozen=True)
class Answer:
    """One possible action.

    Attributes:
        action: class name.
        probability: in [0, 1].
    """

    action: str
    probability: float


class Recogniser:
    """Recognise actions with one checkpoint, or with several: one for each stream, or those of a chain.

    Args:
        model: in evaluation mode.
        meaning: of its input and output.
        others: other recognisers; the answer is the mean of all their probabilities and ours.
        fast: on a CPU, answer with the model's form for answers (`bonegraph.inference.fast`), which gives the same. It
            is made at the first answer: what happens to the weights of ``model`` later changes no answer.
        precision: of that form.

    Attributes:
        model: the network itself, which has gradients.

    Raises:
        ValueError: the others know another skeleton or other classes.

    Example:
        >>> recognise = Recogniser.load("run/model.safetensors")  # doctest: +SKIP
        >>> recognise(sequence)[0].action  # doctest: +SKIP
        'clap'
    """

    def __init__(
        self,
        model: ActionModel,
        meaning: Meaning,
        others: Iterable[Recogniser] = (),
        *,
        fast: bool = True,
        precision: Precision = "fp32",
    ) -> None:
        self.model, self.meaning, self.others = model, meaning, tuple(others)
        self.fast, self.precision = fast, precision
        for other in self.others:
            if (other.meaning.skeleton, other.meaning.classes) != (meaning.skeleton, meaning.classes):
                raise ValueError(
                    "the checkpoints were trained on different skeletons or classes; they cannot be fused."
                )

    @classmethod
    def load(cls, path: str | Path, *, fast: bool = True, precision: Precision = "fp32") -> Recogniser:
        """From a checkpoint, a run folder, a chain of runs, or a folder of streams.

        Raises:
            FileNotFoundError: there is none, or a stream is not trained to its end.
            ValueError: it is no checkpoint.
        """
        first, *others = [cls(*load_checkpoint(file), fast=fast, precision=precision) for file in checkpoints(path)]
        return cls(first.model, first.meaning, others, fast=fast, precision=precision)

    def __call__(self, sequence: Sequence) -> list[Answer]:
        """Every action with its probability, the most probable first.

        Raises:
            ValueError: as `fitting`.
        """
        answers = self.scores([self.fitting(sequence)])[0]
        order = answers.argsort(descending=True, stable=True)
        return [Answer(self.meaning.classes[int(index)], float(answers[index])) for index in order]

    @cached_property
    def _network(self) -> ActionModel | FastModel:
        """What answers."""
        return for_answers(self.model, self.fast, self.precision)

    @property
    def networks(self) -> tuple[Recogniser, ...]:
        """Those that answer together, this one first."""
        return (self, *self.others)

    @property
    def threshold(self) -> float | None:
        """An answer whose highest probability is below it is "unknown"; None where that was never calibrated.

        It holds for the networks that it was chosen for, when they answer together, and for no other set of them.
        """
        found = {network.meaning.calibration for network in self.networks}
        known = [one for one in found if one is not None and one.networks == len(self.networks)]
        thresholds = {one.threshold for one in known}
        return thresholds.pop() if len(known) == len(found) and len(thresholds) == 1 else None

    def scores(self, clips: Several[Sequence]) -> Tensor:
        """Probabilities of clips at once, (N, classes): calibrated, and the mean over all networks.

        They are those of each clip alone; clips that have the same shape once their frames are chosen go through the
        networks together. Memory grows with N, so that many clips are better given some at a time.

        Args:
            clips: each one as `fitting` returns it, of any number of frames and people.
        """
        every = [network.probabilities(clips) for network in self.networks]
        return torch.stack(every).mean(dim=0)

    def probabilities(self, clips: Several[Sequence]) -> Tensor:
        """Calibrated probabilities of this checkpoint alone, (N, classes); see `scores`."""
        return (self.logits(clips) / self.meaning.temperature).softmax(dim=2).mean(dim=1)

    def logits(self, clips: Several[Sequence]) -> Tensor:
        """Logits of this checkpoint alone for every test clip, (N, test clips, classes); see `scores`."""
        offsets = self.meaning.length.test_clips
        found = torch.zeros(len(clips), offsets, len(self.meaning.classes))
        for offset in range(offsets):
            fetched = [self.batch(clip, offset) for clip in clips]
            shapes = [(one.positions.shape, one.confidence is None) for one in fetched]
            with torch.inference_mode():
                for shape in dict.fromkeys(shapes):
                    rows = [row for row, other in enumerate(shapes) if other == shape]
                    together = logits(self._network, self.meaning, join([fetched[row] for row in rows]))
                    found[rows, offset] = together.cpu()
        return found

    @property
    def coordinates(self) -> int:
        """How many a joint has, without channels that the transforms add: 2 or 3."""
        channels: int = self.model.config.in_channels  # type: ignore[union-attr, assignment]
        return channels - self.meaning.transforms.extra_channels

    def check_skeleton(self, skeleton: Skeleton) -> None:
        """See that recordings on a skeleton can be converted.

        Raises:
            ValueError: it lacks joints that the checkpoint needs; the message names them.
        """
        how = conversion(skeleton, self.meaning.skeleton)
        if how.missing:
            raise ValueError(
                f"the skeleton '{how.source.name}' has no {', '.join(how.missing)}, which the checkpoint for "
                f"'{how.target.name}' needs; use a checkpoint that was trained on '{how.source.name}'."
            )

    def fitting(self, sequence: Sequence) -> Sequence:
        """A sequence on the skeleton of the checkpoint, converted by joint name where all joints can be found.

        Raises:
            ValueError: the skeleton lacks joints that the checkpoint needs, the coordinates do not fit, or nobody is
                seen in any frame.
        """
        self.check_skeleton(sequence.skeleton)
        sequence, _ = sequence.to_skeleton(self.meaning.skeleton)
        if not sequence.visible.any():
            raise ValueError("nobody is seen in any frame; there is nothing to recognise.")
        if sequence.positions.shape[3] != self.coordinates:
            raise ValueError(
                f"the sequence has {sequence.positions.shape[3]} coordinates a joint, but the checkpoint takes "
                f"{self.coordinates}; use a checkpoint that was trained on such recordings."
            )
        return sequence

    def batch(self, sequence: Sequence, test_clip: int = 0) -> Batch:
        """The frames of one test clip of a fitting sequence, before the transforms."""
        pick = pick_frames(self.meaning.length, np.array([sequence.num_frames]), None, test_clip)
        absent = torch.from_numpy(pick.frames[0] < 0)
        frames = np.maximum(pick.frames[0], 0)
        people = slice(0, self.meaning.people or None)
        # (T, M, V, C) -> (1, C, T, V, M)
        positions = torch.from_numpy(sequence.positions[frames][:, people]).permute(3, 0, 2, 1)[None]
        visible = torch.from_numpy(sequence.visible[frames][:, people]).permute(0, 2, 1)[None]
        visible = visible & ~absent[None, :, None, None]
        confidence = None
        if sequence.confidence is not None:
            confidence = torch.from_numpy(sequence.confidence[frames][:, people]).permute(0, 2, 1)[None]
        if pick.blend is not None:
            later = torch.from_numpy(pick.blend)
            positions, visible, confidence = blend(positions, visible, confidence, later, pick.zeros)
        positions = torch.where(visible[:, None], positions, 0)
        unknown = torch.full((1,), -1)
        return Batch(positions, visible, unknown, unknown, torch.zeros(1, dtype=torch.int64), confidence)


def checkpoints(path: str | Path) -> list[Path]:
    """The files of the checkpoints that answer together, whether they are there or not.

    Args:
        path: a checkpoint, a run folder, a chain of runs, or a folder of streams.
    """
    path = Path(path)
    if runs := stream_runs(path) or chain_runs(path):
        return [file for run in runs.values() for file in checkpoints(run)]
    return [path / "model.safetensors" if path.is_dir() else path]
