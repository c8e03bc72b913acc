"""Elementwise functions of two arrays: dx and dw, each summed back over the axes along which it was stretched.

Where two equal arguments meet in maximum or minimum, each receives half (PyTorch's convention); clip lets the gradient
through at its bounds, and gives a bound what it has cut off.
"""

import cmath
from typing import Any

from nnx.autodiff.rules.common import cast, composed, conj, is_complex, like, pair, standard, unbroadcast
from nnx.autodiff.tape import op
from nnx.backend import namespace
from nnx.typing import Array, Namespace


def _array(x: Array) -> Array:
    """x, no scalar of NumPy's: those are Python floats, too, and a Python complex in front takes them for such."""
    return namespace(x).asarray(x)


@standard
def add(x1: Array, x2: Array, /) -> Any:
    """x1 + x2."""
    _, s1, s2 = pair(x1, x2)
    if type(x1) is complex:
        x2 = _array(x2)
    return x1 + x2, lambda dy: (lambda: unbroadcast(dy, s1), lambda: unbroadcast(dy, s2))


@standard
def subtract(x1: Array, x2: Array, /) -> Any:
    """x1 - x2."""
    _, s1, s2 = pair(x1, x2)
    if type(x1) is complex:
        x2 = _array(x2)
    return x1 - x2, lambda dy: (lambda: unbroadcast(dy, s1), lambda: unbroadcast(-dy, s2))


@standard
def multiply(x1: Array, x2: Array, /) -> Any:
    """x1 · x2."""
    _, s1, s2 = pair(x1, x2)
    if type(x1) is complex:
        x2 = _array(x2)
    return x1 * x2, lambda dy: (lambda: unbroadcast(dy * conj(x2), s1), lambda: unbroadcast(dy * conj(x1), s2))


@standard
def divide(x1: Array, x2: Array, /) -> Any:
    """x1 / x2."""
    _, s1, s2 = pair(x1, x2)
    if type(x1) is complex:
        x2 = _array(x2)
    y = x1 / x2
    return y, lambda dy: (
        lambda: unbroadcast(dy / conj(x2), s1),
        lambda: unbroadcast(-(dy * conj(y / x2)), s2),
    )


@standard
def pow(x1: Array, x2: Array, /) -> Any:
    """x1 ** x2; ∂/∂x1 at x2 = 0 is 0, and ∂/∂x2 at x1 = 0 is 0 for x2 ≥ 0 (PyTorch's conventions)."""
    xp, s1, s2 = pair(x1, x2)
    if type(x1) is complex:
        x2 = _array(x2)
    y = x1**x2
    if s2 is None:
        return y, lambda dy: (lambda: unbroadcast(dy * conj(_slope(xp, x1, x2)), s1), None)

    def dx1(dy: Array) -> Array | None:
        # the exponent is kept away from 0 - 1 where x2 is 0: 0 ** -1 would be infinite, and times 0 not a number
        safe = xp.where(x2 == 0, xp.ones_like(x2), x2)
        return unbroadcast(xp.where(x2 == 0, 0.0, dy * conj(x2 * x1 ** (safe - 1))), s1)

    def dx2(dy: Array) -> Array | None:
        if s1 is None:
            return unbroadcast(dy * conj(y * _log(x1, x2)), s2) if x1 != 0 else xp.zeros_like(x2)
        zero = x1 == 0 if is_complex(y) else (x1 == 0) & (x2 >= 0)
        safe = xp.where(zero, xp.ones_like(x1), x1)
        slope = y * xp.log(cast(safe, y.dtype))  # a negative base has a logarithm among complex numbers alone
        return unbroadcast(xp.where(zero, 0.0, dy * conj(slope)), s2)

    return y, lambda dy: (lambda: dx1(dy), lambda: dx2(dy))


def _slope(xp: Namespace, x: Array, n: complex) -> Array:
    """∂ xⁿ/∂x of a number n."""
    if n == 2:
        return x * n
    return x ** (n - 1) * n if n else xp.zeros_like(x)


def _log(x: complex, like: Array) -> complex:
    """The logarithm of a number: of a negative one NaN, unless it meets complex numbers."""
    z = cmath.log(x)
    if isinstance(x, complex) or is_complex(like):
        return z
    return z.real if x > 0 else float("nan")


@standard
def maximum(x1: Array, x2: Array, /) -> Any:
    """The larger of x1 and x2, elementwise."""
    xp, s1, s2 = pair(x1, x2)
    return xp.maximum(x1, x2), lambda dy: (
        lambda: unbroadcast(_share(dy, x1 > x2, x1 == x2), s1),
        lambda: unbroadcast(_share(dy, x2 > x1, x1 == x2), s2),
    )


@standard
def minimum(x1: Array, x2: Array, /) -> Any:
    """The smaller of x1 and x2, elementwise."""
    xp, s1, s2 = pair(x1, x2)
    return xp.minimum(x1, x2), lambda dy: (
        lambda: unbroadcast(_share(dy, x1 < x2, x1 == x2), s1),
        lambda: unbroadcast(_share(dy, x2 < x1, x1 == x2), s2),
    )


def _share(dy: Array, won: Array, equal: Array) -> Array:
    """The gradient goes to the argument that won, half to each of two that are equal."""
    xp = namespace(dy)
    return xp.where(won, dy, xp.where(equal, dy * 0.5, 0.0))


@standard
def hypot(x1: Array, x2: Array, /) -> Any:
    """√(x1² + x2²); its slope at (0, 0) is not a number, as PyTorch has it."""
    xp, s1, s2 = pair(x1, x2)
    y = xp.hypot(x1, x2)
    return y, lambda dy: (lambda: unbroadcast(dy * (x1 / y), s1), lambda: unbroadcast(dy * (x2 / y), s2))


@standard
def atan2(x1: Array, x2: Array, /) -> Any:
    """The angle of the point (x2, x1)."""
    xp, s1, s2 = pair(x1, x2)
    return xp.atan2(x1, x2), lambda dy: (
        lambda: unbroadcast(dy * (x2 / (x1 * x1 + x2 * x2)), s1),
        lambda: unbroadcast(-(dy * (x1 / (x1 * x1 + x2 * x2))), s2),
    )


@standard
def logaddexp(x1: Array, x2: Array, /) -> Any:
    """log(eˣ¹ + eˣ²)."""
    xp, s1, s2 = pair(x1, x2)
    y = xp.logaddexp(x1, x2)
    return y, lambda dy: (lambda: unbroadcast(dy * xp.exp(x1 - y), s1), lambda: unbroadcast(dy * xp.exp(x2 - y), s2))


@standard
def copysign(x1: Array, x2: Array, /) -> Any:
    """|x1| with the sign of x2; its slope at x1 = 0 is taken as 0."""
    xp = namespace(x1, x2)
    s1 = like(x1)
    y = xp.copysign(x1, x2)
    return y, lambda dy: (lambda: unbroadcast(dy * (xp.sign(y) * xp.sign(x1)), s1), None)


@standard
def nextafter(x1: Array, x2: Array, /) -> Any:
    """The number next to x1 on the way to x2: x1, but for a rounding error."""
    xp = namespace(x1, x2)
    s1 = like(x1)
    return xp.nextafter(x1, x2), lambda dy: (lambda: unbroadcast(dy, s1), None)


@standard
def remainder(x1: Array, x2: Array, /) -> Any:
    """x1 - x2 · ⌊x1 / x2⌋."""
    xp, s1, s2 = pair(x1, x2)
    return x1 % x2, lambda dy: (
        lambda: unbroadcast(dy, s1),
        lambda: unbroadcast(-(dy * xp.floor(x1 / x2)), s2),
    )


@standard
def where(condition: Array, x1: Array, x2: Array, /) -> Any:
    """x1 where the condition holds, x2 elsewhere; each receives the gradient of the places that are its own."""
    xp = namespace(condition, x1, x2)
    s1, s2 = like(x1), like(x2)
    return xp.where(condition, x1, x2), lambda dy: (
        None,
        lambda: unbroadcast(xp.where(condition, dy, 0.0), s1),
        lambda: unbroadcast(xp.where(condition, 0.0, dy), s2),
    )


@op
def _clip(x: Array, low: Array, high: Array) -> Any:
    xp = namespace(x)
    s, sl, sh = like(x), like(low), like(high)
    below = None if low is None else x < low
    above = None if high is None else x > high
    if low is not None and high is not None:  # where the bounds cross, the result is the upper one
        below, above = (x < low) & (low <= high), (x > high) | (low > high)

    def only(dy: Array, chosen: Array) -> Array:
        return xp.where(chosen, dy, 0.0)

    def dx(dy: Array) -> Array | None:
        for cut in (below, above):
            dy = dy if cut is None else only(dy, ~cut)
        return unbroadcast(dy, s)

    return xp.clip(x, low, high), lambda dy: (
        lambda: dx(dy),
        lambda: unbroadcast(only(dy, below), sl),
        lambda: unbroadcast(only(dy, above), sh),
    )


@composed
def clip(x: Array, /, min: Array = None, max: Array = None) -> Array:
    """x, moved into [min, max]; the bounds themselves count as inside (PyTorch's clamp)."""
    return _clip(x, min, max)
