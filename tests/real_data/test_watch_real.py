"""A real film with mediapipe, watched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.stgcn import STGCN, best
from bonegraph.read.video import Video
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

pytest.importorskip("mediapipe", reason="the pose step needs mediapipe, which is not installed")


@pytest.fixture(scope="module")
def film(shared: Path) -> Path:
    path = shared / "data" / "video" / "ta_chi.mp4"
    if not path.is_file():
        pytest.skip(f"needs a real video, but there is no file '{path}'")
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCN(best(), SKELETONS["ucla20"], 3).eval()
    length, ucla = Length("uniform", 32, 1), SKELETONS["ucla20"]
    meaning = Meaning(ucla, ("a", "b", "c"), Transforms("joint", "frame"), length, 1, 10.0, "m", clip_seconds=2.0)
    return save_checkpoint(tmp_path_factory.mktemp("run") / "model.safetensors", model, meaning)


def test_a_film(film: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = tmp_path / "seen.mp4"
    options = ["--realtime", "false", "--seconds", "4", "--record", str(seen)]
    assert main(["watch", str(checkpoint), str(film), *options]) == 0
    out, err = capsys.readouterr()
    assert "converted mediapipe33 -> ucla20" in err
    told = [json.loads(line) for line in out.splitlines()]
    answers = [line for line in told if "event" not in line]
    assert {line["person"] for line in answers} == {1}
    assert [line["time"] for line in answers] == pytest.approx([0.9, 1.4, 1.9, 2.4, 2.9, 3.4, 3.9], abs=0.11)
    assert sum(1 for _ in Video(seen)) >= told[-1]["pictures"] >= 39
