"""Pictures to films: ``.mp4`` (H.264, by PyAV) and ``.gif``, whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bonegraph.files import write_whole

Picture = NDArray[np.uint8]
FILMS = (".mp4", ".gif")
_GIF_FPS = 50.0  # programs that show GIFs slow faster ones down


def check_film(path: Path) -> None:
    """See that a film can be written, before it is made.

    Raises:
        ValueError: another kind of file, or PyAV is not installed.
        FileNotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in FILMS:
        raise ValueError(f"cannot write a film into '{path}'; the name must end in one of: {', '.join(FILMS)}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder '{path.parent}' to write '{path.name}' into; make it first.")
    if path.suffix.lower() == ".mp4":
        try:
            import av  # noqa: F401
        except ImportError:
            raise ValueError(
                "an .mp4 needs PyAV, which is not installed: pip install -c constraints.txt -e '.[video]'; or write a "
                ".gif or .html."
            ) from None


def write_film(path: Path, pictures: Iterator[Picture], fps: float) -> None:
    """Write a film.

    Args:
        path: ``.mp4`` or ``.gif``.
        pictures: (height, width, 3), all of one size, at least one; an mp4 needs even numbers.
        fps: pictures per second. A GIF counts hundredths of a second and takes at most 50 pictures in one.

    Raises:
        ValueError: as `check_film`.
        OSError: it cannot be written.
    """
    check_film(path)
    write_whole(path, _mp4(pictures, fps) if path.suffix.lower() == ".mp4" else _gif(pictures, fps))


def _mp4(pictures: Iterator[Picture], fps: float) -> bytes:
    import av

    first = next(pictures)
    height, width, _ = first.shape
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000), options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in chain([first], pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def _gif(pictures: Iterator[Picture], fps: float) -> bytes:
    images = [Image.fromarray(picture).quantize(128) for picture in pictures]
    file = io.BytesIO()
    ends = [round(100 * (number + 1) / min(fps, _GIF_FPS)) for number in range(len(images))]
    durations = [10 * (end - begin) for begin, end in zip([0, *ends], ends, strict=False)]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return file.getvalue()
