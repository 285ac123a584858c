"""Recogniser: a checkpoint that answers what people in a sequence do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bonegraph.inference.scoring import probabilities
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, load_checkpoint
from bonegraph.sample import Batch
from bonegraph.sequence import Sequence
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
    """Recognise actions with one checkpoint.

    Args:
        model: in evaluation mode.
        meaning: of its input and output.

    Example:
        >>> recognise = Recogniser.load("run/model.safetensors")  # doctest: +SKIP
        >>> recognise(sequence)[0].action  # doctest: +SKIP
        'clap'
    """

    def __init__(self, model: ActionModel, meaning: Meaning) -> None:
        self.model, self.meaning = model, meaning

    @classmethod
    def load(cls, path: str | Path) -> Recogniser:
        """From a checkpoint, or from a run folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is no checkpoint.
        """
        path = Path(path)
        return cls(*load_checkpoint(path / "model.safetensors" if path.is_dir() else path))

    def __call__(self, sequence: Sequence) -> list[Answer]:
        """Every action with its probability, the most probable first.

        Sequences on another skeleton are converted by joint name where all joints can be found.

        Raises:
            ValueError: the skeleton lacks joints that the checkpoint needs, the coordinates do not fit, or nobody is
                seen in any frame.
        """
        meaning = self.meaning
        sequence, how = sequence.to_skeleton(meaning.skeleton)
        if how.missing:
            raise ValueError(
                f"the skeleton '{how.source.name}' has no {', '.join(how.missing)}, which the checkpoint for "
                f"'{how.target.name}' needs; use a checkpoint that was trained on '{how.source.name}'."
            )
        if not sequence.visible.any():
            raise ValueError("nobody is seen in any frame; there is nothing to recognise.")
        needed = self.model.config.in_channels - int(meaning.transforms.confidence)  # type: ignore[union-attr, operator]
        if sequence.positions.shape[3] != needed:
            raise ValueError(
                f"the sequence has {sequence.positions.shape[3]} coordinates a joint, but the checkpoint takes "
                f"{needed}; use a checkpoint that was trained on such recordings."
            )
        clips = [self._batch(sequence, test_clip) for test_clip in range(meaning.length.test_clips)]
        with torch.inference_mode():
            answers = torch.stack([probabilities(self.model, meaning, clip)[0] for clip in clips]).mean(dim=0)
        order = answers.argsort(descending=True, stable=True)
        return [Answer(meaning.classes[int(index)], float(answers[index])) for index in order]

    def _batch(self, sequence: Sequence, test_clip: int) -> Batch:
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
            positions, visible, confidence = blend(positions, visible, confidence, torch.from_numpy(pick.blend))
        positions = torch.where(visible[:, None], positions, 0)
        unknown = torch.full((1,), -1)
        return Batch(positions, visible, unknown, unknown, torch.zeros(1, dtype=torch.int64), confidence)
