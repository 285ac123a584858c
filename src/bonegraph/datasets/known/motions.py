"""Mimed motions, found by OpenPose."""

from __future__ import annotations

from pathlib import Path

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source
from bonegraph.datasets.known.containers import one_file, opened_once
from bonegraph.datasets.splits import Split
from bonegraph.read.motions import FPS, open_motions
from bonegraph.seeding import mix, permutation
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

SUBJECTS = (*range(16), 17, *range(19, 25), 27, 28, 29, 31)
DRAWS = 3


def subjects_drawn(draw: int) -> Split:
    """17 of the 27 people train, 5 validate and 5 test."""
    order = [SUBJECTS[place] for place in permutation(mix(draw, "mimed motions").item(), len(SUBJECTS))]
    return Split("subject", {"train": (*order[:17],), "val": (*order[17:22],), "test": (*order[22:],)})


class MimedMotions(KnownSet):
    """Mimed motions: 5 actions by 27 people, 1,167 clips of 206 to 1,890 frames, 25 joints by OpenPose in pixels.

    The legs are mostly out of the picture. There is no usual split; ``subjects0`` to ``subjects2`` draw people at
    random, no one on two sides. Not everyone shows every action.
    """

    name = "mimed-motions"
    skeleton = SKELETONS["openpose25"]
    unit = "px"
    fps = FPS
    classes = ("boxing", "drums", "guitar", "rowing", "violin")
    splits = {f"subjects{draw}": subjects_drawn(draw) for draw in range(DRAWS)}
    licence = "no licence is stated"
    citation = "the repository stDem/Motions_classification on GitHub"
    where = (
        "the clips of github.com/stDem/Motions_classification as one motions.npz (keypoints, offsets, name, action, "
        "subject, trial)"
    )
    has_confidence = True

    def find(self, folder: str | Path) -> list[Source]:
        """Every clip of ``motions.npz``, which is the source itself or below it.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged.
        """
        path = one_file(self, Path(folder), "motions.npz")
        opened = opened_once(open_motions, path)
        return [
            Source(
                name,
                path,
                self.classes.index(action) if action in self.classes else NO_LABEL,
                {"subject": subject, "trial": trial},
            )
            for name, action, subject, trial in zip(
                opened.names, opened.actions, opened.subjects, opened.trials, strict=True
            )
        ]

    def read(self, source: Source) -> Sequence:
        """Read the clip of one person."""
        assert source.path is not None
        opened = opened_once(open_motions, source.path)
        return opened.sequence(opened.names.index(source.id))
