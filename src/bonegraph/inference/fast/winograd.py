"""Nine taps over time with a third of the multiplications: Winograd's minimal filtering along the frames.

Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016, in one dimension: F(m, r), which is m
outputs of r taps, is Aᵀ [(G w) ⊙ (Bᵀ x)] on m + r - 1 inputs x, with as many multiplications as inputs.

At stride 1, nine taps and a tenth that is zero are five pairs: F(4, 5) over the pairs, F(2, 2) inside them. That is 24
multiplications for eight outputs instead of 72, with the small errors of F(4, 5). At stride 2 the even taps and the odd
ones are F(4, 5) on every other frame each: 16 multiplications for four outputs instead of 36. Sums are in another
order, so that answers differ by rounding, some 2e-6 of the largest one in fp32.

All products of a clip are one convolution with a group of channels for each multiplication.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.inference.fast.convolution import Convolution, folded, onednn_takes
from bonegraph.inference.folding import Affine

TAPS = 9
FEWEST = 64
"""Channels, in and out, below which it takes longer than nine taps do."""
SHORTEST = 12
"""Frames, of what comes out, below which it does."""

JOINTS_AT_ONCE = 400
"""Joints of tiles that go this way together: their products fit the caches."""
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Where polynomials are evaluated, as many of the first as are needed, and at infinity."""


class Transforms(NamedTuple):
    """Matrices of F(m, r) in float64, for p multiplications.

    Attributes:
        outputs: Aᵀ.
        taps: G.
        inputs: Bᵀ.
    """

    outputs: Float[Tensor, "m p"]
    taps: Float[Tensor, "p r"]
    inputs: Float[Tensor, "p n"]


def minimal(outputs: int, taps: int, points: tuple[float, ...]) -> Transforms:
    """F(outputs, taps).

    Args:
        outputs: m.
        taps: r.
        points: where the polynomials are evaluated, m + r - 2 of them; the last point is infinity.
    """
    assert len(points) == outputs + taps - 2
    places = torch.tensor(points, dtype=torch.float64, device="cpu")[:, None]

    def powers(number: int) -> Tensor:
        exponents = torch.arange(number, dtype=torch.float64, device="cpu")
        return torch.cat([places**exponents, (exponents == number - 1).double()[None]])

    after, before = powers(outputs), powers(taps)
    wanted = torch.zeros(outputs, taps, len(after), dtype=torch.float64, device="cpu")  # y_i = Σ_l w_l x_{i + l}
    for output in range(outputs):
        for tap in range(taps):
            wanted[output, tap, output + tap] = 1
    products = torch.einsum("pi,pl->ilp", after, before).flatten(0, 1)
    inputs = torch.linalg.lstsq(products, wanted.flatten(0, 1), driver="gelsd").solution
    size = inputs.abs().amax(dim=1, keepdim=True)  # rows of like size keep sums precise
    return Transforms(after.T.contiguous(), before * size, inputs / size)


def transforms(stride: int) -> Transforms:
    """Those of nine taps; multiplications of the same group of channels, two at stride 2, lie side by side."""
    long = minimal(4, 5, POINTS)
    size = len(long.taps)
    if stride == 2:
        taps, inputs = long.taps.new_zeros(size, 2, 10), long.taps.new_zeros(size, 2, 2 * size)
        for part in (0, 1):
            taps[:, part, part::2], inputs[:, part, part::2] = long.taps, long.inputs
        found = Transforms(long.outputs, taps.flatten(0, 1), inputs.flatten(0, 1))
    else:
        short = minimal(2, 2, POINTS[:2])
        inputs = long.inputs.new_zeros(size, 3, 2 * size + 1)
        for place in range(size):  # x_{2 i + j}
            inputs[:, :, 2 * place : 2 * place + 3] += long.inputs[:, None, place, None] * short.inputs
        found = Transforms(
            torch.kron(long.outputs, short.outputs), torch.kron(long.taps, short.taps), inputs.flatten(0, 1)
        )
    # What only the tenth tap reads is multiplied by zero.
    return found._replace(taps=found.taps[:, :TAPS], inputs=found.inputs[:, : 2 * size - (stride == 2)])


class NineTaps(Convolution):
    """A 9x1 convolution of stride 1 or 2 that goes this way where that is faster, which is in fp32 through oneDNN.

    The arguments are those of `Convolution`.
    """

    def __init__(
        self, weight: Float[Tensor, "d c 9 1"], bias: Float[Tensor, " d"] | None, *, stride: int, relu: bool
    ) -> None:
        super().__init__(weight, bias, stride=stride, relu=relu)
        self._tiles: Tiles | None = None

    def __getstate__(self) -> dict[str, Any]:
        """As that of `Convolution`."""
        return {**super().__getstate__(), "_tiles": None}

    def _onednn(self, x: Tensor, add: Tensor | None) -> Tensor:
        tiles = self.tiles(x)
        return super()._onednn(x, add) if tiles is None else tiles(x, add)

    def tiles(self, x: Float[Tensor, "r c t v"]) -> Tiles | None:
        """This convolution by tiles, where an input of such frames, joints and type goes that way, whatever its C."""
        short = (x.shape[2] - 1) // self.stride[0] + 1 < SHORTEST
        # Of one joint, memory may be in either order.
        if short or x.dtype != torch.float32 or x.shape[3] == 1 or not onednn_takes(x) or not has_groups():
            return None
        if self._tiles is None:
            self._tiles = Tiles(self.weight, self.bias, self.stride[0], relu=self.relu)
        return self._tiles


def temporal(conv: nn.Module, norm: nn.Module | Affine | None = None, *, relu: bool = False) -> Convolution:
    """`bonegraph.inference.fast.convolution.folded`, for a convolution over time that may be long and wide."""
    made = folded(conv, norm, relu=relu)
    width, inputs, taps, _ = made.weight.shape
    if taps != TAPS or min(width, inputs) < FEWEST or made.stride[0] > 2 or made.dilation[0] > 1:
        return made
    return NineTaps(made.weight, made.bias, stride=made.stride[0], relu=relu)


@cache
def has_groups() -> bool:
    """Whether a convolution of oneDNN can have groups, and gives what it should."""
    draw = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=draw) for shape in ((2, 8, 14, 5), (6, 8, 9, 1), (6,)))
    try:
        found = Tiles(weight, bias, 1, relu=True)(x, None)
    except (RuntimeError, AttributeError, TypeError):
        return False  # a torch without it, or with another form of it
    return torch.allclose(found, functional.conv2d(x, weight, bias, padding=(4, 0)).relu(), rtol=1e-4, atol=1e-4)


class Tiles:
    """A 9x1 convolution that keeps the length, or halves it, by tiles of a few outputs.

    Args:
        weight: of the convolution, (D, C, 9, 1).
        bias: of the convolution.
        stride: 1 or 2.
        relu: whether a ReLU comes last.
    """

    def __init__(
        self, weight: Float[Tensor, "d c 9 1"], bias: Float[Tensor, " d"] | None, stride: int, *, relu: bool
    ) -> None:
        outputs, taps, inputs = transforms(stride)
        self.outputs, self.inputs, self.stride, self.relu = outputs.float(), inputs.float(), stride, relu
        self.size, self.groups = outputs.shape
        self.width, self.channels = weight.shape[:2]
        weights = torch.einsum("pl,dcl->pdc", taps, weight[..., 0].double())
        parts = len(taps) // self.groups
        weights = rearrange(weights.float(), "(g j) d c -> (g d) (j c) 1 1", j=parts)
        self._how = (0, 0), (1, 1), (1, 1), self.groups
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        shape = 1, len(taps) * self.channels, JOINTS_AT_ONCE, 1
        packed = weights.contiguous(memory_format=torch.channels_last).to_mkldnn()
        self._weights: Tensor = reorder(packed, *self._how, shape)
        self._bias: Tensor | None = None
        if bias is not None:  # what is added where the polynomial of outputs is 1 everywhere
            ones = (outputs == 1).all(dim=0).float()
            self._bias = torch.outer(ones, bias.float()).flatten()

    def __call__(self, x: Float[Tensor, "r c t v"], add: Float[Tensor, "r d s v"] | None) -> Float[Tensor, "r d s v"]:
        """The convolution of x, [+ what is added], in channels-last memory."""
        padded, inside = self.room(x)
        inside.copy_(x)
        return self.of_room(padded, inside, add)

    def of_room(
        self, padded: Float[Tensor, "r s v c"], inside: Float[Tensor, "r c t v"], add: Float[Tensor, "r d s v"] | None
    ) -> Float[Tensor, "r d s v"]:
        """The same of what was written into `room`."""
        rows, _, length, joints = inside.shape
        frames = (length - 1) // self.stride + 1
        tiles = -(-frames // self.size)
        few = max(1, JOINTS_AT_ONCE // joints)
        many = max(1, few // tiles)
        seen = self._seen(padded, tiles)
        out = padded.new_empty(rows, frames, joints, self.width)
        more = None if add is None else add.permute(0, 2, 3, 1)
        for row in range(0, rows, many):
            for tile in range(0, tiles, few):
                part = slice(row, row + many), slice(tile * self.size, (tile + few) * self.size)
                found = self._found(seen[row : row + many, tile : tile + few])
                _in_frames(found, out[part], None if more is None else more[part])
                if self.relu:
                    out[part].relu_()
        return out.permute(0, 3, 1, 2)

    def _found(self, seen: Float[Tensor, "r n v l c"]) -> Float[Tensor, "r n i v d"]:
        """Outputs of some tiles."""
        rows, tiles, joints, _, width = seen.shape
        given, inputs = seen.new_empty(rows, tiles, joints, len(self.inputs), width), self.inputs.expand(joints, -1, -1)
        for row, into in zip(seen.unbind(), given.unbind(), strict=True):
            for nodes, products in zip(row.unbind(), into.unbind(), strict=True):
                torch.bmm(inputs, nodes, out=products)
        image = given.view(1, rows * tiles * joints, 1, -1).permute(0, 3, 1, 2)
        found = torch.ops.mkldnn._convolution_pointwise(image, self._weights, self._bias, *self._how, "none", [], "")
        sums = found.permute(0, 2, 3, 1).view(-1, self.groups, self.width)
        outputs = torch.bmm(self.outputs.expand(len(sums), -1, -1), sums)
        return outputs.view(rows, tiles, joints, self.size, self.width).transpose(2, 3)

    def room(self, like: Float[Tensor, "r e t v"]) -> tuple[Float[Tensor, "r s v c"], Float[Tensor, "r c t v"]]:
        """Memory for an input of some frames and joints, with the zeros around it that tiles need; and its inside."""
        rows, _, length, joints = like.shape
        tiles = -(-length // (self.size * self.stride))
        before, step = TAPS // 2, self.size * self.stride
        padded = like.new_empty(rows, (tiles - 1) * step + self.inputs.shape[1], joints, self.channels)
        padded[:, :before] = 0
        padded[:, before + length :] = 0
        return padded, padded[:, before : before + length].permute(0, 3, 1, 2)

    def _seen(self, padded: Float[Tensor, "r s v c"], tiles: int) -> Float[Tensor, "r n v l c"]:
        """The frames that each tile of each joint reads, a view."""
        rows, length, joints, width = padded.shape
        frame, reach = joints * width, self.inputs.shape[1]
        step = self.size * self.stride * frame
        return padded.as_strided((rows, tiles, joints, reach, width), (length * frame, step, width, frame, 1))


def _in_frames(
    tiled: Float[Tensor, "r n i v d"], out: Float[Tensor, "r t v d"], more: Float[Tensor, "r t v d"] | None
) -> None:
    """Write the frames of tiles, of which the last may have too many, [+ what is added]."""
    size, frames = tiled.shape[2], out.shape[1]
    whole = frames // size
    for tiles, part in (
        (tiled[:, :whole], slice(0, whole * size)),
        (tiled[:, whole:, : frames - whole * size], slice(whole * size, frames)),
    ):
        if tiles.numel() == 0:
            continue
        into = out[:, part].view(tiles.shape)
        if more is None:
            into.copy_(tiles)
        else:
            torch.add(tiles, more[:, part].reshape(tiles.shape), out=into)
