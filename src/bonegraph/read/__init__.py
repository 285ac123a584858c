"""Readers: one file format, one module, and every reader returns a `bonegraph.sequence.Sequence`.

A reader refuses what it cannot trust with a ValueError of one line that names the file and what is wrong with it. A
person whose joints are all exactly zero is not at the origin of the camera but absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bonegraph.read.kinetics import read_kinetics
from bonegraph.read.mediapipe import is_mediapipe_csv, is_mediapipe_json, is_mediapipe_npy, read_mediapipe
from bonegraph.read.msr import read_msr
from bonegraph.read.ntu import read_ntu
from bonegraph.read.openpose import PATTERN, read_openpose
from bonegraph.read.penn import read_penn
from bonegraph.read.sbu import read_sbu
from bonegraph.read.table import read_table
from bonegraph.read.ucla import read_ucla
from bonegraph.read.utd import read_utd
from bonegraph.read.video import is_video
from bonegraph.sequence import Sequence
from bonegraph.skeleton import nearest

__all__ = ["FORMATS", "Format", "read"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        pattern: file names that are taken for it, e.g. ``"*.json"``.
        read: its reader.
        recognises: tells by the first bytes of a file (`HEAD` of them) whether it is one, where several formats share a
            pattern; None takes every file of such a name.
        folder: a recording is a folder of such files; one of them alone is a recording of one frame.
    """

    pattern: str
    read: Callable[[Path], Sequence]
    recognises: Callable[[bytes], bool] | None = None
    folder: bool = False


HEAD = 4096
"""As many bytes of a file are looked at to tell its format."""


FORMATS: dict[str, Format] = {
    "nw-ucla": Format("*.json", read_ucla, lambda head: b'"skeletons"' in head),
    "sbu": Format("skeleton_pos.txt", read_sbu),
    "utd-mhad": Format("*_skeleton.mat", read_utd),
    "msr-action3d": Format("*_skeleton3D.txt", read_msr),
    "penn-action": Format("*.mat", read_penn),
    "ntu": Format("*.skeleton", read_ntu),
    "mediapipe": Format("*.json", read_mediapipe, is_mediapipe_json),
    "mediapipe-csv": Format("*.csv", read_mediapipe, is_mediapipe_csv),
    "mediapipe-npy": Format("*.npy", read_mediapipe, is_mediapipe_npy),
    "kinetics-skeleton": Format("*.json", read_kinetics, lambda head: b'"frame_index"' in head or b'"data"' in head),
    "openpose": Format(PATTERN, read_openpose, lambda head: b'"people"' in head, folder=True),
    "csv": Format("*.csv", read_table),
    "npy": Format("*.npy", read_table),
}
"""The file formats by name."""


def read(path: str | Path, format: str | None = None) -> Sequence:
    """Read a recording.

    Args:
        path: its file, or its folder where each frame is a file (OpenPose).
        format: a key of `FORMATS`; None goes by the name of the file, and by its beginning where that is not enough.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such format, no format fits the file, or the file is damaged.
    """
    return FORMATS[format_of(path, format)].read(Path(path))


def format_of(path: str | Path, format: str | None = None) -> str:
    """The format that a recording is read as: the one that is given, else that of its name and its beginning.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such format, or no format fits the file.
    """
    path = Path(path)
    folders = {name: known for name, known in FORMATS.items() if known.folder}
    if path.is_dir() and format in (None, *folders):
        for name, known in folders.items():
            if format == name or any(path.glob(known.pattern)):
                return name
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}'; give a file of one of the formats {', '.join(FORMATS)}.")
    if format is not None:
        if format not in FORMATS:
            raise ValueError(f"no format '{format}'{nearest(format, FORMATS)}.")
        return format
    candidates = {name: candidate for name, candidate in FORMATS.items() if path.match(candidate.pattern)}
    if not candidates and is_video(path):
        raise ValueError(
            f"'{path.name}' is a video, in which people must be found first; give it to 'bonegraph recognise', or a "
            "folder of videos to 'bonegraph prepare' (docs/video.md)."
        )
    if not candidates:
        raise ValueError(f"'{path.name}' tells no format by its name; name one of: {', '.join(FORMATS)}.")
    with path.open("rb") as file:
        head = file.read(HEAD)
    for name, candidate in candidates.items():
        if candidate.recognises is None or candidate.recognises(head):
            return name
    raise ValueError(
        f"'{path.name}' begins like none of the formats that its name allows ({', '.join(candidates)}); "
        "name its format, or check the file."
    )
