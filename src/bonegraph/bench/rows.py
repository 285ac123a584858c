"""Rows: what is measured, and what was measured of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from bonegraph.bench.floor import Floor

Pass = Literal["inference", "training", "data", "peak"]
Precision = Literal["fp32", "bf16"]


@dataclass
class Row:
    """One thing that is measured, again and again.

    Attributes:
        model: its name, empty where there is none.
        way: how it is computed.
        case: on which clips.
        kind: what is done; ``peak`` is a product or convolution alone, to see what the machine can do.
        precision: ``bf16`` is autocast.
        threads: of torch.
        clips: how many a turn takes, 0 where there are none.
        flops: how many a turn takes, 0 where nobody counted. All ways of a model have those of the plain one, for the
            people who are there: the work that is asked for.
        run: a turn.
        clock_s: seconds of each turn on the clock.
        processor_s: seconds of each turn of all processors.
        memory_bytes: what the first turn added to the process at most, None where the system does not tell.
        floor: of the task, the same for all its ways; None where nobody asked.
    """

    model: str
    way: str
    case: str
    kind: Pass
    precision: Precision
    threads: int
    clips: int
    flops: int
    run: Callable[[], object] = field(repr=False)
    clock_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    memory_bytes: int | None = None
    floor: Floor | None = field(default=None, repr=False)

    @property
    def task(self) -> tuple[str, str, Pass, Precision, int]:
        """What other ways do, too."""
        return self.model, self.case, self.kind, self.precision, self.threads

    @property
    def seconds(self) -> float:
        """Median on the clock; of at least one turn."""
        return statistics.median(self.clock_s)

    @property
    def own_s(self) -> list[float]:
        """Seconds of each turn by which arithmetic is judged.

        One thread has those of the processor, since waiting for others that run is not its work; several threads those
        of the clock, since waiting for each other is.
        """
        return self.processor_s if self.threads == 1 else self.clock_s

    @property
    def rate(self) -> float:
        """FLOP/s by `own_s`, the median."""
        return self.flops / statistics.median(self.own_s)

    @property
    def floor_s(self) -> float | None:
        """Seconds of its floor, None where it was not measured."""
        return None if self.floor is None else self.floor.seconds

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON: what was measured, and what follows for the eye."""
        told = [one.name for one in fields(self) if one.name not in ("run", "floor")]
        data: dict[str, Any] = {name: getattr(self, name) for name in told}
        if not self.clock_s:
            return data
        low, _, high = quartiles(self.clock_s)
        data |= {"median_s": self.seconds, "quartiles_s": [low, high]}
        data["processor_median_s"] = statistics.median(self.processor_s)
        if self.clips:
            data["clips_per_s"] = self.clips / self.seconds
        if self.flops:
            data["gflops"] = self.rate / 1e9
        if self.floor_s is not None:
            data |= {"floor_s": self.floor_s, "floor_share": self.floor_s / statistics.median(self.own_s)}
        return data


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of at least one value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def short(number: float) -> str:
    """Three digits that count."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
