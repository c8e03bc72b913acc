"""Attention in memory that grows with the length, not with its square: the weights never exist all at once.

Forward, the softmax is taken online: over one block of keys after another, each row keeps its largest score so far, the
sum of its exponentials and of the values that these weigh, and scales both when a larger score comes. What stays is the
output and log Σ eˢ of each row: from it the backward pass computes each block's weights again (Rabe and Staats 2021;
Dao et al. 2022). Under is_causal, a block of keys meets only the queries from its first key on: the others are done.
"""

import functools
import math
from typing import Any

from nnx.autodiff import op, stop_gradient
from nnx.autodiff.rules.common import Like, like, unbroadcast
from nnx.backend import kernel, namespace
from nnx.functional.attention_scores import earlier, is_boolean, masked
from nnx.functional.joining import joined
from nnx.typing import Array

__all__ = ["blocked"]

BLOCK = 256
"""Keys a block."""


@op
def blocked(q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, scale: float, block: int = BLOCK) -> Any:
    """softmax(q kᵀ · scale + mask) v, block by block. mask: booleans or numbers, not together with is_causal.

    Its second derivative is right, too, but keeps every block's weights.
    """
    own = kernel("attention", q)
    if own is not None and (found := own(q, k, v, mask, is_causal, scale)) is not None:
        return found
    cut = _Blocks(q * scale, k, v, mask, is_causal, block)
    y, lse = _forward(cut)
    like_q, like_mask = like(q), None if mask is None or is_boolean(mask) else like(mask)

    def pullback(dy: Array) -> tuple[Any, ...]:
        xp = namespace(dy)
        rest = xp.sum(dy * y, axis=-1, keepdims=True)  # Σ dp p of each row, from what was kept
        slopes = functools.partial(_backward, cut, dy, rest, lse)
        dq, dk, dv = slopes()
        return (
            unbroadcast(dq * scale, like_q),
            dk,
            dv,
            lambda: _mask_gradient(cut, slopes, like_mask),
            None,
            None,
            None,
        )

    return y, pullback


class _Blocks:
    """The blocks of keys, and for each the queries that meet it."""

    def __init__(self, q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, block: int) -> None:
        self.q, self.k, self.v, self.mask, self.is_causal = q, k, v, mask, is_causal
        self.queries, self.keys = q.shape[-2], k.shape[-2]
        reach = min(self.queries, self.keys) if is_causal else self.keys  # nobody looks at keys after the last query
        self.spans = [(start, min(start + block, reach)) for start in range(0, reach, block)]

    def done(self, start: int, stop: int) -> int:
        """How many of the queries that meet the block [start, stop) meet none after it."""
        return stop - start if self.is_causal else 0

    def scores(self, rows: Array, start: int, stop: int) -> Array:
        """The scores of rows, the (scaled) queries that meet it, with the block's keys."""
        xp = namespace(rows, self.k)
        s = xp.matmul(rows, xp.matrix_transpose(self.k[..., start:stop, :]))
        mask = self.mask
        if mask is not None and mask.shape[-1] != 1:
            mask = mask[..., start:stop]
        return masked(s, mask, earlier(rows, rows.shape[-2], 0, stop - start) if self.is_causal else None)


def _forward(cut: _Blocks) -> tuple[Array, Array]:
    """y (..., n, e), and log Σ eˢ of each row (..., n, 1), +inf where a query may look nowhere."""
    rows = cut.q
    xp = namespace(rows, cut.k, cut.v)
    top = total = acc = None
    finished: list[tuple[Array, Array]] = []
    for start, stop in cut.spans:
        s = cut.scores(rows, start, stop)
        high = stop_gradient(xp.max(s, axis=-1, keepdims=True))  # y is the same, whatever is taken off all scores
        high = high if top is None else xp.maximum(top, high)
        shift = xp.where(high == -math.inf, xp.zeros_like(high), high)
        e = xp.exp(s - shift)
        add, values = xp.sum(e, axis=-1, keepdims=True), xp.matmul(e, cut.v[..., start:stop, :])
        if top is None:
            total, acc = add, values
        else:
            fade = xp.exp(top - shift)
            total, acc = total * fade + add, acc * fade + values
        top = high
        if done := cut.done(start, stop):
            finished.append(_finish(acc[..., :done, :], total[..., :done, :], top[..., :done, :]))
            rows, acc, total, top = (x[..., done:, :] for x in (rows, acc, total, top))
    if rows.shape[-2]:
        finished.append(_finish(acc, total, top))
    return joined([y for y, _ in finished], -2), joined([lse for _, lse in finished], -2)


def _finish(acc: Array, total: Array, top: Array) -> tuple[Array, Array]:
    xp = namespace(acc)
    nowhere = total == 0.0
    safe = xp.where(nowhere, xp.ones_like(total), total)
    return acc / safe, xp.where(nowhere, math.inf, top + xp.log(safe))


def _backward(cut: _Blocks, dy: Array, rest: Array, lse: Array, like_mask: Like | None = None) -> Any:
    """dq (without the scale), dk and dv; with like_mask, the mask's gradient in their place."""
    rows, xp, t = cut.q, namespace(dy), namespace(dy).matrix_transpose
    dq: Array | None = None
    finished, dks, dvs, masks = [], [], [], []
    for start, stop in cut.spans:
        p = xp.exp(cut.scores(rows, start, stop) - lse)
        k, v = cut.k[..., start:stop, :], cut.v[..., start:stop, :]
        ds = p * (xp.matmul(dy, t(v)) - rest)
        if like_mask is not None:
            shape, dtype = like_mask
            masks.append(unbroadcast(ds, ((*shape[:-1], min(shape[-1], stop - start)), dtype)))
            continue
        dks.append(unbroadcast(xp.matmul(t(ds), rows), like(k)))
        dvs.append(unbroadcast(xp.matmul(t(p), dy), like(v)))
        step = xp.matmul(ds, k)
        dq = step if dq is None else dq + step
        if done := cut.done(start, stop):
            finished.append(dq[..., :done, :])
            dq, rows, dy, rest, lse = (x[..., done:, :] for x in (dq, rows, dy, rest, lse))
    if like_mask is not None:
        return masks
    if rows.shape[-2]:
        finished.append(dq)
    last = cut.spans[-1][1]
    if last < cut.keys:  # keys that nobody looked at
        dks.append(xp.zeros_like(cut.k[..., last:, :]))
        dvs.append(xp.zeros_like(cut.v[..., last:, :]))
    return joined(finished, -2), joined(dks, -2), joined(dvs, -2)


def _mask_gradient(cut: _Blocks, slopes: Any, like_mask: Like | None) -> Array | None:
    if like_mask is None:
        return None
    parts = slopes(like_mask=like_mask)
    return functools.reduce(lambda a, b: a + b, parts) if like_mask[0][-1] == 1 else joined(parts, axis=-1)
