"""Small good videos: six frames of noise and of one colour, in three containers and three codecs."""

from __future__ import annotations

import io
from functools import cache

import numpy as np

from .recordings import rng

KINDS = {"mp4": "libx264", "avi": "mpeg4", "mkv": "libvpx"}


@cache
def video(container: str) -> list[bytes]:
    """With and without frames that refer to others."""
    import av

    files = []
    for between in (0, 5):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=container.replace("mkv", "matroska"), options={"fflags": "+bitexact"}) as out:
            stream = out.add_stream(KINDS[container], rate=25)
            stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 64, 48, "yuv420p", between
            stream.codec_context.thread_count = 1  # the same file every time
            for number in range(6):
                frame = rng().integers(0, 256, (48, 64, 3), np.uint8) // 4 + 10 * number
                frame[:, 8 * number : 8 * number + 16] = (200, 10, 10)
                picture = av.VideoFrame.from_ndarray(frame.astype(np.uint8), format="rgb24")
                picture.pts = number
                out.mux(stream.encode(picture))
            out.mux(stream.encode())
        files.append(buffer.getvalue())
    return files
