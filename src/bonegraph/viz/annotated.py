"""A video with the skeletons that were found in it, and the most probable actions, drawn on its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bonegraph import sequence as sequences
from bonegraph.read.video import Frame, Video
from bonegraph.viz.video import check_film, write_film

# One colour a person, that of the sides being lighter and darker: colour-blind safe (Okabe and Ito 2008).
_PEOPLE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0))
_UNSURE = 0.3
"""Joints of a lower confidence are not drawn."""
_EVEN = 2  # H.264 takes even numbers of pixels


def write_annotated(
    path: Path, video: Video, people: sequences.Sequence, lines: Sequence[str] = (), *, scores: bool = True
) -> None:
    """Write a video again with skeletons and text on it. It is read a second time, so that memory stays small.

    Args:
        path: ``.mp4`` or ``.gif``.
        video: the one in which the people were found.
        people: in pixels of its frames, a frame each.
        lines: text for the upper left corner, such as the answers of a recogniser.
        scores: draw joints of high confidence only, where there is one.

    Raises:
        ValueError: another kind of file, or the people are not in pixels.
        FileNotFoundError: the folder does not exist.
        OSError: it cannot be written.
    """
    if people.unit != "px" or people.positions.shape[-1] != 2:
        raise ValueError(f"people in '{people.unit}' cannot be drawn on a picture; give them in pixels (px).")
    check_film(path)
    write_film(path, annotated(video, people, lines, scores=scores), video.fps)


def annotated(
    frames: Iterable[Frame], people: sequences.Sequence, lines: Sequence[str] = (), *, scores: bool = True
) -> Iterator[NDArray[np.uint8]]:
    """The frames with skeletons and text on them, of even width and height.

    Args:
        frames: of the video.
        people: in pixels, a frame each; what goes beyond the shorter of the two is left out.
        lines: text for the upper left corner.
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
        _text(pen, lines, max(11, height // 18))
        yield np.asarray(picture)


def _skeleton(
    pen: ImageDraw.ImageDraw,
    people: sequences.Sequence,
    visible: NDArray[np.bool_],
    frame: int,
    person: int,
    thick: int,
) -> None:
    colour = _PEOPLE[person % len(_PEOPLE)]
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


def _text(pen: ImageDraw.ImageDraw, lines: Sequence[str], size: int) -> None:
    """Light text on a dark ground."""
    if not lines:
        return
    font = ImageFont.load_default(size)
    text, room = "\n".join(lines), size // 3
    left, top, right, bottom = pen.multiline_textbbox((2 * room, 2 * room), text, font=font)
    pen.rectangle([left - room, top - room, right + room, bottom + room], fill=(20, 20, 20))
    pen.multiline_text((2 * room, 2 * room), text, font=font, fill=(255, 255, 255))
