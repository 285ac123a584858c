"""Shards: a preparation cut into pieces for many machines that share nothing but the recordings.

A shard is some of the parts that a preparation reads the clips in, in a folder of its own: the part files and
``shard.json``, which says what the whole is. It is no store; `merge` joins all shards of a set into one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from bonegraph.datasets.card import SHARD, Card

FORMAT = "bonegraph shard 1"


@dataclass(frozen=True, order=True)
class Shard:
    """Which shard of how many, counted from 1.

    Raises:
        ValueError: there is no such shard.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"shard {self.number}/{self.count} does not exist; count from 1/{self.count} on.")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read what a user writes, ``"3/16"``.

        Raises:
            ValueError: it is no shard.
        """
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        if match is None:
            raise ValueError(f"a shard is written as 3/16, the third of sixteen; got '{text}'.")
        return cls(int(match[1]), int(match[2]))

    def parts(self, total: int) -> range:
        """The parts of this shard: in order, every part of the total in one shard, sizes equal to within one."""
        return range((self.number - 1) * total // self.count, self.number * total // self.count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True)
class ShardCard:
    """What ``shard.json`` says.

    Args:
        shard: which one it is.
        card: of the whole store.
        parts: parts of the whole.
        clips: number of clips by file of a part, in order; refused clips are not counted.
        refused: files that were refused in this shard.
        problems: what was refused before reading, as (id, file, reason); only the first shard has them.
    """

    shard: Shard
    card: Card
    parts: int
    clips: dict[str, int]
    refused: int
    problems: tuple[tuple[str, str, str], ...] = ()

    def to_json(self) -> bytes:
        """The text of ``shard.json``; plain ASCII, because names of files may be text in no encoding."""
        data = {
            "format": FORMAT,
            "shard": str(self.shard),
            "parts": self.parts,
            "clips": self.clips,
            "refused": self.refused,
            "problems": self.problems,
            "card": self.card.to_dict(),
        }
        return (json.dumps(data, indent=2) + "\n").encode("ascii")


def is_shard(folder: Path) -> bool:
    """Whether a folder looks like a finished shard, without opening it."""
    return (folder / SHARD).is_file()


def part_file(number: int) -> str:
    """Name of the file of a part."""
    return f"part-{number:06d}.npz"


def write_shard_card(folder: Path, card: ShardCard) -> None:
    """Write ``shard.json``; last of all, because a folder that has it is taken for a finished shard."""
    (folder / SHARD).write_bytes(card.to_json())


def read_shard_card(folder: Path) -> ShardCard:
    """Read ``shard.json``.

    Raises:
        FileNotFoundError: there is no such folder, or it is no finished shard.
        ValueError: the file is damaged.
    """
    path = folder / SHARD
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder '{folder}'; give the shards that 'bonegraph prepare --shard' wrote.")
    if not path.is_file():
        raise FileNotFoundError(f"'{folder}' is no finished shard (it has no {SHARD}); prepare it with --shard first.")
    try:
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}; prepare the shard again")
        shard, total = Shard.parse(str(data["shard"])), int(data["parts"])
        clips = {str(name): int(count) for name, count in data["clips"].items()}
        due = shard.parts(total) if 0 <= total < 10**9 else range(0)
        if len(clips) != len(due) or list(clips) != [part_file(number) for number in due]:
            raise ValueError(f"its parts are not those of shard {shard} of {total} parts; prepare the shard again")
        problems = tuple((str(clip), str(file), str(reason)) for clip, file, reason in data["problems"])
        return ShardCard(shard, Card.from_dict(data["card"]), total, clips, int(data["refused"]), problems)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"'{path}' is damaged ({type(error).__name__}: {error}); prepare the shard again.") from None
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be used: {' '.join(str(error).split()).rstrip('.')}.") from None
