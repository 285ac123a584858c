"""What a store says about itself: the card in ``dataset.json`` and the table in ``index.csv``."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.datasets.splits import Split
from bonegraph.skeleton import Skeleton, nearest

FORMAT = "bonegraph store 1"
LEADING = ("id", "label")
TRAILING = ("first_row", "frames", "people")
SHARD = "shard.json"
"""What a shard has instead of the card, see `bonegraph.datasets.shards`."""
LONGEST_LINE = 1000
"""Bytes of a line of the index. Texts lie in arrays as wide as the longest."""
LONGEST_TEXT = 200
"""Characters of an id or of a fact."""


@dataclass(frozen=True)
class Card:
    """What ``dataset.json`` says about a store.

    Args:
        name: of the data set.
        skeleton: the V joints.
        unit: of the positions, ``"m"``, ``"px"`` or ``"normalised"``.
        fps: frames per second.
        classes: class names, in label order.
        columns: the facts in the index, ``"int"`` or ``"str"``, in column order.
        splits: by name.
        confidence: whether the store has a confidence for every joint.
        source: where the recordings come from.
        licence: under which terms they may be used.
        citation: the paper to cite.
        made: how the store was made, as plain text by key.
    """

    name: str
    skeleton: Skeleton
    unit: str
    fps: float
    classes: tuple[str, ...]
    columns: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    confidence: bool = False
    source: str = ""
    licence: str = ""
    citation: str = ""
    made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"'{self.name}' needs class names that differ, at least one, got {self.classes}.")
        for column, kind in self.columns.items():
            if column in LEADING + TRAILING:
                raise ValueError(f"the fact '{column}' has the name of a column of every index; call it differently.")
            if kind not in ("int", "str"):
                raise ValueError(f"column '{column}' must be 'int' or 'str', got {kind!r}.")
        for name, split in self.splits.items():
            if split.column not in self.columns:
                raise ValueError(
                    f"split '{name}' needs the column '{split.column}'{nearest(split.column, self.columns)}."
                )
            kind = self.columns[split.column]
            for value in (value for values in split.parts.values() for value in values):
                if type(value).__name__ != kind:
                    raise ValueError(
                        f"split '{name}' names {value!r}, but column '{split.column}' holds {kind} values."
                    )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        plain = asdict(self)
        plain["skeleton"] = self.skeleton.to_dict()
        plain["splits"] = {name: split.to_dict() for name, split in self.splits.items()}
        return {"format": FORMAT, **plain, "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Card:
        """Inverse of `to_dict`.

        Raises:
            ValueError: a field is missing or wrong.
        """
        if data.get("format") != FORMAT:
            raise ValueError(f"its format is {data.get('format')!r}, but {FORMAT!r} is needed; prepare it again")
        try:
            return cls(
                name=str(data["name"]),
                skeleton=Skeleton.from_dict(data["skeleton"]),
                unit=str(data["unit"]),
                fps=float(data["fps"]),
                classes=tuple(map(str, data["classes"])),
                columns=dict(data["columns"]),
                splits={str(name): Split.from_dict(split) for name, split in data["splits"].items()},
                confidence=bool(data["confidence"]),
                source=str(data["source"]),
                licence=str(data["licence"]),
                citation=str(data["citation"]),
                made=dict(data["made"]),
            )
        except KeyError as error:
            raise ValueError(f"the field {error} is missing; prepare it again") from None
        except (TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"a field is wrong ({error}); prepare it again") from None


def is_store(folder: Path) -> bool:
    """Whether a folder looks like a finished store, without opening it."""
    return (folder / "dataset.json").is_file() and (folder / "index.csv").is_file()


def read_card(folder: Path) -> Card:
    """Read ``dataset.json``.

    Raises:
        FileNotFoundError: there is no such folder, or it is no store.
        ValueError: the file is damaged.
    """
    path = folder / "dataset.json"
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{folder}'; prepare a data set there first.")
    if not path.is_file() and (folder / SHARD).is_file():
        raise FileNotFoundError(
            f"'{folder}' is not a prepared data set but one shard of it; join all with 'bonegraph merge' first."
        )
    if not path.is_file():
        raise FileNotFoundError(f"'{folder}' is not a prepared data set (it has no dataset.json); prepare one first.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Card.from_dict(data if isinstance(data, dict) else {})
    except RecursionError:
        raise ValueError(f"'{path}' cannot be used: it nests too deeply; prepare it again.") from None
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be used: {' '.join(str(error).split())}.") from None


def read_index(folder: Path, card: Card) -> dict[str, NDArray[Any]]:
    """The columns of index.csv by name, of the right type, with ids that differ."""
    path = folder / "index.csv"
    header = [*LEADING, *card.columns, *TRAILING]
    if not path.is_file():
        raise FileNotFoundError(f"'{folder}' has no index.csv; prepare the data set again.")
    try:
        with path.open("rb") as file:
            lengths = [len(line) for line in file]
        if len(lengths) < 2:
            raise ValueError("it lists no clips")
        if (longest := max(lengths)) > LONGEST_LINE:
            raise ValueError(f"line {lengths.index(longest) + 1} has {longest} bytes, the most are {LONGEST_LINE}")
        with path.open(encoding="utf-8", newline="") as file:
            first = next(csv.reader([file.readline()]))
            if first != header:
                raise ValueError(f"its columns are {first}, but {header} are needed")
            width = longest  # no text of the table is longer than its longest line
            texts = {"id", *(name for name, kind in card.columns.items() if kind == "str")}
            # numpy's reader takes a tenth of the time of the csv module, which would be most of the time to open.
            rows = np.loadtxt(
                file,
                dtype=[(name, f"U{width}" if name in texts else np.int64) for name in header],
                delimiter=",",
                quotechar='"',
                comments=None,
                ndmin=1,
            )
    except ValueError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"'{path}' cannot be used: {reason}; mend it or prepare the data set again.") from None
    table = {name: np.ascontiguousarray(rows[name]) for name in header}
    for name in texts:
        table[name] = table[name].astype(f"U{max(1, int(np.char.str_len(table[name]).max()))}")
    if len(set(table["id"].tolist())) != len(rows):
        ids, counts = np.unique(table["id"], return_counts=True)
        repeated = ids[counts > 1][0]
        raise ValueError(f"'{path}' lists clip '{repeated}' twice; ids must differ, prepare the data set again.")
    return table
