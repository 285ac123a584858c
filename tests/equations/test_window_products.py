"""Products with windows as views, against loops, with their gradients and those of the gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bonegraph.graph import scales
from bonegraph.models.msg3d import G3D
from bonegraph.models.windows import by_window
from bonegraph.second_order.mode import above, second_order
from bonegraph.skeleton import SKELETONS

SIZES = [(3, 1, 7), (3, 2, 7), (5, 2, 8), (1, 1, 4), (2, 3, 9), (3, 3, 3), (5, 4, 12)]
"""Frames of a window, stride, frames; also frames behind the last window, and frames in none."""


def by_loops(x: Tensor, weight: Tensor, window: int, stride: int) -> Tensor:
    """Σ_j W_j x[t + j], one window at a time."""
    taps = weight.view(len(weight), window, -1)
    starts = range(0, x.shape[1] - window + 1, stride)
    sums = [sum(taps[:, j] @ x[:, start + j] for j in range(window)) for start in starts]
    return torch.stack([torch.as_tensor(one) for one in sums], dim=1)


def case(window: int, frames: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(window + frames)
    x = torch.randn(2, frames, 3, 2, dtype=torch.float64, requires_grad=True)
    return x, torch.randn(4, window * 3, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("window", "stride", "frames"), SIZES)
def test_sums_and_gradients(window: int, stride: int, frames: int) -> None:
    x, weight = case(window, frames)
    ours, theirs = by_window(x, weight, window, stride), by_loops(x, weight, window, stride)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    given = torch.randn_like(ours)
    found = [torch.autograd.grad((one * given).sum(), (x, weight)) for one in (ours, theirs)]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("window", "stride", "frames"), SIZES)
def test_gradients_of_gradients(window: int, stride: int, frames: int) -> None:
    x, weight = case(window, frames)
    assert torch.autograd.gradcheck(lambda x, weight: by_window(x, weight, window, stride), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x, weight: by_window(x, weight, window, stride), (x, weight))


def test_frames_with_gaps_in_memory() -> None:
    x, weight = case(3, 14)
    part = x[:, ::2].transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(by_window(part, weight, 3, 2), by_loops(part, weight, 3, 2))


def paths(window: int, stride: int) -> tuple[G3D, G3D]:
    """One that takes windows as views and one that convolves, with the same weights."""

    class Convolved(G3D):
        def _as_views(self, x: Tensor) -> bool:
            return False

    made = []
    for kind in (G3D, Convolved):
        torch.manual_seed(0)
        graph = torch.from_numpy(scales(SKELETONS["openpose18"], 2, window))
        layer = kind(3, 3, 4, graph, window, stride, 1)
        torch.nn.init.normal_(layer.residual_graph)
        made.append(layer.double().train())
    return made[0], made[1]


@pytest.mark.parametrize(("window", "stride", "frames"), [(3, 1, 7), (5, 2, 6), (5, 2, 7), (3, 2, 1)])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("below", [False, True])
def test_a_path_is_the_same_both_ways(window: int, stride: int, frames: int, own: bool, below: bool) -> None:
    """With graphs of each row's own, and where gradients of gradients are asked for."""
    layers = paths(window, stride)
    x = torch.randn(2, 3, frames, 18, dtype=torch.float64, requires_grad=True)
    extra = torch.randn(2, 2, 18, 18, dtype=torch.float64) if own else None
    given = torch.randn(2, 4, (frames - 1) // stride + 1, 18, dtype=torch.float64)
    found: list[list[Tensor]] = []
    for layer in layers:
        values = [x, *(value for name, value in layer.named_parameters() if not name.endswith("bias"))]
        with second_order(-2 if below else -1), above(-1):
            out = layer(x, extra)
        first = torch.autograd.grad((out * given).sum(), values, create_graph=True)
        second = torch.autograd.grad(first[0].square().sum(), values)
        found.append([out, *first, *second])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_views_only_with_all_digits(dtype: torch.dtype) -> None:
    layer = paths(3, 1)[0].float()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        assert layer._as_views(torch.zeros(1)) == (dtype == torch.float32)
        out = layer(torch.randn(1, 3, 5, 18))
    assert out.dtype == dtype and out.isfinite().all()
