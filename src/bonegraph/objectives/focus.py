"""Focus: which joints, and when, a prediction comes from (Grad-CAM, as STF uses it), differentiable and stable.

Ke, Peng and Lyu, *Towards To-a-T Spatio-Temporal Focus for Skeleton-Based Action Recognition*, AAAI 2022.

    Eq. 2       Q = ReLU(Σ_c mean_tv(∂y/∂X_c) X_c)               `raw_focus`
    Sec. 3.1    min-max of Q to [0, 1]                           `normalised`

Where pooling, a linear layer and a softmax follow, the gradient of p_y is p_y (W_y - Σ_k p_k W_k) / (M T V), the same
everywhere, so that Q of the last maps needs no backward pass. Taken literally, it vanishes with 1 - p_y and loses all
its digits in float32 on clips that are learnt well. Its length does not matter, because min-max takes it out, and its
direction is W_y - Σ_{k≠y} π_k W_k, with π the softmax over the other classes: `direction`. Earlier maps get the
gradient of that direction, by one vector-Jacobian product.

Axes: N clips, C channels, T frames, V joints, M people, R people as rows, K classes.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bonegraph.features import Branch, Features, pool, resample

Score = Literal["probability", "logit"]
Scaling = Literal["clip", "person"]
_FLAT = 1e-5
"""Maps that vary by less than this share of their largest value are flat: they point nowhere."""


def direction(
    head: nn.Linear, logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"], score: Score = "probability"
) -> Float[Tensor, "n c"]:
    """Where the pooled features would have to go for a class to gain: the gradient of its score, but for its length.

    Args:
        head: the linear layer.
        logits: that it gives.
        labels: the class of each clip.
        score: ``probability`` after the softmax, as in STF; ``logit`` is plain Grad-CAM, W_y.
    """
    own = head.weight[labels]
    if score == "logit" or logits.shape[1] == 1:
        return own
    others = logits.scatter(1, labels[:, None], -torch.inf).softmax(dim=1)
    return own - others @ head.weight


def raw_focus(
    branch: Branch, towards: Float[Tensor, "n c"], stage: int = -1, at: Features | None = None
) -> Float[Tensor, "r t v"]:
    """Q before min-max, at the maps of a stage.

    Args:
        branch: with the graph of its computation, where an earlier stage than the last is asked for.
        towards: from `direction`.
        stage: which maps; -1 the last.
        at: maps inside a block, instead of those of a stage.

    A person counts by what they add to the clip, however few frames they are in.
    """
    features = branch.stages[stage] if at is None else at
    if at is None and stage in (-1, len(branch.stages) - 1):
        weights = towards[features.owner]
    else:
        pooled = pool(branch.stages[-1])
        of = features.maps if features.shift is None else features.shift.by
        (gradient,) = torch.autograd.grad(pooled, of, towards.to(pooled.dtype), create_graph=True)
        gradient = gradient.to(towards.dtype)
        if features.shift is not None:
            weights = gradient / features.maps.shape[3]
        else:
            if features.frames is not None:
                gradient = gradient * features.frames[:, None, :, None]
            weights = gradient.sum(dim=2).mean(dim=2)
    raw = torch.relu(torch.einsum("rctv,rc->rtv", features.maps.to(weights.dtype), weights))
    return raw if features.frames is None else raw * features.frames[:, :, None]


def normalised(raw: Float[Tensor, "r t v"], features: Features, scaling: Scaling = "clip") -> Float[Tensor, "r t v"]:
    """Min-max to [0, 1] over the present people, frames and joints of each clip, or of each person.

    A flat map becomes 0, with zero gradient; so do frames in which a person is not there.
    """
    frames = features.frames
    group = features.owner if scaling == "clip" else torch.arange(len(raw), device=raw.device)
    groups = features.num_clips if scaling == "clip" else len(raw)
    away = None if frames is None else ~frames[:, :, None]
    high = raw.flatten(1).amax(dim=1)
    low = (raw if away is None else raw.masked_fill(away, torch.inf)).flatten(1).amin(dim=1)
    high = raw.new_zeros(groups).scatter_reduce(0, group, high, "amax")
    low = raw.new_full((groups,), torch.inf).scatter_reduce(0, group, low, "amin")
    low = torch.where(low.isfinite(), low, 0)  # nobody is there
    flat = high - low <= _FLAT * high
    span = torch.where(flat, 1, high - low)
    scaled = (raw - low[group, None, None]) / span[group, None, None]
    scaled = torch.where(flat[group, None, None], 0, scaled)
    return scaled if away is None else scaled.masked_fill(away, 0)


def focus(
    branch: Branch,
    labels: Int[Tensor, " n"],
    *,
    logits: Float[Tensor, "n k"] | None = None,
    stage: int = -1,
    score: Score = "probability",
    scaling: Scaling = "clip",
    at: Features | None = None,
) -> Features:
    """Q of a class for each clip, one channel in [0, 1] (STF Eq. 2).

    Args:
        branch: of a model, see `bonegraph.models.base.ActionModel.branches`.
        labels: the class of each clip, which need not be the predicted one.
        logits: of the branch, where they are known.
        stage: which maps; -1 the last.
        score: what is differentiated.
        scaling: over what min-max goes.
        at: maps inside a block, instead of those of a stage.

    Raises:
        ValueError: there is no such stage.

    Departs from the paper:
        the factor p_y (1 - p_y) is left out, which min-max takes out anyway.
    """
    if not -len(branch.stages) <= stage < len(branch.stages):
        raise ValueError(f"stage must be one of {len(branch.stages)} stages, got {stage}.")
    if logits is None:
        logits = branch.head(pool(branch.stages[-1]))
    features = branch.stages[stage] if at is None else at
    with torch.autocast(features.maps.device.type, enabled=False):  # min-max of half the digits is not worth much
        towards = direction(branch.head, logits.to(branch.head.weight.dtype), labels, score)
        raw = raw_focus(branch, towards, stage, at)
        return features._replace(maps=normalised(raw, features, scaling)[:, None])


def on_frames(found: Features, step: int, length: int) -> Float[Tensor, "r t v"]:
    """A focus at the times 0, step, 2 step, ... of the input, linear between its own frames."""
    maps = found.maps[:, 0]
    if (step, length) == (found.step, maps.shape[1]):
        return maps
    return resample(maps, step / found.step, length, found.frames)


def on_input(found: Features, people: int, length: int) -> Float[Tensor, "n t v m"]:
    """A focus on the joints of the input; 0 where somebody is not there.

    Args:
        found: from `focus`.
        people: M of the input.
        length: T of the input.
    """
    maps = on_frames(found, 1, length)
    out = maps.new_zeros(found.num_clips, people, *maps.shape[1:])
    kept = found.slot < people
    return out.index_put((found.owner[kept], found.slot[kept]), maps[kept]).permute(0, 2, 3, 1)


def distance(first: Features, second: Features) -> Float[Tensor, " n"]:
    """‖Q_i - Q_j‖_2 over the people, frames and joints of each clip, on the frames of the finer one; not squared.

    The gradient at 0 is 0.
    """
    fine, coarse = (first, second) if first.step <= second.step else (second, first)
    length = fine.maps.shape[2]
    difference = on_frames(fine, fine.step, length) - on_frames(coarse, fine.step, length)
    if fine.frames is not None:
        difference = difference * fine.frames[:, :, None]
    square = difference.square().flatten(1).sum(dim=1)
    square = square.new_zeros(fine.num_clips).index_add(0, fine.owner, square)
    alike = square == 0
    return torch.where(alike, 0, torch.where(alike, 1, square).sqrt())
