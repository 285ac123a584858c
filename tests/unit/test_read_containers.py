"""Files of other tools that hold many clips: padded arrays, the CTR-GCN .npz, the annotation pickles."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bonegraph.datasets.known import KnownSet
from bonegraph.datasets.known.containers import AnnotationsSet, ArraysSet, CtrGcnSet, opened_once, read_classes
from bonegraph.read.annotations import open_annotations, read_annotation
from bonegraph.read.arrays import check_header, map_npy, open_arrays, sequence_of, skeleton_with
from bonegraph.read.ctrgcn import open_ctrgcn
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS

RNG = np.random.default_rng(0)
NTU = SKELETONS["ntu25"]


def padded(frames: int = 12, people: int = 2, joints: int = 25, channels: int = 3, clips: int = 4) -> NDArray[Any]:
    """(N, C, T, V, M): person 0 in frames 0 to 7 without 3, person 1 (where there is one) in frames 1 and 2."""
    data = np.zeros((clips, channels, frames, joints, people), np.float32)
    data[:, :, :8, :, 0] = RNG.normal(size=(clips, channels, 8, joints))
    data[:, :, 3] = 0
    data[:, :, 1:3, :, 1:] = RNG.normal(size=(clips, channels, 2, joints, people - 1))
    return data


def write_arrays(folder: Path, part: str, data: NDArray[Any], labels: Any = None, ending: str = "data_joint") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{part}_{ending}.npy", data)
    if labels is None:
        labels = ([f"{part}{number}.skeleton" for number in range(len(data))], [n % 3 for n in range(len(data))])
    (folder / f"{part}_label.pkl").write_bytes(pickle.dumps(labels))
    return folder / f"{part}_{ending}.npy"


def one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


def read_all(known: KnownSet, source: Path) -> dict[str, Sequence]:
    return {found.id: known.read(found) for found in known.find(source)}


# Padded arrays.


def test_arrays(tmp_path: Path) -> None:
    train, val = padded(), padded(frames=9, people=1)
    write_arrays(tmp_path, "train", train)
    write_arrays(tmp_path, "val", val)
    np.save(tmp_path / "train_data_bone.npy", train)  # other streams are computed, not read
    np.save(tmp_path / "train_data_joint_motion.npy", train)
    known = ArraysSet()
    sources = known.find(tmp_path)
    assert [(source.id, source.label, source.facts) for source in sources[3:6]] == [
        ("train3", 0, {"part": "train"}),
        ("val0", 0, {"part": "val"}),
        ("val1", 1, {"part": "val"}),
    ]
    assert (known.skeleton.name, known.unit, known.fps, known.classes) == ("ntu25", "m", 30.0, ("0", "1", "2"))
    assert not known.has_confidence
    assert known.splits["given"].parts == {"test": ("val",), "train": ("train",)}
    sequence = known.read(sources[1])
    assert sequence.positions.shape == (8, 2, 25, 3)  # the padding is cut off
    assert sequence.present[:, 0].tolist() == [True] * 3 + [False] + [True] * 4  # but nobody in the middle is a gap
    assert sequence.present[:, 1].tolist() == [False, True, True] + [False] * 5
    np.testing.assert_array_equal(sequence.positions[:, 0], train[1, :, :8, :, 0].transpose(1, 2, 0))
    np.testing.assert_array_equal(sequence.positions[1:3, 1], train[1, :, 1:3, :, 1].transpose(1, 2, 0))
    assert known.read(sources[4]).positions.shape == (8, 1, 25, 3)
    assert known.settings() == {"fps": 30.0}


def test_a_joint_at_the_origin_is_there(tmp_path: Path) -> None:
    data = padded()
    data[:, :, :, 1] = 0  # what centring leaves of the centre
    write_arrays(tmp_path, "train", data)
    known = ArraysSet()
    sequence = known.read(known.find(tmp_path)[0])
    assert sequence.present[0, 0]
    assert sequence.visible[0, 0, 1]


def test_empty_frames_at_the_start_stay(tmp_path: Path) -> None:
    data = padded()
    data[:, :, :2] = 0
    data[1] = 0
    write_arrays(tmp_path, "train", data)
    first, second, *_ = read_all(ArraysSet(), tmp_path).values()
    assert first.present.any(axis=1).tolist() == [False, False, True, False, True, True, True, True]
    assert second.present.shape == (1, 2)
    assert not second.present.any()  # preparation refuses it


def test_arrays_of_kinetics_have_scores(tmp_path: Path) -> None:
    data = padded(joints=18)
    data[:, 2] = np.abs(data[:, 2]).clip(0, 1)
    data[:, 2, :, 4] = 0
    write_arrays(tmp_path, "val", data)
    known = ArraysSet()
    (sequence, *_) = read_all(known, tmp_path).values()
    assert (known.skeleton.name, known.unit, known.has_confidence) == ("openpose18", "normalised", True)
    assert sequence.positions.shape == (8, 2, 18, 2)
    assert sequence.confidence is not None
    np.testing.assert_array_equal(sequence.confidence[:, 0], data[0, 2, :8, :, 0])
    assert not sequence.visible[:, :, 4].any()
    assert sequence.visible[0, 0].sum() == 17

    known = ArraysSet(score=False, unit="px", fps=10)
    (sequence, *_) = read_all(known, tmp_path).values()
    assert (sequence.positions.shape[-1], sequence.confidence, sequence.unit, sequence.fps) == (3, None, "px", 10.0)


NAMES, LABELS = ["a.skeleton", "b.skeleton", "c.json", "d"], [0, 5, 2, 1]


@pytest.mark.parametrize(
    "labels",
    [
        (NAMES, LABELS),
        [NAMES, LABELS],
        (NAMES, np.array(LABELS)),
        (tuple(NAMES), [np.int64(label) for label in LABELS]),
        (NAMES, LABELS, [300, 300, 300, 300]),
        ((NAMES, LABELS), [300, 300, 300, 300]),
        (NAMES, (LABELS, [300, 300, 300, 300])),
        ((NAMES, LABELS),),
        (np.array(NAMES), np.array(LABELS, dtype=np.uint8)),
        ([name.encode() for name in NAMES], LABELS),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_every_form_of_the_labels(tmp_path: Path, labels: Any, protocol: int) -> None:
    path = write_arrays(tmp_path, "val", padded())
    (tmp_path / "val_label.pkl").write_bytes(pickle.dumps(labels, protocol))
    arrays = open_arrays(path)
    assert arrays.names == ("a", "b", "c", "d")
    assert arrays.labels == (0, 5, 2, 1)


def test_lengths_in_the_label_file_are_believed(tmp_path: Path) -> None:
    path = write_arrays(tmp_path, "val", padded(), (NAMES, LABELS, [6, 300, 0, -1]))
    arrays = open_arrays(path)
    assert [arrays.clip(name).shape[0] for name in arrays.names] == [6, 12, 1, 1]
    assert read_all(ArraysSet(), path)["a"].num_frames == 6


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {},
        "names",
        (NAMES,),
        (LABELS, LABELS),
        (NAMES, NAMES),
        (NAMES, [0.5, 1, 2, 3]),
        (NAMES, [True, False, True, False]),
        (NAMES, LABELS, LABELS, LABELS),
        (NAMES[:3], LABELS),
        (NAMES, LABELS[:3]),
        (NAMES[:3], LABELS[:3]),
        (NAMES, [[0], [1], [2], [3]]),
        ([], []),
    ],
)
def test_no_labels(tmp_path: Path, labels: Any) -> None:
    path = write_arrays(tmp_path, "val", padded())
    (tmp_path / "val_label.pkl").write_bytes(pickle.dumps(labels))
    with pytest.raises(ValueError, match=r"'val_label\.pkl'") as error:
        open_arrays(path)
    one_line(error)


def test_a_program_in_the_place_of_labels(tmp_path: Path) -> None:
    write_arrays(tmp_path, "val", padded())
    (tmp_path / "val_label.pkl").write_bytes(b"cposix\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match=r"'val_label\.pkl' asks for 'posix\.system'") as error:
        ArraysSet().find(tmp_path)
    one_line(error)


def header(description: str, version: bytes = b"\x01\x00") -> bytes:
    text = description.encode().ljust(117) + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text


def shaped(shape: str, kind: str = "<f4") -> bytes:
    return header(f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no .npy file"),
        (b"\x93NUMPY", "no .npy file"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "no .npy file"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "no .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "no .npy file"),
        (b"PK\x03\x04" + bytes(100), "no .npy file"),
        (header("__import__('os').system('true')"), "no .npy file"),
        (header("(" * 100), "no .npy file"),
        (header("{}"), "no .npy file"),
        (header("{'descr': '<q9', 'fortran_order': False, 'shape': (1,)}"), "no .npy file"),
        (shaped("(1, 'x')"), "no .npy file"),
        (shaped("(1000000, 1000000)"), "too short"),
        (shaped("(99999999999999999999999999,)"), "too short"),
        (shaped("(4611686018427387904, 4)"), "too short"),
        (shaped("(-1, -4)"), "holds nothing"),
        (shaped("(0, 4611686018427387904)"), "holds nothing"),
        (shaped("(3,)"), "too short"),
        (shaped("(2,)", "|O"), "holds 'O' values"),
        (shaped("(2,)", "<U9"), "holds 'U' values"),
        (shaped("(2,)", "<c8"), "holds 'c' values"),
        (shaped("(2,)", "|b1"), "holds 'b' values"),
        (header("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}"), "holds 'V' values"),
    ],
)
def test_hostile_npy(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(data and data + bytes(11))
    with pytest.raises(ValueError, match=message) as error:
        map_npy(path)
    assert one_line(error).startswith("'x.npy'")


def test_npy_of_python_2_and_fortran(tmp_path: Path) -> None:
    (tmp_path / "old.npy").write_bytes(shaped("(2L, 1L)") + np.array([3, 4], np.float32).tobytes())
    np.testing.assert_array_equal(map_npy(tmp_path / "old.npy"), [[3], [4]])
    np.save(tmp_path / "fortran.npy", np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    np.testing.assert_array_equal(map_npy(tmp_path / "fortran.npy"), np.arange(6.0).reshape(2, 3))
    with (tmp_path / "two.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(3), version=(2, 0))
    np.testing.assert_array_equal(map_npy(tmp_path / "two.npy"), np.arange(3))
    assert check_header((tmp_path / "two.npy").read_bytes(), 10**9, "x").shape == (3,)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((3, 12, 25, 2), np.float32), r"\(clips, 2 to 4 channels, frames, joints, people\)"),
        (np.ones((4, 5, 12, 25, 2), np.float32), "2 to 4 channels"),
        (np.ones((4, 3, 12, 24, 2), np.float32), "24 joints are no skeleton known"),
        (np.ones((3, 3, 12, 25, 2), np.float32), r"names 4 clips, but '.*' holds 3"),
    ],
)
def test_arrays_of_another_shape(tmp_path: Path, data: NDArray[Any], message: str) -> None:
    write_arrays(tmp_path, "val", data, (NAMES, LABELS))
    with pytest.raises(ValueError, match=message) as error:
        ArraysSet().find(tmp_path)
    one_line(error)


def test_another_skeleton(tmp_path: Path) -> None:
    write_arrays(tmp_path, "val", padded(joints=20))
    assert next(iter(read_all(ArraysSet(), tmp_path).values())).skeleton.name == "ucla20"
    assert next(iter(read_all(ArraysSet("utd20"), tmp_path).values())).skeleton.name == "utd20"
    known = ArraysSet("ntu25")
    source = known.find(tmp_path)[0]
    with pytest.raises(ValueError, match=r"'val0' has shape .* 25 joints of 'ntu25'"):
        known.read(source)


def test_nan_is_refused_clip_by_clip(tmp_path: Path) -> None:
    data = padded()
    data[1, 0, 2, 3, 0] = np.nan
    data[2, 0, 5, 3, 0] = np.inf
    write_arrays(tmp_path, "val", data)
    known = ArraysSet()
    good, *bad, _ = known.find(tmp_path)
    assert known.read(good).num_frames == 8
    for source, frame in zip(bad, (2, 5), strict=True):
        with pytest.raises(ValueError, match=f"'{source.id}' holds NaN or infinity, first in frame {frame}"):
            known.read(source)


def test_numbers_too_large(tmp_path: Path) -> None:
    write_arrays(tmp_path, "val", padded().astype(np.float64) * 1e300)
    known = ArraysSet()
    with pytest.raises(ValueError, match="NaN or infinity"):
        known.read(known.find(tmp_path)[0])


def test_which_files_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \*_data_joint\.npy or \*_data\.npy; get the arrays"):
        ArraysSet().find(tmp_path)
    path = write_arrays(tmp_path / "xsub", "train", padded(), ending="data")
    write_arrays(tmp_path / "xsub", "train", 2 * padded(clips=4))
    assert [source.path for source in ArraysSet().find(path)] == [path] * 4
    assert {source.path for source in ArraysSet().find(tmp_path)} == {path.with_name("train_data_joint.npy")}
    write_arrays(tmp_path / "xview", "train", padded())
    with pytest.raises(ValueError, match="holds arrays in several folders"):
        ArraysSet().find(tmp_path)
    (tmp_path / "xsub" / "train_label.pkl").unlink()
    with pytest.raises(FileNotFoundError, match=r"no file '.*train_label\.pkl'"):
        ArraysSet().find(path)
    with pytest.raises(ValueError, match=r"is no \*_data_joint\.npy"):
        ArraysSet().find(tmp_path / "xview" / "train_label.pkl")
    write_arrays(tmp_path / "xview", "val", padded(joints=20))
    with pytest.raises(ValueError, match="unlike channels and joints"):
        ArraysSet().find(tmp_path / "xview")


def test_validation_and_test_parts_stay_apart(tmp_path: Path) -> None:
    for part in ("train", "val", "test", "other"):
        write_arrays(tmp_path, part, padded())
    known = ArraysSet()
    known.find(tmp_path)
    assert known.splits["given"].parts == {part: (part,) for part in ("other", "test", "train", "val")}


def test_a_container_is_opened_once_until_it_changes(tmp_path: Path) -> None:
    path = write_arrays(tmp_path, "val", padded(clips=4))
    known = ArraysSet()
    source = known.find(tmp_path)[0]
    before = known.read(source).positions
    assert opened_once(open_arrays, path) is opened_once(open_arrays, path)
    assert len(pickle.dumps(known)) < 10_000  # nothing of it is on the set
    write_arrays(tmp_path, "val", padded(clips=5))
    assert len(known.find(tmp_path)) == 5
    assert not np.array_equal(known.read(source).positions, before)
    (tmp_path / "val_label.pkl").write_bytes(pickle.dumps((["a", "b", "c", "d", "e"], [0] * 5)))
    assert known.find(tmp_path)[0].id == "a"


# CTR-GCN.


def truth(labels: list[int], classes: int = 5) -> NDArray[Any]:
    return np.eye(classes)[labels]


def ctr_clips(clips: int = 3, frames: int = 10, people: int = 2) -> NDArray[Any]:
    data = np.zeros((clips, frames, people, 25, 3), np.float32)
    data[:, :6] = RNG.normal(size=(clips, 6, people, 25, 3))
    return data.reshape(clips, frames, -1)


def write_ctr(path: Path, compressed: bool = False, **change: Any) -> Path:
    arrays = {
        "x_train": ctr_clips(),
        "y_train": truth([4, 0, 1]),
        "x_test": ctr_clips(clips=2),
        "y_test": truth([2, 3]),
    } | change
    save = np.savez_compressed if compressed else np.savez
    save(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_ctrgcn(tmp_path: Path, compressed: bool) -> None:
    data = ctr_clips()
    path = write_ctr(tmp_path / "NTU60_CS.npz", compressed, x_train=data)
    known = CtrGcnSet()
    sources = known.find(tmp_path)
    assert [(source.id, source.label, source.facts["part"], source.path) for source in sources] == [
        ("train-000000", 4, "train", path),
        ("train-000001", 0, "train", path),
        ("train-000002", 1, "train", path),
        ("test-000000", 2, "test", path),
        ("test-000001", 3, "test", path),
    ]
    assert known.classes == ("0", "1", "2", "3", "4")
    assert known.splits["given"].parts == {"test": ("test",), "train": ("train",)}
    sequence = known.read(sources[1])
    assert (sequence.positions.shape, sequence.skeleton.name, sequence.unit) == ((6, 2, 25, 3), "ntu25", "m")
    np.testing.assert_array_equal(sequence.positions, data[1, :6].reshape(6, 2, 25, 3))
    assert sequence.present.all()


def test_a_copy_is_nobody(tmp_path: Path) -> None:
    data = ctr_clips()
    data[1, :, 75:] = data[1, :, :75]  # as in NTU RGB+D 120
    data[2, :, 75:] = 0  # as in NTU RGB+D 60
    data[0, 1:, 75:] = data[0, 1:, :75]  # two who once differ are two
    path = write_ctr(tmp_path / "x.npz", x_train=data)
    present = [sequence.present.any(axis=0).tolist() for sequence in read_all(CtrGcnSet(), path).values()]
    assert present[:3] == [[True, True], [True, False], [True, False]]
    present = [sequence.present.any(axis=0).tolist() for sequence in read_all(CtrGcnSet(copies=True), path).values()]
    assert present[:3] == [[True, True], [True, True], [True, False]]
    assert CtrGcnSet(copies=True).settings() == {"fps": 30.0, "copies": True}


def test_labels_of_ctrgcn(tmp_path: Path) -> None:
    path = write_ctr(tmp_path / "x.npz", y_train=np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]]), y_test=np.array([0, 2]))
    opened = open_ctrgcn(path)
    assert opened.labels["train"].tolist() == [1, -1, -1]
    assert opened.labels["test"].tolist() == [0, 2]
    assert opened.classes == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": None, "x_test": None}, "has no arrays x_train and y_train"),
        ({"x_train": np.ones((3, 10, 2, 75), np.float32)}, r"x_train of shape \(3, 10, 2, 75\)"),
        ({"x_test": np.ones((2, 10, 75), np.float32)}, "alike in both parts"),
        ({"y_train": truth([0, 1])}, r"y_train of shape \(2, 5\) for 3 clips"),
        ({"y_train": np.array([0.5, 1, 2])}, "y_train of shape"),
        ({"x_train": np.array([None] * 3)}, "holds 'O' values"),
        ({"y_train": np.array(["a", "b", "c"])}, "holds 'U' values"),
    ],
)
def test_other_npz(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        open_ctrgcn(write_ctr(tmp_path / "x.npz", **change))
    assert one_line(error).startswith("'x.npz")


def test_frames_of_another_width(tmp_path: Path) -> None:
    known = CtrGcnSet("coco17")
    source = known.find(write_ctr(tmp_path / "x.npz"))[0]
    with pytest.raises(ValueError, match="150 numbers, which are no people of 17 joints x 3"):
        known.read(source)


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def npy(array: NDArray[Any]) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def test_zip_bombs(tmp_path: Path) -> None:
    labels = npy(truth([0]))
    bomb = npy(np.zeros((1, 100_000, 150), np.float32))  # 60 MB in 60 kB
    path = archive(tmp_path / "x.npz", {"x_train.npy": bomb, "y_train.npy": labels})
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"would unfold from .* more than is read into memory; save the arrays again"):
        open_ctrgcn(path)
    path = archive(tmp_path / "y.npz", {"x_train.npy": shaped("(1, 10, 150)"), "y_train.npy": labels})
    with pytest.raises(
        ValueError, match=r"'y\.npz: x_train\.npy' says that its shape is \(1, 10, 150\), but it is too"
    ):
        open_ctrgcn(path)
    stored = archive(tmp_path / "z.npz", {"x_train.npy": npy(ctr_clips(1)), "y_train.npy": labels}, zipfile.ZIP_STORED)
    whole = stored.read_bytes()
    # The list at the end of the archive claims gigabytes.
    entry = whole.index(b"PK\x01\x02")
    for first, last in ((20, 24), (24, 28), (20, 28), (42, 46)):
        lying = bytearray(whole)
        lying[entry + first : entry + last] = b"\xf0\xff\xff\x7f" * ((last - first) // 4)
        stored.write_bytes(lying)
        with pytest.raises(ValueError, match=r"'z\.npz") as error:
            open_ctrgcn(stored)
        one_line(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "x.npz", {"x_train.npy": npy(ctr_clips()), "y_train.npy": npy(truth([0, 1, 2]))}, method)
    with pytest.raises(ValueError, match=r"'x\.npz' is no \.npz archive or is damaged"):
        open_ctrgcn(path)


def test_names_that_lead_elsewhere_are_not_opened(tmp_path: Path) -> None:
    members = {"../x_train.npy": npy(ctr_clips()), "/etc/x_test.npy": b"x", "y_train.npy": npy(truth([0, 1, 2]))}
    (tmp_path / "in").mkdir()
    path = archive(tmp_path / "in" / "x.npz", members)
    with pytest.raises(ValueError, match="has no arrays x_train and y_train"):
        open_ctrgcn(path)
    assert [file.name for file in tmp_path.rglob("*")] == ["in", "x.npz"]


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_npz(tmp_path: Path, compressed: bool) -> None:
    path = write_ctr(tmp_path / "x.npz", compressed)
    whole = path.read_bytes()
    damaged = [whole[:length] for length in (0, 10, 200, len(whole) // 2, len(whole) - 5)]
    for place in RNG.integers(0, len(whole), 30):
        damaged.append(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    for data in damaged:
        path.write_bytes(data)
        try:
            open_ctrgcn(path)
        except ValueError as error:
            assert str(error).startswith("'x.npz")
            assert "\n" not in str(error)
        else:
            assert len(data) == len(whole)  # a number of a clip has changed


# PYSKL and MMAction2.


def annotation(name: str, label: Any = 0, people: int = 1, frames: int = 5, **more: Any) -> dict[str, Any]:
    keypoint = RNG.normal(size=(people, frames, 25, 3)).astype(np.float16)
    return {"frame_dir": name, "label": label, "total_frames": frames, "keypoint": keypoint} | more


def flat(name: str, label: int = 0, **more: Any) -> dict[str, Any]:
    return annotation(
        name,
        label,
        keypoint=RNG.uniform(0, 200, (2, 5, 17, 2)).astype(np.float16),
        keypoint_score=RNG.uniform(0.1, 1, (2, 5, 17)).astype(np.float16),
        img_shape=(100, 200),
        original_shape=(1080, 1920),
        **more,
    )


SPLITS = {
    "xsub_train": ["a", "b"],
    "xsub_val": ["c"],
    "xview_train": ["a"],
    "xview_val": ["b", "c", "gone"],
}


def write_pkl(path: Path, clips: Any, split: Any = SPLITS, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps({"split": split, "annotations": clips}, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_annotations(tmp_path: Path, protocol: int) -> None:
    clips = [annotation("a"), annotation("b", 2, people=2), annotation("c", 1)]
    clips[1]["keypoint"][1, 2:] = 0
    path = write_pkl(tmp_path / "ntu60_3danno.pkl", clips, protocol=protocol)
    known = AnnotationsSet()
    sources = known.find(tmp_path)
    assert [(source.id, source.label, source.facts, source.refused) for source in sources] == [
        ("a", 0, {"xsub": "train", "xview": "train"}, ""),
        ("b", 2, {"xsub": "train", "xview": "val"}, ""),
        ("c", 1, {"xsub": "val", "xview": "val"}, ""),
        ("gone", -1, {"xsub": "none", "xview": "val"}, "a split names it, but the file has no such annotation."),
    ]
    assert {source.path for source in sources} == {path}
    for name in ("xsub", "xview"):
        assert known.splits[name].to_dict() == {"column": name, "parts": {"train": ["train"], "test": ["val"]}}
    assert (known.skeleton.name, known.unit, known.classes, known.has_confidence) == (
        "ntu25",
        "m",
        ("0", "1", "2"),
        False,
    )
    sequence = known.read(sources[1])
    assert sequence.positions.dtype == np.float32
    np.testing.assert_array_equal(sequence.positions[:, 0], clips[1]["keypoint"][0])
    assert sequence.present.tolist() == [[True, True]] * 2 + [[True, False]] * 3


def test_annotations_in_two_dimensions(tmp_path: Path) -> None:
    clips = [flat("a"), flat("b")]
    clips[0]["keypoint_score"][0, 1, 3] = 0
    clips[0]["keypoint_score"][1, 4] = 0
    clips[0]["keypoint_score"][0, 0, 0] = 1.01
    path = write_pkl(tmp_path / "x.pkl", clips, {"train": ["a"], "val": ["b"]})
    known = AnnotationsSet()
    first, second = known.find(path)
    assert (first.facts, second.facts) == ({"part": "train"}, {"part": "val"})
    assert known.splits["given"].parts == {"test": ("val",), "train": ("train",)}
    assert (known.skeleton.name, known.unit, known.has_confidence) == ("coco17", "px", True)
    sequence = known.read(first)
    np.testing.assert_array_equal(sequence.positions.swapaxes(0, 1), clips[0]["keypoint"])
    assert sequence.confidence is not None
    assert sequence.confidence[0, 0, 0] == 1
    assert not sequence.visible[1, 0, 3]
    assert sequence.present.tolist() == [[True, True]] * 4 + [[True, False]]  # nobody is cut off: nothing is padding

    known = AnnotationsSet(unit="normalised")
    sequence = known.read(known.find(path)[0])
    np.testing.assert_allclose(sequence.positions.swapaxes(0, 1), clips[0]["keypoint"] / [200, 100], rtol=1e-3)


def test_names_of_splits(tmp_path: Path) -> None:
    split = {
        "train1": ["a"],
        "test1": ["b"],
        "train2": ["b"],
        "test2": ["a"],
        "hmdb_train_1": ["a"],
        "hmdb_val_1": ["b"],
        "hmdb_test_1": ["c"],
        "constrained": ["a"],  # no part of anything
        "label_train": ["a"],
        "nobody_test": [],
    }
    path = write_pkl(tmp_path / "x.pkl", [annotation(name) for name in "abc"], split)
    known = AnnotationsSet()
    (source, *_) = known.find(path)
    assert source.facts == {"split1": "train", "split2": "test", "hmdb_split1": "train", "label_part": "train"}
    assert known.splits["hmdb_split1"].parts == {"test": ("test",), "train": ("train",), "val": ("val",)}
    assert known.splits["label"].column == "label_part"  # a column of every index is called label


def test_without_splits_clips_of_each_class_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps([annotation(name) for name in "abcde"]))
    known = AnnotationsSet()
    parts = [str(source.facts["random"]) for source in known.find(path)]
    assert sorted(parts) == ["test", "train", "train", "train", "val"]
    assert known.splits["random"].column == "random"
    assert [str(source.facts["random"]) for source in AnnotationsSet().find(path)] == parts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"annotations": []}, "has no list 'annotations'"),
        ({"split": {}}, "has no list 'annotations'"),
        ({"annotations": [1]}, "has no list 'annotations'"),
        ("text", "has no list 'annotations'"),
        ({"annotations": [{"label": 0}]}, "a clip without a name 'frame_dir'"),
        ({"annotations": [{"frame_dir": "a", "raw_file": "x"}]}, "no 'keypoint' .* its poses are in other files"),
        ({"annotations": [{"frame_dir": "a", "keypoint": np.zeros((5, 25, 3))}]}, "no 'keypoint'"),
        ({"annotations": [annotation("a")], "split": [1]}, "a 'split' that is no dictionary"),
        ({"annotations": [annotation("a")], "split": {"train": "abc"}}, "that is no list of clips"),
        ({"annotations": [annotation("a")], "split": {"train": [1]}}, "that is no list of clips"),
        (
            {"annotations": [annotation("a")], "split": {"x_train": ["a", "b"], "x_val": ["b"]}},
            "has clip 'b' in 'train' and in 'val' of the split 'x'; keep it in one",
        ),
    ],
)
def test_other_pickles(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message) as error:
        AnnotationsSet().find(path)
    assert one_line(error).startswith("'x.pkl'")


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (annotation("a", keypoint=None), "no array 'keypoint'"),
        (annotation("a", keypoint=np.zeros((5, 25, 3))), "no array 'keypoint'"),
        (annotation("a", keypoint=np.zeros((1, 0, 25, 3))), "nobody is in it"),
        (annotation("a", keypoint=np.zeros((1, 5, 17, 3))), "25 joints of 'ntu25'"),
        (annotation("a", keypoint=np.array([[[["x"]]]])), "no array 'keypoint'"),
        (annotation("a", keypoint=np.full((1, 5, 25, 3), np.nan)), "NaN or infinity, first in frame 0"),
        (annotation("a", keypoint=np.full((1, 5, 25, 3), 1e300)), "NaN or infinity"),
        (annotation("a", keypoint_score=np.ones((1, 4, 25))), "does not fit"),
        (annotation("a", keypoint_score=np.full((1, 5, 25), np.nan)), "NaN or infinity"),
        (annotation("a", keypoint_score=np.full((1, 5, 25), -1.0)), "score below 0"),
    ],
)
def test_damaged_clips(clip: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        read_annotation(clip, NTU, 30, "m")
    assert one_line(error).startswith("'a'")


@pytest.mark.parametrize("shape", [None, (100,), ("x", "y"), (0, 100), (float("nan"), 5), 7])
def test_no_picture_to_normalise_by(shape: Any) -> None:
    clip = flat("a") | {"img_shape": shape}
    assert read_annotation(clip, SKELETONS["coco17"], 30, "px").unit == "px"
    with pytest.raises(ValueError, match=r"img_shape|picture"):
        read_annotation(clip, SKELETONS["coco17"], 30, "normalised")


def test_of_two_clips_with_one_name_the_first_is_read(tmp_path: Path) -> None:
    path = write_pkl(tmp_path / "x.pkl", [annotation("a", frames=3), annotation("a", frames=4)], {})
    assert open_annotations(path).ids == ("a", "a")  # preparation refuses the second
    assert len(open_annotations(path).clips["a"]["keypoint"][0]) == 3


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = write_pkl(
        tmp_path / "x.pkl", [annotation("a", 1), annotation("b", label="walk"), annotation("c", label=None)]
    )
    assert [source.label for source in AnnotationsSet().find(path)][:3] == [1, -1, -1]
    path = write_pkl(tmp_path / "y.pkl", [annotation("a", 10**9)], {})
    with pytest.raises(ValueError, match="labels up to 1000000000"):
        AnnotationsSet().find(path)


@pytest.mark.parametrize(("known", "ending"), [(AnnotationsSet(), "pkl"), (CtrGcnSet(), "npz")])
def test_one_file_of_a_folder(tmp_path: Path, known: KnownSet, ending: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"holds no \*\.{ending}; get the "):
        known.find(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.{ending}").touch()
    with pytest.raises(ValueError, match=rf"holds 2 \*\.{ending} \('a.{ending}', 'b.{ending}', ...\); give one"):
        known.find(tmp_path)


# What is set.


def test_settings(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("\ufeffstand\n\n walk \nrun\n", encoding="utf-8")
    assert read_classes(names) == ("stand", "walk", "run")
    write_arrays(tmp_path, "val", padded())
    known = ArraysSet(classes=names, fps=25, skeleton="ntu25")
    assert known.find(tmp_path)
    assert known.classes == ("stand", "walk", "run")
    assert known.settings() == {"classes": "names.txt", "fps": 25.0, "skeleton": "ntu25"}
    (tmp_path / "twice.txt").write_text("walk\nrun\nwalk\n")
    (tmp_path / "none.txt").write_text("\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    for name, message in (("twice", "'walk' twice"), ("none", "is empty"), ("bytes", "not a text file")):
        with pytest.raises(ValueError, match=message):
            ArraysSet(classes=tmp_path / f"{name}.txt")
    with pytest.raises(FileNotFoundError, match="one class name a line"):
        ArraysSet(classes=tmp_path / "nowhere.txt")
    with pytest.raises(ValueError, match="no skeleton 'ntu'"):
        ArraysSet(skeleton="ntu")
    with pytest.raises(ValueError, match="frame rate must be above 0"):
        ArraysSet(fps=0)
    with pytest.raises(ValueError, match="unit cannot be 'mm'"):
        ArraysSet(unit="mm")  # type: ignore[arg-type]


def test_which_skeleton() -> None:
    assert skeleton_with(25, 3, guess=True).name == "ntu25"
    assert skeleton_with(25, 2, guess=False).name == "openpose25"
    assert skeleton_with(17, 3, guess=False).name == "coco17"
    with pytest.raises(ValueError, match="25 joints could be ntu25 or openpose25; name the skeleton"):
        skeleton_with(25, 3, guess=False)
    with pytest.raises(ValueError, match="3 joints are no skeleton known"):
        skeleton_with(3, 3, guess=True)


def test_a_score_below_zero_is_no_score() -> None:
    with pytest.raises(ValueError, match="say that the last channel is no score"):
        sequence_of(-np.ones((1, 1, 18, 3)), SKELETONS["openpose18"], 30, "px", score=True, padded=True, name="x")
