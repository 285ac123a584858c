"""``reproduce``: trains what is missing, goes on where it stopped, shows the paper's value beside ours."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.known.kinetics_motion import MOTION_CLASSES
from bonegraph.datasets.store import Store
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.scoring import score
from bonegraph.models import baselines, dualhead, msg3d, stgcn
from bonegraph.models import kth as kth_model
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.stgcn import Width
from bonegraph.reproduce import TABLES, kth, table
from bonegraph.reproduce.stgcn import ablation, motion_accuracy, motion_accuracy_among
from bonegraph.reproduce.table import Column, Measured, Row, Table, measure, size, slug
from bonegraph.scores import Scores
from bonegraph.scores.streams import fusions
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.training.recipes import recipe
from bonegraph.training.settings import Settings, read_settings
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms
from bonegraph.transforms.streams import STREAMS

TINY = ["--width", "quarter", "--epochs", "1", "--length.frames", "8", "--batch_size", "48", "--progress", "false"]


def test_rows_of_table_1_differ_in_the_model_alone() -> None:
    settings = replace(recipe("nw-ucla"), data="somewhere")
    rows = ablation(settings, "half")
    assert [row.title for row in rows if not row.ours] == [
        "Baseline TCN",
        "Local Convolution",
        "Uni-labeling",
        "Distance partitioning*",
        "Distance Partitioning",
        "Spatial Configuration",
        "ST-GCN + Imp.",
    ]
    models = {}
    for row in rows:
        assert row.settings is not None
        assert replace(row.settings, model=None) == replace(settings, model=None)
        models[row.title] = row.settings.model
        assert row.settings.model.widths == (32,) * 3 + (64,) * 3 + (128,) * 3
        assert row.settings.model.dropout == settings.model.dropout
    assert isinstance(models["Baseline TCN"], baselines.TCNConfig)
    assert isinstance(models["Local Convolution"], baselines.LocalConfig)
    plain = models["Spatial Configuration"]
    assert plain == replace(stgcn.paper("half"), dropout=settings.model.dropout, edge_importance=False)
    assert models["ST-GCN + Imp."] == replace(plain, edge_importance=True)
    for title, strategy in (
        ("Uni-labeling", "uniform"),
        ("Distance partitioning*", "distance*"),
        ("Distance Partitioning", "distance"),
        ("Spatial, released graph", "spatial-released"),
    ):
        assert models[title] == replace(plain, strategy=strategy)
    same = replace(plain, normalisation="released")
    assert models["Spatial, normalised as released"] == same
    assert models["Spatial, released graph, normalised as released"] == replace(same, strategy="spatial-released")


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_value_or_none_for_every_column(name: str) -> None:
    chosen = table(name)
    rows = chosen.rows(replace(recipe("demo"), data="x"), "quarter")
    titles = [row.title for row in rows]
    assert len(set(titles)) == len({slug(title) for title in titles}) == len(titles)
    for row in rows:
        assert len(row.paper) == len(chosen.columns)
        assert set(row.fused) <= set(titles)
        assert sum((row.settings is not None, bool(row.file), bool(row.fused), bool(row.minus))) <= 1
        assert set(row.minus) | ({row.after} if row.after else set()) <= set(titles)


def test_kinetics_motion_counts_the_clips_of_its_classes() -> None:
    classes = ("cooking", *MOTION_CLASSES, "reading")
    probabilities = np.full((5, 32), 0.2 / 31)
    answers, labels = (1, 0, 2, 5, 31), (1, 1, 2, 0, 31)  # the second clip is taken for cooking, then for class 1
    probabilities[range(5), answers] = 0.8
    probabilities[1, 1] += 1e-3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    scores = Scores(np.array(list("abcde")), classes, probabilities, np.array(labels))
    assert motion_accuracy(scores) == pytest.approx((0.5 + 1.0) / 2)
    assert motion_accuracy_among(scores) == pytest.approx(1.0)


def test_measured_values() -> None:
    assert str(Measured((50.0,))) == "50.0"
    assert str(Measured((50.0, 54.0))) == "52.0 ± 2.8"


def test_a_table_goes_on_where_it_stopped(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Table 5 on the built-in data: ST-GCN with two seeds, RGB as a file."""
    opened = Store.open(store)
    clips = opened.part("xboth-val", "test")
    probabilities = np.full((len(clips), len(opened.classes)), 0.01)
    probabilities[np.arange(len(clips)), opened.labels[clips]] = 0.9
    probabilities[::4] = np.roll(probabilities[::4], 1, axis=1)  # every fourth is wrong
    with (tmp_path / "rgb.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *opened.classes])
        writer.writerows([name, *row] for name, row in zip(opened.ids[clips], probabilities, strict=True))
    out = tmp_path / "out"
    command = ["reproduce", "stgcn/table-5", "demo", "--data", str(store), "--out", str(out), "--seeds", "2", *TINY]
    command += ["--split", "xboth-val"]
    assert main([*command, "--scores", f"{{rgb: {tmp_path / 'rgb.csv'}}}"]) == 0
    printed = capsys.readouterr().out
    assert "1 of 2: ST-GCN, xboth-val, seed 0" in printed and "2 of 2: ST-GCN, xboth-val, seed 1" in printed
    text, note = (out / "stgcn-table-5.md").read_text().rstrip().split("\n\n")
    assert note == table("stgcn/table-5").note
    lines = text.splitlines()
    assert lines[0] == "|  | top-1 (paper) | top-1 (ours) |"
    rgb = 100 * (1 - len(range(0, len(clips), 4)) / len(clips))
    rows = {cells[1].strip(): [cell.strip() for cell in cells[2:4]] for cells in (line.split("|") for line in lines)}
    assert rows["RGB TSN"] == ["70.3", f"{rgb:.1f}"]
    assert rows["Flow TSN"] == ["51.0", ""] and rows["RGB + Flow"] == ["71.1", ""]  # no file was given
    assert "±" in rows["ST-GCN"][1] and rows["RGB + ST-GCN"][0] == "71.2"
    assert float(rows["RGB + ST-GCN"][1].split(" ")[0]) >= rgb - 15
    page = (out / "stgcn-table-5.html").read_text()
    assert "RGB + ST-GCN" in page and "seeds" in page and "0 to 1" in page

    weights = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    assert len(weights) == 2
    next(iter(weights)).with_name("scores.npz").unlink()  # stopped between training and scoring
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")} == weights
    assert len(list(out.rglob("scores.npz"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a table and a recipe first"),
        (["stgcn/table-9", "demo"], "no table 'stgcn/table-9'; did you mean 'stgcn/table-"),
        (["stgcn/table-1", "dmo"], "no recipe 'dmo'; did you mean 'demo'"),
        (["stgcn/table-1", "demo"], "give the prepared store and a folder: --data STORE --out FOLDER"),
        (["stgcn/table-1", "demo", "--seeds", "0"], "seeds must be at least 1, got 0"),
        (["stgcn/table-1", "demo", "--scores", "{rgb: x.csv}"], "no row of this table takes the scores of 'rgb'"),
        (["stgcn/table-5", "demo", "--scores", "{rgb: x.csv}"], "no scores 'x.csv'"),
        (["stgcn/table-1", "demo", "--model.widths", "[1]"], "see 'bonegraph reproduce --help'"),
        (["stgcn/table-3", "demo"], "no folder"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    given = arguments if "STORE" in message or not arguments else [*arguments, *needed]
    assert main(["reproduce", *given]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and len(captured.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [
        ("table-4", "xsub", "needs 30 classes, of which 'synthetic' lacks 30 (first: 'belly dancing')"),
        ("table-2", "xseb", "has no split 'xseb'; did you mean 'xsub'"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_training(
    name: str, split: str, message: str, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["reproduce", f"stgcn/{name}", "demo", "--data", str(store), "--out", str(tmp_path / "out")]
    assert main([*command, "--split", split]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert not (tmp_path / "out").exists()


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "bonegraph reproduce stgcn/table-1" in text and all(name in text for name in TABLES)


def test_a_table_over_two_splits(store: Path, tmp_path: Path) -> None:
    """Table 3 asks for X-Sub and X-View, whatever the split of the recipe."""
    out = tmp_path / "out"
    command = ["reproduce", "stgcn/table-3", "demo", "--data", str(store), "--out", str(out), "--seeds", "1", *TINY]
    assert main([*command, "--split", "xboth-val"]) == 0
    runs = {str(path.parent.relative_to(out)) for path in out.rglob("model.safetensors")}
    names = ("temporal-conv-kim-and-reiter-2017", "st-gcn")
    assert runs == {f"{name}/{split}-seed0" for name in names for split in ("xsub", "xview")}
    own = next(line for line in (out / "stgcn-table-3.md").read_text().splitlines() if line.startswith("| ST-GCN |"))
    cells = [cell.strip() for cell in own.split("|")[2:-1]]
    assert cells[0::2] == ["81.5", "88.3"]
    for cell, split in zip(cells[1::2], ("xsub", "xview"), strict=True):
        scores = Scores.load(out / "st-gcn" / f"{split}-seed0" / "scores.npz")
        assert sorted(scores.ids) == sorted(Store.open(store).ids[Store.open(store).part(split, "test")])
        assert cell == f"{100 * scores.top(1):.1f}"


def test_rows_of_dualhead_differ_in_the_model_alone() -> None:
    settings = replace(recipe("nw-ucla"), data="somewhere")
    full = dualhead.best("half")
    found: dict[str, object] = {}
    for name in ("table-4", "table-5", "table-6", "table-7", "table-8"):
        for row in table(f"dualhead/{name}").rows(settings, "half"):
            assert row.settings is not None and replace(row.settings, model=None) == replace(settings, model=None)
            # A run is one training: rows that share a folder have the same model, others have another.
            assert found.setdefault(row.folder, row.settings.model) == row.settings.model
    assert len(set(found.values())) == len(found)
    assert found == {
        "msg3d-joint": msg3d.best("half"),
        "no-attention-joint": replace(full, temporal_attention="none", spatial_attention="none"),
        "temporal-attention-joint": replace(full, spatial_attention="none"),
        "dual-head-joint": full,
        "fine-channels-all-joint": replace(full, fine_reduction=1),
        "fine-channels-quarter-joint": replace(full, fine_reduction=4),
        "coarse-g3d-none-joint": replace(full, coarse_windows=()),
        "coarse-g3d-two-joint": replace(full, coarse_windows=(3, 5)),
        "coarse-frames-all-joint": replace(full, subsample=1),
        "coarse-frames-quarter-joint": replace(full, subsample=4),
        "temporal-attention-self-joint": replace(full, temporal_attention="self"),
        "spatial-attention-self-joint": replace(full, spatial_attention="self"),
    }


def test_dualhead_takes_the_variant_of_the_recipe() -> None:
    released = replace(recipe("demo"), model=dualhead.released("quarter"))
    base, *_, full = table("dualhead/table-4").rows(released, "full")
    assert base.settings is not None and base.settings.model == msg3d.released()
    assert full.settings is not None and full.settings.model == dualhead.released()


@pytest.mark.parametrize("name", ["table-1", "table-2", "table-3"])
def test_dualhead_trains_every_stream_once(name: str) -> None:
    rows = table(f"dualhead/{name}").rows(recipe("demo"), "quarter")
    trained = {row.title: row.settings for row in rows if row.settings is not None}
    assert {title: one.transforms.stream for title, one in trained.items()} == {
        "Js DualHead-Net": "joint",
        "Bs DualHead-Net": "bone",
        "Jm DualHead-Net": "joint-motion",
        "Bm DualHead-Net": "bone-motion",
    }
    assert {one.model for one in trained.values()} == {dualhead.best("quarter")}
    assert {row.folder for row in rows if row.settings is not None} == {f"dual-head-{stream}" for stream in STREAMS}
    assert {row.title for row in rows if row.ours} == {"Jm DualHead-Net", "Bm DualHead-Net"}
    assert {row.title: row.fused for row in rows if row.fused} == {
        "2s DualHead-Net": ("Js DualHead-Net", "Bs DualHead-Net"),
        "4s DualHead-Net": tuple(trained),
    }


def test_rows_of_kth_differ_in_what_is_studied() -> None:
    settings = replace(recipe("kth-kth-table-1"), data="somewhere")
    found = {name: table(f"kth/{name}").rows(settings, "quarter") for name in kth.TABLES}
    assert {name: len(rows) for name, rows in found.items()} == {
        "table-1": 4,
        "cells": 8,
        "figure-10": 8,
        "final": 4,
        "figures-4-8": 10,
    }
    for name, rows in found.items():
        for row in rows:
            assert row.settings is not None and row.folder.startswith(name)
            changed = replace(row.settings, model=None, optimizer=settings.optimizer)
            assert changed == replace(settings, model=None)
            assert isinstance(row.settings.model, kth_model.Config) and row.settings.model.widths[0] == 16
            assert (row.settings.optimizer != settings.optimizer) == (
                row.title.startswith("dropout") and "0.0001" not in row.title
            )

    def models(name: str) -> list[kth_model.Config]:
        return [row.settings.model for row in found[name] if row.settings is not None]

    assert [model.strategy for model in models("table-1")] == ["uniform", "distance", "spatial", "symmetrical"]
    assert all(
        (model.dropout, model.residual, model.edge_importance) == (0.5, False, False) for model in models("table-1")
    )
    kinds = [(model.strategy, model.residual, model.normalisation) for model in models("cells")]
    assert kinds == [
        (strategy, residual, "subset")
        for strategy in ("uniform", "distance", "spatial", "symmetrical")
        for residual in (False, True)
    ]
    shapes = [(model.strategy, len(model.widths), model.residual, model.dropout) for model in models("figure-10")]
    assert shapes == [
        (strategy, count, residual, 0.0)
        for strategy in ("uniform", "spatial")
        for count in (10, 12)
        for residual in (False, True)
    ]
    last = [(model.strategy, model.dropout, model.residual, model.edge_importance) for model in models("final")]
    assert last == [
        ("uniform", 0.5, False, False),
        ("spatial", 0.5, False, False),
        ("spatial", 0.0, True, False),
        ("spatial", 0.0, True, True),
    ]
    studied = [(model.norms, model.order) for model in models("figures-4-8")[6:]]
    assert studied == [("both", "bn-relu"), ("start", "bn-relu"), ("both", "relu-bn"), ("input", "bn-relu")]
    rates = [
        (row.settings.model.dropout, row.settings.optimizer.lr) for row in found["figures-4-8"][:6] if row.settings
    ]
    assert rates == [(dropout, rate) for dropout in (0.25, 0.5) for rate in (1e-2, 1e-3, 1e-4)]


def test_validation_accuracy_is_over_clips(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """KTH, Fig. 10, two of its rows: no mean of the accuracies of unequal batches."""
    chosen = table("kth/figure-10")
    base = replace(recipe("kth-kth-figure-10"), data=str(store), split="xboth-val", transforms=Transforms())
    base = replace(base, length=Length("loop", 8), epochs=1, batch_size=20)  # 32 clips are 20 and 12
    base = replace(base, model=replace(base.model, in_channels=3))
    rows = chosen.rows(base, "quarter")[:2]
    cells = measure(chosen, rows, tmp_path, 1, {}, print, progress=False)
    opened = Store.open(store)
    for row in rows:
        model, meaning = load_checkpoint(tmp_path / row.folder / "xboth-val-seed0/model.safetensors")
        clips = opened.part("xboth-val", "val")
        assert len(clips) == 32
        expected = 100 * score(model, meaning, opened, clips, progress=False).top(1)
        cell = cells[row.title, "Validation"]
        assert isinstance(cell, Measured) and cell.values[0] == pytest.approx(expected, abs=1e-3)


def test_parameters_of_the_papers_tables(tmp_path: Path) -> None:
    """The counts of NTU RGB+D 60: 25 joints, 60 classes, two people in the input normalisation."""
    card = Card("counts", SKELETONS["ntu25"], "m", 30.0, tuple(f"action {number}" for number in range(60)))
    with StoreWriter(tmp_path / "store", card) as writer:
        everyone = np.ones((2, 1), bool)
        sequence = Sequence(np.zeros((2, 1, 25, 3), np.float32), everyone, SKELETONS["ntu25"], 30.0, "m")
        writer.append("clip", 0, {}, sequence)
        writer.finish()
    settings = replace(recipe("demo"), data=str(tmp_path / "store"), model=dualhead.paper())
    counts = {
        row.title: size(row.settings).parameters
        for name in ("table-4", "table-5", "table-6")
        for row in table(f"dualhead/{name}").rows(settings, "full")
        if row.settings is not None
    }
    assert counts["Baseline (MS-G3D)"] == 3_194_595
    assert counts["Dual head, TA, SA"] == counts["1 G3D"] == 3_015_253
    assert counts["No reduction"] == 4_874_197 and counts["Reduce channels to 1/4"] == 2_543_701
    assert counts["w/o G3D (factorised)"] == 2_392_201 and counts["2 G3D"] == 3_942_625
    for name in ("table-4", "table-5", "table-6"):  # the paper's own figures
        for row in table(f"dualhead/{name}").rows(settings, "full"):
            assert row.paper[0] == round(counts[row.title] / 1e6, 1)


def test_tables_share_their_runs(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables 5 and 8 in one folder: what both need is trained once."""
    out = tmp_path / "out"
    command = ["demo", "--data", str(store), "--out", str(out), "--seeds", "1", "--split", "xboth-val", *TINY]
    assert main(["reproduce", "dualhead/table-5", *command]) == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    names = ("msg3d", "fine-channels-all", "dual-head", "fine-channels-quarter")
    assert {str(path.parent.relative_to(out)) for path in before} == {f"{name}-joint/xboth-val-seed0" for name in names}
    lines = (out / "dualhead-table-5.md").read_text().splitlines()
    assert lines[0] == "|  | parameters (paper) | parameters (ours) | top-1 (paper) | top-1 (ours) |"
    assert any(line.startswith("| Reduce channels to 1/4† | 2.5 M | ") and "| 89.7 |" in line for line in lines)
    assert lines[-1].startswith("† ") and "87.4" in lines[-1]
    assert "87.4" in (out / "dualhead-table-5.html").read_text()
    capsys.readouterr()

    assert main(["reproduce", "dualhead/table-8", *command]) == 0
    assert "3 of 3: Spatial attention, self learned" in capsys.readouterr().out  # four rows, two of them the same
    after = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    assert {path: after[path] for path in before} == before and len(after) == len(before) + 2
    assert (out / "dualhead-table-5.md").is_file() and (out / "dualhead-table-8.md").is_file()
    scores = Scores.load(out / "dual-head-joint" / "xboth-val-seed0" / "scores.npz")
    text = (out / "dualhead-table-8.md").read_text()
    assert text.count(f"attention, cross head | 90.3 | {100 * scores.top(1):.1f} |") == 2


def test_streams_of_a_table_are_fused(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["reproduce", "dualhead/table-3", "demo", "--data", str(store), "--out", str(out), "--seeds", "1", *TINY]
    assert main([*command, "--split", "xboth-val"]) == 0
    streams: dict[str, Scores] = {
        str(name): Scores.load(out / f"dual-head-{name}" / "xboth-val-seed0" / "scores.npz") for name in STREAMS
    }
    text = (out / "dualhead-table-3.md").read_text()
    for title, scores in fusions(streams).items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {title} DualHead-Net |"))
        assert f"| {100 * scores.top(1):.1f} |" in row and f"| {100 * scores.top(5):.1f} |" in row
    assert "| Jm DualHead-Net (not in the paper) |  | " in text


FEW = ["--scarce.share", "0.5", "--tuning.epochs", "1", "--split", "xboth-val", *TINY]


def small_rows(monkeypatch: pytest.MonkeyPatch, *titles: str, of: str = "stf/table-5") -> None:
    """A table with a few of its rows and thin networks."""
    chosen = table(of)

    def rows(settings: Settings, width: Width) -> tuple[Row, ...]:
        found = []
        for row in chosen.rows(settings, width):
            if row.title in titles:
                thin = dict(widths=(6, 8), strides=(1, 2), dilations=(1, 2), gcn_scales=2, g3d_scales=2, windows=(3,))
                made = row.settings and replace(row.settings, model=replace(row.settings.model, **thin))
                found.append(replace(row, settings=made))
        return tuple(found)

    monkeypatch.setitem(TABLES, of, replace(chosen, rows=rows))


def test_rows_are_tuned_from_the_base_of_their_seed(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """STF, Table 5: one base a seed, shared by all rows; claims are measured on the same runs."""
    titles = ("MS-G3D, not tuned", "M4: + L_Gk", "L_e net", "M5: STF, mean of M4 and the L_e net", "M4 again")
    small_rows(monkeypatch, *titles)
    out = tmp_path / "out"
    more = ["--data", str(store), "--out", str(out), "--seeds", "2", *FEW]
    assert main(["reproduce", "stf/table-5", "stf-demo", *more]) == 0
    printed = capsys.readouterr().out
    first = [line.partition(": ")[2] for line in printed.splitlines() if " of 8: " in line]
    assert first[0] == "MS-G3D, not tuned, xboth-val, seed 0" and first[4] == "MS-G3D, not tuned, xboth-val, seed 1"
    for name, offset in (("stf-focus", 0), ("stf-explore", 0), ("stf-focus-again", 1000)):
        for seed in (0, 1):
            settings = read_settings(out / f"{name}-joint-50/xboth-val-seed{seed + offset}/config.yaml")
            assert settings.start == str(out / f"msg3d-joint-50/xboth-val-seed{seed}")
            assert (settings.seed, settings.epochs, settings.scarce.share) == (seed + offset, 1, 0.5)
    cells = {line.split(" | ")[0]: line for line in printed.splitlines() if line.startswith("| ")}
    assert (
        "±" in cells["| M5: STF, mean of M4 and the L_e net"]
        and "91.3" in cells["| M5: STF, mean of M4 and the L_e net"]
    )

    small_rows(monkeypatch, "MS-G3D, not tuned", "M4: + L_Gk", of="stf/claims")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    for _ in range(2):  # the second time from the files
        assert main(["reproduce", "stf/claims", "stf-demo", *more]) == 0
    printed = capsys.readouterr().out
    (plain, focused) = (
        [line.split(" | ") for line in printed.splitlines() if line.startswith(f"| {title}")][-1]
        for title in ("MS-G3D, not tuned", "M4: + L_Gk")
    )
    assert len(plain) == len(focused) == 15
    assert plain[12].strip() == plain[14].strip(" |") == "" and "±" in plain[2]  # no modules, no error and no spread
    assert "±" in focused[12] and "±" in focused[14]
    assert {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")} == before


def test_folds_are_repeats_and_gains_are_differences(store: Path, tmp_path: Path) -> None:
    settings = replace(recipe("demo"), data=str(store), epochs=1, batch_size=48, length=Length("uniform", 8))
    model = stgcn.Config(widths=(4,), strides=(1,))
    rows = (
        Row("one", (None,), replace(settings, model=model)),
        Row("two", (None,), replace(settings, model=model, seed=7), after="one"),
        Row("gain", (2.0,), minus=("two", "one")),
    )
    chosen = Table("t", "s", (Column("top-1", lambda scores: scores.top(1)),), lambda *_: rows)
    said: list[str] = []
    cells = measure(chosen, rows, tmp_path, 1, {}, said.append, splits=("xboth", "xboth-val"), progress=False)
    assert [line.partition(": ")[2] for line in said] == [
        "one, xboth, seed 0", "two, xboth, seed 7", "one, xboth-val, seed 0", "two, xboth-val, seed 7",
    ]  # fmt: skip
    assert read_settings(tmp_path / "two/xboth-val-seed7/config.yaml").start == str(tmp_path / "one/xboth-val-seed0")
    one, two, gain = (cells[title, "top-1"] for title in ("one", "two", "gain"))
    assert isinstance(one, Measured) and isinstance(two, Measured) and isinstance(gain, Measured)
    assert len(one.values) == 2
    assert gain.values == pytest.approx([b - a for a, b in zip(one.values, two.values, strict=True)])


def test_data_shift_learns_a_new_last_layer_alone(
    store: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows whose run was not brought stay empty; model and input are those of the run."""
    out = tmp_path / "out"
    command = ["reproduce", "stf/shift", "demo", "--data", str(store), "--out", str(out), "--seeds", "1", *FEW[4:]]
    assert main([*command, "--starts", f"{{msg3d: {finished}}}"]) == 0
    printed = capsys.readouterr().out
    assert "| STF, L_e net (not in the paper) |  |  |" in printed and "| MS-G3D | 82.3 | " in printed
    before, after = (load_file(run / "model.safetensors") for run in (finished, out / "ms-g3d/xboth-val-seed0"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    kept = read_settings(out / "ms-g3d/xboth-val-seed0/config.yaml")
    theirs = read_settings(finished / "config.yaml")
    assert kept.model == theirs.model and kept.transforms == theirs.transforms and kept.length == theirs.length
    assert main([*command, "--starts", f"{{ms: {finished}}}"]) == 2
    assert "no row of this table starts from 'ms'" in capsys.readouterr().err
