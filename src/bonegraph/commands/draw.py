"""``bonegraph draw``."""

from __future__ import annotations

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
        distances = training_distances(store, split)
    draw_all_partitions(shape, out, max_hop=max_hop, distances=distances)
    print(f"drawn: {out}")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(draw, arguments, "draw")
