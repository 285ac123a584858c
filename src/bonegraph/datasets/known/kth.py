"""The KTH action data set, by its poses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.read.openpose import PATTERN, read_openpose
from bonegraph.seeding import mix, permutation
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

SUBJECTS, SCENARIOS = 25, 4


class Kth(KnownSet):
    """KTH: 6 actions by 25 people in 4 scenarios (outdoors, with zoom, in other clothes, indoors), 599 videos.

    The source holds a folder for each video, with what OpenPose (BODY_25) writes: ``person01_boxing_d1_uncomp`` or
    ``person01_boxing_d1``. The column ``random`` is a part for the split of this name, in which each class gives 60 %
    of its clips to ``train`` and 20 % each to ``val`` and ``test``, whoever shows them.

    Args:
        people: M at most of a clip; the films show one.
        seed: of the column ``random``, which is a function of it and the name of the clip.

    Raises:
        ValueError: people is below 1 or the seed below 0.
    """

    name = "kth"
    skeleton = SKELETONS["openpose25"]
    unit = "px"
    fps = 25.0
    classes = ("boxing", "hand clapping", "hand waving", "jogging", "running", "walking")
    splits = {
        # As in the public code of Nagy et al.: people in the order of their numbers.
        "xsub": Split("subject", {"train": (*range(1, 16),), "val": (*range(16, 21),), "test": (*range(21, 26),)}),
        # Nagy et al. write that ten people train; the others are the same, so that the figures compare.
        "xsub-10": Split("subject", {"train": (*range(1, 11),), "val": (*range(16, 21),), "test": (*range(21, 26),)}),
        # Schüldt et al., who recorded it.
        "xsub-authors": Split(
            "subject",
            {
                "train": (*range(11, 19),),
                "val": (19, 20, 21, 23, 24, 25, 1, 4),
                "test": (22, 2, 3, 5, 6, 7, 8, 9, 10),
            },
        ),
        **{
            f"scenario{test}": Split("scenario", {"train": tuple(train), "val": (val,), "test": (test,)})
            for test, val, *train in ((1, 4, 2, 3), (2, 1, 3, 4), (3, 2, 1, 4), (4, 3, 1, 2))
        },
        "random": Split("random", {part: (part,) for part in ("train", "val", "test")}),
    }
    licence = "published for research"
    citation = "C. Schüldt, I. Laptev, B. Caputo: Recognizing Human Actions: A Local SVM Approach, ICPR 2004"
    where = (
        "the videos of KTH (www.csc.kth.se/cvap/actions), run OpenPose with --write_json on each into a folder of its "
        "name"
    )
    has_confidence = True

    _actions: ClassVar[tuple[str, ...]] = tuple(action.replace(" ", "") for action in classes)
    _pattern: ClassVar[re.Pattern[str]] = re.compile(r"person(\d\d)_([a-z]+)_d(\d)", re.ASCII)

    def __init__(self, people: int = 1, seed: int = 0) -> None:
        if people < 1 or seed < 0:
            raise ValueError(f"people must be at least 1 and seed at least 0, got {people} and {seed}.")
        self.people, self.seed = people, seed

    def find(self, folder: str | Path) -> list[Source]:
        """Every folder with frames of OpenPose, and every video that has none, by name: subject, action, scenario."""
        paths = files_in(self, Path(folder), PATTERN, "*.avi")
        found = [self._source(place.name, place) for place in sorted({p.parent for p in paths if p.suffix != ".avi"})]
        there = {source.id for source in found}
        videos = [self._source(path.stem, path) for path in paths if path.suffix == ".avi"]
        return found + [source for source in videos if source.id not in there]

    def read(self, source: Source) -> Sequence:
        """Read the poses of one video.

        Raises:
            ValueError: it is still a video, or its frames are damaged.
        """
        assert source.path is not None
        if source.path.suffix == ".avi":
            # Where the pose step will be called.
            raise ValueError(
                f"'{source.path.name}' is a video; run OpenPose on it with --write_json and give the folders of frames."
            )
        return read_openpose(source.path, self.people, self.fps)

    def _source(self, name: str, path: Path) -> Source:
        name = name.removesuffix("_uncomp")
        match = self._pattern.fullmatch(name)
        subject, action, scenario = (int(match[1]), match[2], int(match[3])) if match else (0, "", 0)
        known = action in self._actions and 1 <= subject <= SUBJECTS and 1 <= scenario <= SCENARIOS
        facts: dict[str, int | str] = {"subject": subject, "scenario": scenario, "random": ""}
        if not known:
            return Source(name, path, NO_LABEL, facts)
        facts["random"] = random_part(action, subject, scenario, self.seed)
        return Source(name, path, self._actions.index(action), facts)


def random_part(action: str, subject: int, scenario: int, seed: int) -> str:
    """The part of a clip when each class is cut at random: 60 of its 100 clips train, 20 validate, 20 test.

    A function of the name and the seed alone, not of which other clips there are.
    """
    order = permutation(mix(seed, "KTH", action).item(), SUBJECTS * SCENARIOS)
    place = int(np.argsort(order)[(subject - 1) * SCENARIOS + scenario - 1])
    return "train" if place < 60 else "val" if place < 80 else "test"
