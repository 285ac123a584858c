"""Reading ``.skeleton`` files, the known sets of NTU RGB+D, and the list of missing skeletons."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.__main__ import main
from bonegraph.datasets.known import NO_LABEL, known_set
from bonegraph.datasets.known.ntu import ClipList, Ntu60, Ntu120, read_clip_list
from bonegraph.read import read
from bonegraph.read.ntu import CLEANING, read_ntu, read_recording
from bonegraph.read.ntu.recording import MOST_FRAMES

RNG = np.random.default_rng(0)
CLIP = "S001C002P003R001A004"
REST = "250.1 200.2 900.3 500.4 0.1 0.2 0.3 0.4 2"
Frames = list[list[tuple[int, NDArray[Any]]]]


def lines_of(frames: Frames) -> list[str]:
    lines = [str(len(frames))]
    for frame in frames:
        lines.append(str(len(frame)))
        for body, joints in frame:
            lines += [f"{body} 0 1 1 1 1 0 0.05 -0.1 2", "25"]
            lines += [f"{x!r} {y!r} {z!r} {REST}" for x, y, z in joints.tolist()]
    return lines


def write(path: Path, lines: list[str] | str | bytes, newline: str = "\n") -> Path:
    if isinstance(lines, list):
        lines = newline.join([*lines, ""])
    path.write_bytes(lines.encode() if isinstance(lines, str) else lines)
    return path


def body() -> Any:
    return RNG.normal(size=(25, 3)).round(6) * (0.1, 0.4, 0.1) + (0, 0, 3)


@pytest.fixture
def good() -> list[str]:
    """Three frames, the second one empty; the line numbers of the first body are 3, 4 and 5 to 29."""
    return lines_of([[(11, body())], [], [(11, body()), (12, body())]])


def test_everything_is_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    one, two = 72057594037931101, 72057594037931102  # one number to a float
    assert float(one) == float(two)
    bodies = [body() for _ in range(4)]
    frames: Frames = [[(two, bodies[0]), (one, bodies[1])], [], [(one, bodies[2])], [(two, bodies[3])], []]
    recording = read_recording(write(tmp_path / f"{CLIP}.skeleton", lines_of(frames)))
    assert (recording.name, recording.num_frames) == (f"{CLIP}.skeleton", 5)
    assert recording.ids.tolist() == [two, one, one, two]
    assert recording.frames.tolist() == [0, 0, 2, 3]
    assert recording.slots.tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(recording.positions, bodies)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n", "  \n\t\n"])
def test_line_ends_do_not_matter(tmp_path: Path, good: list[str], newline: str, end: str) -> None:
    expected = read_recording(write(tmp_path / "a.skeleton", good))
    ours = read_recording(write(tmp_path / "b.skeleton", newline.join(good) + end))
    np.testing.assert_array_equal(ours.positions, expected.positions)
    assert ours.num_frames == 3


def test_a_recording_may_be_without_anybody(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path / "a.skeleton", ["2", "0", "0"]))
    assert (recording.num_frames, recording.positions.shape, recording.ids.shape) == (2, (0, 25, 3), (0,))
    assert not read_ntu(tmp_path / "a.skeleton").present.any()


@pytest.mark.parametrize("value", ["nan", "-inf", "-1.#IND", "1.5e+300", "?"])
def test_values_that_are_not_read_may_be_anything(tmp_path: Path, good: list[str], value: str) -> None:
    """Sensors have their own words for a joint that is on no pixel."""
    plain = read_recording(write(tmp_path / "a.skeleton", good))
    odd = [line.replace("500.4", value).replace("-0.1 2", f"{value} 2") for line in good]
    assert odd != good
    np.testing.assert_array_equal(read_recording(write(tmp_path / "b.skeleton", odd)).positions, plain.positions)


def test_our_cleaning_is_what_read_gives(tmp_path: Path) -> None:
    frames: Frames = [[(12, body()), (11, body())], [(11, body())], []]
    path = write(tmp_path / "a.skeleton", lines_of(frames))
    for sequence in (read(path), read(path, "ntu"), read_ntu(path), CLEANING["best"](read_recording(path))):
        assert sequence.positions.shape == (3, 2, 25, 3)
        assert sequence.positions.dtype == np.float32
        assert sequence.confidence is None
        assert (sequence.skeleton.name, sequence.unit, sequence.fps) == ("ntu25", "m", 30.0)
        assert sorted(sequence.present.sum(axis=0).tolist()) == [1, 2]
        (first,) = np.flatnonzero(sequence.present.sum(axis=0) == 2)
        np.testing.assert_array_equal(sequence.positions[0, first], frames[0][1][1].astype(np.float32))


# --- damaged files ----------------------------------------------------------------------------------------------------


def changed(line: int, text: str) -> Any:
    """Put a text in place of a line, counted from 1."""
    return lambda lines: [*lines[: line - 1], *([text] if text != "GONE" else []), *lines[line:]]


def joint(*values: str) -> str:
    return " ".join([*values, REST])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: "", r"is empty; remove it"),
        (lambda lines: "\n \r\n", r"is empty; remove it"),
        (changed(1, "0"), r"line 1: it declares 0 frames, but 1 to 216000 are possible"),
        (changed(1, "-3"), r"line 1: '-3' stands where the number of frames should be"),
        (changed(1, "3.0"), r"line 1: '3.0' stands where"),
        (changed(1, "3 3"), r"line 1: '3 3' stands where"),
        (changed(1, "three"), r"line 1: 'three' stands where"),
        (changed(1, "³"), r"line 1: '\\xc2\\xb3' stands where"),
        (changed(1, "9" * 5000), r"line 1: '9{16}'\.\.\. stands where"),
        (changed(1, "999999999999999999"), r"line 1: it declares 9{18} frames, but only \d+ lines follow, too few"),
        (changed(1, "4"), r"line 85: the file ends where the number of bodies should follow, it is cut off"),
        (changed(1, "2"), r"line 31: the declared frames are over, but '2' follows"),
        (lambda lines: [*lines, "the end"], r"line 86: the declared frames are over, but 'the end' follows"),
        (lambda lines: [*lines, "0"], r"line 86: the declared frames are over"),
        (changed(2, "GONE"), r"line 2: '11 0 1 1 1 1 0 0'\.\.\. stands where the number of bodies should be"),
        (changed(2, ""), r"line 2: '' stands where the number of bodies"),
        (changed(2, "0"), r"line 3: '11 0 1 1 1 1 0 0'\.\.\. stands where the number of bodies should be"),
        (changed(2, "2"), r"line 30: a body needs 10 values, here are 1"),
        (changed(2, "50"), r"line 2: it declares 50 bodies, but only 83 lines follow, too few for that"),
        (changed(3, "11 0 1 1 1 1 0 0.05 -0.1"), r"line 3: a body needs 10 values, here are 9"),
        (changed(3, "7.2e16 0 1 1 1 1 0 0.05 -0.1 2"), r"line 3: '7.2e16' stands where the id of a body should be"),
        (changed(3, "-11 0 1 1 1 1 0 0.05 -0.1 2"), r"line 3: '-11' stands where the id"),
        (changed(3, "9999999999999999999 0 1 1 1 1 0 0.05 -0.1 2"), r"line 3: '9{16}'\.\.\. stands where the id"),
        (changed(4, "20"), r"line 4: it declares 20 joints, but 25 are needed"),
        (changed(4, "26"), r"line 4: it declares 26 joints, but 25 are needed"),
        (changed(4, "1000000"), r"line 4: it declares 1000000 joints, but only 81 lines follow"),
        (changed(4, "GONE"), r"line 4: '.*'\.\.\. stands where the number of joints should be"),
        (changed(9, joint("0.1", "0.2")), r"line 9: a joint needs 12 values, here are 11"),
        (changed(9, joint("0.1", "0.2", "0.3", "0.4")), r"line 9: a joint needs 12 values, here are 13"),
        (changed(9, ""), r"line 9: a joint needs 12 values, here are 0"),
        (changed(9, "GONE"), r"line 29: a joint needs 12 values, here are 1"),
        (changed(9, joint("0.1", "left", "0.3")), r"line 9: 'left' is no number"),
        (changed(85, joint("0.1", "0.2", "1,5")), r"line 85: '1,5' is no number"),
        (changed(58, joint("0x1", "0.2", "0.3")), r"line 58: '0x1' is no number"),
        (changed(9, joint("nan", "0.2", "0.3")), r"line 9: the position is NaN, infinite"),
        (changed(35, joint("0.1", "-inf", "0.3")), r"line 35: the position is NaN, infinite"),
        (changed(85, joint("0.1", "0.2", "1e300")), r"line 85: the position is NaN, infinite"),
        (changed(85, joint("0.1", "0.2", "1001")), r"line 85: the position is NaN, infinite or more than 1 km away"),
        (lambda lines: lines[:50], r"line 31: it declares 2 bodies, but only 19 lines follow"),
        (lambda lines: lines[:2], r"line 1: it declares 3 frames, but only 1 lines follow"),
        (lambda lines: lines[:5], r"line 2: it declares 1 bodies, but only 3 lines follow"),
        (lambda lines: "\n".join(lines)[:-20], r"line 85: a joint needs 12 values, here are"),
        (lambda lines: "\n".join(lines).encode("utf-16"), r"line 1: '.*' stands where the number of frames should be"),
        (lambda lines: "<html>\n<body>Not found</body>\n</html>", r"line 1: '<html>' stands where"),
        (lambda lines: b"\x00\xff" * 3000, r"line 1: '.*'\.\.\. stands where the number of frames"),
        (lambda lines: b"3\n\x00\n0\n0", r"line 2: '\\x00' stands where the number of bodies"),
    ],
)  # fmt: skip
def test_damage_is_told_in_one_line(tmp_path: Path, good: list[str], change: Any, message: str) -> None:
    assert len(good) == 85
    path = write(tmp_path / f"{CLIP}.skeleton", change(good))
    for reader in (read_recording, read_ntu, read):
        with pytest.raises(ValueError, match=rf"^'{CLIP}\.skeleton' {message}") as error:
            reader(path)
        assert str(error.value).endswith("fetch the file again.") or "is empty" in str(error.value)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 200


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_recording(tmp_path / "none.skeleton")
    with pytest.raises(IsADirectoryError):
        read_recording(tmp_path)


def test_cut_off_anywhere(tmp_path: Path, good: list[str]) -> None:
    """Wherever a file ends, it is refused, unless nothing but the last value of all was shortened."""
    text = "\n".join(good).encode()
    path = tmp_path / "a.skeleton"
    for length in range(0, len(text) - 1, 17):
        path.write_bytes(text[:length])
        with pytest.raises(ValueError, match=r"'a\.skeleton' (is empty|line \d+: )"):
            read_recording(path)


def test_any_byte_may_be_damaged(tmp_path: Path, good: list[str]) -> None:
    random = np.random.default_rng(1)
    text = np.frombuffer("\n".join(good).encode(), np.uint8)
    path = tmp_path / "a.skeleton"
    refused = 0
    for _ in range(200):
        damaged = text.copy()
        where = random.integers(0, len(text), int(random.integers(1, 4)))
        damaged[where] = random.choice([*b"0 9-.\n\r\x00\xffen"], len(where))
        path.write_bytes(damaged.tobytes())
        for cleaning in CLEANING.values():
            try:
                sequence = cleaning(read_recording(path))
                assert np.isfinite(sequence.positions).all()
            except ValueError as error:
                refused += 1
                assert str(error).isprintable(), error
    assert 300 < refused < 780  # CTR-GCN's refuses all, for they are short


@pytest.mark.parametrize(
    "text",
    [
        b"100000000000000000\n0\n",
        b"200000\n" + b"0\n" * 5,
        b"1\n99999999999\n",
        b"1\n1\n7 0 1 1 1 1 0 0.05 -0.1 2\n88888888888\n",
        b"3000000\n" + b"0\n" * 3_000_000,
    ],
)
def test_what_a_file_declares_costs_nothing(tmp_path: Path, text: bytes) -> None:
    path = write(tmp_path / "a.skeleton", text)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"it declares \d+ (frames|bodies|joints), but"):
        read_ntu(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 + 40 * len(text)


def test_the_longest_recording(tmp_path: Path) -> None:
    lines = [str(MOST_FRAMES), *lines_of([[(1, body())]])[1:], *["0"] * (MOST_FRAMES - 1)]
    sequence = read_ntu(write(tmp_path / "a.skeleton", lines))
    assert sequence.num_frames == MOST_FRAMES
    assert sequence.present.sum() == 1


def test_a_crowd_of_ids_takes_no_time(tmp_path: Path) -> None:
    """600 bodies in two frames, each under an id of its own: `best` stays fast, and CTR-GCN finds nobody."""
    block = lines_of([[(1, body())]])[3:]
    lines = ["2"]
    for frame in range(2):
        lines.append("300")
        for number in range(300):
            lines += [f"{frame * 300 + number} 0 1 1 1 1 0 0.05 -0.1 2", *block]
    path = write(tmp_path / "a.skeleton", lines)
    assert read_ntu(path).num_people == 2
    with pytest.raises(ValueError, match="none in more than 11 frames"):
        CLEANING["released-ctrgcn"](read_recording(path))


# --- the known sets ---------------------------------------------------------------------------------------------------


def touch(folder: Path, *clips: str) -> Path:
    folder.mkdir(exist_ok=True)
    for clip in clips:
        (folder / f"{clip}.skeleton").touch()
    return folder


def test_names_say_what_a_clip_is(tmp_path: Path) -> None:
    touch(tmp_path, "S017C003P040R002A060", "S032C001P106R001A120")
    facts = {"setup": 17, "camera": 3, "subject": 40, "replication": 2, "action": 60}
    (source,) = Ntu60().find(tmp_path)  # the other clip is of the larger set
    assert (source.id, source.label, source.facts, source.refused) == ("S017C003P040R002A060", 59, facts, "")
    first, second = Ntu120().find(tmp_path)
    assert (first.label, first.facts, second.label, second.refused) == (59, facts, 119, "")
    assert known_set("ntu120").classes[second.label] == "rock-paper-scissors"
    assert known_set("ntu60").classes[first.label] == "walking apart"


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        ("S018C001P001R001A001", "its name says setup 18, but 'ntu60' has setups 1 to 17; rename or remove it."),
        ("S000C001P001R001A001", "its name says setup 0, but"),
        ("S001C004P001R001A001", "its name says camera 4, but 'ntu60' has cameras 1 to 3"),
        ("S001C001P041R001A001", "its name says subject 41, but 'ntu60' has subjects 1 to 40"),
        ("S001C001P001R003A001", "its name says replication 3, but"),
    ],
)
def test_names_that_stand_for_no_recording(tmp_path: Path, clip: str, reason: str) -> None:
    (source,) = Ntu60().find(touch(tmp_path, clip))
    assert source.refused.startswith(reason)


@pytest.mark.parametrize(
    "clip",
    ["S001C001P001R001A061", "S017C001P001R001A120", "S001C001P001R001A000", "s001c001p001r001a001", "notes", "٣"],
)
def test_names_of_no_action(tmp_path: Path, clip: str) -> None:
    (source,) = Ntu60().find(touch(tmp_path, clip))
    assert source.label == NO_LABEL


@pytest.mark.parametrize(("name", "people", "train"), [("ntu60", 40, 20), ("ntu120", 106, 53)])
def test_splits(name: str, people: int, train: int) -> None:
    known = known_set(name)
    parts = known.splits["xsub"].parts
    assert len(parts["train"]) == train
    assert sorted(parts["train"] + parts["test"]) == list(range(1, people + 1))
    assert set(known.splits) == {"xsub", "xview" if name == "ntu60" else "xset"}
    assert len(known.classes) == len(set(known.classes)) == int(name[3:])
    assert known.classes[42] == "falling down"


def test_splits_of_the_papers() -> None:
    assert Ntu60.splits["xview"].parts == {"train": (2, 3), "test": (1,)}
    sets = Ntu120.splits["xset"].parts
    assert (sets["train"][0], sets["train"][-1], sets["test"][-1]) == (2, 32, 31)
    assert set(sets["train"]) | set(sets["test"]) == set(range(1, 33))
    first, second = Ntu60.splits["xsub"].parts["train"], Ntu120.splits["xsub"].parts["train"]
    assert second[:20] == first
    added = set(range(45, 60)) - {48, 51} | set(range(80, 104)) - {87, 88, 90, 96, 99, 101, 102} | {70, 74, 78}
    assert set(second[20:]) == added


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cleaning": "bets"}, "no cleaning 'bets'; choices: best, released-stgcn"),
        ({"people": 0}, "people must be at least 1, got 0"),
        ({"people": 3, "cleaning": "released-msg3d"}, "'released-msg3d' keeps 2 people; people is for 'best', got 3"),
    ],
)
def test_settings_that_make_no_sense(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ntu60(**settings)


def test_every_cleaning_reads(tmp_path: Path) -> None:
    frames: Frames = [[(1, body()), (2, body()), (3, body())]] * 12
    write(tmp_path / f"{CLIP}.skeleton", lines_of(frames))
    for cleaning in CLEANING:
        known = Ntu60(cleaning)
        (source,) = known.find(tmp_path)
        sequence = known.read(source)
        assert sequence.num_people == 2
        np.testing.assert_array_equal(
            sequence.positions, CLEANING[cleaning](read_recording(tmp_path / f"{CLIP}.skeleton")).positions
        )
    (source,) = Ntu60(people=3).find(tmp_path)
    assert Ntu60(people=3).read(source).num_people == 3


def test_ntu120_copies_one_body(tmp_path: Path) -> None:
    write(tmp_path / f"{CLIP}.skeleton", lines_of([[(1, body())]] * 2))
    (source,) = Ntu120().find(tmp_path)
    for known, there in (
        (Ntu120("released-ctrgcn"), [True, True]),
        (Ntu120("released-ctrgcn", copy_one_body=False), [True, False]),
        (Ntu60("released-ctrgcn"), [True, False]),
        (Ntu120(), [True]),
    ):
        assert known.read(source).present.any(axis=0).tolist() == there


# --- missing skeletons ------------------------------------------------------------------------------------------------

LIST = """The following clips have missing
or incomplete skeletons, e.g. S009C001P001R001A001, and should be left out:

S001C002P005R002A008
S001C002P006R001A008.skeleton

S020C001P041R001A099
"""


def test_a_list_may_begin_with_a_heading(tmp_path: Path) -> None:
    path = write(tmp_path / "missing.txt", LIST)
    clips = read_clip_list(path)
    assert sorted(clips) == ["S001C002P005R002A008", "S001C002P006R001A008", "S020C001P041R001A099"]
    source = touch(tmp_path / "in", "S001C002P005R002A008", "S001C002P005R002A009", "S001C002P006R001A008")
    refused = {found.id: found.refused for found in Ntu60(missing=path).find(source)}
    assert refused == {
        "S001C002P005R002A008": "it is on the list of clips with missing skeletons.",
        "S001C002P006R001A008": "it is on the list of clips with missing skeletons.",
        "S001C002P005R002A009": "",
    }
    assert not any(found.refused for found in Ntu60().find(source))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no id of a clip"),
        ("drink water\n", "holds no id of a clip"),
        (LIST + "S001C002P005R002A08\n", "line 8: 'S001C002P005R002A08' is no id of a clip"),
        (LIST + "-- end --\n", "line 8: '-- end --' is no id"),
        (b"\xff\xfe\x00", "is not a text file"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = write(tmp_path / "missing.txt", text)
    with pytest.raises(ValueError, match=rf"missing\.txt' {message}"):
        Ntu60(missing=path)
    with pytest.raises(FileNotFoundError, match=r"no file '.*none\.txt'; give a list"):
        Ntu120(missing=tmp_path / "none.txt")


def test_settings_are_told_apart_by_what_the_list_holds() -> None:
    """Not by where it lies, nor by the order of its lines; what is remembered is short and can travel."""
    clips = [f"S001C001P001R001A{action:03d}" for action in range(1, 61)]
    assert repr(ClipList(clips)) == repr(ClipList(clips[::-1])) == repr(pickle.loads(pickle.dumps(ClipList(clips))))
    assert repr(ClipList(clips)) != repr(ClipList(clips[1:]))
    assert repr(ClipList(clips)).startswith("60 clips, sha256 ")
    assert len(repr(ClipList(clips))) < 40
    assert "S001C001P001R001A001" in pickle.loads(pickle.dumps(ClipList(clips)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--missing", "none.txt"], "no file 'none.txt'; give a list of clips with missing skeletons"),
        (["--cleaning", "bets"], "'best', 'released-stgcn'"),
        (["--people", "0"], "people must be at least 1"),
        (["--copy_one_body", "true"], "copy_one_body"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "ntu60", str(tmp_path / "store"), "--source", str(tmp_path), *arguments]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
