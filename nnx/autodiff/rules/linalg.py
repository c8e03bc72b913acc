"""Products of matrices: dA = dY Bᵀ and dB = Aᵀ dY, with every stack of them and every vector seen as a matrix."""

from collections.abc import Sequence
from typing import Any

from nnx.autodiff.casting import in_half
from nnx.autodiff.rules.common import RULES, adjoint, composed, conj, pair, product, standard, unbroadcast
from nnx.autodiff.tape import op
from nnx.backend import device_of, namespace
from nnx.typing import Array, DType


@standard
def matmul(x1: Array, x2: Array, /) -> Any:
    """x1 @ x2.   x1: (..., n, k) or (k,)   x2: (..., k, m) or (k,)   returns (..., n, m)."""
    xp, s1, s2 = pair(x1, x2)
    y = xp.matmul(x1, x2)
    if x1.ndim > 1 and x2.ndim > 1:
        return y, lambda dy: (
            lambda: unbroadcast(xp.matmul(dy, adjoint(x2)), s1),
            lambda: unbroadcast(xp.matmul(adjoint(x1), dy), s2),
        )
    # a vector is a matrix of one row, or of one column; dy gets the axes that it lacks
    row, column = x1[None, :] if x1.ndim == 1 else x1, x2[:, None] if x2.ndim == 1 else x2

    def matrix(dy: Array) -> Array:
        dy = dy[..., None] if x2.ndim == 1 else dy
        return dy[..., None, :] if x1.ndim == 1 else dy

    def dx2(dy: Array) -> Any:
        d = xp.matmul(adjoint(row), matrix(dy))
        return unbroadcast(d[..., 0] if x2.ndim == 1 else d, s2)

    return y, lambda dy: (lambda: unbroadcast(xp.matmul(matrix(dy), adjoint(column)), s1), lambda: dx2(dy))


RULES["matmul"] = in_half(RULES["matmul"])


@composed
def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Σ conj(x1) · x2 along an axis."""
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot of shapes {tuple(x1.shape)} and {tuple(x2.shape)}: axis {axis} must have one length")
    return namespace(x1, x2).sum(conj(x1) * x2, axis=axis)


@composed
def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Σ over pairs of axes: the last `axes` of x1 with the first of x2, or the named ones."""
    xp = namespace(x1, x2)
    if isinstance(axes, int):
        first, second = list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    else:
        first, second = [k % x1.ndim for k in axes[0]], [k % x2.ndim for k in axes[1]]
    if [x1.shape[k] for k in first] != [x2.shape[k] for k in second]:
        shapes = f"{tuple(x1.shape)} and {tuple(x2.shape)}"
        raise ValueError(f"tensordot of shapes {shapes} over axes {axes}: their lengths differ")
    left = [k for k in range(x1.ndim) if k not in first]
    right = [k for k in range(x2.ndim) if k not in second]
    n = product(x1.shape[k] for k in first)
    rows, columns = [x1.shape[k] for k in left], [x2.shape[k] for k in right]
    a = xp.reshape(xp.permute_dims(x1, (*left, *first)), (product(rows), n))
    b = xp.reshape(xp.permute_dims(x2, (*second, *right)), (n, product(columns)))
    return xp.reshape(xp.matmul(a, b), (*rows, *columns))


@composed
def outer(x1: Array, x2: Array, /) -> Array:
    """x1ᵢ x2ⱼ of two vectors."""
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"outer of {x1.ndim} and {x2.ndim} dimensions: it takes two vectors")
    return x1[:, None] * x2[None, :]


@composed
def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """x1 × x2 of vectors with three elements along an axis."""
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ValueError(f"cross of shapes {tuple(x1.shape)} and {tuple(x2.shape)}: axis {axis} must have length 3")
    xp = namespace(x1, x2)
    a1, a2, a3 = xp.unstack(x1, axis=axis)
    b1, b2, b3 = xp.unstack(x2, axis=axis)
    return xp.stack([a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1], axis=axis)


@op
def _diagonal(x: Array, offset: int) -> Any:
    xp = namespace(x)
    n, m = x.shape[-2:]
    y = xp.linalg.diagonal(x, offset=offset)

    def pullback(dy: Array) -> tuple[Array, None]:
        # one column of the diagonal in the rows that it runs through, spread over all columns, cut out again
        above, k = min(max(-offset, 0), n), y.shape[-1]
        blocks = [xp.zeros((*dy.shape[:-1], r), dtype=dy.dtype, device=device_of(dy)) for r in (above, n - above - k)]
        column = xp.expand_dims(xp.concat([blocks[0], dy, blocks[1]], axis=-1), axis=-1)
        here = xp.eye(n, m, k=offset, dtype=xp.bool, device=device_of(dy))
        return xp.where(here, column, 0.0), None

    return y, pullback


@composed
def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """xᵢ,ᵢ₊ₒ of the last two axes."""
    return _diagonal(x, offset)


@composed
def trace(x: Array, /, *, offset: int = 0, dtype: DType | None = None) -> Array:
    """The sum of the diagonal."""
    return namespace(x).sum(_diagonal(x, offset), axis=-1, dtype=dtype)
