"""``bonegraph explain``."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bonegraph.commands import call

if TYPE_CHECKING:
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.sequence import Sequence


def explain(
    checkpoint: Path,
    recording: Path | None = None,
    data: Path | None = None,
    clip: str = "",
    split: str = "",
    part: str = "test",
    class_name: str = "",
    score: Literal["probability", "logit"] = "probability",
    stage: int = -1,
    out: Path | None = None,
    frames: int = 240,
    format: str | None = None,
    curves: bool = True,
    steps: int = 20,
    draws: int = 3,
    seed: int = 0,
    limit: int = 0,
    progress: bool = True,
) -> None:
    """Show which joints, and when, an answer comes from, and measure whether it does.

    Examples:
      bonegraph explain runs/nw-ucla a01_s01_e00_v03.json
      bonegraph explain runs/nw-ucla a01_s01_e00_v03.json --out focus.mp4
      bonegraph explain runs/nw-ucla --data data/nw-ucla --clip a01_s01_e00_v03 --class throw --out why-throw.html
      bonegraph explain runs/nw-ucla --data data/nw-ucla --split xview --out faithfulness.json
      bonegraph explain runs/nw-ucla --data data/nw-ucla --split xview --part val --limit 200

    Of one recording: a film of the moving skeleton whose joints are coloured by the focus (Grad-CAM), a map of joints
    and time, and the strongest joints and moments in words. The page (.html) has the curves of deletion and insertion,
    too: joints in frames are hidden from the network, the most focused first, and the class should lose its probability
    faster than in a random order. Any model, any class.

    Of a split: the areas below these curves, mean and standard error over its clips; their difference is the
    faithfulness of the run, 0 in the mean for a random order.

    Args:
        checkpoint: a checkpoint or a run folder.
        recording: a file of one of the formats that can be read.
        data: a store, instead of a file.
        clip: id of a clip in the store.
        split: measure over the clips of this split of the store, instead of one clip.
        part: of the split; train, val or test.
        class_name: what is explained, any class; default the predicted one.
        score: what is differentiated: the probability, or the logit (plain Grad-CAM).
        stage: after which block of the network the focus is taken, counted from 0; -1 is the last.
        out: the page (.html) or film (.mp4, .gif), default explanation.html; for a split, the numbers (.json).
        frames: at most so many in the film.
        format: of the recording, e.g. nw-ucla; default by the name and the beginning of the file.
        curves: measure deletion and insertion of one recording, too; large networks take a minute for it.
        steps: in so many parts joints are hidden.
        draws: so many random orders are averaged.
        seed: of the random orders and of the choice of --limit.
        limit: of a split, take at most so many clips, drawn at random; 0 takes all.
        progress: show a progress bar where it takes more than two seconds.
    """
    if (recording is None) == (data is None):
        raise ValueError("give either a recording or --data STORE with --clip ID or --split NAME.")
    if data is None and (clip or split):
        raise ValueError(f"--{'clip' if clip else 'split'} is for --data STORE.")
    if data is not None and bool(clip) == bool(split):
        raise ValueError("with --data, give either --clip ID or --split NAME.")
    if limit < 0:
        raise ValueError(f"limit must be at least 0, got {limit}.")
    for name, value in (("steps", steps), ("draws", draws)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    asked = _Asked(class_name, score, stage, steps, draws, seed, progress)
    if data is not None and split:
        _of_split(checkpoint, data, split, part, limit, out, asked)
        return
    from bonegraph.viz.explained import check_target

    out = out or Path("explanation.html")
    check_target(out, frames)  # before anything takes time
    recogniser = _one_network(checkpoint)
    sequence = _recording(recogniser, recording, data, clip, format)
    title = clip or Path(str(recording)).name
    _of_recording(recogniser, sequence, title, out, frames, curves, asked, checkpoint)


@dataclass(frozen=True)
class _Asked:
    """What one recording and a split have in common."""

    class_name: str
    score: Literal["probability", "logit"]
    stage: int
    steps: int
    draws: int
    seed: int
    progress: bool

    def label(self, recogniser: Recogniser) -> int | None:
        from bonegraph.inference.focused import class_number

        return class_number(recogniser.meaning, self.class_name) if self.class_name else None


def _one_network(checkpoint: Path) -> Recogniser:
    """Load a checkpoint.

    Raises:
        ValueError: it is a folder of several streams.
    """
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.scores.streams import stream_runs

    if streams := stream_runs(checkpoint):
        first = next(iter(streams.values()))
        raise ValueError(f"'{checkpoint}' is a folder of {len(streams)} streams; give one of them, such as '{first}'.")
    return Recogniser.load(checkpoint)


def _recording(
    recogniser: Recogniser, recording: Path | None, data: Path | None, clip: str, format: str | None
) -> Sequence:
    """Read the recording, and say on standard error what was done to it."""
    from bonegraph.datasets.store import Store
    from bonegraph.inference.recordings import read_for
    from bonegraph.skeleton import conversion

    if data is not None:
        store = Store.open(data)
        sequence = store.sequence(store.find(clip))
    else:
        assert recording is not None
        sequence, doubt = read_for(recogniser.meaning, recording, format)
        if doubt:
            print(f"note: {doubt}; the answer may be wrong.", file=sys.stderr)
    how = conversion(sequence.skeleton, recogniser.meaning.skeleton)
    if how.source != how.target and not how.missing:  # what is missing becomes an error later
        print(f"converted {how}", file=sys.stderr)
    return sequence


def _of_recording(
    recogniser: Recogniser,
    sequence: Sequence,
    title: str,
    out: Path,
    frames: int,
    curves: bool,
    asked: _Asked,
    checkpoint: Path,
) -> None:
    """Explain one recording, and write and print it."""
    from bonegraph.inference.explain import explain as explained
    from bonegraph.inference.faithfulness import faithfulness
    from bonegraph.viz.explained import draw_explanation
    from bonegraph.viz.explained_words import faithful_words, words

    explanation = explained(recogniser, sequence, asked.label(recogniser), asked.score, asked.stage)
    found = None
    if curves:
        found = faithfulness(
            recogniser,
            explanation,
            steps=asked.steps,
            draws=asked.draws,
            seed=asked.seed,
            progress=asked.progress,
        )
    print(words(explanation))
    for note in explanation.notes:
        print(f"note: {note}", file=sys.stderr)
    if found is not None:
        print(faithful_words(found))
    facts = {
        **recogniser.meaning.made,
        "stream": recogniser.meaning.transforms.stream,
        "focus": f"of the {asked.score}, stage {asked.stage}",
        "curves": f"{asked.steps} steps, {asked.draws} random orders, seed {asked.seed}",
        "checkpoint": str(checkpoint),
        "command": shlex.join(["bonegraph", *sys.argv[1:]]),
    }
    draw_explanation(explanation, out, found=found, title=title, facts=facts, frames=frames)
    print(f"drawn: {out}")


def _of_split(checkpoint: Path, data: Path, split: str, part: str, limit: int, out: Path | None, asked: _Asked) -> None:
    """Measure over a part of a split, and write and print the numbers."""
    import numpy as np

    from bonegraph.datasets.store import Store
    from bonegraph.files import write_whole
    from bonegraph.inference.faithful_clips import measure, to_plain, to_table

    if out is not None and out.suffix.lower() != ".json":
        raise ValueError(f"cannot write numbers into '{out}'; over a split, the name must end in .json.")
    if out is not None and not out.parent.is_dir():
        raise FileNotFoundError(f"no folder '{out.parent}' to write '{out.name}' into; make it first.")
    recogniser, store = _one_network(checkpoint), Store.open(data)
    label = asked.label(recogniser)
    clips = store.part(split, part)
    if 0 < limit < len(clips):
        clips = np.sort(np.random.default_rng(asked.seed).choice(clips, limit, replace=False))
    summary = measure(
        recogniser,
        store,
        clips,
        label=label,
        score=asked.score,
        stage=asked.stage,
        steps=asked.steps,
        draws=asked.draws,
        seed=asked.seed,
        progress=asked.progress,
    )
    print(f"{store.name}, {part} of {split}, {len(summary.clips)} clips; mean ± standard error")
    print(to_table(summary))
    print(f"faithfulness {summary.gain.value:.3f} ± {summary.gain.error:.3f} (insertion - deletion, 0 by chance)")
    if summary.flat:
        print(f"note: the focus of {summary.flat} clips is flat; their order was random.", file=sys.stderr)
    if summary.unseen:
        print(f"note: nobody is seen in {len(summary.unseen)} clips, which were left out.", file=sys.stderr)
    if out is not None:
        settings = {
            "checkpoint": str(checkpoint),
            "data": store.name,
            "split": split,
            "part": part,
            "class": asked.class_name or None,
            "score": asked.score,
            "stage": asked.stage,
            "steps": asked.steps,
            "draws": asked.draws,
            "seed": asked.seed,
        }
        text = json.dumps({**settings, **to_plain(summary)}, indent=1, allow_nan=False, ensure_ascii=False)
        write_whole(out, f"{text}\n".encode())
        print(f"written: {out}")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    renamed = {"class_name": ("class", "what is explained, any class; default the predicted one.")}
    call(explain, arguments, "explain", by_place=("recording",), renamed=renamed)
