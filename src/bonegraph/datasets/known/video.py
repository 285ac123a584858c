"""Your own videos: a folder of films, from which the pose step makes skeletons."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.known.labels import PARTS, Labelled
from bonegraph.datasets.splits import Split
from bonegraph.pose.estimator import PoseEstimator
from bonegraph.pose.mediapipe_pose import mediapipe_for
from bonegraph.pose.recording import Space, film
from bonegraph.read.video import FALLBACK_FPS, VIDEOS, Video, parse_size
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, nearest

_TESTED = 0.2
"""This part of the subjects (or of the clips of each class) is tested on, and as much validated on."""


class VideoSet(Labelled):
    """Your own videos: skeletons are found in them by MediaPipe, on the skeleton mediapipe33 (see docs/video.md).

    The source is a folder with ``labels.csv`` (or that file, by any name), whose columns are ``file``, ``label`` and
    any further facts, such as ``subject``; or a folder with one folder per class. A column of ``train``, ``val`` and
    ``test`` is a split of its name (``given``, if it is called ``part``). A column ``subject`` gives the split
    ``xsub``, which tests on one subject in five and validates on as many. Where there is neither, the split ``random``
    takes clips of each class by the seed.

    Args:
        fps: frames per second; all videos are brought to this rate.
        resize: WIDTHxHEIGHT, e.g. 340x256 as for Kinetics-Skeleton; default the size of each video.
        people: at most so many people in a clip, those who are seen most.
        space: image (x and y in pixels) or world (x, y, z in metres about each person's hips).
        classes: a text file, one class name a line, which fixes their order; default by alphabet, or by number.
        seed: of the split ``random``.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such file of class names.
    """

    name = "video"
    where = "the videos, with a labels.csv or in one folder per class"
    skeleton = SKELETONS["mediapipe33"]  # until `find` has asked the estimator
    patterns = tuple(f"*{ending}" for each in VIDEOS for ending in (each, each.upper()))

    def __init__(
        self,
        fps: float = FALLBACK_FPS,
        resize: str | None = None,
        people: int = 1,
        space: Space = "image",
        classes: Path | None = None,
        seed: int = 0,
    ) -> None:
        if space not in get_args(Space):
            raise ValueError(f"space cannot be {space!r}{nearest(str(space), get_args(Space))}.")
        super().__init__(None, fps, "px" if space == "image" else "m", classes)
        self.size = None if resize is None else parse_size(resize)
        self.people, self.space, self.seed = people, space, seed
        if people < 1:
            raise ValueError(f"people must be at least 1, got {people}.")
        self.unit = "px" if space == "image" else "m"
        self._given |= {"resize": resize, "people": people, "space": space, "seed": seed}

    def estimator(self) -> PoseEstimator:
        """Finds the people; a subclass may have another one."""
        return mediapipe_for(self.people)

    def clips_at_once(self) -> int:
        """One: a clip may take a minute."""
        return 1

    def find(self, folder: str | Path) -> list[Source]:
        """Every video that ``labels.csv`` names, or every one below the folders of the classes.

        Raises:
            FileNotFoundError: the folder is missing or holds no video.
            ValueError: ``labels.csv`` is damaged, nothing has a label, or the estimator cannot be used.
        """
        found = self.files_below(Path(folder))
        estimator = self.estimator()  # what is not installed is said once, not of every clip
        if self.space == "world" and not estimator.metric:
            raise ValueError(f"'{estimator.name}' finds people in the picture only; use --space image.")
        self.skeleton, self._given["estimator"] = estimator.skeleton, estimator.name
        sources = self.labelled(found)
        if "subject" in sources[0].facts and "xsub" not in self.splits:
            there = {source.facts["subject"] for source in sources if not source.refused}
            subjects = sorted(there, key=lambda one: (one, "") if isinstance(one, int) else (0, one))
            if len(subjects) > 1:
                self.splits["xsub"] = _by_subject(tuple(subjects))
        if not self.splits and "random" not in sources[0].facts:
            parts = _random_parts(sources, self.seed)
            sources = [replace(source, facts={**source.facts, "random": parts[source.id]}) for source in sources]
            taken = [part for part in PARTS if part in parts.values()]
            self.splits["random"] = Split("random", {part: (part,) for part in taken})
        return sources

    def read(self, source: Source) -> Sequence:
        """Find the people in one video; a note about a damaged one goes to standard error."""
        assert source.path is not None
        found = film(Video(source.path, self.fps, self.size), self.estimator(), people=self.people)
        for note in found.notes:
            tqdm.write(f"note: {note}", file=sys.stderr)
        return found.sequence(self.space)


def _by_subject(subjects: tuple[int | str, ...]) -> Split:
    """The last of the subjects are tested on, those before them validated on, if there are at least three."""
    held = max(1, round(_TESTED * len(subjects)))
    parts = {"train": subjects[: -2 * held], "val": subjects[-2 * held : -held], "test": subjects[-held:]}
    if len(subjects) < 3:
        parts = {"train": subjects[:1], "test": subjects[1:]}
    return Split("subject", parts)


def _random_parts(sources: list[Source], seed: int) -> dict[str, str]:
    """A part for every clip by its id: of each class a fifth is test, a fifth val, at least one of 3."""
    by_class: dict[int, list[str]] = defaultdict(list)
    for source in sources:
        if not source.refused:
            by_class[source.label].append(source.id)
    parts = {source.id: "none" for source in sources}
    for clips in by_class.values():
        clips.sort(key=lambda clip: hashlib.sha256(f"{seed} {clip}".encode()).digest())
        held = max(1, round(_TESTED * len(clips))) if len(clips) > 1 else 0
        for number, clip in enumerate(clips):
            is_val = held <= number < 2 * held and len(clips) > 2
            parts[clip] = "test" if number < held else "val" if is_val else "train"
    return parts
