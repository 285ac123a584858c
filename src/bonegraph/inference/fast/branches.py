"""Temporal convolutions of several branches: one 1x1 convolution for all, then each branch on its own channels."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bonegraph.features import hide
from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.fast.joints import Spatial
from bonegraph.inference.fast.units import shortcut
from bonegraph.inference.folding import Affine, affine, exact
from bonegraph.models import ctrgcn, msg3d, stgcnpp


class Branches(nn.Module):
    """Dilated branches, a max-pool branch and a plain 1x1 branch, side by side.

    Args:
        reduce: 1x1 convolution to the channels of all branches, the plain one last; a ReLU follows but in that.
        dilated: a convolution each, with all that follows.
        pooled: what follows the max-pool.
        stride: over the frames.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, reduce: Convolution, dilated: Iterable[Convolution], pooled: Affine, stride: int) -> None:
        super().__init__()
        self.reduce, self.dilated, self.stride = reduce, nn.ModuleList(dilated), stride
        dtype, (count, each) = reduce.weight.dtype, (len(reduce.weight), len(pooled.scale))
        widths = [len(conv.weight) for conv in self.dilated if isinstance(conv, Convolution)]
        self.widths = [*widths, each, count - sum(widths) - each]
        self.register_buffer("scale", pooled.scale[:, None, None].to(dtype))
        self.register_buffer("shift", pooled.shift[:, None, None].to(dtype))

    def forward(self, x: Float[Tensor, "r c t v"], frames: Bool[Tensor, "r t"] | None = None) -> Tensor:
        """(R, C, T, V) -> (R, D, T / stride, V). Frames that do not count act like the padding at the ends."""
        *parts, last, plain = torch.split(self.reduce(x), self.widths, dim=1)
        outs = [conv(hide(part.relu(), frames)) for conv, part in zip(self.dilated, parts, strict=True)]
        pooled = _largest_of_three(hide(last.relu(), frames), self.stride)
        return torch.cat([*outs, torch.addcmul(self.shift, pooled, self.scale), plain[:, :, :: self.stride]], dim=1)


def _largest_of_three(x: Float[Tensor, "r c t v"], stride: int) -> Float[Tensor, "r c s v"]:
    """The largest of every ``stride``-th frame and its neighbours; a max-pool takes three times as long for it."""
    out = x[:, :, ::stride].clone()
    for neighbours, into in ((x[:, :, 1::stride], out), (x[:, :, stride - 1 :: stride], out[:, :, 1:])):
        both = min(neighbours.shape[2], into.shape[2])
        torch.maximum(into[:, :, :both], neighbours[:, :, :both], out=into[:, :, :both])
    return out


def _slices(change: Affine, widths: Iterable[int]) -> list[Affine]:
    """An affine map of the channels of branches side by side, by branch."""
    return [Affine(*pair) for pair in zip(*(torch.split(part, [*widths]) for part in change), strict=True)]


def _branches(reduce: Convolution, convs: nn.ModuleList, widths: Iterable[int], after: Affine, stride: int) -> Branches:
    """Branches with the normalisation behind them; that of the plain one, if any, is in ``reduce`` already."""
    *dilated, pooled = _slices(after, widths)
    return Branches(reduce, map(folded, convs, dilated), pooled, stride)


def _together(first: Convolution, second: Convolution) -> Convolution:
    """Two 1x1 convolutions of the same input as one."""
    assert first.bias is not None and second.bias is not None
    return Convolution(torch.cat([first.weight, second.weight]), torch.cat([first.bias, second.bias]))


class MultiScaleTCN(nn.Module):
    """MS-TCN of MS-G3D with its residual connection, and a sum with others before the ReLU."""

    def __init__(self, part: msg3d.MultiScaleTCN, graph: Tensor | None = None) -> None:
        super().__init__()
        reduce = folded(part.reduce, part.reduce_norm)
        self.branches = _branches(reduce, part.convs, part.parts[:-1], affine(part.norm), part.stride)
        self.residual, self.relu = shortcut(part.residual), part.relu
        if isinstance(self.residual, Convolution):
            self.residual.relu = part.relu

    def forward(
        self,
        x: Float[Tensor, "r c t v"],
        frames: Bool[Tensor, "r t"] | None = None,
        add: Float[Tensor, "r d s v"] | None = None,
    ) -> Float[Tensor, "r d s v"]:
        """Convolve over the frames of each joint."""
        out: Tensor = self.branches(x, frames)
        if add is not None:
            out = out.add_(add)
        if isinstance(self.residual, Convolution):
            result: Tensor = self.residual(x, out)
            return result
        out = out.add_(x)
        return out.relu_() if self.relu else out


def temporal_part(part: stgcnpp.TemporalPart | ctrgcn.TemporalPart, widths: list[int]) -> Branches:
    """The branches of a part that normalises all of them, the plain one as well, after they are put side by side.

    Args:
        part: of ST-GCN++ or CTR-GCN.
        widths: channels of all branches but the plain one.
    """
    *others, plain = _slices(affine(part.norm), [*widths, len(part.plain.weight)])
    after = Affine(*(torch.cat(values) for values in zip(*others, strict=True)))
    reduce = _together(folded(part.reduce, part.reduce_norm), folded(part.plain, plain))
    return _branches(reduce, part.dilated, widths, after, part.stride)


class STGCNppUnit(nn.Module):
    """Unit of ST-GCN++."""

    def __init__(self, unit: stgcnpp.Unit, graph: Tensor | None = None) -> None:
        super().__init__()
        spatial = unit.spatial
        self.spatial = Spatial(spatial.convolution, exact(spatial.graph), after=affine(spatial.norm))
        self.spatial_residual = shortcut(spatial.residual)
        self.branches = temporal_part(unit.temporal, unit.temporal.widths)
        self.merge = folded(unit.temporal.merge, unit.temporal.merge_norm, relu=True)
        self.residual = shortcut(unit.residual)

    def forward(self, x: Tensor, *, frames: Tensor | None = None) -> Tensor:
        """One unit."""
        assert self.spatial_residual is not None
        out = self.spatial(x).add_(self.spatial_residual(x)).relu_()
        result: Tensor = self.merge(
            self.branches(out, frames).relu_(), None if self.residual is None else self.residual(x)
        )
        return result
