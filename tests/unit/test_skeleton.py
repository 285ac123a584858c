"""The joint tables against the facts of the field, user-defined skeletons, and conversion."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from bonegraph.skeleton import SKELETONS, Skeleton, conversion, get_skeleton

Pairs = list[tuple[int, int]]


def pairs(text: str) -> Pairs:
    """'(1,2)(3,4)' as the field's tables write it."""
    return [(int(a), int(b)) for a, b in (pair.split(",") for pair in text.strip("()").split(")("))]


def bones_by_name(body: Skeleton) -> set[str]:
    return {f"{body.joints[child]} - {body.joints[parent]}" for child, parent in body.bones}


def both_sides(text: str) -> set[str]:
    """'left elbow - left shoulder' and its mirror image; a bone on the midline once."""
    bones = {bone.strip() for bone in text.split(",")}
    return bones | {bone.replace("left", "right") for bone in bones}


# --- joint tables ---------------------------------------------------------------------------------------------------

# (child, parent) as published: 2s-AGCN, MS-G3D and CTR-GCN for NTU and NW-UCLA (counted from 1), and for Kinetics and
# COCO (counted from 0). (21, 21) and (0, 0) are the roots.
PUBLISHED_BONES: dict[str, Pairs] = {
    "ntu25": [
        (child - 1, parent - 1)
        for child, parent in pairs(
            "(1,2)(2,21)(3,21)(4,3)(5,21)(6,5)(7,6)(8,7)(9,21)(10,9)(11,10)(12,11)(13,1)(14,13)(15,14)(16,15)"
            "(17,1)(18,17)(19,18)(20,19)(22,23)(21,21)(23,8)(24,25)(25,12)"
        )
    ],
    "openpose18": pairs(
        "(0,0)(1,0)(2,1)(3,2)(4,3)(5,1)(6,5)(7,6)(8,2)(9,8)(10,9)(11,5)(12,11)(13,12)(14,0)(15,0)(16,14)(17,15)"
    ),
    "ucla20": [
        (child - 1, parent - 1)
        for child, parent in pairs(
            "(1,2)(2,3)(3,3)(4,3)(5,3)(6,5)(7,6)(8,7)(9,3)(10,9)(11,10)(12,11)(13,1)(14,13)(15,14)(16,15)"
            "(17,1)(18,17)(19,18)(20,19)"
        )
    ],
    "coco17": pairs("(0,0)(1,0)(2,0)(3,1)(4,2)(5,0)(6,0)(7,5)(8,6)(9,7)(10,8)(11,0)(12,0)(13,11)(14,12)(15,13)(16,14)"),
}

# Undirected graph edges as published.
PUBLISHED_EDGES: dict[str, Pairs] = {
    "ntu25": [(child, parent) for child, parent in PUBLISHED_BONES["ntu25"] if child != parent],
    "openpose18": pairs(
        "(4,3)(3,2)(7,6)(6,5)(13,12)(12,11)(10,9)(9,8)(11,5)(8,2)(5,1)(2,1)(0,1)(15,0)(14,0)(17,15)(16,14)"
    ),
    "openpose25": pairs(
        "(0,1)(1,2)(2,3)(3,4)(1,5)(5,6)(6,7)(1,8)(8,9)(9,10)(10,11)(8,12)(12,13)(13,14)(0,15)(0,16)(15,17)(16,18)"
        "(14,19)(19,20)(14,21)(11,22)(22,23)(11,24)"
    ),
    "ucla20": [(child, parent) for child, parent in PUBLISHED_BONES["ucla20"] if child != parent],
    "coco17": pairs("(15,13)(13,11)(16,14)(14,12)(11,5)(12,6)(9,7)(7,5)(10,8)(8,6)(5,0)(6,0)(1,0)(3,1)(2,0)(4,2)"),
}

# Skeletons without a published table, by name.
ARM = "left elbow - left shoulder, left wrist - left elbow"
LEG = "left knee - left hip, left ankle - left knee"
KINECT_1 = (
    f"left shoulder - upper spine, {ARM}, left hand - left wrist, left hip - pelvis, {LEG}, left foot - left ankle, "
    "head - upper spine, mid spine - upper spine, pelvis - mid spine"
)
NAMED_BONES = {
    "ucla20": KINECT_1,
    "utd20": KINECT_1,
    "msr20": KINECT_1.replace("upper spine", "neck"),
    "sbu15": "head - neck, mid spine - neck, left shoulder - neck, left elbow - left shoulder, left hand - left elbow, "
    "left hip - mid spine, left knee - left hip, left foot - left knee",
    "penn13": f"left shoulder - head, {ARM}, left hip - left shoulder, {LEG}",
    "mediapipe33": "left inner eye - nose, left eye - left inner eye, left outer eye - left eye, "
    f"left ear - left outer eye, left mouth - nose, left shoulder - nose, {ARM}, left pinky - left wrist, "
    f"left index - left wrist, left thumb - left wrist, left hip - left shoulder, {LEG}, left heel - left ankle, "
    "left big toe - left ankle",
}

JOINTS = {
    "ntu25": 25, "openpose18": 18, "openpose25": 25, "coco17": 17, "mediapipe33": 33,
    "ucla20": 20, "utd20": 20, "sbu15": 15, "penn13": 13, "msr20": 20,
}  # fmt: skip


def test_every_skeleton_of_the_data_sets_is_there() -> None:
    assert {name: body.num_joints for name, body in SKELETONS.items()} == JOINTS
    assert all(name == body.name for name, body in SKELETONS.items())
    assert set(JOINTS) == set(PUBLISHED_EDGES) | set(NAMED_BONES)


@pytest.mark.parametrize("name", PUBLISHED_BONES)
def test_published_bones(name: str) -> None:
    root = [(joint, parent) for joint, parent in enumerate(SKELETONS[name].parents) if joint == parent]
    assert sorted([*SKELETONS[name].bones, *root]) == sorted({*PUBLISHED_BONES[name], *root})


@pytest.mark.parametrize("name", PUBLISHED_EDGES)
def test_published_edges(name: str) -> None:
    ours = {frozenset(edge) for edge in SKELETONS[name].edges}
    assert ours == {frozenset(edge) for edge in PUBLISHED_EDGES[name]}
    assert len(SKELETONS[name].edges) == len(PUBLISHED_EDGES[name])


@pytest.mark.parametrize("name", NAMED_BONES)
def test_named_bones(name: str) -> None:
    assert bones_by_name(SKELETONS[name]) == both_sides(NAMED_BONES[name])


@pytest.mark.parametrize(
    ("name", "centre", "origin"),
    [
        ("ntu25", 20, 1),  # partition by joint 21, translation by joint 2, counted from 1
        ("openpose18", 1, 1),
        ("openpose25", 1, 1),
        ("ucla20", 2, 1),
        ("coco17", 0, 0),
    ],
)
def test_published_centres(name: str, centre: int, origin: int) -> None:
    assert (SKELETONS[name].centre, SKELETONS[name].origin) == (centre, origin)


@pytest.mark.parametrize(
    ("name", "mirrored"),
    [
        ("openpose25", "(2,5)(3,6)(4,7)(9,12)(10,13)(11,14)(15,16)(17,18)(19,22)(20,23)(21,24)(0,0)(1,1)(8,8)"),
        ("coco17", "(1,2)(3,4)(5,6)(7,8)(9,10)(11,12)(13,14)(15,16)(0,0)"),
    ],
)
def test_published_mirror_pairs(name: str, mirrored: str) -> None:
    assert {(a, b) for a, b in enumerate(SKELETONS[name].mirror) if a <= b} == set(pairs(mirrored))


@pytest.mark.parametrize(
    ("name", "joint", "number"),
    [
        ("ntu25", "head", 3), ("ntu25", "left elbow", 5), ("ntu25", "right hand", 11), ("ntu25", "right foot", 19),
        ("ntu25", "left hand tip", 21), ("ntu25", "left thumb", 22), ("ntu25", "right hand tip", 23),
        ("openpose18", "right wrist", 4), ("openpose18", "left ankle", 13), ("openpose18", "left ear", 17),
        ("openpose25", "pelvis", 8), ("openpose25", "left big toe", 19), ("openpose25", "right heel", 24),
        ("coco17", "left wrist", 9), ("coco17", "right ankle", 16),
        ("mediapipe33", "left inner eye", 1), ("mediapipe33", "right outer eye", 6), ("mediapipe33", "left mouth", 9),
        ("mediapipe33", "right thumb", 22), ("mediapipe33", "left heel", 29), ("mediapipe33", "right big toe", 32),
        ("ucla20", "head", 3), ("ucla20", "right hand", 11), ("utd20", "head", 0), ("utd20", "right hand", 11),
        ("sbu15", "right hand", 8), ("sbu15", "left knee", 10),
        ("msr20", "pelvis", 6), ("msr20", "head", 19),
    ],
)  # fmt: skip
def test_joint_numbers(name: str, joint: str, number: int) -> None:
    assert SKELETONS[name].index(joint) == number


# --- left and right in real recordings ------------------------------------------------------------------------------


def travel(positions: NDArray[np.float64], body: Skeleton, joint: str, relative_to: str) -> float:
    """Length of the path of a joint as seen from another one."""
    path = positions[:, body.index(joint)] - positions[:, body.index(relative_to)]
    return float(np.linalg.norm(np.diff(path, axis=0), axis=-1).sum())


def right_hand_moves_more(positions: NDArray[np.float64], body: Skeleton) -> bool:
    left, right = (travel(positions, body, f"{side} hand", f"{side} shoulder") for side in ("left", "right"))
    return right > left


def test_msr_right_arm_does_the_right_arm_actions(shared: Path) -> None:
    """High wave, horizontal wave and hammer are performed with the right arm."""
    files = sorted((shared / "data" / "msr_action3d").glob("a0[123]_*_skeleton3D.txt"))
    if not files:
        pytest.skip(f"no MSR-Action3D recordings in '{shared / 'data'}'")
    clips = [np.loadtxt(file).reshape(-1, 20, 4)[..., :3] for file in files[::4]]
    right = [right_hand_moves_more(clip[(clip != 0).any(axis=(1, 2))], SKELETONS["msr20"]) for clip in clips]
    assert np.mean(right) > 0.9


def test_utd_right_arm_does_the_right_arm_actions(shared: Path) -> None:
    """Action 1 is 'right arm swipe to the left', action 3 'right hand wave'."""
    io = pytest.importorskip("scipy.io")
    files = sorted((shared / "data" / "utd_mhad").glob("a[13]_s?_t1_skeleton.mat"))
    if not files:
        pytest.skip(f"no UTD-MHAD recordings in '{shared / 'data'}'")
    clips = [io.loadmat(file)["d_skel"].transpose(2, 0, 1) for file in files]
    assert np.mean([right_hand_moves_more(clip, SKELETONS["utd20"]) for clip in clips]) > 0.9


def test_penn_left_is_the_left_of_the_person(shared: Path) -> None:
    """Somebody who faces the camera has the left shoulder on the right of the picture, from behind on the left."""
    io = pytest.importorskip("scipy.io")
    folder = shared / "data" / "penn_action"
    files = [folder / f"{number:04d}.mat" for number in range(1037, 1240, 4)]  # jumping jacks and pull-ups
    if not all(file.is_file() for file in files):
        pytest.skip(f"no Penn Action recordings in '{shared / 'data'}'")
    body = SKELETONS["penn13"]
    as_expected = []
    for file in files:
        clip = io.loadmat(file)
        left, right = (np.median(clip["x"][:, body.index(f"{side} shoulder")]) for side in ("left", "right"))
        view = str(clip["pose"][0])
        if view in ("front", "back"):
            as_expected.append(bool(left > right) == (view == "front"))
    assert len(as_expected) > 20
    assert np.mean(as_expected) > 0.9, f"left and right agree with the view in {np.mean(as_expected):.0%} of the clips"


# --- making a skeleton ----------------------------------------------------------------------------------------------


def make(
    joints: tuple[str, ...] = ("hip", "knee", "toe"),
    parents: tuple[int, ...] = (0, 0, 1),
    mirror: tuple[int, ...] = (0, 1, 2),
    centre: int = -1,
    origin: int = -1,
    edges: tuple[tuple[int, int], ...] = (),
) -> Skeleton:
    return Skeleton("leg", joints, parents, mirror, centre, origin, edges)


def test_defaults() -> None:
    body = make(parents=(1, 1, 1))
    assert (body.num_joints, body.centre, body.origin) == (3, 1, 1)
    assert body.bones == body.edges == ((0, 1), (2, 1))
    assert make(centre=2).origin == 2


def test_a_skeleton_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        make().name = "arm"  # type: ignore[misc]
    assert len({make(), make()}) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"joints": (), "parents": (), "mirror": ()}, "has no joints"),
        ({"joints": ("hip", "knee", "hip")}, "names the joint 'hip' twice"),
        ({"parents": (0, 0)}, "has 3 joints but 2 parents"),
        ({"mirror": (0, 1, 2, 3)}, "has 3 joints but 4 mirror"),
        ({"parents": (0, 0, 3)}, "parents must be joint numbers from 0 to 2"),
        ({"parents": (0, 0, -1)}, "parents must be joint numbers from 0 to 2"),
        ({"parents": (0, 1, 1)}, "has 2 roots"),
        ({"parents": (1, 2, 0)}, "has 0 roots"),
        ({"parents": (0, 2, 1)}, "the bones from 'knee' run in a circle"),
        ({"mirror": (1, 2, 0)}, "mirror must be symmetric"),
        ({"centre": 3}, "centre must be a joint number from 0 to 2, got 3"),
        ({"origin": -2}, "origin must be a joint number from 0 to 2, got -2"),
        ({"edges": ((0, 3),)}, "edges must join two different joints"),
        ({"edges": ((1, 1),)}, "edges must join two different joints"),
    ],
)
def test_nonsense_is_refused(wrong: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make(**wrong)  # type: ignore[arg-type]
    assert "leg" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_index_names_the_nearest_joint() -> None:
    with pytest.raises(ValueError, match="'ntu25' has no joint 'left elbw'; did you mean 'left elbow'"):
        SKELETONS["ntu25"].index("left elbw")


@pytest.mark.parametrize("name", SKELETONS)
def test_built_in_skeletons_survive_plain_data(name: str) -> None:
    body = get_skeleton(name)
    assert Skeleton.from_dict(body.to_dict()) == body
    assert Skeleton.from_dict(yaml.safe_load(yaml.safe_dump(body.to_dict()))) == body


def test_unknown_skeleton_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="no skeleton 'coco-17'; did you mean 'coco17'"):
        get_skeleton("coco-17")


# --- a user's own skeleton ------------------------------------------------------------------------------------------

CRAB = """
name: crab
joints: [shell, left claw, right claw, left pincer, right pincer]
parents: {left claw: shell, right claw: shell, left pincer: left claw, right pincer: right claw}
mirror: [[left claw, right claw], [left pincer, right pincer]]
"""


def crab(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    text = CRAB
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "crab.yaml"
    path.write_text(text + more, encoding="utf-8")
    return path


def refused(path: Path, kind: type[Exception] = ValueError) -> str:
    with pytest.raises(kind) as caught:
        get_skeleton(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_users_skeleton(tmp_path: Path) -> None:
    body = get_skeleton(crab(tmp_path))
    assert body == Skeleton(
        "crab",
        ("shell", "left claw", "right claw", "left pincer", "right pincer"),
        (0, 0, 0, 1, 2),
        (0, 2, 1, 4, 3),
    )
    full = crab(tmp_path, more="centre: left claw\norigin: shell\nedges: [[left claw, right claw], [shell, left claw]]")
    body = get_skeleton(str(full))
    assert (body.centre, body.origin, body.edges) == (1, 0, ((1, 2), (0, 1)))
    assert body.bones == ((1, 0), (2, 0), (3, 1), (4, 2))


def test_a_users_skeleton_with_mistakes(tmp_path: Path) -> None:
    assert "no field 'mirrors'; did you mean 'mirror'" in refused(crab(tmp_path, ("mirror:", "mirrors:")))
    assert "needs the field 'parents'" in refused(crab(tmp_path, ("parents", "origin")))
    bad_joint = refused(crab(tmp_path, ("left claw: shell", "left clow: shell")))
    assert "'crab' has no joint 'left clow'; did you mean 'left claw'" in bad_joint
    cycle = refused(crab(tmp_path, ("left claw: shell", "left claw: left pincer")))
    assert "the bones from 'left claw' run in a circle" in cycle
    assert "has 2 roots" in refused(crab(tmp_path, ("right claw: shell, ", "")))
    assert "each entry of mirror must be a pair" in refused(crab(tmp_path, ("[left claw, right claw]", "left claw")))
    assert "parents must map each joint" in refused(crab(tmp_path, ("parents: {", "parents: [{"), ("}", "}]")))
    assert "has no joint 'tail'" in refused(crab(tmp_path, more="centre: tail"))


@pytest.mark.parametrize("field", ["joints", "mirror", "edges"])
def test_a_users_skeleton_with_a_number_for_a_list(field: str) -> None:
    data = {**yaml.safe_load(CRAB), field: 5}
    with pytest.raises(ValueError, match=field):
        Skeleton.from_dict(data)


def test_no_skeleton_file(tmp_path: Path) -> None:
    message = refused(tmp_path / "missing.yaml", FileNotFoundError)
    assert "no skeleton file" in message
    assert "missing.yaml" in message
    assert "ntu25" in message


@pytest.mark.parametrize("text", ["name: [crab", "joints: {a: b: c}", "\ttabs: 1"])
def test_a_file_that_is_no_yaml(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yml"
    path.write_text(text, encoding="utf-8")
    assert f"'{path}' is not valid YAML" in refused(path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe\x00")
    assert "is not valid YAML" in refused(path)


@pytest.mark.parametrize("text", ["", "[a, b]", "just words"])
def test_yaml_that_is_no_skeleton(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text, encoding="utf-8")
    assert "a skeleton is a mapping" in refused(path)


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    evidence = tmp_path / "evidence"
    path = tmp_path / "evil.yaml"
    path.write_text(f"name: !!python/object/apply:os.system ['touch {evidence}']\n", encoding="utf-8")
    assert "is not valid YAML" in refused(path)
    assert not evidence.exists()


# --- conversion -----------------------------------------------------------------------------------------------------


def chosen(source: str, target: str) -> list[int | str]:
    """The source joint of each target joint; 'mean of a, b' where there are several."""
    result: list[int | str] = []
    for row in conversion(SKELETONS[source], SKELETONS[target]).weights:
        joints = np.flatnonzero(row).tolist()
        result.append(joints[0] if len(joints) == 1 else f"mean of {', '.join(map(str, joints))}")
    return result


def test_coco_to_openpose_as_released() -> None:
    """Neck = mean of the shoulders; the order in which released tools fill COCO-18 from COCO-17."""
    neck = "mean of 5, 6"
    assert chosen("coco17", "openpose18") == [0, neck, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
    how = conversion(SKELETONS["coco17"], SKELETONS["openpose18"])
    np.testing.assert_array_equal(how.weights[1, 5:7], [0.5, 0.5])
    assert how.derived == {"neck": ("left shoulder", "right shoulder")}
    assert how.missing == ()
    assert str(how) == "coco17 -> openpose18: missing: none; derived: neck = mean of left shoulder, right shoulder"


def test_body_25_to_coco_18() -> None:
    assert chosen("openpose25", "openpose18") == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]


def test_mediapipe_to_coco_17() -> None:
    assert chosen("mediapipe33", "coco17") == [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]


def test_missing_joints_are_listed() -> None:
    how = conversion(SKELETONS["ntu25"], SKELETONS["coco17"])
    assert how.missing == ("left eye", "right eye", "left ear", "right ear")
    assert how.derived == {"nose": ("head",)}
    assert "missing: left eye, right eye, left ear, right ear" in str(how)
