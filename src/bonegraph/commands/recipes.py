"""``bonegraph recipes``."""

from __future__ import annotations

import inspect

from bonegraph.commands import call


def recipes() -> None:
    """List the recipes: paper, data, expected accuracy and command of each.

    Examples:
      bonegraph recipes
    """
    from bonegraph.training.recipes import RECIPES

    for name, function in RECIPES.items():
        lines = inspect.getdoc(function) or ""
        print(name)
        print("\n".join(f"    {line}" for line in lines.splitlines() if line))


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(recipes, arguments, "recipes")
