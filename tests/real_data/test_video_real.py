"""The pose step of mediapipe on four real clips, from the file to the answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.datasets.known.kth import Kth
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.stgcn import STGCN, best
from bonegraph.pose.recording import film
from bonegraph.read.video import Video
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms
from bonegraph.viz.annotated import write_annotated

pytest.importorskip("mediapipe", reason="the pose step needs mediapipe, which is not installed")
from bonegraph.pose.mediapipe_pose import MediaPipePose

# What was seen with mediapipe 0.10.14 is 100, 98, 55 and 100 % (an animated skateboarder, often seen from behind).
RATES = {"clean_and_jerk.mp4": 0.95, "exercise.avi": 0.9, "skateboarding.mp4": 0.35, "ta_chi.mp4": 0.95}


@pytest.fixture(scope="module")
def videos(shared: Path) -> Path:
    folder = shared / "data" / "video"
    if not folder.is_dir():
        pytest.skip(f"needs real videos, but there is no folder '{folder}'")
    return folder


@pytest.mark.parametrize("name", RATES)
def test_one_person(videos: Path, tmp_path: Path, name: str) -> None:
    video = Video(videos / name, fps=10)
    found = film(video, MediaPipePose())
    assert found.detection_rate > RATES[name] - 0.1
    assert found.notes == ()
    assert found.world is not None
    there = found.world.positions[found.world.present]
    # Up is up and left is left in the axes of a Kinect camera: the toes point forwards.
    number = found.world.skeleton.index
    up = there[:, number("left shoulder")] - there[:, number("left hip")]
    left = there[:, number("left shoulder")] - there[:, number("right shoulder")]
    forwards = there[:, number("left big toe")] - there[:, number("left heel")]
    assert up[:, 1].mean() > 0.2
    assert np.mean(np.einsum("td,td->t", np.cross(left, up), forwards) > 0) > 0.8
    write_annotated(tmp_path / f"{Path(name).stem}.mp4", video, found.image, [name])
    assert (tmp_path / f"{Path(name).stem}.mp4").stat().st_size > 10_000


def test_several_people_are_followed(videos: Path) -> None:
    found = film(Video(videos / "exercise.avi"), MediaPipePose(people=3), people=3).image  # three people, who stay
    assert found.num_people >= 2
    present = found.present.mean(axis=0)
    assert np.sort(present)[-2:].min() > 0.8  # 99 and 95 % of the frames; the third is found from second 13 on
    places = np.array([found.positions[found.present[:, one], one, 0, 0].mean() for one in range(found.num_people)])
    assert np.abs(np.subtract.outer(places, places))[np.triu_indices(len(places), 1)].min() > 20


@pytest.mark.parametrize(("name", "part"), [("clean_and_jerk.mp4", 0.95), ("skateboarding.mp4", 0.8)])
def test_one_person_is_one_even_if_two_are_asked_for(videos: Path, name: str, part: float) -> None:
    """He is found upside down for some frames, and twice in others; 100 and 93 % were seen."""
    found = film(Video(videos / name, fps=10), MediaPipePose(people=2), people=2)
    assert found.image.num_people == 1
    assert found.detection_rate > part


def test_kth_from_a_video(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "kth").mkdir()
    shutil.copy(videos / "ta_chi.mp4", tmp_path / "kth" / "person01_boxing_d1_uncomp.avi")  # read by what is in it
    prepare(Kth(), tmp_path / "kth", tmp_path / "store", workers=1, progress=False)
    store = Store.open(tmp_path / "store")
    assert "poses='mediapipe'" in store.card.made["settings"]
    clip = store.sequence(store.find("person01_boxing_d1"))
    assert (clip.skeleton.name, clip.fps, clip.num_people) == ("openpose25", 25.0, 1)
    assert clip.num_frames == pytest.approx(10 * 25, abs=2) and clip.present.mean() > 0.9
    number, there = clip.skeleton.index, clip.positions[clip.present]
    assert (there[:, number("neck"), 1] < there[:, number("pelvis"), 1]).mean() > 0.99  # y is down
    unseen = [name for joint, name in enumerate(clip.skeleton.joints) if not clip.visible[..., joint].any()]
    assert unseen == ["left small toe", "right small toe"]


def test_recognise_a_video(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCN(best(), SKELETONS["ucla20"], 3).eval()
    length = Length("uniform", 32, 1)
    meaning = Meaning(SKELETONS["ucla20"], ("a", "b", "c"), Transforms("joint", "frame"), length, 1, 10.0, "m")
    checkpoint = save_checkpoint(tmp_path / "model.safetensors", model, meaning)
    seen = tmp_path / "seen.mp4"
    arguments = [str(checkpoint), str(videos / "ta_chi.mp4"), "--annotated", str(seen), "--progress", "false"]
    assert main(["recognise", *arguments]) == 0
    out, err = capsys.readouterr()
    *segments, drawn = out.splitlines()  # ten seconds are longer than a window
    assert segments and all(line.startswith("person 1") for line in segments) and drawn == f"drawn: {seen}"
    assert "converted mediapipe33 -> ucla20" in err and "in m" in err
    assert sum(1 for _ in Video(seen)) == 100
