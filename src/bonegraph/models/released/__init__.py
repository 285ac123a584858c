"""Public weights by family; a file is known by its keys."""

from __future__ import annotations

from bonegraph.models.released import agcn, ctrgcn, dualhead, msg3d, pyskl, stgcn
from bonegraph.models.released.family import Family

FAMILIES: dict[str, Family] = {
    "stgcn": stgcn.STGCN,
    "pyskl-stgcn": pyskl.STGCN,
    "pyskl-stgcnpp": pyskl.STGCNPP,
    "msg3d": msg3d.MSG3D,
    "dualhead": dualhead.DUALHEAD,
    "agcn": agcn.AGCN,
    "ctrgcn": ctrgcn.CTRGCN,
}
"""Family name -> how to read its weights."""
