"""Sorting: a permutation, along which the gradient goes back."""

from nnx.autodiff.rules.common import composed
from nnx.backend import innermost, namespace
from nnx.typing import Array


@composed
def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """x in order along an axis."""
    plain = innermost(x)
    order = namespace(plain).argsort(plain, axis=axis, descending=descending, stable=stable)
    return namespace(x).take_along_axis(x, order, axis=axis)
