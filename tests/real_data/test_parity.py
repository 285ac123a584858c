"""Released weights in released code, and the same files in ours: equal logits, after equal preprocessing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import interpolate

from bonegraph.datasets.clips import Clips, Order
from bonegraph.datasets.known import KnownSet
from bonegraph.datasets.known.kinetics import KineticsSkeleton
from bonegraph.datasets.known.ntu import Ntu60
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.models.checkpoint import load_checkpoint, save_checkpoint
from bonegraph.models.dualhead import DualHead
from bonegraph.models.released import FAMILIES
from bonegraph.models.released.load import Released, load_released
from bonegraph.models.released.preprocessing import (
    CLASSES,
    PREPROCESSING,
    released_meaning,
    released_preprocessing,
    store_differs,
)
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.pipeline import apply
from bonegraph.transforms.streams import STREAMS, Stream

# Fixture -> family, parameters (from the papers and the specification; None where neither says), classes.
FIXTURES: dict[str, tuple[str, int | None, int]] = {
    "stgcn_ntu25_spatial": ("stgcn", 3_098_832, 60),
    "stgcn_openpose18_uniform": ("stgcn", None, 400),
    "stgcn_openpose18_distance": ("stgcn", None, 400),
    "msg3d_ntu25": ("msg3d", 3_194_595, 60),
    "dualhead_ntu25": ("dualhead", 3_015_253, 60),
    "agcn_ntu25": ("agcn", 3_469_510, 60),
    "ctrgcn_ntu25": ("ctrgcn", 1_446_672, 60),
    "pyskl_stgcn_ntu25": ("pyskl-stgcn", None, 60),
    "pyskl_stgcnpp_ntu25": ("pyskl-stgcnpp", 1_403_144, 60),
}
each = pytest.mark.parametrize("name", FIXTURES)


@pytest.fixture(scope="module")
def parity(shared: Path) -> Path:
    folder = shared / "parity"
    if not folder.is_dir():
        pytest.skip(f"needs reference outputs, but there is no '{folder}'")
    return folder


_RELEASED: dict[str, Released] = {}


def released(parity: Path, name: str) -> Released:
    """The fixture in our network, read once."""
    if name not in _RELEASED:
        _RELEASED[name] = load_released(parity / f"{name}.weights.safetensors")
    return _RELEASED[name]


def logits(model: torch.nn.Module, x: Tensor, visible: Tensor | None = None) -> tuple[Tensor, ...]:
    """Of each head."""
    with torch.no_grad():
        if isinstance(model, DualHead):
            return tuple(model.logits(x, visible))
        return (model(x, visible),)


def test_every_fixture_and_every_family_is_tested(parity: Path) -> None:
    assert {path.name.split(".")[0] for path in parity.glob("*.weights.safetensors")} == set(FIXTURES)
    assert {family for family, _, _ in FIXTURES.values()} == set(FAMILIES)


@each
def test_logits_are_those_of_the_released_code(parity: Path, name: str) -> None:
    found = released(parity, name)
    family, parameters, classes = FIXTURES[name]
    assert (found.family, found.num_classes) == (family, classes)
    assert parameters in (None, sum(weight.numel() for weight in found.model.parameters()))
    case = load_file(parity / f"{name}.io.safetensors")
    ours = logits(found.model, case["input"])
    everyone = logits(found.model, case["input"], torch.ones_like(case["input"][:, 0], dtype=torch.bool))
    assert [f"output_{head}" for head in range(len(ours))] == sorted(case.keys() - {"input"})
    for head, (given, masked) in enumerate(zip(ours, everyone, strict=True)):
        reference = case[f"output_{head}"]
        assert given.shape == reference.shape
        assert (given - reference).abs().max() / reference.abs().max() < 1e-4
        assert (masked - reference).abs().max() / reference.abs().max() < 1e-4


@each
def test_a_checkpoint_gives_the_same_logits_to_the_last_bit(parity: Path, name: str, tmp_path: Path) -> None:
    found = released(parity, name)
    classes = CLASSES.get(found.num_classes, tuple(map(str, range(found.num_classes))))
    meaning = released_meaning(found, released_preprocessing(found), "joint", classes)
    again, read_back = load_checkpoint(save_checkpoint(tmp_path / "model.safetensors", found.model, meaning))
    assert read_back == meaning
    x = load_file(parity / f"{name}.io.safetensors")["input"][:1, :, :16]
    for before, after in zip(logits(found.model, x), logits(again, x), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("name", ["stgcn_ntu25_spatial", "msg3d_ntu25", "pyskl_stgcnpp_ntu25"])
def test_the_file_of_torch_reads_to_the_same_network(parity: Path, name: str, tmp_path: Path) -> None:
    """As it is published: wrapped, from several processes, in both formats of torch."""
    weights = {f"module.{key}": value for key, value in load_file(parity / f"{name}.weights.safetensors").items()}
    expected = released(parity, name).model.state_dict()
    for new in (True, False):
        content = {"meta": {"epoch": np.int64(80)}, "state_dict": weights}
        torch.save(content, tmp_path / "weights.pth", _use_new_zipfile_serialization=new)
        found = load_released(tmp_path / "weights.pth").model.state_dict()
        assert found.keys() == expected.keys()
        assert [key for key in found if not torch.equal(found[key], expected[key])] == []


# --- preprocessing ----------------------------------------------------------------------------------------------------


def inputs(known: KnownSet, source: Path, out: Path, preprocessing: str, stream: Stream) -> Tensor:
    """What a converted network gets from a store, with the length rule and transforms of its checkpoint."""
    store = Store.open(prepare(known, source, out, workers=1, progress=False).folder)
    chosen = PREPROCESSING[preprocessing]
    model = torch.nn.Module()
    model.config = type("Config", (), {"in_channels": 3})  # type: ignore[assignment]
    skeleton = SKELETONS["openpose18" if chosen.scored else "ntu25"]
    found = Released(cast(Any, model), "stgcn", skeleton, 2, ())
    meaning = released_meaning(found, preprocessing, stream, ("a", "b"))
    assert store_differs(meaning, store) == ""
    batch = Clips(store, meaning.length, meaning.people)[Order(np.arange(len(store)))]
    ready = apply(meaning.transforms, batch, meaning.skeleton, training=False)
    assert ready.visible.all()
    return ready.positions


def in_stream(array: Tensor, stream: Stream, skeleton: str) -> Tensor:
    """Streams as the released code makes them, of zeros as of everything else; (N, C, T, V, M)."""
    if stream.startswith("bone"):
        bones = torch.zeros_like(array)
        for child, parent in enumerate(SKELETONS[skeleton].parents):
            bones[:, :, :, child] = array[:, :, :, child] - array[:, :, :, parent]
        array = bones
    if stream.endswith("motion"):
        motion = torch.zeros_like(array)
        motion[:, :, :-1] = array[:, :, 1:] - array[:, :, :-1]
        array = motion
    return array


@pytest.fixture(scope="module")
def ntu(parity: Path) -> tuple[Path, dict[str, NDArray[Any]]]:
    with np.load(parity / "preprocessing" / "ntu.npz") as arrays:
        return parity / "preprocessing" / "ntu_skeleton", dict(arrays)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("code", ["stgcn", "msg3d"])
def test_what_goes_in_on_ntu(
    ntu: tuple[Path, dict[str, NDArray[Any]]], code: str, stream: Stream, tmp_path: Path
) -> None:
    folder, arrays = ntu
    ours = inputs(Ntu60(cast(Any, f"released-{code}")), folder, tmp_path / "store", f"{code}-ntu", stream)
    theirs = in_stream(torch.from_numpy(arrays[code]), stream, "ntu25")
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def crop_and_resize(clip: Tensor, share: float = 0.95, frames: int = 64) -> Tensor:
    """(C, T, V, M) as CTR-GCN tests: whole frames off both ends, then the rows of an image are interpolated."""
    aside = int((1 - share) * clip.shape[1] / 2)
    clip = clip[:, aside : clip.shape[1] - aside]
    rows = clip.permute(0, 2, 3, 1).reshape(1, 1, -1, clip.shape[1])
    resized = interpolate(rows, size=(rows.shape[2], frames), mode="bilinear", align_corners=False)
    return resized.view(clip.shape[0], clip.shape[2], clip.shape[3], frames).permute(0, 3, 1, 2)


@pytest.mark.parametrize("stream", STREAMS)
def test_what_goes_in_for_ctrgcn(ntu: tuple[Path, dict[str, NDArray[Any]]], stream: Stream, tmp_path: Path) -> None:
    folder, arrays = ntu
    ours = inputs(Ntu60("released-ctrgcn"), folder, tmp_path / "store", "ctrgcn-ntu", stream)
    clips = torch.from_numpy(arrays["ctrgcn"]).view(7, 300, 2, 25, 3).permute(0, 4, 1, 3, 2)
    lengths = [int(clip.flatten(2).abs().sum(dim=(0, 2)).ne(0).sum()) for clip in clips]
    theirs = torch.stack([crop_and_resize(clip[:, :length]) for clip, length in zip(clips, lengths, strict=True)])
    torch.testing.assert_close(ours, in_stream(theirs, stream, "ntu25"), rtol=0, atol=2e-5)


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("code", ["stgcn", "msg3d"])
def test_what_goes_in_on_kinetics(shared: Path, code: str, stream: Stream, tmp_path: Path) -> None:
    """Coordinates to 1e-5; scores lie in the store in 255 steps."""
    (clip,) = (shared / "data" / "kinetics_skeleton").glob("*.json")
    source = tmp_path / "kinetics"
    (source / "kinetics_val").mkdir(parents=True)
    shutil.copy(clip, source / "kinetics_val")
    content = json.loads(clip.read_text())
    entry = {"has_skeleton": True, "label": content["label"], "label_index": content["label_index"]}
    (source / "kinetics_val_label.json").write_text(json.dumps({clip.stem: entry}))
    ours = inputs(KineticsSkeleton(), source, tmp_path / "store", f"{code}-kinetics", stream)
    with np.load(shared / "parity" / "preprocessing" / "kinetics.npz") as arrays:
        theirs = in_stream(torch.from_numpy(arrays[code])[None], stream, "openpose18")
    torch.testing.assert_close(ours[:, :2], theirs[:, :2], rtol=0, atol=1e-5)
    steps = {"joint": 0.5, "bone": 1, "joint-motion": 1, "bone-motion": 2}[stream]
    torch.testing.assert_close(ours[:, 2], theirs[:, 2], rtol=0, atol=1.01 * steps / 255)
