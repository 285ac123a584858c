"""DualHead-Net against its equations, written as loops, and against the released implementation."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import pool, resample
from bonegraph.models.dualhead import Config, DualHead, SpatialAttention, TemporalAttention, paper, released
from bonegraph.models.released import FAMILIES
from bonegraph.sample import Batch
from bonegraph.skeleton import SKELETONS, Skeleton

BODY = Skeleton("five", ("a", "b", "c", "d", "e"), (0, 0, 1, 1, 3), (0, 1, 2, 3, 4))
EVEN = Skeleton("four", ("a", "b", "c", "d"), (0, 0, 1, 1), (0, 1, 2, 3))
SMALL = Config(widths=(12, 16, 24), dilations=(1, 2), gcn_scales=3, g3d_scales=2)


def network(body: Skeleton = BODY, **changes: Any) -> DualHead:
    """Small, in evaluation mode, with weights and statistics as after a training."""
    draw = torch.Generator().manual_seed(5)
    model = DualHead(replace(SMALL, **changes), body, 3).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and name.split(".")[-1] != "graph":
                value += 0.2 * torch.rand(value.shape, generator=draw) - (0.1 if value.dim() > 1 else 0)
    return model


def sigmoid(x: Tensor) -> Tensor:
    return 1 / (1 + (-x).exp())


# ---- the attentions


def test_temporal_attention_is_equation_8() -> None:
    layer = TemporalAttention(4).double()
    layer.requires_grad_(False)
    x = torch.randn(2, 4, 12, 5, dtype=torch.float64)
    found = layer(x)
    for row in range(2):
        for t in range(12):
            total = layer.bias[0] if layer.bias is not None else torch.zeros(())
            for tap in range(9):
                if 0 <= t + tap - 4 < 12:
                    for c in range(4):
                        total = total + layer.weight[0, c, tap] * x[row, c, t + tap - 4].mean()
            torch.testing.assert_close(found[row, t], sigmoid(total))


@pytest.mark.parametrize(("joints", "kernel"), [(5, 5), (4, 3), (25, 25), (18, 17)])
def test_spatial_attention_is_equation_10(joints: int, kernel: int) -> None:
    layer = SpatialAttention(3, joints).double()
    layer.requires_grad_(False)
    assert layer.kernel_size == (kernel,)
    frames = torch.tensor([[True] * 6, [True, True, False, True, False, False]])
    x = torch.randn(2, 3, 6, joints, dtype=torch.float64) * frames[:, None, :, None]
    found, without = layer(x, frames), layer(x)
    for row in range(2):
        for v in range(joints):
            total = plain = layer.bias[0] if layer.bias is not None else torch.zeros(())
            for tap in range(kernel):
                w = v + tap - kernel // 2
                if 0 <= w < joints:
                    for c in range(3):
                        total = total + layer.weight[0, c, tap] * x[row, c, frames[row], w].mean()
                        plain = plain + layer.weight[0, c, tap] * x[row, c, :, w].mean()
            torch.testing.assert_close(found[row, v], sigmoid(total))
            torch.testing.assert_close(without[row, v], sigmoid(plain))


def test_attentions_start_as_one_half() -> None:
    model = DualHead(SMALL, BODY, 3).eval()
    told = model.attentions(torch.randn(2, 3, 16, 5, 1))
    for attention in (*told.temporal, *told.spatial):
        assert torch.equal(attention, torch.full_like(attention, 0.5))


def test_resampling_is_linear_in_time() -> None:
    attention = torch.tensor([[1.0, 3.0, 5.0, 4.0]])
    assert resample(attention, 2, 2).tolist() == [[1, 5]]
    assert resample(attention, 0.5, 8).tolist() == [[1, 2, 3, 4, 5, 4.5, 4, 4]]
    seen = torch.tensor([[True, True, False, False]])
    assert resample(attention, 0.5, 4, seen).tolist() == [[1, 2, 3, 3]]  # a hidden frame gives nothing
    torch.testing.assert_close(
        resample(attention, 0.5, 8, torch.ones(1, 4, dtype=torch.bool)), resample(attention, 0.5, 8)
    )


# ---- the network


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 3_015_253),
        ({"fine_reduction": 1}, 4_874_197),
        ({"fine_reduction": 4}, 2_543_701),
        ({"coarse_windows": ()}, 2_392_201),
        ({"coarse_windows": (3, 5)}, 3_942_625),
    ],
)
def test_parameters_of_the_ablations(changes: dict[str, Any], count: int) -> None:
    model = DualHead(replace(paper(), **changes), SKELETONS["ntu25"], 60)
    assert sum(value.numel() for value in model.parameters()) == count


def test_order_of_the_blocks_and_attentions() -> None:
    """Fine 2, temporal, coarse 2, spatial, fine 3, temporal, coarse 3, spatial, heads: written out once more."""
    model = network()
    x = torch.randn(2, 3, 16, 5, 1)
    out = model.backbone(model.input_norm(x[..., 0]))
    fine, coarse = model.embed(out), out[:, :, ::2]
    for index in (0, 1):
        fine = model.fine[index](fine)
        attention: Tensor = model.temporal[index](fine)
        coarse = model.coarse[index](coarse * (1 + attention[:, None, :, None]))
        attention = model.spatial[index](coarse)
        fine = fine * (1 + attention[:, None, None, :])
    expected_fine = model.fine_head(fine.mean(dim=(2, 3)))
    expected_coarse = model.coarse_head(coarse.mean(dim=(2, 3)))
    for found, expected in zip(model.logits(x), (expected_fine, expected_coarse), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert fine.shape[1:3] == (12, 4)  # half the channels, T / 4
    assert coarse.shape[1:3] == (24, 2)  # T / 2 sampled, then two strides


def test_prediction_of_the_text_and_of_the_released_code() -> None:
    x = torch.randn(3, 3, 8, 5, 2)
    for share in (0.0, 0.3, 0.5, 1.0):
        model = network(fine_weight=share)
        fine, coarse = model.logits(x)
        expected = share * fine.softmax(dim=1) + (1 - share) * coarse.softmax(dim=1)
        torch.testing.assert_close(model(x).softmax(dim=1), expected)
        model = network(fine_weight=share, fuse="logits")
        fine, coarse = model.logits(x)
        torch.testing.assert_close(model(x), share * fine + (1 - share) * coarse)


def test_loss_is_the_mean_of_two_cross_entropies() -> None:
    model = network().train()
    x, labels = torch.randn(4, 3, 8, 5, 2), torch.tensor([0, 2, 1, 1])
    batch = Batch(x, torch.ones(4, 8, 5, 2, dtype=torch.bool), labels, labels, labels)
    loss = model.loss(batch, label_smoothing=0.1)
    fine, coarse = model.logits(x, batch.visible)
    by_hand = [functional.cross_entropy(logits, labels, label_smoothing=0.1) for logits in (fine, coarse)]
    torch.testing.assert_close(loss.total, (by_hand[0] + by_hand[1]) / 2)
    torch.testing.assert_close(loss.logits.softmax(dim=1), (fine.softmax(dim=1) + coarse.softmax(dim=1)) / 2)
    loss.total.backward()  # type: ignore[no-untyped-call]
    assert model.fine_head.weight.grad is not None and model.coarse_head.weight.grad is not None


def test_two_heads_have_no_single_features() -> None:
    with pytest.raises(TypeError, match="DualHead has no stages of a single head; take those of its branches"):
        network().features(torch.randn(1, 3, 8, 5, 1))


def test_branches_are_what_the_heads_read() -> None:
    model = network()
    x = torch.randn(2, 3, 8, 5, 2)
    for branch, logits in zip(model.branches(x), model.logits(x), strict=True):
        stages, head = branch.stages, branch.head
        torch.testing.assert_close(head(pool(stages[-1])), logits)
        assert [stage.maps.shape[1] for stage in stages] == [12, *((8, 12) if head is model.fine_head else (16, 24))]


@pytest.mark.parametrize("subsample", [1, 2, 4])
@pytest.mark.parametrize("attention", ["cross", "self", "none"])
def test_every_ablation_runs_and_trains(subsample: int, attention: Any) -> None:
    model = network(subsample=subsample, temporal_attention=attention, spatial_attention=attention)
    for frames in (1, 2, 7, 16):
        x = torch.randn(2, 3, frames, 5, 2)
        visible = torch.rand(2, frames, 5, 2) < 0.7
        assert model(x).isfinite().all()
        assert model(x, visible).isfinite().all()
    told = model.attentions(torch.randn(2, 3, 16, 5, 1))
    expected = 0 if attention == "none" else 2
    assert (len(told.temporal), len(told.spatial)) == (expected, expected)
    if expected:
        assert [a.shape[1] for a in told.temporal] == [16 // subsample, 16 // subsample // 2]
        assert told.steps == [subsample, 2 * subsample]
        assert all(a.shape == (2, 5) for a in told.spatial)
    model.zero_grad()
    model.train()(torch.randn(2, 3, 16, 5, 1)).sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_who_attends_to_whom() -> None:
    """Cross: gradients of an attention reach the other head alone; self: its own."""
    for attention, source in (("cross", "fine"), ("self", "coarse")):
        model = network(temporal_attention=attention, spatial_attention="none")
        told = model.attentions(torch.randn(1, 3, 16, 5, 1))
        told.temporal[0].sum().backward()  # type: ignore[no-untyped-call]
        fine = [value.grad is not None for value in model.fine[0].parameters()]
        assert all(fine) if source == "fine" else not any(fine)
    for attention, source in (("cross", "coarse"), ("self", "fine")):
        model = network(temporal_attention="none", spatial_attention=attention)
        model.attentions(torch.randn(1, 3, 16, 5, 1)).spatial[0].sum().backward()  # type: ignore[no-untyped-call]
        coarse = [value.grad is not None for value in model.coarse[0].parameters()]
        assert all(coarse) if source == "coarse" else not any(coarse)


@pytest.mark.parametrize("subsample", [1, 2, 4])
def test_hidden_frames_are_as_good_as_cut_off(subsample: int) -> None:
    model = network(subsample=subsample)
    x = torch.randn(2, 3, 32, 5, 2)
    visible = torch.ones(2, 32, 5, 2, dtype=torch.bool)
    visible[:, 16:] = False
    short = model.logits(x[:, :, :16], visible[:, :16])
    for found, expected in zip(model.logits(x, visible), short, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for found, expected in zip(model.logits(x[:, :, :16]), short, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_an_even_number_of_joints() -> None:
    assert network(EVEN)(torch.randn(2, 3, 8, 4, 1)).shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fine_reduction": 0}, "fine_reduction 0.*at least 1"),
        ({"fine_reduction": 5}, r"widths \(96, 192, 384\) cannot all be divided by fine_reduction 5"),
        ({"widths": (8, 16, 24)}, "a width of 4 cannot be shared by 6 temporal branches"),
        ({"coarse_windows": (2,)}, r"windows must be odd.*\(2,\)"),
        ({"fine_weight": 1.5}, "fine_weight must be between 0 and 1, got 1.5"),
        ({"fine_weight": math.nan}, "fine_weight must be between 0 and 1, got nan"),
        ({"subsample": 0}, "subsample 0.*at least 1"),
        ({"people": -1}, "people -1 at least 0"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)


def test_the_released_network_gives_the_reference_logits_of_both_heads(shared: Path) -> None:
    family = FAMILIES["dualhead"]
    weights = load_file(shared / "parity" / "dualhead_ntu25.weights.safetensors")
    case = load_file(shared / "parity" / "dualhead_ntu25.io.safetensors")
    assert family.recognises(weights)
    assert not FAMILIES["msg3d"].recognises(weights)
    config = family.configure(weights)
    assert config == released()
    model = DualHead(config, SKELETONS["ntu25"], 60).eval()
    ours, unknown = family.rename(weights)
    assert unknown == []
    model.load_state_dict(ours)
    assert isinstance(model.temporal, nn.ModuleList)
    with torch.no_grad():
        for visible in (None, torch.ones_like(case["input"][:, 0], dtype=torch.bool)):
            for place, logits in enumerate(model.logits(case["input"], visible)):
                reference = case[f"output_{place}"]
                assert (logits - reference).abs().max() / reference.abs().max() < 1e-5
