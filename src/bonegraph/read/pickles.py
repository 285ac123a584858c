"""Pickles of strangers, read as data.

Python's own unpickler calls whatever the file names, so that a pickle is a program. The reader here is a machine of its
own for the part of the language (PEP 3154, protocols 0 to 5) that says plain things: None, truth values, numbers, text,
bytes, tuples, lists, dictionaries, sets, and numpy's arrays, scalars and dtypes, whose few names (in the spelling of
every numpy, and of Python 2) mean what is written in `_call` and `_build` below. No name is ever looked up, nothing is
imported, no method of an object is called by the file; whatever else it asks for is refused.

A small file cannot become large: every size that it declares is compared with the bytes that are there, and nesting,
repetition and whole numbers have limits. Arrays are not copied but lie in the file, which is mapped into memory; many
processes that read one file share it.
"""

from __future__ import annotations

import math
import mmap
import os
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

DEEPEST = 32
"""Lists in lists in lists ...: as deep as this."""

_LONGEST_NUMBER = 40  # characters of a number in text
_LONGEST_INT = 16  # bytes
_MAPPED = 1024  # bytes from which on a value stays in the file until it is known what it is for


def load_pickle(path: str | Path) -> object:
    """Read what a pickle says, without doing what it asks for.

    Args:
        path: a pickle of any protocol, of Python 2 (whose text is taken for latin1) or 3.

    Returns:
        Plain containers, numbers, text and bytes, numpy arrays, scalars and dtypes. Arrays are read-only, but for those
        of objects, and lie in the file: do not write to it while they are in use. A bytearray becomes bytes.

    Raises:
        ValueError: the file asks for anything else, is cut off, is no pickle, nests too deeply, or repeats itself to
            become larger than it is. One line that names the file.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError(f"'{path.name}' is empty; fetch it again.")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    machine = PickleMachine(data)
    try:
        value = machine.run()
        return _Plain(8 * machine.steps + 10_000).of(value)
    except Refused as error:
        raise ValueError(f"'{path.name}' {error}") from None
    except DAMAGE:
        raise ValueError(f"'{path.name}' is no pickle or is damaged (at byte {machine.at}); fetch it again.") from None


class Refused(Exception):
    """Why, as the end of a sentence that begins with the file."""


DAMAGE = (ArithmeticError, IndexError, KeyError, MemoryError, RecursionError, TypeError, ValueError)
"""What running a damaged pickle raises besides `Refused`."""


@dataclass(frozen=True)
class Name:
    """A name of the file that means something here."""

    text: str


@dataclass(eq=False)
class _Unfinished:
    """An array or a dtype before its state has come."""

    dtype_code: str | None
    places: list[int] = field(default_factory=list)  # in the memo


_NAMES = {
    ("numpy", "ndarray"): Name("ndarray"),
    ("numpy", "dtype"): Name("dtype"),
    ("numpy._core.multiarray", "_reconstruct"): Name("reconstruct"),
    ("numpy._core.multiarray", "scalar"): Name("scalar"),
    ("numpy._core.numeric", "_frombuffer"): Name("frombuffer"),
    ("_codecs", "encode"): Name("encode"),
    ("builtins", "bytes"): Name("bytes"),
    ("builtins", "bytearray"): Name("bytes"),
    ("builtins", "set"): Name("set"),
    ("builtins", "frozenset"): Name("frozenset"),
    ("collections", "OrderedDict"): Name("OrderedDict"),
}
_DTYPES = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9]\d{0,5}|O[48]?")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))")
_STEPS: dict[int, str] = {}

Method = TypeVar("Method", bound=Callable[..., None])


def _step(*codes: bytes) -> Callable[[Method], Method]:
    """Enter a method under the bytes that ask for it."""

    def enter(method: Method) -> Method:
        for code in codes:
            _STEPS[code[0]] = method.__name__
        return method

    return enter


class PickleMachine:
    """A stack, a memo, and one method for each kind of step.

    Args:
        data: with one pickle or several.
        at: where the pickle begins; afterwards, where it ended.
    """

    STEPS: ClassVar[Mapping[int, str]] = _STEPS
    """Code of a step -> name of its method."""

    def __init__(self, data: mmap.mmap | bytes, at: int = 0) -> None:
        self.data = data
        self.view = memoryview(data)
        self.at = at
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.steps = 0
        self.code = 0

    def run(self) -> object:
        """What the pickle says.

        Raises:
            Refused: it asks for something that is no plain data, or ends too early.
            Exception: one of `DAMAGE`.
        """
        methods: dict[int, Callable[[], None]] = {code: getattr(self, name) for code, name in self.STEPS.items()}
        while True:
            self.code = self.data[self._move(1)]
            self.steps += 1
            if self.code == ord("."):
                break
            step = methods.get(self.code)
            if step is None:
                _refuse_step(self.code, self.at)
            step()
        if self.marked or len(self.stack) != 1:
            raise ValueError("something is left over")
        return self.stack[0]

    # What the steps are made of.

    def _move(self, count: int) -> int:
        """Go on by some bytes. Returns where they begin."""
        start = self.at
        if count < 0 or start + count > len(self.view):
            raise Refused(f"ends in the middle of a value (at byte {start} of {len(self.view)}); fetch it again.")
        self.at += count
        return start

    def _unpack(self, form: str) -> Any:
        start = self._move(struct.calcsize(form))
        return struct.unpack_from(form, self.view, start)[0]

    def _take(self, form: str) -> memoryview:
        """The bytes that follow their number."""
        start = self._move(self._unpack(form))
        return self.view[start : self.at]

    def _line(self, longest: int | None = None) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Refused(f"ends in the middle of a line (at byte {self.at}); fetch it again.")
        if longest is not None and end - self.at > longest:
            raise ValueError("a line is too long")
        start = self._move(end + 1 - self.at)
        return bytes(self.view[start:end])

    def _pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marked.pop()
        return items

    def _remember(self, place: int) -> None:
        value = self.stack[-1]
        self.memo[place] = value
        if type(value) is _Unfinished:
            value.places.append(place)

    def _last(self, kind: type) -> Any:
        """The top of the stack, which must be of a kind."""
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"a {kind.__name__} is due")
        return self.stack[-1]

    # Constants, numbers, text and bytes.

    @_step(b"\x80")
    def _protocol(self) -> None:
        if (protocol := self._unpack("B")) > 5:
            raise Refused(f"says that it is a pickle of protocol {protocol}, which does not exist; fetch it again.")

    @_step(b"\x95")
    def _frame(self) -> None:
        self._unpack("<Q")

    @_step(b"N", b"\x88", b"\x89", b")")
    def _constant(self) -> None:
        self.stack.append({ord("N"): None, 0x88: True, 0x89: False, ord(")"): ()}[self.code])

    @_step(b"K", b"M", b"J", b"G")
    def _binary_number(self) -> None:
        self.stack.append(self._unpack({ord("K"): "B", ord("M"): "<H", ord("J"): "<i", ord("G"): ">d"}[self.code]))

    @_step(b"\x8a", b"\x8b")
    def _long(self) -> None:
        data = self._take("B" if self.code == 0x8A else "<i")
        if len(data) > _LONGEST_INT:
            raise Refused(f"holds a whole number of {len(data)} bytes; that is no plain data.")
        self.stack.append(int.from_bytes(data, "little", signed=True))

    @_step(b"I", b"L", b"F")
    def _number_in_text(self) -> None:
        text = self._line(_LONGEST_NUMBER)
        if self.code == ord("F"):
            self.stack.append(float(text))
        elif text in (b"00", b"01"):
            self.stack.append(text == b"01")
        else:
            self.stack.append(int(text.removesuffix(b"L")))

    @_step(b"S")
    def _quoted(self) -> None:
        text = self._line().strip()
        if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
            raise ValueError("quotes are missing")
        self.stack.append(str(_ESCAPE.sub(_unescape, text[1:-1]), "latin1"))

    @_step(b"V")
    def _unicode_line(self) -> None:
        self.stack.append(str(self._line(), "raw-unicode-escape"))

    @_step(b"T", b"U")
    def _text_of_python_2(self) -> None:
        self.stack.append(str(self._take("<i" if self.code == ord("T") else "B"), "latin1"))

    @_step(b"X", b"\x8c", b"\x8d")
    def _text(self) -> None:
        form = {ord("X"): "<I", 0x8C: "B", 0x8D: "<Q"}[self.code]
        self.stack.append(str(self._take(form), "utf-8", "surrogatepass"))

    @_step(b"B", b"C", b"\x8e", b"\x96")
    def _bytes(self) -> None:
        data = self._take({ord("B"): "<I", ord("C"): "B", 0x8E: "<Q", 0x96: "<Q"}[self.code])
        self.stack.append(data if len(data) >= _MAPPED else bytes(data))

    # Containers.

    @_step(b"(")
    def _mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    @_step(b"0")
    def _pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._pop_mark()

    @_step(b"1")
    def _pop_to_mark(self) -> None:
        self._pop_mark()

    @_step(b"]", b"}", b"\x8f")
    def _empty(self) -> None:
        self.stack.append([] if self.code == ord("]") else {} if self.code == ord("}") else set())

    @_step(b"t", b"l", b"d", b"\x91")
    def _from_mark(self) -> None:
        items = self._pop_mark()
        if self.code == ord("t"):
            self.stack.append(tuple(items))
        elif self.code == ord("l"):
            self.stack.append(items)
        elif self.code == 0x91:
            self.stack.append(frozenset(map(_key, items)))
        else:
            self.stack.append({})
            self._enter(items)

    @_step(b"\x85", b"\x86", b"\x87")
    def _short_tuple(self) -> None:
        count = self.code - 0x84
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    @_step(b"a")
    def _append(self) -> None:
        item = self.stack.pop()
        self._last(list).append(item)

    @_step(b"e")
    def _appends(self) -> None:
        items = self._pop_mark()
        self._last(list).extend(items)

    @_step(b"s")
    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._enter([key, value])

    @_step(b"u")
    def _set_items(self) -> None:
        self._enter(self._pop_mark())

    def _enter(self, items: list[Any]) -> None:
        """Key, value, key, value, ... into the dictionary on top."""
        _fill(self.stack[-1], items)

    @_step(b"\x90")
    def _add_items(self) -> None:
        items = self._pop_mark()
        self._last(set).update(map(_key, items))

    # What was there before.

    @_step(b"p", b"q", b"r", b"\x94")
    def _put(self) -> None:
        self._remember(len(self.memo) if self.code == 0x94 else self._place())

    @_step(b"g", b"h", b"j")
    def _get(self) -> None:
        self.stack.append(self.memo[self._place()])

    def _place(self) -> int:
        if self.code in b"pg":
            return int(self._line(_LONGEST_NUMBER))
        return int(self._unpack("B" if self.code in b"qh" else "<I"))

    # Names, and what is done with them.

    @_step(b"c")
    def _name_in_lines(self) -> None:
        self._name(str(self._line(), "utf-8"), str(self._line(), "utf-8"))

    @_step(b"\x93")
    def _name_from_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._name(module, name)

    def _name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name must be text")
        now = re.sub(r"^numpy\.core\b", "numpy._core", module).replace("__builtin__", "builtins")
        if (now, name) not in _NAMES:
            raise Refused(
                f"asks for {shown(f'{module}.{name}')}, which is not plain data (numbers, text, lists, numpy arrays); "
                "it is refused, since a pickle could run any program. Save the data as plain arrays."
            )
        self.stack.append(_NAMES[now, name])

    @_step(b"R")
    def _reduce(self) -> None:
        arguments = self.stack.pop()
        name = self._last(Name)
        if type(arguments) is not tuple:
            raise ValueError("arguments must be a tuple")
        self.stack[-1] = _call(name.text, arguments)

    @_step(b"b")
    def _set_state(self) -> None:
        state = self.stack.pop()
        unfinished: _Unfinished = self._last(_Unfinished)
        self.stack[-1] = _build(unfinished, state)
        for place in unfinished.places:
            self.memo[place] = self.stack[-1]


def _unescape(found: re.Match[bytes]) -> bytes:
    """What Python 2 writes for a byte that is no printable character."""
    if found[1] is not None:
        return bytes.fromhex(found[1].decode())
    return {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'", b'"': b'"'}[found[2]]


def _call(name: str, arguments: tuple[Any, ...]) -> object:
    match name, arguments:
        case "reconstruct", (Name("ndarray"), (0,), b"b" | "b"):
            return _Unfinished(None)
        case "dtype", (str(code), *_):
            if not _DTYPES.fullmatch(code):
                raise Refused(f"holds an array of {shown(code)}; only numbers, text and plain objects are read.")
            return _Unfinished(code)
        case "scalar", (np.dtype() as dtype, raw) if not dtype.hasobject:
            return _array(raw, dtype, ())[()]
        case "frombuffer", (raw, np.dtype() as dtype, tuple(shape), "C" | "F" as order) if not dtype.hasobject:
            return _array(raw, dtype, shape, order)
        case "frombuffer", (raw, np.dtype() as dtype, tuple(shape), "K", tuple(axes)) if not dtype.hasobject:
            return _array(raw, dtype, shape).transpose(axes)
        case "encode", (str(text), "latin1" | "latin-1"):
            return text.encode("latin1")
        case "bytes", ():
            return b""
        case "bytes", (bytes() | memoryview() as data,):
            return data
        case "bytes", (str(text), "latin1" | "latin-1"):
            return text.encode("latin1")
        case "set" | "frozenset", ():
            return set() if name == "set" else frozenset()
        case "set" | "frozenset", (list(items),):
            return (set if name == "set" else frozenset)(map(_key, items))
        case "OrderedDict", ():
            return OrderedDict()
        case "OrderedDict", (list(pairs),) if all(type(pair) in (list, tuple) and len(pair) == 2 for pair in pairs):
            return _fill(OrderedDict(), [item for pair in pairs for item in pair])
    raise Refused(f"asks for '{name}' with arguments that no plain data needs; it is refused.")


def _build(unfinished: _Unfinished, state: Any) -> object:
    match unfinished.dtype_code, state:
        case str(code), (int(), "<" | ">" | "|" | "=" as order, None, None, None, int(size), *_):
            dtype = np.dtype("O" if code[0] == "O" else code).newbyteorder(order)
            if size not in (-1, dtype.itemsize):
                raise ValueError("the size of a dtype is wrong")
            return dtype
        case None, (int(), tuple(shape), np.dtype() as dtype, fortran, raw):
            if dtype.hasobject:
                return _objects(raw, shape)
            return _array(raw, dtype, shape, "F" if fortran else "C")
    raise Refused("gives an array a state that no plain array has; it is refused.")


def _array(raw: Any, dtype: np.dtype[Any], shape: tuple[Any, ...], order: Any = "C") -> NDArray[Any]:
    """An array that lies on the bytes, whose number must be right."""
    count = _size(shape)
    if type(raw) is str:  # the bytes of Python 2
        raw = raw.encode("latin1")
    if type(raw) not in (bytes, memoryview) or len(raw) != count * dtype.itemsize:
        raise Refused(f"declares an array of shape {shown(str(shape))} that its bytes do not fill; fetch it again.")
    if not count:
        return np.empty(shape, dtype)
    flat = np.frombuffer(raw, dtype)
    if dtype.kind == "b" and flat.view(np.uint8).max() > 1:
        raise ValueError("a truth value is neither 0 nor 1")
    if dtype.kind == "U" and flat.view(np.dtype(np.uint32).newbyteorder(dtype.byteorder)).max() > 0x10FFFF:
        raise ValueError("a character does not exist")
    return flat.reshape(shape, order=order)


def _objects(items: Any, shape: tuple[Any, ...]) -> NDArray[Any]:
    count = _size(shape)
    if type(items) is not list or len(items) != count:
        raise Refused(f"declares an array of shape {shown(str(shape))} that its items do not fill; fetch it again.")
    return np.fromiter(items, dtype=object, count=count).reshape(shape)


def _size(shape: tuple[Any, ...]) -> int:
    if any(type(length) is not int or length < 0 for length in shape):
        raise Refused(f"declares an array of shape {shown(str(shape))}, which does not exist; fetch it again.")
    return math.prod(shape)


def _fill(target: Any, items: list[Any]) -> Any:
    """Key, value, key, value, ... into a dictionary."""
    if type(target) not in (dict, OrderedDict) or len(items) % 2:
        raise ValueError("a dictionary and pairs are due")
    for number in range(0, len(items), 2):
        target[_key(items[number])] = items[number + 1]
    return target


def _key(value: Any) -> Any:
    """A key or a member of a set. Only what cannot be chosen so that all keys fall on one place of the table."""
    plain = value is None or isinstance(value, str | bytes | float | np.generic)
    if not plain and not (isinstance(value, int) and -(2**63) <= value < 2**64):
        raise Refused(f"has a {type(value).__name__} as key, but keys are text, bytes and numbers; it is refused.")
    return value


class _Plain:
    """Goes once through the result: nothing is left unfinished, too deep, or there a million times by one reference.

    Args:
        most: values that there may be.
    """

    def __init__(self, most: int) -> None:
        self.left = most

    def of(self, value: Any, depth: int = 0) -> Any:
        """The value, with bytes in the place of what was still in the file."""
        self.left -= 1
        if self.left < 0:
            raise Refused("repeats itself so often that it becomes far larger than the file; it is refused.")
        kind = type(value)
        if value is None or kind in (bool, int, float, str, bytes, set, frozenset):
            return value
        if kind is memoryview:
            return bytes(value)
        if depth == DEEPEST:
            raise Refused(f"nests more than {DEEPEST} levels deep; it is refused.")
        if kind is tuple:
            return tuple(self.of(item, depth + 1) for item in value)
        if kind is list:
            for number, item in enumerate(value):
                value[number] = self.of(item, depth + 1)
        elif kind in (dict, OrderedDict):
            for key, item in value.items():
                value[key] = self.of(item, depth + 1)
        elif kind is np.ndarray and value.dtype.hasobject:
            flat = value.reshape(-1)
            for number, item in enumerate(flat):
                flat[number] = self.of(item, depth + 1)
        elif not isinstance(value, np.ndarray | np.generic | np.dtype):
            raise Refused("holds a name or an array that is never finished; it is refused.")
        return value


def _refuse_step(code: int, at: int) -> NoReturn:
    if chr(code) in "PQio\x81\x92\x82\x83\x84\x97\x98":
        raise Refused(
            f"asks for an object of its own making (step 0x{code:02x} at byte {at - 1}), which is not plain data; "
            "it is refused, since a pickle could run any program. Save the data as plain arrays."
        )
    raise ValueError("no such step")


def shown(text: str) -> str:
    """Text of a stranger in a message: one line, not too long."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")
