"""An exported file gives the numbers of its network for any clip, tells everything about it, and is whole or absent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional

from bonegraph.__main__ import main
from bonegraph.inference import export as module
from bonegraph.inference.export import Exported, export, onnx_run, program_run
from bonegraph.models import agcn, dualhead, stgcn
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Calibration, Meaning, load_checkpoint, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.skeleton import Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

BODY = Skeleton("mine", ("head", "left hand", "right hand", "foot"), (0, 0, 0, 0), (0, 2, 1, 3))
CLASSES = ("wave", "sit", "höher")
MEANING = Meaning(
    BODY,
    CLASSES,
    Transforms("bone"),
    Length("uniform", 12),
    people=2,
    fps=25.0,
    unit="m",
    made={"seed": "3"},
    calibration=Calibration(2.0, 0.4),
)
FREE = stgcn.Config(widths=(4, 8), strides=(1, 2), temporal_kernel=3)
TWO_PEOPLE = agcn.Config(widths=(4, 8), strides=(1, 2), temporal_kernel=3, people=2)
EXAMPLE = Path(__file__).parents[2] / "examples/onnx_only.py"


def network(config: Any) -> ActionModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(config, BODY, len(CLASSES)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, free.onnx with masks and two.onnx without, for two people."""
    made = tmp_path_factory.mktemp("exported")
    save_checkpoint(made / "model.safetensors", network(FREE), MEANING)
    export(network(FREE), MEANING, made / "free.onnx")
    export(network(TWO_PEOPLE), MEANING, made / "two.onnx", mask=False)
    return made


def clip(count: int, frames: int, people: int) -> tuple[torch.Tensor, torch.Tensor]:
    visible = torch.rand(count, frames, 4, people) < 0.8
    return torch.randn(count, 3, frames, 4, people) * visible[:, None], visible


@pytest.mark.parametrize("shape", [(1, 12, 1), (2, 31, 3), (4, 1, 2), (1, 2, 5)])
def test_onnx_is_equal_for_free_sizes(folder: Path, shape: tuple[int, int, int]) -> None:
    x, visible = clip(*shape)
    run, model = onnx_run((folder / "free.onnx").read_bytes()), network(FREE)
    with torch.no_grad():
        for seen in (visible, visible & (torch.arange(shape[1]) < shape[1] // 2)[:, None, None]):  # the latter half not
            torch.testing.assert_close(run(x, seen), model(x, seen), rtol=1e-4, atol=1e-5)


def test_people_of_a_network_that_tells_them_apart_are_fixed(folder: Path) -> None:
    (positions,) = onnx.load(folder / "two.onnx").graph.input
    dims = [dim.dim_value or dim.dim_param for dim in positions.type.tensor_type.shape.dim]
    assert dims == ["N", 3, "T", 4, 2]
    x, _ = clip(3, 17, 2)
    with torch.no_grad():
        torch.testing.assert_close(
            onnx_run((folder / "two.onnx").read_bytes())(x, None), network(TWO_PEOPLE)(x), rtol=1e-4, atol=1e-5
        )


def test_one_file_tells_everything(folder: Path) -> None:
    told = {prop.key: prop.value for prop in onnx.load(folder / "free.onnx").metadata_props}
    plain = {key: json.loads(text) for key, text in told.items() if key not in ("format", "model")}
    assert told["model"] == "stgcn" and told["format"].startswith("bonegraph export")
    assert plain["classes"] == list(CLASSES) and plain["fps"] == 25.0 and plain["unit"] == "m"
    assert Skeleton.from_dict(plain["skeleton"]) == BODY
    assert plain["transforms"]["stream"] == "bone" and plain["length"]["frames"] == 12
    assert plain["calibration"]["temperature"] == 2.0 and plain["made"] == {"seed": "3"}
    assert plain["input"]["sizes"] == {"N": None, "C": 3, "T": None, "V": 4, "M": None}
    assert plain["input"]["visible"] is True


def test_files_tell_nothing_of_this_machine(folder: Path) -> None:
    """torch keeps the paths of the sources beside each operation."""
    data = {"onnx": (folder / "free.onnx").read_bytes()}
    program = module.traced(network(FREE))
    data["pt2"] = module.program_bytes(program, {})
    sources = str(Path(module.__file__).parents[1]).encode()
    assert [name for name, found in data.items() if sources in found] == []
    assert not any(node.metadata_props for node in onnx.load(folder / "free.onnx").graph.node)


@pytest.mark.parametrize("config", [FREE, TWO_PEOPLE], ids=["free", "two"])
def test_program_of_torch(config: Any, tmp_path: Path) -> None:
    model, path = network(config), tmp_path / "a.pt2"
    written = export(model, MEANING, path)
    assert written == Exported(path, written.error, written.batches, path.stat().st_size, written.least_frames)
    assert written.error <= 1e-5 and written.least_frames <= 3
    run = program_run(path.read_bytes())
    for count, frames in ((1, 12), (3, 31), (2, written.least_frames)):
        x, visible = clip(count, frames, 2)
        with torch.no_grad():
            torch.testing.assert_close(run(x, visible), model(x, visible), rtol=1e-4, atol=1e-5)
    extra = {"bonegraph.json": ""}
    torch.export.load(path, extra_files=extra)
    assert json.loads(json.loads(extra["bonegraph.json"])["classes"]) == list(CLASSES)


def test_heads_that_are_surer_than_exp_can_tell() -> None:
    """DualHead-Net adds up probabilities, of which many are 0 in float32 while their logarithms are not."""
    model = dualhead.DualHead(dualhead.best("quarter"), BODY, len(CLASSES)).eval()
    assert model.config.fuse == "probabilities"

    class Fused(torch.nn.Module):
        def forward(self, fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
            fused: torch.Tensor = model.fused(fine, coarse)
            return fused

    heads = torch.tensor([[0.0, -300.0, 5.0], [90.0, 0.0, 0.0]]), torch.tensor([[0.0, -400.0, 8.0], [0.0, 0.0, 120.0]])
    axes = {"fine": "N classes", "coarse": "N classes"}
    data = module.onnx_bytes(torch.export.export(Fused(), heads), {}, axes, {"logits": "N classes"})
    given = {name: head.numpy() for name, head in zip(axes, heads, strict=True)}
    (found,) = module.onnx_session(data).run(["logits"], given)
    torch.testing.assert_close(torch.from_numpy(found), model.fused(*heads))


class _Seen(ActionModel):
    """Counts the people in Python, which a traced network does not do again for the next clip."""

    def __init__(self, inner: ActionModel) -> None:
        super().__init__()
        self.inner, self.config, self.skeleton = inner, inner.config, inner.skeleton
        self.calls = 0

    def forward(self, x: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
        self.calls += 1
        logits: torch.Tensor = self.inner(x, visible) * self.calls
        return logits


def test_other_numbers_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.pt2"
    path.write_bytes(b"before")
    with pytest.raises(ValueError, match=r"'a\.pt2' would differ from the network by .*; not written"):
        export(_Seen(network(FREE)), MEANING, path)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


def test_what_does_not_run_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that onnxruntime refuses or cannot run come as its own exceptions."""

    def broken(data: bytes) -> module.Run:
        def run(positions: torch.Tensor, visible: torch.Tensor | None) -> torch.Tensor:
            raise RuntimeError("operator 7\nat length")

        return run

    monkeypatch.setattr(module, "program_run", broken)
    with pytest.raises(
        ValueError, match=r"^'a\.pt2' would not run: operator 7; not written; export to \.onnx instead\.$"
    ):
        export(network(FREE), MEANING, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "made"), [("a.onnx", "onnx_bytes"), ("a.pt2", "program_bytes")])
def test_what_cannot_even_be_opened_is_not_written(
    name: str, made: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, made, lambda *_: b"nonsense")
    with pytest.raises(ValueError, match=rf"^'{name}' would not run: .*; not written"):
        export(network(FREE), MEANING, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("change", ["stays", "is gone"])
def test_guards_that_cannot_be_dropped(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch with another form of what we change without its leave: one line, and no file that refuses clips."""

    class Gaps(_Seen):
        """Every second frame is a map with gaps: how torch lays out its convolution depends on T."""

        def forward(self, x: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
            frames = x[..., 0].contiguous(memory_format=torch.channels_last)[:, :, ::2]
            return super().forward(x) + functional.conv2d(frames, torch.ones(1, 3, 1, 1)).mean()

    trace = torch.export.export

    def other(*args: Any, **options: Any) -> Any:
        program: Any = trace(*args, **options)
        guards = tuple(program._guards_code)
        del program._guards_code
        if change == "stays":
            program._guards_code = guards
        return program

    monkeypatch.setattr(torch.export, "export", other)
    said = "'a.pt2' would not run: .*not written" if change == "stays" else "torch cannot save the program: .*_guards"
    with pytest.raises(ValueError, match=said + ".*; export to .onnx instead"):
        export(Gaps(network(TWO_PEOPLE)), MEANING, tmp_path / "a.pt2")
    assert not list(tmp_path.iterdir())


def test_a_network_that_torch_cannot_trace_is_named(tmp_path: Path) -> None:
    class Branches(_Seen):
        def forward(self, x: torch.Tensor, visible: torch.Tensor | None = None) -> torch.Tensor:
            return super().forward(x) if bool(x.sum() > 0) else super().forward(-x)

    with pytest.raises(ValueError, match="torch cannot export Branches: ") as caught:
        export(Branches(network(FREE)), MEANING, tmp_path / "a.onnx")
    assert "\n" not in str(caught.value) and not list(tmp_path.iterdir())


def test_command(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.onnx"
    assert main(["export", str(folder / "model.safetensors"), str(out)]) == 0
    printed = capfd.readouterr()
    assert printed.out.splitlines()[0].startswith(f"exported: {out} (")
    assert "largest relative error" in printed.out and "positions (N, 3, T, 4, M), visible (N, T, 4, M)" in printed.out
    assert [line.endswith(" ...") for line in printed.err.splitlines()] == [True] * 3
    model, _ = load_checkpoint(folder / "model.safetensors")
    x, visible = clip(1, 9, 1)
    with torch.no_grad():
        torch.testing.assert_close(onnx_run(out.read_bytes())(x, visible), model(x, visible), rtol=1e-4, atol=1e-5)


def test_mistakes_are_worth_one_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, taken = str(folder / "model.safetensors"), tmp_path / "b.onnx"
    taken.mkdir()
    for arguments, told in (
        ([checkpoint, str(tmp_path / "a.tflite")], "must end in .onnx (ONNX) or .pt2 (torch.export)"),
        ([checkpoint, str(tmp_path / "no/a.onnx")], "there is no folder"),
        ([checkpoint, str(taken)], "is a folder; give the name of a file"),
        ([str(tmp_path / "none"), str(tmp_path / "a.onnx")], "no checkpoint"),
    ):
        assert main(["export", *arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert told in line
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize("missing", ["onnxruntime", "onnxscript"])
def test_what_is_not_installed_is_named(missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ValueError, match=rf"need {missing}, which is not installed: pip install .*\[export\]"):
        module.check_target(tmp_path / "a.onnx")
    module.check_target(tmp_path / "a.pt2")  # needs neither


@pytest.mark.parametrize(("name", "people"), [("free.onnx", 1), ("two.onnx", 1), ("free.onnx", 3)])
def test_example_without_torch(folder: Path, tmp_path: Path, name: str, people: int) -> None:
    draw = np.random.default_rng(0)
    positions = draw.normal(size=(15, people, 4, 3)).astype(np.float32)
    if name == "free.onnx":
        positions[3:5, :, 1] = np.nan
    np.save(tmp_path / "clip.npy", positions[:, 0] if people == 1 else positions)
    for blocked in ("torch", "bonegraph"):
        (tmp_path / f"{blocked}.py").write_text("raise ImportError('not here')\n")
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE), str(folder / name), str(tmp_path / "clip.npy")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    if name == "free.onnx":
        model = network(FREE)
        x = torch.from_numpy(positions).permute(3, 0, 2, 1)[None]
        visible = ~x.isnan().any(dim=1)
        with torch.no_grad():
            expected = torch.softmax(model(x.nan_to_num(), visible)[0] / 2.0, dim=0)
    else:  # the second person is not there, which the file without a mask sees as zeros
        x = torch.zeros(1, 3, 15, 4, 2)
        x[0, ..., 0] = torch.from_numpy(positions[:, 0]).permute(2, 0, 1)
        with torch.no_grad():
            expected = torch.softmax(network(TWO_PEOPLE)(x)[0] / 2.0, dim=0)
    lines = [f"{expected[i]:7.1%}  {CLASSES[i]}" for i in expected.argsort(descending=True)]
    assert ran.stdout.splitlines() == lines
