"""Pictures as they come: from a camera, a network stream, or a film that plays at its own speed (by PyAV).

One thread reads and decodes; between it and who looks at the pictures there is room for a single one. Who is slower
than a live source gets the newest picture and never one from a queue, so that the delay stays that of one picture.

Time is that of the time stamps, since a network delivers in bursts, and no picture is given before its time; where a
format has no time stamps of its own (JPEG pictures one after the other, as many cameras send them) it is the time of
arrival. Streams play a fiftieth faster than their time stamps say, so that what has piled up, at the start or after a
break, is caught up with, and the clock of a camera may be slower or faster than ours.

A source may be a stranger's: it is given neither files of this machine to read (playlists name other places) nor more
memory than one large picture, and whatever it does, or does not do, is noticed within a timeout.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bonegraph.read.frames import MOST_PIXELS, Frame, Upright, fits, has_pictures, parse_size, rate_of, reason_of, timed

if TYPE_CHECKING:
    import av

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,15}://", re.IGNORECASE)
_FROM_NETWORK = "http,https,tls,tcp,udp,rtp,rtsp,rtmp,rtmps,rtmpt,srtp,srt,httpproxy,crypto,data"
_FROM_FILE = "file,crypto,data"
_ANALYSE = 1_000_000
"""Microseconds of a stream that FFmpeg looks at before it gives the first picture; by itself it takes five seconds."""
_NO_TIME_STAMPS = 0x0080  # AVFMT_NOTIMESTAMPS
_ROOM = 2.0  # seconds beyond the timeout after which a reader that noticed nothing itself is given up
_TICK = 0.1
_LONGEST_NAP = 60.0
_FASTER = 1.02
_AHEAD = 1.0  # seconds for which a stream is held back; time stamps that are further ahead leap


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture.

    Attributes:
        picture: upright.
        time: seconds since the first picture of the source.
        arrived: when it was decoded, by `time.monotonic`.
    """

    picture: Frame
    time: float
    arrived: float


@dataclass(frozen=True)
class Lost:
    """The connection broke and will be tried again.

    Attributes:
        why: in words.
    """

    why: str


@dataclass(frozen=True)
class Found:
    """The connection is there again."""


class Live:
    """A source of pictures; iterating gives `Shot`, `Lost` and `Found`, and None where a moment passes without news.

    Reading begins when iteration does, and ends with `close` or the block of a ``with``.

    Args:
        source: the number of a camera (``"0"``), its device (``"/dev/video0"``), a URL that FFmpeg opens (rtsp, http,
            https, udp, rtmp, srt), or a video file.
        realtime: play a file at its own speed and leave out what is not taken in time; else give every picture as fast
            as it is taken. Cameras and streams are always live.
        timeout: seconds without a picture, or without a connection, after which a live source counts as broken.
        reconnect: seconds after which a broken live source is tried again, and again; None gives up.
        size: (width, height) in pixels to give; None keeps that of the first picture.

    Attributes:
        name: of the source, without any password.
        is_file: whether it is a file.
        decoded: how many pictures were decoded.
        dropped: how many of them were left out because nobody took them in time.

    Raises:
        FileNotFoundError: there is no such file or camera.
        ValueError: an argument makes no sense, or PyAV is not installed. While iterating: the source cannot be opened,
            is no video, or broke and is not tried again.

    Example:
        >>> with Live("rtsp://camera/stream") as live:  # doctest: +SKIP
        ...     for news in live:
        ...         if isinstance(news, Shot):
        ...             print(news.time, news.picture.shape)
    """

    def __init__(
        self,
        source: str,
        *,
        realtime: bool = True,
        timeout: float = 10.0,
        reconnect: float | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        if not 0 < timeout <= 3600:
            raise ValueError(f"the timeout must be above 0 and at most 3600 seconds, got {timeout:g}.")
        if reconnect is not None and not 0 < reconnect <= 86400:
            raise ValueError(f"reconnect must be above 0 and at most 86400 seconds, got {reconnect:g}.")
        try:
            import av  # noqa: F401
        except ImportError:
            raise ValueError(
                "reading a video needs PyAV, which is not installed: pip install -c constraints.txt -e '.[video]'."
            ) from None
        self._place = f"/dev/video{source}" if source.isdigit() and not Path(source).exists() else source
        self._url = bool(_SCHEME.match(self._place))
        self._camera = not self._url and Path(self._place).parent == Path("/dev")
        self.name = _without_password(self._place) if self._url else Path(self._place).name
        self.is_file = not self._url and not self._camera
        if not self._url and not (Path(self._place).exists() if self._camera else Path(self._place).is_file()):
            raise FileNotFoundError(
                f"no {'camera' if self._camera else 'file'} '{self._place}'; give the number of a camera, a URL or a "
                "video file."
            )
        if reconnect is not None and self.is_file:
            raise ValueError("a file is not opened again when it ends; --reconnect is for cameras and streams.")
        self._patient = self.is_file and not realtime
        self._timeout, self._reconnect = timeout, reconnect
        self._upright = Upright(None if size is None else parse_size(f"{size[0]}x{size[1]}"))
        self.decoded = self.dropped = 0
        self._news: deque[Lost | Found] = deque(maxlen=8)
        self._waiting: tuple[Any, float, float] | None = None  # decoded frame, time, arrived
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._ended = False
        self._error = ""
        self._heard = self._began = 0.0  # by time.monotonic: the last sign of life, the first picture
        self._latest = -1.0  # time of the last picture
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading. A reader that waits for a silent network ends by itself, at its timeout."""
        self._stop.set()
        with self._changed:
            self._waiting = None
            self._changed.notify_all()
        if self._reader is not None:
            self._reader.join(1.0)

    def __iter__(self) -> Iterator[Shot | Lost | Found | None]:
        """What comes.

        Raises:
            ValueError: as the class says.
        """
        if self._reader is None:
            self._heard = time.monotonic()
            self._reader = threading.Thread(target=self._read, name="reader", daemon=True)
            self._reader.start()
        while not self._stop.is_set():
            with self._changed:
                if not (self._news or self._waiting or self._ended):
                    self._changed.wait(_TICK)
                news = self._news.popleft() if self._news else None
                waiting = None
                if news is None and self._waiting is not None:
                    waiting, self._waiting = self._waiting, None
                    self._changed.notify_all()
                ended = self._ended and news is None and waiting is None
            if waiting is not None:
                frame, at, arrived = waiting
                yield Shot(self._upright(frame), at, arrived)
            elif ended:
                if self._error:
                    raise ValueError(self._error)
                return
            else:
                if news is None and not self.is_file and time.monotonic() - self._heard > self._timeout + _ROOM:
                    self._give_up()
                yield news

    def _give_up(self) -> None:
        """The reader hangs where its own timeout does not reach, such as in looking up a name."""
        if self._reconnect is None:
            raise ValueError(self._broken(f"no picture came for {self._timeout:g} s"))

    def _broken(self, why: str) -> str:
        return f"'{self.name}' broke: {why}; see whether it is still there, or give --reconnect SECONDS."

    def _read(self) -> None:
        """What the thread does."""
        lost = False
        while True:
            why, connected = "", False
            try:
                for frame, at in self._pictures():
                    if not connected and lost:
                        self._tell(Found())
                    connected, lost = True, False
                    if not self._hand_over(frame, at):
                        break
                else:
                    why = "" if self.is_file else "it ended"
            except _Refused as error:
                why = str(error)
            except Exception as error:  # whatever a decoder does, it must not end silently in a thread
                why = _words(error, self._timeout)
            if self._stop.is_set() or self._reconnect is None:
                break
            if not lost:
                self._tell(Lost(why))
            lost = True
            self._heard = time.monotonic() + self._reconnect
            if self._stop.wait(self._reconnect):
                break
        with self._changed:
            self._ended = True
            if why and why != "it ended":
                self._error = self._broken(why) if connected else f"cannot watch '{self.name}': {why}."
            self._changed.notify_all()

    def _tell(self, news: Lost | Found) -> None:
        with self._changed:
            self._news.append(news)
            self._changed.notify_all()

    def _hand_over(self, frame: Any, at: float) -> bool:
        """Offer a picture; False if nobody wants any more."""
        with self._changed:
            if self._patient:
                while self._waiting is not None and not self._stop.is_set():
                    self._changed.wait(_TICK)
            elif self._waiting is not None:
                self.dropped += 1
            if self._stop.is_set():
                return False
            self._waiting = (frame, at, time.monotonic())
            self._changed.notify_all()
        return True

    def _pictures(self) -> Iterator[tuple[Any, float]]:
        """Decoded frames of one connection with their time since the first picture of all.

        Raises:
            Exception: what FFmpeg and the system say about a broken connection.
        """
        self._heard = time.monotonic()
        with self._open() as container:
            stream = container.streams.video[0]
            arrival = not self.is_file and bool(int(container.format.flags) & _NO_TIME_STAMPS)
            start, opened = 0.0, 0.0
            for stamp, frame in timed(self._decoded(container), 1 / float(rate_of(stream))):
                now = time.monotonic()
                self._began = self._began or now
                if not opened:
                    opened, start = now, now - self._began  # that of the first picture of all is 0
                at = now - self._began if arrival else start + stamp
                self._latest = at = max(at, self._latest + 1e-3)
                ahead = opened + stamp / (1 if self.is_file else _FASTER) - now
                if not self.is_file and ahead > _AHEAD:
                    opened, ahead = opened - ahead, 0.0
                if ahead > 0 and not (self._patient or arrival) and self._stop.wait(min(ahead, _LONGEST_NAP)):
                    return
                yield frame, at

    def _decoded(self, container: av.container.InputContainer) -> Iterator[Any]:
        """What can be decoded; a damaged packet is left out, for there is always another one."""
        import av

        fruitless = time.monotonic()
        for packet in container.demux(container.streams.video[0]):
            if self._stop.is_set():
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, OSError):
                frames = []
            for frame in frames:
                if fits(frame):
                    self.decoded += 1
                    self._heard = fruitless = time.monotonic()
                    yield frame
                    fruitless = time.monotonic()
            if not self.is_file and time.monotonic() - fruitless > self._timeout:
                raise _Refused(f"nothing in {self._timeout:g} s of it could be decoded")
        if self.is_file and not self.decoded:
            raise _Refused("no frame of it can be decoded; record or copy it again")

    def _open(self) -> av.container.InputContainer:
        import av

        options = {"protocol_whitelist": _FROM_FILE if self.is_file else _FROM_NETWORK}
        if not self.is_file:
            options["analyzeduration"] = str(_ANALYSE)
        if self._place.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # pictures without holes
        container = av.open(
            self._place,
            format="v4l2" if self._camera else None,
            options={} if self._camera else options,
            timeout=None if self.is_file else self._timeout,
            metadata_errors="replace",
        )
        if not has_pictures(container):
            container.close()
            raise _Refused("it has no video that can be decoded")
        stream = container.streams.video[0]
        if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
            container.close()
            raise _Refused(f"its pictures of {stream.codec_context.width}x{stream.codec_context.height} are too large")
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        stream.thread_type = "AUTO" if self.is_file else "SLICE"  # frame threads hold pictures back
        return container


class _Refused(Exception):
    """A source that opens and is of no use."""


def _without_password(url: str) -> str:
    """Neither the user nor the query, in which cameras take passwords, too."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("://")[0]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _words(error: Exception, timeout: float) -> str:
    """Why a connection broke, in words."""
    if type(error).__name__ == "ExitError":  # of PyAV: its own timeout
        return f"nothing came for {timeout:g} s"
    return reason_of(error)
