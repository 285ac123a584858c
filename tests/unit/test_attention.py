"""What a DualHead-Net attends to, on films, as bars and as curves."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bonegraph.__main__ import main
from bonegraph.datasets.card import Card
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.recogniser import Recogniser
from bonegraph.models import dualhead, stgcn
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms, apply
from bonegraph.viz.attended import FLAT, STRONGEST, attend, beginnings, legend, shares, spread
from bonegraph.viz.attention import attention_page, draw_attention
from bonegraph.viz.attention_figure import attention_figure

BODY = SKELETONS["sbu15"]
SMALL = replace(
    dualhead.best(), widths=(8, 8, 8), gcn_scales=2, g3d_scales=2, windows=(3,), dilations=(1,), coarse_dilations=(1,)
)


def recogniser(config: dualhead.Config = SMALL, trained: bool = True, **fields: Any) -> Recogniser:
    """With attentions that are not 1/2 everywhere, unless untrained."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build(config, BODY, 3).eval()
        assert isinstance(model, dualhead.DualHead)
        for attention in (*model.temporal, *model.spatial) if trained else ():
            torch.nn.init.normal_(attention.weight, std=0.03)
    meaning = Meaning(
        skeleton=BODY,
        classes=("wave", "sit", "<b>run</b>"),
        transforms=fields.pop("transforms", Transforms(centre="first")),
        length=fields.pop("length", Length("uniform", 16)),
        people=0,
        fps=20.0,
        unit="m",
    )
    return Recogniser(model, meaning)


def recording(frames: int = 40, people: int = 2, channels: int = 3) -> Sequence:
    draw = np.random.default_rng(0)
    positions = draw.standard_normal((frames, people, BODY.num_joints, channels)).astype(np.float32)
    return Sequence(positions, np.ones((frames, people), np.bool_), BODY, 20.0, "m")


def test_it_shows_what_the_network_says() -> None:
    network, sequence = recogniser(), recording()
    attended = attend(network, sequence)
    assert isinstance(network.model, dualhead.DualHead)
    ready = apply(network.meaning.transforms, network.batch(sequence), BODY, training=False)
    with torch.inference_mode():
        told = network.model.attentions(ready.positions, ready.visible)
    assert attended.people == (0, 1) and attended.notes == ()
    for curve, values in zip(attended.temporal, told.temporal, strict=True):
        np.testing.assert_allclose(curve.values, values.numpy(), rtol=1e-6)
    for found, values in zip(attended.spatial, told.spatial, strict=True):
        assert found.shape == (2, BODY.num_joints)
        np.testing.assert_allclose(found, values.numpy(), rtol=1e-6)
    # 16 of 40 frames, from the middle of each 2.5: every second and every fourth of them has an attention
    seen = ((np.arange(16) + 0.5) * 2.5).astype(int)
    np.testing.assert_array_equal(attended.temporal[0].frames, seen[::2])
    np.testing.assert_array_equal(attended.temporal[1].frames, seen[::4])


@pytest.mark.parametrize(
    ("length", "first", "last"),
    [
        (Length("replay", 16), [0, 2, 4, 6, 8, 10, 12, 14], 14),  # of 10 frames: the second time counts on
        (Length("fragment", 16), [0, 2, 4, 6, 8], 8),  # frames that are not there have none
        (Length("crop-resize", 4, crop=(1.0, 1.0)), [0.75, 5.75], 5.75),
        (Length("all", 16), [0, 2, 4, 6, 8], 8),
    ],
)
def test_time_is_that_of_the_recording(length: Length, first: list[float], last: float) -> None:
    config = replace(SMALL, subsample=2)
    attended = attend(recogniser(config, length=length), recording(10, 1))
    np.testing.assert_allclose(attended.temporal[0].frames, first)
    assert attended.temporal[0].values.shape == (1, len(first))
    assert not np.isnan(attended.temporal[0].values).any()
    again = length.rule == "replay"
    assert bool(attended.notes) == again and beginnings(attended) == ([10] if again else [])


def test_several_test_clips_and_every_frame() -> None:
    attended = attend(recogniser(length=Length("uniform", 8, test_clips=3)), recording(40, 1))
    assert attended.notes == ("Of 3 test clips this is number 2.",)
    np.testing.assert_array_equal(attended.temporal[0].frames, ((np.arange(8) + 0.5) * 5).astype(int)[::2])
    every = attend(recogniser(replace(SMALL, subsample=1), length=Length("all")), recording(7, 1))
    np.testing.assert_array_equal(every.temporal[0].frames, np.arange(7))


@pytest.mark.parametrize("zero_padded", [0, 3])
def test_who_is_absent_has_no_attention(zero_padded: int) -> None:
    """The second of three people is never there, the third in the second half alone."""
    sequence = recording(16, 3)
    sequence.present[:, 1] = False
    sequence.present[:8, 2] = False
    attended = attend(recogniser(transforms=Transforms(centre="none", zero_padded=zero_padded)), sequence)
    assert attended.people == (0, 2)
    curve = attended.temporal[0]
    np.testing.assert_array_equal(np.isnan(curve.values), [[False] * 8, [True] * 4 + [False] * 4])
    # The rows are those people's own: alone, each has the same.
    for row, person in enumerate(attended.people) if not zero_padded else ():
        alone = Sequence(sequence.positions[:, [person]], sequence.present[:, [person]], BODY, 20.0, "m")
        same = attend(recogniser(transforms=Transforms(centre="none")), alone)
        np.testing.assert_allclose(same.spatial[1][0], attended.spatial[1][row], rtol=1e-4, atol=1e-6)


def test_an_untrained_attention_is_drawn_alike() -> None:
    attended = attend(recogniser(trained=False), recording())
    for values in attended.spatial:
        np.testing.assert_array_equal(values, 0.5)
        np.testing.assert_array_equal(shares(values), 0.5)
        assert legend(values) == "all joints between 0.500 and 0.500: drawn alike"
    low, high = spread(curve.values for curve in attended.temporal)
    assert low == pytest.approx(0.5 - FLAT / 2) and high == pytest.approx(0.5 + FLAT / 2)


def test_shares_run_from_lowest_to_highest() -> None:
    values = np.array([[0.2, 0.4], [0.3, 0.6]])
    np.testing.assert_allclose(shares(values), [[0, 0.5], [0.25, 1]])
    assert legend(values) == "small and grey is 0.20, large and orange 0.60"
    assert spread([values, np.array([np.nan, 0.1])]) == (0.1, 0.6)


def test_the_page(tmp_path: Path) -> None:
    sequence = recording(20)
    sequence.present[:, 0] = False  # only the second person is there
    path = draw_attention(recogniser(), sequence, tmp_path / "page.html", title="<i>clip</i>", facts={"who": "<u>"})
    text = path.read_text()
    for tag in ("<i>", "<u>", "<b>run"):
        assert tag not in text
    payload = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    films = json.loads(payload[0])["films"]
    attended = attend(recogniser(), sequence)
    assert list(films) == ["block-1", "block-2"] and text.count('data-film="block-') == 2
    for film, values in zip(films.values(), attended.spatial, strict=True):
        nobody, weights = film["weights"]
        assert nobody is None and min(weights) == 0 and max(weights) == 1
        np.testing.assert_allclose(weights, shares(values)[0], atol=1e-3)
    # the strongest joints, in their order, with their values
    table = re.findall(r"<tbody>(.*?)</tbody>", text)[0]
    cells = [re.sub("<.*?>", "", cell).strip() for cell in re.findall(r"<td>(.*?)</td>", table)]
    for block, values in enumerate(attended.spatial):
        order = np.argsort(-values[0], kind="stable")[:STRONGEST]
        assert cells[2 * block :: 4] == [BODY.joints[joint] for joint in order]
        assert cells[2 * block + 1 :: 4] == [f"{value:.3f}" for value in values[0, order]]
    assert text.count("Person 2") == 2 and "Person 1" not in text
    assert text.count("<polyline") == 2 and "an untrained one is 0.5 everywhere" in text


def test_curves_are_broken_where_the_person_is_absent() -> None:
    sequence = recording(16, 1)
    sequence.present[6:10] = False
    text = attention_page(attend(recogniser(), sequence), "clip", "wave", {})
    assert text.count("<polyline class='block-1'") == 2
    points = re.findall(r"<polyline class='block-1' points='(.*?)'", text)
    assert [len(part.split()) for part in points] == [3, 3]


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")])
def test_pictures(tmp_path: Path, name: str, start: bytes) -> None:
    path = draw_attention(recogniser(), recording(20, 1), tmp_path / name)
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_picture_has_a_row_for_each_person() -> None:
    attended = attend(recogniser(), recording(20, 2))
    figure = attention_figure(attended, "clip")
    assert len(figure.axes) == 2 * 5
    bars = figure.axes[1]
    order = np.argsort(-attended.spatial[0][0], kind="stable")[:STRONGEST]
    assert [label.get_text() for label in bars.get_yticklabels()] == [BODY.joints[joint] for joint in order]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], shares(attended.spatial[0])[0, order])  # type: ignore[attr-defined]
    line = figure.axes[4].lines[0]
    np.testing.assert_allclose(line.get_ydata(), attended.temporal[0].values[0])  # type: ignore[arg-type]
    np.testing.assert_allclose(line.get_xdata(), attended.temporal[0].frames / 20.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(("temporal", "spatial"), [("cross", "none"), ("none", "self")])
def test_half_of_the_attentions(temporal: Any, spatial: Any) -> None:
    network = recogniser(replace(SMALL, temporal_attention=temporal, spatial_attention=spatial))
    attended = attend(network, recording(12, 1))
    assert (len(attended.temporal), len(attended.spatial)) == ((2, 0) if spatial == "none" else (0, 2))
    assert len(attention_figure(attended, "clip").axes) == (1 if spatial == "none" else 4)
    text = attention_page(attended, "clip", "wave", {})
    assert ("<svg" in text) == (spatial == "none") and ("<canvas" in text) == (spatial != "none")


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="trained without attentions"):
        attend(recogniser(replace(SMALL, temporal_attention="none", spatial_attention="none")), recording())
    one = recogniser()
    with pytest.raises(ValueError, match="several networks; give the checkpoint of one"):
        attend(Recogniser(one.model, one.meaning, [one]), recording())
    with pytest.raises(ValueError, match=r"cannot draw into 'a\.txt'; the name must end in one of: \.html, \.png"):
        draw_attention(one, recording(), "a.txt")
    with pytest.raises(FileNotFoundError, match=r"no folder 'nowhere' to write 'a\.html' into"):
        draw_attention(one, recording(), "nowhere/a.html")
    unseen = recording(40, 1)
    unseen.present[:] = False
    unseen.present[0] = True  # and the network takes another frame
    with pytest.raises(ValueError, match="nobody is seen in the frames that the network takes"):
        attend(recogniser(length=Length("uniform", 4)), unseen)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = recogniser()
    save_checkpoint(tmp_path / "model.safetensors", one.model, one.meaning)
    other = build(replace(stgcn.best(), widths=(4,), strides=(1,)), BODY, 3)
    save_checkpoint(tmp_path / "stgcn.safetensors", other, one.meaning)
    with StoreWriter(tmp_path / "store", Card("small", BODY, "m", 20.0, ("wave", "sit", "run"))) as writer:
        writer.append("clip 1", 0, {}, recording(12, 1))
        writer.finish()
    given = ["clip 1", "--data", str(tmp_path / "store"), "--out", str(tmp_path / "a.html")]
    assert main(["draw", "attention", str(tmp_path), *given]) == 0  # a run folder
    assert capsys.readouterr().out == f"drawn: {tmp_path / 'a.html'}\n"
    text = (tmp_path / "a.html").read_text()
    assert "<title>Attention: clip 1</title>" in text and "bonegraph draw attention" in text
    for arguments, message in (
        ([str(tmp_path / "stgcn.safetensors"), *given], "those of a DualHead-Net, but the checkpoint holds 'stgcn'"),
        ([str(tmp_path), "clip 2", *given[1:]], "clip 2"),
        ([str(tmp_path), str(tmp_path / "no.json")], "no file"),
        ([str(tmp_path)], "see 'bonegraph draw attention --help'"),
    ):
        assert main(["draw", "attention", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1
    assert main(["draw", "nonsense"]) == 2  # the other use of the command is as it was
    assert "nonsense" in capsys.readouterr().err
