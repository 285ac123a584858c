"""Gradients of gradients by our functions against those of torch, in float64: alone, and in the whole loss."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.models import stgcnpp
from bonegraph.models.base import kept_statistics
from bonegraph.models.registry import build
from bonegraph.objectives.stf import FocusLoss, focus_loss
from bonegraph.second_order import norm, products
from bonegraph.second_order.available import available
from bonegraph.second_order.mode import above, asked, second_order
from bonegraph.second_order.norm import batch_norm
from bonegraph.second_order.products import Steps, bmm, convolution

from .test_focus import NETWORKS, network
from .test_focus_losses import half_mask
from .test_msg3d import BODY

CASES = {
    "pointwise": ((1, 1), Steps((1, 1), (0, 0), (1, 1))),
    "pointwise, strided": ((1, 1), Steps((2, 1), (0, 0), (1, 1))),
    "temporal": ((3, 1), Steps((1, 1), (1, 0), (1, 1))),
    "temporal, strided": ((3, 1), Steps((2, 1), (1, 0), (1, 1))),
    "temporal, dilated": ((3, 1), Steps((1, 1), (4, 0), (4, 1))),
    "window": ((5, 1), Steps((2, 1), (4, 0), (2, 1))),
    "square": ((3, 2), Steps((2, 3), (1, 1), (1, 2))),
}


def drawn(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def case(name: str, last: bool, biased: bool, dtype: torch.dtype = torch.float64) -> tuple[Any, ...]:
    """Input, kernel, bias and steps."""
    kernel, steps = CASES[name]
    x, weight, bias = drawn((2, 4, 9, 5), (3, 4, *kernel), (3,), dtype=dtype)
    if last:
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    return x, weight, bias if biased else None, steps


def second(function: Callable[..., Tensor], values: list[Tensor], by: Tensor) -> list[Tensor | None]:
    """Value, first gradients, and the gradients of something that depends on the gradient of ``by``."""
    y = function()
    towards = drawn(tuple(y.shape), seed=1)[0].to(y.dtype)  # it has a gradient, too
    first = torch.autograd.grad(y, values, towards, retain_graph=True, allow_unused=True)
    (gradient,) = torch.autograd.grad(y, by, towards, create_graph=True)
    loss = (gradient * gradient.detach().cos()).sum() + (y * y).sum()
    return [y, *first, *torch.autograd.grad(loss, [*values, towards], allow_unused=True)]


def same(ours: list[Tensor | None], theirs: list[Tensor | None], tolerance: float = 1e-10) -> None:
    for one, other in zip(ours, theirs, strict=True):
        if one is None or other is None:
            present = one if other is None else other
            assert present is None or (present == 0).all()
        else:
            torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("by", ["input", "kernel"])
def test_convolution(name: str, last: bool, biased: bool, by: str) -> None:
    x, weight, bias, steps = case(name, last, biased)
    values = [x, weight] if bias is None else [x, weight, bias]
    of = x if by == "input" else weight
    same(
        second(lambda: convolution(x, weight, bias, steps), values, of),
        second(lambda: torch.conv2d(x, weight, bias, *steps), values, of),
    )


@pytest.mark.parametrize("name", CASES)
def test_convolution_in_float32(name: str) -> None:
    x, weight, bias, steps = case(name, True, True, torch.float32)
    values = [x, weight, bias]
    same(
        second(lambda: convolution(x, weight, bias, steps), values, x),
        second(lambda: torch.conv2d(x, weight, bias, *steps), values, x),
        tolerance=1e-4,
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fixed", [(), (0,), (1,), (2,), (0, 2)])
def test_gradcheck_of_convolution(name: str, fixed: tuple[int, ...]) -> None:
    """Also where the input, the kernel or the bias asks for no gradient."""
    kernel, steps = CASES[name]
    values = drawn((2, 2, 6, 4), (2, 2, *kernel), (2,))
    for place in fixed:
        values[place].requires_grad_(False)

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return convolution(x, weight, bias, steps)

    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)


def test_a_third_order() -> None:
    x, weight, _, steps = case("temporal", False, False)
    found = []
    for function in (convolution, lambda x, weight, bias, steps: torch.conv2d(x, weight, bias, *steps)):
        (first,) = torch.autograd.grad(function(x, weight, None, steps).pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(2).sum(), weight, create_graph=True)
        found.append(torch.autograd.grad(second.pow(2).sum(), (x, weight)))
    same(list(found[0]), list(found[1]))


def test_matrices() -> None:
    a, b = drawn((3, 4, 5), (3, 5, 2))
    for by in (a, b):
        same(second(lambda: bmm(a, b), [a, b], by), second(lambda: torch.bmm(a, b), [a, b], by))
    assert torch.autograd.gradgradcheck(bmm, (a, b))


@pytest.mark.parametrize("last", [False, True])
def test_batch_norm(last: bool) -> None:
    x, weight, bias = drawn((3, 4, 5, 2), (4,), (4,))
    if last:
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    running = [(torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)) for _ in range(2)]

    def ours() -> Tensor:
        return batch_norm(x, *running[0], weight, bias, 0.1, 1e-5)

    def theirs() -> Tensor:
        return functional.batch_norm(x, *running[1], weight, bias, True, 0.1, 1e-5)

    same(second(ours, [x, weight, bias], x), second(theirs, [x, weight, bias], x))
    same(list(running[0]), list(running[1]), tolerance=0)
    same(second(ours, [x, weight, bias], weight), second(theirs, [x, weight, bias], weight))


def test_gradcheck_of_batch_norm() -> None:
    values = drawn((3, 2, 3, 2), (2,), (2,))

    def function(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return batch_norm(x, None, None, weight, bias, 0.1, 1e-5)

    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)


def test_no_gradient_of_a_weight_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from bonegraph.second_order import products

    called = []
    kept = products.ConvolutionProducts.to_second

    def watched(self: Any, a: Tensor, g: Tensor) -> Tensor:
        called.append(g)
        return kept(self, a, g)

    monkeypatch.setattr(products.ConvolutionProducts, "to_second", watched)
    x, weight, bias, steps = case("temporal", True, True)
    y = convolution(x, weight, bias, steps)
    torch.autograd.grad(y.sum(), x, create_graph=True)
    assert called == []
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert len(called) == 1


def mask_of(masked: bool) -> Tensor | None:
    return half_mask() if masked else None


def loss_of(model: Any, x: Tensor, visible: Tensor | None, way: Any, lower: int = -2) -> dict[str, Tensor]:
    embed = 1.0 if hasattr(model, "focus") else 0.0
    wanted = FocusLoss(diverge=1, cohere=1, explore=1, embed=embed, second_order=way, lower=lower)
    with wanted.passes():
        branches = model.branches(x, visible)
        with kept_statistics(model):
            return focus_loss(wanted, branches, model.branches, x, visible)


def both(
    name: str, masked: bool, dtype: torch.dtype = torch.float64, lower: int = -2
) -> list[tuple[dict[str, Tensor], dict[str, Tensor | None], dict[str, Tensor]]]:
    """Losses, gradients and what the network is afterwards, ours and torch's."""
    found = []
    for way in ("own", "torch"):
        model, x = network(name)
        model = model.train().to(dtype)
        losses = loss_of(model, x.to(dtype), mask_of(masked), way, lower)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        gradients = {key: value.grad for key, value in model.named_parameters()}
        found.append((losses, gradients, model.state_dict()))
    return found


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("lower", [-3, -2])
def test_the_whole_loss_in_training(name: str, masked: bool, lower: int) -> None:
    """Values, and gradients of all parameters; running statistics are those of one pass."""
    (losses, gradients, state), (expected, reference, as_torch) = both(name, masked, lower=lower)
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-9, atol=0)
    largest = max(float(value.abs().max()) for value in reference.values() if value is not None)
    assert largest > 0
    for key, gradient in reference.items():
        ours = gradients[key]
        assert (ours is None) == (gradient is None), key
        if ours is not None and gradient is not None:
            torch.testing.assert_close(ours, gradient, rtol=1e-9, atol=1e-11 * largest, msg=key)
    for key, value in as_torch.items():
        torch.testing.assert_close(state[key], value, rtol=1e-12, atol=1e-12, msg=key)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_whole_loss_in_float32(name: str) -> None:
    (losses, gradients, _), (expected, reference, _) = both(name, True, torch.float32)
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-4, atol=1e-5)
    largest = max(float(value.abs().max()) for value in reference.values() if value is not None)
    for key, gradient in reference.items():
        ours = gradients[key]
        if ours is not None and gradient is not None:
            torch.testing.assert_close(ours, gradient, rtol=1e-2, atol=1e-3 * largest, msg=key)


def test_stgcnpp_too() -> None:
    model = build(stgcnpp.Config(widths=(12, 12, 12), strides=(1, 2, 1)), BODY, 4).double().train()
    x = drawn((3, 3, 8, 5, 2))[0].detach()
    found = []
    for way in ("own", "torch"):
        model.zero_grad()
        loss_of(model, x, None, way)["cohere"].backward()  # type: ignore[no-untyped-call]
        found.append([value.grad for value in model.parameters()])
    largest = max(float(value.abs().max()) for value in found[1] if value is not None)
    for ours, theirs in zip(*found, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11 * largest)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shift_gives_what_the_maps_give(name: str) -> None:
    """Where a network has one: the sum of the gradient of the maps over the frames that count and the joints."""
    model, x = network(name)
    with second_order(-2):
        branches = model.train().branches(x, half_mask())
    for branch in branches:
        found = branch.stages[-2]
        assert (found.shift is not None) == (name in ("msg3d", "stf"))
        assert all(stage.shift is None for stage in branch.stages if stage is not found)
        if found.shift is not None:
            assert found.frames is not None
            total = branch.stages[-1].maps.pow(2).sum()
            maps, shift = torch.autograd.grad(total, (found.maps, found.shift.by))
            expected = (maps * found.frames[:, None, :, None]).sum(dim=(2, 3))
            torch.testing.assert_close(shift, expected, rtol=1e-9, atol=1e-9)


def test_autocast() -> None:
    for name in NETWORKS:
        gradients = []
        for way in ("own", "torch"):
            model, x = network(name)
            model = model.train().float()
            with torch.autocast("cpu", torch.bfloat16):
                losses = loss_of(model, x.float(), None, way)
            assert all(loss.isfinite() for loss in losses.values())
            losses["cohere"].backward()  # type: ignore[no-untyped-call]
            found = [value.grad.flatten() for value in model.parameters() if value.grad is not None]
            assert all(value.isfinite().all() and value.dtype == torch.float32 for value in found)
            gradients.append(torch.cat(found))
        assert functional.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.9, name


def test_convolution_under_autocast_is_as_torch_has_it() -> None:
    x, weight, bias, steps = case("temporal", True, True, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = convolution(x, weight, bias, steps), torch.conv2d(x, weight, bias, *steps)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    assert torch.equal(ours, theirs)
    found = torch.autograd.grad(ours.float().sum(), (x, weight, bias))
    expected = torch.autograd.grad(theirs.float().sum(), (x, weight, bias))
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=2e-2, atol=2e-2)


def test_nothing_is_left_of_it_after_an_error() -> None:
    assert not asked(-2)
    with pytest.raises(RuntimeError, match="on purpose"), second_order(-2):
        assert asked(-2)
        with second_order(-3):
            assert asked(-3) and not asked(-2)
        assert asked(-2)
        with above(-1):
            raise RuntimeError("on purpose")
    assert not asked(-2)
    x, weight = drawn((1, 2, 3, 3), (2, 2, 1, 1))
    assert torch.conv2d(x, weight).grad_fn.name() == "ConvolutionBackward0"  # type: ignore[union-attr]


def test_only_blocks_above_the_stage_are_ours() -> None:
    x, weight = drawn((1, 2, 3, 3), (2, 2, 1, 1))

    def name(stage: int) -> str:
        with second_order(-2), above(stage):
            return torch.conv2d(x, weight).grad_fn.name()  # type: ignore[union-attr]

    assert name(-2) == name(-3) == "ConvolutionBackward0"
    assert name(-1) != "ConvolutionBackward0"
    with torch.no_grad(), second_order(-2), above(-1):
        assert not torch.conv2d(x, weight).requires_grad


def test_what_is_not_ours_is_torch_s() -> None:
    """Groups, paddings by name, one number a channel, evaluation."""
    x, weight = drawn((1, 2, 3, 3), (2, 1, 1, 1))
    with second_order(-2), above(-1):
        grouped = torch.conv2d(x, weight, groups=2)
        assert grouped.grad_fn.name() == "ConvolutionBackward0"  # type: ignore[union-attr]
        named = functional.conv2d(x, weight.expand(2, 2, 1, 1), padding="same")
        assert named.shape == x.shape
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            nn.BatchNorm2d(2)(torch.ones(1, 2, 1, 1))
        norm = nn.BatchNorm2d(2).double().eval()
        assert norm(x).grad_fn.name() == "NativeBatchNormBackward0"


@pytest.mark.parametrize("name", NETWORKS)
def test_ordinary_passes_are_untouched(name: str) -> None:
    """Bit for bit with and without a focus loss that needs no second order; without a mode there is no shift."""
    model, x = network(name)
    outputs = []
    for _ in range(2):
        branches = model.branches(x)
        assert all(stage.shift is None for branch in branches for stage in branch.stages)
        outputs.append([stage.maps for branch in branches for stage in branch.stages])
    with FocusLoss(diverge=1.0).passes(), FocusLoss(cohere=1.0, second_order="torch").passes():
        outputs.append([stage.maps for branch in model.branches(x) for stage in branch.stages])
    for found in outputs[1:]:
        assert all(torch.equal(one, other) for one, other in zip(outputs[0], found, strict=True))


@pytest.mark.parametrize("name", ["stgcn", "stf"])
def test_networks_still_compile_in_one_piece(name: str) -> None:
    model, x = network(name)
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager", fullgraph=True)(x)  # type: ignore[no-untyped-call]
        torch.testing.assert_close(compiled, model(x))


@pytest.mark.parametrize("name", ["convolution_backward", "native_batch_norm_backward"])
def test_a_torch_without_the_passes_is_left_to_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Without:
        def __getattr__(self, asked: str) -> object:
            if asked == name:
                raise AttributeError(asked)
            return getattr(torch.ops.aten, asked)

    assert available()
    monkeypatch.setattr(norm, "_ops", Without())
    monkeypatch.setattr(products, "_ops", Without())
    available.cache_clear()
    try:
        x, weight, bias, steps = case("temporal", last=True, biased=True)

        def ours() -> Tensor:
            with second_order(-2), above(-1):
                return functional.conv2d(x, weight, bias, *steps)

        def theirs() -> Tensor:
            return functional.conv2d(x, weight, bias, *steps)

        same(second(ours, [x, weight, bias], x), second(theirs, [x, weight, bias], x))
        assert "torch's own way" in caplog.text and not available()
    finally:
        monkeypatch.undo()
        available.cache_clear()
    assert available()
