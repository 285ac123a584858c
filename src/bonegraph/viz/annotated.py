"""A video with the skeletons that were found in it, and the most probable actions, drawn on its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from bonegraph import sequence as sequences
from bonegraph.read.video import Frame, Video
from bonegraph.viz.video import check_film, write_film

# One colour a person, that of the sides being lighter and darker: colour-blind safe (Okabe and Ito 2008).
_PEOPLE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0))
PEOPLE = len(_PEOPLE)
"""So many people have colours of their own."""
_UNSURE = 0.3
"""Joints of a lower confidence are not drawn."""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels."""
_EVEN = 2  # H.264 takes even numbers of pixels


Lines = Sequence[str] | Callable[[int], Sequence[str]]
"""Text for the upper left corner, of all frames or by the number of the frame."""
Labels = Callable[[int], Mapping[int, str]]
"""By the number of the frame: person -> text at their head."""


def write_annotated(
    path: Path,
    video: Video,
    people: sequences.Sequence,
    lines: Lines = (),
    *,
    labels: Labels | None = None,
    scores: bool = True,
    progress: bool = False,
) -> None:
    """Write a video again with skeletons and text on it. It is read a second time, so that memory stays small.

    Args:
        path: ``.mp4`` or ``.gif``.
        video: the one in which the people were found.
        people: in pixels of its frames, a frame each.
        lines: text for the upper left corner, such as the answers of a recogniser.
        labels: text at the heads of people, such as what each of them does.
        scores: draw joints of high confidence only, where there is one.
        progress: show a progress bar.

    Raises:
        ValueError: another kind of file, or the people are not in pixels.
        FileNotFoundError: the folder does not exist.
        OSError: it cannot be written.
    """
    if people.unit != "px" or people.positions.shape[-1] != 2:
        raise ValueError(f"people in '{people.unit}' cannot be drawn on a picture; give them in pixels (px).")
    check_film(path)
    with tqdm(total=people.num_frames, unit="frame", desc=f"draw {path.name}", disable=not progress, delay=1) as bar:
        pictures = annotated(video, people, lines, labels=labels, scores=scores)
        write_film(path, _counted(pictures, bar.update), video.fps)


def annotated(
    frames: Iterable[Frame],
    people: sequences.Sequence,
    lines: Lines = (),
    *,
    labels: Labels | None = None,
    scores: bool = True,
) -> Iterator[NDArray[np.uint8]]:
    """The frames with skeletons and text on them, of even width and height.

    Args:
        frames: of the video.
        people: in pixels, a frame each; what goes beyond the shorter of the two is left out.
        lines: text for the upper left corner.
        labels: text at the heads of people; somebody who is not seen has none.
        scores: draw joints of high confidence only, where there is one.
    """
    visible = people.visible
    if scores and people.confidence is not None:
        visible = visible & (people.confidence >= _UNSURE)
    for number, frame in zip(range(people.num_frames), frames, strict=False):
        height, width = (length - length % _EVEN for length in frame.shape[:2])
        picture = Image.fromarray(frame[:height, :width])
        pen = ImageDraw.Draw(picture)
        for person in range(people.num_people):
            _skeleton(pen, people, visible, number, person, thick=max(2, round(height / 150)))
        size = max(11, height // 18)
        taken = [_text(pen, lines(number) if callable(lines) else lines, size)]
        for person, text in (labels(number) if labels is not None else {}).items():
            joints = people.positions[number, person][visible[number, person]]
            if len(joints):
                taken.append(
                    _label(pen, text, joints, _colour(person), max(10, round(0.8 * size)), picture.size, taken)
                )
        yield np.asarray(picture)


def _counted(pictures: Iterable[NDArray[np.uint8]], count: Callable[[], object]) -> Iterator[NDArray[np.uint8]]:
    for picture in pictures:
        yield picture
        count()


def _colour(person: int) -> tuple[int, int, int]:
    return _PEOPLE[person % len(_PEOPLE)]


def _skeleton(
    pen: ImageDraw.ImageDraw,
    people: sequences.Sequence,
    visible: NDArray[np.bool_],
    frame: int,
    person: int,
    thick: int,
) -> None:
    colour = _colour(person)
    joints, there = people.positions[frame, person], visible[frame, person]
    # far outside there is nothing to see, and the pen counts in 32 bits
    points = [(float(x), float(y)) for x, y in joints.clip(-10_000, 100_000)]
    for a, b in people.skeleton.edges:
        if there[a] and there[b]:
            pen.line([points[a], points[b]], fill=colour, width=thick)
    radius = thick * 0.9
    for joint in np.flatnonzero(there):
        x, y = points[joint]
        shade = _shade(people.skeleton.joints[joint], colour)
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=shade)


def _shade(joint: str, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Left joints are lighter and right ones darker than the bones."""
    if joint.startswith("left "):
        return (colour[0] + 255) // 2, (colour[1] + 255) // 2, (colour[2] + 255) // 2
    return (colour[0] // 2, colour[1] // 2, colour[2] // 2) if joint.startswith("right ") else colour


def _text(pen: ImageDraw.ImageDraw, lines: Sequence[str], size: int) -> Box:
    """Light text on a dark ground in the upper left corner; where it is."""
    if not lines:
        return (0, 0, 0, 0)
    room = size // 3
    return _on_dark(pen, "\n".join(lines), (2 * room, 2 * room), ImageFont.load_default(size), (255, 255, 255), room)


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    joints: NDArray[np.float32],
    colour: tuple[int, int, int],
    size: int,
    picture: tuple[int, int],
    taken: Sequence[Box],
) -> Box:
    """Text above the highest joint, inside the picture and below no other text; where it is."""
    font, room = ImageFont.load_default(size), max(2, size // 4)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = right - left + 2 * room, bottom - top + 2 * room
    x = float(joints[joints[:, 1].argmin(), 0].clip(0, picture[0])) - wide / 2
    y = float(joints[:, 1].min().clip(0, picture[1])) - high - size / 2
    x, y = min(max(x, 0), max(picture[0] - wide, 0)), min(max(y, 0), max(picture[1] - high, 0))
    for _ in taken:  # each may push it down once
        for box in taken:
            if x < box[2] and box[0] < x + wide and y < box[3] and box[1] < y + high and box[3] + high <= picture[1]:
                y = box[3] + 1
    return _on_dark(pen, text, (x + room - left, y + room - top), font, colour, room)


def _on_dark(
    pen: ImageDraw.ImageDraw,
    text: str,
    place: tuple[float, float],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    colour: tuple[int, int, int],
    room: int,
) -> Box:
    left, top, right, bottom = pen.multiline_textbbox(place, text, font=font)
    box = (left - room, top - room, right + room, bottom + room)
    pen.rectangle(box, fill=(20, 20, 20))
    pen.multiline_text(place, text, font=font, fill=colour)
    return box
