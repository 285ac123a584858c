"""A sequence checks itself, knows what is visible, and moves to another skeleton."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton

COCO = SKELETONS["coco17"]


def record(
    positions: NDArray[np.float32] | None = None,
    present: NDArray[np.bool_] | None = None,
    skeleton: Skeleton = COCO,
    fps: float = 30.0,
    confidence: NDArray[np.float32] | None = None,
) -> Sequence:
    if positions is None:
        positions = np.random.default_rng(0).normal(size=(4, 2, skeleton.num_joints, 3)).astype(np.float32)
    if present is None:
        present = np.ones(positions.shape[:2], dtype=bool)
    return Sequence(positions, present, skeleton, fps, "m", confidence)


def test_sizes() -> None:
    recording = record()
    assert (recording.num_frames, recording.num_people) == (4, 2)
    assert recording.visible.shape == (4, 2, 17)
    with pytest.raises(FrozenInstanceError):
        recording.fps = 25.0  # type: ignore[misc]


def zeros(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"positions": zeros(4, 2, 18, 3)}, r"shape \(4, 2, 18, 3\), but \(frames, people, 17 joints of 'coco17'"),
        ({"positions": zeros(4, 2, 17, 4)}, "2 or 3"),
        ({"positions": zeros(4, 17, 3), "present": np.ones((4, 1), bool)}, r"shape \(4, 17, 3\)"),
        ({"positions": zeros(0, 2, 17, 3)}, "has no frames"),
        ({"present": np.ones((4, 3), bool)}, r"present has shape \(4, 3\), but positions need \(4, 2\)"),
        ({"confidence": zeros(4, 2, 18)}, r"confidence has shape \(4, 2, 18\), but positions need \(4, 2, 17\)"),
        ({"confidence": zeros(4, 2, 17) + 1.5}, "confidence must lie between 0 and 1"),
        ({"confidence": zeros(4, 2, 17) - 0.1}, "confidence must lie between 0 and 1"),
        ({"confidence": zeros(4, 2, 17) + np.float32(np.nan)}, "confidence must lie between 0 and 1"),
        ({"fps": 0.0}, "frame rate must be above 0, got 0"),
        ({"fps": -25.0}, "frame rate must be above 0, got -25"),
        ({"fps": float("nan")}, "frame rate must be above 0, got nan"),
        ({"fps": float("inf")}, "frame rate must be above 0, got inf"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, NDArray[np.float32]], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        record(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(value: float) -> None:
    positions = zeros(4, 2, 17, 3)
    positions[2, 1, 5, 0] = value
    with pytest.raises(ValueError, match="NaN or infinity, first in frame 2"):
        record(positions)
    absent = np.ones((4, 2), dtype=bool)
    absent[2, 1] = False
    with pytest.raises(ValueError, match="NaN or infinity"):  # absent people need finite numbers as well
        record(positions, absent)


def test_missing_is_a_mask_never_a_zero() -> None:
    """A joint at (0, 0, 0) is as visible as any other."""
    assert record(zeros(4, 2, 17, 3)).visible.all()

    present = np.array([[True, False]] * 4)
    confidence = np.full((4, 2, 17), 0.5, np.float32)
    confidence[:, :, 3] = 0
    visible = record(present=present, confidence=confidence).visible
    assert not visible[:, 1].any()
    assert not visible[:, 0, 3].any()
    assert visible.sum() == 4 * 16


def test_to_its_own_skeleton() -> None:
    recording = record()
    same, how = recording.to_skeleton(COCO)
    assert same is recording
    assert how.missing == ()


def test_to_openpose_without_confidence() -> None:
    recording = record()
    converted, how = recording.to_skeleton(SKELETONS["openpose18"])
    assert converted.confidence is None
    assert converted.positions.dtype == np.float32
    neck = recording.positions[:, :, 5:7].mean(axis=2)
    np.testing.assert_allclose(converted.positions[:, :, 1], neck, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(converted.positions[:, :, 4], recording.positions[:, :, 10])
    assert (converted.fps, converted.unit) == (recording.fps, recording.unit)
    assert list(how.derived) == ["neck"]


def test_a_derived_joint_is_as_sure_as_its_least_sure_part() -> None:
    confidence = np.ones((4, 2, 17), np.float32)
    confidence[:, :, 5] = 0.25
    confidence[0, :, 6] = 0
    converted, _ = record(confidence=confidence).to_skeleton(SKELETONS["openpose18"])
    assert converted.confidence is not None
    np.testing.assert_array_equal(converted.confidence[1:, :, 1], 0.25)
    np.testing.assert_array_equal(converted.confidence[0, :, 1], 0)
    assert not converted.visible[0, :, 1].any()
    assert converted.visible[1:].all()


def test_a_missing_joint_gets_no_confidence() -> None:
    recording = record(skeleton=SKELETONS["ntu25"])
    converted, how = recording.to_skeleton(COCO)
    assert "left eye" in how.missing
    assert converted.confidence is not None
    assert not converted.visible[:, :, COCO.index("left eye")].any()
    assert converted.visible[:, :, COCO.index("left wrist")].all()
    assert np.isfinite(converted.positions).all()


def test_conversion_leaves_the_original_alone() -> None:
    recording = record(confidence=np.full((4, 2, 17), 0.5, np.float32))
    before = recording.positions.copy()
    recording.to_skeleton(SKELETONS["mediapipe33"])
    np.testing.assert_array_equal(recording.positions, before)
