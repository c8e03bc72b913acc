"""What rules share: the table they register in, and the two inverses of broadcasting and of reducing.

A forward pass that stretches an axis sends one number to many places; backward, what comes from all of them is summed.
A forward pass that sums an axis sends many numbers to one place; backward, each receives the whole of it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from nnx.autodiff.tape import op
from nnx.backend import namespace
from nnx.typing import Array, DType, Shape

F = TypeVar("F", bound=Callable[..., Any])

RULES: dict[str, Callable[..., Any]] = {}
"""The differentiable functions of the standard by name."""

Like = tuple[Shape, DType]
"""Shape and dtype of an argument: what its gradient must have. Kept in place of the array, which may be large."""


def standard(rule: F) -> F:
    """Register a rule as the standard's function of that name."""
    function = op(rule)
    RULES[rule.__name__] = function
    return function


def composed(function: F) -> F:
    """Register a function that is made of other rules as the standard's function of that name."""
    RULES[function.__name__] = function
    return function


def like(x: Array) -> Like | None:
    """What x's gradient must look like; None for a Python number, which has none."""
    return None if isinstance(x, int | float | complex) and not hasattr(x, "shape") else (x.shape, x.dtype)


def unbroadcast(d: Array, to: Like | None) -> Array | None:
    """d, summed over the axes along which the argument was stretched, in the argument's dtype."""
    if to is None:
        return None
    shape, dtype = to
    if d.shape == shape and d.dtype == dtype:
        return d
    xp = namespace(d)
    if d.shape != shape:
        extra = len(d.shape) - len(shape)
        axes = tuple(range(extra)) + tuple(
            k + extra for k, n in enumerate(shape) if n == 1 and d.shape[k + extra] != 1
        )
        if axes:
            d = xp.sum(d, axis=axes, keepdims=True)
        d = xp.reshape(d, shape)
    return d if d.dtype == dtype else cast(d, dtype)


def cast(d: Array, dtype: DType) -> Array:
    """d in the argument's dtype: the real part of a complex gradient, where the argument is real."""
    xp = namespace(d)
    if xp.isdtype(d.dtype, "complex floating") and not xp.isdtype(dtype, "complex floating"):
        d = xp.real(d)
    return d if d.dtype == dtype else xp.astype(d, dtype)


def normalized(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """The axes as a tuple of numbers in [0, ndim)."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(k % ndim if ndim else k for k in axes)


def restored(d: Array, axis: int | tuple[int, ...] | None, keepdims: bool, ndim: int) -> Array:
    """A gradient (or result) of a reduction with its reduced axes put back as axes of length one."""
    if keepdims or not ndim:
        return d
    shape = list(d.shape)
    for k in sorted(normalized(axis, ndim)):
        shape.insert(k, 1)
    return namespace(d).reshape(d, tuple(shape))


def spread(d: Array, shape: Shape, axis: int | tuple[int, ...] | None, keepdims: bool) -> Array:
    """d of a reduction, stretched back over the shape that was reduced."""
    return namespace(d).broadcast_to(restored(d, axis, keepdims, len(shape)), shape)


def count(shape: Shape, axis: int | tuple[int, ...] | None) -> int:
    """How many elements one result of a reduction is made of."""
    n = 1
    for k in normalized(axis, len(shape)):
        n *= shape[k]
    return n
