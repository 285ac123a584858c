"""An explanation in words: which joints, when, and how sure one can be of it.

Axes: T frames, M people, V joints.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonegraph.inference.explain import Explanation
from bonegraph.inference.faithfulness import Faithfulness

NAMED = 3
"""At most so many joints are named, fewer where they already have half of the focus."""
SPREAD = 0.8
"""A focus that stays above half of its height for a larger share of the time has no moment."""
NEAR = 0.03
"""Areas that differ by less, as a share of the highest probability, are equal: a few random orders tell no more."""
MEANING = (
    "The focus (Grad-CAM) is between 0 and 1 over this recording: 1 is the joint and frame whose features speak most "
    "for the class, 0 one whose features say nothing, or speak against it. It tells what the network looks at, not "
    "whether it is right to."
)
"""What stands beside every picture."""


class Place(NamedTuple):
    """A joint of a person, and its share of the focus."""

    person: int
    joint: int
    share: float


class Moment(NamedTuple):
    """From one frame to another, both of them included."""

    first: int
    last: int


def strongest_places(explanation: Explanation) -> list[Place]:
    """Every joint of the people whom the network sees, by falling share of the focus over all frames."""
    total = np.nansum(explanation.focus, axis=0)  # (M, V)
    share = total / max(float(total.sum()), 1e-12)
    places = [
        Place(person, joint, float(share[person, joint]))
        for person in explanation.people
        for joint in range(share.shape[1])
    ]
    return sorted(places, key=lambda place: -place.share)


def over_time(explanation: Explanation) -> NDArray[np.float64]:
    """(T,) the focus of all people and joints together; NaN in frames that the network does not take."""
    known = ~np.isnan(explanation.focus)
    return np.where(known.any(axis=(1, 2)), np.nansum(explanation.focus, axis=(1, 2)), np.nan)


def strongest_moment(explanation: Explanation) -> Moment | None:
    """The frames about the highest in which the focus stays above half of its height; None where that is nearly all."""
    height = np.nan_to_num(over_time(explanation))
    above = height >= height.max() / 2
    if not height.max() > 0 or above.sum() > SPREAD * len(height):
        return None
    first = last = int(height.argmax())
    while first > 0 and above[first - 1]:
        first -= 1
    while last < len(above) - 1 and above[last + 1]:
        last += 1
    return Moment(first, last)


def words(explanation: Explanation) -> str:
    """One sentence or two."""
    start = f"class '{explanation.action}' ({explanation.probability:.1%}"
    predicted = "" if explanation.action == explanation.predicted else f", the answer is '{explanation.predicted}'"
    start += f"{predicted}): "
    if explanation.flat:
        return f"{start}the focus is flat; no joint and no moment speaks more for this class than another."
    places = strongest_places(explanation)
    named = places[:1]
    while len(named) < min(NAMED, len(places)) and sum(place.share for place in named) < 0.5:
        named.append(places[len(named)])
    share, even = sum(place.share for place in named), len(named) / len(places)
    people = explanation.people
    names = _listed([joint_name(explanation, place) for place in named])
    text = f"{start}{share:.0%} of the focus is on {names} ({even:.0%} if it were even)"
    if len(people) > 1:
        own = [sum(place.share for place in places if place.person == person) for person in people]
        text += "; " + ", ".join(
            f"person {person + 1} has {part:.0%}" for person, part in zip(people, own, strict=True)
        )
    return f"{text}; {_when(explanation)}."


def joint_name(explanation: Explanation, place: Place) -> str:
    """Of which person, where there are several."""
    name = explanation.sequence.skeleton.joints[place.joint]
    return name if len(explanation.people) == 1 else f"{name} of person {place.person + 1}"


def faithful_words(found: Faithfulness) -> str:
    """The areas, and what they say."""
    numbers = (
        f"deletion {found.deletion_area:.3f}, insertion {found.insertion_area:.3f}, random order "
        f"{found.random_area:.3f}"
    )
    near = NEAR * float(max(found.deletion.max(), found.insertion.max()))
    less, more = found.random_area - found.deletion_area > near, found.insertion_area - found.random_area > near
    if less and more:
        verdict = "faithful: hiding what is in focus costs the class more than chance, showing it gives it more"
    elif less or more:
        verdict = f"half faithful: better than chance in {'deletion' if less else 'insertion'} only"
    else:
        verdict = "not faithful: no better than chance, do not trust the picture"
    return f"{numbers}; {verdict}."


def _when(explanation: Explanation) -> str:
    moment, fps = strongest_moment(explanation), explanation.sequence.fps
    if explanation.sequence.num_frames == 1:
        return "there is one frame only"
    if moment is None:
        return "it is spread over the whole time"
    if moment.first == moment.last:
        return f"it is strongest at {moment.first / fps:.1f} s"
    return f"it is strongest between {moment.first / fps:.1f} and {(moment.last + 1) / fps:.1f} s"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
