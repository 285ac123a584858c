"""How much memory a piece of work adds to the process at most, as the system sees it."""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_THE_PEAK = "5"


def added_memory(work: Callable[[], object]) -> int | None:
    """Bytes that the resident memory of the process grew by at most during some work.

    What torch, oneDNN and the allocator hold is in it; what freed memory they could use again is given back before.

    Returns:
        None where it cannot be known, which is everywhere but on Linux. The work is done in any case.
    """
    gc.collect()
    if not _forget():
        work()
        return None
    before = _kilobytes("VmRSS")
    work()
    return max(0, _kilobytes("VmHWM") - before) * 1024


def _forget() -> bool:
    """Give back what is free and forget the peak so far."""
    try:
        _CLEAR.write_text(_FORGET_THE_PEAK)
        ctypes.CDLL(None).malloc_trim(0)
        _CLEAR.write_text(_FORGET_THE_PEAK)
    except (OSError, AttributeError):  # another system, or another C library
        return False
    return True


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
