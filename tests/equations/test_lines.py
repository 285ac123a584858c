"""Units of ST-GCN on lines against the same equations on maps, in float64, with gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.graph import adjacency
from bonegraph.models.lines import as_lines, from_lines
from bonegraph.models.stgcn import Config, FactorisedUnit, Shortcut, SpatialConvolution, TemporalConvolution
from bonegraph.skeleton import SKELETONS


def test_lines_are_a_view_of_what_they_came_from() -> None:
    x = torch.randn(3, 4, 5, 6)
    lines = as_lines(x)
    assert lines.shape == (18, 4, 1, 5)
    assert lines.is_contiguous(memory_format=torch.channels_last)
    back = from_lines(lines, 6)
    assert torch.equal(back, x)
    assert as_lines(back).data_ptr() == back.data_ptr() == lines.data_ptr()


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(9, 1, 1), (9, 2, 1), (3, 2, 3), (1, 2, 1), (1, 1, 1)])
def test_a_temporal_convolution_along_lines(kernel: int, stride: int, dilation: int) -> None:
    conv = TemporalConvolution(3, 4, kernel, stride, dilation).double()
    x = torch.randn(2, 3, 11, 5, dtype=torch.float64, requires_grad=True)
    same([conv(x), from_lines(conv.along(as_lines(x)), 5)], [x, *conv.parameters()])


def on_maps(unit: FactorisedUnit, x: Tensor, graph: Tensor, frames: Tensor | None) -> Tensor:
    """The equations in the order of the released code: weights first, graph then."""
    assert unit.edge_importance is not None
    by_subset = unit.spatial.conv(x).unflatten(1, (len(graph), -1))
    out = torch.einsum("rkctv,kvw->rctw", by_subset, graph * unit.edge_importance)
    out = functional.relu(unit.spatial_norm(out))
    if frames is not None:
        out = out * frames[:, None, :, None]
    out = unit.temporal_norm(unit.temporal(out))
    if unit.residual is not None:
        out = out + unit.residual(x)
    return functional.relu(out)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize(
    ("body", "rows", "length", "stride", "width"),
    [("ntu25", 2, 13, 1, 3), ("ntu25", 1, 7, 2, 4), ("openpose18", 3, 1, 2, 4), ("coco17", 5, 6, 1, 4)],
)
def test_a_unit_on_maps(
    body: str, rows: int, length: int, stride: int, width: int, masked: bool, training: bool
) -> None:
    torch.manual_seed(rows)
    graph = torch.from_numpy(adjacency(SKELETONS[body], "spatial-hops", max_hop=1, normalisation="subset")).double()
    config = replace(Config(), widths=(width,), strides=(stride,), temporal_kernel=3, first_residual=True)
    unit = FactorisedUnit(config, 0, 3, graph.shape).double().train(training)
    assert isinstance(unit.residual, Shortcut) == (width != 3 or stride != 1)
    for value in unit.parameters():
        nn.init.normal_(value)
    x = torch.randn(rows, 3, length, graph.shape[1], dtype=torch.float64, requires_grad=True)
    frames = torch.rand(rows, length) < 0.7 if masked else None
    same([on_maps(unit, x, graph, frames), unit(x, graph, frames)], [x, *unit.parameters()])


def test_a_spatial_convolution_gives_channels_last_memory() -> None:
    graph = torch.rand(3, 5, 5)
    out = SpatialConvolution(2, 4, 3)(torch.randn(2, 2, 6, 5), graph)
    assert out.is_contiguous(memory_format=torch.channels_last)


def same(values: list[Tensor], sources: list[Tensor]) -> None:
    """Equal values, and equal gradients of a sum with chance weights."""
    first, second = values
    torch.testing.assert_close(second, first, rtol=1e-9, atol=1e-9)
    weights = torch.randn_like(first)
    gradients = [torch.autograd.grad((value * weights).sum(), sources, retain_graph=True) for value in values]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
