"""Folders of films become stores; films get answers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.datasets.known.video import VideoSet
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.inference.films import film_for
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.stgcn import STGCN, best
from bonegraph.pose.estimator import PoseEstimator
from bonegraph.read.video import Video
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

from . import films


class DotsSet(VideoSet):
    """Videos of coloured dots."""

    def estimator(self) -> PoseEstimator:
        return films.Dots()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of five films, one of nobody, and one that is none."""
    root = tmp_path_factory.mktemp("films")
    for action, pace in (("walk", 3), ("stand", 0)):
        (root / action).mkdir()
        for number in range(5):
            frames = [films.drawn(films.stick(50 + number + pace * k, 80)[None], 160, 128) for k in range(8)]
            films.write(root / action / f"{number}.mp4", frames)
    films.write(root / "walk" / "nobody.mp4", [np.full((64, 64, 3), 16, np.uint8)] * 4)
    (root / "walk" / "broken.mp4").write_bytes(b"no film")
    return root


def test_class_folders_become_a_store(folder: Path, tmp_path: Path) -> None:
    report = prepare(DotsSet(fps=25), folder, tmp_path / "store", workers=1, progress=False)
    assert report.clips == 10 and report.parts == 12
    assert {problem.file: problem.reason[:9] for problem in report.problems} == {
        "walk/broken.mp4": "'broken.m",
        "walk/nobody.mp4": "nobody is",
    }
    store = Store.open(tmp_path / "store")
    assert (store.card.classes, store.card.unit, store.card.fps) == (("stand", "walk"), "px", 25)
    parts = [len(store.part("random", part)) for part in ("train", "val", "test")]
    assert sum(parts) == 10 and min(parts) >= 1
    walk = store.sequence(store.find("walk/2"))
    assert np.abs(walk.positions[:, 0] - [films.stick(52 + 3 * k, 80) for k in range(8)]).max() < 1.5
    assert prepare(DotsSet(fps=25), folder, tmp_path / "store", progress=False).already_done


def test_subjects_and_parts_of_a_table(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "films")
    lines = [f"{action}/{number}.mp4,{action},{number}" for action in ("walk", "stand") for number in range(5)]
    (tmp_path / "films" / "labels.csv").write_text("\n".join(["file,label,subject", *lines]))
    known = DotsSet(space="world", people=2, resize="160x128")
    sources = known.find(tmp_path / "films")
    assert known.splits["xsub"].parts == {"train": (0, 1, 2), "val": (3,), "test": (4,)}
    assert sorted(source.id for source in sources if source.refused) == ["walk/broken", "walk/nobody"]
    assert known.read(sources[0]).positions.shape[-1] == 3 and known.unit == "m"
    lines = [f"{line},{'test' if line[-1] == '4' else 'train'}" for line in lines]
    (tmp_path / "films" / "labels.csv").write_text("\n".join(["file,label,who,part", *lines]))
    known.find(tmp_path / "films")
    assert known.splits.keys() == {"given"}


def test_random_parts_depend_on_the_seed_only(folder: Path) -> None:
    first, again, other = (
        {source.id: source.facts["random"] for source in DotsSet(seed=seed).find(folder)} for seed in (0, 0, 1)
    )
    assert first == again != other


def test_settings_that_make_no_sense() -> None:
    for settings, words in (({"resize": "3x"}, "WIDTHxHEIGHT"), ({"space": "moon"}, "space"), ({"fps": 0.0}, "rate")):
        with pytest.raises(ValueError, match=words):
            DotsSet(**settings)


def recogniser(skeleton: Skeleton, channels: int, unit: str) -> Recogniser:
    config = replace(best(), in_channels=channels, widths=(8, 8), strides=(1, 1))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCN(config, skeleton, 2).eval()
    meaning = Meaning(skeleton, ("stand", "walk"), Transforms("joint", "frame"), Length("uniform", 8, 1), 1, 25.0, unit)
    return Recogniser(model, meaning)


@pytest.mark.parametrize("channels, unit", [(2, "px"), (2, "normalised"), (3, "m")])
def test_a_film_in_the_coordinates_of_a_checkpoint(folder: Path, channels: int, unit: str) -> None:
    recognise = recogniser(films.STICK, channels, unit)
    found, sequence = film_for(recognise, Video(folder / "walk" / "0.mp4"), films.Dots())
    assert (sequence.unit, sequence.positions.shape[-1]) == (unit, channels)
    if unit == "normalised":
        np.testing.assert_allclose(sequence.positions * [160, 128], found.image.positions, rtol=1e-5)
    assert sum(answer.probability for answer in recognise(sequence)) == pytest.approx(1)


def test_missing_joints_are_named_before_anything_takes_time(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"'stick4' has no .*left wrist"):
        film_for(recogniser(SKELETONS["coco17"], 2, "px"), Video(folder / "walk" / "0.mp4"), films.Dots())


def test_recognise_on_films_that_cannot_be(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mediapipe", reason="the pose step needs mediapipe")
    recognise = recogniser(SKELETONS["ucla20"], 3, "m")
    path = str(save_checkpoint(tmp_path / "model.safetensors", recognise.model, recognise.meaning))
    for arguments, words in (
        ([str(folder / "walk" / "nobody.mp4"), "--progress", "false"], "nobody is found"),
        ([str(folder / "walk" / "broken.mp4")], "cannot be opened as a video"),
        ([str(tmp_path / "absent.mp4")], "no file"),
        ([str(folder / "walk" / "0.mp4"), "--annotated", str(folder / "walk" / "0.mp4")], "the video itself"),
        (["a.json", "--resize", "340x256"], "--resize is for videos"),
    ):
        assert main(["recognise", path, *arguments]) != 0
        error = capsys.readouterr().err
        assert words in error and len(error.strip().splitlines()) == 1, error
