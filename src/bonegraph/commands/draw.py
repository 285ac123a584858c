"""``bonegraph draw``."""

from __future__ import annotations

import shlex
from pathlib import Path

from bonegraph.commands import call


def draw(
    skeleton: str, out: Path = Path("partitions.png"), max_hop: int = 1, data: Path | None = None, split: str = ""
) -> None:
    """Draw a skeleton with every partition strategy of its neighbours.

    Examples:
      bonegraph draw ntu25
      bonegraph draw my-skeleton.yaml --out mine.svg --max_hop 2
      bonegraph draw ucla20 --data data/nw-ucla --split xview
      bonegraph draw attention RUN RECORDING     (what a DualHead-Net looks at; see 'bonegraph draw attention --help')

    The strategy 'spatial' needs distances to the gravity centre, measured over the training part of a split.

    Args:
        skeleton: a name such as ntu25, or a YAML file.
        out: the picture, .png or .svg.
        max_hop: D, how far neighbours reach.
        data: a store with this skeleton, to draw the strategy 'spatial' too.
        split: the split of the store.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.skeleton import get_skeleton
    from bonegraph.training.distances import training_distances
    from bonegraph.viz.graphs import draw_all_partitions

    shape = get_skeleton(skeleton)
    distances = None
    if data is not None:
        store = Store.open(data)
        if store.skeleton != shape:
            raise ValueError(f"'{data}' has the skeleton '{store.skeleton.name}', not '{shape.name}'; draw that one.")
        distances = training_distances(store, store.part(split, "train"))
    draw_all_partitions(shape, out, max_hop=max_hop, distances=distances)
    print(f"drawn: {out}")


def attention(
    checkpoint: Path,
    clip: str,
    out: Path = Path("attention.html"),
    data: Path | None = None,
    format: str | None = None,
) -> None:
    """Draw which frames and joints a DualHead-Net attends to in a clip.

    Examples:
      bonegraph draw attention runs/dualhead a01_s01_e00_v03.json
      bonegraph draw attention runs/dualhead a01_s01_e00_v03 --data data/nw-ucla --out attention.png

    A page (.html) has the joints on the moving skeleton, the strongest by name, and the frames as curves. A picture
    (.png, .svg, .pdf) has the same with the body in one frame.

    Args:
        checkpoint: of a DualHead-Net, or its run folder.
        clip: a recording, or with --data the id of a clip.
        out: the page or picture.
        data: the store of the clip.
        format: of the recording, e.g. nw-ucla; default by the name and the beginning of the file.
    """
    from bonegraph.datasets.store import Store
    from bonegraph.inference.recogniser import Recogniser
    from bonegraph.read import read
    from bonegraph.viz.attention import draw_attention

    recogniser = Recogniser.load(checkpoint)
    if data is not None:
        store = Store.open(data)
        sequence = store.sequence(store.find(clip))
    else:
        sequence = read(clip, format)
    title = clip if data is not None else Path(clip).name
    command = shlex.join(["bonegraph", "draw", "attention", str(checkpoint), clip])
    facts = {
        **recogniser.meaning.made,
        "stream": recogniser.meaning.transforms.stream,
        "checkpoint": str(checkpoint),
        "command": command + ("" if data is None else f" --data {shlex.quote(str(data))}"),
    }
    draw_attention(recogniser, sequence, out, title=title, facts=facts)
    print(f"drawn: {out}")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    if arguments[:1] == ["attention"]:
        call(attention, arguments[1:], "draw attention")
    else:
        call(draw, arguments, "draw")
