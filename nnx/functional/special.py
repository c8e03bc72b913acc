"""erf, which the standard lacks: the library's own where it has one, else rational approximations on the standard.

The approximations are those of W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23
(1969): relative error below 1e-15 in float64.
"""

import math
from typing import Any

from nnx.autodiff import op
from nnx.backend import kernel, namespace
from nnx.typing import Array

__all__ = ["erf"]

# |x| ≤ 0.46875: x P(x²) / Q(x²), highest power first
P1 = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
Q1 = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
# 0.46875 ≤ |x| ≤ 4: 1 - exp(-x²) P(|x|) / Q(|x|)
P2 = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
Q2 = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)


@op
def erf(x: Array) -> Any:
    """2/√π ∫₀ˣ exp(-t²) dt, elementwise;  erf′ = 2/√π exp(-x²)."""
    xp = namespace(x)
    own = kernel("erf", x)
    y = erf_of_standard(x) if own is None else own(x)
    return y, lambda dy: (dy * (xp.exp(-(x * x)) * (2.0 / math.sqrt(math.pi))),)


def erf_of_standard(x: Array) -> Array:
    """erf in the standard's functions alone."""
    xp = namespace(x)
    size = xp.abs(x)
    inner = xp.minimum(size, xp.full_like(x, 0.46875))
    square = inner * inner
    small = inner * _ratio(P1, Q1, square)
    # beyond 6 erf is 1 to the last bit of a float64
    outer = xp.minimum(xp.maximum(size, xp.full_like(x, 0.46875)), xp.full_like(x, 6.0))
    large = 1.0 - xp.exp(-(outer * outer)) * _ratio(P2, Q2, outer)
    return xp.sign(x) * xp.where(size <= 0.46875, small, large)


def _ratio(p: tuple[float, ...], q: tuple[float, ...], x: Array) -> Array:
    return _polynomial(p, x) / _polynomial(q, x)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's scheme, highest power first."""
    y = x * coefficients[0]
    for c in coefficients[1:-1]:
        y = (y + c) * x
    return y + coefficients[-1]
