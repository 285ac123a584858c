"""Files that somebody wrote to do harm: small to send, large or slow to read."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as save_safetensors

from . import containers, kept, recordings
from .attempt import complaint
from .seeds import targets

TARGETS = targets()
Plain = dict[str, Any]


def deep(opening: str, closing: str = "") -> bytes:
    return (opening * 50_000 + "1" + closing * 50_000).encode()


def card(**changed: Any) -> bytes:
    """``dataset.json`` of a store."""
    return json.dumps({**json.loads(kept.store()["dataset.json"]), **changed}).encode()


def chain(joints: int) -> Plain:
    """A skeleton of one long line of joints."""
    names = [f"j{number}" for number in range(joints)]
    return {"name": "chain", "joints": names, "parents": dict(zip(names[1:], names, strict=False))}


def about(**changed: Any) -> bytes:
    """A checkpoint whose configuration is another, with the weights of the first."""
    (data,) = kept.checkpoint()
    (size,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + size])
    metadata = head["__metadata__"]
    metadata["config"] = json.dumps({**json.loads(metadata["config"]), **changed})
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def archive(data: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    """A zip file with one of its members changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as changed:
        for name in given.namelist():
            content = given.read(name)
            changed.writestr(name, change(content) if name == member else content)
    return buffer.getvalue()


def zeros(count: int) -> bytes:
    """An array that compresses well."""
    return recordings.npy(np.zeros((1, 1, count), np.float32))


def laughs() -> bytes:
    """References to references to references: 9 to the 9th names."""
    lists = ["&a [l, l, l, l, l, l, l, l, l]"]
    lists += [f"&{chr(98 + level)} [{', '.join(['*' + chr(97 + level)] * 9)}]" for level in range(8)]
    return f"name: x\nparents: {{}}\njoints: [{', '.join(lists)}]\n".encode()


def kinetics(frame: int) -> bytes:
    clip = json.loads(recordings.kinetics()[0])
    clip["data"][-1]["frame_index"] = frame
    return json.dumps(clip).encode()


def index(long: int, short: int) -> bytes:
    """A table with one long line and many short ones."""
    lines = kept.store()["index.csv"].decode().splitlines()
    return "\n".join([*lines[:2], "x" * long + lines[2], *["a,0,0,p,0,1,1"] * short]).encode()


class Program:
    """Python's unpickler would run it."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo somebody ran this; exit 1",)


def program(new: bool) -> bytes:
    """Weights that bring a program along."""
    buffer = io.BytesIO()
    content = {"meta": Program(), "state_dict": kept.public_weights()}
    torch.save(content, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def wide() -> bytes:
    """Weights of 200,000 channels, each of one number; their network would have 10^11."""
    column = torch.ones(200_000, 1, 1, 1)
    unit = {"st_gcn_networks.0.gcn.conv.weight": column, "st_gcn_networks.0.tcn.2.weight": column.clone()}
    return save_safetensors({**kept.public_weights(), **unit, "A": torch.ones(1, 17, 17)})


def unfolding() -> bytes:
    """An archive of weights that are zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("weights.pt", "w") as member:
        for _ in range(40):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nested clip": ("nw-ucla", lambda: deep("[")),
    "nested frames": ("nw-ucla", lambda: b'{"skeletons": ' + deep("[", "]") + b"}"),
    "a million digits": ("nw-ucla", lambda: b'{"skeletons": [[' + b"9" * 1_000_000 + b"]]}"),
    "four hundred digits": ("nw-ucla", lambda: b'{"skeletons": [[[' + b"9" * 400 + b",0,0]]]}"),
    "a late frame": ("kinetics-skeleton", lambda: kinetics(10**9)),
    "a late row": ("csv", lambda: recordings.tables()[2].replace(b"\n1.0000;", b"\n1e12;")),
    "many frames": ("ntu", lambda: b"99999999\n" + b"0\n" * 100),
    "many bodies": ("ntu", lambda: b"1\n99999999\n"),
    "an array that unfolds": (
        "set ctrgcn",
        lambda: archive(containers.ctrgcn()[0], "x_train.npy", lambda _: zeros(50_000_000)),
    ),
    "nested card": ("store dataset.json", lambda: deep('{"a":', "}")),
    "many joints in a card": ("store dataset.json", lambda: card(skeleton=chain(20_000))),
    "a frame rate of 400 digits": ("store dataset.json", lambda: card(fps=10**400)),
    "a split of 400 digits": (
        "store dataset.json",
        lambda: card(splits={"a": {"column": "subject", "parts": {"train": [10**400]}}}),
    ),
    "a long line among short ones": ("store index.csv", lambda: index(100_000, 50_000)),
    "references": ("skeleton", laughs),
    "a tag": ("skeleton", lambda: b"name: !!timestamp 1\njoints: [a]\nparents: {}\n"),
    "nested lists": ("skeleton", lambda: b"joints: " + b"[" * 90_000),
    "nested blocks": ("skeleton", lambda: b"- " * 20_000),
    "many joints": ("skeleton", lambda: json.dumps(chain(2500)).encode()),
    "a number in base 60": ("skeleton", lambda: b"name: 1" + b":59" * 300_000 + b"\njoints: [a]\nparents: {}\n"),
    "wide units": ("checkpoint", lambda: about(widths=[200_000], strides=[1])),
    "a long kernel": ("checkpoint", lambda: about(temporal_kernel=10**8 + 1)),
    "nested configuration": ("checkpoint", lambda: kept.checkpoint()[0].replace(b"{", b"[" * 50_000, 1)),
    "a program in weights": ("weights zip", lambda: program(True)),
    "a program in old weights": ("weights old", lambda: program(False)),
    "wide weights": ("weights safetensors", wide),
    "weights that unfold": ("weights archive", unfolding),
    "a long id among short ones": (
        "scores csv",
        lambda: b"id,0,1\n" + b"a" * 100_000 + b",0,1\n" + b"".join(b"%d,0,1\n" % number for number in range(30_000)),
    ),
    "characters that do not exist": (
        "scores npz",
        lambda: archive(kept.scores()[0], "ids.npy", lambda ids: ids[:-4] + b"\xff\xff\xff\x7f"),
    ),
    "no header of an array": (
        "scores npz",
        lambda: archive(kept.scores()[0], "ids.npy", lambda ids: ids.replace(b"{", b"((((")),
    ),
}


@pytest.mark.parametrize(("target", "content"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_soon_and_in_one_line(target: str, content: Callable[[], bytes], tmp_path: Path) -> None:
    chosen = TARGETS[target]
    chosen.place(tmp_path)
    path = tmp_path / chosen.file
    path.write_bytes(content())
    assert complaint(chosen, path) == ""
    with pytest.raises((ValueError, OSError)):
        chosen.open(path)
