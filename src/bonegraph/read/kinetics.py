"""Kinetics-Skeleton clips: one JSON file per clip, any number of people, 18 joints each, found by OpenPose.

``{"data": [{"frame_index": 1, "skeleton": [{"pose": [x0, y0, ...], "score": [s0, ...]}, ...]}, ...], "label": ...,
"label_index": ...}``, where x and y are shares of the width and the height of the picture. Yan, Xiong, Lin, "Spatial
Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition", AAAI 2018.

Nobody is followed from frame to frame: people stand in the file in the order in which OpenPose found them. The three
ways to choose among them are `People`. The arrays that the released programs make of a clip are `released_array`.

Axes: T frames, M people, V = 18 joints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, nearest

FPS = 30.0
"""The rate that the authors brought all videos to; the files carry no times."""

People = Literal["frame", "clip", "all"]
"""``"frame"``: in every frame the two with the largest sum of scores, the larger first (released). ``"clip"``: the two
places in the order of the file whose mean score over the whole clip is highest, absence counting as 0 (paper).
``"all"``: everyone, in the order of the file."""

KEPT = 2
_CONSIDERED = 5  # the released programs look at no more people in a frame
_RELEASED_FRAMES = 300
_JOINTS = SKELETONS["openpose18"].num_joints


class _Clip(NamedTuple):
    """A clip as the file has it.

    Attributes:
        positions: (T, M, V, 2) float64, 0 where nobody is listed.
        score: (T, M, V) float64, 0 where nobody is listed.
    """

    positions: NDArray[np.float64]
    score: NDArray[np.float64]


def read_kinetics(path: str | Path, people: People = "frame", action: str | None = None) -> Sequence:
    """Read one Kinetics-Skeleton clip.

    Args:
        path: the JSON file.
        people: who is kept.
        action: the class name that the file should carry; None trusts the file.

    Returns:
        A sequence on ``openpose18`` with x and y as in the file (0 to 1 in the picture, y down) and the scores as
        confidence, at 30 frames per second. The frames are numbered as in the file; someone without a single joint is
        absent.

    Raises:
        ValueError: the file is no such clip, is damaged, holds NaN or infinity, or carries another class; or there is
            no such way to choose people.
        OSError: the file cannot be read at all.
    """
    if people not in get_args(People):
        raise ValueError(f"people cannot be {people!r}{nearest(str(people), get_args(People))}.")
    path = Path(path)
    content = _load(path)
    if action is not None and content.get("label", action) != action:
        raise ValueError(f"'{path.name}' carries the label {content['label']!r}, but it should be '{action}'.")
    clip = _parse(content, path.name)
    if people == "frame":
        clip = _best_of_each_frame(clip)
    elif people == "clip":
        # Those of one score keep the order of the file.
        order = np.argsort(-clip.score.mean(axis=(0, 2)), kind="stable")[:KEPT]
        clip = _Clip(clip.positions[:, order], clip.score[:, order])
    confidence = np.minimum(clip.score, 1)  # OpenPose goes a little beyond 1
    return Sequence(
        clip.positions.astype(np.float32),
        np.any(confidence > 0, axis=-1),
        SKELETONS["openpose18"],
        FPS,
        "normalised",
        confidence.astype(np.float32),
    )


def released_array(clip: str | Path | Mapping[str, Any], pipeline: Literal["stgcn", "msg3d"]) -> NDArray[np.float32]:
    """What the released programs feed to their networks.

    Both take the first five people of a frame, move the middle of the picture to 0, set joints without a score to 0,
    sort the people of every frame by the sum of their scores, keep two and pad with zeros. MS-G3D (as 2s-AGCN) also
    turns y upwards.

    Args:
        clip: the JSON file, or what it says.
        pipeline: ``"stgcn"`` or ``"msg3d"``.

    Returns:
        (3, 300, 18, 2): x, y and score. Frames from the 300th on are left out.

    Raises:
        ValueError: the file is no such clip or is damaged, or there is no such pipeline.
        OSError: the file cannot be read at all.
    """
    if pipeline not in ("stgcn", "msg3d"):
        raise ValueError(f"pipeline cannot be {pipeline!r}{nearest(str(pipeline), ('stgcn', 'msg3d'))}.")
    name = "the clip" if isinstance(clip, Mapping) else Path(clip).name
    positions, score = _best_of_each_frame(_parse(_load(Path(clip)) if not isinstance(clip, Mapping) else clip, name))
    centred = np.where(score[..., None] == 0, 0, positions - 0.5)
    if pipeline == "msg3d":
        centred[..., 1] *= -1
    array = np.zeros((3, _RELEASED_FRAMES, _JOINTS, KEPT), np.float32)
    frames, people = min(len(score), _RELEASED_FRAMES), score.shape[1]
    array[:2, :frames, :, :people] = centred[:frames].transpose(3, 0, 2, 1)
    array[2, :frames, :, :people] = score[:frames].transpose(0, 2, 1)
    return array


def _best_of_each_frame(clip: _Clip) -> _Clip:
    positions, score = clip.positions[:, :_CONSIDERED], clip.score[:, :_CONSIDERED]
    order = np.argsort(-score.sum(axis=-1), axis=1, kind="stable")[:, :KEPT]
    return _Clip(
        np.take_along_axis(positions, order[:, :, None, None], axis=1),
        np.take_along_axis(score, order[:, :, None], axis=1),
    )


def _load(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise ValueError(f"'{path.name}' is not valid JSON (cut off?): {error}; fetch the file again.") from None
    except RecursionError:
        raise ValueError(f"'{path.name}' is not a Kinetics-Skeleton clip: it nests too deeply; remove it.") from None
    if not isinstance(content, dict):
        raise ValueError(f"'{path.name}' is not a Kinetics-Skeleton clip: it is no object with 'data'; remove it.")
    return content


def _parse(content: Mapping[str, Any], name: str) -> _Clip:
    frames = content.get("data")
    if not isinstance(frames, list):
        raise ValueError(f"'{name}' is not a Kinetics-Skeleton clip: it has no list 'data'; remove it.")
    if not frames:
        raise ValueError(f"'{name}' has no frames; remove the file or fetch it again.")
    numbers: set[int] = set()
    cells: list[tuple[int, int]] = []  # (frame, place in the file)
    poses, scores = [], []
    for frame in frames:
        number = frame.get("frame_index") if isinstance(frame, dict) else None
        people = frame.get("skeleton") if isinstance(frame, dict) else None
        if type(number) is not int or number < 0 or not isinstance(people, list):
            raise ValueError(
                f"'{name}' has an entry in 'data' without 'frame_index' and 'skeleton' (entry {len(numbers)}); "
                "fetch the file again."
            )
        if number in numbers:
            raise ValueError(f"'{name}' lists frame {number} twice; fetch the file again.")
        numbers.add(number)
        for place, person in enumerate(people):
            if not isinstance(person, dict) or not {"pose", "score"} <= person.keys():
                raise ValueError(
                    f"'{name}' lists someone without 'pose' and 'score' in frame {number}; fetch it again."
                )
            cells.append((number, place))
            poses.append(person["pose"])
            scores.append(person["score"])
    length, most = max(numbers) + 1, max((place for _, place in cells), default=0) + 1
    # A clip lists its frames, also empty ones; a small file must not claim a long film or a crowd in all of it.
    if length > 300 + 10 * len(frames) or length * most > 100_000 + 64 * len(cells):
        raise ValueError(
            f"'{name}' lists {len(frames)} frames and {len(cells)} poses, but counts to frame {length - 1} and person "
            f"{most}; fetch the file again."
        )
    pose = _table(poses, 2 * _JOINTS, name, "pose", cells)
    score = _table(scores, _JOINTS, name, "score", cells)
    if (score < 0).any():
        raise ValueError(f"'{name}' has a score below 0; fetch the file again.")
    clip = _Clip(np.zeros((length, most, _JOINTS, 2)), np.zeros((length, most, _JOINTS)))
    if cells:
        where = tuple(np.array(cells).T)
        clip.positions[where] = pose.reshape(-1, _JOINTS, 2)
        clip.score[where] = score
    return clip


def _table(rows: list[Any], width: int, name: str, what: str, cells: list[tuple[int, int]]) -> NDArray[np.float64]:
    """(people, width) finite numbers."""
    try:
        table = np.array(rows, dtype=np.float64).reshape(len(rows), width)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(
            f"'{name}' has a '{what}' that is no list of {width} numbers ({_JOINTS} joints); fetch the file again."
        ) from None
    usable = np.abs(table) <= np.finfo(np.float32).max  # not where NaN
    if not usable.all():
        frame = cells[int(np.argwhere(~usable)[0][0])][0]
        raise ValueError(f"'{name}' holds NaN or infinity, first in frame {frame}; fetch the file again.")
    return table
