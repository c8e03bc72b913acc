"""ReLU's relatives: straight or exponential pieces that meet at a kink, where the slope is PyTorch's."""

from typing import Any

from nnx.autodiff import op
from nnx.autodiff.rules.common import like, unbroadcast
from nnx.backend import namespace
from nnx.functional.activations import sigmoid
from nnx.random import bits
from nnx.typing import Array, Namespace

__all__ = [
    "celu",
    "elu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "prelu",
    "relu6",
    "rrelu",
    "selu",
    "softshrink",
    "threshold",
]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _where(xp: Namespace, condition: Array, dy: Array) -> Array:
    """dy where the condition holds, 0 elsewhere."""
    return dy * xp.astype(condition, dy.dtype)


@op
def leaky_relu(x: Array, negative_slope: float = 0.01) -> Any:
    """x for x > 0, else negative_slope · x (Maas et al. 2013); no unit is ever dead."""
    xp = namespace(x)
    right = x > 0
    return xp.where(right, x, x * negative_slope), lambda dy: (xp.where(right, dy, dy * negative_slope),)


def prelu(x: Array, weight: Array) -> Array:
    """x for x > 0, else weight · x: leaky_relu with a slope that is learnt (He et al. 2015).

    x: (n, c, ...)   weight: (c,), or (1,) for one slope everywhere   returns x's shape
    Raises ValueError if weight has another length.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.ndim != 1 or weight.shape[0] not in (1, channels):
        raise ValueError(
            f"prelu's weight has shape {tuple(weight.shape)}, x {tuple(x.shape)}: expected (1,) or ({channels},)"
        )
    if x.ndim > 2 and weight.shape[0] > 1:
        weight = namespace(weight).reshape(weight, (1, -1) + (1,) * (x.ndim - 2))
    return _prelu(x, weight)


@op
def _prelu(x: Array, w: Array) -> Any:
    xp = namespace(x, w)
    right, to = x > 0, like(w)
    return xp.where(right, x, x * w), lambda dy: (
        lambda: xp.where(right, dy, dy * w),
        lambda: unbroadcast(_where(xp, ~right, dy * x), to),
    )


def rrelu(x: Array, lower: float = 1.0 / 8.0, upper: float = 1.0 / 3.0, training: bool = False) -> Array:
    """x for x > 0, else r · x, r drawn from U(lower, upper) for each entry (Xu et al. 2015).

    training: if false, r is the mean of both
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower must be at most upper, got {lower} and {upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2.0)
    xp, n = namespace(x), 1
    for k in x.shape:
        n *= k
    upper_bits = (bits(n, like=x) >> 8) & 0xFFFFFF
    draws = xp.reshape(xp.astype(upper_bits, x.dtype), tuple(x.shape)) * ((upper - lower) * 2.0**-24) + lower
    return x * xp.where(x > 0, xp.ones_like(draws), draws)


def relu6(x: Array) -> Array:
    """min(max(x, 0), 6): small enough for few bits (Krizhevsky 2010)."""
    return hardtanh(x, 0.0, 6.0)


@op
def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """x, held between min_val and max_val; the slope at both is 0."""
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val must be below max_val, got {min_val} and {max_val}")
    xp = namespace(x)
    y = xp.minimum(xp.maximum(x, float(min_val)), float(max_val))
    return y, lambda dy: (_where(xp, (x > min_val) & (x < max_val), dy),)


@op
def hardsigmoid(x: Array) -> Any:
    """min(max(x + 3, 0), 6) / 6: a sigmoid without an exponential."""
    xp = namespace(x)
    y = xp.minimum(xp.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0)
    return y, lambda dy: (_where(xp, (x > -3) & (x < 3), dy * (1.0 / 6.0)),)


@op
def hardswish(x: Array) -> Any:
    """x · hardsigmoid(x) (Howard et al. 2019)."""
    xp = namespace(x)
    y = x * (xp.minimum(xp.maximum(x + 3.0, 0.0), 6.0) * (1.0 / 6.0))

    def pullback(dy: Array) -> tuple[Array]:
        return (_where(xp, x > -3, xp.where(x < 3, dy * (x * (1.0 / 3.0) + 0.5), dy)),)

    return y, pullback


def elu(x: Array, alpha: float = 1.0) -> Array:
    """x for x > 0, else α (eˣ - 1) (Clevert et al. 2016)."""
    return _exponential(x, alpha, 1.0, 1.0)


def celu(x: Array, alpha: float = 1.0) -> Array:
    """x for x > 0, else α (e^(x/α) - 1): smooth for every α (Barron 2017)."""
    if alpha == 0.0:
        raise ValueError("celu's alpha must not be 0")
    return _exponential(x, alpha, 1.0, 1.0 / alpha)


def selu(x: Array) -> Array:
    """λ x for x > 0, else λ α (eˣ - 1); activations keep mean 0 and variance 1 (Klambauer et al. 2017)."""
    return _exponential(x, SELU_ALPHA, SELU_SCALE, 1.0)


@op
def _exponential(x: Array, alpha: float, scale: float, rate: float) -> Any:
    """scale · x for x > 0, else scale · alpha · (e^(rate x) - 1)."""
    xp = namespace(x)
    right = x > 0
    z = xp.where(right, xp.zeros_like(x), x) * rate  # e^(rate x) of a large x would overflow, unused as it is
    y = xp.where(right, x * scale, xp.expm1(z) * (alpha * scale))
    return y, lambda dy: (xp.where(right, dy * scale, dy * xp.exp(z) * (alpha * scale * rate)),)


@op
def threshold(x: Array, threshold: float, value: float) -> Any:
    """x for x > threshold, else value."""
    xp = namespace(x)
    left = x <= threshold
    return xp.where(left, xp.full_like(x, value), x), lambda dy: (_where(xp, ~left, dy),)


@op
def hardshrink(x: Array, lambd: float = 0.5) -> Any:
    """x outside of [-λ, λ], else 0."""
    xp = namespace(x)
    inside = xp.abs(x) <= lambd
    return xp.where(inside, xp.zeros_like(x), x), lambda dy: (_where(xp, ~inside, dy),)


@op
def softshrink(x: Array, lambd: float = 0.5) -> Any:
    """x moved towards 0 by λ, and 0 inside of [-λ, λ]: what an L1 penalty does to a number."""
    if lambd < 0.0:
        raise ValueError(f"softshrink's lambd must be >= 0, got {lambd}")
    xp = namespace(x)
    y = x - xp.minimum(xp.maximum(x, -float(lambd)), float(lambd))
    return y, lambda dy: (_where(xp, ~(xp.abs(x) <= lambd), dy),)


@op
def glu(x: Array, dim: int = -1) -> Any:
    """a σ(b), a and b the two halves of x along an axis: one half is the other's gate (Dauphin et al. 2017).

    x: (..., 2k, ...)   returns (..., k, ...).   Raises ValueError if the axis has an odd length.
    """
    if not -x.ndim <= dim < x.ndim or x.shape[dim] % 2:
        raise ValueError(f"glu halves the axis {dim} of x, but x has shape {tuple(x.shape)}: its length must be even")
    xp = namespace(x)
    before, half = (slice(None),) * (dim % x.ndim), x.shape[dim] // 2
    a, gate = x[(*before, slice(None, half), ...)], sigmoid(x[(*before, slice(half, None), ...)])

    def pullback(dy: Array) -> tuple[Array]:
        da = dy * gate
        return (xp.concat([da, da * a * (1.0 - gate)], axis=dim),)

    return a * gate, pullback
