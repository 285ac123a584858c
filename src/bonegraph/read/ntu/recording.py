"""The text of a ``.skeleton`` file, exactly: every body of every frame, in the order of the file.

The file holds a number of frames; for each frame a number of bodies, which may be 0; for each body a line of 10 values,
the first of them its id, then the number of joints, 25, and a line of 12 values for each joint, the first three of them
x, y and z in metres as the camera sees them. Shahroudy et al., "NTU RGB+D: A Large Scale Dataset for 3D Human Activity
Analysis", CVPR 2016.

Ids have 17 digits, more than a float holds, and are read as whole numbers. What else a line holds (pixels, orientation,
tracking state) is counted and left alone; a sensor writes all kinds of things for a pixel that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

JOINTS = 25
BODY_VALUES, JOINT_VALUES = 10, 12
MOST_FRAMES = 216_000
"""Two hours. A longer recording is refused, since a line of two bytes can stand for a frame."""
FARTHEST = 1000.0
"""Metres; a sensor that sees a few metres far does not write this."""


@dataclass(frozen=True, eq=False)
class NtuRecording:
    """What a ``.skeleton`` file says.

    Attributes:
        name: of the file.
        num_frames: T, frames without a body included.
        ids: (B,) int64, the id of each of the B bodies, in the order of the file.
        frames: (B,) int64, the frame of each body, from 0; never falling.
        positions: (B, 25, 3) float64, finite; x, y up, z away from the camera, in metres.
    """

    name: str
    num_frames: int
    ids: NDArray[np.int64]
    frames: NDArray[np.int64]
    positions: NDArray[np.float64]

    @property
    def slots(self) -> NDArray[np.int64]:
        """(B,) the place of each body in its frame, from 0. It says nothing about who it is."""
        return np.arange(len(self.frames)) - np.searchsorted(self.frames, self.frames)


def read_recording(path: str | Path) -> NtuRecording:
    """Read a ``.skeleton`` file.

    Raises:
        ValueError: the file is damaged; the message names the line.
        OSError: the file cannot be read at all.
    """
    path = Path(path)
    text = _Text(path.name, path.read_bytes())
    num_frames = text.count("frames", lines_each=1)
    if not 1 <= num_frames <= MOST_FRAMES:
        raise text.damage(f"it declares {num_frames} frames, but 1 to {MOST_FRAMES} are possible")
    ids: list[int] = []
    frames: list[int] = []
    first_lines: list[int] = []  # of the joints of each body
    tokens: list[bytes] = []
    for frame in range(num_frames):
        for _ in range(text.count("bodies", lines_each=2 + JOINTS)):
            ids.append(text.body_id())
            if (joints := text.count("joints", lines_each=1)) != JOINTS:
                raise text.damage(f"it declares {joints} joints, but {JOINTS} are needed")
            frames.append(frame)
            first_lines.append(text.line + 1)
            tokens += text.joints()
    text.end()
    try:
        positions = np.array(list(map(float, tokens))).reshape(-1, JOINTS, 3)
    except ValueError:
        bad = next(number for number, token in enumerate(tokens) if not _is_number(token))
        line = first_lines[bad // (3 * JOINTS)] + bad // 3 % JOINTS
        raise text.damage(f"{_shown(tokens[bad])} is no number", line) from None
    usable = np.abs(positions) <= FARTHEST  # not where NaN
    if not usable.all():
        body, joint, _ = np.argwhere(~usable)[0]
        raise text.damage("the position is NaN, infinite or more than 1 km away", first_lines[body] + int(joint))
    return NtuRecording(
        path.name, num_frames, np.array(ids, dtype=np.int64), np.array(frames, dtype=np.int64), positions
    )


class _Text:
    """The lines of a file, read one after the other; every complaint names the line.

    What a file declares is held against the lines that are left before anything is made of it.
    """

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.lines = data.rstrip().splitlines()
        self.line = 0  # number of the last line that was read, from 1
        if not self.lines:
            raise ValueError(f"'{name}' is empty; remove it or fetch it again.")

    def damage(self, what: str, line: int | None = None) -> ValueError:
        return ValueError(f"'{self.name}' line {self.line if line is None else line}: {what}; fetch the file again.")

    def next(self, wanted: str) -> bytes:
        if self.line == len(self.lines):
            raise self.damage(f"the file ends where {wanted} should follow, it is cut off")
        self.line += 1
        return self.lines[self.line - 1]

    def count(self, what: str, lines_each: int) -> int:
        """A line with a number of things."""
        token = self.next(f"the number of {what}").strip()
        count = _whole(token)
        if count is None:
            raise self.damage(f"{_shown(token)} stands where the number of {what} should be")
        left = len(self.lines) - self.line
        if count * lines_each > left:
            raise self.damage(f"it declares {count} {what}, but only {left} lines follow, too few for that")
        return count

    def body_id(self) -> int:
        values = self.next("a body").split()
        if len(values) != BODY_VALUES:
            raise self.damage(f"a body needs {BODY_VALUES} values, here are {len(values)}")
        number = _whole(values[0])
        if number is None:
            raise self.damage(f"{_shown(values[0])} stands where the id of a body should be")
        return number

    def joints(self) -> list[bytes]:
        """x, y and z of the next 25 lines, one after the other."""
        tokens: list[bytes] = []
        for line in self.lines[self.line : self.line + JOINTS]:
            self.line += 1
            values = line.split()
            if len(values) != JOINT_VALUES:
                raise self.damage(f"a joint needs {JOINT_VALUES} values, here are {len(values)}")
            tokens += values[:3]
        return tokens

    def end(self) -> None:
        if self.line < len(self.lines):
            self.line += 1
            raise self.damage(f"the declared frames are over, but {_shown(self.lines[self.line - 1])} follows")


def _whole(token: bytes) -> int | None:
    """A whole number that fits 64 bits, or None."""
    return int(token) if token.isdigit() and len(token) <= 18 else None


def _is_number(token: bytes) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _shown(token: bytes) -> str:
    """The beginning of some bytes, for a message."""
    return repr(token[:16]).removeprefix("b") + ("..." if len(token) > 16 else "")
