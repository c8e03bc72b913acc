"""Attention over short sequences in NumPy's memory: nnx/functional/attention.py is its oracle.

The heads of a few samples at a time are small enough that all passes over their scores find these in cache, and the
weights need no memory: kept is log Σ eˢ of each row, from which the backward pass computes them again.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnx.typing import Array, DType, Shape

BLOCK = 1 << 15
"""Scores that are computed at a time."""
MOST = 512 * 512
"""Scores of a head up to which it does so."""

Pullback = Callable[[Array], tuple[Any, ...]]


def attention(
    q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, scale: float
) -> tuple[Array, Pullback] | None:
    """See nnx.functional.attention.plain; None for what this cannot do: a mask, shared heads, long sequences."""
    floating = (np.float32, np.float64)
    if mask is not None or q.dtype not in floating or k.dtype != q.dtype or v.dtype != q.dtype:
        return None
    if q.ndim < 3 or not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        return None
    size = q.shape[-2] * k.shape[-2]
    if not q.size or not v.size or size > MOST:
        return None
    run = _Run(q, k, v, is_causal, scale)
    y, lse = run.forward()
    return y, lambda dy: (*run.backward(dy, y, lse), None, None, None)


class _Run:
    """q (..., n, d), k (..., m, d) and v (..., m, e), and how they are cut."""

    def __init__(self, q: Array, k: Array, v: Array, is_causal: bool, scale: float) -> None:
        self.q, self.k, self.v, self.scale = q, k, v, scale
        self.shape: Shape = q.shape[-2], k.shape[-2]
        self.mask = _causal(*self.shape, q.dtype) if is_causal else None

    def _parts(self) -> Iterator[tuple[Any, Array]]:
        """(key, memory for its scores): samples and heads, some at a time."""
        lead, axis = self.q.shape[:-2], 0
        inner = math.prod(lead) * math.prod(self.shape)
        while axis < len(lead) - 1 and inner // lead[axis] > BLOCK:
            inner //= lead[axis]
            axis += 1
        length = max(1, BLOCK // (inner // lead[axis]))
        memory = np.empty((min(length, lead[axis]), *lead[axis + 1 :], *self.shape), self.q.dtype)
        for before in np.ndindex(lead[:axis]):
            for start in range(0, lead[axis], length):
                key = (*before, slice(start, start + length))
                yield key, memory[: len(self.q[key])]

    def _scores(self, key: Any, out: Array) -> Array:
        """Writes the scores of a part; returns its q · scale."""
        q = self.q[key] * self.scale
        np.matmul(q, self.k[key].mT, out=out)
        if self.mask is not None:
            out += self.mask
        return q

    def forward(self) -> tuple[Array, Array]:
        """y (..., n, e), in memory in the order of q, and log Σ eˢ (..., n, 1)."""
        y = np.empty_like(self.q, shape=(*self.q.shape[:-1], self.v.shape[-1]))
        lse = np.empty((*self.q.shape[:-1], 1), y.dtype)
        ones = np.ones(self.shape[1], y.dtype)
        for key, s in self._parts():
            self._scores(key, s)
            top = np.maximum.reduce(s, axis=-1, keepdims=True)
            s -= top
            np.exp(s, out=s)
            total = np.vecdot(s, ones)[..., None]
            to = np.matmul(s, self.v[key], out=y[key])
            to /= total
            np.log(total, out=total)
            np.add(total, top, out=lse[key])
        return y, lse

    def backward(self, dy: Array, y: Array, lse: Array) -> tuple[Array, Array, Array]:
        """dq, dk and dv.   ds = p (dy vᵀ - Σ dy y)"""
        dq, dk, dv = map(np.empty_like, (self.q, self.k, self.v))
        second: Array | None = None
        for key, p in self._parts():
            second = np.empty_like(p) if second is None else second
            q, d, ds = self._scores(key, p), dy[key], second[: len(p)]
            p -= lse[key]
            np.exp(p, out=p)
            np.matmul(p.mT, d, out=dv[key])
            np.matmul(d, self.v[key].mT, out=ds)
            ds -= np.vecdot(d, y[key])[..., None]
            ds *= p
            np.matmul(ds.mT, q, out=dk[key])
            to = np.matmul(ds, self.k[key], out=dq[key])
            to *= self.scale
        return dq, dk, dv


_MASKS: dict[tuple[int, int, DType], Array] = {}
"""The last one that was asked for."""


def _causal(queries: int, keys: int, dtype: DType) -> Array:
    """(queries, keys) numbers to add: -inf where a key comes after the query."""
    found = _MASKS.get((queries, keys, dtype))
    if found is None:
        _MASKS.clear()
        later = ~np.tri(queries, keys, dtype=bool)
        found = _MASKS[queries, keys, dtype] = np.zeros((queries, keys), dtype)
        found[later] = -math.inf
    return found


KERNELS: dict[str, Callable[..., Any]] = {"short_attention": attention}
