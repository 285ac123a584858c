"""``bonegraph draw``."""

from __future__ import annotations

from pathlib import Path

from bonegraph.commands import call


def draw(skeleton: str, out: Path = Path("partitions.png"), max_hop: int = 1) -> None:
    """Draw a skeleton with every partition strategy of its neighbours.

    Examples:
      bonegraph draw ntu25
      bonegraph draw my-skeleton.yaml --out mine.svg --max_hop 2

    Args:
        skeleton: a name such as ntu25, or a YAML file.
        out: the picture, .png or .svg.
        max_hop: D, how far neighbours reach.
    """
    from bonegraph.skeleton import get_skeleton
    from bonegraph.viz.graphs import draw_all_partitions

    draw_all_partitions(get_skeleton(skeleton), out, max_hop=max_hop)
    print(f"drawn: {out}")


def run(arguments: list[str]) -> None:
    """Called by the command line."""
    call(draw, arguments, "draw")
