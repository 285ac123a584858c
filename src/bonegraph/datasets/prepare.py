"""Preparation: from the files of a known set to a store.

The clips, sorted by id, are cut into parts of a fixed number. Worker processes read the parts in any order; each
becomes a file that appears under its name only when it is complete. At the end the parts are joined, in order, and the
store appears under its name. So the result does not depend on the number of workers, a run that was killed goes on
where it was, and what is half-written is never taken for a store.

A file that cannot be used is written into ``problems.csv`` with the reason; it never stops the others.

A shard of a preparation ends before the joining: its parts stay, and `bonegraph.datasets.merge` joins those of all
shards.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bonegraph.datasets.card import LONGEST_TEXT, Card, is_store
from bonegraph.datasets.known import KnownSet, Source
from bonegraph.datasets.known.base import CLIPS_PER_PART as CLIPS_PER_PART
from bonegraph.datasets.parts import DAMAGED, Loaded, Part, Problem, below, complete, load, read_parts, worker_count
from bonegraph.datasets.shards import Shard, ShardCard, is_shard, part_file, read_shard_card, write_shard_card
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter, move_folder
from bonegraph.files import held, write_whole


@dataclass(frozen=True)
class Report:
    """What a preparation did.

    Attributes:
        folder: the store, or the shard.
        clips: clips in it.
        problems: what was refused.
        already_done: the store was there before, from the same files, and was left untouched.
        parts: parts that the clips were read in.
        reused_parts: parts that an earlier, interrupted run had finished.
        shard: which one, if it is no whole store.
    """

    folder: Path
    clips: int
    problems: tuple[Problem, ...]
    already_done: bool
    parts: int
    reused_parts: int
    shard: Shard | None = None

    def __str__(self) -> str:
        if self.already_done:
            return f"'{self.folder}' is there already with {self.clips} clips from the same files; nothing to do."
        refused = f", {len(self.problems)} files refused (see problems.csv)" if self.problems else ""
        whole = "" if self.shard is None else f"; shard {self.shard}, to be merged with the others"
        return f"'{self.folder}': {self.clips} clips{refused}{whole}."


def prepare(
    known_set: KnownSet,
    source_folder: str | Path | None,
    out_folder: str | Path,
    *,
    workers: int | None = None,
    progress: bool = True,
    overwrite: bool = False,
    shard: Shard | None = None,
    say: Callable[[str], None] | None = None,
) -> Report:
    """Read every clip of a data set and write them as a store.

    If it is interrupted in any way, the same call goes on from the parts that were finished, and the result is the same
    to the byte. Called with more than one worker from a script, the call must stand under
    ``if __name__ == "__main__":``, as everything that starts processes.

    Args:
        known_set: the data set, e.g. ``known_set("nw-ucla")``.
        source_folder: where its files are, or the one file of a container; sets that are computed ignore it.
        out_folder: the store to write; it must not exist, be empty, or (with overwrite) be a store.
        workers: processes that read; 1 reads in this process; None takes the processors of the machine, or 1 where
            there is little to read.
        progress: show a progress bar.
        overwrite: write the store again even if it is there.
        shard: prepare only this piece, as a shard to be merged with the others; it may turn out empty.
        say: called, before anything takes time, with a line about what was guessed from the files.

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
    if say is not None and (guessed := known_set.guessed()):
        say(guessed)
    if all(source.path is None for source in found):
        root = None  # computed clips lie nowhere
    if root is not None and out.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"the store '{out}' would lie among the files of '{root}'; give a folder outside of it.")
    if root is not None and root.is_file():
        root = root.parent  # from where `below` names the file
    sources = sorted(found, key=lambda source: (source.id, str(source.path)))
    if not sources:
        raise ValueError(f"'{known_set.name}' has no clips in '{source_folder}'; give the folder of its files.")
    sizes = _sizes(sources)
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
            "files": _fingerprint(known_set, sources, root, sizes),
        },
    )
    good, problems = _worth_reading(known_set, sources, root)
    at_once = known_set.clips_at_once()
    total = -(-len(good) // at_once)
    numbers = range(total) if shard is None else shard.parts(total)
    if shard is not None and shard.number > 1:
        problems = []  # the first shard tells them
    work_of = _fingerprint(known_set, sources, root, sizes, exact=True) + (f" {shard}" if shard is not None else "")
    with clear_errors(out):
        if out.exists() and not overwrite and (done := finished(out, card, shard)):
            return done
        with work_folder(out, work_of) as work:
            place = work if shard is None else work / "shard"
            place.mkdir(exist_ok=True)
            parts = [
                Part(
                    known_set,
                    tuple(good[number * at_once : (number + 1) * at_once]),
                    root,
                    place / part_file(number),
                )
                for number in numbers
            ]
            missing = [part for part in parts if not complete(part.file)]
            clips, left = (sum(len(part.sources) for part in some) for some in (parts, missing))
            with tqdm(
                total=clips,
                initial=clips - left,
                unit="clip",
                desc=f"prepare {known_set.name}" + (f" {shard}" if shard is not None else ""),
                disable=not progress,
            ) as bar:
                try:
                    read_parts(missing, worker_count(workers, missing), bar, refused=len(problems))
                except KeyboardInterrupt:
                    kept = sum(complete(part.file) for part in parts)
                    raise KeyboardInterrupt(
                        f"stopped; {kept} of {len(parts)} parts are kept, and the same command goes on from there."
                    ) from None
            if shard is None:
                clips, problems = join(_loaded(parts), card, problems, out, work, overwrite)
            else:
                sealed = ShardCard(shard, card, total, {}, 0, tuple(problems))
                clips, problems = _seal(parts, sealed, place, out, overwrite)
    return Report(out, clips, tuple(problems), False, len(parts), len(parts) - len(missing), shard)


def _worth_reading(known: KnownSet, sources: list[Source], root: Path | None) -> tuple[list[Source], list[Problem]]:
    """Sort out what need not be read: labels that are no class, ids that are unprintable or were there before."""
    good: list[Source] = []
    problems: list[Problem] = []
    first: dict[str, Source] = {}
    for source in sources:
        file = below(source, root)
        if source.refused:
            problems.append(Problem(source.id, file, source.refused))
        elif not 0 <= source.label < len(known.classes):
            reason = (
                f"it stands for none of the {len(known.classes)} classes (label {source.label}); rename or remove it."
            )
            problems.append(Problem(source.id, file, reason))
        elif not source.id or not source.id.isprintable():
            problems.append(Problem(source.id, file, "its name holds characters that cannot be printed; rename it."))
        elif any(len(str(text)) > LONGEST_TEXT for text in (source.id, *source.facts.values())):
            reason = f"its name or a fact of it has more than {LONGEST_TEXT} characters; shorten it."
            problems.append(Problem(source.id[:LONGEST_TEXT], file, reason))
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


def _settings(known: KnownSet, *, found: bool = False) -> str:
    """What was set on this very data set, such as the seed of a computed one; found adds what its files told it."""
    values = vars(known) if found else known.settings()
    return ", ".join(f"{name}={value!r}" for name, value in sorted(values.items()))


def _sizes(sources: list[Source]) -> list[tuple[int, int]]:
    """Size and time of every file, asked for once: on a network each question takes a moment.

    The size of a folder, where that is one recording, is how many files it has.
    """
    sizes = []
    for source in sources:
        size = (0, 0)
        if source.path is not None:
            try:
                stat = source.path.stat()
                length = sum(1 for _ in source.path.iterdir()) if source.path.is_dir() else stat.st_size
                size = (length, stat.st_mtime_ns)
            except OSError:
                size = (-1, 0)  # reading it will say what is wrong
        sizes.append(size)
    return sizes


def _fingerprint(
    known: KnownSet, sources: list[Source], root: Path | None, sizes: list[tuple[int, int]], *, exact: bool = False
) -> str:
    """A hash of which files there are. Exact adds what a half-done run depends on: file times and our own version."""
    settings = _settings(known, found=True)
    lines: list[Any] = [known.name, settings, _version() if exact else "", known.clips_at_once() if exact else 0]
    for source, (size, time) in zip(sources, sizes, strict=True):
        line = [source.id, below(source, root), source.label, source.facts, size, time if exact else 0]
        lines.append([*line, source.refused] if source.refused else line)
    return hashlib.sha256(json.dumps(lines).encode()).hexdigest()


def finished(out: Path, card: Card, shard: Shard | None = None) -> Report | None:
    """The report of a store (or shard) that is there already, None where the place is free.

    Raises:
        FileExistsError: something else is there.
    """
    if out.is_dir() and not any(out.iterdir()):
        return None
    if not (is_store(out) if shard is None else is_shard(out)):
        what = "prepared data set" if shard is None else "shard"
        raise FileExistsError(f"'{out}' is there and is no {what}; give another folder.")
    try:
        if shard is None:
            store = Store.open(out)
            found, clips, there = store.card, len(store), None
        else:
            sealed = read_shard_card(out)
            found, clips, there = sealed.card, sum(sealed.clips.values()), sealed.shard
        with (out / "problems.csv").open(encoding="utf-8", newline="") as file:
            problems = tuple(Problem(*row) for row in list(csv.reader(file))[1:])
    except (ValueError, TypeError, OSError) as error:
        raise FileExistsError(f"'{out}' is there but damaged: {error} Or overwrite it.") from None
    what = f"{'a store' if there is None else f'shard {there}'} of '{found.name}'"
    if found.made.get("files") != card.made["files"]:
        raise FileExistsError(f"'{out}' is {what} from other files or settings; overwrite it or give another folder.")
    if there != shard:
        raise FileExistsError(f"'{out}' is {what}, not {shard}; overwrite it or give another folder.")
    return Report(out, clips, problems, True, 0, 0, shard)


def _loaded(parts: list[Part], *, arrays: bool = True) -> Iterator[Loaded]:
    for part in parts:
        try:
            yield load(part.file, arrays=arrays)
        except DAMAGED:
            part.file.unlink(missing_ok=True)
            raise OSError(f"'{part.file}' was damaged and is removed; run the same command again.") from None


def join(
    parts: Iterable[Loaded], card: Card, problems: list[Problem], out: Path, work: Path, overwrite: bool
) -> tuple[int, list[Problem]]:
    """Write the parts one after the other into the store. Returns the number of clips, and all problems by id.

    Raises:
        ValueError: there is no clip in any of them, or they do not fit together.
        OSError: the store cannot be written.
    """
    clips = 0
    with StoreWriter(out, card, working=work / "store") as writer:
        for rows, found, cells in parts:
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
        writer.finish(problems=_table(problems), overwrite=overwrite)
    return clips, problems


def _seal(parts: list[Part], card: ShardCard, place: Path, out: Path, overwrite: bool) -> tuple[int, list[Problem]]:
    """Make the folder of the parts a shard. Returns the number of clips, and all problems by id."""
    clips: dict[str, int] = {}
    problems = [Problem(*problem) for problem in card.problems]
    for part, (rows, found, _) in zip(parts, _loaded(parts, arrays=False), strict=True):
        clips[part.file.name] = len(rows)
        problems += found
    problems.sort()
    (place / "problems.csv").write_text(_table(problems), encoding="utf-8", errors="backslashreplace", newline="\n")
    write_shard_card(place, replace(card, clips=clips, refused=len(problems)))
    move_folder(place, out, overwrite=overwrite)
    return sum(clips.values()), problems


def _table(problems: list[Problem]) -> str:
    """The text of ``problems.csv``."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Problem._fields)
    table.writerows(problems)
    return text.getvalue()


@contextmanager
def work_folder(out: Path, fingerprint: str) -> Iterator[Path]:
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
def clear_errors(out: Path) -> Iterator[None]:
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
