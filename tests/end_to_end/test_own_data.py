"""From a folder of one's own recordings to an answer: the walk of a newcomer, in every format that needs no film."""

from __future__ import annotations

import csv
import json
import pickle
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import yaml

from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.datasets.writer import StoreWriter
from bonegraph.models import stgcn
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.stgcn import STGCN
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.training.recipes import recipe
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

from .runs import command

ACTIONS = ("sit down", "circle arm forward")
CLIPS = 6  # of each action, the last of which is not trained on


@pytest.fixture(scope="module")
def clips() -> dict[str, list[Sequence]]:
    """Six clips of each of two actions, every third frame."""
    people = Synthetic(subjects=6, replications=1)
    found: dict[str, list[Sequence]] = {action: [] for action in ACTIONS}
    for source in people.find():
        action = people.classes[source.label]
        if action in found and source.facts["camera"] == 1 and len(found[action]) < CLIPS:
            whole = people.read(source)
            found[action].append(Sequence(whole.positions[::3], whole.present[::3], whole.skeleton, 10.0, "m"))
    return found


def write_csv(path: Path, clip: Sequence) -> Path:
    path = path.with_suffix(".csv")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([f"{joint} {axis}" for joint in clip.skeleton.joints for axis in "xyz"])
        rows.writerows(clip.positions[:, 0].reshape(clip.num_frames, -1).round(4).tolist())
    return path


def in_picture(clip: Sequence, skeleton: str) -> tuple[np.ndarray, np.ndarray]:
    """(T, V, 2) in pixels of a picture of 640 x 480 and (T, V) who is seen, from the front."""
    on, _ = clip.to_skeleton(SKELETONS[skeleton])
    return on.positions[:, 0, :, :2] * (150, -150) + (320, 240), on.visible[:, 0]


def write_openpose(path: Path, clip: Sequence) -> Path:
    path.mkdir()
    for number, (points, seen) in enumerate(zip(*in_picture(clip, "openpose25"), strict=True)):
        pose = np.where(seen[:, None], np.concatenate([points, np.full((25, 1), 0.9)], axis=1), 0)
        frame = {"version": 1.3, "people": [{"pose_keypoints_2d": pose.ravel().round(2).tolist()}]}
        (path / f"{path.name}_{number:012}_keypoints.json").write_text(json.dumps(frame))
    return path


def write_mediapipe(path: Path, clip: Sequence) -> Path:
    path = path.with_suffix(".json")
    frames = []
    for points, seen in zip(*in_picture(clip, "mediapipe33"), strict=True):
        marks = [
            {"x": x / 640, "y": y / 480, "z": 0.0, "visibility": 0.9} if there else None
            for (x, y), there in zip(points.tolist(), seen, strict=True)
        ]
        frames.append({"landmarks": [marks]})
    path.write_text(json.dumps(frames))
    return path


class Walk(NamedTuple):
    """What a newcomer has, and what comes of it."""

    write: Callable[[Path, Sequence], Path]
    format: str
    skeleton: str
    unit: str
    channels: int


WALKS = (
    Walk(write_csv, "csv", "ntu25", "m", 3),
    Walk(write_openpose, "openpose", "openpose25", "px", 2),
    Walk(write_mediapipe, "mediapipe", "mediapipe33", "normalised", 2),
)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.format)
def test_three_commands(tmp_path: Path, clips: dict[str, list[Sequence]], walk: Walk) -> None:
    held = []
    for action in ACTIONS:
        (tmp_path / "mine" / action).mkdir(parents=True)
        (tmp_path / "new" / action).mkdir(parents=True)
        for number, clip in enumerate(clips[action]):
            place = tmp_path / ("new" if number == CLIPS - 1 else "mine") / action / f"{number}"
            path = walk.write(place, clip)
        held.append((path, action))
    data, run = tmp_path / "data", tmp_path / "run"
    ended = command(["prepare", str(tmp_path / "mine"), str(data), "--progress", "false"], tmp_path)
    assert ended.code == 0 and f"format {walk.format}: 10 " in ended.errors, ended.errors
    assert "2 classes from the folders (--labels)" in ended.errors
    store = Store.open(data)
    assert (store.skeleton.name, store.unit, len(store)) == (walk.skeleton, walk.unit, 10)
    assert [len(store.part("random", part)) for part in ("train", "val", "test")] == [6, 2, 2]
    small = "--epochs 30 --validate_every 30 --model.widths [16,32] --model.strides [1,2] --accelerator cpu"
    ended = command(
        ["fit", "own", "--data", str(data), "--run", str(run), "--progress", "false", *small.split()], tmp_path
    )
    assert ended.code == 0, ended.errors
    assert yaml.safe_load((run / "config.yaml").read_text())["model"]["in_channels"] == walk.channels
    for path, action in held:
        ended = command(["recognise", str(run), str(path)], tmp_path)
        assert ended.code == 0 and ended.errors.split("%  ")[1].splitlines()[0] == action, ended.errors


def test_pickles_get_a_split_by_chance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keypoint = np.random.default_rng(0).normal(size=(1, 4, 25, 3))
    clips = [{"frame_dir": f"c{n}", "label": n % 2, "keypoint": keypoint} for n in range(10)]
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(clips))
    assert main(["prepare", str(tmp_path / "mine.pkl"), str(tmp_path / "data"), "--progress", "false"]) == 0
    out, err = capsys.readouterr()
    assert "10 clips" in out and "format pickle" in err and "skeleton ntu25 by the number of joints" in err
    assert list(Store.open(tmp_path / "data").splits) == ["random"]


def test_refused_files_are_told_with_their_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in" / "a").mkdir(parents=True)
    for number in range(5):
        (tmp_path / "in" / "a" / f"bad{number}.csv").write_text("x0,y0,z0\n1,2\n")
    write_csv(tmp_path / "in" / "a" / "good", Synthetic().read(Synthetic().find()[0]))
    assert main(["prepare", str(tmp_path / "in"), str(tmp_path / "data"), "--progress", "false"]) == 0
    out, err = capsys.readouterr()
    assert "1 clips, 5 files refused (see problems.csv)" in out
    refused = [line for line in err.splitlines() if line.startswith("refused: ")]
    assert refused[0].startswith("refused: 'a/bad0.csv': 'bad0.csv' row 1 has 2 fields")
    assert len(refused) == 4 and "2 more, see" in refused[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("tabels OUT", "no data set 'tabels'; did you mean 'table'"),
        ("IN OUT --format cvs", "no format 'cvs'; did you mean 'csv'"),
        ("IN OUT --format csv --space world", "--space belongs to video, mediapipe, not to 'csv'"),
        (
            "IN OUT --format mediapipe --unit m",
            "--unit belongs to csv, npy, pickle, arrays, ctrgcn, annotations, table",
        ),
        ("IN OUT --resize=3x4", "--resize belongs to video, not to 'csv'"),
        ("IN OUT --source IN", "--source"),
        ("nw-ucla OUT --source IN --people 3", "--people belongs to video, openpose, mediapipe"),
        ("nw-ucla OUT --source IN --format csv", "--format is for a folder of your own"),
        ("IN OUT --labels none.csv", "no table of labels 'none.csv'"),
        ("IN OUT --skeleton ucla20", "'ucla20' has no joint 'neck'"),
        ("IN OUT --format openpose", "holds no *_keypoints.json"),
        ("IN IN/data", "would lie among the files"),
        ("EMPTY OUT", "holds no recordings of a known format"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "IN" / "a").mkdir(parents=True)
    write_csv(tmp_path / "IN" / "a" / "clip", Synthetic().read(Synthetic().find()[0]))
    assert main(["prepare", *shlex.split(arguments), "--progress", "false"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(lines) == 1 and message in lines[0], lines
    assert not (tmp_path / "OUT").exists()


def test_help_of_a_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["prepare", str(tmp_path), "OUT", "--format", "openpose", "--help"])
    assert stop.value.code == 0
    options = capsys.readouterr().out.split("\noptions:")[1]
    assert all(option in options for option in ("--people", "--labels", "--skeleton"))
    assert "--space" not in options and "--source" not in options


def test_a_folder_called_like_a_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "video" / "a").mkdir(parents=True)
    write_csv(tmp_path / "video" / "a" / "clip", Synthetic().read(Synthetic().find()[0]))
    assert main(["prepare", "video", "data"]) == 2
    assert "(or prepare ./video, if the folder here is meant)" in capsys.readouterr().err
    assert main(["prepare", "./video", "data", "--progress", "false"]) == 0


# Other skeletons


def test_a_skeleton_that_the_files_have_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Formats with a skeleton of their own are converted, which is said."""
    clip = Synthetic().read(Synthetic().find()[0])
    (tmp_path / "in" / "a").mkdir(parents=True)
    write_mediapipe(tmp_path / "in" / "a" / "clip", clip)
    arguments = ["prepare", str(tmp_path / "in"), str(tmp_path / "data"), "--progress", "false"]
    assert main([*arguments, "--skeleton", "coco17"]) == 0
    assert "converted mediapipe33 -> coco17: missing: none; derived: none" in capsys.readouterr().err
    assert Store.open(tmp_path / "data").skeleton == SKELETONS["coco17"]


def checkpoint(path: Path, skeleton: str, coordinates: int) -> Path:
    """A network of chance."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCN(stgcn.Config(coordinates, widths=(8,), strides=(1,)), SKELETONS[skeleton], 2).eval()
    unit = "m" if coordinates == 3 else "px"
    meaning = Meaning(SKELETONS[skeleton], ("a", "b"), Transforms(), Length("uniform", 8), 0, 30.0, unit)
    return save_checkpoint(path, model, meaning)


@pytest.mark.parametrize(
    ("walk", "skeleton", "said"),
    [
        (WALKS[0], "ucla20", "converted ntu25 -> ucla20: missing: none"),
        (WALKS[0], "coco17", "'ntu25' has no left eye, right eye, left ear, right ear, which the checkpoint"),
        (WALKS[1], "openpose18", "converted openpose25 -> openpose18: missing: none"),
        (WALKS[1], "mediapipe33", "'openpose25' has no left inner eye, left outer eye"),
        (WALKS[2], "coco17", "converted mediapipe33 -> coco17: missing: none"),
        (WALKS[2], "openpose25", "'mediapipe33' has no left small toe, right small toe, which the checkpoint"),
    ],
    ids=lambda value: getattr(value, "format", None),
)
def test_a_recording_on_another_skeleton(
    tmp_path: Path,
    clips: dict[str, list[Sequence]],
    capsys: pytest.CaptureFixture[str],
    walk: Walk,
    skeleton: str,
    said: str,
) -> None:
    recording = walk.write(tmp_path / "clip", clips["sit down"][0])
    model = checkpoint(tmp_path / "model.safetensors", skeleton, walk.channels)
    status = main(["recognise", str(model), str(recording)])
    out, err = capsys.readouterr()
    assert said in err and len([line for line in err.splitlines() if not line.startswith("note: ")]) == 1
    assert (status, len(out.splitlines())) == ((0, 2) if said.startswith("converted") else (2, 0))


def test_landmarks_of_the_world_for_a_checkpoint_in_metres(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pose = np.random.default_rng(0).random((4, 33, 4)).tolist()
    (tmp_path / "clip.json").write_text(json.dumps([{"landmarks": [p], "worldLandmarks": [p]} for p in pose]))
    for coordinates in (2, 3):
        model = checkpoint(tmp_path / f"{coordinates}.safetensors", "coco17", coordinates)
        assert main(["recognise", str(model), str(tmp_path / "clip.json")]) == 0
    assert capsys.readouterr().err.count("converted mediapipe33 -> coco17") == 2


def test_a_store_on_another_skeleton(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither scored nor trained on from its weights; as many joints in another order would go unnoticed."""
    store = store_of(tmp_path / "data", 10)
    for skeleton, said in (
        ("openpose18", "prepare the recordings again with --to_skeleton openpose18 (or its .yaml file)"),
        ("mediapipe33", "it cannot be converted, as 'coco17' has no left inner eye"),
    ):
        model = checkpoint(tmp_path / f"{skeleton}.safetensors", skeleton, 2)
        assert main(["evaluate", str(model), "--data", str(store.folder), "--split", "random"]) == 2
        assert said in (line := capsys.readouterr().err) and len(line.splitlines()) == 1
        arguments = ["fit", "own", "--data", str(store.folder), "--run", str(tmp_path / "run"), "--start", str(model)]
        assert main([*arguments, "--accelerator", "cpu", "--progress", "false"]) == 2
        assert said in (line := capsys.readouterr().err) and len(line.splitlines()) == 1


# The recipe


def store_of(
    folder: Path, clips: int, coordinates: int = 2, people: int = 1, frames: int = 5, parts: tuple[str, ...] = ()
) -> Store:
    parts = parts or tuple("train" if number % 5 else "test" for number in range(clips))
    card = Card(
        "mine",
        SKELETONS["coco17"],
        "px",
        25.0,
        ("a", "b"),
        {"random": "str"},
        {"random": Split("random", {part: (part,) for part in ("train", "test")})},
    )
    with StoreWriter(folder, card) as writer:
        for number in range(clips):
            positions = np.random.default_rng(number).random((frames, people, 17, coordinates)).astype(np.float32)
            present = np.ones((frames, people), bool)
            sequence = Sequence(positions, present, SKELETONS["coco17"], 25.0, "px")
            writer.append(f"c{number}", number % 2, {"random": parts[number]}, sequence)
        writer.finish()
    return Store.open(folder)


def test_the_recipe_follows_the_store(tmp_path: Path) -> None:
    few = recipe("own", store_of(tmp_path / "few", 10))
    assert (few.split, few.batch_size, few.length.frames, few.model.in_channels) == ("random", 4, 16, 2)
    assert few.transforms.centre_on == "first-person" and few.transforms.augment.rotation[:2] == (0, 0)
    many = recipe("own", store_of(tmp_path / "many", 200, coordinates=3, people=2, frames=90))
    assert (many.batch_size, many.length.frames, many.model.in_channels) == (16, 64, 3)  # 10 batches of 16
    assert many.transforms.centre_on == "people" and many.epochs < few.epochs
    assert recipe("own").recipe == "own"  # and without a store
    stream = recipe("own-stream", store_of(tmp_path / "stream", 10, frames=90))
    assert (stream.recipe, stream.length, stream.split) == ("own-stream", Length("fragment", 96), "random")
    assert (stream.transforms.scale, stream.transforms.centre) == ("none", "frame")


def test_what_no_recipe_can_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store_of(tmp_path / "one", 4, parts=("train", "test", "train", "test"))
    for data, message in ((tmp_path / "one", "shows only 'a'; an action is told from others"),):
        assert main(["fit", "own", "--data", str(data), "--run", str(tmp_path / "run")]) == 2
        assert message in capsys.readouterr().err
    store_of(tmp_path / "none", 4, parts=("test",) * 4)
    assert main(["fit", "own", f"--data={tmp_path / 'none'}", "--run", str(tmp_path / "run")]) == 2
    assert "no split with clips to train on" in capsys.readouterr().err
    assert main(["fit", "own", "--data", str(tmp_path / "absent"), "--run", str(tmp_path / "run")]) == 2
    assert "prepare a data set there first" in capsys.readouterr().err
