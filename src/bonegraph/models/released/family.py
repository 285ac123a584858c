"""A family of public weights: how to know its files, which network they are of, and what their names are here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Family:
    """Public weights of one code base and network.

    Args:
        title: paper and code, for people.
        marks: patterns of keys; a file that has a key for each of them is of this family.
        configure: configuration of our network, from the shapes of the weights (any widths, input channels, joints).
        names: pairs (pattern, replacement); the first pattern that matches a whole key gives our name of it. Names such
            as ``conv.weight#2`` are parts of one weight of ours, joined in the order of what follows the ``#``.
        head: their key of the last layer's weight (classes first), which tells the number of classes.
        joints: V, from the weights.
        arrange: changes weights that lie otherwise than ours, after the names; None changes nothing.
    """

    title: str
    marks: tuple[str, ...]
    configure: Callable[[Weights], Any]
    names: tuple[tuple[str, str], ...]
    head: str
    joints: Callable[[Weights], int]
    arrange: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None

    def recognises(self, weights: Weights) -> bool:
        """Whether these keys are of this family."""
        return all(any(re.fullmatch(mark, key) for key in weights) for mark in self.marks)

    def rename(self, weights: Weights) -> tuple[dict[str, Tensor], list[str]]:
        """The weights under our names, and the keys that have none.

        Raises:
            ValueError: two keys become one, or parts of one weight do not fit together.
        """
        ours: dict[str, Tensor] = {}
        unknown = []
        for key, value in weights.items():
            for pattern, replacement in self.names:
                if match := re.fullmatch(pattern, key):
                    name = match.expand(replacement)
                    if name in ours:
                        raise ValueError(f"two keys mean '{name}', the second is '{key}'; the file is damaged.")
                    ours[name] = value
                    break
            else:
                unknown.append(key)
        ours = _join_parts(ours)
        return (self.arrange(ours) if self.arrange else ours), unknown


def _join_parts(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    joined: dict[str, Tensor] = {}
    parts: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in weights.items():
        whole, _, place = name.partition("#")
        if place:
            parts[whole][place] = value
        else:
            joined[name] = value
    for whole, found in parts.items():
        values = [found[place] for place in sorted(found, key=lambda place: (len(place), place))]
        if len({(value.shape[1:], value.ndim) for value in values}) > 1:
            shapes = [tuple(value.shape) for value in values]
            raise ValueError(f"the parts of '{whole}' have unlike shapes: {shapes}.")
        # a number without axes counts the batches seen, the same in every part
        joined[whole] = torch.cat(values) if values[0].ndim else torch.stack(values).amax(dim=0)
    return joined
