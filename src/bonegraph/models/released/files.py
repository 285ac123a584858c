"""Files of public weights: the names and numbers in them, without running anything.

===================  ===================================================================================================
``.pt .pth .ckpt``   torch, zip format or the one before 1.6 (`bonegraph.read.torch_files`)
``.safetensors``     read as it is
``.zip``             an archive of such files, of which one is chosen
===================  ===================================================================================================

What the field wraps around a state dict is taken off: dictionaries such as ``{"state_dict": ..., "meta": ...}`` (mmcv,
mmengine, Lightning) and prefixes of names (``module.`` of DataParallel, ``model.`` of Lightning, ``_orig_mod.`` of
torch.compile).
"""

from __future__ import annotations

import io
import mmap
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_safetensors
from torch import Tensor

from bonegraph.read.pickles import shown
from bonegraph.read.torch_files import DAMAGED_ZIP, StoredTensor, TorchFile, torch_entry

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "ema_state_dict")
"""Under which a dictionary holds the state dict, by preference."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What is in front of names because of how a network was trained."""

SUFFIXES = (".pt", ".pth", ".ckpt", ".tar", ".pkl", ".bin", ".safetensors")
LARGEST, TIGHTEST = 1 << 30, 50
"""A file in an archive may unfold to so many bytes, and to so many times its size; weights hardly compress."""


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """What a file holds.

    Attributes:
        weights: by name, without wrappers and prefixes.
        odd: names of what is among the weights but is no tensor, or one without numbers.
        notes: what was taken off or left aside, for people.
    """

    weights: dict[str, Tensor]
    odd: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_weights(path: str | Path, member: str = "") -> WeightsFile:
    """Read a file of weights, as data.

    Args:
        path: see the table above.
        member: which file of an archive of several; its name, or the end of it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no file of weights, is damaged, asks for what only a program needs, or holds several and none
            is chosen. One line.
        OSError: it cannot be read at all.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file '{path}'; give a file of weights (.pt, .pth, .safetensors or .zip).")
    with _mapped(path) as (stream, data):
        try:
            bundle = _files_of(stream) if data[:4] == b"PK\x03\x04" else None
        except DAMAGED_ZIP:
            raise ValueError(f"'{path.name}' is no archive or is damaged; fetch it again.") from None
        if bundle is None:
            if member:
                raise ValueError(f"'{path.name}' is no archive of several files; leave --member away.")
            return _read(path, stream, data, path.name)
        chosen = _chosen(bundle, member, path.name)
        unfolded = _unfolded(stream, chosen, path.name)
        return _read(None, io.BytesIO(unfolded), unfolded, f"{path.name}: {chosen.filename}")


@contextmanager
def _mapped(path: Path) -> Iterator[tuple[IO[bytes], mmap.mmap]]:
    with path.open("rb") as stream:
        if not os.fstat(stream.fileno()).st_size:
            raise ValueError(f"'{path.name}' is empty; fetch it again.")
        yield stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


# --- archives of several ----------------------------------------------------------------------------------------------


def _files_of(stream: IO[bytes]) -> list[zipfile.ZipInfo] | None:
    """The files of weights in an archive; None for an archive that torch itself wrote."""
    with zipfile.ZipFile(stream) as archive:
        try:
            torch_entry(archive)
            return None
        except ValueError:
            return [
                info
                for info in archive.infolist()
                if info.filename.lower().endswith(SUFFIXES)
                and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(info.filename).parts)
            ]


def _chosen(files: list[zipfile.ZipInfo], member: str, name: str) -> zipfile.ZipInfo:
    names = [info.filename for info in files]
    listed = ", ".join(shown(file) for file in names[:20]) + (", ..." if len(names) > 20 else "")
    if not files:
        raise ValueError(f"'{name}' holds no file of weights ({', '.join(SUFFIXES)}).")
    if not member and len(files) > 1:
        raise ValueError(f"'{name}' holds {len(files)} files of weights; choose one with --member: {listed}.")
    wanted = PurePosixPath(member)
    found = [
        info
        for info in files
        if not member or info.filename == member or member in (PurePosixPath(info.filename).name, _stem(info.filename))
    ]
    if len(found) > 1:
        found = [info for info in found if info.filename == str(wanted)]
    if len(found) != 1:
        raise ValueError(f"'{name}' has no one file {shown(member)}; choose one of: {listed}.")
    return found[0]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _unfolded(stream: IO[bytes], info: zipfile.ZipInfo, name: str) -> bytes:
    if info.file_size > LARGEST or info.file_size > TIGHTEST * max(1, info.compress_size):
        raise ValueError(
            f"'{name}' would unfold {shown(info.filename)} from {info.compress_size} to {info.file_size} bytes, as no "
            "weights do; it is refused."
        )
    try:
        with zipfile.ZipFile(stream) as archive:
            return archive.read(info)
    except DAMAGED_ZIP:
        raise ValueError(f"'{name}': {shown(info.filename)} is damaged or locked; fetch it again.") from None


# --- one file ---------------------------------------------------------------------------------------------------------


def _read(path: Path | None, stream: IO[bytes], data: mmap.mmap | bytes, name: str) -> WeightsFile:
    """Any file but an archive of several.

    Args:
        path: where it is, None for one that is only in memory.
        stream: its content.
        data: its content.
        name: for messages.
    """
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        return _cleaned(_safetensors(path, data, name), (), (), name)
    file = TorchFile(stream, data, name)
    state, notes = _state_dict(file.content, name)
    weights: dict[str, Tensor] = {}
    odd = []
    for key, value in state.items():
        if isinstance(value, StoredTensor):
            weights[key] = file.tensor(value)
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.dtype.itemsize <= 8:
            weights[key] = torch.from_numpy(value.astype(value.dtype.newbyteorder("="), order="C"))
        else:
            odd.append(key)
    return _cleaned(weights, tuple(odd), notes, name)


def _safetensors(path: Path | None, data: mmap.mmap | bytes, name: str) -> dict[str, Tensor]:
    try:
        if path is None:
            return load_safetensors(bytes(data))
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if str(about.get("format", "")).startswith("bonegraph checkpoint"):
                raise ValueError(f"'{name}' is a checkpoint of this package already; use it as it is.")
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"'{name}' is no safetensors file or is damaged ({reason}); fetch it again.") from None


def _state_dict(content: object, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The weights of what was saved, and what is said about the rest."""
    notes: list[str] = []
    for _ in range(4):
        if not isinstance(content, Mapping):
            break
        wrapper = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            if not any(_is_weight(value) for value in content.values()):
                break
            if any(not isinstance(key, str) for key in content):
                raise ValueError(f"'{name}' has weights that have no name; save the state_dict of a network.")
            return dict(content), tuple(notes)
        rest = [str(key) for key in content if isinstance(key, str) and key != wrapper]
        if rest:
            notes.append(f"taken from '{wrapper}'; left aside: {', '.join(map(shown, rest[:8]))}")
        content = content[wrapper]
    what = getattr(content, "name", None)
    if isinstance(what, str):
        raise ValueError(f"'{name}' holds an object of {shown(what)}, not weights; save its state_dict.")
    keys = ", ".join(shown(str(key)) for key in list(content)[:5]) if isinstance(content, Mapping) else ""
    raise ValueError(f"'{name}' holds no weights by name{f' (but {keys})' if keys else ''}; save a state_dict.")


def _is_weight(value: object) -> bool:
    return isinstance(value, StoredTensor) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _cleaned(weights: dict[str, Tensor], odd: tuple[str, ...], notes: tuple[str, ...], file: str) -> WeightsFile:
    """Names without the prefixes that training put there.

    ``backbone.`` goes where every name has it; beside a head that is not called so, it is a part of the name.
    """
    cleaned: dict[str, Tensor] = {}
    taken: set[str] = set()
    odd = (*odd, *(key for key, value in weights.items() if not value.numel()))
    for key, value in weights.items():
        if not value.numel():
            continue  # any of its lengths may be a million
        name = key
        while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), ""):
            name = name.removeprefix(prefix)
            taken.add(prefix)
        if name in cleaned:
            raise ValueError(f"'{file}': two names mean {shown(name)}, the second is {shown(key)}; fetch it again.")
        cleaned[name] = value
    if cleaned and all(name.startswith("backbone.") for name in cleaned):
        cleaned = {name.removeprefix("backbone."): value for name, value in cleaned.items()}
        taken.add("backbone.")
    if taken:
        notes = (*notes, f"prefix taken off: {', '.join(sorted(taken))}")
    return WeightsFile(cleaned, odd, notes)
