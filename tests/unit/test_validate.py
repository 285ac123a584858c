"""Validation finds each defect that is put into a clean set, and none in the clean set."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.card import Card
from bonegraph.datasets.checks.clip import read_clip
from bonegraph.datasets.checks.ids import check_ids
from bonegraph.datasets.checks.labels import check_labels
from bonegraph.datasets.checks.looks import Looks
from bonegraph.datasets.checks.splits import check_splits
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.datasets.validate import MEANING, Finding, validate
from bonegraph.datasets.writer import StoreWriter
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton

NTU = SKELETONS["ntu25"]
LEFT = [NTU.index(f"left {joint}") for joint in ("shoulder", "elbow", "wrist", "hand", "hand tip", "thumb")]
RIGHT = [NTU.mirror[joint] for joint in LEFT]
ARMS = [joint for pair in zip(LEFT, RIGHT, strict=True) for joint in pair]
CLIP = "S001C002P001R001A001"  # one person, in the training part of every split

Row = tuple[str, int, dict[str, Any], Sequence]
Edit = Callable[[Row], Iterable[Row]]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """192 clips: 4 people, 16 movements, 3 cameras."""
    folder = tmp_path_factory.mktemp("clean") / "store"
    prepare(Synthetic(subjects=4, replications=1), None, folder, workers=1, progress=False)
    return Store.open(folder)


def rewritten(store: Store, folder: Path, edit: Edit, **card: Any) -> Store:
    """A copy of a store with other clips, and perhaps another card."""
    with StoreWriter(folder, replace(store.card, **card)) as writer:
        for clip, name in enumerate(store.ids.tolist()):
            facts = {column: values[clip].item() for column, values in store.columns.items()}
            for row in edit((name, int(store.labels[clip]), facts, store.sequence(clip))):
                writer.append(*row)
        writer.finish()
    return Store.open(folder)


def moved(sequence: Sequence, change: Callable[[Any], None]) -> Sequence:
    """A recording whose positions (T, M, V, C) were changed in place."""
    positions = sequence.positions.copy()
    change(positions)
    return replace(sequence, positions=positions)


def of_kind(findings: Iterable[Finding], *kinds: str) -> list[Finding]:
    return [finding for finding in findings if finding.kind in kinds]


def about(findings: Iterable[Finding], clip: str) -> set[tuple[str, str]]:
    """Severity and kind of what was found about a clip."""
    return {(finding.severity, finding.kind) for finding in findings if clip in finding.clips}


def test_a_clean_set_has_only_notes(clean: Store, capsys: pytest.CaptureFixture[str]) -> None:
    validation = validate(clean)
    assert {(finding.kind, finding.severity) for finding in validation.findings} == {("leak", "note")}
    assert [finding.message.split("'")[1] for finding in validation.findings] == ["xsub", "xview", "xboth-val"]
    assert validation.clips == 192 and validation.count("error") == validation.count("warning") == 0
    bar = capsys.readouterr().err
    assert "validate synthetic" in bar and "192/192" in bar


# --- splits -----------------------------------------------------------------------------------------------------------


def with_splits(store: Store, **splits: Split) -> Store:
    """A store whose dataset.json was edited."""
    columns = {name: "str" if values.dtype.kind == "U" else "int" for name, values in store.columns.items()}
    return replace(store, card=replace(store.card, splits=splits, columns=columns))


def splits_of(store: Store) -> list[Finding]:
    return check_splits(store, tuple(store.splits))


def test_a_subject_on_both_sides_of_a_cross_subject_split(clean: Store) -> None:
    by_camera = Split("camera", {"train": (1, 2), "test": (3,)})
    leak, note = splits_of(with_splits(clean, xsub=by_camera, xview=by_camera))
    assert (leak.kind, leak.severity, len(leak.clips)) == ("leak", "error", 192)
    assert leak.message == "'xsub' has subject 1, 2, 3, 4 in both 'train' and 'test', against its name."
    assert (note.kind, note.severity, note.clips) == ("leak", "note", ())

    # A split over a column of its own, in which one clip of a subject got onto the other side.
    side = np.where((clean.column("subject") == 2) | (clean.ids == CLIP), "b", "a")
    edited = replace(clean, columns={**clean.columns, "group": side})
    odd = with_splits(edited, **{"cross-subject": Split("group", {"train": ("a",), "test": ("b",)})})
    leak = splits_of(odd)[0]
    assert "has subject 1 in both 'train' and 'test'" in leak.message
    assert CLIP in leak.clips and len(leak.clips) == 48
    # Validation on people who also train only makes the choice of settings worse.
    tuned = with_splits(edited, **{"cross-subject": Split("group", {"train": ("a",), "val": ("b",)})})
    assert {finding.severity for finding in splits_of(tuned)} == {"note"}


@pytest.mark.parametrize(
    ("name", "promises"),
    [
        ("xsub", "subject"),
        ("x-sub", "subject"),
        ("cross_subject", "subject"),
        ("odd-even", "subject"),
        ("xview", "camera"),
        ("cross-view", "camera"),
        ("xset", "setup"),
        ("xboth", "subject camera"),
        ("fold1", ""),
        ("subset", ""),
        ("random", ""),
        ("usual", ""),
    ],
)
def test_what_the_name_of_a_split_promises(clean: Store, name: str, promises: str) -> None:
    columns = {**clean.columns, "setup": np.ones(192, np.int64), "half": np.where(clean.labels % 2, "a", "b")}
    store = with_splits(replace(clean, columns=columns), **{name: Split("half", {"train": ("a",), "test": ("b",)})})
    errors = [finding for finding in splits_of(store) if finding.severity == "error"]
    assert [finding.message.split()[2] for finding in errors] == promises.split()


def test_parts_and_classes(clean: Store, tmp_path: Path) -> None:
    def thin(row: Row) -> list[Row]:
        _, label, facts, _ = row
        if (label == 3 and facts["camera"] == 3) or label == 15:
            return []
        return [] if label == 5 and (facts["subject"], facts["camera"]) != (1, 1) else [row]

    splits = {
        "one": Split("camera", {"train": (2,), "test": (1,), "val": (9,)}),
        "two": Split("camera", {"train": (2, 1), "test": (3,)}),
    }
    messages = [finding.message for finding in splits_of(rewritten(clean, tmp_path / "store", thin, splits=splits))]
    assert "part 'val' of 'one' has no clips." in messages
    assert "part 'train' of 'one' has no clip of 1 classes that other parts have: 'take off hat'." in messages
    assert (
        "part 'test' of 'two' has no clip of 2 classes that other parts have: 'stand up', 'take off hat'." in messages
    )
    assert "1 classes have no clip at all: 'shake hands and step back'." in messages
    assert any(re.search(r"has 12 clips and 'take off hat' 1; look", message) for message in messages)


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looks(clean: Store) -> Looks:
    return looks_of(clean)


def looks_of(store: Store) -> Looks:
    looks = Looks(store)
    for clip in range(len(store)):
        looks.look(read_clip(store, clip))
    return looks


def labels_of(store: Store, looks: Looks) -> list[Finding]:
    return check_labels(store, tuple(store.splits), looks)


@pytest.mark.parametrize(
    ("by", "where"),
    [
        (1, "subject 2"),
        (-1, "subject 4"),
        (7, "camera 3"),
        (1, "group train"),
        (1, "group test"),
        (2, "subject 1"),
    ],
)
def test_shifted_labels_are_seen_in_what_the_clips_look_like(clean: Store, looks: Looks, by: int, where: str) -> None:
    column, value = where.split()
    wrong = clean.column(column).astype(str) == value
    assert labels_of(clean, looks) == []
    (shift,) = labels_of(replace(clean, labels=np.where(wrong, (clean.labels + by) % 16, clean.labels)), looks)
    assert (shift.kind, shift.severity) == ("label-shift", "error")
    assert f"whose number is {abs(by)} {'lower' if by > 0 else 'higher'}" in shift.message
    assert set(shift.clips) == set(clean.ids[wrong].tolist())
    assert f"the labels of {where} look shifted" in shift.message


def test_two_wrong_groups(clean: Store, looks: Looks) -> None:
    one, two = clean.column("subject") == 1, clean.column("group") == "test"
    labels = np.where(one, (clean.labels + 1) % 16, np.where(two, (clean.labels + 5) % 16, clean.labels))
    first, second = labels_of(replace(clean, labels=labels), looks)
    assert set(first.clips) == set(clean.ids[one].tolist())
    assert set(second.clips) == set(clean.ids[two].tolist())
    assert "1 lower" in first.message and "5 lower" in second.message


def test_a_class_that_looks_like_another_in_one_group(tmp_path: Path) -> None:
    prepare(Synthetic(subjects=8, replications=1), None, tmp_path / "store", workers=1, progress=False)
    store = Store.open(tmp_path / "store")
    looks = looks_of(store)
    walk, sit = store.classes.index("walk forward"), store.classes.index("sit down")

    def exchanged(subjects: int) -> list[Finding]:
        wrong = (store.column("camera") == 2) & (store.column("subject") <= subjects)
        labels = store.labels.copy()
        labels[wrong & (store.labels == walk)] = sit
        labels[wrong & (store.labels == sit)] = walk
        return labels_of(replace(store, labels=labels), looks)

    assert exchanged(0) == []
    assert exchanged(2) == []  # two of eight clips of a class are no rule
    found = exchanged(8)
    assert {(finding.kind, finding.severity) for finding in found} == {("label-class", "warning")}
    messages = [finding.message for finding in found if "in camera 2" in finding.message]
    assert "in camera 2, 8 of 8 clips of 'sit down' look like 'walk forward' elsewhere." in messages
    assert "in camera 2, 8 of 8 clips of 'walk forward' look like 'sit down' elsewhere." in messages
    assert len(found[0].clips) == 8


def test_labels_that_disagree_with_the_ids(clean: Store) -> None:
    every = np.arange(len(clean))
    assert check_ids(clean, every) == []
    wrong = clean.column("subject") == 2
    (mismatch,) = check_ids(replace(clean, labels=np.where(wrong, (clean.labels + 1) % 16, clean.labels)), every)
    assert (mismatch.kind, mismatch.severity, len(mismatch.clips)) == ("id-mismatch", "error", 48)
    assert (
        "48 of 192 clips have another label than their ids say: 'lower arm' in 'S001C001P002R001A001', where the "
        in (mismatch.message)
    )
    assert "number after 'A' is 1, which elsewhere is 'raise arm'" in mismatch.message
    # Labels of the whole set that count from elsewhere cannot be seen in the looks, but in the ids.
    (everywhere,) = check_ids(replace(clean, labels=(clean.labels + 1) % 16), every)
    assert "counts the 16 classes from 1, but every label is 1 further on than it says" in everywhere.message
    # A fact that disagrees with its id.
    subjects = np.where(clean.ids == CLIP, 3, clean.column("subject"))
    (fact,) = check_ids(replace(clean, columns={**clean.columns, "subject": subjects}), every)
    assert fact.clips == (CLIP,) and "have another subject than their ids say: 3 in" in fact.message
    # Ids that tell nothing.
    for names in ([f"clip {number}" for number in every], [chr(200 + number) for number in every]):
        assert check_ids(replace(clean, ids=np.array(names)), every) == []


# --- recordings that are there twice ----------------------------------------------------------------------------------


def shift(sequence: Sequence) -> Sequence:
    return replace(sequence, positions=sequence.positions + np.array([1, 2, 3], np.float32))


def noise(sequence: Sequence) -> Sequence:
    random = np.random.default_rng(0)
    x = sequence.positions + random.normal(0, 0.001, sequence.positions.shape)
    return replace(sequence, positions=x.astype(np.float32))


def part(sequence: Sequence, frames: slice) -> Sequence:
    return replace(sequence, positions=sequence.positions[frames], present=sequence.present[frames])


COPIES: dict[str, Callable[[Sequence], Sequence]] = {
    "S001C002P001R001A001": lambda sequence: sequence,
    "S001C002P001R001A002": shift,
    "S001C002P001R001A003": noise,
    "S001C002P001R001A004": lambda sequence: part(sequence, slice(1, -1)),
    "S001C002P001R001A005": lambda sequence: part(sequence, slice(None, None, 2)),
    "S001C003P002R001A013": shift,  # two people
    "S001C003P002R001A014": noise,
}


def test_recordings_that_are_there_twice(clean: Store, tmp_path: Path) -> None:
    def twice(row: Row) -> list[Row]:
        name, label, facts, sequence = row
        if name in COPIES:
            return [row, (f"{name}-again", label, facts, COPIES[name](sequence))]
        if name == "S001C001P001R001A001":  # on the other side of xsub
            return [row, ("leak", label, {**facts, "subject": 4}, sequence)]
        if name == "S001C001P001R001A002":
            return [row, ("wrong", (label + 1) % 16, facts, sequence)]
        if name == "S001C001P001R001A003":
            return [row, *((f"copy{number}", *row[1:]) for number in range(3))]
        return [row]

    store = rewritten(clean, tmp_path / "store", twice)
    findings = of_kind(validate(store, progress=False).findings, "duplicate")
    by_clip = {clip: finding for finding in findings for clip in finding.clips}
    assert len(findings) == len(COPIES) + 3
    for name in COPIES:
        finding = by_clip[name]
        assert set(finding.clips) == {name, f"{name}-again"} and finding.severity == "warning"
        assert ("nearly the same recording (" in finding.message) == (name[-3:] in ("003", "014"))
        assert ("at different lengths" in finding.message) == (name[-3:] in ("004", "005"))
    leak, wrong, many = by_clip["leak"], by_clip["wrong"], by_clip["copy1"]
    assert leak.severity == "error"
    assert leak.message.endswith("are the same recording; they are in train and test of 'xsub'.")
    assert wrong.severity == "error" and "have different labels, 'lower arm' and 'sit down'" in wrong.message
    assert set(many.clips) == {"S001C001P001R001A003", "copy0", "copy1", "copy2"}
    assert "and 2 more are the same recording" in many.message

    # Only the split that is asked for counts, and only its clips.
    xview = validate(store, split="xview", progress=False)
    assert {finding.severity for finding in of_kind(xview.findings, "duplicate") if "leak" in finding.clips} == {
        "warning"
    }
    xboth = validate(store, split="xboth", progress=False)
    assert xboth.clips < len(store)
    assert about(xboth.findings, "leak") == set()


def test_many_people_who_stand_still_are_no_copies(clean: Store, tmp_path: Path) -> None:
    """They look alike, each with noise of its own."""
    random = np.random.default_rng(1)
    pose = clean.sequence(clean.find(CLIP)).positions[0]

    def still(row: Row) -> list[Row]:
        x = pose + random.normal(0, 0.003, (40, 1, 25, 3))
        return [(*row[:3], Sequence(x.astype(np.float32), np.ones((40, 1), np.bool_), NTU, 30.0, "m"))]

    findings = validate(rewritten(clean, tmp_path / "store", still), split="xview", progress=False).findings
    assert of_kind(findings, "duplicate") == []


# --- bodies -----------------------------------------------------------------------------------------------------------

KNEE, ANKLE, FOOT, WRIST = (NTU.index(f"left {joint}") for joint in ("knee", "ankle", "foot", "wrist"))


def exchanged(joints: list[int], frames: slice) -> Callable[[Any], None]:
    others = [NTU.mirror[joint] for joint in joints]

    def change(x: Any) -> None:
        x[frames][:, :, joints] = x[frames][:, :, others]

    return change


def flipped(x: Any) -> None:
    x[..., 0] *= -1


def renamed(x: Any) -> None:
    x[:] = x[:, :, list(NTU.mirror)]


def another_person(x: Any) -> None:
    flipped(x)
    renamed(x)


def frozen(x: Any) -> None:
    x[:] = x[:1]


def stretched(x: Any) -> None:
    x[10:30] = x[10]


def stuck(x: Any) -> None:
    x[:, :, WRIST] = x[:1, :, WRIST]


def stiff(x: Any) -> None:
    x[:, :, WRIST] = x[:, :, NTU.parents[WRIST]] + [0.2, 0.1, 0]


def long(x: Any) -> None:
    x[:, :, [ANKLE, FOOT]] += 1.5 * (x[:, :, [ANKLE]] - x[:, :, [KNEE]])


def growing(x: Any) -> None:
    x[:, :, [ANKLE, FOOT]] += np.linspace(0, 1.5, len(x))[:, None, None, None] * (x[:, :, [ANKLE]] - x[:, :, [KNEE]])


def thrown(x: Any) -> None:
    x[7, :, FOOT] += [0, 3, 0]


def small(x: Any) -> None:
    x *= 0.4


# What follows from a defect (a wrist that is stuck stretches its bones) may be found besides.
FOLLOW = {"bone-length", "bone-change", "crossed"}
DEFECTS: dict[str, tuple[Callable[[Any], None], str, str]] = {
    "arms for a while": (exchanged(ARMS, slice(20, 32)), "swap", r"frames (19 and 20|31 and 32) \(.*of 2 times\)"),
    "elbows for a while": (exchanged(ARMS[2:], slice(20, 32)), "swap", "left and right change places in"),
    "hands from then on": (exchanged(ARMS[4:], slice(20, None)), "swap", "between frames 19 and 20 .left wrist"),
    "elbows throughout": (exchanged(ARMS[2:], slice(None)), "crossed", "left elbow and right elbow hang on the bones"),
    "arms throughout": (exchanged(ARMS, slice(None)), "twisted", "the shoulders of .* lie against the hips"),
    "mirror image": (flipped, "mirrored", "point backwards"),
    "left called right": (renamed, "mirrored", "point backwards"),
    "mirrored and renamed": (another_person, "", ""),  # another movement, and no defect
    "frozen": (frozen, "frozen", "does not move in any of"),
    "frozen for a while": (stretched, "frozen-stretch", r"shows one frame 20 times, from frame 10 on \(0.7 s\)"),
    "stuck": (stuck, "frozen-joint", "the left wrist of .* stays where it is in 100% of the frames"),
    "stiff": (stiff, "frozen-joint", "the left wrist of .* stays where it is in 100% of the frames"),
    "long bone": (long, "bone-length", r"left knee - left ankle of .* is 2\.[3-7] times as long as usual"),
    "growing bone": (growing, "bone-change", "left knee - left ankle of .* varies by .* body sizes more than usual"),
    "thrown": (thrown, "bone-jump", "body sizes too long in frame 7"),
    "child": (small, "", ""),
}


@pytest.fixture(scope="module")
def broken(clean: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], tuple[Finding, ...]]:
    """Clips by defect, and what is found in a set in which each defect has one clip."""
    free = [
        name
        for clip, name in enumerate(clean.ids.tolist())
        if clean.people[clip] == 1
        and clean.sequence(clip).present.all()
        and clean.labels[clip] < 6  # with arms apart before they go up
        and clean.column("camera")[clip] > 1
    ]
    clips = dict(zip(DEFECTS, free[:: len(free) // len(DEFECTS)], strict=False))
    change = {clip: DEFECTS[defect][0] for defect, clip in clips.items()}
    assert len(change) == len(DEFECTS)

    def edit(row: Row) -> list[Row]:
        return [(*row[:3], moved(row[3], change[row[0]]))] if row[0] in change else [row]

    store = rewritten(clean, tmp_path_factory.mktemp("broken") / "store", edit)
    return clips, validate(store, progress=False).findings


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_of_the_body_is_found(broken: tuple[dict[str, str], tuple[Finding, ...]], defect: str) -> None:
    clips, findings = broken
    _, kind, text = DEFECTS[defect]
    own = [finding for finding in findings if clips[defect] in finding.clips]
    assert {finding.severity for finding in own} <= {"warning"}
    assert {finding.kind for finding in own} - FOLLOW - {kind} == set()
    assert any(finding.kind == kind and re.search(text, finding.message) for finding in own) == bool(kind), own
    assert kind or not own


def test_nothing_else_is_found(broken: tuple[dict[str, str], tuple[Finding, ...]]) -> None:
    clips, findings = broken
    rest = [finding for finding in findings if not set(finding.clips) & set(clips.values())]
    assert {(finding.kind, finding.severity) for finding in rest} == {("leak", "note")}


def test_what_many_clips_have_is_one_note(clean: Store, tmp_path: Path) -> None:
    def edit(row: Row) -> list[Row]:
        return [(*row[:3], moved(row[3], stuck))] if row[2]["subject"] < 3 else [row]

    findings = validate(rewritten(clean, tmp_path / "store", edit), progress=False).findings
    (note,) = of_kind(findings, "frozen-joint")
    assert note.severity == "note" and len(note.clips) == 96
    assert note.message.startswith("in 96 of 192 clips (50%) a joint stays where it is while others move; this is how")


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_numbers_that_are_none(clean: Store, tmp_path: Path) -> None:
    shutil.copytree(clean.folder, tmp_path / "store")
    positions = np.load(tmp_path / "store" / "positions.npy", mmap_mode="r+")
    first, second = int(clean.frames[0]), int(clean.frames[1])
    if clean.sequence(0).present.all():
        positions[3:5, 4] = np.nan
    positions[-1, 0, 0] = np.inf
    positions.flush()
    broken = of_kind(validate(Store.open(tmp_path / "store"), progress=False).findings, "not-finite")
    assert first and second
    assert [finding.severity for finding in broken] == ["error", "error"]
    assert broken[0].message.startswith(
        f"'{clean.ids[0]}' holds NaN or infinity in 2 joints, the first is 'left shoulder'"
    )
    assert "in frame 3;" in broken[0].message and broken[1].clips == (str(clean.ids[-1]),)


def test_pictures_with_confidence(clean: Store, tmp_path: Path) -> None:
    """2-D keypoints of a camera, some of them not found: clean is clean, and what can be seen there is found."""
    random = np.random.default_rng(2)
    nobody, short, swapped = "S001C002P001R001A002", "S001C002P001R001A003", CLIP

    def seen(row: Row) -> list[Row]:
        name, label, facts, sequence = row
        x, y, z = np.moveaxis(sequence.positions, -1, 0)
        depth = np.maximum(z, 0.5)
        positions = np.stack([500 * x / depth + 320, 240 - 500 * y / depth], axis=-1).astype(np.float32)
        confidence = np.where(random.random(x.shape) < 0.1, 0, 0.8).astype(np.float32)
        if name == swapped:
            exchanged(ARMS, slice(20, 32))(positions)
        if name == nobody:
            confidence[:] = 0
        picture = Sequence(positions, sequence.present, NTU, 30.0, "px", confidence)
        if name == short:
            picture = Sequence(positions[:5], sequence.present[:5], NTU, 30.0, "px", confidence[:5])
        return [(name, label, facts, picture)]

    store = rewritten(clean, tmp_path / "store", seen, unit="px", confidence=True)
    findings = [finding for finding in validate(store, progress=False).findings if finding.severity != "note"]
    assert about(findings, nobody) == {("error", "empty")}
    assert about(findings, short) == {("warning", "short")}
    assert about(findings, swapped) == {("warning", "swap")}
    assert len(findings) == 3
    assert "in only 5 frames" in of_kind(findings, "short")[0].message


@pytest.mark.parametrize(
    "skeleton",
    [
        Skeleton("point", ("tip",), (0,), (0,)),
        Skeleton("stick", ("a", "b"), (0, 0), (0, 1)),
        Skeleton("wings", ("a", "b", "c"), (0, 0, 0), (0, 2, 1)),
    ],
    ids=lambda skeleton: skeleton.name,
)
def test_a_skeleton_without_a_body(tmp_path: Path, skeleton: Skeleton) -> None:
    random = np.random.default_rng(3)
    card = Card(name="mine", skeleton=skeleton, unit="px", fps=10.0, classes=("x", "y"))
    with StoreWriter(tmp_path / "store", card) as writer:
        for number in range(40):
            x = random.normal(size=(20, 1, skeleton.num_joints, 2)).cumsum(axis=0).astype(np.float32)
            writer.append(
                f"clip {number}", number % 2, {}, Sequence(x, np.ones((20, 1), np.bool_), skeleton, 10.0, "px")
            )
        writer.finish()
    assert validate(Store.open(tmp_path / "store"), progress=False).count("error") == 0


def test_one_clip_is_a_set_too(clean: Store, tmp_path: Path) -> None:
    store = rewritten(clean, tmp_path / "store", lambda row: [row] if row[0] == CLIP else [], splits={})
    assert {finding.kind for finding in validate(store, progress=False).findings} == {"classes"}


def test_an_unknown_split(clean: Store) -> None:
    with pytest.raises(ValueError, match=r"'synthetic' has no split 'xvew'; did you mean 'xview'\?"):
        validate(clean, split="xvew")


def test_every_kind_has_a_meaning() -> None:
    checks = Path(__file__).parents[2] / "src" / "bonegraph" / "datasets" / "checks"
    text = "\n".join(file.read_text() for file in checks.glob("*.py"))
    assert set(re.findall(r'(?:Finding|one_by_one|_report)\(\s*"([a-z-]+)"', text)) == set(MEANING)
