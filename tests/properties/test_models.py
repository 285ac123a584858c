"""What every model keeps to, whoever wrote it: each line of the contract, over every variant of every registered model.

A new model is tested here as soon as it is in the registry. If its configuration has fields that `small` does not know
how to shrink, the first test says so.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from bonegraph.inference.export import Run, least_frames, onnx_bytes, onnx_run, traced
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, load_checkpoint, save_checkpoint
from bonegraph.models.registry import MODELS, VARIANTS, build, model_name
from bonegraph.plain import from_plain, to_plain
from bonegraph.sample import Batch
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

from .strategies import skeletons

BODY = SKELETONS["sbu15"]
CLASSES = ("a", "b", "c", "d")
JUNK = float("nan")
MOST_PARAMETERS = 150_000  # a network of full width has millions
CONFIGS = {f"{name}-{variant}": make() for name, found in VARIANTS.items() for variant, make in found.items()}
ONE_EACH = [f"{name}-{list(found)[-1]}" for name, found in VARIANTS.items()]  # for what takes long
EVERYTHING = os.environ.get("BONEGRAPH_EXPORT") == "all"  # every variant, as ONNX: minutes, `make exports`
MOST_NODES = 320  # of a network that becomes ONNX without it


def told_apart(config: Any) -> int:
    """M whom the input normalisation tells apart, 0 where all people are alike."""
    return int(getattr(config, "people", 0))


def small(config: Any) -> Any:
    """The configuration with few, narrow units: numbers from 32 on are channels, and every ``stride`` has a width."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        several = isinstance(value, tuple)
        numbers = [number for number in (value if several else (value,)) if type(number) is int]
        if max(numbers, default=0) >= 32:
            value = tuple(number // 8 for number in numbers) if several else value // 8
        elif field.name.endswith("scales"):
            value = min(value, 3)
        elif field.name.endswith("dropout") and isinstance(value, float):
            value = 0.0
        changes[field.name] = value
    if len(changes.get("strides", ())) == len(changes.get("widths", ())) > 1:
        changes["widths"] = (changes["widths"][0], 2 * changes["widths"][0])
        changes["strides"] = (changes["strides"][0], max(changes["strides"]))
    return dataclasses.replace(config, **changes)


def make(config: Any, body: Skeleton = BODY, seed: int = 0) -> ActionModel:
    """A model as in the midst of a training: nothing is 0 or 1 by construction, and the statistics fit the weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(config, body, len(CLASSES), np.arange(float(body.num_joints))).train()
        norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.add_(0.2 * torch.rand_like(value) if name.endswith("bias") else 0.1 * torch.randn_like(value))
            for norm in norms:
                norm.weight.uniform_(0.5, 1.5)
                norm.momentum = 1.0
            model(torch.randn(4, config.in_channels, 8, body.num_joints, 2))
            for norm in norms:
                norm.momentum = 0.1
    return model.eval()


class Case(NamedTuple):
    """A small network and a batch for it, in float64."""

    model: ActionModel
    x: Tensor  # (N, C, T, V, M)
    visible: Tensor  # (N, T, V, M), some joints, frames and people hidden

    def logits(self, x: Tensor | None = None, visible: Tensor | None = None) -> Tensor:
        with torch.no_grad():
            result: Tensor = self.model(self.x if x is None else x, visible)
        return result


def clips(
    config: Any, count: int = 3, frames: int = 8, people: int = 2, body: Skeleton = BODY, hidden: float = 0.3
) -> tuple[Tensor, Tensor]:
    """Positions, 0 where invisible, and the mask; somebody is seen in each clip."""
    draw = torch.Generator().manual_seed(zlib.crc32(f"{count} {frames} {people}".encode()))
    shape = (count, frames, body.num_joints, people)
    visible = torch.rand(shape, generator=draw) >= hidden
    visible &= torch.rand(count, frames, 1, people, generator=draw) >= hidden / 2
    visible[:, 0, 0, 0] = True
    x = torch.randn(count, config.in_channels, *shape[1:], generator=draw, dtype=torch.float64)
    return x * visible[:, None], visible


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> Any:
    """A small configuration of every variant."""
    return small(CONFIGS[request.param])


@pytest.fixture
def case(config: Any) -> Case:
    return Case(make(config).double(), *clips(config))


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_model_has_a_small_configuration(name: str) -> None:
    """Or the tests below take minutes: teach `small` the fields of the model."""
    config = small(CONFIGS[name])
    count = sum(value.numel() for value in make(config).parameters())
    assert count <= MOST_PARAMETERS, f"'{name}' has {count:,} parameters after `small`, which left {config}"


def test_every_model_has_variants() -> None:
    assert list(VARIANTS) == list(MODELS)
    for key, config in CONFIGS.items():
        assert model_name(config) == key.partition("-")[0]
        assert type(build(small(config), BODY, 2, np.arange(15.0))) is MODELS[model_name(config)][0]


@pytest.mark.parametrize("name", ONE_EACH)
def test_without_classes_there_is_no_network(name: str) -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 1, got 0"):
        build(small(CONFIGS[name]), BODY, 0, np.arange(15.0))


@pytest.mark.parametrize("name", CONFIGS)
def test_configuration_goes_to_plain_and_back(name: str) -> None:
    for config in (CONFIGS[name], small(CONFIGS[name])):
        assert from_plain(type(config), json.loads(json.dumps(to_plain(config)))) == config


def test_clips_do_not_depend_on_their_batch(case: Case) -> None:
    for mask in (None, case.visible):
        together = case.logits(visible=mask)
        for clip in range(len(case.x)):
            one = slice(clip, clip + 1)
            close(case.logits(case.x[one], None if mask is None else mask[one]), together[one])


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if not told_apart(config)])
def test_the_order_of_people_does_not_matter(name: str) -> None:
    config = small(CONFIGS[name])
    case = Case(make(config).double(), *clips(config))
    close(case.logits(case.x.flip(-1)), case.logits())
    close(case.logits(case.x.flip(-1), case.visible.flip(-1)), case.logits(visible=case.visible))


def test_absent_people_change_nothing(case: Case) -> None:
    x, visible = case.x[..., :1], case.visible[..., :1]
    alone = case.logits(x, visible)
    assert alone.isfinite().all()
    nobody = torch.zeros_like(visible)
    close(case.logits(torch.cat([x, torch.full_like(x, JUNK)], -1), torch.cat([visible, nobody], -1)), alone)
    if not told_apart(case.model.config):
        close(case.logits(torch.cat([torch.full_like(x, JUNK), x], -1), torch.cat([nobody, visible], -1)), alone)


def test_hidden_values_change_nothing(case: Case) -> None:
    close(
        case.logits(torch.where(case.visible[:, None], case.x, JUNK), case.visible), case.logits(visible=case.visible)
    )


def test_hidden_frames_change_nothing(case: Case) -> None:
    """A clip has the same logits alone and padded to the length of a longer one."""
    more = torch.full_like(case.x[:, :, :4], JUNK)
    hidden = torch.zeros_like(case.visible[:, :4])
    padded = case.logits(torch.cat([case.x, more], 2), torch.cat([case.visible, hidden], 1))
    close(padded, case.logits(visible=case.visible))


def test_what_is_seen_changes_something(case: Case) -> None:
    """Otherwise the tests above would say little."""
    before = case.logits(visible=case.visible)
    for clip, frame, joint, person in ((0, 0, 0, 0), *case.visible.nonzero()[[5, 50, -1]].tolist()):
        assert case.visible[clip, frame, joint, person]
        x = case.x.clone()
        x[clip, :, frame, joint, person] += 1
        assert (case.logits(x, case.visible)[clip] - before[clip]).abs().max() > 1e-9


@pytest.mark.parametrize("masked", [False, True])
def test_no_dead_parameter(config: Any, masked: bool) -> None:
    """Each parameter changes the logits; one that sits behind a closed ReLU by chance has a second and third chance.

    In evaluation: in training a batch normalisation takes out the bias before it, as in the released code.
    """
    x, visible = clips(config)
    dead: set[str] = set()
    for seed in range(3):
        model = make(config, seed=seed).double()
        logits = model(x, visible if masked else None)
        (logits * torch.arange(logits.numel()).view_as(logits).cos()).sum().backward()
        grads = {name: value.grad for name, value in model.named_parameters()}
        assert [name for name, grad in grads.items() if grad is None or not grad.isfinite().all()] == []
        zero = {name for name, grad in grads.items() if grad is not None and not grad.any()}
        dead = zero & dead if seed else zero
        if not dead:
            return
    pytest.fail(f"no gradient reaches {', '.join(sorted(dead))}")


@pytest.mark.parametrize("frames", [1, 2, 7, 30])
def test_any_number_of_frames(config: Any, frames: int) -> None:
    model = make(config).double()
    x, _ = clips(config, 2, frames, hidden=0.0)
    with torch.no_grad():
        logits = model(x)
        assert logits.shape == (2, len(CLASSES)) and logits.isfinite().all()
        close(model(x, torch.ones_like(x[:, 0], dtype=torch.bool)), logits)  # a mask that hides nobody is none
    x, visible = clips(config, 2, frames)
    loss = model.train().loss(Batch(x, visible, *torch.arange(6).view(3, 2) % 4)).total
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in model.parameters())


@settings(max_examples=3, derandomize=True)
@given(body=skeletons())
@pytest.mark.parametrize("name", CONFIGS)
def test_any_skeleton(name: str, body: Skeleton) -> None:
    config = small(CONFIGS[name])
    x, visible = clips(config, 2, 5, body=body)
    with torch.no_grad():
        logits = make(config, body).double()(x, visible)
    assert logits.shape == (2, len(CLASSES)) and logits.isfinite().all()


@pytest.mark.parametrize("channels", [2, 4])
def test_two_and_four_channels(config: Any, channels: int) -> None:
    model = make(dataclasses.replace(config, in_channels=channels)).double()
    x, visible = clips(model.config, 2, 5)
    assert x.shape[1] == channels
    with torch.no_grad():
        for mask in (None, visible):
            logits = model(x, mask)
            assert logits.shape == (2, len(CLASSES)) and logits.isfinite().all()
    with pytest.raises(ValueError, match=f"3 channels and 15 joints, but the network takes {channels} channels"):
        model(torch.zeros(1, 3, 4, 15, 1, dtype=torch.float64))


def test_saves_and_loads_to_the_last_bit(config: Any, tmp_path: Path) -> None:
    model = make(config)
    meaning = Meaning(BODY, CLASSES, Transforms(), Length(), people=2, fps=30.0, unit="m")
    loaded, about = load_checkpoint(save_checkpoint(tmp_path / "model.safetensors", model, meaning))
    assert type(loaded) is type(model) and loaded.config == config and about == meaning
    x, visible = clips(config)
    with torch.no_grad():
        for mask in (None, visible):
            assert torch.equal(loaded(x.float(), mask), model(x.float(), mask))


def test_float64(config: Any) -> None:
    model, (x, visible) = make(config), clips(config)
    with torch.no_grad():
        single = model(x.float(), visible)
        double = model.double()(x, visible)
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3 * float(double.abs().max()))


def test_a_step_lowers_the_loss_and_leaves_the_input_alone(config: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = build(config, BODY, len(CLASSES), np.arange(15.0)).train()
    x, visible = clips(config, 4)
    batch = Batch(x.float(), visible, *torch.arange(4).repeat(3, 1))
    before = batch.positions.clone(), batch.visible.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model.loss(batch).total
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert torch.equal(batch.positions, before[0]) and torch.equal(batch.visible, before[1])


@pytest.mark.parametrize("name", ONE_EACH)
def test_gradients_repeat_on_two_threads(name: str) -> None:
    """A strided 1x1 convolution of torch's CPU build writes out of bounds here; ours must not need one."""
    config = small(CONFIGS[name])
    model = make(config).train()
    for place, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and max(module.kernel_size) == 1:
            assert max(module.stride) == 1, f"{place}: pick the frames before the convolution, as Shortcut does"
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for count in (9, 14):
            x = clips(config, count, 16, hidden=0.0)[0].float()
            found = []
            for _ in range(2):
                model.zero_grad()
                model(x).square().sum().backward()
                found.append([value.grad.clone() for value in model.parameters() if value.grad is not None])
            assert all(torch.equal(first, second) for first, second in zip(*found, strict=True))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("name", CONFIGS if EVERYTHING else ONE_EACH)
def test_exports(name: str) -> None:
    """The network as one graph of operators, for any N and T; and as ONNX, which takes a minute for large ones."""
    config = small(CONFIGS[name])
    model = make(config)
    program = traced(model)
    network, least = program.module(), least_frames(program)
    assert least <= 9
    runs: list[Run] = [lambda positions, visible: network(positions=positions, visible=visible)]
    if EVERYTHING or len(program.graph.nodes) <= MOST_NODES:
        data = onnx_bytes(program, {})
        print(f"{name}: {len(program.graph.nodes)} nodes, {len(data):,} bytes of ONNX")  # `make exports` shows it
        runs.append(onnx_run(data))
    for count, frames in ((1, least), (2, 18), (3, 11)):
        x, visible = clips(config, count, frames)
        with torch.no_grad():
            expected = model(x.float(), visible)
            found = [run(x.float(), visible) for run in runs]
        for logits in found:
            torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
