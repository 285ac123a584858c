"""A small and always equal budget of damaged files of every kind; ``make fuzz`` has a large one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bonegraph.read import FORMATS

from .attempt import attempt, complaint, damaged
from .seeds import FORMAT_SEEDS, Target, targets

COUNT = 40
TARGETS = targets()
each = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


def test_every_format_is_damaged() -> None:
    assert set(FORMATS) == set(FORMAT_SEEDS), "a file format needs small good files in recordings.py and seeds.py"


@each
def test_good_files_read(target: Target, tmp_path: Path) -> None:
    target.place(tmp_path)
    for seed in target.seeds():
        (tmp_path / target.file).write_bytes(seed)
        target.open(tmp_path / target.file)


@each
def test_damaged_files_read_or_are_refused_in_one_line(target: Target, tmp_path: Path) -> None:
    target.place(tmp_path)
    for number in range(COUNT):
        failure = attempt(target, number, tmp_path)
        assert failure is None, str(failure)


@each
def test_the_damage_of_a_number_is_always_the_same(target: Target) -> None:
    files = [damaged(target, number) for number in range(20)]
    assert files == [damaged(target, number) for number in range(20)]
    assert len(set(files)) > 10
    assert sum(file in target.seeds() for file in files) < 10


def refuse_as(error: Exception) -> Target:
    def fail(path: Path) -> None:
        raise error

    return Target("broken", "file", fail, lambda: [b"abc"], lambda data, rng: data)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("two\nlines"), "not one line"),
        (ValueError("two\vlines"), "not one line"),
        (ValueError(""), "not one line"),
        (ValueError("x" * 2000), "a message of 2000 characters"),
        (UnicodeDecodeError("ascii", b"\xff", 0, 1, "bad"), "refused with a UnicodeDecodeError"),
        (KeyError("x"), "KeyError"),
        (AssertionError(), "AssertionError"),
        (RecursionError(), "RecursionError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_bad_refusals_are_noticed(error: Exception, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert message in complaint(refuse_as(error), tmp_path / "file")


def test_clear_refusals_are_not_failures(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert complaint(refuse_as(ValueError("'file' is cut off; fetch it again.")), tmp_path / "file") == ""
    assert complaint(refuse_as(FileNotFoundError("no file")), tmp_path / "file") == ""


def test_time_and_memory_are_noticed(tmp_path: Path) -> None:
    def turn(path: Path) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    def grow(path: Path) -> None:
        bytearray(b"x") * (100 << 20)

    target = refuse_as(ValueError())
    assert "takes more than 0.1 s" in complaint(replace(target, open=turn), tmp_path, seconds=0.1)
    if Path("/proc/self/clear_refs").exists():
        assert "MB" in complaint(replace(target, open=grow), tmp_path, megabytes=50)
        assert complaint(replace(target, open=grow), tmp_path) == ""
