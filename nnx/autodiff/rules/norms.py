"""Norms of vectors and matrices. At a kink the slope is taken as 0 (a vector of zeros, an element that is 0)."""

import math
from typing import Any, Literal

from nnx.autodiff.rules.common import Axis, composed, restored, where_zero
from nnx.autodiff.tape import op
from nnx.backend import namespace
from nnx.typing import Array


@op
def _power_norm(x: Array, p: float, axis: Axis, keepdims: bool) -> Any:
    """(Σ |x|ᵖ)^(1/p)."""
    xp = namespace(x)
    y = xp.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=p)

    def pullback(dy: Array) -> tuple[Any, ...]:
        norm, dy = (restored(d, axis, keepdims, x.ndim) for d in (y, dy))
        if p == 2:
            return x * (dy / where_zero(norm, 1.0, norm)), None, None, None
        size = xp.abs(x)
        ratio = where_zero(size, 1.0, size) / where_zero(norm, 1.0, norm)
        return xp.sign(x) * (dy * ratio ** (p - 1.0)), None, None, None

    return y, pullback


@composed
def vector_norm(x: Array, /, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    """(Σ |x|ᵖ)^(1/p) for p = ord; the largest or smallest |x| for ±inf, the number of elements that are not 0 for 0."""
    xp = namespace(x)
    if ord in (math.inf, -math.inf):
        return (xp.max if ord == math.inf else xp.min)(xp.abs(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return xp.astype(xp.count_nonzero(x, axis=axis, keepdims=keepdims), xp.abs(x).dtype)
    return _power_norm(x, float(ord), axis, keepdims)


@composed
def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: float | Literal["fro", "nuc"] | None = "fro") -> Array:
    """Of the last two axes: "fro" √Σ|x|², "nuc" the sum, ±2 the largest and smallest of the singular values, ±1 and
    ±inf the largest and smallest sum of |x| over a column, and over a row.
    """
    xp = namespace(x)
    if ord is None or ord == "fro":
        return vector_norm(x, axis=(-2, -1), keepdims=keepdims)
    if ord == "nuc" or ord in (2, -2):
        values = xp.linalg.svdvals(x)
        reduce = xp.sum if ord == "nuc" else xp.max if ord == 2 else xp.min
        y = reduce(values, axis=-1)
    elif ord in (1, -1, math.inf, -math.inf):
        sums = xp.sum(xp.abs(x), axis=-2 if ord in (1, -1) else -1)
        y = (xp.max if ord > 0 else xp.min)(sums, axis=-1)
    else:
        raise ValueError(f"ord of a matrix norm must be 'fro', 'nuc', ±1, ±2 or ±inf, got {ord!r}")
    return y[..., None, None] if keepdims else y
