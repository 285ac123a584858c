"""Your own recordings: a folder of tables or arrays, one for each clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.known.containers import Unit
from bonegraph.datasets.known.labels import Labelled
from bonegraph.read.table import read_table
from bonegraph.sequence import Sequence


class TableSet(Labelled):
    """Your own recordings, one ``.csv`` or ``.npy`` file each (see the table in docs/data.md).

    Labels and splits come from a table or from folders, see `bonegraph.datasets.known.labels.Labelled`.

    Args:
        skeleton: a name or a YAML file; default the built-in one with the joints of the first file.
        fps: frames per second; default 30.
        unit: of the positions; default metres for three coordinates and pixels for two.
        classes: a text file, one class name a line, which fixes their order; default by alphabet, or by number.
        score: the last number of a joint is a score from 0 to 1, not a coordinate; default for four numbers, and for
            three on a skeleton of OpenPose or COCO.
        labels: the table of labels; default labels.csv. ``folders`` takes the folders even if there is one.
        seed: of the split ``random``.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such skeleton or file of class names.
    """

    name = "table"
    where = "the recordings as .csv or .npy files, with a labels.csv or in one folder per class"
    patterns: tuple[str, ...] = ("*.csv", "*.npy")
    reasons: ClassVar[dict[str, str]] = {
        "skeleton": "by the joints of the first file",
        "fps": "as the files tell none",
        "unit": "by the number of coordinates",
    }

    def __init__(
        self,
        skeleton: str | None = None,
        fps: float | None = None,
        unit: Unit | None = None,
        classes: Path | None = None,
        score: bool | None = None,
        labels: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(skeleton, fps, unit, classes, labels, seed)
        self.score = score
        self._given["score"] = score

    def read(self, source: Source) -> Sequence:
        """Read one file; where it has no score, every joint that was seen has confidence 1."""
        assert source.path is not None
        sequence = read_table(source.path, self.skeleton, self.fps, self.unit, self.score)
        if sequence.confidence is not None:
            return sequence
        return replace(sequence, confidence=np.ones(sequence.positions.shape[:3], np.float32))

    def look_at(self, recordings: list[Path]) -> None:
        """Take skeleton and unit, where they are not set, from the first file that can be read.

        Raises:
            ValueError: none can be read, or the skeleton is in doubt.
        """
        first: ValueError | None = None
        for path in recordings:
            try:
                sequence = read_table(path, self._skeleton, self.fps, self._unit, self.score)
            except ValueError as error:
                first = first or error
                continue
            self.skeleton, self.unit = sequence.skeleton, sequence.unit
            return
        assert first is not None
        raise first


class CsvSet(TableSet):
    """The tables alone, as the format ``csv``."""

    name = "csv"
    where = "the recordings as .csv files, with a labels.csv or in one folder per class"
    patterns = ("*.csv",)


class NpySet(TableSet):
    """The arrays alone, as the format ``npy``."""

    name = "npy"
    where = "the recordings as .npy files, with a labels.csv or in one folder per class"
    patterns = ("*.npy",)
