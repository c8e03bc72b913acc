"""Shuffled orders as a pure function of (seed, stream): nothing to save, nothing to rewind."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPLIT", "block_permutation", "check_seed", "permutation", "seed_of"]

MIXED = 8  # blocks that are shuffled together

SPLIT = 2**64 - 1  # the stream of the splits; a loader's streams are its epochs


def check_seed(seed: int) -> int:
    """The seed as an int. Raises ValueError unless 0 <= seed < 2**64."""
    if not 0 <= int(seed) < 2**64:
        raise ValueError(f"expected a seed from 0 to 2**64 - 1, got {seed}")
    return int(seed)


def permutation(n: int, seed: int, stream: int) -> NDArray[np.int64]:
    """0 to n - 1, shuffled by Philox-4x64 keyed with (seed, stream) (Salmon et al. 2011; NumPy's `Philox`).

    >>> permutation(5, seed=0, stream=1).tolist() == permutation(5, seed=0, stream=1).tolist()
    True
    """
    key = np.array([check_seed(seed), stream], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def block_permutation(n: int, block: int, seed: int, stream: int) -> NDArray[np.int64]:
    """0 to n - 1 for a disk: blocks of `block` numbers in a row come in random order, eight of them shuffled together.

    >>> sorted(block_permutation(10, 2, seed=0, stream=1).tolist()) == list(range(10))
    True
    """
    key = np.array([check_seed(seed), stream], dtype=np.uint64)
    random = np.random.Generator(np.random.Philox(key=key))
    found = np.empty(n, dtype=np.int64)
    done, block = 0, min(block, max(1, n))
    blocks = random.permutation(-(-n // block))
    for i in range(0, len(blocks), MIXED):
        starts = blocks[i : i + MIXED, None] * block
        numbers = (starts + np.arange(block)).reshape(-1)
        numbers = random.permutation(numbers[numbers < n])  # the last block may be shorter
        found[done : done + len(numbers)] = numbers
        done += len(numbers)
    return found


def seed_of(seed: int, epoch: int, position: int) -> int:
    """The seed of what is drawn for one batch, 0 to 2**64 - 1: a hash (BLAKE2b) of where the batch stands.

    >>> seed_of(0, 0, 1) == seed_of(0, 0, 1) != seed_of(0, 1, 0)
    True
    """
    from hashlib import blake2b

    place = b"".join(number.to_bytes(8, "little") for number in (check_seed(seed), epoch, position))
    return int.from_bytes(blake2b(place, digest_size=8).digest(), "little")
