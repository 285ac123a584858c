"""Pictures of skeletons and partitions: complete, legible, without global state, written whole or not at all."""

import sys
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from matplotlib.figure import Figure

from bonegraph.graph import Strategy, partition
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.viz.graphs import draw_all_partitions, draw_partition, draw_skeleton, rest_pose, subset_names

SPIDER = Skeleton("spider", ("body", "leg 1", "toe 1", "leg 2", "toe 2"), (0, 0, 1, 0, 3), (0, 3, 4, 1, 2))


def texts(figure: Figure) -> set[str]:
    axes = figure.axes
    legends = [legend for ax in axes if (legend := ax.get_legend()) is not None]
    written = [text.get_text() for ax in axes for text in ax.texts]
    return {*written, *(ax.get_title() for ax in axes), *(t.get_text() for legend in legends for t in legend.texts)}


@pytest.mark.parametrize("body", [*SKELETONS.values(), SPIDER], ids=lambda body: body.name)
def test_rest_pose_keeps_joints_apart(body: Skeleton) -> None:
    places = rest_pose(body)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + np.eye(body.num_joints)
    assert places.shape == (body.num_joints, 2)
    assert gaps.min() > 0.05


@pytest.mark.parametrize("name", SKELETONS)
def test_rest_pose_is_a_person_who_looks_at_us(name: str) -> None:
    body = SKELETONS[name]
    places = rest_pose(body)
    np.testing.assert_array_equal(places[list(body.mirror)], places * (-1, 1))
    left = [joint for joint, text in enumerate(body.joints) if text.startswith("left")]
    assert (places[left, 0] > 0).all()
    assert places[body.index("left shoulder"), 1] > places[body.index("left hip"), 1]


def test_a_tree_is_drawn_for_other_names() -> None:
    places = rest_pose(SPIDER)
    np.testing.assert_array_equal(places[:, 1], [0, -1, -2, -1, -2])
    assert places[0, 0] == places[[1, 3], 0].mean()


def test_draw_skeleton_names_every_joint() -> None:
    body = SKELETONS["ntu25"]
    written = texts(draw_skeleton(body))
    assert {f"{number} {joint}" for number, joint in enumerate(body.joints)} <= written
    assert {"left", "right", "midline", "centre", "ntu25: 25 joints"} <= written
    assert {str(number) for number in range(25)} <= texts(draw_skeleton(body, names=False))


@pytest.mark.parametrize("max_hop", [1, 3])
@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_every_subset_has_a_name(strategy: Strategy, max_hop: int) -> None:
    hop = 1 if strategy == "distance*" else max_hop
    subsets = partition(SPIDER, strategy, max_hop=hop, distances=np.arange(5.0))
    names = subset_names(strategy, hop)
    assert len(names) == len(set(names)) == len(subsets)


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_draw_partition(strategy: Strategy) -> None:
    figure = draw_partition(SPIDER, strategy, joint="leg 1", distances=np.array([0.0, 1.0, 2.0, 1.0, 2.0]))
    matrices = 1 if strategy in ("uniform", "distance*") else 2 if strategy in ("distance", "symmetrical") else 3
    written = texts(figure)
    assert len(figure.axes) == 1 + matrices
    assert {f"{index}: {name}" for index, name in enumerate(subset_names(strategy))} <= written
    assert f"{strategy}: neighbours of 'leg 1'" in written
    assert {"0 body", "1 leg 1", "2 toe 1"} <= written
    assert ("4 toe 2" in written) == (strategy == "symmetrical")
    for axes in figure.axes[1:]:
        assert [label.get_text() for label in axes.get_xticklabels()] == list(SPIDER.joints)
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("target", "source")


def test_the_default_joint_shows_the_most_subsets() -> None:
    assert "spatial-hops: neighbours of 'pelvis'" in texts(draw_partition(SKELETONS["ntu25"], "spatial-hops"))


def test_the_trap_is_in_the_titles() -> None:
    written = texts(draw_partition(SKELETONS["ntu25"], "spatial-released"))
    assert {"A[1] centrifugal or 'equal', 1 hop: 40 entries", "A[2] centripetal, 1 hop: 8 entries"} <= written


def test_many_subsets_take_two_rows() -> None:
    figure = draw_partition(SPIDER, "spatial-released", max_hop=3)
    assert len(figure.axes) == 1 + 7


def test_mistakes_are_explained() -> None:
    with pytest.raises(ValueError, match="'openpose18' has no joint 'nek'; did you mean 'neck'"):
        draw_partition(SKELETONS["openpose18"], "uniform", joint="nek")
    with pytest.raises(ValueError, match="needs 5 gravity distances"):
        draw_partition(SPIDER, "spatial")
    with pytest.raises(ValueError, match=r"cannot draw into 'all\.txt'; the name must end in one of: \.png"):
        draw_all_partitions(SPIDER, "all.txt")


def test_no_folder_to_write_into(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder '.*nowhere' to write 'all\.png' into"):
        draw_all_partitions(SPIDER, tmp_path / "nowhere" / "all.png")


@pytest.mark.parametrize(("name", "start"), [("all.png", b"\x89PNG"), ("all.svg", b"<?xml")])
def test_draw_all_partitions(tmp_path: Path, name: str, start: bytes) -> None:
    path = draw_all_partitions(SPIDER, tmp_path / name)
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_all_strategies_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Figure] = []

    def remember(figure: Figure, file: BytesIO, format: str) -> None:
        file.write(format.encode())
        saved.append(figure)

    monkeypatch.setattr(Figure, "savefig", remember)
    draw_all_partitions(SPIDER, tmp_path / "a.png", joint="body")
    draw_all_partitions(SPIDER, tmp_path / "b.png", joint="body", distances=np.arange(5.0))
    draw_all_partitions(SPIDER, tmp_path / "c.png", joint="body", max_hop=2)
    drawn = [{s for s in get_args(Strategy) if f"{s}: neighbours of 'body'" in texts(figure)} for figure in saved]
    every = set(get_args(Strategy))
    assert drawn == [every - {"spatial"}, every, every - {"spatial", "distance*"}]


def test_an_interrupted_picture_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "all.png"
    path.write_bytes(b"old")

    def fail(figure: Figure, file: BytesIO, format: str) -> None:
        file.write(b"half a pic")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        draw_all_partitions(SPIDER, path)
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["all.png"]


def test_pyplot_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it now fails
    draw_skeleton(SPIDER)
    draw_partition(SPIDER, "uniform")
