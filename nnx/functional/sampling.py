"""A sample of categories through which a gradient flows."""

from nnx.autodiff import stop_gradient
from nnx.autodiff.rules.common import cast, product
from nnx.backend import device_of, namespace
from nnx.functional.activations import softmax
from nnx.random import bits
from nnx.typing import Array

__all__ = ["gumbel_softmax"]


def gumbel_softmax(logits: Array, tau: float = 1.0, hard: bool = False, dim: int = -1) -> Array:
    """softmax((logits + g) / τ), g of Gumbel's distribution: nearly one-hot samples, for small τ (Jang et al. 2017).

    logits: any shape   tau: > 0   hard: one-hot samples, with the gradient of the soft ones   returns logits' shape
    Raises ValueError unless tau > 0.
    """
    if not tau > 0.0:
        raise ValueError(f"gumbel_softmax: tau must be above 0, got {tau}")
    y = softmax((logits + _gumbel(logits)) * (1.0 / tau), dim)
    if not hard:
        return y
    xp, axis = namespace(y), dim % y.ndim
    places = xp.arange(y.shape[axis], device=device_of(y))
    places = xp.reshape(places, (-1, *(1,) * (y.ndim - 1 - axis)))
    chosen = xp.astype(xp.argmax(y, axis=axis, keepdims=True) == places, y.dtype)
    return y + (chosen - stop_gradient(y))  # the value of one, the gradient of the other


def _gumbel(like: Array) -> Array:
    """-log(-log u), u from U(0, 1), for every place of an array; never 0 or 1, as 23 bits and a half fit a float32."""
    words = (bits(product(like.shape), like) >> 9) & 0x7FFFFF
    xp = namespace(words)
    u = (xp.astype(words, xp.float32) + 0.5) * 2.0**-23
    return cast(xp.reshape(-xp.log(-xp.log(u)), tuple(like.shape)), like.dtype)
