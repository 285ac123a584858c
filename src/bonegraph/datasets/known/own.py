"""Formats of your own recordings, and which of them a folder holds."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bonegraph.datasets.known.base import KnownSet
from bonegraph.datasets.known.containers import AnnotationsSet
from bonegraph.datasets.known.mediapipe import MediaPipeSet
from bonegraph.datasets.known.openpose import OpenPoseSet
from bonegraph.datasets.known.table import CsvSet, NpySet
from bonegraph.datasets.known.video import VideoSet
from bonegraph.read import HEAD
from bonegraph.read.mediapipe import is_mediapipe_csv, is_mediapipe_json, is_mediapipe_npy
from bonegraph.read.video import is_video

OWN_FORMATS: dict[str, type[KnownSet]] = {
    "video": VideoSet,
    "openpose": OpenPoseSet,
    "mediapipe": MediaPipeSet,
    "csv": CsvSet,
    "npy": NpySet,
    "pickle": AnnotationsSet,
}
"""What ``bonegraph prepare FOLDER`` reads, by the name of the format."""

_CALLED = {
    "video": "videos",
    "openpose": "folders of OpenPose",
    "mediapipe": "files of landmarks of MediaPipe",
    "csv": ".csv files",
    "npy": ".npy files",
    "pickle": "pickles",
    "json": ".json files of another kind",
    "ntu": ".skeleton files",
}
_BY_BEGINNING = {"json": is_mediapipe_json, "csv": is_mediapipe_csv, "npy": is_mediapipe_npy}
_BY_ENDING = {".pkl": "pickle", ".pickle": "pickle", ".skeleton": "ntu"} | {f".{kind}": kind for kind in _BY_BEGINNING}
_LOOKS = 3  # files of a kind whose beginning is looked at


class Guess(NamedTuple):
    """The format of a folder.

    Attributes:
        format: a key of `OWN_FORMATS`.
        why: in words.
    """

    format: str
    why: str


def guess_format(source: Path, labels: str | None = None) -> Guess:
    """The format that most recordings of a folder have.

    Args:
        source: a folder, a pickle, or a table of labels, which stands for its folder.
        labels: the table of labels, if it is called otherwise than ``labels.csv``.

    Raises:
        FileNotFoundError: there is no recording in it.
        ValueError: it is in doubt which format is meant.
    """
    if source.is_file() and source.suffix != ".csv":
        if _BY_ENDING.get(source.suffix.lower()) == "pickle":
            return Guess("pickle", f"'{source.name}' is a pickle")
        raise ValueError(
            f"'{source}' is one file; give a folder of recordings with their labels, a pickle, or a table of labels. "
            "(One recording is for 'bonegraph recognise'.)"
        )
    folder = source.parent if source.is_file() else source
    tables = {folder / "labels.csv", source}
    if labels is not None:
        tables |= {folder / labels, Path(labels)}
    counts = _counts(folder, tables)
    known = [(count, kind) for kind, count in counts.most_common() if kind in OWN_FORMATS]
    if not known:
        hint = "; for NTU RGB+D: bonegraph prepare ntu60 OUT --source FOLDER" if counts["ntu"] else ""
        found = f" ({_listed(counts)})" if counts else ""
        raise FileNotFoundError(
            f"'{folder}' holds no recordings of a known format{found}; formats: {', '.join(OWN_FORMATS)}{hint}."
        )
    (most, chosen), others = known[0], known[1:]
    if others and 2 * others[0][0] > most:
        raise ValueError(
            f"'{folder}' holds {_listed(counts)}; say which are meant: --format {chosen} or --format {others[0][1]}."
        )
    left = Counter({kind: count for kind, count in counts.items() if kind != chosen})
    return Guess(chosen, _listed(Counter({chosen: most})) + (f", passing over {_listed(left)}" if left else ""))


def _listed(counts: Counter[str]) -> str:
    return " and ".join(f"{count} {_CALLED[kind]}" for kind, count in counts.most_common())


def _counts(folder: Path, tables: set[Path]) -> Counter[str]:
    """How many recordings of each kind are below a folder."""
    files: dict[str, list[Path]] = {}
    for place, folders, names in os.walk(folder):
        folders.sort()
        poses = [name for name in names if name.endswith("_keypoints.json")]
        if poses:
            files.setdefault("openpose", []).append(Path(place))
        for name in sorted(set(names) - set(poses)):
            path = Path(place, name)
            kind = "video" if is_video(path) else _BY_ENDING.get(path.suffix.lower(), "")
            if kind and not name.startswith(".") and path not in tables:
                files.setdefault(kind, []).append(path)
    arrays = [path for path in files.get("npy", ()) if path.name.endswith(("_data.npy", "_data_joint.npy"))]
    if arrays and "pickle" in files:
        raise ValueError(
            f"'{arrays[0].name}' looks like the arrays of ST-GCN and relatives; give them by that name: bonegraph "
            f"prepare arrays OUT --source {arrays[0].parent}"
        )
    counts: Counter[str] = Counter()
    for kind, paths in files.items():
        recognises = _BY_BEGINNING.get(kind)
        landmarks = recognises is not None and any(recognises(_head(path)) for path in paths[:_LOOKS])
        counts["mediapipe" if landmarks else kind] += len(paths)
    return counts


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""  # which reading it will say
