"""A film that is written while it happens, for hours, and that can be played whenever that ends."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from bonegraph.files import writing
from bonegraph.viz.video import Picture, check_film

if TYPE_CHECKING:
    import av

_MILLISECOND = Fraction(1, 1000)
_SECOND = 25  # pictures from one key frame to the next: what a crash may cost


class Recorder:
    """Write pictures into an ``.mp4`` as they come, each shown until the next one.

    The film is written under a temporary name beside its place, piece by piece, so that memory does not grow and what
    is on the disk can be played, and gets its name when it is closed, whatever the reason. A film that was there
    before stays until then; without a picture it stays for good.

    Args:
        path: of the film.

    Raises:
        ValueError: it does not end in ``.mp4``, or PyAV is not installed.
        FileNotFoundError: the folder does not exist.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix.lower() != ".mp4":
            raise ValueError(f"what is seen is recorded as .mp4, got '{path}'.")
        check_film(path)
        self._path = path
        self._unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._start, self._last = 0.0, -1

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, picture: Picture, time: float) -> None:
        """The next picture.

        Args:
            picture: (height, width, 3), even numbers; of the size of the first one.
            time: in seconds, later than that of the one before.

        Raises:
            OSError: it cannot be written.
        """
        import av

        with writing(self._path):
            if self._container is None:
                self._open(picture, time)
            assert self._container is not None and self._stream is not None
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            self._last = max(self._last + 1, round(1000 * (time - self._start)))
            frame.pts, frame.time_base = self._last, _MILLISECOND
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the film.

        Raises:
            OSError: its end cannot be written; what there is has its name.
        """
        if self._container is None or self._stream is None:
            return
        container, stream = self._container, self._stream
        self._container = self._stream = None
        with writing(self._path):
            try:
                container.mux(stream.encode())
                container.close()
            finally:
                self._unfinished.replace(self._path)

    def _open(self, picture: Picture, time: float) -> None:
        import av

        options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
        container = av.open(str(self._unfinished), "w", format="mp4", options=options)
        stream = container.add_stream("libx264", rate=25, options={"crf": "23", "preset": "veryfast"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt, stream.codec_context.gop_size = "yuv420p", _SECOND
        stream.codec_context.time_base = _MILLISECOND
        self._container, self._stream, self._start = container, stream, time
