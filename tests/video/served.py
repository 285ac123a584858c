"""Streams served on this machine, and people of coloured dots who do something."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from bonegraph.inference.recogniser import Recogniser
from bonegraph.models import stgcn
from bonegraph.models.checkpoint import Calibration, Meaning, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.read.video import Frame
from bonegraph.sequence import Sequence
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

from . import films

FPS = 25.0
ACTIONS = ("nod", "kick", "stand")


def moving(action: str, times: NDArray[np.floating], x: float, phase: float = 0.0) -> NDArray[np.float64]:
    """(T, 4, 2): somebody at x who does something twice a second."""
    joints = np.repeat(films.stick(x, 80)[None], len(times), axis=0)
    swing = 14 * np.sin(4 * np.pi * times + phase)
    if action == "nod":
        joints[:, 0, 0] += swing
    elif action == "kick":
        joints[:, 2, 0] += 14 + swing
    return joints


def pictures(*people: NDArray[np.float64]) -> list[Frame]:
    """A picture for every frame of the people, (T, 4, 2) each."""
    return [films.drawn(np.array(joints), 256, 160) for joints in zip(*people, strict=True)]


def encoded(frames: list[Frame], format: str = "mpegts", stamps: list[float] | None = None) -> bytes:
    """A film in memory; stamps are the times of the frames in seconds, by default 25 a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=format) as container:
        stream = container.add_stream("mjpeg" if format == "mpjpeg" else "libx264", rate=int(FPS))
        stream.height, stream.width = frames[0].shape[:2]
        if format == "mpjpeg":
            stream.pix_fmt, stream.options = "yuvj444p", {"qscale": "2"}
        else:
            stream.pix_fmt, stream.options = "yuv420p", {"crf": "12", "tune": "zerolatency", "g": "10"}
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            at = number / FPS if stamps is None else stamps[number]
            base = Fraction(1, int(FPS)) if format == "mpjpeg" else Fraction(1, 1000)
            picture.pts, picture.time_base = round(at / float(base)), base
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file.getvalue()


Body = Callable[[], Iterator[bytes]]
"""What is sent, part by part; waiting between parts makes it slow, and ending without the last part breaks it off."""


@contextmanager
def server(*bodies: Body, whole: bool = True) -> Iterator[str]:
    """Serve over HTTP on this machine; the first connection gets the first body, the last one goes on for all others.

    Args:
        bodies: what is sent.
        whole: end in order (chunked); else nobody can tell the end from a broken connection, which it then is.
    """
    asked = iter(range(10**6))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = bodies[min(next(asked), len(bodies) - 1)]
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header(*(("Transfer-Encoding", "chunked") if whole else ("Connection", "close")))
            self.end_headers()
            try:
                for part in body():
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n" if whole else part)
                if whole:
                    self.wfile.write(b"0\r\n\r\n")
            except OSError:
                pass  # nobody listens any more
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}/live"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def parts(data: bytes, count: int) -> list[bytes]:
    """Data in so many pieces."""
    edges = [round(number * len(data) / count) for number in range(count + 1)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def recordings(count: int, seed: int) -> tuple[list[Sequence], NDArray[np.int64]]:
    """Clips of a second and which action they show."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(ACTIONS)
    times = np.arange(25) / FPS
    clips = []
    for label in labels:
        x, phase = random.uniform(40, 210), random.uniform(0, 2 * np.pi)
        joints = moving(ACTIONS[label], times, x, phase) + random.normal(0, 0.7, (25, 4, 2))
        present = np.ones((25, 1), np.bool_)
        sure = np.ones((25, 1, 4), np.float32)
        clips.append(Sequence(joints[:, None].astype(np.float32), present, films.STICK, FPS, "px", sure))
    return clips, labels


def trained(path: Path, people: int = 1, steps: int = 60) -> Path:
    """A small network that tells nodding, kicking and standing apart, by a few steps of training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = replace(stgcn.best(), in_channels=2, widths=(8, 8), strides=(1, 2), dropout=0.0)
        model = build(config, films.STICK, len(ACTIONS), np.arange(4.0))
        calibration = Calibration(1.0, 0.5)
        length = Length("uniform", 16)
        transforms = Transforms(centre="first", scale="body-height")
        meaning = Meaning(films.STICK, ACTIONS, transforms, length, people, FPS, "px", {}, 1.0, people, calibration)
        clips, labels = recordings(48, seed=1)
        recogniser = Recogniser(model, meaning)
        from bonegraph.sample import join
        from bonegraph.transforms.pipeline import apply

        ready = apply(transforms, join([recogniser.batch(clip) for clip in clips]), films.STICK, training=False)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        model.train()
        for _ in range(steps):
            loss = torch.nn.functional.cross_entropy(model(ready.positions, ready.visible), torch.from_numpy(labels))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return save_checkpoint(path, model.eval(), meaning)
