"""The synthetic data set: deterministic, well formed, steady bones, pairs that only time tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bonegraph.datasets.known import Source, known_set
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.datasets.synthetic.body import draw_person, posed, rest
from bonegraph.datasets.synthetic.performance import LONGEST, MOVEMENTS, SHORTEST, perform
from bonegraph.sequence import Sequence

SMALL = Synthetic(subjects=4, replications=1)
PAIRS = [(label, label + 1) for label in range(0, len(MOVEMENTS), 2)]


@pytest.fixture(scope="module")
def clips() -> list[tuple[Source, Sequence]]:
    return [(source, SMALL.read(source)) for source in SMALL.find("anywhere")]


def same(first: Sequence, second: Sequence) -> bool:
    return np.array_equal(first.positions, second.positions) and np.array_equal(first.present, second.present)


def test_size_and_facts() -> None:
    sources = Synthetic().find(Path("does/not/exist"))
    assert len(sources) == 16 * 3 * 2 * 16 == 1536
    assert len({source.id for source in sources}) == 1536
    assert {source.label for source in sources} == set(range(16))
    assert sources[0].id == "S001C001P001R001A001"
    assert all(set(source.facts) == {"subject", "camera", "replication", "group"} for source in sources)
    source = next(source for source in sources if source.id == "S001C002P003R001A004")
    assert source.label == 3
    assert source.facts == {"subject": 3, "camera": 2, "replication": 1, "group": "val"}
    assert len(Synthetic(subjects=5, replications=3).find()) == 5 * 3 * 3 * 16


def test_known_by_name() -> None:
    assert isinstance(known_set("synthetic"), Synthetic)
    assert len(Synthetic.classes) == len(set(Synthetic.classes)) == 16
    assert sum(movement.people == 2 for movement in MOVEMENTS) == 4


def test_clips_are_well_formed(clips: list[tuple[Source, Sequence]]) -> None:
    for source, clip in clips:
        assert clip.positions.shape[1:] == (MOVEMENTS[source.label].people, 25, 3)
        assert clip.positions.dtype == np.float32
        assert SHORTEST <= clip.num_frames <= LONGEST
        assert (clip.fps, clip.unit, clip.skeleton.name) == (30.0, "m", "ntu25")
        assert clip.present.any(axis=0).all()
        assert not clip.positions[~clip.present].any()
        distance = clip.positions[clip.present][:, 0, 2]
        assert distance.min() > 1.4 and distance.max() < 5
    assert any(not clip.present.all() for _, clip in clips)


def test_same_seed_same_bytes_in_any_order(clips: list[tuple[Source, Sequence]]) -> None:
    again = Synthetic(subjects=4, replications=1)
    for source, clip in reversed(clips[::5]):
        assert same(again.read(source), clip)
    bigger = Synthetic(subjects=9, replications=2)
    assert same(bigger.read(clips[7][0]), clips[7][1])


def test_only_the_id_decides(clips: list[tuple[Source, Sequence]]) -> None:
    source, clip = clips[20]
    assert same(SMALL.read(Source(source.id, None, 0, {})), clip)


def test_other_seed_differs(clips: list[tuple[Source, Sequence]]) -> None:
    source, clip = clips[0]
    other = Synthetic(seed=1).read(source)
    assert other.positions.shape != clip.positions.shape or not np.allclose(other.positions, clip.positions)


def test_three_cameras_see_one_performance() -> None:
    sources = [source for source in SMALL.find() if source.id.endswith("P002R001A003")]
    assert [source.facts["camera"] for source in sources] == [1, 2, 3]
    exact = [SMALL.exact(source) for source in sources]
    assert np.array_equal(exact[0], exact[1]) and np.array_equal(exact[0], exact[2])
    seen = [SMALL.read(source).positions for source in sources]
    assert not np.allclose(seen[0], seen[1], atol=0.1)


def test_bones_keep_their_lengths() -> None:
    children, parents = np.array(SMALL.skeleton.bones).T
    lengths: dict[int, np.ndarray] = {}
    for source in SMALL.find():
        exact = SMALL.exact(source)
        assert exact[..., 1].min() > -0.05, "nobody sinks into the floor"
        bones = np.linalg.norm(exact[:, 0, children] - exact[:, 0, parents], axis=-1)
        subject = int(source.facts["subject"])
        expected = lengths.setdefault(subject, bones[0])
        # The foot is turned level whatever the shank does, so its bone is constant as well.
        np.testing.assert_allclose(bones, np.broadcast_to(expected, bones.shape), atol=1e-6)
    assert not np.allclose(lengths[1], lengths[2])


def test_knees_bend_forward_and_feet_stand() -> None:
    source = next(source for source in SMALL.find() if source.id == "S001C001P001R001A003")
    exact = SMALL.exact(source)[:, 0]
    for hip, knee, ankle, foot in ((12, 13, 14, 15), (16, 17, 18, 19)):
        forward = exact[:, foot] - exact[:, ankle]
        bend = exact[:, knee] - 0.5 * (exact[:, hip] + exact[:, ankle])
        assert ((forward * bend).sum(-1) > 0).all()
        assert np.ptp(exact[:, ankle], axis=0).max() < 0.02


def test_left_handed_people_mirror() -> None:
    mirror = SMALL.skeleton.mirror
    right, partner = draw_person(np.random.default_rng(3)), draw_person(np.random.default_rng(4))
    left = type(right)(right.body, right.style, left_handed=not right.left_handed)
    for movement in MOVEMENTS[::2]:
        both = []
        for person in (right, left):
            people = (person, partner)[: movement.people]
            both.append(perform(movement, people, 1, mirror, np.random.default_rng(5)))
        first, second = (positions - positions[:1, :1, :1] for positions in both)
        # Handedness does not change where people face, so compare what does not depend on it: distances of joints.
        second = second[:, :, list(mirror)]
        gaps = [np.linalg.norm(x[:, :, :, None] - x[:, :, None], axis=-1) for x in (first, second)]
        np.testing.assert_allclose(gaps[0], gaps[1], atol=1e-9)
    assert any(SMALL.person(subject).left_handed for subject in range(1, 65))
    assert not all(SMALL.person(subject).left_handed for subject in range(1, 65))


def test_left_handed_people_raise_the_left_arm() -> None:
    raised = []
    for left_handed in (False, True):
        person = draw_person(np.random.default_rng(3))
        person = type(person)(person.body, person.style, left_handed)
        end = perform(MOVEMENTS[0], (person,), 1, SMALL.skeleton.mirror, np.random.default_rng(5))[-1, 0]
        raised.append("left" if end[6, 1] > end[10, 1] else "right")
    assert raised == ["right", "left"]


def test_quiet_standing_is_symmetric_about_the_middle() -> None:
    person = draw_person(np.random.default_rng(0))
    pose = posed(person.body, rest(1, person.body, person.style))[0]
    np.testing.assert_allclose(pose[list(SMALL.skeleton.mirror)] * (-1, 1, 1), pose, atol=1e-9)
    assert pose[4, 0] > 0 > pose[8, 0], "the left shoulder is on the left, +x"
    assert pose[3, 1] == pose[:, 1].max()


@pytest.mark.parametrize(("forward", "backward"), PAIRS)
def test_pairs_share_their_poses(forward: int, backward: int) -> None:
    """Over many performances a pair has one mean pose, and one class starts as the other ends."""
    people = [draw_person(np.random.default_rng(seed)) for seed in range(60)]
    people = [type(person)(person.body, person.style, False) for person in people]
    means, starts, ends = [], [], []
    for label in (forward, backward):
        movement, poses = MOVEMENTS[label], []
        for seed, person in enumerate(people):
            cast = (person, people[seed - 1])[: movement.people]
            stage = perform(movement, cast, 1, SMALL.skeleton.mirror, np.random.default_rng((label, seed)))
            # In the frame of the first person: pelvis at the origin, hips along x on average.
            hips = (stage[:, 0, 12] - stage[:, 0, 16]).mean(0)
            angle = np.arctan2(hips[2], hips[0])
            turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
            local = (stage - stage[:, :1, :1]) @ turn
            poses.append((local.mean(0), local[0], local[-1]))
        mean, start, end = (np.mean([pose[part] for pose in poses], axis=0) for part in range(3))
        means.append(mean)
        starts.append(start)
        ends.append(end)
    assert np.abs(means[0] - means[1]).max() < 0.06
    if "circle" not in MOVEMENTS[forward].name and "walk" not in MOVEMENTS[forward].name:
        assert np.abs(starts[0] - ends[1]).max() < 0.12
        assert np.abs(ends[0] - starts[1]).max() < 0.12


def test_splits_are_disjoint_and_hold_out_people_and_views() -> None:
    sources = Synthetic().find()
    sizes = {}
    for name, split in Synthetic.splits.items():
        column = np.array([source.facts[split.column] for source in sources])
        clips = {part: set(split.clips(part, column).tolist()) for part in split.parts}
        sizes[name] = {part: len(numbers) for part, numbers in clips.items()}
        assert sum(map(len, clips.values())) == len(set().union(*clips.values()))
    assert sizes["xsub"] == {"train": 1152, "test": 384}
    assert sizes["xview"] == {"train": 1024, "test": 512}
    assert sizes["xboth"] == {"train": 768, "test": 128}
    assert sizes["xboth-val"] == {"train": 640, "val": 128, "test": 128}
    for fact in ("subject", "camera"):
        trained, tested = (
            {source.facts[fact] for source in sources if source.facts["group"] in groups}
            for groups in (("train", "val"), ("test",))
        )
        assert not trained & tested


@pytest.mark.parametrize(
    "clip", ["S001C004P001R001A001", "S001C001P001R001A017", "S001C001P000R001A001", "S001C001P001R001A000", "clip"]
)
def test_unknown_ids_are_refused(clip: str) -> None:
    with pytest.raises(ValueError, match="is no clip of the synthetic set"):
        SMALL.read(Source(clip, None, 0, {}))


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="subjects must be from 1 to 64, got 0"):
        Synthetic(subjects=0)
    with pytest.raises(ValueError, match="replications must be from 1 to 999, got 0"):
        Synthetic(replications=0)
    with pytest.raises(ValueError, match="seed must be 0 or more, got -1"):
        Synthetic(seed=-1)
