"""Rotary positions: each pair of features is turned by an angle that grows with the position (Su et al. 2021)."""

from typing import Any

from nnx.autodiff import op
from nnx.backend import namespace
from nnx.typing import Array

__all__ = ["rotary"]


@op
def rotary(x: Array, cos: Array, sin: Array) -> Any:
    """(x₂ₖ cos θ - x₂ₖ₊₁ sin θ, x₂ₖ sin θ + x₂ₖ₊₁ cos θ): the product of two such depends on their distance alone.

    x: (..., t, d)   cos, sin: (t, d / 2), no gradient   returns x's shape
    Raises ValueError if the shapes do not fit.
    """
    half = (x.shape[-2], x.shape[-1] // 2) if x.ndim > 1 else None
    if half is None or x.shape[-1] % 2 or tuple(cos.shape) != half or tuple(sin.shape) != half:
        raise ValueError(
            f"rotary expects x (..., t, d), d even, and cos and sin (t, d / 2), got {tuple(x.shape)}, "
            f"{tuple(cos.shape)} and {tuple(sin.shape)}"
        )
    return _turned(x, cos, sin), lambda dy: (_turned(dy, cos, -sin), None, None)


def _turned(x: Array, cos: Array, sin: Array) -> Array:
    xp = namespace(x)
    pairs = xp.reshape(x, (*x.shape[:-1], x.shape[-1] // 2, 2))
    even, odd = pairs[..., 0], pairs[..., 1]
    return xp.reshape(xp.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1), x.shape)
