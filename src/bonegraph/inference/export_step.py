"""One step of a stream as a file of ONNX: new frames and a state in, features and the next state out.

The graph is `FrameNetwork.step` for blocks of a fixed number of frames, a multiple of the network's stride, so that the
phases of its strided units are the same in every block. R, the people, is free. A state of zeros is that of somebody
who comes now.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.export import Dim

from bonegraph.inference.export import (
    check_target,
    first_line,
    make_portable,
    onnx_bytes,
    onnx_session,
    quiet,
    write_checked,
)
from bonegraph.inference.fast.convolution import documented_operations
from bonegraph.inference.stream.causal import obstacle
from bonegraph.inference.stream.network import FrameNetwork
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, described

FORMAT = "bonegraph step 1"
_ROWS = (1, 3)
"""People of the streams that a file is tried with."""


class ExportedStep(NamedTuple):
    """A file that was written.

    Attributes:
        path: of the file.
        error: the largest relative error of logits and states over the blocks that it was checked on.
        blocks: how many these were.
        size: of the file in bytes.
        frames: F, of a block.
        latency: frames by which the features lag.
    """

    path: Path
    error: float
    blocks: int
    size: int
    frames: int
    latency: int


class _Step(nn.Module):
    """Gives the inputs their order: frames, who is seen, and the state."""

    def __init__(self, network: FrameNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, positions: Tensor, visible: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        like = self.network.start(1)
        features, counts, after = self.network.step(positions, visible, like.like(state), masked=True)
        logits = _of_each(self.network, features)
        return logits, features, counts, *after.tensors()


def _of_each(network: FrameNetwork, features: Float[Tensor, "r g d"]) -> Float[Tensor, "r g classes"]:
    """Logits of every feature."""
    return network.logits(features.flatten(0, 1)).view(*features.shape[:2], -1)


def export_step(
    model: ActionModel,
    meaning: Meaning,
    path: str | Path,
    *,
    block: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> ExportedStep:
    """Write a step of a stream, if it gives the numbers of the network over many blocks.

    Args:
        model: in evaluation mode, on the CPU.
        meaning: of the checkpoint.
        path: ends in .onnx.
        block: F, frames of a step, a multiple of the network's stride; 0 is the stride itself.
        say: is told what is being done.

    Raises:
        ValueError: the network or its transforms take whole clips, which the message names; the block is no multiple of
            the stride; as `check_target`; torch cannot export it; or the numbers differ, in which case nothing is
            written.
        OSError: the file cannot be written; nothing half-written stays.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"a step is written as ONNX; let '{path.name}' end in .onnx.")
    check_target(path)
    if reason := obstacle(meaning):
        raise ValueError(f"a step needs frames that come one by one: {reason}.")
    network = FrameNetwork(model, max(1, meaning.transforms.zero_padded))
    frames = block or network.stride
    if frames < 1 or frames % network.stride:
        raise ValueError(f"the block must be a multiple of the stride {network.stride}, got {block}.")
    say("tracing the step")
    data = _onnx(network, frames, _told(model, meaning, network, frames))
    say("comparing the numbers")
    error, blocks = write_checked(path, data, lambda: largest_error(network, step_run(data), frames))
    return ExportedStep(path, error, blocks, len(data), frames, network.latency)


Outputs = tuple[Float[Tensor, "r g classes"], Float[Tensor, "r g d"], Bool[Tensor, "r g"], list[Tensor]]
Run = Callable[[Float[Tensor, "r f v c"], Bool[Tensor, "r f v"], list[Tensor]], Outputs]


def step_run(data: bytes) -> Run:
    """Run a step on the CPU, on one thread."""
    session = onnx_session(data)

    def run(positions: Tensor, visible: Tensor, state: list[Tensor]) -> Outputs:
        names = [value.name for value in session.get_inputs()]
        given = dict(zip(names, (tensor.numpy() for tensor in (positions, visible, *state)), strict=True))
        logits, features, counts, *after = (torch.from_numpy(found) for found in session.run(None, given))
        return logits, features, counts, after

    return run


def largest_error(network: FrameNetwork, run: Run, frames: int) -> tuple[float, int]:
    """The largest difference from the network, relative to the largest value of each output, and over how many blocks.

    Each side goes on from its own state, for longer than the network looks back. Joints and frames are hidden, and
    somebody is gone for a block.
    """
    errors, count = [], -(-2 * network.latency // frames) + 4
    draw = torch.Generator().manual_seed(frames)
    for rows in _ROWS:
        state = network.start(rows)
        theirs = state.tensors()
        for number in range(count):
            shape = (rows, frames, network.joints)
            visible = torch.rand(shape, generator=draw) < 0.9
            visible &= torch.rand(rows, frames, 1, generator=draw) < 0.9
            if number == 0:
                visible[:, : network.lead] = False
            if number == count // 2:
                visible[-1] = False
            x = torch.where(visible[..., None], torch.randn(*shape, network.channels, generator=draw), 0)
            with torch.no_grad(), documented_operations():
                features, counts, state = network.step(x, visible, state, masked=True)
                logits = _of_each(network, features)
            got, found, seen, theirs = run(x, visible, theirs)
            for ours, other in zip(
                (logits, features, counts, *state.tensors()), (got, found, seen, *theirs), strict=True
            ):
                difference = (ours.float() - other.float()).abs()
                largest = ours.float().abs().max() if ours.numel() else torch.ones(())
                errors.append(float(difference.max() / largest.clamp(min=1e-6)) if ours.numel() else 0.0)
    return float(np.max(errors)), len(_ROWS) * count  # np.max keeps what is no number


def _onnx(network: FrameNetwork, frames: int, told: dict[str, str]) -> bytes:
    """The graph of a step.

    Raises:
        ValueError: torch cannot make it.
    """
    state = network.start(2).tensors()
    shape = (2, frames, network.joints)
    inputs: tuple[Any, ...] = (torch.randn(*shape, network.channels), torch.ones(shape, dtype=torch.bool), state)
    people = {0: Dim.DYNAMIC}
    try:
        with quiet(), torch.no_grad(), documented_operations():
            program = torch.export.export(
                _Step(network).eval(), inputs, dynamic_shapes=(people, people, [people for _ in state])
            )
    except Exception as error:  # torch has many, without a common base
        raise ValueError(f"torch cannot export the step: {first_line(error)}") from None
    make_portable(program)
    numbers = range(len(state))
    inputs_named = {"positions": "R F V C", "visible": "R F V"} | {f"state_{number}": "R" for number in numbers}
    outputs_named = {"logits": "R G classes", "features": "R G D", "counts": "R G"}
    outputs_named |= {f"next_{number}": "R" for number in numbers}
    return onnx_bytes(program, told, inputs=inputs_named, outputs=outputs_named)


def _told(model: ActionModel, meaning: Meaning, network: FrameNetwork, frames: int) -> dict[str, str]:
    """What the file tells: that of a checkpoint, and what a step is."""
    shape = {
        "axes": "R F V C: people, frames of a block, joints, channels",
        "sizes": {"R": None, "F": frames, "V": network.joints, "C": network.channels, "G": frames // network.stride},
        "stride": network.stride,
        "lead": network.lead,
        "latency": network.latency,
        "states": len(network.start(1).tensors()),
    }
    return {"format": FORMAT, **described(model, meaning), "input": json.dumps(shape)}
