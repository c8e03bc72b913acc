"""Normalisation without statistics of a batch: vectors to length 1, activations by those of neighbouring channels."""

from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_full
from nnx.backend import device_of, namespace
from nnx.typing import Array, Shape

__all__ = ["local_response_norm", "normalize"]


@in_full
def normalize(x: Array, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12) -> Array:
    """x / max(‖x‖ₚ, ε) along an axis: vectors of length 1.

    x: any shape   p: the norm's order, ±inf too   returns x's shape

    >>> import numpy as np
    >>> normalize(np.asarray([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    xp = namespace(x)
    return x / xp.maximum(xp.linalg.vector_norm(x, axis=dim, keepdims=True, ord=p), float(eps))


@in_full
@op
def local_response_norm(x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """x / (k + α/size Σ x²)^β, the sum over `size` neighbouring channels (Krizhevsky et al. 2012, section 3.3).

    x: (n, c, ...), at least three axes   returns x's shape
    Raises ValueError for fewer axes, or size < 1.
    """
    if x.ndim < 3 or size < 1:
        raise ValueError(
            f"local_response_norm({size}) expected x of shape (n, c, l, ...) and a size of at least 1, "
            f"got {tuple(x.shape)}"
        )
    before, behind, rate = size // 2, (size - 1) // 2, alpha / size
    d = _window(x * x, before, behind) * rate + k
    scale = d**-beta
    y = x * scale

    def pullback(dy: Array) -> tuple[Array, ...]:
        # channel j is in the windows of i with j - behind ≤ i ≤ j + before: the same window, mirrored
        shared = _window(dy * y / d, behind, before)
        return (dy * scale - x * shared * (2.0 * rate * beta),)

    return y, pullback


def _window(x: Array, before: int, behind: int) -> Array:
    """At each channel (axis 1), the sum from `before` channels before it to `behind` channels behind it."""
    xp = namespace(x)
    c = x.shape[1]
    before, behind = min(before, c), min(behind, c)
    parts = [_zeros(x, before), x, _zeros(x, behind)]
    padded = xp.concat([part for part in parts if part is not None], axis=1)
    total = padded[:, :c, ...]
    for k in range(1, before + behind + 1):
        total = total + padded[:, k : k + c, ...]
    return total


def _zeros(x: Array, channels: int) -> Array | None:
    if not channels:
        return None
    shape: Shape = (x.shape[0], channels, *x.shape[2:])
    return namespace(x).zeros(shape, dtype=x.dtype, device=device_of(x))
