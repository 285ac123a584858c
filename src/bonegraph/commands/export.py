"""``bonegraph export``."""

from __future__ import annotations

import sys
from pathlib import Path

from bonegraph.commands import call


def export(checkpoint: Path, out: Path, mask: bool = True, progress: bool = True) -> None:
    """Write a checkpoint as one file for other runtimes: ONNX (.onnx) or torch.export (.pt2).

    The file takes positions (N, C, T, V, M), float32, after the transforms of the checkpoint, and visible (N, T, V, M),
    bool, and gives logits (N, classes). N and T are free, and M where the network takes any number of people. Class
    names, joints, transforms and frame rate are in its metadata. It is written only if it gives the numbers of the
    network (docs/export.md).

    Examples:
      bonegraph export runs/mine mine.onnx
      bonegraph export runs/mine mine.onnx --mask false
      bonegraph export weights/stgcn.safetensors stgcn.pt2

    Args:
        checkpoint: a checkpoint or a run folder; of streams or a chain, each by itself.
        out: the file to write; its ending says which kind.
        mask: whether the file has the input visible; without it, everything is taken to be seen.
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

    model, meaning = load_checkpoint(files[0])
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


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(export, arguments, "export")
