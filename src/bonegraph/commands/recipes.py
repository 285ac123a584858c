"""``bonegraph recipes``."""

from __future__ import annotations

import inspect

from bonegraph.commands import call


def recipes(word: str = "") -> None:
    """List the recipes: paper, data, expected accuracy and command of each.

    Examples:
      bonegraph recipes
      bonegraph recipes msg3d
      bonegraph recipes sbu

    Args:
        word: list those alone whose name has it.
    """
    from bonegraph.skeleton import nearest
    from bonegraph.training.recipes import GROUPS, OLD_NAMES, RECIPES

    if not any(word in name for name in RECIPES):
        raise ValueError(f"no recipe has '{word}' in its name{nearest(word, RECIPES)}.")
    older = {name: old for old, name in OLD_NAMES.items()}
    for heading, group in GROUPS.items():
        chosen = {name: make for name, make in group.items() if word in name}
        if chosen:
            print(f"{heading}\n")
        for name, make in chosen.items():
            print(f"  {name}" + (f" (also {older[name]})" if name in older else ""))
            print("".join(f"      {line}\n" for line in (inspect.getdoc(make) or "").splitlines() if line))


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(recipes, arguments, "recipes", by_place=("word",))
