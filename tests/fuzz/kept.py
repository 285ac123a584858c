"""Small good files of what the package writes itself, and of public weights; either may come from a stranger."""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor

from bonegraph.datasets.card import Card
from bonegraph.datasets.splits import Split
from bonegraph.datasets.writer import StoreWriter
from bonegraph.inference.stream import ExactStream
from bonegraph.models.checkpoint import Meaning, save_checkpoint
from bonegraph.models.registry import build
from bonegraph.models.stgcn import Config
from bonegraph.scores import Scores
from bonegraph.sequence import Sequence
from bonegraph.skeleton import SKELETONS, Skeleton
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Transforms

from .recordings import rng


@cache
def store() -> dict[str, bytes]:
    """A store of three clips, by file."""
    card = Card(
        name="small",
        skeleton=replace(SKELETONS["sbu15"], edges=((0, 1), (1, 2))),
        unit="m",
        fps=30.0,
        classes=("wave", "sit"),
        columns={"subject": "int", "pair": "str"},
        splits={"xsub": Split("subject", {"train": (0, 1), "test": (2,)})},
        confidence=True,
        made={"by": "a test"},
    )
    with tempfile.TemporaryDirectory() as folder, StoreWriter(Path(folder) / "store", card) as writer:
        for number in range(3):
            present = np.ones((4, 2), np.bool_)
            present[number, 1] = False
            positions, sure = rng().normal(size=(4, 2, 15, 3)), rng().random((4, 2, 15))
            clip = Sequence(positions.astype(np.float32), present, card.skeleton, 30.0, "m", sure.astype(np.float32))
            writer.append(f"clip {number}", number % 2, {"subject": number, "pair": f"p,{number}"}, clip)
        writer.finish(problems="id,file,reason\n")
        return {file.name: file.read_bytes() for file in sorted((Path(folder) / "store").iterdir())}


@cache
def checkpoint() -> list[bytes]:
    """A very small network."""
    body = Skeleton("mine", ("head", "left hand", "right hand"), (0, 0, 0), (0, 2, 1))
    model = build(Config(widths=(4,), strides=(1,), temporal_kernel=3), body, 2, np.arange(3.0))
    meaning = Meaning(body, ("wave", "sit"), Transforms(), Length(), 2, 30.0, "m", {"seed": "1"})
    with tempfile.TemporaryDirectory() as folder:
        return [save_checkpoint(Path(folder) / "model.safetensors", model, meaning).read_bytes()]


@cache
def stream() -> ExactStream:
    """A stream of a very small network, which follows one person."""
    body = Skeleton("mine", ("head", "left hand", "right hand"), (0, 0, 0), (0, 2, 1))
    model = build(Config(widths=(4,), strides=(2,), temporal_kernel=3), body, 2).eval()
    meaning = Meaning(body, ("wave", "sit"), Transforms(), Length("all"), 2, 30.0, "m")
    return ExactStream(model, meaning, window=4)


@cache
def stream_states() -> list[bytes]:
    """Some frames after it began."""
    for frame in rng().normal(size=(5, 1, 3, 3)).astype(np.float32):
        stream().step(frame, np.ones((1, 3), np.bool_), [1])
    with tempfile.TemporaryDirectory() as folder:
        stream().save(Path(folder) / "state")
        return [(Path(folder) / "state").read_bytes()]


def go_on(path: Path) -> None:
    """Read a state and take a few more frames."""
    stream().restore(path)
    for _ in range(3):
        stream().step(np.zeros((1, 3, 3), np.float32), np.ones((1, 3), np.bool_), [1])
    for person in stream().people:
        stream().end(person)


@cache
def public_weights() -> dict[str, Tensor]:
    """A very small ST-GCN under the names of its authors' code."""
    config = Config(widths=(2,), strides=(1,), temporal_kernel=3)
    with torch.device("meta"):  # what torch imports for this takes longer than a file may
        build(config, SKELETONS["coco17"], 2)
    state = build(config, SKELETONS["coco17"], 2).state_dict()
    unit = "st_gcn_networks.0"
    parts = {"spatial.conv": "gcn.conv", "spatial_norm": "tcn.0", "temporal_norm": "tcn.3", "temporal": "tcn.2"}
    weights = {"A": state["adjacency"], "edge_importance.0": state["units.0.edge_importance"]}
    for name, value in state.items():
        if name.startswith(("input_norm", "head")):
            public = name.replace("input_norm", "data_bn").replace("head", "fcn")
            weights[public] = value[:, :, None, None] if name == "head.weight" else value
        for ours, theirs in parts.items():
            if name.startswith(f"units.0.{ours}."):
                weights[name.replace(f"units.0.{ours}", f"{unit}.{theirs}")] = value
    return {name: value.contiguous() for name, value in weights.items()}


@cache
def torch_files(new: bool) -> list[bytes]:
    """Alone, and as mmcv wraps them, in the zip format of torch or in the one before it."""
    files = []
    wrapped = {f"module.{name}": value for name, value in public_weights().items()}
    meta = {"epoch": np.int64(80), "time": "now", "device": torch.device("cpu")}
    for content in (public_weights(), {"meta": meta, "state_dict": wrapped}):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=new)
        files.append(buffer.getvalue())
    return files


@cache
def safetensors_files() -> list[bytes]:
    """As others write them."""
    return [save_safetensors(public_weights(), metadata={"format": "pt"})]


@cache
def archives() -> list[bytes]:
    """One file of weights in an archive, beside a text."""
    files = []
    for content in (*torch_files(True), *torch_files(False)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("models/weights.pt", content)
            archive.writestr("README", "text")
        files.append(buffer.getvalue())
    return files


SKELETON = b"""\
name: stick
joints: [pelvis, neck, head, left hand, right hand, left foot, right foot]
parents:
  neck: pelvis
  head: neck
  left hand: neck
  right hand: neck
  left foot: pelvis
  right foot: pelvis
mirror:
  - [left hand, right hand]
  - [left foot, right foot]
centre: neck
origin: pelvis
edges: [[neck, pelvis], [head, neck]]
"""


@cache
def skeletons() -> list[bytes]:
    """A skeleton as people write it, and as JSON."""
    plain = {"name": "two", "joints": ["a", "b", "c"], "parents": {"b": "a", "c": "a"}, "mirror": [["b", "c"]]}
    return [SKELETON, json.dumps(plain).encode()]


PROBABILITIES = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)


@cache
def scores() -> list[bytes]:
    """Three clips, two classes."""
    given = Scores(np.array(["a", "b", "c"]), ("sit", "stand"), PROBABILITIES, np.array([0, 1, -1]))
    with tempfile.TemporaryDirectory() as folder:
        return [given.save(Path(folder) / "scores.npz").read_bytes()]


@cache
def score_tables() -> list[bytes]:
    """With and without labels; probabilities and logits."""
    return [b"id,label,sit,stand\na,sit,0.25,0.75\nb,1,0.5,0.5\nc,,1,0\n", b'id,0,1\n"a,1",-0.4,2.5\nb,1e-3,7\n']


@cache
def pickles() -> list[bytes]:
    """Scores, labels and annotations as other code writes them, in every protocol."""
    named = {"a": PROBABILITIES[0], "b": PROBABILITIES[1].astype(np.float64), "c": PROBABILITIES[2]}
    clip = {"frame_dir": "a", "label": 1, "total_frames": 2, "keypoint": np.ones((1, 2, 3, 2), np.float16)}
    both = {"split": {"xsub_train": ["a"], "xsub_val": ["b"]}, "annotations": [clip, {**clip, "frame_dir": "b"}]}
    listed = [{"pred_score": row, "gt_label": np.array([1])} for row in PROBABILITIES]
    contents = (named, both, listed, (["a", "b"], [0, 1]), PROBABILITIES, np.float32(1.5))
    return [pickle.dumps(content, protocol) for content in contents for protocol in (0, 2, 4, 5)]


@cache
def score_pickles() -> list[bytes]:
    """Scores by clip name."""
    named = {"a": PROBABILITIES[0], "b": PROBABILITIES[1], "c": PROBABILITIES[2]}
    lists = {name: row.tolist() for name, row in named.items()}
    return [pickle.dumps(content, protocol) for content in (named, lists) for protocol in (0, 2, 4, 5)]


@cache
def clip_ids() -> list[bytes]:
    """One a line."""
    return [b"a\nb\nc\n"]


@cache
def clip_id_pickles() -> list[bytes]:
    """Names and labels, and annotations."""
    clips = [{"frame_dir": name, "label": 1} for name in "abc"]
    annotated = {"split": {"xsub_train": ["a"], "xsub_val": ["b", "c"]}, "annotations": clips}
    return [pickle.dumps(content, protocol) for content in ((["a", "b"], [0, 1]), annotated) for protocol in (0, 2, 4)]
