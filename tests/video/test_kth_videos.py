"""KTH from its videos: drawn ones here, people in them found by a stub; ``tests/real_data`` has a real one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.known.kth import Kth
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.pose.estimator import PoseEstimator
from bonegraph.pose.mediapipe_pose import mediapipe_for
from bonegraph.skeleton import SKELETONS

from . import films


class DotsKth(Kth):
    """KTH played by coloured dots."""

    def estimator(self) -> PoseEstimator:
        return films.Dots()


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Three of KTH's, one of somebody else's, and one that is none."""
    folder = tmp_path / "kth"
    folder.mkdir()
    for name in ("person01_boxing_d1_uncomp", "person20_walking_d4_uncomp", "person03_jogging_d2_uncomp", "holidays"):
        frames = [films.drawn(films.stick(50 + 2 * k, 60)[None], 160, 120) for k in range(10)]
        films.write(folder / f"{name}.avi", frames, codec="mpeg4")
    (folder / "person02_running_d3_uncomp.avi").write_bytes(b"no film")
    return folder


def test_videos_become_a_store(videos: Path, tmp_path: Path) -> None:
    report = prepare(DotsKth(), videos, tmp_path / "store", workers=1, progress=False)
    assert (report.clips, report.parts) == (3, 4)  # each video is kept as soon as it is done
    reasons = {problem.id: problem.reason for problem in report.problems}
    assert "cannot be opened as a video" in reasons["person02_running_d3"]
    assert "none of the 6 classes" in reasons["holidays"]
    store = Store.open(tmp_path / "store")
    assert store.card.made["settings"] == "people=1, poses='dots', seed=0"
    assert (store.card.skeleton.name, store.card.unit, store.card.fps) == ("openpose25", "px", 25.0)
    clip = store.sequence(store.find("person20_walking_d4"))
    assert clip.positions.shape == (10, 1, 25, 2)
    pelvis, wrist = (SKELETONS["openpose25"].index(name) for name in ("pelvis", "left wrist"))
    assert np.abs(clip.positions[:, 0, pelvis] - [(50 + 2 * k, 60) for k in range(10)]).max() < 1.5
    assert clip.visible[..., pelvis].all() and not clip.visible[..., wrist].any()
    assert prepare(DotsKth(), videos, tmp_path / "store", progress=False).already_done


def test_poses_of_openpose_go_before_the_video(videos: Path) -> None:
    folder = videos / "person01_boxing_d1_uncomp"
    folder.mkdir()
    frame = {"people": [{"pose_keypoints_2d": [50.0, 60.0, 0.5] * 25}]}
    (folder / "a_000000000000_keypoints.json").write_text(json.dumps(frame))
    known = DotsKth()
    sources = {source.id: source for source in known.find(videos)}
    assert len(sources) == 5 and known.poses == "openpose and dots" and known.clips_at_once() == 1
    assert known.read(sources["person01_boxing_d1"]).num_frames == 1
    assert known.read(sources["person20_walking_d4"]).num_frames == 10


def test_a_store_of_other_poses_is_another(videos: Path, tmp_path: Path) -> None:
    class Other(films.Dots):
        name = "others"

    class OtherKth(DotsKth):
        def estimator(self) -> PoseEstimator:
            return Other()

    prepare(DotsKth(), videos, tmp_path / "store", workers=1, progress=False)
    with pytest.raises(FileExistsError, match="from other files or settings"):
        prepare(OtherKth(), videos, tmp_path / "store", progress=False)


def test_what_is_not_installed_is_said_once(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    mediapipe_for.cache_clear()
    assert main(["prepare", "kth", str(tmp_path / "store"), "--source", str(videos)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "needs mediapipe, which is not installed" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kth"]
