"""Numbers that are none, clips without people, clips too short to hold an action."""

from __future__ import annotations

from bonegraph.datasets.checks.clip import Clip
from bonegraph.datasets.checks.finding import Finding, one_by_one
from bonegraph.datasets.store import Store

SHORTEST = 8
"""Frames; at 30 frames per second a quarter of a second."""


class Numbers:
    """Finds ``not-finite``, ``empty`` and ``short``."""

    def __init__(self, store: Store) -> None:
        self._joints = store.skeleton.joints
        self._errors: list[Finding] = []
        self._short: list[tuple[str, str]] = []
        self._clips = 0

    def look(self, clip: Clip) -> None:
        """Take in a clip."""
        self._clips += 1
        if len(clip.broken):
            _, frame, joint = clip.broken[0]
            message = (
                f"'{clip.id}' holds NaN or infinity in {len(clip.broken)} joints, the first is '{self._joints[joint]}' "
                f"in frame {frame}; training on it gives NaN."
            )
            self._errors.append(Finding("not-finite", "error", message, (clip.id,)))
        seen = len(set().union(*(person.frames.tolist() for person in clip.people)))
        if not seen:
            message = f"'{clip.id}' shows nobody in any of its {clip.frames} frames."
            self._errors.append(Finding("empty", "error", message, (clip.id,)))
        elif seen < SHORTEST:
            what = f"{seen} frame{'s' if seen > 1 else ''}"
            whole = "" if seen == clip.frames else f" of {clip.frames}"
            self._short.append(
                (clip.id, f"'{clip.id}' shows somebody in only {what}{whole}, too little for an action.")
            )

    def findings(self) -> list[Finding]:
        """What was found."""
        habit = f"somebody is seen in fewer than {SHORTEST} frames"
        return self._errors + one_by_one("short", self._short, self._clips, habit)
