"""Models written down as their equations read, for comparison of speed: what an implementation costs that stops there.

They have the weights of ours and give the same logits, but know nothing of absent people, whose zeros they compute like
everybody, of channels-last memory, or of the order of two sums.
"""

from __future__ import annotations

from bonegraph.bench.naive.base import Naive
from bonegraph.bench.naive.dualhead import NaiveDualHead
from bonegraph.bench.naive.msg3d import NaiveMSG3D
from bonegraph.bench.naive.stgcn import NaiveSTGCN
from bonegraph.models import dualhead, msg3d, stgcn
from bonegraph.models.base import ActionModel

__all__ = ["Naive", "naive"]


def naive(model: ActionModel) -> Naive | None:
    """A naive network with a copy of the weights of a model, in its mode; None where nobody wrote it down.

    ST-GCN of factorised units, MS-G3D, and DualHead-Net with cross attention and subsampling by two.
    """
    made = _written_down(model)
    return None if made is None else made.train(model.training)


def _written_down(model: ActionModel) -> Naive | None:
    kind = type(model)  # exactly: STF is an MS-G3D with graphs of its own
    if kind is stgcn.STGCN:
        assert isinstance(model, stgcn.STGCN)
        return NaiveSTGCN(model) if model.config.unit == "factorised" else None
    if kind is msg3d.MSG3D:
        assert isinstance(model, msg3d.MSG3D)
        return NaiveMSG3D(model)
    if kind is dualhead.DualHead:
        assert isinstance(model, dualhead.DualHead)
        config = model.config
        crossed = config.temporal_attention == config.spatial_attention == "cross" and config.subsample == 2
        return NaiveDualHead(model) if crossed else None
    return None
