"""The commands, one module each; ``run(arguments)`` is what the command line calls."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Mapping
from itertools import takewhile
from typing import Any

import jsonargparse


def call(
    function: Callable[..., Any],
    arguments: list[str],
    name: str,
    by_place: tuple[str, ...] = (),
    renamed: Mapping[str, tuple[str, str]] | None = None,
) -> Any:
    """Call a function with command-line arguments; its signature is the interface, its docstring the help.

    Args:
        function: what needs no default is given by its place, the rest by name.
        arguments: of the command line.
        name: of the command.
        by_place: of the rest, what may also follow the needed arguments without its name.
        renamed: texts whose option has a name that a parameter of Python cannot have: the option and its help.

    Raises:
        ValueError: the arguments do not fit, in one line.
    """
    parser = jsonargparse.ArgumentParser(
        prog=f"bonegraph {name}",
        description=(inspect.getdoc(function) or "").split("\nArgs:")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    renamed = renamed or {}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=set(renamed))
    for option, text in renamed.values():
        parser.add_argument(f"--{option}", type=str, default="", help=text)
    needed = sum(p.default is p.empty for p in inspect.signature(function).parameters.values())
    leading = list(takewhile(lambda argument: not argument.startswith("-"), arguments))
    named = [f"--{field}={value}" for field, value in zip(by_place, leading[needed:], strict=False)]
    if named:
        arguments = [*leading[:needed], *named, *arguments[needed + len(named) :]]
    try:
        given = parser.instantiate(parser.parse_args(arguments))
    except argparse.ArgumentError as error:
        raise ValueError(one_line(error, name)) from None
    values = dict(vars(given))
    for field, (option, _) in renamed.items():
        values[field] = values.pop(option)
    return function(**values)


def one_line(error: Exception, name: str) -> str:
    """An error of the argument parser, and where to look."""
    return f"{' '.join(str(error).split())}; see 'bonegraph {name} --help'"
