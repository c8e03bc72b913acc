"""What rules share: the table they register in, and the two inverses of broadcasting and of reducing.

A forward pass that stretches an axis sends one number to many places; backward, what comes from all of them is summed.
A forward pass that sums an axis sends many numbers to one place; backward, each receives the whole of it.

Complex numbers follow PyTorch: the gradient of a real loss is ∂L/∂Re z + i ∂L/∂Im z, the direction in which it grows
fastest. Through an analytic y = f(z) it is dy · conj(f′(z)); where a real argument met a complex one, its real part.
"""

import functools
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nnx.autodiff.tape import lift, recorded
from nnx.autodiff.tree import tree_map
from nnx.autodiff.var import Var
from nnx.backend import namespace
from nnx.typing import Array, DType, Namespace, Shape

F = TypeVar("F", bound=Callable[..., Any])
Axis = int | tuple[int, ...] | None

RULES: dict[str, Callable[..., Any]] = {}
"""The differentiable functions of the standard by name; those of an extension as linalg.inv, fft.rfft."""

COMPOSED: set[str] = set()
"""Those made of other rules: constants go to the library's own function in their place."""

Like = tuple[Shape, DType]
"""Shape and dtype of an argument: what its gradient must have. Kept in place of the array, which may be large."""


def standard(rule: F) -> F:
    """Register a rule as the standard's function of that name."""
    function = recorded(rule, boxes=True)
    RULES[rule.__name__] = function
    return function


def composed(function: F, name: str = "") -> F:
    """Register a function that is made of other rules as the standard's function of that name."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        y = function(*args, **kwargs)
        return y if type(y) is Var else tree_map(lift, y)

    RULES[name or function.__name__] = call
    COMPOSED.add(name or function.__name__)
    return typing.cast(F, call)


def named(name: str, rule: F, doc: str) -> F:
    """A rule that a table made, under its own name."""
    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = doc
    return rule


def like(x: Array) -> Like | None:
    """What x's gradient must look like; None for a Python number, which has none."""
    return (x.shape, x.dtype) if hasattr(x, "shape") else None


def pair(x1: Array, x2: Array) -> tuple[Namespace, Like | None, Like | None]:
    """The namespace of two arguments, and what the gradient of each must look like."""
    if type(x1) is type(x2):
        return namespace(x1), (x1.shape, x1.dtype), (x2.shape, x2.dtype)
    return namespace(x1, x2), like(x1), like(x2)


def unbroadcast(d: Array, to: Like | None) -> Array | None:
    """d, summed over the axes along which the argument was stretched, in the argument's dtype."""
    if to is None:
        return None
    shape, dtype = to
    if d.shape != shape:
        xp = namespace(d)
        extra = len(d.shape) - len(shape)
        axes = tuple(range(extra)) + tuple(k + extra for k, n in enumerate(shape) if n == 1 and d.shape[k + extra] != 1)
        if axes:
            d = xp.sum(d, axis=axes)
        d = xp.reshape(d, shape)
    return d if d.dtype == dtype else cast(d, dtype)


def cast(d: Array, dtype: DType) -> Array:
    """d in the argument's dtype: the real part of a complex gradient, where the argument is real."""
    if d.dtype == dtype:
        return d
    xp = namespace(d)
    if is_complex(d) and not is_complex_dtype(xp, dtype):
        d = xp.real(d)
    return xp.astype(d, dtype, copy=False)


_COMPLEX: dict[tuple[type, DType], bool] = {}


def is_complex_dtype(xp: Namespace, dtype: DType) -> bool:
    """Whether a dtype is a complex one: a look-up (NumPy's isdtype takes longer than a small array's product)."""
    key = type(dtype), dtype  # array-api-strict's dtypes hash as NumPy's, and warn if they are compared with one
    try:
        return _COMPLEX[key]
    except KeyError:
        found = _COMPLEX[key] = bool(xp.isdtype(dtype, "complex floating"))
        return found


def is_complex(x: Array) -> bool:
    """Whether an array holds complex numbers."""
    dtype = x.dtype
    found = _COMPLEX.get((type(dtype), dtype))
    return is_complex_dtype(namespace(x), dtype) if found is None else found


def conj(x: Array) -> Array:
    """The complex conjugate; a real array or number as it is."""
    if not hasattr(x, "shape"):
        return x.conjugate() if isinstance(x, complex) else x  # real, or a number of nnx.fuse's, which stands for one
    return namespace(x).conj(x) if is_complex(x) else x


def adjoint(x: Array) -> Array:
    """xᴴ: the last two axes exchanged, and conjugated."""
    return conj(namespace(x).matrix_transpose(x))


def where_zero(x: Array, then: float, otherwise: Array) -> Array:
    """`then` where x is 0, the array elsewhere."""
    xp = namespace(otherwise)
    return xp.where(x == 0, xp.full_like(otherwise, then), otherwise)


def normalized(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The axes as a tuple of numbers in [0, ndim); of no dimensions there are none, though NumPy takes 0 and -1."""
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple(k % ndim for k in axes) if ndim else ()


class WrongAxis(ValueError, IndexError):
    """An axis that an array has not (NumPy's AxisError is both of these, too)."""


def placed(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """normalized, for an axis that no function of the library has seen. Raises WrongAxis for one that is not there."""
    axes = (axis,) if isinstance(axis, int) else range(ndim) if axis is None else axis
    for k in axes:
        if not -ndim <= k < ndim:
            known = f"use [-{ndim}, {ndim - 1}]" if ndim else "it has none"
            raise WrongAxis(f"axis {k} of an array with {ndim} dimensions: {known}")
    return normalized(axis, ndim)


def restored(d: Array, axis: Axis, keepdims: bool, ndim: int) -> Array:
    """A gradient (or result) of a reduction with its reduced axes put back as axes of length one."""
    if keepdims or not d.shape:  # a number goes with any shape
        return d
    shape = list(d.shape)
    for k in sorted(normalized(axis, ndim)):
        shape.insert(k, 1)
    return namespace(d).reshape(d, tuple(shape))


def spread(d: Array, shape: Shape, axis: Axis, keepdims: bool) -> Array:
    """d of a reduction, stretched back over the shape that was reduced."""
    return namespace(d).broadcast_to(restored(d, axis, keepdims, len(shape)), shape)


def product(sizes: Any) -> int:
    """How many elements an array of these sizes has."""
    n = 1
    for k in sizes:
        n *= k
    return n


def count(shape: Shape, axis: Axis) -> int:
    """How many elements one result of a reduction is made of."""
    return product(shape[k] for k in normalized(axis, len(shape)))


def along(axis: int, cut: Any) -> tuple[Any, ...]:
    """The key that cuts one axis (≥ 0) and leaves those before it whole. What follows is whole, too: `...`."""
    return (*(slice(None),) * axis, cut, ...)
