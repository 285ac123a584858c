"""A data set on another skeleton: the joints of each name, in the other order."""

from pathlib import Path

import numpy as np
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.known.converted import OnSkeleton
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.skeleton import SKELETONS, Skeleton

SMALL = Synthetic(subjects=4, replications=1)


@pytest.mark.parametrize("name", ["ucla20", "sbu15"])
def test_every_clip_is_the_clip_on_the_other_skeleton(name: str, tmp_path: Path) -> None:
    target = SKELETONS[name]
    report = prepare(OnSkeleton(SMALL, target), None, tmp_path / "store", workers=1, progress=False)
    store = Store.open(tmp_path / "store")
    assert store.skeleton == target and report.clips == len(SMALL.find())
    assert f"skeleton='{name}'" in store.card.made["settings"] and store.card.splits == Synthetic.splits
    for source in SMALL.find()[::50]:
        ours, (theirs, how) = store.sequence(store.find(source.id)), SMALL.read(source).to_skeleton(target)
        np.testing.assert_array_equal(ours.positions, theirs.positions)
        np.testing.assert_array_equal(ours.visible, theirs.visible)
        assert how.missing == ()
    again = prepare(OnSkeleton(Synthetic(subjects=4, replications=1), target), None, tmp_path / "store", workers=1)
    assert again.already_done


def test_joints_that_are_not_there_are_never_seen(tmp_path: Path) -> None:
    target = Skeleton("odd", ("head", "tail", "left hand"), (0, 0, 0), (0, 1, 2))
    prepare(OnSkeleton(SMALL, target), None, tmp_path / "store", workers=1, progress=False)
    store = Store.open(tmp_path / "store")
    seen = store.sequence(0).visible
    assert seen[..., 0].any() and seen[..., 2].any() and not seen[..., 1].any()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = ["prepare", "synthetic", str(tmp_path / "store"), "--subjects", "4", "--replications", "1", "--to_skeleton"]
    assert main([*start, "ucla21"]) == 2
    assert "no skeleton 'ucla21'; did you mean 'ucla20'" in capsys.readouterr().err
    (tmp_path / "none.yaml").write_text("name: none\njoints: [tail]\nparents: [tail]\n")
    assert main([*start, str(tmp_path / "none.yaml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main([*start, "ucla20", "--workers", "1", "--progress", "false"]) == 0
    assert Store.open(tmp_path / "store").skeleton == SKELETONS["ucla20"]
