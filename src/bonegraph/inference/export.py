"""A checkpoint as a file for other runtimes: ONNX, or a program of `torch.export`.

The file holds the network alone, from what the transforms give to logits, and tells everything else about it that a
checkpoint tells: class names, skeleton, transforms, length rule, frame rate. It is written only if it gives the numbers
of the network, on clips of several lengths, numbers of people and masks.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bonegraph.files import write_whole
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, described

FORMAT = "bonegraph export 1"
LIMIT = 1e-4
"""The largest relative error of a file that is written."""
SUFFIXES = (".onnx", ".pt2")
INSTALL = "pip install -c constraints.txt -e '.[export]'"
INPUTS = {"positions": "N C T V M", "visible": "N T V M"}
"""Name -> axes of the inputs of a network."""
OUTPUTS = {"logits": "N classes"}
_UNKNOWN_LENGTH = 64  # T to check with where the length rule takes all frames

Run = Callable[[Float[Tensor, "n c t v m"], Bool[Tensor, "n t v m"] | None], Float[Tensor, "n classes"]]


class Exported(NamedTuple):
    """A file that was written.

    Attributes:
        path: of the file.
        error: the largest relative error over the batches that it was checked on.
        batches: how many these were.
        size: of the file in bytes.
        least_frames: the fewest frames that it takes.
    """

    path: Path
    error: float
    batches: int
    size: int
    least_frames: int


class _Masked(nn.Module):
    """Gives the inputs their names."""

    def __init__(self, model: ActionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, positions: Tensor, visible: Tensor) -> Tensor:
        logits: Tensor = self.model(positions, visible)
        return logits


class _Unmasked(_Masked):
    def forward(self, positions: Tensor) -> Tensor:  # type: ignore[override]
        logits: Tensor = self.model(positions)
        return logits


def check_target(path: Path) -> None:
    """See that a file of this name can be exported, before anything takes time.

    Raises:
        ValueError: the ending is neither .onnx nor .pt2, it is a folder or in none, or what is needed is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"'{path.name}' must end in .onnx (ONNX) or .pt2 (torch.export).")
    if path.is_dir():
        raise ValueError(f"'{path}' is a folder; give the name of a file.")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder '{path.parent}' for '{path.name}'; make it first.")
    if path.suffix == ".onnx":
        runtime()
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise ValueError(f"ONNX files need {error.name}, which is not installed: {INSTALL}.") from None


def runtime() -> Any:
    """The module onnxruntime.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(f"ONNX files need onnxruntime, which is not installed: {INSTALL}.") from None
    return onnxruntime


def export(
    model: ActionModel,
    meaning: Meaning,
    path: str | Path,
    *,
    mask: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write a network for other runtimes, if the file gives the same numbers.

    Args:
        model: in evaluation mode, on the CPU.
        meaning: of the checkpoint.
        path: ends in .onnx or .pt2.
        mask: whether the file has the input ``visible``; without it everything is seen.
        say: is told what is being done.

    Raises:
        ValueError: as `check_target`; torch cannot export the network; or the numbers differ, in which case nothing is
            written.
        OSError: the file cannot be written; nothing half-written stays.
    """
    path = Path(path)
    check_target(path)
    say("tracing the network")
    program = traced(model, mask=mask)
    least = 1 if path.suffix == ".onnx" else least_frames(program)
    told = about(model, meaning, mask=mask, least_frames=least)
    if path.suffix == ".onnx":
        say("writing operators of ONNX")
        data, start = onnx_bytes(program, told), onnx_run
    else:
        data, start = program_bytes(program, told), program_run
    say("comparing the numbers")
    error, batches = write_checked(
        path, data, lambda: largest_error(model, start(data), usual_length(meaning), mask=mask, least=least)
    )
    return Exported(path, error, batches, len(data), least)


def write_checked(path: Path, data: bytes, compare: Callable[[], tuple[float, int]]) -> tuple[float, int]:
    """Write a file for another runtime, if it gives the numbers of its network there.

    Args:
        path: of the file.
        data: what it holds.
        compare: runs the data; gives the largest relative error, and over how many batches.

    Returns:
        What the comparison gave.

    Raises:
        ValueError: it does not run, or gives other numbers; nothing is written.
        OSError: the file cannot be written; nothing half-written stays.
    """
    try:
        error, batches = compare()
    except Exception as problem:  # those of onnxruntime have no common base
        why = first_line(problem)
        raise ValueError(f"'{path.name}' would not run: {why}; not written{_otherwise(path)}.") from None
    if not error <= LIMIT:  # nor if it is no number
        raise ValueError(
            f"'{path.name}' would differ from the network by {error:.1e} (relative; at most {LIMIT:.0e}); not written."
        )
    write_whole(path, data)
    return error, batches


def fixed_people(model: ActionModel) -> int:
    """M that a network whose input normalisation tells people apart is exported for; 0 where M is free."""
    return int(getattr(model.config, "people", 0))


def usual_length(meaning: Meaning) -> int:
    """T of the clips that a network is tested with."""
    length = meaning.length
    return _UNKNOWN_LENGTH if length.rule == "all" else length.test_frames or length.frames


def about(model: ActionModel, meaning: Meaning, *, mask: bool, least_frames: int = 1) -> dict[str, str]:
    """What the file tells: that of a checkpoint, and the input."""
    config: Any = model.config
    sizes = {"N": None, "C": config.in_channels, "T": None, "V": meaning.skeleton.num_joints}
    shape = {
        "axes": "N C T V M: clips, channels, frames, joints, people",
        "sizes": {**sizes, "M": fixed_people(model) or None},
        "visible": mask,
        "least_frames": least_frames,
    }
    return {"format": FORMAT, **described(model, meaning), "input": json.dumps(shape)}


def traced(model: ActionModel, *, mask: bool = True) -> ExportedProgram:
    """The network as one graph of operators with free N and T, and free M where it takes any.

    Raises:
        ValueError: torch cannot trace it.
    """
    people = fixed_people(model)
    positions, visible = _clip(model, 3, 16, people or 2)
    free = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC} | ({} if people else {4: Dim.DYNAMIC})
    inputs, shapes = {"positions": positions}, {"positions": free}
    network = _Masked(model) if mask else _Unmasked(model)
    if mask:
        inputs["visible"] = visible
        shapes["visible"] = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC} | ({} if people else {3: Dim.DYNAMIC})
    try:
        with quiet(), torch.no_grad():
            program = torch.export.export(network.eval(), (), inputs, dynamic_shapes=shapes)
    except Exception as error:  # torch has many, without a common base
        raise ValueError(f"torch cannot export {_named(model)}: {first_line(error)}") from None
    make_portable(program)
    return program


def make_portable(program: ExportedProgram) -> None:
    """Take from a program what holds for this process or this machine alone.

    Guards on the layout of the example in memory, which a clip of odd T may have otherwise: the values need none, which
    the comparison of the numbers sees to. torch has no documented way to leave them out; where this one is gone they
    stay, and a program that then refuses clips is not written. And the place in the sources that each operation comes
    from, which would tell folders of this machine to whoever gets the file.
    """
    guards = getattr(program, "_guards_code", None)
    if isinstance(guards, list):
        guards.clear()
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)


def least_frames(program: ExportedProgram) -> int:
    """The fewest frames that a program takes: torch keeps the case of one frame, here or after a stride, apart."""
    positions = next(node for node in program.graph.nodes if node.name == "positions")
    frames = positions.meta["val"].shape[2].node.expr
    return max(1, int(program.range_constraints[frames].lower))


def onnx_bytes(
    program: ExportedProgram,
    told: dict[str, str],
    inputs: Mapping[str, str] = INPUTS,
    outputs: Mapping[str, str] = OUTPUTS,
) -> bytes:
    """A file of ONNX.

    Args:
        program: with inputs and outputs in this order, of which some may be left out at the end of the inputs.
        told: metadata.
        inputs: name -> names of its axes, of which a fixed one keeps its size; so do axes that have no name.
        outputs: as the inputs.

    Raises:
        ValueError: torch has no ONNX operators for it.
    """
    try:
        with quiet():
            made = torch.onnx.export(
                program,
                (),
                dynamo=True,
                output_names=[*outputs],
                verbose=False,
                custom_translation_table={torch.ops.aten.logaddexp.default: _logaddexp},
            )
            assert made is not None
            proto = made.model_proto
    except Exception as error:  # as above
        raise ValueError(f"torch cannot make ONNX of the network: {first_line(error)}") from None
    graph = proto.graph
    del graph.value_info[:]  # shapes in between, in names of torch's own
    for part in (graph, *graph.node, *graph.input, *graph.output):  # how torch came to it, a third of a small file
        del part.metadata_props[:]
    _rename(graph, dict(zip((value.name for value in graph.input), inputs, strict=False)))
    axes = {**inputs, **outputs}
    for value in (*graph.input, *graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim, axes[value.name].split(), strict=False):
            if not dim.HasField("dim_value"):
                dim.dim_param = name
    del proto.metadata_props[:]
    for key, text in told.items():
        proto.metadata_props.add(key=key, value=text)
    proto.doc_string = "Logits of human actions from skeletons; everything about them is in metadata_props, as JSON."
    data: bytes = proto.SerializeToString()
    return data


def _logaddexp(x: Any, y: Any) -> Any:
    """log(exp x + exp y) in operators of ONNX; torch's own takes exp as it stands, which is 0 below -104."""
    from onnxscript import opset18 as op

    return op.Add(op.Max(x, y), op.Log(op.Add(1.0, op.Exp(op.Neg(op.Abs(op.Sub(x, y)))))))


def _rename(graph: Any, names: dict[str, str]) -> None:
    """Give inputs other names, wherever they are used."""
    for value in graph.input:
        value.name = names[value.name]
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)


def onnx_session(data: bytes) -> Any:
    """A session of onnxruntime on the CPU, on one thread."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def onnx_run(data: bytes) -> Run:
    """Run a file of ONNX on the CPU, on one thread."""
    session = onnx_session(data)

    def run(positions: Tensor, visible: Tensor | None) -> Tensor:
        inputs = {"positions": positions.numpy()} | ({} if visible is None else {"visible": visible.numpy()})
        return torch.from_numpy(session.run(["logits"], inputs)[0])

    return run


def program_bytes(program: ExportedProgram, told: dict[str, str]) -> bytes:
    """A file of `torch.export.save`; what it tells is its extra file ``bonegraph.json``.

    Raises:
        ValueError: torch cannot save it.
    """
    file = io.BytesIO()
    try:
        with quiet():
            torch.export.save(program, file, extra_files={"bonegraph.json": json.dumps(told)})
    except Exception as error:  # as above
        raise ValueError(f"torch cannot save the program: {first_line(error)}; export to .onnx instead.") from None
    return file.getvalue()


def program_run(data: bytes) -> Run:
    """Run a file of `torch.export.save`."""
    with quiet():
        module = torch.export.load(io.BytesIO(data)).module()

    def run(positions: Tensor, visible: Tensor | None) -> Tensor:
        with torch.no_grad():
            inputs = {"positions": positions} | ({} if visible is None else {"visible": visible})
            logits: Tensor = module(**inputs)
        return logits

    return run


def largest_error(model: ActionModel, run: Run, frames: int, *, mask: bool = True, least: int = 1) -> tuple[float, int]:
    """The largest difference of logits, relative to the largest logit of its batch, and of how many batches.

    Args:
        model: in evaluation mode.
        run: what should be the same.
        frames: T of usual clips; shorter, longer, even and odd ones are tried as well.
        mask: whether some joints, frames, people and whole clips are hidden.
        least: the fewest frames that are tried.
    """
    errors = []
    for positions, visible in _clips(model, frames, least):
        given = visible if mask else None
        with torch.no_grad():
            wanted = model(positions, given)
        difference = (run(positions, given) - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12)
        errors.append(float(difference))
    return float(np.max(errors)), len(errors)  # np.max keeps what is no number


def _clips(model: ActionModel, frames: int, least: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of every kind: N 1, 2, 5; T as usual, shorter, longer, odd, a single frame; M 1, 2, 3; some unseen."""
    people = fixed_people(model)
    for count, length, several in ((1, frames, 1), (2, frames + frames // 2 + 1, 2), (5, 7, 3), (2, 10, 1), (1, 1, 2)):
        yield _clip(model, count, max(length, least), people or several)


def _clip(model: Any, count: int, frames: int, people: int) -> tuple[Tensor, Tensor]:
    """Random positions and who is seen: not every joint, not everyone, not in every frame, in the last clip nobody."""
    draw = torch.Generator().manual_seed(count * frames + people)
    shape = (count, frames, model.skeleton.num_joints, people)
    visible = torch.rand(shape, generator=draw) < 0.9
    visible &= torch.rand(count, frames, 1, people, generator=draw) < 0.8
    visible[0, 0, 0, 0] = True
    if people > 1:
        visible[0, :, :, -1] = False
    if count > 1:
        visible[-1] = False
    positions = torch.randn(count, model.config.in_channels, *shape[1:], generator=draw)
    return torch.where(visible[:, None], positions, 0), visible


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch, onnxscript and onnxruntime print and warn about themselves; errors come as exceptions."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _otherwise(path: Path) -> str:
    return "; export to .onnx instead" if path.suffix == ".pt2" else ""


def _named(model: ActionModel) -> str:
    return type(model).__name__


def first_line(error: Exception) -> str:
    """Of the message of an error, to be told in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
