"""Fake files of a real format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

_LABELS = {action: number for number, action in enumerate((1, 2, 3, 4, 5, 6, 8, 9, 11, 12), start=1)}


def write_clip(folder: Path, name: str, skeletons: Any = None, frames: int = 12) -> Path:
    """An NW-UCLA clip; its name says action, subject, repetition and view."""
    if skeletons is None:
        random = np.random.default_rng([ord(letter) for letter in name])
        skeletons = random.normal(size=(frames, 20, 3)).round(4).tolist()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"file_name": name, "skeletons": skeletons, "label": _LABELS.get(int(name[1:3]), 0)}))
    return path
