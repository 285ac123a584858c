"""STF's modules against their equations, written as loops."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from bonegraph.graph import hop_distances, scales
from bonegraph.models import msg3d
from bonegraph.models.msg3d import G3D, MSG3D, MultiScaleGCN
from bonegraph.models.stf import STF, Config, FocusGraph, best, bin_weights, paper
from bonegraph.skeleton import SKELETONS

from .test_msg3d import BODY, trained

SMALL = replace(best("quarter"), widths=(8, 8, 16), dilations=(1, 2), gcn_scales=3, g3d_scales=2, bins=4)


def with_graphs(config: Config = SMALL) -> STF:
    """A network whose own graphs are not zero."""
    model = STF(config, BODY, 3)
    with torch.no_grad():
        for module in model.focus.modules():
            if isinstance(module, FocusGraph):
                module.link.weight.normal_(std=0.2)
                module.link.bias.normal_(std=0.2)  # type: ignore[union-attr]
    return model.eval()


@pytest.mark.parametrize("kind", ["gcn", "few", "many"])
def test_own_graphs_are_added_to_the_adjacency(kind: str) -> None:
    """Eq. 1: a row with a graph of its own is the same layer with that graph added, in every pair of frames."""
    window = 1 if kind == "gcn" else 3
    channels = 2 if kind == "few" else 4
    graph = torch.from_numpy(scales(BODY, 2, window)).double()
    layer: Any = MultiScaleGCN(4, 4, graph) if kind == "gcn" else G3D(channels, 4, 3, graph, 3, 2, 1)
    layer = trained(layer)
    layer.graph = layer.graph.double()
    x = torch.randn(3, layer.conv.in_channels // 2, 7, 5, dtype=torch.float64)
    extra = torch.randn(3, 2, 5, 5, dtype=torch.float64)
    found = layer(x, extra)
    before = layer.graph
    for row in range(3):
        layer.graph = before + extra[row].repeat(1, window, window)
        torch.testing.assert_close(found[row : row + 1], layer(x[row : row + 1]), rtol=1e-9, atol=1e-10)


def test_graphs_and_embedding_are_those_of_the_figure() -> None:
    module = trained(FocusGraph(3, SMALL, 5, 2))
    x = torch.randn(2, 3, 8, 5, dtype=torch.float64)
    embedding = module.embed(x)
    assert embedding.shape == (2, 8, 5)
    assert ((embedding > 0) & (embedding < 1)).all()
    found = module(embedding)
    for row in range(2):
        means = torch.stack([embedding[row, 2 * b : 2 * b + 2].mean(dim=0) for b in range(4)])  # 8 frames, 4 bins
        hidden = (module.mix.weight[:, :, 0] @ means + module.mix.bias[:, None]).clamp(min=0)
        linked = module.link.weight[:, :, 0] @ hidden + module.link.bias[:, None]
        for k in range(2):
            for v in range(5):
                for w in range(5):
                    torch.testing.assert_close(found[row, k, v, w], linked[k * 5 + v, w])


def test_embedding_is_three_convolutions_and_a_sigmoid() -> None:
    module = trained(FocusGraph(3, replace(SMALL, embed_kernel=3), 5, 2))
    x = torch.randn(1, 3, 6, 5, dtype=torch.float64)
    hidden = module.reduce_norm(
        torch.einsum("dc,rctv->rdtv", module.reduce.weight[:, :, 0, 0], x) + module.reduce.bias[:, None, None]
    ).clamp(min=0)
    looked = torch.zeros_like(hidden)
    for t in range(6):
        for tap in range(3):
            if 0 <= t + tap - 1 < 6:
                looked[:, :, t] += torch.einsum(
                    "dc,rcv->rdv", module.look.weight[:, :, tap, 0], hidden[:, :, t + tap - 1]
                )
    looked = module.look_norm(looked + module.look.bias[:, None, None]).clamp(min=0)
    score = torch.einsum("c,rctv->rtv", module.score.weight[0, :, 0, 0], looked) + module.score.bias
    torch.testing.assert_close(module.embed(x), 1 / (1 + (-score).exp()))


@pytest.mark.parametrize("bins", [1, 3, 4, 7])
def test_bins_are_equal_shares_of_the_frames_that_count(bins: int) -> None:
    random = np.random.default_rng(bins)
    frames = torch.from_numpy(random.random((5, 6)) < 0.6)
    frames[0] = True
    frames[1] = False
    weights = bin_weights(frames, bins)
    for row in range(5):
        counted = [t for t in range(6) if frames[row, t]]
        for b in range(bins):
            low, high = b * len(counted) / bins, (b + 1) * len(counted) / bins
            for t in range(6):
                expected = 0.0
                if t in counted:
                    place = counted.index(t)
                    expected = max(0.0, min(place + 1, high) - max(place, low)) / (len(counted) / bins)
                assert float(weights[row, b, t]) == pytest.approx(expected, abs=1e-6)
    sums = weights.sum(dim=2)
    torch.testing.assert_close(sums, frames.any(dim=1, keepdim=True).float().expand_as(sums))


def test_the_first_pass_is_the_backbone() -> None:
    """With the weights of a trained MS-G3D, nothing changes at first."""
    config = msg3d.Config(
        widths=SMALL.widths, dilations=SMALL.dilations, gcn_scales=SMALL.gcn_scales, g3d_scales=SMALL.g3d_scales
    )
    base = MSG3D(config, BODY, 3).eval()
    model = STF(SMALL, BODY, 3).eval()
    missing, unexpected = model.load_state_dict(base.state_dict(), strict=False)
    assert unexpected == []
    assert all(name.startswith("focus.") for name in missing)
    x, visible = torch.randn(2, 3, 9, 5, 2), torch.rand(2, 9, 5, 2) < 0.7
    assert torch.equal(model(x), base(x))
    assert torch.equal(model(x, visible), base(x, visible))


def test_graphs_differ_between_clips_and_change_what_is_seen() -> None:
    model = with_graphs()
    x = torch.randn(4, 3, 9, 5, 1)
    (branch,) = model.branches(x)
    assert len(branch.embeddings) == 6
    assert len(branch.stages) == 3
    assert [stage.step for stage in branch.stages] == [1, 2, 4]
    assert [found.step for found in branch.embeddings] == [1, 1, 1, 1, 2, 2]
    assert branch.embeddings[0].maps.shape == (4, 1, 9, 5)
    assert branch.embeddings[0].maps.std(dim=0).max() > 1e-4
    plain = STF(SMALL, BODY, 3).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "link" not in k}, strict=False)
    assert not torch.allclose(plain(x), model(x))


def test_cumulative_scales_are_at_most_so_many_hops() -> None:
    body = SKELETONS["ntu25"]
    hops = hop_distances(25, body.edges)
    graph = scales(body, 3, cumulative=True)
    for k in range(3):
        np.testing.assert_array_equal(graph[k] > 0, hops <= k + 1)
    assert (paper().gcn_scales, paper().g3d_scales, paper().cumulative, paper().in_channels) == (3, 3, True, 4)


def test_an_stf_without_windows_has_three_modules() -> None:
    model = STF(replace(SMALL, windows=()), BODY, 3)
    assert sum(isinstance(module, FocusGraph) for module in model.modules()) == 3
    assert model(torch.randn(2, 3, 8, 5, 1)).shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bins": 0}, "bins 0 .*at least 1"),
        ({"embed_channels": 0}, "embed_channels 0.*at least 1"),
        ({"embed_kernel": 4}, "embed_kernel must be odd.*got 4"),
        ({"windows": (2,)}, "windows must be odd"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)
