"""Penn Action."""

from __future__ import annotations

from pathlib import Path

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.penn import FPS, read_penn, read_penn_facts
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS


class PennAction(KnownSet):
    """Penn Action: 15 actions in 2,326 films, with 13 joints drawn by hand, in pixels.

    The column ``part`` is ``test`` where the authors test and otherwise ``train`` or ``val``, which together are what
    they train on. Clips with numbers close to each other are often cut from one film, so ``val`` takes blocks of ten
    numbers: 41 to 50, 91 to 100, and so on.
    """

    name = "penn-action"
    skeleton = SKELETONS["penn13"]
    unit = "px"
    fps = FPS
    classes = (
        "baseball pitch",
        "baseball swing",
        "bench press",
        "bowl",
        "clean and jerk",
        "golf swing",
        "jump rope",
        "jumping jacks",
        "pullup",
        "pushup",
        "situp",
        "squat",
        "strum guitar",
        "tennis forehand",
        "tennis serve",
    )
    splits = {
        "given": Split("part", {"train": ("train", "val"), "test": ("test",)}),
        # Settings are chosen here, on clips that "given" trains on.
        "select": Split("part", {"train": ("train",), "val": ("val",)}),
    }
    licence = "no licence is stated; published for research"
    citation = (
        "W. Zhang, M. Zhu, K. G. Derpanis: From Actemes to Action: A Strongly-Supervised Representation for Detailed "
        "Action Understanding, ICCV 2013"
    )
    where = "the 'labels' folder of the Penn Action Dataset of the University of Pennsylvania"
    has_confidence = True

    def find(self, folder: str | Path) -> list[Source]:
        """Every ``NNNN.mat`` below the folder, with what it says about itself, since its name tells no class."""
        return [self._source(path) for path in files_in(self, Path(folder), "*.mat")]

    def _source(self, path: Path) -> Source:
        facts: dict[str, int | str] = {"part": "", "width": 0, "height": 0}
        try:
            action, train, width, height = read_penn_facts(path)
        except ValueError as error:
            return Source(path.stem, path, NO_LABEL, facts, refused=str(error))
        except OSError as error:
            return Source(path.stem, path, NO_LABEL, facts, refused=f"it cannot be read ({error.strerror}).")
        if action not in self.classes:
            why = f"it shows {action[:50]!r}, which is none of the {len(self.classes)} classes; remove it."
            return Source(path.stem, path, NO_LABEL, facts, refused=why)
        number = int(path.stem) if path.stem.isdecimal() else 0
        part = "test" if not train else "val" if (number - 1) // 10 % 5 == 4 else "train"
        facts = {"part": part, "width": width, "height": height}
        return Source(path.stem, path, self.classes.index(action), facts)

    def read(self, source: Source) -> Sequence:
        """Read the clip of one person."""
        assert source.path is not None
        return read_penn(source.path)
