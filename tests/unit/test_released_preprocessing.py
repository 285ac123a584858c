"""The steps that only public weights need: lengths, streams and turning as the code of others has them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from bonegraph.datasets.known.containers import AnnotationsSet
from bonegraph.datasets.known.ntu import Ntu60
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.models.checkpoint import Meaning
from bonegraph.models.released.preprocessing import PREPROCESSING, store_differs, with_names_of
from bonegraph.read.annotations import pre_normalised
from bonegraph.sample import Batch
from bonegraph.seeding import mix
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length, blend, pick_frames
from bonegraph.transforms.pipeline import Transforms, apply
from bonegraph.transforms.streams import STREAMS, Stream

BODY = SKELETONS["ntu25"]
LENGTHS = np.array([1, 2, 9, 10, 37, 63, 64, 65, 100, 143, 299])
KEYS = mix(np.arange(len(LENGTHS)), 3)


# --- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clips", [1, 10])
def test_short_clips_are_played_again(clips: int) -> None:
    """PYSKL in testing: clip i begins at frame i, or at i·T / clips where there are as many frames as clips."""
    length, stretched = Length("uniform", 64, test_clips=clips, replay=True), Length("uniform", 64, test_clips=clips)
    for clip in range(clips):
        picked = pick_frames(length, LENGTHS, None, clip).frames
        plain = pick_frames(stretched, LENGTHS, None, clip).frames
        for row, total in enumerate(LENGTHS.tolist()):
            if total < 64:
                start = clip if total < clips else clip * total // clips
                assert picked[row].tolist() == [(start + step) % total for step in range(64)]
            else:
                assert picked[row].tolist() == plain[row].tolist()


def test_in_training_short_clips_begin_anywhere() -> None:
    many = mix(np.arange(400), 5)
    picked = pick_frames(Length("uniform", 16, replay=True), np.full(400, 7), many).frames
    assert ((picked[:, 1:] - picked[:, :-1]) % 7 == 1).all()
    assert set(picked[:, 0].tolist()) == set(range(7))


@pytest.mark.parametrize("frames", [1, 16, 64])
def test_whole_frames_are_cut_in_testing(frames: int) -> None:
    """int(0.025 T) frames off both ends, then linear interpolation as torch has it."""
    random = torch.Generator().manual_seed(frames)
    pick = pick_frames(Length("crop-resize", frames, released=True), LENGTHS, None)
    assert pick.blend is not None and pick.zeros
    for row, total in enumerate(LENGTHS.tolist()):
        clip = torch.randn(1, 3, total, generator=random, dtype=torch.float64)
        aside = int((1 - 0.95) * total / 2)
        theirs = interpolate(clip[:, :, aside : total - aside], size=frames, mode="linear", align_corners=False)
        earlier, later = clip[:, :, pick.frames[row, :frames]], clip[:, :, pick.frames[row, frames:]]
        weight = torch.from_numpy(pick.blend[row])
        torch.testing.assert_close(earlier * (1 - weight) + later * weight, theirs, rtol=1e-5, atol=1e-5)


def test_whole_frames_are_cut_in_training() -> None:
    """int(share·T) of them, but no fewer than are asked for, from a random one on."""
    many, total = mix(np.arange(3000), 7), 60
    pick = pick_frames(Length("crop-resize", 20, crop=(0.25, 0.5), released=True), np.full(3000, total), many)
    first, last = pick.frames.min(axis=1), pick.frames.max(axis=1)
    assert (last - first + 1).min() == 20 and (last - first + 1).max() == 29
    assert first.min() == 0 and last.max() == total - 1
    whole = pick_frames(Length("crop-resize", 20, crop=(0.25, 0.5), released=True), np.full(5, 9), many[:5])
    assert whole.frames.min() == 0 and whole.frames.max() == 8


def test_zeros_are_blended_like_places() -> None:
    random = torch.Generator().manual_seed(0)
    visible = torch.rand(2, 8, 3, 2, generator=random) < 0.6
    positions = torch.randn(2, 3, 8, 3, 2, generator=random) * visible[:, None]
    sure = torch.rand(2, 8, 3, 2, generator=random) * visible
    later = torch.rand(2, 4, generator=random)
    ours, seen, confidence = blend(positions, visible, sure, later, zeros=True)
    weight = later[:, :, None, None]
    assert confidence is not None
    torch.testing.assert_close(
        ours, positions[:, :, :4] * (1 - weight)[:, None] + positions[:, :, 4:] * weight[:, None]
    )
    torch.testing.assert_close(confidence, sure[:, :4] * (1 - weight) + sure[:, 4:] * weight)
    assert torch.equal(seen, visible[:, :4] | visible[:, 4:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "uniform", "released": True}, "released belongs to the rule 'crop-resize', got 'uniform'"),
        ({"rule": "crop-resize", "replay": True}, "belongs to the rules 'fragment' and 'uniform', got 'crop-resize'"),
        ({"rule": "uniform", "fill": 3}, "belong to the rule 'fragment', got 'uniform'"),
    ],
)
def test_nonsense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Length(**arguments)


# --- streams of zeros -------------------------------------------------------------------------------------------------


def batch(seed: int) -> Batch:
    random = torch.Generator().manual_seed(seed)
    visible = torch.rand(2, 5, 25, 2, generator=random) < 0.7
    return Batch(
        positions=torch.randn(2, 2, 5, 25, 2, generator=random) * visible[:, None],
        visible=visible,
        labels=torch.zeros(2, dtype=torch.int64),
        clips=torch.arange(2),
        keys=torch.arange(2),
        confidence=torch.rand(2, 5, 25, 2, generator=random) * visible,
    )


def loop_stream(x: Tensor, stream: Stream) -> Tensor:
    out = x.clone()
    if stream.startswith("bone"):
        for child, parent in enumerate(BODY.parents):
            out[:, :, :, child] = x[:, :, :, child] - x[:, :, :, parent]
    if stream.endswith("motion"):
        still = out.clone()
        for frame in range(x.shape[2]):
            out[:, :, frame] = still[:, :, frame + 1] - still[:, :, frame] if frame + 1 < x.shape[2] else 0
    return out


@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("stream", STREAMS)
def test_zero_padded_streams_are_made_of_zeros(stream: Stream, confidence: bool) -> None:
    """As in the released code, which knows no masks; the score is a channel like the others."""
    given = batch(1)
    assert given.confidence is not None
    transforms = Transforms(stream=stream, centre="none", confidence=confidence, zero_padded=3)
    result = apply(transforms, given, BODY, training=False)
    whole = torch.cat([given.positions, given.confidence[:, None]], dim=1) if confidence else given.positions
    whole = torch.cat([whole, torch.zeros_like(whole[..., :1])], dim=4)
    torch.testing.assert_close(result.positions, loop_stream(whole, stream))
    assert result.visible.all() and result.confidence is None


def test_y_upwards() -> None:
    given = batch(2)
    plain = apply(Transforms(centre="image"), given, BODY, training=False).positions
    turned = apply(Transforms(centre="image", y_up=True), given, BODY, training=False).positions
    torch.testing.assert_close(turned[:, 0], plain[:, 0])
    torch.testing.assert_close(turned[:, 1], -plain[:, 1])
    assert given.positions.equal(batch(2).positions)


# --- PYSKL ------------------------------------------------------------------------------------------------------------


def clip(*present: str, seed: int = 0) -> Sequence:
    """People as strings of 0 and 1, one character a frame."""
    there = np.array([[letter == "1" for letter in person] for person in present]).T
    positions = np.random.default_rng(seed).normal(size=(*there.shape, 25, 3)).astype(np.float32)
    return Sequence(positions * there[..., None, None], there, BODY, 30.0, "m")


def about(axis: NDArray[Any], angle: float, point: NDArray[Any]) -> NDArray[Any]:
    """Rodrigues, point by point."""
    axis = axis / np.linalg.norm(axis)
    turned: NDArray[Any] = (
        point * np.cos(angle) + np.cross(axis, point) * np.sin(angle) + axis * (axis @ point) * (1 - np.cos(angle))
    )
    return turned


def loop_normalised(sequence: Sequence) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The three steps, written out."""
    positions, present = sequence.positions.astype(np.float64), sequence.present
    order = [0, 1] if present.shape[1] == 2 else [0]
    if present.shape[1] == 2 and present[:, 0].sum() < present[:, 1].sum():
        order = [1, 0]
    frames = [frame for frame in range(len(present)) if present[frame, order[0]]]
    positions, present = positions[frames][:, order], present[frames][:, order]
    origin = positions[0, 0, 1].copy()
    for place in np.ndindex(positions.shape[:3]):
        if positions[place].any():
            positions[place] -= origin
    for start, end, onto in ((0, 1, (0.0, 0.0, 1.0)), (4, 8, (1.0, 0.0, 0.0))):
        bone, target = positions[0, 0, end] - positions[0, 0, start], np.array(onto)
        angle = np.arccos(bone @ target / np.linalg.norm(bone))
        axis = np.cross(bone, target)
        for place in np.ndindex(positions.shape[:3]):
            positions[place] = about(axis, angle, positions[place])
    return positions, present


@pytest.mark.parametrize("people", [("0110111",), ("1110000", "0011110"), ("0111110", "1100011"), ("11", "00")])
def test_the_normalisation_of_pyskl(people: tuple[str, ...]) -> None:
    sequence = clip(*people)
    before = sequence.positions.copy()
    result = pre_normalised(sequence)
    positions, present = loop_normalised(sequence)
    np.testing.assert_allclose(result.positions, positions, atol=1e-5)
    np.testing.assert_array_equal(result.present, present)
    np.testing.assert_array_equal(sequence.positions, before)
    bone = result.positions[0, 0, 1] - result.positions[0, 0, 0]
    across = result.positions[0, 0, 8] - result.positions[0, 0, 4]
    assert result.positions[0, 0, 1].tolist() == [0, 0, 0] and across[0] > 0
    assert np.abs(across[1:]).max() < 1e-5 < np.abs(bone).max()


def test_the_normalisation_of_pyskl_is_for_its_clips() -> None:
    for people in (("0", "0"), ("0",)):
        with pytest.raises(ValueError, match="nobody is there"):
            pre_normalised(clip(*people))
    with pytest.raises(ValueError, match="one or two people on 'ntu25' in space, but there are 3 on 'ntu25' with 3"):
        pre_normalised(clip("1", "1", "1"))


def annotation_file(folder: Path) -> Path:
    clips = [clip("0110111"), clip("11100", "00111", seed=1)]
    content = {
        "split": {"xsub_train": ["a"], "xsub_val": ["b"]},
        "annotations": [
            {"frame_dir": name, "label": 0, "total_frames": 0, "keypoint": each.positions.swapaxes(0, 1)}
            for name, each in zip("ab", clips, strict=True)
        ],
    }
    (folder / "ntu60_3danno.pkl").write_bytes(pickle.dumps(content))
    return folder / "ntu60_3danno.pkl"


def test_annotations_are_normalised_when_asked(tmp_path: Path) -> None:
    source = annotation_file(tmp_path)
    plain, normalised = AnnotationsSet(), AnnotationsSet(normalise=True)
    for given, expected in zip(plain.find(source), normalised.find(source), strict=True):
        ours, theirs = normalised.read(expected), pre_normalised(plain.read(given))
        np.testing.assert_array_equal(ours.positions, theirs.positions)
        np.testing.assert_array_equal(ours.present, theirs.present)
    assert "normalise" not in plain.settings() and normalised.settings()["normalise"] is True


# --- stores -----------------------------------------------------------------------------------------------------------


def meaning(preprocessing: str, classes: tuple[str, ...]) -> Meaning:
    chosen = PREPROCESSING[preprocessing]
    made = {"preprocessing": preprocessing, "store": chosen.command}
    return Meaning(BODY, classes, chosen.transforms, chosen.length, 2, 30.0, chosen.unit, made)


def test_a_store_of_another_preparation_is_noticed(tmp_path: Path) -> None:
    source = annotation_file(tmp_path)
    stores = {
        name: Store.open(prepare(known, source, tmp_path / name, workers=1, progress=False).folder)
        for name, known in (("plain", AnnotationsSet()), ("normalised", AnnotationsSet(normalise=True)))
    }
    assert store_differs(meaning("pyskl-3d", ("0",)), stores["normalised"]) == ""
    assert store_differs(meaning("plain", ("0",)), stores["plain"]) == ""
    for preprocessing, name in (("pyskl-3d", "plain"), ("msg3d-ntu", "normalised"), ("stgcn-ntu", "plain")):
        message = store_differs(meaning(preprocessing, ("0",)), stores[name])
        assert PREPROCESSING[preprocessing].command in message and f"but '{name}' is 'annotations'" in message
    ours = Meaning(BODY, ("0",), Transforms(), Length(), 2, 30.0, "m", {"recipe": "ntu-best"})
    assert store_differs(ours, stores["plain"]) == ""


def test_class_names_of_a_store(tmp_path: Path) -> None:
    store = Store.open(
        prepare(AnnotationsSet(), annotation_file(tmp_path), tmp_path / "s", workers=1, progress=False).folder
    )
    assert store.classes == ("0",)
    assert with_names_of(meaning("pyskl-3d", ("wave",)), store).classes == ("0",)
    assert with_names_of(meaning("pyskl-3d", Ntu60.classes), store).classes == Ntu60.classes
