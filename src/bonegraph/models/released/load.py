"""From a file of public weights to our network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bonegraph.files import write_whole
from bonegraph.models.base import ActionModel
from bonegraph.models.registry import build, outline
from bonegraph.models.released import FAMILIES
from bonegraph.models.released.family import Family, Weights
from bonegraph.models.released.files import read_weights
from bonegraph.read.pickles import shown
from bonegraph.skeleton import SKELETONS, Skeleton, nearest

SKELETON_OF = {25: "ntu25", 20: "ucla20", 18: "openpose18", 17: "coco17"}
"""The skeleton that public weights of so many joints are on; others have to be named."""

_STATISTICS = ("running_mean", "running_var")
_COUNT = "num_batches_tracked"
_FIRST = 5


@dataclass(frozen=True, eq=False)
class Released:
    """A network with public weights.

    Attributes:
        model: in evaluation mode.
        family: whose weights they are, a key of `FAMILIES`.
        skeleton: of its input.
        num_classes: of its output.
        notes: what was taken off, left aside, guessed or made anew, for people.
    """

    model: ActionModel
    family: str
    skeleton: Skeleton
    num_classes: int
    notes: tuple[str, ...]


def load_released(
    path: str | Path,
    skeleton: Skeleton | None = None,
    *,
    family: str = "",
    member: str = "",
    report: str | Path | None = None,
) -> Released:
    """Read public weights into our network of their family.

    Args:
        path: the file, see `read_weights`.
        skeleton: of its input; default by the number of joints (`SKELETON_OF`).
        family: a key of `FAMILIES`; default by the names of the weights.
        member: which file of an archive of several.
        report: gets every name that does not fit, if there is any.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no file of weights, is of no family, or does not fit its network: every unknown, missing
            or wrongly shaped name is counted, and the first of each are named. One line.
        OSError: the file cannot be read, or the report cannot be written.
    """
    path = Path(path)
    file = read_weights(path, member)
    name, chosen = _family(file.weights, family, path.name)
    try:
        joints = chosen.joints(file.weights)
        num_classes = len(file.weights[_head(chosen, file.weights)])
        config = chosen.configure(file.weights)
        ours, unknown = chosen.rename(file.weights)
    except KeyError as error:
        raise ValueError(f"'{path.name}' is of the family '{name}', but lacks {error}; fetch it again.") from None
    except (ValueError, TypeError, IndexError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ValueError(f"'{path.name}' is of the family '{name}', but cannot be used: {reason}") from None
    notes = list(file.notes)
    if skeleton is None:
        skeleton = _guessed(joints, path.name)
        notes.append(f"skeleton '{skeleton.name}', guessed from {joints} joints")
    if skeleton.num_joints != joints:
        raise ValueError(
            f"'{path.name}' is for {joints} joints, but the skeleton '{skeleton.name}' has {skeleton.num_joints}."
        )
    model = _filled(
        config, skeleton, num_classes, ours, (*unknown, *file.odd), notes, f"'{path.name}' ({name})", report
    )
    return Released(model, name, skeleton, num_classes, tuple(notes))


def _family(weights: Weights, wanted: str, name: str) -> tuple[str, Family]:
    if wanted:
        if wanted not in FAMILIES:
            raise ValueError(f"no family of weights '{wanted}'{nearest(wanted, FAMILIES)}.")
        return wanted, FAMILIES[wanted]
    found = [family for family in FAMILIES if FAMILIES[family].recognises(weights)]
    if len(found) > 1:
        raise ValueError(f"'{name}' could be of the families {', '.join(found)}; name one with --family.")
    if not found:
        raise ValueError(
            f"'{name}' is of no known family of weights ({', '.join(FAMILIES)}); its {len(weights)} names are "
            f"{_few(weights)}."
        )
    return found[0], FAMILIES[found[0]]


def _head(family: Family, weights: Weights) -> str:
    """The name of the last layer's weight in this file; ``family.head`` is a name or a pattern."""
    return next((key for key in weights if re.fullmatch(family.head, key)), family.head)


def _guessed(joints: int, name: str) -> Skeleton:
    if joints not in SKELETON_OF:
        raise ValueError(
            f"'{name}' is for {joints} joints, which is no skeleton of public weights "
            f"({', '.join(f'{v} {body}' for v, body in SKELETON_OF.items())}); name it with --skeleton."
        )
    return SKELETONS[SKELETON_OF[joints]]


def _filled(
    config: Any,
    skeleton: Skeleton,
    num_classes: int,
    ours: Mapping[str, Tensor],
    unknown: Sequence[str],
    notes: list[str],
    where: str,
    report: str | Path | None,
) -> ActionModel:
    """Our network with these weights, all of which must fit."""
    distances = np.arange(skeleton.num_joints, dtype=np.float64)  # any; the real graph is in the file or needs none
    try:
        frame = outline(config, skeleton, num_classes)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"{where} makes no network: {' '.join(str(error).split())[:300]}") from None
    needed = frame.state_dict()
    rebuilt = _rebuilt(frame, needed.keys() - ours.keys())
    problems = {
        "unknown": [*unknown, *(name for name in ours if name not in needed)],
        "missing": [name for name in needed if name not in ours and name not in rebuilt],
        "unlike ours": [
            f"{name} {why}" for name in needed if name in ours and (why := _unlike(ours[name], needed[name]))
        ],
    }
    if any(problems.values()):
        _report(problems, where, report)
        what = "; ".join(f"{len(found)} {kind}: {_few(found)}" for kind, found in problems.items() if found)
        raise ValueError(f"{where} does not fit its network: {what}.")
    model = build(config, skeleton, num_classes, distances)
    state = model.state_dict()
    model.load_state_dict({name: ours.get(name, state[name]) for name in state})
    if counts := [name for name in rebuilt if name.endswith(_COUNT)]:
        notes.append(f"not in the file, without meaning in use: {len(counts)} {_COUNT}")
    if others := [name for name in rebuilt if not name.endswith(_COUNT)]:
        notes.append(f"not in the file, made from the skeleton: {', '.join(others)}")
    return model.eval()


def _rebuilt(model: ActionModel, missing: Iterable[str]) -> list[str]:
    """Of what a file lacks, what is no weight: graphs, which follow from the skeleton, and counts of batches."""
    buffers = {name for name, _ in model.named_buffers()}
    return sorted(name for name in missing if name in buffers and not name.endswith(_STATISTICS))


def _unlike(given: Tensor, needed: Tensor) -> str:
    if given.shape != needed.shape:
        return f"of shape {tuple(given.shape)} instead of {tuple(needed.shape)}"
    if given.is_floating_point() != needed.is_floating_point():
        return f"of {str(given.dtype).removeprefix('torch.')} instead of {str(needed.dtype).removeprefix('torch.')}"
    if given.is_floating_point() and not bool(torch.isfinite(given).all()):
        return "with NaN or infinity"
    return ""


def _few(names: Iterable[str]) -> str:
    """The first of many names, as they may stand in one line."""
    names = list(names)
    plain = (name if name.isascii() and name.isprintable() and len(name) <= 160 else shown(name) for name in names)
    some = ", ".join(islice(plain, _FIRST))
    return some + (", ..." if len(names) > _FIRST else "")


def _report(problems: Mapping[str, Sequence[str]], where: str, report: str | Path | None) -> None:
    if report is None:
        return
    lines = [f"{where} does not fit its network."]
    for kind, found in problems.items():
        lines += ["", f"{len(found)} {kind}", *(f"  {name!a}"[:400] for name in found)]
    write_whole(Path(report), ("\n".join(lines) + "\n").encode())
