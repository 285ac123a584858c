"""Your own recordings: the landmarks of MediaPipe, a file for each clip."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import Source
from bonegraph.datasets.known.labels import Labelled
from bonegraph.read.mediapipe import Space, read_mediapipe
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS


class MediaPipeSet(Labelled):
    """Landmarks as people save them of MediaPipe Pose, one ``.json``, ``.csv`` or ``.npy`` file for each clip.

    Labels and splits come from a table or from folders, see `bonegraph.datasets.known.labels.Labelled`.

    Args:
        fps: frames per second; default 30.
        people: at most so many people in a clip, those who are seen most surely.
        space: image (x and y in parts of the picture) or world (x, y, z in metres about each person's hips); default
            that of the first file.
        classes: a text file, one class name a line, which fixes their order; default by alphabet, or by number.
        labels: the table of labels; default labels.csv. ``folders`` takes the folders even if there is one.
        seed: of the split ``random``.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such file of class names.
    """

    name = "mediapipe"
    where = "the landmarks as .json, .csv or .npy files, with a labels.csv or in one folder per class"
    skeleton = SKELETONS["mediapipe33"]
    patterns = ("*.json", "*.csv", "*.npy")
    reasons: ClassVar[dict[str, str]] = {"fps": "as the files tell none", "space": "as in the first file"}

    def __init__(
        self,
        fps: float | None = None,
        people: int = 2,
        space: Space | None = None,
        classes: Path | None = None,
        labels: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(None, fps, None, classes, labels, seed)
        if people < 1:
            raise ValueError(f"people must be at least 1, got {people}.")
        self.people, self.space = people, space
        self._given |= {"people": people, "space": space}

    def look_at(self, recordings: list[Path]) -> None:
        """Take the coordinates, where they are not set, from the first file that can be read.

        Raises:
            ValueError: none can be read.
        """
        first: ValueError | None = None
        for path in recordings:
            try:
                self.unit = read_mediapipe(path, 1, self.fps, self.space).unit
            except ValueError as error:
                first = first or error
                continue
            self.space = "world" if self.unit == "m" else "image"
            return
        assert first is not None
        raise first

    def read(self, source: Source) -> Sequence:
        """Read one file.

        Raises:
            ValueError: it is damaged or lacks the coordinates.
        """
        assert source.path is not None
        return read_mediapipe(source.path, self.people, self.fps, self.space)
