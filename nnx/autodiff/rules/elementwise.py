"""Elementwise functions: a row a function, its derivative as the books write it.

With y = f(x), dx = dy · f′(x). Conventions at kinks are PyTorch's: |x|′ = 0 at 0, max and min give half to each of two
equal arguments, √ has an infinite slope at 0. floor, sign and their like are constant almost everywhere: the namespace
gives them a constant result. Complex: dx = dy · conj(f′(x)), the direction in which a real loss grows fastest.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

from nnx.autodiff.rules.common import RULES, like, standard, unbroadcast
from nnx.autodiff.tape import op
from nnx.backend import namespace
from nnx.typing import Array, Namespace

LN2, LN10 = math.log(2.0), math.log(10.0)

# name: f′ in terms of the namespace, x and y = f(x)
DERIVATIVES: dict[str, Callable[[Namespace, Array, Array], Array]] = {
    "exp": lambda xp, x, y: y,
    "expm1": lambda xp, x, y: y + 1.0,
    "log": lambda xp, x, y: 1.0 / x,
    "log1p": lambda xp, x, y: 1.0 / (x + 1.0),
    "log2": lambda xp, x, y: 1.0 / (x * LN2),
    "log10": lambda xp, x, y: 1.0 / (x * LN10),
    "sqrt": lambda xp, x, y: 0.5 / y,
    "square": lambda xp, x, y: x * 2.0,
    "reciprocal": lambda xp, x, y: -(y * y),
    "sin": lambda xp, x, y: xp.cos(x),
    "cos": lambda xp, x, y: -xp.sin(x),
    "tan": lambda xp, x, y: y * y + 1.0,
    "asin": lambda xp, x, y: 1.0 / xp.sqrt(1.0 - x * x),
    "acos": lambda xp, x, y: -1.0 / xp.sqrt(1.0 - x * x),
    "atan": lambda xp, x, y: 1.0 / (x * x + 1.0),
    "sinh": lambda xp, x, y: xp.cosh(x),
    "cosh": lambda xp, x, y: xp.sinh(x),
    "tanh": lambda xp, x, y: 1.0 - y * y,
    "asinh": lambda xp, x, y: 1.0 / xp.sqrt(x * x + 1.0),
    "acosh": lambda xp, x, y: 1.0 / xp.sqrt(x * x - 1.0),
    "atanh": lambda xp, x, y: 1.0 / (1.0 - x * x),
}


def _is_complex(xp: Namespace, x: Array) -> bool:
    return bool(xp.isdtype(x.dtype, "complex floating"))


def _unary(name: str, derivative: Callable[[Namespace, Array, Array], Array]) -> Callable[..., Any]:
    def rule(x: Array, /) -> Any:
        xp = namespace(x)
        y = getattr(xp, name)(x)

        def pullback(dy: Array) -> tuple[Array]:
            d = derivative(xp, x, y)
            return (dy * (xp.conj(d) if _is_complex(xp, d) else d),)

        return y, pullback

    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = f"{name}(x), elementwise, as the standard has it."
    return standard(rule)


for _name, _derivative in DERIVATIVES.items():
    _unary(_name, _derivative)


@standard
def abs(x: Array, /) -> Any:
    """|x|; its slope at 0 is taken as 0, for a complex x it is x/|x|."""
    xp = namespace(x)
    return xp.abs(x), lambda dy: (dy * xp.sign(x),)


@standard
def negative(x: Array, /) -> Any:
    """-x."""
    return -x, lambda dy: (-dy,)


@standard
def positive(x: Array, /) -> Any:
    """+x."""
    return +x, lambda dy: (dy,)


@standard
def conj(x: Array, /) -> Any:
    """The complex conjugate."""
    xp = namespace(x)
    return xp.conj(x), lambda dy: (xp.conj(dy) if _is_complex(xp, dy) else dy,)


@standard
def real(x: Array, /) -> Any:
    """The real part."""
    xp = namespace(x)
    return xp.real(x), lambda dy: (xp.astype(dy, x.dtype),)


@standard
def imag(x: Array, /) -> Any:
    """The imaginary part."""
    xp = namespace(x)
    return xp.imag(x), lambda dy: (xp.astype(dy, x.dtype) * 1j,)


# ---- two arguments: dx and dw, each summed back over the axes along which it was stretched ---------------------------


def _conj(x: Array) -> Array:
    if isinstance(x, complex):
        return x.conjugate()
    if isinstance(x, int | float):
        return x
    xp = namespace(x)
    return xp.conj(x) if _is_complex(xp, x) else x


@standard
def add(x1: Array, x2: Array, /) -> Any:
    """x1 + x2."""
    namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    return x1 + x2, lambda dy: (lambda: unbroadcast(dy, s1), lambda: unbroadcast(dy, s2))


@standard
def subtract(x1: Array, x2: Array, /) -> Any:
    """x1 - x2."""
    namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    return x1 - x2, lambda dy: (lambda: unbroadcast(dy, s1), lambda: unbroadcast(-dy, s2))


@standard
def multiply(x1: Array, x2: Array, /) -> Any:
    """x1 · x2."""
    namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    return x1 * x2, lambda dy: (lambda: unbroadcast(dy * _conj(x2), s1), lambda: unbroadcast(dy * _conj(x1), s2))


@standard
def divide(x1: Array, x2: Array, /) -> Any:
    """x1 / x2."""
    namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    y = x1 / x2
    return y, lambda dy: (
        lambda: unbroadcast(dy / _conj(x2), s1),
        lambda: unbroadcast(-(dy * _conj(y / x2)), s2),
    )


@standard
def pow(x1: Array, x2: Array, /) -> Any:
    """x1 ** x2; ∂/∂x1 at x2 = 0 is 0, and ∂/∂x2 at x1 = 0 is 0 for x2 ≥ 0 (PyTorch's conventions)."""
    xp = namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    y = x1**x2

    def dx1(dy: Array) -> Array | None:
        if s2 is None:
            return unbroadcast(dy * _conj(x1 ** (x2 - 1) * x2), s1) if x2 != 0 else xp.zeros_like(x1)
        # the exponent is kept away from 0 - 1 where x2 is 0: 0 ** -1 would be infinite, and times 0 not a number
        safe = xp.where(x2 == 0, xp.ones_like(x2), x2)
        return unbroadcast(xp.where(x2 == 0, xp.zeros_like(dy), dy * _conj(x2 * x1 ** (safe - 1))), s1)

    def dx2(dy: Array) -> Array | None:
        if s1 is None:
            return unbroadcast(dy * _conj(y * math.log(x1)), s2) if x1 != 0 else xp.zeros_like(x2)
        zero = (x1 == 0) & (x2 >= 0) if not _is_complex(xp, y) else x1 == 0
        slope = y * xp.log(xp.where(zero, xp.ones_like(x1), x1))
        return unbroadcast(xp.where(zero, xp.zeros_like(dy), dy * _conj(slope)), s2)

    return y, lambda dy: (lambda: dx1(dy), lambda: dx2(dy))


def _larger(name: str, wins: Callable[[Array, Array], Array]) -> Callable[..., Any]:
    """maximum and minimum: the gradient goes to the argument that won, half to each of two that are equal."""

    def rule(x1: Array, x2: Array, /) -> Any:
        xp = namespace(x1, x2)
        s1, s2 = like(x1), like(x2)

        def share(dy: Array, a: Array, b: Array) -> Array:
            one = xp.astype(wins(a, b), dy.dtype) + xp.astype(a == b, dy.dtype) * 0.5
            return dy * one

        return getattr(xp, name)(x1, x2), lambda dy: (
            lambda: unbroadcast(share(dy, x1, x2), s1),
            lambda: unbroadcast(share(dy, x2, x1), s2),
        )

    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = f"{name}(x1, x2), elementwise."
    return standard(rule)


maximum = _larger("maximum", operator.gt)
minimum = _larger("minimum", operator.lt)


@standard
def hypot(x1: Array, x2: Array, /) -> Any:
    """√(x1² + x2²)."""
    xp = namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    y = xp.hypot(x1, x2)
    return y, lambda dy: (lambda: unbroadcast(dy * (x1 / y), s1), lambda: unbroadcast(dy * (x2 / y), s2))


@standard
def atan2(x1: Array, x2: Array, /) -> Any:
    """The angle of the point (x2, x1)."""
    xp = namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    return xp.atan2(x1, x2), lambda dy: (
        lambda: unbroadcast(dy * x2 / (x1 * x1 + x2 * x2), s1),
        lambda: unbroadcast(-(dy * x1) / (x1 * x1 + x2 * x2), s2),
    )


@standard
def logaddexp(x1: Array, x2: Array, /) -> Any:
    """log(eˣ¹ + eˣ²)."""
    xp = namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
    y = xp.logaddexp(x1, x2)
    return y, lambda dy: (lambda: unbroadcast(dy * xp.exp(x1 - y), s1), lambda: unbroadcast(dy * xp.exp(x2 - y), s2))


@standard
def copysign(x1: Array, x2: Array, /) -> Any:
    """|x1| with the sign of x2."""
    xp = namespace(x1, x2)
    s1 = like(x1)
    y = xp.copysign(x1, x2)
    return y, lambda dy: (lambda: unbroadcast(dy * (xp.sign(y) * xp.sign(x1)), s1), None)


@standard
def remainder(x1: Array, x2: Array, /) -> Any:
    """x1 - x2 · ⌊x1 / x2⌋."""
    xp = namespace(x1, x2)
    s1, s2 = like(x1), like(x2)
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
        lambda: unbroadcast(xp.where(condition, dy, xp.zeros_like(dy)), s1),
        lambda: unbroadcast(xp.where(condition, xp.zeros_like(dy), dy), s2),
    )


@op
def _clip(x: Array, low: Array, high: Array, /) -> Any:
    xp = namespace(x)
    sl, sh = like(low) if low is not None else None, like(high) if high is not None else None
    y = xp.clip(x, low, high)

    def inside(dy: Array) -> Array:
        keep = xp.ones_like(x, dtype=xp.bool)
        keep = keep if low is None else keep & (x >= low)
        keep = keep if high is None else keep & (x <= high)
        return xp.where(keep, dy, xp.zeros_like(dy))

    def outside(dy: Array, out: Array) -> Array:
        return xp.where(out, dy, xp.zeros_like(dy))

    return y, lambda dy: (
        lambda: unbroadcast(inside(dy), (x.shape, x.dtype)),
        lambda: unbroadcast(outside(dy, x < low), sl),
        lambda: unbroadcast(outside(dy, x > high), sh),
    )


def clip(x: Array, /, min: Array = None, max: Array = None) -> Array:
    """x, moved into [min, max]; the bounds themselves count as inside (PyTorch's clamp)."""
    return _clip(x, min, max)


RULES["clip"] = clip


