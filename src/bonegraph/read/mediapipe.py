"""What people save of MediaPipe Pose: 33 landmarks a person, in parts of the picture or in metres.

Nobody fixed a format, so every usual one is read.

``.json``   A list of frames. A frame is a person, a list of people, or an answer of MediaPipe as its interfaces name
            it: ``landmarks`` and ``worldLandmarks`` (Tasks), ``poseLandmarks`` and ``poseWorldLandmarks`` (JavaScript),
            ``pose_landmarks`` and ``pose_world_landmarks`` (Python); null or empty where nobody was found. A person is
            a list of 33 landmarks, a dictionary of them by name (``LEFT_WRIST``, ``leftWrist``) or number, or a flat
            list of 66, 99 or 132 numbers. A landmark is ``{"x", "y", "z", "visibility"}`` or a list of 2 to 4 numbers.
            The frames may also be in ``{"frames": [...]}`` or by number, ``{"0": ..., "1": ...}``.
``.npy``    (T, 33, C), (T, M, 33, C) or (T, 33·C): x, y, from 3 numbers on z, and visibility as the fourth.
``.csv``    A row for each frame (and person): ``x0, y0, z0, v0, x1, ...``, counted from 0 or 1, or ``LEFT_WRIST_x``;
            without a heading 66, 99 or 132 numbers. ``class``, ``time`` and the like are passed over.

Someone whose numbers are all zero (as programs write where nobody was found) is absent. Lugaresi et al., "MediaPipe: A
Framework for Building Perception Pipelines", 2019; Bazarevsky et al., "BlazePose", 2020.

Axes: T frames, M people, V = 33 landmarks, C = 4: x, y, z and visibility.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from bonegraph.read.arrays import map_npy
from bonegraph.read.table import FPS, Table
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, nearest
from bonegraph.tracking.places import places

Space = Literal["image", "world"]
"""``image``: x and y in parts of the picture, y down. ``world``: x, y, z in metres, in the axes of a Kinect camera."""

Landmarks = NDArray[np.float64]
"""(..., 33, 4); NaN where nothing was found."""

_BODY = SKELETONS["mediapipe33"]
_V = _BODY.num_joints
_OTHERWISE = {
    **{f"{side} {part} eye": f"{side} eye {part}" for side in ("left", "right") for part in ("inner", "outer")},
    **{f"{side} mouth": f"mouth {side}" for side in ("left", "right")},
    **{f"{side} big toe": f"{side} foot index" for side in ("left", "right")},
}
_NAMES = tuple(_OTHERWISE.get(joint, joint) for joint in _BODY.joints)  # as MediaPipe calls them
_PLACE = {name: place for names in (_BODY.joints, _NAMES) for place, name in enumerate(names)}
_AXES = {"x": 0, "y": 1, "z": 2, "v": 3, "visibility": 3, "score": 3, "confidence": 3}
_IMAGE = ("landmarks", "poseLandmarks", "pose_landmarks")
_WORLD = ("worldLandmarks", "poseWorldLandmarks", "pose_world_landmarks", "world_landmarks")
_NUMBER = ("frame", "frame_index", "frameIndex", "frame_number", "frameNumber")
_ASIDE = re.compile(r"class|label|action|time ?(?:stamp)?(?: ?m?s)?|id|file ?(?:name)?|presence ?\d*|.* presence|p\d+")
_NUMBERED = re.compile(
    r"([xyzv]|visibility|score) ?(\d{1,2})|(?:landmark ?|joint ?)?(\d{1,2}) ([xyzv]|visibility|score)"
)
_CROWD = 16  # more people in the one frame of an answer are frames by mistake
_OTHERS = (b'"skeletons"', b'"people"', b'"pose_keypoints', b'"skeleton"')


class _Frame(NamedTuple):
    """The people of a frame, as the file has them; either list may be empty."""

    image: list[Landmarks]
    world: list[Landmarks]
    bare: bool = False  # the file does not say which of the two its numbers are


def is_mediapipe_json(head: bytes) -> bool:
    """Whether a JSON file that begins like this holds landmarks.

    No other format of JSON that the package reads is a list, or has landmarks, or says of joints how visible they are.
    """
    if any(other in head for other in _OTHERS):
        return False
    listed = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    return listed or re.search(rb'[lL]andmark|"visibility"|"nose"|"NOSE"|"frames"', head) is not None


def is_mediapipe_csv(head: bytes) -> bool:
    """Whether a table that begins like this has columns for 33 landmarks, by names of MediaPipe or with visibility."""
    line = head.decode("utf-8", "replace").lstrip("\ufeff").splitlines()[:1]
    fields = re.split(r"[,;\t]", line[0]) if line else []
    if len(fields) in (2 * _V, 3 * _V, 4 * _V) and not re.search("[A-Za-z]{4}|[xyzXYZ]", line[0]):
        return len(fields) == 4 * _V
    plain = [_plain(field) for field in fields]
    found = [pair for pair in map(_column, plain) if pair is not None]
    theirs = any(field.rpartition(" ")[0] in _OTHERWISE.values() for field in plain)
    return len({place for place, _ in found}) == _V and (theirs or 3 in {axis for _, axis in found})


def is_mediapipe_npy(head: bytes) -> bool:
    """Whether an array that begins like this has 33 landmarks with visibility."""
    match = re.search(rb"'shape': \(([\d, ]*)\)", head[:400])
    shape = [int(length) for length in match[1].replace(b",", b" ").split()] if match else []
    return (len(shape) == 2 and shape[1] == 4 * _V) or (len(shape) in (3, 4) and shape[-2:] == [_V, 4])


def read_mediapipe(path: str | Path, people: int = 2, fps: float = FPS, space: Space | None = None) -> Sequence:
    """Read the landmarks of one video.

    Args:
        path: a ``.json``, ``.npy`` or ``.csv`` file.
        people: M at most; of more, those who are seen most surely over the whole clip are kept.
        fps: frames per second; the files carry none.
        space: which coordinates are wanted. None takes those of the picture where the file names both. Where it names
            neither, numbers about the middle of the hips are metres, others parts of the picture.

    Returns:
        A sequence on ``mediapipe33``: x and y in parts of the picture, y down, unit ``normalised``; or x, y, z in
        metres about the hips, y up and z away from the camera, unit ``m``. (The z of landmarks in the picture is a
        guess without a unit and left out.) Visibility is the confidence, 1 where the file has none.

    Raises:
        ValueError: an argument makes no sense, the file is damaged or holds no such landmarks, or lacks the coordinates
            that are wanted.
        OSError: the file cannot be read at all.
    """
    if people < 1:
        raise ValueError(f"people must be at least 1, got {people}.")
    if space is not None and space not in get_args(Space):
        raise ValueError(f"space cannot be {space!r}{nearest(str(space), get_args(Space))}.")
    path = Path(path)
    suffix = path.suffix.lower()
    found = _of_table(path) if suffix in (".csv", ".npy") else _of_json(path, people, fps)
    image, world, bare = found
    if bare is not None:
        as_world = space == "world" if space is not None else _about_the_hips(bare)
        image, world = (None, bare) if as_world else (bare, None)
    wanted = space or ("image" if image is not None else "world")
    values = image if wanted == "image" else world
    if values is None:
        raise ValueError(f"'{path.name}' holds no landmarks of the {wanted}; use the other space.")
    return _sequence(values[:, :people], wanted, fps, path.name)


class _Pose(NamedTuple):
    """What of a person tells who it is."""

    joints: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, marks: Landmarks) -> _Pose:
        good = np.atleast_1d((np.abs(marks) <= np.finfo(np.float32).max).all(axis=-1))  # not where NaN
        marks = np.where(good[:, None], marks, 0)
        sure = np.where(good, np.clip(marks[:, 3], 0, 1), 0)
        return cls(marks[:, :2], sure if sure.any() else good.astype(np.float64))


class _Found(NamedTuple):
    """(T, M, 33, 4) each, or None."""

    image: Landmarks | None
    world: Landmarks | None
    bare: Landmarks | None


def _about_the_hips(values: Landmarks) -> bool:
    """Whether the hips lie about zero in all frames, as they do in metres and nowhere else."""
    hips = values[:, :, [_BODY.index("left hip"), _BODY.index("right hip")], :3].mean(axis=2)
    hips = hips[np.isfinite(hips).all(axis=-1)]
    return bool(len(hips)) and bool((np.abs(hips) < 0.01).all()) and bool((values[..., 2] != 0).any())


def _sequence(values: Landmarks, space: Space, fps: float, name: str) -> Sequence:
    seen: NDArray[np.bool_] = np.asarray(~np.isnan(values).any(axis=-1))  # (T, M, V)
    if not (np.abs(values[seen]) <= np.finfo(np.float32).max).all():
        frame = int(np.argwhere(seen & ~(np.abs(values) <= np.finfo(np.float32).max).all(axis=-1))[0][0])
        raise ValueError(f"'{name}' holds infinity, first in frame {frame}; write the file again.")
    values = np.where(seen[..., None], values, 0)
    seen &= np.atleast_1d(values[..., :3].any(axis=(-1, -2)))[..., None]
    confidence = np.where(seen, np.clip(values[..., 3], 0, 1), 0).astype(np.float32)
    if seen.any() and not confidence.any():  # some versions write no visibility but zeros
        confidence = seen.astype(np.float32)
    places = values[..., :2] if space == "image" else values[..., :3] * (-1, -1, 1)
    positions = np.where(confidence[..., None] > 0, places, 0).astype(np.float32)
    present: NDArray[np.bool_] = np.asarray((confidence > 0).any(axis=-1))
    return Sequence(positions, present, _BODY, fps, "normalised" if space == "image" else "m", confidence)


# Tables and arrays


def _of_table(path: Path) -> _Found:
    if path.suffix.lower() == ".npy":
        values = np.asarray(map_npy(path))
        shape = values.shape
        if values.ndim == 2 and values.shape[1] in (2 * _V, 3 * _V, 4 * _V):
            values = values.reshape(len(values), _V, -1)
        if values.ndim == 3:
            values = values[:, None]
        if values.ndim != 4 or values.shape[2] != _V or values.shape[3] not in (2, 3, 4):
            raise ValueError(
                f"'{path.name}' has shape {shape}, but (frames, {_V}, 2 to 4), (frames, people, {_V}, 2 to 4) "
                f"or (frames, {4 * _V}) is needed for landmarks of MediaPipe."
            )
        scored = values.shape[3] == 4
    else:
        values, _, named = Table(path, _columns).values(_BODY)
        scored = values.shape[3] == 4 or bool(named)
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is refused below, NaN is nobody
        values = np.asarray(values, dtype=np.float64)
    full = np.zeros((*values.shape[:3], 4))
    axes = values.shape[3] - scored
    full[..., :axes] = values[..., :axes]
    full[..., 3] = values[..., -1] if scored else 1
    return _Found(None, None, full)


def _columns(fields: list[str]) -> list[str | None]:
    """Columns as `bonegraph.read.table` names them; None for those that are passed over."""
    written = {int(match[2] or match[3]) for field in fields if (match := _NUMBERED.fullmatch(field))}
    first = 1 if written and min(written) == 1 and max(written) == _V else 0
    return [_renamed(field, first) for field in fields]


def _renamed(field: str, first: int) -> str | None:
    if _ASIDE.fullmatch(field):
        return None
    if match := re.fullmatch(r"(frame|person) (?:index|number|id)", field):
        return match[1]
    if (pair := _column(field)) is None:
        return field  # which is refused, or frame or person
    place = pair[0] - (first if _NUMBERED.fullmatch(field) else 0)
    return f"{_BODY.joints[place]} {('x', 'y', 'z', 'score')[pair[1]]}" if 0 <= place < _V else field


def _column(field: str) -> tuple[int, int] | None:
    """(number of the landmark as it is written, axis) of a column, None where it is another one."""
    if match := _NUMBERED.fullmatch(field):
        return int(match[2] or match[3]), _AXES[match[1] or match[4]]
    joint, _, axis = field.rpartition(" ")
    return (_PLACE[joint], _AXES[axis]) if joint in _PLACE and axis in _AXES else None


def _plain(name: str) -> str:
    """``LEFT_WRIST``, ``leftWrist`` and ``left wrist`` alike."""
    return " ".join(re.sub(r"[_.\-\"]", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower().split())


# JSON


def _of_json(path: Path, people: int, fps: float) -> _Found:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
        raise ValueError(f"'{path.name}' is not valid JSON (cut off?): {error}; write the file again.") from None
    except RecursionError:
        raise ValueError(f"'{path.name}' is no list of landmarks: it nests too deeply.") from None
    frames: dict[int, _Frame] = {}
    listed = _frames(content, path.name)
    for number, frame in listed.items():
        try:
            frames[number] = _people(frame)
        except ValueError as error:
            raise ValueError(f"'{path.name}' frame {number} {error}; write the file again.") from None
    if not any(frame.image or frame.world for frame in frames.values()):
        raise ValueError(f"'{path.name}' holds {len(frames)} frames, but nobody in any of them.")
    first, last = min(frames), max(frames)
    empty = _Frame([], [])
    return _tracked([frames.get(number, empty) for number in range(first, last + 1)], people, fps, path.name)


def _tracked(frames: list[_Frame], people: int, fps: float, name: str) -> _Found:
    """Frames in which everybody keeps a place."""
    if any(frame.image and frame.world and len(frame.image) != len(frame.world) for frame in frames):
        raise ValueError(f"'{name}' has landmarks of the picture and of the world of unlike people; write it again.")
    flat = any(frame.image for frame in frames)
    if max(len(frame.image or frame.world) for frame in frames) == 1:
        tracks = [[(number, 0) for number, frame in enumerate(frames) if frame.image or frame.world]]
    else:
        poses = [[_Pose.of(marks) for marks in (frame.image if flat else frame.world)] for frame in frames]
        tracks = places(poses, fps, people)
    shape = (len(frames), max(1, len(tracks)), _V, 4)
    image = world = None
    for space in ("image", "world"):
        if not any(getattr(frame, space) for frame in frames):
            continue
        values = np.full(shape, np.nan)
        for person, track in enumerate(tracks):
            for number, place in track:
                if place < len(marks_of := getattr(frames[number], space)):
                    values[number, person] = marks_of[place]
        image, world = (values, world) if space == "image" else (image, values)
    if any(frame.bare for frame in frames):
        return _Found(None, None, image)
    return _Found(image, world, None)


def _frames(content: Any, name: str) -> dict[int, Any]:
    """The frames by number."""
    if isinstance(content, dict) and isinstance(content.get("frames"), list | dict):
        content = content["frames"]
    if isinstance(content, dict):
        if content and all(isinstance(key, str) and key.isascii() and key.isdecimal() for key in content):
            if not _is_person(content):
                return _checked({int(key[:12]): frame for key, frame in content.items()}, len(content), name)
        elif any(len(content.get(key) or ()) > _CROWD and not _is_person(content[key]) for key in (*_IMAGE, *_WORLD)):
            raise ValueError(f"'{name}' is one answer with more than {_CROWD} people; give a list of frames.")
        content = [content]
    if not isinstance(content, list) or not content:
        raise ValueError(f"'{name}' is no list of frames with landmarks of MediaPipe.")
    if _is_person(content):  # one frame, saved alone
        content = [content]
    numbers = [_number(frame) for frame in content]
    if all(number is not None for number in numbers):
        frames = {number: frame for number, frame in zip(numbers, content, strict=True) if number is not None}
        if len(frames) == len(content):
            return _checked(frames, len(content), name)
    return dict(enumerate(content))


def _number(frame: Any) -> int | None:
    number = next((frame[key] for key in _NUMBER if key in frame), None) if isinstance(frame, dict) else None
    return number if type(number) is int and 0 <= number < 1 << 40 else None


def _checked(frames: dict[int, Any], count: int, name: str) -> dict[int, Any]:
    """Frames whose numbers do not claim a long film for a small file."""
    length = max(frames) - min(frames) + 1
    if len(frames) != count or length > 300 + 10 * count:
        raise ValueError(f"'{name}' has {count} frames with numbers from {min(frames)} to {max(frames)}; check them.")
    return frames


def _people(frame: Any) -> _Frame:
    """The people of a frame.

    Raises:
        ValueError: what is wrong with it, as the end of a sentence.
    """
    if not frame:
        return _Frame([], [])
    if isinstance(frame, dict) and any(key in frame for key in (*_IMAGE, *_WORLD)):
        image = next((frame[key] for key in _IMAGE if key in frame), None)
        world = next((frame[key] for key in _WORLD if key in frame), None)
        return _Frame(_listed(image), _listed(world))
    if isinstance(frame, dict) and not _is_person(frame):
        if _number(frame) is not None and not any(isinstance(value, list | dict) for value in frame.values()):
            return _Frame([], [])  # it has a number and nobody
        raise ValueError("has no landmarks")
    return _Frame(_listed(frame), [], bare=True)


def _listed(given: Any) -> list[Landmarks]:
    if not given:
        return []
    if _is_person(given):
        return [_person(given)]
    if not isinstance(given, list):
        raise ValueError("has no list of landmarks")
    return [_person(person) for person in given if person]


def _is_person(value: Any) -> bool:
    """Whether something is a person rather than a list of them."""
    if isinstance(value, Mapping):
        return "landmark" in value or any(
            _plain(str(key)[:40]) in _PLACE or _is_mark(each) for key, each in value.items()
        )
    return isinstance(value, list) and bool(value) and (isinstance(value[0], int | float) or _is_mark(value[0]))


def _is_mark(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "x" in value and "y" in value
    return isinstance(value, list) and 2 <= len(value) <= 4 and all(isinstance(x, int | float) for x in value)


def _person(value: Any) -> Landmarks:
    if isinstance(value, Mapping):
        value = value["landmark"] if "landmark" in value else _in_order(value)
    if not isinstance(value, list):
        raise ValueError("lists someone without landmarks")
    try:
        if value and isinstance(value[0], int | float):
            marks = np.array(value, dtype=np.float64)
            if len(marks) not in (2 * _V, 3 * _V, 4 * _V):
                raise ValueError
            marks = marks.reshape(_V, -1)
            return _four(marks)
        marks = np.full((len(value), 4), np.nan)
        for place, mark in enumerate(value):
            if mark is not None:
                marks[place] = _mark(mark)
    except (ValueError, TypeError, OverflowError, KeyError):
        raise ValueError(f"lists someone whose landmarks are not {_V} times x, y, z and visibility") from None
    if len(marks) != _V:
        raise ValueError(f"lists someone with {len(marks)} landmarks, but a pose of MediaPipe has {_V}")
    return marks


def _in_order(value: Mapping[Any, Any]) -> list[Any]:
    """Landmarks by their names or numbers in the order of the skeleton; None for those that are not there."""
    marks: list[Any] = [None] * _V
    for key, mark in value.items():
        text = str(key)[:40]
        place = int(text) if text.isascii() and text.isdecimal() else _PLACE.get(_plain(text), -1)
        if 0 <= place < _V and _is_mark(mark):
            marks[place] = mark
    return marks


def _mark(value: Any) -> Landmarks:
    if isinstance(value, Mapping):
        z, visibility = value.get("z"), value.get("visibility")
        numbers = [value["x"], value["y"], 0 if z is None else z, 1 if visibility is None else visibility]
        return np.array([float(number) for number in numbers])
    full = np.array([0.0, 0.0, 0.0, 1.0])
    full[: len(value)] = [float(number) for number in value]
    return full


def _four(marks: Landmarks) -> Landmarks:
    """(V, 2 to 4) as (V, 4): without z it is 0, without visibility 1."""
    full = np.zeros((len(marks), 4))
    full[:, : marks.shape[1]] = marks
    if marks.shape[1] < 4:
        full[:, 3] = 1
    return full
