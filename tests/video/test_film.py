"""From a film to a sequence, with an estimator that finds coloured dots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bonegraph.pose.estimator import Person
from bonegraph.pose.recording import film
from bonegraph.read.video import Frame, Video
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.viz.annotated import annotated, write_annotated

from . import films


def two_people(count: int = 30) -> tuple[np.ndarray, list[Frame]]:
    """One walks to the right, the other comes in frame 10 and stands."""
    places = np.full((count, 2, 4, 2), np.nan)
    for frame in range(count):
        places[frame, 0] = films.stick(40 + 2 * frame, 90)
        if frame >= 10:
            places[frame, 1] = films.stick(200, 80)
    return places, [films.drawn(people, 256, 160) for people in places]


def test_joints_are_where_they_were_drawn(tmp_path: Path) -> None:
    places, frames = two_people()
    found = film(Video(films.write(tmp_path / "two.mp4", frames)), films.Dots(), people=2)
    assert (found.image.unit, found.image.fps, found.width, found.height) == ("px", 25.0, 256, 160)
    np.testing.assert_array_equal(found.image.present, np.isfinite(places[..., 0, 0]))
    error = np.abs(found.image.positions - places)[found.image.present]
    assert error.max() < 2  # H.264 halves the colours; the discs have a radius of 6
    assert found.world is not None and found.world.positions.shape == (30, 2, 4, 3) and found.world.unit == "m"
    assert found.detection_rate == 1


def test_only_so_many_people_are_kept(tmp_path: Path) -> None:
    path = films.write(tmp_path / "two.mp4", two_people()[1])
    assert film(Video(path), films.Dots()).image.present.all()


def test_another_rate_and_size(tmp_path: Path) -> None:
    places, frames = two_people()
    path = films.write(tmp_path / "two.mp4", frames)
    found = film(Video(path, fps=12.5, size=(512, 320)), films.Dots()).image
    assert (found.num_frames, found.fps) == (15, 12.5)
    assert np.abs(found.positions[:, 0] / 2 - places[::2, 0]).max() < 3.5  # half a frame of walking and a pixel or two


def test_conversion_masks_what_is_missing(tmp_path: Path) -> None:
    path = films.write(tmp_path / "two.mp4", two_people(5)[1])
    more = Skeleton(
        "five", ("head", "pelvis", "left foot", "right foot", "left knee"), (1, 1, 1, 1, 1), (0, 1, 3, 2, 4)
    )
    sequence = film(Video(path), films.Dots()).sequence("image", more)
    assert sequence.visible[..., :4].all() and not sequence.visible[..., 4].any()


def test_nobody(tmp_path: Path) -> None:
    path = films.write(tmp_path / "empty.mp4", [np.full((64, 64, 3), 16, np.uint8)] * 5)
    with pytest.raises(ValueError, match=r"nobody is found in any of the 5 frames of 'empty\.mp4'"):
        film(Video(path), films.Dots())


def test_annotated_film(tmp_path: Path) -> None:
    _, frames = two_people(6)
    video = Video(films.write(tmp_path / "two.mp4", frames))
    found = film(video, films.Dots())
    (plain, *_), (drawn, *_) = list(video), list(annotated(video, found.image, ["90% wave"]))
    x, y = (found.image.positions[0, 0, 0] + found.image.positions[0, 0, 1]) / 2  # on the bone from head to pelvis
    assert plain[int(y), int(x)].max() < 60 < drawn[int(y), int(x)].max()
    write_annotated(tmp_path / "seen.mp4", video, found.image, ["90% wave"])
    again = Video(tmp_path / "seen.mp4")
    assert (again.width, again.height, sum(1 for _ in again)) == (256, 160, 6)
    assert found.world is not None
    with pytest.raises(ValueError, match="in pixels"):
        write_annotated(tmp_path / "seen.mp4", video, found.world)


def test_everyone_has_their_own_text(tmp_path: Path) -> None:
    """At the head of each, in their colour, and only while they are seen; the texts do not cover each other."""
    _, frames = two_people(20)
    video = Video(films.write(tmp_path / "two.mp4", frames))
    found = film(video, films.Dots(), people=2).image
    dark = np.full((160, 256, 3), 90, np.uint8)

    def drawn(number: int, labels: dict[int, str], lines: list[str] | None = None) -> np.ndarray:
        pictures = list(annotated([dark] * 20, found, lines or (), labels=lambda frame: labels))
        return pictures[number].astype(np.int64)

    def ground(picture: np.ndarray) -> np.ndarray:
        return np.asarray((picture == 20).all(axis=2))

    for person, colour in ((0, (230, 159, 0)), (1, (86, 180, 233))):
        plain, labelled = drawn(15, {}), drawn(15, {person: "wave"})
        rows, columns = np.nonzero(ground(labelled) & ~ground(plain))
        head = found.positions[15, person, 0]
        assert rows.max() < head[1] and columns.min() <= head[0] <= columns.max()
        changed = labelled[(labelled != plain).any(axis=2)]
        assert (np.abs(changed - colour).sum(axis=1) < 30).any()
    assert not ground(drawn(5, {1: "wave"})).any()  # who comes in frame 10
    far, near = drawn(15, {0: "wave"}), drawn(15, {0: "wave", 1: "wave"})
    assert ground(near).sum() > 1.7 * ground(far).sum()
    corner = drawn(0, {0: "a long text that reaches the corner"}, ["0:00.0"])
    assert ground(corner).any()
    calls = list(annotated([dark] * 3, found, lambda number: [f"{number} s"]))
    assert (calls[0] != calls[1]).any()


def test_a_person_is_checked() -> None:
    joints, sure = np.zeros((4, 2), np.float32), np.ones(4, np.float32)
    for wrong in (
        (joints[:3], sure, None),
        (joints + np.nan, sure, None),
        (joints, sure + 1, None),
        (joints, sure, joints),
    ):
        with pytest.raises(ValueError, match=r"person|confidence"):
            Person(*wrong)


def test_what_mediapipe_finds_fits_the_skeletons_of_the_field() -> None:
    from bonegraph.skeleton import conversion

    for name in ("ntu25", "ucla20", "openpose18", "coco17", "penn13"):
        assert conversion(SKELETONS["mediapipe33"], SKELETONS[name]).missing == ()
