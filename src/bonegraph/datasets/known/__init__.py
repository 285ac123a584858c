"""Known data sets, one module each; `known_set` gives one by name."""

from __future__ import annotations

from bonegraph.datasets.known.base import NO_LABEL, KnownSet, Source
from bonegraph.datasets.known.containers import AnnotationsSet, ArraysSet, CtrGcnSet
from bonegraph.datasets.known.kinetics import KineticsMotion, KineticsSkeleton
from bonegraph.datasets.known.kth import Kth
from bonegraph.datasets.known.mediapipe import MediaPipeSet
from bonegraph.datasets.known.motions import MimedMotions
from bonegraph.datasets.known.msr import MsrAction3d
from bonegraph.datasets.known.ntu import Ntu60, Ntu120
from bonegraph.datasets.known.openpose import OpenPoseSet
from bonegraph.datasets.known.penn import PennAction
from bonegraph.datasets.known.sbu import Sbu
from bonegraph.datasets.known.table import TableSet
from bonegraph.datasets.known.ucla import NwUcla
from bonegraph.datasets.known.utd import UtdMhad
from bonegraph.datasets.known.video import VideoSet
from bonegraph.skeleton import nearest

__all__ = ["KNOWN_SETS", "NO_LABEL", "KnownSet", "Source", "known_set"]

KNOWN_SETS: dict[str, type[KnownSet]] = {
    chosen.name: chosen
    for chosen in (
        *(NwUcla, Sbu, UtdMhad, MsrAction3d, PennAction, Ntu60, Ntu120),
        *(KineticsSkeleton, KineticsMotion),
        *(Kth, MimedMotions),
        *(ArraysSet, CtrGcnSet, AnnotationsSet),
        *(TableSet, OpenPoseSet, MediaPipeSet, VideoSet),
    )
}
"""The data sets of files by name; `known_set` also knows ``"synthetic"``, which needs none."""


def set_class(name: str) -> type[KnownSet]:
    """The class of a data set by name; what its constructor takes are the settings of the set.

    Raises:
        ValueError: there is none of this name; the message lists the choices and the nearest one.
    """
    if name == "synthetic":
        # Imported here because the synthetic set builds on this module.
        from bonegraph.datasets.synthetic import Synthetic

        return Synthetic
    if name not in KNOWN_SETS:
        raise ValueError(f"no data set '{name}'{nearest(name, [*KNOWN_SETS, 'synthetic'])}.")
    return KNOWN_SETS[name]


def known_set(name: str) -> KnownSet:
    """A data set by name, with its default settings.

    Raises:
        ValueError: there is none of this name, or it has a setting without a default.
    """
    try:
        return set_class(name)()
    except TypeError as error:
        raise ValueError(
            f"the data set '{name}' has no default for a setting ({error}); make it by its class."
        ) from None
