"""What STF says that its losses do to the focus, in numbers (Ke, Peng and Lyu, AAAI 2022).

    area          share of present joints and frames with Q > 0.5                        L_e: grows
    masked        probability of the predicted class on X - Q X (Eq. 3)                   L_e: falls
    overlap       Σ min(Q¹, Q²) / Σ max(Q¹, Q²) of the two best classes (Eq. 4)           L_d: falls
    overlap logit the same of plain Grad-CAM, whose maps are not disjoint by construction
    distance      root mean square of Q_i - Q_j at the last two blocks (Eq. 5)            L_c: falls
    error         root mean square of Q - β(X), mean over modules                         L_G: falls
    spread        standard deviation of the entries of G over people of all clips, mean   G depends on the clip
                  over entries and modules

Root mean squares are over the people, frames and joints of a clip, and all but the last are means over clips.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from bonegraph.datasets.clips import Clips, TestOrder
from bonegraph.datasets.store import Store
from bonegraph.features import Branch, Features, pool
from bonegraph.files import write_whole
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.models.stf import STF, FocusGraph
from bonegraph.objectives.focus import Score, distance, focus, on_input
from bonegraph.reproduce.table import tested
from bonegraph.training.run import FINAL
from bonegraph.training.settings import read_settings
from bonegraph.transforms.pipeline import apply

CLAIMS = (
    ("area", "Q > 0.5, %", 1),
    ("masked", "masked probability, %", 1),
    ("overlap", "overlap, %", 1),
    ("overlap logit", "overlap (logit), %", 1),
    ("distance", "last two maps apart", 3),
    ("error", "Q and β apart", 3),
    ("spread", "spread of G", 4),
)
"""Name, title and digits of each number."""
_FILE = "claims.json"


def claims_of(run: Path) -> dict[str, float]:
    """Measure a finished run on the test part of its split, unless that was done.

    A model without modules has no error and no spread: NaN.
    """
    file = run / _FILE
    if file.is_file() and file.stat().st_mtime >= (run / FINAL).stat().st_mtime:
        return {
            name: float("nan") if value is None else float(value)
            for name, value in json.loads(file.read_text()).items()
        }
    settings = read_settings(run / "config.yaml")
    model, meaning = load_checkpoint(run / FINAL)
    store = Store.open(settings.data)
    found: dict[str, list[Tensor]] = {name: [] for name, _, _ in CLAIMS if name != "spread"}
    graphs: list[list[Tensor]] = []
    fetch = Clips(store, meaning.length, meaning.people)
    for order in TestOrder(tested(store, settings.split), 16, meaning.length):
        batch = apply(meaning.transforms, fetch[order], meaning.skeleton, training=False)
        (branch,) = model.branches(batch.positions, batch.visible)
        told, best, looked = of_branch(branch)
        with torch.no_grad():
            masked = batch.positions * (
                1 - on_input(looked, batch.positions.shape[4], batch.positions.shape[2])[:, None]
            )
            after = model(masked, batch.visible).softmax(dim=1).gather(1, best[:, :1])[:, 0]
        for name, values in {**told, "masked": after}.items():
            found[name].append(values)
        if isinstance(model, STF):
            graphs.append(graphs_of(model, branch))
    measured = {name: float(torch.cat(values).mean()) if values else math.nan for name, values in found.items()}
    measured["spread"] = _spread(graphs)
    for name in ("area", "masked", "overlap", "overlap logit"):
        measured[name] *= 100
    plain = {name: None if math.isnan(value) else value for name, value in measured.items()}
    write_whole(file, json.dumps(plain, indent=1).encode())
    return measured


def of_branch(branch: Branch) -> tuple[dict[str, Tensor], Tensor, Features]:
    """The numbers of each clip that need no second pass, its two best classes, and its focus."""
    logits = branch.head(pool(branch.stages[-1]))
    best = logits.topk(2, dim=1).indices
    looked = focus(branch, best[:, 0], logits=logits)
    size = entries(looked)
    lower = focus(branch, best[:, 0], logits=logits, stage=-2)
    told = {
        "area": _sum(looked, (looked.maps > 0.5).to(size.dtype)) / size,
        "overlap": overlap(branch, logits, best, "probability"),
        "overlap logit": overlap(branch, logits, best, "logit"),
        "distance": distance(lower, looked) / entries(lower).sqrt(),
    }
    if branch.embeddings:
        apart = [distance(looked, embedding) / entries(embedding).sqrt() for embedding in branch.embeddings]
        told["error"] = torch.stack(apart).mean(dim=0)
    return {name: value.detach() for name, value in told.items()}, best, looked


def overlap(branch: Branch, logits: Tensor, best: Tensor, score: Score) -> Tensor:
    """Soft intersection over union of the maps of the two best classes of each clip."""
    one, two = (focus(branch, best[:, place], logits=logits, score=score) for place in (0, 1))
    shared, either = _sum(one, torch.minimum(one.maps, two.maps)), _sum(one, torch.maximum(one.maps, two.maps))
    return shared / either.clamp(min=1e-12)


def entries(features: Features) -> Tensor:
    """How many people x frames x joints of each clip are there."""
    frames = features.frames
    there = (
        torch.ones_like(features.maps[:, :1])
        if frames is None
        else torch.ones_like(features.maps[:, :1]) * frames[:, None, :, None]
    )
    return _sum(features, there)


def _sum(features: Features, maps: Tensor) -> Tensor:
    per_row = maps.flatten(1).sum(dim=1)
    return per_row.new_zeros(features.num_clips).index_add(0, features.owner, per_row)


def graphs_of(model: STF, branch: Branch) -> list[Tensor]:
    """G of each module, (people, K, V, V)."""
    modules = [module for module in model.focus.modules() if isinstance(module, FocusGraph)]
    with torch.no_grad():
        return [module(told.maps[:, 0], told.frames) for module, told in zip(modules, branch.embeddings, strict=True)]


def _spread(graphs: list[list[Tensor]]) -> float:
    if not graphs:
        return math.nan
    by_module = [torch.cat(parts) for parts in zip(*graphs, strict=True)]
    return float(torch.stack([one.std(dim=0).mean() for one in by_module]).mean())
