"""Damage: small files are changed the way disks, networks, editors and attackers change them."""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

Change = Callable[[bytes, random.Random], bytes]

NUMBER = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
WORDS = (
    *(b"nan", b"NaN", b"inf", b"-inf", b"Infinity", b"-Infinity", b"1e309", b"-1e309", b"1e-320", b"1e38", b"4e38"),
    *(b"0", b"-0", b"-1", b"1", b"2", b"1.5", b"-1.5", b"255", b"256", b"65535", b"65536", b"1000000"),
    *(b"2147483647", b"2147483648", b"-2147483649", b"4294967295", b"9223372036854775807", b"-9223372036854775809"),
    *(b"18446744073709551616", b"1" * 30, b"1" * 400, b"9" * 5000, b"0x10", b"1_0", b"1,0", b"+", b"-", b"."),
    *(b"", b" ", b"null", b"true", b"false", b"[]", b"{}", b'""', b'"a"', b"[[]]", b"~", b"\xd9\xa3", b"\xc2\xb2"),
)
LENGTHS = (0, 1, 2, 3, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1)
LONG_LENGTHS = (*LENGTHS, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)


def binary(data: bytes, rng: random.Random) -> bytes:
    """Change bytes in one to four ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice((_flip, _flip, _overwrite, _delete, _insert, _cut, _repeat, _swap, _length))(data, rng)
    return data


def text(data: bytes, rng: random.Random) -> bytes:
    """Change bytes, or numbers and other words, in one to four ways."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change = rng.choice((_number, _number, _number, _lines, _flip, _delete, _insert, _cut, _repeat, _swap))
        data = change(data, rng)
    return data


def in_zip(inside: Change) -> Change:
    """Change what lies in a zip file and pack it again, so that its checksums hold; or the zip file itself."""

    def change(data: bytes, rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            return binary(data, rng)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
        chosen = rng.randrange(len(members))
        members[chosen] = (members[chosen][0], inside(members[chosen][1], rng))
        if rng.random() < 0.1:
            del members[rng.randrange(len(members))]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, content in members:
                archive.writestr(zipfile.ZipInfo(name), content)
        return buffer.getvalue()

    return change


def in_mat(data: bytes, rng: random.Random) -> bytes:
    """Change what a compressed variable of a MATLAB file unfolds to, or the file itself."""
    elements, at = [], 128
    while at + 8 <= len(data):
        kind, size = struct.unpack("<II", data[at : at + 8])
        if kind != 15:
            return binary(data, rng)
        elements.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    if not elements or rng.random() < 0.3:
        return binary(data, rng)
    chosen = rng.randrange(len(elements))
    elements[chosen] = zlib.compress(binary(zlib.decompress(elements[chosen]), rng))
    return data[:128] + b"".join(struct.pack("<II", 15, len(element)) + element for element in elements)


def in_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Change the text at the head of a safetensors file and mend its length, or change the file itself."""
    if rng.random() < 0.3:
        return binary(data, rng)
    (size,) = struct.unpack("<Q", data[:8])
    head = text(data[8 : 8 + size], rng)
    return struct.pack("<Q", len(head)) + head + data[8 + size :]


def in_npy(data: bytes, rng: random.Random) -> bytes:
    """Change the text at the head of an array and mend its length, or change the file itself."""
    if rng.random() < 0.4 or data[:6] != b"\x93NUMPY" or data[6] != 1:
        return binary(data, rng)
    (size,) = struct.unpack("<H", data[8:10])
    head = text(data[10 : 10 + size].rstrip(), rng) + b"\n"
    return data[:8] + struct.pack("<H", len(head) & 0xFFFF) + head + data[10 + size :]


def _span(data: bytes, rng: random.Random, longest: int = 64) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randint(1, longest))


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def _overwrite(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 8)
    filling = rng.choice((b"\0", b"\xff", b"\x80", b"\n"))
    return data[:start] + (filling * (end - start) if rng.random() < 0.5 else rng.randbytes(end - start)) + data[end:]


def _delete(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randint(1, 8)) + data[at:]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng, 400)
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[start:end] * rng.choice((1, 1, 2, 50)) + data[at:]


def _swap(data: bytes, rng: random.Random) -> bytes:
    first, second = sorted((_span(data, rng), _span(data, rng)))
    if first[1] > second[0]:
        return data
    one, other = data[slice(*first)], data[slice(*second)]
    return data[: first[0]] + other + data[first[1] : second[0]] + one + data[second[1] :]


def _number(data: bytes, rng: random.Random) -> bytes:
    places = [found.span() for found in NUMBER.finditer(data)]
    if not places:
        return _insert(data, rng)
    start, end = rng.choice(places)
    return data[:start] + rng.choice(WORDS) + data[end:]


def _lines(data: bytes, rng: random.Random) -> bytes:
    """Remove, double or exchange lines, or change how they end."""
    lines = data.split(b"\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, lines[other])
    elif what == 2:
        lines[at], lines[other] = lines[other], lines[at]
    return (b"\r\n" if what == 3 else b"\n").join(lines)


def _length(data: bytes, rng: random.Random) -> bytes:
    """Put another number where one of 2, 4 or 8 bytes may stand, often near the beginning, where headers are."""
    width = rng.choice((1, 2, 4, 4, 4, 8))
    if len(data) < width:
        return data
    last = len(data) - width
    at = min(last, int(rng.expovariate(1 / 64))) if rng.random() < 0.5 else rng.randint(0, last)
    at -= at % width if rng.random() < 0.7 else 0
    order = rng.choice(("little", "little", "little", "big"))
    before = int.from_bytes(data[at : at + width], order)  # type: ignore[arg-type]
    near = (before + 1, before - 1, before * 2, before // 2, before + 8, before - 8)
    value = rng.choice((*near, rng.choice(LONG_LENGTHS), rng.getrandbits(8 * width))) % (1 << 8 * width)
    return data[:at] + value.to_bytes(width, order) + data[at + width :]  # type: ignore[arg-type]
