"""How a language model's scores become a token."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from nnx import random
from nnx.backend import namespace
from nnx.functional import softmax
from nnx.layers import Module
from nnx.typing import Array

__all__ = ["evaluating", "sampled"]


def sampled(scores: Array, temperature: float = 1.0, top_k: int | None = None) -> Array:
    """One index a row, drawn from softmax(scores / temperature).   scores: (n, v)   returns (n, 1)

    temperature: 0 takes the largest   top_k: only the k largest (and what equals the k-th) are drawn from
    Raises ValueError for a temperature below 0 or a top_k below 1.
    """
    if temperature < 0.0 or (top_k is not None and top_k < 1):
        raise ValueError(f"temperature must be >= 0 and top_k >= 1, got {temperature} and {top_k}")
    xp = namespace(scores)
    n, v = scores.shape
    if temperature == 0.0:
        return xp.reshape(xp.argmax(scores, axis=1), (n, 1))
    if top_k is not None and top_k < v:
        kth = xp.sort(scores, axis=1)[:, v - top_k : v - top_k + 1]
        scores = xp.where(scores < kth, -math.inf, scores)
    sums = xp.cumulative_sum(softmax(scores * (1.0 / temperature), 1), axis=1)
    words = (random.bits(n, like=scores) >> 9) & 0x7FFFFF
    # at most 1 - 2**-23 of the sum: with more, float32 would round to the sum itself, and to a token behind the last
    draws = xp.reshape(xp.astype(words, scores.dtype), (n, 1)) * 2.0**-23 * sums[:, -1:]
    return xp.sum(xp.astype(sums <= draws, xp.int32), axis=1, keepdims=True)


@contextmanager
def evaluating(model: Module, seed: int | None = None) -> Iterator[None]:
    """Inside of the block the model is in evaluation mode, and random numbers start from a seed, if one is given.

    Afterwards each of its modules goes back to its own mode, and the random numbers to where they were.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with nullcontext() if seed is None else random.scope(seed):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
