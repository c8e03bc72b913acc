"""What attention looks at: how well each query fits each key, who may look where, and the weights that come of it."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import cast_like, wide
from nnx.backend import backend_of, device_of, innermost, namespace
from nnx.typing import Array

__all__ = ["attention_weights", "earlier", "is_boolean", "masked", "scores"]


def scores(q: Array, k: Array, mask: Array | None, is_causal: bool, scale: float) -> Array:
    """q kᵀ · scale, -inf where a query may not look."""
    xp = namespace(q, k)
    s = xp.matmul(q * scale, xp.matrix_transpose(k))
    return masked(s, mask, earlier(q, q.shape[-2], 0, k.shape[-2]) if is_causal else None)


def masked(s: Array, mask: Array | None, causal: Array | None = None) -> Array:
    """Scores with -inf where a boolean mask is False, or with a mask of numbers added."""
    for m in (mask, causal):
        if m is None:
            continue
        s = namespace(s).where(m, s, -math.inf) if is_boolean(m) else s + m
    return s


def earlier(like: Array, queries: int, start: int, keys: int) -> Array:
    """(queries, keys) booleans, plain ones: whether key start + j is not after query i."""
    x = innermost(like)
    xp = namespace(x)
    i = xp.reshape(xp.arange(queries, device=device_of(x)), (-1, 1))
    return i >= xp.arange(start, start + keys, device=device_of(x))


def is_boolean(mask: Array) -> bool:
    """Whether a mask says where to look, rather than what to add."""
    x = innermost(mask)
    return bool(backend_of(x).namespace().isdtype(x.dtype, "bool"))


@op
def _safe_softmax(s: Array) -> Any:
    """softmax over the last axis; zeros, and no gradient, where all scores are -inf. Of 16 bits it is taken in 32."""
    xp, z = namespace(s), wide(s)
    top = xp.max(z, axis=-1, keepdims=True)
    e = xp.exp(z - xp.where(top == -math.inf, xp.zeros_like(top), top))
    total = xp.sum(e, axis=-1, keepdims=True)
    p = e / xp.where(total == 0.0, xp.ones_like(total), total)

    def pullback(dy: Array) -> tuple[Array]:
        d = wide(dy)
        return (cast_like(p * (d - xp.sum(d * p, axis=-1, keepdims=True)), s),)

    return cast_like(p, s), pullback


def attention_weights(q: Array, k: Array, mask: Array | None, is_causal: bool, scale: float) -> Array:
    """softmax(q kᵀ · scale + mask), (..., n, m): made of functions that differentiate themselves, the rules' oracle."""
    return _safe_softmax(scores(q, k, mask, is_causal, scale))
