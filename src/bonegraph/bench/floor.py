"""The floor of a pass: the best time of its matrix products and convolutions alone, measured in the same run.

Each distinct one is timed by itself, warm, on operands of its sizes, strides and number type, by torch's own choice of
library and by others that can do it; its best time counts. The sum over all that a pass performs is the floor.
Elementwise work, normalisation, copies and calls from Python are not in it, nor is the memory traffic between layers:
what a network needs above its floor are these.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bonegraph.bench.alone import Alone, Memory
from bonegraph.bench.operations import Operand, Operation


@dataclass
class Floor:
    """What the operations of a pass take together.

    Args:
        parts: each distinct operation, and how often the pass performs it.
    """

    parts: list[tuple[Alone, int]]

    @property
    def seconds(self) -> float | None:
        """The sum of the best times; None while one of them was not measured, or there are none."""
        if not self.parts or not all(alone.best_s for alone, _ in self.parts):
            return None
        return sum(count * min(alone.best_s.values()) for alone, count in self.parts)

    def as_data(self) -> dict[str, Any]:
        """Plain data for JSON, the operations that take longest first; without those that were not measured."""
        measured = [(alone, count) for alone, count in self.parts if alone.best_s]
        measured.sort(key=lambda part: part[1] * min(part[0].best_s.values()), reverse=True)
        return {
            "seconds": self.seconds,
            "flops": sum(count * alone.operation.flops for alone, count in self.parts),
            "operations": [
                {
                    "count": count,
                    "flops": alone.operation.flops,
                    "best_s": {name: value for name, value in alone.best_s.items() if value < float("inf")},
                    "kind": type(alone.operation).__name__.lower(),
                    **_plain(asdict(alone.operation)),
                }
                for alone, count in measured
            ],
        }


class Floors:
    """The floors of a run; an operation that several of them have is timed once."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._known: dict[tuple[Operation, int], Alone] = {}

    def of(self, operations: Counter[Operation], threads: int) -> Floor:
        """The floor of a pass that performs so many of some operations."""
        parts = []
        for operation, count in operations.items():
            alone = self._known.setdefault((operation, threads), Alone(operation, threads, self._memory))
            parts.append((alone, count))
        return Floor(parts)

    def __len__(self) -> int:
        return len(self._known)

    def with_threads(self, threads: int) -> list[Alone]:
        """All that is to be timed with so many threads."""
        return [alone for (_, number), alone in self._known.items() if number == threads]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Operand):  # as asdict leaves it
        return {"size": value.size, "stride": value.stride, "dtype": str(value.dtype).removeprefix("torch.")}
    return value
