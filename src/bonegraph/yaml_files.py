"""YAML files of strangers: plain mappings, lists, numbers and text, and no way to make a small file large or slow.

PyYAML's safe loader runs nothing, but it follows references to references (nine lines can name a billion things), makes
dates of text, multiplies out numbers in base 60, and nests until Python's stack ends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 1_000_000
LONGEST_VALUE = 1000
DEEPEST = 20


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ValueError: it is no YAML, or more than plain data of reasonable size; one line that names the file.
        OSError: it cannot be read.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"'{path}' has {size:,} bytes, but {MOST_BYTES:,} are the most for such a file.")
    try:
        text = path.read_text(encoding="utf-8")
        _look_through(text)
        return yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise ValueError(f"'{path}' is not valid YAML of plain values: {error}") from None


def _look_through(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError("references (& and *) are not read; write the value out.")
        if (tag := getattr(event, "tag", None)) is not None:
            raise ValueError(f"the tag {tag} is not read; write plain values.")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST_VALUE:
            raise ValueError(f"a value has {len(event.value):,} characters, but {LONGEST_VALUE:,} are the most.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise ValueError(f"it nests more than {DEEPEST} levels deep.")
