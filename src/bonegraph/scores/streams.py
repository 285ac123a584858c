"""A folder of streams: a run for each (``joint/``, ``bone/``, ...), and what their scores are worth together.

The field reports every stream alone (1s), joint and bone (2s), and all four (4s): the sum of the softmax scores of each
clip (2s-AGCN; DualHead-Net, Sec. 3.7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from bonegraph.scores.by_id import Scores
from bonegraph.scores.fusion import fuse
from bonegraph.transforms.streams import STREAMS, Stream
from bonegraph.yaml_files import read_yaml

FUSIONS: dict[str, tuple[Stream, ...]] = {"2s": ("joint", "bone"), "4s": STREAMS}
"""Name of a fusion -> its streams."""


CHAIN = "chain.yaml"
"""What a folder of runs that were trained one from the other has."""


def is_run(folder: Path) -> bool:
    """Whether a folder is that of one run."""
    return any((folder / name).is_file() for name in ("config.yaml", "model.safetensors"))


def stream_runs(folder: str | Path) -> dict[Stream, Path]:
    """The runs of a folder of streams, finished or not; none where it is a run itself or something else."""
    folder = Path(folder)
    return {} if is_run(folder) else {name: folder / name for name in STREAMS if (folder / name).is_dir()}


def chain_runs(folder: str | Path) -> dict[str, Path]:
    """The runs of a chain that answer together (`bonegraph.training.chain`); none where a folder is something else.

    Raises:
        ValueError: its ``chain.yaml`` is damaged.
    """
    file = Path(folder) / CHAIN
    if not file.is_file():
        return {}
    plain = read_yaml(file)
    try:
        names = [str(name) for name in plain["tuning"]["networks"]]
        if not names or any(Path(name).name != name for name in names):
            raise KeyError(names)
    except (KeyError, TypeError):
        raise ValueError(f"'{file}' names no networks; give the command that wrote it again.") from None
    return {name: file.parent / name for name in names}


def fusions(streams: Mapping[str, Scores]) -> dict[str, Scores]:
    """Every fusion that has all its streams.

    Raises:
        ValueError: two streams scored other clips.
    """
    return {
        title: fuse([streams[name] for name in names], names=names)
        for title, names in FUSIONS.items()
        if set(names) <= set(streams)
    }


def streams_table(
    streams: Mapping[str, Scores],
    fused: Mapping[str, Scores],
    more: Mapping[str, Callable[[Scores], float]] = MappingProxyType({}),
) -> str:
    """The table of papers, in Markdown: each stream, then each fusion.

    Args:
        streams: scores of labelled clips.
        fused: their fusions.
        more: further columns, a share in [0, 1] each.
    """
    named = {f"{' + '.join(FUSIONS[title])} ({title})": scores for title, scores in fused.items()}
    return scores_table({**streams, **named}, more)


def scores_table(
    rows: Mapping[str, Scores], more: Mapping[str, Callable[[Scores], float]] = MappingProxyType({})
) -> str:
    """Accuracies of several scores, in Markdown.

    Args:
        rows: scores of labelled clips by title.
        more: further columns, a share in [0, 1] each.
    """
    columns: dict[str, Callable[[Scores], float]] = {"top-1": lambda scores: scores.top(1)}
    if any(len(scores.classes) > 5 for scores in rows.values()):
        columns["top-5"] = lambda scores: scores.top(5)
    columns = {**columns, "mean class": Scores.mean_class_accuracy, **more}
    lines = [["", *columns], ["---", *("---:" for _ in columns)]]
    lines += [[title, *(f"{share(scores):.2%}" for share in columns.values())] for title, scores in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
