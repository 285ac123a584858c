"""Answers as files: JSON with everything, CSV for a spreadsheet. docs/recognise.md has the schema."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bonegraph.files import write_whole
from bonegraph.inference.untrimmed import Answers, Timeline

FORMAT = "bonegraph answers 1"
COLUMNS = ("recording", "people", "kind", "start", "end", "rank", "action", "probability")
KINDS = (".json", ".csv")


def check_answer_file(path: Path) -> None:
    """See that answers can be written, before they are made.

    Raises:
        ValueError: another kind of file, or a folder.
        FileNotFoundError: the folder does not exist.
    """
    if path.suffix.lower() not in KINDS:
        raise ValueError(f"cannot write answers into '{path}'; the name must end in one of: {', '.join(KINDS)}.")
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder; give the name of a file for the answers.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder '{path.parent}' to write '{path.name}' into; make it first.")


def write_answers(
    path: Path,
    answers: Mapping[str, Answers],
    *,
    about: Mapping[str, Any],
    refused: Mapping[str, str] | None = None,
    top: int = 5,
) -> None:
    """Write the answers of one or more recordings, whole or not at all.

    Args:
        path: ``.json`` or ``.csv``.
        answers: by the name of the recording.
        about: how they were made, for the JSON file: the checkpoint, the length of a window, ...
        refused: recordings that have no answer, and why; for the JSON file.
        top: how many of the most probable actions of each window.

    Raises:
        ValueError: another kind of file.
        OSError: it cannot be written.
    """
    check_answer_file(path)
    text = _json(answers, about, refused or {}, top) if path.suffix.lower() == ".json" else _csv(answers, top)
    write_whole(path, text.encode(errors="backslashreplace"))  # names of files need be in no encoding


def _json(answers: Mapping[str, Answers], about: Mapping[str, Any], refused: Mapping[str, str], top: int) -> str:
    plain = {
        "format": FORMAT,
        **about,
        "recordings": [
            {
                "recording": name,
                "seconds": _round(found.num_frames / found.fps),
                "fps": found.fps,
                "threshold": found.threshold,
                "timelines": [
                    {
                        "people": [person + 1 for person in timeline.people],
                        "segments": [
                            {
                                "start": _round(segment.start / found.fps),
                                "end": _round(segment.stop / found.fps),
                                "action": segment.action,
                                "probability": _round(segment.probability),
                                "peak": _round(segment.peak),
                                "likeliest": segment.likeliest,
                            }
                            for segment in timeline.segments
                        ],
                        "windows": [
                            {
                                "start": _round(window.start / found.fps),
                                "end": _round(window.stop / found.fps),
                                "top": [
                                    {"action": action, "probability": _round(probability)}
                                    for action, probability in ranked(found, timeline, row, top)
                                ],
                            }
                            for row, window in enumerate(timeline.windows)
                        ],
                    }
                    for timeline in found.timelines
                ],
            }
            for name, found in answers.items()
        ],
        "refused": [{"recording": name, "reason": reason} for name, reason in refused.items()],
    }
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def _csv(answers: Mapping[str, Answers], top: int) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, found in answers.items():
        for timeline in found.timelines:
            people = " ".join(str(person + 1) for person in timeline.people)
            for segment in timeline.segments:
                place = (_round(segment.start / found.fps), _round(segment.stop / found.fps))
                writer.writerow([name, people, "segment", *place, 1, segment.action, _round(segment.probability)])
            for row, window in enumerate(timeline.windows):
                place = (_round(window.start / found.fps), _round(window.stop / found.fps))
                for rank, (action, probability) in enumerate(ranked(found, timeline, row, top), start=1):
                    writer.writerow([name, people, "window", *place, rank, action, _round(probability)])
    return text.getvalue()


def ranked(answers: Answers, timeline: Timeline, row: int, top: int) -> list[tuple[str, float]]:
    """The most probable actions of a window, the highest first."""
    values = timeline.probabilities[row]
    order = np.argsort(-values, kind="stable")[:top]
    return [(answers.classes[index], float(values[index])) for index in order]


def _round(value: float) -> float:
    return round(value, 4)
