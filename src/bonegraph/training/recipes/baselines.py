"""The baselines of ST-GCN's Table 1 on NW-UCLA."""

from __future__ import annotations

from dataclasses import replace

from bonegraph.models import baselines
from bonegraph.training.recipes import small
from bonegraph.training.settings import Settings
from bonegraph.transforms.lengths import Length


def tcn_nw_ucla() -> Settings:
    """Temporal convolution alone (Kim and Reiter, 2017) on NW-UCLA, joint stream (half width).

    Expected: see docs/results.md.
    ``bonegraph fit tcn-nw-ucla --data data/nw-ucla --run RUN``
    """
    return replace(small.nw_ucla(), recipe="tcn-nw-ucla", model=baselines.tcn("half", dropout=0.1))


def local_nw_ucla() -> Settings:
    """Local convolution, weights of its own for every edge, on NW-UCLA, joint stream (half width, 24 frames).

    Expected: see docs/results.md. Its millions of weights make a step cost the same whatever the batch, so the batch is
    twice that of the others.
    ``bonegraph fit local-nw-ucla --data data/nw-ucla --run RUN``
    """
    base = small.nw_ucla()
    return replace(
        base,
        recipe="local-nw-ucla",
        model=baselines.local("half", dropout=0.0),
        length=Length("crop-resize", 24),
        optimizer=replace(base.optimizer, lr=0.1),
        epochs=45,
        batch_size=32,
    )
