"""Reductions: many numbers become one, so each of them receives the whole gradient of that one.

At kinks as PyTorch: equal largest elements share the gradient evenly (amax), and std has the slope 0 where all elements
are equal. Products are right where elements are 0, to every order: nothing is divided by.
"""

import math
from typing import Any

from nnx.autodiff.rules.common import (
    Axis,
    along,
    cast,
    conj,
    count,
    named,
    normalized,
    placed,
    restored,
    spread,
    standard,
    where_zero,
)
from nnx.backend import namespace
from nnx.typing import Array, DType


@standard
def sum(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Any:
    """Σ x."""
    xp = namespace(x)
    shape, own = x.shape, x.dtype
    y = xp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return y, lambda dy: (_back(spread(dy, shape, axis, keepdims), own, dtype),)


def _back(d: Array, own: DType, dtype: DType | None) -> Array | None:
    """d in x's own dtype; nothing, where the result was asked for in whole numbers: a constant almost everywhere."""
    return None if dtype is not None and namespace(d).isdtype(dtype, "integral") else cast(d, own)


@standard
def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Σ x / n."""
    xp = namespace(x)
    shape = x.shape
    y = xp.mean(x, axis=axis, keepdims=keepdims)
    n = max(count(shape, axis), 1)  # of nothing: a gradient without elements
    return y, lambda dy: (spread(dy * (1.0 / n), shape, axis, keepdims),)


def _per_freedom(x: Array, axis: Axis, correction: float) -> float:
    """1 / (n - correction); infinite if nothing is left, which makes NaN of the gradient (PyTorch's var)."""
    m = count(x.shape, axis) - correction
    return 1.0 / m if m > 0 else math.inf


def _centred(x: Array, axis: Axis) -> Array:
    return x - namespace(x).mean(x, axis=axis, keepdims=True)


@standard
def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Σ (x - mean)² / (n - correction)."""
    xp = namespace(x)
    y = xp.var(x, axis=axis, correction=correction, keepdims=keepdims)
    scale = _per_freedom(x, axis, correction)
    return y, lambda dy: (spread(dy * (2.0 * scale), x.shape, axis, keepdims) * _centred(x, axis),)


@standard
def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """√var; where the variance is 0 its slope is taken as 0."""
    xp = namespace(x)
    y = xp.std(x, axis=axis, correction=correction, keepdims=keepdims)
    scale = _per_freedom(x, axis, correction)
    return y, lambda dy: (spread(dy / where_zero(y, 1.0, y) * scale, x.shape, axis, keepdims) * _centred(x, axis),)


@standard
def prod(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Any:
    """Π x. The gradient is the product of all the others: of those before and of those behind."""
    xp = namespace(x)
    y = xp.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)
    axes = normalized(axis, x.ndim)
    rest = [k for k in range(x.ndim) if k not in axes]
    order = (*rest, *axes)

    def pullback(dy: Array) -> tuple[Array | None]:
        lines = xp.reshape(xp.permute_dims(x, order), (*(x.shape[k] for k in rest), count(x.shape, axis)))
        others = _exclusive(lines) * xp.flip(_exclusive(xp.flip(lines, axis=-1)), axis=-1)
        back = tuple(order.index(k) for k in range(x.ndim))
        others = xp.permute_dims(xp.reshape(others, tuple(x.shape[k] for k in order)), back)
        return (_back(spread(dy, x.shape, axis, keepdims) * conj(others), x.dtype, dtype),)

    return y, pullback


def _exclusive(x: Array) -> Array:
    """The product of all elements before each, along the last axis."""
    xp = namespace(x)
    products = xp.cumulative_prod(x, axis=x.ndim - 1, include_initial=True)
    return products[..., : x.shape[-1]]


def _extreme(name: str) -> None:
    def rule(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
        xp = namespace(x)
        y = getattr(xp, name)(x, axis=axis, keepdims=keepdims)

        def pullback(dy: Array) -> tuple[Array]:
            hit = xp.astype(x == restored(y, axis, keepdims, x.ndim), x.dtype)
            share = hit / xp.sum(hit, axis=axis, keepdims=True)
            return (restored(dy, axis, keepdims, x.ndim) * share,)

        return y, pullback

    standard(named(name, rule, f"The {name}imum; equal ones share the gradient evenly (PyTorch's a{name})."))


_extreme("max")
_extreme("min")


@standard
def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Any:
    """Running sums: each x is in every later one."""
    xp = namespace(x)
    at, own = _line(x, axis), x.dtype
    y = xp.cumulative_sum(x, axis=at, dtype=dtype, include_initial=include_initial)

    def pullback(dy: Array) -> tuple[Array | None]:
        dy = dy[along(at, slice(1, None))] if include_initial else dy
        return (_back(xp.flip(xp.cumulative_sum(xp.flip(dy, axis=at), axis=at), axis=at), own, dtype),)

    return y, pullback


@standard
def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Any:
    """Running products: y₀ = x₀, yₖ = xₖ yₖ₋₁.

    dxₖ = yₖ₋₁ gₖ with gₖ = dyₖ + xₖ₊₁ gₖ₊₁, the gradient of the k-th product with all later ones counted in.
    """
    xp = namespace(x)
    at = _line(x, axis)
    y = xp.cumulative_prod(x, axis=at, dtype=dtype, include_initial=include_initial)

    def pullback(dy: Array) -> tuple[Array | None]:
        before = xp.cumulative_prod(x, axis=at, include_initial=True)[along(at, slice(0, x.shape[at]))]
        dy = dy[along(at, slice(1, None))] if include_initial else dy
        later = _moved_up(conj(x), at, 1)
        return (_back(conj(before) * _recurrence(dy, later, at), x.dtype, dtype),)

    return y, pullback


def _line(x: Array, axis: int | None) -> int:
    if axis is None and x.ndim != 1:
        raise ValueError(f"an array of {x.ndim} dimensions needs an axis: axis=None is for one dimension")
    return placed(axis, x.ndim)[0]


def _recurrence(b: Array, a: Array, at: int) -> Array:
    """g with gₖ = bₖ + aₖ gₖ₊₁ along an axis, in log₂ n steps, each of which doubles how far a g looks ahead."""
    step = 1
    while step < b.shape[at]:
        b = b + a * _moved_up(b, at, step)
        a = a * _moved_up(a, at, step)
        step *= 2
    return b


def _moved_up(x: Array, at: int, step: int) -> Array:
    """xₖ₊ₛₜₑₚ in the place of xₖ, zeros at the end."""
    xp = namespace(x)
    step = min(step, x.shape[at])  # a slice beyond the end is not the standard's
    return xp.concat([x[along(at, slice(step, None))], xp.zeros_like(x[along(at, slice(0, step))])], axis=at)
