"""GELU in NumPy's memory, float32, in blocks that stay in cache: nnx/functional/activations.py is its oracle.

Φ(x) = 1 / (1 + exp(-x P(x²))): the polynomial P is log(Φ(x) / Φ(-x)) / x, fitted over |x| ≤ 5.5; beyond, it grows
faster, to Φ = 0 or 1. The error of Φ is at most 3e-7, and at x = -5 a share of 3e-5 of it, where 1 + erf has lost
all digits but one. 23 passes over a block in cache, in place of 60 over the whole array.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backend import numpy_memory
from nnx.typing import Array

BLOCK = 1 << 15
P = (
    -8.98682097e-13,
    1.46797216e-10,
    -1.02529154e-08,
    3.98150951e-07,
    -9.21717852e-06,
    0.000116678718,
    5.22085887e-05,
    -0.0726555491,
    -1.59577203,
)
"""Highest power of x² first, with the sign turned: what is wanted is -x P(x²)."""


def gelu(x: Array) -> tuple[Array, Callable[[Array], tuple[Array]]] | None:
    """x Φ(x), and its pullback; None for other dtypes than float32.

    Kept is the slope, while x and Φ are in cache: one array, and its product with dy is all that is left to do.
    """
    if x.dtype != np.float32:
        return None
    slope = np.empty(x.shape, x.dtype)
    return _over(x, np.empty(x.shape, x.dtype), slope), lambda dy: (dy * slope,)


def gelu_alone(x: Array) -> Array | None:
    """x Φ(x), where nobody asks for a gradient; None for other dtypes than float32."""
    return None if x.dtype != np.float32 else _over(x, numpy_memory.empty(x.shape, x.dtype), None)


def _over(x: Array, y: Array, slope: Array | None) -> Array:
    """Writes x Φ(x), and Φ + x Φ′, Φ′ = exp(-x²/2) / √2π."""
    flat = np.ascontiguousarray(x).reshape(-1)
    square, phi = np.empty((2, min(BLOCK, flat.size)), flat.dtype)
    out, to = y.reshape(-1), None if slope is None else slope.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):  # of x² and exp, where Φ is 0 or 1; of 0 · ∞
        for start in range(0, flat.size, BLOCK):
            at = slice(start, start + BLOCK)
            here, n = flat[at], flat[at].size
            _normal(here, square[:n], phi[:n])
            np.multiply(here, phi[:n], out=out[at])
            if to is not None:
                _slope(here, square[:n], phi[:n], to[at])
    return y


def _normal(x: Array, square: Array, phi: Array) -> None:
    """Φ(x), by way of the square."""
    np.multiply(x, x, out=square)
    np.multiply(square, P[0], out=phi)
    for c in P[1:-1]:
        phi += c
        phi *= square
    phi += P[-1]
    phi *= x
    np.exp(phi, out=phi)
    phi += 1.0
    np.divide(1.0, phi, out=phi)


def _slope(x: Array, square: Array, phi: Array, slope: Array) -> None:
    """Φ(x) + x Φ′(x)."""
    np.multiply(square, -0.5, out=slope)
    np.exp(slope, out=slope)
    slope *= x
    slope *= 1.0 / math.sqrt(2.0 * math.pi)
    slope += phi


KERNELS: dict[str, Callable[..., Any]] = {"gelu": gelu, "gelu_alone": gelu_alone}
