"""Single recordings as a checkpoint needs them: public weights want the cleaning of their own code."""

from __future__ import annotations

from pathlib import Path

from bonegraph.models.checkpoint import Meaning
from bonegraph.models.released.preprocessing import PREPROCESSING
from bonegraph.read import FORMATS, format_of, read
from bonegraph.read.mediapipe import read_mediapipe
from bonegraph.read.ntu import CLEANING, read_recording
from bonegraph.read.ntu.released import released_ctrgcn
from bonegraph.read.table import read_table
from bonegraph.sequence import Sequence


def recordings_in(path: str | Path) -> list[Path] | None:
    """The recordings in a folder, by their names; None where this is a file, or a folder that is one recording.

    Everything but hidden files is listed, and folders that are recordings themselves (OpenPose writes a file a frame),
    because what cannot be read should be told.
    """
    path = Path(path)
    if not path.is_dir() or _is_recording(path):
        return None
    inside = sorted(path.iterdir())
    return [one for one in inside if not one.name.startswith(".") and (one.is_file() or _is_recording(one))]


def _is_recording(path: Path) -> bool:
    patterns = [format.pattern for format in FORMATS.values() if format.folder]
    return path.is_dir() and any(any(path.glob(pattern)) for pattern in patterns)


def read_for(meaning: Meaning, path: str | Path, format: str | None = None) -> tuple[Sequence, str]:
    """Read a recording for a checkpoint.

    ``.skeleton`` files of NTU RGB+D are cleaned as the public code does where the checkpoint was converted from its
    weights, so that the answer is the one that this code would give. Of landmarks of MediaPipe, a checkpoint in metres
    gets those of the world. A table or an array that does not tell its skeleton is taken to be on that of the
    checkpoint, if it has as many joints.

    Args:
        meaning: of the checkpoint.
        path: of the recording.
        format: as in `bonegraph.read.read`.

    Returns:
        The recording, and why its answer may be unreliable: it is not prepared as the weights need it. Empty otherwise.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or the public code fails on it.
    """
    path = Path(path)
    if meaning.unit == "m" and path.exists() and format_of(path, format).startswith("mediapipe"):
        return read_mediapipe(path, space="world"), ""
    chosen = PREPROCESSING.get(meaning.made.get("preprocessing", ""))
    if chosen is None or not chosen.stores:
        return _read(meaning, path, format), ""
    is_ntu = format == "ntu" or (format is None and path.match(FORMATS["ntu"].pattern))
    if chosen.cleaning and is_ntu and path.is_file():
        recording = read_recording(path)
        if chosen.cleaning == "released-ctrgcn":
            return released_ctrgcn(recording, copy_one_body=len(meaning.classes) == 120), ""
        return next(clean for name, clean in CLEANING.items() if name == chosen.cleaning)(recording), ""
    sequence = _read(meaning, path, format)
    if chosen.scored and sequence.unit == "normalised" and sequence.confidence is not None:
        return sequence, ""  # clips of Kinetics-Skeleton come with two people a frame, as released
    return sequence, f"the weights were trained on data prepared otherwise ('{meaning.made.get('store', '')}')"


def _read(meaning: Meaning, path: Path, format: str | None) -> Sequence:
    try:
        return read(path, format)
    except ValueError:
        if not path.is_file() or path.suffix not in (".csv", ".npy") or format not in (None, "csv", "npy"):
            raise
        try:
            return read_table(path, meaning.skeleton)
        except ValueError:
            pass  # the first reason is the better one
        raise
