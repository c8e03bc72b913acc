"""Weights that are made of other arrays: a length times a direction, a matrix divided by its largest singular value."""

from typing import Any

from nnx.autodiff import op, stop_gradient
from nnx.backend import namespace
from nnx.functional.normalization_local import normalize
from nnx.typing import Array

__all__ = ["norm_except_dim", "power_iteration", "spectral_norm", "weight_norm"]


def norm_except_dim(v: Array, dim: int | None = 0) -> Array:
    """‖v‖ along all axes but one: v's shape with 1 for the others. dim: None for one number, of the whole."""
    xp = namespace(v)
    total = xp.sum(v * v, axis=_others(v, dim), keepdims=dim is not None)
    return xp.sqrt(total)


def _others(v: Array, dim: int | None) -> tuple[int, ...]:
    return tuple(k for k in range(v.ndim) if dim is None or k != dim % v.ndim)


@op
def weight_norm(v: Array, g: Array, dim: int | None = 0) -> Any:
    """w = g v / ‖v‖: length and direction of a weight, learnt apart (Salimans and Kingma 2016).

    v: the shape of w   g: norm_except_dim(v, dim)'s   dim: the axis that keeps a length for each of its places
    """
    xp, axes = namespace(v, g), _others(v, dim)
    r = 1.0 / norm_except_dim(v, dim)
    gain = g * r

    def pullback(dw: Array) -> tuple[Any, ...]:
        dg = xp.sum(dw * v, axis=axes, keepdims=dim is not None) * r
        return (lambda: (dw - v * (dg * r)) * gain, dg)  # dv: what is left of dw beside its part along v

    return v * gain, pullback


def power_iteration(matrix: Array, u: Array, v: Array, n: int, eps: float = 1e-12) -> tuple[Array, Array]:
    """u and v, n steps nearer to the singular vectors of the largest singular value. No gradient flows through it.

    matrix: (h, w)   u: (h,)   v: (w,)
    """
    matrix, u, v = stop_gradient(matrix), stop_gradient(u), stop_gradient(v)
    xp = namespace(matrix)
    for _ in range(n):
        u = normalize(xp.matmul(matrix, v), dim=0, eps=eps)
        v = normalize(xp.matmul(matrix.T, u), dim=0, eps=eps)
    return u, v


def spectral_norm(weight: Array, u: Array, v: Array, dim: int = 0) -> Array:
    """w / σ, σ = uᵀ W v: W is w as a matrix of dim's rows, u and v its singular vectors (Miyato et al. 2018)."""
    xp = namespace(weight, u)
    sigma = xp.sum(xp.matmul(as_matrix(weight, dim), v) * u)
    return weight / sigma


def as_matrix(weight: Array, dim: int = 0) -> Array:
    """The weight as (h, w), h the length of the axis dim."""
    xp = namespace(weight)
    if dim % weight.ndim:
        weight = xp.permute_dims(weight, (dim % weight.ndim, *_others(weight, dim)))
    return xp.reshape(weight, (weight.shape[0], -1))
