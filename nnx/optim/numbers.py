"""A step's numbers: Python's in an eager step; in a compiled one arrays of no dimension, on which nobody can branch."""

from collections.abc import Callable
from typing import Any

from nnx.backend import namespace
from nnx.typing import Array

Number = Any
"""A float, or an array of shape ()."""


def larger(a: float, b: Number) -> Number:
    """max(a, b)."""
    return max(a, b) if isinstance(b, float | int) else namespace(b).maximum(b, a)


def smaller(a: float, b: Number) -> Number:
    """min(a, b)."""
    return min(a, b) if isinstance(b, float | int) else namespace(b).minimum(b, a)


def choose(condition: Any, yes: Callable[[], Number], no: float) -> Number:
    """yes() if condition else no."""
    if isinstance(condition, bool):
        return yes() if condition else no
    return namespace(condition).where(condition, yes(), no)


def is_number(x: Number, value: float) -> bool:
    """Whether x is known to be this value."""
    return isinstance(x, float | int) and x == value


def norm(x: Array) -> Array:
    """√(Σ x²) over all entries, an array of shape ()."""
    xp = namespace(x)
    flat = xp.reshape(x, (-1,))
    return xp.sqrt(xp.matmul(flat, flat))  # the library's dot: one pass and no copy
