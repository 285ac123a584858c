"""Probabilities of clips, by clip id."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from bonegraph.datasets.clips import Clips, TestOrder
from bonegraph.datasets.store import Store
from bonegraph.inference.fast import FastModel, Precision
from bonegraph.inference.fast import fast as fast_form
from bonegraph.models.base import ActionModel
from bonegraph.models.checkpoint import Meaning
from bonegraph.sample import Batch
from bonegraph.scores import Scores
from bonegraph.skeleton import way_out
from bonegraph.transforms.pipeline import apply


def logits(model: ActionModel | FastModel, meaning: Meaning, batch: Batch) -> torch.Tensor:
    """Logits of a fetched batch, (N, classes)."""
    ready = apply(meaning.transforms, batch, meaning.skeleton, training=False)
    found: torch.Tensor = model(ready.positions, ready.visible).float()
    return found


def probabilities(model: ActionModel | FastModel, meaning: Meaning, batch: Batch) -> torch.Tensor:
    """Class probabilities of a fetched batch as the network gives them, without calibration, (N, classes)."""
    return torch.softmax(logits(model, meaning, batch), dim=1)


def for_answers(model: ActionModel, fast: bool, precision: Precision) -> ActionModel | FastModel:
    """The form of a model that answers: its fast one on a CPU, unless that is not wanted.

    Raises:
        ValueError: another precision than fp32 where there is no fast form, or an unknown one.
    """
    if precision not in ("fp32", "bf16"):
        raise ValueError(f"precision must be fp32 or bf16, got '{precision}'.")
    network = fast_form(model, precision) if fast else model
    if precision != "fp32" and not isinstance(network, FastModel):
        raise ValueError(f"precision {precision} is for the fast form of a network on a CPU; use fp32 without it.")
    return network


def check_fits(meaning: Meaning, store: Store) -> None:
    """See that a checkpoint can read a store.

    Raises:
        ValueError: the skeletons or the class names differ.
    """
    if meaning.skeleton != store.skeleton:
        raise ValueError(
            f"the checkpoint takes the skeleton '{meaning.skeleton.name}' ({meaning.skeleton.num_joints} joints), but "
            f"'{store.name}' has '{store.skeleton.name}' ({store.skeleton.num_joints} joints); "
            + way_out(store.skeleton, meaning.skeleton)
        )
    if meaning.classes != store.classes:
        raise ValueError(
            f"the checkpoint knows {len(meaning.classes)} classes ({meaning.classes[0]}, ...), but '{store.name}' has "
            f"{len(store.classes)} ({store.classes[0]}, ...); use a checkpoint that was trained on these classes."
        )


def score(
    model: ActionModel,
    meaning: Meaning,
    store: Store,
    clips: NDArray[np.int64],
    *,
    batch_size: int = 32,
    device: str | torch.device = "cpu",
    progress: bool = True,
    fast: bool = True,
    precision: Precision = "fp32",
) -> Scores:
    """Score clips of a store; with several test clips the probabilities are averaged.

    These are the probabilities of the network itself: the calibration of a checkpoint is left aside, so that what is
    compared and fused is what the papers compare and fuse.

    Args:
        model: in evaluation mode.
        meaning: of the checkpoint.
        store: with the skeleton and the classes of the checkpoint.
        clips: (N,) numbers of the clips.
        batch_size: clips at once.
        device: where the model is.
        progress: show a progress bar.
        fast: on a CPU, score with the model's form for answers (`bonegraph.inference.fast`), which gives the same.
        precision: of that form.

    Raises:
        ValueError: a precision without that form; checkpoint and store do not fit, or there is no clip.
    """
    check_fits(meaning, store)
    network = for_answers(model, fast, precision)
    if not len(clips):
        raise ValueError(f"there are no clips to score in '{store.name}'; choose another part of the split.")
    total = np.zeros((len(clips), len(meaning.classes)), np.float64)
    place = {int(clip): row for row, clip in enumerate(clips)}
    fetch = Clips(store, meaning.length, meaning.people)
    # Clips of like length lie together, which spares the rule 'all' most of its padding.
    order = TestOrder(clips[np.argsort(store.frames[clips], kind="stable")], batch_size, meaning.length)
    with torch.inference_mode():
        for batch in tqdm(order, desc="score", unit="batch", disable=not progress):
            fetched = fetch[batch].to(device)
            rows = [place[int(clip)] for clip in batch.clips]
            total[rows] += probabilities(network, meaning, fetched).cpu().numpy()
    return Scores(
        ids=store.ids[clips],
        classes=meaning.classes,
        probabilities=(total / meaning.length.test_clips).astype(np.float32),
        labels=store.labels[clips],
    )
