"""Random numbers as a pure function of (seed, epoch, clip): the same on every machine, in every order, after a resume.

A counter-based generator: a key is mixed with a counter by the finaliser of SplitMix64 (Steele, Lea and Flood, *Fast
Splittable Pseudorandom Number Generators*, OOPSLA 2014). No generator has a state, so none has to be saved.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(keys: NDArray[np.generic] | int, *words: int | str | NDArray[np.generic]) -> Keys:
    """Fold words (numbers, texts or arrays that broadcast) into keys; each result looks random and independent."""
    state = np.asarray(keys).astype(np.uint64)
    for word in words:
        number = zlib.crc32(word.encode()) if isinstance(word, str) else word
        with np.errstate(over="ignore"):
            state = (state ^ np.asarray(number).astype(np.uint64)) * np.uint64(0xD6E8FEB86659FD93) + _GOLDEN
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def uniform(keys: Keys, purpose: str, *shape: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), ``shape`` of them for each key; ``purpose`` keeps different uses of a key apart.

    Shapes:
        keys (N,) -> (N, *shape)
    """
    count = int(np.prod(shape, dtype=np.int64))
    bits = mix(mix(keys, purpose)[:, None], np.arange(count)[None, :])
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53, dtype=np.float64).reshape(len(keys), *shape)


def integers(keys: Keys, purpose: str, high: NDArray[np.int64] | int, *shape: int) -> NDArray[np.int64]:
    """Whole numbers from 0 to high - 1; ``high`` broadcasts against (N, *shape)."""
    return (uniform(keys, purpose, *shape) * high).astype(np.int64)


def permutation(key: int | np.uint64, count: int) -> NDArray[np.int64]:
    """The numbers 0 to count - 1 in an order drawn from the key."""
    return np.argsort(mix(mix(np.asarray([key]), "permutation"), np.arange(count)), kind="stable")
