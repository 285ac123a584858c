"""One's own recordings: tables and arrays of one clip, and folders of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.datasets.known import NO_LABEL
from bonegraph.datasets.known.table import TableSet
from bonegraph.read import read
from bonegraph.read.table import read_table
from bonegraph.skeleton import SKELETONS, Skeleton

RNG = np.random.default_rng(0)
STICK = Skeleton("stick", ("neck", "left hand", "right hand"), (0, 0, 0), (0, 2, 1))
POINTS = np.arange(1.0, 13.0).reshape(2, 3, 2)  # (T, V, C)


def write(path: Path, text: str | bytes | NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(text, np.ndarray):
        np.save(path, text)
    else:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def table(rows: NDArray[Any], heading: str = "", mark: str = ",") -> str:
    lines = [mark.join(f"{value:g}" for value in row) for row in rows.reshape(len(rows), -1)]
    return "\n".join([heading] * bool(heading) + lines) + "\n"


HEADING = "neck x,neck y,left hand x,left hand y,right hand x,right hand y"


@pytest.mark.parametrize(
    "text",
    [
        table(POINTS),
        table(POINTS, mark=";"),
        table(POINTS, mark="\t"),
        table(POINTS, HEADING),
        table(POINTS, HEADING.upper().replace(" ", "_")),
        table(POINTS, ",".join(f'"{name}"' for name in HEADING.replace(" ", ".").split(","))),
        table(POINTS, "x0,y0,x1,y1,x2,y2"),
        table(POINTS, "x_0,y_0,x_1,y_1,x_2,y_2"),
        table(POINTS, "0_x,0_y,1_x,1_y,joint 2 x,joint2_y"),
        table(POINTS[:, [2, 0, 1]], "right hand x,right hand y,neck x,neck y,left hand x,left hand y"),
        "\ufeff" + table(POINTS, HEADING).replace("\n", "\r\n") + "\n\n",
        "," + HEADING + "\n0,1,2,3,4,5,6\n1,7,8,9,10,11,12\n",  # the index of some programs
        "frame," + HEADING + "\n7,7,8,9,10,11,12\n6,1,2,3,4,5,6\n",
    ],
)
def test_tables_of_one_person(tmp_path: Path, text: str) -> None:
    sequence = read_table(write(tmp_path / "a.csv", text), STICK, fps=12.5)
    np.testing.assert_array_equal(sequence.positions[:, 0], POINTS)
    assert sequence.present.all()
    assert (sequence.fps, sequence.unit, sequence.confidence) == (12.5, "px", None)


def test_several_people(tmp_path: Path) -> None:
    text = "person,frame," + HEADING + "\n9,0,1,2,3,4,5,6\n4,0,1,1,1,1,1,1\n9,3,7,8,9,10,11,12\n4,1,0,0,0,0,0,0\n"
    sequence = read_table(write(tmp_path / "a.csv", text), STICK)
    assert sequence.positions.shape == (4, 2, 3, 2)
    np.testing.assert_array_equal(sequence.positions[[0, 3], 1], POINTS)
    # The order of people is that of their numbers; zeros are nobody, and a frame without a row is a gap.
    assert sequence.present.tolist() == [[True, True], [False, False], [False, False], [False, True]]


def test_scores(tmp_path: Path) -> None:
    heading = ",".join(f"{joint} {axis}" for joint in STICK.joints for axis in ("x", "y", "visibility"))
    text = heading + "\n1,2,0.5,3,4,0,5,6,1\n1,2,0,0,0,0,0,0,0\n"
    sequence = read_table(write(tmp_path / "a.csv", text), STICK)
    assert sequence.confidence is not None
    np.testing.assert_array_equal(sequence.confidence[:, 0], [[0.5, 0, 1], [0, 0, 0]])
    assert sequence.present[:, 0].tolist() == [True, False]
    assert sequence.positions.shape[-1] == 2


def test_what_was_not_seen(tmp_path: Path) -> None:
    text = HEADING + "\n1,2,,,5,6\n1,2,nan,4,5,6\n,,,,,\n0,0,,,0,0\n"
    sequence = read_table(write(tmp_path / "a.csv", text), STICK)
    assert sequence.confidence is not None
    assert sequence.visible[:, 0].tolist() == [[True, False, True], [True, False, True], [False] * 3, [False] * 3]
    assert sequence.present[:, 0].tolist() == [True, True, False, False]
    assert np.isfinite(sequence.positions).all()
    text = "neck x,neck y,right hand x,right hand y\n1,2,3,4\n"  # a joint without columns
    sequence = read_table(write(tmp_path / "a.csv", text), STICK)
    assert sequence.visible[:, 0].tolist() == [[True, False, True]]


@pytest.mark.parametrize("people", [False, True])
def test_arrays_of_one_clip(tmp_path: Path, people: bool) -> None:
    array = RNG.normal(size=(5, 2, 33, 3) if people else (5, 33, 3))
    array[1, ..., 4, :] = np.nan
    sequence = read(write(tmp_path / "a.npy", array))
    assert (sequence.skeleton.name, sequence.unit) == ("mediapipe33", "m")
    assert sequence.positions.shape == (5, 2 if people else 1, 33, 3)
    assert not sequence.visible[1, :, 4].any()
    assert sequence.visible.sum() == sequence.visible.size - sequence.num_people
    np.testing.assert_allclose(sequence.positions[0], array[0].reshape(sequence.positions[0].shape), rtol=1e-6)


@pytest.mark.parametrize(
    ("skeleton", "channels", "score", "coordinates"),
    [
        ("ntu25", 3, None, 3),
        ("ntu25", 4, None, 3),
        ("ntu25", 3, True, 2),
        ("openpose18", 3, None, 2),
        ("openpose18", 3, False, 3),
        ("coco17", 2, None, 2),
    ],
)
def test_whether_the_last_number_is_a_score(
    tmp_path: Path, skeleton: str, channels: int, score: bool | None, coordinates: int
) -> None:
    joints = SKELETONS[skeleton]
    array = RNG.uniform(0.1, 1, (3, joints.num_joints, channels))
    for name, content in (("a.npy", array), ("a.csv", table(array))):
        sequence = read_table(write(tmp_path / name, content), joints, score=score)
        assert sequence.positions.shape[-1] == coordinates
        assert (sequence.confidence is not None) == (coordinates < channels)
        assert sequence.unit == ("m" if coordinates == 3 else "px")


@pytest.mark.parametrize(
    ("heading", "width", "skeleton"),
    [
        ("", 66, "mediapipe33"),
        ("", 51, "coco17"),
        ("", 36, "openpose18"),
        (",".join(f"x{n},y{n}" for n in range(17)), 34, "coco17"),
        (",".join(f"{joint} x,{joint} y" for joint in SKELETONS["ntu25"].joints), 50, "ntu25"),
        (",".join(f"{joint} x,{joint} y" for joint in SKELETONS["openpose25"].joints), 50, "openpose25"),
    ],
)
def test_the_skeleton_that_leaves_no_doubt(tmp_path: Path, heading: str, width: int, skeleton: str) -> None:
    path = write(tmp_path / "a.csv", table(RNG.uniform(0.1, 1, (2, width)), heading))
    assert read(path).skeleton.name == skeleton


@pytest.mark.parametrize(
    ("text", "skeleton", "message"),
    [
        ("", STICK, "is empty"),
        (" \n\n", STICK, "is empty"),
        (b"\xff\xfe\x00", STICK, "not a text file"),
        (HEADING, STICK, "a heading but no rows"),
        (table(POINTS)[:-5], STICK, r"row 2 has 5 fields, but the first line has 6"),
        (HEADING + "\n1,2,3,4,5,6,7\n", STICK, "row 1 has 7 fields"),
        (HEADING + "\n1,2,3,4,5,six\n", STICK, "row 1: could not convert"),
        (table(POINTS).replace("12", "inf"), STICK, "NaN or infinity, first in frame 1"),
        (table(POINTS).replace("12", "1e300"), STICK, "NaN or infinity"),
        (table(POINTS[:, :2]), STICK, "4 numbers a row, but 'stick' with its 3 joints needs 6 or 9"),
        (table(np.ones((1, 75))), None, "75 numbers a row, which could be ntu25 or openpose25; name the skeleton"),
        (table(np.ones((1, 7))), None, "7 numbers a row, which fit no known skeleton"),
        (HEADING.replace("neck", "nock") + "\n1,2,3,4,5,6\n", STICK, "has no joint 'nock'; did you mean 'neck'"),
        (HEADING.replace("neck x", "time") + "\n1,2,3,4,5,6\n", STICK, "a column 'time', but columns are"),
        (HEADING.replace("neck x", "neck w") + "\n1,2,3,4,5,6\n", STICK, "a column 'neck w'"),
        (HEADING.replace("neck x", "neck y") + "\n1,2,3,4,5,6\n", STICK, "two columns for the y of 'neck'"),
        (HEADING.replace("neck x", "neck z") + "\n1,2,3,4,5,6\n", STICK, "no column 'neck x'; add it"),
        (HEADING.replace("neck y", "left hand z") + "\n1,2,3,4,5,6\n", STICK, "no column 'neck y'; add it"),
        ("x0,y0,x3,y3\n1,2,3,4\n", STICK, r"a column for joint 3, but 'stick' has 3 \(0 to 2\)"),
        (HEADING + "\n1,2,3,4,5,6\n", None, "columns for 3 joints, which are those of no built-in skeleton"),
        ("x0,y0,x9999,y9999\n1,2,3,4\n", None, "10000 joints are no skeleton known"),
        ("person," + HEADING + "\n1,1,2,3,4,5,6\n", STICK, "a column 'person' but none 'frame'"),
        ("frame," + HEADING + "\n0.5,1,2,3,4,5,6\n", STICK, "no whole number"),
        ("frame," + HEADING + "\n,1,2,3,4,5,6\n", STICK, "no whole number"),
        ("frame," + HEADING + "\n1e300,1,2,3,4,5,6\n", STICK, "no whole number"),
        ("frame," + HEADING + "\n0,1,2,3,4,5,6\n0,1,2,3,4,5,6\n", STICK, "two rows for one frame and person"),
        ("frame," + HEADING + "\n0,1,2,3,4,5,6\n1e12,1,2,3,4,5,6\n", STICK, "count over 1000000000001 frames"),
        (
            "frame,person," + HEADING + "".join(f"\n{n * 900},{n},1,2,3,4,5,6" for n in range(1000)),
            STICK,
            "frames and 1000 people; check the columns",
        ),
        ("frame,\x1b[2J\n1,2\n", STICK, r"a column '\\x1b\[2j'"),
        (",".join(["a" * 200_000, "b"]) + "\n1,2\n", STICK, "line 1: field larger than field limit"),
    ],
)
def test_refuses_tables(tmp_path: Path, text: str | bytes, skeleton: Skeleton | None, message: str) -> None:
    path = write(tmp_path / "a.csv", text)
    with pytest.raises(ValueError, match=message) as error:
        read_table(path, skeleton)
    assert str(error.value).startswith("'a.csv'") or "joints are no skeleton" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((5, 3)), r"shape \(5, 3\)"),
        (np.ones((5, 3, 5)), r"shape \(5, 3, 5\)"),
        (np.ones((2, 1, 5, 3, 3)), "shape"),
        (np.ones((5, 4, 3)), "3 joints of 'stick'"),
        (np.array([[["a", "b"]] * 3]), "holds 'U' values"),
        (np.full((5, 3, 3), np.inf), "NaN or infinity, first in frame 0"),
        (-np.ones((5, 3, 4)), "score below 0"),
    ],
)
def test_refuses_arrays(tmp_path: Path, array: NDArray[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "a.npy", array), STICK)


def test_arrays_of_objects_are_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([STICK], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="holds 'O' values"):
        read_table(tmp_path / "a.npy", STICK)


# Folders of recordings.


def clip(seed: int = 0, frames: int = 3) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=(frames, 25, 3))


def test_labels_in_a_table(tmp_path: Path) -> None:
    for number, name in enumerate(("walk/a.npy", "walk/b.npy", "c.npy", "d.npy", "forgotten.npy")):
        write(tmp_path / name, clip(number))
    write(
        tmp_path / "labels.csv",
        "subject,label,file,part,weather\n1,walk,walk/a.npy,train,fine\n2,run,walk/b.npy,val,\n"
        '3,"jump, high",./c.npy,none,"fine, too"\n-4,,d.npy,train,x\n5,run,none.npy,train,x\n'
        "6,run,../secret.npy,train,x\n7,run,/etc/passwd,train,x\n",
    )
    known = TableSet("ntu25")
    sources = {source.id: source for source in known.find(tmp_path)}
    assert known.classes == ("jump, high", "run", "walk")
    assert known.splits["given"].to_dict() == {"column": "part", "parts": {"test": ["val"], "train": ["train"]}}
    assert {name: source.label for name, source in sources.items() if not source.refused} == {
        "walk/a": 2,
        "walk/b": 1,
        "c": 0,
    }
    assert sources["c"].facts == {"subject": 3, "part": "none", "weather": "fine, too"}
    assert sources["d"].refused == "'labels.csv' gives it no label; add one."
    assert sources["none"].refused == "'labels.csv' names it, but there is no such file."
    assert "leads out of the folder" in sources["../secret"].refused
    assert "leads out of the folder" in sources["/etc/passwd"].refused
    assert "does not name it" in sources["forgotten"].refused
    assert {source.path for source in sources.values() if source.refused} <= {
        tmp_path / name for name in ("labels.csv", "d.npy", "forgotten.npy")
    }
    sequence = known.read(sources["walk/b"])
    np.testing.assert_allclose(sequence.positions[:, 0], clip(1), rtol=1e-6)
    assert sequence.confidence is not None
    assert sequence.confidence.min() == 1  # so that files with and without gaps fit into one store
    by_file = known.find(tmp_path / "labels.csv")  # which says itself what belongs to the set
    assert by_file == [source for source in sources.values() if source.id != "forgotten"]


def test_labels_by_folder(tmp_path: Path) -> None:
    for number, name in enumerate(("walk/a.npy", "run/deep/b.npy", "c.npy")):
        write(tmp_path / name, clip(number))
    known = TableSet("ntu25")
    first, second, third = known.find(tmp_path)
    assert (first.id, second.id, third.id) == ("c", "run/deep/b", "walk/a")
    assert "in no folder that is named like a class" in first.refused
    assert known.classes == ("run", "walk")
    assert (first.label, second.label, third.label) == (NO_LABEL, 0, 1)
    assert list(known.splits) == ["random"] and third.facts == {"random": "train"}


def test_parts_by_folder(tmp_path: Path) -> None:
    for name in ("train/walk/a.npy", "test/walk/a.npy", "val/run/b.npy", "run/c.npy"):
        write(tmp_path / name, clip())
    known = TableSet("ntu25")
    found = {source.id: (source.label, source.facts["part"]) for source in known.find(tmp_path)}
    assert found == {
        "run/c": (0, "none"),
        "test/walk/a": (1, "test"),
        "train/walk/a": (1, "train"),
        "val/run/b": (0, "val"),
    }
    assert known.splits["given"].parts == {"test": ("test",), "train": ("train",), "val": ("val",)}


def test_labels_by_number_or_name(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.npy", clip())
    labels = write(tmp_path / "labels.csv", "file,label\na.npy,0\nb.npy,2\n")
    names = write(tmp_path.parent / "names.txt", "stand\nwalk\nrun\n")
    known = TableSet("ntu25")
    assert [source.label for source in known.find(tmp_path)] == [0, 2]
    assert known.classes == ("0", "1", "2")
    known = TableSet("ntu25", classes=names)
    assert [source.label for source in known.find(tmp_path)] == [0, 2]
    assert known.classes == ("stand", "walk", "run")
    labels.write_text("file,label\na.npy,run\nb.npy,fly\n")
    assert [source.label for source in known.find(tmp_path)] == [2, NO_LABEL]


def test_the_skeleton_of_the_first_file(tmp_path: Path) -> None:
    write(tmp_path / "run" / "a.npy", b"damaged")
    write(tmp_path / "run" / "b.npy", np.ones((2, 17, 2)))
    known = TableSet()
    known.find(tmp_path)
    assert (known.skeleton.name, known.unit) == ("coco17", "px")
    write(tmp_path / "run" / "b.npy", clip())
    with pytest.raises(ValueError, match=r"'a\.npy' is no \.npy file"):
        known.find(tmp_path)
    (tmp_path / "run" / "a.npy").unlink()
    with pytest.raises(ValueError, match="25 joints could be ntu25 or openpose25; name the skeleton"):
        known.find(tmp_path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "needs a heading with the columns 'file' and 'label'"),
        ("file\na.npy\n", "needs a heading"),
        ("a.npy,0\n", "needs a heading"),
        (b"\xff\xfe\x00", "cannot be read"),
        ("file,label,label\na.npy,0,0\n", "two columns of one name"),
        ("file,label,frames\na.npy,0,0\n", "a column 'frames', which every index has"),
        ("file,label,\na.npy,0,0\n", "a column ''"),
        ("file,label\na.npy,0\na.npy\n", "row 3 has 1 fields, but 2 are due"),
        ("file,label\na.npy,\n", "no recording has a label"),
        ("file,label\na.npy,999999999\n", "labels up to 999999999"),
        ("file,label\na.npy," + "x" * 200_000, "cannot be read"),
    ],
)
def test_damaged_label_tables(tmp_path: Path, labels: str | bytes, message: str) -> None:
    write(tmp_path / "a.npy", clip())
    write(tmp_path / "labels.csv", labels)
    with pytest.raises(ValueError, match=message) as error:
        TableSet("ntu25").find(tmp_path)
    assert "\n" not in str(error.value)


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \*\.csv or \*\.npy; get the recordings"):
        TableSet().find(tmp_path)
    write(tmp_path / "labels.csv", "file,label\n")
    with pytest.raises(FileNotFoundError, match="holds no recording; get the recordings"):
        TableSet().find(tmp_path)
