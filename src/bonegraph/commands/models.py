"""``bonegraph models``."""

from __future__ import annotations

import dataclasses
import json as plain
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.models.base import ActionModel
    from bonegraph.skeleton import Skeleton

_FRAMES, _PEOPLE = 64, 2
_RANGES = {"frames": (0, 100_000), "people": (0, 1_000), "classes": (1, 100_000), "channels": (1, 1_000)}
_DEFAULTS = {"skeleton": "ntu25", "classes": 60, "channels": 3, "width": "full", "variant": ""}


def models(
    checkpoint: Path | None = None,
    skeleton: str = "ntu25",
    frames: int = 0,
    people: int = 0,
    classes: int = 60,
    channels: int = 3,
    width: Literal["full", "half", "quarter"] = "full",
    variant: str = "",
    latency: bool = False,
    repeats: int = 7,
    json: Path | None = None,
    progress: bool = True,
) -> None:
    """List the models and what one clip costs each of them: parameters, multiply-adds, memory, time.

    GFLOP are twice the multiply-adds of matrix products and convolutions; normalisation, activations, additions, means
    and max-pooling are not counted. Memory is the most that results between operations hold at once, without the
    weights; what an operation needs inside comes on top.

    Examples:
      bonegraph models
      bonegraph models --skeleton openpose18 --frames 300 --classes 400
      bonegraph models --width half --variant best --latency --json models.json
      bonegraph models runs/nw-ucla/model.safetensors --latency

    Args:
        checkpoint: describe this one, or that of a run folder, instead; it knows its skeleton, classes and channels.
        skeleton: a name such as ntu25, or a YAML file.
        frames: T of the clip; default 64, or what the checkpoint is tested on.
        people: M of the clip, all of them present; default 2, or the most people the checkpoint looks at.
        classes: of the last layer.
        channels: C of the input.
        width: full, half or quarter.
        variant: paper, released, best or all; default released, and paper where nothing is released.
        latency: measure the time on the CPU as well, in float32: medians, the models taking turns.
        repeats: turns of each model.
        json: write the list to this file, too.
        progress: show a progress bar.
    """
    import torch
    from tqdm import tqdm

    from bonegraph.files import write_whole
    from bonegraph.models.complexity import complexity, latencies
    from bonegraph.skeleton import get_skeleton

    asked = {"skeleton": skeleton, "classes": classes, "channels": channels, "width": width, "variant": variant}
    for name, number in (("frames", frames), ("people", people), ("classes", classes), ("channels", channels)):
        least, most = _RANGES[name]
        if not least <= number <= most:
            raise ValueError(f"{name} must be from {least} to {most:,}, got {number}.")
    if json is not None and not json.parent.is_dir():
        raise ValueError(f"there is no folder '{json.parent}' to write the list into; make it first.")
    if checkpoint is None:
        shape = get_skeleton(skeleton)
        frames, people = frames or _FRAMES, people or _PEOPLE
        listed = _all(shape, classes, channels, width, variant, people, empty=not latency)
        about = {**asked, "skeleton": shape.name, "joints": shape.num_joints}
    else:
        if given := [name for name, value in asked.items() if value != _DEFAULTS[name]]:
            raise ValueError(
                f"a checkpoint has its own {given[0]}; leave out --{given[0]}, or leave out the checkpoint."
            )
        listed, about, known = _one(checkpoint)
        frames, people = frames or known[0], people or known[1]
    about = {"frames": frames, "people": people, **about}
    rows = []
    for (name, kind), model in tqdm(listed.items(), desc="count", delay=1, disable=not progress):
        cost = complexity(model, frames, people)
        rows.append({"model": name, "variant": kind, **vars(cost), "flops": cost.flops})
    if latency:
        by_name = {" ".join(name): model for name, model in listed.items()}
        seconds = latencies(by_name, frames, people, repeats=repeats, progress=progress)
        rows = [{**row, "seconds": time} for row, time in zip(rows, seconds.values(), strict=True)]
        about |= {"threads": torch.get_num_threads(), "repeats": repeats}
    print(_text(rows, about))
    if json is not None:
        write_whole(json, plain.dumps({"clip": about, "models": rows}, indent=2).encode())
        print(f"list: {json}")


def _all(
    skeleton: Skeleton, classes: int, channels: int, width: str, variant: str, people: int, empty: bool
) -> dict[tuple[str, str], ActionModel]:
    """Every model of the registry by (name, variant); empty ones lie on the meta device and cost no memory.

    Raises:
        ValueError: no model has such a variant.
    """
    import numpy as np
    import torch

    from bonegraph.models.registry import VARIANTS, build
    from bonegraph.skeleton import nearest

    known = {name for variants in VARIANTS.values() for name in variants}
    if variant not in (known | {"", "all"}):
        raise ValueError(f"no model has a variant '{variant}'{nearest(variant, known | {'all'})}.")
    found = {}
    for name, variants in VARIANTS.items():
        for each in [next(iter(variants))] if variant == "" else variants if variant == "all" else {variant}:
            if each not in variants:
                continue
            config = variants[each](width, channels)
            if getattr(config, "people", 0):  # an input norm over the people, too: make it for as many as there are
                config = dataclasses.replace(config, people=people)
            with torch.device("meta" if empty else "cpu"):
                # Distances of nobody: the graph they make changes no count.
                found[name, each] = build(config, skeleton, classes, np.arange(skeleton.num_joints, dtype=np.float64))
    return found


def _one(path: Path) -> tuple[dict[tuple[str, str], ActionModel], dict[str, Any], tuple[int, int]]:
    """A checkpoint as a list of one, what it is for, and its frames and people."""
    from bonegraph.models.checkpoint import load_checkpoint
    from bonegraph.models.registry import model_name

    path = path / "model.safetensors" if path.is_dir() else path
    model, meaning = load_checkpoint(path)
    config: Any = model.config
    length = meaning.length
    about = {
        "checkpoint": str(path),
        "skeleton": meaning.skeleton.name,
        "joints": meaning.skeleton.num_joints,
        "classes": len(meaning.classes),
        "channels": config.in_channels,
        "made": meaning.made,
    }
    frames = _FRAMES if length.rule == "all" else length.test_frames or length.frames
    people = meaning.people or getattr(config, "people", 0) or _PEOPLE
    return {(model_name(config), ""): model}, about, (frames, people)


def _text(rows: list[dict[str, Any]], about: Mapping[str, Any]) -> str:
    clip = f"one clip: {about['frames']} frames, {about['people']} people"
    joints = f"{about['skeleton']} with {about['joints']} joints x {about['channels']}"
    heading = [", ".join([clip, joints, f"{about['classes']} classes", *_width(about)])]
    if "threads" in about:
        heading.append(f"time: median of {about['repeats']}, threads: {about['threads']}, float32")
    if made := ", ".join(f"{name} {value}" for name, value in about.get("made", {}).items() if value):
        heading.append(f"made: {made}")
    columns = {
        "model": [row["model"] for row in rows],
        "variant": [row["variant"] for row in rows],
        "parameters": [f"{row['parameters']:,}" for row in rows],
        "G multiply-adds": [_short(row["multiply_adds"] / 1e9) for row in rows],
        "GFLOP": [_short(row["flops"] / 1e9) for row in rows],
        "memory MB": [_short(row["activation_bytes"] / 1e6) for row in rows],
    }
    if "threads" in about:
        columns["time ms"] = [_short(row["seconds"] * 1e3) for row in rows]
    padded = []
    for title, cells in columns.items():
        width = max(map(len, (title, *cells)))
        padded.append([f"{cell:<{width}}" if title in _WORDS else f"{cell:>{width}}" for cell in (title, *cells)])
    lines = ["  ".join(line).rstrip() for line in zip(*padded, strict=True)]
    return "\n".join([*heading, "", *lines, "", _COUNTED])


def _width(about: Mapping[str, Any]) -> list[str]:
    return [f"width {about['width']}"] if "width" in about else []


def _short(number: float) -> str:
    """Three digits that count."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


_WORDS = ("model", "variant")
_COUNTED = """counted: matrix products and convolutions, GFLOP = 2 x multiply-adds; not counted: normalisation,
activations, additions, means, max-pooling. memory: results between operations, float32, without the weights"""


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    from bonegraph.commands.info import with_switches

    call(models, with_switches(arguments, "--latency"), "models", by_place=("checkpoint",))
