"""The walk of a newcomer: films in folders of their classes, three commands, the answer drawn on a new film."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from bonegraph.__main__ import main
from bonegraph.datasets.store import Store
from bonegraph.read.video import Frame, Video

pytest.importorskip("mediapipe", reason="the pose step needs mediapipe, which is not installed")

FPS, LONG, PIECES, HELD = 10, 12, 6, 5  # one clip of each film is not trained on


def write(path: Path, frames: list[Frame]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def test_three_commands(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = shared / "data" / "video"
    if not source.is_dir():
        pytest.skip(f"needs real videos, but there is no folder '{source}'")
    for name in ("ta_chi.mp4", "clean_and_jerk.mp4"):
        frames = [frame for frame, _ in zip(Video(source / name, fps=FPS), range(PIECES * LONG), strict=False)]
        for number in range(PIECES):
            folder = tmp_path / ("new" if number == HELD else "my-videos") / Path(name).stem
            write(folder / f"{number}.mp4", frames[number::PIECES])  # each shows the whole action, faster
    (tmp_path / "my-videos" / "ta_chi" / "broken.mp4").write_bytes(b"no film")
    data, run, seen = str(tmp_path / "mine"), str(tmp_path / "run"), tmp_path / "seen.mp4"

    assert main(["prepare", str(tmp_path / "my-videos"), data, "--progress", "false"]) == 0
    out, err = capsys.readouterr()
    assert "10 clips, 1 files refused" in out and "refused: 'ta_chi/broken.mp4'" in err
    assert "format video: 11 videos" in err and "2 classes from the folders" in err and "10 frames per second" in err
    store = Store.open(data)
    assert (store.card.unit, store.card.fps, store.skeleton.name) == ("px", FPS, "mediapipe33")

    small = ["--epochs", "30", "--validate_every", "30", "--accelerator", "cpu"]
    assert main(["fit", "own", "--data", data, "--run", run, "--progress", "false", *small]) == 0
    capsys.readouterr()

    for action in ("ta_chi", "clean_and_jerk"):
        new = tmp_path / "new" / action / f"{HELD}.mp4"
        assert main(["recognise", run, str(new), "--annotated", str(seen), "--progress", "false"]) == 0
        assert capsys.readouterr().out.splitlines()[0].endswith(f"%  {action}")
        assert sum(1 for _ in Video(seen)) == sum(1 for _ in Video(new)) == LONG
