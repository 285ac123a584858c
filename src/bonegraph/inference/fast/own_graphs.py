"""Units whose graphs each clip has of its own: those of 2s-AGCN and CTR-GCN."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bonegraph.features import hide
from bonegraph.inference.fast.branches import temporal_part
from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.fast.units import shortcut
from bonegraph.inference.fast.winograd import temporal
from bonegraph.inference.folding import affine, exact
from bonegraph.models import agcn, ctrgcn


class AdaptiveUnit(nn.Module):
    """Unit of 2s-AGCN: the graphs of each row, then one 1x1 convolution with the residual sum and the ReLU.

    Args:
        unit: of the network.
        graph: (K, V, V), to which the learned ones are added once.
    """

    graph: Tensor

    def __init__(self, unit: agcn.Unit, graph: Float[Tensor, "k v w"]) -> None:
        super().__init__()
        spatial, change = unit.spatial, affine(unit.spatial_norm)
        dtype = spatial.conv.weight.dtype
        self.register_buffer("graph", (exact(graph) + exact(spatial.learned_graph)).to(dtype))
        self.similarity = spatial.similarity
        setattr(self.similarity, "embed", folded(spatial.similarity.embed))  # noqa: B010  another class than torch's
        assert spatial.conv.bias is not None
        weight = rearrange(exact(spatial.conv.weight), "(k d) c 1 1 -> d (k c) 1 1", k=spatial.subsets)
        bias = exact(spatial.conv.bias).view(spatial.subsets, -1).sum(dim=0) * change.scale + change.shift
        weight = weight * change.scale[:, None, None, None]
        self.convolution = Convolution(weight.to(dtype), bias.to(dtype), relu=True)
        self.spatial_residual = shortcut(unit.spatial_residual)
        self.temporal = temporal(unit.temporal, unit.temporal_norm, relu=True)
        self.residual = shortcut(unit.residual)

    def forward(
        self, x: Float[Tensor, "r c t v"], graph: Tensor | None = None, frames: Bool[Tensor, "r t"] | None = None
    ) -> Float[Tensor, "r d s v"]:
        """One unit; its graph is in it."""
        assert self.spatial_residual is not None
        x = x.contiguous(memory_format=torch.channels_last)
        graphs = rearrange(self.graph + self.similarity(x, frames), "r k v w -> r (w k) v")
        rows, width, length, joints = x.shape
        nodes, near = x.permute(0, 2, 3, 1), x.new_empty(rows, length, graphs.shape[1], width)
        for row, one in enumerate(graphs):
            torch.bmm(one.expand(length, -1, -1), nodes[row], out=near[row])
        gathered = near.view(rows, length, joints, -1).permute(0, 3, 1, 2)
        out = hide(self.convolution(gathered, self.spatial_residual(x)), frames)
        result: Tensor = self.temporal(out, None if self.residual is None else self.residual(x))
        return result


class ChannelwiseUnit(nn.Module):
    """Unit of CTR-GCN: the graphs of each row and channel as one product, and no copy of what they gather.

    R_k = A_k + α (W_k M_k + b_k) is a product with the relations M, ones and A_k as channels.

    Args:
        unit: of the network.
        graph: not used.
    """

    constant: Tensor
    refine: Tensor
    weight: Tensor
    bias: Tensor
    shift: Tensor

    def __init__(self, unit: ctrgcn.Unit, graph: Tensor | None = None) -> None:
        super().__init__()
        spatial, change = unit.spatial, affine(unit.spatial_norm)
        refinement, dtype = spatial.refinement, spatial.conv.weight.dtype
        self.subsets, self.compare = spatial.subsets, folded(refinement.compare)
        assert spatial.conv.bias is not None and refinement.expand.bias is not None
        alpha, split = exact(refinement.alpha), "(k d) c -> k d c"
        refine = [
            rearrange(alpha * exact(refinement.expand.weight)[:, :, 0, 0], split, k=self.subsets),
            rearrange(alpha * exact(refinement.expand.bias)[:, None], split, k=self.subsets),
        ]
        refine.append(torch.ones_like(refine[1]))
        own = exact(refinement.graph).flatten(1)
        self.register_buffer("refine", torch.cat(refine, dim=2).to(dtype))
        self.register_buffer("constant", torch.stack([torch.ones_like(own), own], dim=1).to(dtype))  # k 2 vu
        weight = rearrange(exact(spatial.conv.weight)[:, :, 0, 0], split, k=self.subsets)
        bias = rearrange(exact(spatial.conv.bias)[:, None], split, k=self.subsets)
        self.register_buffer("weight", (weight * change.scale[:, None]).to(dtype))
        self.register_buffer("bias", (bias * change.scale[:, None]).to(dtype))
        self.register_buffer("shift", change.shift[:, None, None].to(dtype))
        self.spatial_residual = shortcut(unit.spatial_residual)
        if isinstance(self.spatial_residual, Convolution):
            self.spatial_residual.relu = True
        part = unit.temporal
        self.branches = temporal_part(part, [part.width] * (len(part.dilated) + 1))
        self.residual = shortcut(unit.residual)

    def forward(
        self, x: Float[Tensor, "r c t v"], *, frames: Bool[Tensor, "r t"] | None = None
    ) -> Float[Tensor, "r d s v"]:
        """One unit."""
        x = x.contiguous(memory_format=torch.channels_last)
        out = self._gathered(x, self._graphs(x, frames)).add_(self.shift)
        assert self.spatial_residual is not None
        joined = isinstance(self.spatial_residual, Convolution)
        out = self.spatial_residual(x, out) if joined else out.add_(x).relu_()
        out = self.branches(hide(out, frames), frames)
        result: Tensor = out if self.residual is None else out.add_(self.residual(x))
        return result.relu_()

    def _graphs(self, x: Float[Tensor, "r c t v"], frames: Tensor | None) -> list[Float[Tensor, "rd v u"]]:
        """R_k of each row and channel."""
        if frames is None:
            mean = x.mean(dim=2, keepdim=True)
        else:
            mean = hide(x, frames).sum(dim=2, keepdim=True) / frames.sum(dim=1).clamp(min=1)[:, None, None, None]
        target, source = rearrange(self.compare(mean), "r (two k c) 1 v -> two k r c v", two=2, k=self.subsets)
        joints = x.shape[3]
        found = []
        for one, other, weight, constant in zip(target, source, self.refine, self.constant, strict=True):
            relation = torch.tanh(one[..., None, :] - other[..., :, None]).flatten(2)
            relation = torch.cat([relation, constant.expand(len(x), -1, -1)], dim=1)
            found.append((weight @ relation).view(-1, joints, joints))
        return found

    def _gathered(self, x: Float[Tensor, "r c t v"], graphs: list[Float[Tensor, "rd v u"]]) -> Float[Tensor, "r d t u"]:
        """Σ_k of the weighted channels on their graphs, in channels-last memory."""
        rows, _, frames, joints = x.shape
        nodes = x.contiguous().flatten(2)
        out: Tensor | None = None
        for graph, weight, bias in zip(graphs, self.weight, self.bias, strict=True):
            value = torch.baddbmm(bias, weight.expand(rows, -1, -1), nodes).view(-1, frames, joints)
            out = torch.bmm(value, graph) if out is None else out.baddbmm_(value, graph)
        assert out is not None
        return out.view(rows, -1, frames, joints).contiguous(memory_format=torch.channels_last)
