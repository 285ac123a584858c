"""The stream that suits a checkpoint."""

from __future__ import annotations

from typing import Literal

from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream.causal import obstacle
from bonegraph.inference.stream.exact import ExactStream
from bonegraph.inference.stream.people import AnyStream
from bonegraph.inference.stream.units import obstacle_of
from bonegraph.inference.stream.window import WindowStream

Kind = Literal["auto", "exact", "window"]


def open_stream(
    recogniser: Recogniser,
    kind: Kind = "auto",
    *,
    window: int = 64,
    stride: int = 4,
    first: int | None = None,
    each: bool = True,
    patience: float | None = None,
) -> tuple[AnyStream, str]:
    """Make a stream: exact if the checkpoint allows it, else one that slides a window.

    Args:
        recogniser: one checkpoint, or several, which slide a window.
        kind: ``exact`` and ``window`` insist.
        window: frames of an answer.
        stride: frames from one answer to the next, where a window slides.
        first: frames in which somebody new is seen before an answer; default that of the stream.
        each: look at each person alone; all together slide a window.
        patience: absent frames after which a person is forgotten; default that of the stream.

    Returns:
        The stream, and in a sentence which one it is and why.

    Raises:
        ValueError: ``exact`` is not possible; the message names what stands in the way.
    """
    reason = why_not_exact(recogniser, each=each)
    if kind == "window" or (kind == "auto" and reason):
        slide = WindowStream(recogniser, window=window, stride=stride, first=first, each=each, patience=patience)
        because = f", because {reason}" if reason and kind == "auto" else ""
        return slide, f"every {stride} frames the last {window} are recognised anew{because}"
    if reason:
        raise ValueError(refusal(reason))
    stream = ExactStream(
        recogniser.model, recogniser.meaning, window=window, first=1 if first is None else first, patience=patience
    )
    return stream, f"frame by frame, {stream.latency} frames behind; nothing is computed twice"


def why_not_exact(recogniser: Recogniser, *, each: bool = True) -> str:
    """What stands in the way of an `ExactStream`, as a part of a sentence; empty if nothing does."""
    if recogniser.others:
        return "several checkpoints answer together"
    if not each:
        return "people are looked at together (--each true looks at each alone)"
    return obstacle_of(recogniser.model) or obstacle(recogniser.meaning)


def refusal(reason: str) -> str:
    """A sentence that says why an exact stream is not possible."""
    return f"frames cannot come one by one: {reason}; slide a window over them."
