"""GELU in NumPy's memory, float32, in blocks that stay in cache: nnx/functional/activations.py is its oracle.

Φ(x) = 1 / (1 + exp(-x P(x²))): the polynomial P is log(Φ(x) / Φ(-x)) / x, fitted over |x| ≤ 5.5; beyond, it grows
faster, to Φ = 0 or 1. The error of Φ is at most 3e-7, and at x = -5 a share of 3e-5 of it, where 1 + erf has lost
all digits but one. 23 passes over a block in cache, in place of 60 over the whole array.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

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
    """x Φ(x), and its pullback; None for other dtypes than float32."""
    if x.dtype != np.float32:
        return None
    flat = np.ascontiguousarray(x).reshape(-1)
    y, phi = np.empty_like(flat), np.empty_like(flat)
    part = np.empty(min(BLOCK, flat.size), flat.dtype)
    with np.errstate(over="ignore"):  # of x² and of exp: where they are infinite, Φ is 0 or 1
        for start in range(0, flat.size, BLOCK):
            at = slice(start, start + BLOCK)
            _normal(flat[at], part[: flat[at].size], phi[at])
            np.multiply(flat[at], phi[at], out=y[at])

    def pullback(dy: Array) -> tuple[Array]:
        if type(dy) is not np.ndarray:  # somebody watches the gradient itself
            return (dy * _slope(flat, phi, np.ones_like(flat)).reshape(x.shape),)
        return (_slope(flat, phi, np.ascontiguousarray(dy).reshape(-1)).reshape(x.shape),)

    return y.reshape(x.shape), pullback


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


def _slope(x: Array, phi: Array, dy: Array) -> Array:
    """dy (Φ(x) + x Φ′(x)),  Φ′ = exp(-x²/2) / √2π."""
    dx = np.empty_like(x)
    for start in range(0, x.size, BLOCK):
        at = slice(start, start + BLOCK)
        d = dx[at]
        np.multiply(x[at], x[at], out=d)
        d *= -0.5
        np.exp(d, out=d)
        d *= x[at]
        d *= 1.0 / math.sqrt(2.0 * math.pi)
        d += phi[at]
        d *= dy[at]
    return dx


KERNELS: dict[str, Callable[..., Any]] = {"gelu": gelu}
