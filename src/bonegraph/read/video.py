"""Videos as RGB frames at a constant rate, one at a time, so that memory does not grow with the length (by PyAV).

A camera may say in a *display matrix* that its picture is to be turned or mirrored; pixels may be wider than high; the
time from one frame to the next may vary (phones, screen recorders). All this is undone: the frames are upright, their
pixels square, and frame k is the one that is nearest in time to k / fps seconds after the first.

A file that is cut off or damaged in places gives what can be decoded, and a note that says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bonegraph.read.frames import (
    FALLBACK_FPS,
    Frame,
    Upright,
    fits,
    has_pictures,
    parse_size,
    rate_of,
    reason_of,
    timed,
)

if TYPE_CHECKING:
    import av

__all__ = ["FALLBACK_FPS", "VIDEOS", "Frame", "Video", "is_video", "parse_size"]

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".ogv")
"""Endings of file names that are taken for videos."""

_MOST_FPS = 1000.0


def is_video(path: str | Path) -> bool:
    """Whether the name of a file is one of a video."""
    return Path(path).suffix.lower() in VIDEOS


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
        self._upright = Upright(None if size is None else parse_size(f"{size[0]}x{size[1]}"))
        with self._open() as container:
            stream = container.streams.video[0]
            rate = rate_of(stream)
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
            for frame in self._at_rate(timed(self._decoded(container), 1 / float(self._rate))):
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
                f"'{self.name}' cannot be opened as a video ({reason_of(error)}; cut off, or another kind of file?); "
                "record or copy it again."
            ) from None
        if not has_pictures(container):
            container.close()
            raise ValueError(f"'{self.name}' has no video stream that can be decoded; give a file with pictures.")
        container.streams.video[0].thread_type = "AUTO"
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
            yield from (frame for frame in frames if fits(frame))
        if damaged:
            self.notes.append(f"'{self.name}' is damaged in {damaged} places, which are left out.")

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


def _duration(container: Any, stream: Any, rate: Fraction) -> float | None:
    """Seconds, as the file states them. Of a file that is cut off some are corrected, but not the number of frames."""
    stated = [stream.frames / rate] if stream.frames else []
    if stream.duration and stream.time_base:
        stated.append(stream.duration * stream.time_base)
    elif container.duration:
        stated.append(container.duration / 1e6)
    seconds = float(max(stated, default=0))
    return seconds if 0 < seconds < 1e6 else None
