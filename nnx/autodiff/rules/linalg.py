"""Products of matrices: dA = dY Bᵀ and dB = Aᵀ dY, with every stack of them and every vector seen as a matrix."""

from collections.abc import Sequence
from typing import Any

from nnx.autodiff.rules.common import composed, like, standard, unbroadcast
from nnx.backend import namespace
from nnx.typing import Array, Namespace


def _adjoint(xp: Namespace, x: Array) -> Array:
    """xᵀ, conjugated if complex."""
    t = xp.matrix_transpose(x)
    return xp.conj(t) if xp.isdtype(t.dtype, "complex floating") else t


@standard
def matmul(x1: Array, x2: Array, /) -> Any:
    """x1 @ x2.   x1: (..., n, k) or (k,)   x2: (..., k, m) or (k,)   returns (..., n, m)."""
    xp = namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    rows, columns = x1.ndim == 1, x2.ndim == 1
    y = xp.matmul(x1, x2)

    def matrices(dy: Array) -> tuple[Array, Array, Array]:
        """dy, x1 and x2 with the axes that a vector lacks."""
        if columns:
            dy = xp.expand_dims(dy, axis=-1)
        if rows:
            dy = xp.expand_dims(dy, axis=-2)
        return (
            dy,
            xp.expand_dims(x1, axis=0) if rows else x1,
            xp.expand_dims(x2, axis=1) if columns else x2,
        )

    def dx1(dy: Array) -> Any:
        dy, _, b = matrices(dy)
        d = xp.matmul(dy, _adjoint(xp, b))
        return unbroadcast(_without(xp, d, -2) if rows else d, s1)

    def dx2(dy: Array) -> Any:
        dy, a, _ = matrices(dy)
        d = xp.matmul(_adjoint(xp, a), dy)
        return unbroadcast(_without(xp, d, -1) if columns else d, s2)

    return y, lambda dy: (lambda: dx1(dy), lambda: dx2(dy))


def _without(xp: Namespace, x: Array, axis: int) -> Array:
    return xp.squeeze(x, axis=axis)


@composed
def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Σ conj(x1) · x2 along an axis."""
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot of shapes {tuple(x1.shape)} and {tuple(x2.shape)}: axis {axis} must have one length")
    xp = namespace(x1, x2)
    x1 = xp.conj(x1) if xp.isdtype(x1.dtype, "complex floating") else x1
    return xp.sum(x1 * x2, axis=axis)


@composed
def tensordot(x1: Array, x2: Array, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Array:
    """Σ over pairs of axes: the last `axes` of x1 with the first of x2, or the named ones."""
    xp = namespace(x1, x2)
    if isinstance(axes, int):
        first, second = list(range(x1.ndim - axes, x1.ndim)), list(range(axes))
    else:
        first, second = [k % x1.ndim for k in axes[0]], [k % x2.ndim for k in axes[1]]
    if [x1.shape[k] for k in first] != [x2.shape[k] for k in second]:
        raise ValueError(f"tensordot of shapes {tuple(x1.shape)} and {tuple(x2.shape)} over axes {axes}: lengths differ")
    left = [k for k in range(x1.ndim) if k not in first]
    right = [k for k in range(x2.ndim) if k not in second]
    n = 1
    for k in first:
        n *= x1.shape[k]
    rows, columns = [x1.shape[k] for k in left], [x2.shape[k] for k in right]
    a = xp.reshape(xp.permute_dims(x1, (*left, *first)), (_product(rows), n))
    b = xp.reshape(xp.permute_dims(x2, (*second, *right)), (n, _product(columns)))
    return xp.reshape(xp.matmul(a, b), (*rows, *columns))


def _product(sizes: list[int]) -> int:
    n = 1
    for k in sizes:
        n *= k
    return n
