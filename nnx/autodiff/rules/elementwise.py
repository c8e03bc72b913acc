"""Elementwise functions of one array: a row a function, its derivative as the books write it.

With y = f(x), dx = dy · f′(x), conjugated where it is complex. Conventions at kinks are PyTorch's: |x|′ = 0 at 0, and √
has an infinite slope there. sign, floor and their like are constant almost everywhere: their results are constants.
"""

import math
from collections.abc import Callable
from typing import Any

from nnx.autodiff.rules.common import cast, composed, conj, is_complex, named, standard, where_zero
from nnx.autodiff.tape import op
from nnx.autodiff.var import Var
from nnx.backend import innermost, namespace
from nnx.typing import Array, DType, Namespace

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
    "acosh": lambda xp, x, y: 1.0 / (xp.sqrt(x - 1.0) * xp.sqrt(x + 1.0)),
    "atanh": lambda xp, x, y: 1.0 / (1.0 - x * x),
}


def _unary(name: str, derivative: Callable[[Namespace, Array, Array], Array]) -> None:
    def rule(x: Array, /) -> Any:
        xp = namespace(x)
        y = getattr(xp, name)(x)
        return y, lambda dy: (dy * conj(derivative(xp, x, y)),)

    standard(named(name, rule, f"{name}(x), elementwise, as the standard has it."))


for _name, _derivative in DERIVATIVES.items():
    _unary(_name, _derivative)


@standard
def abs(x: Array, /) -> Any:
    """|x|; its slope at 0 is taken as 0, for a complex x it is x/|x|."""
    xp = namespace(x)
    return xp.abs(x), lambda dy: (dy * xp.sign(x),)


@composed
def sign(x: Array, /) -> Array:
    """-1, 0 or 1, a constant; for a complex x it is x/|x|, which turns with x."""
    if type(x) is Var and is_complex(x):
        size = abs(x)
        return x / where_zero(size, 1.0, size)
    return namespace(innermost(x)).sign(innermost(x))


@standard
def negative(x: Array, /) -> Any:
    """-x."""
    return -x, lambda dy: (-dy,)


@standard
def positive(x: Array, /) -> Any:
    """+x."""
    return +x, lambda dy: (dy,)


def _conj(x: Array, /) -> Any:
    return namespace(x).conj(x), lambda dy: (conj(dy),)


standard(named("conj", _conj, "The complex conjugate; a real array as it is."))


@composed
def real(x: Array, /) -> Array:
    """The real part; a real array as it is."""
    return _part(x, "real", 1.0) if is_complex(x) else x


@composed
def imag(x: Array, /) -> Array:
    """The imaginary part."""
    return _part(x, "imag", 1j)


@op
def _part(x: Array, name: str, direction: complex) -> Any:
    own: DType = x.dtype
    return getattr(namespace(x), name)(x), lambda dy: (cast(dy, own) * direction, None, None)
