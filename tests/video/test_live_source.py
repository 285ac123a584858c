"""A live source: the newest picture and no queue, time by the time stamps, and an end to everything that hangs."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bonegraph.read import live as live_module
from bonegraph.read.frames import Frame
from bonegraph.read.live import Found, Live, Lost, Shot

from . import films
from .served import FPS, encoded, parts, server

GREY = [np.full((64, 96, 3), 4 * number + 8, np.uint8) for number in range(50)]


def shade(picture: Frame) -> int:
    """Which of the grey pictures it is."""
    return round((float(picture.mean()) - 8) / 4)


def watched(live: Live, slow: float = 0.0) -> list[Shot]:
    shots = []
    with live:
        for news in live:
            if isinstance(news, Shot):
                shots.append(news)
                time.sleep(slow)
    return shots


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write(tmp_path_factory.mktemp("films") / "grey.mp4", GREY[:25])


def test_every_picture_of_a_file(film: Path) -> None:
    live = Live(str(film), realtime=False)
    shots = watched(live, slow=0.003)
    assert [shade(shot.picture) for shot in shots] == list(range(25))
    np.testing.assert_allclose([shot.time for shot in shots], np.arange(25) / 25, atol=1e-3)
    assert (live.decoded, live.dropped, live.is_file, live.name) == (25, 0, True, "grey.mp4")


def test_a_file_plays_at_its_own_speed(film: Path) -> None:
    start = time.monotonic()
    live = Live(str(film))
    shots = watched(live)
    # A film of a second whose last picture comes after 24 frames; a busy machine may lose some and be later.
    assert time.monotonic() - start >= 24 / 25
    assert all(shot.arrived - start >= shot.time for shot in shots)
    assert len(shots) + live.dropped == 25


def test_who_is_slow_gets_the_newest_picture(film: Path) -> None:
    live = Live(str(film))
    shots = watched(live, slow=0.25)
    assert len(shots) <= 5 and live.dropped == 25 - len(shots)
    # What was waiting is the newest: at most one picture lies between its time and when it was taken.
    assert [shade(shot.picture) for shot in shots] == [round(shot.time * 25) for shot in shots]
    assert shots[-1].time > 0.6


def test_a_varying_rate(tmp_path: Path) -> None:
    times = list(np.cumsum([0, 0.04, 0.1, 0.02, 0.3, 0.04, 0.04, 0.2]))
    path = films.write(tmp_path / "varying.mp4", GREY[:8], times=times)
    np.testing.assert_allclose([shot.time for shot in watched(Live(str(path), realtime=False))], times, atol=2e-3)


def test_the_size_that_is_asked_for(film: Path) -> None:
    assert watched(Live(str(film), realtime=False, size=(48, 40)))[0].picture.shape == (40, 48, 3)


@pytest.mark.parametrize("delay", [0.0, 0.2], ids=["faster than real time", "slower than real time"])
def test_a_stream_has_the_time_of_its_stamps(delay: float) -> None:
    """And however fast it comes, no picture is given before its time: most of them would be left out."""
    data = parts(encoded(GREY[:30]), 10)

    def body() -> Iterator[bytes]:
        for part in data:
            yield part
            time.sleep(delay)

    with server(body) as url:
        live = Live(url, timeout=5)
        shots = watched(live)
        assert live.decoded == 30 and len(shots) + live.dropped == 30
    assert not live.is_file
    for shot in shots:
        assert shot.time == pytest.approx(shade(shot.picture) / FPS, abs=2e-3)
        assert shot.arrived - shots[0].arrived >= (shot.time - shots[0].time) / 1.02 - 0.1


def test_pictures_without_time_stamps_have_the_time_of_their_arrival() -> None:
    data = parts(encoded(GREY[:8], "mpjpeg"), 8)

    def body() -> Iterator[bytes]:
        for part in data:
            yield part
            time.sleep(0.2)  # five a second, which nothing in the stream tells

    shots = []
    with server(body) as url, Live(url, timeout=5) as live, contextlib.suppress(ValueError):  # it ends in a header
        for news in live:
            shots += [news] if isinstance(news, Shot) else []
    assert shots[-1].time == pytest.approx(shots[-1].arrived - shots[0].arrived, abs=0.05)
    assert shots[-1].time > 0.5  # by the 25 frames a second that FFmpeg assumes it would be 0.28


def test_a_stream_that_breaks_off() -> None:
    data = encoded(GREY)
    with (
        server(lambda: iter([data[: len(data) // 2]]), whole=False) as url,
        pytest.raises(ValueError, match=r"'http://127\.0\.0\.1:\d+/live' broke: .*--reconnect SECONDS"),
    ):
        watched(Live(url, timeout=5))


def test_a_stream_that_goes_silent() -> None:
    data = encoded(GREY)
    release = threading.Event()

    def body() -> Iterator[bytes]:
        yield data[: len(data) // 2]
        release.wait(30)

    with server(body) as url, pytest.raises(ValueError, match=r"broke: nothing came for 0\.5 s"):
        try:
            watched(Live(url, timeout=0.5))
        finally:
            release.set()


def test_who_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(ValueError, match=r"cannot watch '.*': nothing came for 0\.5 s"):
            watched(Live(url, timeout=0.5))


def test_a_reader_that_hangs_is_given_up(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Hanging(Live):
        def _open(self) -> object:  # type: ignore[override]
            release.wait(30)
            raise OSError

    monkeypatch.setattr(live_module, "_ROOM", 0.1)
    try:
        with pytest.raises(ValueError, match=r"no picture came for 0\.2 s"):
            watched(Hanging("rtsp://192.0.2.1/", timeout=0.2))
    finally:
        release.set()


def test_noise_is_no_video() -> None:
    noise = np.random.default_rng(0).bytes(200_000)
    with server(lambda: iter([noise])) as url, pytest.raises(ValueError, match="cannot watch '"):
        watched(Live(url, timeout=2))


def test_it_is_tried_again() -> None:
    data = encoded(GREY)
    heard: list[object] = []
    with (
        server(lambda: iter([data[: len(data) // 2]]), lambda: iter([data]), whole=False) as url,
        Live(url, timeout=5, reconnect=0.1) as live,
    ):
        for news in live:
            heard += [] if news is None else [news]
            if isinstance(news, Found):
                break
        shots = [one for one in heard if isinstance(one, Shot)]
        lost = [one for one in heard if isinstance(one, Lost)]
        later = next(news for news in live if isinstance(news, Shot))
    assert shots and len(lost) == 1 and lost[0].why
    assert later.time > shots[-1].time


def test_nobody_there_and_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Live(f"http://127.0.0.1:{port}/", timeout=1, reconnect=0.1) as live:
        assert next(news for news in live if news is not None) == Lost("Connection refused")
        assert sum(news is None for news, _ in zip(live, range(6), strict=False)) == 6  # told once, not at every try


def test_a_password_is_not_shown() -> None:
    live = Live("rtsp://user:secret@camera.local:554/live?password=secret")
    assert live.name == "rtsp://camera.local:554/live"


def test_a_network_source_reads_no_files(tmp_path: Path, film: Path) -> None:
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{film}\n#EXT-X-ENDLIST\n".encode()
    with server(lambda: iter([playlist])) as url, pytest.raises(ValueError, match=r"cannot watch '|broke"):
        watched(Live(url.replace("/live", "/live.m3u8"), timeout=2))


def test_pictures_that_are_too_large(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MOST_PIXELS", 5000)
    with pytest.raises(ValueError, match="its pictures of 96x64 are too large"):
        watched(Live(str(film)))


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("9", {}, "no camera '/dev/video9'"),
        ("/dev/video9", {}, "no camera '/dev/video9'"),
        ("gone.mp4", {}, "no file 'gone.mp4'"),
        ("rtsp://a/", {"timeout": 0}, "the timeout must be above 0"),
        ("rtsp://a/", {"reconnect": -1.0}, "reconnect must be above 0"),
    ],
)
def test_what_cannot_be(source: str, options: dict[str, float], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Live(source, **options)  # type: ignore[arg-type]


def test_a_file_is_not_tried_again(film: Path) -> None:
    with pytest.raises(ValueError, match="a file is not opened again"):
        Live(str(film), reconnect=1)


def test_no_video(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(ValueError, match=r"cannot watch 'text\.mp4'"):
        watched(Live(str(tmp_path / "text.mp4")))


def test_closing_ends_the_thread(film: Path) -> None:
    with Live(str(film)) as live:
        next(iter(live))
    assert "reader" not in {thread.name for thread in threading.enumerate()}
