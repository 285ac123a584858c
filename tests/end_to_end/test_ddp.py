"""Two processes train as one with the doubled batch, and the command line starts, resumes and ends them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributed import destroy_process_group, init_process_group

from bonegraph.__main__ import main
from bonegraph.datasets.clips import Clips, Order, TestOrder, TrainingOrder
from bonegraph.datasets.store import Store
from bonegraph.models import stgcn
from bonegraph.models.registry import build
from bonegraph.scores import Scores
from bonegraph.training.engine import slurm
from bonegraph.training.keeping import throughput
from bonegraph.training.run import OTHERS_GONE
from bonegraph.transforms.lengths import Length
from bonegraph.transforms.pipeline import Augment, Transforms, apply

from .runs import CONTEXT, curves, fit_arguments, wait_for, weights

STEPS = 4
LENGTH = Length("uniform", 16)
TRANSFORMS = Transforms(augment=Augment(rotation=(10.0, 60.0, 10.0), scale=(0.8, 1.2), mirror=0.5, joint_dropout=0.1))


def steps(folder: Path, rank: int, world: int, meet: Path | None) -> list[tuple[float, dict[str, Tensor]]]:
    """Loss and gradients of the first optimizer steps, normalisation statistics frozen, in float64."""
    store = Store.open(folder)
    torch.manual_seed(0)
    model = build(stgcn.Config(widths=(16, 16), strides=(1, 2)), store.skeleton, len(store.classes)).double().eval()
    if meet is not None:
        init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=world)
    wrapped = Whole(model) if meet is None else torch.nn.parallel.DistributedDataParallel(Whole(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    fetch = Clips(store, LENGTH, seed=3)
    found = []
    for order in list(TrainingOrder(store.part("xboth-val", "train"), 16, seed=3, rank=rank, world=world))[:STEPS]:
        fetched = fetch[order]
        batch = apply(TRANSFORMS, fetched.with_positions(fetched.positions.double()), store.skeleton, training=True)
        optimizer.zero_grad()
        loss = wrapped(batch.positions, batch.visible, batch.labels)
        loss.backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        assert len(gradients) == len(list(model.parameters()))
        optimizer.step()
        found.append((float(loss.detach()), gradients))
    if meet is not None:
        # In this order: whoever frees the group must not hold Python's lock, which a thread of gloo may be waiting for.
        del wrapped, loss
        destroy_process_group()
    return found


class Whole(torch.nn.Module):
    """Model and loss in one, as the processes exchange gradients of what is called."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, visible: Tensor, labels: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(self.model(x, visible), labels)


def _process(folder: Path, rank: int, meet: Path, out: Path) -> None:
    torch.set_num_threads(1)
    torch.save(steps(folder, rank, 2, meet), out)


def pair(folder: Path, scratch: Path) -> list[list[tuple[float, dict[str, Tensor]]]]:
    """What two processes find."""
    meet, outs = scratch / "meet", [scratch / f"{rank}.pt" for rank in range(2)]
    processes = [CONTEXT.Process(target=_process, args=(folder, rank, meet, outs[rank])) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    return [torch.load(out, weights_only=True) for out in outs]


def test_two_processes_are_one_with_the_doubled_batch(store: Path, tmp_path: Path) -> None:
    alone = steps(store, 0, 1, None)
    for (loss, gradients), (loss0, gradients0), (loss1, gradients1) in zip(alone, *pair(store, tmp_path), strict=True):
        assert abs(loss - (loss0 + loss1) / 2) < 1e-10
        assert loss0 != loss1  # they did see different clips
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradients0[name], gradient, atol=1e-10, rtol=1e-10)
            assert torch.equal(gradients0[name], gradients1[name]), name


@pytest.mark.parametrize(("clips", "batch", "world"), [(64, 16, 2), (61, 16, 2), (61, 8, 3), (7, 4, 4), (5, 100, 2)])
def test_processes_share_the_batches_of_one(clips: int, batch: int, world: int) -> None:
    numbers = np.arange(100, 100 + clips)
    shared = [TrainingOrder(numbers, batch, 1, rank, world) for rank in range(world)]
    alone = TrainingOrder(numbers, batch, 1)
    seen = []
    for epoch in range(3):
        for order in (alone, *shared):
            order.set_epoch(epoch)
        batches = list(zip(*shared, strict=True))
        assert len(batches) == len(shared[0])
        few = len(batches) < len(alone)  # too few clips for as many batches
        wholes = [set(numbers)] * len(batches) if few else [set(whole.clips) for whole in alone]
        for whole, parts in zip(wholes, batches, strict=True):
            sizes = {len(part.clips) for part in parts}
            together = [clip for part in parts for clip in part.clips]
            assert len(sizes) == 1 and len(set(together)) == len(together)
            assert set(together) <= whole
            if not few:
                assert len(whole) - len(together) < world
            assert all(part.epoch == epoch for part in parts)
        seen.append([tuple(part.clips) for parts in batches for part in parts])
    assert len({tuple(epoch) for epoch in seen}) == 3


def test_processes_share_a_test_without_repeats() -> None:
    numbers = np.arange(11)
    for world in (1, 2, 3):
        orders: list[Order] = [o for rank in range(world) for o in TestOrder(numbers, 4, LENGTH, rank, world)]
        assert sorted(clip for order in orders for clip in order.clips) == list(range(11))


def test_more_processes_than_clips_of_a_batch() -> None:
    with pytest.raises(ValueError, match="batch_size 2 is below the 3 processes"):
        TrainingOrder(np.arange(9), 2, 0, 0, 3)
    with pytest.raises(ValueError, match="2 clips for 3 processes"):
        TrainingOrder(np.arange(2), 3, 0, 0, 3)


def launch(before: list[str], arguments: list[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
    """Start training processes in a group of their own. Warnings are errors in the ones that we start ourselves."""
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, *before, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", **more},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def end(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait, and leave nobody behind."""
    try:
        return process.wait(240)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        print(log.read_text())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_command_on_two_processes(store: Path, tmp_path: Path) -> None:
    """Lightning starts two, they are killed; torchrun starts two, and they go on."""
    run, log = tmp_path / "run", tmp_path / "log"
    arguments = fit_arguments(store, run, "--devices", "2", "--epochs", "12")
    process = launch(["-m", "bonegraph"], arguments, log)
    try:
        wait_for(lambda: (run / "checkpoints/last.ckpt").is_file() or process.poll() is not None, seconds=80)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(120) == -signal.SIGKILL, log.read_text()
    before = len(curves(run))
    assert 1 <= before < 12

    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()), "-m", "--"]
    process = launch(torchrun, ["bonegraph", *arguments], log)
    assert end(process, log) == 0
    assert log.read_text().count("finished: ") == 1
    table = curves(run)
    assert [row["epoch"] for row in table] == [str(epoch) for epoch in range(12)]
    assert all(row["val_accuracy"] for row in table)
    assert [str(path.relative_to(run)) for path in run.rglob("model*")] == ["model.safetensors"]
    tensors = weights(run / "model.safetensors")[1]
    assert np.isfinite(np.frombuffer(tensors["head.weight"], np.float32)).all()
    assert float(table[-1]["train_loss"]) < float(table[0]["train_loss"])


def test_torchrun_from_the_first_step_to_the_last(store: Path, tmp_path: Path) -> None:
    """Both processes train, on clips of their own, to equal weights; each clip is measured once; one run is left."""
    run, log, epochs = tmp_path / "run", tmp_path / "log", 2
    arguments = fit_arguments(store, run, "--devices", "2", "--epochs", str(epochs), "--watch_test", "true")
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()), "--"]
    script = str(Path(__file__).with_name("observed.py"))
    assert end(launch([*torchrun, script, str(tmp_path)], arguments, log), log) == 0

    told = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert told[0]["weights"] == told[1]["weights"]
    opened = Store.open(store)
    trained, validated, tested = (set(opened.part("xboth-val", part).tolist()) for part in ("train", "val", "test"))
    for epoch in range(epochs):
        shares = [[clip for at, clips in one["fetched"] if at == epoch for clip in clips] for one in told]
        together = shares[0] + shares[1]
        assert min(map(len, shares)) == len(trained) // 2 and sorted(together) == sorted(trained)
    # without an epoch: validation and the watched test part, of every epoch
    measured = Counter(clip for one in told for at, clips in one["fetched"] if at is None for clip in clips)
    assert measured == dict.fromkeys(validated | tested, epochs)

    ours = {name: hashlib.sha256(value).hexdigest() for name, value in weights(run / "model.safetensors")[1].items()}
    kept = {name: digest for name, digest in told[0]["weights"].items() if ours[name] != digest}
    assert not kept and [path.name for path in run.rglob("model*")] == ["model.safetensors"]
    table = curves(run)
    assert [(row["epoch"], row["processes"]) for row in table] == [("0", "2"), ("1", "2")]
    processes, each = throughput(run / "metrics.csv") or (0, 0.0)
    assert processes == 2 and f"2 processes, {each:.4g} clips/s each" in log.read_text()

    # one process measures the same on the same weights
    assert main(["evaluate", str(run), "--part", "val", "--weights", "best", "--progress", "false"]) == 0
    best = max(float(row["val_accuracy"]) for row in table)
    assert Scores.load(run / "scores-val.npz").top(1) == pytest.approx(best, abs=1e-6)


def test_processes_that_would_train_alone_are_refused(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torchrun started two, and nobody said so to ``fit``, which takes one on a CPU."""
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("LOCAL_RANK", "0"), ("TORCHELASTIC_RUN_ID", "one")):
        monkeypatch.setenv(name, value)
    run = tmp_path / "run"
    assert main(fit_arguments(store, run)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "2 processes were started, but --devices and --nodes make 1; give" in error
    assert not list(run.rglob("*.*"))


def test_two_machines_of_which_one_dies(store: Path, tmp_path: Path) -> None:
    """A torchrun on each, over loopback. The other one says in one line what happened; no epoch is lost."""
    run, logs, port = tmp_path / "run", [tmp_path / "0", tmp_path / "1"], str(free_port())
    arguments = fit_arguments(store, run, "--devices", "1", "--nodes", "2", "--epochs", "4000")
    where = ["--nnodes", "2", "--nproc_per_node", "1", "--master_addr", "127.0.0.1", "--master_port", port, "-m", "--"]
    machines = [
        launch(["-m", "torch.distributed.run", "--node_rank", str(rank), *where], ["bonegraph", *arguments], log)
        for rank, log in enumerate(logs)
    ]
    try:
        wait_for(lambda: (run / "checkpoints/last.ckpt").is_file() or machines[0].poll() is not None, seconds=80)
        found = subprocess.run(["pgrep", "-P", str(machines[1].pid)], capture_output=True, text=True, check=True)
        for process in (machines[1].pid, *map(int, found.stdout.split())):
            os.kill(process, signal.SIGKILL)
        assert machines[0].wait(60) != 0
    finally:
        for machine, log in zip(machines, logs, strict=True):
            machine.terminate()  # torchrun ends its process, which is in a group of its own
            end(machine, log)
    said = [line for line in logs[0].read_text().splitlines() if line.startswith("bonegraph fit: ")]
    assert said == [f"bonegraph fit: {OTHERS_GONE}"] and "[rank0]" not in logs[0].read_text()
    table = curves(run)
    assert table and [(row["epoch"], row["processes"]) for row in table] == [(str(e), "2") for e in range(len(table))]
    assert not (run / "model.safetensors").exists() and not list(run.rglob("*.tmp"))


def task(rank: int = 0, **other: str | None) -> dict[str, str]:
    """What srun tells one of two tasks, on a node each."""
    told = {
        "NTASKS": "2",
        "NTASKS_PER_NODE": "1",
        "NNODES": "2",
        "NODELIST": "127.0.0.1",
        "JOB_ID": "7",
        "JOB_NAME": "train",
        "STEP_ID": "0",
        "STEP_NUM_TASKS": "2",
        "PROCID": str(rank),
        "NODEID": str(rank),
        "LOCALID": "0",
    }
    return {f"SLURM_{name}": value for name, value in {**told, **other}.items() if value is not None}


def test_tasks_of_slurm_train_together(store: Path, tmp_path: Path) -> None:
    run, logs, port = tmp_path / "run", [tmp_path / "0", tmp_path / "1"], str(free_port())
    arguments = fit_arguments(store, run, "--devices", "1", "--nodes", "2", "--epochs", "2")
    tasks = [launch(["-m", "bonegraph"], arguments, log, MASTER_PORT=port, **task(n)) for n, log in enumerate(logs)]
    assert [end(process, log) for process, log in zip(tasks, logs, strict=True)] == [0, 0]
    assert [(row["epoch"], row["processes"]) for row in curves(run)] == [("0", "2"), ("1", "2")]
    assert [log.read_text().count("finished: ") for log in logs] == [1, 0]


@pytest.mark.parametrize(
    ("told", "options", "line"),
    [
        (task(), [], "2 processes were started, but --devices and --nodes make 1; give "),
        (task(NTASKS_PER_NODE=None), ["--devices", "1", "--nodes", "2"], "Use `--ntasks-per-node=2` instead."),
        (
            task(STEP_ID=None, STEP_NUM_TASKS=None),
            ["--devices", "1", "--nodes", "2"],
            "SLURM is to start 2 processes, but started this one alone; put srun before it.",
        ),
    ],
    ids=["nothing said", "tasks of no node", "no srun"],
)
def test_what_slurm_was_told_wrongly(
    told: dict[str, str],
    options: list[str],
    line: str,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert main(fit_arguments(store, tmp_path / "run", *options)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and line in error
    assert not list((tmp_path / "run").rglob("*.*"))


def test_slurm_keeps_no_checkpoints_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lightning would prefer one from within an epoch to all later ones."""
    assert slurm() == []
    for name, value in task().items():
        monkeypatch.setenv(name, value)
    assert [environment.auto_requeue for environment in slurm()] == [False]
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "torchrun, within a job")
    assert slurm() == []
