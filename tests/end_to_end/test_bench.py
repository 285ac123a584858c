"""``bonegraph bench`` as a user gives it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from bonegraph.__main__ import main
from bonegraph.bench import peak, ways
from bonegraph.models.base import ActionModel

QUICK = ("--models", "stgcn", "--width", "quarter", "--repeats", "2", "--progress", "false")


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "bench"
    command = ["bench", *QUICK, "--cases", "N1T64", "prepare", "--passes", "inference", "--out", str(out)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "naive / this" in printed and "clips/s" in printed and "PARTIAL" not in printed

    data: dict[str, Any] = json.loads((out / "bench.json").read_text())
    assert set(data) == {"version", "complete", "busy", "machine", "settings", "peak", "rows", "floors"}
    assert data["complete"] is True and data["version"] == 1
    assert {"processor", "cores", "torch", "commit", "memory_kept", "load_before", "load_after"} <= set(data["machine"])
    assert data["settings"]["models"] == ["stgcn"] and data["settings"]["width"] == "quarter"
    assert [p["threads"] for p in data["peak"]] == [1] and data["peak"][0]["gflops"] > 0
    models = [row for row in data["rows"] if row["model"]]
    assert {"naive", "plain"} <= {row["way"] for row in models} <= set(ways.WAYS)
    for row in data["rows"]:
        assert len(row["clock_s"]) == len(row["processor_s"]) == 2 and min(row["clock_s"]) > 0
        assert row["quartiles_s"][0] <= row["median_s"] <= row["quartiles_s"][1]
    for row in models:
        assert row["flops"] > 1e8 and row["gflops"] > 0 and row["clips_per_s"] > 0
        assert 0 < row["floor_s"] < 1 and row["floor_share"] > 0
    (floor,) = data["floors"]
    assert (floor["model"], floor["case"], floor["kind"], floor["threads"]) == ("stgcn", "N1T64", "inference", 1)
    assert floor["seconds"] == models[0]["floor_s"] == models[-1]["floor_s"]
    total = sum(one["count"] * min(one["best_s"].values()) for one in floor["operations"])
    assert floor["seconds"] == pytest.approx(total)
    assert sum(one["count"] for one in floor["operations"] if one["kind"] == "convolution") >= 20  # ten units
    assert "floor ms" in printed and "floor / this" in printed
    assert "floor / this" in (out / "bench.md").read_text()
    assert [row["case"] for row in data["rows"] if row["kind"] == "data"] == ["prepare"]
    with Image.open(out / "bench.png") as image:
        image.load()
    assert (out / "bench.md").read_text().startswith("# bonegraph bench")

    assert main(command) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--overwrite" in error
    assert json.loads((out / "bench.json").read_text()) == data
    assert main(["bench", *QUICK, "--cases", "prepare", "--out", str(out), "--overwrite"]) == 0
    assert json.loads((out / "bench.json").read_text())["settings"]["cases"] == ["prepare"]
    assert {path.name for path in out.iterdir()} == {"bench.json", "bench.md"}  # a picture of other figures would lie


class Impatient(nn.Module):
    """Ctrl-C in its third turn; a call before the turns sees what it performs."""

    turns = 0

    def forward(self, x: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        self.turns += 1
        if self.turns == 4:
            raise KeyboardInterrupt
        return x


def test_without_a_floor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "peak_rows", lambda *_: [])  # takes long, and is not asked about here
    options = ("--ways", "fast", "--cases", "N1T64", "--passes", "inference", "--floor", "false")
    assert main(["bench", *QUICK, *options, "--out", str(tmp_path)]) == 0
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["floors"] == [] and not any("floor_s" in row for row in data["rows"])
    assert "floor" not in (tmp_path / "bench.md").read_text()


def test_ctrl_c(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def made(model: ActionModel, precision: str) -> nn.Module:
        return Impatient()

    monkeypatch.setitem(ways.WAYS, "fast", made)
    options = ("--ways", "plain", "fast", "--cases", "N1T64", "--passes", "inference", "training")
    assert main(["bench", *QUICK, *options, "--out", str(tmp_path)]) == 130
    out, error = capsys.readouterr()
    assert "PARTIAL" in out and "stopped" in error and "Traceback" not in error
    data = json.loads((tmp_path / "bench.json").read_text())
    turns = {(row["way"], row["kind"]): len(row["clock_s"]) for row in data["rows"] if row["model"]}
    assert turns == {("plain", "inference"): 2, ("fast", "inference"): 1, ("plain", "training"): 1}
    assert data["complete"] is False
    floors = {floor["kind"]: floor["seconds"] for floor in data["floors"]}
    assert floors["inference"] is None and floors["training"] > 0  # nothing there to multiply; measured by then
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--models", "stgnc"], "did you mean 'stgcn'?"),
        (["--cases", "N1T65"], "did you mean 'N1T64'?"),
        (["--ways", "slow"], "choices: fast, naive, plain"),
        (["--passes", "trainin"], "did you mean 'training'?"),
        (["--precisions", "fp16"], "bf16, fp32"),
        (["--models", "stgcn", "stgcn"], "twice"),
        (["--width", "third"], "choices: full, half, quarter"),
        (["--floor", "no"], "choices: false, true"),
        (["--threads", "0"], "at least 1"),
        (["--threads", "two"], "two"),
        (["--threads", "1", "1"], "--threads names something twice: 1 1"),
        (["--repeats", "0"], "at least 1"),
        (["--modles", "stgcn"], "--modles"),
        (["stgcn"], "does not know 'stgcn'"),
        (["--cases"], "--cases"),
    ],
)
def test_mistakes_are_worth_one_line(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *options]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1 and said in error, error


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--help"])
    assert ended.value.code == 0
    assert "bonegraph bench --models stgcn msg3d" in capsys.readouterr().out
