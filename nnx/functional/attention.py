"""Attention: every query takes a mean of the values, weighted by how well its key fits (Vaswani et al. 2017).

Two rules compute the same. The plain one keeps the weights, (..., n, m): fast while they are small. The one in blocks
(nnx/functional/attention_blocks.py) never has them all at once: its memory grows with n + m.
"""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import cast_like, in_half, wide
from nnx.autodiff.rules.common import like, unbroadcast
from nnx.backend import innermost, kernel, namespace
from nnx.functional.attention_blocks import blocked
from nnx.functional.attention_scores import attention_weights, is_boolean
from nnx.functional.dropout import dropout
from nnx.typing import Array

__all__ = ["scaled_dot_product_attention"]

LONG = 512 * 512
"""With more weights than these for each head they are not kept, but computed block by block."""


@in_half
def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """softmax(q kᵀ · scale + mask) v over the last two axes.

    query: (..., h, n, d)   key: (..., h, m, d)   value: (..., h, m, e)   returns (..., h, n, e)
    attn_mask: broadcasts to (..., h, n, m); booleans, True where a query may look, or numbers that are added
    is_causal: query k looks at the keys up to k   scale: 1/√d unless given
    dropout_p: the share of weights that is dropped; unlike a layer's dropout it always acts
    enable_gqa: h query heads share the fewer heads of key and value (Ainslie et al. 2023); h is their multiple
    A query that may look nowhere gives zeros. Long sequences are computed in blocks, in memory that grows with n + m
    (not with dropout, which keeps its mask). Raises ValueError for shapes that do not fit, and for a mask beside
    is_causal.
    """
    _check(query, key, value, attn_mask, is_causal, enable_gqa)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    if not enable_gqa or query.shape[-3] == key.shape[-3]:
        return _attention(query, key, value, attn_mask, dropout_p, is_causal, factor)
    xp, groups = namespace(query), key.shape[-3]
    q = xp.reshape(query, (*query.shape[:-3], groups, query.shape[-3] // groups, *query.shape[-2:]))
    if attn_mask is not None and attn_mask.ndim > 2:
        heads = attn_mask.shape[-3]
        own = (1, 1) if heads == 1 else (groups, heads // groups)
        lead, tail = attn_mask.shape[:-3], attn_mask.shape[-2:]
        attn_mask = namespace(attn_mask).reshape(attn_mask, (*lead, *own, *tail))
    k, v = xp.expand_dims(key, axis=-3), xp.expand_dims(value, axis=-3)
    y = _attention(q, k, v, attn_mask, dropout_p, is_causal, factor)
    return xp.reshape(y, (*query.shape[:-1], value.shape[-1]))


def _attention(
    q: Array, k: Array, v: Array, mask: Array | None, dropout_p: float, is_causal: bool, scale: float
) -> Array:
    """The rule that suits the size."""
    if dropout_p:
        return namespace(q, v).matmul(dropout(attention_weights(q, k, mask, is_causal, scale), dropout_p), v)
    if q.shape[-2] * k.shape[-2] > LONG:
        return _blocked(q, k, v, mask, is_causal, scale)
    return plain(q, k, v, mask, is_causal, scale)


def _blocked(q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, scale: float) -> Array:
    """The rule in blocks adds up over the keys: of 16 bits it is taken in 32, but for the library's own."""
    if kernel("attention", innermost(q)) is not None:
        return blocked(q, k, v, mask, is_causal, scale)
    return cast_like(blocked(wide(q), wide(k), wide(v), wide(mask), is_causal, scale), v)


@op
def plain(q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, scale: float) -> Any:
    """Attention that keeps its weights p.   dv = pᵀ dy,  ds = p (dp - Σ dp p),  dp = dy vᵀ,  dq = ds k,  dk = dsᵀ q."""
    own = kernel("attention", q)
    if own is not None and (found := own(q, k, v, mask, is_causal, scale)) is not None:
        return found
    own = kernel("short_attention", q)
    if own is not None and (found := own(q, k, v, mask, is_causal, scale)) is not None:
        y, back = found

        def generic(dy: Array) -> tuple[Any, ...]:  # for a gradient that is watched itself
            p = attention_weights(q, k, mask, is_causal, scale)
            entries: tuple[Any, ...] = _pullback(p, q, k, v, mask, scale)(dy)
            return entries

        return y, lambda dy: (generic if kernel("short_attention", dy) is None else back)(dy)
    xp = namespace(q, k, v)
    p = attention_weights(q, k, mask, is_causal, scale)
    return xp.matmul(p, v), _pullback(p, q, k, v, mask, scale)


def _pullback(p: Array, q: Array, k: Array, v: Array, mask: Array | None, scale: float) -> Any:
    """See plain."""
    xp = namespace(q, k, v)
    like_q, like_k, like_v = like(q), like(k), like(v)
    like_mask = None if mask is None or is_boolean(mask) else like(mask)

    def pullback(dy: Array) -> tuple[Any, ...]:
        t = xp.matrix_transpose
        dp, weights = wide(xp.matmul(dy, t(v))), wide(p)
        ds = weights * (dp - xp.sum(dp * weights, axis=-1, keepdims=True))
        scaled = cast_like(ds * scale, q)
        return (
            lambda: unbroadcast(xp.matmul(scaled, k), like_q),
            lambda: unbroadcast(xp.matmul(t(scaled), q), like_k),
            lambda: unbroadcast(xp.matmul(t(p), dy), like_v),
            lambda: unbroadcast(ds, like_mask),
            None,
            None,
        )

    return pullback


def _check(q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, grouped: bool) -> None:
    """Raises unless the shapes fit."""
    shapes = f"query {tuple(q.shape)}, key {tuple(k.shape)}, value {tuple(v.shape)}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"attention takes arrays of at least two axes, (..., time, features), got {shapes}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"attention: query and key must have the same number of features (last axis), got {shapes}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"attention: there must be one value for each key (second last axis), got {shapes}")
    if mask is not None and is_causal:
        raise ValueError("attention takes attn_mask or is_causal, not both: combine them in one mask")
    if mask is not None and not is_boolean(mask) and mask.dtype != q.dtype:
        raise TypeError(f"attention's mask must be booleans or of query's dtype {q.dtype}, got {mask.dtype}")
    heads = q.shape[-3:-2], k.shape[-3:-2], v.shape[-3:-2]
    if grouped and (not heads[0] or heads[1] != heads[2] or heads[0][0] % heads[1][0]):
        raise ValueError(f"enable_gqa: query's heads must be a multiple of key's and value's, got {shapes}")
    leads = [x.shape[:-2][::-1] for x in (q, k, v)]
    if not grouped and any(len({*sizes} - {1}) > 1 for sizes in zip(*leads, strict=False)):
        raise ValueError(f"attention: the axes before the last two must agree (or broadcast), got {shapes}")
