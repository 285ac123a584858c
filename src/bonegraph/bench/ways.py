"""Ways to compute what a model computes."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bonegraph.bench import naive as papers
from bonegraph.bench.rows import Precision
from bonegraph.inference import fast as answers
from bonegraph.models.base import ActionModel


def naive(model: ActionModel, precision: Precision) -> nn.Module | None:
    """As the paper reads, None where nobody wrote it down."""
    return papers.naive(model)


def plain(model: ActionModel, precision: Precision) -> nn.Module:
    """The model itself."""
    return model


def fast(model: ActionModel, precision: Precision) -> nn.Module:
    """The form for answers."""
    return answers.fast(model, precision)


Make = Callable[[ActionModel, Precision], nn.Module | None]
WAYS: dict[str, Make] = {"naive": naive, "plain": plain, "fast": fast}
"""Name of a way -> from a model to a network that takes (x, visible) and gives logits, or to None where there is no
such way for it. The first one is what the others are compared with."""
IN_FLOAT32 = ("naive", "plain")
"""Ways whose networks have weights in fp32, whatever the precision, which autocast then gives them; they have a
``loss`` and can be trained. The others are for inference."""
