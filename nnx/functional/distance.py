"""How far two vectors are apart, and the form that multiplies each entry of one with each of the other."""

from nnx.autodiff.casting import in_full
from nnx.backend import namespace
from nnx.functional.linear import linear
from nnx.functional.normalization_local import normalize
from nnx.typing import Array

__all__ = ["bilinear", "cosine_similarity", "pairwise_distance"]


@in_full
def cosine_similarity(x1: Array, x2: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    """x₁ · x₂ / (max(‖x₁‖, ε) max(‖x₂‖, ε)) along an axis: the cosine of the angle between them.

    x1, x2: shapes that broadcast   returns theirs without the axis dim
    """
    xp = namespace(x1, x2)
    x1, x2 = xp.broadcast_arrays(x1, x2)  # first: the axis dim may be the one that broadcasts
    return xp.sum(normalize(x1, dim=dim, eps=eps) * normalize(x2, dim=dim, eps=eps), axis=dim)


@in_full
def pairwise_distance(x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Array:
    """‖x₁ - x₂ + ε‖ₚ along the last axis.

    x1, x2: (..., d), shapes that broadcast   p: the norm's order, ±inf too   returns (...), or (..., 1) if keepdim
    """
    xp = namespace(x1, x2)
    return xp.linalg.vector_norm(x1 - x2 + eps, axis=-1, keepdims=keepdim, ord=p)


def bilinear(x1: Array, x2: Array, weight: Array, bias: Array | None = None) -> Array:
    """y_o = x₁ᵀ W_o x₂ + b_o: a linear map of all products of an entry of x₁ and one of x₂.

    x1: (..., i)   x2: (..., j)   weight: (o, i, j)   bias: (o,)   returns (..., o)
    Raises ValueError if the shapes do not fit.
    """
    o, i, j = weight.shape
    if not x1.ndim or not x2.ndim or x1.shape[-1] != i or x2.shape[-1] != j or x1.shape[:-1] != x2.shape[:-1]:
        raise ValueError(
            f"bilinear expected x1 of shape (..., {i}) and x2 of shape (..., {j}), alike but for the last axis, "
            f"got {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    xp = namespace(x1, x2, weight)
    products = xp.reshape(x1[..., :, None] * x2[..., None, :], (*x1.shape[:-1], i * j))
    return linear(products, xp.reshape(weight, (o, i * j)), bias)
