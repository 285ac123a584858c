"""The command line on one of several processes, telling what it fetched and with which weights it ended.

Started by torchrun: ``observed.py FOLDER fit ...`` writes FOLDER/RANK.json.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from bonegraph.__main__ import main
from bonegraph.datasets.clips import Clips, Order
from bonegraph.models.base import ActionModel
from bonegraph.sample import Batch
from bonegraph.training import run as training
from bonegraph.training.task import Task


def observed(folder: Path, arguments: list[str]) -> int:
    """Run a command and write down what happened here."""
    fetched: list[tuple[int | None, list[int]]] = []
    models: list[ActionModel] = []
    fetch = Clips.__getitem__

    def watched(self: Clips, order: Order) -> Batch:
        fetched.append((order.epoch, order.clips.tolist()))
        return fetch(self, order)

    class Watched(Task):
        def __init__(self, model: ActionModel, *rest: Any) -> None:
            models.append(model)
            super().__init__(model, *rest)

    Clips.__getitem__ = watched  # type: ignore[method-assign]
    setattr(training, "Task", Watched)  # noqa: B010 - it is not one of the module's public names
    code = main(arguments)
    (model,) = models
    told = {
        "fetched": fetched,
        "weights": _digests(dict(model.named_parameters())),
        "statistics": _digests(dict(model.named_buffers())),
    }
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(told))
    return code


def _digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    return {
        name: hashlib.sha256(value.detach().contiguous().numpy().tobytes()).hexdigest()
        for name, value in tensors.items()
    }


if __name__ == "__main__":
    sys.exit(observed(Path(sys.argv[1]), sys.argv[2:]))
