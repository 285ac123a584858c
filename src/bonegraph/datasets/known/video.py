"""Your own videos: a folder of films, from which the pose step makes skeletons."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import ClassVar, get_args

from tqdm import tqdm

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.known.labels import Labelled
from bonegraph.pose.estimator import PoseEstimator
from bonegraph.pose.mediapipe_pose import mediapipe_for
from bonegraph.pose.recording import Space, film
from bonegraph.read.video import FALLBACK_FPS, VIDEOS, Video, parse_size
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, nearest

_ASKED = 9  # films whose frame rate is looked at


class VideoSet(Labelled):
    """Your own videos: skeletons are found in them by MediaPipe, on the skeleton mediapipe33 (see docs/video.md).

    Labels and splits come from a table or from folders, see `bonegraph.datasets.known.labels.Labelled`.

    Args:
        fps: frames per second; all videos are brought to this rate. Default that of most of them, at most 30.
        resize: WIDTHxHEIGHT, e.g. 340x256 as for Kinetics-Skeleton; default the size of each video.
        people: at most so many people in a clip, those who are seen most.
        space: image (x and y in pixels) or world (x, y, z in metres about each person's hips).
        classes: a text file, one class name a line, which fixes their order; default by alphabet, or by number.
        seed: of the split ``random``.
        labels: the table of labels; default labels.csv. ``folders`` takes the folders even if there is one.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such file of class names.
    """

    name = "video"
    where = "the videos, with a labels.csv or in one folder per class"
    skeleton = SKELETONS["mediapipe33"]  # until `find` has asked the estimator
    reasons: ClassVar[dict[str, str]] = {
        "skeleton": "of the pose estimator",
        "fps": "as most of the films",
    }
    patterns = tuple(f"*{ending}" for each in VIDEOS for ending in (each, each.upper()))

    def __init__(
        self,
        fps: float | None = None,
        resize: str | None = None,
        people: int = 1,
        space: Space = "image",
        classes: Path | None = None,
        seed: int = 0,
        labels: str | None = None,
    ) -> None:
        if space not in get_args(Space):
            raise ValueError(f"space cannot be {space!r}{nearest(str(space), get_args(Space))}.")
        super().__init__(None, fps, "px" if space == "image" else "m", classes, labels, seed)
        self.size = None if resize is None else parse_size(resize)
        self.people, self.space = people, space
        if people < 1:
            raise ValueError(f"people must be at least 1, got {people}.")
        self.unit = "px" if space == "image" else "m"
        self._given |= {"resize": resize, "people": people, "space": space}

    def estimator(self) -> PoseEstimator:
        """Finds the people; a subclass may have another one."""
        return mediapipe_for(self.people)

    def clips_at_once(self) -> int:
        """One: a clip may take a minute."""
        return 1

    def look_at(self, recordings: list[Path]) -> None:
        """Take the skeleton of the estimator and, where it is not set, the frame rate of the films.

        Raises:
            ValueError: the estimator cannot be used.
        """
        estimator = self.estimator()  # what is not installed is said once, not of every clip
        if self.space == "world" and not estimator.metric:
            raise ValueError(f"'{estimator.name}' finds people in the picture only; use --space image.")
        self.skeleton, self._given["estimator"] = estimator.skeleton, estimator.name
        if self._given["fps"] is None:
            self.fps = _usual_rate(recordings)

    def read(self, source: Source) -> Sequence:
        """Find the people in one video; a note about a damaged one goes to standard error."""
        assert source.path is not None
        found = film(Video(source.path, self.fps, self.size), self.estimator(), people=self.people)
        for note in found.notes:
            tqdm.write(f"note: {note}", file=sys.stderr)
        return found.sequence(self.space)


def _usual_rate(films: list[Path]) -> float:
    """The middle one of the rates of some of the films; not above 30, as every frame costs a search for people."""
    rates = []
    for path in films[:: -(-len(films) // _ASKED)]:
        try:
            rates.append(round(Video(path).fps, 3))
        except ValueError:
            continue  # which reading it will say
    return min(statistics.median_low(rates), FALLBACK_FPS) if rates else FALLBACK_FPS
