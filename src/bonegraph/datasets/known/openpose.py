"""Your own recordings: what OpenPose wrote of each video, a folder of frames for each clip."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from bonegraph.datasets.known.base import Source, files_in
from bonegraph.datasets.known.labels import Labelled
from bonegraph.read.openpose import PATTERN, read_openpose
from bonegraph.sequence import Sequence


class OpenPoseSet(Labelled):
    """Folders of frames as OpenPose writes them with ``--write_json``, one folder for each clip, BODY_25 or COCO.

    Labels and splits come from a table or from folders, see `bonegraph.datasets.known.labels.Labelled`.

    Args:
        fps: frames per second of the videos; default 30.
        people: at most so many people in a clip, those who are seen most surely.
        classes: a text file, one class name a line, which fixes their order; default by alphabet, or by number.
        labels: the table of labels; default labels.csv. ``folders`` takes the folders even if there is one.
        seed: of the split ``random``.

    Raises:
        ValueError: a setting makes no sense.
        FileNotFoundError: there is no such file of class names.
    """

    name = "openpose"
    where = "the folders that OpenPose wrote for the videos, with a labels.csv or in one folder per class"
    patterns = (PATTERN,)
    reasons: ClassVar[dict[str, str]] = {"skeleton": "of the first clip", "fps": "as the files tell none"}

    def __init__(
        self,
        fps: float | None = None,
        people: int = 2,
        classes: Path | None = None,
        labels: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(None, fps, "px", classes, labels, seed)
        if people < 1:
            raise ValueError(f"people must be at least 1, got {people}.")
        self.unit, self.people = "px", people
        self._given["people"] = people

    def recordings(self, folder: Path) -> list[Path]:
        """The folders that hold frames.

        Raises:
            FileNotFoundError: there are none.
        """
        return sorted({path.parent for path in files_in(self, folder, PATTERN)} - {folder})

    def look_at(self, recordings: list[Path]) -> None:
        """Take the skeleton of the first clip that shows anybody."""
        for path in recordings:
            try:
                sequence = read_openpose(path, 1)
            except (ValueError, OSError):
                continue  # which `read` will say
            self.skeleton = sequence.skeleton
            if sequence.present.any():
                return

    def read(self, source: Source) -> Sequence:
        """Read the frames of one clip.

        Raises:
            ValueError: they are damaged or belong to several videos, or lack joints that the first clip has.
        """
        assert source.path is not None
        return self.as_ours(read_openpose(source.path, self.people, self.fps))
