"""Recipes: one function a published (or recommended) setting. The command line overrides any field.

A name says model, data set and variant (``msg3d-ntu60-released``); a data set alone is where to begin with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bonegraph.datasets.store import Store
from bonegraph.skeleton import nearest
from bonegraph.training.recipes import agcn, baselines, ctrgcn, dualhead, kth, msg3d, own, small, stf, stgcn, stgcnpp
from bonegraph.training.settings import Settings

GROUPS: dict[str, dict[str, Callable[[], Settings]]] = {
    "Where to begin: ST-GCN on data that a CPU trains in minutes": {
        "demo": small.demo,
        "own": own.own,
        "own-stream": own.own_stream,
        "nw-ucla": small.nw_ucla,
        "sbu": small.sbu,
        "utd-mhad": small.utd_mhad,
        "msr-action3d": small.msr_action3d,
        "penn-action": small.penn_action,
    },
    "ST-GCN (Yan et al., AAAI 2018)": {
        "stgcn-ntu60-paper": stgcn.ntu_paper,
        "stgcn-ntu60-released": stgcn.ntu_released,
        "stgcn-ntu60-best": stgcn.ntu_best,
        "stgcn-ntu120-released": stgcn.ntu120_released,
        "stgcn-ntu120-best": stgcn.ntu120_best,
        "stgcn-kinetics-paper": stgcn.kinetics_paper,
        "stgcn-kinetics-released": stgcn.kinetics_released,
        "stgcn-kinetics-best": stgcn.kinetics_best,
    },
    "Baselines of ST-GCN's Table 1": {
        "tcn-nw-ucla": baselines.tcn_nw_ucla,
        "local-nw-ucla": baselines.local_nw_ucla,
    },
    "ST-GCN built anew at KTH (Nagy et al., 2020)": {
        "kth-kth-table-1": kth.table_1,
        "kth-kth-figure-10": kth.figure_10,
        "kth-kth-final": kth.final,
        "kth-kth-best": kth.best,
        "kth-mimed-motions": kth.mimed_motions,
    },
    "2s-AGCN (Shi et al., CVPR 2019)": {
        "agcn-ntu60-released": agcn.ntu60_released,
        "agcn-ntu120-released": agcn.ntu120_released,
        "agcn-kinetics-released": agcn.kinetics_released,
        "agcn-ntu60-best": agcn.ntu60_best,
        "agcn-ntu120-best": agcn.ntu120_best,
        "agcn-kinetics-best": agcn.kinetics_best,
        "agcn-nw-ucla": agcn.nw_ucla,
        "agcn-sbu": agcn.sbu,
    },
    "MS-G3D (Liu et al., CVPR 2020)": {
        "msg3d-ntu60-released": msg3d.ntu60_released,
        "msg3d-ntu120-released": msg3d.ntu120_released,
        "msg3d-kinetics-released": msg3d.kinetics_released,
        "msg3d-ntu60-best": msg3d.ntu60_best,
        "msg3d-ntu120-best": msg3d.ntu120_best,
        "msg3d-kinetics-best": msg3d.kinetics_best,
        "msg3d-nw-ucla": msg3d.nw_ucla,
        "msg3d-sbu": msg3d.sbu,
    },
    "DualHead-Net (Chen et al., ACM Multimedia 2021)": {
        "dualhead-ntu60-paper": dualhead.ntu60_paper,
        "dualhead-ntu120-paper": dualhead.ntu120_paper,
        "dualhead-kinetics-paper": dualhead.kinetics_paper,
        "dualhead-ntu60-released": dualhead.ntu60_released,
        "dualhead-ntu120-released": dualhead.ntu120_released,
        "dualhead-ntu60-best": dualhead.ntu60_best,
        "dualhead-ntu120-best": dualhead.ntu120_best,
        "dualhead-kinetics-best": dualhead.kinetics_best,
        "dualhead-nw-ucla": dualhead.nw_ucla,
        "dualhead-sbu": dualhead.sbu,
    },
    "STF (Ke et al., AAAI 2022)": {
        "stf-ntu60-paper": stf.ntu60_paper,
        "stf-ntu120-paper": stf.ntu120_paper,
        "stf-kinetics-paper": stf.kinetics_paper,
        "stf-ntu60-best": stf.ntu60_best,
        "stf-ntu120-best": stf.ntu120_best,
        "stf-kinetics-best": stf.kinetics_best,
        "stf-nw-ucla": stf.nw_ucla,
        "stf-sbu": stf.sbu,
        "stf-demo": stf.demo,
    },
    "CTR-GCN (Chen et al., ICCV 2021)": {
        "ctrgcn-ntu60-released": ctrgcn.ntu60_released,
        "ctrgcn-ntu120-released": ctrgcn.ntu120_released,
        "ctrgcn-ntu60-best": ctrgcn.ntu60_best,
        "ctrgcn-ntu120-best": ctrgcn.ntu120_best,
        "ctrgcn-kinetics-best": ctrgcn.kinetics_best,
        "ctrgcn-nw-ucla": ctrgcn.nw_ucla,
        "ctrgcn-sbu": ctrgcn.sbu,
    },
    "ST-GCN++ (Duan et al., ACM Multimedia 2022)": {
        "stgcnpp-ntu60-released": stgcnpp.ntu60_released,
        "stgcnpp-ntu120-released": stgcnpp.ntu120_released,
        "stgcnpp-ntu60-best": stgcnpp.ntu60_best,
        "stgcnpp-ntu120-best": stgcnpp.ntu120_best,
        "stgcnpp-kinetics-best": stgcnpp.kinetics_best,
        "stgcnpp-nw-ucla": stgcnpp.nw_ucla,
        "stgcnpp-sbu": stgcnpp.sbu,
    },
}
"""Heading -> recipe name -> settings."""

RECIPES: dict[str, Callable[[], Settings]] = {name: make for group in GROUPS.values() for name, make in group.items()}
"""Recipe name -> settings."""

FOR_STORE: dict[str, Callable[[Store], Settings]] = {"own": own.own_of, "own-stream": own.own_stream_of}
"""Recipes that look at the store first, where there is one."""

OLD_NAMES = {
    "ntu-paper": "stgcn-ntu60-paper",
    "ntu-released": "stgcn-ntu60-released",
    "ntu-best": "stgcn-ntu60-best",
    "kinetics-paper": "stgcn-kinetics-paper",
    "kinetics-released": "stgcn-kinetics-released",
    "kinetics-best": "stgcn-kinetics-best",
}
"""Names from when ST-GCN was the only model -> theirs now."""


def recipe(name: str, store: Store | None = None) -> Settings:
    """Settings of a recipe. They keep the name that they are asked for by, so that older runs go on.

    Args:
        name: of the recipe.
        store: that will be trained on, for recipes that depend on it.

    Raises:
        ValueError: no such recipe, which lists the choices; or it cannot fit the store.
    """
    if name in FOR_STORE and store is not None:
        return FOR_STORE[name](store)
    if name in OLD_NAMES:
        return replace(recipe(OLD_NAMES[name]), recipe=name)
    if name not in RECIPES:
        raise ValueError(f"no recipe '{name}'{nearest(name, RECIPES)}.")
    return RECIPES[name]()
