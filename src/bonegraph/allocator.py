"""Keep freed memory in the process.

glibc hands every tensor above 32 MB (often much less) back to the system and asks for it again at the next step; the
page faults can cost more than the arithmetic. Commands call `keep_memory` before they start; a library never should.
Linux with glibc only; ``BONEGRAPH_MALLOC=system`` switches it off.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_LARGEST = 2**31 - 1


def keep_memory() -> bool:
    """Tell glibc to keep what is freed.

    Returns:
        Whether it did: not on other systems, and not where ``BONEGRAPH_MALLOC`` is ``system``.
    """
    if not sys.platform.startswith("linux") or os.environ.get("BONEGRAPH_MALLOC") == "system":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST), (_M_TOP_PAD, 64 * 2**20))
    return all(mallopt(option, value) == 1 for option, value in settings)
