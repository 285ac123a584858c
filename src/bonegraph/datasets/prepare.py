"""Preparation: from the files of a known set to a store.

The clips, sorted by id, are cut into parts of a fixed number. Worker processes read the parts in any order; each
becomes a file that appears under its name only when it is complete. At the end the parts are joined, in order, and the
store appears under its name. So the result does not depend on the number of workers, a run that was killed goes on
where it was, and what is half-written is never taken for a store.

A file that cannot be used is written into ``problems.csv`` with the reason; it never stops the others.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bonegraph.datasets.card import Card, is_store
from bonegraph.datasets.known import KnownSet, Source
from bonegraph.datasets.parts import Part, Problem, below, complete, load, read_parts, worker_count
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.files import held, write_whole

CLIPS_PER_PART = 64


@dataclass(frozen=True)
class Report:
    """What a preparation did.

    Attributes:
        folder: the store.
        clips: clips in it.
        problems: what was refused.
        already_done: the store was there before, from the same files, and was left untouched.
        parts: parts that the clips were read in.
        reused_parts: parts that an earlier, interrupted run had finished.
    """

    folder: Path
    clips: int
    problems: tuple[Problem, ...]
    already_done: bool
    parts: int
    reused_parts: int

    def __str__(self) -> str:
        if self.already_done:
            return f"'{self.folder}' is there already with {self.clips} clips from the same files; nothing to do."
        refused = f", {len(self.problems)} files refused (see problems.csv)" if self.problems else ""
        return f"'{self.folder}': {self.clips} clips{refused}."


def prepare(
    known_set: KnownSet,
    source_folder: str | Path | None,
    out_folder: str | Path,
    *,
    workers: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> Report:
    """Read every clip of a data set and write them as a store.

    If it is interrupted in any way, the same call goes on from the parts that were finished, and the result is the same
    to the byte. Called with more than one worker from a script, the call must stand under
    ``if __name__ == "__main__":``, as everything that starts processes.

    Args:
        known_set: the data set, e.g. ``known_set("nw-ucla")``.
        source_folder: where its files are; sets that are computed ignore it.
        out_folder: the store to write; it must not exist, be empty, or (with overwrite) be a store.
        workers: processes that read; 1 reads in this process; None takes the processors of the machine, or 1 where
            there is little to read.
        progress: show a progress bar.
        overwrite: write the store again even if it is there.

    Returns:
        What was done; ``str(report)`` is one line.

    Raises:
        FileNotFoundError: the source folder is missing or holds no file of the data set.
        FileExistsError: the place is taken by something else.
        ValueError: no clip can be used, or workers is below 1.
        OSError: the store cannot be written (disk full, no permission), or another run is writing it.
        KeyboardInterrupt: Ctrl-C; the finished parts stay.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}; leave it out to use all processors.")
    root = None if source_folder is None else Path(source_folder)
    out = Path(out_folder).absolute()
    found = known_set.find("" if root is None else root)
    if all(source.path is None for source in found):
        root = None  # computed clips lie nowhere
    if root is not None and out.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"the store '{out}' would lie among the files of '{root}'; give a folder outside of it.")
    sources = sorted(found, key=lambda source: (source.id, str(source.path)))
    if not sources:
        raise ValueError(f"'{known_set.name}' has no clips in '{source_folder}'; give the folder of its files.")
    card = Card(
        name=known_set.name,
        skeleton=known_set.skeleton,
        unit=known_set.unit,
        fps=known_set.fps,
        classes=known_set.classes,
        columns=_columns(sources),
        splits=known_set.splits,
        confidence=known_set.has_confidence,
        source=known_set.where if root is None else f"{root.resolve().name}: {known_set.where}",
        licence=known_set.licence,
        citation=known_set.citation,
        made={
            "bonegraph": _version(),
            "reader": f"{type(known_set).__module__}.{type(known_set).__qualname__}",
            "settings": _settings(known_set),
            "files": _fingerprint(known_set, sources, root),
        },
    )
    good, problems = _worth_reading(known_set, sources, root)
    with _clear_errors(out):
        if out.exists() and not overwrite and (done := _finished(out, card)):
            return done
        with _work_folder(out, _fingerprint(known_set, sources, root, exact=True)) as work:
            parts = [
                Part(known_set, tuple(good[start : start + CLIPS_PER_PART]), root, work / f"part-{number:06d}.npz")
                for number, start in enumerate(range(0, len(good), CLIPS_PER_PART))
            ]
            missing = [part for part in parts if not complete(part.file)]
            left = sum(len(part.sources) for part in missing)
            with tqdm(
                total=len(good),
                initial=len(good) - left,
                unit="clip",
                desc=f"prepare {known_set.name}",
                disable=not progress,
            ) as bar:
                try:
                    read_parts(missing, worker_count(workers, missing), bar, refused=len(problems))
                except KeyboardInterrupt:
                    kept = sum(complete(part.file) for part in parts)
                    raise KeyboardInterrupt(
                        f"stopped; {kept} of {len(parts)} parts are kept, and the same command goes on from there."
                    ) from None
            clips, problems = _join(parts, card, problems, out, work, overwrite)
    return Report(out, clips, tuple(problems), False, len(parts), len(parts) - len(missing))


def _worth_reading(known: KnownSet, sources: list[Source], root: Path | None) -> tuple[list[Source], list[Problem]]:
    """Sort out what need not be read: labels that are no class, ids that are unprintable or were there before."""
    good: list[Source] = []
    problems: list[Problem] = []
    first: dict[str, Source] = {}
    for source in sources:
        file = below(source, root)
        if not 0 <= source.label < len(known.classes):
            reason = (
                f"it stands for none of the {len(known.classes)} classes (label {source.label}); rename or remove it."
            )
            problems.append(Problem(source.id, file, reason))
        elif not source.id or not source.id.isprintable():
            problems.append(Problem(source.id, file, "its name holds characters that cannot be printed; rename it."))
        elif source.id in first:
            reason = f"the id was there before, from '{below(first[source.id], root)}', which is kept."
            problems.append(Problem(source.id, file, reason))
        else:
            first[source.id] = source
            good.append(source)
    return good, problems


def _columns(sources: list[Source]) -> dict[str, str]:
    columns = {name: type(value).__name__ for name, value in sources[0].facts.items()}
    for source in sources:
        if [(name, type(value).__name__) for name, value in source.facts.items()] != list(columns.items()):
            raise ValueError(f"clip '{source.id}' has the facts {source.facts}, but every clip needs {columns}.")
    return columns


def _settings(known: KnownSet) -> str:
    """What was set on this very data set, such as the seed of a computed one."""
    return ", ".join(f"{name}={value!r}" for name, value in sorted(vars(known).items()))


def _fingerprint(known: KnownSet, sources: list[Source], root: Path | None, *, exact: bool = False) -> str:
    """A hash of which files there are. Exact adds what a half-done run depends on: file times and our own version."""
    lines: list[Any] = [known.name, _settings(known), _version() if exact else "", CLIPS_PER_PART if exact else 0]
    for source in sources:
        state = (0, 0)
        if source.path is not None:
            try:
                stat = source.path.stat()
                state = (stat.st_size, stat.st_mtime_ns if exact else 0)
            except OSError:
                state = (-1, 0)  # reading it will say what is wrong
        lines.append([source.id, below(source, root), source.label, source.facts, *state])
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def _finished(out: Path, card: Card) -> Report | None:
    """The report of a store that is there already, None where the place is free."""
    if out.is_dir() and not any(out.iterdir()):
        return None
    if not is_store(out):
        raise FileExistsError(f"'{out}' is there and is no prepared data set; give another folder.")
    try:
        store = Store.open(out)
        with (out / "problems.csv").open(encoding="utf-8", newline="") as file:
            problems = tuple(Problem(*row) for row in list(csv.reader(file))[1:])
    except (ValueError, TypeError, OSError) as error:
        raise FileExistsError(f"'{out}' is there but damaged: {error} Or overwrite it.") from None
    if store.card.made.get("files") != card.made["files"]:
        raise FileExistsError(
            f"'{out}' is a store of '{store.name}' from other files or settings; overwrite it or give another folder."
        )
    return Report(out, len(store), problems, True, 0, 0)


def _join(
    parts: list[Part], card: Card, problems: list[Problem], out: Path, work: Path, overwrite: bool
) -> tuple[int, list[Problem]]:
    """Write the parts one after the other into the store. Returns the number of clips, and all problems by id."""
    clips = 0
    with StoreWriter(out, card, working=work / "store") as writer:
        for part in parts:
            try:
                rows, found, cells = load(part.file)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile):
                part.file.unlink(missing_ok=True)
                raise OSError(f"'{part.file}' was damaged and is removed; run the same command again.") from None
            problems = problems + found
            if cells is not None:
                writer.append_cells(rows, cells)
                clips += len(rows)
        problems = sorted(problems)
        if not clips:
            first = problems[0]
            raise ValueError(
                f"none of the {len(problems)} clips of '{card.name}' can be used (first: '{first.file or first.id}': "
                f"{first.reason})"
            )
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(Problem._fields)
        table.writerows(problems)
        writer.finish(problems=text.getvalue(), overwrite=overwrite)
    return clips, problems


@contextmanager
def _work_folder(out: Path, fingerprint: str) -> Iterator[Path]:
    """A hidden folder beside the store for the parts; it stays when the run is interrupted, and goes when it is done.

    Raises:
        BlockingIOError: another run is at work in it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.preparing")
    work.mkdir(exist_ok=True)
    with held(work, f"another run is preparing '{out}'; wait for it, or give another folder."):
        marker = work / "files.txt"
        if not marker.is_file() or marker.read_text(encoding="ascii") != fingerprint:
            for old in work.iterdir():
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
            write_whole(marker, fingerprint.encode("ascii"))
        try:
            yield work
        except ValueError:  # no clip can be used: there is nothing to go on from
            shutil.rmtree(work, ignore_errors=True)
            raise
        shutil.rmtree(work)


@contextmanager
def _clear_errors(out: Path) -> Iterator[None]:
    """Turn what the system says about a write that failed into one line about the store."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # ours, and clear already
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason = "the disk (or your share of it) is full; make room and run the same command again to go on"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = "no permission to write there; give another folder"
        else:
            reason = f"{error.strerror}; mend that and run the same command again to go on"
        clear = type(error)(f"cannot write '{out}': {reason}.")
        clear.errno = error.errno
        raise clear from error


def _version() -> str:
    try:
        return version("bonegraph")
    except PackageNotFoundError:
        return "unknown"
