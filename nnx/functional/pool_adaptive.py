"""Pools told how much they return, and pools between a mean and a maximum."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.var import Var
from nnx.backend import device_of, innermost, namespace
from nnx.backend.windows import Table, Windows
from nnx.functional.conv_arguments import Size, batched, per_axis, unbatched
from nnx.functional.conv_windows import Lookup
from nnx.functional.pool import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from nnx.functional.pool_core import At, max_pool, sum_pool, winning_places
from nnx.typing import Array, Shape

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
]

OutputSize = int | tuple[int | None, ...] | None
"""None: as large as the input."""


def adaptive_avg_pool1d(x: Array, output_size: OutputSize) -> Array:
    """adaptive_avg_pool2d, along one axis.   x: (n, c, l) or (c, l)"""
    return _adaptive_avg_pool(1, x, output_size)


def adaptive_avg_pool2d(x: Array, output_size: OutputSize) -> Array:
    """The means over output_size windows: the i-th is from ⌊i h / h′⌋ up to, and without, ⌈(i + 1) h / h′⌉.

    x: (n, c, h, w) or (c, h, w)   output_size: h′, or (h′, w′); None keeps an axis   returns (n, c, h′, w′)

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.asarray([[[1.0, 2.0], [4.0, 3.0]]]), 1)
    array([[[2.5]]])
    """
    return _adaptive_avg_pool(2, x, output_size)


def adaptive_avg_pool3d(x: Array, output_size: OutputSize) -> Array:
    """adaptive_avg_pool2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)"""
    return _adaptive_avg_pool(3, x, output_size)


def adaptive_max_pool1d(x: Array, output_size: OutputSize, return_indices: bool = False) -> Any:
    """adaptive_max_pool2d, along one axis.   x: (n, c, l) or (c, l)"""
    return _adaptive_max_pool(1, x, output_size, return_indices)


def adaptive_max_pool2d(x: Array, output_size: OutputSize, return_indices: bool = False) -> Any:
    """The maxima over output_size windows, which lie as adaptive_avg_pool2d's do.

    return_indices: also the places, counted flat in their plane, that won
    """
    return _adaptive_max_pool(2, x, output_size, return_indices)


def adaptive_max_pool3d(x: Array, output_size: OutputSize, return_indices: bool = False) -> Any:
    """adaptive_max_pool2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)"""
    return _adaptive_max_pool(3, x, output_size, return_indices)


def lp_pool1d(
    x: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Array:
    """lp_pool2d, along one axis.   x: (n, c, l) or (c, l)"""
    return _lp_pool(1, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    x: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Array:
    """(Σ xᵖ)^(1/p) over windows, p = norm_type; where the sum is 0, so is the gradient.

    With ceil_mode the last windows may reach over the edge: their sum is scaled as if they were whole.
    x: (n, c, h, w) or (c, h, w)   norm_type: 1 gives sums, ∞ the maximum of |x|

    >>> import numpy as np
    >>> lp_pool2d(np.asarray([[[3.0, 4.0]]]), 2, (1, 2))
    array([[[5.]]])
    """
    return _lp_pool(2, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    x: Array, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
) -> Array:
    """lp_pool2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)"""
    return _lp_pool(3, x, norm_type, kernel_size, stride, ceil_mode)


def _adaptive_avg_pool(dims: int, x: Array, output_size: OutputSize) -> Array:
    x, single = batched(x, dims, f"adaptive_avg_pool{dims}d")
    at, lengths = _adaptive_windows(dims, x, output_size, f"adaptive_avg_pool{dims}d")
    y = sum_pool(x, at)
    if all(len(set(line)) == 1 for line in lengths):
        return unbatched(y * (1.0 / math.prod(line[0] for line in lengths)), single)
    xp = namespace(innermost(x))
    for axis, line in enumerate(lengths):
        part = xp.asarray([1.0 / n for n in line], dtype=x.dtype, device=device_of(x))
        y = y * xp.reshape(part, (-1,) + (1,) * (dims - 1 - axis))
    return unbatched(y, single)


def _adaptive_max_pool(dims: int, x: Array, output_size: OutputSize, return_indices: bool) -> Any:
    x, single = batched(x, dims, f"adaptive_max_pool{dims}d")
    at, _ = _adaptive_windows(dims, x, output_size, f"adaptive_max_pool{dims}d")
    y = unbatched(max_pool(x, at), single)
    return (y, unbatched(winning_places(innermost(x), at), single)) if return_indices else y


def _adaptive_windows(dims: int, x: Array, output_size: OutputSize, what: str) -> tuple[At, list[list[int]]]:
    """The windows, and how long they are along each axis. Where a size is a multiple of the other they are regular."""
    size: Shape = tuple(x.shape[2:])
    given = output_size if isinstance(output_size, tuple | list) else (output_size,) * dims
    wanted = tuple(n if m is None else m for n, m in zip(size, given, strict=False))
    wanted = per_axis(wanted, dims, f"{what}: output_size") if len(given) == dims else per_axis(given, dims, what)
    edges = [[(o * n // m, -((o + 1) * n // -m)) for o in range(m)] for n, m in zip(size, wanted, strict=True)]
    lengths = [[stop - start for start, stop in axis] for axis in edges]
    if all(n % m == 0 for n, m in zip(size, wanted, strict=True)):
        kernel = tuple(n // m for n, m in zip(size, wanted, strict=True))
        return Windows(kernel, kernel, (1,) * dims, ((0, 0),) * dims), lengths
    return Lookup(tuple(map(_table, edges))), lengths


def _table(edges: list[tuple[int, int]]) -> Table:
    longest = max(stop - start for start, stop in edges)
    return tuple(tuple(start + k if start + k < stop else None for start, stop in edges) for k in range(longest))


def _lp_pool(dims: int, x: Array, p: float, kernel_size: Size, stride: Size | None, ceil_mode: bool) -> Array:
    what = f"lp_pool{dims}d"
    if p == 0:
        raise ValueError(f"{what}: norm_type must not be 0")
    xp, kernel = namespace(x), per_axis(kernel_size, dims, f"{what}: kernel_size")
    if math.isinf(p):
        pooled = max_pools[dims - 1](xp.abs(x) if p > 0 else -xp.abs(x), kernel, stride, 0, 1, ceil_mode)
        return pooled if p > 0 else -pooled
    mean = avg_pools[dims - 1](x**p, kernel, stride, 0, ceil_mode)
    return _root(mean * float(math.prod(kernel)), float(p))


max_pools, avg_pools = (max_pool1d, max_pool2d, max_pool3d), (avg_pool1d, avg_pool2d, avg_pool3d)


@op
def _root(x: Array, p: float) -> Any:
    """x^(1/p), with a slope of 0 at 0."""

    def pullback(dy: Array) -> tuple[Any, ...]:
        xp = namespace(x)
        zero = x == 0
        slope = xp.where(zero, xp.ones_like(x), x) ** (1.0 / p - 1.0) * (1.0 / p)
        return xp.where(zero, xp.zeros_like(dy), dy * slope), None

    return _root(x, p) if type(x) is Var else x ** (1.0 / p), pullback
