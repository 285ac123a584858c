"""Calibration: probabilities that are as often right as they say, and from where on an answer is "unknown".

Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017: the logits of a trained network
are divided by one number, the temperature, chosen for the lowest negative log-likelihood on clips that it was not
trained on (Sec. 4.2); how far probabilities are off is told by the expected calibration error (Eq. 3).

Axes: N windows, O test clips of each, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bonegraph.datasets.store import Store
from bonegraph.inference.rate import at_rate
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream.people import finite
from bonegraph.inference.untrimmed import clips_of
from bonegraph.inference.windows import Cutting
from bonegraph.models.checkpoint import Calibration
from bonegraph.sequence import Sequence

COLDEST, HOTTEST = 0.05, 20.0
"""The temperatures that are tried."""
_TOGETHER = 32
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Measured:
    """What was calibrated, and what came of it; probabilities are those of all networks together.

    Attributes:
        calibrations: one for each network, in their order.
        clips: how many clips.
        windows: how many windows they were cut into, N.
        accuracy: of the windows.
        likelihood: negative log-likelihood before and after, in nats.
        error: expected calibration error before and after.
        kept: the share of the right answers that stay an answer.
        spared: the share of the wrong ones that become "unknown"; NaN where none is wrong.
        unknown_windows: how many windows showed none of the classes.
        found: the share of these that are called "unknown"; NaN where there are none.
        known: the share of the windows of known classes that are not.
    """

    calibrations: tuple[Calibration, ...]
    clips: int
    windows: int
    accuracy: float
    likelihood: tuple[float, float]
    error: tuple[float, float]
    kept: float
    spared: float
    unknown_windows: int
    found: float
    known: float


def calibrate(
    recogniser: Recogniser,
    store: Store,
    clips: NDArray[np.int64],
    cutting: Cutting,
    *,
    keep: float = 0.95,
    unknown: Store | None = None,
    each: bool | None = None,
    data: str = "",
    progress: bool = False,
) -> Measured:
    """Choose a temperature for every network, and a threshold for their common answer.

    Clips are cut as `recognise` cuts recordings, so that the probabilities are those of such windows.

    Args:
        recogniser: the networks; what calibration they have is left aside.
        store: with labelled clips of the classes.
        clips: (N,) numbers of the clips, none of which should have been trained on.
        cutting: how recordings are cut.
        keep: the threshold keeps this share of the right answers.
        unknown: clips that show none of the classes; the threshold that tells them best from the others is taken, by
            the mean of the two shares that are right (balanced accuracy).
        each: look at each person alone; default as for recordings.
        data: what the clips are, for people.
        progress: show a progress bar.

    Raises:
        ValueError: there are no clips, no answer is right or one is no number, or a number is out of range.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be a share above 0 and at most 1, got {keep}.")
    if not len(clips):
        raise ValueError(f"there are no clips to calibrate on in '{store.name}'; choose another part of the split.")
    one_by_one = tqdm(clips, desc="calibrate", unit="clip", disable=not progress, delay=1, leave=False)
    seen = _logits(recogniser, store, one_by_one, cutting, each)
    labels = torch.from_numpy(store.labels[clips])[seen.clip]
    if not len(labels):
        raise ValueError(f"nobody is seen in the {len(clips)} clips of '{store.name}'; choose another part.")
    temperatures = [temperature_of(logits, labels) for logits in seen.logits]
    before = mixed(seen.logits, [1.0] * len(temperatures))
    after = mixed(seen.logits, temperatures)
    confidence, answer = after.max(dim=1)
    right = answer == labels
    if not right.any():
        raise ValueError(f"no answer on {len(labels)} windows is right; the checkpoint does not fit these clips.")
    other = torch.zeros(0)
    if unknown is None:
        threshold = keeping(confidence[right], keep)
    else:
        numbers = np.arange(len(unknown))
        more = tqdm(numbers, desc="unknown", unit="clip", disable=not progress, delay=1, leave=False)
        other = mixed(_logits(recogniser, unknown, more, cutting, each).logits, temperatures).amax(dim=1)
        if not len(other):
            raise ValueError(f"nobody is seen in any clip of '{unknown.name}'; take other clips of unknown actions.")
        threshold = separating(confidence, other)
    networks = len(temperatures)
    return Measured(
        calibrations=tuple(
            Calibration(temperature, threshold, networks, len(clips), data) for temperature in temperatures
        ),
        clips=len(clips),
        windows=len(labels),
        accuracy=_share(right),
        likelihood=(negative_log_likelihood(before, labels), negative_log_likelihood(after, labels)),
        error=(calibration_error(before, labels), calibration_error(after, labels)),
        kept=_share(confidence[right] >= threshold),
        spared=_share(confidence[~right] < threshold),
        unknown_windows=len(other),
        found=_share(other < threshold),
        known=_share(confidence >= threshold),
    )


def mixed(logits: list[Tensor], temperatures: list[float]) -> Tensor:
    """(N, K) probabilities of several networks together, from their logits (N, O, K) each."""
    every = [
        (one / temperature).softmax(dim=2).mean(dim=1) for one, temperature in zip(logits, temperatures, strict=True)
    ]
    return torch.stack(every).mean(dim=0)


def negative_log_likelihood(probabilities: Tensor, labels: Tensor) -> float:
    """The mean of -log p of the true class, in nats."""
    true = probabilities.gather(1, labels[:, None])[:, 0]
    return -float(true.double().clamp(min=1e-12).log().mean())


def temperature_of(logits: Tensor, labels: Tensor) -> float:
    """The temperature of the lowest negative log-likelihood, between `COLDEST` and `HOTTEST`.

    In 1/T the negative log-likelihood of one test clip is convex, so that it has one lowest place, which a
    golden-section search finds. Where no answer is wrong there is none: the colder, the better, whatever the clips. The
    temperature then stays 1.

    Args:
        logits: (N, O, K); probabilities are the mean over the test clips.
        labels: (N,).
    """
    exact = logits.double()
    if (mixed([exact], [1.0]).argmax(dim=1) == labels).all():
        return 1.0

    def loss(power: float) -> float:
        return negative_log_likelihood(mixed([exact], [float(np.exp(power))]), labels)

    low, high = float(np.log(COLDEST)), float(np.log(HOTTEST))
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-4:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Expected calibration error (Eq. 3): how far confidence and accuracy are apart, over equally wide bins."""
    confidence, answer = probabilities.double().max(dim=1)
    right = (answer == labels).double()
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1  # a bin holds its upper edge
    gaps = torch.zeros(bins, dtype=torch.float64).index_add(0, place, right - confidence)
    return float(gaps.abs().sum() / len(labels))


def keeping(confidence: Tensor, share: float) -> float:
    """The highest threshold that at least this share of the confidences reaches."""
    ordered = confidence.sort().values
    lost = int(np.floor((1 - share) * len(ordered) + 1e-9))
    return float(ordered[min(lost, len(ordered) - 1)])


def separating(known: Tensor, unknown: Tensor) -> float:
    """The threshold for which the shares known >= threshold and unknown < threshold have the highest mean.

    It lies half-way between two confidences; of several equally good ones it is the lowest.
    """
    known, unknown = known.double().sort().values, unknown.double().sort().values
    every = torch.from_numpy(np.unique(torch.cat([known, unknown]).numpy()))
    tried = torch.cat(
        [
            torch.zeros(1, dtype=torch.float64),
            (every[1:] + every[:-1]) / 2,
            every[-1:].nextafter(torch.ones(1, dtype=torch.float64)),
        ]
    )
    kept = 1 - torch.searchsorted(known, tried) / len(known)
    found = torch.searchsorted(unknown, tried) / len(unknown)
    return min(1.0, float(tried[(kept + found).argmax()]))


def _share(chosen: Tensor) -> float:
    return float(chosen.double().mean()) if len(chosen) else float("nan")


@dataclass(frozen=True, eq=False)
class _Seen:
    """Logits of windows, (N, O, K) for each network, and the place of the clip of each window."""

    logits: list[Tensor]
    clip: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))


def _logits(recogniser: Recogniser, store: Store, clips: Iterable[Any], cutting: Cutting, each: bool | None) -> _Seen:
    networks = recogniser.networks
    found: list[list[Tensor]] = [[] for _ in networks]
    place: list[int] = []
    waiting: list[Sequence] = []

    def answer() -> None:
        for network, logits in zip(networks, found, strict=True):
            logits.append(torch.from_numpy(finite(network.logits(waiting).numpy())))
        waiting.clear()

    for number, clip in enumerate(clips):
        sequence = store.sequence(int(clip))
        if not sequence.visible.any():
            continue
        sequence = recogniser.fitting(at_rate(sequence, recogniser.meaning.fps))
        windows = clips_of(recogniser, sequence, cutting, each)
        waiting += windows
        place += [number] * len(windows)
        if len(waiting) >= _TOGETHER:
            answer()
    answer()
    return _Seen([torch.cat(logits) for logits in found], torch.tensor(place, dtype=torch.int64))
