from __future__ import annotations

import json
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.store import Gathered, Store
from bonegraph.datasets.writer import Cells, Row, StoreWriter
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

SKELETON = SKELETONS["sbu15"]
CARD = Card(
    name="fake",
    skeleton=SKELETON,
    unit="m",
    fps=30.0,
    classes=("wave", "sit", "kick"),
    columns={"subject": "int", "pair": "str"},
    splits={"xsub": Split("subject", {"train": (0, 1), "test": (2,)}), "pairs": Split("pair", {"all": ("p,0", "p1")})},
    licence="none",
    made={"by": "a test"},
)


def sequence(rng: np.random.Generator, frames: int, people: int, *, gaps: bool, confidence: bool = False) -> Sequence:
    present = rng.random((frames, people)) < (0.7 if gaps else 2)
    present[rng.integers(frames), rng.integers(people)] = True
    positions = rng.normal(size=(frames, people, 15, 3)).astype(np.float32) * present[:, :, None, None]
    sure = None
    if confidence:
        sure = np.round(rng.random((frames, people, 15)) * 255).astype(np.float32) / np.float32(255)
        sure *= rng.random((frames, people, 15)) < 0.8
        sure *= present[:, :, None]
    return Sequence(positions, present, SKELETON, 30.0, "m", sure)


def write(folder: Path, clips: list[Sequence], *, confidence: bool = False) -> Store:
    card = Card(**{**CARD.__dict__, "confidence": confidence})
    with StoreWriter(folder, card) as writer:
        for number, clip in enumerate(clips):
            writer.append(f"clip {number}", number % 3, {"pair": f"p,{number % 2}", "subject": number % 4}, clip)
        writer.finish()
    return Store.open(folder)


def clips(*, gaps: bool, confidence: bool = False, count: int = 12) -> list[Sequence]:
    rng = np.random.default_rng(3)
    # Every third clip has no gap, so that a batch has clips of both kinds.
    return [
        sequence(rng, int(rng.integers(1, 9)), 1 + number % 3, gaps=gaps and number % 3 > 0, confidence=confidence)
        for number in range(count)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write(tmp_path / "store", clips(gaps=True))


def gather_slowly(store: Store, chosen: list[int], frames: np.ndarray[Any, Any], people: int) -> Gathered:
    """The definition, as loops over sequences."""
    shape = (*frames.shape, SKELETON.num_joints, people)
    positions = np.zeros((shape[0], 3, *shape[1:]), np.float32)
    visible = np.zeros(shape, np.bool_)
    confidence = np.zeros(shape, np.float32)
    for n, clip in enumerate(chosen):
        whole = store.sequence(clip)
        for t, frame in enumerate(frames[n]):
            for m in range(min(people, whole.num_people)):
                if frame >= 0:
                    visible[n, t, :, m] = whole.visible[frame, m]
                    positions[n, :, t, :, m] = (whole.positions[frame, m] * whole.visible[frame, m][:, None]).T
                    if whole.confidence is not None:
                        confidence[n, t, :, m] = whole.confidence[frame, m]
    return Gathered(positions, visible, confidence if store.has_confidence else None)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("people", [1, 2, 4])
def test_gather_is_its_definition(tmp_path: Path, gaps: bool, confidence: bool, people: int) -> None:
    store = write(tmp_path / "store", clips(gaps=gaps, confidence=confidence), confidence=confidence)
    rng = np.random.default_rng(5)
    for chosen in ([0], [3, 3, 1], list(range(12)), rng.integers(0, 12, 30).tolist()):
        frames = np.stack([rng.integers(-1, store.frames[clip], 7) for clip in chosen])
        fast, slow = store.gather(chosen, frames, people), gather_slowly(store, chosen, frames, people)
        assert fast.positions.shape == (len(chosen), 3, 7, 15, people)
        for ours, theirs in zip(fast, slow, strict=True):
            assert (ours is None) == (theirs is None)
            if ours is not None and theirs is not None:
                assert ours.dtype == theirs.dtype
                np.testing.assert_array_equal(ours, theirs)


def test_gather_leaves_a_batch_that_can_be_written_to(store: Store) -> None:
    batch = store.gather([0], [[0]], 1)
    assert batch.positions.flags.writeable
    assert batch.visible.flags.writeable


def test_gather_refuses(store: Store) -> None:
    with pytest.raises(IndexError, match="clips 0 to 11, but clip 12"):
        store.gather([12], [[0]], 1)
    with pytest.raises(IndexError, match="but clip -1"):
        store.gather([-1], [[0]], 1)
    with pytest.raises(IndexError, match=rf"'clip 2' has frames 0 to {store.frames[2] - 1}, but frames 0 to 99"):
        store.gather([1, 2], [[0, 0], [0, 99]], 1)
    with pytest.raises(IndexError, match="frames -2 to -2"):
        store.gather([1], [[-2]], 1)
    for chosen, frames, people in (([[1]], [[0]], 1), ([1], [0], 1), ([1, 2], [[0]], 1), ([1], [[0]], 0)):
        with pytest.raises(ValueError, match="gather needs"):
            store.gather(chosen, frames, people)


@pytest.mark.parametrize("confidence", [False, True])
def test_sequences_come_back(tmp_path: Path, confidence: bool) -> None:
    written = clips(gaps=True, confidence=confidence)
    store = write(tmp_path / "store", written, confidence=confidence)
    assert len(store) == len(written)
    for number, clip in enumerate(written):
        back = store.sequence(number)
        np.testing.assert_array_equal(back.positions, clip.positions)
        np.testing.assert_array_equal(back.present, clip.present)
        assert (back.skeleton, back.fps, back.unit) == (clip.skeleton, clip.fps, clip.unit)
        if clip.confidence is not None:
            assert back.confidence is not None
            np.testing.assert_allclose(back.confidence, clip.confidence, atol=1e-6)
            np.testing.assert_array_equal(back.confidence > 0, clip.confidence > 0)
    with pytest.raises(IndexError, match="but clip 12"):
        store.sequence(12)


def test_a_faint_joint_stays_visible(tmp_path: Path) -> None:
    clip = sequence(np.random.default_rng(0), 1, 1, gaps=False)
    faint = Sequence(clip.positions, clip.present, SKELETON, 30.0, "m", np.full((1, 1, 15), 1e-4, np.float32))
    assert Cells.of(faint).confidence is not None
    assert write(tmp_path / "store", [faint], confidence=True).gather([0], [[0]], 1).visible.all()


def test_no_padding(store: Store) -> None:
    present = sum(int(clip.present.sum()) for clip in clips(gaps=True))
    assert np.load(store.folder / "positions.npy").shape == (present, 15, 3)
    assert np.load(store.folder / "present.npy").size == int((store.frames * store.people).sum())
    assert not (store.folder / "confidence.npy").exists()


def test_the_index(store: Store) -> None:
    assert store.labels.tolist() == [0, 1, 2] * 4
    assert store.ids.tolist() == [f"clip {number}" for number in range(12)]
    assert store.column("subject").tolist() == [0, 1, 2, 3] * 3
    assert store.column("pair").tolist() == ["p,0", "p,1"] * 6
    assert store.people.tolist() == [1, 2, 3] * 4
    assert (store.name, store.unit, store.fps, store.has_confidence) == ("fake", "m", 30.0, False)
    assert (store.skeleton, store.classes, store.splits) == (SKELETON, CARD.classes, CARD.splits)
    assert store.card == CARD
    assert "12 clips" in repr(store)
    with pytest.raises(ValueError, match="no column 'subjct'; did you mean 'subject'"):
        store.column("subjct")


def test_parts(store: Store) -> None:
    assert store.part("xsub", "train").tolist() == [0, 1, 4, 5, 8, 9]
    assert store.part("xsub", "test").tolist() == [2, 6, 10]
    assert store.part("pairs", "all").tolist() == [0, 2, 4, 6, 8, 10]
    with pytest.raises(ValueError, match="no split 'xsbu'; did you mean 'xsub'"):
        store.part("xsbu", "train")
    with pytest.raises(ValueError, match="no part 'trian'; did you mean 'train'"):
        store.part("xsub", "trian")


def test_find(store: Store) -> None:
    assert store.find("clip 11") == 11
    with pytest.raises(ValueError, match="no clip 'clip 1x'; the nearest of its 12 ids is 'clip 1'"):
        store.find("clip 1x")
    with pytest.raises(ValueError, match="nearest"):
        store.find("")


def _first_positions(store: Store) -> bytes:
    return store.gather([0], [[0]], 1).positions.tobytes()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_store_travels_to_another_process(store: Store, method: str) -> None:
    assert len(pickle.dumps(store)) < 1000 + len(str(store.folder))
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_first_positions, (store,)) == _first_positions(store)


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def _lines(path: Path, count: int, more: str = "") -> None:
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]) + more)


def _cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: _cut(f / "positions.npy", 5000), ValueError, r"positions.npy' is cut off or damaged"),
        (lambda f: _cut(f / "positions.npy", 50), ValueError, r"positions.npy' is cut off or damaged"),
        (lambda f: _cut(f / "positions.npy", 0), ValueError, r"positions.npy' is cut off or damaged"),
        (lambda f: _cut(f / "present.npy", 130), ValueError, r"present.npy' is cut off or damaged"),
        (lambda f: (f / "present.npy").unlink(), FileNotFoundError, "has no present.npy"),
        (lambda f: np.save(f / "present.npy", np.ones(3, bool)), ValueError, r"present.npy' has shape \(3,\)"),
        (lambda f: np.save(f / "present.npy", np.ones(3)), ValueError, "holds float64, but bool"),
        (
            lambda f: np.save(f / "present.npy", np.zeros_like(np.load(f / "present.npy"))),
            ValueError,
            "present.npy' marks 0 cells",
        ),
        (lambda f: np.save(f / "positions.npy", np.ones((9, 4, 3), np.float32)), ValueError, "but rows x 15 joints"),
        (lambda f: np.save(f / "positions.npy", np.ones((9, 15, 3), np.float32)), ValueError, "index.csv' gives clip"),
        (lambda f: np.save(f / "positions.npy", np.array([{}]), allow_pickle=True), ValueError, "damaged"),
        (lambda f: (f / "index.csv").unlink(), FileNotFoundError, "has no index.csv"),
        (lambda f: (f / "index.csv").write_text(""), ValueError, "index.csv' cannot be used: it lists no clips"),
        (
            lambda f: (f / "index.csv").write_bytes(b"\xff\n\xfe"),
            ValueError,
            "index.csv' cannot be used: 'utf-8' codec",
        ),
        (lambda f: _lines(f / "index.csv", 1), ValueError, "lists no clips"),
        (lambda f: _lines(f / "index.csv", 3, "clip 2,2,"), ValueError, "requires 7 columns but 3 were found at row 3"),
        (lambda f: _edit(f / "index.csv", "subject", "sbject"), ValueError, "its columns are"),
        (lambda f: _edit(f / "index.csv", "clip 1,1,", "clip 1,3,"), ValueError, "'clip 1' label 3, but there are 3"),
        (lambda f: _edit(f / "index.csv", "clip 1,1,", "clip 1,-1,"), ValueError, "'clip 1' label -1"),
        (lambda f: _edit(f / "index.csv", "clip 1,1,", "clip 1,one,"), ValueError, "'one' to int64 at row 1"),
        (lambda f: _edit(f / "index.csv", "clip 1,1,", "clip 0,1,"), ValueError, "lists clip 'clip 0' twice"),
        (lambda f: (f / "dataset.json").unlink(), FileNotFoundError, "not a prepared data set"),
        (lambda f: _cut(f / "dataset.json", 100), ValueError, "dataset.json' cannot be used"),
        (lambda f: (f / "dataset.json").write_text("[]"), ValueError, "its format is None"),
        (lambda f: _edit(f / "dataset.json", "store 1", "store 9"), ValueError, "'bonegraph store 9'"),
        (lambda f: _edit(f / "dataset.json", '"unit"', '"unti"'), ValueError, "field 'unit' is missing"),
        (lambda f: _edit(f / "dataset.json", "30.0", "[]"), ValueError, "a field is wrong"),
        (lambda f: _edit(f / "dataset.json", '"int"', '"float"'), ValueError, "must be 'int' or 'str'"),
    ],
)
def test_a_damaged_store_says_what_is_wrong(store: Store, damage: Any, error: type[Exception], message: str) -> None:
    damage(store.folder)
    with pytest.raises(error, match=message) as caught:
        Store.open(store.folder)
    assert "\n" not in str(caught.value)
    assert str(store.folder) in str(caught.value)


def test_ids_may_be_any_text(tmp_path: Path) -> None:
    clip = clips(gaps=False, count=1)[0]
    ids = ['say "hi"', "a,b", " x ", "#1", "Ümläut 手", "'"]
    with StoreWriter(tmp_path / "store", CARD) as writer:
        for clip_id in ids:
            writer.append(clip_id, 0, {"subject": 7, "pair": clip_id + clip_id}, clip)
        writer.finish()
    store = Store.open(tmp_path / "store")
    assert store.ids.tolist() == ids
    assert store.column("pair").tolist() == [clip_id + clip_id for clip_id in ids]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .* prepare a data set there first"):
        Store.open(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="not a prepared data set"):
        Store.open(tmp_path)


def test_anyone_can_open_the_folder(store: Store) -> None:
    assert json.loads((store.folder / "dataset.json").read_text())["classes"] == ["wave", "sit", "kick"]
    assert np.load(store.folder / "positions.npy").dtype == np.float32
    assert (store.folder / "index.csv").read_text().splitlines()[1].startswith('clip 0,0,0,"p,0",0,')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ()}, "class names that differ"),
        ({"classes": ("a", "a")}, "class names that differ"),
        ({"columns": {"label": "int"}}, "'label' has the name of a column"),
        ({"splits": {"x": Split("sbject", {"a": (1,)})}}, "needs the column 'sbject'; did you mean 'subject'"),
        ({"splits": {"x": Split("subject", {"a": ("1",)})}}, "column 'subject' holds int values"),
    ],
)
def test_nonsense_cards_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Card(**{**CARD.__dict__, **change})


def test_a_store_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    clip = clips(gaps=False, count=1)[0]
    with pytest.raises(ZeroDivisionError), StoreWriter(tmp_path / "store", CARD) as writer:
        writer.append("a", 0, {"subject": 0, "pair": ""}, clip)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_finished_store_is_not_replaced_by_accident(tmp_path: Path, store: Store) -> None:
    clip = clips(gaps=False, count=1)[0]

    def again(folder: Path, overwrite: bool) -> None:
        with StoreWriter(folder, CARD) as writer:
            writer.append("a", 0, {"subject": 0, "pair": ""}, clip)
            writer.finish(overwrite=overwrite)

    with pytest.raises(FileExistsError, match="is taken by a store"):
        again(store.folder, overwrite=False)
    assert len(Store.open(store.folder)) == 12
    again(store.folder, overwrite=True)
    assert len(Store.open(store.folder)) == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(FileExistsError, match="is taken by no store"):
        again(tmp_path / "mine", overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "store"]


def test_the_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clip = sequence(rng, 2, 1, gaps=False)
    facts: dict[str, int | str] = {"subject": 0, "pair": ""}
    with StoreWriter(tmp_path / "store", CARD) as writer:
        with pytest.raises(ValueError, match="at least one"):
            writer.finish()
        writer.append("a", 0, facts, clip)
        for clip_id, label, more, other, message in (
            ("a", 0, facts, clip, "'a' is there twice"),
            ("", 0, facts, clip, "printable"),
            ("b\n", 0, facts, clip, "printable"),
            ("b", 3, facts, clip, "label 3, outside 0 to 2"),
            ("c", 0, {"subject": 1}, clip, "the facts"),
            ("d", 0, facts, Sequence(clip.positions, clip.present, SKELETON, 25.0, "m"), "frame rate 25.0"),
            ("e", 0, facts, Sequence(clip.positions, clip.present, SKELETON, 30.0, "px"), "unit px"),
            ("f", 0, facts, Sequence(clip.positions, ~clip.present, SKELETON, 30.0, "m"), "'f' has nobody in it"),
            ("g", 0, facts, Sequence(clip.positions[..., :2], clip.present, SKELETON, 30.0, "m"), "are due"),
            ("h", 0, facts, sequence(rng, 2, 1, gaps=False, confidence=True), "confidence exactly if"),
        ):
            with pytest.raises(ValueError, match=message):
                writer.append(clip_id, label, more, other)
    assert not (tmp_path / "store").exists()


def test_many_clips_at_once(tmp_path: Path) -> None:
    written = clips(gaps=True)
    rows = [Row(f"clip {n}", n % 3, (n, "p"), clip.num_frames, clip.num_people) for n, clip in enumerate(written)]
    cells = [Cells.of(clip) for clip in written]
    joined = Cells(np.concatenate([c.positions for c in cells]), np.concatenate([c.present for c in cells]))
    with StoreWriter(tmp_path / "store", CARD) as writer:
        writer.append_cells(rows, joined)
        writer.finish()
    store = Store.open(tmp_path / "store")
    for number, clip in enumerate(written):
        np.testing.assert_array_equal(store.sequence(number).positions, clip.positions)
