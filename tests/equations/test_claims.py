"""The numbers of STF's claims against loops."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bonegraph.features import Features, pool
from bonegraph.models.stf import STF, FocusGraph
from bonegraph.objectives.focus import focus
from bonegraph.reproduce.claims import _spread, entries, graphs_of, of_branch, overlap

from .test_focus import network


def masked_case() -> tuple[Any, Tensor, Tensor]:
    model, x = network("stf")
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, FocusGraph):
                module.link.weight.normal_(std=0.2)
    visible = torch.rand(3, 8, 5, 2, generator=torch.Generator().manual_seed(3)) < 0.8
    visible[1, :, :, 1] = False
    visible[2, 5:] = False
    return model, x * visible[:, None], visible


def test_each_number_is_its_definition() -> None:
    model, x, visible = masked_case()
    (branch,) = model.branches(x, visible)
    told, best, looked = of_branch(branch)
    logits = branch.head(pool(branch.stages[-1]))
    assert torch.equal(best, logits.topk(2, dim=1).indices)
    second = focus(branch, best[:, 1])
    lower = focus(branch, best[:, 0], stage=-2)
    assert looked.frames is not None and lower.frames is not None
    assert (looked.step, lower.step) == (4, 2)
    first, other = looked.maps.detach()[:, 0], second.maps.detach()[:, 0]
    for clip in range(3):
        large = count = shared = either = 0.0
        for row in range(len(looked.maps)):
            if looked.owner[row] != clip:
                continue
            for t in range(looked.maps.shape[2]):
                if not looked.frames[row, t]:
                    continue
                for v in range(5):
                    q, r = float(first[row, t, v]), float(other[row, t, v])
                    count += 1
                    large += q > 0.5
                    shared += min(q, r)
                    either += max(q, r)
        assert float(entries(looked)[clip]) == count
        assert float(told["area"][clip]) == pytest.approx(large / count)
        assert float(told["overlap"][clip]) == pytest.approx(shared / max(either, 1e-12), abs=1e-9)
    assert ((told["overlap logit"] >= 0) & (told["overlap logit"] <= 1)).all()
    for name in ("distance", "error"):
        assert ((told[name] > 0) & (told[name] <= 1)).all(), name


def test_errors_are_root_mean_squares() -> None:
    """Without masks and with the frames of the embedding those of the focus: the plain formula."""
    model, x = network("stf")
    (branch,) = model.branches(x)
    looked = focus(branch, torch.tensor([0, 1, 2]))
    last = branch.stages[-1]
    fake = Features(torch.rand_like(looked.maps), last.owner, last.slot, None, 3, last.step)
    told, _, looked = of_branch(branch._replace(embeddings=(fake, fake)))
    rows = looked.maps.shape[0] // 3
    for clip in range(3):
        apart = (looked.maps.detach() - fake.maps)[rows * clip : rows * (clip + 1)]
        assert float(told["error"][clip]) == pytest.approx(float(apart.square().mean().sqrt()))


def test_the_same_map_overlaps_with_itself_alone() -> None:
    model, x = network("stf")
    (branch,) = model.branches(x)
    logits = branch.head(pool(branch.stages[-1]))
    best = logits.topk(2, dim=1).indices
    torch.testing.assert_close(
        overlap(branch, logits, best[:, [0, 0]], "logit"), torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-9
    )


def test_the_spread_is_that_of_the_graphs_over_people() -> None:
    model, x, visible = masked_case()
    assert isinstance(model, STF)
    (branch,) = model.branches(x, visible)
    graphs = graphs_of(model, branch)
    assert [one.shape[0] for one in graphs] == [5] * 6  # six people, one of whom is never seen
    expected = [float(one.std(dim=0).mean()) for one in graphs]
    assert _spread([[one[:2] for one in graphs], [one[2:] for one in graphs]]) == pytest.approx(sum(expected) / 6)
    assert sum(expected) > 0
    assert _spread([]) != _spread([])
