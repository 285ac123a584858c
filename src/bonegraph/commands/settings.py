"""Settings on the command line: a recipe or a ``config.yaml`` by its name, any field as an option."""

from __future__ import annotations

import argparse
import dataclasses
import typing

import jsonargparse

from bonegraph.commands import one_line
from bonegraph.training.recipes import recipe
from bonegraph.training.settings import Settings, read_settings


def base_settings(name: str) -> Settings:
    """Settings of a recipe or of a file.

    Raises:
        ValueError: there is no such recipe.
        FileNotFoundError: there is no such file.
    """
    return read_settings(name) if name.endswith((".yaml", ".yml")) else recipe(name)


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
