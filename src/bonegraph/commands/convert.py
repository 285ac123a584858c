"""``bonegraph convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.models.released.load import Released


def convert(
    file: Path,
    out: Path,
    skeleton: str = "",
    classes: str = "",
    stream: Literal["joint", "bone", "joint-motion", "bone-motion"] | None = None,
    preprocessing: str = "",
    family: str = "",
    member: str = "",
    frames: int = 0,
    fps: float = 30.0,
    report: Path | None = None,
) -> None:
    """Make a checkpoint of public weights.

    They are those of ST-GCN and mmskeleton, 2s-AGCN, MS-G3D, DualHead-Net, CTR-GCN, PYSKL and MMAction2 (ST-GCN and
    ST-GCN++). The file (.pt, .pth, .safetensors, or a .zip of several) is read as data; nothing in it is ever run. What
    the weights take in (frames, centring, stream) is that of the public code in testing and goes into the checkpoint,
    which then serves every command. They need data prepared as by that code; the last line says how. The details, and
    the licences of the weights, are in docs/weights.md.

    Examples:
      bonegraph convert st_gcn.ntu-xsub.pt weights/stgcn.safetensors
      bonegraph convert msg3d-pretrained-models.zip weights/bone.safetensors --member ntu60-xsub-bone.pt
      bonegraph convert st_gcn.kinetics.pt weights/kinetics.safetensors --classes data/kinetics
      bonegraph convert j.pth weights/stgcnpp.safetensors --classes ntu120
      bonegraph convert mine.pt weights/mine.safetensors --skeleton mine.yaml --classes mine.txt --preprocessing plain

    Args:
        file: of weights.
        out: the checkpoint, .safetensors.
        skeleton: name or YAML file; default by the number of joints (25 ntu25, 20 ucla20, 18 openpose18, 17 coco17).
        classes: ntu60, ntu120, kinetics400, a file of one class name a line, or a store; default by their number.
        stream: that the weights were trained on; default by the name of the file, else joint.
        preprocessing: what the weights take in; default by family and skeleton. stgcn-ntu, stgcn-kinetics, msg3d-ntu
            (2s-AGCN and DualHead-Net, too), msg3d-kinetics, ctrgcn-ntu, pyskl-3d, pyskl-2d, or plain (all as stored).
        family: whose weights they are; default by the names in the file.
        member: which file of a .zip of several.
        frames: how many the network sees; default as in the public code.
        fps: frame rate of the clips it was trained on.
        report: a text file for all names that do not fit, if any; the error names the first.
    """
    from bonegraph.models.checkpoint import save_checkpoint
    from bonegraph.models.released.load import load_released
    from bonegraph.models.released.preprocessing import (
        PREPROCESSING,
        released_meaning,
        released_preprocessing,
        stream_by_name,
    )
    from bonegraph.skeleton import get_skeleton

    if frames < 0:
        raise ValueError(f"frames must be at least 0, got {frames}.")
    if out.suffix != ".safetensors":
        raise ValueError(f"'{out}' should end in .safetensors, since a checkpoint is such a file.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"no folder '{out.parent}' for the checkpoint; make it first.")
    body = get_skeleton(skeleton) if skeleton else None
    released = load_released(file, body, family=family, member=member, report=report)
    notes = list(released.notes)
    names, remark = _classes(classes, released)
    notes += remark
    chosen = released_preprocessing(released, preprocessing)
    if stream is None:
        told = stream_by_name(member or file.name)
        stream = told or "joint"
        notes.append(f"stream '{stream}', {'by the name of the file' if told else 'assumed; --stream names another'}")
    source = f"{file.name}: {member}" if member else file.name
    made = {"converted from": source, "sha256": _sha256(file)}
    meaning = released_meaning(released, chosen, stream, names, frames=frames, fps=fps, made=made)
    save_checkpoint(out, released.model, meaning)
    what = PREPROCESSING[chosen]
    parameters = sum(weight.numel() for weight in released.model.parameters())
    print(f"family: {released.family}, {parameters:,} parameters, {released.num_classes} classes")
    for note in notes:
        print(f"note: {note}")
    print(f"takes in: {what.title} ({chosen})")
    if what.differs:
        print(f"not as in the public code: {what.differs}")
    print(f"licence of the weights: {meaning.made['licence']}")
    print(f"checkpoint: {out}")
    if command := meaning.made["store"]:
        print(f"data for it: {command}")


def _classes(given: str, released: Released) -> tuple[tuple[str, ...], list[str]]:
    """Class names, and what was guessed.

    Raises:
        ValueError: there are more or fewer than the weights have.
    """
    from bonegraph.datasets.card import is_store, read_card
    from bonegraph.datasets.known.containers import read_classes
    from bonegraph.models.released.preprocessing import CLASSES

    count = released.num_classes
    numbers = tuple(map(str, range(count)))
    unnamed = f"classes '0' to '{count - 1}'; --classes takes their names from a file or a store"
    sets = {"ntu60": CLASSES[60], "ntu120": CLASSES[120], "kinetics400": tuple(map(str, range(400)))}
    remarks = []
    if not given:
        names = CLASSES.get(count, numbers)
        known = {60: "ntu60", 120: "ntu120"}.get(count)
        remarks.append(f"classes of {known}, guessed from their number" if known else unnamed)
    elif given in sets:
        names = sets[given]
        remarks += [unnamed] if given == "kinetics400" else []
    elif is_store(Path(given)):
        names = read_card(Path(given)).classes
    else:
        names = read_classes(Path(given))
    if len(names) != count:
        raise ValueError(f"'{given}' has {len(names)} classes, but the weights tell {count}.")
    return names, remarks


def _sha256(file: Path) -> str:
    import hashlib

    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(convert, arguments, "convert")
