"""The tables and studies of STF (Ke, Peng and Lyu, AAAI 2022).

Every network is tuned from the MS-G3D of the same seed and split, which is trained once and shared: first with the
schedule of the recipe, then with that of its ``tuning``. Rows and tables that need the same training share its folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bonegraph.datasets.scarce import Scarce
from bonegraph.models import dualhead, msg3d, stf, stgcn
from bonegraph.models.stgcn import Width
from bonegraph.objectives.stf import FocusLoss
from bonegraph.reproduce.claims import CLAIMS, claims_of
from bonegraph.reproduce.stgcn import top1
from bonegraph.reproduce.table import Column, Row, Table
from bonegraph.training.settings import Settings
from bonegraph.training.tuning import Tuning
from bonegraph.transforms.streams import Stream

SOURCE = "Ke, Peng and Lyu: Towards To-a-T Spatio-Temporal Focus, AAAI 2022"
ACCURACY = Column("top-1", top1)
Values = tuple[float | None, ...]

COHERE, DIVERGE, EMBED = 0.1, 0.1, 0.01
EXPLORE = FocusLoss(explore=0.01)
FOCUS = FocusLoss(cohere=COHERE, diverge=DIVERGE, embed=EMBED)
AGAIN = 1000
"""What is added to the seed of a second training of the same."""


def backbone(settings: Settings, width: Width) -> msg3d.Config:
    """MS-G3D of a width with the scales, the input and the people of the settings' own model."""
    own: Any = settings.model
    model = msg3d.best(width, own.in_channels)
    kept = ("people", "gcn_scales", "g3d_scales", "cumulative") if isinstance(own, msg3d.Config) else ("people",)
    return replace(model, **{name: getattr(own, name) for name in kept if hasattr(own, name)})


class Rows:
    """Rows of trainings from one recipe.

    Args:
        settings: data, input and both schedules.
        width: of all networks.
        share: of the training clips; that of the settings by default.
        stream: of the input; that of the settings by default.
        none: the paper's values of rows that it does not have.
        suffix: of titles and folders.
    """

    def __init__(
        self,
        settings: Settings,
        width: Width,
        *,
        share: float | None = None,
        stream: Stream | None = None,
        none: Values = (None,),
        suffix: str = "",
    ) -> None:
        transforms = replace(settings.transforms, stream=stream or settings.transforms.stream)
        scarce = settings.scarce if share is None else replace(settings.scarce, share=share)
        self.first = replace(settings, tuning=Tuning(), focus=FocusLoss(), transforms=transforms, scarce=scarce)
        tuning = settings.tuning
        self.second = replace(self.first, epochs=tuning.epochs, optimizer=tuning.optimizer)
        self.msg3d = backbone(settings, width)
        self.stf = stf.on(self.msg3d)
        self.none, self.suffix = none, suffix
        few = f"-{round(100 * scarce.share)}" if scarce.share < 1 else ""
        self.folder = f"{transforms.stream}{few}"

    def base(self, title: str, name: str, model: Any, paper: Values | None = None) -> Row:
        """A first training."""
        return Row(
            title + self.suffix,
            paper or self.none,
            replace(self.first, model=model),
            run=f"{name}-{self.folder}",
            ours=paper is None,
        )

    def tuned(
        self,
        title: str,
        name: str,
        model: Any,
        focus: FocusLoss,
        after: str,
        paper: Values | None = None,
        seed: int = 0,
        remark: str = "",
    ) -> Row:
        """A second training, from the weights of the row ``after``."""
        settings = replace(self.second, model=model, focus=focus, seed=self.second.seed + seed)
        return Row(
            title + self.suffix,
            paper or self.none,
            settings,
            run=f"{name}-{self.folder}",
            after=after + self.suffix,
            ours=paper is None,
            remark=remark,
        )

    def together(self, title: str, *titles: str, paper: Values | None = None) -> Row:
        """The mean of the probabilities of rows."""
        fused = tuple(one + self.suffix for one in titles)
        return Row(title + self.suffix, paper or self.none, fused=fused, ours=paper is None)

    def pair(self, title: str, after: str, paper: Values | None = None) -> tuple[Row, Row, Row]:
        """The two networks of STF, and STF."""
        explore, focus = f"{title}, L_e net", f"{title}, L_d + L_c + L_Gk net"
        return (
            self.tuned(explore, "stf-explore", self.stf, EXPLORE, after),
            self.tuned(focus, "stf-focus", self.stf, FOCUS, after),
            self.together(title, explore, focus, paper=paper),
        )


BASE = "MS-G3D, not tuned"


def ablation(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 5, M1 tuned as long as the others, and the rows that an honest reading needs."""
    rows = Rows(settings, width)
    both = FocusLoss(cohere=COHERE, diverge=DIVERGE)
    m1, m4 = "M1: MS-G3D", "M4: + L_Gk"
    logit = replace(FOCUS, score="logit")
    return (
        rows.base(BASE, "msg3d", rows.msg3d),
        rows.tuned(m1, "msg3d-tuned", rows.msg3d, FocusLoss(), BASE, (88.77,)),
        rows.tuned("M2: + L_c", "msg3d-cohere", rows.msg3d, FocusLoss(cohere=COHERE), BASE, (89.33,)),
        rows.tuned("M3: + L_d", "msg3d-cohere-diverge", rows.msg3d, both, BASE, (89.92,)),
        rows.tuned(m4, "stf-focus", rows.stf, FOCUS, BASE, (90.65,), remark="With the modules and their graphs G_k."),
        rows.tuned("L_e net", "stf-explore", rows.stf, EXPLORE, BASE),
        rows.together("M5: STF, mean of M4 and the L_e net", m4, "L_e net", paper=(91.34,)),
        rows.tuned("G_k without focus loss", "stf-tuned", rows.stf, FocusLoss(), BASE),
        rows.tuned("M1 again", "msg3d-tuned-again", rows.msg3d, FocusLoss(), BASE, seed=AGAIN),
        rows.together("Mean of two M1", m1, "M1 again"),
        rows.tuned("M4 again", "stf-focus-again", rows.stf, FOCUS, BASE, seed=AGAIN),
        rows.together("Mean of two M4", m4, "M4 again"),
        rows.tuned("M4, focus of the logit", "stf-focus-logit", rows.stf, logit, BASE),
    )


def backbones(settings: Settings, width: Width) -> tuple[Row, ...]:
    """The losses that need no modules, on other networks: coherence and divergence on ST-GCN and DualHead-Net."""
    rows, channels = Rows(settings, width), int(settings.model.in_channels)
    people = getattr(settings.model, "people", 0)
    both = FocusLoss(cohere=COHERE, diverge=DIVERGE)
    found: list[Row] = []
    for title, name, model in (
        ("ST-GCN", "stgcn", stgcn.best(width, channels, dropout=0.0)),
        ("DualHead-Net", "dualhead", replace(dualhead.best(width, channels), people=people)),
    ):
        base = f"{title}, not tuned"
        found += [
            rows.base(base, name, model),
            rows.tuned(title, f"{name}-tuned", model, FocusLoss(), base),
            rows.tuned(f"{title} + L_c + L_d", f"{name}-cohere-diverge", model, both, base),
        ]
    return tuple(found)


def claims(settings: Settings, width: Width) -> tuple[Row, ...]:
    """What the paper says that its losses do, each with and without its loss."""
    none: Values = (None,) * len(CLAIMS)
    wanted = ("G_k without focus loss", "L_e net", "M1: MS-G3D", "M2: + L_c", "M3: + L_d", "M4: + L_Gk")
    rows = {row.title: replace(row, paper=none, ours=True, remark="") for row in ablation(settings, width)}
    return tuple(rows[title] for title in (BASE, *wanted, "M4, focus of the logit"))


def streams(settings: Settings, width: Width, paper: dict[str, tuple[Values, Values]]) -> tuple[Row, ...]:
    """Table 2: MS-G3D and STF on joints (J), bones (B) and both.

    Args:
        settings: of both streams.
        width: of the networks.
        paper: values of MS-G3D as the paper ran its code, and of STF, for J, B and J+B.
    """
    none: Values = (None,) * len(paper["J"][0])
    named: dict[str, Stream] = {"J": "joint", "B": "bone"}
    found: list[Row] = []
    for short, stream in named.items():
        rows = Rows(settings, width, stream=stream, none=none, suffix=f", {short}")
        found += [
            rows.base("MS-G3D", "msg3d", rows.msg3d, paper[short][0]),
            *rows.pair("STF", "MS-G3D", paper[short][1]),
        ]
    return (
        *found,
        Row("MS-G3D, J+B", paper["J+B"][0], fused=("MS-G3D, J", "MS-G3D, B")),
        Row("STF, J+B", paper["J+B"][1], fused=("STF, J", "STF, B")),
    )


def gains(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 3: what STF gains over MS-G3D, beside what MS-G3D gained over 2s-AGCN."""
    quoted = (("J", 0.64, 2.46), ("B", 1.47, 2.79), ("J+B", 1.13, 2.64))
    return (
        *streams(settings, width, KINETICS),
        *(Row(f"Δ(MS-G3D, 2s-AGCN), {short}", (before,)) for short, before, _ in quoted),
        *(Row(f"Δ(STF, MS-G3D), {s}", (gain,), minus=(f"STF, {s}", f"MS-G3D, {s}")) for s, _, gain in quoted),
    )


def scarce(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Table 4: a share of the training clips, drawn at random; ``--scarce.stratified`` keeps that of each class."""
    found: list[Row] = []
    for share, before, after in ((10, 72.01, 72.73), (20, 79.11, 80.77), (25, 81.91, 84.27), (100, 88.77, 91.34)):
        rows = Rows(settings, width, share=share / 100, suffix=f", {share} %")
        tuned = rows.tuned("MS-G3D, tuned as long", "msg3d-tuned", rows.msg3d, FocusLoss(), "MS-G3D")
        found += [
            rows.base("MS-G3D", "msg3d", rows.msg3d, (before,)),
            tuned,
            *rows.pair("STF", "MS-G3D", (after,)),
        ]
    return tuple(found)


def shift(settings: Settings, width: Width) -> tuple[Row, ...]:
    """Data shift: networks trained on other data, frozen but for a new linear layer, which learns these classes."""
    base = replace(settings, tuning=Tuning(), focus=FocusLoss(), train="head", scarce=Scarce())
    explore, focus = "STF, L_e net", "STF, L_d + L_c + L_Gk net"
    return (
        Row("MS-G3D", (82.34,), base, brought="msg3d"),
        Row(explore, (None,), base, brought="explore", ours=True),
        Row(focus, (None,), base, brought="focus", ours=True),
        Row("STF", (83.38,), fused=(explore, focus)),
    )


def _claim(name: str, run: Path) -> float:
    return claims_of(run)[name]


Quoted = dict[str, tuple[Values, Values]]
NTU60: Quoted = {
    "J": ((88.77, 94.88), (91.34, 96.46)),
    "B": ((89.59, 94.86), (91.09, 96.51)),
    "J+B": ((90.67, 95.82), (92.47, 96.86)),
}
NTU120: Quoted = {
    "J": ((82.35, 84.14), (85.06, 86.40)),
    "B": ((84.86, 86.79), (86.80, 88.86)),
    "J+B": ((86.42, 87.98), (88.85, 89.92)),
}
KINETICS: Quoted = {"J": ((35.74,), (38.20,)), "B": ((34.77,), (37.56,)), "J+B": ((37.23,), (39.87,))}
"""MS-G3D (code) and STF in Table 2."""


def _of(paper: Quoted) -> Callable[[Settings, Width], tuple[Row, ...]]:
    return partial(streams, paper=paper)


TABLES: dict[str, Table] = {
    "table-2-ntu60": Table(
        "NTU RGB+D 60",
        f"{SOURCE}, Table 2",
        (Column("X-sub", top1, "xsub"), Column("X-view", top1, "xview")),
        _of(NTU60),
    ),
    "table-2-ntu120": Table(
        "NTU RGB+D 120",
        f"{SOURCE}, Table 2",
        (Column("X-sub", top1, "xsub"), Column("X-set", top1, "xset")),
        _of(NTU120),
    ),
    "table-2-kinetics": Table("Kinetics-Skeleton", f"{SOURCE}, Table 2", (ACCURACY,), _of(KINETICS)),
    "table-3": Table("Gains on Kinetics-Skeleton", f"{SOURCE}, Table 3", (ACCURACY,), gains),
    "table-4": Table("Scarce data", f"{SOURCE}, Table 4 (NTU RGB+D 60, X-sub)", (ACCURACY,), scarce),
    "table-5": Table(
        "Losses, one by one",
        f"{SOURCE}, Table 5 (NTU RGB+D 60, X-sub, joints)",
        (ACCURACY,),
        ablation,
        "The paper's M1 is the backbone as trained; ours is tuned as long as the other rows.",
    ),
    "backbones": Table(
        "The losses on other networks", f"{SOURCE}, Conclusion (named there as future work)", (ACCURACY,), backbones
    ),
    "claims": Table(
        "What the losses do to the focus",
        f"{SOURCE}, Sections on the three losses",
        tuple(Column(title, None, of_run=partial(_claim, name), digits=digits) for name, title, digits in CLAIMS),
        claims,
        "Measured on the test part, whose clips nobody was trained on; docs/stf.md says what each number is.",
    ),
    "shift": Table(
        "Data shift",
        f"{SOURCE}, Efficacy under data shift (from NTU RGB+D 60 to 120, X-sub)",
        (ACCURACY,),
        shift,
        "Frozen networks of other data with a new linear layer.",
    ),
}
