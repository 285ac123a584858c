"""Settings to plain data and back, for YAML files, checkpoints and the command line."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from bonegraph.skeleton import nearest

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses become mappings, tuples become lists."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    return value


def from_plain(kind: type[T], data: Any, where: str = "") -> T:
    """Inverse of `to_plain` for a dataclass, with every value checked against its annotation.

    Args:
        kind: the dataclass.
        data: a mapping; fields that are left out keep their default.
        where: name of the place in messages.

    Raises:
        ValueError: an unknown field, or a value of another type; the message says which field.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{where or kind.__name__} must be a mapping, got {data!r}.")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := [name for name in data if name not in fields]:
        raise ValueError(f"{where or kind.__name__} has no field '{unknown[0]}'{nearest(str(unknown[0]), fields)}.")
    values = {name: _convert(hints[name], value, f"{where}.{name}".strip(".")) for name, value in data.items()}
    needed = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING and name not in values
    ]
    if needed:
        raise ValueError(f"{where or kind.__name__} needs the field '{needed[0]}'.")
    return kind(**values)


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return from_plain(typing.cast(type[Any], kind), value, where)
    if origin is typing.Literal:
        if value not in args:
            raise ValueError(f"{where} cannot be {value!r}{nearest(str(value), map(str, args))}.")
        return value
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(next(arg for arg in args if arg is not type(None)), value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be a mapping, got {value!r}.")
        return {str(key): _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        if args[-1] is Ellipsis:
            return tuple(_convert(args[0], item, where) for item in items)
        if len(items) != len(args):
            raise ValueError(f"{where} needs {len(args)} values, got {len(items)}.")
        return tuple(_convert(arg, item, where) for arg, item in zip(args, items, strict=True))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{where} must be a number, got {value!r}.") from None
    if type(value) is not kind:
        raise ValueError(f"{where} must be {_NAMES.get(kind, kind)}, got {value!r}.")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
