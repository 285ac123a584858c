"""Every model by name."""

from __future__ import annotations

from typing import Any

from bonegraph.graph import Floats
from bonegraph.models import baselines, stgcn
from bonegraph.models.base import ActionModel
from bonegraph.skeleton import Skeleton, nearest

MODELS: dict[str, tuple[type[ActionModel], type[Any]]] = {
    "stgcn": (stgcn.STGCN, stgcn.Config),
    "tcn": (baselines.TCN, baselines.TCNConfig),
    "local": (baselines.Local, baselines.LocalConfig),
}
"""Model name -> (class, configuration)."""


def model_name(config: Any) -> str:
    """Name of the model that a configuration belongs to."""
    return next(name for name, (_, kind) in MODELS.items() if isinstance(config, kind))


def build(config: Any, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> ActionModel:
    """Make a model from its configuration.

    Args:
        config: e.g. `bonegraph.models.stgcn.Config`.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: (V,) gravity distances of the training split, for models that need them.
    """
    model: ActionModel = MODELS[model_name(config)][0](config, skeleton, num_classes, distances)
    return model


def config_type(name: str) -> type[Any]:
    """Configuration class of a model.

    Raises:
        ValueError: no such model; the message lists the choices.
    """
    if name not in MODELS:
        raise ValueError(f"no model '{name}'{nearest(name, MODELS)}.")
    return MODELS[name][1]
