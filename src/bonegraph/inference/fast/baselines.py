"""Units of the baselines: one convolution with all that follows it in the same pass, or one for all joints alike."""

from __future__ import annotations

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.inference.fast.convolution import Convolution, folded, onednn_takes
from bonegraph.inference.fast.units import shortcut
from bonegraph.inference.folding import affine, exact
from bonegraph.models import baselines


def unit(part: baselines.Unit, graph: Tensor | None = None) -> nn.Module:
    """The unit of a baseline; it has no graph."""
    if isinstance(part.convolution, baselines.LocalConvolution):
        return LocalUnit(part, part.convolution)
    return TemporalUnit(part)


class TemporalUnit(nn.Module):
    """Unit of the temporal baseline: one convolution, + residual, ReLU."""

    def __init__(self, part: baselines.Unit) -> None:
        super().__init__()
        self.convolution = folded(part.convolution, part.norm, relu=True)
        self.residual = shortcut(part.residual)

    def forward(self, x: Tensor, *, frames: Tensor | None = None) -> Tensor:
        """One unit; frames that do not count are zero already."""
        result: Tensor = self.convolution(x, None if self.residual is None else self.residual(x))
        return result


class LocalUnit(nn.Module):
    """Unit of the local baseline: local convolution, + residual, ReLU.

    Maps are (T, R, V, C) in memory, where the neighbours of a joint are taken with one copy, and stay so from unit to
    unit.

    Args:
        part: with its residual connection, which is the input itself or a `bonegraph.models.stgcn.Shortcut`.
        local: its convolution.
    """

    def __init__(self, part: baselines.Unit, local: baselines.LocalConvolution) -> None:
        super().__init__()
        change, dtype = affine(part.norm), local.weight.dtype
        self.sources: list[list[int]] = []
        self.targets: list[list[int]] = []
        groups, first = [], 0
        for near, count in local.groups:
            edges = slice(first, first + near * count)
            self.sources.append([source for source, _ in local.edges[edges]])
            self.targets.append([target for _, target in local.edges[edges][::near]])
            weight = rearrange(exact(local.weight[edges]) * change.scale, "(g n) k c d -> (g d) (n c) k", n=near)
            bias = change.shift.repeat(count)
            groups.append(Neighbours(weight.to(dtype), bias.to(dtype), groups=count, stride=local.stride))
            first = edges.stop
        self.neighbours = nn.ModuleList(groups)
        self.residual = shortcut(part.residual)
        if isinstance(self.residual, Convolution):  # the sum and the ReLU go into it
            self.residual.relu = True

    def forward(self, x: Float[Tensor, "r c t v"], *, frames: Tensor | None = None) -> Float[Tensor, "r d s v"]:
        """One unit; frames that do not count are zero already."""
        rows, joints = len(x), x.shape[3]
        nodes = rearrange(x, "r c t v -> t r v c").contiguous()
        parts = [group(nodes[:, :, sources]) for group, sources in zip(self.neighbours, self.sources, strict=True)]
        out = parts[0].new_empty(*parts[0].shape[:2], joints, parts[0].shape[3])
        for part, targets in zip(parts, self.targets, strict=True):
            out[:, :, targets] = part
        if isinstance(self.residual, Convolution):  # joints of all rows side by side: channels-last without a copy
            image = "t r v c -> 1 c t (r v)"
            out = self.residual(rearrange(nodes, image), rearrange(out, image))
            out = rearrange(out, "1 d s (r v) -> s r v d", r=rows)
        else:
            out = out.add_(nodes).relu_()
        result: Tensor = rearrange(out, "s r v d -> r d s v")
        return result


class Neighbours(nn.Module):
    """Weights of every edge to targets that have equally many: one convolution with a group for each target.

    There are more weights than any cache holds, so that all rows share them in one image. Where every frame is a
    target, that is a line of all frames of all rows, with the rows inside, whose taps lie as many nodes apart as there
    are rows: for an image, T high and R wide, oneDNN wants the weights in another order for other numbers of rows, and
    to reorder them costs more than to multiply.

    Args:
        weight: of a target by its neighbours and their channels, (G·D, N·C, Γ).
        bias: (G·D,).
        groups: G.
        stride: over the frames.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, weight: Float[Tensor, "gd nc k"], bias: Float[Tensor, " gd"], *, groups: int, stride: int
    ) -> None:
        super().__init__()
        self.groups, self.stride, self.reach = groups, stride, weight.shape[2] // 2
        shaped = weight[:, :, None] if stride == 1 else weight[..., None]
        self.register_buffer("weight", shaped.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self._packed: tuple[torch.dtype, Tensor] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """As that of `Convolution`."""
        return {**self.__dict__, "_packed": None}

    def forward(self, nodes: Float[Tensor, "t r gn c"]) -> Float[Tensor, "s r g d"]:
        """Convolve the nodes of each group's sources."""
        rows = nodes.shape[1]
        line = self.stride == 1
        x = rearrange(nodes, "t r n c -> 1 (n c) 1 (t r)" if line else "t r n c -> 1 (n c) t r")
        padding, stride, dilation = (self.reach, 0), (self.stride, 1), (1, 1)
        if line:
            padding, dilation = (0, self.reach * rows), (1, rows)
        if onednn_takes(x):
            if self._packed is None or self._packed[0] != x.dtype:
                reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
                how = padding, stride, dilation, self.groups
                self._packed = x.dtype, reorder(self.weight.to_mkldnn(), *how, x.shape)
            out = torch.ops.mkldnn._convolution_pointwise(
                x, self._packed[1], self.bias, padding, stride, dilation, self.groups, "none", [], ""
            )
        else:
            out = functional.conv2d(x, self.weight, self.bias, stride, padding, dilation, self.groups)
        pattern = "1 (g d) 1 (s r) -> s r g d" if line else "1 (g d) s r -> s r g d"
        found: Tensor = rearrange(out, pattern, g=self.groups, r=rows)
        return found
