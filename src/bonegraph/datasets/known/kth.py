"""The KTH action data set: its videos, or the poses that OpenPose found in them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source, files_in
from bonegraph.datasets.splits import Split
from bonegraph.pose.estimator import PoseEstimator
from bonegraph.pose.mediapipe_pose import mediapipe_for
from bonegraph.pose.recording import film
from bonegraph.read.openpose import PATTERN, read_openpose
from bonegraph.read.video import Video
from bonegraph.seeding import mix, permutation
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

SUBJECTS, SCENARIOS = 25, 4

OPENPOSE = "openpose"


class Kth(KnownSet):
    """KTH: 6 actions by 25 people in 4 scenarios (outdoors, with zoom, in other clothes, indoors), 599 videos.

    The source holds the videos, ``person01_boxing_d1_uncomp.avi``, in which our pose step finds the people; or a folder
    for each video, ``person01_boxing_d1_uncomp`` or ``person01_boxing_d1``, with what OpenPose (BODY_25) writes. Where
    there are both the folder is taken. The column ``random`` is a part for the split of this name, in which each class
    gives 60 % of its clips to ``train`` and 20 % each to ``val`` and ``test``, whoever shows them.

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
    where = "the videos of KTH (www.csc.kth.se/cvap/actions), or what OpenPose wrote of each, in a folder of its name"
    has_confidence = True

    _actions: ClassVar[tuple[str, ...]] = tuple(action.replace(" ", "") for action in classes)
    _pattern: ClassVar[re.Pattern[str]] = re.compile(r"person(\d\d)_([a-z]+)_d(\d)", re.ASCII)

    def __init__(self, people: int = 1, seed: int = 0) -> None:
        if people < 1 or seed < 0:
            raise ValueError(f"people must be at least 1 and seed at least 0, got {people} and {seed}.")
        self.people, self.seed = people, seed
        self.poses = OPENPOSE  # who found the people; `find` sees it

    def estimator(self) -> PoseEstimator:
        """Finds the people in videos; a subclass may have another one."""
        return mediapipe_for(self.people)

    def clips_at_once(self) -> int:
        """One where there are videos: a clip takes a minute."""
        return super().clips_at_once() if self.poses == OPENPOSE else 1

    def find(self, folder: str | Path) -> list[Source]:
        """Every folder with frames of OpenPose, and every video that has none, by name: subject, action, scenario.

        Raises:
            FileNotFoundError: the folder is missing or holds neither.
            ValueError: there are videos, and the estimator cannot be used.
        """
        paths = files_in(self, Path(folder), PATTERN, "*.avi")
        found = [self._source(place.name, place) for place in sorted({p.parent for p in paths if p.suffix != ".avi"})]
        there = {source.id for source in found}
        videos = [self._source(path.stem, path) for path in paths if path.suffix == ".avi"]
        videos = [source for source in videos if source.id not in there]
        makers = [OPENPOSE] * bool(found)
        if videos:
            makers.append(self.estimator().name)  # what is not installed is said once, not of every clip
        self.poses = " and ".join(makers)
        return found + videos

    def read(self, source: Source) -> Sequence:
        """Read the poses of one video, or find the people in it; a note about a damaged one goes to standard error.

        Joints of BODY_25 that the estimator does not find, as MediaPipe the small toes, get confidence 0.

        Raises:
            ValueError: the video or its frames are damaged, or nobody is found in it.
        """
        assert source.path is not None
        if source.path.suffix != ".avi":
            return read_openpose(source.path, self.people, self.fps)
        found = film(Video(source.path, self.fps), self.estimator(), people=self.people)
        for note in found.notes:
            tqdm.write(f"note: {note}", file=sys.stderr)
        return found.sequence("image", self.skeleton)

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
