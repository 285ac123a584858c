"""``bonegraph recognise``."""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph import sequence as sequences
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.inference.untrimmed import Answers, Timeline
    from bonegraph.inference.windows import Cutting
    from bonegraph.read.video import Video

_KEEP = 10.0
"""Seconds after which the answers of a folder are written again."""


def recognise(
    checkpoint: Path,
    recording: Path | None = None,
    data: Path | None = None,
    clip: str = "",
    format: str | None = None,
    top: int = 5,
    people: int = 1,
    each: bool | None = None,
    window: float | None = None,
    stride: float | None = None,
    threshold: float | None = None,
    fps: float | None = None,
    resize: str | None = None,
    out: Path | None = None,
    annotated: Path | None = None,
    stream: Literal["window", "exact"] = "window",
    fast: bool = True,
    precision: Literal["fp32", "bf16"] = "fp32",
    progress: bool = True,
) -> int:
    """Say what people do in a recording, a video, a folder of them or a clip of a store; and, in a long one, when.

    Examples:
      bonegraph recognise runs/nw-ucla a01_s01_e00_v03.json
      bonegraph recognise runs/four-streams a01_s01_e00_v03.json
      bonegraph recognise runs/nw-ucla/model.safetensors --data data/nw-ucla --clip a01_s01_e00_v03
      bonegraph recognise runs/nw-ucla clip.mp4 --annotated seen.mp4
      bonegraph recognise runs/nw-ucla an-hour.csv --out answers.json
      bonegraph recognise runs/nw-ucla my-videos --people 3 --out answers.csv --annotated seen
      bonegraph recognise runs/nw-ucla an-hour.csv --window 2 --stride 0.5 --threshold 0.6
      bonegraph recognise runs/mine an-hour.csv --stream exact

    A recording of at most one and a half windows is answered as a whole, by its most probable actions. A longer one is
    cut into windows, which lead to segments: who does what from when to when. An action whose probability is below the
    threshold is "unknown"; 'bonegraph calibrate' finds the threshold. docs/recognise.md tells more.

    A recording on another skeleton is converted by joint name, which is said on standard error; one of another frame
    rate is brought to that of the checkpoint by time. Of a folder of streams all answer together, by the mean of their
    probabilities. In a video people are found first (docs/video.md): a checkpoint of three coordinates gets metres, one
    of two gets pixels.

    Args:
        checkpoint: a checkpoint, a run folder or a folder of streams.
        recording: a file of one of the formats that can be read, a video, or a folder of such files.
        data: a store, instead of a file.
        clip: id of a clip in the store.
        format: of the recording, e.g. nw-ucla; default by the name and the beginning of the file.
        top: how many of the most probable actions are told of a window.
        people: of a video, look at no more than so many.
        each: look at each person alone; default where the checkpoint was trained with one person a clip.
        window: seconds of a window; default the median length of the training clips.
        stride: seconds from the start of a window to that of the next; default a quarter of a window.
        threshold: an action of a lower probability is "unknown"; default that of 'bonegraph calibrate', else 0.
        fps: of a video, bring it to this rate, default that of the training clips; of a recording, the rate at which it
            was made, where its format does not tell.
        resize: bring a video to WIDTHxHEIGHT, e.g. 340x256 for checkpoints of Kinetics-Skeleton.
        out: write the answers there, too (.json, .csv).
        annotated: write the video there (.mp4, .gif) with the skeletons and what everyone does on it; of a folder of
            recordings, a folder.
        stream: recognise each window as a clip, as in training; or compute each frame once (exact; docs/streaming.md),
            which takes a fraction of the time, for checkpoints that allow it.
        fast: on a CPU, use the form of the network for answers, which gives the same (docs/speed.md); false does not.
        precision: of that form; bf16 is faster where the processor has it, logits change by up to 3e-3 of the largest.
        progress: show progress bars.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.inference.answer_file import check_answer_file, write_answers
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.inference.recordings import recordings_in
    from bonegraph.inference.stream.recording import stream_for_recordings
    from bonegraph.inference.windows import cutting_for, looks_at_each
    from bonegraph.read.video import is_video

    if (recording is None) == (data is None):
        raise ValueError("give either a recording or --data STORE --clip ID.")
    if data is not None and not clip:
        raise ValueError("give the id of a clip: --clip ID; a whole part of a store is scored by 'bonegraph evaluate'.")
    if recording is not None and (recording / "dataset.json").is_file():
        raise ValueError(
            f"'{recording}' is a prepared store; give --data {recording} --clip ID, or score a whole part of it by "
            "'bonegraph evaluate'."
        )
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}.")
    if precision != "fp32" and not fast:
        raise ValueError(f"--precision {precision} needs the fast form; leave out --fast false.")
    if precision != "fp32" and stream == "exact":
        raise ValueError(f"--precision {precision} is for windows; leave out --stream exact.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"the threshold must lie between 0 and 1, got {threshold:g}.")
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"the frame rate must be above 0, got {fps:g}.")
    if data is not None and fps is not None:
        raise ValueError("--fps is for recordings; a store knows its frame rate.")
    several = None if recording is None or format is not None else recordings_in(recording)
    filmed = recording is not None and format is None and (several is not None or is_video(recording))
    if not filmed and (annotated is not None or resize is not None):
        raise ValueError(f"--{'annotated' if annotated is not None else 'resize'} is for videos; give one.")
    if several is not None and not several:
        raise ValueError(f"'{recording}' holds no recordings; give another folder, or a file.")
    if out is not None:
        check_answer_file(out)
        given = several if several is not None else [] if recording is None else [recording]
        if out.resolve() in {path.resolve() for path in given}:
            raise ValueError(f"'{out}' is one of the recordings; write into another file.")
    recogniser = Recogniser.load(checkpoint, fast=fast, precision=precision)
    if stream == "exact":
        stream_for_recordings(recogniser, each=looks_at_each(recogniser.meaning, each))  # before anything takes time
        print("each frame goes through the network once (--stream exact)", file=sys.stderr)
    cutting = cutting_for(recogniser.meaning, window, stride)
    asked = _Asked(
        recogniser,
        cutting,
        window is None,
        format,
        top,
        people,
        each,
        threshold,
        fps,
        resize,
        annotated,
        stream,
        progress,
    )
    found: dict[str, Answers] = {}
    refused: dict[str, str] = {}

    def keep() -> None:
        if out is not None and found:
            about = {"checkpoint": str(checkpoint), "window": cutting.window, "stride": cutting.stride}
            write_answers(out, found, about={**about, "stream": stream}, refused=refused, top=top)

    if data is not None:
        store = Store.open(data)
        found[clip] = asked.of_sequence(store.sequence(store.find(clip)), clip)
    elif several is None:
        assert recording is not None
        found[recording.name] = asked.of_file(recording)
    else:
        _of_folder(asked, several, annotated, found, refused, keep)
    if found and recogniser.threshold is None and threshold is None:
        print(
            f"note: it never says \"unknown\", because it is not calibrated: 'bonegraph calibrate {checkpoint}', or "
            "give --threshold.",
            file=sys.stderr,
        )
    if not found:
        raise ValueError(f"none of the {len(refused)} recordings in '{recording}' can be answered.")
    keep()
    if out is not None:
        print(f"written: {out}")
    return 0


def _of_folder(
    asked: _Asked,
    paths: Sequence[Path],
    annotated: Path | None,
    found: dict[str, Answers],
    refused: dict[str, str],
    keep: Callable[[], None],
) -> None:
    """Answer many recordings, or say why one has no answer; keep what there is every few seconds, and if stopped."""
    if annotated is not None:
        if annotated.suffix:
            raise ValueError(f"--annotated '{annotated}' has to be a folder, because the recording is one.")
        annotated.mkdir(exist_ok=True)
    stems = [path.stem for path in paths]
    kept = clock.monotonic()
    try:
        for path in paths:
            film = path.stem if stems.count(path.stem) == 1 else path.name
            here = None if annotated is None else annotated / f"{film}.mp4"
            print(f"{path.name}:", flush=True)
            try:
                found[path.name] = replace(asked, annotated=here).of_file(path)
            except (ValueError, OSError) as error:
                refused[path.name] = " ".join(str(error).split())
                print("  no answer")
                print(f"refused: {path.name}: {refused[path.name]}", file=sys.stderr)
            if clock.monotonic() - kept > _KEEP:
                keep()
                kept = clock.monotonic()
    except KeyboardInterrupt:
        keep()
        raise


@dataclass(frozen=True)
class _Asked:
    """How to answer."""

    recogniser: Recogniser
    cutting: Cutting
    guessed: bool
    format: str | None
    top: int
    people: int
    each: bool | None
    threshold: float | None
    fps: float | None
    resize: str | None
    annotated: Path | None
    stream: Literal["window", "exact"]
    progress: bool

    def of_file(self, path: Path) -> Answers:
        """Answer one recording and print it.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it cannot be read or answered.
        """
        from bonegraph.inference.recordings import read_for
        from bonegraph.read.video import is_video

        if self.format is None and is_video(path):
            return self._of_video(path)
        sequence, doubt = read_for(self.recogniser.meaning, path, self.format)
        if doubt:
            print(f"note: {doubt}; the answer may be wrong.", file=sys.stderr)
        if self.fps is not None:
            sequence = replace(sequence, fps=self.fps)
        return self.of_sequence(sequence, path.name)

    def of_sequence(self, sequence: sequences.Sequence, name: str) -> Answers:
        """Answer and print what was read."""
        from bonegraph.inference.untrimmed import answers
        from bonegraph.skeleton import conversion

        meaning = self.recogniser.meaning
        how = conversion(sequence.skeleton, meaning.skeleton)
        if how.source != how.target and not how.missing:  # what is missing becomes an error later
            print(f"converted {how}", file=sys.stderr)
        found = answers(
            self.recogniser,
            sequence,
            cutting=self.cutting,
            each=self.each,
            threshold=self.threshold,
            stream=self.stream,
            progress=self.progress,
        )
        if not found.timelines:
            raise ValueError(f"in '{name}' nobody is seen long enough for an answer; give a shorter --window.")
        if not found.whole and self.guessed and meaning.clip_seconds is None:
            print(
                f"note: the checkpoint does not tell how long its training clips are; windows of "
                f"{self.cutting.window:.1f} s are taken, or give --window.",
                file=sys.stderr,
            )
        for line in _told(found, self.top):
            print(line)
        return found

    def _of_video(self, path: Path) -> Answers:
        """Find the people, answer, and draw it if that is wanted."""
        from bonegraph.inference.films import film_for
        from bonegraph.pose.mediapipe_pose import MediaPipePose
        from bonegraph.read.video import Video, parse_size
        from bonegraph.viz.annotated import write_annotated
        from bonegraph.viz.video import check_film

        if self.annotated is not None:
            check_film(self.annotated)  # before anything takes time
            if self.annotated.resolve() == path.resolve():
                raise ValueError(f"'{self.annotated}' is the video itself; write into another file.")
        rate = self.recogniser.meaning.fps if self.fps is None else self.fps
        video = Video(path, rate, None if self.resize is None else parse_size(self.resize))
        found, sequence = film_for(
            self.recogniser, video, MediaPipePose(self.people), people=self.people, progress=self.progress
        )
        for note in found.notes:
            print(f"note: {note}", file=sys.stderr)
        seen = f"{found.detection_rate:.0%} of {sequence.num_frames} frames"
        print(f"poses: {sequence.num_people} people, somebody in {seen}, in {sequence.unit}", file=sys.stderr)
        if sequence.unit == "m" and sequence.num_people > 1:
            print(
                "note: in metres everybody stands on one spot; where people stand to each other is lost.",
                file=sys.stderr,
            )
        answers = self.of_sequence(sequence, path.name)
        if self.annotated is not None:
            lines, labels = _written_on(answers, video, self.top)
            write_annotated(self.annotated, video, found.image, lines, labels=labels, progress=self.progress)
            print(f"drawn: {self.annotated}")
        return answers


def _told(found: Answers, top: int) -> list[str]:
    """An answer in words: of a short recording the most probable actions, of a long one its segments."""
    lines = []
    for timeline in found.timelines:
        who = _who(timeline)
        if found.whole:
            if len(found.timelines) > 1:
                lines.append(f"{who}:")
            lines += _ranking(found, timeline, top)
            continue
        for segment in timeline.segments:
            time = f"{_clock(segment.start / found.fps):>8} -{_clock(segment.stop / found.fps):>8}"
            known = segment.action == segment.likeliest
            more = f"{segment.probability:.0%}" if known else f"(most like {segment.likeliest}, {segment.peak:.0%})"
            lines.append(f"{who} {time}  {segment.action}  {more}")
    return lines


def _ranking(found: Answers, timeline: Timeline, top: int) -> list[str]:
    from bonegraph.inference.answer_file import ranked

    best = ranked(found, timeline, 0, top)
    unknown = found.threshold is not None and best[0][1] < found.threshold
    lines = [f"unknown: no action reaches the threshold of {found.threshold:.1%}"] if unknown else []
    return lines + [f"{probability:7.1%}  {action}" for action, probability in best]


def _who(timeline: Timeline) -> str:
    numbers = ", ".join(str(person + 1) for person in timeline.people)
    return f"{'person' if len(timeline.people) == 1 else 'people'} {numbers}"


def _clock(seconds: float) -> str:
    """``m:ss.s``."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def _written_on(
    found: Answers, video: Video, top: int
) -> tuple[Callable[[int], Sequence[str]], Callable[[int], Mapping[int, str]]]:
    """What stands on each frame of a film: the time, and at everyone what they do."""
    ranking = _ranking(found, found.timelines[0], top) if found.whole and len(found.timelines) == 1 else []

    def lines(number: int) -> Sequence[str]:
        return [_clock(number / video.fps), *ranking]

    def labels(number: int) -> Mapping[int, str]:
        frame = min(int(number / video.fps * found.fps + 1e-6), found.num_frames - 1)
        told = {}
        for timeline in found.timelines:
            segment = timeline.at(frame)
            if segment is not None:
                known = segment.action == segment.likeliest
                text = f"{segment.action} {segment.probability:.0%}" if known else segment.action
                told.update(dict.fromkeys(timeline.people, text))
        return told

    return lines, labels


def run(arguments: list[str]) -> int:
    """Called by the command line."""
    status: int = call(recognise, arguments, "recognise", by_place=("recording",))
    return status
