"""A run becomes one file with 8 bits, and the command says what that costs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import onnx
import pytest

from bonegraph.__main__ import main

from .runs import unchanged


def test_int8(store: Path, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.onnx"
    with unchanged(finished):
        assert main(["export", str(finished), str(out), "--int8", "true", "--clips", "8", "--progress", "false"]) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    accuracy = re.search(r"accuracy +([\d.]+)% -> ([\d.]+)% \(32 clips, part val\)", printed.out)
    assert accuracy is not None and abs(float(accuracy[1]) - float(accuracy[2])) <= 20
    proto = onnx.load(out)
    told = {prop.key: prop.value for prop in proto.metadata_props}
    assert len(json.loads(told["classes"])) == 16
    weights = [value for value in proto.graph.initializer if value.data_type == onnx.TensorProto.INT8]
    assert len(weights) >= 4  # of two units, each two convolutions
    assert list(tmp_path.iterdir()) == [out]


def test_int8_needs_clips(store: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = tmp_path / "model.safetensors"
    shutil.copy(finished / "model.safetensors", checkpoint)
    out = str(tmp_path / "a.onnx")
    for arguments, told in (
        ([str(checkpoint), out], "is a checkpoint without a run; give --data STORE and --split NAME"),
        ([str(finished), out, "--part", "vall"], "has no part 'vall'"),
        ([str(finished), out, "--clips", "0"], "clips must be at least 1, got 0"),
        ([str(finished), str(tmp_path / "a.pt2")], "8 bits are for ONNX"),
        ([str(finished), out, "--int8", "false", "--part", "test"], "--part and --clips are for --int8 true"),
        ([str(finished), out, "--int8", "false", "--clips", "8"], "--part and --clips are for --int8 true"),
    ):
        assert main(["export", arguments[0], arguments[1], "--int8", "true", *arguments[2:]]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert list(tmp_path.iterdir()) == [checkpoint]
