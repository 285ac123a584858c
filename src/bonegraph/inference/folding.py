"""Layers of a network in evaluation mode as matrices, with batch normalisations and graphs folded in, in float64.

A layer is a `Matrix` that rows are multiplied with from the left: transposed from how torch keeps weights. Those of a
convolution over time are ordered as frames lie in memory, frames outside and channels inside.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from bonegraph.models.stgcn import SpatialConvolution


class Affine(NamedTuple):
    """x · scale + shift, channel by channel."""

    scale: Float[Tensor, " c"]
    shift: Float[Tensor, " c"]


class Matrix(NamedTuple):
    """x @ weight + bias; a bias of (V, D) differs from joint to joint."""

    weight: Float[Tensor, "c d"]
    bias: Float[Tensor, "*v d"]

    def then(self, change: Affine) -> Matrix:
        """The same, followed by an affine map."""
        return Matrix(self.weight * change.scale, self.bias * change.scale + change.shift)

    def plus(self, bias: Tensor) -> Matrix:
        """The same with something added to the bias."""
        return self._replace(bias=self.bias + bias)


def exact(value: Tensor) -> Tensor:
    """A weight in float64."""
    return value.detach().double()


def affine(norm: nn.Module) -> Affine:
    """What a batch normalisation does in evaluation."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None and norm.running_var is not None
    scale = exact(norm.weight) / (exact(norm.running_var) + norm.eps).sqrt()
    return Affine(scale, exact(norm.bias) - exact(norm.running_mean) * scale)


def over_time(conv: nn.Module) -> Matrix:
    """A Γx1 convolution as a matrix from the Γ frames of a joint, (Γ·C, D)."""
    assert isinstance(conv, nn.Conv2d)
    weight = rearrange(exact(conv.weight), "d c k 1 -> (k c) d")
    return Matrix(weight, weight.new_zeros(weight.shape[1]) if conv.bias is None else exact(conv.bias))


def within_frame(conv: SpatialConvolution, graph: Float[Tensor, "k v w"], before: Affine | None = None) -> Matrix:
    """Eq. 5 of ST-GCN within a frame as a matrix from the aggregated channels of a joint, (K·C, D).

    Args:
        conv: the convolution.
        graph: with its edge importance.
        before: an affine map of the input.
    """
    assert conv.conv.bias is not None
    weight = rearrange(exact(conv.conv.weight), "(k d) c 1 1 -> k c d", k=len(graph))
    constant = rearrange(exact(conv.conv.bias), "(k d) -> k d", k=len(graph))
    if before is not None:
        constant = constant + torch.einsum("c,kcd->kd", before.shift, weight)
        weight = weight * before.scale[:, None]
    return Matrix(rearrange(weight, "k c d -> (k c) d"), torch.einsum("kd,kvw->wd", constant, exact(graph)))


def aggregation(graph: Float[Tensor, "k v w"]) -> Float[Tensor, "wk v"]:
    """The graph for use before the weights: (V·K, V) @ (V, C) is (V, K·C) in memory."""
    return rearrange(exact(graph), "k v w -> (w k) v").contiguous()


def collection(graph: Float[Tensor, "k v w"]) -> Float[Tensor, "w vk"]:
    """The graph for use after the weights: (V, V·K) @ (V·K, D), the K results of a joint side by side."""
    return rearrange(exact(graph), "k v w -> w (v k)").contiguous()
