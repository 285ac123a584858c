"""Your own recordings: a folder of tables or arrays, one for each clip."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.known.containers import Unit
from bonegraph.datasets.known.labels import Labelled
from bonegraph.read.table import FPS, read_table
from bonegraph.sequence import Sequence


class TableSet(Labelled):
    """Your own recordings, one ``.csv`` or ``.npy`` file each (see the table in docs/data.md).

    The source is a folder with ``labels.csv`` (or that file, by any name), whose columns are ``file``, ``label`` and
    any further facts, such as ``subject``; or a folder with one folder per class, perhaps within ``train``, ``val`` and
    ``test``. A column that says ``train``, ``val`` or ``test`` becomes a split of its name (``given``, if it is called
    ``part``).

    Args:
        skeleton: a name or a YAML file; default the built-in one with the joints of the first file.
        fps: frames per second.
        unit: of the positions; default metres for three coordinates and pixels for two.
        classes: a text file, one class name a line, which fixes their order; default by alphabet, or by number.
        score: the last number of a joint is a score from 0 to 1, not a coordinate; default for four numbers, and for
            three on a skeleton of OpenPose or COCO.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such skeleton or file of class names.
    """

    name = "table"
    where = "the recordings as .csv or .npy files, with a labels.csv or in one folder per class"
    patterns = ("*.csv", "*.npy")

    def __init__(
        self,
        skeleton: str | None = None,
        fps: float = FPS,
        unit: Unit | None = None,
        classes: Path | None = None,
        score: bool | None = None,
    ) -> None:
        super().__init__(skeleton, fps, unit, classes)
        self.score = score
        self._given["score"] = score

    def find(self, folder: str | Path) -> list[Source]:
        """Every file that ``labels.csv`` names, or every file below the folders of the classes.

        Raises:
            FileNotFoundError: the folder is missing or holds no such file.
            ValueError: ``labels.csv`` is damaged, nothing has a label, or the skeleton is in doubt.
        """
        found = self.files_below(Path(folder))
        self._look_at(list(found.files.values()))
        return self.labelled(found)

    def read(self, source: Source) -> Sequence:
        """Read one file; where it has no score, every joint that was seen has confidence 1."""
        assert source.path is not None
        sequence = read_table(source.path, self.skeleton, self.fps, self.unit, self.score)
        if sequence.confidence is not None:
            return sequence
        return replace(sequence, confidence=np.ones(sequence.positions.shape[:3], np.float32))

    def _look_at(self, files: list[Path]) -> None:
        """Take skeleton and unit, where they are not set, from the first file that can be read."""
        first: ValueError | None = None
        for path in files:
            try:
                sequence = read_table(path, self._skeleton, self.fps, self._unit, self.score)
            except ValueError as error:
                first = first or error
                continue
            self.skeleton, self.unit = sequence.skeleton, sequence.unit
            return
        assert first is not None
        raise first
