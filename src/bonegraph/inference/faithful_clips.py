"""The faithfulness of a network's focus over many clips: a number a run."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bonegraph.datasets.store import Store
from bonegraph.inference.explain import explain
from bonegraph.inference.faithfulness import Faithfulness, faithfulness
from bonegraph.inference.focused import NobodySeenError
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.scoring import check_fits
from bonegraph.objectives.focus import Score


class Mean(NamedTuple):
    """A mean over clips.

    Attributes:
        value: the mean.
        error: its standard error, s / √N; NaN for a single clip.
    """

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Measured:
    """What was found for a clip.

    Attributes:
        id: of the clip.
        truth: its class, empty where unknown.
        action: the class that was explained.
        probability: of it.
        found: the curves.
        flat: the focus pointed nowhere, so that its order was random, too.
    """

    id: str
    truth: str
    action: str
    probability: float
    found: Faithfulness
    flat: bool


@dataclass(frozen=True, eq=False)
class Summary:
    """Faithfulness over clips.

    Attributes:
        clips: those measured, at least one.
        unseen: ids of clips in which the network sees nobody.
    """

    clips: tuple[Measured, ...]
    unseen: tuple[str, ...]

    @property
    def deletion(self) -> Mean:
        """Area below the deletion curve."""
        return self._mean(lambda one: one.deletion_area)

    @property
    def insertion(self) -> Mean:
        """Area below the insertion curve."""
        return self._mean(lambda one: one.insertion_area)

    @property
    def random(self) -> Mean:
        """Area below the random curve."""
        return self._mean(lambda one: one.random_area)

    @property
    def gain(self) -> Mean:
        """Insertion minus deletion, the number of a run: see `bonegraph.inference.faithfulness`."""
        return self._mean(lambda one: one.gain)

    @property
    def better_deletion(self) -> float:
        """Share of the clips in which the focus deletes better than chance."""
        return float(np.mean([one.found.deletion_area < one.found.random_area for one in self.clips]))

    @property
    def better_insertion(self) -> float:
        """Share of the clips in which the focus inserts better than chance."""
        return float(np.mean([one.found.insertion_area > one.found.random_area for one in self.clips]))

    @property
    def flat(self) -> int:
        """How many clips have a flat focus."""
        return sum(one.flat for one in self.clips)

    def _mean(self, number: Callable[[Faithfulness], float]) -> Mean:
        values = np.array([number(one.found) for one in self.clips])
        error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return Mean(float(values.mean()), error)


def measure(
    recogniser: Recogniser,
    store: Store,
    clips: NDArray[np.int64],
    *,
    label: int | None = None,
    score: Score = "probability",
    stage: int = -1,
    steps: int = 20,
    draws: int = 3,
    seed: int = 0,
    progress: bool = True,
) -> Summary:
    """Measure the faithfulness over clips of a store; each clip's random orders depend on its id and the seed alone.

    Args:
        recogniser: of one network.
        store: with the skeleton and the classes of the checkpoint.
        clips: (N,) numbers of the clips.
        label: of the class to explain, None for the predicted one of each clip.
        score: as in `explain`.
        stage: as in `explain`.
        steps: as in `faithfulness`.
        draws: as in `faithfulness`.
        seed: as in `faithfulness`.
        progress: show a progress bar, if it takes more than two seconds.

    Raises:
        ValueError: checkpoint and store do not fit, there is no clip, or somebody is seen in none of them.
    """
    check_fits(recogniser.meaning, store)
    if not len(clips):
        raise ValueError(f"there are no clips to explain in '{store.name}'; choose another part of the split.")
    measured, unseen = [], []
    for clip in tqdm(clips, desc="explain", unit="clip", delay=2, disable=not progress):
        name = str(store.ids[clip])
        try:
            explanation = explain(recogniser, store.sequence(int(clip)), label, score, stage)
        except NobodySeenError:
            unseen.append(name)
            continue
        own = int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])
        found = faithfulness(recogniser, explanation, steps=steps, draws=draws, seed=own)
        truth = store.classes[store.labels[clip]] if store.labels[clip] >= 0 else ""
        measured.append(Measured(name, truth, explanation.action, explanation.probability, found, explanation.flat))
    if not measured:
        raise ValueError(f"in none of the {len(clips)} clips of '{store.name}' is anybody seen.")
    return Summary(tuple(measured), tuple(unseen))


def to_table(summary: Summary) -> str:
    """A small table for people."""
    focus = f"{'focus':<22}{_text(summary.deletion):>18}{_text(summary.insertion):>18}"
    random = f"{'random order':<22}{_text(summary.random):>18}{_text(summary.random):>18}"
    better = f"{'focus better, clips':<22}{summary.better_deletion:>18.1%}{summary.better_insertion:>18.1%}"
    return "\n".join([f"{'':<22}{'deletion area':>18}{'insertion area':>18}", focus, random, better])


def to_plain(summary: Summary) -> dict[str, object]:
    """The same and every clip for JSON; a standard error of a single clip is null."""
    curves = {
        name: [round(float(value), 6) for value in np.mean([getattr(one.found, name) for one in summary.clips], axis=0)]
        for name in ("shares", "deletion", "insertion", "random")
    }
    return {
        "clips": len(summary.clips),
        "unseen": list(summary.unseen),
        "flat": summary.flat,
        **{name: _plain(getattr(summary, name)) for name in ("gain", "deletion", "insertion", "random")},
        "better_deletion": summary.better_deletion,
        "better_insertion": summary.better_insertion,
        "curves": curves,
        "by_clip": [
            {
                "id": one.id,
                "truth": one.truth,
                "explained": one.action,
                "probability": one.probability,
                "deletion": one.found.deletion_area,
                "insertion": one.found.insertion_area,
                "random": one.found.random_area,
                "flat": one.flat,
            }
            for one in summary.clips
        ],
    }


def _text(mean: Mean) -> str:
    return f"{mean.value:.3f}" + ("" if math.isnan(mean.error) else f" ± {mean.error:.3f}")


def _plain(mean: Mean) -> dict[str, float | None]:
    return {"mean": mean.value, "standard_error": None if math.isnan(mean.error) else mean.error}
