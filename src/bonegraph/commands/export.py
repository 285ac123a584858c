"""``bonegraph export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bonegraph.commands import call

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bonegraph.datasets.store import Store


def export(
    checkpoint: Path,
    out: Path,
    mask: bool = True,
    int8: bool = False,
    step: bool = False,
    block: int = 0,
    data: Path | None = None,
    split: str = "",
    part: str = "val",
    clips: int = 64,
    progress: bool = True,
) -> None:
    """Write a checkpoint as one file for other runtimes: ONNX (.onnx) or torch.export (.pt2).

    The file takes positions (N, C, T, V, M), float32, after the transforms of the checkpoint, and visible (N, T, V, M),
    bool, and gives logits (N, classes). N and T are free, and M where the network takes any number of people. Class
    names, joints, transforms and frame rate are in its metadata. It is written only if it gives the numbers of the
    network (docs/export.md).

    Examples:
      bonegraph export runs/mine mine.onnx
      bonegraph export runs/mine mine.onnx --mask false
      bonegraph export weights/stgcn.safetensors stgcn.pt2
      bonegraph export runs/mine small.onnx --int8 true
      bonegraph export runs/mine step.onnx --step true

    Args:
        checkpoint: a checkpoint or a run folder; of streams or a chain, each by itself.
        out: the file to write; its ending says which kind.
        mask: whether the file has the input visible; without it, everything is taken to be seen.
        int8: compute with 8 bits, and say what that costs on a part of a split.
        step: write one step of a stream instead: new frames and a state in, logits and the next state out, for
            checkpoints that take frames one by one (docs/streaming.md).
        block: for a step, its frames; default as many as the network has strides (4).
        data: for int8, the store; default the one the run was trained on.
        split: for int8; default the split of the run.
        part: for int8, whose accuracy is measured.
        clips: for int8, from how many clips of the training part the ranges are taken.
        progress: say what is being done.
    """
    from bonegraph.inference.export import check_target, fixed_people, usual_length
    from bonegraph.inference.export import export as write
    from bonegraph.inference.recogniser import checkpoints
    from bonegraph.models.checkpoint import load_checkpoint

    check_target(out)  # before anything takes time
    files = checkpoints(checkpoint)
    if len(files) > 1:
        raise ValueError(f"'{checkpoint}' has {len(files)} checkpoints; export each by itself, e.g. '{files[0]}'.")
    if out.exists() and files[0].exists() and out.samefile(files[0]):
        raise ValueError(f"'{out}' is the checkpoint itself; write into another file.")

    def say(doing: str) -> None:
        if progress:
            print(f"{doing} ...", file=sys.stderr, flush=True)

    if step and (int8 or not mask):
        raise ValueError("a step has a mask and 32 bits; leave out --int8 and --mask.")
    if block and not step:
        raise ValueError("--block is for --step true.")
    if not int8 and (data is not None or split or part != "val" or clips != 64):
        raise ValueError("--data, --split, --part and --clips are for --int8 true.")
    model, meaning = load_checkpoint(files[0])
    if step:
        from bonegraph.inference.export_step import export_step

        made = export_step(model, meaning, out, block=block, say=say)
        print(
            f"exported: {out} ({made.size / 1e6:.1f} MB), a step of {made.frames} frames, {made.latency} frames behind"
        )
        print(f"largest relative error {made.error:.1e} over {made.blocks} blocks")
        return
    if int8:
        from bonegraph.inference.quantise import export_int8

        if out.suffix != ".onnx":
            raise ValueError(f"8 bits are for ONNX; let '{out.name}' end in .onnx.")
        store, ranges, measured = _clips_of(files[0], data, split, part, clips)
        cost = export_int8(model, meaning, out, store, ranges, measured, mask=mask, progress=progress, say=say)
        print(f"exported: {out}, 8 bits")
        print(f"accuracy  {cost.accuracy[0]:.2%} -> {cost.accuracy[1]:.2%} ({cost.clips} clips, part {part})")
        print(f"size      {cost.size[0] / 1e6:.2f} -> {cost.size[1] / 1e6:.2f} MB")
        print(f"one clip  {cost.milliseconds[0]:.1f} -> {cost.milliseconds[1]:.1f} ms on one thread")
        return
    written = write(model, meaning, out, mask=mask, say=say)
    people = fixed_people(model)
    print(f"exported: {out} ({written.size / 1e6:.1f} MB)")
    print(f"largest relative error {written.error:.1e} over {written.batches} batches")
    print(
        f"positions (N, {model.config.in_channels}, T, {meaning.skeleton.num_joints}, {people or 'M'})"  # type: ignore[union-attr]
        + (f", visible (N, T, {meaning.skeleton.num_joints}, {people or 'M'})" if mask else "")
        + f" -> logits (N, {len(meaning.classes)}); trained with T = {usual_length(meaning)}"
        + (f", at least {written.least_frames}" if written.least_frames > 1 else "")
    )


def _clips_of(
    checkpoint: Path, data: Path | None, split: str, part: str, count: int
) -> tuple[Store, NDArray[np.int64], NDArray[np.int64]]:
    """The store, clips that ranges are taken from, and clips to measure on."""
    import numpy as np

    from bonegraph.datasets.store import Store
    from bonegraph.training.settings import data_of_run

    if count < 1:
        raise ValueError(f"clips must be at least 1, got {count}.")
    data, split = data_of_run(checkpoint, data, split)
    store = Store.open(data)
    measured, trained = store.part(split, part), store.part(split, "train")
    if not len(measured) or not len(trained):
        raise ValueError(f"the split '{split}' of '{store.name}' has no clips in the part '{part}' or 'train'.")
    drawn = np.random.default_rng(0).permutation(len(trained))[:count]
    return store, trained[np.sort(drawn)], measured


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(export, arguments, "export")
