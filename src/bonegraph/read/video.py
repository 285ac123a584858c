"""Videos as RGB frames at a constant rate, one at a time, so that memory does not grow with the length (by PyAV).

A camera may say in a *display matrix* that its picture is to be turned or mirrored; pixels may be wider than high; the
time from one frame to the next may vary (phones, screen recorders). All this is undone: the frames are upright, their
pixels square, and frame k is the one that is nearest in time to k / fps seconds after the first.

A file that is cut off or damaged in places gives what can be decoded, and a note that says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Frame = NDArray[np.uint8]
"""(height, width, 3), red, green, blue."""

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".ogv")
"""Endings of file names that are taken for videos."""

FALLBACK_FPS = 30.0
"""Frames per second of a file that states none, or none that a camera has."""

_MOST_FPS = 1000.0
_FASTEST_CAMERA = 300.0  # what is above is no rate but the unit of the time stamps
_LONGEST_GAP = 60.0  # seconds between two frames; what is above is a broken time stamp
_MOST_PIXELS = 64_000_000


def is_video(path: str | Path) -> bool:
    """Whether the name of a file is one of a video."""
    return Path(path).suffix.lower() in VIDEOS


def parse_size(text: str) -> tuple[int, int]:
    """``"340x256"`` as (340, 256).

    Raises:
        ValueError: it is no width and height.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not 16 <= int(match[1]) <= 8192 or not 16 <= int(match[2]) <= 8192:
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, such as 340x256, each from 16 to 8192; got {text!r}.")
    return int(match[1]), int(match[2])


class Video:
    """A video file; iterating gives its frames, as often as one likes, each time from the start.

    Args:
        path: the file.
        fps: frames per second to give; None takes those of the file.
        size: (width, height) in pixels to give, whatever the proportions; None keeps the picture.

    Attributes:
        name: of the file.
        fps: frames per second that are given.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        about: how many frames to expect; None if the file does not tell. For progress bars only.
        notes: what was wrong with the file; complete when all frames have been read.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no video, no frame can be decoded, an argument makes no sense, or PyAV is not installed.

    Example:
        >>> for frame in Video("clip.mp4", fps=30, size=(340, 256)):  # doctest: +SKIP
        ...     print(frame.shape)
        (256, 340, 3)
    """

    def __init__(self, path: str | Path, fps: float | None = None, size: tuple[int, int] | None = None) -> None:
        self._path = Path(path)
        self.name = self._path.name
        self.notes: list[str] = []
        if not self._path.is_file():
            raise FileNotFoundError(f"no file '{path}'; give a video.")
        if fps is not None and not (math.isfinite(fps) and 0 < fps <= _MOST_FPS):
            raise ValueError(f"the frame rate must be above 0 and at most {_MOST_FPS:g}, got {fps}.")
        self._size = None if size is None else parse_size(f"{size[0]}x{size[1]}")
        with self._open() as container:
            stream = container.streams.video[0]
            rate = _rate(stream)
            duration = _duration(container, stream, rate)
            self._rate, self.fps = rate, float(rate if fps is None else fps)
            self._declared = duration
            first = next(self._decoded(container), None)
            if first is None:
                raise ValueError(
                    f"no frame of '{self.name}' can be decoded (cut off, or another format than its name says); "
                    "record or copy it again."
                )
            self.height, self.width, _ = self._upright(first).shape
        self.notes.clear()
        self.about = None if duration is None else max(1, round(duration * self.fps))

    def __iter__(self) -> Iterator[Frame]:
        """The frames from the start.

        Raises:
            ValueError: the file is no video any more.
        """
        self.notes.clear()
        count = 0
        with self._open() as container:
            for frame in self._at_rate(self._timed(container)):
                count += 1
                yield frame
        seconds = count / self.fps
        if self._declared is not None and self._declared - seconds > max(0.5, 0.05 * self._declared):
            self.notes.append(
                f"'{self.name}' says it lasts {self._declared:.1f} s, but only {seconds:.1f} s can be decoded "
                "(cut off?); they are used."
            )

    def _open(self) -> av.container.InputContainer:
        try:
            import av
        except ImportError:
            raise ValueError(
                "reading a video needs PyAV, which is not installed: pip install -c constraints.txt -e '.[video]'."
            ) from None
        try:
            container = av.open(str(self._path), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise ValueError(
                f"'{self.name}' cannot be opened as a video ({_plain(error)}; cut off, or another kind of file?); "
                "record or copy it again."
            ) from None
        pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
        if not pictures or pictures[0] is not container.streams.video[0] or not _decodable(pictures[0]):
            container.close()
            raise ValueError(f"'{self.name}' has no video stream that can be decoded; give a file with pictures.")
        pictures[0].thread_type = "AUTO"
        return container

    def _decoded(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """What can be decoded; damaged packets are counted and left out."""
        import av

        damaged = 0
        stream = container.streams.video[0]
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError):
                damaged += 1
                break
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame) and 0 < frame.width * frame.height <= _MOST_PIXELS:
                    yield frame
        if damaged:
            self.notes.append(f"'{self.name}' is damaged in {damaged} places, which are left out.")

    def _timed(self, container: av.container.InputContainer) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with their time in seconds, the first at 0; time never runs back and never leaps."""
        step = 1 / float(self._rate)
        time = shift = None
        for frame in self._decoded(container):
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

    def _at_rate(self, timed: Iterator[tuple[float, av.VideoFrame]]) -> Iterator[Frame]:
        """For each k the frame nearest to k / fps; a frame that is taken several times is converted once."""
        k, before, step = 0, next(timed, None), 1 / float(self._rate)
        if before is None:
            raise ValueError(f"no frame of '{self.name}' can be decoded; record or copy it again.")
        for after in timed:
            step = after[0] - before[0]
            middle = (after[0] + before[0]) / 2
            picture = None
            while k / self.fps < middle:
                picture = self._upright(before[1]) if picture is None else picture.copy()
                yield picture
                k += 1
            before = after
        end = before[0] + min(step, 1.0) - 0.5 / self.fps  # the last frame is shown as long as the one before it
        picture = None
        while k == 0 or k / self.fps < end - 1e-9:
            picture = self._upright(before[1]) if picture is None else picture.copy()
            yield picture
            k += 1

    def _upright(self, frame: av.VideoFrame) -> Frame:
        """RGB with square pixels, turned as the display matrix says, at the size that was asked for."""
        turn = _turn(frame)
        ratio = frame.sample_aspect_ratio if hasattr(frame, "sample_aspect_ratio") else None
        wide = frame.width if not ratio or not 0.1 < ratio < 10 else max(1, round(frame.width * float(ratio)))
        width, height = self._size_of((wide, frame.height), turn)
        if (width, height) != (frame.width, frame.height):
            frame = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
        picture: Any = frame.to_ndarray(format="rgb24")
        return np.ascontiguousarray(_turned(picture, turn))

    def _size_of(self, natural: tuple[int, int], turn: tuple[int, bool]) -> tuple[int, int]:
        """(width, height) before turning."""
        first = getattr(self, "height", None)  # a stream may change its size; all frames get that of the first
        upright = self._size or (None if first is None else (self.width, self.height))
        if upright is None:
            return natural
        return (upright[1], upright[0]) if turn[0] % 2 else upright


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


def _rate(stream: Any) -> Fraction:
    """Frames per second, if the file states what a camera could have."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate is not None and 0.1 <= rate <= _FASTEST_CAMERA:
            return Fraction(rate)
    return Fraction(FALLBACK_FPS)


def _duration(container: Any, stream: Any, rate: Fraction) -> float | None:
    """Seconds, as the file states them. Of a file that is cut off some are corrected, but not the number of frames."""
    stated = [stream.frames / rate] if stream.frames else []
    if stream.duration and stream.time_base:
        stated.append(stream.duration * stream.time_base)
    elif container.duration:
        stated.append(container.duration / 1e6)
    seconds = float(max(stated, default=0))
    return seconds if 0 < seconds < 1e6 else None


def _is_cover(stream: Any) -> bool:
    """Whether a stream is the picture on the cover of a piece of music."""
    return "attached_pic" in str(getattr(stream, "disposition", "")).lower()


def _decodable(stream: Any) -> bool:
    try:
        return stream.codec_context is not None
    except Exception:  # what PyAV raises for an unknown codec differs by its version
        return False


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or type(error).__name__)
