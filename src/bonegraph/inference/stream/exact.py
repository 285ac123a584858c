"""Recognise people frame by frame, without computing any frame twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bonegraph.inference.stream.causal import CausalTransforms, Frames, first_seen, nothing
from bonegraph.inference.stream.keeping import (
    Kept,
    fingerprint,
    frame_tensors,
    frames_of,
    read_people,
    tensor_of,
    write_people,
)
from bonegraph.inference.stream.network import FrameNetwork, State
from bonegraph.inference.stream.people import Answers, Probabilities, check_frame, frame_of
from bonegraph.inference.stream.pooling import Pool
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning


@dataclass
class _Person:
    """One who is followed.

    Attributes:
        waiting: frames that are not through the network yet.
        anchor: the first frame in which the person was seen.
        state: of the network.
        pool: of the features.
        answer: the last one.
        absent: frames since the person was last given.
    """

    waiting: Frames
    anchor: Frames
    state: State
    pool: Pool
    answer: Probabilities | None = None
    absent: int = 0


class ExactStream:
    """Recognise people frame by frame; each answer is that of the clip network, but nothing is computed twice.

    Each person is a clip alone that begins with its first frame. After frame t the features of the frames up to
    t - `latency` are those that the network finds in the clip, and the answer is their mean over the last ``window``
    frames. The padding at the end of a clip, which a stream does not have until then, comes with `end`.

    Args:
        model: in evaluation mode; see `FrameNetwork` for which.
        meaning: of the checkpoint.
        window: frames of the input over which features are averaged, in whole steps of the stride; 0 for all frames
            since the person began.
        block: frames that go through the network at once, in whole steps of the stride; 0 for one step. Recordings are
            faster in large blocks; the answers are the same but come later.
        patience: absent frames after which a person is forgotten; default is until nothing more is to come.
        heights_at_start: scale by the height of a person in the first frame, where the checkpoint measures it over the
            whole clip. The answers are then not quite those of the clip.

    Attributes:
        latency: frames by which the features lag.
        stride: frames from one answer to the next.

    Raises:
        ValueError: the model or its transforms need the whole clip; the message names what does.

    Example:
        >>> recogniser = Recogniser.load("run")  # doctest: +SKIP
        >>> stream = ExactStream(recogniser.model, recogniser.meaning)  # doctest: +SKIP
        >>> stream.step(positions, visible, people=[7])  # doctest: +SKIP
        {7: array([0.1, 0.9], dtype=float32)}
    """

    def __init__(
        self,
        model: ActionModel,
        meaning: Meaning,
        *,
        window: int = 64,
        block: int = 0,
        patience: int | None = None,
        heights_at_start: bool = False,
    ) -> None:
        self.transforms = CausalTransforms(meaning, heights_at_start=heights_at_start)
        self.network = FrameNetwork(model)
        self.model, self.meaning = model, meaning
        stride = self.network.stride
        if window < 0 or block < 0 or block % stride:
            raise ValueError(
                f"window and block must be at least 0, and block a multiple of the stride {stride}; "
                f"got {window} and {block}."
            )
        self.window, self.block = -(-window // stride), block or stride
        self.stride = self.block
        self.latency = self.network.latency + self.transforms.ahead
        self.patience = self.latency + self.block if patience is None else patience
        self.coordinates = len(self.network.norm.scale[0]) - meaning.transforms.extra_channels
        self._people: dict[int, _Person] = {}

    @property
    def people(self) -> tuple[int, ...]:
        """Ids of those who are followed."""
        return tuple(self._people)

    def step(
        self,
        positions: NDArray[np.float32],
        visible: NDArray[np.bool_],
        people: Sequence[int],
        confidence: NDArray[np.float32] | None = None,
    ) -> Answers:
        """Take the next frame; see `Stream.step`."""
        check_frame(positions, visible, people, confidence, self.network.joints, self.coordinates)
        rows = {person: row for row, person in enumerate(people)}
        for person in people:
            if person not in self._people:
                self._people[person] = self._begin()
        for person, one in self._people.items():
            if person in rows:
                one.absent = 0
                new = frame_of(positions, visible, confidence, rows[person])
            else:
                one.absent += 1
                new = nothing(1, self.network.joints, self.coordinates, exists=True)
            one.waiting = one.waiting.then(new)
        ready = [one for one in self._people.values() if len(one.waiting.exists) >= self.block + self.transforms.ahead]
        if ready:
            with torch.inference_mode():
                for one, (features, counts) in zip(ready, self._advance(ready), strict=True):
                    one.pool = one.pool.add(features, counts)
                self._answer(ready)
        answers = {person: one.answer for person, one in self._people.items()}
        self._people = {person: one for person, one in self._people.items() if one.absent <= self.patience}
        return answers

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the last answer, in which all its frames are.

        Raises:
            KeyError: nobody with this id is followed.
        """
        one = self._people.pop(person)
        found = []
        rest = -(-(len(one.waiting.exists) + self.latency) // self.block) * self.block + self.transforms.ahead
        more = rest - len(one.waiting.exists)
        last = nothing(1, self.network.joints, self.coordinates, exists=False).then(one.waiting).cut(-1)
        again = last._replace(exists=np.zeros(1, np.bool_))  # moves nothing and is hidden itself
        for _ in range(more):
            one.waiting = one.waiting.then(again)
        with torch.inference_mode():
            while len(one.waiting.exists) > self.transforms.ahead:
                found += self._advance([one], ended=True)
            features, counts = (torch.cat(part, dim=1) for part in zip(*found, strict=True))
            end = int(counts.any(dim=0).nonzero().max()) + 1 if counts.any() else 0  # behind it lies only padding
            one.pool = one.pool.add(features[:, :end], counts[:, :end])
            self._answer([one])
        return one.answer

    def save(self, path: str | Path) -> None:
        """Keep all that the stream knows in a file (safetensors).

        Raises:
            OSError: it cannot be written; what was there before stays.
        """
        people = {}
        for person, one in self._people.items():
            tensors = {f"state.{number}": value for number, value in enumerate(one.state.tensors())}
            tensors |= {"values": one.pool.values, "counts": one.pool.counts}
            tensors |= {**frame_tensors("waiting", one.waiting), **frame_tensors("anchor", one.anchor)}
            if one.answer is not None:
                tensors["answer"] = torch.from_numpy(one.answer)
            people[person] = Kept({"absent": one.absent}, tensors)
        write_people(Path(path), self._about(), people)

    def restore(self, path: str | Path) -> None:
        """Go on where a stream with the same checkpoint and settings was; the answers are equal to the last bit.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or of another stream; this one is left as it was.
        """
        people = read_people(Path(path), self._about())
        try:
            self._people = {person: self._restored(kept) for person, kept in people.items()}
        except (ValueError, KeyError) as error:
            raise ValueError(f"cannot use '{path}': {str(error).strip()}.") from None

    def _about(self) -> dict[str, str]:
        settings = (self.window, self.block, self.transforms.heights)
        return {
            "stream": "exact",
            "settings": repr(settings),
            "transforms": repr(self.meaning.transforms),
            "weights": fingerprint([self.model]),
        }

    def _restored(self, kept: Kept) -> _Person:
        new = self._begin()
        like = new.state.tensors()
        state = [tensor_of(f"state.{number}", kept.tensors, value) for number, value in enumerate(like)]
        most = self.window or 1
        values = tensor_of("values", kept.tensors, new.pool.values, free=most)
        counts = tensor_of("counts", kept.tensors, new.pool.counts, free=most)
        if len(values) != len(counts) or (not self.window and len(values) != 1):
            raise ValueError("'values' and 'counts' do not fit each other")
        answer = None
        if "answer" in kept.tensors:
            answer = tensor_of("answer", kept.tensors, torch.zeros(len(self.meaning.classes))).numpy()
        return _Person(
            waiting=frames_of("waiting", kept.tensors, new.waiting, self.block + self.transforms.ahead),
            anchor=frames_of("anchor", kept.tensors, new.anchor, 1),
            state=new.state.like(state),
            pool=new.pool._replace(values=values, counts=counts),
            answer=answer,
            absent=kept.numbers["absent"],
        )

    def _begin(self) -> _Person:
        rows, width = self.transforms.people, self.network.head.weight[:, 0]
        joints, coordinates = self.network.joints, self.coordinates
        return _Person(
            waiting=nothing(self.network.lead, joints, coordinates, exists=False),
            anchor=nothing(1, joints, coordinates, exists=True),
            state=self.network.start(rows),
            pool=Pool.start(self.window, rows, width),
        )

    def _advance(self, people: list[_Person], *, ended: bool = False) -> list[tuple[Tensor, Tensor]]:
        """A block of some people through the network: their features and which of them count."""
        blocks = [one.waiting.cut(0, self.block + self.transforms.ahead) for one in people]
        x, visible = self.transforms([one.anchor for one in people], blocks, ended=ended)
        like = self.network.head.weight
        each = self.transforms.people
        state = people[0].state
        if len(people) > 1:
            parts = zip(*(one.state.tensors() for one in people), strict=True)
            state = state.like([torch.cat(part) for part in parts])
        features, counts, state = self.network.step(x.to(like), visible.to(like.device), state)
        for row, one in enumerate(people):
            one.state = state.like([tensor[row * each : (row + 1) * each] for tensor in state.tensors()])
            if not one.anchor.visible.any():
                one.anchor = first_seen(blocks[row].cut(0, self.block))
            one.waiting = one.waiting.cut(self.block)
        return [(features[row : row + each], counts[row : row + each]) for row in range(0, len(features), each)]

    def _answer(self, people: list[_Person]) -> None:
        for one in people:
            mean = one.pool.mean()
            if mean is None:
                one.answer = None
                continue
            logits = self.network.logits(mean.to(self.network.head.weight)[None])[0]
            one.answer = (logits.float() / self.meaning.temperature).softmax(dim=0).cpu().numpy()
