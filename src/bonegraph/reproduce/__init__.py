"""Tables of the papers, each as one command: train what is missing, show the paper's value beside ours."""

from __future__ import annotations

from bonegraph.reproduce import dualhead, kth, stf, stgcn
from bonegraph.reproduce.table import Table
from bonegraph.skeleton import nearest

TABLES: dict[str, Table] = {
    **{f"stgcn/{name}": table for name, table in stgcn.TABLES.items()},
    **{f"kth/{name}": table for name, table in kth.TABLES.items()},
    **{f"dualhead/{name}": table for name, table in dualhead.TABLES.items()},
    **{f"stf/{name}": table for name, table in stf.TABLES.items()},
}
"""Paper/table -> table."""


def table(name: str) -> Table:
    """A table by name.

    Raises:
        ValueError: there is none of this name; the message lists the choices.
    """
    if name not in TABLES:
        raise ValueError(f"no table '{name}'{nearest(name, TABLES)}.")
    return TABLES[name]
