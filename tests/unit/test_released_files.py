"""Files of public weights are data: every container reads to the same numbers, and nothing in them is ever run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bonegraph.models.released.files import read_weights
from bonegraph.read.torch_files import MAGIC


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def state() -> dict[str, Tensor]:
    """Of every kind that networks have."""
    shared = numbers(6, 4, seed=1)
    return OrderedDict(
        {
            "A": numbers(3, 5, 5),
            "conv.weight": numbers(4, 3, 1, 1).half(),
            "turned": numbers(4, 6).T,
            "every_second": numbers(10)[1::2],
            "part": shared[2:4],
            "whole": shared,
            "bn.num_batches_tracked": torch.tensor(12),
            "alpha": torch.tensor(0.5),
            "flags": torch.tensor([True, False]),
            "double": numbers(3).double(),
            "brain": numbers(3).bfloat16(),
            "bytes": torch.arange(5, dtype=torch.uint8),
            "parameter": torch.nn.Parameter(numbers(2, 2)),
        }
    )


def as_zip(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def as_legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def in_archive(*names: str, content: bytes | None = None, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for number, name in enumerate(names):
            archive.writestr(name, as_zip({"w": torch.full((2,), float(number))}) if content is None else content)
    return buffer.getvalue()


def read(content: bytes, folder: Path, member: str = "", name: str = "weights.pt") -> dict[str, Tensor]:
    path = folder / name
    path.write_bytes(content)
    return read_weights(path, member).weights


def same(given: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(given) == list(expected)
    for name, value in expected.items():
        assert given[name].dtype == value.dtype, name
        assert torch.equal(given[name], value.detach()), name


def refused(content: bytes, folder: Path, message: str, member: str = "") -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(content, folder, member)
    assert type(caught.value) is ValueError
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000
    assert "weights.pt" in str(caught.value)


both = pytest.mark.parametrize("save", [as_zip, as_legacy])


# --- containers -------------------------------------------------------------------------------------------------------


@both
def test_every_kind_of_tensor(save: Callable[[Any], bytes], tmp_path: Path) -> None:
    same(read(save(state()), tmp_path), state())


@both
def test_torch_reads_the_same(save: Callable[[Any], bytes], tmp_path: Path) -> None:
    given = read(save(state()), tmp_path)
    same(given, torch.load(tmp_path / "weights.pt", weights_only=True))


def test_safetensors(tmp_path: Path) -> None:
    expected = {name: value.detach().clone().contiguous() for name, value in state().items()}
    save_file(expected, tmp_path / "weights.safetensors")
    found = read_weights(tmp_path / "weights.safetensors").weights
    same(dict(sorted(found.items())), dict(sorted(expected.items())))
    packed = in_archive("a/b.safetensors", content=(tmp_path / "weights.safetensors").read_bytes())
    same(dict(sorted(read(packed, tmp_path).items())), dict(sorted(expected.items())))


def test_a_pickle_of_numpy_arrays(tmp_path: Path) -> None:
    arrays = {"w": np.arange(6, dtype=">f4").reshape(2, 3), "n": np.array(3)}
    found = read(pickle.dumps(arrays), tmp_path)
    assert found["w"].tolist() == arrays["w"].tolist() and found["n"].item() == 3


def test_parts_of_a_storage_in_the_old_format(tmp_path: Path) -> None:
    """The persistent ids of torch 0.x name views of a storage; 4 numbers, of which 1 and 2 are the tensor."""
    tensor = build_tensor(count=4, offset=0, shape=(2,), strides=(1,), view=b"(U\x01vK\x01K\x02t")
    assert read(legacy(tensor, [("0", 4)]), tmp_path)["w"].tolist() == [1, 2]


@both
def test_later_writes_do_not_reach_the_file(save: Callable[[Any], bytes], tmp_path: Path) -> None:
    content = save(state())
    read(content, tmp_path)["A"].zero_()
    assert (tmp_path / "weights.pt").read_bytes() == content


# --- what is around the weights ---------------------------------------------------------------------------------------


@pytest.fixture
def foreign() -> Iterator[types.ModuleType]:
    """A module that is there while a file is written, and gone when it is read."""
    name = "mmengine_of_a_test"
    module = types.ModuleType(name)

    class HistoryBuffer:
        """Holds arrays, and functions by name, as mmengine's does."""

        def __init__(self) -> None:
            self.log, self.how = np.arange(3.0), {"mean": np.mean, "own": HistoryBuffer.last, "size": torch.Size([2])}

        def last(self) -> None:
            """Is pickled as getattr(HistoryBuffer, 'last')."""

    class Config(dict):  # type: ignore[type-arg]
        """A dictionary of another kind."""

    class Items(list):  # type: ignore[type-arg]
        """A list of another kind."""

    for kind in (HistoryBuffer, Config, Items):
        kind.__module__, kind.__qualname__ = name, kind.__name__
        setattr(module, kind.__name__, kind)
    HistoryBuffer.last.__module__, HistoryBuffer.last.__qualname__ = name, "HistoryBuffer.last"
    sys.modules[name] = module
    yield module
    sys.modules.pop(name, None)


@both
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_what_mmcv_and_mmengine_put_around(
    save: Callable[[Any], bytes], wrapper: str, foreign: types.ModuleType, tmp_path: Path
) -> None:
    content = {
        "meta": {
            "epoch": np.int64(80),
            "lr": np.float32(0.1),
            "time": "today",
            "config": foreign.Config(a=1, b=foreign.Config()),
            "items": foreign.Items([1, [2]]),
            "path": Path("work_dirs"),
            "namespace": types.SimpleNamespace(a=1),
            "odd key": {(1, 2): 3, None: 4},
            "device": torch.device("cpu"),
            "dtype": torch.float32,
            "records": np.zeros(2, [("a", "f4")]),
        },
        wrapper: state(),
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "message_hub": {"log_scalars": OrderedDict(loss=foreign.HistoryBuffer()), "set": {1, "a"}},
    }
    path = tmp_path / "weights.pt"
    path.write_bytes(save(content))
    del sys.modules[foreign.__name__]
    file = read_weights(path)
    same(file.weights, state())
    assert file.odd == ()
    assert file.notes == (f"taken from '{wrapper}'; left aside: 'meta', 'optimizer', 'message_hub'",)
    assert foreign.__name__ not in sys.modules


@both
@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "module.model.", "model._orig_mod.", "backbone.", "module.backbone."]
)
def test_prefixes_go(save: Callable[[Any], bytes], prefix: str, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(save({prefix + name: value for name, value in state().items()}))
    file = read_weights(tmp_path / "weights.pt")
    same(file.weights, state())
    assert all(part in file.notes[0] for part in prefix.replace(".", ". ").split())


def test_the_backbone_stays_beside_a_head(tmp_path: Path) -> None:
    given = {"backbone.w": numbers(1), "cls_head.w": numbers(1)}
    same(read(as_zip({"state_dict": {"module." + name: value for name, value in given.items()}}), tmp_path), given)


def test_names_that_become_one_are_refused(tmp_path: Path) -> None:
    refused(as_zip({"a": numbers(1), "module.a": numbers(1)}), tmp_path, "two names mean 'a', the second is 'module.a'")


def test_what_is_no_weight_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(as_zip({"a": numbers(1), "_extra_state": {"x": 1}, "b": None, "empty": torch.empty(0, 7)}))
    assert read_weights(path).odd == ("_extra_state", "b", "empty")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "holds no weights by name .but 'epoch'.; save a state_dict"),
        ({}, "holds no weights by name; save"),
        ([numbers(1)], "holds no weights by name"),
        (numbers(1), "holds no weights by name"),
        ({0: numbers(1)}, "weights that have no name"),
        (
            torch.nn.Linear(1, 1),
            "holds an object of 'torch.nn.modules.linear.Linear', not weights; save its state_dict",
        ),
    ],
)
@both
def test_no_weights(save: Callable[[Any], bytes], content: Any, message: str, tmp_path: Path) -> None:
    refused(save(content), tmp_path, message)


# --- archives of several ----------------------------------------------------------------------------------------------


def test_one_of_an_archive(tmp_path: Path) -> None:
    archive = in_archive("models/ntu60-joint.pt", "models/ntu60-bone.pt", "README.md", "__MACOSX/._ntu60-bone.pt")
    for member in ("models/ntu60-bone.pt", "ntu60-bone.pt", "ntu60-bone"):
        assert read(archive, tmp_path, member)["w"].tolist() == [1, 1]
    listed = "'models/ntu60-joint.pt', 'models/ntu60-bone.pt'"
    refused(archive, tmp_path, f"holds 2 files of weights; choose one with --member: {listed}")
    refused(archive, tmp_path, f"has no one file 'ntu120'; choose one of: {listed}", member="ntu120")
    both_called = in_archive("a/w.pt", "b/w.pt")
    refused(both_called, tmp_path, "has no one file 'w.pt'", member="w.pt")
    assert read(both_called, tmp_path, "b/w.pt")["w"].tolist() == [1, 1]


def test_the_only_one_of_an_archive(tmp_path: Path) -> None:
    assert read(in_archive("best.pth", compression=zipfile.ZIP_STORED), tmp_path)["w"].tolist() == [0, 0]
    refused(in_archive("README.md"), tmp_path, "holds no file of weights")
    refused(as_zip({"w": numbers(1)}), tmp_path, "is no archive of several files; leave --member away", member="w")


# --- hostile ----------------------------------------------------------------------------------------------------------


class Calls:
    """Asks for a function to be called."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.what = function, arguments

    def __reduce__(self) -> Any:
        return self.what


def writes(proof: Path) -> list[tuple[str, Calls]]:
    code = f"open({str(proof)!r}, 'w').close()"
    return [
        ("system", Calls(os.system, f"touch {proof}")),
        ("eval", Calls(eval, code)),
        ("exec", Calls(exec, code)),
        ("open", Calls(open, str(proof), "w")),
        ("load", Calls(pickle.loads, pickle.dumps(Calls(os.system, f"touch {proof}")))),
        ("import", Calls(__import__, "antigravity")),
        ("torch.load", Calls(torch.load, str(proof))),
    ]


@both
@pytest.mark.parametrize("place", ["top", "meta", "state_dict", "after"])
@pytest.mark.parametrize("number", range(7))
def test_nothing_is_called(save: Callable[[Any], bytes], place: str, number: int, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    _, attack = writes(proof)[number]
    contents: dict[str, dict[str, Any]] = {
        "top": {"w": numbers(1), "x": attack},
        "meta": {"meta": [{"a": attack}], "state_dict": {"w": numbers(1)}},
        "state_dict": {"state_dict": {"w": numbers(1), "x": attack}},
        "after": {"state_dict": {"w": numbers(1)}, "optimizer": attack},
    }
    refused(save(contents[place]), tmp_path, "asks for .*, which no weights need; it may be an attack")
    assert not proof.exists()


def test_unknown_names_are_neither_imported_nor_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that tells when it is imported stands where Python looks for it."""
    proof = tmp_path / "proof"
    (tmp_path / "canary_of_a_test.py").write_text(
        f"open({str(proof)!r}, 'w').close()\ndef sing(*words): open({str(proof)!r}, 'w').close()\nclass Bird: pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for code in (
        b"ccanary_of_a_test\nsing\n(I1\ntR",  # a function
        b"ccanary_of_a_test\nBird\n)\x81}b",  # an object with a state
        b"(I1\nicanary_of_a_test\nBird\n",  # objects as in protocol 0 and 1
        b"(ccanary_of_a_test\nBird\nI1\no",
        b"ccanary_of_a_test\nBird\n)}\x92",
        b"cbuiltins\ngetattr\n(ccanary_of_a_test\nBird\nVsing\ntR(tR",  # a method
        b"ccanary_of_a_test\nBird\n)\x81(I1\nI2\ne",  # what takes items
        b"ccanary_of_a_test\nBird\n)\x81(I1\nI2\nu",
        b"ccanary_of_a_test\nBird\n)\x81I1\na",
        b"ccanary_of_a_test\nBird\n)\x81(I1\n\x90",
    ):
        tensor = build_tensor()
        body = b"\x80\x04}(Vw\n" + tensor + b"Vx\n" + code + b"u."
        path = tmp_path / "weights.pt"
        path.write_bytes(legacy_body(body, [("0", 2)]))
        file = read_weights(path)
        assert file.weights["w"].tolist() == [0, 1] and file.odd == ("x",), code
    assert "canary_of_a_test" not in sys.modules and not proof.exists()


def build_tensor(
    count: int = 2,
    offset: int = 0,
    shape: tuple[int, ...] = (2,),
    strides: tuple[int, ...] = (1,),
    view: bytes = b"N",
    kind: bytes = b"FloatStorage",
    key: bytes = b"0",
) -> bytes:
    """The steps that make a tensor over a storage ``key`` of ``count`` numbers, as torch 0.4 wrote them."""

    def whole(number: int) -> bytes:
        return b"I%d\n" % number

    def several(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(whole, values)) + b"t"

    storage = b"(Vstorage\nctorch\n" + kind + b"\nV" + key + b"\nVcpu\n" + whole(count) + view + b"tQ"
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    return rebuild + b"(" + storage + whole(offset) + several(shape) + several(strides) + b"I00\n}tR"


def legacy_body(body: bytes, storages: list[tuple[str, int]], declared: int | None = None) -> bytes:
    """A file of the old format around a pickle, whose storages are floats 0, 1, 2, ..."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(value, 2) for value in (MAGIC, 1001, system))
    keys = pickle.dumps([key for key, _ in storages], 2)
    rest = b"".join(
        struct.pack("<q", count if declared is None else declared) + np.arange(count, dtype="<f4").tobytes()
        for _, count in storages
    )
    return head + body + keys + rest


def legacy(tensor: bytes, storages: list[tuple[str, int]], declared: int | None = None) -> bytes:
    return legacy_body(b"\x80\x02}Vw\n" + tensor + b"s.", storages, declared)


def zipped(tensor: bytes, numbers_of: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}Vw\n" + tensor + b"s.")
        for key, raw in numbers_of.items():
            archive.writestr(f"archive/data/{key}", raw)
    return buffer.getvalue()


def test_hand_made_files_are_good_ones(tmp_path: Path) -> None:
    assert read(legacy(build_tensor(), [("0", 2)]), tmp_path)["w"].tolist() == [0, 1]
    on_gpu = build_tensor().replace(b"ctorch\nFloat", b"ctorch.cuda\nFloat").replace(b"Vcpu", b"Vcuda:0")
    assert read(legacy(on_gpu, [("0", 2)]), tmp_path)["w"].tolist() == [0, 1]
    raw = np.arange(6, dtype="<f4").tobytes()
    tensor = build_tensor(6, 1, (2, 2), (1, 3))
    assert read(zipped(tensor, {"0": raw}), tmp_path)["w"].tolist() == [[1, 4], [2, 5]]


HUGE = 10**12


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (build_tensor(shape=(HUGE,)), "declares a tensor of shape '.1000000000000,.', but its storage has 2 numbers"),
        (build_tensor(shape=(HUGE,), strides=(0,)), "its storage has 2 numbers"),
        (build_tensor(shape=(HUGE, HUGE), strides=(0, 0)), "its storage has 2 numbers"),
        (build_tensor(shape=(3,)), "its storage has 2 numbers"),
        (build_tensor(offset=1), "its storage has 2 numbers"),
        (build_tensor(offset=-1, shape=(1,)), "its storage has 2 numbers"),
        (build_tensor(strides=(2,)), "its storage has 2 numbers"),
        (build_tensor(strides=(-1,)), "which does not exist"),
        (build_tensor(shape=(-1,)), "which does not exist"),
        (build_tensor(shape=(1, 2), strides=(1,)), "which does not exist"),
        (build_tensor(shape=(1,) * 9, strides=(1,) * 9), "which does not exist"),
        (build_tensor(count=-1), "declares a storage of '-1' numbers"),
        (build_tensor(count=HUGE, shape=(HUGE,)), "ends before the numbers|numbers of its tensors are missing"),
        (build_tensor(count=3), "ends before the numbers|numbers of its tensors are missing"),
        (build_tensor(view=b"(Vv\nI1\nI2\nt"), "a part of a storage that is not in it"),
        (build_tensor(kind=b"LongStorage"), "ends before the numbers|numbers of its tensors are missing"),
        (b"(Vfile\nV/etc/passwd\ntQ", "refers to something outside"),
    ],
)
def test_sizes_are_held_against_the_file(tensor: bytes, message: str, tmp_path: Path) -> None:
    refused(legacy(tensor, [("0", 2)]), tmp_path, message)
    refused(zipped(tensor, {"0": bytes(8)}), tmp_path, message)


def test_a_storage_is_one_thing(tmp_path: Path) -> None:
    twice = build_tensor() + b"0" + build_tensor(count=1, shape=(1,))
    refused(zipped(twice, {"0": bytes(8)}), tmp_path, "declares a storage twice, differently")


def test_numbers_that_unfold_are_not_taken(tmp_path: Path) -> None:
    """torch writes its storages uncompressed; ten megabytes of zeros compress to ten kilobytes."""
    bomb = zipped(build_tensor(count=2_500_000), {"0": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 20_000
    refused(bomb, tmp_path, "numbers of its tensors are missing")


def test_an_archive_that_unfolds_is_not_unfolded(tmp_path: Path) -> None:
    bomb = in_archive("w.pt", content=bytes(50_000_000))
    assert len(bomb) < 100_000
    refused(bomb, tmp_path, "would unfold 'w.pt' from [0-9]+ to 50000000 bytes, as no weights do")


def test_a_pickle_that_unfolds_is_not_unfolded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 20_000_000)
    refused(buffer.getvalue(), tmp_path, "holds a part of 20000000 bytes, which is too much")


def test_many_members_on_the_same_bytes(tmp_path: Path) -> None:
    """Entries of a directory may point to one place; what they hold together is no more than the file."""
    raw = bytes(40_000)
    tensors = b"".join(
        b"Vw%d\n" % number + build_tensor(count=10_000, shape=(10_000,), key=b"%d" % number) for number in range(50)
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}(" + tensors + b"u.")
        archive.writestr("archive/data/0", raw)
        first = archive.getinfo("archive/data/0")
        for number in range(1, 50):
            other = zipfile.ZipInfo(f"archive/data/{number}")
            other.file_size = other.compress_size = len(raw)
            other.CRC, other.header_offset = first.CRC, first.header_offset
            archive.filelist.append(other)
            archive.NameToInfo[other.filename] = other
    assert len(buffer.getvalue()) < 2 * len(raw)
    refused(buffer.getvalue(), tmp_path, "numbers of its tensors are missing")


# --- damaged ----------------------------------------------------------------------------------------------------------


@both
def test_files_that_are_cut_off(save: Callable[[Any], bytes], tmp_path: Path) -> None:
    content = save(state())
    for length in (*range(1, 200, 13), *range(200, len(content), 211), len(content) - 1):
        with pytest.raises(ValueError, match=r"weights\.pt") as caught:
            read(content[:length], tmp_path)
        assert type(caught.value) is ValueError and len(str(caught.value).splitlines()) == 1


def test_a_wrong_number_is_noticed(tmp_path: Path) -> None:
    """An archive has sums over its parts; the old format has none."""
    content = bytearray(as_zip({"w": torch.full((1000,), 1.5)}))
    at = bytes(content).index(struct.pack("<f", 1.5) * 100)
    content[at] ^= 1
    refused(bytes(content), tmp_path, "is damaged: numbers of its tensors are missing")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x80\x02.", "no file of weights or is damaged"),
        (b"<!DOCTYPE html><title>Not found</title>", "no file of weights or is damaged"),
        (b"PK\x03\x04" + bytes(100), "is no archive or is damaged"),
        (bytes(600), "no file of weights or is damaged"),
        (struct.pack("<Q", 40) + b'{"a": 1}' + bytes(60), "is no safetensors file or is damaged"),
    ],
)
def test_no_file_of_weights(content: bytes, message: str, tmp_path: Path) -> None:
    refused(content, tmp_path, message)


def test_other_formats_say_what_to_do(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("net/data.pkl", "net/constants.pkl", "net/code/__torch__.py", "net/version"):
            archive.writestr(name, b"")
    refused(buffer.getvalue(), tmp_path, "is a TorchScript program, not weights")
    unknown: tuple[Any, ...] = (MAGIC, 1002, {}, {}, [])
    foreign_version = b"".join(pickle.dumps(value, 2) for value in unknown)
    refused(foreign_version, tmp_path, "written by a version of torch that is not known")
    other: tuple[Any, ...] = (MAGIC, 1001, {"little_endian": False}, {}, [])
    big = b"".join(pickle.dumps(value, 2) for value in other)
    refused(big, tmp_path, "big-endian")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file '.*none\.pt'; give a file of weights"):
        read_weights(tmp_path / "none.pt")
