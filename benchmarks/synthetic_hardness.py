"""Is the synthetic set a test of time? Measures what can be told from poses alone, and what the order of frames adds.

On the split "xboth" (people and a view never trained on): a linear classifier on the mean pose, a network on one frame,
the same network averaged over all frames (a bag of frames), and the demo's ST-GCN with frames in order and shuffled.

    python benchmarks/synthetic_hardness.py [--seed 0] [--json hardness.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bonegraph.allocator import keep_memory
from bonegraph.datasets.clips import Clips, Order
from bonegraph.datasets.prepare import prepare
from bonegraph.datasets.store import Store
from bonegraph.datasets.synthetic import Synthetic
from bonegraph.inference.scoring import probabilities
from bonegraph.models.checkpoint import load_checkpoint
from bonegraph.training.recipes import recipe
from bonegraph.training.run import fit, training_seconds

FRAMES = 48
TARGETS = {
    "linear, mean pose": "< 60",
    "MLP, middle frame": "< 70",
    "MLP, all frames averaged": "",
    "ST-GCN, in order": ">= 95",
    "ST-GCN, shuffled": "20 below",
}


def load(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """Clips (N, 48, 2, 25, 3), presence (N, 48, 2), labels (N,), group (N,) 0 train, 1 test, 2 unused; ms per clip."""
    data = Synthetic(seed=seed)
    split = data.splits["xboth"].parts
    sources = data.find()
    positions = np.zeros((len(sources), FRAMES, 2, 25, 3), np.float32)
    present = np.zeros((len(sources), FRAMES, 2), np.bool_)
    start = time.perf_counter()
    sequences = [data.read(source) for source in sources]
    per_clip = (time.perf_counter() - start) / len(sources) * 1e3
    for clip, sequence in enumerate(sequences):
        picked = np.linspace(0, sequence.num_frames - 1, FRAMES).round().astype(int)
        positions[clip, :, : sequence.num_people] = sequence.positions[picked]
        present[clip, :, : sequence.num_people] = sequence.present[picked]
    groups = [source.facts["group"] for source in sources]
    part = [0 if group in split["train"] else 1 if group in split["test"] else 2 for group in groups]
    labels = torch.tensor([source.label for source in sources])
    return torch.from_numpy(positions), torch.from_numpy(present), labels, torch.tensor(part), per_clip


def centred(positions: Tensor, present: Tensor) -> Tensor:
    """Subtracts the pelvis of the first person present in every frame; absent people are 0."""
    pelvis = positions[..., 0, :]
    origin = torch.where(present[..., :1], pelvis[..., 0, :], pelvis[..., 1, :])
    moved: Tensor = (positions - origin[..., None, None, :]) * present[..., None, None]
    return moved


def turned(clips: Tensor, angles: Tensor) -> Tensor:
    """Every clip (N, ..., 3) turned around the vertical by its angle (N,)."""
    c, s, zero, one = angles.cos(), angles.sin(), torch.zeros_like(angles), torch.ones_like(angles)
    matrix = torch.stack([c, zero, s, zero, one, zero, -s, zero, c], dim=1).reshape(-1, 3, 3)
    result: Tensor = (clips.flatten(1, -2) @ matrix).reshape(clips.shape)
    return result


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Per cent."""
    return 100 * float((logits.argmax(1) == labels).float().mean())


def linear_on_mean_pose(clips: Tensor, present: Tensor, labels: Tensor, part: Tensor) -> float:
    """Best test accuracy over several weight decays (chosen on the test part, so in favour of the poses)."""
    poses = centred(clips, present)
    poses = (poses.sum(1) / present.sum(1).clamp(min=1)[..., None, None]).flatten(1)
    train, test = part == 0, part == 1
    poses = (poses - poses[train].mean(0)) / poses[train].std(0).clamp(min=1e-3)
    best = 0.0
    for decay in (1e-4, 1e-3, 1e-2, 1e-1):
        weight = torch.zeros(poses.shape[1], int(labels.max()) + 1, requires_grad=True)
        bias = torch.zeros(weight.shape[1], requires_grad=True)
        solver = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

        def loss(
            solver: torch.optim.LBFGS = solver, weight: Tensor = weight, bias: Tensor = bias, decay: float = decay
        ) -> float:
            solver.zero_grad()
            fit = nn.functional.cross_entropy(poses[train] @ weight + bias, labels[train])
            total = fit + decay * weight.square().sum()
            total.backward()  # type: ignore[no-untyped-call]
            return float(total.detach())

        solver.step(loss)  # type: ignore[no-untyped-call]
        best = max(best, accuracy(poses[test] @ weight + bias, labels[test]))
    return best


def train_network(network: nn.Module, clips: Tensor, labels: Tensor, epochs: int, yaw: float) -> None:
    """AdamW, one-cycle rate, random turns up to `yaw` radians, one random frame per clip and step."""
    batch = 64
    steps = epochs * (len(clips) // batch)
    solver = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(solver, 4e-3, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(clips))[: len(clips) // batch * batch].reshape(-1, batch):
            x = clips[rows, torch.randint(FRAMES, (batch,))]
            x = turned(x, (torch.rand(batch) * 2 - 1) * yaw)
            solver.zero_grad()
            nn.functional.cross_entropy(network(x), labels[rows]).backward()  # type: ignore[no-untyped-call]
            solver.step()
            schedule.step()
    network.eval()


def frame_network(classes: int) -> nn.Module:
    """Two hidden layers of 256 on one frame of both people."""
    layers: list[nn.Module] = [nn.Flatten(), nn.BatchNorm1d(150)]
    for width in (150, 256):
        layers += [nn.Linear(width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Linear(256, classes))


def stgcn(seed: int, folder: Path) -> tuple[float, float, float]:
    """Test accuracy in per cent of the demo's ST-GCN with frames in order and shuffled, and its training time in s."""
    data = Synthetic(seed=seed)
    prepare(data, None, folder / "data", progress=False)
    settings = replace(recipe("demo"), data=str(folder / "data"))
    run = fit(settings, folder / "run", accelerator="cpu", progress=False)
    model, meaning = load_checkpoint(run)
    store = Store.open(folder / "data")
    fetched = Clips(store, meaning.length, meaning.people)[Order(store.part("xboth", "test"))]
    order = torch.stack([torch.randperm(meaning.length.frames) for _ in range(len(fetched))])[:, None, :, None, None]
    shuffled = replace(
        fetched,
        positions=fetched.positions.gather(2, order.expand_as(fetched.positions)),
        visible=fetched.visible.gather(1, order[:, 0].expand_as(fetched.visible)),
    )
    with torch.inference_mode():
        in_order, mixed = (
            accuracy(probabilities(model, meaning, clips), fetched.labels) for clips in (fetched, shuffled)
        )
    return in_order, mixed, training_seconds(folder / "run")


def commit() -> str:
    """Of the working tree, or an empty string outside git."""
    answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0, help="of the data set")
    parser.add_argument("--yaw", type=float, default=0.5, help="largest random turn in training, radians")
    parser.add_argument("--epochs", type=int, default=25, help="a sixth of those of the frame network")
    parser.add_argument("--json", type=Path, default=Path("synthetic_hardness.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    keep_memory()
    clips, present, labels, part, per_clip = load(options.seed)
    classes = Synthetic.classes
    train, test = part == 0, part == 1
    print(f"{len(clips)} clips at {per_clip:.2f} ms; {int(train.sum())} train, {int(test.sum())} test")
    results = {"linear, mean pose": linear_on_mean_pose(clips, present, labels, part)}

    frames = centred(clips, present)
    network = frame_network(len(classes))
    train_network(network, frames[train], labels[train], 6 * options.epochs, options.yaw)
    with torch.no_grad():
        results["MLP, middle frame"] = accuracy(network(frames[test][:, FRAMES // 2]), labels[test])
        scores = network(frames[test].flatten(0, 1)).softmax(1).reshape(-1, FRAMES, len(classes)).mean(1)
        random_frame = torch.randint(FRAMES, (int(test.sum()),))
        picked = frames[test][torch.arange(len(random_frame)), random_frame]
        results["MLP, random frame"] = accuracy(network(picked), labels[test])
        results["MLP, all frames averaged"] = accuracy(scores, labels[test])

    with tempfile.TemporaryDirectory() as folder:
        in_order, mixed, seconds = stgcn(options.seed, Path(folder))
    results["ST-GCN, in order"], results["ST-GCN, shuffled"] = in_order, mixed

    print(f"\n{'on xboth':28}{'test %':>8}   target")
    for name, value in results.items():
        print(f"{name:28}{value:8.1f}   {TARGETS.get(name, '')}")
    print(f"\nST-GCN (quarter width, the demo's recipe) trained in {seconds:.0f} s")
    record = {
        "accuracy": results,
        "stgcn_seconds": seconds,
        "generation_ms_per_clip": per_clip,
        "data_seed": options.seed,
        "yaw": options.yaw,
        "epochs": options.epochs,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "commit": commit(),
    }
    partial = options.json.with_name(options.json.name + ".part")
    partial.write_text(json.dumps(record, indent=2) + "\n")
    partial.replace(options.json)


if __name__ == "__main__":
    main()
