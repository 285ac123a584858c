"""Outputs of pose networks become joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from bonegraph.pose.decode import decode_heatmaps, decode_simcc
from bonegraph.pose.onnx_pose import OnnxPose

from . import films


def test_simcc() -> None:
    x, y = np.zeros((2, 384)), np.zeros((2, 512))
    x[0, 100], y[0, 301], x[1, 383], y[1, 0] = 0.9, 0.7, 1.2, 1.1
    joints, confidence = decode_simcc(x, y, 192, 256)
    np.testing.assert_allclose(joints, [(50, 150.5), (191.5, 0)])
    np.testing.assert_allclose(confidence, [0.7, 1])
    with pytest.raises(ValueError, match="no SimCC output"):
        decode_simcc(x, y[:1], 192, 256)


def test_heatmaps() -> None:
    maps = np.zeros((2, 64, 48))
    maps[0, 10, 20], maps[0, 10, 21], maps[0, 9, 20] = 0.8, 0.5, 0.2  # a quarter to the right and up
    maps[1, 0, 47] = 0.4  # a corner has no neighbours to go to
    joints, confidence = decode_heatmaps(maps, 192, 256)
    np.testing.assert_allclose(joints, [(81, 39), (188, 0)])
    np.testing.assert_allclose(confidence, [0.8, 0.4], rtol=1e-6)
    with pytest.raises(ValueError, match="no heat maps"):
        decode_heatmaps(maps[0], 192, 256)


def test_a_network_finds_a_dot_for_each_colour(tmp_path: Path) -> None:
    """The network's heat maps are differences of the colour channels: three dots, three joints."""
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    weights = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]], np.float32).reshape(3, 3, 1, 1)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "weights"], ["maps"])],
        "dots",
        [helper.make_tensor_value_info("picture", number, [1, 3, 128, 96])],
        [helper.make_tensor_value_info("maps", number, [1, 3, 128, 96])],
        [helper.make_tensor("weights", number, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (tmp_path / "dots.onnx").write_bytes(model.SerializeToString())
    from bonegraph.skeleton import Skeleton

    three = Skeleton("three", ("head", "pelvis", "left foot"), (1, 1, 1), (0, 1, 2))
    places = [films.stick(100 + 4 * frame, 80) for frame in range(6)]
    frames = [films.drawn(place[None], 256, 160) for place in places]
    for place, people in zip(places, OnnxPose(tmp_path / "dots.onnx", three).people(frames, 25), strict=True):
        assert np.abs(people[0].joints - place[:3]).max() < films.RADIUS + 3
    with pytest.raises(ValueError, match="gives 3 joints"):
        list(OnnxPose(tmp_path / "dots.onnx").people(frames, 25))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.onnx"):
        OnnxPose(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ValueError, match="no ONNX network"):
        OnnxPose(tmp_path / "text.onnx")
