"""Which class each of your own recordings shows: by a ``labels.csv``, or by the folder that it lies in."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from bonegraph.datasets.card import LEADING, TRAILING
from bonegraph.datasets.known.base import NO_LABEL, Source, files_in
from bonegraph.datasets.known.containers import NO_PART, Container, Unit, split_over
from bonegraph.datasets.known.dividing import BY_CHANCE, BY_SUBJECT, PARTS, divided
from bonegraph.sequence import Sequence
from bonegraph.skeleton import conversion

FOLDERS = "folders"
"""Instead of a table of labels: the folders are the classes, even if there is one."""


class _Row(NamedTuple):
    """What is known of a recording before it is read.

    Attributes:
        file: below the folder.
        label: as text.
        facts: as text, by column.
        refused: why it cannot be used.
    """

    file: str
    label: str
    facts: dict[str, str]
    refused: str = ""


class Found(NamedTuple):
    """The recordings of a folder.

    Attributes:
        files: by their path below the folder; a recording may be a folder itself.
        listed: the table of labels; None where the folders are the classes.
        given: the table itself was given as the source, not the folder.
    """

    files: dict[str, Path]
    listed: Path | None
    given: bool


class Labelled(Container):
    """Recordings in a folder, one file each (or one folder), and where their labels come from.

    The source is a folder with ``labels.csv`` (or that file, by any name), whose columns are ``file``, ``label`` and
    any further facts, such as ``subject``; or a folder with one folder per class, perhaps within ``train``, ``val`` and
    ``test``. A column that says ``train``, ``val`` or ``test`` becomes a split of its name (``given``, if it is called
    ``part``). A column ``subject`` gives the split ``xsub``, which tests on one subject in five and validates on as
    many. Where there is neither, the split ``random`` takes clips of each class by the seed.
    """

    patterns: tuple[str, ...]
    has_confidence = True

    def __init__(
        self,
        skeleton: str | None,
        fps: float | None,
        unit: Unit | None,
        classes: Path | None,
        labels: str | None,
        seed: int,
    ) -> None:
        super().__init__(skeleton, fps, unit, classes)
        if seed < 0:
            raise ValueError(f"seed must be at least 0, got {seed}.")
        self.labels, self.seed = labels, seed
        self._given |= {"labels": labels and Path(labels).name, "seed": seed or None}
        self._labels_from = ""

    def find(self, folder: str | Path) -> list[Source]:
        """Every recording that the table of labels names, or every one below the folders of the classes.

        Raises:
            FileNotFoundError: the folder is missing or holds no recording, or there is no such table.
            ValueError: the table is damaged, nothing has a label, or it is in doubt what the recordings are.
        """
        found = self.files_below(Path(folder))
        self.look_at(list(found.files.values()))
        return self.labelled(found)

    def recordings(self, folder: Path) -> list[Path]:
        """The files (or folders) that are one recording each.

        Raises:
            FileNotFoundError: the folder is missing or holds none.
        """
        return files_in(self, folder, *self.patterns)

    def look_at(self, recordings: list[Path]) -> None:
        """Take what is not set, such as the skeleton, from the recordings themselves.

        Raises:
            ValueError: none of them can be read, or it stays in doubt.
        """

    def files_below(self, folder: Path) -> Found:
        """The recordings below a folder, or beside a table of labels.

        Raises:
            FileNotFoundError: the folder is missing or holds none, or there is no such table.
            ValueError: two tables are given.
        """
        given = folder.is_file()
        if given and self.labels is not None:
            raise ValueError(f"'{folder}' is a table of labels itself; give it, or the folder with --labels.")
        usual = folder if given else folder / "labels.csv"
        folder = folder.parent if given else folder
        listed = self._table(folder, usual)
        files = {
            path.relative_to(folder).as_posix(): path for path in self.recordings(folder) if path not in (usual, listed)
        }
        if not files:
            raise FileNotFoundError(f"'{folder}' holds no recording; get {self.where}, and give that folder.")
        return Found(files, listed, given)

    def _table(self, folder: Path, usual: Path) -> Path | None:
        if self.labels == FOLDERS:
            return None
        if self.labels is None:
            return usual if usual.is_file() else None
        for path in (folder / self.labels, Path(self.labels)):
            if path.is_file():
                return path
        raise FileNotFoundError(
            f"no table of labels '{self.labels}', in '{folder}' or here; give a CSV file with the columns file and "
            f"label, or '{FOLDERS}' where the folders are the classes."
        )

    def labelled(self, found: Found) -> list[Source]:
        """A clip for every recording, and for every row of the table; sets the class names and the splits.

        Raises:
            ValueError: the table is damaged, or nothing has a label.
        """
        files, listed, given = found
        rows = _by_folder(files) if listed is None else _listed(listed, files, forgotten=not given)
        number_of = self._numbers({row.label for row in rows if not row.refused})
        self._labels_from = "the folders" if listed is None else f"'{listed.name}'"
        facts = _typed(rows)
        splits = {
            "given" if column == "part" else column: split_over(column, values)
            for column in facts[0]
            if _tells_parts(values := {str(row[column]) for row in facts})
        }
        endings = {pattern.removeprefix("*") for pattern in self.patterns}
        sources = [
            Source(
                file.with_suffix("").as_posix() if (file := PurePosixPath(row.file)).suffix in endings else row.file,
                files.get(row.file, listed),
                number_of.get(row.label, NO_LABEL),
                fact,
                row.refused,
            )
            for row, fact in zip(rows, facts, strict=True)
        ]
        sources, self.splits = divided(sources, splits, self.seed)
        return sources

    def as_ours(self, sequence: Sequence) -> Sequence:
        """A recording on the skeleton of the set.

        Raises:
            ValueError: it lacks joints of it.
        """
        how = conversion(sequence.skeleton, self.skeleton)
        if how.missing:
            raise ValueError(
                f"it is on '{how.source.name}', which has no {', '.join(how.missing)} of '{how.target.name}', the "
                "skeleton of the others; prepare it apart."
            )
        return sequence.to_skeleton(self.skeleton)[0]

    def guessed(self) -> str:
        """What nobody said about the recordings and was taken from them, with the options that say otherwise."""
        known = [super().guessed()]
        if self.labels is None:
            known.insert(0, f"{len(self.classes)} classes from {self._labels_from} (--labels)")
        if BY_CHANCE in self.splits:
            known.append(f"split '{BY_CHANCE}' by seed {self.seed} (--seed, or a column subject or part)")
        elif BY_SUBJECT in self.splits:
            known.append(f"split '{BY_SUBJECT}' by subject")
        return ", ".join(filter(None, known))

    def _numbers(self, there: set[str]) -> dict[str, int]:
        """Class number of every label that occurs; sets the class names."""
        if not there:
            raise ValueError(f"no recording has a label; get {self.where}.")
        plain = all(label.isascii() and label.isdecimal() and len(label) < 10 for label in there)
        if self._names is not None:
            self.name_classes(len(self._names))
            numbers = {name: number for number, name in enumerate(self.classes)}
            return {label: int(label) for label in there if plain} | numbers
        if plain:
            self.name_classes(1 + max(map(int, there)))
            return {label: int(label) for label in there}
        self.classes = tuple(sorted(there))
        return {name: number for number, name in enumerate(self.classes)}


def _listed(path: Path, files: dict[str, Path], *, forgotten: bool) -> list[_Row]:
    """The rows of a table of labels, and if wanted one for every recording that it forgets.

    Raises:
        ValueError: the table is damaged.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            table = [row for row in csv.reader(text) if any(field.strip() for field in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"'{path.name}' cannot be read ({error}); save it as CSV in UTF-8.") from None
    header = [field.strip() for field in table[0]] if table else []
    if not {"file", "label"} <= set(header):
        raise ValueError(f"'{path.name}' needs a heading with the columns 'file' and 'label', got {str(header)[:100]}.")
    if len(set(header)) != len(header):
        raise ValueError(f"'{path.name}' has two columns of one name; name them differently.")
    columns = [name for name in header if name not in ("file", "label")]
    if reserved := sorted(set(columns) & {*LEADING, *TRAILING, ""}):
        raise ValueError(f"'{path.name}' has a column '{reserved[0]}', which every index has; call it differently.")
    rows = []
    for number, fields in enumerate(table[1:], start=2):
        if len(fields) != len(header):
            raise ValueError(
                f"'{path.name}' row {number} has {len(fields)} fields, but {len(header)} are due; mend it."
            )
        row = dict(zip(header, (field.strip() for field in fields), strict=True))
        file, label = PurePosixPath(row.pop("file")), row.pop("label")
        why = ""
        if file.is_absolute() or ".." in file.parts:
            why = f"its path leads out of the folder of '{path.name}'; put it there."
        elif str(file) not in files:
            why = f"'{path.name}' names it, but there is no such file."
        elif not label:
            why = f"'{path.name}' gives it no label; add one."
        rows.append(_Row(str(file), label, row, why))
    if forgotten:
        why = f"'{path.name}' does not name it; add it, or remove the file."
        others = sorted(files.keys() - {row.file for row in rows})
        rows += [_Row(file, "", dict.fromkeys(columns, ""), why) for file in others]
    return rows


def _by_folder(files: dict[str, Path]) -> list[_Row]:
    """A row for every file: its class is its folder, which may lie in a folder ``train``, ``val`` or ``test``."""
    rows = []
    for file in files:
        folders = PurePosixPath(file).parts[:-1]
        part = folders[0] if folders and folders[0] in PARTS else ""
        folders = folders[bool(part) :]
        why = "" if folders else "it lies in no folder that is named like a class, and there is no labels.csv."
        rows.append(_Row(file, folders[0] if folders else "", {"part": part or NO_PART}, why))
    if all(row.facts["part"] == NO_PART for row in rows):
        return [row._replace(facts={}) for row in rows]
    return rows


def _typed(rows: list[_Row]) -> list[dict[str, int | str]]:
    """The facts of every row; a column whose texts are all whole numbers is one of numbers."""
    usable = [row for row in rows if not row.refused]
    whole = {column for column in rows[0].facts if all(_is_whole(row.facts[column]) for row in usable)}
    return [
        {
            column: (int(text) if _is_whole(text) else 0) if column in whole else text
            for column, text in row.facts.items()
        }
        for row in rows
    ]


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and len(digits) < 18


def _tells_parts(values: set[str]) -> bool:
    return len(values & set(PARTS)) > 1 and values <= {*PARTS, NO_PART, ""}
