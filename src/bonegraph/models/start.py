"""Begin with the weights of another model: fine-tuning, STF on its backbone, new classes, a further input channel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bonegraph.models.base import ActionModel

_FRESH = ("focus.",)  # parts that a backbone has not, and that change nothing at first
HEADS = ("head.", "fine_head.", "coarse_head.")
"""How the names of linear layers at the end of a model begin."""
_NORM = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


def start_from(model: ActionModel, source: ActionModel) -> list[str]:
    """Take over weights.

    Args:
        model: to change. It may have modules of STF that the source has not, other classes, or further input channels
            at the end, which begin without effect.
        source: a trained model of the same kind, or the backbone of it.

    Returns:
        What is new and has not been taken over, for people: the heads where the number of classes differs, the modules
        of STF, input channels.

    Raises:
        ValueError: the two do not fit; the first name that does not is told.
    """
    theirs, ours = source.state_dict(), model.state_dict()
    if odd := [name for name in theirs if name not in ours]:
        raise ValueError(f"the weights have '{odd[0]}', which the model has not; start from a model of the same kind.")
    new: list[str] = []
    taken: dict[str, Tensor] = {}
    configs: tuple[Any, Any] = (source.config, model.config)
    before, after = (int(config.in_channels) for config in configs)
    for name, value in ours.items():
        given = theirs.get(name)
        if given is None:
            if not name.startswith(_FRESH):
                raise ValueError(f"the weights lack '{name}'; start from a model of the same kind.")
            new.append(name.partition(".")[0])
        elif given.shape == value.shape:
            taken[name] = given
        elif name.startswith(HEADS) and given.shape[1:] == value.shape[1:]:
            new.append(name.partition(".")[0])
        elif before < after and (wider := _wider(name, given, value, before, after)) is not None:
            new.append(f"input channels {before + 1} to {after}")
            taken[name] = wider
        else:
            raise ValueError(
                f"'{name}' has the shape {tuple(given.shape)} in the weights, but {tuple(value.shape)} in the model; "
                "start from a model of the same widths and skeleton."
            )
    model.load_state_dict({**ours, **taken})
    return list(dict.fromkeys(new))


def _wider(name: str, given: Tensor, value: Tensor, before: int, after: int) -> Tensor | None:
    """Weights that read the input, with the columns of further channels: zeros, and the identity in the norm."""
    part = name.rpartition(".")[2]
    if name.startswith("input_norm.") and part in _NORM and len(given) * after == len(value) * before:
        rows = given.view(-1, before)
        extra = rows.new_full((len(rows), after - before), _NORM[part])
        return torch.cat([rows, extra], dim=1).flatten()
    if part == "weight" and given.dim() > 1 and given.shape[1] * after == value.shape[1] * before:
        columns = given.view(len(given), -1, before, *given.shape[2:])  # scales or subsets, channels
        extra = columns.new_zeros(*columns.shape[:2], after - before, *columns.shape[3:])
        return torch.cat([columns, extra], dim=2).flatten(1, 2)
    return None
