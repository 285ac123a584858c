"""``bonegraph recognise``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.inference.recogniser import Answer, Recogniser
    from bonegraph.sequence import Sequence


def recognise(
    checkpoint: Path,
    recording: Path | None = None,
    data: Path | None = None,
    clip: str = "",
    format: str | None = None,
    top: int = 5,
    people: int = 1,
    fps: float | None = None,
    resize: str | None = None,
    annotated: Path | None = None,
    progress: bool = True,
) -> None:
    """Say what happens in one recording, in one video or in one clip of a store.

    Examples:
      bonegraph recognise runs/nw-ucla a01_s01_e00_v03.json
      bonegraph recognise runs/four-streams a01_s01_e00_v03.json
      bonegraph recognise runs/nw-ucla/model.safetensors --data data/nw-ucla --clip a01_s01_e00_v03
      bonegraph recognise runs/nw-ucla clip.mp4 --annotated seen.mp4

    A recording on another skeleton is converted by joint name, which is said on standard error. Of a folder of streams
    all answer together, by the mean of their probabilities. In a video people are found first (docs/video.md): a
    checkpoint of three coordinates gets metres, one of two gets pixels.

    Args:
        checkpoint: a checkpoint, a run folder or a folder of streams.
        recording: a file of one of the formats that can be read, or a video.
        data: a store, instead of a file.
        clip: id of a clip in the store.
        format: of the recording, e.g. nw-ucla; default by the name and the beginning of the file.
        top: how many of the most probable actions are printed.
        people: of a video, look at no more than so many.
        fps: bring a video to this rate; default that of the training clips.
        resize: bring a video to WIDTHxHEIGHT, e.g. 340x256 for checkpoints of Kinetics-Skeleton.
        annotated: write the video there (.mp4, .gif) with the skeletons and the answers on it.
        progress: show a progress bar for a video.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.inference.recordings import read_for
    from bonegraph.read.video import is_video

    if (recording is None) == (data is None):
        raise ValueError("give either a recording or --data STORE --clip ID.")
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}.")
    filmed = recording is not None and format is None and is_video(recording)
    if not filmed and (annotated is not None or resize is not None or fps is not None):
        option = "annotated" if annotated is not None else "resize" if resize is not None else "fps"
        raise ValueError(f"--{option} is for videos; give one, or leave it out.")
    recogniser = Recogniser.load(checkpoint)
    if filmed:
        assert recording is not None
        answers = _of_video(recogniser, recording, top, people, fps, resize, annotated, progress)
    else:
        if data is not None:
            store = Store.open(data)
            sequence = store.sequence(store.find(clip))
        else:
            assert recording is not None
            sequence, doubt = read_for(recogniser.meaning, recording, format)
            if doubt:
                print(f"note: {doubt}; the answer may be wrong.", file=sys.stderr)
        _say_conversion(recogniser, sequence)
        answers = recogniser(sequence)[:top]
    for answer in answers:
        print(f"{answer.probability:7.1%}  {answer.action}")
    if annotated is not None:
        print(f"drawn: {annotated}")


def _say_conversion(recogniser: Recogniser, sequence: Sequence) -> None:
    from bonegraph.skeleton import conversion

    how = conversion(sequence.skeleton, recogniser.meaning.skeleton)
    if how.source != how.target and not how.missing:  # what is missing becomes an error later
        print(f"converted {how}", file=sys.stderr)


def _of_video(
    recogniser: Recogniser,
    path: Path,
    top: int,
    people: int,
    fps: float | None,
    resize: str | None,
    annotated: Path | None,
    progress: bool,
) -> list[Answer]:
    """Find the people, recognise them, and draw it if that is wanted."""
    from bonegraph.inference.films import film_for
    from bonegraph.pose.mediapipe_pose import MediaPipePose
    from bonegraph.read.video import Video, parse_size
    from bonegraph.viz.annotated import write_annotated
    from bonegraph.viz.video import check_film

    if annotated is not None:
        check_film(annotated)  # before anything takes time
        if annotated.resolve() == path.resolve():
            raise ValueError(f"'{annotated}' is the video itself; write into another file.")
    video = Video(path, recogniser.meaning.fps if fps is None else fps, None if resize is None else parse_size(resize))
    found, sequence = film_for(recogniser, video, MediaPipePose(people), people=people, progress=progress)
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    seen = f"{found.detection_rate:.0%} of {sequence.num_frames} frames"
    print(f"poses: {sequence.num_people} people, somebody in {seen}, in {sequence.unit}", file=sys.stderr)
    if sequence.unit == "m" and sequence.num_people > 1:
        print(
            "note: in metres everybody stands on one spot; where people stand to each other is lost.", file=sys.stderr
        )
    _say_conversion(recogniser, sequence)
    answers = recogniser(sequence)[:top]
    if annotated is not None:
        lines = [f"{answer.probability:.0%} {answer.action}" for answer in answers]
        write_annotated(annotated, video, found.image, lines)
    return answers


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(recognise, arguments, "recognise", by_place=("recording",))
