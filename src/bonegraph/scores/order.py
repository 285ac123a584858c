"""The order of clips for files that leave their names out: a list of ids, with labels where it has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bonegraph.read.pickles import load_pickle
from bonegraph.scores.by_id import Scores
from bonegraph.scores.checks import UNKNOWN, refuse_duplicates

PICKLES = (".pkl", ".pickle")
_ENDINGS = (".skeleton", ".json")


@dataclass(frozen=True, eq=False)
class ClipOrder:
    """Clips in the order of an annotation list.

    Attributes:
        ids: (N,) clip ids, each once.
        labels: (N,) class numbers, -1 where the list has none.
    """

    ids: npt.NDArray[np.str_]
    labels: npt.NDArray[np.int64]

    def label_of(self, ids: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
        """Labels of clips by id, -1 for those that are not in the list."""
        known = dict(zip(self.ids.tolist(), self.labels.tolist(), strict=True))
        return np.array([known.get(clip, UNKNOWN) for clip in ids.tolist()], dtype=np.int64)


def read_order(path: str | Path, part: str = "") -> ClipOrder:
    """Read the order of the clips.

    Args:
        path: a text file of one id a line; a scores file (``.npz``); or a pickle: the pair (names, labels) that
            2s-AGCN, MS-G3D and ST-GCN write beside their data, or a PYSKL annotation file.
        part: which clips of a PYSKL annotation file were scored, such as ``xsub_val``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is none of these.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no list of clip ids '{path}'.")
    try:
        if path.suffix == ".npz":
            scores = Scores.load(path)
            return ClipOrder(scores.ids, scores.labels)
        if path.suffix in PICKLES:
            return _from_pickle(load_pickle(path), part)
        lines = path.read_text(encoding="utf-8-sig").split("\n")
        return _order([line.strip() for line in lines if line.strip()])
    except UnicodeDecodeError:
        raise ValueError(f"'{path}' is no text; give one clip id a line.") from None
    except ValueError as error:
        raise ValueError(str(error) if str(path) in str(error) else f"'{path}': {error}") from None


def plain_name(name: str) -> str:
    """The id of a clip from the name of its file: the public code keeps ``.skeleton`` and ``.json``."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _from_pickle(content: Any, part: str) -> ClipOrder:
    if isinstance(content, Mapping):
        return _from_annotations(content, part)
    pair = [_listed(one) for one in content] if isinstance(content, tuple | list) and len(content) == 2 else []
    if len(pair) != 2 or pair[0] is None or pair[1] is None or len(pair[0]) != len(pair[1]):
        raise ValueError("no list of clips: neither a pair (names, labels) nor {'split': ..., 'annotations': [...]}.")
    return _order([plain_name(_text(name)) for name in pair[0]], pair[1])


def _from_annotations(content: Mapping[Any, Any], part: str) -> ClipOrder:
    splits, annotations = content.get("split"), _listed(content.get("annotations"))
    if not isinstance(splits, Mapping) or annotations is None:
        raise ValueError("no PYSKL annotations: it needs 'split' and 'annotations'.")
    wanted = _listed(splits.get(part))
    if wanted is None:
        names = " ".join(", ".join(map(str, splits)).split())
        raise ValueError(f"say which part was scored with --ids_part; it has {names}.")
    there = {_text(name) for name in wanted}
    try:
        found = [(_text(one["frame_dir"]), one["label"]) for one in annotations]
    except (TypeError, KeyError, IndexError):
        raise ValueError("every PYSKL annotation needs 'frame_dir' and 'label'.") from None
    # In the order of the annotations, which is not that of the split.
    kept = [(name, label) for name, label in found if name in there]
    return _order([plain_name(name) for name, _ in kept], [label for _, label in kept])


def _order(ids: list[str], labels: Sequence[Any] | None = None) -> ClipOrder:
    names = np.array(ids, dtype=np.str_)
    refuse_duplicates(names, "clip id")
    if not len(names):
        raise ValueError("it lists no clips.")
    if labels is None:
        labels = [UNKNOWN] * len(names)
    if not all(isinstance(label, int | np.integer) and UNKNOWN <= label < 2**31 for label in labels):
        raise ValueError("every clip needs one class number.")
    return ClipOrder(names, np.array(labels, dtype=np.int64))


def _listed(values: Any) -> list[Any] | None:
    """The items of a list, a tuple or an array of one axis; None for anything else."""
    listed = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim == 1)
    return list(values) if listed else None


def _text(name: Any) -> str:
    if not isinstance(name, str):  # numpy's text is text, too
        raise ValueError(f"clip names must be text, got {type(name).__name__}.")
    return str(name)
