"""``bonegraph verify``."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.datasets.store import Store
    from bonegraph.models.base import ActionModel
    from bonegraph.models.checkpoint import Meaning


def verify(
    checkpoint: Path,
    data: Path | None = None,
    split: str = "",
    part: str = "test",
    published: float | None = None,
    tolerance: float = 0.3,
    batch_size: int = 32,
    scores: Path | None = None,
    progress: bool = True,
) -> bool:
    """Measure a converted checkpoint on a prepared set, and compare with its published accuracy.

    The exit status is 0 if the two differ by no more than the tolerance, 1 if they differ by more. Figures of papers
    are known for some weights (docs/weights.md lists them); others have to be given.

    Examples:
      bonegraph verify weights/msg3d-joint.safetensors --data data/ntu60-msg3d --split xsub --published 89.4
      bonegraph verify weights/stgcn.safetensors --data data/ntu60-stgcn --split xview --scores stgcn-xview.npz

    Args:
        checkpoint: made by 'bonegraph convert', or any other.
        data: a store, prepared as 'bonegraph convert' says.
        split: of the store.
        part: train, val or test.
        published: top-1 accuracy in percent; default that of the paper, where it is known.
        tolerance: in percentage points.
        batch_size: clips at once.
        scores: a file for the probabilities by clip id (.npz), for 'bonegraph fuse' and 'bonegraph compare'.
        progress: show a progress bar.

    Returns:
        Whether the two agree.
    """
    from bonegraph.allocator import keep_memory
    from bonegraph.inference.scoring import score
    from bonegraph.models.released.published import DATA_OF, PUBLISHED
    from bonegraph.scores import format_table

    keep_memory()
    if data is None or not split:
        raise ValueError("give a prepared store and a split of it: --data STORE --split NAME")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"tolerance must be at least 0 percentage points, got {tolerance}.")
    if published is not None and not 0 <= published <= 100:
        raise ValueError(f"published must be a percentage from 0 to 100, got {published}.")
    if published is not None and 0 < published < 1:
        raise ValueError(f"published is a percentage: write {100 * published:g} for {published}.")
    model, meaning, store, notes = opened(checkpoint, data)
    about = (
        meaning.made.get("family", ""),
        DATA_OF.get(len(meaning.classes), ""),
        split,
        meaning.transforms.stream,
    )
    source = "as given"
    if published is None:
        if about not in PUBLISHED or part != "test":
            raise ValueError(
                f"no published accuracy is known for {' '.join(filter(None, about))}, part {part}; give one with "
                "--published."
            )
        published, source = PUBLISHED[about]
    clips = store.part(split, part)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    found = score(model, meaning, store, clips, batch_size=batch_size, progress=progress)
    if scores is not None:
        found.save(scores)
    measured = 100 * found.top(1)
    difference = measured - published
    agree = abs(difference) <= tolerance + 1e-9
    print(format_table(found))
    print(f"{'measured':<22}{measured:7.2f} %  on {len(found):,} clips of '{store.name}', {split}, {part}")
    print(f"{'published':<22}{published:7.2f} %  {source}")
    print(f"{'difference':<22}{difference:+7.2f}    {'within' if agree else 'outside'} {tolerance:g}")
    return agree


def opened(checkpoint: Path, data: Path) -> tuple[ActionModel, Meaning, Store, list[str]]:
    """A checkpoint, a store for it, and what is doubtful about the two together.

    Where one of them has only numbers for its classes, the names of the store are taken.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.inference.scoring import check_fits
    from bonegraph.models.checkpoint import load_checkpoint
    from bonegraph.models.released.preprocessing import store_differs, with_names_of

    model, meaning = load_checkpoint(checkpoint / "model.safetensors" if checkpoint.is_dir() else checkpoint)
    store = Store.open(data)
    named = with_names_of(meaning, store)
    check_fits(named, store)
    notes = [store_differs(meaning, store)]
    if named.classes != meaning.classes:
        notes.append("only the number of classes could be compared; their names are those of the store.")
    return model, named, store, list(filter(None, notes))


def run(arguments: list[str]) -> int:
    """Called by the command line."""
    return 0 if call(verify, arguments, "verify") else 1
