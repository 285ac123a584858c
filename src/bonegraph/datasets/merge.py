"""Merging: all shards of a preparation become the store that one machine would have written, to the byte.

Each shard holds its parts as they were read, so that merging is the last step of a preparation: the parts are joined in
order. One part is in memory at a time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bonegraph.datasets.parts import DAMAGED, Loaded, Problem, complete, load
from bonegraph.datasets.prepare import Report, clear_errors, finished, join, work_folder
from bonegraph.datasets.shards import ShardCard, read_shard_card


def merge(
    out_folder: str | Path, shard_folders: Iterable[str | Path], *, progress: bool = True, overwrite: bool = False
) -> Report:
    """Join the shards that ``prepare`` wrote into one store. The shards stay as they are.

    If it is interrupted in any way, nothing of the store is there, and the same call merges again from the beginning,
    which takes as long as copying.

    Args:
        out_folder: the store to write; it must not exist, be empty, or (with overwrite) be a store.
        shard_folders: every shard of one preparation, in any order.
        progress: show a progress bar.
        overwrite: write the store again even if it is there.

    Returns:
        What was done; ``str(report)`` is one line.

    Raises:
        FileNotFoundError: a folder is no shard, or a shard lacks a part.
        FileExistsError: the place is taken by something else.
        ValueError: shards are missing, given twice, damaged or not of one preparation, or no clip can be used.
        OSError: the store cannot be written (disk full, no permission), or another run is writing it.
        KeyboardInterrupt: Ctrl-C.
    """
    out = Path(out_folder).absolute()
    shards = _complete([(Path(folder), read_shard_card(Path(folder))) for folder in shard_folders])
    for folder, sealed in shards:
        if out.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"the store '{out}' would lie in the shard '{folder}'; give a folder outside of it.")
        for name in sealed.clips:
            if not complete(folder / name):
                raise ValueError(_again(folder, sealed, f"'{folder / name}' is missing or cut off"))
    first = shards[0][1]
    clips = sum(sum(sealed.clips.values()) for _, sealed in shards)
    with clear_errors(out):
        if out.exists() and not overwrite and (done := finished(out, first.card)):
            return done
        with work_folder(out, f"merge {first.card.made.get('files')}") as work:
            try:
                with tqdm(total=clips, unit="clip", desc=f"merge {first.card.name}", disable=not progress) as bar:
                    problems = [Problem(*problem) for problem in first.problems]
                    clips, problems = join(_loaded(shards, bar), first.card, problems, out, work, overwrite)
            except KeyboardInterrupt:
                shutil.rmtree(work, ignore_errors=True)
                raise KeyboardInterrupt("stopped; nothing is written, the same command merges again.") from None
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)  # there is nothing to go on from
                raise
    return Report(out, clips, tuple(problems), False, first.parts, 0)


def _complete(shards: list[tuple[Path, ShardCard]]) -> list[tuple[Path, ShardCard]]:
    """The shards in order, if they are all shards of one preparation, each once."""
    if not shards:
        raise ValueError("no shards to merge; give the folders that 'bonegraph prepare --shard' wrote.")
    one, first = shards[0]
    by_number: dict[int, tuple[Path, ShardCard]] = {}
    for folder, sealed in shards:
        if other := _difference(first, sealed):
            raise ValueError(f"'{one}' and '{folder}' are shards of different preparations: {other}.")
        number, count = sealed.shard.number, sealed.shard.count
        if number in by_number:
            raise ValueError(f"shard {number} of {count} is given twice: '{by_number[number][0]}' and '{folder}'.")
        by_number[number] = folder, sealed
    count = first.shard.count
    if missing := sorted(set(range(1, count + 1)) - set(by_number)):
        named = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise ValueError(
            f"{len(missing)} of {count} shards are missing: {named}; prepare them with --shard {missing[0]}/{count} "
            "and so on, or give their folders too."
        )
    return [by_number[number] for number in sorted(by_number)]


def _difference(one: ShardCard, other: ShardCard) -> str:
    """What two shards disagree about that those of one preparation agree about; empty if nothing."""
    if one.shard.count != other.shard.count:
        return f"one is {one.shard}, the other {other.shard}"
    ours, theirs = one.card.to_dict(), other.card.to_dict()
    made, also = ours.pop("made"), theirs.pop("made")
    # The name of the folder that a machine had the recordings in is of no consequence.
    ours.pop("source"), theirs.pop("source")
    meaning = {
        "bonegraph": "they were made by different versions of bonegraph, {} and {}",
        "reader": "they were read by different readers, {} and {}",
        "settings": "they have different settings, '{}' and '{}'",
        "files": "their source folders hold different files (names, sizes or labels)",
    }
    # The name first: from other data sets, everything else differs too.
    differing: list[tuple[str, Any, Any]] = [("name", ours["name"], theirs["name"])]
    differing += [(key, made.get(key), also.get(key)) for key in {**meaning, **made, **also}]
    differing += [(key, ours[key], theirs[key]) for key in ours]
    differing += [("number of parts", one.parts, other.parts)]
    for key, mine, its in differing:
        if mine != its:
            return meaning.get(key, f"they differ in {key}").format(mine, its)
    return ""


def _loaded(shards: list[tuple[Path, ShardCard]], bar: tqdm[Any]) -> Iterator[Loaded]:
    for folder, sealed in shards:
        for name, clips in sealed.clips.items():
            try:
                part = load(folder / name)
            except DAMAGED as error:
                reason = " ".join(str(error).split())
                raise ValueError(_again(folder, sealed, f"'{folder / name}' is damaged ({reason})")) from None
            if len(part.rows) != clips:
                reason = f"'{folder / name}' holds {len(part.rows)} clips instead of {clips}"
                raise ValueError(_again(folder, sealed, reason))
            yield part
            bar.update(clips)


def _again(folder: Path, sealed: ShardCard, reason: str) -> str:
    return f"{reason}; remove the folder '{folder}' and prepare shard {sealed.shard} again."
