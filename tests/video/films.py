"""Films for tests: people of coloured dots, an estimator that finds exactly these dots, and files with odd headers."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from bonegraph.pose.estimator import Person
from bonegraph.read.video import Frame
from bonegraph.skeleton import Skeleton

STICK = Skeleton("stick4", ("head", "pelvis", "left foot", "right foot"), (1, 1, 1, 1), (0, 1, 3, 2))
# Strong and apart from each other, so that H.264 leaves them apart; four for each of two people.
COLOURS = np.array(
    [
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)],
        [(255, 0, 255), (0, 255, 255), (255, 255, 255), (255, 128, 0)],
    ],
    dtype=np.int64,
)
RADIUS = 6


def drawn(people: NDArray[np.floating], width: int, height: int) -> Frame:
    """A dark picture with a disc at each joint; (M, 4, 2), NaN for who is not there."""
    picture = np.full((height, width, 3), 16, np.uint8)
    y, x = np.mgrid[:height, :width]
    for person, joints in enumerate(people):
        for joint, (u, v) in enumerate(joints):
            if np.isfinite(u):
                picture[(x - u) ** 2 + (y - v) ** 2 <= RADIUS**2] = COLOURS[person, joint]
    return picture


def stick(x: float, y: float, size: float = 40) -> NDArray[np.float64]:
    """The four joints of somebody whose pelvis is at (x, y)."""
    return np.array([(x, y - size), (x, y), (x + size / 2, y + size), (x - size / 2, y + size)])


def write(
    path: Path, frames: Iterable[Frame], fps: int = 25, times: Iterable[float] | None = None, codec: str = "libx264"
) -> Path:
    """A film; times, in seconds, make its rate variable."""
    with av.open(str(path), "w") as container:
        stream = None
        stamps = iter(times) if times is not None else None
        for number, frame in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=fps)
                stream.height, stream.width = frame.shape[:2]
                odd = frame.shape[0] % 2 or frame.shape[1] % 2
                stream.pix_fmt = "yuv444p" if odd else "yuv420p"
                stream.options = {"crf": "12"}
                if stamps is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if stamps is not None:
                picture.pts, picture.time_base = round(1000 * next(stamps)), Fraction(1, 1000)
            else:
                picture.pts, picture.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(picture))
        assert stream is not None
        container.mux(stream.encode())
    return path


def turned(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """The same mp4 file with the display matrix (a b; c d) in the header of its track."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    assert data[start] == 0  # version
    matrix = start + 40
    one = 1 << 16
    struct.pack_into(">9i", data, matrix, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


class Dots:
    """A pose estimator for the people of `drawn`: each joint is the middle of the dots of its colour."""

    name = "dots"
    skeleton = STICK
    metric = True

    def people(self, frames: Iterable[Frame], fps: float) -> Iterator[list[Person]]:
        for frame in frames:
            found = []
            for colours in COLOURS:
                away = np.abs(frame[:, :, None].astype(np.int64) - colours).max(axis=-1)  # (height, width, 4)
                places = [np.argwhere(away[..., joint] < 70) for joint in range(4)]
                if all(len(place) > 10 for place in places):
                    joints = np.array([place.mean(axis=0)[::-1] for place in places], np.float32)
                    metres = np.concatenate([-(joints - joints[1]) / 100, np.zeros((4, 1))], axis=1)
                    found.append(Person(joints, np.ones(4, np.float32), metres.astype(np.float32)))
            yield found
