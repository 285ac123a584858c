"""Is the synthetic set a test of time? Measures what can be told from poses alone, and what the order of frames adds.

On the split "xboth" (people and a view never trained on): a linear classifier on the mean pose, a network on one frame,
the same network averaged over all frames (a bag of frames), and a small temporal network with frames in order and
shuffled.

    python benchmarks/synthetic_hardness.py [--seed 0] [--json hardness.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bonegraph.datasets.synthetic import Synthetic

FRAMES = 48
TARGETS = {
    "linear, mean pose": "< 60",
    "MLP, middle frame": "< 70",
    "MLP, all frames averaged": "",
    "temporal CNN, in order": ">= 95",
    "temporal CNN, shuffled": "20 below",
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


def centred(positions: Tensor, present: Tensor, *, first_frame: bool) -> Tensor:
    """Subtracts the pelvis of the first person present, of every frame or of the first frame; absent people are 0."""
    pelvis = positions[..., 0, :]
    origin = torch.where(present[..., :1], pelvis[..., 0, :], pelvis[..., 1, :])
    if first_frame:
        first = present.any(-1).float().argmax(1)
        origin = origin[torch.arange(len(origin)), first][:, None]
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
    poses = centred(clips, present, first_frame=False)
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


def train_network(network: nn.Module, clips: Tensor, labels: Tensor, epochs: int, yaw: float, one_frame: bool) -> None:
    """AdamW, one-cycle rate, random turns up to `yaw` radians; one random frame per clip and step where asked."""
    batch = 64 if one_frame else 32
    steps = epochs * (len(clips) // batch)
    solver = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(solver, 4e-3, total_steps=steps)
    network.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(clips))[: len(clips) // batch * batch].reshape(-1, batch):
            x = clips[rows]
            if one_frame:
                x = x[torch.arange(batch), torch.randint(FRAMES, (batch,))]
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


class TemporalNetwork(nn.Module):
    """Five convolutions over time, the mean over time, a linear layer."""

    def __init__(self, classes: int, width: int = 96) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(150)]
        inputs = 150
        for stride in (1, 1, 2, 1, 2):
            layers += [nn.Conv1d(inputs, width, 5, stride, 2), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.1)]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(width, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits (N, classes) of clips (N, T, 2, 25, 3)."""
        logits: Tensor = self.head(self.layers(clips.flatten(2).transpose(1, 2)).mean(2))
        return logits


def commit() -> str:
    """Of the working tree, or an empty string outside git."""
    answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0, help="of the data set")
    parser.add_argument("--yaw", type=float, default=0.5, help="largest random turn in training, radians")
    parser.add_argument("--epochs", type=int, default=25, help="of the temporal network; the frame network takes 6x")
    parser.add_argument("--json", type=Path, default=Path("synthetic_hardness.json"))
    options = parser.parse_args()
    torch.manual_seed(0)
    clips, present, labels, part, per_clip = load(options.seed)
    classes = Synthetic.classes
    train, test = part == 0, part == 1
    print(f"{len(clips)} clips at {per_clip:.2f} ms; {int(train.sum())} train, {int(test.sum())} test")
    results = {"linear, mean pose": linear_on_mean_pose(clips, present, labels, part)}

    frames = centred(clips, present, first_frame=False)
    network = frame_network(len(classes))
    train_network(network, frames[train], labels[train], 6 * options.epochs, options.yaw, one_frame=True)
    with torch.no_grad():
        results["MLP, middle frame"] = accuracy(network(frames[test][:, FRAMES // 2]), labels[test])
        scores = network(frames[test].flatten(0, 1)).softmax(1).reshape(-1, FRAMES, len(classes)).mean(1)
        random_frame = torch.randint(FRAMES, (int(test.sum()),))
        picked = frames[test][torch.arange(len(random_frame)), random_frame]
        results["MLP, random frame"] = accuracy(network(picked), labels[test])
        results["MLP, all frames averaged"] = accuracy(scores, labels[test])

    moving = centred(clips, present, first_frame=True)
    temporal = TemporalNetwork(len(classes))
    start = time.perf_counter()
    train_network(temporal, moving[train], labels[train], options.epochs, options.yaw, one_frame=False)
    seconds = time.perf_counter() - start
    with torch.no_grad():
        logits = temporal(moving[test])
        results["temporal CNN, in order"] = accuracy(logits, labels[test])
        shuffled = torch.stack([clip[torch.randperm(FRAMES)] for clip in moving[test]])
        results["temporal CNN, shuffled"] = accuracy(temporal(shuffled), labels[test])

    print(f"\n{'on xboth':28}{'test %':>8}   target")
    for name, value in results.items():
        print(f"{name:28}{value:8.1f}   {TARGETS.get(name, '')}")
    print(f"\ntemporal CNN trained in {seconds:.0f} s; accuracy by class:")
    correct = logits.argmax(1) == labels[test]
    by_class = {name: 100 * float(correct[labels[test] == label].float().mean()) for label, name in enumerate(classes)}
    for name, value in by_class.items():
        print(f"  {name:22}{value:6.1f}")
    record = {
        "accuracy": results,
        "temporal_cnn_by_class": by_class,
        "temporal_cnn_seconds": seconds,
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
