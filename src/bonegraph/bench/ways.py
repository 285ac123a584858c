"""Ways to compute what a model computes."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from torch import nn

from bonegraph.bench import naive as papers
from bonegraph.bench.rows import Precision
from bonegraph.models.base import ActionModel

_FAST = "bonegraph.inference.fast"


def naive(model: ActionModel, precision: Precision) -> nn.Module | None:
    """As the paper reads, None where nobody wrote it down."""
    return papers.naive(model)


def plain(model: ActionModel, precision: Precision) -> nn.Module:
    """The model itself."""
    return model


def fast(model: ActionModel, precision: Precision) -> nn.Module | None:
    """By the fast path, None in a version that has none."""
    if find_spec(_FAST) is None:
        return None
    network: nn.Module = import_module(_FAST).fast(model, precision)
    return network


Make = Callable[[ActionModel, Precision], nn.Module | None]
WAYS: dict[str, Make] = {"naive": naive, "plain": plain, "fast": fast}
"""Name of a way -> from a model to a network that takes (x, visible) and gives logits, or to None where there is no
such way for it. The first one is what the others are compared with."""
IN_FLOAT32 = ("naive", "plain")
"""Ways whose networks have weights in fp32, whatever the precision, which autocast then gives them; they have a
``loss`` and can be trained. The others are for inference."""
