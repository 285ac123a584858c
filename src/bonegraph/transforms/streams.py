"""The four streams of the field: joint, bone, joint motion and bone motion (2s-AGCN, MS-G3D, DualHead-Net 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bonegraph.skeleton import Skeleton, nearest

Stream = Literal["joint", "bone", "joint-motion", "bone-motion"]
STREAMS: tuple[Stream, ...] = ("joint", "bone", "joint-motion", "bone-motion")


def check_streams(names: Sequence[str]) -> None:
    """See that streams exist.

    Raises:
        ValueError: one does not; the message lists the choices.
    """
    if unknown := [name for name in names if name not in STREAMS]:
        raise ValueError(f"no stream '{unknown[0]}'{nearest(unknown[0], STREAMS)}.")


def _in_memory_order(x: Tensor) -> Tensor:
    """(N, C, T, V, M) as (N, M, T, V, C), the order in which a store gathers; a view."""
    return x.permute(0, 4, 2, 3, 1)


def _back(rows: Tensor) -> Tensor:
    return rows.permute(0, 4, 2, 3, 1)


def bones(positions: Float[Tensor, "n c t v m"], skeleton: Skeleton) -> Float[Tensor, "n c t v m"]:
    """Joint minus parent; the root has the zero bone."""
    return _back(_bones(_in_memory_order(positions), skeleton))


def motion(positions: Float[Tensor, "n c t v m"]) -> Float[Tensor, "n c t v m"]:
    """Next frame minus this frame; the last frame has none."""
    return _back(_motion(_in_memory_order(positions)))


def _bones(rows: Tensor, skeleton: Skeleton) -> Tensor:
    channels = rows.shape[4]
    parents = torch.tensor(skeleton.parents, device=rows.device)
    columns = (parents[:, None] * channels + torch.arange(channels, device=rows.device)).flatten()
    flat = rows.flatten(3).flatten(0, 2)  # one row a body: picking columns is several times faster than picking joints
    return (flat - flat.index_select(1, columns)).view(rows.shape)


def _moving(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Where there is a motion (both frames are seen), and its mask, in which the last seen frame keeps its place."""
    following = torch.cat([seen[:, :, 1:], torch.zeros_like(seen[:, :, :1])], dim=2)
    later = following.flip(2).cummax(dim=2).values.flip(2)
    return seen & following, seen & (following | ~later)


def _motion(rows: Tensor) -> Tensor:
    return torch.diff(rows, dim=2, append=rows[:, :, -1:])


def streams(
    positions: Float[Tensor, "n c t v m"],
    visible: Bool[Tensor, "n t v m"],
    skeleton: Skeleton,
    names: Sequence[Stream] = STREAMS,
) -> dict[str, tuple[Float[Tensor, "n c t v m"], Bool[Tensor, "n t v m"]]]:
    """Several streams of a batch, each with its mask: a bone needs both its ends, a motion both its frames.

    The last frame in which a joint is seen keeps its place in a motion stream, with motion 0.

    Args:
        positions: 0 where invisible.
        visible: the mask.
        skeleton: of the joints.
        names: any of `STREAMS`.

    Raises:
        ValueError: no such stream.
    """
    check_streams(names)
    rows, seen = _in_memory_order(positions), visible.permute(0, 3, 1, 2)[..., None]  # n m t v c, n m t v 1
    body = seen[:, :, :, :1]
    if torch.equal(seen, body.expand_as(seen)):
        seen = body  # bodies are seen or unseen as a whole, so one flag each is enough
    base = {"joint": (rows, seen)}
    if any(name.startswith("bone") for name in names):
        whole = seen & seen[:, :, :, list(skeleton.parents)] if seen.shape[3] > 1 else seen
        base["bone"] = _bones(rows, skeleton), whole
        if seen.shape[3] > 1:
            base["bone"] = base["bone"][0] * whole, whole
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for name in names:
        values, mask = base[name.removesuffix("-motion")]
        if name.endswith("-motion"):
            moved, mask = _moving(mask)
            values = _motion(values) * moved
        found[name] = _back(values), mask[..., 0].expand(rows.shape[:4]).permute(0, 2, 3, 1)
    return found


def stream(
    positions: Float[Tensor, "n c t v m"], visible: Bool[Tensor, "n t v m"], skeleton: Skeleton, name: Stream
) -> tuple[Float[Tensor, "n c t v m"], Bool[Tensor, "n t v m"]]:
    """One stream of a batch with its mask, see `streams`."""
    return streams(positions, visible, skeleton, (name,))[name]
