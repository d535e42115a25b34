"""Shuffles that follow from whole numbers alone, so that no release of a library changes them.

``mix64`` is the finaliser of SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom
number generators"), used as a keyed hash.
"""

from collections.abc import Iterable

import numpy as np

MAX_WORD = 2**64 - 1


def mix64(words: np.ndarray) -> np.ndarray:
    """Return a scrambled copy of uint64 words; one to one, modulo 2**64."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def keys(count: int, context: Iterable[int]) -> np.ndarray:
    """Return ``count`` uint64 keys that depend on the context, whole numbers 0..2**64-1."""
    state = np.zeros(1, np.uint64)  # arrays wrap silently, scalars warn
    for number in context:
        state = mix64(state ^ np.uint64(number))
    return mix64(state ^ mix64(np.arange(count, dtype=np.uint64)))


def shuffled(items: np.ndarray, context: Iterable[int]) -> np.ndarray:
    """Return the items in the order of their keys; the first item has the first key."""
    return items[np.argsort(keys(len(items), context), kind="stable")]


def cycled(pool: np.ndarray, count: int, context: tuple[int, ...]) -> np.ndarray:
    """Draw ``count`` members: shuffle after shuffle of the pool, cut at ``count``.

    So each member comes ``count // len(pool)`` times or once more. The pool's order does not
    matter. The shuffles have the contexts ``(*context, 0)``, ``(*context, 1)``, ...
    """
    if count == 0:
        return pool[:0]
    pool = np.sort(pool)
    rounds = -(-count // len(pool))
    return np.concatenate([shuffled(pool, (*context, i)) for i in range(rounds)])[:count]
