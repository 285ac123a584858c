"""Scores as a table: ``.csv`` with a header of class names, one row a clip.

::

    id,sit down,stand up              id,label,sit down,stand up
    a01_s01_e00_v03,0.9,0.1           a01_s01_e00_v03,sit down,2.31,-0.4

A second column called ``label`` holds the true class by its name (or by its number, counted from 0), empty where it is
unknown. The numbers are probabilities or logits. Columns called 0, 1, 2, ... are classes without names.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from bonegraph.scores.by_id import Scores
from bonegraph.scores.checks import UNKNOWN, as_names
from bonegraph.scores.logits import as_probabilities


def read_table(path: Path) -> tuple[Scores, list[str]]:
    """Read scores from a table.

    Returns:
        The scores, and notes on what was done to the numbers.

    Raises:
        ValueError: it is no such table; the message says which line.
    """
    ids, labels, rows = [], [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            header = [name.strip() for name in next(lines, [])]
            labelled = header[1:2] == ["label"]
            classes = tuple(header[1 + labelled :])
            if header[:1] != ["id"] or not classes:
                raise ValueError("the first line must be 'id' and the class names, for example: id,sit down,stand up")
            number = {name: at for at, name in enumerate(classes)}
            for cells in lines:
                if not cells:
                    continue
                at = f"line {lines.line_num}"
                if len(cells) != len(header):
                    raise ValueError(f"{at} has {len(cells)} cells, but the first line has {len(header)}")
                try:
                    rows.append(np.array(cells[1 + labelled :], dtype=np.float64))
                except ValueError:
                    raise ValueError(f"{at} holds a score that is no number") from None
                ids.append(cells[0].strip())
                labels.append(_label(cells[1].strip(), number, at) if labelled else UNKNOWN)
        if not rows:
            raise ValueError("it holds no clips")
        names = as_names(ids, "ids")
        probabilities, note = as_probabilities(np.stack(rows), names)
        scores = Scores(names, classes, probabilities.astype(np.float32), np.array(labels))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' is no table of scores ({error})") from None
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from None
    return scores, [f"{note}."] if note else []


def _label(cell: str, number: dict[str, int], at: str) -> int:
    if cell in number:
        return number[cell]
    if not cell:
        return UNKNOWN
    if cell.isdecimal() and len(cell) < 9:
        return int(cell)
    raise ValueError(f"{at} has label {cell!r}, which is none of the {len(number)} classes")
