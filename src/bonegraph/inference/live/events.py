"""What is told while watching, as records and as plain data for JSON; times are seconds since the first picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

_DIGITS = 4


@dataclass(frozen=True)
class Answer:
    """What somebody does now.

    Attributes:
        time: of the last frame that was looked at.
        person: number of the person, from 1; None where all people are looked at together.
        people: numbers of those who were looked at.
        action: name of the class, or "unknown".
        probability: of the action, or of the likeliest one where it is unknown; smoothed.
        top: the most probable classes with their probabilities, smoothed.
        since: when the action began.
    """

    event: ClassVar[str] = ""
    time: float
    person: int | None
    people: tuple[int, ...]
    action: str
    probability: float
    top: tuple[tuple[str, float], ...]
    since: float


@dataclass(frozen=True)
class End:
    """An action has ended.

    Attributes:
        time: when that was noticed.
        person: as in `Answer`.
        action: name of the class.
        start: when it began.
        end: when it ended.
        probability: mean over its answers.
    """

    event: ClassVar[str] = "end"
    time: float
    person: int | None
    action: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Leave:
    """Somebody has left, and their number is never given again.

    Attributes:
        time: when that was noticed.
        person: number of the person.
        seen: when the person was seen last.
    """

    event: ClassVar[str] = "leave"
    time: float
    person: int
    seen: float


@dataclass(frozen=True)
class Status:
    """How fast it goes, over the last few seconds.

    Attributes:
        time: of the last picture.
        fps: pictures a second in which people were looked for.
        pose_ms: milliseconds to find the people of a picture; mean.
        model_ms: milliseconds of the networks for an answer for everybody; mean.
        delay: seconds from the arrival of a picture until all was said about it; mean.
        dropped: pictures of the source that were left out because they came while we were busy; since the start.
        people: how many are there.
    """

    event: ClassVar[str] = "status"
    time: float
    fps: float
    pose_ms: float | None
    model_ms: float | None
    delay: float | None
    dropped: int
    people: int


@dataclass(frozen=True)
class Broken:
    """The connection to the source is lost, and is tried again.

    Attributes:
        time: of the last picture.
        why: in words.
    """

    event: ClassVar[str] = "lost"
    time: float
    why: str


@dataclass(frozen=True)
class Mended:
    """The connection is there again.

    Attributes:
        time: of the last picture.
    """

    event: ClassVar[str] = "found"
    time: float


Event = Answer | End | Leave | Status | Broken | Mended


def plain(event: Event) -> dict[str, Any]:
    """As `docs/watch.md` shows it: an answer has no key ``event``, everything else has."""
    found: Mapping[str, Any] = asdict(event)
    named = {"event": event.event} if event.event else {}
    return {**named, **{name: _rounded(value) for name, value in found.items()}}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    return [_rounded(part) for part in value] if isinstance(value, tuple) else value
