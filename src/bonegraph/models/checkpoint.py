"""Checkpoints: one file is enough to recognise, and loading it never executes code.

A checkpoint is a safetensors file. Its metadata holds, as JSON, everything but the weights: model and configuration,
skeleton, class names, transforms and length rule, frame rate and unit, and how it was made; and, where they are known,
how long the training clips are and what makes the probabilities honest (`Calibration`).
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from bonegraph.files import write_whole
from bonegraph.models.base import ActionModel
from bonegraph.models.registry import build, config_type, model_name, outline
from bonegraph.plain import from_plain, to_plain
from bonegraph.skeleton import Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

FORMAT = "bonegraph checkpoint 1"
_CALIBRATION = "calibration"


@dataclass(frozen=True)
class Calibration:
    """What turns the scores of a network into probabilities that can be trusted, and into "unknown".

    Guo et al., *On Calibration of Modern Neural Networks*, ICML 2017: the logits are divided by a temperature before
    the softmax, which leaves their order as it is.

    Args:
        temperature: above 0; 1 changes nothing.
        threshold: in [0, 1]; an answer whose highest probability is below it is "unknown".
        networks: how many networks answered together when the threshold was chosen; it holds for that answer alone.
        clips: how many clips it was made on.
        data: the store, split and part of these clips, for people.

    Raises:
        ValueError: a number is out of range.
    """

    temperature: float
    threshold: float
    networks: int = 1
    clips: int = 0
    data: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"the temperature of a calibration must be above 0, got {self.temperature}.")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"the threshold of a calibration must lie between 0 and 1, got {self.threshold}.")
        if self.networks < 1 or self.clips < 0:
            raise ValueError(
                f"a calibration needs at least 1 network and 0 clips, got {self.networks} and {self.clips}."
            )


@dataclass(frozen=True)
class Meaning:
    """What the numbers that go in and come out of a model mean.

    Args:
        skeleton: joints of the input.
        classes: class names, in the order of the logits.
        transforms: from stored positions to the input.
        length: which frames.
        people: M, the most people that are looked at; 0 for all.
        fps: frame rate of the training clips.
        unit: unit of the training clips.
        made: how the checkpoint was made (recipe, data, split, seed, epoch), for people.
        clip_seconds: how long the training clips are, their median; None where that is not known.
        clip_people: the most people of a training clip; None where that is not known.
        calibration: of the probabilities; None where there is none.
    """

    skeleton: Skeleton
    classes: tuple[str, ...]
    transforms: Transforms
    length: Length
    people: int
    fps: float
    unit: str
    made: dict[str, str] = field(default_factory=dict)
    clip_seconds: float | None = None
    clip_people: int | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"the frame rate must be above 0, got {self.fps}.")
        if self.clip_seconds is not None and not (math.isfinite(self.clip_seconds) and self.clip_seconds > 0):
            raise ValueError(f"the length of the training clips must be above 0 seconds, got {self.clip_seconds}.")
        if self.people < 0:
            raise ValueError(f"people must be at least 0, got {self.people}.")

        if self.clip_people is not None and self.clip_people < 1:
            raise ValueError(f"the training clips must have at least 1 person, got {self.clip_people}.")

    @property
    def temperature(self) -> float:
        """By which logits are divided; 1 where nothing is calibrated."""
        return 1.0 if self.calibration is None else self.calibration.temperature


_OPTIONAL: dict[str, Callable[[Any], Any]] = {
    "clip_seconds": float,
    "clip_people": int,
    _CALIBRATION: lambda plain: from_plain(Calibration, plain, _CALIBRATION),
}
"""What older checkpoints do not have: field of `Meaning` -> from plain data."""

RENAMED = {"graph": "adjacency"}
"""Name of a tensor in older checkpoints -> its name today."""


def described(model: ActionModel, meaning: Meaning) -> dict[str, str]:
    """Everything but the weights, as JSON; the name of the model is plain text."""
    config: Any = model.config
    about = {
        "model": model_name(config),
        "config": json.dumps(to_plain(config)),
        "skeleton": json.dumps(meaning.skeleton.to_dict()),
        "classes": json.dumps(list(meaning.classes)),
        "transforms": json.dumps(to_plain(meaning.transforms)),
        "length": json.dumps(to_plain(meaning.length)),
        "people": json.dumps(meaning.people),
        "fps": json.dumps(meaning.fps),
        "unit": json.dumps(meaning.unit),
        "made": json.dumps(meaning.made),
    }
    for name in _OPTIONAL:
        if (value := getattr(meaning, name)) is not None:
            about[name] = json.dumps(to_plain(value))
    return about


def save_checkpoint(path: str | Path, model: ActionModel, meaning: Meaning) -> Path:
    """Write a checkpoint under a temporary name, then rename it.

    Raises:
        OSError: the file cannot be written; nothing half-written stays.
    """
    path = Path(path)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_whole(path, save(weights, metadata={"format": FORMAT, **described(model, meaning)}))
    return path


def load_checkpoint(path: str | Path) -> tuple[ActionModel, Meaning]:
    """Read a checkpoint; the model is in evaluation mode.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        ValueError: it is no checkpoint of ours, or it is damaged; the message says what is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint '{path}'; give the model.safetensors of a run folder.")
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise ValueError(f"its format is {about.get('format')!r}, but {FORMAT!r} is needed")
            weights = {RENAMED.get(name, name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        plain = {name: json.loads(about[name]) for name in about if name not in ("format", "model")}
        config = from_plain(config_type(about["model"]), plain["config"], "config")
        meaning = Meaning(
            skeleton=Skeleton.from_dict(plain["skeleton"]),
            classes=tuple(map(str, plain["classes"])),
            transforms=from_plain(Transforms, plain["transforms"], "transforms"),
            length=from_plain(Length, plain["length"], "length"),
            people=int(plain["people"]),
            fps=float(plain["fps"]),
            unit=str(plain["unit"]),
            made=dict(plain["made"]),
            **{name: None if plain.get(name) is None else kind(plain[name]) for name, kind in _OPTIONAL.items()},
        )
        # The real graph lies among the weights; any distances make one of the right shape.
        distances = np.arange(meaning.skeleton.num_joints, dtype=np.float64)
        outline(config, meaning.skeleton, len(meaning.classes)).load_state_dict(weights, assign=True)
        model = build(config, meaning.skeleton, len(meaning.classes), distances)
        model.load_state_dict(weights)
    except SafetensorError as error:
        raise ValueError(f"'{path}' is no checkpoint or is damaged: {' '.join(str(error).split())}.") from None
    except KeyError as error:
        raise ValueError(f"'{path}' is no checkpoint: {error} is missing.") from None
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        reason = str(error).partition("\n")[0]  # torch adds its own stack
        raise ValueError(f"cannot use the checkpoint '{path}': {reason}") from None
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ValueError(f"the weights in '{path}' do not fit its configuration: {' '.join(lines)}") from None
    return model.eval(), meaning


def write_calibration(path: str | Path, calibration: Calibration) -> None:
    """Give a checkpoint a calibration, or another one; everything else in the file stays as it is, bit for bit.

    Args:
        path: a checkpoint that `load_checkpoint` takes.
        calibration: of its probabilities.

    Raises:
        OSError: the file cannot be written; the checkpoint stays as it was.
    """
    path = Path(path)
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata() or {})
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about[_CALIBRATION] = json.dumps(to_plain(calibration))
    write_whole(path, save(weights, metadata=about))
