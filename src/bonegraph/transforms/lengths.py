"""Which frames of a clip a network sees. Loader workers compute nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from bonegraph.seeding import Keys, integers, uniform

Rule = Literal["uniform", "crop-resize", "replay", "loop", "fragment", "all"]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Length:
    """A length rule.

    Args:
        rule: ``uniform`` takes one frame from each of ``frames`` equal segments, at random in training, and in testing
            at ``test_clips`` offsets whose scores are averaged; ``crop-resize`` cuts an interval and resizes it by
            linear interpolation (CTR-GCN, HCN); ``replay`` plays the clip again until ``frames`` are full (ST-GCN);
            ``loop`` plays it again until it is as long as the longest clip of the batch, at most ``frames``, and in
            testing until these are full, so that no clip depends on others; of a longer one it takes a run of
            ``frames``, a random one in training and the middle one in testing (KTH);
            ``fragment`` takes a random run of ``frames`` in training and the middle one in testing, padded by absent
            frames; ``all`` takes every frame, padded to the longest clip of the batch by absent frames.
        frames: T of the result; without meaning for ``all``.
        test_frames: for ``fragment``, T in testing; 0 for ``frames``.
        fill: for ``fragment``, the frames that a shorter clip is brought to before the run is cut out.
        replay: for ``fragment``, whether missing frames play the clip again (ST-GCN's text) or are absent; for
            ``uniform``, whether a clip of fewer frames is played again, from a random frame in training and evenly
            spaced ones in testing (PYSKL), instead of stretched.
        test_clips: how many differently sampled clips are averaged in testing; ``uniform`` alone has more than one.
        crop: for ``crop-resize``, the shortest and the longest share of the clip that is cut out in training; in
            testing the middle 95 % are taken, or all of it if ``crop`` is (1, 1).
        released: for ``crop-resize``, as the public code of CTR-GCN: whole frames are cut, and where only one of two
            neighbours is seen it is blended with zeros.

    Raises:
        ValueError: numbers out of range.
    """

    rule: Rule = "uniform"
    frames: int = 64
    test_clips: int = 1
    crop: tuple[float, float] = (0.5, 1.0)
    test_frames: int = 0
    fill: int = 0
    replay: bool = False
    released: bool = False

    def __post_init__(self) -> None:
        if self.frames < 1 or self.test_clips < 1:
            raise ValueError(f"frames and test_clips must be at least 1, got {self.frames} and {self.test_clips}.")
        if self.test_clips > 1 and self.rule != "uniform":
            raise ValueError(f"the rule '{self.rule}' has one test clip, got test_clips {self.test_clips}.")
        if self.rule != "fragment" and (self.test_frames or self.fill):
            raise ValueError(f"test_frames and fill belong to the rule 'fragment', got '{self.rule}'.")
        if self.replay and self.rule not in ("fragment", "uniform"):
            raise ValueError(f"replay belongs to the rules 'fragment' and 'uniform', got '{self.rule}'.")
        if self.released and self.rule != "crop-resize":
            raise ValueError(f"released belongs to the rule 'crop-resize', got '{self.rule}'.")
        if self.test_frames < 0 or self.fill < 0:
            raise ValueError(f"test_frames and fill must be at least 0, got {self.test_frames} and {self.fill}.")
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"crop must be two shares with 0 < shortest <= longest <= 1, got {self.crop}.")


@dataclass(frozen=True, eq=False)
class Pick:
    """Frames to fetch, and how to blend them.

    Args:
        frames: (N, T) frame numbers inside each clip, -1 for an absent frame; (N, 2 T) where ``blend`` is given: first
            the earlier, then the later neighbours.
        blend: (N, T) weight of the later neighbour, or None.
        zeros: who is not seen is blended as if all joints were at zero.
    """

    frames: Indices
    blend: NDArray[np.float32] | None = None
    zeros: bool = False


def pick_frames(length: Length, lengths: Indices, keys: Keys | None, test_clip: int = 0) -> Pick:
    """Choose frames for N clips at once.

    Args:
        length: the rule.
        lengths: (N,) number of frames of each clip, at least 1.
        keys: (N,) random keys in training, None in testing.
        test_clip: which of the ``test_clips`` offsets.
    """
    total = lengths[:, None].astype(np.int64)
    steps = np.arange(length.frames)[None, :]
    if length.rule == "uniform":
        if keys is None:
            offset: NDArray[np.float64] | float = (test_clip + 0.5) / length.test_clips
        else:
            offset = uniform(keys, "frames", length.frames)
        picked = np.minimum(((steps + offset) * total / length.frames).astype(np.int64), total - 1)
        return Pick(_again(length, total, keys, test_clip, picked) if length.replay else picked)
    if length.rule == "replay":
        return Pick(steps % total)
    if length.rule == "loop":
        return _loop(length, total, keys)
    if length.rule == "fragment":
        return _fragment(length, total, keys)
    if length.rule == "all":
        frames = np.arange(int(lengths.max()))[None, :]
        return Pick(np.where(frames < total, frames, -1))
    return _crop_resize(length, total, keys)


def places(length: Length, num_frames: int, test_clip: int = 0) -> NDArray[np.float64]:
    """(T,) where in the recording each frame of a test clip is, maybe between two of its frames; NaN if nowhere."""
    pick = pick_frames(length, np.array([num_frames]), None, test_clip)
    frames = np.where(pick.frames[0] < 0, np.nan, pick.frames[0])
    if pick.blend is None:
        return frames
    earlier, later = np.split(frames, 2)
    blended: NDArray[np.float64] = earlier + pick.blend[0] * (later - earlier)
    return blended


def _again(length: Length, total: Indices, keys: Keys | None, test_clip: int, picked: Indices) -> Indices:
    """Clips of too few frames from some frame on, and from their beginning again; the others as they are picked."""
    if keys is None:
        start = np.where(total < length.test_clips, test_clip, test_clip * total // length.test_clips)
    else:
        start = integers(keys, "start", total, 1)
    return np.where(total < length.frames, (start + np.arange(length.frames)) % total, picked)


def _loop(length: Length, total: Indices, keys: Keys | None) -> Pick:
    count = length.frames if keys is None else min(length.frames, int(total.max()))
    room = np.maximum(total - count, 0)
    start = room // 2 if keys is None else integers(keys, "loop", room + 1, 1)
    return Pick((start + np.arange(count)) % total)


def _fragment(length: Length, total: Indices, keys: Keys | None) -> Pick:
    count = length.frames if keys is not None else length.test_frames or length.frames
    room = np.maximum(np.maximum(total, length.fill) - count, 0)
    start = room // 2 if keys is None else integers(keys, "fragment", room + 1, 1)
    frames = start + np.arange(count)
    return Pick(frames % total if length.replay else np.where(frames < total, frames, -1))


def _crop_resize(length: Length, total: Indices, keys: Keys | None) -> Pick:
    shortest, longest = length.crop
    if keys is None:
        share = np.full(total.shape, 1.0 if shortest == 1 else min(0.95, longest))
        place = np.full(total.shape, 0.5)
    else:
        draws = uniform(keys, "crop", 2)
        share = shortest + (longest - shortest) * draws[:, :1]
        place = draws[:, 1:]
    first, last = np.zeros_like(total), total - 1  # the frames that may be used
    cut = np.maximum(share * total, np.minimum(total, length.frames))  # never below the frames that are asked for
    if length.released:
        if keys is None:  # the public code has no lower limit here
            aside = ((1 - share) * total / 2).astype(np.int64)
            cut, first = total - 2 * aside, aside
        else:
            cut = np.floor(cut)
            first = (place * (total - cut + 1)).astype(np.int64)
        last = first + cut - 1
        start = first
    else:
        start = place * (total - cut)
    centre = start + (np.arange(length.frames) + 0.5) * cut / length.frames - 0.5
    centre = np.clip(centre, first, last)
    earlier = np.floor(centre).astype(np.int64)
    later = np.minimum(earlier + 1, last).astype(np.int64)
    frames = np.concatenate([earlier, later], axis=1)
    return Pick(frames, (centre - earlier).astype(np.float32), zeros=length.released)


def blend(
    positions: Float[Tensor, "n c 2*t v m"],
    visible: Bool[Tensor, "n 2*t v m"],
    confidence: Float[Tensor, "n 2*t v m"] | None,
    later: Float[Tensor, "n t"],
    zeros: bool = False,
) -> tuple[Float[Tensor, "n c t v m"], Bool[Tensor, "n t v m"], Float[Tensor, "n t v m"] | None]:
    """Join earlier and later neighbours of a `Pick`; one that is seen alone counts alone, or with ``zeros``."""
    frames = later.shape[1]
    first, second = visible[:, :frames], visible[:, frames:]
    weight = later[:, :, None, None]
    share = torch.where(first, torch.where(second | zeros, 1 - weight, 1), 0)
    other = torch.where(second, torch.where(first | zeros, weight, 1), 0)
    joined = positions[:, :, :frames] * share[:, None] + positions[:, :, frames:] * other[:, None]
    if confidence is not None:
        confidence = confidence[:, :frames] * share + confidence[:, frames:] * other
    return joined, first | second, confidence
