"""``bonegraph prepare`` on the files of other tools and on one's own, from the command line to the store."""

from __future__ import annotations

import csv
import json
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.known import known_set
from bonegraph.datasets.known.table import TableSet
from bonegraph.datasets.prepare import CLIPS_PER_PART, prepare
from bonegraph.datasets.store import Store

CLIPS = 6
PEOPLE = np.random.default_rng(0).normal(size=(CLIPS, 5, 2, 25, 3)).astype(np.float32)  # (N, T, M, V, C)
PEOPLE[1, :, 1] = 0
LABELS = [number % 3 for number in range(CLIPS)]
TRAINING = 4
CLASSES = ("stand", "walk", "run")


def padded(clips: slice) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.pad(PEOPLE[clips], ((0, 0), (0, 20), (0, 0), (0, 0), (0, 0)))


def write_arrays(folder: Path) -> str:
    for part, clips in (("train", slice(TRAINING)), ("val", slice(TRAINING, None))):
        np.save(folder / f"{part}_data_joint.npy", padded(clips).transpose(0, 4, 1, 3, 2))
        names = [f"c{number}.skeleton" for number in range(CLIPS)][clips]
        (folder / f"{part}_label.pkl").write_bytes(pickle.dumps((names, LABELS[clips])))
    return "."


def write_ctrgcn(folder: Path) -> str:
    np.savez(
        folder / "NTU60_CS.npz",
        x_train=padded(slice(TRAINING)).reshape(TRAINING, 25, -1),
        y_train=np.eye(3)[LABELS[:TRAINING]],
        x_test=padded(slice(TRAINING, None)).reshape(CLIPS - TRAINING, 25, -1),
        y_test=np.eye(3)[LABELS[TRAINING:]],
    )
    return "NTU60_CS.npz"


def write_annotations(folder: Path) -> str:
    names = [f"c{number}" for number in range(CLIPS)]
    clips = [
        {"frame_dir": name, "label": label, "total_frames": 5, "keypoint": people.swapaxes(0, 1)}
        for name, label, people in zip(names, LABELS, PEOPLE, strict=True)
    ]
    split = {"given_train": names[:TRAINING], "given_val": names[TRAINING:]}
    (folder / "ntu60_3danno.pkl").write_bytes(pickle.dumps({"split": split, "annotations": clips}, 4))
    return "ntu60_3danno.pkl"


def write_table(folder: Path) -> str:
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "part"])
        for number, people in enumerate(PEOPLE):
            np.save(folder / f"c{number}.npy", people)
            rows.writerow([f"c{number}.npy", CLASSES[LABELS[number]], "train" if number < TRAINING else "test"])
    return ". --skeleton ntu25"


WRITERS: dict[str, Callable[[Path], str]] = {
    "arrays": write_arrays,
    "ctrgcn": write_ctrgcn,
    "annotations": write_annotations,
    "table": write_table,
}


def store_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    source = tmp_path / "theirs"
    source.mkdir()
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    arguments = WRITERS[name](source)
    monkeypatch.chdir(source)
    command = f"prepare {name} {tmp_path / 'store'} --source {arguments} --classes ../classes.txt --progress false"
    assert main(shlex.split(command)) == 0
    return Store.open(tmp_path / "store")


@pytest.mark.parametrize("name", WRITERS)
def test_one_data_set_in_every_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    store = store_of(name, tmp_path, monkeypatch)
    assert f"{CLIPS} clips" in capsys.readouterr().out
    assert (store.name, store.classes, store.skeleton.name) == (name, CLASSES, "ntu25")
    assert (store.card.unit, store.card.fps, store.card.confidence) == ("m", 30.0, name == "table")
    training, test = store.part("given", "train"), store.part("given", "test")
    assert (len(training), len(test)) == (TRAINING, CLIPS - TRAINING)
    order = [*training.tolist(), *test.tolist()]
    assert store.labels[order].tolist() == LABELS
    assert store.frames[order].tolist() == [5] * CLIPS  # without the padding
    assert store.people[order].tolist() == [2, 1, 2, 2, 2, 2]
    for number, place in enumerate(order):
        people = PEOPLE[number][:, :1] if number == 1 else PEOPLE[number]
        np.testing.assert_array_equal(store.sequence(place).positions, people)
    # Again there is nothing to do, also from the folder of the only file.
    source = tmp_path / "theirs"
    again = ["prepare", name, str(tmp_path / "store"), "--source", str(source), "--classes", "../classes.txt"]
    assert main([*again, *(["--skeleton", "ntu25"] if name == "table" else [])]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_file_and_its_store_may_lie_side_by_side(tmp_path: Path) -> None:
    source = tmp_path / write_ctrgcn(tmp_path)
    report = prepare(known_set("ctrgcn"), source, tmp_path / "store", progress=False)
    card = json.loads((report.folder / "dataset.json").read_text())
    assert card["made"]["settings"] == "fps=30.0"
    with pytest.raises(ValueError, match="would lie among the files"):
        prepare(known_set("ctrgcn"), tmp_path, tmp_path / "other", progress=False)


def test_what_is_refused_is_named_by_the_file(tmp_path: Path) -> None:
    keypoint = PEOPLE[0].swapaxes(0, 1)
    clips = [
        {"frame_dir": "good", "label": 0, "keypoint": keypoint},
        {"frame_dir": "nan", "label": 0, "keypoint": np.full_like(keypoint, np.nan)},
        {"frame_dir": "nobody", "label": 0, "keypoint": np.zeros_like(keypoint)},
        {"frame_dir": "unlabelled", "keypoint": keypoint},
        {"frame_dir": "good", "label": 0, "keypoint": keypoint},
        {"frame_dir": "two\nlines", "label": 0, "keypoint": keypoint},
    ]
    path = tmp_path / "mine.pkl"
    path.write_bytes(pickle.dumps({"annotations": clips, "split": {"train": ["good"], "val": ["gone"]}}))
    report = prepare(known_set("annotations"), path, tmp_path / "store", progress=False)
    assert {problem.file for problem in report.problems} == {"mine.pkl"}
    assert {problem.id: problem.reason.split(";")[0] for problem in report.problems} == {
        "nan": "'nan' holds NaN or infinity, first in frame 0",
        "nobody": "nobody is present in any of its frames.",
        "unlabelled": "it stands for none of the 1 classes (label -1)",
        "good": "the id was there before, from 'mine.pkl', which is kept.",
        "two\nlines": "its name holds characters that cannot be printed",
        "gone": "a split names it, but the file has no such annotation.",
    }
    store = Store.open(report.folder)
    assert store.ids.tolist() == ["good"]
    assert store.column("part").tolist() == ["train"]


def test_facts_of_ones_own(tmp_path: Path) -> None:
    source = tmp_path / "mine"
    source.mkdir()
    for name in "abc":
        np.save(source / f"{name}.npy", PEOPLE[0])
    (source / "labels.csv").write_text(
        'file,label,subject,place,fold\na.npy,walk,1,,train\nb.npy,run,2,"here, there",test\nc.npy,run,3,,\n'
    )
    report = prepare(TableSet("ntu25"), source, tmp_path / "store", progress=False)
    store = Store.open(report.folder)
    assert store.column("subject").tolist() == [1, 2, 3]
    assert store.column("place").tolist() == ["", "here, there", ""]
    assert store.ids[store.part("fold", "train")].tolist() == ["a"]  # a split is named by its column
    assert store.ids[store.part("fold", "test")].tolist() == ["b"]
    assert store.sequence(0).visible.all()


def test_many_workers_share_a_container(tmp_path: Path) -> None:
    count = CLIPS_PER_PART + 6
    names = [f"c{number}" for number in range(count)]
    clips = [{"frame_dir": name, "label": 0, "keypoint": PEOPLE[:1, :, 0]} for name in names]
    path = tmp_path / "many.pkl"
    path.write_bytes(pickle.dumps({"annotations": clips, "split": None}))
    stores = []
    for workers in (1, 2):
        report = prepare(known_set("annotations"), path, tmp_path / f"store{workers}", workers=workers, progress=False)
        assert report.problems == ()
        stores.append({file.name: file.read_bytes() for file in report.folder.iterdir()})
    assert stores[0] == stores[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("annotations OUT --source HOSTILE.pkl", "asks for 'posix.system'"),
        ("annotations OUT --source NOWHERE.pkl", "no folder 'NOWHERE.pkl'; get the annotation file"),
        ("annotations OUT", "needs --source"),
        ("ctrgcn OUT --source HOSTILE.pkl", "is no .npz archive"),
        ("arrays OUT --source HOSTILE.pkl", "give such a file, or the folder"),
        ("arrays OUT --source EMPTY", "holds no *_data_joint.npy or *_data.npy"),
        ("table OUT --source EMPTY", "holds no *.csv or *.npy"),
        ("table OUT --source EMPTY --skeleton nut25", "no skeleton 'nut25'; did you mean 'ntu25'"),
        ("table OUT --source EMPTY --unit mm", "unit"),
        ("table OUT --source EMPTY --fps 0", "frame rate must be above 0"),
        ("table OUT --source EMPTY --classes NOWHERE.txt", "one class name a line"),
        ("kinetics-skeleton OUT --source EMPTY", "holds no kinetics_train or kinetics_val"),
        ("kinetics-skeleton OUT --source EMPTY --people two", "people"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "HOSTILE.pkl").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    assert main(["prepare", *shlex.split(arguments)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["EMPTY", "HOSTILE.pkl"]
