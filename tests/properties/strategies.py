"""Random skeletons and recordings for property tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bonegraph.sequence import Sequence
from bonegraph.skeleton import Skeleton


@st.composite
def skeletons(draw: st.DrawFn, min_joints: int = 1, max_joints: int = 9, tree: bool = False) -> Skeleton:
    """A random body: any bone tree in any joint order, any symmetry, any centre and origin.

    Args:
        draw: given by hypothesis.
        min_joints: smallest V.
        max_joints: largest V.
        tree: only the bones are edges; False adds random edges to some of the skeletons.
    """
    count = draw(st.integers(min_joints, max_joints))
    order = draw(st.permutations(range(count)))
    parents = [0] * count
    parents[order[0]] = order[0]
    for place in range(1, count):
        parents[order[place]] = order[draw(st.integers(0, place - 1))]

    pairs = draw(st.integers(0, count // 2))
    sides = draw(st.permutations(range(count)))
    mirror, joints = list(range(count)), [f"middle {joint}" for joint in range(count)]
    for pair in range(pairs):
        left, right = sides[2 * pair], sides[2 * pair + 1]
        mirror[left], mirror[right] = right, left
        joints[left], joints[right] = f"left part {pair}", f"right part {pair}"

    joint = st.integers(0, count - 1)
    edges = {tuple(sorted((child, parent))) for child, parent in enumerate(parents) if child != parent}
    if not tree and count > 1:
        more = draw(st.sets(st.tuples(joint, joint).filter(lambda edge: edge[0] < edge[1]), max_size=3))
        edges |= more
    return Skeleton(
        name="random",
        joints=tuple(joints),
        parents=tuple(parents),
        mirror=tuple(mirror),
        centre=draw(joint),
        origin=draw(joint),
        edges=tuple(sorted((edge[0], edge[1]) for edge in edges)),
    )


@st.composite
def sequences(draw: st.DrawFn, skeleton: Skeleton | None = None, max_frames: int = 5, max_people: int = 3) -> Sequence:
    """A random recording, of a given or a random skeleton, with people who come and go and joints that are not found.

    Args:
        draw: given by hypothesis.
        skeleton: the joints; default a random skeleton.
        max_frames: largest T.
        max_people: largest M.
    """
    body = draw(skeletons()) if skeleton is None else skeleton
    frames, people = draw(st.integers(1, max_frames)), draw(st.integers(1, max_people))
    shape = (frames, people, body.num_joints, draw(st.sampled_from((2, 3))))
    # Millimetre steps within 100 m: what cameras measure, and no example that only tests float32 itself.
    steps = draw(hnp.arrays(np.int32, shape, elements=st.integers(-100_000, 100_000)))
    confidence = None
    if draw(st.booleans()):
        percent = draw(hnp.arrays(np.int32, shape[:3], elements=st.integers(0, 100)))
        confidence = (percent / 100).astype(np.float32)
    return Sequence(
        positions=(steps / 1000).astype(np.float32),
        present=draw(hnp.arrays(np.bool_, shape[:2])),
        skeleton=body,
        fps=draw(st.sampled_from((15.0, 29.97, 30.0))),
        unit=draw(st.sampled_from(("m", "px", "normalised"))),
        confidence=confidence,
    )
