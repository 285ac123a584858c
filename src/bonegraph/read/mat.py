"""Arrays of numbers and texts from MATLAB files of version 5, as MATLAB saves them with ``-v6`` and ``-v7``.

Only what recordings need is read: arrays of real numbers and rows of characters, each plain or compressed. Structures,
cells, objects, functions and sparse or complex arrays are refused where they are asked for and skipped where they are
not. Nothing of a file is run, and what a file claims about its sizes is held against what it holds: a compressed
variable may unfold to `LIMIT` bytes, no further.

The layout is that of MathWorks, "MAT-File Format": a header of 128 bytes, then one element per variable. An element is
a tag (type, number of bytes) and its data, padded to 8 bytes; an array is an element of elements: flags, dimensions,
name, values.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = 64 << 20
"""Most bytes of a file, and of one variable when it is unfolded; an hour of UTD-MHAD would take 50 MiB."""

_HEADER = 128
_ARRAY, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CHARACTERS = 4
_NUMERIC = range(6, 16)
_CLASSES = range(1, 16)
_OTHER = {1: "a cell", 2: "a structure", 3: "an object", 5: "a sparse array"}
_COMPLEX = 0x08


def read_mat(path: Path, names: Collection[str]) -> dict[str, NDArray[Any] | str]:
    """Read some variables of a MATLAB file.

    Args:
        path: the file.
        names: the variables to read; all must be there.

    Returns:
        Each variable by name: an array of real numbers with the dimensions of the file, or a text.

    Raises:
        ValueError: the file is no MATLAB file of version 5, is damaged, lacks a variable, or one is neither numbers
            nor a text; the message is one line.
        OSError: the file cannot be read at all.
    """
    if path.stat().st_size > LIMIT:
        raise ValueError(f"'{path.name}' is larger than {LIMIT >> 20} MiB; that is no recording, remove it.")
    try:
        found = _variables(path.read_bytes(), frozenset(names))
    except ValueError as error:
        raise ValueError(f"'{path.name}' {error}; fetch the file again.") from None
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"'{path.name}' has no variable '{missing[0]}'; check which data set it belongs to.")
    return found


def _variables(data: bytes, names: frozenset[str]) -> dict[str, NDArray[Any] | str]:
    if data[:19] == b"MATLAB 7.3 MAT-file":
        raise ValueError("is a MATLAB file of version 7.3 (HDF5), save it with '-v7'")
    mark = data[126:128]
    if mark not in (b"IM", b"MI") or data[124:126] != (b"\x00\x01" if mark == b"IM" else b"\x01\x00"):
        raise ValueError("is no MATLAB file of version 5")
    order = "<" if mark == b"IM" else ">"
    found: dict[str, NDArray[Any] | str] = {}
    rest = memoryview(data)[_HEADER:]
    while len(rest) and len(found) < len(names):
        kind, content, rest = _element(rest, order)
        if kind == _COMPRESSED:
            # The name stands within the first bytes, so that variables nobody asked for are never unfolded.
            start = memoryview(_unfold(content, 1024))
            if len(start) < 8:
                raise ValueError("holds a compressed variable that is cut off")
            kind, size = _tag(start, order)
            if kind != _ARRAY or (name := _parts(start[8:], order)[2]) not in names:
                continue
            if size > LIMIT:
                raise ValueError(f"holds '{name}' with {size >> 20} MiB, which is no recording")
            # With room for one byte more, so that zlib reads on to its checksum.
            kind, content, _ = _element(memoryview(_unfold(content, 8 + size + 1)), order)
        if kind != _ARRAY:
            raise ValueError(f"holds an element of type {kind} where a variable should be")
        name = _parts(content, order)[2]
        if name in names:
            found[name] = _value(content, order, name)
    return found


def _unfold(content: memoryview, limit: int) -> bytes:
    """The first bytes of a compressed element. MATLAB leaves some streams without their end, so none is asked for."""
    try:
        return zlib.decompressobj().decompress(content, limit)
    except zlib.error as error:
        raise ValueError(f"holds a compressed variable that is damaged ({error})") from None


def _tag(data: memoryview, order: str) -> tuple[int, int]:
    kind, size = np.frombuffer(data[:8], f"{order}u4").tolist()
    return kind, size


def _element(data: memoryview, order: str) -> tuple[int, memoryview, memoryview]:
    """The first element: its type, its data, and what comes after it."""
    if len(data) < 8:
        raise ValueError("is cut off in the tag of an element")
    kind, size = _tag(data, order)
    if kind >> 16:  # a small element: type and size in 4 bytes, data in the next 4
        kind, size, start, end = kind & 0xFFFF, kind >> 16, 4, 8
    else:
        # Compressed elements are not padded.
        start, end = 8, 8 + size + (0 if kind == _COMPRESSED else -size % 8)
    if start + size > min(end, len(data)):
        raise ValueError(f"is cut off: an element claims {size} bytes, but {len(data) - start} are left")
    return kind, data[start : start + size], data[end:]


def _parts(content: memoryview, order: str) -> tuple[NDArray[Any], NDArray[Any], str, memoryview]:
    """Flags, dimensions and name of an array, and what comes after them."""
    kind, flags, rest = _element(content, order)
    if kind != 6 or len(flags) != 8:
        raise ValueError("holds a variable without flags")
    numbers = np.frombuffer(flags, f"{order}u4")
    if int(numbers[0]) & 0xFF not in _CLASSES:  # what MATLAB keeps there has no dimensions and no name
        return numbers, np.zeros(0, np.int64), "", rest
    kind, shape, rest = _element(rest, order)
    if kind != 5 or len(shape) % 4 or not 8 <= len(shape) <= 32:
        raise ValueError("holds a variable without 2 to 8 dimensions")
    _, name, rest = _element(rest, order)
    dimensions = np.frombuffer(shape, f"{order}i4").astype(np.int64)
    return numbers, dimensions, bytes(name).decode("latin-1"), rest


def _value(content: memoryview, order: str, name: str) -> NDArray[Any] | str:
    flags, shape, _, rest = _parts(content, order)
    group = int(flags[0]) & 0xFF
    if group != _CHARACTERS and (group not in _NUMERIC or int(flags[0]) >> 8 & _COMPLEX):
        raise ValueError(f"holds '{name}' as {_OTHER.get(group, 'something')} that is no array of real numbers")
    kind, values, _ = _element(rest, order)
    if group == _CHARACTERS:
        if kind not in _TEXTS or (shape < 0).any() or (shape[:1] > 1).any() or (shape[2:] != 1).any():
            raise ValueError(f"holds '{name}' as characters that are no line of text")
        text = _TEXTS[kind] + {"<": "-le", ">": "-be"}[order] * (_TEXTS[kind] in ("utf-16", "utf-32"))
        try:
            return bytes(values).decode(text)
        except UnicodeDecodeError:
            raise ValueError(f"holds '{name}' as characters that are damaged") from None
    if kind not in _NUMBERS:
        raise ValueError(f"holds '{name}' without its numbers")
    dtype = np.dtype(order + _NUMBERS[kind])
    count = len(values) // dtype.itemsize
    if (shape < 0).any() or math.prod(shape.tolist()) != count or len(values) % dtype.itemsize:
        dimensions = " x ".join(map(str, shape.tolist()))
        raise ValueError(f"holds '{name}' with {count} numbers, but its dimensions are {dimensions}")
    numbers: NDArray[Any] = np.frombuffer(values, dtype).astype(dtype.newbyteorder("="))
    shaped: NDArray[Any] = numbers.reshape(shape.tolist(), order="F")
    return shaped
