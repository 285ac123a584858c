"""Every model by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from bonegraph.graph import Floats
from bonegraph.models import agcn, baselines, ctrgcn, dualhead, kth, msg3d, stf, stgcn, stgcnpp
from bonegraph.models.base import ActionModel
from bonegraph.skeleton import Skeleton, nearest

MODELS: dict[str, tuple[type[ActionModel], type[Any]]] = {
    "stgcn": (stgcn.STGCN, stgcn.Config),
    "stgcnpp": (stgcnpp.STGCNpp, stgcnpp.Config),
    "kth": (kth.KTH, kth.Config),
    "msg3d": (msg3d.MSG3D, msg3d.Config),
    "dualhead": (dualhead.DualHead, dualhead.Config),
    "stf": (stf.STF, stf.Config),
    "agcn": (agcn.AGCN, agcn.Config),
    "ctrgcn": (ctrgcn.CTRGCN, ctrgcn.Config),
    "tcn": (baselines.TCN, baselines.TCNConfig),
    "local": (baselines.Local, baselines.LocalConfig),
}
"""Model name -> (class, configuration)."""

VARIANTS: dict[str, dict[str, Callable[..., Any]]] = {
    "stgcn": {"released": stgcn.released, "paper": stgcn.paper, "best": stgcn.best},
    "stgcnpp": {"released": stgcnpp.released, "best": stgcnpp.best},
    "kth": {"paper": kth.paper, "best": kth.best},
    "msg3d": {"released": msg3d.released, "best": msg3d.best},
    "dualhead": {"released": dualhead.released, "paper": dualhead.paper, "best": dualhead.best},
    "stf": {"paper": stf.paper, "best": stf.best},
    "agcn": {"released": agcn.released, "best": agcn.best},
    "ctrgcn": {"released": ctrgcn.released, "best": ctrgcn.best},
    "tcn": {"paper": baselines.tcn},
    "local": {"paper": baselines.local},
}
"""Model name -> variant name -> configuration for a width and a number of input channels; the first is the one others
publish numbers of."""


def backbone(config: Any) -> Any:
    """Configuration of the model whose weights one of this configuration starts from: its own but for STF."""
    return stf.backbone(config) if isinstance(config, stf.Config) else config


def model_name(config: Any) -> str:
    """Name of the model that a configuration belongs to."""
    return next(name for name, (_, kind) in MODELS.items() if type(config) is kind)


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


class _Unfilled(TorchFunctionMode):
    """Leaves tensors unfilled. Without memory there is nothing to fill, but torch would spend a second on it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        filling = func in (torch.Tensor.uniform_, torch.Tensor.normal_)
        return args[0] if filling else func(*args, **(kwargs or {}))


def outline(config: Any, skeleton: Skeleton, num_classes: int) -> ActionModel:
    """A model without memory, which shows what a configuration asks for: one out of a file may ask for any amount."""
    with torch.device("meta"), _Unfilled():
        return build(config, skeleton, num_classes, np.arange(skeleton.num_joints, dtype=np.float64))


def config_type(name: str) -> type[Any]:
    """Configuration class of a model.

    Raises:
        ValueError: no such model; the message lists the choices.
    """
    if name not in MODELS:
        raise ValueError(f"no model '{name}'{nearest(name, MODELS)}.")
    return MODELS[name][1]
