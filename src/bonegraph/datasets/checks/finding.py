"""What the checks of a store find, and what a check is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from bonegraph.datasets.checks.clip import Clip

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

HABIT = 0.1
"""What more than this share of the clips has is how the set was made, not an accident to look at one by one."""
_FEW = 20  # in a set of fewer clips nothing is a habit


@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Args:
        kind: which check found it, e.g. ``"duplicate"``.
        severity: ``"error"``: results on this store are not to be trusted; ``"warning"``: look at these clips;
            ``"note"``: worth knowing.
        message: one sentence.
        clips: ids of the clips it is about; empty if it is about a split or the whole set.
    """

    kind: str
    severity: Severity
    message: str
    clips: tuple[str, ...] = ()


class Check(Protocol):
    """One kind of check. It sees every clip once and keeps little of it."""

    def look(self, clip: Clip) -> None:
        """Take in a clip."""

    def findings(self) -> list[Finding]:
        """What was found, when all clips have been seen."""


def one_by_one(kind: str, found: Iterable[tuple[str, str]], clips: int, habit: str) -> list[Finding]:
    """A warning for each clip, or one note where so many clips have it that it is a habit of the set.

    Args:
        kind: of the findings.
        found: (clip id, sentence about it).
        clips: how many were looked at.
        habit: what it is, to be read after "in 12 of 20 clips (60 %)", e.g. "a joint stands still".
    """
    listed = list(found)
    ids = tuple(dict.fromkeys(clip for clip, _ in listed))
    if len(ids) > HABIT * clips and clips >= _FEW:
        share = f"in {len(ids):,} of {clips:,} clips ({len(ids) / clips:.0%})"
        return [
            Finding(kind, "note", f"{share} {habit}; this is how the set was made, if not a mistake in reading.", ids)
        ]
    return [Finding(kind, "warning", message, (clip,)) for clip, message in listed]
