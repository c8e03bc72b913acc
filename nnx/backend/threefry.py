"""Threefry-2x32 of 20 rounds: random bits that are a pure function of a key and a counter.

Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. `threefry2x32` is the generator on
the standard's 32-bit integers, and the oracle of the others: `words` makes as many words as are wanted with it, and
`words_in_blocks` makes the same ones in NumPy, in place, over blocks that stay in the cache.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.typing import Array, DType, Namespace

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
WORD = 0xFFFFFFFF
BLOCK = 1 << 15
"""Counters a block: three arrays of 128 kB."""

Key = tuple[int, int]
Words = NDArray[np.uint32]


def threefry2x32(xp: Namespace, key: Key, x0: Array, x1: Array, signed: bool = False) -> tuple[Array, Array]:
    """Two 32-bit words of random bits for each counter (x0, x1).

    x0, x1: integers of 32 bits and at least one dimension; with `signed` they are int32 that count as bit patterns
    """
    keys = (*key, key[0] ^ key[1] ^ PARITY)
    x0, x1 = x0 + _word(keys[0], signed), x1 + _word(keys[1], signed)
    for block in range(5):
        for r in ROTATIONS[block % 2]:
            x0 = x0 + x1
            low = x1 >> (32 - r)
            # an arithmetic shift of a signed word drags its sign along: mask it off
            x1 = x0 ^ ((x1 << r) | (low & ((1 << r) - 1) if signed else low))
        x0 = x0 + _word(keys[(block + 1) % 3], signed)
        x1 = x1 + _word(keys[(block + 2) % 3] + block + 1, signed)
    return x0, x1


def _word(k: Any, signed: bool) -> Any:
    """k modulo 2³², as the Python number that the array's dtype can hold; an array of words is one already."""
    if not isinstance(k, int):
        return k
    k &= WORD
    return k - (1 << 32) if signed and k >> 31 else k


def words(xp: Namespace, dtype: DType, n: int, key: Key, draw: int, device: Any = None, signed: bool = False) -> Array:
    """The n words of draw number `draw`: those of the counters (0, draw), (1, draw), ..., first halves first."""
    counters = xp.arange((n + 1) // 2, dtype=dtype, device=device)
    draws = xp.full(counters.shape, _word(draw, signed), dtype=dtype, device=device)
    return xp.concat(threefry2x32(xp, key, counters, draws, signed))[:n]


def words_in_blocks(n: int, key: Key, draw: int) -> Words:
    """The same words, as uint32 in host memory."""
    half = (n + 1) // 2
    found = np.empty((2, half), np.uint32)
    spare = np.empty(min(BLOCK, half), np.uint32)
    for start in range(0, half, BLOCK):
        x0, x1 = found[:, start : start + BLOCK]
        x0[...] = np.arange(start, start + len(x0), dtype=np.uint32)
        x1[...] = draw & WORD
        _mix(x0, x1, spare[: len(x0)], _schedule(key))
    return found.reshape(-1)[:n]


def _mix(x0: Words, x1: Words, t: Words, schedule: tuple[tuple[Words, Words], ...]) -> None:
    """threefry2x32 in place; t: as long as x0, to be written over."""
    add, left, right, either, xor = np.add, np.left_shift, np.right_shift, np.bitwise_or, np.bitwise_xor
    add(x0, schedule[0][0], x0)
    add(x1, schedule[0][1], x1)
    for block, (k0, k1) in enumerate(schedule[1:]):
        for r, back in _SHIFTS[block % 2]:
            add(x0, x1, x0)
            left(x1, r, t)
            right(x1, back, x1)
            either(x1, t, x1)
            xor(x0, x1, x1)
        add(x0, k0, x0)
        add(x1, k1, x1)


def _array(k: int) -> Words:
    """An array of no dimension: of a Python number each ufunc would make one anew."""
    return np.asarray(k & WORD, np.uint32)


_SHIFTS = tuple(tuple((_array(r), _array(32 - r)) for r in rotations) for rotations in ROTATIONS)


@cache
def _schedule(key: Key) -> tuple[tuple[Words, Words], ...]:
    """What is added to (x0, x1) before the first block of four rounds, and after each."""
    keys = (*key, key[0] ^ key[1] ^ PARITY)
    after = [(_array(keys[(block + 1) % 3]), _array(keys[(block + 2) % 3] + block + 1)) for block in range(5)]
    return ((_array(keys[0]), _array(keys[1])), *after)
