"""The forms of networks for answers give what the networks give, whatever the clips, and leave the networks alone."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bonegraph.inference.fast import FastModel, blocks, branches, convolution, fast, network, product, windows, winograd
from bonegraph.inference.fast.convolution import Convolution, documented_operations, has_onednn
from bonegraph.inference.fast.joints import Spatial
from bonegraph.inference.fast.product import Product, has_products
from bonegraph.inference.folding import Matrix
from bonegraph.models import agcn, msg3d, stgcn
from bonegraph.models.base import ActionModel
from bonegraph.skeleton import SKELETONS, Skeleton

from .strategies import skeletons
from .test_models import CONFIGS, JUNK, ONE_EACH, clips, make, small, told_apart

SHAPES = [(2, 7, 1), (3, 8, 2), (2, 1, 2), (1, 5, 3)]  # clips, frames, people


def same(ours: Tensor, theirs: Tensor, relative: float) -> None:
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert (ours - theirs).abs().max() <= relative * theirs.abs().max()


def kinds_of_clips(config: Any, count: int, frames: int, people: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Everybody and all; nobody as zeros; masked at random; the last person of the last clips not there."""
    x, visible = clips(config, count, frames, people, hidden=0.0)
    yield x, None
    yield x, visible
    x, visible = clips(config, count, frames, people)
    yield x, visible
    x, visible = x.clone(), visible.clone()
    x[1:, ..., -1], visible[1:, ..., -1] = 0, False
    yield x, None
    yield x, visible


@pytest.mark.parametrize("name", CONFIGS)
def test_fast_networks_are_the_same_functions(name: str) -> None:
    """To rounding in float64, where each operation is one that torch documents, and in float32 through oneDNN."""
    config = small(CONFIGS[name])
    model = make(config)
    for dtype, relative in ((torch.float64, 1e-11), (torch.float32, 1e-4)):
        model = model.to(dtype)
        quick = FastModel(model)
        for count, frames, people in SHAPES:
            if told_apart(config) and people > told_apart(config):
                continue
            for x, visible in kinds_of_clips(config, count, frames, people):
                with torch.no_grad():
                    same(quick(x.to(dtype), visible), model(x.to(dtype), visible), relative)


@pytest.mark.parametrize("name", ONE_EACH)
@settings(max_examples=3, deadline=None)
@given(body=skeletons(), frames=st.integers(1, 14), people=st.integers(1, 3), seed=st.integers(0, 99))
def test_on_any_skeleton(name: str, body: Skeleton, frames: int, people: int, seed: int) -> None:
    config = small(CONFIGS[name])
    model = make(config, body, seed).double()
    x, visible = clips(config, 2, frames, min(people, told_apart(config) or people), body)
    with torch.no_grad():
        quick = FastModel(model)
        for mask in (visible, None):
            same(quick(x, mask), model(x, mask), 1e-11)


@pytest.mark.parametrize("name", ["stgcn-released", "stgcn-paper", "kth-paper", "kth-best", "agcn-best"])
@pytest.mark.parametrize("frames", [1, 7, 30])
def test_through_tiles(name: str, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks too narrow to gain by Winograd's way give the same by it."""
    monkeypatch.setattr(winograd, "FEWEST", 1)
    monkeypatch.setattr(winograd, "SHORTEST", 1)
    config = small(CONFIGS[name])
    model = make(config)
    quick = FastModel(model)
    assert {part.stride for part in quick.modules() if isinstance(part, winograd.NineTaps)} == {(1, 1), (2, 1)}
    for x, visible in kinds_of_clips(config, 3, frames, 2):
        with torch.no_grad():
            same(quick(x.float(), visible), model(x.float(), visible), 1e-4)


@pytest.mark.parametrize("frames", [1, 6, 15, 32])
@pytest.mark.parametrize("window", [3, 5, 7])
def test_windows_in_tiles(window: int, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four windows at once give what each gives, in float64's neighbourhood, for clips that they fill or do not."""
    monkeypatch.setattr(windows, "SHORTEST", 1)
    monkeypatch.setattr(windows, "NARROWEST", 3)
    draw = torch.Generator().manual_seed(0)
    graph = torch.rand(3, window * 4, window * 4, generator=draw) / window
    part = msg3d.G3D(6, 6, 8, graph, window, 2, 1).eval()
    x = torch.randn(2, 6, frames, 4, generator=draw)
    one = windows.Windows(part)
    found = one(x)
    assert one._tiles is not None
    with documented_operations():
        same(one(x), found, 1e-5)
    exact = windows.Windows(part.double())
    same(found.double(), exact(x.double()), 1e-5)
    assert exact._tiles is None


@pytest.mark.parametrize("name", ["msg3d-released", "dualhead-released", "stf-best"])
def test_networks_through_tiles_of_windows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "SHORTEST", 1)
    config = small(CONFIGS[name])
    model = make(config)
    quick = FastModel(model)
    for x, visible in kinds_of_clips(config, 3, 21, 2):
        with torch.no_grad():
            same(quick(x.float(), visible), model(x.float(), visible), 1e-4)
    tiled = [part._tiles is not None for part in quick.modules() if isinstance(part, windows.Windows)]
    assert any(tiled) == (name != "stf-best")  # which has graphs of each row's own


@pytest.mark.parametrize(("variant", "last"), [(stgcn.released, 17), (stgcn.best, 5)])
def test_joints_that_a_subset_does_not_reach(variant: Any, last: int) -> None:
    """They come last, and have no products with its weights."""
    skeleton = SKELETONS["ntu25"]
    model = stgcn.STGCN(variant("quarter"), skeleton, num_classes=5).eval().double()
    quick = FastModel(model)
    spatial = [part for part in quick.modules() if isinstance(part, Spatial)]
    sizes = [[tuple(graph.shape) for name, graph in part.named_buffers() if name.endswith("graph")] for part in spatial]
    assert sizes == [[(3 * (25 - last), 25), (2 * last, 25)]] * 10
    x = torch.randn(2, 3, 9, 25, 1, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        same(quick(x), model(x), 1e-11)


@pytest.mark.parametrize("name", ONE_EACH)
def test_copies_answer_alike(name: str) -> None:
    """Deep copies and pickles, also of one that has answered, with two threads, within and without `inference_mode`."""
    quick = FastModel(make(small(CONFIGS[name])))
    x, _ = clips(quick.config, 2, 13, hidden=0.0)
    x = x.float()
    x[1, ..., -1] = 0
    first = quick(x)
    same(copy.deepcopy(quick)(x), first, 1e-6)
    same(pickle.loads(pickle.dumps(quick))(x), first, 1e-6)
    quick._nobody.clear()
    with torch.inference_mode():
        same(quick(x), first, 1e-6)  # nobody is kept from here ...
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        same(quick(x), first, 1e-5)  # ... and taken there
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "config",
    [
        replace(msg3d.best("quarter"), windows=(1, 3), window_dilation=2, widths=(12, 24), strides=(2, 3)),
        replace(msg3d.best("quarter"), windows=(), widths=(12,), strides=(1,), cumulative=True),
        replace(stgcn.best("quarter"), edge_importance=False, first_residual=True, widths=(8, 8), strides=(1, 3)),
        replace(stgcn.paper("quarter"), edge_importance=False, first_residual=False, widths=(8, 8), strides=(1, 1)),
    ],
)
def test_unusual_configurations(config: Any) -> None:
    model = make(config).double()
    x, visible = clips(config, 2, 11)
    with torch.no_grad():
        for mask in (None, visible):
            same(FastModel(model)(x, mask), model(x, mask), 1e-11)


@pytest.mark.parametrize("name", ONE_EACH)
def test_nobody(name: str) -> None:
    """Clips without anybody among others, alone, and batches of no clips."""
    config = small(CONFIGS[name])
    model = make(config).double()
    quick = FastModel(model)
    x, visible = clips(config)
    visible[1] = False
    x = torch.where(visible[:, None], x, JUNK)
    with torch.no_grad():
        same(quick(x, visible), model(x, visible), 1e-11)
        same(quick(x[1:2], visible[1:2]), model(x[1:2], visible[1:2]), 1e-11)
        zeros = torch.zeros_like(x)
        same(quick(zeros), model(zeros), 1e-11)


def test_a_head_that_takes_none_of_the_frames_somebody_is_in() -> None:
    """The coarse head of DualHead-Net takes every other frame; whoever is not in these does not count for it."""
    config = small(CONFIGS["dualhead-best"])
    model = make(config).double()
    x, visible = clips(config, 2, 6, 2, hidden=0.0)
    visible[0, ::2, :, 1] = False
    visible[1, ::2] = False
    x = torch.where(visible[:, None], x, JUNK)
    with torch.no_grad():
        same(FastModel(model)(x, visible), model(x, visible), 1e-11)


@pytest.mark.parametrize("name", ONE_EACH)
def test_in_bf16_the_answer_is_the_same(name: str) -> None:
    config = small(CONFIGS[name])
    model = make(config)
    quick = FastModel(model, "bf16")
    assert {value.dtype for part, value in quick.network.named_parameters() if "head" not in part} <= {torch.bfloat16}
    x, visible = clips(config)
    with torch.no_grad():
        plain, ours = model(x.float(), visible), quick(x.float(), visible)
    assert ours.dtype == torch.float32
    same(ours, plain, 0.05)
    assert not torch.equal(ours, plain)
    assert torch.equal(ours.argmax(dim=1), plain.argmax(dim=1))


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_largest_of_three_frames_is_a_max_pool(stride: int, frames: int) -> None:
    x = torch.randn(2, 3, frames, 4, generator=torch.Generator().manual_seed(0))
    x[0, 0, -1, 0] = float("nan")
    before = x.clone()
    plain = nn.functional.max_pool2d(x, (3, 1), (stride, 1), (1, 0))
    torch.testing.assert_close(branches._largest_of_three(x, stride), plain, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(x, before, rtol=0, atol=0, equal_nan=True)


def test_many_people_are_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(CONFIGS["dualhead-best"])
    quick = FastModel(make(config).double())
    x, visible = clips(config, 5, 9, 3)
    found = []
    for frames in (1, 20, 1000):
        monkeypatch.setattr(network, "FRAMES_AT_ONCE", frames)
        monkeypatch.setattr(blocks, "FRAMES_OF_SCALES", max(1, frames // 2))
        found.append(quick(x, visible))
    same(found[0], found[2], 1e-11)
    same(found[1], found[2], 1e-11)


@pytest.mark.parametrize("name", ["stgcn-released", "msg3d-released"])
def test_nobody_is_computed_once(name: str) -> None:
    config = small(CONFIGS[name])
    quick = FastModel(make(config).double())
    rows: list[int] = []
    quick.network.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    x, _ = clips(config, 4, 8, hidden=0.0)
    x[..., 1] = 0
    first = quick(x)
    assert sum(rows) == 5  # four people, and nobody
    assert torch.equal(quick(x), first)
    assert sum(rows) == 9
    for frames in range(1, 2 * network.LENGTHS_KEPT):  # what is kept has an end
        quick(x[:1, :, :1].expand(-1, -1, frames, -1, -1))
    assert len(quick._nobody) <= network.LENGTHS_KEPT


def test_the_model_is_left_alone() -> None:
    model = make(small(CONFIGS["msg3d-released"]))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modules = [type(module) for module in model.modules()]
    x, _ = clips(model.config)
    quick = FastModel(model)
    first = quick(x.float())
    assert [type(module) for module in model.modules()] == modules
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(value.requires_grad for value in model.parameters())
    with torch.no_grad():
        for value in model.parameters():
            value.zero_()
    assert torch.equal(quick(x.float()), first)
    assert not first.requires_grad


@pytest.mark.parametrize("name", ["stgcn-best", "msg3d-released", "local-paper"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_nan_is_told(name: str, value: float) -> None:
    """The ReLU of oneDNN would make an answer of it."""
    model = make(small(CONFIGS[name]))
    x, visible = clips(model.config, hidden=0.0)
    x = x.float()
    x[1, 0, 2, 3, 0] = value
    with torch.no_grad():
        for mask in (None, visible):
            ours, plain = FastModel(model)(x, mask), model(x, mask)
            assert torch.equal(ours.isfinite(), plain.isfinite())
            assert ours[0].isfinite().all()
        next(model.parameters()).fill_(float("nan"))
        assert not FastModel(model)(x[:1]).isfinite().any()
        assert not model(x[:1]).isfinite().any()


def test_every_model_has_faster_parts() -> None:
    for name in ONE_EACH:
        quick = FastModel(make(small(CONFIGS[name])))
        left = [type(module).__name__ for module in quick.modules() if type(module) in network.PARTS]
        assert left == []
        assert any(isinstance(module, Convolution) for module in quick.modules()), name


def test_only_what_answers_on_a_cpu_is_made_fast() -> None:
    model = make(small(CONFIGS["stgcn-best"]))
    assert isinstance(fast(model), FastModel)
    assert fast(model.train()) is model
    assert fast(model.eval().to("meta")) is model


def test_input_is_checked() -> None:
    model = make(small(CONFIGS["agcn-released"]))
    assert isinstance(model.config, agcn.Config)
    quick = FastModel(model)
    for shape in ((1, 3, 4, 14, 2), (1, 2, 4, 15, 2), (1, 3, 4, 15, 3)):
        with pytest.raises(ValueError, match="the input has") as ours:
            quick(torch.zeros(shape))
        with pytest.raises(ValueError) as theirs:
            model(torch.zeros(shape))
        assert str(ours.value) == str(theirs.value)


class TestOneDNN:
    """The undocumented operation, and life without it."""

    @pytest.fixture(autouse=True)
    def forgetful(self) -> Iterator[None]:
        has_onednn.cache_clear()
        yield
        has_onednn.cache_clear()

    @pytest.mark.parametrize("add", [False, True])
    @pytest.mark.parametrize("relu", [False, True])
    @pytest.mark.parametrize(("kernel", "stride", "dilation"), [(1, 1, 1), (1, 2, 1), (3, 2, 1), (3, 1, 3), (9, 1, 1)])
    def test_convolution(self, kernel: int, stride: int, dilation: int, relu: bool, add: bool) -> None:
        draw = torch.Generator().manual_seed(0)
        weight, bias = torch.randn(6, 5, kernel, 1, generator=draw), torch.randn(6, generator=draw)
        one = Convolution(weight, bias, stride=stride, dilation=dilation, relu=relu)
        for rows, frames in ((1, 1), (2, 7), (3, 12)):  # the order of the weights is that for the first of them
            x = torch.randn(rows, 5, frames, 4, generator=draw)
            plain = nn.functional.conv2d(x, weight, bias, (stride, 1), (kernel // 2 * dilation, 0), (dilation, 1))
            more = torch.randn(plain.shape, generator=draw) if add else None
            plain = plain if more is None else plain + more
            torch.testing.assert_close(one(x, more), plain.relu() if relu else plain, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("add", [False, True])
    @pytest.mark.parametrize("stride", [1, 2])
    def test_nine_taps(self, stride: int, add: bool) -> None:
        """In float64's neighbourhood as much as the direct sum, for whole tiles and others."""
        draw = torch.Generator().manual_seed(0)
        weight, bias = torch.randn(66, 64, 9, 1, generator=draw) / 30, torch.randn(66, generator=draw)
        one = winograd.NineTaps(weight, bias, stride=stride, relu=True)
        for rows, frames, joints in ((1, 64, 4), (2, 47, 2), (3, 25, 4), (2, 25, 1)):
            x = torch.randn(rows, 64, frames, joints, generator=draw)
            plain = nn.functional.conv2d(x.double(), weight.double(), bias.double(), (stride, 1), (4, 0))
            more = torch.randn(plain.shape, generator=draw) if add else None
            plain = (plain if more is None else plain + more).relu()
            before = torch.zeros(0) if more is None else more.clone()
            torch.testing.assert_close(one(x, more).double(), plain, rtol=0, atol=1e-5 * float(plain.max()))
            assert one._tiles is not None
            assert more is None or torch.equal(before, more)  # it is added, not written to

    @pytest.mark.parametrize("more", [1.0, AttributeError(), RuntimeError(), TypeError()])
    def test_nine_taps_on_a_torch_without_groups(
        self, monkeypatch: pytest.MonkeyPatch, more: float | Exception
    ) -> None:
        right = winograd.Tiles.__call__

        def other(self: winograd.Tiles, x: Tensor, add: Tensor | None) -> Tensor:
            if isinstance(more, Exception):
                raise more
            return right(self, x, add) + more

        monkeypatch.setattr(winograd.Tiles, "__call__", other)
        winograd.has_groups.cache_clear()
        try:
            assert not winograd.has_groups()
            weight, x = torch.randn(128, 128, 9, 1) / 30, torch.randn(1, 128, 20, 3)
            one = winograd.NineTaps(weight, None, stride=1, relu=False)
            plain = nn.functional.conv2d(x, weight, padding=(4, 0))
            torch.testing.assert_close(one(x), plain, rtol=1e-4, atol=1e-4)
        finally:
            winograd.has_groups.cache_clear()

    @pytest.mark.parametrize("stride", [1, 2])
    def test_transforms(self, stride: int) -> None:
        """Aᵀ [(G w) ⊙ (Bᵀ x)] is the sum over nine taps, in float64, and no product is wasted."""
        outputs, taps, inputs = winograd.transforms(stride)
        draw = torch.Generator().manual_seed(0)
        weight, x = (torch.randn(size, generator=draw).double() for size in (winograd.TAPS, inputs.shape[1]))
        parts = len(taps) // outputs.shape[1]
        products = ((taps @ weight) * (inputs @ x)).view(-1, parts).sum(dim=1)
        plain = x.unfold(0, winograd.TAPS, stride) @ weight
        torch.testing.assert_close(outputs @ products, plain, rtol=1e-12, atol=1e-12)
        assert len(taps) / len(outputs) == {1: 3, 2: 4}[stride]

    def results(self) -> tuple[Tensor, Tensor]:
        model: ActionModel = make(small(CONFIGS["msg3d-best"]))
        x, visible = clips(model.config)
        with torch.no_grad():
            return FastModel(model)(x.float(), visible), model(x.float(), visible)

    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BONEGRAPH_ONEDNN", "off")
        assert not has_onednn(torch.float32)
        same(*self.results(), 1e-4)

    @pytest.mark.parametrize("error", [AttributeError, RuntimeError, TypeError])
    def test_a_torch_without_it(self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
        def missing(self: Convolution, x: Tensor, add: Tensor | None) -> Tensor:
            raise error

        monkeypatch.setattr(Convolution, "_onednn", missing)
        assert not has_onednn(torch.float32)
        same(*self.results(), 1e-4)

    def test_a_torch_that_answers_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        other = Convolution._onednn
        monkeypatch.setattr(Convolution, "_onednn", lambda self, x, add: other(self, x, add) + 1)
        assert not convolution.has_onednn(torch.float32)
        same(*self.results(), 1e-4)


class TestProducts:
    """The other undocumented operation, and life without it."""

    @pytest.fixture(autouse=True)
    def forgetful(self) -> Iterator[None]:
        has_products.cache_clear()
        yield
        has_products.cache_clear()

    def check(self) -> None:
        """With biases of all rows and of each, sums and a ReLU, for more and fewer rows than the first time."""
        draw = torch.Generator().manual_seed(0)
        for inputs, outputs in ((1152, 96), (7, 5)):
            assert (inputs * outputs >= product.LARGE) == (inputs > 7)
            weight = torch.randn(inputs, outputs, generator=draw) / inputs**0.5
            for bias in (torch.randn(outputs, generator=draw), torch.randn(3, outputs, generator=draw)):
                for relu in (False, True):
                    one = Product(Matrix(weight, bias), relu=relu)
                    for rows in (3, 12, 6):
                        x = torch.randn(rows, inputs, generator=draw)
                        plain = x @ weight + (bias if bias.dim() == 1 else bias.repeat(rows // 3, 1))
                        for more in (None, torch.randn(rows, outputs, generator=draw)):
                            before = None if more is None else more.clone()
                            wanted = plain if more is None else plain + more
                            found = one(x, more)
                            torch.testing.assert_close(found, wanted.relu() if relu else wanted, rtol=1e-4, atol=1e-4)
                            assert more is None or (
                                before is not None and torch.equal(more, before)
                            )  # added, not written to

    def test_product(self) -> None:
        self.check()

    def test_copies(self) -> None:
        one = Product(Matrix(torch.randn(400, 300), torch.randn(300)), relu=True)
        x = torch.randn(4, 400)
        wanted = one(x)
        for other in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            torch.testing.assert_close(other(x), wanted)

    def test_what_is_no_number_stays_so(self) -> None:
        one = Product(Matrix(torch.randn(400, 300), torch.randn(300)), relu=True)
        with documented_operations():
            assert one(torch.full((4, 400), torch.nan)).isnan().all()

    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BONEGRAPH_ONEDNN", "off")
        assert not has_products(torch.float32)
        self.check()

    @pytest.mark.parametrize("error", [AttributeError, RuntimeError, TypeError])
    def test_a_torch_without_it(self, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
        def missing(self: Product, x: Tensor, add: Tensor | None) -> Tensor:
            raise error

        monkeypatch.setattr(Product, "_onednn", missing)
        assert not has_products(torch.float32)
        self.check()

    def test_a_torch_that_answers_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        other = Product._onednn
        monkeypatch.setattr(Product, "_onednn", lambda self, x, add: other(self, x, add) + 1)
        assert not has_products(torch.float32)
        self.check()
