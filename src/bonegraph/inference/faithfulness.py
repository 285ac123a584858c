"""Is a focus faithful? Hide what it points at, and see whether the network minds.

Petsiuk, Das and Saenko, *RISE: Randomized Input Sampling for Explanation of Black-box Models*, BMVC 2018, Sec. 4.3, on
skeletons instead of pixels. An entry of the input is a joint of a person in a frame.

    deletion     hide entries from the most to the least focused; the probability should fall early: small area
    insertion    from nothing, show them in the same order; the probability should rise early: large area
    random       hide them in a random order, the mean of a few draws

Showing entries in an order is hiding them in the reverse order, which is as random: the two areas of a random order are
equal, and one random curve serves for both. The area of insertion minus that of deletion, `Faithfulness.gain`, is
therefore 0 in the mean for orders that are as likely as their reverse, and at most 1. It also equals what the focus
gains over random in deletion plus what it gains in insertion: (random - deletion) + (insertion - random).

What is hidden is masked at the input of the network, after the transforms, as if the pose estimator had not seen it;
networks that take no masks (``zero_padded``) get zeros. In a bone or motion stream it is the bone or the motion that is
hidden. With everything hidden a network that takes masks answers by the bias of its last layer.

Departs from the paper:
    entries of equal focus, among them all the zeros of the ReLU, come in a random order, not by their index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from bonegraph.inference.explain import Explanation
from bonegraph.inference.focused import Input
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models.base import ActionModel

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The probability of a class while entries of its input are hidden.

    Attributes:
        shares: (S + 1,) from 0 to 1.
        deletion: with this share hidden, the most focused first.
        insertion: with this share shown, the most focused first.
        random: with this share hidden in random order.
    """

    shares: Values
    deletion: Values
    insertion: Values
    random: Values

    @property
    def deletion_area(self) -> float:
        """Area below the deletion curve; lower is better."""
        return area(self.deletion, self.shares)

    @property
    def insertion_area(self) -> float:
        """Area below the insertion curve; higher is better."""
        return area(self.insertion, self.shares)

    @property
    def random_area(self) -> float:
        """Area below the random curve: what both would be by chance."""
        return area(self.random, self.shares)

    @property
    def gain(self) -> float:
        """Insertion minus deletion: 0 by chance, up to 1; below 0 the focus is on what speaks against the class."""
        return self.insertion_area - self.deletion_area


def area(values: Values, shares: Values) -> float:
    """Area below a curve, by trapezoids."""
    return float(((values[1:] + values[:-1]) / 2 * np.diff(shares)).sum())


def faithfulness(
    recogniser: Recogniser,
    explanation: Explanation,
    *,
    steps: int = 20,
    draws: int = 3,
    seed: int = 0,
    batch_size: int = 16,
    progress: bool = False,
) -> Faithfulness:
    """Measure the faithfulness of a focus; several test clips are each hidden by their own focus and averaged.

    Args:
        recogniser: of one network.
        explanation: that it gave.
        steps: S, into how many parts the entries are divided.
        draws: how many random orders are averaged.
        seed: of the random orders, and of the order of what is equally focused.
        batch_size: masked copies at once.
        progress: show a progress bar, if it takes more than two seconds.

    Raises:
        ValueError: numbers below 1.
    """
    for name, value in (("steps", steps), ("draws", draws), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    chance = np.random.default_rng(seed)
    inputs, label = explanation.focused.inputs, explanation.focused.label
    total = np.zeros((2 + draws, steps + 1))
    with tqdm(total=len(inputs) * total.size, delay=2, desc="hide", unit="copy", disable=not progress) as bar:
        for one in inputs:
            keep = _kept_by_all(one, steps, draws, chance)
            values = []
            for start in range(0, len(keep), batch_size):
                values.append(chances(recogniser.model, one, keep[start : start + batch_size], label))
                bar.update(len(values[-1]))
            total += np.concatenate(values).reshape(total.shape)
    total /= len(inputs)
    return Faithfulness(np.arange(steps + 1) / steps, total[0], total[1], total[2:].mean(axis=0))


def focused_order(one: Input, chance: np.random.Generator) -> NDArray[np.int64]:
    """The entries by falling focus; equal ones in random order."""
    focus = one.focus[one.entries].numpy()
    return np.lexsort((chance.permutation(len(focus)), -focus))


def hidden_counts(entries: int, steps: int) -> NDArray[np.int64]:
    """How many entries are hidden, or shown, at each of the S + 1 points."""
    return np.rint(np.arange(steps + 1) * entries / steps).astype(np.int64)


def kept(
    entries: Bool[Tensor, "t v m"], order: NDArray[np.int64], counts: NDArray[np.int64], *, shown: bool
) -> Bool[Tensor, "s t v m"]:
    """What is visible at each point.

    Args:
        entries: all there are.
        order: of the entries.
        counts: how many of them, from the first on, are hidden at each point.
        shown: they are shown instead, and the others hidden.
    """
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    first = torch.from_numpy(ranks[None] < counts[:, None])  # (S + 1, entries)
    keep = entries.expand(len(counts), *entries.shape).clone()
    keep[:, entries] = first if shown else ~first
    return keep


@torch.inference_mode()
def chances(model: ActionModel, one: Input, keep: Bool[Tensor, "s t v m"], label: int) -> Values:
    """The probability of a class for each mask of an input, (S,)."""
    positions = torch.where(keep[:, None], one.batch.positions, 0)
    visible = keep if one.masked else one.batch.visible.expand_as(keep)
    values: Values = model(positions, visible).float().softmax(dim=1)[:, label].double().numpy()
    return values


def _kept_by_all(one: Input, steps: int, draws: int, chance: np.random.Generator) -> Bool[Tensor, "s t v m"]:
    """The masks of all curves, one curve after the other: deletion, insertion, the random ones."""
    focused, count = focused_order(one, chance), int(one.entries.sum())
    counts = hidden_counts(count, steps)
    random = [kept(one.entries, chance.permutation(count), counts, shown=False) for _ in range(draws)]
    by_focus = [kept(one.entries, focused, counts, shown=shown) for shown in (False, True)]
    return torch.cat([*by_focus, *random])
