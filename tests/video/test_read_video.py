"""Videos of every awkward kind come out as upright frames at a constant rate."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from bonegraph.read import read
from bonegraph.read.video import Frame, Video, is_video, parse_size

from . import films


def numbered(count: int, width: int = 96, height: int = 64) -> list[Frame]:
    """Frame k is as bright as k says."""
    return [np.full((height, width, 3), 20 + 8 * number, np.uint8) for number in range(count)]


def numbers(video: Video) -> list[int]:
    return [round((float(frame.mean()) - 20) / 8) for frame in video]


def test_every_frame_once_at_the_rate_of_the_file(tmp_path: Path) -> None:
    video = Video(films.write(tmp_path / "a.mp4", numbered(20)))
    assert (video.fps, video.width, video.height, video.about) == (25.0, 96, 64, 20)
    assert numbers(video) == list(range(20)) == numbers(video)
    assert video.notes == []


@pytest.mark.parametrize("fps, expected", [(12.5, list(range(0, 20, 2))), (50, [k for k in range(20) for _ in "ab"])])
def test_another_rate(tmp_path: Path, fps: float, expected: list[int]) -> None:
    found = numbers(Video(films.write(tmp_path / "a.mp4", numbered(20)), fps=fps))
    assert len(found) == len(expected)
    assert np.abs(np.subtract(found, expected)).max() <= 1  # half-way between two, either may be taken
    assert found == sorted(found)


def test_variable_rate_is_resampled_by_time(tmp_path: Path) -> None:
    times = np.cumsum([0.0, *([0.04] * 9), *([0.12] * 5)])  # three times slower at the end
    path = films.write(tmp_path / "v.mkv", numbered(15), times=times)
    found = numbers(Video(path, fps=25))
    expected = [int(np.abs(times - k / 25).argmin()) for k in range(len(found))]
    assert found[:-2] == expected[:-2]
    assert abs(len(found) - (times[-1] + 0.12) * 25) <= 1


@pytest.mark.parametrize(
    "matrix, quarters, mirrored",
    [
        ((1, 0, 0, 1), 0, False),
        ((0, 1, -1, 0), 3, False),
        ((-1, 0, 0, -1), 2, False),
        ((0, -1, 1, 0), 1, False),
        ((-1, 0, 0, 1), 0, True),
        ((1, 0, 0, -1), 2, True),
    ],
)
def test_display_matrix(tmp_path: Path, matrix: tuple[int, int, int, int], quarters: int, mirrored: bool) -> None:
    stored = films.drawn(films.stick(30, 50, 30)[None], 128, 96)
    video = Video(films.turned(films.write(tmp_path / "r.mp4", [stored] * 3), *matrix))
    expected = np.rot90(stored[:, ::-1] if mirrored else stored, quarters)
    assert (video.height, video.width) == expected.shape[:2]
    for frame in video:
        assert np.abs(frame.astype(int) - expected).mean() < 6
    sized = Video(tmp_path / "r.mp4", size=(64, 80))
    assert {frame.shape for frame in sized} == {(80, 64, 3)}


def test_odd_sizes_and_resize(tmp_path: Path) -> None:
    path = films.write(tmp_path / "o.mp4", numbered(4, 97, 65))
    assert {frame.shape for frame in Video(path)} == {(65, 97, 3)}
    assert {frame.shape for frame in Video(path, size=(340, 256))} == {(256, 340, 3)}


def test_cut_off_files_give_what_is_left(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (64, 96, 3), np.uint8) for _ in range(50)]
    path = films.write(tmp_path / "c.avi", noise, codec="mpeg4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = Video(path)
    count = sum(1 for _ in video)
    assert 10 < count < 45
    assert any("cut off" in note or "damaged" in note for note in video.notes), video.notes


def test_refused_in_one_line(tmp_path: Path) -> None:
    whole = films.write(tmp_path / "w.mp4", numbered(10)).read_bytes()
    (tmp_path / "no-index.mp4").write_bytes(whole[: len(whole) // 2])  # its index is at the end
    (tmp_path / "text.mp4").write_text("this is no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with wave.open(str(tmp_path / "sound.mkv"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(bytes(16000))
    for name in ("no-index.mp4", "text.mp4", "empty.mp4", "sound.mkv"):
        with pytest.raises(ValueError, match=f"'{name}'") as error:
            Video(tmp_path / name)
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"absent\.mp4"):
        Video(tmp_path / "absent.mp4")
    with pytest.raises(ValueError, match="frame rate"):
        Video(tmp_path / "w.mp4", fps=0)
    with pytest.raises(ValueError, match="docs/video"):
        read(tmp_path / "w.mp4")


def test_names_and_sizes() -> None:
    assert is_video("A.MOV") and not is_video("a.json")
    assert parse_size("340x256") == (340, 256)
    for wrong in ("340", "0x256", "340x99999", "axb", "-1x20"):
        with pytest.raises(ValueError, match="WIDTHxHEIGHT"):
            parse_size(wrong)
