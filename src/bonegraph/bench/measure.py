"""Rows take turns, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby

import torch
from torch import nn
from tqdm import tqdm

from bonegraph.bench.floor import Floors
from bonegraph.bench.memory import added_memory
from bonegraph.bench.rows import Row

FLOOR_TURNS = 3
"""Turns of each operation of a floor: the best one counts, so that a few tell as much as many."""


def take_turns(
    rows: list[Row], repeats: int, *, floors: Floors | None = None, progress: bool = True, after: Callable[[], None]
) -> None:
    """Measure; what was measured is in the rows, also when this is interrupted.

    The first turn of each row warms it up and finds its memory, and does not count. Rows of equal threads take turns:
    A B C A B C and so on. The operations of their floors come after each of the first rounds.

    Args:
        rows: those of equal threads side by side.
        repeats: turns that count.
        floors: of the rows.
        progress: show a progress bar.
        after: called after every round of turns, to keep what there is.
    """
    _settle()
    before = torch.get_num_threads()
    floors = floors or Floors()
    total = (1 + repeats) * len(rows) + min(1 + repeats, FLOOR_TURNS) * len(floors)
    bar = tqdm(total=total, desc="bench", unit="turn", disable=not progress)
    try:
        for threads, group in groupby(rows, key=lambda row: row.threads):
            together = list(group)
            torch.set_num_threads(threads)
            for turn in range(1 + repeats):
                for row in together:
                    bar.set_postfix_str(
                        " ".join(filter(None, (row.model or row.kind, row.way, row.case))), refresh=False
                    )
                    if turn:
                        _turn(row)
                    else:
                        row.memory_bytes = added_memory(row.run)
                    bar.update()
                bar.set_postfix_str("floor", refresh=False)
                for alone in floors.with_threads(threads) if turn < FLOOR_TURNS else ():
                    alone.turn()
                    bar.update()
                if turn:
                    after()
    finally:
        bar.close()
        torch.set_num_threads(before)


def _turn(row: Row) -> None:
    clock, processor = time.perf_counter(), time.process_time()
    row.run()
    processor, clock = time.process_time() - processor, time.perf_counter() - clock
    row.clock_s.append(clock)
    row.processor_s.append(processor)


def _settle() -> None:
    """Make torch load what it loads at its first step of an optimizer, so that it is not in the memory of a row."""
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    optimizer.zero_grad()
    layer(torch.zeros(1, 1)).sum().backward()
    optimizer.step()
