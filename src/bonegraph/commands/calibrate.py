"""``bonegraph calibrate``."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bonegraph.commands import call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bonegraph.datasets.store import Store
    from bonegraph.inference.calibration import Measured


def calibrate(
    run: Path,
    data: Path | None = None,
    split: str = "",
    part: str = "val",
    keep: float = 0.95,
    unknown: Path | None = None,
    allow_test: bool = False,
    window: float | None = None,
    stride: float | None = None,
    each: bool | None = None,
    progress: bool = True,
) -> None:
    """Make the probabilities of a checkpoint honest, and teach it to answer "unknown".

    Its logits are divided by a temperature, chosen for the lowest negative log-likelihood on clips that it was not
    trained on (Guo et al., ICML 2017), and a threshold is chosen below which 'bonegraph recognise' and 'bonegraph
    watch' say "unknown". Both are kept in the checkpoint. 'bonegraph evaluate' and its scores stay as they are.

    Of a folder of streams or a chain, each checkpoint gets its own temperature, and all of them the threshold of their
    common answer, which holds for that alone.

    Examples:
      bonegraph calibrate runs/mine
      bonegraph calibrate runs/mine --unknown data/everyday
      bonegraph calibrate runs/four-streams --keep 0.9
      bonegraph calibrate weights/stgcn.safetensors --data data/mine --split xsub
      bonegraph calibrate runs/nw-ucla --part test --allow_test true

    Many published splits have no part 'val'. Clips of your own, of the same classes, serve as well (--data, --split).

    Args:
        run: a run folder, a folder of streams, a chain, or a checkpoint.
        data: the store; default the one the run was trained on.
        split: default the split of the run.
        part: of the split; its clips should be none that were trained on.
        keep: the share of the right answers that the threshold keeps.
        unknown: a store of clips that show none of the classes; the threshold that tells them best from the part is
            taken, instead of --keep.
        allow_test: let the part be 'test', whose accuracy is then no fair one any more.
        window: seconds of a window, as for 'bonegraph recognise'.
        stride: seconds between two windows.
        each: look at each person alone; default where the checkpoint was trained with one person a clip.
        progress: show a progress bar.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.inference.calibration import calibrate as measure
    from bonegraph.inference.recogniser import Recogniser, checkpoints
    from bonegraph.inference.scoring import check_fits
    from bonegraph.inference.windows import cutting_for
    from bonegraph.models.checkpoint import write_calibration
    from bonegraph.models.released.preprocessing import with_names_of
    from bonegraph.training.settings import data_of_run, read_settings

    if part == "test" and not allow_test:
        raise ValueError(
            "a calibration on the test part makes its accuracy unfair; choose a split with a part 'val', or say "
            "--allow_test true."
        )
    recogniser, files = Recogniser.load(run), checkpoints(run)
    data, split = data_of_run(files[0], data, split)
    store = Store.open(data)
    for network in recogniser.networks:
        check_fits(with_names_of(network.meaning, store), store)
    if split in store.splits and part not in store.splits[split].parts:
        others = [name for name, parts in store.splits.items() if part in parts.parts]
        raise ValueError(
            f"the split '{split}' of '{store.name}' has no part '{part}'; "
            + (f"choose another --split ({', '.join(others)})." if others else "give other --data, or another --part.")
        )
    clips = store.part(split, part)
    settings = files[0].with_name("config.yaml")
    if settings.is_file() and (seen := _trained_on(read_settings(settings).split, store, clips)):
        print(
            f"note: {seen} of the {len(clips)} clips were trained on; networks are surer of those than of others.",
            file=sys.stderr,
        )
    measured = measure(
        recogniser,
        store,
        clips,
        cutting_for(recogniser.meaning, window, stride),
        keep=keep,
        unknown=None if unknown is None else Store.open(unknown),
        each=each,
        data=f"{store.name}, split {split}, part {part}",
        progress=progress,
    )
    for file, calibration in zip(files, measured.calibrations, strict=True):
        write_calibration(file, calibration)
    for line in _report(measured, files):
        print(line)


def _trained_on(split: str, store: Store, clips: NDArray[np.int64]) -> int:
    """How many of the clips the run has seen in training."""
    if split not in store.splits or "train" not in store.splits[split].parts:
        return 0
    return len(set(store.part(split, "train").tolist()) & set(clips.tolist()))


def _report(measured: Measured, files: list[Path]) -> list[str]:
    """What was found, in words."""
    first = measured.calibrations[0]
    lines = [f"{first.data}: {measured.windows} windows of {measured.clips} clips, {measured.accuracy:.1%} right"]
    for file, calibration in zip(files, measured.calibrations, strict=True):
        lines.append(f"temperature {calibration.temperature:.3f}  {file}")
    (nll, new_nll), (error, new_error) = measured.likelihood, measured.error
    lines.append(f"negative log-likelihood    {nll:.4f} -> {new_nll:.4f}")
    lines.append(f"expected calibration error {error:.2%} -> {new_error:.2%}")
    spared = "none is wrong" if math.isnan(measured.spared) else f"{measured.spared:.1%} of the wrong ones"
    lines.append(f"threshold {first.threshold:.1%}: keeps {measured.kept:.1%} of the right answers; unknown: {spared}")
    if measured.unknown_windows:
        balanced = (measured.known + measured.found) / 2
        lines.append(
            f"of {measured.unknown_windows} windows of other actions {measured.found:.1%} are unknown, of the known "
            f"ones {1 - measured.known:.1%} (balanced accuracy {balanced:.1%})"
        )
    if math.isnan(measured.spared):
        lines.append(
            "note: no answer was wrong, which tells little about how sure the network may be; use harder clips."
        )
    return lines


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(calibrate, arguments, "calibrate")
