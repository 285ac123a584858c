"""Scores from any file: our own archives, tables, and the pickles of other code."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bonegraph.read.pickles import load_pickle
from bonegraph.scores.by_id import Scores
from bonegraph.scores.order import PICKLES, ClipOrder
from bonegraph.scores.pickled import scores_of_pickle
from bonegraph.scores.streams import stream_runs
from bonegraph.scores.tables import read_table


class ReadScores(NamedTuple):
    """Scores from a file.

    Attributes:
        scores: by clip id; a file without class names gives classes "0", "1", and so on.
        notes: what had to be assumed about the file, a sentence each.
    """

    scores: Scores
    notes: tuple[str, ...]


def scores_file(given: str | Path, part: str = "test") -> Path:
    """The file of scores that is meant: that of a run folder for a part of its split, or the file itself.

    Raises:
        FileNotFoundError: there is none; the message says how to make it.
    """
    given = Path(given)
    path = given / f"scores{'' if part == 'test' else f'-{part}'}.npz" if given.is_dir() else given
    if not path.is_file():
        if streams := stream_runs(given):
            raise FileNotFoundError(
                f"'{given}' is a folder of streams; give one of them ('{next(iter(streams.values()))}') or their fused "
                f"scores ('{given / 'fused-2s.npz'}'), which 'bonegraph evaluate {given}' writes."
            )
        option = "" if part == "test" else f" --part {part}"
        how = f"; write it with 'bonegraph evaluate {given}{option}'." if given.is_dir() else "."
        raise FileNotFoundError(f"no scores '{path}'{how}")
    return path


def read_scores(path: str | Path, order: ClipOrder | None = None) -> ReadScores:
    """Read scores, whoever wrote them.

    Args:
        path: a run folder (its ``scores.npz``); ``.npz`` of ours; ``.csv`` (see `bonegraph.scores.tables`); ``.pkl`` or
            ``.pickle`` of other code (see `bonegraph.scores.pickled`), which is read without executing anything in it.
        order: of the clips, for a file without their ids.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no scores, in one line.
    """
    path = scores_file(path)
    if path.suffix == ".npz":
        return ReadScores(Scores.load(path), ())
    if path.suffix == ".csv":
        scores, notes = read_table(path)
    elif path.suffix in PICKLES:
        content = load_pickle(path)
        try:
            scores, notes = scores_of_pickle(content, order)
        except ValueError as error:
            raise ValueError(f"'{path}': {error}") from None
    else:
        raise ValueError(f"'{path}' is no scores file; give a run folder, .npz, .csv, {' or '.join(PICKLES)}.")
    return ReadScores(scores, tuple(f"'{path}': {note}" for note in notes))
