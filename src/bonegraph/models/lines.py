"""Maps with the joints as rows: a line of frames for each joint of each person, the channels side by side in memory.

For oneDNN a convolution over time is then one along the width of an image, which it takes best: the gradient of the
weights of a 9x1 convolution costs 0.7 of what it does on images of T by V. A product with a graph of the joints is one
product of two matrices. Neither copies anything.

The stride of the axis of one is always that of channels-last memory: the pass of torch 2.13 back through a batch
normalisation mixes channels up where it is another one and input and gradient lie differently in memory.

Axes: R people as rows, V joints, C channels, T frames; V·R lines, all people of a joint one after the other.
"""

from __future__ import annotations

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

Lines = Float[Tensor, "vr c 1 t"]


def as_lines(x: Float[Tensor, "r c t v"]) -> Lines:
    """A view of what comes from `from_lines`, a copy of anything else."""
    return rearrange(x, "r c t v -> (v r) t c").contiguous().mT.unsqueeze(2)


def from_lines(lines: Lines, joints: int) -> Float[Tensor, "r c t v"]:
    """The same numbers as a map, always a view."""
    return rearrange(lines.squeeze(2), "(v r) c t -> r c t v", v=joints)
