"""``bonegraph recognise --stream exact``: each frame of a recording once, on a small network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.recordings import read_for
from bonegraph.inference.stream.recording import stream_for_recordings, windows_of
from bonegraph.inference.windows import Window
from bonegraph.models import msg3d, stgcn
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

BODY = SKELETONS["sbu15"]
CONFIGS = {
    "stgcn": stgcn.Config(widths=(4, 6), strides=(1, 2), temporal_kernel=3),
    "msg3d": msg3d.Config(widths=(6, 6), strides=(1, 2), gcn_scales=2, g3d_scales=2, dilations=(1,)),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("exact"), "stgcn")


def saved(folder: Path, name: str) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = build(CONFIGS[name], BODY, 3, np.arange(15.0)).eval()
    meaning = Meaning(BODY, ("a", "b", "c"), Transforms(centre="frame"), Length("all"), 1, 30.0, "m", clip_seconds=1.0)
    return save_checkpoint(folder / "model.safetensors", model, meaning)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    np.save(tmp_path / "long.npy", np.random.default_rng(0).normal(size=(400, 15, 3)).astype(np.float32))
    return tmp_path / "long.npy"


@pytest.mark.parametrize("name", CONFIGS)
def test_each_frame_once(name: str, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = saved(tmp_path, name)
    out = tmp_path / "answers.json"
    assert main(["recognise", str(checkpoint), str(recording), "--stream", "exact", "--out", str(out)]) == 0
    assert "each frame goes through the network once" in capsys.readouterr().err
    told = json.loads(out.read_text())
    assert told["stream"] == "exact"
    (timeline,) = told["recordings"][0]["timelines"]
    one = Recogniser.load(checkpoint)
    sequence = one.fitting(read_for(one.meaning, recording)[0])
    windows = [Window((0,), round(30 * w["start"]), round(30 * w["end"])) for w in timeline["windows"]]
    expected = windows_of(stream_for_recordings(one, each=True), sequence, windows)
    assert len(windows) > 40
    found = [w["top"][0]["probability"] for w in timeline["windows"]]
    np.testing.assert_allclose(found, expected.max(axis=1), atol=1e-3)


def test_by_default_windows(checkpoint: Path, recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.json"
    assert main(["recognise", str(checkpoint), str(recording), "--out", str(out)]) == 0
    assert json.loads(out.read_text())["stream"] == "window"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--each", "false"), "people are looked at together"),
        (("--precision", "bf16"), "--precision bf16 is for windows"),
    ],
)
def test_one_clear_line(
    checkpoint: Path, recording: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert main(["recognise", str(checkpoint), str(recording), "--stream", "exact", *options]) == 2
    err = capsys.readouterr().err
    assert message in err and "Traceback" not in err
