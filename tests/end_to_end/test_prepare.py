"""Preparation on fake NW-UCLA files: what goes well, what is refused, and every way of being interrupted."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.known import KnownSet, Source, known_set
from bonegraph.datasets.known.ucla import NwUcla
from bonegraph.datasets.prepare import CLIPS_PER_PART, prepare
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

# A script as a user writes it; SLOW leaves time to interrupt it, LIMIT is the largest file it may write.
SCRIPT = """
import os, resource, sys, time
from bonegraph.datasets.known.ucla import NwUcla
from bonegraph.datasets.prepare import prepare

class Slow(NwUcla):
    def read(self, source):
        time.sleep(float(os.environ.get("SLOW", "0")))
        return super().read(source)

if __name__ == "__main__":
    if "LIMIT" in os.environ:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["LIMIT"]),) * 2)
    report = prepare(Slow(), sys.argv[1], sys.argv[2], workers=int(sys.argv[3]))
    print("reused", report.reused_parts, "of", report.parts, "parts;", report)
"""


def write_clip(folder: Path, name: str, skeletons: Any = None, label: int | None = None) -> Path:
    action = int(name[1:3]) if name[1:3].isdecimal() else 0
    if skeletons is None:
        rng = np.random.default_rng([ord(letter) for letter in name])
        skeletons = rng.normal(size=(int(rng.integers(1, 6)), 20, 3)).round(4).tolist()
    labels = {action: number for number, action in enumerate((1, 2, 3, 4, 5, 6, 8, 9, 11, 12), start=1)}
    clip = {"file_name": name, "skeletons": skeletons, "label": labels.get(action, 0) if label is None else label}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(clip))
    return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough clips for six parts, one of them damaged."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(5 * CLIPS_PER_PART + 10):
        write_clip(folder, f"a{number % 6 + 1:02d}_s{number // 100:02d}_e{number % 100:02d}_v{number % 3 + 1:02d}")
    (folder / "a01_s09_e00_v01.json").write_text('{"skeletons": [[[0.1,')
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.Popen[str]]:
    """Start the script in a process group of its own, as a terminal does."""
    script = tmp_path_factory.mktemp("script") / "prepare_slowly.py"
    script.write_text(SCRIPT)

    def run(source: Path, out: Path, workers: int = 1, **settings: str) -> subprocess.Popen[str]:
        src = Path(__file__).resolve().parents[2] / "src"
        return subprocess.Popen(
            [sys.executable, str(script), str(source), str(out), str(workers)],
            env={**os.environ, "PYTHONPATH": str(src), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return run


@pytest.fixture(scope="module")
def uninterrupted(
    recordings: Path, start: Callable[..., subprocess.Popen[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("uninterrupted") / "store"
    _, errors = (process := start(recordings, out)).communicate(timeout=240)
    assert process.returncode == 0, errors
    return content(out)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def problems(folder: Path) -> dict[str, str]:
    with (folder / "problems.csv").open(newline="") as file:
        return {row["file"]: row["reason"] for row in csv.DictReader(file)}


def wait_for_parts(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    deadline = time.monotonic() + 240
    while len(list(folder.glob(".store.preparing/part-*.npz"))) < count:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_a_folder_becomes_a_store(tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = prepare(known_set("nw-ucla"), recordings, tmp_path / "store", workers=1)
    store = Store.open(report.folder)
    assert (report.clips, len(report.problems), report.already_done) == (330, 1, False)
    assert str(report) == f"'{tmp_path / 'store'}': 330 clips, 1 files refused (see problems.csv)."
    assert len(store) == 330
    assert store.ids.tolist() == sorted(store.ids.tolist())
    assert store.classes[3] == "walk around"
    clip = store.find("a04_s01_e05_v01")
    assert (store.labels[clip], store.column("subject")[clip], store.column("camera")[clip]) == (3, 1, 1)
    source = next(source for source in NwUcla().find(recordings) if source.id == "a04_s01_e05_v01")
    np.testing.assert_array_equal(store.sequence(clip).positions, NwUcla().read(source).positions)
    assert len(store.part("xview", "train")) == 220
    assert set(store.part("xview-select", "train")).isdisjoint(store.part("xview", "test"))
    bar = capsys.readouterr().err
    assert "prepare nw-ucla" in bar
    assert "330/330" not in bar.split("\r")[0]
    assert "331/331" in bar
    assert "refused=1" in bar
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    card = (report.folder / "dataset.json").read_text()
    assert str(recordings) not in card
    assert recordings.name in card


def test_a_quiet_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "in", "a01_s01_e01_v01")
    prepare(known_set("nw-ucla"), tmp_path / "in", tmp_path / "store", progress=False)
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_used_is_listed_and_stops_nothing(tmp_path: Path) -> None:
    source = tmp_path / "in"
    joints = np.ones((20, 3)).tolist()
    nobody = np.zeros((20, 3)).tolist()
    write_clip(source / "one", "a01_s01_e01_v01", [joints])
    write_clip(source / "two", "a01_s01_e01_v01", [joints] * 2)
    write_clip(source, "a02_s01_e00_v01", [nobody, joints, nobody, nobody])
    write_clip(source, "a03_s01_e00_v01", [nobody])
    write_clip(source, "a03_s01_e00_v02", [[[float("nan")] * 3] * 20])
    write_clip(source, "a03_s01_e00_v03", [])
    write_clip(source, "a04_s01_e00_v01", [joints], label=9)
    write_clip(source, "a07_s01_e00_v01", [joints])
    write_clip(source, "notes", [joints])
    (source / "a05_s01_e00_v01.json").write_bytes(b"\xff\x00\n,\"'")
    (source / "a05_s01_e00_v02.json").symlink_to("a05_s01_e00_v02.json")
    report = prepare(known_set("nw-ucla"), source, tmp_path / "store", progress=False)
    store = Store.open(report.folder)
    assert store.ids.tolist() == ["a01_s01_e01_v01", "a02_s01_e00_v01"]
    assert store.frames.tolist() == [1, 4]  # of two files with one id the first is kept, and one frame is a clip
    assert store.sequence(1).present[:, 0].tolist() == [False, True, False, False]  # timing matters
    listed = problems(report.folder)
    assert [problem.file for problem in report.problems] == list(listed)
    assert {file: reason.split(";")[0] for file, reason in listed.items()} == {
        "two/a01_s01_e01_v01.json": "the id was there before, from 'one/a01_s01_e01_v01.json', which is kept.",
        "a03_s01_e00_v01.json": "nobody is present in any of its frames.",
        "a03_s01_e00_v02.json": "'a03_s01_e00_v02.json' holds NaN or infinity, first in frame 0",
        "a03_s01_e00_v03.json": "'a03_s01_e00_v03.json' has no frames",
        "a04_s01_e00_v01.json": "'a04_s01_e00_v01.json' carries label 9, but its name stands for label 4",
        "a05_s01_e00_v01.json": listed["a05_s01_e00_v01.json"].split(";")[0],
        "a07_s01_e00_v01.json": "it stands for none of the 10 classes (label -1)",
        "notes.json": "it stands for none of the 10 classes (label -1)",
    }
    assert "is not valid JSON" in listed["a05_s01_e00_v01.json"]


class Odd(KnownSet):
    """A computed set with every oddity that a reader can come up with."""

    name = "odd"
    skeleton = SKELETONS["penn13"]
    unit = "px"
    fps = 10.0
    classes = ("stand",)
    splits = {"all": Split("take", {"test": (0, 1)})}
    licence = citation = where = "nowhere"
    has_confidence = True

    def find(self, folder: str | Path) -> list[Source]:
        names = ("good", "crash", "fps", "unit", "skeleton", "nan", "sure", "unsure", "disk", "two\nlines", "\udcff")
        return [Source(name, None, 0, {"take": number}) for number, name in enumerate(names)]

    def read(self, source: Source) -> Sequence:
        match source.id:
            case "crash":
                raise IndexError("list index\nout of range")
            case "disk":
                raise PermissionError(13, "Permission denied", "secret.txt")
        skeleton = SKELETONS["sbu15" if source.id == "skeleton" else "penn13"]
        positions = np.ones((2, 3, skeleton.num_joints, 2), np.float32)
        present = np.array([[False, False, True], [True, False, True]])
        sure = np.full(positions.shape[:3], 2.0 if source.id == "sure" else 0.5, np.float32)
        if source.id == "nan":
            positions[1, 0, 0, 0] = np.nan
        fps, unit = (20.0 if source.id == "fps" else 10.0), ("m" if source.id == "unit" else "px")
        return Sequence(positions, present, skeleton, fps, unit, None if source.id == "unsure" else sure)


def test_any_reader_may_fail(tmp_path: Path) -> None:
    report = prepare(Odd(), None, tmp_path / "store", progress=False)
    assert {problem.id: problem.reason for problem in report.problems} == {
        "crash": "it cannot be read (IndexError: list index out of range).",
        "disk": "it cannot be read (PermissionError: Permission denied).",
        "fps": "it has frame rate 20.0, but 'odd' has 10.0.",
        "nan": "positions hold NaN or infinity, first in frame 1; mark missing people as absent.",
        "skeleton": "it has skeleton sbu15, but 'odd' has penn13.",
        "sure": "confidence must lie between 0 and 1.",
        "unit": "it has unit m, but 'odd' has px.",
        "unsure": "it has no confidence, unlike 'odd'.",
        "two\nlines": "its name holds characters that cannot be printed; rename it.",
        "\udcff": "its name holds characters that cannot be printed; rename it.",
    }
    store = Store.open(report.folder)
    assert store.people.tolist() == [2]  # the person in the middle is never there
    assert store.sequence(0).present.tolist() == [[False, True], [True, True]]
    confidence = store.gather([0], [[0, 1]], 2).confidence
    assert confidence is not None
    np.testing.assert_allclose(confidence[0, :, 0], [[0, 0.5], [0.5, 0.5]], atol=1 / 255)


def test_computed_clips(tmp_path: Path) -> None:
    source, other = (Synthetic(seed=seed, subjects=1, replications=1) for seed in (0, 1))
    report = prepare(source, tmp_path, tmp_path / "store", progress=False)  # it needs no folder and ignores this one
    store = Store.open(report.folder)
    assert report.problems == ()
    assert store.ids.tolist() == sorted(clip.id for clip in source.find())
    clip = source.find()[5]
    np.testing.assert_array_equal(
        store.sequence(store.find(clip.id)).positions,
        source.read(clip).positions * source.read(clip).present[..., None, None],
    )
    assert store.card.made["settings"] == "replications=1, seed=0, subjects=1"
    assert prepare(source, None, tmp_path / "store", progress=False).already_done
    with pytest.raises(FileExistsError, match="from other files or settings"):
        prepare(other, None, tmp_path / "store", progress=False)


def test_no_usable_clip_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "a03_s01_e00_v01", [np.zeros((20, 3)).tolist()])
    write_clip(tmp_path / "in", "a07_s01_e00_v01")
    with pytest.raises(ValueError, match=r"none of the 2 clips of 'nw-ucla' can be used \(first: 'a03_s01.*nobody"):
        prepare(known_set("nw-ucla"), tmp_path / "in", tmp_path / "store", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_wrong_places(tmp_path: Path) -> None:
    nw_ucla, source = known_set("nw-ucla"), tmp_path / "in"
    with pytest.raises(FileNotFoundError, match="no folder"):
        prepare(nw_ucla, source, tmp_path / "store")
    write_clip(source, "a01_s01_e01_v01")
    with pytest.raises(ValueError, match="would lie among the files"):
        prepare(nw_ucla, source, source / "store")
    with pytest.raises(ValueError, match="workers must be at least 1"):
        prepare(nw_ucla, source, tmp_path / "store", workers=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(FileExistsError, match="is there and is no prepared data set"):
        prepare(nw_ucla, source, tmp_path / "mine", progress=False)
    with pytest.raises(FileExistsError, match="is taken by no store"):
        prepare(nw_ucla, source, tmp_path / "mine", overwrite=True, progress=False)
    with pytest.raises(OSError, match=r"cannot write '.*thesis.txt/store'"):
        prepare(nw_ucla, source, tmp_path / "mine" / "thesis.txt" / "store", progress=False)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_finished_store_is_left_alone(tmp_path: Path) -> None:
    nw_ucla, source, out = known_set("nw-ucla"), tmp_path / "in", tmp_path / "store"
    write_clip(source, "a01_s01_e01_v01")
    write_clip(source, "a02_s01_e01_v01", [])
    out.mkdir()  # an empty folder is a free place
    first = prepare(nw_ucla, source, out, progress=False)
    before = (out / "positions.npy").stat()
    again = prepare(nw_ucla, source, out, progress=False)
    assert again.already_done
    assert (again.clips, again.problems) == (1, first.problems)
    assert "nothing to do" in str(again)
    assert (out / "positions.npy").stat() == before

    write_clip(source, "a03_s01_e01_v01")
    with pytest.raises(FileExistsError, match="is a store of 'nw-ucla' from other files or settings; overwrite it"):
        prepare(nw_ucla, source, out, progress=False)
    assert prepare(nw_ucla, source, out, overwrite=True, progress=False).clips == 2
    assert len(Store.open(out)) == 2

    (out / "positions.npy").write_bytes(b"")
    with pytest.raises(FileExistsError, match="is there but damaged"):
        prepare(nw_ucla, source, out, progress=False)
    assert prepare(nw_ucla, source, out, overwrite=True, progress=False).clips == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "store"]


def test_the_number_of_workers_changes_nothing(
    tmp_path: Path,
    recordings: Path,
    start: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
) -> None:
    _, errors = (process := start(recordings, tmp_path / "store", workers=3)).communicate(timeout=240)
    assert process.returncode == 0, errors
    assert content(tmp_path / "store") == uninterrupted


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_run_goes_on(
    tmp_path: Path,
    recordings: Path,
    start: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
    workers: int,
) -> None:
    process = start(recordings, tmp_path / "store", workers, SLOW="0.005")
    wait_for_parts(process, tmp_path, 2)
    left = children(process) if Path("/proc").is_dir() else []
    process.kill()
    process.communicate(timeout=240)
    deadline = time.monotonic() + 240
    while any(Path(f"/proc/{child}/stat").exists() for child in left):  # no worker outlives its parent
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (tmp_path / "store").exists()

    (tmp_path / ".store.preparing" / "part-000001.half").write_bytes(b"half a part")
    output, errors = (process := start(recordings, tmp_path / "store", workers)).communicate(timeout=240)
    assert process.returncode == 0, errors
    assert int(output.split()[1]) >= 2
    assert content(tmp_path / "store") == uninterrupted
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_run_does_not_go_on_from_other_files(tmp_path: Path) -> None:
    source, work = tmp_path / "in", tmp_path / ".store.preparing"
    path = write_clip(source, "a01_s01_e01_v01")
    work.mkdir()
    (work / "files.txt").write_text("of other files")
    (work / "part-000000.npz").write_bytes(b"not a part")
    (work / "store").mkdir()
    prepare(known_set("nw-ucla"), source, tmp_path / "store", progress=False)
    sequence = Store.open(tmp_path / "store").sequence(0)
    np.testing.assert_array_equal(sequence.positions[:, 0], np.float32(json.loads(path.read_text())["skeletons"]))


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c(
    tmp_path: Path,
    recordings: Path,
    start: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
    workers: int,
) -> None:
    process = start(recordings, tmp_path / "store", workers, SLOW="0.005")
    wait_for_parts(process, tmp_path, 2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=240)
    assert process.returncode != 0
    assert "of 6 parts are kept, and the same command goes on from there." in errors.splitlines()[-1]
    assert errors.count("Traceback") == 1  # the workers say nothing
    assert not (tmp_path / "store").exists()

    output, errors = (process := start(recordings, tmp_path / "store", workers)).communicate(timeout=240)
    assert process.returncode == 0, errors
    assert int(output.split()[1]) >= 2
    assert content(tmp_path / "store") == uninterrupted


# The first limit meets the parts, the second one the store that they are joined into.
@pytest.mark.parametrize(("limit", "kept"), [(4096, 0), (90_000, 6)])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk(
    tmp_path: Path,
    recordings: Path,
    start: Callable[..., subprocess.Popen[str]],
    uninterrupted: dict[str, bytes],
    workers: int,
    limit: int,
    kept: int,
) -> None:
    _, errors = (process := start(recordings, tmp_path / "store", workers, LIMIT=str(limit))).communicate(timeout=240)
    assert process.returncode == 1
    last = errors.strip().splitlines()[-1]
    assert last.startswith(f"OSError: cannot write '{tmp_path / 'store'}': the disk")
    assert "is full" in last
    assert not (tmp_path / "store").exists()
    assert not list(tmp_path.glob(".store.preparing/*.half"))

    output, errors = (process := start(recordings, tmp_path / "store", workers)).communicate(timeout=240)
    assert process.returncode == 0, errors
    assert output.startswith(f"reused {kept} of 6 parts")
    assert content(tmp_path / "store") == uninterrupted


def test_no_permission(tmp_path: Path) -> None:
    write_clip(tmp_path / "in", "a01_s01_e01_v01")
    place = tmp_path / "locked"
    place.mkdir(mode=0o555)
    if os.geteuid() == 0:
        place = Path("/sys")  # permission bits are nothing to root, but nobody makes folders here
    with pytest.raises(OSError, match=r"cannot write '.*/store': no permission to write there; give another folder\.$"):
        prepare(known_set("nw-ucla"), tmp_path / "in", place / "store", progress=False)


def test_two_runs_at_once(
    tmp_path: Path, recordings: Path, start: Callable[..., subprocess.Popen[str]], uninterrupted: dict[str, bytes]
) -> None:
    process = start(recordings, tmp_path / "store", SLOW="0.005")
    wait_for_parts(process, tmp_path, 1)
    with pytest.raises(BlockingIOError, match=r"another run is preparing '.*store'; wait for it"):
        prepare(known_set("nw-ucla"), recordings, tmp_path / "store", progress=False)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert content(tmp_path / "store") == uninterrupted
