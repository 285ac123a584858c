from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from bonegraph.read.mat import LIMIT, read_mat

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "doubles": RNG.normal(size=(4, 3, 5)),
    "singles": RNG.normal(size=(2, 2)).astype(np.float32),
    "bytes": RNG.integers(0, 255, size=(1, 7), dtype=np.uint8),
    "shorts": RNG.integers(-99, 99, size=(3, 1), dtype=np.int16),
    "longs": np.array([[2**40, -(2**40)]]),
    "empty": np.zeros((0, 3)),
    "flag": np.array([[True, False]]),
}


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def array(name: str, dimensions: tuple[int, ...], numbers: bytes, group: int = 6, order: str = "<") -> bytes:
    flags = element(6, struct.pack(f"{order}II", group, 0), order)
    shape = element(5, struct.pack(f"{order}{len(dimensions)}i", *dimensions), order)
    return element(14, flags + shape + element(1, name.encode(), order) + element(9, numbers, order), order)


def compressed(data: bytes) -> bytes:
    packed = zlib.compress(data)
    return struct.pack("<II", 15, len(packed)) + packed


def write(path: Path, *elements: bytes, order: str = "<") -> Path:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + (b"\0\1IM" if order == "<" else b"\1\0MI")
    path.write_bytes(head + b"".join(elements))
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_numbers_and_texts_come_back(tmp_path: Path, compress: bool) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {**ARRAYS, "text": "tennis_serve", "skipped": {"a": 1.0}}, do_compression=compress)
    found = read_mat(path, [*ARRAYS, "text"])
    assert found.pop("text") == "tennis_serve"
    assert set(found) == set(ARRAYS)
    for name, wanted in ARRAYS.items():
        value = found[name]
        assert not isinstance(value, str)
        np.testing.assert_array_equal(value, wanted)
        assert value.dtype.isnative


def test_both_byte_orders(tmp_path: Path) -> None:
    for order in "<>":
        path = write(
            tmp_path / "a.mat", array("x", (1, 2), struct.pack(f"{order}2d", 1.5, -2.0), order=order), order=order
        )
        value = read_mat(path, ["x"])["x"]
        assert not isinstance(value, str)
        assert value.tolist() == [[1.5, -2.0]]


def test_a_stream_without_its_end_is_read_as_matlab_wrote_it(tmp_path: Path) -> None:
    packing = zlib.compressobj()
    packed = packing.compress(array("x", (1, 1), struct.pack("<d", 3.0))) + packing.flush(zlib.Z_SYNC_FLUSH)
    path = write(tmp_path / "a.mat", struct.pack("<II", 15, len(packed)) + packed)
    value = read_mat(path, ["x"])["x"]
    assert not isinstance(value, str)
    assert value.item() == 3.0


@pytest.mark.parametrize("value", [{"a": 1.0}, np.array([[1, "a"]], dtype=object), np.array([[1 + 2j]])])
def test_anything_but_numbers_and_text_is_refused_where_it_is_asked_for(tmp_path: Path, value: Any) -> None:
    savemat(tmp_path / "a.mat", {"x": value, "y": 1.0})
    assert set(read_mat(tmp_path / "a.mat", ["y"])) == {"y"}
    with pytest.raises(ValueError, match=r"'a.mat' holds 'x' as .* no array of real numbers"):
        read_mat(tmp_path / "a.mat", ["x"])


NUMBER = struct.pack("<d", 1.0)
FLAGS = element(6, struct.pack("<II", 6, 0))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "has no variable 'x'"),
        ([array("y", (1, 1), NUMBER)], "has no variable 'x'"),
        ([array("x", (1, 1), NUMBER)[:-1]], "is cut off"),
        ([array("x", (1, 1), NUMBER)[:5]], "cut off in the tag"),
        ([compressed(array("x", (1, 1), NUMBER))[:-6]], "is cut off"),
        ([compressed(array("x", (1, 1), NUMBER)[:-1])], "is cut off"),
        ([compressed(b"abc")], "is cut off"),
        ([struct.pack("<II", 15, 4) + b"abcd"], "compressed variable that is damaged"),
        ([array("x", (1, 2), NUMBER)], "with 1 numbers, but its dimensions are 1 x 2"),
        ([array("x", (-1, -1), NUMBER)], "dimensions are -1 x -1"),
        ([array("x", (2**31 - 1,) * 8, NUMBER)], "with 1 numbers, but its dimensions"),
        ([array("x", (65536, 65536, 65536, 65536), b"")], "with 0 numbers, but its dimensions"),
        ([array("x", (1, 1), NUMBER + b"abc")], "with 1 numbers"),
        ([array("x", (1,), NUMBER)], "without 2 to 8 dimensions"),
        ([array("x", (1,) * 9, NUMBER)], "without 2 to 8 dimensions"),
        ([element(14, b"")], "cut off in the tag"),
        ([element(14, element(6, b"abc"))], "without flags"),
        ([element(9, NUMBER)], "element of type 9 where a variable should be"),
        ([array("x", (1, 1), NUMBER, group=4)], "characters that are no line of text"),
        (
            [element(14, FLAGS + element(5, struct.pack("<ii", 1, 1)) + element(1, b"x") + element(99, NUMBER))],
            "without its",
        ),
    ],
)
def test_damage_is_one_line(tmp_path: Path, content: list[bytes], message: str) -> None:
    path = write(tmp_path / "a.mat", *content)
    with pytest.raises(ValueError, match=message) as error:
        read_mat(path, ["x"])
    assert str(error.value).startswith("'a.mat' ")
    assert "\n" not in str(error.value)


def test_a_flipped_bit_in_a_compressed_variable_is_noticed(tmp_path: Path) -> None:
    good = compressed(array("x", (1, 500), RNG.normal(size=500).tobytes()))
    for place in range(len(good) - 4, 100, -97):
        path = write(tmp_path / "a.mat", good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(ValueError, match="damaged"):
            read_mat(path, ["x"])


def test_a_small_file_that_unfolds_to_much_is_refused(tmp_path: Path) -> None:
    count = LIMIT // 8
    packed = compressed(array("x", (1, count), bytes(8 * count)))
    path = write(tmp_path / "a.mat", packed)
    assert path.stat().st_size < LIMIT // 500
    with pytest.raises(ValueError, match="holds 'x' with 64 MiB, which is no recording"):
        read_mat(path, ["x"])
    # Nor does it help to claim less than there is.
    inner = array("x", (1, count), bytes(8 * count))
    path = write(tmp_path / "a.mat", compressed(struct.pack("<II", 14, 4096) + inner[8:]))
    with pytest.raises(ValueError, match="is cut off"):
        read_mat(path, ["x"])


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "no MATLAB file of version 5"),
        (b"\x89HDF\r\n", "no MATLAB file of version 5"),
        (b"MATLAB 7.3 MAT-file".ljust(512), "save it with '-v7'"),
        (b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\2IM", "no MATLAB file of version 5"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, head: bytes, message: str) -> None:
    (tmp_path / "a.mat").write_bytes(head)
    with pytest.raises(ValueError, match=message):
        read_mat(tmp_path / "a.mat", ["x"])


def test_a_file_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_mat(tmp_path / "none.mat", ["x"])
