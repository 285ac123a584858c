"""``bonegraph watch``."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.inference.live.events import Event


def watch(
    checkpoint: Path,
    source: str,
    people: int = 1,
    every: float = 0.5,
    window: float | None = None,
    threshold: float | None = None,
    each: bool | None = None,
    smooth: int = 3,
    top: int = 3,
    stream: Literal["auto", "exact", "window"] = "auto",
    realtime: bool = True,
    seconds: float | None = None,
    timeout: float = 10.0,
    reconnect: float | None = None,
    resize: str | None = None,
    text: bool = False,
    display: bool = False,
    record: Path | None = None,
) -> int:
    """Say what people do while it happens: in front of a camera, in a network stream, or in a film.

    Examples:
      bonegraph watch runs/nw-ucla 0 --people 3
      bonegraph watch runs/nw-ucla 0 --people 3 --display true
      bonegraph watch runs/nw-ucla /dev/video2 --text true
      bonegraph watch runs/nw-ucla rtsp://camera.local/stream --reconnect 5 > answers.jsonl
      bonegraph watch runs/nw-ucla http://127.0.0.1:8080/video.ts --record seen.mp4
      bonegraph watch runs/nw-ucla film.mp4
      bonegraph watch runs/mine 0 --stream exact
      bonegraph watch runs/nw-ucla film.mp4 --realtime false --people 2 --window 2 --threshold 0.6

    Every half second one line of JSON on standard output for each person: the time, the person, the action and since
    when, its probability; and a line when an action ends, when somebody leaves, and every few seconds how fast it goes.
    docs/watch.md describes them. An action whose probability is below the threshold is "unknown"; 'bonegraph calibrate'
    finds the threshold. Ctrl-C ends it, and so does the key q in the window.

    People are found as in videos (docs/video.md). Where that takes longer than the time from one picture to the next,
    pictures are left out, so that the answers are always about now.

    Args:
        checkpoint: a checkpoint, a run folder or a folder of streams.
        source: number or device of a camera, a URL (rtsp, http, https, udp, rtmp, srt), or a video file.
        people: look at no more than so many; 1 is fastest and steadiest.
        every: seconds from one answer to the next.
        window: seconds that are looked at; default the median length of the training clips.
        threshold: an action of a lower probability is "unknown"; default that of 'bonegraph calibrate', else 0.
        each: look at each person alone; default where the checkpoint was trained with one person a clip.
        smooth: how many answers are averaged.
        top: how many of the most probable actions are told.
        stream: take frames one by one (exact) where the checkpoint allows it, else slide a window; exact and window
            insist (docs/streaming.md).
        realtime: play a file at its own speed and leave out what comes while we are busy; false takes every picture.
        seconds: watch no longer than this.
        timeout: seconds without a picture, or a connection, after which a camera or a stream counts as broken.
        reconnect: seconds after which a broken camera or stream is tried again, and again; default is to give up.
        resize: bring pictures to WIDTHxHEIGHT, e.g. 340x256 for checkpoints of Kinetics-Skeleton.
        text: lines for people instead of JSON.
        display: show the pictures in a window, with skeletons and what everyone does.
        record: write that into a film (.mp4).
    """
    from bonegraph.inference.live.session import Session
    from bonegraph.inference.live.watcher import Watcher
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.pose.mediapipe_pose import MediaPipePose
    from bonegraph.read.live import Live
    from bonegraph.read.video import parse_size
    from bonegraph.skeleton import conversion
    from bonegraph.viz.display import Display
    from bonegraph.viz.live import drawn
    from bonegraph.viz.recorder import Recorder

    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds must be above 0, got {seconds:g}.")
    shown = Display("bonegraph watch") if display else None  # before PyAV is imported, see there
    recorder = None if record is None else Recorder(record)
    if record is not None and Path(source).exists() and Path(source).resolve() == record.resolve():
        raise ValueError(f"'{record}' is the source itself; record into another file.")
    live = Live(
        source,
        realtime=realtime,
        timeout=timeout,
        reconnect=reconnect,
        size=None if resize is None else parse_size(resize),
    )
    recogniser = Recogniser.load(checkpoint)
    estimator = MediaPipePose(people)
    watcher = Watcher(
        recogniser,
        estimator,
        every=every,
        window=window,
        each=each,
        threshold=threshold,
        smooth=smooth,
        top=top,
        stream=stream,
    )
    print(f"stream: {watcher.how}", file=sys.stderr)
    how = conversion(estimator.skeleton, recogniser.meaning.skeleton)
    if how.source != how.target:
        print(f"converted {how}", file=sys.stderr)
    if watcher.threshold is None:
        print(
            f"note: it never says \"unknown\", because it is not calibrated: 'bonegraph calibrate {checkpoint}', or "
            "give --threshold.",
            file=sys.stderr,
        )
    say = _words() if text else _json
    started = {
        "source": live.name,
        "checkpoint": str(checkpoint),
        "fps": watcher.fps,
        "window": watcher.window,
        "every": every,
        "threshold": watcher.threshold,
        "each": watcher.each,
        "stream": watcher.kind,
        "late": round(watcher.late, 4),
    }
    why = "the source ended"
    with contextlib.ExitStack() as ending, _termination():
        session = Session(live, estimator, watcher, say, idle=_alive(shown), seconds=seconds)

        def stop() -> None:
            say({"event": "stop", "time": round(session.time, 4), "why": why, "pictures": session.pictures})

        say({"event": "start", **started})
        ending.callback(stop)
        ending.enter_context(live)
        if shown is not None:
            ending.callback(shown.close)
        if recorder is not None:
            ending.enter_context(recorder)
        try:
            for view in ending.enter_context(contextlib.closing(session.run())):
                if recorder is None and shown is None:
                    continue
                lines = [f"{view.fps:.1f} frames/s", f"{view.time:.1f} s"]
                picture = drawn(view.picture, view.people, estimator.skeleton, view.texts, lines)
                if recorder is not None:
                    recorder.add(picture, view.time)
                if shown is not None:
                    shown.show(picture)
                    if shown.wants_end():
                        raise _Enough
        except _Enough:
            why = "the window was closed"
        except KeyboardInterrupt:
            why = "Ctrl-C"
            raise
        except (ValueError, OSError) as error:
            why = " ".join(str(error).split())
            raise
        if seconds is not None and session.time >= seconds:
            why = f"{seconds:g} seconds are over"
    if record is not None and session.pictures:
        print(f"recorded: {record}", file=sys.stderr)
    return 0


class _Enough(Exception):
    """Somebody pressed q."""


def _alive(shown: Any) -> Callable[[], None]:
    """What keeps a window alive while no picture comes."""

    def idle() -> None:
        if shown is not None and shown.wants_end():
            raise _Enough

    return idle


@contextlib.contextmanager
def _termination() -> Iterator[None]:
    """Let a request to terminate end everything in order, as Ctrl-C does: services are stopped so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _json(event: Event | dict[str, Any]) -> None:
    from bonegraph.inference.live.events import plain

    print(json.dumps(event if isinstance(event, dict) else plain(event), ensure_ascii=False), flush=True)


def _words() -> Callable[[Event | dict[str, Any]], None]:
    """Lines for people: what changes, and how fast it goes."""
    from bonegraph.inference.live import events

    before: dict[int | None, str] = {}

    def say(event: Event | dict[str, Any]) -> None:
        line = ""
        if isinstance(event, events.Answer):
            if before.get(event.person) != event.action:
                before[event.person] = event.action
                since = _clock(event.since).strip()
                line = f"{_who(event.person)}: {event.action} ({event.probability:.0%}), since {since}"
        elif isinstance(event, events.End):
            line = f"{_who(event.person)}: {event.action} ended at {_clock(event.end).strip()}"
        elif isinstance(event, events.Leave):
            before.pop(event.person, None)
            line = f"{_who(event.person)} left"
        elif isinstance(event, events.Status):
            delay = "" if event.delay is None else f", {1000 * event.delay:.0f} ms behind"
            line = f"{event.fps:.1f} frames/s{delay}, {event.dropped} pictures left out, {event.people} people"
        elif isinstance(event, events.Broken):
            line = f"the connection is lost: {event.why}"
        elif isinstance(event, events.Mended):
            line = "the connection is there again"
        elif event["event"] == "start":
            print(f"watching {event['source']}, the last {event['window']:.1f} s at a time", flush=True)
        else:
            print(f"{_clock(event['time'])}  end: {event['why']}", flush=True)
        if line and not isinstance(event, dict):
            print(f"{_clock(event.time)}  {line}", flush=True)

    return say


def _who(person: int | None) -> str:
    return "everyone" if person is None else f"person {person}"


def _clock(seconds: float) -> str:
    """``m:ss.s``."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}".rjust(8)


def run(arguments: list[str]) -> int:
    """Called by the command line."""
    status: int = call(watch, arguments, "watch")
    return status
