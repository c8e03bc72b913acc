"""Activations: the forward line and, beside it, σ′, the right half of BP1 and BP2 (δ = ∂C/∂a ⊙ σ′(z))."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_full
from nnx.backend import innermost, kernel, namespace
from nnx.functional.special import erf
from nnx.fusion import Fused, fused_rule
from nnx.typing import Array, DType, Namespace

__all__ = ["gelu", "log_softmax", "relu", "sigmoid", "softmax", "tanh"]

SQRT_HALF = math.sqrt(0.5)
INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)


@fused_rule
def relu(x: Array) -> Any:
    """max(x, 0); its slope at 0 is taken as 0 (PyTorch's)."""
    xp = namespace(x)
    y = xp.maximum(x, 0.0)
    return y, lambda dy: (dy * xp.astype(y > 0, dy.dtype),)


@fused_rule
def sigmoid(x: Array) -> Any:
    """σ(x) = 1 / (1 + e⁻ˣ);  σ′ = σ (1 - σ), at most 1/4: the reason that gradients vanish in deep sigmoid nets."""
    xp = namespace(x)
    e = xp.exp(xp.minimum(x, largest_exponent(xp, x.dtype)))  # eˣ / (1 + eˣ): exact for small ones, and no overflow
    y = e / (e + 1.0)
    return y, lambda dy: (dy * (y * (1.0 - y)),)


def largest_exponent(xp: Namespace, dtype: DType) -> float:
    """The largest x for which eˣ is finite, rounded down."""
    key = xp.__name__, dtype  # a namespace need not be hashable, and dtypes of two libraries not comparable
    found = _EXPONENTS.get(key)
    if found is None:
        found = _EXPONENTS[key] = float(math.floor(math.log(xp.finfo(dtype).max)))
    return found


_EXPONENTS: dict[tuple[str, DType], float] = {}


@fused_rule
def tanh(x: Array) -> Any:
    """tanh x;  tanh′ = 1 - tanh²."""
    xp = namespace(x)
    y = xp.tanh(x)
    return y, lambda dy: (dy * (1.0 - y * y),)


def gelu(x: Array, approximate: str = "none") -> Array:
    """x Φ(x), Φ the normal distribution's (Hendrycks and Gimpel 2016).

    approximate: "none", or "tanh" for x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))
    """
    if approximate == "none":
        alone = kernel("gelu_alone", x)  # None for an array that somebody watches
        if alone is not None and (y := alone(x)) is not None:
            return y
        return _gelu_erf(x) if kernel("gelu", innermost(x)) is not None else _gelu_fused(x)
    if approximate == "tanh":
        return _gelu_tanh(x)
    raise ValueError(f"gelu's approximate must be 'none' or 'tanh', got '{approximate}'")


@op
def _gelu_erf(x: Array) -> Any:
    own = kernel("gelu", x)
    if own is not None and (found := own(x)) is not None:
        return found
    xp = namespace(x)
    phi = (erf(x * SQRT_HALF) + 1.0) * 0.5
    return x * phi, lambda dy: (dy * (phi + x * xp.exp(x * x * -0.5) * INV_SQRT_2PI),)


_gelu_fused = Fused(_gelu_erf, one_record=True)


@fused_rule
def _gelu_tanh(x: Array) -> Any:
    xp = namespace(x)
    k = math.sqrt(2.0 / math.pi)
    t = xp.tanh((x + x * x * x * 0.044715) * k)
    return (x * 0.5) * (t + 1.0), lambda dy: (
        dy * ((t + 1.0) * 0.5 + x * 0.5 * (1.0 - t * t) * ((x * x * (3 * 0.044715) + 1.0) * k)),
    )


@in_full
@op
def softmax(x: Array, dim: int = -1) -> Any:
    """eˣ / Σ eˣ along an axis: positive, and sums to one.   dx = y (dy - Σ dy y)."""
    xp = namespace(x)
    e = xp.exp(x - xp.max(x, axis=dim, keepdims=True))
    y = e / xp.sum(e, axis=dim, keepdims=True)
    return y, lambda dy: (y * (dy - xp.sum(dy * y, axis=dim, keepdims=True)), None)


@in_full
@op
def log_softmax(x: Array, dim: int = -1) -> Any:
    """x - log Σ eˣ along an axis.   dx = dy - softmax(x) Σ dy."""
    xp = namespace(x)
    z = x - xp.max(x, axis=dim, keepdims=True)
    y = z - xp.log(xp.sum(xp.exp(z), axis=dim, keepdims=True))
    return y, lambda dy: (dy - xp.exp(y) * xp.sum(dy, axis=dim, keepdims=True), None)
