"""Settings on the command line: a recipe or a ``config.yaml`` by its name, any field as an option."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Sequence
from pathlib import Path

import jsonargparse

from bonegraph.commands import one_line
from bonegraph.datasets.card import is_store
from bonegraph.datasets.store import Store
from bonegraph.training.recipes import FOR_STORE, recipe
from bonegraph.training.settings import Settings, read_settings


def base_settings(name: str, data: str = "") -> Settings:
    """Settings of a recipe or of a file.

    Args:
        name: of the recipe or the file.
        data: the store that will be trained on, which some recipes look at; it need not be there yet.

    Raises:
        ValueError: there is no such recipe, or it cannot fit the store.
        FileNotFoundError: there is no such file.
    """
    if name.endswith((".yaml", ".yml")):
        return read_settings(name)
    looks = name in FOR_STORE and bool(data) and is_store(Path(data))
    return recipe(name, Store.open(data) if looks else None)


def data_of(arguments: Sequence[str]) -> str:
    """What ``--data`` says in arguments that are not parsed yet; empty if nothing."""
    found = ""
    for number, argument in enumerate(arguments):
        option, _, value = argument.partition("=")
        if option == "--data":
            found = value or next(iter(arguments[number + 1 :]), "")
    return found


def parse(
    parser: jsonargparse.ArgumentParser, arguments: list[str], base: Settings, command: str, leave_out: str = ""
) -> tuple[typing.Any, Settings]:
    """Parse what the parser knows and, as options, the fields of the settings.

    Args:
        parser: with the options of the command itself.
        arguments: of the command line.
        base: where fields that are not given come from.
        command: its name, for messages.
        leave_out: a field that is no option.

    Returns:
        What was given, and the settings.

    Raises:
        ValueError: the arguments do not fit, in one line.
    """
    hints = typing.get_type_hints(Settings)
    fields = [field.name for field in dataclasses.fields(Settings) if field.name not in ("recipe", leave_out)]
    for field in fields:
        kind = type(base.model) if field == "model" else hints[field]
        parser.add_argument(f"--{field}", type=kind, default=getattr(base, field))
    try:
        given = parser.instantiate(parser.parse_args(arguments))
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, command)) from None
    return given, dataclasses.replace(base, **{field: getattr(given, field) for field in fields})
