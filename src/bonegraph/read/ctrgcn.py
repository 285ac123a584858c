"""The ``.npz`` files of the CTR-GCN family: NTU RGB+D by its own cleaning, in four arrays.

``x_train`` and ``x_test`` are (N, T, D): people x joints x 3 numbers a frame, zeros where nobody is. ``y_train`` and
``y_test`` are (N, classes): 1 in one place. Chen et al., "Channel-wise Topology Refinement Graph Convolution for
Skeleton-Based Action Recognition", ICCV 2021. The files name no clips.

In the files of NTU RGB+D 120 the second person of a clip of one is a copy of the first. Nobody is there twice: such a
copy is absent here, unless it is asked for.

An ``.npz`` is a zip archive. Members that are only stored, as ``numpy.savez`` writes them, are memory maps; compressed
ones are unpacked into memory, within limits.

Axes: N clips, T frames, D = M people x V joints x 3.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.arrays import check_header, map_array

PARTS = ("train", "test")

LARGEST = 2 << 30
"""Bytes that a compressed array may unfold to."""
TIGHTEST = 250
"""How often larger than its bytes in the file that may be; padding makes real ones 5 to 50 times as large."""

_BLOCK = 16 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")


@dataclass(frozen=True, eq=False)
class CtrGcnFile:
    """The clips of one file.

    Attributes:
        data: (N, T, D) by part.
        labels: (N,) by part; -1 where a row of the file names not exactly one class.
        classes: how many there are.
    """

    data: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.int64]]
    classes: int

    def clip(self, part: str, number: int, joints: int, *, copies: bool = False) -> NDArray[np.float32]:
        """(T, M, V, 3) of a clip, padding included.

        Args:
            part: ``"train"`` or ``"test"``.
            number: of the clip in its part.
            joints: V.
            copies: keep a second person who is the first again.

        Raises:
            ValueError: the frames do not divide into people of so many joints.
        """
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused later
            clip = np.array(self.data[part][number], dtype=np.float32)
        if clip.shape[1] % (3 * joints):
            raise ValueError(
                f"a frame has {clip.shape[1]} numbers, which are no people of {joints} joints x 3; name the skeleton."
            )
        people = clip.reshape(len(clip), -1, joints, 3)
        if not copies and people.shape[1] == 2 and np.array_equal(people[:, 0], people[:, 1]):
            people[:, 1] = 0
        return people


def open_ctrgcn(path: Path) -> CtrGcnFile:
    """Open a file with x_train, y_train, x_test and y_test, or with one of the two pairs.

    Raises:
        ValueError: the file is no such archive, is damaged, or unfolds to far more than it is.
        OSError: the file cannot be read at all.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            parts = [part for part in PARTS if {f"x_{part}.npy", f"y_{part}.npy"} <= members.keys()]
            if not parts:
                raise ValueError(f"'{path.name}' has no arrays x_train and y_train; check that CTR-GCN can read it.")
            arrays = {
                f"{kind}_{part}": _member(path, archive, members[f"{kind}_{part}.npy"])
                for part in parts
                for kind in "xy"
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, OverflowError):
        raise ValueError(f"'{path.name}' is no .npz archive or is damaged; fetch it again.") from None
    data = {part: arrays[f"x_{part}"] for part in parts}
    for part, clips in data.items():
        if clips.ndim != 3 or clips.shape[2] != data[parts[0]].shape[2]:
            raise ValueError(
                f"'{path.name}' has x_{part} of shape {clips.shape}, but (clips, frames, people x joints x 3) is "
                "needed, alike in both parts; check that CTR-GCN can read it."
            )
    labels, widths = {}, []
    for part in parts:
        truth = arrays[f"y_{part}"]
        if len(truth) != len(data[part]) or not (truth.ndim == 2 or (truth.ndim == 1 and truth.dtype.kind in "iu")):
            raise ValueError(
                f"'{path.name}' has y_{part} of shape {truth.shape} for {len(data[part])} clips; fetch it again."
            )
        if truth.ndim == 2:
            labels[part] = np.where((truth != 0).sum(axis=1) == 1, (truth != 0).argmax(axis=1), -1).astype(np.int64)
            widths.append(truth.shape[1])
        else:
            labels[part] = truth.astype(np.int64)
            widths.append(int(labels[part].max()) + 1)
    return CtrGcnFile(data, labels, max(widths))


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array of the archive. What the archive says of sizes is held against the file before it is believed."""
    name, size = f"{path.name}: {member.filename}", path.stat().st_size
    if member.compress_size > size or member.flag_bits & 1:
        raise zipfile.BadZipFile
    if member.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            file.seek(member.header_offset)
            mark, name_length, extra_length = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
            if mark != b"PK\x03\x04" or member.file_size != member.compress_size or start + member.file_size > size:
                raise zipfile.BadZipFile
            file.seek(start)
            header = check_header(file.read(20_000), member.file_size, name)
        return map_array(path, header, start)
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise NotImplementedError
    if member.file_size > LARGEST or member.file_size > TIGHTEST * member.compress_size:
        raise ValueError(
            f"'{name}' would unfold from {member.compress_size} to {member.file_size} bytes, more than is read into "
            "memory; save the arrays again with numpy.savez, which does not compress."
        )
    data = np.empty(member.file_size, np.uint8)
    filled = 0
    with archive.open(member) as unfolding:
        while filled < len(data) and (block := unfolding.read(_BLOCK)):
            data[filled : filled + len(block)] = np.frombuffer(block, np.uint8)
            filled += len(block)
    header = check_header(bytes(data[:20_000]), filled, name)
    count = int(np.prod(header.shape))
    flat = np.frombuffer(data, header.dtype, count, header.start)
    return flat.reshape(header.shape, order=header.order)
