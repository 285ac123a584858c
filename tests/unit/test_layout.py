"""Maps and their gradients lie in memory alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bonegraph.models.layout import channels_last, every_frame, ordered
from bonegraph.models.registry import VARIANTS, build
from bonegraph.sample import Batch
from bonegraph.skeleton import SKELETONS

ORDER = torch.channels_last
MAPS = 2
"""Maps that go back through an operation: the gradient, and what it is a gradient of."""


def test_a_gradient_in_another_order_goes_on_in_that_of_the_map() -> None:
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    y = channels_last(x)
    seen: list[Tensor] = []
    y.register_hook(seen.append)  # type: ignore[no-untyped-call]  # after that of the module
    weight = torch.randn(2, 3, 4, 5)
    (gradient,) = torch.autograd.grad((y * weight).sum(), x)
    assert y.is_contiguous(memory_format=ORDER)
    assert weight.is_contiguous() and seen[0].is_contiguous(memory_format=ORDER)
    assert torch.equal(gradient, weight)


def test_a_map_that_is_changed_afterwards_keeps_its_gradient() -> None:
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)

    def changed(x: Tensor) -> Tensor:
        return ordered(2 * x).tanh_()

    assert torch.autograd.gradcheck(changed, x)
    assert torch.autograd.gradgradcheck(changed, x)


def test_no_hook_where_nothing_is_differentiated() -> None:
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    with torch.no_grad():
        assert ordered(2 * x)._backward_hooks is None
    assert ordered(x.detach())._backward_hooks is None


@pytest.mark.parametrize("step", [1, 2, 3])
def test_every_frame_is_a_view_whose_gradient_lies_as_the_map(step: int) -> None:
    x = torch.randn(2, 3, 7, 4, requires_grad=True)
    y = x.contiguous(memory_format=ORDER)
    seen: list[Tensor] = []
    y.register_hook(seen.append)  # type: ignore[no-untyped-call]
    found = every_frame(y, step)
    assert torch.equal(found, x[:, :, ::step])
    assert found.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    weight = torch.randn(2, 3, 7, 4)[:, :, ::step].contiguous(memory_format=ORDER)
    (gradient,) = torch.autograd.grad((found * weight).sum(), x)
    assert seen[0].is_contiguous(memory_format=ORDER)
    assert torch.equal(gradient[:, :, ::step], weight)
    assert gradient.count_nonzero() == weight.count_nonzero()


class Mixed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Which passes back through a normalisation or a ReLU meet maps that lie unlike each other, or with gaps."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counted, self.found = 0, list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        if name in ("aten::native_batch_norm_backward", "aten::threshold_backward"):
            gradient, x = args[:MAPS]
            self.counted += x.dim() == 4
            if x.dim() == 4 and not (dense(x) and dense(gradient)):
                self.found.append(f"{name} {tuple(x.shape)} {gradient.stride()} {x.stride()}")
        return func(*args, **(kwargs or {}))


def dense(x: Tensor) -> bool:
    """Channels side by side without gaps; where all numbers of an axis are one, there is nothing to read."""
    places = [axis for axis in (1, 3, 2, 0) if x.stride(axis)]
    size = 1
    for axis in places:
        if x.shape[axis] > 1 and x.stride(axis) != size:
            return False
        size *= x.shape[axis]
    return True


def batches() -> Iterator[Batch]:
    """One where everybody is seen all the time, one with frames that nobody sees."""
    for hidden in (0, 4):
        x = torch.randn(2, 3, 12, 25, 2)
        visible = torch.ones(2, 12, 25, 2, dtype=torch.bool)
        visible[0, 12 - hidden :] = False
        yield Batch(x, visible, torch.tensor([0, 1]), torch.arange(2), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("name", ["stgcn", "msg3d", "dualhead", "stf"])
def test_a_step_of_training_goes_back_in_one_order(name: str) -> None:
    torch.manual_seed(0)
    model = build(VARIANTS[name]["released" if name != "stf" else "best"]("quarter", 3), SKELETONS["ntu25"], 3)
    for batch in batches():
        loss = model.train().loss(batch).total
        with Mixed() as mixed:
            loss.backward()  # type: ignore[no-untyped-call]
        assert mixed.counted > 20
        assert not mixed.found
