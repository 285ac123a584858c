"""A recording frame by frame: the answers for its windows, without computing any frame twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Several

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream.exact import ExactStream
from bonegraph.inference.stream.frames import Frames
from bonegraph.inference.stream.network import FrameNetwork
from bonegraph.inference.stream.opening import refusal, why_not_exact
from bonegraph.inference.stream.pooling import Pool
from bonegraph.inference.windows import Window
from bonegraph.sequence import Sequence

BLOCK = 64
"""Frames that go through the network at once; more are no faster."""


def stream_for_recordings(recogniser: Recogniser, *, each: bool) -> ExactStream:
    """An exact stream in large blocks.

    Args:
        recogniser: one checkpoint.
        each: whether each person is looked at alone.

    Raises:
        ValueError: the checkpoint needs whole clips; the message names what does.
    """
    if reason := why_not_exact(recogniser, each=each):
        raise ValueError(refusal(reason))
    step = FrameNetwork(recogniser.model).stride
    return ExactStream(recogniser.model, recogniser.meaning, block=-(-BLOCK // step) * step)


def windows_of(
    stream: ExactStream, sequence: Sequence, windows: Several[Window], done: Callable[[int], object] = lambda _: None
) -> Float[NDArray[np.float32], "w classes"]:
    """What a person does in each of some windows: the mean of the features of its frames.

    The clip begins with the first window and ends with the last one. However long the recording is, no more features
    are kept than those of a window and a block.

    Args:
        stream: see `stream_for_recordings`; those whom it follows are left alone.
        sequence: the recording, fitting the checkpoint.
        windows: of one person, by their start; at least one.
        done: hears how many are answered.

    Raises:
        ValueError: the checkpoint answers with NaN.
    """
    step, begin = stream.network.stride, windows[0].start
    spans = [((window.start - begin) // step, -(-(window.stop - begin) // step)) for window in windows]
    answers = []
    for mean in _means(stream, _frames(sequence, windows), spans):
        answers.append(stream.probabilities(mean[None])[0])
        done(1)
    return np.stack(answers)


def _frames(sequence: Sequence, windows: Several[Window]) -> Frames:
    """The person from the beginning of the first window to the end of the last one."""
    ((person,),) = {window.people for window in windows}
    part = slice(windows[0].start, max(window.stop for window in windows))
    seen = np.asarray(sequence.visible[part, person])
    sure = seen if sequence.confidence is None else np.where(seen, sequence.confidence[part, person], 0)
    places = np.where(seen[..., None], sequence.positions[part, person], 0)
    return Frames(places.astype(np.float32), seen, sure.astype(np.float32), np.ones(len(seen), np.bool_))


def _means(stream: ExactStream, clip: Frames, spans: Several[tuple[int, int]]) -> Iterator[Float[torch.Tensor, " d"]]:
    """The mean of the features in each of some spans, which are ordered."""
    coming = stream.features(clip)
    features, counts = next(coming)
    first = 0  # the number of the first feature that is kept
    for start, stop in spans:
        while first + counts.shape[1] < stop:
            more = next(coming)
            gone = min(start - first, counts.shape[1])
            features = torch.cat([features[:, gone:], more.features], dim=1)
            counts = torch.cat([counts[:, gone:], more.counts], dim=1)
            first += gone
        here = slice(start - first, stop - first)
        mean = Pool.start(0, len(features), features[0, 0]).add(features[:, here], counts[:, here]).mean()
        assert mean is not None  # a window begins and ends with a frame in which the person is seen, or lies around one
        yield mean
