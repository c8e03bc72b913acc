"""Reductions: many numbers become one, so each of them receives the whole gradient of that one."""

from typing import Any

from nnx.autodiff.rules.common import cast, composed, count, restored, spread, standard
from nnx.backend import namespace
from nnx.typing import Array, DType

Axis = int | tuple[int, ...] | None


@standard
def sum(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Any:
    """Σ x."""
    xp = namespace(x)
    shape, own = x.shape, x.dtype
    y = xp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)
    return y, lambda dy: (cast(spread(dy, shape, axis, keepdims), own),)


@standard
def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Σ x / n."""
    xp = namespace(x)
    shape = x.shape
    n = count(shape, axis)
    return xp.mean(x, axis=axis, keepdims=keepdims), lambda dy: (spread(dy * (1.0 / n), shape, axis, keepdims),)


@standard
def var(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Σ (x - mean)² / (n - correction)."""
    xp = namespace(x)
    n = count(x.shape, axis)

    def pullback(dy: Array) -> tuple[Array]:
        centred = x - xp.mean(x, axis=axis, keepdims=True)
        return (spread(dy, x.shape, axis, keepdims) * centred * (2.0 / (n - correction)),)

    return xp.var(x, axis=axis, correction=correction, keepdims=keepdims), pullback


@composed
def std(x: Array, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """√var; its slope at a variance of 0 is infinite."""
    xp = namespace(x)
    return xp.sqrt(xp.var(x, axis=axis, correction=correction, keepdims=keepdims))


@standard
def prod(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Any:
    """Π x. The gradient is the product of all the others, right also where some x are 0."""
    xp = namespace(x)
    y = xp.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def pullback(dy: Array) -> tuple[Array]:
        zero = x == 0
        safe = xp.where(zero, xp.ones_like(x), x)
        zeros = xp.sum(xp.astype(zero, x.dtype), axis=axis, keepdims=True)
        product = xp.prod(safe, axis=axis, keepdims=True)
        # with one zero only that zero's entry is not 0, with two none is
        ones = xp.ones_like(x)
        others = xp.where(zero, product * ones, product / safe * xp.astype(zeros == 0, x.dtype))
        others = xp.where(zeros > 1.5, xp.zeros_like(x), xp.where((zeros > 0.5) & (x != 0), xp.zeros_like(x), others))
        return (cast(spread(dy, x.shape, axis, keepdims) * others, x.dtype),)

    return y, pullback


def _extreme(name: str) -> Any:
    def rule(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
        xp = namespace(x)
        y = getattr(xp, name)(x, axis=axis, keepdims=keepdims)

        def pullback(dy: Array) -> tuple[Array]:
            hit = xp.astype(x == restored(y, axis, keepdims, x.ndim), x.dtype)
            share = hit / xp.sum(hit, axis=axis, keepdims=True)
            return (restored(dy, axis, keepdims, x.ndim) * share,)

        return y, pullback

    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = f"The {name}imum; equal ones share the gradient evenly (PyTorch's a{name})."
    return standard(rule)


max = _extreme("max")
min = _extreme("min")


@standard
def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Any:
    """Running sums: each x is in every later one."""
    xp = namespace(x)
    along = 0 if axis is None else axis % x.ndim
    y = xp.cumulative_sum(x, axis=along, dtype=dtype, include_initial=include_initial)

    def pullback(dy: Array) -> tuple[Array]:
        if include_initial:
            dy = dy[(slice(None),) * along + (slice(1, None),)]
        return (cast(xp.flip(xp.cumulative_sum(xp.flip(dy, axis=along), axis=along), axis=along), x.dtype),)

    return y, pullback
