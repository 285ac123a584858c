"""Weights of one model as the beginning of another."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from bonegraph.models import dualhead, msg3d, stf, stgcn
from bonegraph.models.base import ActionModel
from bonegraph.models.registry import build
from bonegraph.models.start import start_from
from bonegraph.skeleton import SKELETONS

BODY = SKELETONS["sbu15"]
BASE = msg3d.Config(widths=(6, 6, 8), dilations=(1, 2), gcn_scales=3, g3d_scales=2)
OWN = stf.Config(widths=(6, 6, 8), dilations=(1, 2), gcn_scales=3, g3d_scales=2)


def fitted(config: Any, classes: int = 3) -> ActionModel:
    """With statistics as after a training."""
    model = build(config, BODY, classes).train()
    for _ in range(20):
        model(torch.randn(4, config.in_channels, 8, 15, 2))
    return model.eval()


def test_stf_starts_as_its_backbone() -> None:
    base, model = fitted(BASE), build(OWN, BODY, 3).eval()
    assert start_from(model, base) == ["focus"]
    x, visible = torch.randn(2, 3, 8, 15, 2), torch.rand(2, 8, 15, 2) < 0.7
    torch.testing.assert_close(model(x, visible), base(x, visible), rtol=0, atol=0)


@pytest.mark.parametrize("people", [0, 2])
def test_a_further_input_channel_begins_without_effect(people: int) -> None:
    """Public 3-channel weights and the visibility channel of STF."""
    base = fitted(replace(BASE, people=people))
    model = build(replace(OWN, people=people, in_channels=4), BODY, 3).eval()
    assert start_from(model, base) == ["input channels 4 to 4", "focus"]
    x = torch.randn(2, 3, 8, 15, 2)
    for fourth in (torch.zeros(2, 1, 8, 15, 2), torch.ones(2, 1, 8, 15, 2)):
        torch.testing.assert_close(model(torch.cat([x, fourth], dim=1)), base(x), rtol=1e-5, atol=1e-6)


def test_two_further_channels_of_another_network() -> None:
    config = stgcn.Config(widths=(5, 6), strides=(1, 2), first_residual=True)
    base, model = fitted(replace(config, in_channels=2)), build(replace(config, in_channels=4), BODY, 3).eval()
    assert start_from(model, base) == ["input channels 3 to 4"]
    x = torch.randn(2, 4, 8, 15, 1)
    torch.testing.assert_close(model(x), base(x[:, :2]), rtol=1e-5, atol=1e-6)


def test_other_classes_get_new_heads() -> None:
    config = dualhead.Config(widths=(12, 12, 12), dilations=(1, 2), gcn_scales=2, g3d_scales=2)
    base, model = fitted(config, 3), build(config, BODY, 5).eval()
    before = model.state_dict()["fine_head.weight"].clone()
    assert start_from(model, base) == ["fine_head", "coarse_head"]
    assert torch.equal(model.state_dict()["fine_head.weight"], before)
    name = "backbone.spatial.conv.weight"
    assert torch.equal(model.state_dict()[name], base.state_dict()[name])


def test_what_does_not_fit_is_said_and_changes_nothing() -> None:
    base = fitted(BASE)
    for other, message in (
        (replace(BASE, widths=(6, 6, 12)), r"has the shape \(8,.*but \(12,.*start from a model of the same widths"),
        (stgcn.Config(widths=(4,), strides=(1,)), "the weights have 'blocks.*', which the model has not"),
        (replace(BASE, windows=(3, 5, 7)), "the weights lack 'blocks.*windows.2"),
    ):
        model = build(other, BODY, 3)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        with pytest.raises(ValueError, match=message):
            start_from(model, base)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match="same widths"):
        start_from(build(replace(BASE, in_channels=2), BODY, 3), base)
