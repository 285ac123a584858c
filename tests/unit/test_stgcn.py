"""The network as users meet it: what it takes, what it refuses, what training touches.

What every model keeps to is in tests/properties/test_models.py.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from bonegraph.models.base import ActionModel
from bonegraph.models.registry import MODELS, build, config_type, model_name
from bonegraph.models.stgcn import STGCN, Config, best, paper, released
from bonegraph.sample import Batch
from bonegraph.skeleton import SKELETONS

VARIANTS: list[Callable[..., Config]] = [paper, released, best]
variants = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)


def small(variant: Callable[..., Config], body: str = "sbu15", in_channels: int = 3) -> STGCN:
    config = variant(in_channels=in_channels)
    config = replace(config, widths=tuple(width // 16 for width in config.widths))
    skeleton = SKELETONS[body]
    return STGCN(config, skeleton, 4, np.arange(float(skeleton.num_joints)))


def batch(clips: int = 3, frames: int = 8, joints: int = 15, people: int = 2, channels: int = 3) -> Batch:
    random = torch.Generator().manual_seed(clips + frames)
    visible = torch.rand(clips, frames, joints, people, generator=random) < 0.8
    positions = torch.randn(clips, channels, frames, joints, people, generator=random) * visible[:, None]
    numbers = torch.arange(clips)
    return Batch(positions, visible, numbers % 4, numbers, numbers)


@variants
@pytest.mark.parametrize("body", ["ntu25", "openpose18", "coco17", "ucla20"])
def test_any_skeleton_frames_and_people(variant: Callable[..., Config], body: str) -> None:
    joints = SKELETONS[body].num_joints
    model = small(variant, body).eval()
    for clips, frames, people in ((1, 1, 1), (2, 7, 3), (1, 30, 2)):
        x = torch.randn(clips, 3, frames, joints, people)
        assert model(x).shape == (clips, 4)
        assert model(x, torch.ones(clips, frames, joints, people, dtype=torch.bool)).isfinite().all()


@variants
def test_a_clip_of_one_frame_trains(variant: Callable[..., Config]) -> None:
    model = small(variant).train()
    loss = model.loss(batch(frames=1)).total
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())


@variants
def test_every_parameter_gets_a_gradient_in_training(variant: Callable[..., Config]) -> None:
    model = small(variant).train()
    model.loss(batch()).total.backward()  # type: ignore[no-untyped-call]
    missing = [name for name, value in model.named_parameters() if value.grad is None]
    assert missing == []


@variants
@pytest.mark.parametrize("masked", [False, True])
def test_no_dead_parameter(variant: Callable[..., Config], masked: bool) -> None:
    """Each parameter, and each subset of the graph convolutions, changes the logits.

    In evaluation mode: in training a batch normalisation takes out the bias before it, as in the released code.
    """
    torch.manual_seed(0)
    model = small(variant).double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.bias.uniform_(0.1, 1)  # keeps the ReLUs of such narrow layers open
    data = batch(frames=40)
    positions = data.positions.double()
    logits = model(positions, data.visible if masked else None)
    (logits * torch.randn_like(logits)).sum().backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().max() > 0, name
        if "spatial.conv" in name or "convolution.conv" in name or "edge_importance" in name:
            for subset, part in enumerate(value.grad.chunk(len(model.adjacency))):
                assert part.abs().max() > 0, f"{name}, subset {subset}"


def test_masks_of_edges_that_do_not_exist_get_no_gradient() -> None:
    model = small(best).eval()
    model(batch().positions).sum().backward()
    unit: Any = model.units[0]
    assert (unit.edge_importance.grad[model.adjacency == 0] == 0).all()


@variants
def test_dropout_is_for_training_alone(variant: Callable[..., Config]) -> None:
    model = small(variant).eval()
    x = batch().positions
    torch.testing.assert_close(model(x), model(x), rtol=0, atol=0)
    model.train()
    with torch.random.fork_rng():
        assert not torch.equal(model(x), model(x))


def test_loss_is_the_cross_entropy_of_the_logits() -> None:
    model, data = small(best).eval(), batch()
    loss = model.loss(data)
    torch.testing.assert_close(loss.logits, model(data.positions, data.visible), rtol=0, atol=0)
    chances = loss.logits.log_softmax(dim=1)
    by_hand = -sum(chances[clip, label] for clip, label in enumerate(data.labels.tolist())) / len(data)
    torch.testing.assert_close(loss.total, torch.as_tensor(by_hand))
    smooth = functional.cross_entropy(loss.logits, data.labels, label_smoothing=0.1)
    torch.testing.assert_close(model.loss(data, label_smoothing=0.1).total, smooth)


def test_wrong_inputs_are_refused_with_both_numbers() -> None:
    model = small(best)
    with pytest.raises(ValueError, match=r"2 channels and 15 joints.*3 channels and the 15 joints of 'sbu15'"):
        model(torch.zeros(1, 2, 4, 15, 1))
    with pytest.raises(ValueError, match=r"3 channels and 25 joints.*the 15 joints of 'sbu15'"):
        model(torch.zeros(1, 3, 4, 25, 1))
    with pytest.raises(ValueError, match=r"visible has shape \(1, 4, 15, 2\), but x needs \(1, 4, 15, 1\)"):
        model(torch.zeros(1, 3, 4, 15, 1), torch.ones(1, 4, 15, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        STGCN(best(), SKELETONS["sbu15"], 0)
    with pytest.raises(ValueError, match="needs 15 gravity distances"):
        STGCN(paper(), SKELETONS["sbu15"], 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (8,) * 9, "strides": (1,) * 8}, "widths has 9 units but strides has 8"),
        ({"widths": (), "strides": ()}, "widths has 0 units but strides has 0"),
        ({"widths": (8, 0), "strides": (1, 1)}, r"widths \(8, 0\).*at least 1"),
        ({"widths": (8, 8), "strides": (1, 0)}, r"strides \(1, 0\).*at least 1"),
        ({"in_channels": 0}, "in_channels must be at least 1"),
        ({"temporal_kernel": 8}, "temporal_kernel must be odd.*got 8"),
        ({"temporal_kernel": -1}, "temporal_kernel must be odd.*got -1"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, got 1\.0"),
        ({"dropout": -0.1}, "got -0.1"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)


def test_one_unit_is_a_network() -> None:
    model = STGCN(Config(widths=(4,), strides=(1,)), SKELETONS["sbu15"], 2).eval()
    assert model(torch.zeros(1, 3, 2, 15, 1)).shape == (1, 2)


def test_registry() -> None:
    config = replace(best(), widths=(4,), strides=(1,))
    model = build(config, SKELETONS["sbu15"], 3)
    assert isinstance(model, STGCN)
    assert isinstance(model, ActionModel)
    assert model_name(config) == "stgcn"
    for name, (kind, settings) in MODELS.items():
        assert issubclass(kind, ActionModel)
        assert config_type(name) is settings
        assert model_name(settings()) == name
    with pytest.raises(ValueError, match="no model 'st-gcn'; did you mean 'stgcn'"):
        config_type("st-gcn")


@pytest.mark.parametrize("kernel", [1, 9])
def test_gradients_repeat_on_two_threads(kernel: int) -> None:
    """A strided 1x1 convolution of torch's CPU build writes out of bounds here; ours must not need one."""
    model = STGCN(Config(widths=(4, 8), strides=(1, 2), temporal_kernel=kernel), SKELETONS["ntu25"], 3)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for count in range(8, 16):
            x = torch.randn(count, 3, 16, 25, 2, generator=torch.Generator().manual_seed(count))
            found = []
            for _ in range(2):
                model.zero_grad()
                model(x).square().sum().backward()
                found.append([parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None])
            assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))
    finally:
        torch.set_num_threads(threads)
