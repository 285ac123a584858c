"""Settings: everything that decides the result of a run, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bonegraph.datasets.scarce import Scarce
from bonegraph.models import stgcn
from bonegraph.models.registry import config_type, model_name
from bonegraph.objectives.stf import FocusLoss
from bonegraph.plain import from_plain, to_plain
from bonegraph.training.schedule import Optimizer
from bonegraph.training.tuning import Tuning
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms
from bonegraph.yaml_files import read_yaml

Precision = Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]


@dataclass(frozen=True)
class Settings:
    """A full training setting.

    Args:
        recipe: the recipe these settings started from.
        data: the prepared store, a folder.
        split: a split of the store.
        model: configuration of the model.
        start: a run folder or checkpoint whose weights to begin with (`bonegraph.models.start`); empty for fresh ones.
        train: what learns: ``head`` leaves everything before the linear layers as it is, statistics too.
        scarce: the share of the training clips that is used; all by default.
        length: which frames of a clip.
        transforms: from stored positions to the input.
        focus: losses on where the model looks, beside its own; none by default.
        optimizer: how weights follow the gradient.
        epochs: length of the run.
        batch_size: clips in a batch, over all processes together.
        people: the most people of a clip, 0 for all.
        precision: of the computation; weights stay in float32 but for ``64-true``.
        seed: of everything random.
        tuning: a second training from the weights of this one (`bonegraph.training.chain`); none by default.
        patience: the run ends after so many validations in a row without a new lowest loss; 0 for all its epochs.
        validate_every: epochs between two validations, where the split has a part ``val``.
        workers: processes that fetch frames; 0 fetches in the training process, which is fast enough for most.

    Raises:
        ValueError: a number out of range.
    """

    recipe: str
    data: str = ""
    split: str = ""
    model: Any = field(default_factory=stgcn.best)
    start: str = ""
    train: Literal["all", "head"] = "all"
    scarce: Scarce = field(default_factory=Scarce)
    length: Length = field(default_factory=Length)
    transforms: Transforms = field(default_factory=Transforms)
    focus: FocusLoss = field(default_factory=FocusLoss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    epochs: int = 50
    batch_size: int = 16
    people: int = 0
    precision: Precision = "32-true"
    seed: int = 0
    patience: int = 0
    validate_every: int = 1
    workers: int = 0
    tuning: Tuning = field(default_factory=Tuning)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("people", "seed", "patience", "workers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}.")

    def to_plain(self) -> dict[str, Any]:
        """Plain data for YAML, with the name of the model in its configuration."""
        plain: dict[str, Any] = to_plain(self)
        plain["model"] = {"name": model_name(self.model), **plain["model"]}
        return plain

    @classmethod
    def from_plain(cls, data: Any) -> Settings:
        """Inverse of `to_plain`.

        Raises:
            ValueError: an unknown field or a wrong value.
        """
        if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
            raise ValueError("settings must be a mapping with a field 'model'.")
        model = dict(data["model"])
        config = from_plain(config_type(str(model.pop("name", ""))), model, "model")
        rest = from_plain(cls, {name: value for name, value in data.items() if name != "model"}, "")
        return cls(**{**vars(rest), "model": config})


def read_settings(path: str | Path) -> Settings:
    """Read the ``config.yaml`` of a run folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no YAML, or no settings.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no settings '{path}'; give the config.yaml of a run folder.")
    plain = read_yaml(path)
    try:
        return Settings.from_plain(plain)
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from None


def data_of_run(checkpoint: Path, data: Path | None, split: str) -> tuple[Path, str]:
    """Store and split as they are given or, where they are not, as the run of a checkpoint was trained with them.

    Raises:
        ValueError: something is not given, and the checkpoint lies in no run folder; or its settings are damaged.
    """
    if data is not None and split:
        return data, split
    settings = checkpoint.with_name("config.yaml")
    if not settings.is_file():
        raise ValueError(f"'{checkpoint}' is a checkpoint without a run; give --data STORE and --split NAME.")
    known = read_settings(settings)
    return data or Path(known.data), split or known.split
