"""A file of ONNX with weights and activations of 8 bits, and what that costs.

Static quantisation of onnxruntime: convolutions and matrix products compute with int8; the ranges of what goes in and
comes out of them are measured on clips that the network was trained on. Quantising while it runs (dynamic) would leave
convolutions as they are.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bonegraph.datasets.clips import Clips, TestOrder
from bonegraph.datasets.store import Store
from bonegraph.files import write_whole
from bonegraph.inference.export import Run, export, fixed_people, onnx_run, quiet
from bonegraph.inference.scoring import check_fits, score
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning
from bonegraph.transforms.pipeline import apply

Inputs = dict[str, NDArray[Any]]


class Cost(NamedTuple):
    """What 8 bits cost, each before and after.

    Attributes:
        accuracy: top-1 in [0, 1].
        size: of the file in bytes.
        milliseconds: median time of one clip on one thread.
        clips: how many the accuracy was measured on.
    """

    accuracy: tuple[float, float]
    size: tuple[int, int]
    milliseconds: tuple[float, float]
    clips: int


def export_int8(
    model: ActionModel,
    meaning: Meaning,
    path: Path,
    store: Store,
    ranges: NDArray[np.int64],
    measured: NDArray[np.int64],
    *,
    mask: bool = True,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Cost:
    """Write a network as ONNX with 8 bits, and measure what that costs.

    Args:
        model: in evaluation mode, on the CPU.
        meaning: of the checkpoint.
        path: ends in .onnx.
        store: with the skeleton and the classes of the checkpoint.
        ranges: numbers of clips that the ranges of activations are taken from.
        measured: numbers of clips that the accuracy is measured on.
        mask: as in `bonegraph.inference.export.export`.
        progress: show a progress bar.
        say: is told what is being done.

    Raises:
        ValueError: checkpoint and store do not fit, the network cannot be exported with all bits, or not be quantised;
            nothing is written.
    """
    check_fits(meaning, store)
    people = fixed_people(model)
    with tempfile.TemporaryDirectory() as folder:
        export(model, meaning, Path(folder) / path.name, mask=mask, say=say)
        whole = (Path(folder) / path.name).read_bytes()
    say(f"measuring ranges on {len(ranges)} clips")
    small = quantised(whole, calibration_inputs(meaning, store, ranges, mask=mask, people=people))
    one = next(calibration_inputs(meaning, store, ranges[:1], mask=mask, people=people))
    positions, visible = torch.from_numpy(one["positions"]), torch.from_numpy(one["visible"]) if mask else None
    accuracies, times = [], []
    for data in (whole, small):
        run = onnx_run(data)
        network = cast(ActionModel, OnnxNetwork(run, mask=mask, people=people))
        accuracies.append(score(network, meaning, store, measured, progress=progress).top(1))
        times.append(milliseconds(run, positions, visible))
    write_whole(path, small)
    return Cost((accuracies[0], accuracies[1]), (len(whole), len(small)), (times[0], times[1]), clips=len(measured))


class OnnxNetwork(nn.Module):
    """A file of ONNX in the place of a network: from positions and perhaps visibility to logits.

    Args:
        run: from `bonegraph.inference.export.onnx_run`.
        mask: whether the file has the input ``visible``.
        people: M of the file; 0 for any.
    """

    def __init__(self, run: Run, *, mask: bool, people: int) -> None:
        super().__init__()
        self.run, self.mask, self.people = run, mask, people

    def forward(self, positions: Tensor, visible: Tensor | None = None) -> Tensor:
        """(N, C, T, V, M) to (N, classes)."""
        if visible is None:
            visible = torch.ones_like(positions[:, 0], dtype=torch.bool)
        positions, visible = filled(positions, visible, self.people)
        return self.run(positions, visible if self.mask else None)


def filled(positions: Tensor, visible: Tensor, people: int) -> tuple[Tensor, Tensor]:
    """Brought to M people by nobody; 0 leaves them."""
    missing = (0, people - positions.shape[4]) if people else (0, 0)
    return nn.functional.pad(positions, missing), nn.functional.pad(visible, missing)


def calibration_inputs(
    meaning: Meaning, store: Store, clips: NDArray[np.int64], *, mask: bool, people: int
) -> Iterator[Inputs]:
    """Clips of a store as a file of ONNX takes them, one by one."""
    fetch = Clips(store, meaning.length, meaning.people)
    for order in TestOrder(clips, 1, meaning.length):
        batch = apply(meaning.transforms, fetch[order], meaning.skeleton, training=False)
        visible = torch.ones_like(batch.positions[:, 0], dtype=torch.bool) if batch.visible is None else batch.visible
        positions, visible = filled(batch.positions, visible, people)
        yield {"positions": positions.numpy()} | ({"visible": visible.numpy()} if mask else {})


def quantised(data: bytes, inputs: Iterator[Inputs]) -> bytes:
    """The same file with int8 convolutions and matrix products.

    Raises:
        ValueError: onnxruntime cannot quantise it.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Inputs | None:
            return next(inputs, None)

    with tempfile.TemporaryDirectory() as folder, quiet():
        whole, ready, small = (Path(folder) / f"{name}.onnx" for name in ("whole", "ready", "small"))
        whole.write_bytes(data)
        try:
            quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
            quantize_static(
                str(ready),
                str(small),
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "MatMul", "Gemm"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
            )
        except Exception as error:  # its own exceptions have no common base
            raise ValueError(f"onnxruntime cannot quantise it: {' '.join(str(error).split())[:200]}") from None
        proto = onnx.load(small)
    told = onnx.load_from_string(data).metadata_props
    del proto.metadata_props[:]
    proto.metadata_props.extend(told)
    result: bytes = proto.SerializeToString()
    return result


def milliseconds(run: Run, positions: Tensor, visible: Tensor | None, repeats: int = 11) -> float:
    """Median time of a clip."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        run(positions, visible)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:])
