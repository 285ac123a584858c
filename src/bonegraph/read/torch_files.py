"""Files of torch, read as data: the zip format (since torch 1.6) and the one before it.

Both are a pickle that says which tensors there are, with their numbers beside it. Python's unpickler, and torch's own
restricted one on top of it, import and call what the pickle names (which went wrong more than once). Here the pickle is
read by `bonegraph.read.pickles.PickleMachine`, and a handful of names of torch mean something: the types of storages
and the few functions that make a tensor out of one. Whatever else a file brings along (settings, optimizers,
histories, objects of mmcv or Lightning) becomes a `Foreign`: a name, about which nothing more is known. Nothing is
imported or called. A file that names what only a program needs (``os.system``, ``builtins.eval``) is refused as a
whole.

Sizes are held against the bytes that are there before anything is made, and no tensor has more numbers than its
storage.

==========  ============================================================================================================
zip         ``NAME/data.pkl`` and ``NAME/data/KEY``, a file of raw numbers for each storage
before 1.6  five pickles (a magic number, a version, sizes of types, the content, keys of storages), then for each
            storage the number of its elements and the elements
==========  ============================================================================================================
"""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any, ClassVar

import torch
from torch import Tensor

from bonegraph.read.pickles import DAMAGE, Name, PickleMachine, Refused, shown

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of the old format."""

DAMAGED_ZIP = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error),
    *(OverflowError, KeyError, ValueError),
)
"""What reading a damaged archive raises."""

_LARGEST_PICKLE = 64 << 20
_DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
}
_NAMES = {
    **{(module, f"{kind}Storage"): Name(f"storage {kind}") for module in ("torch", "torch.cuda") for kind in _DTYPES},
    ("torch._utils", "_rebuild_tensor"): Name("tensor"),
    ("torch._utils", "_rebuild_tensor_v2"): Name("tensor"),
    ("torch._utils", "_rebuild_parameter"): Name("parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"): Name("parameter"),
    ("torch._tensor", "_rebuild_from_type_v2"): Name("typed"),
    ("torch", "Size"): Name("size"),
}
# What runs programs, reaches the system or reads other pickles. No weights need it; to name it is to try something.
_PROGRAMS = (
    *("_io", "asyncio", "bdb", "code", "codeop", "commands", "ctypes", "distutils", "ftplib", "http"),
    *("importlib", "io", "marshal", "multiprocessing", "nt", "numexpr", "os", "pdb", "pickle", "_pickle"),
    *("pip", "pkgutil", "popen2", "posix", "profile", "cProfile", "pty", "pydoc", "requests", "runpy"),
    *("shelve", "shutil", "site", "smtplib", "socket", "sqlite3", "subprocess", "sys", "telnetlib", "timeit"),
    *("torch.hub", "torch.jit", "torch.package", "torch.serialization", "torch.utils.cpp_extension"),
    *("torch.utils.model_zoo", "urllib", "venv", "webbrowser", "xmlrpc", "zipimport", "torch.load"),
    *("numpy.load", "types.FunctionType", "types.CodeType", "operator.attrgetter", "operator.methodcaller"),
)
_BUILT_IN = (
    *("eval", "exec", "execfile", "compile", "open", "file", "apply", "input", "raw_input", "breakpoint"),
    *("globals", "locals", "vars", "setattr", "delattr", "__import__", "reload"),
)
_PROGRAM_NAMES = frozenset({*_PROGRAMS, *(f"builtins.{name}" for name in _BUILT_IN)})


@dataclass(frozen=True, eq=False)
class Foreign:
    """A name of the file that means nothing here, or what the file would make with it. It does nothing.

    Attributes:
        name: as the file has it.
    """

    name: str


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers in a row, somewhere in the file.

    Attributes:
        key: which.
        dtype: of the numbers.
        start: where it begins in what the key stands for.
        count: how many numbers there are.
    """

    key: str
    dtype: torch.dtype
    start: int
    count: int


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that is not read yet; all of it lies inside its storage.

    Attributes:
        storage: its numbers.
        offset: of its first number in the storage.
        shape: of the tensor.
        strides: of the tensor, in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TorchPickle(PickleMachine):
    """The machine for plain pickles, which also knows tensors and passes over what is neither."""

    STEPS: ClassVar[Mapping[int, str]] = {
        **PickleMachine.STEPS,
        ord("Q"): "_persistent",
        0x81: "_new",
        0x92: "_new_with_names",
        ord("o"): "_object",
        ord("i"): "_instance",
    }

    def __init__(self, data: mmap.mmap | bytes, at: int = 0) -> None:
        super().__init__(data, at)
        self.storages: dict[str, Storage] = {}

    # Names.

    def _name(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a name must be text")
        module = module.replace("__builtin__", "builtins")
        if (module, name) in _NAMES:
            self.stack.append(_NAMES[module, name])
            return
        parts = f"{module}.{name}".split(".")
        if any(".".join(parts[:length]) in _PROGRAM_NAMES for length in (1, 2, 3)):
            raise Refused(
                f"asks for {shown(f'{module}.{name}')}, which no weights need; it may be an attack, and nothing of it "
                "is used. Get it from another source."
            )
        try:
            super()._name(module, name)
        except Refused:
            self.stack.append(Foreign(f"{module}.{name}"))

    def _instance(self) -> None:
        items = self._pop_mark()
        self._name(str(self._line(), "utf-8"), str(self._line(), "utf-8"))
        self.stack[-1] = _made_of(self.stack[-1], items)

    def _object(self) -> None:
        items = self._pop_mark()
        self.stack.append(_made_of(items[0], items[1:]))

    def _new(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _made_of(self.stack[-1], arguments)

    def _new_with_names(self) -> None:
        self.stack.pop()
        self._new()

    # What is done with them.

    def _reduce(self) -> None:
        function, arguments = self.stack[-2:]
        if type(function) is Name and type(arguments) is tuple:
            made = self._tensor(function.text, arguments)
            if made is None:
                try:
                    super()._reduce()
                except Refused:  # a set of objects, an array of records, ...: no weights
                    self.stack[-1] = Foreign(function.text)
                return
        elif type(function) is Foreign:
            made = Foreign(function.name)
        else:
            raise ValueError("only names are called")
        self.stack[-2:] = [made]

    def _tensor(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """What a function of torch gives, None for other functions."""
        match name, arguments:
            case "tensor", (Storage() as storage, int(offset), tuple(shape), tuple(strides), *_):
                return _view(storage, offset, shape, strides)
            case "parameter", (StoredTensor() as tensor, *_):
                return tensor
            case "typed", (Name() as function, _, tuple(given), *_):
                return self._tensor(function.text, given)
            case "size", (tuple() | list() as lengths,):
                return tuple(lengths)
            case ("tensor" | "parameter" | "typed" | "size", _):
                return Foreign(name)  # of a kind that no weights are
        return None

    def _set_state(self) -> None:
        if type(self.stack[-2]) in (Foreign, OrderedDict, StoredTensor, dict):
            self.stack.pop()  # attributes of an object, such as the metadata of a state dict
            return
        try:
            super()._set_state()
        except Refused:
            self.stack[-1] = Foreign("numpy")

    def _persistent(self) -> None:
        match self.stack.pop():
            case ("storage", Name(text), str(key), _, int(count), *view) if text.startswith("storage "):
                self.stack.append(self._storage(key, _DTYPES[text.removeprefix("storage ")], count, view))
            case ("storage", Foreign(name), *_):
                self.stack.append(Foreign(name))  # a storage without a type, or of one that no weights have
            case ("module", Foreign() as module, *_):
                self.stack.append(module)
            case _:
                raise Refused("refers to something outside that is no storage of numbers; it is refused.")

    def _storage(self, key: str, dtype: torch.dtype, count: int, view: list[Any]) -> Storage:
        if type(count) is not int or count < 0:
            raise Refused(f"declares a storage of {shown(str(count))} numbers; fetch it again.")
        whole = self.storages.setdefault(key, Storage(key, dtype, 0, count))
        if (whole.dtype, whole.count) != (dtype, count):
            raise Refused("declares a storage twice, differently; fetch it again.")
        match view:
            case [(str(), int(start), int(length))]:
                if not 0 <= start <= start + length <= count:
                    raise Refused("declares a part of a storage that is not in it; fetch it again.")
                return replace(whole, start=start, count=length)
        return whole

    # Containers that take items; a foreign one forgets them.

    def _enter(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is Foreign:
            return
        if type(target) not in (dict, OrderedDict):
            raise ValueError("a dictionary is due")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key if _is_key(key) else Foreign("key")] = value

    def _append(self) -> None:
        if type(self.stack[-2]) is Foreign:
            self.stack.pop()
        else:
            super()._append()

    def _appends(self) -> None:
        if type(self.marked[-1][-1]) is Foreign:
            self._pop_mark()
        else:
            super()._appends()

    def _add_items(self) -> None:
        if type(self.marked[-1][-1]) is Foreign:
            self._pop_mark()
        else:
            super()._add_items()


def _made_of(kind: Any, arguments: Any) -> Any:
    """An object of a class of the file."""
    if kind == Name("OrderedDict") and not arguments:
        return OrderedDict()
    if type(kind) not in (Foreign, Name):
        raise ValueError("only names make objects")
    return Foreign(kind.name if type(kind) is Foreign else kind.text)


def _is_key(key: Any) -> bool:
    """Nothing that could be chosen so that all keys fall on one place of the table."""
    return isinstance(key, str | bytes | float) or (isinstance(key, int) and -(2**63) <= key < 2**64)


def _view(storage: Storage, offset: int, shape: tuple[Any, ...], strides: tuple[Any, ...]) -> StoredTensor:
    if len(shape) != len(strides) or len(shape) > 8 or any(type(n) is not int or n < 0 for n in (*shape, *strides)):
        raise Refused(f"declares a tensor of shape {shown(str(shape))}, which does not exist; fetch it again.")
    count = math.prod(shape)
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)) if count else 0
    if offset < 0 or count > storage.count or (count and last >= storage.count):
        raise Refused(
            f"declares a tensor of shape {shown(str(shape))}, but its storage has {storage.count} numbers; fetch it "
            "again."
        )
    return StoredTensor(storage, offset, shape, strides)


class TorchFile:
    """A file of torch while it is open.

    Args:
        stream: the file.
        data: the same file as bytes.
        name: of the file, for messages.

    Attributes:
        content: what was saved, with every tensor as a `StoredTensor`.

    Raises:
        ValueError: it is no such file, is damaged, or asks for what only a program needs. One line.
    """

    content: object

    def __init__(self, stream: IO[bytes], data: mmap.mmap | bytes, name: str) -> None:
        self._data, self._name = data, name
        self._read: dict[str, Tensor] = {}
        self._places: dict[str, int] = {}
        self._storages: dict[str, Storage] = {}
        self._archive: zipfile.ZipFile | None = None
        self._left = len(data)
        try:
            if data[:4] == b"PK\x03\x04":
                self._archive = zipfile.ZipFile(stream)
                self._root, pickle = self._pickle(self._archive)
                machine = TorchPickle(pickle)
                self.content = machine.run()
                self._storages = machine.storages
            else:
                self.content = self._old_format()
        except Refused as error:
            raise ValueError(f"'{name}' {error}") from None
        except (*DAMAGED_ZIP, *DAMAGE):
            raise ValueError(f"'{name}' is no file of weights or is damaged; fetch it again.") from None

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Read a tensor.

        Raises:
            ValueError: its numbers are not in the file.
        """
        storage = stored.storage
        try:
            if storage.key not in self._read:
                self._read[storage.key] = self._numbers(storage)
        except DAMAGED_ZIP:
            raise ValueError(
                f"'{self._name}' is damaged: numbers of its tensors are missing; fetch it again."
            ) from None
        numbers = self._read[storage.key]
        return numbers.as_strided(stored.shape, stored.strides, storage.start + stored.offset)

    def _pickle(self, archive: zipfile.ZipFile) -> tuple[str, bytes]:
        """The folder of the archive and its pickle."""
        root, entry = torch_entry(archive)
        if f"{root}/constants.pkl" in archive.namelist():
            raise Refused("is a TorchScript program, not weights; save the state_dict of its module.")
        if f"{root}/byteorder" in archive.namelist() and self._member(f"{root}/byteorder", 16) == b"big":
            raise Refused("was saved on a big-endian machine; load and save it there with safetensors.")
        return root, self._member(entry, min(_LARGEST_PICKLE, 100 * len(self._data)))

    def _member(self, name: str, most: int) -> bytes:
        assert self._archive is not None
        info = self._archive.getinfo(name)
        if info.file_size > most:
            raise Refused(f"holds a part of {info.file_size} bytes, which is too much for what it is; it is refused.")
        return self._archive.read(info)

    def _numbers(self, storage: Storage) -> Tensor:
        """All numbers under a key. No byte of the file is read into memory twice, whatever it says."""
        whole = self._storages[storage.key]
        size = whole.dtype.itemsize * whole.count
        self._left -= size
        if self._left < 0:
            raise ValueError("more numbers than bytes")
        if self._archive is None:
            start = self._places[storage.key]
            raw = bytearray(memoryview(self._data)[start : start + size])
        else:
            info = self._archive.getinfo(f"{self._root}/data/{storage.key}")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size < size:
                raise ValueError("not as torch writes it")
            raw = bytearray(self._archive.read(info))[:size]
        if len(raw) != size:
            raise ValueError("too short")
        if not size:
            return torch.empty(0, dtype=whole.dtype)
        numbers = torch.frombuffer(raw, dtype=torch.uint8)
        if whole.dtype == torch.bool and int(numbers.max()) > 1:
            raise ValueError("a truth value is neither 0 nor 1")
        return numbers.view(whole.dtype)

    def _old_format(self) -> object:
        first = TorchPickle(self._data)
        value = first.run()
        if value != MAGIC:
            return value  # a pickle of something else, arrays of numpy perhaps
        version = TorchPickle(self._data, first.at)
        system = TorchPickle(self._data, self._at(version))
        about = system.run()
        if isinstance(about, dict) and about.get("little_endian") is False:
            raise Refused("was saved on a big-endian machine; load and save it there with safetensors.")
        content = TorchPickle(self._data, system.at)
        value = content.run()
        listed = TorchPickle(self._data, content.at)
        keys = listed.run()
        if not isinstance(keys, list) or set(keys) != set(content.storages):
            raise ValueError("the storages are not those of the tensors")
        self._storages = content.storages
        at = listed.at
        for key in keys:
            storage = content.storages[key]
            (count,) = struct.unpack_from("<q", self._data, at)
            self._places[key] = at + 8
            at += 8 + count * storage.dtype.itemsize
            if count != storage.count or at > len(self._data):
                raise Refused("ends before the numbers of its tensors; fetch it again.")
        return value

    @staticmethod
    def _at(machine: TorchPickle) -> int:
        if machine.run() != 1001:
            raise Refused("was written by a version of torch that is not known; load and save it there again.")
        return machine.at


def torch_entry(archive: zipfile.ZipFile) -> tuple[str, str]:
    """The folder of an archive of torch, and the name of its pickle.

    Raises:
        ValueError: it is no archive of torch.
    """
    found = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(found) != 1:
        raise ValueError("no archive of torch")
    return found[0].removesuffix("/data.pkl"), found[0]
