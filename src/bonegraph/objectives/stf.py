"""The losses of STF on the focus, for any model that tells what leads to its linear layers.

Ke, Peng and Lyu, AAAI 2022.

    Eq. 3       L_e, exploration: without what it looked at, the answer should fall      `FocusLoss.explore`
    Eq. 4       L_d, divergence: two classes are told apart by different parts           `FocusLoss.diverge`
    Eq. 5       L_c, coherence: lower maps look where the highest ones do                `FocusLoss.cohere`
    Sec. 3.1    L_Gk: an embedding looks where the prediction comes from                 `FocusLoss.embed`
    Eq. 6       their weighted sum beside the cross-entropy                              `focus_loss`

Norms are not squared, over the people, frames and joints of a clip, and averaged over clips. A model with two heads has
a focus for each, and the mean of their losses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bonegraph.features import Branch, Features, pool
from bonegraph.objectives.focus import Scaling, Score, distance, focus, on_input
from bonegraph.second_order.mode import second_order

Branches = Callable[[Tensor, "Tensor | None"], tuple[Branch, ...]]


@dataclass(frozen=True)
class FocusLoss:
    """Weights of the losses on the focus, 0 for none, and what the text leaves open.

    Args:
        explore: λ_e; STF has 0.01, in a network of its own.
        diverge: λ_d; STF has 0.1.
        cohere: λ_c; STF has 0.1.
        embed: λ_G; STF has 0.01. For networks with embeddings.
        score: whose gradient the focus is. With ``probability`` the maps of the two best classes are disjoint by
            construction where these share all the probability, so that divergence has little to push; ``logit`` has not
            that fault.
        scaling: of the focus, over a ``clip`` or each ``person``.
        explored: what should fall when the focus is masked.
        through_focus: whether exploration also moves the focus, or only what is left without it.
        lower: stage whose focus follows that of the last one, counted from it, -1.
        between: what coheres: the ``blocks`` ``lower`` and last, or the two ``paths`` of the last block of an MS-G3D,
            the factorised one following the windows.
        second_order: coherence needs gradients of gradients: our ``own``, or those of ``torch``, which are the same and
            slower.

    Raises:
        ValueError: a weight below 0.
    """

    explore: float = 0.0
    diverge: float = 0.0
    cohere: float = 0.0
    embed: float = 0.0
    score: Score = "probability"
    scaling: Scaling = "clip"
    explored: Score = "probability"
    through_focus: bool = True
    lower: int = -2
    between: Literal["blocks", "paths"] = "blocks"
    second_order: Literal["own", "torch"] = "own"

    def __post_init__(self) -> None:
        for name in ("explore", "diverge", "cohere", "embed"):
            if getattr(self, name) < 0:
                raise ValueError(f"the weight {name} must be at least 0, got {getattr(self, name)}.")

    @property
    def any(self) -> bool:
        """Whether there is anything to compute."""
        return any((self.explore, self.diverge, self.cohere, self.embed))

    @contextmanager
    def passes(self) -> Iterator[None]:
        """Where the network's pass and `focus_loss` belong, for gradients of gradients at less cost."""
        with second_order(self.lower) if self.cohere and self.second_order == "own" else nullcontext():
            yield


def focus_loss(
    wanted: FocusLoss,
    branches: tuple[Branch, ...],
    again: Branches,
    x: Float[Tensor, "n c t v m"],
    visible: Bool[Tensor, "n t v m"] | None,
) -> dict[str, Float[Tensor, ""]]:
    """The losses that have a weight, by name, each a mean over clips and heads, without its weight.

    Args:
        wanted: which.
        branches: of the network for this batch, with the graph of their computation.
        again: the network, for the pass without the focus; it should leave running statistics alone.
        x: the batch.
        visible: its mask.

    Raises:
        ValueError: the network has not what a loss needs.
    """
    found: dict[str, list[Tensor]] = {}
    for place, branch in enumerate(branches):
        for name, loss in _of_branch(wanted, branch, place, again, x, visible).items():
            found.setdefault(name, []).append(loss.mean())
    return {name: torch.stack(losses).mean() for name, losses in found.items()}


def _of_branch(
    wanted: FocusLoss, branch: Branch, place: int, again: Branches, x: Tensor, visible: Tensor | None
) -> dict[str, Float[Tensor, " n"]]:
    logits = branch.head(pool(branch.stages[-1]))
    best = logits.topk(min(2, logits.shape[1]), dim=1).indices
    looked = focus(branch, best[:, 0], logits=logits, score=wanted.score, scaling=wanted.scaling)
    teacher = looked._replace(maps=looked.maps.detach())
    losses = {}
    if wanted.explore:
        losses["explore"] = _explored(
            wanted, looked if wanted.through_focus else teacher, best, place, again, x, visible
        )
    if wanted.diverge:
        if best.shape[1] < 2:
            raise ValueError("divergence tells two classes apart, but the network has one.")
        other = focus(branch, best[:, 1], logits=logits, score=wanted.score, scaling=wanted.scaling)
        losses["diverge"] = -distance(looked, other)
    if wanted.cohere:
        lower, higher = _to_cohere(wanted, branch, best[:, 0], logits)
        losses["cohere"] = distance(lower, teacher if higher is None else higher)
    if wanted.embed:
        if not branch.embeddings:
            raise ValueError(
                "the network has no embeddings to supervise; set focus.embed to 0, or take the model 'stf'."
            )
        losses["embed"] = torch.stack([distance(teacher, embedding) for embedding in branch.embeddings]).mean(dim=0)
    return losses


def _to_cohere(wanted: FocusLoss, branch: Branch, labels: Tensor, logits: Tensor) -> tuple[Features, Features | None]:
    """The focus that follows, and the one that teaches it; None for that of the last block."""

    def found(stage: int = -1, at: Features | None = None) -> Features:
        return focus(branch, labels, logits=logits, stage=stage, score=wanted.score, scaling=wanted.scaling, at=at)

    if wanted.between == "paths":
        if len(branch.paths) != 2:
            raise ValueError(
                "the network does not tell two paths of its last block; set focus.between to blocks, or take an MS-G3D "
                "with windows."
            )
        factorised, windows = (found(at=path) for path in branch.paths)
        return factorised, windows._replace(maps=windows.maps.detach())
    if not -len(branch.stages) <= wanted.lower < len(branch.stages):
        raise ValueError(f"lower is {wanted.lower}, but the network has {len(branch.stages)} stages.")
    return found(wanted.lower), None


def _explored(
    wanted: FocusLoss,
    looked: Features,
    best: Tensor,
    place: int,
    again: Branches,
    x: Tensor,
    visible: Tensor | None,
) -> Float[Tensor, " n"]:
    """The score of the predicted class where the focus is masked."""
    masked = x * (1 - on_input(looked, x.shape[4], x.shape[2])[:, None])
    branch = again(masked, visible)[place]
    logits = branch.head(pool(branch.stages[-1]))
    scores = logits if wanted.explored == "logit" else logits.softmax(dim=1)
    score: Tensor = scores.gather(1, best[:, :1])[:, 0]
    return score
