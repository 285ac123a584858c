"""STF's losses against their formulas."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bonegraph.datasets.clips import Clips, Order
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.features import pool
from bonegraph.models import stf
from bonegraph.models.base import kept_statistics
from bonegraph.models.registry import build
from bonegraph.objectives.focus import focus, on_input
from bonegraph.objectives.stf import FocusLoss, focus_loss
from bonegraph.sample import Batch
from bonegraph.training.recipes import stf as stf_recipes
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import apply

from .test_focus import NETWORKS, network
from .test_msg3d import BODY

ALL = FocusLoss(explore=1, diverge=1, cohere=1, embed=1)


def half_mask(frames: int = 8) -> Tensor:
    visible = torch.ones(3, frames, 5, 2, dtype=torch.bool)
    visible[0, :, :, 1] = False
    visible[1, frames // 2 :] = False
    return visible


@pytest.mark.parametrize("masked", [False, True])
def test_each_loss_is_its_formula(masked: bool) -> None:
    model, x = network("stf")
    visible = half_mask() if masked else None
    if visible is not None:
        x = x * visible[:, None]
    found = focus_loss(ALL, model.branches(x, visible), model.branches, x, visible)
    (branch,) = model.branches(x, visible)
    logits = model(x, visible)
    first, second = logits.topk(2, dim=1).indices.unbind(dim=1)
    highest, other = focus(branch, first), focus(branch, second)
    lower = focus(branch, first, stage=1)

    def rows(clip: int) -> list[int]:
        return [row for row in range(len(highest.maps)) if int(highest.owner[row]) == clip]

    def count(found: Any, row: int) -> int:
        return found.maps.shape[2] if found.frames is None else int(found.frames[row].sum())

    diverge, cohere, embed, explore = [], [], [], []
    for clip in range(3):
        apart, unlike = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        seen = [torch.zeros((), dtype=torch.float64) for _ in branch.embeddings]
        for row in rows(clip):
            for t in range(count(highest, row)):
                apart = apart + (highest.maps[row, 0, t] - other.maps[row, 0, t]).square().sum()
            for t in range(count(lower, row)):  # twice as many frames as the highest
                pair = highest.maps[row, 0, [t // 2, min((t + 1) // 2, count(highest, row) - 1)]]
                unlike = unlike + (lower.maps[row, 0, t] - (pair.mean(dim=0) if t % 2 else pair[0])).square().sum()
            for place, embedding in enumerate(branch.embeddings):
                ratio = highest.step // embedding.step
                for t in range(count(embedding, row)):
                    low, share = t // ratio, t % ratio / ratio
                    high = min(low + 1, count(highest, row) - 1)
                    q = (1 - share) * highest.maps[row, 0, low] + share * highest.maps[row, 0, high]
                    seen[place] = seen[place] + (embedding.maps[row, 0, t] - q).square().sum()
        diverge.append(-apart.sqrt())
        cohere.append(unlike.sqrt())
        embed.append(torch.stack([one.sqrt() for one in seen]).mean())
        left = x[clip : clip + 1] * (1 - on_input(highest, 2, 8)[clip : clip + 1, None])
        chances = model(left, None if visible is None else visible[clip : clip + 1]).softmax(dim=1)
        explore.append(chances[0, first[clip]])
    for name, values in {"diverge": diverge, "cohere": cohere, "embed": embed, "explore": explore}.items():
        torch.testing.assert_close(found[name], torch.stack(values).mean(), rtol=1e-6, atol=1e-8, msg=name)


def test_who_teaches_whom() -> None:
    """Q is fixed for the embeddings, the higher map for the lower; neither class is in divergence."""
    model, x = network("stf")
    for name, moved, still in (
        ("embed", "focus.0.0.score.weight", "head.weight"),
        ("cohere", "blocks.1.fusion.reduce.weight", ""),
        ("diverge", "head.weight", ""),
    ):
        model.zero_grad()
        one: Any = {name: 1.0}
        wanted = FocusLoss(**one)
        focus_loss(wanted, model.branches(x), model.branches, x, None)[name].backward()  # type: ignore[no-untyped-call]
        gradients = {key: value.grad for key, value in model.named_parameters()}
        assert gradients[moved] is not None and gradients[moved].abs().max() > 0, name
        assert not still or gradients[still] is None or gradients[still].abs().max() == 0, name


def test_coherence_of_the_two_paths_of_the_last_block() -> None:
    """Their focus is Grad-CAM at their ends, by automatic differentiation; the windows teach the factorised path."""
    for name in ("msg3d", "stf"):
        model, x = network(name)
        (branch,) = model.branches(x)
        logits = branch.head(pool(branch.stages[-1]))
        best = logits.argmax(dim=1)
        chosen = logits.softmax(dim=1).gather(1, best[:, None]).sum()
        maps = []
        for path in branch.paths:
            (gradient,) = torch.autograd.grad(chosen, path.maps, retain_graph=True)
            raw = torch.einsum("rctv,rc->rtv", path.maps, gradient.mean(dim=(2, 3))).relu()
            clips = raw.view(3, 2, *raw.shape[1:])
            low, high = clips.amin(dim=(1, 2, 3), keepdim=True), clips.amax(dim=(1, 2, 3), keepdim=True)
            maps.append((clips - low) / (high - low))
        expected = (maps[0] - maps[1]).square().sum(dim=(1, 2, 3)).sqrt().mean()
        wanted = FocusLoss(cohere=1, between="paths")
        found = focus_loss(wanted, (branch,), model.branches, x, None)["cohere"]
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)
        gradients = []
        for order in ("own", "torch"):
            one = replace(wanted, second_order=order)
            model.zero_grad()
            with one.passes():
                focus_loss(one, model.branches(x), model.branches, x, None)["cohere"].backward()  # type: ignore[no-untyped-call]
            gradients.append({key: value.grad for key, value in model.named_parameters() if value.grad is not None})
        assert gradients[0].keys() == gradients[1].keys()
        assert gradients[0]["blocks.2.temporal_again.reduce.weight"].abs().max() > 0
        for key, value in gradients[0].items():
            torch.testing.assert_close(value, gradients[1][key], rtol=1e-7, atol=1e-9)
    for name in ("stgcn", "dualhead"):
        model, x = network(name)
        with pytest.raises(ValueError, match="does not tell two paths of its last block"):
            focus_loss(wanted, model.branches(x), model.branches, x, None)


def test_exploration_may_leave_the_focus_alone() -> None:
    model, x = network("stgcn")
    gradients = []
    for through in (True, False):
        model.zero_grad()
        wanted = FocusLoss(explore=1, through_focus=through)
        focus_loss(wanted, model.branches(x), model.branches, x, None)["explore"].backward()  # type: ignore[no-untyped-call]
        gradients.append(model.head.weight.grad.clone())
    assert not torch.allclose(*gradients)


def test_masking_turns_the_visibility_into_one_minus_q(tmp_path: Path) -> None:
    """Clips of the built-in data, prepared as the text has it: the second pass sees 1 - Q in the fourth channel."""
    prepare(Synthetic(subjects=4, replications=1), None, tmp_path / "store", workers=1, progress=False)
    store = Store.open(tmp_path / "store")
    clips = store.part("xboth-val", "train")[::5]  # of one and of two people
    fetched = Clips(store, Length("replay", 48), 2)[Order(clips, None, 0)]
    batch = apply(stf_recipes.ntu60_paper().transforms, fetched, store.skeleton, training=False)
    assert batch.positions.shape[1] == 4 and not batch.visible.all()
    assert torch.equal(batch.positions[:, 3], batch.visible.float())
    config = replace(
        stf.best("quarter", 4), widths=(6, 8), strides=(1, 2), dilations=(1, 2), gcn_scales=2, g3d_scales=2
    )
    model = build(config, store.skeleton, 16)
    seen: list[Tensor] = []

    def again(x: Tensor, visible: Tensor | None) -> Any:
        seen.append(x)
        return model.branches(x, visible)

    branches = model.branches(batch.positions, batch.visible)
    focus_loss(FocusLoss(explore=1), branches, again, batch.positions, batch.visible)
    best = branches[0].head(pool(branches[0].stages[-1])).argmax(dim=1)
    q = on_input(focus(branches[0], best), 2, 48)
    (masked,) = seen
    torch.testing.assert_close(masked[:, 3], (1 - q) * batch.visible)
    torch.testing.assert_close(masked[:, :3], batch.positions[:, :3] * (1 - q)[:, None])
    assert q.max() == 1 and (masked[:, 3][batch.visible] < 0.5).any()


def test_exploration_of_logits() -> None:
    model, x = network("stgcn")
    chance, logit = (
        focus_loss(FocusLoss(explore=1, explored=kind), model.branches(x), model.branches, x, None)["explore"]
        for kind in ("probability", "logit")
    )
    assert 0 < chance.item() < 1
    assert logit.item() != chance.item()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("score", ["probability", "logit"])
def test_they_attach_to_every_network(name: str, score: Any) -> None:
    model, x = network(name)
    wanted = replace(ALL, embed=float(name == "stf"), score=score)
    found = focus_loss(wanted, model.train().branches(x), model.branches, x, None)
    assert set(found) == {"explore", "diverge", "cohere"} | ({"embed"} if name == "stf" else set())
    sum(found.values()).backward()  # type: ignore[union-attr]
    assert all(value.grad is None or value.grad.isfinite().all() for value in model.parameters())


def test_two_heads_have_the_mean_of_their_losses() -> None:
    model, x = network("dualhead")
    wanted = FocusLoss(diverge=1, cohere=1)
    branches = model.branches(x)
    both = focus_loss(wanted, branches, model.branches, x, None)
    single = [focus_loss(wanted, (branch,), model.branches, x, None) for branch in branches]
    for name, value in both.items():
        torch.testing.assert_close(value, (single[0][name] + single[1][name]) / 2)


def test_the_second_pass_leaves_running_statistics_alone() -> None:
    model, x = network("msg3d")
    model.train()
    branches = model.branches(x)
    before = {name: value.clone() for name, value in model.named_buffers()}
    momenta = [module.momentum for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    with kept_statistics(model):
        focus_loss(FocusLoss(explore=1), branches, model.branches, x, half_mask())
    after = dict(model.named_buffers())
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert momenta == [m.momentum for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    model(x)
    assert any(not torch.equal(value, after[name]) for name, value in before.items())


def test_what_a_network_has_not_is_said() -> None:
    model, x = network("stgcn")
    with pytest.raises(ValueError, match=r"no embeddings to supervise; set focus\.embed to 0"):
        focus_loss(FocusLoss(embed=1), model.branches(x), model.branches, x, None)
    with pytest.raises(ValueError, match="lower is -4, but the network has 3 stages"):
        focus_loss(FocusLoss(cohere=1, lower=-4), model.branches(x), model.branches, x, None)
    model = build(stf.Config(widths=(6,), strides=(1,), dilations=(1,), gcn_scales=2, g3d_scales=2), BODY, 1).double()
    with pytest.raises(ValueError, match="divergence tells two classes apart, but the network has one"):
        focus_loss(FocusLoss(diverge=1), model.branches(x), model.branches, x, None)
    with pytest.raises(ValueError, match="weight cohere must be at least 0, got -1"):
        FocusLoss(cohere=-1)


def test_loss_of_the_branches_is_the_loss() -> None:

    for name in NETWORKS:
        model, x = network(name)
        labels = torch.tensor([0, 1, 3])
        visible = half_mask()
        batch = Batch(x, visible, labels, labels, labels)
        logits = tuple(branch.head(pool(branch.stages[-1])) for branch in model.branches(x, visible))
        ours, theirs = model.loss_of(logits, labels, 0.1), model.loss(batch, 0.1)
        torch.testing.assert_close(ours.total, theirs.total)
        torch.testing.assert_close(ours.logits, theirs.logits)
