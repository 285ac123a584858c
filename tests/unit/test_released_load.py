"""Public weights find their network; whatever does not fit is named, and nothing of it is silent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bonegraph.models import stgcn
from bonegraph.models.released import FAMILIES
from bonegraph.models.released.load import Released, load_released
from bonegraph.models.released.preprocessing import (
    LICENCES,
    OF_FAMILY,
    PREPROCESSING,
    numbered,
    released_meaning,
    released_preprocessing,
    stream_by_name,
)
from bonegraph.models.released.published import DATA_OF, PUBLISHED
from bonegraph.models.stgcn import STGCN
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.streams import STREAMS

CLASSES = 5
SMALL = replace(stgcn.released(), widths=(4, 8), strides=(1, 2), temporal_kernel=3)

# Ours -> the names of st-gcn.
THEIRS = {
    "adjacency": "A",
    "input_norm": "data_bn",
    "head": "fcn",
    "spatial.conv": "gcn.conv",
    "spatial_norm": "tcn.0",
    "temporal_norm": "tcn.3",
    "temporal": "tcn.2",
}


def st_gcn(body: str = "ntu25", config: stgcn.Config = SMALL) -> dict[str, Tensor]:
    """A small network under the names of the public code."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = STGCN(config, SKELETONS[body], CLASSES)
    weights = {}
    for name, value in model.state_dict().items():
        if name.endswith("edge_importance"):
            weights[f"edge_importance.{name.split('.')[1]}"] = value
            continue
        name = name.replace("units.", "st_gcn_networks.")
        for ours, theirs in THEIRS.items():
            if f".{ours}." in f".{name}.":
                name = name.replace(ours, theirs)
                break
        weights[name] = value[:, :, None, None] if name == "fcn.weight" else value
    return weights


def write(weights: dict[str, Any], folder: Path) -> Path:
    torch.save(weights, folder / "weights.pt")
    return folder / "weights.pt"


def changed(**changes: Any) -> dict[str, Any]:
    """The weights with some of them changed, None taking one away; dots are written as two underscores."""
    weights: dict[str, Any] = st_gcn()
    for name, value in changes.items():
        name = name.replace("__", ".")
        if value is None:
            del weights[name]
        else:
            weights[name] = value(weights[name]) if callable(value) else value
    return weights


def refused(weights: dict[str, Any], folder: Path, *messages: str, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"weights\.pt") as caught:
        load_released(write(weights, folder), **options)
    message = str(caught.value)
    assert type(caught.value) is ValueError and len(message.splitlines()) == 1 and len(message) < 1500
    assert [part for part in messages if part not in message] == [], message
    return message


def test_a_small_network(tmp_path: Path) -> None:
    found = load_released(write(st_gcn(), tmp_path))
    assert (found.family, found.skeleton.name, found.num_classes) == ("stgcn", "ntu25", CLASSES)
    assert found.notes == ("skeleton 'ntu25', guessed from 25 joints",)
    assert not found.model.training
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = STGCN(SMALL, SKELETONS["ntu25"], CLASSES).state_dict()
    ours = found.model.state_dict()
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


@pytest.mark.parametrize("body", ["ntu25", "ucla20", "openpose18", "coco17"])
def test_the_skeleton_follows_from_the_joints(body: str, tmp_path: Path) -> None:
    found = load_released(write(st_gcn(body), tmp_path))
    assert found.skeleton == SKELETONS[body]
    assert found.notes == (f"skeleton '{body}', guessed from {SKELETONS[body].num_joints} joints",)


def test_other_skeletons_are_named(tmp_path: Path) -> None:
    weights = st_gcn("sbu15")
    refused(weights, tmp_path, "is for 15 joints, which is no skeleton of public weights", "name it with --skeleton")
    found = load_released(tmp_path / "weights.pt", SKELETONS["sbu15"])
    assert found.skeleton.name == "sbu15" and found.notes == ()
    refused(weights, tmp_path, "is for 15 joints, but the skeleton 'ntu25' has 25", skeleton=SKELETONS["ntu25"])


def test_the_graph_of_the_file_is_used(tmp_path: Path) -> None:
    graph = torch.rand(3, 25, 25, generator=torch.Generator().manual_seed(1))
    found = load_released(write(changed(A=graph), tmp_path))
    assert torch.equal(found.model.state_dict()["adjacency"], graph)


def test_half_precision_becomes_whole(tmp_path: Path) -> None:
    weights = {name: value.half() if value.is_floating_point() else value for name, value in st_gcn().items()}
    found = load_released(write(weights, tmp_path)).model.state_dict()
    assert found["head.weight"].dtype == torch.float32
    assert torch.equal(found["head.weight"], weights["fcn.weight"].float().flatten(1))


def test_counts_of_batches_may_be_missing(tmp_path: Path) -> None:
    """torch before 0.4.1 did not count."""
    weights = {name: value for name, value in st_gcn().items() if not name.endswith("num_batches_tracked")}
    found = load_released(write(weights, tmp_path))
    assert found.notes[1:] == ("not in the file, without meaning in use: 6 num_batches_tracked",)


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"extra__weight": torch.ones(1)}, ["1 unknown: extra.weight."]),
        ({"extra": {"a": 1}}, ["1 unknown: extra."]),
        ({"st_gcn_networks__7__tcn__3__bias": torch.ones(1)}, ["1 unknown: units.7.temporal_norm.bias"]),
        ({"fcn__bias": None}, ["1 missing: head.bias."]),
        ({"data_bn__running_mean": None}, ["1 missing: input_norm.running_mean."]),
        ({"fcn__bias": torch.ones(4)}, ["1 unlike ours: head.bias of shape (4,) instead of (5,)."]),
        ({"fcn__bias": torch.ones(5, dtype=torch.int64)}, ["head.bias of int64 instead of float32"]),
        ({"fcn__bias": torch.full((5,), torch.nan)}, ["1 unlike ours: head.bias with NaN or infinity"]),
        (
            {"fcn__bias": None, "data_bn__weight": torch.ones(7), "one": torch.ones(1), "two": torch.ones(1)},
            ["2 unknown: one, two; 1 missing: head.bias; 1 unlike ours: input_norm.weight of shape (7,) instead of"],
        ),
        ({"a" * 500: torch.ones(1)}, ["1 unknown: 'aaaaa"]),
        ({"a\nb": torch.ones(1)}, ["1 unknown: 'a\\nb'"]),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], messages: list[str], tmp_path: Path) -> None:
    refused(changed(**changes), tmp_path, "(stgcn) does not fit its network: ", *messages)


def test_the_report_names_all(tmp_path: Path) -> None:
    extra = {f"extra{number}": torch.ones(1) for number in range(30)}
    message = refused({**changed(fcn__bias=None), **extra}, tmp_path, "30 unknown: extra0, extra1,", "extra4, ...; 1")
    assert "extra5" not in message
    report = tmp_path / "report.txt"
    with pytest.raises(ValueError, match="30 unknown"):
        load_released(tmp_path / "weights.pt", report=report)
    text = report.read_text()
    assert all(f"  '{name}'\n" in text for name in (*extra, "head.bias"))
    assert "30 unknown\n" in text and "1 missing\n" in text and "0 unlike ours\n" in text


def test_no_family(tmp_path: Path) -> None:
    refused(
        {"layer1.weight": torch.ones(1)},
        tmp_path,
        "is of no known family of weights (",
        ", ".join(FAMILIES),
        "its 1 names are layer1.weight.",
    )
    refused(
        {"x.weight": torch.ones(1)},
        tmp_path,
        "is of the family 'stgcn', but cannot be used: there is no",
        family="stgcn",
    )
    with pytest.raises(ValueError, match="no family of weights 'stgcm'; did you mean 'stgcn'"):
        load_released(write(st_gcn(), tmp_path), family="stgcm")


def test_two_families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "twin", replace(FAMILIES["stgcn"], title="the same"))
    refused(st_gcn(), tmp_path, "could be of the families stgcn, ", "twin; name one with --family")
    assert load_released(tmp_path / "weights.pt", family="twin").family == "twin"


@pytest.mark.parametrize(
    "changes",
    [
        {"A": torch.ones(3)},
        {"A": torch.ones(3, 25, 24)},
        {"A": lambda value: value[:0]},
        {"A": torch.ones(3, 1, 1)},
        {"st_gcn_networks__0__gcn__conv__weight": torch.ones(7, 3, 1, 1)},
        {"st_gcn_networks__0__tcn__2__weight": torch.ones(1)},
        {"st_gcn_networks__0__tcn__2__weight": torch.ones(4, 4, 2, 1)},
        {"fcn__weight": torch.tensor(1.0)},
        {"fcn__weight": {}},
    ],
)
def test_shapes_of_no_network(changes: dict[str, Any], tmp_path: Path) -> None:
    refused(changed(**changes), tmp_path, skeleton=SKELETONS["ntu25"])


def test_a_small_file_makes_no_large_network(tmp_path: Path) -> None:
    """200,000 channels of one number each: 800 kB, whose network would have 10^11 numbers."""
    wide = 200_000
    weights = changed(
        A=torch.ones(1, 25, 25),
        st_gcn_networks__0__gcn__conv__weight=torch.ones(wide, 1, 1, 1),
        st_gcn_networks__0__tcn__2__weight=torch.ones(wide, 1, 1, 1),
        st_gcn_networks__1__gcn__conv__weight=torch.ones(wide, 1, 1, 1),
        st_gcn_networks__1__tcn__2__weight=torch.ones(wide, 1, 1, 1),
    )
    refused(weights, tmp_path, " unlike ours: ")


# --- what they take in ------------------------------------------------------------------------------------------------


@pytest.fixture
def kinetics(tmp_path: Path) -> Released:
    return load_released(write(st_gcn("openpose18"), tmp_path))


NAMES = tuple("abcde")


def test_the_meaning(kinetics: Released) -> None:
    assert released_preprocessing(kinetics) == "stgcn-kinetics"
    meaning = released_meaning(kinetics, "stgcn-kinetics", "bone", NAMES, fps=25.0, made={"converted from": "x.pt"})
    transforms = meaning.transforms
    assert (transforms.stream, transforms.centre, transforms.confidence) == ("bone", "image", True)
    assert (transforms.zero_padded, meaning.people, meaning.length.frames, meaning.fps) == (2, 2, 300, 25.0)
    assert meaning.made["converted from"] == "x.pt" and meaning.made["licence"] == LICENCES["stgcn"]
    assert "kinetics-skeleton" in meaning.made["store"]
    assert released_meaning(kinetics, "stgcn-kinetics", "joint", NAMES, frames=150).length.frames == 150


@pytest.mark.parametrize(
    ("preprocessing", "stream", "classes", "message"),
    [
        ("stgcn-kinetics", "joint", tuple("abcd"), "there are 4 class names, but the weights tell 5 classes"),
        ("pyskl-3d", "joint-motion", NAMES, "gives joint and bone as the public code does, but not joint-motion"),
        ("pyskl-2d", "bone", NAMES, "gives joint as the public code does, but not bone"),
    ],
)
def test_meanings_that_are_none(
    kinetics: Released, preprocessing: str, stream: Any, classes: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        released_meaning(kinetics, preprocessing, stream, classes)


def test_channels_must_fit(tmp_path: Path) -> None:
    found = load_released(write(st_gcn("openpose18", replace(SMALL, in_channels=2)), tmp_path))
    assert not released_meaning(found, "stgcn-kinetics", "joint", NAMES).transforms.confidence
    with pytest.raises(ValueError, match="'stgcn-ntu' gives 3 channels, but the weights take 2"):
        released_meaning(found, "stgcn-ntu", "joint", NAMES)
    assert released_meaning(found, "plain", "joint", NAMES).length.rule == "all"


def test_unknown_preprocessing_is_asked_for(tmp_path: Path) -> None:
    found = load_released(write(st_gcn("ucla20"), tmp_path))
    with pytest.raises(ValueError, match="'stgcn' on 'ucla20' take in is not known; choose --preprocessing: stgcn-ntu"):
        released_preprocessing(found)
    assert released_preprocessing(found, "plain") == "plain"
    with pytest.raises(ValueError, match="no preprocessing 'plein'; did you mean 'plain'"):
        released_preprocessing(found, "plein")


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("ntu60-xsub-bone.pt", "bone"),
        ("models/ntu60-xsub-joint-fusion.pt", "joint"),
        ("ntu_bone_motion.pt", "bone-motion"),
        ("joint-motion.pth", "joint-motion"),
        ("j.pth", "joint"),
        ("BM.pth", "bone-motion"),
        ("st_gcn.ntu-xsub.pt", None),
        ("backbone.pt", None),
        ("b2.pth", None),
    ],
)
def test_the_stream_in_a_name(name: str, stream: str | None) -> None:
    assert stream_by_name(name) == stream


def test_tables_belong_together() -> None:
    assert set(OF_FAMILY) == set(LICENCES) == set(FAMILIES)
    assert {name for known in OF_FAMILY.values() for name in known.values()} == set(PREPROCESSING) - {"plain"}
    for (family, data, split, stream), figure in PUBLISHED.items():
        assert family in FAMILIES and data in DATA_OF.values() and stream in STREAMS
        assert split in {"ntu60": ("xsub", "xview"), "ntu120": ("xsub", "xset"), "kinetics": ("given",)}[data]
        assert 20 < figure.top1 < 100 and figure.source
    assert numbered(("0", "1")) and not numbered(("1", "0"))
