"""A data set on another skeleton: for networks that were trained on that one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bonegraph.datasets.known.base import KnownSet, Source
from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton, conversion


class OnSkeleton(KnownSet):
    """The clips of a data set with their joints matched by name (`bonegraph.skeleton.conversion`).

    Joints that the recordings do not have are never seen.

    Args:
        known_set: the data set.
        skeleton: that its clips shall have.
    """

    def __init__(self, known_set: KnownSet, skeleton: Skeleton) -> None:
        self.known_set, self.skeleton = known_set, skeleton

    def __getattr__(self, name: str) -> Any:
        """Facts are those of the data set."""
        if name == "known_set":  # not there yet while a copy is unpacked
            raise AttributeError(name)
        return getattr(self.known_set, name)

    def settings(self) -> dict[str, object]:
        """Those of the data set, and the skeleton."""
        return {**self.known_set.settings(), "skeleton": self.skeleton.name}

    def guessed(self) -> str:
        """As the data set, and how the joints are matched where they differ."""
        how = conversion(self.known_set.skeleton, self.skeleton)
        same = how.source == how.target
        return ", ".join(filter(None, [self.known_set.guessed(), "" if same else f"converted {how}"]))

    def clips_at_once(self) -> int:
        """As the data set."""
        return self.known_set.clips_at_once()

    def find(self, folder: str | Path) -> list[Source]:
        """As the data set; some learn their skeleton here."""
        sources = self.known_set.find(folder)
        how = conversion(self.known_set.skeleton, self.skeleton)
        if len(how.missing) == self.skeleton.num_joints:
            raise ValueError(
                f"'{self.known_set.skeleton.name}' has none of the joints of '{self.skeleton.name}'; give another one."
            )
        self.has_confidence = self.known_set.has_confidence or bool(how.missing)
        return sources

    def read(self, source: Source) -> Sequence:
        """Read one clip and convert it."""
        return self.known_set.read(source).to_skeleton(self.skeleton)[0]
