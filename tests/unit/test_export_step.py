"""A step of a stream as ONNX gives, block by block, what the network finds in the clip."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.inference import export
from bonegraph.inference import export_step as module
from bonegraph.inference.export_step import FORMAT, export_step, step_run
from bonegraph.inference.stream.network import FrameNetwork
from bonegraph.models import agcn, baselines, kth, msg3d, stgcn, stgcnpp
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

BODY = SKELETONS["sbu15"]
MEANING = Meaning(BODY, ("a", "b", "c"), Transforms(centre="frame"), Length("all"), 1, 30.0, "m")
SMALL: dict[str, Any] = {"widths": (4, 6), "strides": (2, 2), "temporal_kernel": 3}
CONFIGS: dict[str, Any] = {
    "stgcn": stgcn.Config(**SMALL),
    "stgcnpp": stgcnpp.Config(**{**SMALL, "widths": (8, 12)}, dilations=(2,)),
    "kth": kth.Config(in_channels=3, **SMALL),
    "tcn": baselines.TCNConfig(**SMALL),
    "local": baselines.LocalConfig(**SMALL),
    "msg3d": msg3d.Config(widths=(7,), strides=(4,), gcn_scales=2, g3d_scales=2, windows=(3,), dilations=(2,)),
}


def network(name: str) -> ActionModel:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return build(CONFIGS[name], BODY, 3, np.arange(15.0)).eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_blocks_of_the_file_are_the_clip(name: str, tmp_path: Path) -> None:
    """Two people, hidden joints and frames, phases of two strides, to the padding at the end."""
    model = network(name)
    made = export_step(model, MEANING, tmp_path / "step.onnx", block=8 if name == "kth" else 0)
    assert str(Path(module.__file__).parents[1]).encode() not in made.path.read_bytes()
    assert made.error < 1e-5 and made.frames == (8 if name == "kth" else 4) and made.blocks >= 10
    run = step_run(made.path.read_bytes())
    whole = FrameNetwork(model)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 21, 15, 3, generator=draw)
    visible = torch.rand(2, 21, 15, generator=draw) < 0.8
    visible[0, 5:7] = False
    visible[:, 0, 0] = True
    with torch.no_grad():
        clip = model.features(x.permute(0, 3, 1, 2)[..., None], visible[..., None])
        expected = model.head(clip.maps.mean(dim=3).transpose(1, 2))
    after = -(whole.lead + 21) % made.frames + -(-(made.latency + made.frames) // made.frames) * made.frames
    x = torch.nn.functional.pad(torch.where(visible[..., None], x, 0), (0, 0, 0, 0, whole.lead, after))
    visible = torch.nn.functional.pad(visible, (0, 0, whole.lead, after))
    state = [torch.zeros_like(tensor) for tensor in whole.start(2).tensors()]
    logits, counts = [], []
    for first in range(0, x.shape[1], made.frames):
        some = slice(first, first + made.frames)
        found, _, seen, state = run(x[:, some], visible[:, some], state)
        logits.append(found)
        counts.append(seen)
    hidden = (whole.lead + whole.latency - whole.stride + 1) // whole.stride
    here = slice(hidden, hidden + expected.shape[1])
    assert clip.frames is not None and torch.equal(torch.cat(counts, dim=1)[:, here], clip.frames)
    where = clip.frames
    torch.testing.assert_close(torch.cat(logits, dim=1)[:, here][where], expected[where], rtol=1e-4, atol=1e-5)


def test_the_command_and_the_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs with numpy and onnxruntime alone: in a process that has neither torch nor bonegraph."""
    path = save_checkpoint(tmp_path / "model.safetensors", network("stgcn"), MEANING)
    out = tmp_path / "step.onnx"
    assert main(["export", str(path), str(out), "--step", "true", "--progress", "false"]) == 0
    said = capsys.readouterr().out
    assert "a step of 4 frames" in said and "largest relative error" in said
    clip = np.random.default_rng(0).normal(size=(40, 15, 3)).astype(np.float32)
    clip[3, 4] = np.nan
    np.save(tmp_path / "clip.npy", clip)
    example = Path(__file__).parents[2] / "examples" / "onnx_step.py"
    assert len(example.read_text().splitlines()) <= 30
    script = (
        "import runpy, sys\nsys.modules['torch'] = sys.modules['bonegraph'] = None\n"
        f"sys.argv = ['x', {str(out)!r}, {str(tmp_path / 'clip.npy')!r}]\nrunpy.run_path({str(example)!r})"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    model = FrameNetwork(network("stgcn"))
    assert len(lines) == (40 + model.lead) // 4 - (model.lead + model.latency - 3) // 4
    assert lines[-1].split()[-1] in MEANING.classes
    # What the file tells of itself.
    import onnxruntime

    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    step = json.loads(told["input"])
    assert told["format"] == FORMAT and json.loads(told["classes"]) == ["a", "b", "c"]
    assert (step["stride"], step["lead"], step["latency"]) == (4, model.lead, model.latency)
    assert step["sizes"] == {"R": None, "F": 4, "V": 15, "C": 3, "G": 1}
    inputs, outputs = session.get_inputs(), session.get_outputs()
    assert [value.name for value in inputs[:3]] == ["positions", "visible", "state_0"]
    assert len(inputs) == 2 + step["states"] and len(outputs) == 3 + step["states"]
    assert all(value.shape[0] == "R" for value in (*inputs, *outputs))
    assert [value.shape[1:] for value in inputs[2:]] == [list(t.shape[1:]) for t in model.start(1).tensors()]


def test_what_cannot_be_a_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = network("stgcn"), tmp_path / "step.onnx"
    whole = build(agcn.Config(widths=(4,), strides=(1,)), BODY, 3).eval()
    with pytest.raises(ValueError, match="AGCN takes whole clips"):
        export_step(whole, MEANING, out)
    with pytest.raises(ValueError, match=r"length\.rule 'uniform' spreads"):
        export_step(model, replace(MEANING, length=Length("uniform", 8)), out)
    with pytest.raises(ValueError, match=r"let 'step\.pt2' end in \.onnx"):
        export_step(model, MEANING, tmp_path / "step.pt2")
    with pytest.raises(ValueError, match="multiple of the stride 4, got 6"):
        export_step(model, MEANING, out, block=6)
    path = save_checkpoint(tmp_path / "model.safetensors", model, MEANING)
    for options in (["--step", "true", "--int8", "true"], ["--block", "8"]):
        assert main(["export", str(path), str(out), *options]) == 2
        assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setattr(export, "LIMIT", -1.0)
    with pytest.raises(ValueError, match="would differ from the network"):
        export_step(model, MEANING, out)
    assert not out.exists()
