"""``prepare ntu60`` on 2,000 files, a third of them damaged in every way that we could think of."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.__main__ import main
from bonegraph.datasets.known.ntu import Ntu60
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.read.ntu import Cleaning, read_recording, released_array

FILES = 2_000
ID = 72057594037931100
REST = "250.1 200.2 900.3 500.4 0.1 0.2 0.3 0.4 2"


# --- good files: frames of bodies from a pool whose text is ready ---------------------------------------------------


def upright(random: np.random.Generator) -> Any:
    """A body 1.6 m high and about 0.5 m wide, whose mid spine is always at one place."""
    joints = random.uniform(-1, 1, (25, 3)) * (0.25, 0.8, 0.2)
    joints[1], joints[2:4, 1] = 0, (-0.8, 0.8)
    return (joints + np.array([0, 0, 3])).round(6)


_random = np.random.default_rng(0)
POOL = [upright(_random) for _ in range(40)]
FAR = [(joints + np.array([2, 0, 0])).round(6) for joints in POOL]  # the second person stands 2 m aside
ZERO = np.zeros((25, 3))


def rows(joints: NDArray[Any]) -> list[str]:
    return ["25", *(f"{x!r} {y!r} {z!r} {REST}" for x, y, z in joints.tolist())]


TEXT = {id(joints): rows(joints) for joints in (*POOL, *FAR, ZERO)}
Body = tuple[int, NDArray[Any]]


def lines(frames: list[list[Body]]) -> list[str]:
    out = [str(len(frames))]
    for frame in frames:
        out.append(str(len(frame)))
        for number, joints in frame:
            out += [f"{number} 0 1 1 1 1 0 0.05 -0.1 2", *TEXT[id(joints)]]
    return out


@dataclass
class Good:
    """A file, and what must be in the store: the people (frame -> joints), in any order."""

    text: bytes
    frames: int
    people: list[dict[int, NDArray[Any]]]


def good(kind: int, random: np.random.Generator) -> Good:
    count = int(random.integers(2, 6))
    chosen = random.integers(0, len(POOL), (2, 8))
    one = [POOL[number] for number in chosen[0][:count]]
    two = [FAR[number] for number in chosen[1][:count]]
    first, second = ID + 1, ID + 2  # the same number to a float
    frames: list[list[Body]] = [[(first, joints)] for joints in one]
    newline, end = "\n", "\n"
    people = [dict(enumerate(one))]
    match kind:
        case 1:  # two people who change places in every frame
            frames = [[(first, a), (second, b)][:: (-1) ** t] for t, (a, b) in enumerate(zip(one, two, strict=True))]
            people.append(dict(enumerate(two)))
        case 2:  # nobody at the start, in the middle, at the end
            frames = [[], frames[0], [], [], *frames[1:], []]
            people = [{1: one[0], **{t + 3: joints for t, joints in enumerate(one) if t}}]
        case 3:  # a body of zeros is nobody
            frames = [[(first, ZERO)], *frames]
            people = [{t + 1: joints for t, joints in enumerate(one)}]
        case 4:
            newline, end = "\r\n", "\r\n\r\n"
        case 5:
            end = ""
        case 6:  # an id that goes on under another number
            frames[-1] = [(second, one[-1])]
        case 7:  # one who comes later
            frames = [frames[0], *([(second, b), (first, a)] for a, b in zip(one[1:], two[1:], strict=True))]
            people.append({t: joints for t, joints in enumerate(two) if t})
    text = newline.join(lines(frames)) + end
    if kind == 8:  # a pixel that is none
        text = text.replace("500.4", "-inf").replace("900.3", "-1.#IND")
    if kind == 9:
        text = text.replace(" ", "\t").replace("2\n", "2  \n")
    return Good(text.encode(), len(frames), people)


# --- damaged files: what is done to the lines of a good one, and what must be said about it -------------------------

Damage = Callable[[list[str]], list[str] | bytes]


def put(line: int, text: str) -> Damage:
    """Instead of a line, counted from 1. Line 2 is the first number of bodies, 3 a body, 4 its joints, 5 the first."""
    return lambda good: [*good[: line - 1], text, *good[line:]]


def without(line: int) -> Damage:
    return lambda good: [*good[: line - 1], *good[line:]]


def joint(line: int, position: str) -> Damage:
    return put(line, f"{position} {REST}")


def in_place_of(count: int) -> Damage:
    return lambda good: [str(int(good[0]) + count), *good[1:]]


DAMAGE: dict[str, tuple[Damage, str]] = {
    "empty": (lambda good: b"", "is empty"),
    "blank": (lambda good: b"\n \r\n\t\n", "is empty"),
    "binary": (lambda good: bytes(range(256)) * 20, "line 1: .* stands where the number of frames"),
    "zip": (lambda good: b"PK\x03\x04" + bytes(500), "line 1: .* stands where the number of frames"),
    "utf-16": (lambda good: "\n".join(good).encode("utf-16"), "line 1: .* stands where the number of frames"),
    "web page": (lambda good: b"<!DOCTYPE html>\n<html></html>\n", "line 1: .* stands where the number of frames"),
    "zeros inside": (lambda good: "\n".join(good).encode()[:900] + bytes(4096), r"line \d+: "),
    "no frames": (put(1, "0"), "line 1: it declares 0 frames"),
    "fewer than none": (put(1, "-4"), "line 1: '-4' stands where"),
    "half a frame": (put(1, "2.5"), "line 1: '2.5' stands where"),
    "billions of frames": (put(1, "4000000000"), r"line 1: it declares 4000000000 frames, but only \d+ lines follow"),
    "endless frames": (put(1, "9" * 3000), "line 1: '9{16}'... stands where"),
    "a frame too many": (in_place_of(1), r"line \d+: the file ends where the number of bodies should follow"),
    "a frame too few": (in_place_of(-1), r"line \d+: the declared frames are over, but '1' follows"),
    "something after": (lambda good: [*good, "# checked"], r"line \d+: the declared frames are over, but '# checked'"),
    "twice": (lambda good: [*good, *good], r"line \d+: the declared frames are over"),
    "billions of bodies": (put(2, "9999999999"), "line 2: it declares 9999999999 bodies, but only"),
    "a body too many": (put(2, "2"), r"line \d+: "),
    "a body too few": (put(2, "0"), "line 3: .* stands where the number of bodies"),
    "no number of bodies": (without(2), "line 2: .* stands where the number of bodies"),
    "blank line": (put(2, ""), "line 2: '' stands where the number of bodies"),
    "nine values": (put(3, f"{ID} 0 1 1 1 1 0 0.05 -0.1"), "line 3: a body needs 10 values, here are 9"),
    "id as a float": (put(3, "7.2e+16 0 1 1 1 1 0 0 0 2"), "line 3: '7.2e[+]16' stands where the id"),
    "negative id": (put(3, "-5 0 1 1 1 1 0 0 0 2"), "line 3: '-5' stands where the id"),
    "no body": (without(3), "line 3: a body needs 10 values, here are 1"),
    "20 joints": (put(4, "20"), "line 4: it declares 20 joints, but 25 are needed"),
    "26 joints": (put(4, "26"), "line 4: it declares 26 joints, but 25 are needed"),
    "billions of joints": (put(4, "2147483648"), "line 4: it declares 2147483648 joints, but only"),
    "no number of joints": (without(4), "line 4: .* stands where the number of joints"),
    "a joint too few": (without(20), r"line 29: a joint needs 12 values, here are 1"),
    "a joint too many": (lambda good: [*good[:9], good[9], *good[9:]], "line 30: .* stands where the number of bodies"),
    "eleven values": (joint(8, "0.1 0.2"), "line 8: a joint needs 12 values, here are 11"),
    "thirteen values": (joint(8, "0.1 0.2 0.3 0.4"), "line 8: a joint needs 12 values, here are 13"),
    "two lines in one": (lambda good: [*good[:6], good[6] + good[7], *good[8:]], "line 7: a joint needs 12 values"),
    "a word": (joint(9, "0.1 left 0.3"), "line 9: 'left' is no number"),
    "a comma": (joint(10, "0,1 0.2 0.3"), "line 10: '0,1' is no number"),
    "NaN": (joint(11, "0.1 nan 0.3"), "line 11: the position is NaN, infinite"),
    "infinity": (joint(12, "0.1 0.2 -Infinity"), "line 12: the position is NaN, infinite"),
    "overflow": (joint(13, "1e39 0.2 0.3"), "line 13: the position is NaN, infinite or more than 1 km away"),
    "on the moon": (joint(14, "0.1 384400000 0.3"), "line 14: the position is NaN, infinite or more than 1 km away"),
    "cut in a line": (lambda good: "\n".join(good)[:-9].encode(), r"line \d+: a joint needs 12 values, here are \d+"),
    "cut after a line": (lambda good: good[:-3], r"line 58: it declares 1 bodies, but only 24 lines follow"),
    "cut in the middle": (lambda good: good[: len(good) // 2], r"line \d+: "),
    "cut after the head": (lambda good: good[:1], "line 1: it declares . frames, but only 0 lines follow"),
    "nobody": (lambda good: ["3", "0", "0", "0"], "^nobody is present in any of its frames"),
    "only zeros": (lambda good: lines([[(ID, ZERO)]] * 2), "^nobody is present in any of its frames"),
}  # fmt: skip
NAMES = {
    "S001C004P001R001A{:03d}": "^its name says camera 4, but 'ntu60' has cameras 1 to 3",
    "S001C001P041R001A{:03d}": "^its name says subject 41, but",
    "S001C001P000R001A{:03d}": "^its name says subject 0, but",
    "S000C001P001R002A{:03d}": "^its name says setup 0, but",
    "S001C001P002R003A{:03d}": "^its name says replication 3, but",
    "S001C001P003R001A{:03d} copy": "^it stands for none of the 60 classes",
    "clip{:03d}": "^it stands for none of the 60 classes",
    "._S001C001P001R001A{:03d}": "^it stands for none of the 60 classes",
    "S001C001P004R001A9{:02d}": "^it stands for none of the 60 classes",
}


@dataclass
class Corpus:
    folder: Path
    missing: Path
    good: dict[str, Good]
    bad: dict[str, str]  # file -> what must be said


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("ntu") / "skeletons"
    random = np.random.default_rng(1)
    names = (  # unlike each other, for 17, 40 and 60 have 2,040 as their least common multiple
        f"S{n % 17 + 1:03d}C{n % 3 + 1:03d}P{n % 40 + 1:03d}R{n // 1200 + 1:03d}A{n % 60 + 1:03d}" for n in range(2400)
    )
    made = Corpus(folder, folder.parent / "missing.txt", {}, {})
    (folder / "more" / "deep").mkdir(parents=True)

    def write(name: str, text: bytes) -> str:
        """Into the folder, or now and then into one below."""
        place = ("", "", "", "more/", "more/deep/")[int(random.integers(5))]
        (folder / f"{place}{name}.skeleton").write_bytes(text)
        return f"{place}{name}.skeleton"

    for _ in range(13):
        for damage, reason in DAMAGE.values():
            damaged = damage(lines([[(ID, POOL[int(number)])] for number in random.integers(0, 40, 3)]))
            text = damaged if isinstance(damaged, bytes) else ("\n".join(damaged) + "\n").encode()
            made.bad[write(next(names), text)] = reason
    whole = good(0, random).text
    for number in range(5):
        for name, reason in NAMES.items():
            made.bad[write(name.format(number + 1), whole)] = reason
    listed = [next(names) for _ in range(20)]
    made.missing.write_text("Clips to be left out:\n\n" + "\n".join([*listed, "S032C001P106R001A120"]) + "\n")
    for name in listed:
        made.bad[write(name, whole)] = "^it is on the list of clips with missing skeletons"
    for number in range(FILES - len(made.bad) - 5):
        name, clip = next(names), good(number % 10, random)
        file = write(name, clip.text)
        made.good[name] = clip
        if number < 5:  # the same clip again, in another place
            (folder / "zz").mkdir(exist_ok=True)
            (folder / "zz" / f"{name}.skeleton").write_bytes(clip.text)
            made.bad[f"zz/{name}.skeleton"] = f"^the id was there before, from '{re.escape(file)}', which is kept"
    # Not of this set, or no files: nothing to complain about.
    (folder / "S018C001P001R001A061.skeleton").write_bytes(whole)
    (folder / "S001C001P001R002A060.skeleton").mkdir()
    (folder / "S001C001P001R002A059.skeleton").symlink_to("nowhere")
    (folder / "readme.txt").write_text("hello")
    assert len(made.good) + len(made.bad) == FILES
    return made


def test_every_good_file_is_intact_and_every_bad_one_is_named(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--source", str(corpus.folder), "--missing", str(corpus.missing), "--workers", "1"]
    assert main(["prepare", "ntu60", str(tmp_path / "store"), *arguments, "--progress", "false"]) == 0
    assert f"{len(corpus.good)} clips, {len(corpus.bad)} files refused" in capsys.readouterr().out

    with (tmp_path / "store" / "problems.csv").open(newline="", encoding="utf-8") as file:
        listed = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert set(listed) == set(corpus.bad)
    for name, reason in corpus.bad.items():
        assert re.search(reason, listed[name]), (name, reason, listed[name])
        assert listed[name].isprintable()
        if not reason.startswith("^"):
            assert listed[name].startswith(f"'{Path(name).name}' ")

    store = Store.open(tmp_path / "store")
    assert store.ids.tolist() == sorted(corpus.good)
    for number, name in enumerate(store.ids.tolist()):
        clip, sequence = corpus.good[name], store.sequence(number)
        assert (sequence.num_frames, sequence.num_people) == (clip.frames, len(clip.people)), name
        facts = [int(store.column(fact)[number]) for fact in ("setup", "camera", "subject", "replication", "action")]
        assert f"S{facts[0]:03d}C{facts[1]:03d}P{facts[2]:03d}R{facts[3]:03d}A{facts[4]:03d}" == name
        assert store.labels[number] == facts[4] - 1
        left = list(clip.people)
        for person in range(sequence.num_people):
            frames = np.flatnonzero(sequence.present[:, person]).tolist()
            ours = sequence.positions[frames, person]
            same = [
                place
                for place, other in enumerate(left)
                if list(other) == frames and np.array_equal(ours, np.array(list(other.values()), np.float32))
            ]
            assert same, name
            del left[same[0]]
    train, test = store.part("xsub", "train"), store.part("xsub", "test")
    assert len(train) + len(test) == len(store)


@pytest.mark.parametrize("cleaning", get_args(Cleaning)[1:])
def test_a_store_of_a_released_cleaning_holds_the_released_arrays(tmp_path: Path, cleaning: Any) -> None:
    """Gathered with absent people as zeros and filled up to 300 frames; without any file but those made here."""
    random, source = np.random.default_rng(2), tmp_path / "in"
    source.mkdir()
    for number in range(12):
        clip = good(number % 10, random)
        frames = [[(ID + 1, POOL[t]), *([(ID + 2, FAR[t])] if t > number else [])][:: (-1) ** t] for t in range(14)]
        text = clip.text if number % 2 else "\n".join(lines([*frames, [], *frames[:number]])).encode()
        (source / f"S001C001P{number + 1:03d}R001A001.skeleton").write_bytes(text)
    store = Store.open(prepare(Ntu60(cleaning), source, tmp_path / "store", progress=False, workers=1).folder)
    assert len(store) >= 8  # CTR-GCN's fails on short clips of two people
    assert set(store.people.tolist()) == {1, 2}
    for number, name in enumerate(store.ids.tolist()):
        count = int(store.frames[number])
        padded = np.where(np.arange(300) < count, np.arange(300), -1)
        ours = store.gather([number], padded[None], 2).positions[0]
        expected = released_array(read_recording(source / f"{name}.skeleton"), cleaning)
        if cleaning == "released-ctrgcn":
            ours = ours.transpose(1, 3, 2, 0).reshape(300, -1)
        np.testing.assert_array_equal(ours, expected, err_msg=name)
        assert expected.any()
