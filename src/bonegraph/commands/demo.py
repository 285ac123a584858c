"""``bonegraph demo``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bonegraph.commands import call

NEW_SEED = 1
"""The clip that is recognised at the end belongs to another set of people than the data (seed 0)."""


def demo(out: Path = Path("demo"), progress: bool = True) -> None:
    """Prepare the built-in data, train, test on people and a view never trained on, recognise a new clip.

    Takes about three minutes on two CPU cores; no download, no GPU.

    Examples:
      bonegraph demo
      bonegraph demo --out somewhere

    Args:
        out: folder for the data and the run.
        progress: show progress bars.
    """
    from bonegraph.allocator import keep_memory
    from bonegraph.commands.evaluate import evaluate
    from bonegraph.datasets.prepare import prepare
    from bonegraph.datasets.synthetic import Synthetic
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.training.recipes import recipe
    from bonegraph.training.run import fit

    keep_memory()
    data, folder = out / "data", out / "run"
    print("1. prepare: synthesise movements of 16 people, seen by three cameras")
    print(prepare(Synthetic(), None, data, progress=progress))
    print("2. fit: train a quarter-width ST-GCN on 12 people and two views")
    path = fit(replace(recipe("demo"), data=str(data)), folder, accelerator="cpu", progress=progress)
    print("3. evaluate: the other people in the third view")
    accuracy = evaluate(folder, progress=progress)
    print("4. recognise: a new clip of a new person")
    new = Synthetic(seed=NEW_SEED)
    source = new.find()[-3]
    for answer in Recogniser.load(path)(new.read(source))[:5]:
        print(f"{answer.probability:7.1%}  {answer.action}")
    print(f"   (it shows: {new.classes[source.label]})")
    print(f"top-1 accuracy: {100 * accuracy:.1f} %")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(demo, arguments, "demo")
