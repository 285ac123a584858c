"""``bonegraph recognise``."""

from __future__ import annotations

import sys
from pathlib import Path

from bonegraph.commands import call


def recognise(
    checkpoint: Path,
    recording: Path | None = None,
    data: Path | None = None,
    clip: str = "",
    format: str | None = None,
    top: int = 5,
) -> None:
    """Say what happens in one recording or in one clip of a store.

    Examples:
      bonegraph recognise runs/nw-ucla a01_s01_e00_v03.json
      bonegraph recognise runs/four-streams a01_s01_e00_v03.json
      bonegraph recognise runs/nw-ucla/model.safetensors --data data/nw-ucla --clip a01_s01_e00_v03

    A recording on another skeleton is converted by joint name, which is said on standard error. Of a folder of streams
    all answer together, by the mean of their probabilities.

    Args:
        checkpoint: a checkpoint, a run folder or a folder of streams.
        recording: a file of one of the formats that can be read.
        data: a store, instead of a file.
        clip: id of a clip in the store.
        format: of the recording, e.g. nw-ucla; default by the name and the beginning of the file.
        top: how many of the most probable actions are printed.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.inference.recordings import read_for
    from bonegraph.skeleton import conversion

    if (recording is None) == (data is None):
        raise ValueError("give either a recording or --data STORE --clip ID.")
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}.")
    recogniser = Recogniser.load(checkpoint)
    if data is not None:
        store = Store.open(data)
        sequence = store.sequence(store.find(clip))
    else:
        assert recording is not None
        sequence, doubt = read_for(recogniser.meaning, recording, format)
        if doubt:
            print(f"note: {doubt}; the answer may be wrong.", file=sys.stderr)
    how = conversion(sequence.skeleton, recogniser.meaning.skeleton)
    if how.source != how.target and not how.missing:  # what is missing becomes an error below
        print(f"converted {how}", file=sys.stderr)
    for answer in recogniser(sequence)[:top]:
        print(f"{answer.probability:7.1%}  {answer.action}")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(recognise, arguments, "recognise", by_place=("recording",))
