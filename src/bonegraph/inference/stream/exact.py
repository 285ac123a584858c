"""Recognise people frame by frame, without computing any frame twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bonegraph.inference.stream.causal import CausalTransforms
from bonegraph.inference.stream.frames import Frames, first_seen, nothing
from bonegraph.inference.stream.keeping import Kept, fingerprint, frame_tensors, frames_of, tensor_of
from bonegraph.inference.stream.network import FrameNetwork, State
from bonegraph.inference.stream.people import Person, Probabilities, Stream, finite
from bonegraph.inference.stream.pooling import Pool
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning


class Found(NamedTuple):
    """Features of some frames of a person.

    Attributes:
        features: a mean over joints.
        counts: those that stand for a frame in which the person is seen.
    """

    features: Float[Tensor, "r g d"]
    counts: Bool[Tensor, "r g"]

    def cut(self, first: int, end: int | None = None) -> Found:
        """Some of them."""
        return Found(self.features[:, first:end], self.counts[:, first:end])


@dataclass(kw_only=True)
class _Person(Person):
    """One who is followed; the frames are those that are not through the network yet.

    Attributes:
        anchor: the first frame in which the person was seen.
        state: of the network.
        coming: features whose time has not come.
        pool: of the features.
    """

    anchor: Frames
    state: State
    coming: Found
    pool: Pool


class ExactStream(Stream[_Person]):
    """Recognise people frame by frame; each answer is that of the clip network, but nothing is computed twice.

    Each person is a clip alone that begins with its first frame. After frame t the features of the frames up to
    t - `latency` are those that the network finds in the clip, and the answer is their mean over the last ``window``
    frames. The padding at the end of a clip, which a stream does not have until then, comes with `end`.

    Frames go through the network in blocks, since the weights pass by once for each. Where a block is longer than a
    step of the stride, its features are given out one by one, so that answers keep their rate and their delay.

    Args:
        model: in evaluation mode; see `FrameNetwork` for which.
        meaning: of the checkpoint.
        window: frames of the input over which features are averaged, in whole steps of the stride; 0 for all frames
            since the person began.
        block: frames that go through the network at once, in whole steps of the stride; 0 for three. Larger ones are
            faster, and the features lag by one step less than a block.
        first: somebody new gets an answer once they were seen in so many frames.
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
        first: int = 1,
        patience: float | None = None,
        heights_at_start: bool = False,
    ) -> None:
        self.transforms = CausalTransforms(meaning, heights_at_start=heights_at_start)
        self.network = FrameNetwork(model, self.transforms.people)
        self.model, self.first = model, first
        step = self.network.stride
        if window < 0 or block < 0 or block % step:
            raise ValueError(
                f"window and block must be at least 0, and block a multiple of the stride {step}; "
                f"got {window} and {block}."
            )
        self.window, self.block = -(-window // step), block or 3 * step
        latency = self.network.latency + self.transforms.ahead + self.block - step
        super().__init__(
            meaning,
            self.network.channels - meaning.transforms.extra_channels,
            kept=self.block + self.transforms.ahead,
            latency=latency,
            stride=step,
            patience=latency + self.block if patience is None else patience,
        )

    def end(self, person: int) -> Probabilities | None:
        """Forget a person; the last answer, in which all its frames are.

        Raises:
            KeyError: nobody with this id is followed.
        """
        one = self._people.pop(person)
        with torch.inference_mode():
            parts = [one.coming, *self._to_the_end(one, one.frames.frames)]
            found = Found(*(torch.cat(part, dim=1) for part in zip(*parts, strict=True)))
            end = int(found.counts.any(dim=0).nonzero().max()) + 1 if found.counts.any() else 0  # then only padding
            one.pool = one.pool.add(*found.cut(0, end))
            self._score([one])
        return one.answer

    def features(self, clip: Frames) -> Iterator[Found]:
        """Those of a whole clip of one person, block by block: of frames 0, S, 2 S, ..., S the stride of the network.

        They are those that `step` and `end` pool. Those who are followed are left alone.
        """
        step, one = self.network.stride, self._begin()
        hidden = (self.network.lead + self.network.latency - step + 1) // step  # features before the first frame
        left = -(-len(clip.exists) // step)
        with torch.inference_mode():
            for found in self._to_the_end(one, one.frames.frames.then(clip)):
                given = found.cut(hidden, hidden + left)
                hidden = max(0, hidden - found.counts.shape[1])
                left -= given.counts.shape[1]
                if given.counts.shape[1]:
                    yield given

    def probabilities(self, features: Float[Tensor, "n d"]) -> Probabilities:
        """(N, classes) that the network says of pooled features, calibrated.

        Raises:
            ValueError: they are NaN.
        """
        with torch.inference_mode():
            logits = self.network.logits(features.to(self.network.head.weight)).float()
            return finite((logits / self.meaning.temperature).softmax(dim=1).cpu().numpy())

    def _begin(self) -> _Person:
        rows, width = self.transforms.people, self.network.head.weight[:, 0]
        frames = self._buffer()
        frames.add(nothing(self.network.lead, self.joints, self.coordinates, exists=False))
        return _Person(
            frames=frames,
            anchor=nothing(1, self.joints, self.coordinates, exists=True),
            state=self.network.start(rows),
            coming=Found(width.new_zeros(rows, 0, len(width)), width.new_zeros(rows, 0, dtype=torch.bool)),
            pool=Pool.start(self.window, rows, width),
        )

    def _advance(self) -> None:
        step, ahead = self.network.stride, self.transforms.ahead
        full = [one for one in self._people.values() if len(one.frames) == self.block + ahead]
        with torch.inference_mode():
            if full:
                for one, found in zip(full, self._through(full, [one.frames.frames for one in full]), strict=True):
                    one.coming = found
                    one.frames.drop(self.block)
            due = [one for one in self._people.values() if (len(one.frames) - ahead) % step == 0]
            due = [one for one in due if one.coming.counts.shape[1]]
            for one in due:
                one.pool = one.pool.add(*one.coming.cut(0, 1))
                one.coming = one.coming.cut(1)
            self._score([one for one in due if one.seen >= self.first])

    def _about(self) -> dict[str, str]:
        settings = (self.window, self.block, self.first, self.transforms.heights)
        return {
            "stream": "exact",
            "settings": repr(settings),
            "transforms": repr(self.meaning.transforms),
            "weights": fingerprint([self.model]),
        }

    def _kept(self, one: _Person) -> Kept:
        kept = super()._kept(one)
        tensors = {f"state.{number}": value for number, value in enumerate(one.state.tensors())}
        tensors |= {f"coming.{name}": part.transpose(0, 1) for name, part in one.coming._asdict().items()}
        tensors |= {"values": one.pool.values, "counts": one.pool.counts, **frame_tensors("anchor", one.anchor)}
        return kept._replace(tensors={**kept.tensors, **tensors})

    def _restored(self, kept: Kept) -> _Person:
        one = super()._restored(kept)
        like = one.state.tensors()
        one.state = one.state.like(
            [tensor_of(f"state.{number}", kept.tensors, value) for number, value in enumerate(like)]
        )
        most = self.window or 1
        values = tensor_of("values", kept.tensors, one.pool.values, free=most)
        counts = tensor_of("counts", kept.tensors, one.pool.counts, free=most)
        if len(values) != len(counts) or (not self.window and len(values) != 1):
            raise ValueError("'values' and 'counts' do not fit each other")
        one.pool = one.pool._replace(values=values, counts=counts)
        one.coming = Found(
            *(
                tensor_of(f"coming.{name}", kept.tensors, part.transpose(0, 1), free=self.block).transpose(0, 1)
                for name, part in one.coming._asdict().items()
            )
        )
        if one.coming.features.shape[1] != one.coming.counts.shape[1]:
            raise ValueError("'coming.features' and 'coming.counts' do not fit each other")
        one.anchor = frames_of("anchor", kept.tensors, one.anchor, 1)
        return one

    def _to_the_end(self, one: _Person, waiting: Frames) -> Iterator[Found]:
        """The frames that wait, and then padding, until the features of all of them are there."""
        ahead, count = self.transforms.ahead, len(waiting.exists)
        late = self.network.latency + ahead
        rest = -(-(count + late) // self.block) * self.block + ahead
        last = nothing(1, self.joints, self.coordinates, exists=False).then(waiting).cut(-1)
        again = last._replace(exists=np.zeros(1, np.bool_))  # moves nothing and is hidden itself
        waiting = waiting.then(again.repeated(rest - count))
        for first in range(0, rest - ahead, self.block):
            end = first + self.block + ahead
            yield self._through([one], [waiting.cut(first, end)], ended=end > count)[0]

    def _through(self, people: list[_Person], blocks: list[Frames], *, ended: bool = False) -> list[Found]:
        """A block of some people through the network."""
        x, visible = self.transforms([one.anchor for one in people], blocks, ended=ended)
        like = self.network.head.weight
        each = self.transforms.people
        state = people[0].state
        if len(people) > 1:
            parts = zip(*(one.state.tensors() for one in people), strict=True)
            state = state.like([torch.cat(part) for part in parts])
        features, counts, state = self.network.step(x.to(like), visible.to(like.device), state)
        for row, (one, block) in enumerate(zip(people, blocks, strict=True)):
            one.state = state
            if len(people) > 1:
                one.state = state.like([tensor[row * each : (row + 1) * each] for tensor in state.tensors()])
            if not one.anchor.visible.any():
                # A copy: the block is overwritten by the next frames.
                one.anchor = Frames(*(part.copy() for part in first_seen(block.cut(0, self.block))))
        return [Found(features[row : row + each], counts[row : row + each]) for row in range(0, len(features), each)]

    def _score(self, people: list[_Person]) -> None:
        means = [one.pool.mean() for one in people]
        known = [mean for mean in means if mean is not None]
        answers = iter(self.probabilities(torch.stack(known)) if known else ())
        for one, mean in zip(people, means, strict=True):
            one.answer = None if mean is None else next(answers)
