"""A file of scores: a plain ``.npz`` with four arrays that numpy reads without pickle.

``ids`` (N,) and ``classes`` (K,) text, ``probabilities`` (N, K) float32, ``labels`` (N,) int64 with -1 for unknown.
"""

from __future__ import annotations

import io
import math
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bonegraph.files import write_whole

KEYS = ("ids", "classes", "probabilities", "labels")
# What deflate can gain at most; a member that claims more is no array of ours, and must not cost its claim in memory.
_DENSEST = 1100
_LONGEST_REASON = 200  # characters; zipfile quotes what it found


def write_arrays(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write the arrays, so that a reader sees the old file or the whole new one, never a half.

    Raises:
        OSError: the file cannot be written; the one that was there before stays.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_whole(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The known arrays of a zip of ``.npy`` files, without ever unpickling.

    Raises:
        ValueError: it is no such file, or not a whole one.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array, not an archive of arrays")
            with archive:
                _refuse_bombs(archive, path.stat().st_size)
                return {key: _existing(archive[key]) for key in KEYS if key in archive}
    except (
        # what numpy and zipfile raise on files that are cut short, damaged or something else altogether
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        MemoryError,
        OverflowError,
        SyntaxError,
        tokenize.TokenError,
    ) as error:
        reason = str(error).partition("\n")[0][:_LONGEST_REASON] or type(error).__name__
        raise ValueError(f"{path} is not a whole scores file ({reason}). Write it again with 'evaluate'.") from None


def _existing(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array, if its characters exist."""
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).view(np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        if codes.max() > sys.maxunicode:
            raise ValueError("it holds characters that do not exist")
    return array


def _refuse_bombs(archive: Any, size: int) -> None:
    """See that every array is no larger than its part of the file can be."""
    for member in archive.zip.infolist():
        if member.file_size > _DENSEST * min(size, max(member.compress_size, 1)):
            raise ValueError(f"{member.filename} claims {member.file_size:,} bytes in a file of {size:,}")
        with archive.zip.open(member) as file:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(file)
        if math.prod(shape) * dtype.itemsize > member.file_size:
            raise ValueError(f"{member.filename} claims {math.prod(shape):,} numbers in {member.file_size:,} bytes")
