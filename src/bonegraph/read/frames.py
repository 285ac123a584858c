"""Decoded frames of PyAV as pictures: upright, with square pixels, of one size, at a time that never runs back."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Frame = NDArray[np.uint8]
"""(height, width, 3), red, green, blue."""

FALLBACK_FPS = 30.0
"""Frames per second of a video that states none, or none that a camera has."""

MOST_PIXELS = 64_000_000
"""Of a picture; larger ones are refused, so that memory stays bounded."""

_FASTEST_CAMERA = 300.0  # what is above is no rate but the unit of the time stamps
_LONGEST_GAP = 60.0  # seconds between two frames; what is above is a broken time stamp


def parse_size(text: str) -> tuple[int, int]:
    """``"340x256"`` as (340, 256).

    Raises:
        ValueError: it is no width and height.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not 16 <= int(match[1]) <= 8192 or not 16 <= int(match[2]) <= 8192:
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, such as 340x256, each from 16 to 8192; got {text!r}.")
    return int(match[1]), int(match[2])


class Upright:
    """Turn decoded frames into pictures: as the display matrix says, with square pixels, all of one size.

    Args:
        size: (width, height) in pixels to give, whatever the proportions; None takes those of the first frame.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self._size = size

    def __call__(self, frame: av.VideoFrame) -> Frame:
        """RGB of a frame; a stream may change its size, but all pictures get that of the first."""
        turn = _turn(frame)
        ratio = frame.sample_aspect_ratio if hasattr(frame, "sample_aspect_ratio") else None
        wide = frame.width if not ratio or not 0.1 < ratio < 10 else max(1, round(frame.width * float(ratio)))
        width, height = self._before_turning((wide, frame.height), turn)
        if (width, height) != (frame.width, frame.height):
            frame = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
        decoded: Any = frame.to_ndarray(format="rgb24")
        picture = np.ascontiguousarray(_turned(decoded, turn))
        if self._size is None:
            self._size = (picture.shape[1], picture.shape[0])
        return picture

    def _before_turning(self, natural: tuple[int, int], turn: tuple[int, bool]) -> tuple[int, int]:
        """(width, height)."""
        if self._size is None:
            return natural
        return (self._size[1], self._size[0]) if turn[0] % 2 else self._size


def timed(frames: Iterable[av.VideoFrame], step: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Frames with their time in seconds, the first at 0; time never runs back and never leaps.

    Args:
        frames: of one video, in order.
        step: seconds from a frame to the next where the time stamps are broken or missing.
    """
    time = shift = None
    for frame in frames:
        stamp = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        if time is None:
            time = 0.0
        elif stamp is not None and shift is not None and 0 < stamp + shift - time <= _LONGEST_GAP:
            time = stamp + shift
        else:
            time, shift = time + step, None
        if stamp is not None and shift is None:
            shift = time - stamp
        yield time, frame


def fits(frame: object) -> bool:
    """Whether something that was decoded is a picture of a size that is looked at."""
    import av

    return isinstance(frame, av.VideoFrame) and 0 < frame.width * frame.height <= MOST_PIXELS


def has_pictures(container: av.container.InputContainer) -> bool:
    """Whether the first video stream is one of moving pictures that can be decoded."""
    pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
    return bool(pictures) and pictures[0] is container.streams.video[0] and _decodable(pictures[0])


def rate_of(stream: Any) -> Fraction:
    """Frames per second, if a video stream states what a camera could have."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0.1 <= rate <= _FASTEST_CAMERA:
            return Fraction(rate)
    return Fraction(FALLBACK_FPS)


def reason_of(error: Exception) -> str:
    """What FFmpeg says, in its words."""
    return str(getattr(error, "strerror", "") or type(error).__name__)


def _turn(frame: av.VideoFrame) -> tuple[int, bool]:
    """(quarter turns counterclockwise, mirrored left to right before that), from the display matrix."""
    every: Any = frame.side_data
    for number in range(len(every)):
        if "DISPLAYMATRIX" in str(every[number].type):
            a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(every[number])[:20], dtype="=i4"))
            mirrored = a * d - b * c < 0
            if mirrored:  # the matrix is a mirror, then a rotation
                a, b = -a, -b
            return round(math.atan2(-b, a) / (math.pi / 2)) % 4, mirrored
    return 0, False


def _turned(picture: Frame, turn: tuple[int, bool]) -> Frame:
    quarters, mirrored = turn
    return np.rot90(picture[:, ::-1] if mirrored else picture, quarters)


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the picture on the cover of a piece of music."""
    return "attached_pic" in str(getattr(stream, "disposition", "")).lower()


def _decodable(stream: Any) -> bool:
    try:
        return stream.codec_context is not None
    except Exception:  # what PyAV raises for an unknown codec differs by its version
        return False
