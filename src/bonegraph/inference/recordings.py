"""Single recordings as a checkpoint needs them: public weights want the cleaning of their own code."""

from __future__ import annotations

from pathlib import Path

from bonegraph.models.checkpoint import Meaning
from bonegraph.models.released.preprocessing import PREPROCESSING
from bonegraph.read import FORMATS, format_of, read
from bonegraph.read.mediapipe import read_mediapipe
from bonegraph.read.ntu import CLEANING, read_recording
from bonegraph.read.ntu.released import released_ctrgcn
from bonegraph.sequence import Sequence


def read_for(meaning: Meaning, path: str | Path, format: str | None = None) -> tuple[Sequence, str]:
    """Read a recording for a checkpoint.

    ``.skeleton`` files of NTU RGB+D are cleaned as the public code does where the checkpoint was converted from its
    weights, so that the answer is the one that this code would give. Of landmarks of MediaPipe, a checkpoint in metres
    gets those of the world.

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
        return read(path, format), ""
    is_ntu = format == "ntu" or (format is None and path.match(FORMATS["ntu"].pattern))
    if chosen.cleaning and is_ntu and path.is_file():
        recording = read_recording(path)
        if chosen.cleaning == "released-ctrgcn":
            return released_ctrgcn(recording, copy_one_body=len(meaning.classes) == 120), ""
        return next(clean for name, clean in CLEANING.items() if name == chosen.cleaning)(recording), ""
    sequence = read(path, format)
    if chosen.scored and sequence.unit == "normalised" and sequence.confidence is not None:
        return sequence, ""  # clips of Kinetics-Skeleton come with two people a frame, as released
    return sequence, f"the weights were trained on data prepared otherwise ('{meaning.made.get('store', '')}')"
