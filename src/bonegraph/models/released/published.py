"""Accuracies that papers state for networks with public weights. They are the papers' figures, not ours.

Tables of the field take the best epoch on the test part. 2s-AGCN and DualHead-Net have no public weights of their
authors; their figures are for those of others.
"""

from __future__ import annotations

from typing import NamedTuple

from bonegraph.transforms.streams import Stream


class Published(NamedTuple):
    """A figure of a paper.

    Attributes:
        top1: in percent.
        source: where it stands.
    """

    top1: float
    source: str


_STGCN = "ST-GCN (Yan et al. 2018)"
_MSG3D = "MS-G3D (Liu et al. 2020), as quoted in Table 2 of STF (2022)"
_AGCN = "2s-AGCN (Shi et al. 2019), as quoted in Table 2 of STF (2022)"
_DUALHEAD = "DualHead-Net (2021)"

DATA_OF = {60: "ntu60", 120: "ntu120", 400: "kinetics"}
"""The data set of public weights by its number of classes."""

PUBLISHED: dict[tuple[str, str, str, Stream], Published] = {
    ("stgcn", "ntu60", "xsub", "joint"): Published(81.5, f"{_STGCN}, Table 3"),
    ("stgcn", "ntu60", "xview", "joint"): Published(88.3, f"{_STGCN}, Table 3"),
    ("stgcn", "kinetics", "given", "joint"): Published(30.7, f"{_STGCN}, Table 2"),
    ("msg3d", "ntu60", "xsub", "joint"): Published(89.4, _MSG3D),
    ("msg3d", "ntu60", "xsub", "bone"): Published(90.1, _MSG3D),
    ("msg3d", "ntu60", "xview", "joint"): Published(95.0, _MSG3D),
    ("msg3d", "ntu60", "xview", "bone"): Published(95.3, _MSG3D),
    ("msg3d", "kinetics", "given", "joint"): Published(35.8, _MSG3D),
    ("msg3d", "kinetics", "given", "bone"): Published(35.44, _MSG3D),
    ("agcn", "ntu60", "xview", "joint"): Published(93.7, _AGCN),
    ("agcn", "ntu60", "xview", "bone"): Published(93.2, _AGCN),
    ("agcn", "kinetics", "given", "joint"): Published(35.1, _AGCN),
    ("agcn", "kinetics", "given", "bone"): Published(33.3, _AGCN),
    ("dualhead", "ntu60", "xsub", "joint"): Published(90.3, f"{_DUALHEAD}, Table 1"),
    ("dualhead", "ntu60", "xsub", "bone"): Published(90.7, f"{_DUALHEAD}, Table 1"),
    ("dualhead", "ntu60", "xview", "joint"): Published(96.1, f"{_DUALHEAD}, Table 1"),
    ("dualhead", "ntu60", "xview", "bone"): Published(95.5, f"{_DUALHEAD}, Table 1"),
    ("dualhead", "ntu120", "xsub", "joint"): Published(84.6, f"{_DUALHEAD}, Table 2"),
    ("dualhead", "ntu120", "xsub", "bone"): Published(86.7, f"{_DUALHEAD}, Table 2"),
    ("dualhead", "ntu120", "xset", "joint"): Published(85.9, f"{_DUALHEAD}, Table 2"),
    ("dualhead", "ntu120", "xset", "bone"): Published(87.9, f"{_DUALHEAD}, Table 2"),
    ("dualhead", "kinetics", "given", "joint"): Published(36.6, f"{_DUALHEAD}, Table 3"),
    ("dualhead", "kinetics", "given", "bone"): Published(35.7, f"{_DUALHEAD}, Table 3"),
}
"""(family, data set, split, stream) -> top-1 accuracy on the test part."""
