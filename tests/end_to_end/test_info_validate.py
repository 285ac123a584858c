"""``bonegraph info`` and ``bonegraph validate`` as a user gives them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.known import known_set
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.validate import Finding, Validation
from bonegraph.viz.validation import FILMS, write_validation

from .fakes import write_clip


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints, and its exit status."""

    def run(status: int, *arguments: str) -> str:
        capsys.readouterr()
        assert main(list(arguments)) == status, capsys.readouterr().err
        out, err = capsys.readouterr()
        return err if status == 2 else out

    return run


@pytest.fixture
def leaking(store: Path, tmp_path: Path) -> Path:
    """The store with a split that breaks its promise."""
    folder = Path(shutil.copytree(store, tmp_path / "leaking"))
    card = json.loads((folder / "dataset.json").read_text())
    card["splits"]["cross-subject"] = {"column": "camera", "parts": {"train": [1, 2], "test": [3]}}
    (folder / "dataset.json").write_text(json.dumps(card))
    return folder


# --- info -------------------------------------------------------------------------------------------------------------


def test_info_as_json(store: Path, printed: Callable[..., str]) -> None:
    said = json.loads(printed(0, "info", str(store), "--json"))
    opened = Store.open(store)
    assert said == json.loads(printed(0, "info", str(store), "--json", "true"))
    assert (said["name"], said["clips"], said["frames"]) == ("synthetic", 192, int(opened.frames.sum()))
    assert said["people"] == {"1": 144, "2": 48}
    assert said["rows"] == len(np.load(store / "positions.npy"))
    assert said["absent"] == pytest.approx(1 - np.load(store / "present.npy").mean())
    assert said["invisible"] is None
    assert said["bytes"]["positions.npy"] == (store / "positions.npy").stat().st_size
    assert (said["skeleton"], said["joints"], said["channels"], said["unit"], said["fps"]) == (
        "ntu25",
        25,
        3,
        "m",
        30.0,
    )
    assert said["length"]["frames"] == {
        "min": opened.frames.min(),
        "median": np.median(opened.frames),
        "max": opened.frames.max(),
    }
    assert said["length"]["seconds"]["max"] == pytest.approx(opened.frames.max() / 30)
    assert said["classes"] == dict.fromkeys(opened.classes, 12)
    assert said["facts"]["camera"] == {"1": 64, "2": 64, "3": 64}
    assert said["facts"]["group"] == {"test": 16, "train": 64, "unused": 80, "val": 32}
    assert said["splits"]["xboth"] == {"column": "group", "parts": {"train": 96, "test": 16}, "unused": 80}
    assert said["problems"] == 0
    assert said["licence"].startswith("Apache-2.0") and said["citation"] and "settings" in said["made"]


def test_info_for_people(store: Path, printed: Callable[..., str]) -> None:
    text = printed(0, "info", str(store))
    for line in (
        r"name      synthetic",
        r"clips     192, 1\d,\d+ frames in all",
        r"people    144 clips with 1, 48 clips with 2",
        r"absent    \d\.\d\d% of [\d,]+ cells \(frames times people\)",
        r"skeleton  ntu25, 25 joints x 3, m",
        r"on disk   \d\.\d MB",
        r"refused   0 files",
        r"licence   Apache-2.0",
        r"   0  raise arm +12 +6\.2%",
        r"  1: 64  2: 64  3: 64",
        r"  xboth      by group: train 96, test 16, unused 80",
    ):
        assert re.search(f"^{line}", text, re.MULTILINE), (line, text)


def test_info_on_what_was_refused_and_not_found(tmp_path: Path, printed: Callable[..., str]) -> None:
    for number in range(40):
        write_clip(tmp_path / "in", f"a01_s{number:02d}_e01_v01", frames=2 + number % 3)
    write_clip(tmp_path / "in", "a02_s01_e01_v01", [])
    prepare(known_set("nw-ucla"), tmp_path / "in", tmp_path / "store", progress=False)
    text = printed(0, "info", str(tmp_path / "store"))
    assert "1 files (problems.csv)" in text
    assert "40 values from 0 to 39, 1 clips each" in text
    (tmp_path / "store" / "problems.csv").unlink()
    assert "no list was kept" in printed(0, "info", str(tmp_path / "store"))
    for wrong in (str(tmp_path / "nowhere"), str(tmp_path / "in")):
        error = printed(2, "info", wrong)
        assert error.startswith("bonegraph info: ") and error.count("\n") == 1


# --- validate ---------------------------------------------------------------------------------------------------------


def test_a_clean_store_is_worth_0(store: Path, printed: Callable[..., str], tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    text = printed(0, "validate", str(store), "--report", str(report), "--progress", "false")
    assert text.splitlines()[0].split() == ["severity", "kind", "findings", "clips"]
    assert "'synthetic': 192 clips, 0 errors, 0 warnings, 3 notes." in text
    assert text.splitlines()[-1] == f"report: {report}"
    assert "<canvas" not in report.read_text() and "script-src 'none'" in report.read_text()


def test_errors_are_worth_1(leaking: Path, printed: Callable[..., str]) -> None:
    text = printed(1, "validate", str(leaking), "--progress", "false")
    assert "error: leak" in text
    assert "  'cross-subject' has subject 1, 2, 3, 4 in both 'train' and 'test', against its name." in text
    assert "'synthetic': 192 clips, 1 error, 0 warnings, 3 notes." in text
    findings = json.loads(printed(1, "validate", str(leaking), "--json", "--progress", "false"))
    assert {"kind", "severity", "message", "clips"} == set(findings[0])
    assert findings[0]["severity"] == "error" and len(findings[0]["clips"]) == 192
    # Another split keeps its promise.
    assert "0 errors" in printed(0, "validate", str(leaking), "--split", "xview", "--progress", "false")


def test_bad_input_is_worth_2(store: Path, tmp_path: Path, printed: Callable[..., str]) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "dataset.json").write_text("{")
    for arguments, part in (
        ([str(tmp_path / "nowhere")], "no folder"),
        ([str(tmp_path / "damaged")], "cannot be used"),
        ([str(store), "--split", "xsbu"], "did you mean 'xsub'?"),
        ([str(store), "--report", str(tmp_path / "nowhere" / "report.html")], "make it first"),
        ([str(store), "--reprot", "x.html"], "--reprot"),
        ([], "store"),
    ):
        error = printed(2, "validate", *arguments)
        assert error.startswith("bonegraph validate: ") and error.count("\n") == 1 and part in error, error


def payload(page: str) -> dict[str, Any]:
    text = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    loaded = json.loads(text[0])
    assert isinstance(loaded, dict)
    return loaded


def test_a_report_with_films(store: Path, tmp_path: Path) -> None:
    opened = Store.open(store)
    ids = opened.ids.tolist()
    hostile = "<script>alert('1')</script>"
    findings = (
        Finding("duplicate", "error", f"{hostile} twice.", (ids[0], ids[1])),
        Finding("leak", "error", "a leak.", tuple(ids)),
        *(Finding("swap", "warning", f"'{clip}' swaps.", (clip,)) for clip in ids[2:152]),
        Finding("bone-jump", "warning", f"'{ids[12]}' jumps.", (ids[12],)),
        Finding("frozen-joint", "note", "a habit.", tuple(ids)),
    )
    named = replace(opened, card=replace(opened.card, name=hostile))
    path = write_validation(tmp_path / "report.html", named, Validation(192, findings))
    page = path.read_text(encoding="utf-8")
    films = payload(page)["films"]
    assert len(films) == FILMS
    # Every kind has its turn: both copies, the only jump, the rest is swaps; none of what a film cannot show.
    titles = [film["title"] for film in films.values()]
    assert titles[:4] == [ids[0], ids[1], ids[2], ids[12]]
    assert titles.count(ids[0]) == 1 and {film["note"] for film in films.values()} == {"duplicate", "swap", "bone-jump"}
    assert sorted(re.findall(r'data-film="(\w+)"', page)) == sorted(films)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(hashes) == 1 and f"script-src 'sha256-{hashes[0]}';" in page
    assert "<script>alert" not in page and page.count("&lt;script&gt;alert") >= 3
    assert "and 50 more; bonegraph validate --json lists them all" in page
    assert "and 180 more" in page  # of the 192 ids of the leak, 12 are named
    assert path.stat().st_size < 1_500_000
    for kind in ("duplicate", "leak", "swap", "bone-jump", "frozen-joint"):
        assert re.search(rf'<section id="(error|warning|note)-{kind}">', page)


def test_a_clip_that_cannot_be_shown_is_listed(store: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(store, tmp_path / "store"))
    positions = np.load(folder / "positions.npy", mmap_mode="r+")
    positions[5] = np.nan
    positions.flush()
    opened = Store.open(folder)
    clip = str(opened.ids[0])
    path = write_validation(
        tmp_path / "report.html", opened, Validation(1, (Finding("swap", "error", "bad.", (clip,)),))
    )
    assert payload(path.read_text())["films"] == {}
    assert f"<code>{clip}</code>" in path.read_text()
    nothing = write_validation(tmp_path / "none.html", opened, Validation(1, ()))
    assert "Nothing suspicious was found." in nothing.read_text()
