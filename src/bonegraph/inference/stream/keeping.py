"""What a stream knows, in a file: tensors and plain text, read without running anything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bonegraph.files import write_whole
from bonegraph.inference.stream.frames import Frames

FORMAT = "bonegraph stream 3"
Tensors = dict[str, Tensor]


class Kept(NamedTuple):
    """A person in a file.

    Attributes:
        numbers: whole numbers by name.
        tensors: by name.
    """

    numbers: dict[str, int]
    tensors: Tensors


def fingerprint(models: Iterable[nn.Module]) -> str:
    """Of all weights: a state means nothing to other ones."""
    found = hashlib.sha256()
    for model in models:
        for name, value in model.state_dict().items():
            found.update(name.encode())
            found.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return found.hexdigest()


def frame_tensors(name: str, frames: Frames) -> Tensors:
    """Frames of a person as tensors."""
    return {f"{name}.{part}": torch.from_numpy(np.ascontiguousarray(value)) for part, value in frames._asdict().items()}


def frames_of(name: str, tensors: Tensors, like: Frames, most: int) -> Frames:
    """The same back again.

    Args:
        name: as it was given.
        tensors: of the person.
        like: frames of the right joints and coordinates.
        most: how many there may be.

    Raises:
        ValueError: they are of something else.
    """
    parts = {}
    for part, model in like._asdict().items():
        value = tensor_of(f"{name}.{part}", tensors, torch.from_numpy(model), free=most)
        parts[part] = value.numpy()
    frames = Frames(**parts)
    if len({len(value) for value in frames}) != 1:
        raise ValueError(f"'{name}' has parts of different lengths")
    if not np.isfinite(frames.positions).all() or not np.isfinite(frames.confidence).all():
        raise ValueError(f"'{name}' holds NaN or infinity")
    return frames


def tensor_of(name: str, tensors: Tensors, like: Tensor, *, free: int | None = None) -> Tensor:
    """A tensor of the file, if it has the type and the shape of another; with ``free``, up to so many rows.

    Raises:
        ValueError: it has not, or it is missing.
    """
    if name not in tensors:
        raise ValueError(f"'{name}' is missing")
    value = tensors[name]
    fits = value.shape == like.shape
    if free is not None:
        fits = value.dim() == like.dim() and value.shape[1:] == like.shape[1:] and len(value) <= free
    if not fits or value.dtype != like.dtype:
        raise ValueError(f"'{name}' is {tuple(value.shape)} of {value.dtype}, which does not fit")
    return value.to(like.device)


def write_people(path: Path, about: dict[str, str], people: dict[int, Kept]) -> None:
    """Write a file, whole or not at all.

    Args:
        path: of the file.
        about: what must be the same when it is read.
        people: by id.

    Raises:
        OSError: it cannot be written.
    """
    ids = {str(person): kept.numbers for person, kept in people.items()}
    tensors = {
        f"{row}.{name}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for row, kept in enumerate(people.values())
        for name, value in kept.tensors.items()
    }
    write_whole(path, save(tensors, metadata={**about, "format": FORMAT, "people": json.dumps(ids)}))


def read_people(path: Path, about: dict[str, str]) -> dict[int, Kept]:
    """Read a file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no such file, it is damaged, or it was made by another stream.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no state of a stream at '{path}'.")
    try:
        with safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
            if found.get("format") != FORMAT:
                raise ValueError(f"its format is {found.get('format')!r}, but {FORMAT!r} is needed")
            for name, value in about.items():
                if found.get(name) != value:
                    raise ValueError(f"it was made with another '{name}'")
            ids = json.loads(found["people"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        people = {}
        for row, (person, numbers) in enumerate(ids.items()):
            own = {name.partition(".")[2]: value for name, value in tensors.items() if name.startswith(f"{row}.")}
            people[int(person)] = Kept({name: int(number) for name, number in numbers.items()}, own)
    except SafetensorError as error:
        raise ValueError(f"cannot use '{path}': {' '.join(str(error).split())}.") from None
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"cannot use '{path}': it is damaged ({type(error).__name__}).") from None
    except ValueError as error:
        raise ValueError(f"cannot use '{path}': {error}.") from None
    return people
