"""Arrays of an ``.npz`` file, which is a zip archive that nobody vouches for.

Members that are only stored, as ``numpy.savez`` writes them, are memory maps; compressed ones are unpacked into memory,
within limits.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.arrays import check_header, map_array

LARGEST = 2 << 30
"""Bytes that a compressed array may unfold to."""
TIGHTEST = 250
"""How often larger than its bytes in the file that may be; padding makes real ones 5 to 50 times as large."""

_BLOCK = 16 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")


def npz_arrays(path: Path, choose: Callable[[set[str]], Iterable[str]], kinds: str = "fiu") -> dict[str, NDArray[Any]]:
    """Some arrays of a file.

    Args:
        path: of the file.
        choose: from the names that there are to those that are wanted; may refuse with a ValueError.
        kinds: of values that may be in the arrays, as numpy calls them.

    Raises:
        ValueError: the file is no such archive, is damaged, or unfolds to far more than it is.
        OSError: the file cannot be read at all.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            wanted = choose({name.removesuffix(".npy") for name in members if name.endswith(".npy")})
            return {name: _member(path, archive, members[f"{name}.npy"], kinds) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, OverflowError):
        raise ValueError(f"'{path.name}' is no .npz archive or is damaged; fetch it again.") from None


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str) -> NDArray[Any]:
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
            header = check_header(file.read(20_000), member.file_size, name, kinds)
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
    header = check_header(bytes(data[:20_000]), filled, name, kinds)
    count = int(np.prod(header.shape))
    flat = np.frombuffer(data, header.dtype, count, header.start)
    return flat.reshape(header.shape, order=header.order)
