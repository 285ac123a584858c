"""Nine taps over time with half the multiplications: Winograd's F(4, 4) along the frames.

Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016, in one dimension. Four outputs of four
taps are Aᵀ [(G w) ⊙ (Bᵀ x)] on seven inputs x: 7 multiplications instead of 16. Nine taps are two parts of four and one
tap that is convolved as it is: 18 multiplications for four outputs instead of 36. At stride 1 the parts are the first
four taps and the next four, on inputs four frames later; at stride 2 the even taps and the odd ones, on every other
frame. Sums are in another order, so that answers differ by rounding, some 2e-6 of the largest one in fp32.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.inference.fast.convolution import Convolution, folded
from bonegraph.inference.folding import Affine

TAPS = 9
FEWEST = 128
"""Channels, in and out, below which it takes longer than nine taps do."""
SHORTEST = 12
"""Frames, of what comes out, below which it does."""
TILE = 4
"""Outputs of a tile, and taps of a part."""
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)
"""Where the polynomials are evaluated; the seventh point is infinity."""


def transforms() -> tuple[Float[Tensor, "4 7"], Float[Tensor, "7 4"], Float[Tensor, "7 7"]]:
    """Aᵀ, G and Bᵀ in float64."""
    points = torch.tensor(POINTS, dtype=torch.float64, device="cpu")
    infinity = torch.tensor([[0, 0, 0, 1]], dtype=torch.float64, device="cpu")
    powers = torch.cat([points[:, None] ** torch.arange(TILE, device="cpu"), infinity])
    wanted = torch.zeros(TILE, TILE, len(powers), dtype=torch.float64, device="cpu")  # y_i = Σ_l w_l x_{i + l}
    for output in range(TILE):
        for tap in range(TILE):
            wanted[output, tap, output + tap] = 1
    products = torch.einsum("pi,pl->ilp", powers, powers).flatten(0, 1)
    inputs = torch.linalg.lstsq(products, wanted.flatten(0, 1), driver="gelsd").solution
    size = inputs.abs().amax(dim=1, keepdim=True)  # rows of like size keep sums precise
    return powers.T.contiguous(), powers * size, inputs / size


class NineTaps(Convolution):
    """A 9x1 convolution of stride 1 or 2 that goes this way where that is faster, which is in fp32 through oneDNN.

    The arguments are those of `Convolution`.
    """

    def __init__(
        self, weight: Float[Tensor, "d c 9 1"], bias: Float[Tensor, " d"] | None, *, stride: int, relu: bool
    ) -> None:
        super().__init__(weight, bias, stride=stride, relu=relu)
        self.last = Convolution(weight[:, :, -1:], bias, stride=stride)
        self._eight: EightTaps | None = None

    def __getstate__(self) -> dict[str, Any]:
        """As that of `Convolution`."""
        return {**super().__getstate__(), "_eight": None}

    def _onednn(self, x: Tensor, add: Tensor | None) -> Tensor:
        short = (x.shape[2] - 1) // self.stride[0] + 1 < SHORTEST
        # Of one joint, memory may be in either order.
        if short or x.dtype != torch.float32 or x.shape[3] == 1 or not has_sums():
            return super()._onednn(x, add)
        if self._eight is None:
            self._eight = EightTaps(self.weight, self.stride[0])
        padded = self._eight.padded(x)
        out = self._eight.add_to(self.last(padded[:, :, TAPS - 1 :][:, :, : x.shape[2]], add), padded)
        return out.relu_() if self.relu else out


def temporal(conv: nn.Module, norm: nn.Module | Affine | None = None, *, relu: bool = False) -> Convolution:
    """`bonegraph.inference.fast.convolution.folded`, for a convolution over time that may be long and wide."""
    made = folded(conv, norm, relu=relu)
    width, inputs, taps, _ = made.weight.shape
    if taps != TAPS or min(width, inputs) < FEWEST or made.stride[0] > 2 or made.dilation[0] > 1:
        return made
    return NineTaps(made.weight, made.bias, stride=made.stride[0], relu=relu)


@cache
def has_sums() -> bool:
    """Whether a convolution of oneDNN can be added to what is there, and gives what it should.

    Like the call of `bonegraph.inference.fast.convolution`, it is not part of torch's documented interface.
    """
    draw = torch.Generator().manual_seed(0)
    x, weight, add = (torch.randn(shape, generator=draw) for shape in ((2, 8, 14, 5), (6, 8, 9, 1), (2, 6, 14, 5)))
    eight = EightTaps(weight, 1)
    try:
        found = eight.add_to(add.contiguous(memory_format=torch.channels_last).clone(), eight.padded(x))
    except (RuntimeError, AttributeError, TypeError):
        return False  # a torch without it, or with another form of it
    weight[:, :, -1] = 0
    return torch.allclose(found, add + functional.conv2d(x, weight, padding=(4, 0)), rtol=1e-4, atol=1e-4)


class EightTaps:
    """All but the last tap of a 9x1 convolution that keeps the length, or halves it.

    Args:
        weight: of the convolution, (D, C, 9, 1).
        stride: 1 or 2.
    """

    def __init__(self, weight: Float[Tensor, "d c 9 1"], stride: int) -> None:
        outputs, taps, inputs = transforms()
        self.outputs, self.inputs, self.stride = outputs.float(), inputs.float(), stride
        order = "d c (j l) 1 -> d c j l" if stride == 1 else "d c (l j) 1 -> d c j l"
        parts = rearrange(weight[:, :, :-1].double(), order, j=2)
        weights = torch.einsum("pl,dcjl->pdcj", taps, parts).float()[..., None]
        self._weights = list(weights)
        self._packed: list[Tensor] = []

    def padded(self, x: Float[Tensor, "r c t v"]) -> Float[Tensor, "r c s v"]:
        """Four frames of zeros before it, and behind it what whole tiles need."""
        frames, whole = x.shape[2], self.stride * TILE
        behind = 4 + -frames % whole
        return functional.pad(x.contiguous(memory_format=torch.channels_last), (0, 0, 4, behind))

    def add_to(self, out: Float[Tensor, "r d t v"], padded: Float[Tensor, "r c s v"]) -> Float[Tensor, "r d t v"]:
        """The sum with ``out``, which may be written to; it is channels-last."""
        rows, width, frames, joints = out.shape
        tiles = -(-frames // TILE)
        given = self._transformed(padded, tiles)
        found = torch.zeros(len(given), rows * tiles, joints, width)
        how = (0, 0), (2, 1), (1, 1), 1
        if not self._packed:
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            weights = [one.contiguous(memory_format=torch.channels_last).to_mkldnn() for one in self._weights]
            self._packed, self._weights = [reorder(one, *how, given.shape[1:]) for one in weights], []
        for one, part, weight in zip(found, given, self._packed, strict=True):
            torch.ops.mkldnn._convolution_pointwise_.binary(
                one[None].permute(0, 3, 1, 2), part, weight, None, *how, "add", 1.0, None, [], ""
            )
        parts = found.view(len(given), rows * tiles, -1).transpose(0, 1)
        combine = self.outputs.expand(rows * tiles, -1, -1)
        if frames == tiles * TILE:
            out.permute(0, 2, 3, 1).reshape(rows * tiles, TILE, -1).baddbmm_(combine, parts)
            return out
        more = torch.bmm(combine, parts).view(rows, tiles * TILE, joints, width)[:, :frames]
        return out.add_(more.permute(0, 3, 1, 2))

    def _transformed(self, padded: Tensor, tiles: int) -> Float[Tensor, "p 1 c rnj v"]:
        """Bᵀ x at each point for both parts of each tile of each row, all in one image."""
        memory = padded.permute(0, 2, 3, 1)
        rows, length, joints, width = memory.shape
        frame = joints * width
        apart = TILE if self.stride == 1 else 1
        seen = memory.as_strided(
            (rows, 2, tiles, len(self.inputs), frame),
            (length * frame, apart * frame, TILE * self.stride * frame, self.stride * frame, 1),
        )
        given = torch.empty(len(self.inputs), rows, tiles, 2, frame)
        inputs = self.inputs.expand(tiles, -1, -1)
        for row in range(rows):
            for part in range(2):
                torch.bmm(inputs, seen[row, part], out=given[:, row, :, part].transpose(0, 1))
        return given.view(len(given), 1, rows * tiles * 2, joints, width).permute(0, 1, 4, 2, 3)
