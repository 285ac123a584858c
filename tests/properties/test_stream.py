"""Streams of people answer as the recogniser does for the recording of each person."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bonegraph.features import pool
from bonegraph.inference.recogniser import Recogniser
from bonegraph.inference.stream import AnyStream, ExactStream, WindowStream, open_stream
from bonegraph.inference.stream.recording import BLOCK, stream_for_recordings, windows_of
from bonegraph.inference.untrimmed import answers as told
from bonegraph.inference.windows import Cutting, Window
from bonegraph.models import agcn, msg3d, stf, stgcn, stgcnpp
from bonegraph.models.checkpoint import Calibration, Meaning
from bonegraph.models.registry import build
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms, apply

from .test_masks import randomise

BODY = SKELETONS["sbu15"]
CONFIG = stgcn.Config(widths=(4, 6), strides=(1, 2), temporal_kernel=3)
MSG3D = msg3d.Config(widths=(7, 9), strides=(2, 1), gcn_scales=3, g3d_scales=2, dilations=(1, 2))
PLAIN = Transforms(centre="none")


def recogniser(
    transforms: Transforms = PLAIN, config: Any = CONFIG, rule: Any = "all", people: int = 0, **others: Any
) -> Recogniser:
    config = replace(config, in_channels=3 + transforms.extra_channels)
    model = build(config, BODY, 4).eval()
    randomise(model, 5)
    with torch.no_grad():
        model.head.weight *= 0.1  # probabilities that are not all 0 or 1
    meaning = Meaning(
        skeleton=BODY,
        classes=("a", "b", "c", "d"),
        transforms=transforms,
        length=Length(rule, 6),
        people=people,
        fps=30.0,
        unit="m",
        **others,
    )
    return Recogniser(model, meaning)


def recording(frames: int, seed: int = 0, *, gaps: bool = True, sure: bool = True) -> Sequence:
    """One person with joints that are not found, and moments without the person, but not at the beginning."""
    random = np.random.default_rng(seed)
    present = np.ones((frames, 1), np.bool_)
    confidence = random.uniform(0.2, 1, (frames, 1, BODY.num_joints)).astype(np.float32)
    if gaps:
        present[1:] = random.random((frames - 1, 1)) < 0.8
        confidence *= random.random(confidence.shape) < 0.9
    places = random.normal(0.3, 1, (frames, 1, BODY.num_joints, 3)).astype(np.float32)
    return Sequence(places, present, BODY, 30.0, "m", confidence if sure else None)


def feed(stream: AnyStream, one: Sequence, person: int = 7) -> list[Any]:
    """All frames; those in which the person is not there come without it."""
    answers = []
    for frame in range(one.num_frames):
        here = one.present[frame]
        confidence = None if one.confidence is None else one.confidence[frame][here]
        got = stream.step(one.positions[frame][here], one.visible[frame][here], [person] * int(here[0]), confidence)
        answers.append(got[person])
    return answers


def asked(recogniser: Recogniser, *clips: Sequence) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = recogniser.scores(list(clips)).numpy()
    return found


TRANSFORMS = {
    "plain": PLAIN,
    "frame": Transforms(centre="frame"),
    "first": Transforms(centre="first"),
    "image": Transforms(centre="image", scale="image", image=(2.0, 3.0), y_up=True),
    "bone": Transforms(centre="first", stream="bone", confidence=True),
    "visibility": Transforms(centre="frame", visibility=True),
    "zeros": Transforms(centre="none", zero_padded=2),
    "zeros, bone, seen": Transforms(centre="first", zero_padded=1, stream="bone", visibility=True),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("block", [0, 6])
def test_the_last_answer_is_that_of_the_recording(name: str, block: int) -> None:
    """Over all frames, with the padding at both ends."""
    one = recogniser(TRANSFORMS[name])
    for frames in (1, 2, 5, 12):
        clip = recording(frames, frames)
        stream = ExactStream(one.model, one.meaning, window=0, block=block)
        feed(stream, clip)
        last = stream.end(7)
        assert last is not None
        np.testing.assert_allclose(last, asked(one, clip)[0], atol=1e-5)
        assert stream.people == ()


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("stream", ["joint", "bone-motion"])
def test_people_who_are_normalised_each_in_their_own_way(zeros: int, stream: Any) -> None:
    """As MS-G3D was released: who is alone is the first of two, and the second is nobody, or zeros."""
    transforms = Transforms(centre="first", zero_padded=zeros, stream=stream)
    one = recogniser(transforms, replace(MSG3D, people=2))
    for frames in (1, 7, 18):
        clip = recording(frames, frames, gaps=zeros > 0 or stream == "joint")
        stream_of = ExactStream(one.model, one.meaning, window=0)
        feed(stream_of, clip)
        last = stream_of.end(7)
        assert last is not None
        np.testing.assert_allclose(last, asked(one, clip)[0], atol=1e-5)


def test_more_people_than_are_normalised() -> None:
    one = recogniser(Transforms(zero_padded=3), replace(MSG3D, people=2))
    with pytest.raises(ValueError, match="a clip has 3 people, but the network normalises 2"):
        ExactStream(one.model, one.meaning)


@pytest.mark.parametrize("name", ["joint-motion", "bone-motion"])
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_motion_needs_the_next_frame(name: Any, zeros: int) -> None:
    """Zeros take the place of a mask, so that there a person may be lost for a moment."""
    one = recogniser(Transforms(centre="first", stream=name, zero_padded=zeros))
    assert ExactStream(one.model, one.meaning).latency == ExactStream(one.model, recogniser().meaning).latency + 1
    for frames in (1, 2, 7, 12):
        clip = recording(frames, frames, gaps=zeros > 0)
        stream = ExactStream(one.model, one.meaning, window=0)
        feed(stream, clip)
        last = stream.end(7)
        assert last is not None
        np.testing.assert_allclose(last, asked(one, clip)[0], atol=1e-5)


def test_a_joint_that_comes_back_is_still_in_a_motion() -> None:
    clip = recording(12, 3, gaps=False)
    assert clip.confidence is not None
    clip.confidence[4:6, 0, 3] = 0
    clip.present[8] = False
    one = recogniser(Transforms(centre="first", stream="joint-motion"))
    stream = ExactStream(one.model, one.meaning, window=0)
    feed(stream, clip)
    last = stream.end(7)
    assert last is not None
    np.testing.assert_allclose(last, asked(one, clip)[0], atol=1e-5)


@pytest.mark.parametrize(
    "config",
    [CONFIG, stgcnpp.Config(widths=(8, 12), strides=(2, 1)), MSG3D],
    ids=["stgcn", "stgcnpp", "msg3d"],
)
@pytest.mark.parametrize("block", [0, 2, 6, 10])
def test_an_answer_is_the_mean_over_the_last_features(config: Any, block: int) -> None:
    """However many frames go through the network at once, answers come at one rate and with one delay."""
    one = recogniser(Transforms(centre="frame"), config)
    clip = recording(40, 1)
    stream = ExactStream(one.model, one.meaning, window=6, block=block)
    assert stream.stride == 2 and stream.latency == stream.network.latency + (block or 6) - 2
    answers = feed(stream, clip)
    x = torch.from_numpy(clip.positions).permute(3, 0, 2, 1)[None]
    visible = torch.from_numpy(clip.visible).permute(0, 2, 1)[None]
    x = x - torch.from_numpy(np.stack([middle(clip, frame) for frame in range(40)], axis=1))[None, :, :, None, None]
    with torch.no_grad():
        features = one.model.features(x, visible)
    assert features.frames is not None
    maps, counts = features.maps.mean(dim=3)[0].T, features.frames[0]
    for frame, answer in enumerate(answers):
        done = (frame - stream.latency) // stream.stride + 1  # features that are there
        if done <= 0 or not counts[:done][-3:].any():
            assert answer is None
            continue
        last = slice(max(0, done - 3), done)
        mean = maps[last][counts[last]].mean(dim=0)
        with torch.no_grad():
            expected = one.model.head(mean).softmax(dim=0).numpy()
        np.testing.assert_allclose(answer, expected, atol=1e-5)
    assert answers[stream.latency] is not None


def middle(clip: Sequence, frame: int) -> np.ndarray[Any, Any]:
    """The origin joint, or the mean of those that are seen without it."""
    seen = clip.visible[frame, 0]
    places = clip.positions[frame, 0]
    where = places[BODY.origin : BODY.origin + 1] if seen[BODY.origin] else places[seen]
    return np.asarray(where.mean(axis=0)) if seen.any() else np.zeros(3, np.float32)


@pytest.mark.parametrize("config", [CONFIG, MSG3D], ids=["stgcn", "msg3d"])
def test_people_who_come_and_go_do_not_disturb_each_other(config: Any) -> None:
    """Five people who begin at different phases; each is answered as alone."""
    one = recogniser(Transforms(centre="first"), config)
    clips = {person: recording(10 + 3 * person, person, gaps=person % 2 == 1) for person in range(5)}
    begins = {person: 2 * person + person // 3 for person in clips}
    alone = {}
    for person, clip in clips.items():
        stream = ExactStream(one.model, one.meaning, window=8)
        alone[person] = (feed(stream, clip, person), stream.end(person))
    together = ExactStream(one.model, one.meaning, window=8)
    for now in range(60):
        at = {person: now - begin for person, begin in begins.items() if 0 <= now - begin < clips[person].num_frames}
        here = [person for person, frame in at.items() if clips[person].present[frame, 0]]
        frames = [(clips[person], at[person]) for person in here]
        shape = (len(here), BODY.num_joints)
        answers = together.step(
            np.array([clip.positions[frame, 0] for clip, frame in frames], np.float32).reshape(*shape, 3),
            np.array([clip.visible[frame, 0] for clip, frame in frames], np.bool_).reshape(shape),
            here,
            np.array([confidences(clip)[frame, 0] for clip, frame in frames], np.float32).reshape(shape),
        )
        assert set(answers) == set(at)
        for person, frame in at.items():
            same(answers[person], alone[person][0][frame])
            if frame + 1 == clips[person].num_frames:
                same(together.end(person), alone[person][1])


def confidences(clip: Sequence) -> np.ndarray[Any, Any]:
    assert clip.confidence is not None
    return clip.confidence


def same(ours: Any, theirs: Any) -> None:
    assert (ours is None) == (theirs is None)
    if ours is not None:
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_someone_who_is_gone_for_long_is_forgotten_and_may_begin_anew() -> None:
    one = recogniser()
    clip = recording(20, gaps=False)
    nobody = np.zeros((0, BODY.num_joints, 3), np.float32), np.zeros((0, BODY.num_joints), np.bool_)
    for stream in (
        ExactStream(one.model, one.meaning, patience=4),
        WindowStream(one, window=8, patience=4),
    ):
        feed(stream, clip)
        for _ in range(4):
            assert set(stream.step(*nobody, [])) == {7}
        stream.step(*nobody, [])
        assert stream.people == ()
        with pytest.raises(KeyError):
            stream.end(7)
        fresh = feed(stream, clip)
        expected = feed(ExactStream(one.model, one.meaning), clip) if isinstance(stream, ExactStream) else fresh
        for ours, theirs in zip(fresh, expected, strict=True):
            same(ours, theirs)


def test_calibrated_answers() -> None:
    calibration = Calibration(temperature=3.0, threshold=0.5)
    one = recogniser(calibration=calibration)
    clip = recording(9)
    stream = ExactStream(one.model, one.meaning, window=0)
    feed(stream, clip)
    same(stream.end(7), asked(one, clip)[0])


def test_a_window_slides() -> None:
    one = recogniser(Transforms(centre="first", scale="body-height"), rule="uniform")
    clip = recording(30, 2)
    stream = WindowStream(one, window=8, stride=3)
    answers = feed(stream, clip)
    assert answers[:5] == [None] * 5  # seen in half a window at frame 3
    for frame in range(5, 30):
        last = frame - (frame + 1) % 3
        cut = slice(max(0, last - 7), last + 1)
        same(answers[frame], asked(one, part_of(clip, cut))[0])


def test_a_window_answers_earlier_if_it_may() -> None:
    one = recogniser(rule="uniform")
    clip = recording(4, gaps=False)
    assert feed(WindowStream(one, window=8, stride=1, first=2), clip)[0] is None
    assert feed(WindowStream(one, window=8, stride=1, first=2), clip)[1] is not None
    exact = recogniser()
    early = feed(ExactStream(exact.model, exact.meaning), recording(12, gaps=False))
    late = feed(ExactStream(exact.model, exact.meaning, first=9), recording(12, gaps=False))
    assert early[7] is not None
    assert late[7] is None
    same(late[11], early[11])


@pytest.mark.parametrize(
    ("transforms", "rule", "reason"),
    [
        (Transforms(scale="body-height"), "all", r"transforms\.scale 'body-height'"),
        (Transforms(scale="min-max"), "all", r"transforms\.scale 'min-max'"),
        (Transforms(rotate_to_body=True), "all", r"transforms\.rotate_to_body"),
        (Transforms(), "uniform", r"length\.rule 'uniform'"),
        (Transforms(), "crop-resize", r"length\.rule 'crop-resize'"),
    ],
)
def test_what_needs_the_whole_clip_is_named(transforms: Transforms, rule: Any, reason: str) -> None:
    one = recogniser(transforms, rule=rule)
    with pytest.raises(ValueError, match=f"^frames cannot come one by one: {reason}.*; slide a window over them\\.$"):
        ExactStream(one.model, one.meaning)
    with pytest.raises(ValueError, match=reason):
        open_stream(one, "exact")
    stream, why = open_stream(one, window=10, stride=2)
    assert isinstance(stream, WindowStream)
    assert stream.window == 10
    assert "because " + reason.replace("\\", "") in why


def test_the_stream_that_suits_a_checkpoint() -> None:
    one = recogniser()
    stream, why = open_stream(one)
    assert isinstance(stream, ExactStream)
    assert f"{stream.latency} frames behind" in why
    assert isinstance(open_stream(one, "window")[0], WindowStream)
    several = Recogniser(one.model, one.meaning, [one])
    slides, why = open_stream(several)
    assert isinstance(slides, WindowStream)
    assert "several checkpoints" in why
    other = recogniser(config=agcn.Config(widths=(4,), strides=(1,)))
    slides, why = open_stream(other)
    assert isinstance(slides, WindowStream)
    assert "AGCN takes whole clips: its graphs are computed from the whole clip" in why
    assert isinstance(open_stream(recogniser(config=MSG3D), "exact")[0], ExactStream)
    why = open_stream(recogniser(config=stf.on(MSG3D)))[1]
    assert "STF takes whole clips: its graphs are computed from the whole clip" in why


def test_heights_at_the_start() -> None:
    """Where the bones keep their length, that is the height of the clip."""
    one = recogniser(Transforms(centre="first", scale="body-height"))
    still = recording(1, gaps=False)
    clip = replace(
        still,
        positions=np.concatenate([still.positions + np.float32(step / 10) for step in range(12)]),
        present=np.ones((12, 1), np.bool_),
        confidence=np.ones((12, 1, BODY.num_joints), np.float32),
    )
    stream = ExactStream(one.model, one.meaning, window=0, heights_at_start=True)
    feed(stream, clip)
    same(stream.end(7), asked(one, clip)[0])


BAD: dict[str, dict[str, Any]] = {
    "positions have shape": {"positions": np.zeros((1, 3, 3), np.float32)},
    "visible has shape": {"visible": np.ones((2, BODY.num_joints), np.bool_)},
    "confidence has shape": {"confidence": np.ones((1, 2), np.float32)},
    "must differ": {"people": [1, 1], "positions": np.zeros((2, BODY.num_joints, 3), np.float32)},
    "NaN or infinity": {"positions": np.full((1, BODY.num_joints, 3), np.nan, np.float32)},
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("kind", ["exact", "window"])
def test_a_frame_that_cannot_be_used_changes_nothing(message: str, kind: Any) -> None:
    one = recogniser()
    stream = open_stream(one, kind)[0]
    good = {
        "positions": np.zeros((1, BODY.num_joints, 3), np.float32),
        "visible": np.ones((1, BODY.num_joints), np.bool_),
        "people": [1],
    }
    bad = {**good, **BAD[message]}
    if len(bad["people"]) == 2:
        bad["visible"] = np.ones((2, BODY.num_joints), np.bool_)
    with pytest.raises(ValueError, match=message):
        stream.step(**bad)
    assert stream.people == ()


@pytest.mark.parametrize("numbers", [{"window": -1}, {"block": 3}, {"block": -2}])
def test_numbers_of_an_exact_stream(numbers: dict[str, int]) -> None:
    one = recogniser()
    with pytest.raises(ValueError, match="multiple of the stride 2"):
        ExactStream(one.model, one.meaning, **{"window": 8, "block": 0, **numbers})  # type: ignore[arg-type]


@pytest.mark.parametrize("numbers", [{"window": 0}, {"stride": 0}, {"first": 0}, {"window": 5, "first": 6}])
def test_numbers_of_a_window(numbers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        WindowStream(recogniser(), **numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["exact", "msg3d", "whole", "blocks", "motion", "window"])
def test_a_restored_stream_goes_on_to_the_last_bit(kind: str, tmp_path: Path) -> None:
    transforms = Transforms(centre="first", stream="joint-motion" if kind == "motion" else "joint")
    one = recogniser(transforms, MSG3D if kind == "msg3d" else CONFIG)

    def new() -> AnyStream:
        if kind == "window":
            return WindowStream(one, window=7, stride=2)
        block = 10 if kind == "blocks" else 0
        return ExactStream(one.model, one.meaning, window=0 if kind == "whole" else 6, block=block)

    clip = recording(36, 4)
    expected = feed(new(), clip)
    assert expected[-1] is not None
    for cut in (1, 2, 3, 9, 12, 29):
        stream, file = new(), tmp_path / f"{cut}.safetensors"
        feed(stream, part_of(clip, slice(0, cut)))
        stream.save(file)
        restored = new()
        restored.restore(file)
        assert restored.people == (7,)
        for ours, theirs in zip(feed(restored, part_of(clip, slice(cut, None))), expected[cut:], strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or np.array_equal(ours, theirs)


def part_of(clip: Sequence, which: slice) -> Sequence:
    return replace(
        clip, positions=clip.positions[which], present=clip.present[which], confidence=confidences(clip)[which]
    )


@pytest.mark.parametrize("kind", ["exact", "window"])
def test_a_state_of_another_stream_is_refused(kind: Any, tmp_path: Path) -> None:
    one, other = recogniser(), recogniser(config=replace(CONFIG, temporal_kernel=5))
    stream = open_stream(one, kind, window=8)[0]
    feed(stream, recording(5))
    file = tmp_path / "state.safetensors"
    stream.save(file)
    for different in (
        open_stream(other, kind, window=8)[0],
        open_stream(one, kind, window=12)[0],
        open_stream(one, "exact" if kind == "window" else "window", window=8)[0],
    ):
        with pytest.raises(
            ValueError, match=r"^cannot use '.*': it was made with another '(weights|settings|stream)'\.$"
        ):
            different.restore(file)
        assert different.people == ()
    with pytest.raises(FileNotFoundError):
        stream.restore(tmp_path / "none")


@pytest.mark.parametrize("kind", ["exact", "window"])
def test_a_damaged_state_is_one_line(kind: Any, tmp_path: Path) -> None:
    one = recogniser()
    stream = open_stream(one, kind, window=8)[0]
    feed(stream, recording(9))
    file = tmp_path / "state.safetensors"
    stream.save(file)
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    for attempt in range(60):
        data = bytearray(whole)
        if attempt % 3 == 0:
            del data[int(random.integers(len(data))) :]
        else:
            for _ in range(3):
                data[int(random.integers(2000 if attempt % 3 == 1 else len(data)))] = int(random.integers(256))
        file.write_bytes(data)
        fresh = open_stream(one, kind, window=8)[0]
        try:
            fresh.restore(file)
        except ValueError as error:
            assert "\n" not in str(error)
            assert fresh.people == ()


def test_a_state_with_other_shapes_is_refused(tmp_path: Path) -> None:
    one = recogniser()
    stream = ExactStream(one.model, one.meaning)
    feed(stream, recording(9))
    file = tmp_path / "state.safetensors"
    stream.save(file)
    with safe_open(file, framework="pt") as opened:
        about = opened.metadata()
    tensors = load_file(file)
    for name in ("0.state.0", "0.values", "0.frames.positions", "0.answer", "0.anchor.visible", "0.coming.counts"):
        for bad in (tensors[name][..., :-1], tensors[name].double().int(), None):
            changed = {**tensors, name: bad}
            save_file({key: value.contiguous() for key, value in changed.items() if value is not None}, file, about)
            if bad is None and name == "0.answer":
                continue  # there may be none
            with pytest.raises(ValueError, match=f"^cannot use '.*': '{name[2:]}' is .*"):
                stream.restore(file)
            assert stream.people == (7,)


@pytest.mark.parametrize("name", ["frame", "zeros", "joint-motion"])
def test_windows_of_a_recording_have_the_features_of_its_frames(name: str) -> None:
    """Across blocks; windows of which some begin or end between two features."""
    transforms = TRANSFORMS.get(name, Transforms(centre="frame", stream="joint-motion"))
    one = recogniser(transforms)
    clip = recording(2 * BLOCK + 31, 5, gaps=name != "joint-motion")
    windows = [Window((0,), start, min(start + 24, clip.num_frames)) for start in range(10, clip.num_frames - 8, 7)]
    stream = stream_for_recordings(one, each=True)
    heard: list[int] = []
    found = windows_of(stream, clip, windows, heard.append)
    assert sum(heard) == len(windows) and stream.people == ()
    batch = one.batch(part_of(clip, slice(10, windows[-1].stop)))
    ready = apply(one.meaning.transforms, batch, BODY, training=False)
    with torch.no_grad():
        features = one.model.features(ready.positions, ready.visible)
    for window, answer in zip(windows, found, strict=True):
        some = slice((window.start - 10) // 2, -(-(window.stop - 10) // 2))
        assert features.frames is not None
        cut = features._replace(maps=features.maps[:, :, some], frames=features.frames[:, some])
        with torch.no_grad():
            expected = one.model.head(pool(cut)).softmax(dim=1)[0].numpy()
        np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_a_recording_of_somebody_who_comes_back() -> None:
    """Each stay is a clip of its own; a short recording is answered as by windows."""
    one = recogniser(Transforms(centre="first"), people=1)
    clip = recording(100, 3)
    clip.present[40:60] = False
    cutting = Cutting(12 / 30, 3 / 30)
    (exact,) = told(one, clip, cutting=cutting, stream="exact").timelines
    (slid,) = told(one, clip, cutting=cutting).timelines
    assert exact.windows == slid.windows and exact.segments
    stays = [[w for w in exact.windows if w.stop <= 41], [w for w in exact.windows if w.start >= 59]]
    assert sum(map(len, stays)) == len(exact.windows) and all(stays)
    stream = stream_for_recordings(one, each=True)
    for stay, rows in zip(stays, (slice(0, len(stays[0])), slice(len(stays[0]), None)), strict=True):
        np.testing.assert_array_equal(exact.probabilities[rows], windows_of(stream, clip, stay))
    short = part_of(clip, slice(0, 15))
    (exact,) = told(one, short, cutting=cutting, stream="exact").timelines
    np.testing.assert_allclose(exact.probabilities, asked(one, short), atol=1e-5)
    with pytest.raises(ValueError, match="people are looked at together"):
        told(one, short, cutting=cutting, each=False, stream="exact")


@pytest.mark.parametrize("what", ["weight", "place"])
def test_what_is_no_number_is_no_answer(what: str) -> None:
    """Nor is it hidden by a ReLU that makes 0 of it."""
    one = recogniser()
    clip = recording(20, gaps=False)
    if what == "weight":
        with torch.no_grad():
            next(one.model.parameters()).fill_(float("nan"))
    else:
        clip.positions[5] = 3e38
    stream = ExactStream(one.model, one.meaning)
    with pytest.raises(ValueError, match="answers with NaN"):
        feed(stream, clip)
