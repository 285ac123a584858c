"""A second training that goes on from the finished first one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bonegraph.objectives.stf import FocusLoss
from bonegraph.training.schedule import Optimizer

BASE = "base"
"""Folder of the first training."""


@dataclass(frozen=True)
class Tuning:
    """A second training, from the weights of the first, once for each of several networks that answer together.

    STF is trained so (Ke et al., AAAI 2022): an MS-G3D first; from it one network with the exploration loss and one
    with the three other losses, which the paper found unstable together; the mean of their probabilities is the answer.
    Where the model is an STF, the first training is that of its backbone.

    Args:
        networks: losses on the focus of each network, by the name of its folder; none for no second training.
        epochs: of the second training.
        optimizer: of the second training.

    Raises:
        ValueError: a number out of range, or a name that is no folder of its own.
    """

    networks: dict[str, FocusLoss] = field(default_factory=dict)
    epochs: int = 15
    optimizer: Optimizer = field(default_factory=lambda: Optimizer(lr=1e-3))

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"tuning.epochs must be at least 1, got {self.epochs}.")
        for name in self.networks:
            if name == BASE or not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
                raise ValueError(
                    f"a network of tuning.networks cannot be called '{name}'; use small letters, digits and '-', and "
                    f"another name than '{BASE}'."
                )
