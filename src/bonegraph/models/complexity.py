"""What a model costs: parameters, multiply-adds, memory of its activations, and time.

Multiply-adds are those of matrix products and convolutions, counted while a clip without numbers (torch's meta device)
passes through the network. Not counted are normalisation, activations, additions, means, max-pooling and softmax, which
take time because of the memory they touch rather than because of their arithmetic. Papers of the field write FLOPs for
one as well as for the other; here a multiply-add is two FLOPs.
"""

from __future__ import annotations

import copy
import statistics
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from bonegraph.models.base import ActionModel


@dataclass(frozen=True)
class Complexity:
    """The cost of one clip in evaluation mode.

    Attributes:
        parameters: learnable numbers.
        multiply_adds: of matrix products and convolutions.
        activation_bytes: the most memory that results between operations hold at once in float32, the clip among them
            and the weights not; what an operation needs inside is not known.
    """

    parameters: int
    multiply_adds: int
    activation_bytes: int

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.multiply_adds


def complexity(model: ActionModel, frames: int, people: int) -> Complexity:
    """Count what one clip costs; nothing is computed, so long clips and large models cost nothing here.

    Args:
        model: any; may lie on the meta device.
        frames: T, at least 1.
        people: M, at least 1; all of them present.

    Raises:
        ValueError: no frame or nobody.
    """
    clip = _clip(model, frames, people, "meta")
    weightless: dict[int, Any] = {id(value): value.detach().to("meta") for value in model.buffers()}
    weightless |= {id(value): nn.Parameter(value.detach().to("meta")) for value in model.parameters()}
    model = copy.deepcopy(model, weightless).eval()  # with these in place of the weights, which may be large
    memory, work = _Memory((*model.parameters(), *model.buffers())), FlopCounterMode(display=False)
    with torch.no_grad(), work, memory:  # the memory sees whole operations, not the parts that the counter looks into
        memory.note(clip)
        model(clip)
    return Complexity(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        multiply_adds=work.get_total_flops() // 2,
        activation_bytes=memory.most,
    )


def latencies(
    models: Mapping[str, ActionModel], frames: int, people: int, *, repeats: int = 7, progress: bool = True
) -> dict[str, float]:
    """Time of one clip on the CPU, in evaluation mode and float32.

    The models take turns, so that whatever else the machine does meets all of them; the first turn does not count.

    Args:
        models: by name.
        frames: T, at least 1.
        people: M, at least 1; all of them present.
        repeats: turns that count.
        progress: show a progress bar.

    Returns:
        Median seconds by name, on as many threads as `torch.get_num_threads` says.

    Raises:
        ValueError: no frame, nobody, or no repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}.")
    clips = {name: _clip(model, frames, people, "cpu") for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode(), tqdm(total=(1 + repeats) * len(models), desc="time", disable=not progress) as bar:
        for turn in range(1 + repeats):
            for name, model in models.items():
                model.eval()
                start = time.perf_counter()
                model(clips[name])
                if turn:
                    seconds[name].append(time.perf_counter() - start)
                bar.update()
    return {name: statistics.median(values) for name, values in seconds.items()}


def _clip(model: ActionModel, frames: int, people: int, device: str) -> Tensor:
    """(1, C, T, V, M)."""
    if frames < 1 or people < 1:
        raise ValueError(f"frames and people must be at least 1, got {frames} and {people}.")
    config, skeleton = _shape_of(model)
    return torch.zeros(1, config.in_channels, frames, skeleton.num_joints, people, device=device)


def _shape_of(model: Any) -> tuple[Any, Any]:
    return model.config, model.skeleton


class _Memory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the memory of every result from its operation to the end of its last use.

    Args:
        apart: tensors that do not count, nor do views of them.
    """

    def __init__(self, apart: tuple[Tensor, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._apart = [value.untyped_storage() for value in apart]
        self._alive = {id(storage) for storage in self._apart}

    def note(self, result: Tensor) -> None:
        """Count a result, unless it is a view of one that is counted."""
        storage = result.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key not in self._alive:
            self._alive.add(key)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in _tensors(results):
            self.note(result)
        return results


def _tensors(results: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor))
