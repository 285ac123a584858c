"""Public ST-GCN and ST-GCN++ weights: known by their keys, renamed without a rest, and the same function here."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from bonegraph.models import stgcnpp
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning, load_checkpoint, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.models.released import FAMILIES
from bonegraph.models.released.family import Family
from bonegraph.models.stgcn import STGCN, Config
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

Weights = dict[str, Tensor]

FIXTURES = {
    "stgcn_ntu25_spatial": ("stgcn", "ntu25", "spatial-released"),
    "stgcn_openpose18_uniform": ("stgcn", "openpose18", "uniform"),
    "stgcn_openpose18_distance": ("stgcn", "openpose18", "distance"),
    "pyskl_stgcn_ntu25": ("pyskl-stgcn", "ntu25", "spatial-released"),
    "pyskl_stgcnpp_ntu25": ("pyskl-stgcnpp", "ntu25", "spatial-hops"),
}
BODY = SKELETONS["sbu15"]


def family_of(weights: Weights) -> str:
    (name,) = [name for name, family in FAMILIES.items() if family.recognises(weights)]
    return name


def read(weights: Weights, body: Skeleton) -> ActionModel:
    """What a loader does: know the family, configure, rename, load every key."""
    family = FAMILIES[family_of(weights)]
    ours, unknown = family.rename(weights)
    assert unknown == []
    assert family.joints(weights) == body.num_joints
    model = build(family.configure(weights), body, len(ours["head.weight"]))
    model.load_state_dict(ours)
    return model.eval()


def meaning(body: Skeleton, classes: int) -> Meaning:
    return Meaning(body, tuple(map(str, range(classes))), Transforms(), Length(), 0, 30.0, "m")


@pytest.mark.parametrize("fixture", FIXTURES)
def test_the_same_logits_as_the_released_code(shared: Path, tmp_path: Path, fixture: str) -> None:
    family, body, strategy = FIXTURES[fixture]
    weights = load_file(shared / "parity" / f"{fixture}.weights.safetensors")
    case = load_file(shared / "parity" / f"{fixture}.io.safetensors")
    assert family_of(weights) == family
    model = read(weights, SKELETONS[body])
    config: Any = model.config
    assert config.strategy == strategy
    reference = case["output_0"]
    with torch.no_grad():
        logits = model(case["input"])
    assert (logits - reference).abs().max() / reference.abs().max() < 1e-5
    # Through our own checkpoint, which keeps the graph of the file, not that of the configuration.
    path = save_checkpoint(tmp_path / "model.safetensors", model, meaning(SKELETONS[body], reference.shape[1]))
    again, _ = load_checkpoint(path)
    with torch.no_grad():
        assert torch.equal(again(case["input"]), logits)


# --- small files of the same names ------------------------------------------------------------------------------------


def network(config: Any, body: Skeleton = BODY, classes: int = 4) -> ActionModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(config, body, classes)
        with torch.no_grad():
            for value in model.state_dict().values():
                if value.is_floating_point():
                    value += 0.3 * torch.rand_like(value)
    return model.eval()


def official(model: ActionModel) -> Weights:
    """The names of st-gcn."""
    names = (
        ("input_norm.", "data_bn."),
        ("spatial.conv.", "gcn.conv."),
        ("spatial_norm.", "tcn.0."),
        ("temporal.", "tcn.2."),
        ("temporal_norm.", "tcn.3."),
        ("head.", "fcn."),
        ("units.", "st_gcn_networks."),
    )
    theirs = {}
    for key, value in model.state_dict().items():
        if key.endswith("edge_importance"):
            theirs[f"edge_importance.{key.split('.')[1]}"] = value
            continue
        name = "A" if key == "adjacency" else key
        for ours, their in names:
            name = name.replace(ours, their)
        theirs[name] = value[:, :, None, None] if key == "head.weight" else value
    return theirs


def pyskl_stgcn(model: ActionModel) -> Weights:
    names = (
        ("input_norm.", "backbone.data_bn."),
        ("spatial.conv.", "gcn.conv."),
        ("spatial_norm.", "gcn.bn."),
        ("temporal.", "tcn.conv."),
        ("temporal_norm.", "tcn.bn."),
        ("edge_importance", "gcn.PA"),
        ("residual.0.", "residual.conv."),
        ("residual.1.", "residual.bn."),
        ("head.", "cls_head.fc_cls."),
        ("units.", "backbone.gcn."),
    )
    state = dict(model.state_dict())
    graph = state.pop("adjacency")
    theirs = {}
    for key, value in state.items():
        for ours, their in names:
            key = key.replace(ours, their)
        theirs[key] = value
    units = {key.split(".")[2] for key in theirs if key.startswith("backbone.gcn.")}
    return {**theirs, **{f"backbone.gcn.{unit}.gcn.A": graph.clone() for unit in units}}


def pyskl_stgcnpp(model: ActionModel) -> Weights:
    assert isinstance(model, stgcnpp.STGCNpp)
    branches = model.config.num_branches
    theirs: Weights = {}
    for key, value in model.state_dict().items():
        kind, _, rest = key.partition(".")
        if kind != "units":
            theirs[key.replace("input_norm", "backbone.data_bn").replace("head.", "cls_head.fc_cls.")] = value
            continue
        number, part, rest = rest.split(".", 2)
        unit = f"backbone.gcn.{number}."
        name, _, last = rest.rpartition(".")
        if part == "residual":
            theirs[f"{unit}residual.{'conv' if name == '0' else 'bn'}.{last}"] = value
        elif part == "spatial":
            name = {"": "", "convolution.conv": "conv.", "norm": "bn."}.get(
                name, name.replace("residual", "down") + "."
            )
            theirs[f"{unit}gcn.{name}{last.replace('graph', 'A')}"] = value
        elif name in ("reduce", "reduce_norm"):
            widths = stgcnpp.branch_widths(model.config.widths[int(number)], branches)[:-1]
            place = 0 if name == "reduce" else 1
            for branch, piece in enumerate(torch.split(value, widths) if value.ndim else [value] * (branches - 1)):
                theirs[f"{unit}tcn.branches.{branch}.{place}.{last}"] = piece
        elif name.startswith("dilated."):
            theirs[f"{unit}tcn.branches.{name.removeprefix('dilated.')}.3.conv.{last}"] = value
        else:
            their = {
                "plain": f"branches.{branches - 1}",
                "norm": "transform.0",
                "merge": "transform.2",
                "merge_norm": "bn",
            }
            theirs[f"{unit}tcn.{their[name]}.{last}"] = value
    return theirs


STGCN_CONFIG = Config(in_channels=2, widths=(4, 4, 6), strides=(1, 1, 2), temporal_kernel=5)
PP_CONFIG = stgcnpp.Config(in_channels=2, widths=(8, 8, 13), strides=(1, 1, 2), dilations=(1, 2, 3))
CASES: dict[str, tuple[Any, Callable[[ActionModel], Weights]]] = {
    "stgcn": (STGCN_CONFIG, official),
    "pyskl-stgcn": (STGCN_CONFIG, pyskl_stgcn),
    "pyskl-stgcnpp": (PP_CONFIG, pyskl_stgcnpp),
}
families = pytest.mark.parametrize("name", CASES)


def case(name: str) -> tuple[ActionModel, Weights]:
    config, named = CASES[name]
    model = network(config)
    return model, {key: value.clone() for key, value in named(model).items()}


def clip(channels: int = 2) -> Tensor:
    return torch.randn(2, channels, 9, 15, 2, generator=torch.Generator().manual_seed(3))


def same_function(first: ActionModel, second: ActionModel) -> None:
    with torch.no_grad():
        torch.testing.assert_close(first(clip()), second(clip()), rtol=1e-5, atol=1e-5)


@families
def test_shapes_tell_the_configuration(name: str) -> None:
    model, weights = case(name)
    assert family_of(weights) == name
    again = read(weights, BODY)
    ours: Any = model.config
    config: Any = again.config
    for field in ("in_channels", "widths", "strides", "temporal_kernel"):
        assert getattr(config, field) == getattr(ours, field), field
    assert getattr(config, "dilations", None) == getattr(ours, "dilations", None)
    assert again.head.out_features == 4
    same_function(again, model)


@pytest.mark.parametrize("name", ["pyskl-stgcn", "pyskl-stgcnpp"])
def test_a_stripped_prefix_and_the_head_of_mmaction2(name: str) -> None:
    model, weights = case(name)
    stripped = {key.removeprefix("backbone.").replace("fc_cls", "fc"): value for key, value in weights.items()}
    assert set(stripped) != set(weights)
    assert family_of(stripped) == name
    same_function(read(stripped, BODY), model)


@pytest.mark.parametrize("subsets", [1, 2, 3, 4, 5])
def test_any_number_of_subsets_keeps_the_matrix_of_the_file(subsets: int, tmp_path: Path) -> None:
    """Whatever partition made it: nothing in the file says which."""
    config = Config(widths=(4,), strides=(1,), strategy="distance", max_hop=max(1, subsets - 1))
    if subsets == 1:
        config = Config(widths=(4,), strides=(1,), strategy="uniform")
    for named in (official, pyskl_stgcn):
        weights = named(network(config))
        graph = torch.rand(subsets, 15, 15)
        weights["A" if named is official else "backbone.gcn.0.gcn.A"] = graph
        model = read(weights, BODY)
        assert isinstance(model, STGCN)
        assert torch.equal(model.adjacency, graph)
        again, _ = load_checkpoint(save_checkpoint(tmp_path / "model.safetensors", model, meaning(BODY, 4)))
        assert isinstance(again, STGCN)
        assert torch.equal(again.adjacency, graph)


def test_official_weights_without_edge_importance() -> None:
    weights = {key: value for key, value in case("stgcn")[1].items() if not key.startswith("edge_importance")}
    model = read(weights, BODY)
    assert isinstance(model, STGCN)
    assert not model.config.edge_importance


def matrices(model: ActionModel) -> list[Tensor]:
    """What each unit multiplies with."""
    assert isinstance(model, STGCN)
    return [model.adjacency * model.get_parameter(f"units.{unit}.edge_importance") for unit in range(len(model.units))]


def test_pyskl_units_with_graphs_of_their_own() -> None:
    _, weights = case("pyskl-stgcn")
    for unit in range(3):
        weights[f"backbone.gcn.{unit}.gcn.A"] = torch.rand(3, 15, 15)
    for unit, matrix in enumerate(matrices(read(weights, BODY))):
        expected = weights[f"backbone.gcn.{unit}.gcn.A"] * weights[f"backbone.gcn.{unit}.gcn.PA"]
        torch.testing.assert_close(matrix, expected)


def test_pyskl_graphs_that_are_learned_freely_have_no_mask() -> None:
    _, weights = case("pyskl-stgcn")
    for unit in range(3):
        weights[f"backbone.gcn.{unit}.gcn.A"] = torch.rand(3, 15, 15)
        del weights[f"backbone.gcn.{unit}.gcn.PA"]
    for unit, matrix in enumerate(matrices(read(weights, BODY))):
        assert torch.equal(matrix, weights[f"backbone.gcn.{unit}.gcn.A"])


@families
def test_keys_that_mean_nothing_are_listed(name: str) -> None:
    _, weights = case(name)
    weights["backbone.gcn.0.gcn.novelty"] = torch.zeros(1)
    assert FAMILIES[name].rename(weights)[1] == ["backbone.gcn.0.gcn.novelty"]


@families
def test_head_names_the_last_layer(name: str) -> None:
    _, weights = case(name)
    (key,) = [key for key in weights if re.fullmatch(FAMILIES[name].head, key)]
    assert len(weights[key]) == 4


def refused(family: Family, weights: Weights) -> str:
    with pytest.raises(ValueError) as error:
        family.configure(weights)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_networks_that_are_not_ours_are_refused() -> None:
    _, weights = case("pyskl-stgcn")
    family = FAMILIES["pyskl-stgcn"]
    assert "down" in refused(family, {**weights, "backbone.gcn.0.gcn.down.0.weight": torch.zeros(4, 2, 1, 1)})
    assert "60 numbers, but 15 joints of 2 channels make 30" in refused(
        family, {**weights, "backbone.data_bn.weight": torch.zeros(60)}
    )
    assert "make no ST-GCN" in refused(family, {**weights, "backbone.gcn.1.gcn.conv.weight": torch.zeros(7, 4, 1, 1)})
    _, weights = case("pyskl-stgcnpp")
    family = FAMILIES["pyskl-stgcnpp"]
    assert "no ST-GCN++" in refused(family, {**weights, "backbone.gcn.0.gcn.PA": torch.zeros(3, 15, 15)})
    without = {key: value for key, value in weights.items() if ".gcn.down." not in key}
    assert "no ST-GCN++" in refused(family, without)
    without = {key: value for key, value in weights.items() if ".branches.4." not in key}
    assert "no ST-GCN++" in refused(family, without)


@families
def test_damaged_files_end_in_one_line(name: str) -> None:
    _, weights = case(name)
    family = FAMILIES[name]
    for key in weights:
        for broken in (torch.zeros(()), torch.zeros(0, 3), torch.zeros(1, 1, 1, 1, 1)):
            try:
                family.configure({**weights, key: broken})
                family.joints({**weights, key: broken})
            except ValueError as error:
                assert "\n" not in str(error)
        try:
            family.configure({other: value for other, value in weights.items() if other != key})
        except ValueError as error:
            assert "\n" not in str(error)
