"""What OpenPose writes of a video: a folder with one JSON file a frame, any number of people, 25 or 18 joints.

``{"version": 1.3, "people": [{"pose_keypoints_2d": [x0, y0, c0, ...], ...}, ...]}`` in files that are called
``NAME_000000000012_keypoints.json``, where x and y are pixels and c a confidence. A point that was not found is
0, 0, 0. Cao et al., "OpenPose: Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", TPAMI 2019.

Nobody is followed from frame to frame in the files; `bonegraph.tracking` does that.

Axes: T frames, M people, V = 25 (BODY_25) or 18 (COCO) joints.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.tracking.places import places

FPS = 30.0
"""Where nobody says otherwise; the files carry no times."""

PATTERN = "*_keypoints.json"
_FRAME = re.compile(r"(?:(.*)_)?(\d+)_keypoints\.json", re.DOTALL | re.ASCII)
_LAYOUTS = {3 * SKELETONS[name].num_joints: SKELETONS[name] for name in ("openpose25", "openpose18")}
_KEYS = ("pose_keypoints_2d", "pose_keypoints")  # the second before OpenPose 1.2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Pose:
    """Somebody in a frame: (V, 3)."""

    points: NDArray[np.float64]

    @property
    def joints(self) -> NDArray[np.float64]:
        return self.points[:, :2]

    @property
    def confidence(self) -> NDArray[np.float64]:
        return self.points[:, 2]


def read_openpose(path: str | Path, people: int = 2, fps: float = FPS) -> Sequence:
    """Read the frames of one video, or a single one of them.

    Args:
        path: the folder, or one file.
        people: M at most; who is seen most surely over the whole clip is kept, the surest first.
        fps: frames per second of the video, above 0; it also tells how far people get from frame to frame.

    Returns:
        A sequence on ``openpose25`` or ``openpose18``, in pixels with y down. Frames go by the number in the name of
        their file, from the lowest on; a missing number, and a file that is damaged (which is logged), is a frame in
        which everyone is absent.

    Raises:
        FileNotFoundError: the folder holds no such files.
        ValueError: people is below 1, every file is damaged, or the files belong to several videos.
        OSError: a file cannot be read at all.
    """
    if people < 1:
        raise ValueError(f"people must be at least 1, got {people}.")
    path = Path(path)
    files = _frames(path)
    broken: dict[str, str] = {}
    frames: dict[int, list[NDArray[np.float64]]] = {}
    for number, file in files.items():
        try:
            frames[number] = _people(file)
        except ValueError as error:
            broken[file.name] = str(error)
    if not frames:
        name, why = next(iter(broken.items()))
        others = f" (as are {len(broken) - 1} others of '{path.name}')" if len(broken) > 1 else ""
        raise ValueError(f"'{name}' {why}{others}; run OpenPose again.")
    skeleton = _layout(frames, path.name)
    for name, why in broken.items():
        _log.warning("'%s' %s; the frame counts as empty.", name, why)
    first, last = min(files), max(files)
    found = [[_Pose(points) for points in frames.get(number, [])] for number in range(first, last + 1)]
    kept = places(found, fps, people)
    shape = (len(found), max(1, len(kept)), skeleton.num_joints)
    positions, confidence = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
    for person, track in enumerate(kept):
        for frame, place in track:
            positions[frame, person] = found[frame][place].joints
            confidence[frame, person] = found[frame][place].confidence
    return Sequence(positions, np.any(confidence > 0, axis=2), skeleton, fps, "px", confidence)


def _frames(path: Path) -> dict[int, Path]:
    """The files by their frame numbers, in the order of these and not of the names.

    A folder lists its frames, also empty ones; a few files must not claim a long film.
    """
    files = [path] if path.is_file() else sorted(path.glob(PATTERN))
    if not files:
        raise FileNotFoundError(f"'{path}' holds no {PATTERN}; give the folder that OpenPose wrote for one video.")
    numbers: dict[int, Path] = {}
    videos = set()
    for file in files:
        match = _FRAME.fullmatch(file.name)
        if match is None:
            raise ValueError(f"'{file.name}' has no frame number in its name; it must be NAME_NUMBER_keypoints.json.")
        videos.add(match[1])
        if len(videos) > 1:
            one, other = sorted(str(video) for video in videos)
            raise ValueError(f"'{path.name}' holds frames of '{one}' and of '{other}'; give each video its folder.")
        number = int(match[2])
        if number in numbers:
            raise ValueError(f"'{numbers[number].name}' and '{file.name}' are both frame {number}; remove one of them.")
        numbers[number] = file
    length = max(numbers) - min(numbers) + 1
    if length > 300 + 10 * len(files):
        raise ValueError(
            f"'{path.name}' has {len(files)} frames but numbers from {min(numbers)} to {max(numbers)}; check the names."
        )
    return dict(sorted(numbers.items()))


def _people(file: Path) -> list[NDArray[np.float64]]:
    """(V, 3) of everyone in a frame.

    Raises:
        ValueError: what is wrong with the file, as the end of a sentence.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise ValueError(f"is not valid JSON (cut off?): {error}") from None
    except RecursionError:
        raise ValueError("is no frame of OpenPose: it nests too deeply") from None
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise ValueError("is no frame of OpenPose: it has no list 'people'")
    return [_points(person) for person in people]


def _points(person: Any) -> NDArray[np.float64]:
    values = next((person[key] for key in _KEYS if key in person), None) if isinstance(person, dict) else None
    if not isinstance(values, list):
        raise ValueError(f"lists someone without '{_KEYS[0]}'")
    if len(values) not in _LAYOUTS:
        raise ValueError(f"lists someone with {len(values)} values instead of 75 (BODY_25) or 54 (COCO)")
    try:
        points = np.array(values, dtype=np.float64).reshape(-1, 3)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"has a '{_KEYS[0]}' that is no list of numbers") from None
    if not (np.abs(points) <= np.finfo(np.float32).max).all():  # not where NaN
        raise ValueError("holds NaN or infinity")
    if (points[:, 2] < 0).any():
        raise ValueError("has a confidence below 0")
    points[points[:, 2] == 0] = 0
    points[:, 2] = np.minimum(points[:, 2], 1)  # OpenPose goes a little beyond
    return points


def _layout(frames: dict[int, list[NDArray[np.float64]]], name: str) -> Skeleton:
    """The skeleton of everyone, by the number of values; 25 joints where nobody is."""
    sizes = {points.size for people in frames.values() for points in people}
    if len(sizes) > 1:
        raise ValueError(f"'{name}' has poses of 25 and of 18 joints; run OpenPose again with one model.")
    return _LAYOUTS[sizes.pop()] if sizes else SKELETONS["openpose25"]
