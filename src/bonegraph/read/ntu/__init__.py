"""NTU RGB+D: ``.skeleton`` files, and the ways in which they become people.

    file --read_recording--> NtuRecording --CLEANING--> Sequence

These files are prepared in several ways, and accuracies differ for it; `CLEANING` has the three whose code was
released, and ours.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bonegraph.read.ntu.cleaning import FPS, best
from bonegraph.read.ntu.recording import NtuRecording, read_recording
from bonegraph.read.ntu.released import released_array, released_ctrgcn, released_msg3d, released_stgcn
from bonegraph.sequence import Sequence

__all__ = ["CLEANING", "FPS", "Cleaning", "NtuRecording", "read_ntu", "read_recording", "released_array"]

Cleaning = Literal["best", "released-stgcn", "released-msg3d", "released-ctrgcn"]

CLEANING: dict[Cleaning, Callable[[NtuRecording], Sequence]] = {
    "best": best,
    "released-stgcn": released_stgcn,
    "released-msg3d": released_msg3d,
    "released-ctrgcn": released_ctrgcn,
}
"""From the bodies of a file to people, by name."""


def read_ntu(path: str | Path) -> Sequence:
    """Read one ``.skeleton`` file with the cleaning that we recommend.

    Args:
        path: the file.

    Returns:
        At most two people on ``ntu25``, in metres as the camera sees them, at 30 frames per second, in as many frames
        as the file has. Who is not seen is absent.

    Raises:
        ValueError: the file is damaged; the message names the line.
        OSError: the file cannot be read at all.
    """
    return best(read_recording(path))
