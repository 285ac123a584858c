"""Skeletons: the only joint tables of the package, and the conversion between them.

A skeleton is data, checked when it is made. Joint names are shared by all skeletons ("left wrist" is the same joint
everywhere), so that converting from one to another is a matter of names.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bonegraph.yaml_files import read_yaml

MOST_JOINTS = 1000
"""A body with hands and face has some 500; graphs of many more would take forever to measure."""


@dataclass(frozen=True)
class Skeleton:
    """Joints, bones and left/right symmetry of a body.

    Args:
        name: what files and messages call it.
        joints: V joint names, lower case, e.g. ``"left shoulder"``.
        parents: for each joint the joint its bone starts at; exactly one root, which is its own parent.
        mirror: for each joint the joint on the other side; a joint on the midline mirrors itself.
        centre: the joint hop distances are counted from in spatial partitions; default the root.
        origin: the joint that centring moves to (0, 0, 0); default the centre.
        edges: undirected graph edges; default the bones. Some skeletons of the field use a bone stream whose tree is
            not the graph (COCO-17).

    Raises:
        ValueError: lengths differ, names repeat, the bones are no tree, or the mirror is no symmetry of the joints.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: tuple[int, ...]
    centre: int = -1
    origin: int = -1
    edges: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        count = len(self.joints)
        where = f"skeleton '{self.name}'"
        if not 0 < count <= MOST_JOINTS:
            raise ValueError(f"{where} has {count or 'no'} joints; name at least one and at most {MOST_JOINTS}.")
        if len(set(self.joints)) != count:
            repeated = next(joint for joint in self.joints if self.joints.count(joint) > 1)
            raise ValueError(f"{where} names the joint '{repeated}' twice; joint names must differ.")
        for field, values in (("parents", self.parents), ("mirror", self.mirror)):
            if len(values) != count:
                raise ValueError(f"{where} has {count} joints but {len(values)} {field}; give one per joint.")
            if any(not 0 <= value < count for value in values):
                raise ValueError(f"{where}: {field} must be joint numbers from 0 to {count - 1}, got {values}.")
        roots = [joint for joint, parent in enumerate(self.parents) if joint == parent]
        if len(roots) != 1:
            raise ValueError(f"{where} has {len(roots)} roots; exactly one joint must be its own parent.")
        for joint in range(count):
            seen = joint
            for _ in range(count):
                seen = self.parents[seen]
            if seen != roots[0]:
                raise ValueError(f"{where}: the bones from '{self.joints[joint]}' run in a circle and miss the root.")
        if any(self.mirror[self.mirror[joint]] != joint for joint in range(count)):
            raise ValueError(f"{where}: mirror must be symmetric; the mirror of a joint's mirror is the joint itself.")
        object.__setattr__(self, "centre", roots[0] if self.centre == -1 else self.centre)
        object.__setattr__(self, "origin", self.centre if self.origin == -1 else self.origin)
        for field, value in (("centre", self.centre), ("origin", self.origin)):
            if not 0 <= value < count:
                raise ValueError(f"{where}: {field} must be a joint number from 0 to {count - 1}, got {value}.")
        object.__setattr__(self, "edges", tuple(self.edges) or self.bones)
        if any(not (0 <= a < count and 0 <= b < count) or a == b for a, b in self.edges):
            raise ValueError(f"{where}: edges must join two different joints from 0 to {count - 1}, got {self.edges}.")

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) of every bone; the root has none."""
        return tuple((joint, parent) for joint, parent in enumerate(self.parents) if joint != parent)

    def index(self, joint: str) -> int:
        """Number of a joint by name.

        Raises:
            ValueError: the skeleton has no such joint; the message names the nearest one.
        """
        if joint not in self.joints:
            raise ValueError(f"skeleton '{self.name}' has no joint '{joint}'{nearest(joint, self.joints)}.")
        return self.joints.index(joint)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, YAML and checkpoints, with joints by name."""
        name = self.joints
        pairs = [(a, b) for a, b in enumerate(self.mirror) if a < b]
        data: dict[str, Any] = {
            "name": self.name,
            "joints": list(name),
            "parents": {name[child]: name[parent] for child, parent in self.bones},
            "mirror": [[name[a], name[b]] for a, b in pairs],
            "centre": name[self.centre],
            "origin": name[self.origin],
        }
        if self.edges != self.bones:
            data["edges"] = [[name[a], name[b]] for a, b in self.edges]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Skeleton:
        """Inverse of `to_dict`, also for what people write in YAML.

        Raises:
            ValueError: a field is missing, unknown or names a joint that the skeleton does not have.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"a skeleton is a mapping with name, joints, parents, mirror; got {type(data).__name__}.")
        known = {"name", "joints", "parents", "mirror", "centre", "origin", "edges"}
        if unknown := sorted(set(map(str, data)) - known):
            raise ValueError(f"a skeleton has no field '{unknown[0]}'{nearest(unknown[0], known)}.")
        if missing := sorted({"name", "joints", "parents"} - set(data)):
            raise ValueError(f"a skeleton needs the field '{missing[0]}'; see docs/data.md for an example.")
        for field in ("joints", "mirror", "edges"):
            if not isinstance(data.get(field, []), list | tuple):
                raise ValueError(f"skeleton '{data['name']}': {field} must be a list, got {data[field]!r}.")
        joints = tuple(str(joint) for joint in data["joints"])
        number = {joint: index for index, joint in enumerate(joints)}

        def find(joint: object) -> int:
            if str(joint) not in number:
                raise ValueError(f"skeleton '{data['name']}' has no joint '{joint}'{nearest(str(joint), joints)}.")
            return number[str(joint)]

        if not isinstance(data["parents"], Mapping):
            raise ValueError(f"skeleton '{data['name']}': parents must map each joint to its parent.")
        parents = list(range(len(joints)))
        for child, parent in data["parents"].items():
            parents[find(child)] = find(parent)
        mirror = list(range(len(joints)))
        for pair in data.get("mirror", ()):
            left, right = (find(joint) for joint in as_pair(pair, "mirror"))
            mirror[left], mirror[right] = right, left
        return cls(
            name=str(data["name"]),
            joints=joints,
            parents=tuple(parents),
            mirror=tuple(mirror),
            centre=find(data["centre"]) if "centre" in data else -1,
            origin=find(data["origin"]) if "origin" in data else -1,
            edges=tuple((find(a), find(b)) for a, b in (as_pair(pair, "edges") for pair in data.get("edges", ()))),
        )

    @classmethod
    def from_yaml(cls, path: str | Path) -> Skeleton:
        """Read a user's skeleton; the fields are those of `to_dict`.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is no YAML or no skeleton.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"no skeleton file '{path}'; give a YAML file or one of: {', '.join(SKELETONS)}.")
        return cls.from_dict(read_yaml(path))


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of an error message: what could have been meant."""
    choices = sorted(choices)
    close = difflib.get_close_matches(word, choices, n=1)
    return (
        f"; did you mean '{close[0]}'? Choices: {', '.join(choices)}" if close else f"; choices: {', '.join(choices)}"
    )


def as_pair(value: object, field: str) -> tuple[object, object]:
    """Two things from YAML, or a clear error."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"each entry of {field} must be a pair of joint names, got {value!r}.")
    return value[0], value[1]


def _swap(joint: str) -> str:
    side, _, rest = joint.partition(" ")
    return {"left": "right " + rest, "right": "left " + rest}.get(side, joint)


def _skeleton(
    name: str, joints: str, parents: list[int], centre: int, origin: int, edges: tuple[tuple[int, int], ...] = ()
) -> Skeleton:
    names = tuple(joint.strip() for joint in joints.split(","))
    mirror = tuple(names.index(_swap(joint)) for joint in names)
    return Skeleton(name, names, tuple(parents), mirror, centre, origin, edges)


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    return tuple((int(a), int(b)) for a, b in (pair.split("-") for pair in text.split()))


def _limb(side: str, *parts: str) -> str:
    return ", ".join(f"{side} {part}" for part in parts)


_ARMS = ", ".join(_limb(side, "shoulder", "elbow", "wrist", "hand") for side in ("left", "right"))
_LEGS = ", ".join(_limb(side, "hip", "knee", "ankle", "foot") for side in ("left", "right"))
_OPENPOSE_ARMS = ", ".join(_limb(side, "shoulder", "elbow", "wrist") for side in ("right", "left"))
_OPENPOSE_LEGS = ", ".join(_limb(side, "hip", "knee", "ankle") for side in ("right", "left"))
_OPENPOSE_FACE = "right eye, left eye, right ear, left ear"


def _both(parts: str, first: str = "left") -> str:
    sides = ("left", "right") if first == "left" else ("right", "left")
    return ", ".join(f"{side} {part}" for part in parts.split() for side in sides)


# Orders, bones and centres: NTU RGB+D and 2s-AGCN (ntu25), OpenPose, COCO, MediaPipe, CTR-GCN (ucla20), UTD-MHAD, SBU,
# Penn Action and MSR-Action3D.
SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        _skeleton(
            "ntu25",
            f"pelvis, mid spine, neck, head, {_ARMS}, {_LEGS}, upper spine, "
            "left hand tip, left thumb, right hand tip, right thumb",
            [1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11],
            centre=20,
            origin=1,
        ),
        _skeleton(
            "openpose18",
            f"nose, neck, {_OPENPOSE_ARMS}, {_OPENPOSE_LEGS}, {_OPENPOSE_FACE}",
            [0, 0, 1, 2, 3, 1, 5, 6, 2, 8, 9, 5, 11, 12, 0, 0, 14, 15],
            centre=1,
            origin=1,
        ),
        _skeleton(
            "openpose25",
            f"nose, neck, {_OPENPOSE_ARMS}, pelvis, {_OPENPOSE_LEGS}, {_OPENPOSE_FACE}, "
            f"{_limb('left', 'big toe', 'small toe', 'heel')}, {_limb('right', 'big toe', 'small toe', 'heel')}",
            [1, 1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11],
            centre=1,
            origin=1,
        ),
        _skeleton(
            "coco17",
            f"nose, {_both('eye ear shoulder elbow wrist hip knee ankle')}",
            [0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 0, 0, 11, 12, 13, 14],
            centre=0,
            origin=0,
            edges=_pairs("15-13 13-11 16-14 14-12 11-5 12-6 9-7 7-5 10-8 8-6 5-0 6-0 1-0 3-1 2-0 4-2"),
        ),
        _skeleton(
            "mediapipe33",
            "nose, left inner eye, left eye, left outer eye, right inner eye, right eye, right outer eye, "
            "left ear, right ear, left mouth, right mouth, "
            f"{_both('shoulder elbow wrist pinky index thumb hip knee ankle heel')}, left big toe, right big toe",
            [
                *(0, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0),
                *(0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16),
                *(11, 12, 23, 24, 25, 26, 27, 28, 27, 28),
            ],
            centre=0,
            origin=0,
        ),
        _skeleton(
            "ucla20",
            f"pelvis, mid spine, upper spine, head, {_ARMS}, {_LEGS}",
            [1, 2, 2, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18],
            centre=2,
            origin=1,
        ),
        _skeleton(
            "utd20",
            f"head, upper spine, mid spine, pelvis, {_ARMS}, {_LEGS}",
            [1, 1, 1, 2, 1, 4, 5, 6, 1, 8, 9, 10, 3, 12, 13, 14, 3, 16, 17, 18],
            centre=1,
            origin=2,
        ),
        _skeleton(
            "sbu15",
            "head, neck, mid spine, left shoulder, left elbow, left hand, right shoulder, right elbow, right hand, "
            "left hip, left knee, left foot, right hip, right knee, right foot",
            [1, 1, 1, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13],
            centre=1,
            origin=2,
        ),
        _skeleton(
            "penn13",
            # The documentation names the left of each pair first, but that is the left of the picture.
            f"head, {_both('shoulder elbow wrist hip knee ankle', first='right')}",
            [0, 0, 0, 1, 2, 3, 4, 1, 2, 7, 8, 9, 10],
            centre=0,
            origin=0,
        ),
        _skeleton(
            "msr20",
            f"{_both('shoulder')}, neck, mid spine, {_both('hip')}, pelvis, {_both('elbow wrist hand')}, "
            f"{_both('knee ankle foot')}, head",
            [2, 2, 2, 2, 6, 6, 3, 0, 1, 7, 8, 9, 10, 4, 5, 13, 14, 15, 16, 2],
            centre=2,
            origin=3,
        ),
    )
}


def get_skeleton(name: str | Path) -> Skeleton:
    """A skeleton by name, or a user's own from a YAML file.

    Raises:
        ValueError: neither; the message lists the choices.
    """
    if str(name) in SKELETONS:
        return SKELETONS[str(name)]
    if Path(name).suffix in {".yaml", ".yml"}:
        return Skeleton.from_yaml(name)
    raise ValueError(f"no skeleton '{name}'{nearest(str(name), SKELETONS)}; or give a .yaml file.")


def _sides(joint: str, *alternatives: tuple[str, ...]) -> dict[str, tuple[tuple[str, ...], ...]]:
    return {
        f"{side} {joint}": tuple(tuple(f"{side} {part}" for part in parts) for parts in alternatives)
        for side in ("left", "right")
    }


# A joint that the source lacks is the average of the first group whose members it all has.
_AVERAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "neck": (("upper spine",), ("left shoulder", "right shoulder")),
    "upper spine": (("left shoulder", "right shoulder"), ("neck",)),
    "pelvis": (("left hip", "right hip"),),
    "mid spine": (("upper spine", "pelvis"), ("left shoulder", "right shoulder", "left hip", "right hip")),
    "head": (("left ear", "right ear"), ("nose",)),
    "nose": (("head",),),
    **_sides("hand", ("index", "pinky"), ("wrist",)),
    **_sides("wrist", ("hand",)),
    **_sides("hand tip", ("index",), ("hand",), ("wrist",)),
    **_sides("foot", ("big toe",), ("ankle",)),
    **_sides("big toe", ("foot",)),
    **_sides("ankle", ("foot",)),
}


@dataclass(frozen=True, eq=False)
class Conversion:
    """How each joint of a target skeleton follows from a source skeleton.

    Attributes:
        source: the skeleton converted from.
        target: the skeleton converted to.
        weights: (V_target, V_source), rows sum to 1, or to 0 for a missing joint.
        derived: target joints that are an average (or a stand-in) of differently named source joints.
        missing: target joints that the source cannot give.
    """

    source: Skeleton
    target: Skeleton
    weights: NDArray[np.float32]
    derived: dict[str, tuple[str, ...]]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        derived = "; ".join(f"{joint} = mean of {', '.join(parts)}" for joint, parts in self.derived.items())
        return (
            f"{self.source.name} -> {self.target.name}: "
            f"missing: {', '.join(self.missing) or 'none'}; derived: {derived or 'none'}"
        )


def way_out(source: Skeleton, target: Skeleton) -> str:
    """What to do with a store on one skeleton where another one is needed, as the end of an error message."""
    how = conversion(source, target)
    if how.missing:
        return f"it cannot be converted, as '{source.name}' has no {', '.join(how.missing)}."
    return f"prepare the recordings again with --to_skeleton {target.name} (or its .yaml file)."


def conversion(source: Skeleton, target: Skeleton) -> Conversion:
    """Match two skeletons by joint name; joints that only the target has become averages, or are listed as missing."""
    weights = np.zeros((target.num_joints, source.num_joints), dtype=np.float32)
    derived: dict[str, tuple[str, ...]] = {}
    missing: list[str] = []
    for row, joint in enumerate(target.joints):
        groups = ((joint,), *_AVERAGES.get(joint, ()))
        parts = next((group for group in groups if set(group) <= set(source.joints)), ())
        for part in parts:
            weights[row, source.joints.index(part)] = 1 / len(parts)
        if not parts:
            missing.append(joint)
        elif parts != (joint,):
            derived[joint] = parts
    return Conversion(source, target, weights, derived, tuple(missing))
