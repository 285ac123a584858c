"""Pickles of strangers: what is plain is read as Python reads it, everything else is refused and never run."""

from __future__ import annotations

import datetime
import decimal
import fractions
import os
import pickle
import struct
import subprocess
import time
import tracemalloc
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonegraph.read.pickles import DEEPEST, load_pickle

RNG = np.random.default_rng(0)
PLAIN: dict[Any, Any] = {
    "numbers": [0, -1, 255, 256, 65_536, 2**31, -(2**70), 1.5, -0.0, float("inf"), True, False, None],
    "text": ["", "a", "\u20ac\n\\'\"", "\udc80", "x" * 300, "y" * 70_000],
    "bytes": [b"", b"\x00\xff", b"z" * 5000],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "sets": [{1, "a"}, frozenset({2.5}), set(), frozenset()],
    "ordered": OrderedDict([("b", 1), ("a", [2])]),
    7: {"inner": {}},
}
ARRAYS: dict[str, np.ndarray[Any, np.dtype[Any]]] = {
    "float32": RNG.normal(size=(4, 5)).astype(np.float32),
    "float16": RNG.normal(size=(2, 3, 4)).astype(np.float16),
    "big-endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "fortran": np.asfortranarray(RNG.normal(size=(300, 7))),
    "transposed": np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
    "empty": np.zeros((0, 3)),
    "no dimension": np.array(5),
    "truth": np.array([True, False]),
    "text": np.array(["ab", "cde\u20ac"]),
    "bytes": np.array([b"a", b"bc"]),
    "long": np.arange(5000, dtype=np.uint8),
}


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "stranger.pkl"
    path.write_bytes(data)
    return path


def refusal(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(ValueError, match=r"^'stranger\.pkl' ") as error:
        load_pickle(write(tmp_path, data))
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 400
    assert text.isprintable()
    return text


@contextmanager
def bounded(seconds: float, megabytes: float) -> Iterator[None]:
    start = time.process_time()
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < seconds


@pytest.mark.parametrize("protocol", range(6))
def test_plain_things(tmp_path: Path, protocol: int) -> None:
    assert repr(load_pickle(write(tmp_path, pickle.dumps(PLAIN, protocol)))) == repr(
        pickle.loads(pickle.dumps(PLAIN, protocol))
    )


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(tmp_path: Path, protocol: int, name: str) -> None:
    array = ARRAYS[name]
    loaded = load_pickle(write(tmp_path, pickle.dumps([array, array], protocol)))
    assert isinstance(loaded, list)
    for copy in loaded:
        assert copy.dtype == array.dtype
        np.testing.assert_array_equal(copy, array)
        assert not copy.size or not copy.flags.writeable


@pytest.mark.parametrize("protocol", range(6))
def test_scalars_and_dtypes(tmp_path: Path, protocol: int) -> None:
    given = [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("hey"), np.dtype(">f4"), np.dtype("U3")]
    loaded: Any = load_pickle(write(tmp_path, pickle.dumps(given, protocol)))
    assert loaded == given
    assert [type(value) for value in loaded] == [type(value) for value in given]


@pytest.mark.parametrize("protocol", range(6))
def test_an_array_of_plain_objects(tmp_path: Path, protocol: int) -> None:
    array = np.empty((2, 3), dtype=object, order="F")
    array[:] = [["a", None, 1], [[1, 2], np.arange(400), b"b" * 3000]]
    loaded = load_pickle(write(tmp_path, pickle.dumps(array, protocol)))
    assert isinstance(loaded, np.ndarray)
    assert loaded.shape == (2, 3)
    assert (loaded[0].tolist(), loaded[1, 0], loaded[1, 2]) == (["a", None, 1], [1, 2], b"b" * 3000)
    np.testing.assert_array_equal(loaded[1, 1], np.arange(400))


def test_an_array_of_objects_that_are_not_plain(tmp_path: Path) -> None:
    array = np.empty(1, dtype=object)
    array[0] = datetime.date(2020, 1, 1)
    assert "datetime.date" in refusal(tmp_path, pickle.dumps(array))


def test_the_same_array_twice_is_read_once(tmp_path: Path) -> None:
    array = np.zeros(1_000_000)
    path = write(tmp_path, pickle.dumps([array] * 50))
    with bounded(5, 1):  # it stays in the file
        loaded = load_pickle(path)
    assert isinstance(loaded, list)
    assert all(copy is loaded[0] for copy in loaded)


def test_python_2(tmp_path: Path) -> None:
    # What Python 2.7 and numpy 1.11 write: text and the bytes of arrays are one type.
    raw = np.array([1.5, -2.0, 200.0], dtype="<f4").tobytes()
    head = b"(S'name'\np1\nS'caf\\xe9 \\'x\\'\\\\'\np2\nI5\nL7L\nI01\nF2.5\n"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntS'b'\ntR(I1\n(I3\nt"
        b"cnumpy\ndtype\np5\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'"
        + b"".join(b"\\x%02x" % byte for byte in raw)
        + b"'\ntb"
    )
    loaded = load_pickle(write(tmp_path, head + array + b"l."))
    assert isinstance(loaded, list)
    assert loaded[:-1] == ["name", "caf\xe9 'x'\\", 5, 7, True, 2.5]
    np.testing.assert_array_equal(loaded[-1], np.array([1.5, -2.0, 200.0], np.float32))

    labels = b"\x80\x02]q\x00(U\x03S01q\x01U\x04caf\xe9q\x02e]q\x03(K\x01K\x02e\x86q\x04."
    assert load_pickle(write(tmp_path, labels)) == (["S01", "caf\xe9"], [1, 2])


def test_old_and_new_names_of_numpy(tmp_path: Path) -> None:
    data = pickle.dumps(np.arange(3.0), 2)
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        renamed = data.replace(b"numpy.core.", b"numpy._core.").replace(b"numpy._core.multiarray", module)
        loaded: Any = load_pickle(write(tmp_path, renamed))
        np.testing.assert_array_equal(loaded, np.arange(3.0))


leaves = st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats() | st.text() | st.binary()
keys = st.text() | st.integers(-(2**60), 2**60)


@given(
    value=st.recursive(
        leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner), max_leaves=20
    ),
    protocol=st.integers(0, 5),
)
def test_any_plain_value(tmp_path_factory: pytest.TempPathFactory, value: object, protocol: int) -> None:
    path = tmp_path_factory.mktemp("any") / "stranger.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert repr(load_pickle(path)) == repr(value)


# What runs when Python's own unpickler reads it.


class Call:
    def __init__(self, *how: Any) -> None:
        self.how = how

    def __reduce__(self) -> Any:
        return self.how


class State:
    def __init__(self) -> None:
        self.value = 1


HOSTILE = {
    "posix.system": Call(os.system, ("touch ran",)),
    ".Popen": Call(subprocess.Popen, (["touch", "ran"],)),
    ".eval": Call(eval, ("open('ran', 'w')",)),
    ".getattr": Call(getattr, ("text", "format")),
    "State": State(),
    "datetime.datetime": datetime.datetime(2020, 1, 1),
    "decimal.Decimal": decimal.Decimal(1),
    "fractions.Fraction": fractions.Fraction(1, 2),
    "collections.defaultdict": defaultdict(list),
    "numpy.memmap": Call(np.memmap, ("ran", "u1", "w+", 0, 10)),
    "numpy.random": np.random.default_rng(0),
    "numpy.ma": np.ma.zeros(3),
    "numpy.fromfile": Call(np.fromfile, ("stranger.pkl",)),
    "pathlib.PosixPath": Path("x"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int, name: str) -> None:
    data = pickle.dumps({"data": [HOSTILE[name]]}, protocol)
    monkeypatch.chdir(tmp_path)
    message = refusal(tmp_path, data)
    assert "asks for" in message
    assert "it is refused" in message
    if not (name == "State" and protocol < 2):  # there it asks for copyreg first
        assert name in message
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cposix\nsystem\n(S'touch ran'\ntR.",
        b"(iposix\nsystem\n.",
        b"(cposix\nsystem\nS'touch ran'\no.",
        b"\x80\x02cposix\nsystem\n)\x81.",
        b"\x80\x04cposix\nsystem\n)}\x92.",
        b"\x80\x02\x82\x01.",  # a name by its number in a registry
        b"Pwho\n.",
        b"\x80\x02K\x01Q.",
        b"\x80\x05\x97.",
        b"c__builtin__\neval\n.",
        b"cbuiltins\nset.__init__\n.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core._multiarray_umath\n_reconstruct\n.",
        b"c\xff\xfe\nx\n.",
        b"\x80\x04K\x01K\x02\x93.",  # a name that is no text
        b"\x80\x04\x8c\x05a\nb\x1bc\x8c\x02d\n\x93.",  # a name with line breaks and worse
    ],
)
def test_every_way_to_ask_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    refusal(tmp_path, data)
    assert not (tmp_path / "ran").exists()


DTYPE = b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb"
EMPTY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"


def array(shape: bytes, raw: bytes, dtype: bytes = DTYPE) -> bytes:
    return EMPTY + b"(I1\n(" + shape + b"t" + dtype + b"I00\n" + raw + b"tb."


def dtype(code: bytes, state: bytes = b"(I3\nS'<'\nNNNI-1\nI-1\nI0\nt") -> bytes:
    return b"cnumpy\ndtype\n(S'" + code + b"'\nI0\nI1\ntR" + state + b"b"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (array(b"I1000000000\nI1000000000\n", b"S'\\x00'\n"), "its bytes do not fill"),
        (array(b"I-1\n", b"S''\n"), "which does not exist"),
        (array(b"I-2\nI-2\n", b"S'0123456789abcdef'\n"), "which does not exist"),
        (array(b"F1.0\n", b"S'0123'\n"), "which does not exist"),
        (array(b"I1\n", b"S'012'\n"), "its bytes do not fill"),
        (array(b"I1\n", b"I1\n"), "its bytes do not fill"),
        (array(b"I0\nI4611686018427387904\nI4\n", b"S''\n"), "no pickle or is damaged"),
        (array(b"I1\n", b"(lp1\n", dtype(b"O8", b"(I3\nS'|'\nNNNI-1\nI-1\nI63\nt")), "its items do not fill"),
        (array(b"I99999999999\n", b"(l", dtype(b"O8", b"(I3\nS'|'\nNNNI-1\nI-1\nI63\nt")), "its items do not fill"),
        (array(b"I1\n", b"S'01234567'\n", dtype(b"O8", b"(I3\nS'|'\nNNNI-1\nI-1\nI63\nt")), "its items do not fill"),
        (array(b"I0\n", b"S''\n", dtype(b"U0")), "holds an array of 'U0'"),
        (array(b"I0\n", b"S''\n", dtype(b"U999999999")), "holds an array of"),
        (array(b"I0\n", b"S''\n", dtype(b"V8")), "holds an array of 'V8'"),
        (array(b"I0\n", b"S''\n", dtype(b"f4,O8")), "holds an array of"),
        (array(b"I1\n", b"S'\\xff\\xff\\xff\\x7f'\n", dtype(b"U1")), "damaged"),  # no such character
        (array(b"I1\n", b"S'\\x02'\n", dtype(b"b1", b"(I3\nS'|'\nNNNI-1\nI-1\nI0\nt")), "damaged"),
        (dtype(b"f4", b"(I3\nS'<'\nNN(dI-1\nI-1\nI0\nt") + b".", "no plain array has"),  # fields
        (dtype(b"U3", b"(I3\nS'<'\nNNNI4000\nI4\nI8\nt") + b".", "damaged"),
        (EMPTY + b"(I1\nI2\ntb.", "no plain array has"),
        (EMPTY + b".", "never finished"),
        (b"(l" + EMPTY + b"a.", "never finished"),
        (b"cnumpy\ndtype\n.", "never finished"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000\ntS'b'\ntR.", "arguments"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.", "arguments"),
        (b"cnumpy.core.multiarray\nscalar\n(" + DTYPE + b"S'01234567'\ntR.", "its bytes do not fill"),
        (b"cnumpy.core.multiarray\nscalar\n(" + dtype(b"O8") + b"I1\ntR.", "arguments"),
        (b"c__builtin__\nbytearray\n(I1000000000000\ntR.", "arguments"),
        (b"c__builtin__\nbytes\n(I1000000000000\ntR.", "arguments"),
        (b"c_codecs\nencode\n(Vx\nS'rot13'\ntR.", "arguments"),
        (b"(lp0\n(dbp1\n.", "no pickle or is damaged"),  # a state for a list
        (b"cnumpy\nndarray\n(dS'__doc__'\nI1\nsb.", "no pickle or is damaged"),  # or for a name
    ],
)
def test_what_numpy_could_be_talked_into(tmp_path: Path, data: bytes, message: str) -> None:
    with bounded(2, 2):
        assert message in refusal(tmp_path, data)


def test_an_array_cannot_be_changed_after_it_was_made(tmp_path: Path) -> None:
    once = array(b"I1\n", b"S'0123'\n").removesuffix(b".")
    refusal(tmp_path, once + b"(I1\n(I0\nt" + DTYPE + b"I00\nS''\ntb.")


WHOLE = pickle.dumps({"split": {"a": ["x", "y"]}, "data": [np.arange(40.0), (1, 2.5)]}, 4)


@pytest.mark.parametrize("protocol", range(6))
def test_cut_off_anywhere(tmp_path: Path, protocol: int) -> None:
    whole = pickle.dumps({"split": {"a": ["x", "y"]}, "data": [np.arange(3.0), (1, 2.5)], "b": b"123"}, protocol)
    for length in range(1 + protocol % 3, len(whole), 3):
        refusal(tmp_path, whole[:length])


def test_cut_off_says_so(tmp_path: Path) -> None:
    assert "ends in the middle of a value" in refusal(tmp_path, WHOLE[:-20])
    assert "is empty" in refusal(tmp_path, b"")


@pytest.mark.parametrize(
    "data",
    [
        b"hello, world\n",
        b"{}",
        b"\x93NUMPY\x01\x00",
        b"PK\x03\x04" + bytes(30),
        bytes(100),
        b"\x80\x09N.",
        b"\xff" * 50,
        b"N",
        b".",
        b"NN.",
        b"(N.",
        b"I1e5\n.",
        b"Fabc\n.",
        b"Sabc\n.",
        b"S'a\\q'\n.",
        b"S'a\\xg0'\n.",
        b"g5\n.",
        b"h\x07.",
        b"0.",
        b"1.",
        b"t.",
        b"R.",
        b"b.",
        b"a.",
        b"e.",
        b"s.",
        b"u.",
        b"(NNNd.",
        b"(lNNs.",
        b"Na.",
        b"p0\n.",
        b"\x80\x04\x94.",
        b"\x87.",
        b"NN\x87.",
        b"U\x05ab.",
        b"T\xff\xff\xff\xffabc.",
        b"\x8b\xff\xff\xff\xff.",
        b"X\x02\x00\x00\x00\xff\xff.",
    ],
)
def test_garbage(tmp_path: Path, data: bytes) -> None:
    refusal(tmp_path, data)


def test_random_damage(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for protocol in (0, 2, 4, 5):
        whole = np.frombuffer(pickle.dumps({"a": [np.arange(4.0), {"b": (1, None)}], "c": "text"}, protocol), np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[rng.integers(0, len(whole), rng.integers(1, 4))] = rng.integers(0, 256)
            path = write(tmp_path, damaged.tobytes())
            try:
                load_pickle(path)
            except ValueError as error:
                assert "\n" not in str(error)


LONG = 2**62


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02Nr\xff\xff\xff\xff.",  # a place in the memo that a table would have to reach
        b"Np99999999999999999999\n.",
        b"\x80\x04\x8e" + struct.pack("<Q", LONG) + b"x.",  # more bytes than there are
        b"\x80\x05\x96" + struct.pack("<Q", LONG) + b"x.",
        b"\x80\x04\x8d" + struct.pack("<Q", LONG) + b"x.",
        b"\x80\x04\x95" + struct.pack("<Q", LONG) + b"N.",
        b"B\xff\xff\xff\x7fabc.",
        b"\x8b\xff\xff\xff\x7fabc.",
        b"L" + b"9" * 20_000 + b"L\n.",  # numbers that take time to read
        b"I" + b"9" * 20_000 + b"\n.",
        b"\x8b" + struct.pack("<i", 20_000) + b"\x7f" * 20_000 + b".",
        b"(" * 20_000,
        b"(" * 20_000 + b"l" * 20_000 + b".",  # deep
        b"]" * 20_000 + b"a" * 19_999 + b".",
        b")" + b"\x85" * 20_000 + b".",
        b")" + b"\x85" * 20_000 + b"p0\n(g0\nI1\nd.",  # whose hash would end the process
        b"]q\x00h\x00a.",  # in itself
        b"}q\x00K\x01h\x00s.",
        b"]q\x00K\x01a"
        + b"".join(b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(31))
        + b".",  # a thousand million references
    ],
)
def test_bombs(tmp_path: Path, data: bytes) -> None:
    with bounded(3, 60):
        try:
            value = load_pickle(write(tmp_path, data))
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            assert value is None


def test_keys_that_would_all_fall_on_one_place(tmp_path: Path) -> None:
    colliding = {number * (2**61 - 1): None for number in range(3)}
    assert load_pickle(write(tmp_path, pickle.dumps(colliding))) == colliding
    assert "as key" in refusal(tmp_path, pickle.dumps({2**64 * (2**61 - 1): None}))
    assert "as key" in refusal(tmp_path, pickle.dumps({(1, 2): None}))
    assert "as key" in refusal(tmp_path, pickle.dumps({(1, 2)}))
    assert "as key" in refusal(tmp_path, pickle.dumps(frozenset({(1, 2)})))


def test_as_deep_as_is_said(tmp_path: Path) -> None:
    value: list[Any] = []
    for _ in range(DEEPEST - 1):
        value = [value]
    assert load_pickle(write(tmp_path, pickle.dumps(value))) == value
    assert "levels deep" in refusal(tmp_path, pickle.dumps([value]))


def test_what_is_shared_in_earnest_is_read(tmp_path: Path) -> None:
    shape = (1080, 1920)
    clips = [{"frame_dir": f"clip{number}", "img_shape": shape, "original_shape": shape} for number in range(500)]
    assert load_pickle(write(tmp_path, pickle.dumps(clips))) == clips


def test_speed(tmp_path: Path) -> None:
    clips = [{"id": f"clip{number}", "keypoint": np.zeros((1, 10, 25, 3), np.float16)} for number in range(2000)]
    path = write(tmp_path, pickle.dumps(clips, 4))
    start = time.process_time()
    load_pickle(path)
    assert time.process_time() - start < 2  # about 0.1


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_pickle(tmp_path / "none.pkl")
