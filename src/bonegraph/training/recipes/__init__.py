"""Recipes: one function a published (or recommended) setting. The command line overrides any field."""

from __future__ import annotations

from collections.abc import Callable

from bonegraph.skeleton import nearest
from bonegraph.training.recipes import small, stgcn
from bonegraph.training.settings import Settings

RECIPES: dict[str, Callable[[], Settings]] = {
    "demo": small.demo,
    "nw-ucla": small.nw_ucla,
    "sbu": small.sbu,
    "utd-mhad": small.utd_mhad,
    "msr-action3d": small.msr_action3d,
    "penn-action": small.penn_action,
    "ntu-paper": stgcn.ntu_paper,
    "ntu-released": stgcn.ntu_released,
    "ntu-best": stgcn.ntu_best,
    "kinetics-paper": stgcn.kinetics_paper,
    "kinetics-released": stgcn.kinetics_released,
    "kinetics-best": stgcn.kinetics_best,
}
"""Recipe name -> settings."""


def recipe(name: str) -> Settings:
    """Settings of a recipe.

    Raises:
        ValueError: no such recipe; the message lists the choices.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe '{name}'{nearest(name, RECIPES)}.")
    return RECIPES[name]()
